"""`RecordEpisodeStatistics`: return, length and duration of episodes."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from isaac_gymnasium.graph import Graph
from isaac_gymnasium.tree import plain_torch
from isaac_gymnasium.wrappers.base import EpisodeEnds, Seed, Step, TorchWrapper


class RecordEpisodeStatistics(TorchWrapper, RecordConstructorArgs):
    """Adds the statistics of the episodes that end in a step to its info.

    `info["episode"]` holds `r`, the sum of rewards (N,) float64, `l`, the number of steps (N,)
    int64, and `t`, the seconds since the episode began (N,) float64. They are always there, and 0
    where no episode ended; `info["_episode"]`, (N,) bool, says where one did. (gymnasium leaves
    them out of a step in which none ended, which only the host could decide.)

    Args:
        env: The environment.
        buffer_length: How many episodes the queues remember.
        stats_key: The key in the info.

    Raises:
        ValueError: If `buffer_length` is less than 1; in a step, if the info has the key already.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        buffer_length: int = 100,
        stats_key: str = "episode",
    ) -> None:
        if buffer_length < 1:
            raise ValueError(f"buffer_length must be at least 1, got {buffer_length!r}")
        super().__init__(env, buffer_length=buffer_length, stats_key=stats_key)
        self._stats_key = stats_key
        self._buffer_length = buffer_length
        self._ends = EpisodeEnds(self)
        # A step may end N episodes: with that much room, none of them meets another in the ring.
        self._capacity = max(buffer_length, self.num_envs)
        with plain_torch():
            # Rows: return, length, duration.
            shape = (3, self.num_envs)
            self._running = torch.zeros(shape, dtype=torch.float64, device=self._device)
            self._zero = self._running.new_zeros(())
            # The last column takes what is not to be kept.
            self._ring = self._running.new_zeros(3, self._capacity + 1)
            self._count = torch.zeros((), dtype=torch.int64, device=self._device)
            self._nowhere = torch.full_like(self._count, self._capacity)
        self._clock = time.perf_counter()
        self._recorded = Graph(self._record, self._device, fresh=True)

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes, and their statistics from 0."""
        mask = self._reset_mask(options)
        result = super().reset(seed=seed, options=options)
        with plain_torch():
            self._running[2].add_(self._lap())
            self._running.masked_fill_(mask, 0.0)
            self._ends.reset(mask)
        return result

    def step(self, actions: Any) -> Step:
        """Steps all environments and adds the statistics of the episodes that ended."""
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        key = self._stats_key
        if key in info or f"_{key}" in info:
            raise ValueError(f"the info must not have the key {key!r} yet, got {list(info)}")
        with plain_torch():
            # The clock is the host's: no graph knows what it says.
            self._running[2].add_(self._lap())
            returns, lengths, durations, ended = self._recorded(rewards, terminated, truncated)
        episode = {"r": returns, "l": lengths, "t": durations}
        return obs, rewards, terminated, truncated, {**info, key: episode, f"_{key}": ended}

    def _record(
        self, rewards: Tensor, terminated: Tensor, truncated: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return, length and duration of the episodes that ended, and which did."""
        self._running[0].add_(rewards)
        self._running[1].add_(1.0)
        ended = terminated | truncated
        if self._autoreset_mode == AutoresetMode.NEXT_STEP:
            # What these environments have just done was their reset.
            self._running.masked_fill_(self._ends.ended, 0.0)
            self._ends.ended.copy_(ended)
        returns, lengths, durations = torch.where(ended, self._running, self._zero).unbind()
        self._remember(ended)
        if self._autoreset_mode == AutoresetMode.SAME_STEP:
            self._running.masked_fill_(ended, 0.0)
        return returns, lengths.to(torch.int64), durations, ended

    def _remember(self, ended: Tensor) -> None:
        """Writes the episodes that ended into the ring: the k-th ever at k modulo its capacity."""
        number = ended.cumsum(0).add_(self._count)
        self._count.copy_(number[-1])
        place = torch.where(ended, number.remainder_(self._capacity), self._nowhere)
        self._ring.index_copy_(1, place, self._running)

    def _lap(self) -> float:
        """Seconds since the last call."""
        last, self._clock = self._clock, time.perf_counter()
        return self._clock - last

    # ------------------------------------------------------------------ what the host may read

    @property
    def episode_count(self) -> int:
        """Number of episodes that ended. Reading it waits for the device."""
        return int(self._count)

    @property
    def episode_returns(self) -> Tensor:
        """(N,) float64, sums of rewards in the running episodes."""
        return self._running[0].clone()

    @property
    def episode_lengths(self) -> Tensor:
        """(N,) int64, numbers of steps in the running episodes."""
        return self._running[1].to(torch.int64)

    @property
    def return_queue(self) -> deque[float]:
        """Returns of the last episodes, the latest last. Reading it waits for the device."""
        return deque(self._latest(0), self._buffer_length)

    @property
    def length_queue(self) -> deque[int]:
        """Lengths of the last episodes, the latest last. Reading it waits for the device."""
        return deque(map(int, self._latest(1)), self._buffer_length)

    @property
    def time_queue(self) -> deque[float]:
        """Durations of the last episodes in s, the latest last. Reading it waits for the device."""
        return deque(self._latest(2), self._buffer_length)

    def _latest(self, row: int) -> list[float]:
        count = int(self._count)
        ring: list[float] = self._ring[row].tolist()
        first = max(1, count + 1 - self._buffer_length)
        return [ring[k % self._capacity] for k in range(first, count + 1)]

    def _rows(self) -> dict[str, Tensor]:
        return {"running": self._running.T, "ended": self._ends.ended}

    def _memory(self) -> dict[str, Tensor]:
        return {"ring": self._ring, "count": self._count}
