"""`NormalizeReward`: rewards whose discounted sum has variance 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium.error import InvalidBound
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from isaac_gymnasium.graph import Graph
from isaac_gymnasium.tree import plain_torch
from isaac_gymnasium.wrappers.base import EpisodeEnds, Seed, Step, TorchWrapper
from isaac_gymnasium.wrappers.running_mean_std import RunningMeanStd


class NormalizeReward(TorchWrapper, RecordConstructorArgs):
    """Divides rewards by the running deviation of their discounted sum.

    The sum is gymnasium's: a step that terminates drops what came before it, and with same-step
    autoreset every episode begins at 0. With next-step autoreset the sum is carried over to the
    next episode, and the step that only resets counts nowhere.

    Args:
        env: The environment.
        gamma: Discount factor.
        epsilon: Added to the variance.

    Attributes:
        return_rms: `RunningMeanStd` of the discounted sums.
        accumulated_reward: (N,) float64, the discounted sums.

    Raises:
        InvalidBound: If `gamma` is not in [0, 1] or `epsilon` is not positive.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], gamma: float = 0.99, epsilon: float = 1e-8
    ) -> None:
        if not 0 <= gamma <= 1:
            raise InvalidBound(f"gamma must be in [0, 1], got {gamma!r}")
        if not epsilon > 0:
            raise InvalidBound(f"epsilon must be positive, got {epsilon!r}")
        super().__init__(env, gamma=gamma, epsilon=epsilon)
        self.gamma = gamma
        self.epsilon = epsilon
        self.return_rms = RunningMeanStd(device=self._device)
        self._ends = EpisodeEnds(self)
        with plain_torch():
            self.accumulated_reward = torch.zeros(
                self.num_envs, dtype=torch.float64, device=self._device
            )
            self._epsilon = torch.tensor(epsilon, dtype=torch.float64, device=self._device)
        self._recorded = Graph(self._scale, self._device, fresh=True)

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes; their sums begin at 0."""
        mask = self._reset_mask(options)
        result = super().reset(seed=seed, options=options)
        with plain_torch():
            self.accumulated_reward.masked_fill_(mask, 0.0)
            self._ends.reset(mask)
        return result

    def step(self, actions: Any) -> Step:
        """Steps all environments and scales their rewards."""
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        with plain_torch():
            given = [self._update_running_mean, self.gamma, self.accumulated_reward]
            given += self._statistics().values()
            (rewards,) = self._recorded(rewards, terminated, truncated, given=given)
        return obs, rewards, terminated, truncated, info

    def _scale(self, rewards: Tensor, terminated: Tensor, truncated: Tensor) -> tuple[Tensor]:
        self._accumulate(rewards, terminated, truncated)
        return (rewards * self.return_rms.inverse_std(self._epsilon),)

    def _accumulate(self, rewards: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        total = self.accumulated_reward
        restarted = self._ends.restarted(terminated | truncated)
        if self._autoreset_mode == AutoresetMode.NEXT_STEP and restarted is not None:
            grown = (total * self.gamma).masked_fill_(terminated, 0.0).add_(rewards)
            torch.where(restarted, total, grown, out=total)
            counted = ~restarted
        else:
            total.mul_(self.gamma).masked_fill_(terminated, 0.0).add_(rewards)
            counted = None
        if self._update_running_mean:
            self.return_rms.update(total, counted)
        if self._autoreset_mode == AutoresetMode.SAME_STEP and restarted is not None:
            total.masked_fill_(restarted, 0.0)

    def _statistics(self) -> dict[str, Tensor]:
        rms = self.return_rms
        return {f"return_rms.{name}": getattr(rms, name) for name in ("count", "mean", "square")}

    def _rows(self) -> dict[str, Tensor]:
        return {"accumulated_reward": self.accumulated_reward, "ended": self._ends.ended}

    def _load(self, state: Mapping[str, Tensor]) -> None:
        super()._load(state)
        self.return_rms.share()

    def _synchronize(self, group: Any) -> None:
        self.return_rms.synchronize(group)
