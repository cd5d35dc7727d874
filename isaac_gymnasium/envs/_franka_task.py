"""What the tasks share whose actions move a Franka arm by its hand or by its joints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium.envs._franka_arm import IN_FRONT, ControlMode, FrankaArm
from isaac_gymnasium.scene.model import Material, PhysicsSettings, Vec3, box
from isaac_gymnasium.task import Task
from isaac_gymnasium.transforms import quat_from_yaw, quat_identity

if TYPE_CHECKING:
    from isaac_gymnasium.engines.base import RigidBody
    from isaac_gymnasium.scene.builder import Scene
    from isaac_gymnasium.scene.viewpoint import Viewpoint


@dataclass(kw_only=True)
class FrankaTask(Task):
    """A Franka arm named `Robot` and two ways to move it; the rest is for the subclass.

    Args:
        control_mode: Hand displacements by inverse kinematics (7 actions), or joint displacements
            (8).
        arm_noise: Half width of the initial noise on the arm's joints, rad.
        position_scale: Translation of the hand for an action of 1, m.
        rotation_scale: Rotation of the hand for an action of 1, rad.
        joint_scale: Joint displacement for an action of 1, rad.

    Attributes:
        arm: The arm's handles and controllers.
        robot: Its articulation.
        actions: (N, A) last actions.
    """

    viewpoint: ClassVar[Viewpoint | None] = IN_FRONT

    control_mode: ControlMode = "ee"
    arm_noise: float = 0.05
    position_scale: float = 0.1
    rotation_scale: float = 0.5
    joint_scale: float = 0.3

    def __post_init__(self) -> None:
        """Refuses an unknown mode and scales that are no lengths or angles."""
        super().__post_init__()
        if self.control_mode not in ("ee", "joint"):
            raise ValueError(f"control_mode must be 'ee' or 'joint', got {self.control_mode!r}")
        self.require(non_negative=("arm_noise", "position_scale", "rotation_scale", "joint_scale"))

    def action_space(self) -> gym.Space[Any]:
        """Six for the hand or seven for the joints, and one for the gripper."""
        count = 7 if self.control_mode == "ee" else 8
        return gym.spaces.Box(-1.0, 1.0, (count,), np.float32)

    def physics_settings(self) -> PhysicsSettings:
        """What gripping needs."""
        return PhysicsSettings(bounce_threshold=0.2, friction_correlation_distance=0.00625)

    def add_cube(
        self,
        scene: Scene,
        name: str,
        size: float,
        *,
        place: tuple[float, float],
        density: float,
        color: Vec3,
        material: Material | None = None,
    ) -> None:
        """Lays a cube of edge `size` (m) on the ground at `place` (m)."""
        if material is None:
            material = Material(static_friction=0.8, dynamic_friction=0.8)
        scene.add_rigid_body(
            name,
            box((size,) * 3, color=color, material=material, contact_offset=0.004),
            density=density,
            position=(*place, size / 2),
            position_iterations=12,
        )

    def post_reset(self) -> None:
        """Binds the arm."""
        self.arm = FrankaArm(self)
        self.robot = self.arm.robot
        (count,) = self.action_space().shape or ()
        self.actions = torch.zeros(self.num_envs, count, device=self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        """Moves arm and gripper."""
        self.actions.copy_(actions)
        self.arm.act(
            actions,
            self.control_mode,
            position_scale=self.position_scale,
            rotation_scale=self.rotation_scale,
            joint_scale=self.joint_scale,
        )

    def position_of(self, body: RigidBody) -> Tensor:
        """(N, 3) position of a body, environment frame, m."""
        return body.pose[:, :3] - self.engine.env_origins

    def lay(
        self,
        body: RigidBody,
        height: float,
        *,
        place: tuple[float, float],
        offset: Tensor,
        mask: Tensor,
        yaw: Tensor | None = None,
    ) -> None:
        """Puts a body upright near a place in the environment, at rest, where `mask`.

        Args:
            body: A free body.
            height: z of its frame, m.
            place: x and y, m.
            offset: (N, 2) from there, m.
            mask: (N,) bool.
            yaw: (N,) turn about z, rad; 0 if left out.
        """
        x, y = place[0] + offset[:, 0], place[1] + offset[:, 1]
        position = torch.stack((x, y, torch.full_like(x, height)), dim=-1) + self.engine.env_origins
        quat = quat_identity(x.shape, self.device) if yaw is None else quat_from_yaw(yaw)
        rest = torch.zeros(1, 6, device=self.device)
        body.write_state(torch.cat((position, quat), dim=-1), rest, mask)


def off_place(position: Tensor, place: tuple[float, float]) -> Tensor:
    """(...) how far (..., 3) positions are from a place on the ground, along x or y, m."""
    return torch.maximum((position[..., 0] - place[0]).abs(), (position[..., 1] - place[1]).abs())
