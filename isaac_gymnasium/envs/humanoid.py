"""`IsaacHumanoid-v0`: run on two legs, as fast as they carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.envs._run import Run, heading_reward
from isaac_gymnasium.robots.humanoid import GEARS, humanoid
from isaac_gymnasium.scene.model import Material
from isaac_gymnasium.task import Task

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene


@dataclass(kw_only=True)
class Humanoid(Task):
    """Run on two legs, as fast as they carry.

    ## Description
    A humanoid with 21 hinges runs towards a point 1000 m ahead. Follows Isaac Lab's direct Humanoid
    task (constants, observation, reward). It differs in that the action is clipped, the
    joint-limit penalty counts the lower limits too, a start has noise as in IsaacGymEnvs' Humanoid,
    and an episode lasts exactly 900 steps.

    ## Action Space
    `Box(-1, 1, (21,))`: joint torques in units of each joint's gear (`robots.humanoid.GEARS`, 22.5
    to 135 N m) times `effort_scale`. Joints in the order of the engine, which is that of
    `env.unwrapped.task.robot.dof_names`.

    ## Observation Space
    `Box(-inf, inf, (75,))`: height of the torso (m); its velocity (3, m/s) and turning (3, times
    0.25) in its own frame; yaw, roll and the bearing of the target from the torso (rad); cosines of
    the tilt and of the bearing; joint positions within their limits (21, -1 to 1); joint velocities
    (21, times 0.1); the last action (21).

    ## Rewards
    While not terminated:
    * `progress`: the step's way towards the target over `dt`: twice the speed in m/s, as in the
      original, which divides by the physics step and not by the environment's
    * `alive`: 2
    * `upright`: 0.1 within 22 degrees of upright
    * `heading`: 0.5 where the cosine of the bearing exceeds 0.8, in proportion to it below
    * `action`: -0.01 times the squared action
    * `energy`: -0.005 times the sum over joints of |action times velocity|
    * `limits`: -1 for each joint within 1 % of the end of its range

    * `terminated`: -1 on termination, in place of all else

    ## Starting State
    Torso level at (0, 0, 1.34) m, all joints at zero; joint positions and velocities plus uniform
    noise of `joint_noise` and `speed_noise`, within the limits.

    ## Episode End
    Terminates when the torso is below `fall_height`. Truncates after `episode_length_s` (900 steps
    of 1/60 s). `info["speed"]`: distance along x over time since the start, m/s. `info["fell"]`:
    terminated. `info["success"]`: `speed` is at least `goal_speed` and the humanoid has not fallen.

    ## Arguments
    * `effort_scale`: gears per unit of action
    * `fall_height`: m
    * `goal_speed`: m/s, for `success` alone
    * `joint_noise`, `speed_noise`: half widths of the initial noise, rad and rad/s

    ## Version History
    * v0: initial version
    """

    num_actions: ClassVar[int] = 21
    num_observations: ClassVar[int] = 75
    start_height: ClassVar[float] = 1.34

    # Where the environments are not kept apart otherwise, nobody gets as far as its neighbour.
    env_spacing: float = 200.0
    episode_length_s: float = 15.0
    effort_scale: float = 1.0
    fall_height: float = 0.8
    goal_speed: float = 3.0
    joint_noise: float = 0.1
    speed_noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            positive=("goal_speed",),
            non_negative=("effort_scale", "fall_height", "joint_noise", "speed_noise"),
        )

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground(material=Material(static_friction=1.0, dynamic_friction=1.0))
        scene.add_robot("Robot", humanoid(), position=(0.0, 0.0, self.start_height))

    def post_reset(self) -> None:
        self.robot = self.engine.articulation("Robot")
        self.run = Run(self.engine, self.robot)
        names = [n.removeprefix("right_").removeprefix("left_") for n in self.robot.dof_names]
        self.gears = torch.tensor([[GEARS[name] for name in names]], device=self.device)
        self.actions = torch.zeros(self.num_envs, 21, device=self.device)
        lower, upper = self.robot.dof_limits.unsqueeze(0).unbind(-1)
        self.middle, self.half_range = 0.5 * (upper + lower), 0.5 * (upper - lower)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.actions.copy_(actions)
        self.robot.set_dof_efforts(self.effort_scale * self.gears * actions)

    def post_physics_step(self, rng: RandomStreams) -> None:
        self.run.advance(self.step_dt)

    def _share_of_range(self) -> Tensor:
        return (self.robot.dof_pos - self.middle) / self.half_range

    def get_observations(self) -> Tensor:
        return torch.cat(
            (
                self.run.observation(turn_scale=0.25),
                self._share_of_range(),
                0.1 * self.robot.dof_vel,
                self.actions,
            ),
            dim=-1,
        )

    def get_rewards(self) -> dict[str, Tensor]:
        terminated = self.get_terminations().float()
        terms = {
            "progress": self.run.progress / self.dt,
            "alive": torch.full_like(terminated, 2.0),
            "upright": 0.1 * (self.run.upright() > 0.93),
            "heading": heading_reward(self.run.heading()),
            "action": -0.01 * self.actions.square().sum(-1),
            "energy": -0.005 * (self.actions * self.robot.dof_vel).abs().sum(-1),
            "limits": -(self._share_of_range().abs() > 0.98).float().sum(-1),
        }
        alive = 1.0 - terminated
        return {name: alive * term for name, term in terms.items()} | {"terminated": -terminated}

    def get_terminations(self) -> Tensor:
        return self.run.height() < self.fall_height

    def get_extras(self) -> dict[str, Tensor]:
        speed, fell = self.run.mean_speed(), self.get_terminations()
        return {"success": (speed >= self.goal_speed) & ~fell, "speed": speed, "fell": fell}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        pos = rng.uniform(-self.joint_noise, self.joint_noise, (21,))
        limits = self.robot.dof_limits
        pos = torch.clamp(pos, limits[:, 0], limits[:, 1])
        vel = rng.uniform(-self.speed_noise, self.speed_noise, (21,))
        self.robot.write_dof_state(pos, vel, mask)

        pose = torch.zeros(self.num_envs, 7, device=self.device)
        pose[:, 2], pose[:, 6] = self.start_height, 1.0
        pose[:, :3] += self.engine.env_origins
        self.robot.write_root_state(pose, torch.zeros_like(pose[:, :6]), mask)
        self.run.restart(mask, pose)
        self.actions.masked_fill_(mask.unsqueeze(-1), 0.0)
