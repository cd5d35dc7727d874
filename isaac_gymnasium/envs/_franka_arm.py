"""What the tasks with a Franka arm share: its handles, its two ways of moving, its reset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from isaac_gymnasium.controllers import differential_ik, shift_jacobian
from isaac_gymnasium.robots.franka import (
    ARM_JOINTS,
    FINGER_JOINTS,
    FINGER_STROKE,
    HAND,
    PAD_OFFSET,
    TCP_OFFSET,
)
from isaac_gymnasium.scene.viewpoint import Viewpoint
from isaac_gymnasium.task import once_a_state
from isaac_gymnasium.transforms import quat_rotate

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.task import Task

ControlMode = Literal["ee", "joint"]
"""Hand displacements by inverse kinematics (7 actions), or joint displacements (8)."""
IN_FRONT = Viewpoint(eye=(1.55, -1.25, 0.95), target=(0.28, 0.0, 0.32), cell=(1.3, 1.3))
"""Shows the arm and what lies before it."""


class FrankaArm:
    """The Franka arm of a task, to be made in `post_reset`.

    Args:
        task: Its scene holds a `franka()`.
        name: Name of that robot in the scene.

    Attributes:
        robot: The articulation, nine joints: the arm's seven, then the fingers.
        hand: Index of the hand's link.
        fingers: (2,) indices of the left and the right finger's link.
        home: (9,) default joint positions, rad and m.
        armature: (7, 7) rotor inertia of the arm's joints on the diagonal, kg m^2.
        targets: (N, 9) joint targets, rad and m.
    """

    shared_tensors = ("fingers", "hand_center", "tcp_offset", "pad_offset", "armature", "home")

    def __init__(self, task: Task, name: str = "Robot") -> None:
        self._task = task
        self.engine = task.engine
        self.robot = task.engine.articulation(name)
        self.hand = self.robot.link_index(HAND)
        left, right = (self.robot.link_index(f"panda_{s}finger") for s in ("left", "right"))
        self.fingers = torch.tensor((left, right), device=task.device)
        if self.robot.dof_names != [*ARM_JOINTS, *FINGER_JOINTS]:
            raise RuntimeError(f"{name}: unexpected order of joints {self.robot.dof_names}")
        center = self.robot.get_property("center_of_mass")[0, self.hand, :3]
        self.hand_center = center.to(task.device)
        self.tcp_offset = torch.tensor((0.0, 0.0, TCP_OFFSET), device=task.device)
        self.pad_offset = torch.tensor((0.0, 0.0, PAD_OFFSET), device=task.device)
        armature = self.robot.get_property("dof_armature")[0, :7]
        self.armature = torch.diag(armature).to(task.device)
        self.home = self.robot.dof_pos[0].clone()
        self.targets = self.home.repeat(task.num_envs, 1)

    @property
    def hand_pose(self) -> Tensor:
        """(N, 7) pose of the hand's frame, world frame."""
        return self.robot.link_pose[:, self.hand]

    @once_a_state
    def fingertips(self) -> Tensor:
        """(N, 3) point between the fingertips, environment frame, m."""
        pose = self.hand_pose
        offset = quat_rotate(pose[:, 3:7], self.tcp_offset)
        return pose[:, :3] + offset - self.engine.env_origins

    def finger_pads(self) -> Tensor:
        """(N, 2, 3) middles of the inner faces of the left and right fingertip, m."""
        pose = self.robot.link_pose[:, self.fingers]
        offset = quat_rotate(pose[..., 3:7], self.pad_offset)
        return pose[..., :3] + offset - self.engine.env_origins.unsqueeze(1)

    def opening(self) -> Tensor:
        """(N,) distance between the fingers, m."""
        return self.robot.dof_pos[:, 7] + self.robot.dof_pos[:, 8]

    def asked_opening(self) -> Tensor:
        """(N,) distance between the fingers that the drives are asked for, m."""
        return self.targets[:, 7] + self.targets[:, 8]

    def jacobian(self) -> Tensor:
        """(N, 6, 7) of the point between the fingertips, world frame, linear part first."""
        # The engine's is that of the hand's centre of mass.
        offset = quat_rotate(self.hand_pose[:, 3:7], self.tcp_offset - self.hand_center)
        return shift_jacobian(self.robot.link_jacobian(self.hand)[:, :, :7], offset)

    def mass_matrix(self) -> Tensor:
        """(N, 7, 7) of the arm's joints, rotors included, kg m^2."""
        return self.robot.mass_matrix[:, :7, :7] + self.armature

    def act(
        self,
        actions: Tensor,
        mode: ControlMode,
        *,
        position_scale: float,
        rotation_scale: float,
        joint_scale: float,
    ) -> None:
        """Moves arm and gripper by (N, 7 or 8) actions in [-1, 1].

        Args:
            actions: Translation (3) and rotation (3) of the hand, or the joints (7); gripper (1).
            mode: Which of the two.
            position_scale: Translation for an action of 1, m.
            rotation_scale: Rotation for an action of 1, rad.
            joint_scale: Joint displacement for an action of 1, rad.
        """
        self.set_gripper(actions[:, -1])
        if mode == "ee":
            scaled = (position_scale * actions[:, :3], rotation_scale * actions[:, 3:6])
            self.displace_hand(torch.cat(scaled, dim=-1))
        else:
            self.displace_joints(joint_scale * actions[:, :7])

    def displace_hand(self, displacement: Tensor, *, posture_gain: float = 0.1) -> None:
        """Asks for a displacement of the fingertips from where they are.

        Args:
            displacement: (N, 6) translation, m, and rotation vector, rad; world axes.
            posture_gain: Share of the way home that the joints go where it does not move the hand.
        """
        arm = self.robot.dof_pos[:, :7]
        step = differential_ik(
            self.jacobian(), displacement, posture_step=posture_gain * (self.home[:7] - arm)
        )
        self.displace_joints(step)

    def displace_joints(self, displacement: Tensor) -> None:
        """Asks for (N, 7) joint displacements from where the joints are, rad."""
        limits = self.robot.dof_limits[:7]
        targets = self.robot.dof_pos[:, :7] + displacement
        self.targets[:, :7] = torch.clamp(targets, limits[:, 0], limits[:, 1])
        self.robot.set_dof_targets(self.targets)

    def set_gripper(self, command: Tensor) -> None:
        """Asks for an opening, (N,) from -1 (closed) to 1; sent with the next displacement."""
        self.targets[:, 7:] = (0.5 * FINGER_STROKE) * (command.unsqueeze(-1) + 1.0)

    def reset(self, mask: Tensor, rng: RandomStreams, noise: float) -> None:
        """Puts the arm home, the gripper open and everything at rest.

        Args:
            mask: (N,) bool.
            rng: The environments' streams.
            noise: Half width of the uniform noise on the arm's joints, rad.
        """
        pos = self.home.repeat(self._task.num_envs, 1)
        pos[:, :7].add_(rng.uniform(-noise, noise, (7,)))
        self.robot.write_dof_state(pos, torch.zeros_like(pos), mask)
        self.robot.set_dof_targets(pos, mask)
