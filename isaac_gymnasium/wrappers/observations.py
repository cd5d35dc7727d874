"""Wrappers that change each observation by itself: by a function, dtype, bounds, shape or keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.tree import (
    as_space,
    map_space,
    torch_dtype,
    tree_map,
    warn_of_other_space,
)
from isaac_gymnasium.wrappers.affine import affine_map
from isaac_gymnasium.wrappers.flatten import flat_space, flatten
from isaac_gymnasium.wrappers.kinds import TorchObservationWrapper


class TransformObservation(TorchObservationWrapper, RecordConstructorArgs):
    """Passes observations through a function.

    Args:
        env: The environment.
        func: From observations (N, ...) to observations; it must not change them in place.
        observation_space: Space of all environments' results, by default that of the single space.
        single_observation_space: Space of one environment's result, by default the environment's.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        func: Callable[[Any], Any],
        observation_space: gym.Space[Any] | None = None,
        single_observation_space: gym.Space[Any] | None = None,
    ) -> None:
        super().__init__(
            env,
            func=func,
            observation_space=observation_space,
            single_observation_space=single_observation_space,
        )
        self.func = func
        if single_observation_space is not None:
            self.single_observation_space = single_observation_space
        if observation_space is not None:
            self.observation_space = observation_space
            warn_of_other_space(observation_space, self.single_observation_space, self.num_envs)

    def observations(self, observations: Any) -> Any:
        """Applies the function to (N, ...) observations."""
        return self.func(observations)


class DtypeObservation(TorchObservationWrapper, RecordConstructorArgs):
    """Changes the dtype of observations.

    Args:
        env: Its observations are arrays, or a Dict or Tuple of them.
        dtype: The dtype, as NumPy or torch names it.

    Raises:
        TypeError: If an observation is no Box, Discrete, MultiDiscrete or MultiBinary.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], dtype: Any) -> None:
        super().__init__(env, dtype=dtype)
        if isinstance(dtype, torch.dtype):
            dtype = torch.empty(0, dtype=dtype).numpy().dtype
        self.dtype = np.dtype(dtype)
        self._torch_dtype = torch_dtype(self.dtype)
        self.single_observation_space = as_space(
            map_space(self._convert, env.single_observation_space)
        )

    def observations(self, observations: Any) -> Any:
        """Converts (N, ...) observations."""
        return tree_map(lambda leaf: leaf.to(self._torch_dtype), observations)

    def _convert(self, space: gym.Space[Any]) -> gym.Space[Any]:
        dtype = self.dtype.type
        if isinstance(space, gym.spaces.Box):
            return gym.spaces.Box(space.low, space.high, space.shape, dtype)
        if isinstance(space, gym.spaces.Discrete):
            low, high = int(space.start), int(space.start + space.n - 1)
            return gym.spaces.Box(low, high, (), dtype)
        if isinstance(space, gym.spaces.MultiDiscrete):
            return gym.spaces.MultiDiscrete(space.nvec, dtype=dtype, start=space.start)
        if isinstance(space, gym.spaces.MultiBinary):
            return gym.spaces.Box(0, 1, space.shape, dtype)
        raise TypeError(f"DtypeObservation needs observations that are arrays, got {space}")


class RescaleObservation(TorchObservationWrapper, RecordConstructorArgs):
    """Maps observations linearly from the environment's bounds to [min_obs, max_obs].

    Integers, such as those of an image, become float32.

    Args:
        env: Its observations are a Box.
        min_obs: New lower bound, a number or one for each component; where the environment's is
            infinite it must be the same.
        max_obs: New upper bound, likewise.

    Raises:
        TypeError: If the observation is no Box.
        ValueError: If the bounds do not fit it.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        min_obs: float | np.ndarray,
        max_obs: float | np.ndarray,
    ) -> None:
        super().__init__(env, min_obs=min_obs, max_obs=max_obs)
        box = env.single_observation_space
        if not isinstance(box, gym.spaces.Box):
            raise TypeError(f"RescaleObservation needs a Box observation space, got {box}")
        self.single_observation_space, self._gradient, self._intercept = affine_map(
            box, min_obs, max_obs, self._device
        )

    def observations(self, observations: Tensor) -> Tensor:
        """Rescales (N, ...) observations."""
        return observations * self._gradient + self._intercept


class FlattenObservation(TorchObservationWrapper, RecordConstructorArgs):
    """Makes one vector (N, F) of observations, as `gymnasium.spaces.flatten` orders it.

    Args:
        env: The environment.

    Raises:
        TypeError: If its observations have no flat Box.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.single_observation_space = flat_space(env.single_observation_space)
        self._dtype = torch_dtype(self.single_observation_space.dtype)

    def observations(self, observations: Any) -> Tensor:
        """Flattens (N, ...) observations."""
        return flatten(self.env.single_observation_space, observations, self._dtype)


class FilterObservation(TorchObservationWrapper, RecordConstructorArgs):
    """Keeps some parts of a Dict or Tuple observation.

    Args:
        env: Its observations are a Dict or a Tuple.
        filter_keys: Keys of the Dict or indices of the Tuple, in the order wanted.

    Raises:
        TypeError: If the observation is neither, or the keys are no sequence of its kind.
        ValueError: If a key is unknown or given twice, or none is given.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], filter_keys: Sequence[str | int]) -> None:
        super().__init__(env, filter_keys=filter_keys)
        space = env.single_observation_space
        known: list[Any]
        kind: type
        if isinstance(space, gym.spaces.Dict):
            known, kind = list(space.spaces), str
        elif isinstance(space, gym.spaces.Tuple):
            known, kind = list(range(len(space))), int
        else:
            raise TypeError(f"FilterObservation needs a Dict or Tuple observation, got {space}")
        if not isinstance(filter_keys, Sequence) or isinstance(filter_keys, str):
            raise TypeError(f"filter_keys must be a sequence, got {filter_keys!r}")
        keys: list[Any] = list(filter_keys)
        if not all(isinstance(key, kind) for key in keys):
            raise TypeError(f"filter_keys must all be {kind.__name__}, got {keys}")
        if not keys or len(set(keys)) < len(keys) or any(key not in known for key in keys):
            raise ValueError(f"filter_keys must be some of {known}, each once, got {keys}")
        self.filter_keys = keys
        leaves = map_space(lambda leaf: leaf, space)
        self.single_observation_space = as_space(self._pick(leaves))

    def observations(self, observations: Any) -> Any:
        """Picks the parts of (N, ...) observations."""
        return self._pick(observations)

    def _pick(self, parts: Any) -> Any:
        if isinstance(parts, dict):
            return {key: parts[key] for key in self.filter_keys}
        return tuple(parts[key] for key in self.filter_keys)
