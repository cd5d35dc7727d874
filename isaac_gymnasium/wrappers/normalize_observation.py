"""`NormalizeObservation`: observations of mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.error import InvalidBound
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.graph import Graph
from isaac_gymnasium.tree import (
    as_space,
    copy_tree,
    leaves,
    map_space,
    named_leaves,
    plain_torch,
    tree_map,
    unflatten,
    where_rows,
    zeros,
)
from isaac_gymnasium.wrappers.kinds import TorchObservationWrapper
from isaac_gymnasium.wrappers.running_mean_std import RunningMeanStd


class NormalizeObservation(TorchObservationWrapper, RecordConstructorArgs):
    """Subtracts the running mean of each coordinate and divides by its running deviation.

    Every observation counts once, in each autoreset mode: those that end an episode, which
    same-step autoreset reports as `final_obs`, and those that begin one. A partial reset counts the
    environments that it resets; the observations of the others stay as the last step left them.

    Args:
        env: Its observations are a Box, or a Dict or Tuple of Boxes.
        epsilon: Added to the variance.

    Attributes:
        obs_rms: A `RunningMeanStd`; a dict or tuple of them where the observations are one.

    Raises:
        InvalidBound: If `epsilon` is not positive.
        TypeError: If an observation is no Box.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], epsilon: float = 1e-8) -> None:
        if not epsilon > 0:
            raise InvalidBound(f"epsilon must be positive, got {epsilon!r}")
        super().__init__(env, epsilon=epsilon)
        self.epsilon = epsilon
        inner = env.single_observation_space
        self.single_observation_space = as_space(map_space(_unbounded, inner))
        self.obs_rms = map_space(
            lambda box: RunningMeanStd(shape=box.shape or (), device=self._device), inner
        )
        with plain_torch():
            self._epsilon = torch.tensor(epsilon, dtype=torch.float64, device=self._device)
            self._last = zeros(self.single_observation_space, (self.num_envs,), self._device)
        self._recorded = Graph(self._count_and_normalize, self._device, fresh=True)

    def observations(self, observations: Any) -> Any:
        """Normalizes (N, ...) observations, without counting them."""
        return self._normalize(observations)[0]

    def _observe_restored(self, obs: Any) -> Any:
        return tree_map(torch.clone, self._last)

    def _observe_reset(self, obs: Any, mask: Tensor) -> Any:
        if self._update_running_mean:
            tree_map(lambda rms, leaf: rms.update(leaf, mask), self.obs_rms, obs)
        result = where_rows(mask, self.observations(obs), self._last)
        copy_tree(self._last, result)
        return result

    def _observe_step(
        self, obs: Any, final: Any | None, terminated: Tensor, truncated: Tensor
    ) -> tuple[Any, Any | None]:
        parts, given = leaves(obs), self._given()
        if final is None:
            return unflatten(obs, self._recorded(*parts, given=given)), None
        results = self._recorded(terminated, truncated, *parts, *leaves(final), given=given)
        count = len(parts)
        return unflatten(obs, results[:count]), unflatten(obs, results[count:])

    def _given(self) -> list[object]:
        """What `_count_and_normalize` depends on beside tensors that stay what they are."""
        statistics = list(self._statistics().values())
        return [self._update_running_mean, *statistics]

    def _count_and_normalize(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Takes flags and final observations too where there are any; leaves of both in turn."""
        count = len(leaves(self._last))
        obs = unflatten(self._last, tensors[-count:])
        trees = [obs]
        if len(tensors) > count:
            terminated, truncated, *rest = tensors
            obs = unflatten(self._last, rest[:count])
            trees = [obs, unflatten(self._last, rest[count:])]
        if self._update_running_mean and len(trees) == 2:
            # One batch of both, since each is of the same statistics.
            mask = torch.cat((self._all, terminated | truncated))
            tree_map(lambda rms, *parts: rms.update(torch.cat(parts), mask), self.obs_rms, *trees)
        elif self._update_running_mean:
            tree_map(lambda rms, leaf: rms.update(leaf), self.obs_rms, obs)
        results = self._normalize(*trees)
        copy_tree(self._last, results[0])
        return tuple(leaf for tree in results for leaf in leaves(tree))

    def _normalize(self, *trees: Any) -> list[Any]:
        results = tree_map(
            lambda rms, *leaves: rms.normalize(*leaves, epsilon=self._epsilon),
            self.obs_rms,
            *trees,
        )  # a tree of lists
        return [tree_map(lambda leaf, i=i: leaf[i], results) for i in range(len(trees))]

    def _statistics(self) -> dict[str, Tensor]:
        return {
            f"{path}.{name}": getattr(rms, name)
            for path, rms in named_leaves(self.obs_rms, "obs_rms")
            for name in ("count", "mean", "square")
        }

    def _rows(self) -> dict[str, Tensor]:
        return dict(named_leaves(self._last, "last"))

    def _load(self, state: Mapping[str, Tensor]) -> None:
        super()._load(state)
        tree_map(lambda rms: rms.share(), self.obs_rms)

    def _synchronize(self, group: Any) -> None:
        tree_map(lambda rms: rms.synchronize(group), self.obs_rms)


def _unbounded(space: gym.Space[Any]) -> gym.spaces.Box:
    if not isinstance(space, gym.spaces.Box):
        raise TypeError(f"NormalizeObservation needs Box observations, got {space}")
    return gym.spaces.Box(-np.inf, np.inf, space.shape, np.float32)
