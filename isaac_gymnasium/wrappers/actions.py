"""Wrappers that change actions: by a function, by clipping, by rescaling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.error import InvalidBound
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.tree import plain_torch, warn_of_other_space
from isaac_gymnasium.wrappers.affine import affine_map
from isaac_gymnasium.wrappers.kinds import TorchActionWrapper


class TransformAction(TorchActionWrapper, RecordConstructorArgs):
    """Passes actions through a function.

    Args:
        env: The environment.
        func: From actions (N, ...) of the wrapper's action space to actions of the environment's.
        action_space: Space of all environments' actions, by default that of the single space.
        single_action_space: Space of one environment's action, by default the environment's.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        func: Callable[[Any], Any],
        action_space: gym.Space[Any] | None = None,
        single_action_space: gym.Space[Any] | None = None,
    ) -> None:
        super().__init__(
            env, func=func, action_space=action_space, single_action_space=single_action_space
        )
        self.func = func
        if single_action_space is not None:
            self.single_action_space = single_action_space
        if action_space is not None:
            self.action_space = action_space
            warn_of_other_space(action_space, self.single_action_space, self.num_envs)

    def actions(self, actions: Any) -> Any:
        """Applies the function to (N, ...) actions."""
        return self.func(actions)


class ClipAction(TorchActionWrapper, RecordConstructorArgs):
    """Accepts any action and clips it to the environment's bounds.

    Args:
        env: Its action space is a Box.

    Raises:
        TypeError: If the action space is no Box.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        box = action_box(self)
        with plain_torch():
            self._low = torch.tensor(box.low, device=self._device)
            self._high = torch.tensor(box.high, device=self._device)
        self.single_action_space = gym.spaces.Box(-np.inf, np.inf, box.shape, box.dtype.type)

    def actions(self, actions: Tensor) -> Tensor:
        """Clips (N, ...) actions."""
        return actions.clamp(self._low, self._high)


class RescaleAction(TorchActionWrapper, RecordConstructorArgs):
    """Maps actions linearly from [min_action, max_action] to the environment's bounds.

    Args:
        env: Its action space is a Box of floats.
        min_action: New lower bound, a number or one for each component; where the environment's
            is infinite it must be the same.
        max_action: New upper bound, likewise.

    Raises:
        InvalidBound: If `min_action` is not below `max_action`.
        TypeError: If the action space is no Box of floats.
        ValueError: If the bounds do not fit the action space.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        min_action: float | np.ndarray,
        max_action: float | np.ndarray,
    ) -> None:
        super().__init__(env, min_action=min_action, max_action=max_action)
        box = action_box(self)
        new, self._gradient, self._intercept = affine_map(box, min_action, max_action, self._device)
        if np.any(new.low == new.high):
            raise InvalidBound(
                f"min_action must be below max_action, got {min_action} and {max_action}"
            )
        self.single_action_space = new

    def actions(self, actions: Tensor) -> Tensor:
        """Rescales (N, ...) actions."""
        return (actions - self._intercept) / self._gradient


def action_box(wrapper: gym.vector.VectorWrapper) -> gym.spaces.Box:
    """The action space of the environment that is wrapped.

    Raises:
        TypeError: If it is no Box.
    """
    space = wrapper.env.single_action_space
    if not isinstance(space, gym.spaces.Box):
        raise TypeError(f"{type(wrapper).__name__} needs a Box action space, got {space}")
    return space
