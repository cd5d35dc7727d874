"""`TimeAwareObservation`: observations that tell how old the episode is."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.tree import (
    as_space,
    copy_tree,
    map_space,
    plain_torch,
    torch_dtype,
    where_rows,
)
from isaac_gymnasium.wrappers.base import Step
from isaac_gymnasium.wrappers.flatten import flat_space, flatten
from isaac_gymnasium.wrappers.kinds import HistoryObservationWrapper


class TimeAwareObservation(HistoryObservationWrapper, RecordConstructorArgs):
    """Adds the number of steps taken in the episode.

    After a staggered reset, which begins in mid-episode, or where `episode_length_buf` has been
    assigned, it counts on from there.

    Args:
        env: It has a `max_episode_steps`, itself or in its spec.
        flatten: Return one vector (N, F). Otherwise a Dict gets one more key, a Tuple one more
            part, and anything else becomes the Dict of `"obs"` and the time.
        normalize_time: Give the time as a share of `max_episode_steps`, in [0, 1].
        dict_time_key: The key of the time, (N, 1).

    Raises:
        ValueError: If there is no `max_episode_steps`, or the key is taken.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        flatten: bool = True,
        normalize_time: bool = False,
        *,
        dict_time_key: str = "time",
    ) -> None:
        super().__init__(
            env, flatten=flatten, normalize_time=normalize_time, dict_time_key=dict_time_key
        )
        self.flatten = flatten
        self.normalize_time = normalize_time
        self.max_timesteps = self._find_max_timesteps()
        self._key = dict_time_key
        # Within a vector steps are floats, or the vector would have to be float64.
        whole = np.float32 if flatten else np.int32
        time = (
            gym.spaces.Box(0.0, 1.0, (1,), np.float32)
            if normalize_time
            else gym.spaces.Box(0, self.max_timesteps, (1,), whole)
        )
        self._time_dtype = torch_dtype(time.dtype)
        inner = env.single_observation_space
        if isinstance(inner, gym.spaces.Dict) and dict_time_key in inner.spaces:
            raise ValueError(f"dict_time_key must be a new key, got {dict_time_key!r} of {inner}")
        self._full_space = as_space(self._add(map_space(lambda leaf: leaf, inner), time))
        self.single_observation_space = (
            flat_space(self._full_space) if flatten else self._full_space
        )
        self._dtype = torch_dtype(self.single_observation_space.dtype) if flatten else None
        with plain_torch():
            self._timesteps = torch.zeros(self.num_envs, dtype=torch.int64, device=self._device)
        self._start()

    def _find_max_timesteps(self) -> int:
        steps = getattr(self, "max_episode_steps", None)
        if steps is None and self.spec is not None:
            steps = self.spec.max_episode_steps
        if steps is None:
            raise ValueError(
                "TimeAwareObservation needs an environment with max_episode_steps, got none "
                f"from {self.env}"
            )
        return int(steps)

    def _add(self, parts: Any, time: Any) -> Any:
        if isinstance(parts, dict):
            return {**parts, self._key: time}
        if isinstance(parts, tuple):
            return (*parts, time)
        return {"obs": parts, "time": time}

    def _with_time(self, obs: Any) -> Any:
        time = self._timesteps.unsqueeze(1).to(self._time_dtype)
        if self.normalize_time:
            time = time / self.max_timesteps
        full = self._add(obs, time)
        return full if self._dtype is None else flatten(self._full_space, full, self._dtype)

    def step(self, actions: Any) -> Step:
        """Steps all environments and adds the time to their observations."""
        lengths = getattr(self, "episode_length_buf", None)
        if lengths is not None:
            with plain_torch():
                self._timesteps.copy_(lengths)
        return super().step(actions)

    def _go_on(self, obs: Any) -> Any:
        self._timesteps.add_(1)
        return self._with_time(obs)

    def _observe_reset(self, obs: Any, mask: Tensor) -> Any:
        # A staggered reset begins in mid-episode, for those environments that know how.
        first = getattr(self, "episode_length_buf", torch.zeros_like(self._timesteps))
        self._timesteps.copy_(torch.where(mask, first, self._timesteps))
        result = where_rows(mask, self._with_time(obs), self._last)
        self._ends.reset(mask)
        copy_tree(self._last, result)
        return result

    def _begin(self, obs: Any, mask: Tensor) -> Any:
        self._timesteps.masked_fill_(mask, 0)
        return self._with_time(obs)

    def _rows(self) -> dict[str, Tensor]:
        return {**super()._rows(), "timesteps": self._timesteps}
