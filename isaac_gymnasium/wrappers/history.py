"""Wrappers that look back in the episode: stacked frames and delayed observations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers.utils import create_zero_array
from torch import Tensor

from isaac_gymnasium.tree import (
    as_space,
    as_tensors,
    copy_tree,
    map_space,
    named_leaves,
    plain_torch,
    tree_map,
    where_rows,
    zeros,
)
from isaac_gymnasium.wrappers.kinds import HistoryObservationWrapper


class _Window(HistoryObservationWrapper, RecordConstructorArgs):
    """Keeps the last observations of each environment's episode."""

    def _open(self, length: int, padding: Any | None) -> None:
        """Creates the buffers.

        Args:
            length: How many observations the window shows, the present one among them.
            padding: What stands before an episode's first observation; None is that itself.
        """
        self._start()
        inner, past = self.env.single_observation_space, length - 1
        with plain_torch():
            self._past = zeros(inner, (self.num_envs, past), self._device)
            self._padding = None
            if padding is not None:
                self._padding = tree_map(
                    lambda value: value.expand(self.num_envs, past, *value.shape),
                    as_tensors(inner, padding, self._device),
                )

    def _show(self, window: Tensor) -> Tensor:
        """What to return of a window (N, length, ...)."""
        raise NotImplementedError

    def _go_on(self, obs: Any) -> Any:
        window = tree_map(_append, self._past, obs)
        copy_tree(self._past, tree_map(lambda frames: frames[:, 1:], window))
        return tree_map(self._show, window)

    def _begin(self, obs: Any, mask: Tensor) -> Any:
        padding = self._padding
        if padding is None:
            padding = tree_map(
                lambda past, leaf: leaf.unsqueeze(1).expand_as(past), self._past, obs
            )
        window = tree_map(_append, padding, obs)
        newer = tree_map(lambda frames: frames[:, 1:], window)
        copy_tree(self._past, where_rows(mask, newer, self._past))
        return tree_map(self._show, window)

    def _rows(self) -> dict[str, Tensor]:
        return {**super()._rows(), **dict(named_leaves(self._past, "past"))}


class FrameStackObservation(_Window, RecordConstructorArgs):
    """Stacks the last observations of the episode, the present one last: (N, stack_size, ...).

    Args:
        env: The environment.
        stack_size: How many to stack.
        padding_type: What stands before the first observation of an episode: `"reset"` that
            observation itself, `"zero"` zeros, or an observation of one environment.

    Raises:
        TypeError: If `stack_size` is no integer.
        ValueError: If `stack_size` is not positive or `padding_type` is none of the above.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], stack_size: int, *, padding_type: Any = "reset"
    ) -> None:
        stack_size = _integer("stack_size", stack_size, 1)
        super().__init__(env, stack_size=stack_size, padding_type=padding_type)
        inner = env.single_observation_space
        if isinstance(padding_type, str) and padding_type in ("reset", "zero"):
            padding = None if padding_type == "reset" else create_zero_array(inner)
        elif not isinstance(padding_type, str) and padding_type in inner:
            padding = padding_type
        else:
            raise ValueError(
                f"padding_type must be 'reset', 'zero' or an observation in {inner}, "
                f"got {padding_type!r}"
            )
        self.stack_size = stack_size
        self.single_observation_space = as_space(
            map_space(lambda space: batch_space(space, stack_size), inner)
        )
        self._open(stack_size, padding)

    def _show(self, window: Tensor) -> Tensor:
        return window


class DelayObservation(_Window, RecordConstructorArgs):
    """Returns the observation of some steps ago, and zeros in the first steps of an episode.

    Args:
        env: The environment.
        delay: How many steps.

    Raises:
        TypeError: If `delay` is no integer.
        ValueError: If `delay` is negative.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], delay: int) -> None:
        delay = _integer("delay", delay, 0)
        super().__init__(env, delay=delay)
        self.delay = delay
        self._open(delay + 1, create_zero_array(env.single_observation_space))

    def _show(self, window: Tensor) -> Tensor:
        return window[:, 0]


def _append(past: Tensor, obs: Tensor) -> Tensor:
    return torch.cat((past, obs.unsqueeze(1)), dim=1)


def _integer(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)
