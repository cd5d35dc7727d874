"""The simple kinds of wrapper: one that changes actions, one rewards, one observations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from torch import Tensor

from isaac_gymnasium.tree import (
    as_tensors,
    copy_tree,
    named_leaves,
    plain_torch,
    tree_map,
    where_rows,
    zeros,
)
from isaac_gymnasium.wrappers.base import EpisodeEnds, Seed, Step, TorchWrapper


class TorchActionWrapper(TorchWrapper, RecordConstructorArgs):
    """A wrapper that changes actions on their way to the environment."""

    def step(self, actions: Any) -> Step:
        """Steps all environments with changed actions.

        Args:
            actions: (N, ...) in the wrapper's action space, NumPy or torch on any device.
        """
        with plain_torch():
            actions = self.actions(as_tensors(self.single_action_space, actions, self._device))
        return self.env.step(actions)

    def actions(self, actions: Any) -> Any:
        """Changes (N, ...) actions of the wrapper's action space into the environment's."""
        raise NotImplementedError


class TorchRewardWrapper(TorchWrapper, RecordConstructorArgs):
    """A wrapper that changes rewards."""

    def step(self, actions: Any) -> Step:
        """Steps all environments and changes their rewards."""
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        with plain_torch():
            return obs, self.rewards(rewards), terminated, truncated, info

    def rewards(self, rewards: Tensor) -> Tensor:
        """Changes (N,) rewards."""
        raise NotImplementedError


class TorchObservationWrapper(TorchWrapper, RecordConstructorArgs):
    """A wrapper that changes observations, and `info["final_obs"]` in the same way."""

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes and changes the observations; see `TorchWrapper.reset`."""
        mask = self._reset_mask(options)
        obs, info = super().reset(seed=seed, options=options)
        with plain_torch():
            return self._observe_reset(obs, mask), info

    def step(self, actions: Any) -> Step:
        """Steps all environments and changes their observations."""
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        with plain_torch():
            final = _dense(info.get("final_obs"), obs)
            obs, final = self._observe_step(obs, final, terminated, truncated)
        if final is not None:
            info = {**info, "final_obs": final}
        return obs, rewards, terminated, truncated, info

    def observations(self, observations: Any) -> Any:
        """Changes (N, ...) observations."""
        raise NotImplementedError

    def _observe_restored(self, obs: Any) -> Any:
        return self.observations(obs)

    def _observe_reset(self, obs: Any, mask: Tensor) -> Any:
        """Observations of a reset of the environments in the (N,) mask."""
        return self.observations(obs)

    def _observe_step(
        self, obs: Any, final: Any | None, terminated: Tensor, truncated: Tensor
    ) -> tuple[Any, Any | None]:
        """Observations of a step, and the last ones of the episodes that ended in it."""
        return self.observations(obs), None if final is None else self.observations(final)


class HistoryObservationWrapper(TorchObservationWrapper, RecordConstructorArgs):
    """An observation wrapper whose result depends on what came before in the episode.

    A subclass sets its observation space, calls `_start` and says how an episode goes on and how
    one begins. Whatever the autoreset mode, each environment then sees the same sequence: its
    episode goes on to the true successor, and after the last one a new episode begins.
    """

    def _start(self) -> None:
        """Creates the buffers, once the observation space is set."""
        self._ends = EpisodeEnds(self)
        with plain_torch():
            self._last = zeros(self.single_observation_space, (self.num_envs,), self._device)

    def _go_on(self, obs: Any) -> Any:
        """Fresh results for (N, ...) observations that continue their episodes."""
        raise NotImplementedError

    def _begin(self, obs: Any, mask: Tensor) -> Any:
        """Fresh results for first observations; rows outside the (N,) mask do not matter."""
        raise NotImplementedError

    def _observe_restored(self, obs: Any) -> Any:
        return tree_map(torch.clone, self._last)

    def _observe_reset(self, obs: Any, mask: Tensor) -> Any:
        self._ends.reset(mask)
        result = where_rows(mask, self._begin(obs, mask), self._last)
        copy_tree(self._last, result)
        return result

    def _observe_step(
        self, obs: Any, final: Any | None, terminated: Tensor, truncated: Tensor
    ) -> tuple[Any, Any | None]:
        ended = terminated | truncated
        restarted = self._ends.restarted(ended)
        result = last = self._go_on(obs if final is None else where_rows(ended, final, obs))
        if restarted is not None:
            result = where_rows(restarted, self._begin(obs, restarted), last)
        copy_tree(self._last, result)
        return result, None if final is None else last

    def _rows(self) -> dict[str, Tensor]:
        return {"ended": self._ends.ended, **dict(named_leaves(self._last, "last"))}


def _dense(final: Any, obs: Any) -> Any:
    """Final observations as tensors over all environments.

    gymnasium itself builds an object array that holds None where no episode ended; there the
    observation stands in.
    """
    if final is None:
        return None
    if isinstance(final, np.ndarray):
        rows = [
            tree_map(lambda leaf, i=i: leaf[i], obs) if row is None else row
            for i, row in enumerate(final)
        ]
        return tree_map(lambda *parts: torch.stack(parts), *rows)
    for path, leaf in named_leaves(final, "final_obs"):
        if not isinstance(leaf, Tensor):
            raise TypeError(f"the info's {path} must be a tensor, got {type(leaf).__name__}")
    return final
