"""Whether a value, of NumPy or torch, is in a space, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, MultiBinary, MultiDiscrete, Space, Tuple
from torch import Tensor

from isaac_gymnasium.contract.values import to_numpy
from isaac_gymnasium.contract.verdict import Failed, require
from isaac_gymnasium.tree import torch_dtype


def same_form(one: Space[Any], other: Space[Any]) -> bool:
    """Whether two spaces have the same structure, shapes and dtypes, whatever their bounds."""
    if isinstance(one, Dict) and isinstance(other, Dict):
        return one.spaces.keys() == other.spaces.keys() and all(
            same_form(one[key], other[key]) for key in one.spaces
        )
    if isinstance(one, Tuple) and isinstance(other, Tuple):
        return len(one) == len(other) and all(map(same_form, one, other))
    same_kind = isinstance(other, type(one)) or isinstance(one, type(other))
    return same_kind and one.shape == other.shape and one.dtype == other.dtype


def require_in_space(
    space: Space[Any], value: Any, path: str, rows: np.ndarray | slice = slice(None)
) -> None:
    """Fails the point unless a value is in a space; NaN is in any bounds.

    Args:
        space: The space.
        value: A NumPy array, torch tensor, or dict or tuple of those.
        path: What the value is, such as `"obs"`.
        rows: Where the bounds matter, as an index into the first axis.
    """
    if isinstance(space, Dict):
        require(isinstance(value, Mapping), f"{path} to be a dict", value)
        keys = [sorted(map(str, mapping)) for mapping in (space.spaces, value)]
        require(keys[0] == keys[1], f"{path} with the keys {keys[0]}", str(keys[1]))
        for key, inner in space.spaces.items():
            require_in_space(inner, value[key], f"{path}[{key!r}]", rows)
    elif isinstance(space, Tuple):
        require(isinstance(value, tuple), f"{path} to be a tuple", value)
        require(
            len(value) == len(space.spaces),
            f"{path} of length {len(space.spaces)}",
            str(len(value)),
        )
        for index, inner in enumerate(space.spaces):
            require_in_space(inner, value[index], f"{path}[{index}]", rows)
    elif isinstance(space, (Box, MultiDiscrete, MultiBinary)):
        _require_array(space, value, path, rows)
    else:
        require(bool(space.contains(to_numpy(value))), f"{path} in {space}", value)


def _require_array(
    space: Box | MultiDiscrete | MultiBinary, value: Any, path: str, rows: np.ndarray | slice
) -> None:
    dtype = np.dtype(space.dtype)
    if isinstance(value, Tensor):
        same = value.dtype == torch_dtype(dtype)
    else:
        same = isinstance(value, np.ndarray) and value.dtype == dtype
    require(
        same and tuple(value.shape) == space.shape,
        f"{path} to be an array of {dtype} and shape {space.shape}",
        value,
    )
    values = to_numpy(value)
    if isinstance(space, Box):
        low, high = space.low, space.high
    else:
        low = getattr(space, "start", np.zeros(space.shape, dtype))
        high = low + getattr(space, "nvec", np.full(space.shape, 2)) - 1
    outside = (values < low) | (values > high)
    if values.ndim and outside[rows].any():
        bad = values[rows][outside[rows]]
        bounds = f"[{np.min(low)}, {np.max(high)}]"
        raise Failed(f"{path} within the bounds of its space, {bounds}", str(bad[0]))
