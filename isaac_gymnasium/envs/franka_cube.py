"""`IsaacFrankaCube-v0`: pick up a cube with a Franka arm and hold it at a height."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium.envs._franka_arm import (
    ControlMode,
    FrankaArm,
    action_size,
    check_control_mode,
)
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene.model import Material, PhysicsSettings, box
from isaac_gymnasium.scene.viewpoint import Viewpoint
from isaac_gymnasium.task import Task
from isaac_gymnasium.transforms import quat_from_euler_xyz

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene


@dataclass(kw_only=True)
class FrankaCube(Task):
    """Pick up a cube with a Franka arm and hold it at a height.

    ## Description
    A Franka Emika Panda stands at the origin; a red cube lies on the ground near (0.5, 0). The arm
    has to grip the cube and hold it `goal_height` above where it lay. The scene is that of NVIDIA's
    Franka tutorials; actions, reward and success are this package's own.

    ## Action Space
    `control_mode="ee"` (default): `Box(-1, 1, (7,))`. Translation of the point between the
    fingertips (3, world axes, times `position_scale`), rotation of the hand (3, rotation vector in
    world axes, times `rotation_scale`), gripper (1: open, -1: closed). Differential inverse
    kinematics turns the first six into joint targets relative to the present joint positions; the
    drives follow at about 5 1/s, so 1 means 0.5 m/s and 2.5 rad/s at the default scales.

    `control_mode="joint"`: `Box(-1, 1, (8,))`. Seven joint displacements (times `joint_scale`) and
    the gripper.

    ## Observation Space
    `Box(-inf, inf, (28,))`, environment frame: joint positions (9, rad and m), joint velocities
    (9), cube position (3, m), cube orientation (4, quaternion xyzw), cube position minus fingertip
    position (3, m).

    ## Rewards
    * `reach`: 1 - tanh(5 d), with d the distance from the fingertips to the cube
    * `lift`: 4 times the share of the way up to the goal height, while the cube is at the
      fingertips; overshooting loses what it gained
    * `goal`: 5 in success, so that holding the cube at the goal pays 10 a step and hovering next
      to it at most 1
    * `action`: -0.01 times the squared action

    ## Starting State
    Arm at its home position plus uniform noise of `arm_noise`, gripper open. Cube on the ground at
    (0.5, 0), each coordinate plus uniform noise of `cube_noise`, turned about z by up to 45
    degrees. Everything at rest.

    ## Episode End
    Terminates when the cube leaves a square of edge 1 m about its nominal place. Truncates after
    `episode_length_s` (300 steps of 1/60 s). `info["success"]`: the cube is at the fingertips and
    within `goal_tolerance` of the goal height.

    ## Arguments
    * `control_mode`: `"ee"` or `"joint"`
    * `cube_size`: edge, m. The hand opens to 0.08 m: a larger cube can be pushed but not gripped
    * `cube_density`: kg/m^3
    * `cube_noise`, `arm_noise`: half widths of the initial noise, m and rad
    * `goal_height`: height of the cube's centre above where it lay, m
    * `goal_tolerance`: m
    * `position_scale`, `rotation_scale`, `joint_scale`: what an action of 1 asks for, m and rad

    ## Version History
    * v0: initial version
    """

    num_observations: ClassVar[int] = 28
    viewpoint: ClassVar[Viewpoint] = Viewpoint(
        eye=(1.55, -1.25, 0.95), target=(0.28, 0.0, 0.32), cell=(1.3, 1.3)
    )
    cube_place: ClassVar[tuple[float, float]] = (0.5, 0.0)

    control_mode: ControlMode = "ee"
    cube_size: float = 0.05
    cube_density: float = 400.0
    cube_noise: float = 0.1
    arm_noise: float = 0.05
    goal_height: float = 0.2
    goal_tolerance: float = 0.03
    position_scale: float = 0.1
    rotation_scale: float = 0.5
    joint_scale: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_control_mode(self.control_mode)
        self.require(
            positive=("cube_size", "cube_density", "goal_height", "goal_tolerance"),
            non_negative=(
                "cube_noise",
                "arm_noise",
                "position_scale",
                "rotation_scale",
                "joint_scale",
            ),
        )
        if self.cube_size > 0.3:
            raise ValueError(
                f"cube_size must be at most 0.3, or the cube would lie in the arm's base, got "
                f"{self.cube_size}"
            )

    def action_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(-1.0, 1.0, (action_size(self.control_mode),), np.float32)

    def physics_settings(self) -> PhysicsSettings:
        return PhysicsSettings(bounce_threshold=0.2, friction_correlation_distance=0.00625)

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        scene.add_robot("Robot", franka())
        scene.add_rigid_body(
            "Cube",
            box(
                (self.cube_size,) * 3,
                color=(0.9, 0.1, 0.1),
                material=Material(static_friction=0.8, dynamic_friction=0.8),
                contact_offset=0.004,
            ),
            density=self.cube_density,
            position=(*self.cube_place, self.cube_size / 2),
            position_iterations=12,
        )

    def post_reset(self) -> None:
        self.arm = FrankaArm(self)
        self.robot, self.hand = self.arm.robot, self.arm.hand
        self.cube = self.engine.rigid_body("Cube")
        self.actions = torch.zeros(
            self.num_envs, action_size(self.control_mode), device=self.device
        )

    def pre_physics_step(self, actions: Tensor) -> None:
        self.actions.copy_(actions)
        self.arm.act(
            actions,
            self.control_mode,
            position_scale=self.position_scale,
            rotation_scale=self.rotation_scale,
            joint_scale=self.joint_scale,
        )

    def fingertip_position(self) -> Tensor:
        """(N, 3) point between the fingertips, environment frame, m."""
        return self.arm.fingertips()

    def cube_position(self) -> Tensor:
        """(N, 3) centre of the cube, environment frame, m."""
        return self.cube.pose[:, :3] - self.engine.env_origins

    def get_observations(self) -> Tensor:
        cube = self.cube_position()
        return torch.cat(
            (
                self.robot.dof_pos,
                self.robot.dof_vel,
                cube,
                self.cube.pose[:, 3:7],
                cube - self.fingertip_position(),
            ),
            dim=-1,
        )

    def _progress(self) -> tuple[Tensor, Tensor, Tensor]:
        """Distance to the cube (m), share of the way up in [0, 1], success."""
        cube = self.cube_position()
        distance = (cube - self.fingertip_position()).norm(dim=-1)
        held = distance < 0.04 + 0.25 * self.cube_size
        miss = (cube[:, 2] - self.cube_size / 2 - self.goal_height).abs()
        share = torch.clamp(1.0 - miss / self.goal_height, 0.0, 1.0) * held
        return distance, share, held & (miss < self.goal_tolerance)

    def get_rewards(self) -> dict[str, Tensor]:
        distance, share, success = self._progress()
        return {
            "reach": 1.0 - torch.tanh(5.0 * distance),
            "lift": 4.0 * share,
            "goal": 5.0 * success,
            "action": -0.01 * self.actions.square().sum(-1),
        }

    def get_terminations(self) -> Tensor:
        cube = self.cube_position()
        away = torch.maximum(
            (cube[:, 0] - self.cube_place[0]).abs(), (cube[:, 1] - self.cube_place[1]).abs()
        )
        return away > 0.5

    def get_extras(self) -> dict[str, Tensor]:
        return {"success": self._progress()[2]}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        self.arm.reset(mask, rng, self.arm_noise)
        pose = torch.zeros(self.num_envs, 7, device=self.device)
        place = rng.uniform(-1.0, 1.0, (3,))
        pose[:, 0] = self.cube_place[0] + self.cube_noise * place[:, 0]
        pose[:, 1] = self.cube_place[1] + self.cube_noise * place[:, 1]
        pose[:, 2] = self.cube_size / 2
        pose[:, :3] += self.engine.env_origins
        zero = torch.zeros_like(place[:, 0])
        pose[:, 3:7] = quat_from_euler_xyz(zero, zero, 0.25 * math.pi * place[:, 2])
        self.cube.write_state(pose, torch.zeros_like(pose[:, :6]), mask)
