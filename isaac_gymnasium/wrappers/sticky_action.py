"""`StickyAction`: actions that are sometimes repeated."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium.error import InvalidBound, InvalidProbability
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.tree import (
    copy_tree,
    named_leaves,
    plain_torch,
    where_rows,
    zeros,
)
from isaac_gymnasium.wrappers.base import EpisodeEnds, Seed, Step
from isaac_gymnasium.wrappers.kinds import TorchActionWrapper
from isaac_gymnasium.wrappers.streams import EpisodeStreams


class StickyAction(TorchActionWrapper, RecordConstructorArgs):
    """Repeats an environment's last action instead of its new one, with some probability.

    `reset(seed=...)` seeds the choice too.

    Args:
        env: The environment.
        repeat_action_probability: Probability that a step begins to repeat, in [0, 1).
        repeat_action_duration: For how many steps, or the lowest and the highest number of them.

    Raises:
        InvalidProbability: If the probability is outside [0, 1).
        InvalidBound: If the lowest number of steps is above the highest.
        ValueError: If the duration is no positive integer, nor two of them.

    Source: Machado et al., "Revisiting the Arcade Learning Environment", 2018, section 5.2.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        repeat_action_probability: float,
        repeat_action_duration: int | tuple[int, int] = 1,
    ) -> None:
        if not 0 <= repeat_action_probability < 1:
            raise InvalidProbability(
                f"repeat_action_probability must be in [0, 1), got {repeat_action_probability!r}"
            )
        duration = repeat_action_duration
        bounds = (duration, duration) if isinstance(duration, int) else tuple(duration)
        if len(bounds) != 2 or not all(isinstance(b, int) and b >= 1 for b in bounds):
            raise ValueError(
                "repeat_action_duration must be a positive integer or a pair of them, "
                f"got {duration!r}"
            )
        if bounds[0] > bounds[1]:
            raise InvalidBound(f"repeat_action_duration must not decrease, got {duration!r}")
        super().__init__(
            env,
            repeat_action_probability=repeat_action_probability,
            repeat_action_duration=repeat_action_duration,
        )
        self.repeat_action_probability = repeat_action_probability
        self._shortest, self._longest = bounds
        self._streams = EpisodeStreams(self)
        self._ends = EpisodeEnds(self)
        with plain_torch():
            self._last = zeros(env.single_action_space, (self.num_envs,), self._device)
            self._has_last = torch.zeros_like(self._all)
            self._left = torch.zeros(self.num_envs, dtype=torch.int64, device=self._device)

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes, which have no last action."""
        mask = self._reset_mask(options)
        result = super().reset(seed=seed, options=options)
        with plain_torch():
            self._streams.seed(seed, mask)
            self._ends.reset(mask)
            self._begin(mask)
        return result

    def step(self, actions: Any) -> Step:
        """Steps all environments, some of them with their last action."""
        step = super().step(actions)
        with plain_torch():
            restarted = self._ends.restarted(step[2] | step[3])
            if restarted is not None:
                self._begin(restarted)
        return step

    def actions(self, actions: Any) -> Any:
        """Replaces some rows of (N, ...) actions by the last ones."""
        self._streams.go_on()
        chance, length = self._streams.rng.uniform(shape=(2,)).unbind(1)
        span = self._longest - self._shortest + 1
        duration = (length * span).to(torch.int64).add_(self._shortest)
        starts = (chance < self.repeat_action_probability) & self._has_last & (self._left == 0)
        self._left.copy_(torch.where(starts, duration, self._left))
        repeats = self._left > 0
        actions = where_rows(repeats, self._last, actions)
        self._left.sub_(repeats.to(torch.int64))
        copy_tree(self._last, actions)
        self._has_last.fill_(True)
        return actions

    def _begin(self, mask: Tensor) -> None:
        self._streams.begin(mask)
        self._has_last.masked_fill_(mask, False)
        self._left.masked_fill_(mask, 0)

    def _rows(self) -> dict[str, Tensor]:
        return {
            "ended": self._ends.ended,
            "has_last": self._has_last,
            "left": self._left,
            **dict(named_leaves(self._last, "last")),
            **self._streams.rows(),
        }
