"""Trees of arrays, as environments return them: copies, comparisons, rows.

A tree is a dict or tuple of trees, or a leaf: a NumPy array, a torch tensor or anything else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def is_array(value: object) -> bool:
    """Whether a value is a NumPy array or a torch tensor."""
    return isinstance(value, (np.ndarray, Tensor))


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with each leaf replaced by `function(leaf)`."""
    if isinstance(tree, Mapping):
        return {key: map_leaves(function, value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return tuple(map_leaves(function, value) for value in tree)
    return function(tree)


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf with the path to it, such as `obs['position']`."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{path}[{key!r}]")
    elif isinstance(tree, (tuple, list)):
        for index, value in enumerate(tree):
            yield from leaves(value, f"{path}[{index}]")
    elif isinstance(tree, np.ndarray) and tree.dtype == object:
        yield from leaves(tuple(tree.ravel()), path)
    else:
        yield path, tree


def to_numpy(tree: Any) -> Any:
    """A copy of the tree with arrays of NumPy, on the host."""
    return map_leaves(_leaf_to_numpy, tree)


def _leaf_to_numpy(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        tensor = leaf.detach().cpu()
        # NumPy has no bfloat16.
        tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        return np.array(tensor.numpy())
    if isinstance(leaf, np.ndarray):
        return copy.deepcopy(leaf)
    return leaf


def to_torch(tree: Any, device: torch.device) -> Any:
    """A copy of the tree with torch tensors on a device."""
    return map_leaves(lambda leaf: torch.from_numpy(np.array(leaf)).to(device), tree)


def row(tree: Any, index: int) -> Any:
    """What belongs to one environment; of an array of objects, the object."""
    return map_leaves(lambda leaf: leaf[index], tree)


def rows(tree: Any, mask: np.ndarray) -> Any:
    """What belongs to the environments of a mask."""
    return map_leaves(lambda leaf: leaf[mask], tree)


def with_rows(tree: Any, other: Any, mask: np.ndarray) -> Any:
    """A copy of the tree of NumPy arrays with the rows of a mask taken from another one."""
    if isinstance(tree, Mapping):
        return {key: with_rows(value, other[key], mask) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(with_rows(one, two, mask) for one, two in zip(tree, other, strict=True))
    mixed = np.array(tree)
    mixed[mask] = other[mask]
    return mixed


def difference(expected: Any, got: Any, path: str = "") -> tuple[str, str] | None:
    """The first place where two trees of NumPy arrays differ by a bit, NaN being equal to NaN.

    Returns:
        What is there in each, in words, or None where the trees are equal.
    """
    first, second = dict(leaves(expected, path)), dict(leaves(got, path))
    if first.keys() != second.keys():
        return f"{path} with {sorted(first)}", f"{sorted(second)}"
    for place, one in first.items():
        other = second[place]
        if np.shape(one) != np.shape(other):
            return f"{place} of shape {np.shape(one)}", f"shape {np.shape(other)}"
        a, b = np.asarray(one), np.asarray(other)
        unequal = np.array(a != b, dtype=bool)
        if a.dtype.kind == "f" and b.dtype.kind == "f":
            unequal &= ~(np.isnan(a) & np.isnan(b))
        if unequal.any():
            at = tuple(int(i) for i in np.argwhere(unequal)[0]) if a.ndim else ()
            where = f"{place}[{', '.join(map(str, at))}]" if at else place
            return f"{where} = {a[at]!s}", f"{b[at]!s}"
    return None


def equal(one: Any, other: Any) -> bool:
    """Whether two trees of NumPy arrays are equal bit for bit."""
    return difference(one, other) is None


def overwrite(tree: Any) -> None:
    """Changes every array of a tree in place, as the code of a learner may do."""
    for _, leaf in leaves(tree):
        if isinstance(leaf, Tensor):
            with torch.inference_mode(leaf.is_inference()), torch.no_grad():
                # One more keeps a number plausible, should it be the state of a simulation.
                leaf.logical_not_() if leaf.dtype == torch.bool else leaf.add_(1)
        elif isinstance(leaf, np.ndarray) and leaf.flags.writeable:
            if leaf.dtype.kind == "b":
                np.logical_not(leaf, out=leaf)
            elif leaf.dtype.kind in "iuf":
                leaf += np.ones((), leaf.dtype)


def describe(value: object) -> str:
    """A leaf in few words: its kind, dtype and shape, or its type and value."""
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"a NumPy array of {value.dtype} and shape {value.shape}"
    text = repr(value)
    text = text if len(text) <= 80 else f"{text[:77]}..."
    return f"{text} of type {type(value).__name__}"
