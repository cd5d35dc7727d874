"""`IsaacQuadcopter-v0`: fly a small quadcopter to a point and hover there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.robots.quadcopter import MASS, add_quadcopter
from isaac_gymnasium.scene.markers import arrow, ball
from isaac_gymnasium.scene.viewpoint import Viewpoint
from isaac_gymnasium.task import Task
from isaac_gymnasium.transforms import quat_from_euler_xyz, quat_rotate, quat_rotate_inverse

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene


@dataclass(kw_only=True)
class Quadcopter(Task):
    """Fly a small quadcopter to a point and hover there.

    ## Description
    A Crazyflie-like quadcopter flies to a goal within two metres and has to stay there. Follows
    Isaac Lab's direct Quadcopter task (constants, observation, reward, reset); it differs in that
    an episode lasts exactly 500 steps, and in the identified mass and inertia of the real thing.

    ## Action Space
    `Box(-1, 1, (4,))`: thrust along the body's z axis, from 0 at -1 to `thrust_to_weight` times the
    weight at 1; moments about the body's axes (3), in units of `max_moment`.

    ## Observation Space
    `Box(-inf, inf, (12,))`, all in the body's frame: velocity (3, m/s), angular velocity
    (3, rad/s), direction of gravity (3), goal minus position (3, m).

    ## Rewards
    Each times the step's 0.02 s:
    * `velocity`: -0.05 times the squared speed
    * `turning`: -0.01 times the squared angular speed
    * `distance`: 15 times 1 - tanh(d / 0.8), with d the distance to the goal in m

    ## Starting State
    Level and at rest at (0, 0, 0.5) m. The goal: x and y uniform in ±2 m, z in [0.5, 1.5] m.

    ## Episode End
    Terminates below 0.1 m or above 2 m. Truncates after `episode_length_s` (500 steps of 0.02 s).
    `info["distance"]`: to the goal, m. `info["fell"]`: terminated. `info["success"]`: the distance
    is at most `goal_tolerance`.

    ## Arguments
    * `thrust_to_weight`: largest thrust over weight
    * `max_moment`: N m per unit of action
    * `goal_tolerance`: m, for `success` alone

    ## Version History
    * v0: initial version
    """

    num_actions: ClassVar[int] = 4
    num_observations: ClassVar[int] = 12
    viewpoint: ClassVar[Viewpoint] = Viewpoint(
        eye=(0.45, -0.5, 0.85), target=(0.0, 0.0, 0.55), follow="Quadcopter", cell=(0.6, 0.6)
    )
    start_height: ClassVar[float] = 0.5

    # Far enough for nothing to meet: goals reach to 2 m, and an episode lasts 10 s.
    env_spacing: float = 20.0
    episode_length_s: float = 10.0
    dt: float = 0.01
    thrust_to_weight: float = 1.9
    max_moment: float = 0.01
    goal_tolerance: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(positive=("goal_tolerance",), non_negative=("thrust_to_weight", "max_moment"))

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        add_quadcopter(scene, "Quadcopter", position=(0.0, 0.0, self.start_height))
        scene.add_marker("Goal", ball(0.03))
        # The goal may be out of a picture that shows so small a thing.
        scene.add_marker("Way", arrow(0.06))

    def post_reset(self) -> None:
        self.body = self.engine.rigid_body("Quadcopter")
        self.goal = torch.zeros(self.num_envs, 3, device=self.device)
        self.down = torch.tensor((0.0, 0.0, -1.0), device=self.device).repeat(self.num_envs, 1)
        self.force = torch.zeros(self.num_envs, 3, device=self.device)
        self.weight = MASS * abs(self.physics_settings().gravity)

    def pre_physics_step(self, actions: Tensor) -> None:
        quat = self.body.pose[:, 3:7]
        lift = 0.5 * self.thrust_to_weight * self.weight * (actions[:, 0] + 1.0)
        self.force[:, 2] = lift
        moment = self.max_moment * actions[:, 1:]
        self.body.apply_wrench(quat_rotate(quat, self.force), quat_rotate(quat, moment))

    def _position(self) -> Tensor:
        return self.body.pose[:, :3] - self.engine.env_origins

    def _to_goal(self) -> Tensor:
        return self.goal - self._position()

    def get_observations(self) -> Tensor:
        quat, vel = self.body.pose[:, 3:7], self.body.vel
        vectors = (vel[:, :3], vel[:, 3:], self.down, self._to_goal())
        return torch.cat([quat_rotate_inverse(quat, vector) for vector in vectors], dim=-1)

    def get_rewards(self) -> dict[str, Tensor]:
        vel = self.body.vel
        distance = self._to_goal().norm(dim=-1)
        terms = {
            "velocity": -0.05 * vel[:, :3].square().sum(-1),
            "turning": -0.01 * vel[:, 3:].square().sum(-1),
            "distance": 15.0 * (1.0 - torch.tanh(distance / 0.8)),
        }
        return {name: self.step_dt * term for name, term in terms.items()}

    def get_terminations(self) -> Tensor:
        height = self.body.pose[:, 2]
        return (height < 0.1) | (height > 2.0)

    def get_markers(self) -> dict[str, Tensor]:
        to = torch.nn.functional.normalize(self._to_goal(), dim=-1)
        yaw = torch.atan2(to[:, 1], to[:, 0])
        turn = quat_from_euler_xyz(torch.zeros_like(yaw), -torch.asin(to[:, 2]), yaw)
        above = self._position()
        above[:, 2] += 0.08
        return {"Goal": self.goal, "Way": torch.cat((above, turn), dim=-1)}

    def get_extras(self) -> dict[str, Tensor]:
        distance = self._to_goal().norm(dim=-1)
        return {
            "success": distance <= self.goal_tolerance,
            "distance": distance,
            "fell": self.get_terminations(),
        }

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        place = rng.uniform(-1.0, 1.0, (3,))
        goal = torch.cat((2.0 * place[:, :2], 1.0 + 0.5 * place[:, 2:]), dim=-1)
        torch.where(mask.unsqueeze(-1), goal, self.goal, out=self.goal)
        pose = torch.zeros(self.num_envs, 7, device=self.device)
        pose[:, 2], pose[:, 6] = self.start_height, 1.0
        pose[:, :3].add_(self.engine.env_origins)
        self.body.write_state(pose, torch.zeros_like(pose[:, :6]), mask)
