"""Wrappers that change rewards: by a function, by clipping, by scaling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.error import InvalidBound
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.tree import plain_torch
from isaac_gymnasium.wrappers.kinds import TorchRewardWrapper


class TransformReward(TorchRewardWrapper, RecordConstructorArgs):
    """Passes rewards through a function.

    Args:
        env: The environment.
        func: From rewards (N,) to rewards (N,).
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], func: Callable[[Tensor], Tensor]) -> None:
        super().__init__(env, func=func)
        self.func = func

    def rewards(self, rewards: Tensor) -> Tensor:
        """Applies the function to (N,) rewards."""
        return self.func(rewards)


class ClipReward(TorchRewardWrapper, RecordConstructorArgs):
    """Clips rewards.

    Args:
        env: The environment.
        min_reward: Lower bound, a number or one for each environment; None is no bound.
        max_reward: Upper bound, likewise.

    Raises:
        InvalidBound: If both are None, or the lower is above the upper.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        min_reward: float | np.ndarray | None = None,
        max_reward: float | np.ndarray | None = None,
    ) -> None:
        if min_reward is None and max_reward is None:
            raise InvalidBound("min_reward or max_reward must be a number, got None for both")
        if (
            min_reward is not None
            and max_reward is not None
            and np.any(np.asarray(min_reward) > np.asarray(max_reward))
        ):
            raise InvalidBound(
                f"min_reward must not be above max_reward, got {min_reward} and {max_reward}"
            )
        super().__init__(env, min_reward=min_reward, max_reward=max_reward)
        low = -np.inf if min_reward is None else min_reward
        high = np.inf if max_reward is None else max_reward
        with plain_torch():
            self._low, self._high = (
                torch.tensor(bound, dtype=torch.float32, device=self._device)
                for bound in (low, high)
            )

    def rewards(self, rewards: Tensor) -> Tensor:
        """Clips (N,) rewards."""
        return rewards.clamp(self._low, self._high)


class ScaleReward(TorchRewardWrapper, RecordConstructorArgs):
    """Multiplies rewards by a number.

    Args:
        env: The environment.
        scale: The number.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], scale: float) -> None:
        super().__init__(env, scale=scale)
        self.scale = scale

    def rewards(self, rewards: Tensor) -> Tensor:
        """Scales (N,) rewards."""
        return rewards * self.scale
