"""Gaussian noise on observations and actions, for policies that have to bear it."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.error import InvalidBound
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.tree import (
    as_space,
    as_tensors,
    map_space,
    named_leaves,
    plain_torch,
    tree_map,
)
from isaac_gymnasium.wrappers.actions import action_box
from isaac_gymnasium.wrappers.base import EpisodeEnds, Seed, Step
from isaac_gymnasium.wrappers.kinds import HistoryObservationWrapper, TorchActionWrapper
from isaac_gymnasium.wrappers.streams import EpisodeStreams


class NoiseObservation(HistoryObservationWrapper, RecordConstructorArgs):
    """Adds independent Gaussian noise to each observation.

    `reset(seed=...)` seeds the noise too.

    Args:
        env: Its observations are a Box of floats, or a Dict or Tuple of them.
        std: Standard deviation, in units of the observation: a number, or one for each component,
            or a dict or tuple of these as the observations are.

    Raises:
        InvalidBound: If a standard deviation is negative.
        TypeError: If an observation is no Box of floats.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], std: Any) -> None:
        super().__init__(env, std=std)
        inner = env.single_observation_space
        self.single_observation_space = as_space(map_space(_unbounded, inner))
        if not isinstance(std, (dict, tuple)):
            std = map_space(lambda _: std, inner)
        self._std = _deviations(inner, std, self._device)
        sizes = map_space(lambda box: math.prod(box.shape or ()), inner)
        self._sizes = [size for _, size in named_leaves(sizes, "")]
        self._streams = EpisodeStreams(self)
        self._start()

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes; see `TorchWrapper.reset`."""
        self._seed = seed
        return super().reset(seed=seed, options=options)

    def _observe_reset(self, obs: Any, mask: Tensor) -> Any:
        self._streams.seed(self._seed, mask)
        self._first = self._draw(1)[:, 0]
        return super()._observe_reset(obs, mask)

    def _go_on(self, obs: Any) -> Any:
        self._streams.go_on()
        # One draw for two: the next observation, and the first one of another episode.
        noise, self._first = self._draw(2).unbind(1)
        return self._add(obs, noise)

    def _begin(self, obs: Any, mask: Tensor) -> Any:
        self._streams.begin(mask)
        return self._add(obs, self._first)

    def _draw(self, count: int) -> Tensor:
        """(N, count, total size) standard normals."""
        return self._streams.rng.normal(shape=(count, sum(self._sizes)))

    def _add(self, obs: Any, noise: Tensor) -> Any:
        parts = iter(noise.split(self._sizes, dim=1))
        return tree_map(
            lambda leaf, std: leaf.addcmul(next(parts).view_as(leaf).to(leaf.dtype), std),
            obs,
            self._std,
        )

    def _rows(self) -> dict[str, Tensor]:
        return {**super()._rows(), **self._streams.rows()}


class NoiseAction(TorchActionWrapper, RecordConstructorArgs):
    """Adds independent Gaussian noise to each action and clips the sum to the action space.

    `reset(seed=...)` seeds the noise too.

    Args:
        env: Its action space is a Box of floats.
        std: Standard deviation, in units of the action: a number, or one for each component.

    Raises:
        InvalidBound: If a standard deviation is negative.
        TypeError: If the action space is no Box of floats.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], std: float | np.ndarray) -> None:
        super().__init__(env, std=std)
        box = _of_floats(action_box(self))
        self._std = _deviations(box, std, self._device)
        with plain_torch():
            self._low = torch.tensor(box.low, device=self._device)
            self._high = torch.tensor(box.high, device=self._device)
        self._streams = EpisodeStreams(self)
        self._ends = EpisodeEnds(self)

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes; see `TorchWrapper.reset`."""
        mask = self._reset_mask(options)
        result = super().reset(seed=seed, options=options)
        with plain_torch():
            self._streams.seed(seed, mask)
            self._streams.begin(mask)
            self._ends.reset(mask)
        return result

    def step(self, actions: Any) -> Step:
        """Steps all environments with noisy actions."""
        step = super().step(actions)
        with plain_torch():
            restarted = self._ends.restarted(step[2] | step[3])
            if restarted is not None:
                self._streams.begin(restarted)
        return step

    def actions(self, actions: Tensor) -> Tensor:
        """Adds noise to (N, ...) actions."""
        self._streams.go_on()
        noise = self._streams.rng.normal(shape=tuple(actions.shape[1:])).to(actions.dtype)
        return actions.addcmul(noise, self._std).clamp_(self._low, self._high)

    def _rows(self) -> dict[str, Tensor]:
        return {"ended": self._ends.ended, **self._streams.rows()}


def _of_floats(space: gym.Space[Any]) -> gym.spaces.Box:
    if not isinstance(space, gym.spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        raise TypeError(f"noise needs a Box of floats, got {space}")
    return space


def _unbounded(space: gym.Space[Any]) -> gym.spaces.Box:
    box = _of_floats(space)
    return gym.spaces.Box(-np.inf, np.inf, box.shape, box.dtype.type)


def _deviations(space: gym.Space[Any], std: Any, device: torch.device) -> Any:
    with plain_torch():
        deviations = as_tensors(space, std, torch.device("cpu"))
        for _, deviation in named_leaves(deviations, "std"):
            if bool((deviation < 0).any()):
                raise InvalidBound(f"std must not be negative, got {deviation.tolist()}")
        return as_tensors(space, deviations, device)
