"""Commands that a task gives to its policy and changes from time to time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from isaac_gymnasium.transforms import wrap_to_pi

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams


class VelocityCommand:
    """Velocities that a legged robot is told to keep, drawn anew at intervals.

    Each environment has a clock of its own, started at a random phase, so that not all commands
    change in one step. Draws come from the environments' own streams.

    Args:
        num_envs: N.
        device: Where the tensors live.
        limits: Half widths of forward (m/s), sideways (m/s) and turning (rad/s) speed.
        interval: Time between two commands, s; `math.inf` for one an episode.
        standing: Share of commands that are to stand still.
        heading_gain: With a gain, a heading is drawn in place of a turning speed, and the latter is
            this many rad/s for each rad that is left to turn, within its limit: who follows walks
            straight on in the end, and not in circles.

    Attributes:
        command: (N, 3) what is asked of the next step: forward, left, turning left.
        followed: (N, 3) what was asked of the step before, to be rewarded for.

    Raises:
        ValueError: If a limit or the gain is negative, the interval not positive or the share not
            in [0, 1].
    """

    def __init__(
        self,
        num_envs: int,
        device: torch.device,
        *,
        limits: tuple[float, float, float],
        interval: float = 10.0,
        standing: float = 0.0,
        heading_gain: float = 0.0,
    ) -> None:
        if not all(math.isfinite(limit) and limit >= 0.0 for limit in limits):
            raise ValueError(f"limits must be finite and non-negative, got {limits}")
        if not interval > 0.0 or not 0.0 <= standing <= 1.0:
            raise ValueError(
                "expected an interval above 0 and a share of standing in [0, 1], "
                f"got {interval} and {standing}"
            )
        if not (math.isfinite(heading_gain) and heading_gain >= 0.0):
            raise ValueError(f"heading_gain must be finite and non-negative, got {heading_gain}")
        self._heading_gain = heading_gain
        self._heading = torch.zeros(num_envs, device=device)
        self._moving = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self._limits = torch.tensor([limits], device=device)
        self._interval = interval
        self._standing = standing
        self._remaining = torch.full((num_envs,), interval, device=device)
        self.command = torch.zeros(num_envs, 3, device=device)
        self.followed = torch.zeros(num_envs, 3, device=device)

    def step(self, step_dt: float, rng: RandomStreams, yaw: Tensor | None = None) -> None:
        """Counts a step of `step_dt` seconds, and draws new commands where they are due.

        Args:
            step_dt: Length of the step, s.
            rng: The environments' streams.
            yaw: (N,) present headings, rad; needed with a `heading_gain`.
        """
        self.followed.copy_(self.command)
        self._remaining -= step_dt
        # Half a step of tolerance: the clock is a sum of rounded numbers.
        due = self._remaining < 0.5 * step_dt
        self._draw(due, rng)
        self._remaining.masked_fill_(due, self._interval)
        self._steer(yaw)

    def reset(self, mask: Tensor, rng: RandomStreams, yaw: Tensor | None = None) -> None:
        """Draws first commands where the (N,) bool mask says; `yaw` as in `step`."""
        self._draw(mask, rng)
        self._steer(yaw)
        torch.where(mask.unsqueeze(-1), self.command, self.followed, out=self.followed)
        if math.isfinite(self._interval):
            # From half an interval on: nothing changes right after a start.
            phase = rng.uniform(0.5 * self._interval, self._interval)
            torch.where(mask, phase, self._remaining, out=self._remaining)

    def _draw(self, mask: Tensor, rng: RandomStreams) -> None:
        draw = rng.uniform(-1.0, 1.0, (4,))
        moving = 0.5 * (draw[:, 3:] + 1.0) >= self._standing
        drawn = self._limits * draw[:, :3] * moving
        torch.where(mask.unsqueeze(-1), drawn, self.command, out=self.command)
        torch.where(mask, math.pi * draw[:, 2], self._heading, out=self._heading)
        torch.where(mask, moving.squeeze(-1), self._moving, out=self._moving)

    def _steer(self, yaw: Tensor | None) -> None:
        """Turning speeds towards the headings, where headings are what is drawn."""
        if not self._heading_gain:
            return
        if yaw is None:
            raise ValueError("with a heading_gain, yaw must be given")
        turn = self._heading_gain * wrap_to_pi(self._heading - yaw) * self._moving
        most = self._limits[:, 2]
        torch.clamp(turn, -most, most, out=self.command[:, 2])
