"""The linear map from one box to another, which rescales actions and observations."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium.tree import plain_torch


def affine_map(
    box: gym.spaces.Box,
    low: float | np.ndarray,
    high: float | np.ndarray,
    device: torch.device,
) -> tuple[gym.spaces.Box, Tensor, Tensor]:
    """The map `gradient * x + intercept` of a box onto one with other bounds.

    A component with one infinite bound is shifted, one with two is left as it is.

    Args:
        box: The box to map.
        low: New lower bounds, broadcastable to its shape; infinite where and as its own are.
        high: New upper bounds, likewise.
        device: Where the map is needed.

    Returns:
        The new box, of floats, and gradient and intercept with its shape and dtype.

    Raises:
        ValueError: If the bounds do not fit the box.
    """
    shape = box.shape
    old_low, old_high = box.low.astype(np.float64), box.high.astype(np.float64)
    bounds = []
    for name, value, old in (("lower", low, old_low), ("upper", high, old_high)):
        value = np.asarray(value, dtype=np.float64)
        try:
            bound = np.broadcast_to(value, shape)
        except ValueError as error:
            raise ValueError(
                f"the {name} bound must have shape {shape} or be a number, got shape {value.shape}"
            ) from error
        infinite = np.isinf(bound) | np.isinf(old)
        if np.any(bound[infinite] != old[infinite]):
            raise ValueError(
                f"the {name} bound must be infinite where the space's is: expected "
                f"{box.low if name == 'lower' else box.high}, got {bound}"
            )
        bounds.append(bound)
    new_low, new_high = bounds
    if np.any(new_low > new_high):
        raise ValueError(f"bounds must not cross, got {new_low} and {new_high}")
    below, above = np.isfinite(new_low), np.isfinite(new_high)
    both = below & above
    if np.any(old_low[both] >= old_high[both]):
        raise ValueError(f"a component to be rescaled must have some extent, got {box}")

    gradient, intercept = np.ones(shape), np.zeros(shape)
    gradient[both] = (new_high[both] - new_low[both]) / (old_high[both] - old_low[both])
    intercept[above] = new_high[above] - old_high[above]
    intercept[below] = new_low[below] - gradient[below] * old_low[below]
    dtype = box.dtype if np.issubdtype(box.dtype, np.floating) else np.dtype(np.float32)
    new = gym.spaces.Box(new_low.astype(dtype), new_high.astype(dtype), shape, dtype.type)
    with plain_torch():
        maps = [torch.tensor(m.astype(dtype), device=device) for m in (gradient, intercept)]
    return new, maps[0], maps[1]
