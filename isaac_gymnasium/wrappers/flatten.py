"""Flat vectors of observations, in gymnasium's order."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor


def flat_space(space: gym.Space[Any]) -> gym.spaces.Box:
    """The Box of a space's flattened values.

    Raises:
        TypeError: If there is none.
    """
    try:
        flat: Any = gym.spaces.flatten_space(space)
    except NotImplementedError:
        flat = None
    if not isinstance(flat, gym.spaces.Box):
        raise TypeError(f"the observations must have a flat Box, got {space}")
    return flat


def flatten(space: gym.Space[Any], values: Any, dtype: torch.dtype) -> Tensor:
    """Values (N, ...) of a space as one tensor (N, F), discrete ones as one-hot vectors."""
    parts = [part.to(dtype) for part in _parts(space, values)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _parts(space: gym.Space[Any], values: Any) -> list[Tensor]:
    if isinstance(space, gym.spaces.Dict):
        pairs = [(sub, values[key]) for key, sub in space.spaces.items()]
        return [part for sub, value in pairs for part in _parts(sub, value)]
    if isinstance(space, gym.spaces.Tuple):
        pairs = list(zip(space.spaces, values, strict=True))
        return [part for sub, value in pairs for part in _parts(sub, value)]
    flat = values.reshape(values.shape[0], -1)
    if isinstance(space, gym.spaces.Discrete):
        return [_one_hot(flat[:, 0], int(space.start), int(space.n))]
    if isinstance(space, gym.spaces.MultiDiscrete):
        counts = zip(np.ravel(space.start), np.ravel(space.nvec), strict=True)
        return [_one_hot(flat[:, i], int(s), int(n)) for i, (s, n) in enumerate(counts)]
    return [flat]


def _one_hot(values: Tensor, start: int, count: int) -> Tensor:
    # torch's own looks at the values on the host to check them.
    return values.unsqueeze(1) == torch.arange(start, start + count, device=values.device)
