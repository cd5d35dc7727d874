"""`IsaacAllegroHand-v0`: turn a cube in the hand to one orientation after another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.robots.allegro import FINGER_SURFACE, PALM_UP, TIPS, allegro_hand
from isaac_gymnasium.scene.markers import colored_cube
from isaac_gymnasium.scene.model import Material, PhysicsSettings, box, cylinder
from isaac_gymnasium.scene.viewpoint import Viewpoint
from isaac_gymnasium.task import Task
from isaac_gymnasium.transforms import (
    quat_angle,
    quat_conjugate,
    quat_from_axis_angle,
    quat_mul,
)

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

GOAL_PLACE = (0.2, 0.0, 0.06)
"""From the cube's place to where people see the goal, m."""


@dataclass(kw_only=True)
class AllegroHand(Task):
    """Turn a cube in the hand to one orientation after another.

    ## Description
    A cube lies on an Allegro Hand, palm up. The fingers have to turn it to a goal orientation
    without dropping it; each time they succeed, a new goal is drawn. Follows Isaac Lab's direct
    Allegro task (observation, reward, time steps). It differs in the hand's mount, which is level
    here, in colliders that are boxes and spheres and ignore each other within the hand, in a plain
    cube, and in starts drawn uniformly between default and limits. Different on purpose: actions
    are changes of the joints' targets, because noise on targets themselves throws the cube off the
    hand within half a second or, smoothed, hardly turns it. The reward also pays for every turn
    towards the goal, which does not change what pays most; quaternions that stand for the same
    orientation are observed as the same.

    ## Action Space
    `Box(-1, 1, (16,))`: changes of the joint position targets in units of `target_step`, in the
    order of the engine (`env.unwrapped.task.robot.dof_names`): joint 0 of every finger, then joint
    1, ...; targets stay within the joints' limits.

    ## Observation Space
    `Box(-inf, inf, (124,))`, environment frame: joint positions within their limits (16, -1 to 1);
    joint velocities (16, times 0.2); position (3, m), orientation (4, xyzw), velocity (3) and
    angular velocity (3, times 0.2) of the cube; where it should be (3); goal orientation (4); the
    turn from goal to cube (4); positions (4 x 3), orientations (4 x 4) and velocities (4 x 6) of
    the fingertips index, middle, ring, thumb; joint targets (16, as the joint positions). Of the
    two quaternions of an orientation it is the one with w >= 0.

    ## Rewards
    * `distance`: -10 times the distance in m of the cube from where it should be
    * `rotation`: 1 / (angle + 0.1), with the angle in rad from cube to goal
    * `progress`: 60 times what the angle has become smaller by in this step
    * `action`: -0.0002 times the squared action
    * `goal`: 250 in the step that reaches the goal

    ## Starting State
    Cube `cube_noise` or less (in each coordinate) from so far above its place on the fingers that
    no corner touches them, turned about x and y by any angles, at rest; joints at their defaults
    plus `joint_noise` of the way to a position drawn uniformly within their limits. The goal:
    turned about x and y by any angles.

    ## Episode End
    Terminates when the cube is `fall_distance` or more from its place. Truncates after
    `episode_length_s` (300 steps of 1/30 s). `info["goals"]`: goals reached in this episode.
    `info["fell"]`: terminated. `info["success"]`: at least 3 goals reached and not dropped.

    ## Arguments
    * `cube_size`: edge, m
    * `cube_density`: kg/m^3
    * `goal_tolerance`: rad
    * `fall_distance`: m
    * `target_step`: how far an action of 1 moves a joint's target, rad
    * `cube_noise`, `joint_noise`: m, and share of the way

    ## Version History
    * v0: initial version
    """

    num_actions: ClassVar[int] = 16
    num_observations: ClassVar[int] = 124
    shared_tensors: ClassVar[tuple[str, ...]] = ("tips", "drop", "axes")
    viewpoint: ClassVar[Viewpoint] = Viewpoint(
        eye=(0.42, -0.52, 0.82), target=(0.07, 0.0, 0.5), cell=(0.7, 0.7)
    )
    hand_height: ClassVar[float] = 0.5
    reach: ClassVar[float] = 0.04

    env_spacing: float = 1.0
    episode_length_s: float = 10.0
    decimation: int = 4
    cube_size: float = 0.065
    cube_density: float = 400.0
    goal_tolerance: float = 0.2
    fall_distance: float = 0.24
    target_step: float = 0.2
    cube_noise: float = 0.01
    joint_noise: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            positive=(
                "cube_size",
                "cube_density",
                "goal_tolerance",
                "fall_distance",
                "target_step",
            ),
            non_negative=("cube_noise", "joint_noise"),
        )
        if self.joint_noise > 1.0:
            raise ValueError(f"joint_noise must be at most 1, got {self.joint_noise}")

    @property
    def _place(self) -> tuple[float, float, float]:
        return (0.0, -self.reach, self.hand_height + FINGER_SURFACE + self.cube_size / 2)

    def physics_settings(self) -> PhysicsSettings:
        return PhysicsSettings(contacts_per_env=96)

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        scene.add_robot(
            "Robot",
            allegro_hand(),
            position=(0.0, 0.0, self.hand_height),
            orientation=PALM_UP,
        )
        scene.add_rigid_body(
            "Cube",
            box(
                (self.cube_size,) * 3,
                color=(0.85, 0.25, 0.15),
                material=Material(static_friction=1.0, dynamic_friction=1.0),
                contact_offset=0.004,
            ),
            density=self.cube_density,
            position=self._place,
        )
        self._add_stand(scene)
        tiles = colored_cube(self.cube_size)
        scene.add_marker("Cube", tiles)
        scene.add_marker("Goal", [box((self.cube_size,) * 3, color=(0.05, 0.05, 0.05)), *tiles])

    def _add_stand(self, scene: Scene) -> None:
        """Something for the hand to be mounted on, which nothing touches."""
        where = {"collides": False, "color": (0.30, 0.31, 0.33)}
        wrist = box((0.06, 0.07, 0.04), position=(0.0, 0.125, self.hand_height), **where)
        post = cylinder(
            0.025, self.hand_height, position=(0.0, 0.135, self.hand_height / 2), **where
        )
        scene.add_static("Stand", (wrist, post))

    def post_reset(self) -> None:
        n, device = self.num_envs, self.device
        self.robot = self.engine.articulation("Robot")
        self.cube = self.engine.rigid_body("Cube")
        tips = [self.robot.link_index(name) for name in TIPS]
        self.tips = torch.tensor(tips, device=device)
        self.home = self.robot.dof_pos[:1].clone()
        self.lower, self.upper = self.robot.dof_limits.unsqueeze(0).unbind(-1)
        self.middle = 0.5 * (self.upper + self.lower)
        self.half_range = 0.5 * (self.upper - self.lower)
        self.place = torch.tensor([self._place], device=device)
        # Where people see the goal: beside the cube.
        self.goal_place = self.place + torch.tensor([GOAL_PLACE], device=device)
        # However it is turned, the cube starts above the fingers, which would throw it off else.
        clear = 0.5 * (math.sqrt(3.0) - 1.0) * self.cube_size + self.cube_noise
        self.drop = torch.tensor((0.0, 0.0, clear), device=device)
        self.axes = torch.eye(3, device=device).unsqueeze(1)
        self.targets = self.home.repeat(n, 1)
        self.actions = torch.zeros(n, 16, device=device)
        self.goal = torch.zeros(n, 4, device=device)
        self.angle = torch.zeros(n, device=device)
        self.angle_before = torch.zeros(n, device=device)
        self.progress = torch.zeros(n, device=device)
        self.reached = torch.zeros(n, dtype=torch.bool, device=device)
        self.goals = torch.zeros(n, device=device)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.actions.copy_(actions)
        moved = self.targets + self.target_step * actions
        torch.clamp(moved, self.lower, self.upper, out=self.targets)
        self.robot.set_dof_targets(self.targets)

    def post_physics_step(self, rng: RandomStreams) -> None:
        quat = self.cube.pose[:, 3:7]
        self.angle.copy_(quat_angle(quat, self.goal))
        self.progress.copy_(self.angle_before - self.angle)
        self.reached.copy_(self.angle <= self.goal_tolerance)
        self.goals += self.reached
        # The reward is for the goal that was there; the policy sees the next one.
        drawn = self._any_turn(rng)
        torch.where(self.reached.unsqueeze(-1), drawn, self.goal, out=self.goal)
        self.angle_before.copy_(quat_angle(quat, self.goal))

    def _any_turn(self, rng: RandomStreams) -> Tensor:
        angles = rng.uniform(-math.pi, math.pi, (2,))
        about_x = quat_from_axis_angle(self.axes[0], angles[:, 0])
        return quat_mul(about_x, quat_from_axis_angle(self.axes[1], angles[:, 1]))

    def cube_position(self) -> Tensor:
        """(N, 3) centre of the cube, environment frame, m."""
        return self.cube.pose[:, :3] - self.engine.env_origins

    def get_observations(self) -> Tensor:
        quat, vel = self.cube.pose[:, 3:7], self.cube.vel
        tips = self.robot.link_pose.index_select(1, self.tips)
        tip_vel = self.robot.link_vel.index_select(1, self.tips)
        return torch.cat(
            (
                (self.robot.dof_pos - self.middle) / self.half_range,
                0.2 * self.robot.dof_vel,
                self.cube_position(),
                _one_of_two(quat),
                vel[:, :3],
                0.2 * vel[:, 3:],
                self.place.expand(self.num_envs, 3),
                _one_of_two(self.goal),
                _one_of_two(quat_mul(quat, quat_conjugate(self.goal))),
                (tips[..., :3] - self.engine.env_origins.unsqueeze(1)).flatten(1),
                _one_of_two(tips[..., 3:7]).flatten(1),
                tip_vel.flatten(1),
                (self.targets - self.middle) / self.half_range,
            ),
            dim=-1,
        )

    def _away(self) -> Tensor:
        distance: Tensor = (self.cube_position() - self.place).norm(dim=-1)
        return distance

    def get_rewards(self) -> dict[str, Tensor]:
        return {
            "distance": -10.0 * self._away(),
            "rotation": 1.0 / (self.angle + 0.1),
            "progress": 60.0 * self.progress,
            "action": -2e-4 * self.actions.square().sum(-1),
            "goal": 250.0 * self.reached,
        }

    def get_terminations(self) -> Tensor:
        return self._away() >= self.fall_distance

    def get_markers(self) -> dict[str, Tensor]:
        cube = torch.cat((self.cube_position(), self.cube.pose[:, 3:7]), dim=-1)
        shown = self.goal_place.expand(self.num_envs, 3)
        return {"Cube": cube, "Goal": torch.cat((shown, self.goal), dim=-1)}

    def get_extras(self) -> dict[str, Tensor]:
        fell = self.get_terminations()
        return {"success": (self.goals >= 3.0) & ~fell, "goals": self.goals, "fell": fell}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        rows = mask.unsqueeze(-1)
        anywhere = self.middle + self.half_range * rng.uniform(-1.0, 1.0, (16,))
        pos = self.home + self.joint_noise * (anywhere - self.home)
        self.robot.write_dof_state(pos, torch.zeros_like(pos), mask)
        self.robot.set_dof_targets(pos, mask)
        torch.where(rows, pos, self.targets, out=self.targets)

        shift = rng.uniform(-self.cube_noise, self.cube_noise, (3,))
        position = self.place + self.drop + shift + self.engine.env_origins
        pose = torch.cat((position, self._any_turn(rng)), dim=-1)
        self.cube.write_state(pose, torch.zeros_like(pose[:, :6]), mask)
        torch.where(rows, self._any_turn(rng), self.goal, out=self.goal)
        self.actions.masked_fill_(rows, 0.0)
        angle = quat_angle(pose[:, 3:7], self.goal)
        torch.where(mask, angle, self.angle, out=self.angle)
        torch.where(mask, angle, self.angle_before, out=self.angle_before)
        self.progress.masked_fill_(mask, 0.0)
        self.reached.masked_fill_(mask, False)
        self.goals.masked_fill_(mask, 0.0)


def _one_of_two(quat: Tensor) -> Tensor:
    """Of the quaternions (..., 4) of an orientation the one with w >= 0."""
    return torch.where(quat[..., 3:] < 0.0, -quat, quat)
