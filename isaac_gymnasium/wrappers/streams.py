"""`EpisodeStreams`: a wrapper's own random numbers, one stream for each environment."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorWrapper
from torch import Tensor

from isaac_gymnasium.random import RandomStreams
from isaac_gymnasium.tree import plain_torch
from isaac_gymnasium.wrappers.base import Seed, TorchWrapper

_STREAM_BITS = 24  # streams of one wrapper: at most so many environments


class EpisodeStreams:
    """Random numbers keyed by the seed, the wrapper, the environment, its episode and its step.

    Environment k therefore draws the same whatever their number and whatever the others do, and
    not what the environment itself or another wrapper draws.

    Args:
        wrapper: The wrapper that draws.

    Attributes:
        rng: The streams.
    """

    def __init__(self, wrapper: TorchWrapper) -> None:
        depth, env = 1, wrapper.env
        while isinstance(env, VectorWrapper):
            depth, env = depth + 1, env.env
        self._num_envs = wrapper.num_envs
        with plain_torch():
            self.rng = RandomStreams(self._num_envs, wrapper.device)
            self.rng.stream.add_(depth << _STREAM_BITS)
            self._step = torch.zeros_like(self.rng.seed)
        self._seeded = False

    def seed(self, seed: Seed, mask: Tensor) -> None:
        """Seeds the environments in a mask, as the environment's reset does; draws may follow.

        Args:
            seed: An int for all, or one for each environment; None, or None for an environment,
                lets its stream go on. The first time it draws a seed from the system.
            mask: (N,) bool.
        """
        one = seed is None or isinstance(seed, (int, np.integer))
        seeds: list[Any] = [seed] * self._num_envs if one else list(seed)  # type: ignore[arg-type]
        if not self._seeded:
            fresh = secrets.randbits(63)
            seeds = [fresh if s is None else s for s in seeds]
        self._seeded = True
        if any(s is not None for s in seeds):
            given = torch.tensor([s is not None for s in seeds]).to(mask.device)
            values = torch.tensor([int(s or 0) for s in seeds]).to(mask.device)
            self.rng.reseed(values, mask & given)
        self.rng.begin(0)

    def begin(self, mask: Tensor) -> None:
        """Begins the next episode of the environments in the (N,) mask."""
        self.rng.next_episode(mask)
        self._step.masked_fill_(mask, 0)

    def go_on(self) -> None:
        """Takes a step; draws follow."""
        self._step.add_(1)
        self.rng.begin(self._step)

    def rows(self) -> dict[str, Tensor]:
        """Live tensors to be saved and restored."""
        rng = self.rng
        return {"seed": rng.seed, "stream": rng.stream, "episode": rng.episode, "step": self._step}
