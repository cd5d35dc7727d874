"""Actuator models: from set-points of joints to the torques that a motor really delivers.

Each is plain tensor arithmetic, usable without an engine: give the result to
`Articulation.set_dof_efforts` with drives of zero gain, in `Task.each_physics_step`. Where the
engine's own drive does (an ideal PD with an effort limit), let it: an implicit drive stays stable
at any gain, a torque that is held for a whole step does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams


class IdealPd:
    """A proportional-derivative law with a limit: what the drive of an engine does.

    Args:
        stiffness: N m/rad (or N/m), a number or one for each of D joints.
        damping: N m s/rad (or N s/m).
        effort_limit: Largest magnitude, N m or N.
    """

    def __init__(
        self, stiffness: float | Tensor, damping: float | Tensor, effort_limit: float | Tensor
    ) -> None:
        if bool((torch.as_tensor(effort_limit) <= 0).any()):
            raise ValueError(f"effort_limit must be positive, got {effort_limit}")
        self.stiffness, self.damping, self.effort_limit = stiffness, damping, effort_limit

    def effort(
        self, target: Tensor, pos: Tensor, vel: Tensor, target_vel: Tensor | float = 0.0
    ) -> Tensor:
        """(N, D) torques or forces.

        Args:
            target: (N, D) positions to go to.
            pos: (N, D) positions.
            vel: (N, D) velocities.
            target_vel: (N, D) velocities to follow.
        """
        wanted = self.stiffness * (target - pos) + self.damping * (target_vel - vel)
        low, high = self.limits(vel)
        return torch.clamp(wanted, low, high)

    def limits(self, vel: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) least and largest effort that is available at (N, D) velocities."""
        high = torch.zeros_like(vel) + self.effort_limit
        return -high, high


class DcMotor(IdealPd):
    """A PD law on a direct-current motor: the faster it turns, the less it can push.

    The torque it can give falls linearly from `stall_effort` at rest to zero at `no_load_speed`,
    and nothing exceeds `effort_limit`, what gears and current supply bear. Braking is limited by
    `effort_limit` alone. Source: any text on motors, such as Lynch and Park 2017, "Modern
    Robotics", section 8.9.1.

    Args:
        stiffness: See `IdealPd`.
        damping: See `IdealPd`.
        effort_limit: See `IdealPd`.
        stall_effort: Torque at rest that the line starts from, N m, at least `effort_limit`.
        no_load_speed: Speed at which no torque is left, rad/s.

    Raises:
        ValueError: If `stall_effort` is below `effort_limit`, or a number is not positive.
    """

    def __init__(
        self,
        stiffness: float | Tensor,
        damping: float | Tensor,
        effort_limit: float | Tensor,
        *,
        stall_effort: float | Tensor,
        no_load_speed: float | Tensor,
    ) -> None:
        super().__init__(stiffness, damping, effort_limit)
        if bool((torch.as_tensor(no_load_speed) <= 0).any()):
            raise ValueError(f"no_load_speed must be positive, got {no_load_speed}")
        if bool((torch.as_tensor(stall_effort - effort_limit) < 0).any()):
            raise ValueError(
                f"stall_effort must be at least effort_limit, got {stall_effort} < {effort_limit}"
            )
        self.stall_effort, self.no_load_speed = stall_effort, no_load_speed

    def limits(self, vel: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) least and largest effort that is available at (N, D) velocities."""
        low, high = super().limits(vel)
        share = vel / self.no_load_speed
        push = torch.clamp(self.stall_effort * (1.0 - share), low, high)
        pull = torch.clamp(self.stall_effort * (-1.0 - share), low, high)
        return pull, push


class Delay:
    """Hands set-points on some steps late, as a bus or a driver does; each environment has its own.

    Args:
        num_envs: N.
        size: Values of one set-point, D.
        device: Where the tensors live.
        least: Smallest lag, in calls of `step`.
        most: Largest lag.

    Attributes:
        lag: (N,) int64, the present lag.

    Raises:
        ValueError: If not 0 <= least <= most.
    """

    def __init__(
        self, num_envs: int, size: int, device: torch.device | str, *, least: int, most: int
    ) -> None:
        if not 0 <= least <= most:
            raise ValueError(f"lags must be 0 <= least <= most, got {least} and {most}")
        self.least, self.most = least, most
        self.lag = torch.full((num_envs,), least, dtype=torch.int64, device=device)
        self._history = torch.zeros(num_envs, most + 1, size, device=device)

    def step(self, values: Tensor) -> Tensor:
        """Takes (N, D) new set-points, returns (N, D) those of `lag` steps ago."""
        self._history.copy_(torch.cat((values.unsqueeze(1), self._history[:, :-1]), dim=1))
        index = self.lag.view(-1, 1, 1).expand(-1, 1, values.shape[-1])
        return self._history.gather(1, index).squeeze(1)

    def reset(self, mask: Tensor, rng: RandomStreams, values: Tensor) -> None:
        """Draws new lags where the mask says; the past there is (N, D) `values`."""
        drawn = rng.integers(self.least, self.most + 1)
        torch.where(mask, drawn, self.lag, out=self.lag)
        past = values.unsqueeze(1).expand_as(self._history)
        torch.where(mask.view(-1, 1, 1), past, self._history, out=self._history)
