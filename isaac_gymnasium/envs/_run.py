"""What `Ant` and `Humanoid` share: a torso that is to run towards a point far ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from isaac_gymnasium.transforms import (
    quat_rotate_inverse,
    roll_from_quat,
    wrap_to_pi,
    yaw_from_quat,
)

if TYPE_CHECKING:
    from isaac_gymnasium.engines.base import Articulation, Engine

TARGET = 1000.0
"""Distance along x from an environment's origin to the point to run to, m."""


class Run:
    """Where the torso is, how it stands, and how far it has come.

    Args:
        engine: The physics engine.
        robot: The runner; its root link is the torso, x forward and z up.

    Attributes:
        position: (N, 2) where the torso was after the last step, environment frame, m.
        progress: (N,) way towards the target made good in the last step, m.
        elapsed: (N,) time since the start of the episode, s.
    """

    def __init__(self, engine: Engine, robot: Articulation) -> None:
        self.engine = engine
        self.robot = robot
        self.position = torch.zeros(engine.num_envs, 2, device=engine.device)
        self.progress = torch.zeros(engine.num_envs, device=engine.device)
        self.elapsed = torch.zeros(engine.num_envs, device=engine.device)

    def advance(self, step_dt: float) -> None:
        """Notes how far the step that has just ended led."""
        now = self._place()[:, :2]
        ahead = -self.position
        ahead[:, 0] += TARGET
        # Along the line of sight: a difference of two distances of a kilometre would be all noise.
        move = ((now - self.position) * ahead).sum(-1)
        self.progress.copy_(move / ahead.norm(dim=-1))
        self.position.copy_(now)
        self.elapsed += step_dt

    def restart(self, mask: Tensor, pose: Tensor) -> None:
        """Begins a new run where the mask says, from (N, 7) world poses."""
        start = pose[:, :2] - self.engine.env_origins[:, :2]
        self.position.copy_(torch.where(mask.unsqueeze(-1), start, self.position))
        self.progress.masked_fill_(mask, 0.0)
        self.elapsed.masked_fill_(mask, 0.0)

    def height(self) -> Tensor:
        """(N,) height of the torso, m."""
        return self._place()[:, 2]

    def mean_speed(self) -> Tensor:
        """(N,) speed along x since the start of the episode, on average, m/s."""
        return self._place()[:, 0] / self.elapsed.clamp(min=1e-6)

    def upright(self) -> Tensor:
        """(N,) cosine of the torso's tilt: 1 upright, -1 upside down."""
        x, y, _, _ = self.robot.root_pose[:, 3:7].unbind(-1)
        cosine: Tensor = 1.0 - 2.0 * (x * x + y * y)
        return cosine

    def heading(self) -> Tensor:
        """(N,) cosine of the angle between the torso's x axis and the way to the target."""
        x, y, z, w = self.robot.root_pose[:, 3:7].unbind(-1)
        ahead = -self._place()[:, :2]
        ahead[:, 0] += TARGET
        ahead = ahead / ahead.norm(dim=-1, keepdim=True)
        forward = torch.stack((1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)), dim=-1)
        cosine: Tensor = (forward * ahead).sum(-1)
        return cosine

    def observation(self, turn_scale: float) -> Tensor:
        """(N, 12): height, velocity (3), turning (3, scaled), yaw, roll, bearing, two cosines.

        Velocities are in the torso's frame; the bearing is the angle from the torso's yaw to the
        target; the cosines are `upright` and `heading`.
        """
        quat, vel, place = self.robot.root_pose[:, 3:7], self.robot.root_vel, self._place()
        yaw = yaw_from_quat(quat)
        direction = (-place[:, 1] / (TARGET - place[:, 0])).atan()
        angles = (yaw, roll_from_quat(quat), wrap_to_pi(direction - yaw))
        return torch.cat(
            (
                place[:, 2:],
                quat_rotate_inverse(quat, vel[:, :3]),
                turn_scale * quat_rotate_inverse(quat, vel[:, 3:]),
                torch.stack((*angles, self.upright(), self.heading()), dim=-1),
            ),
            dim=-1,
        )

    def _place(self) -> Tensor:
        return self.robot.root_pose[:, :3] - self.engine.env_origins


def heading_reward(heading: Tensor) -> Tensor:
    """(N,) 0.5 within 37 degrees of the target, and less in proportion to the cosine beyond."""
    return torch.clamp(0.5 / 0.8 * heading, max=0.5)
