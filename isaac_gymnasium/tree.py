"""Observations and spaces that may be nested: a tensor, a dict of them or a tuple of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector.utils import batch_space
from torch import Tensor


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Torch as this package wants it within a step, whatever the caller has set.

    Plain tensors without gradients, also in inference mode: a buffer made or changed there could
    not be changed outside of it any more. And one thread: the arrays are too small to share, and
    the threads of OpenMP, which spin for a while after their work, would keep the cores from an
    engine that simulates on the CPU.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)


def tree_map(function: Callable[..., Any], *trees: Any) -> Any:
    """Applies a function to the leaves of trees of one structure."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: tree_map(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, tuple):
        return tuple(tree_map(function, *parts) for parts in zip(*trees, strict=True))
    return function(*trees)


def named_leaves(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Leaves with their path behind a name: `("mean.policy", leaf)`."""
    if isinstance(tree, (dict, tuple)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from named_leaves(value, f"{name}.{key}")
    else:
        yield name, tree


def leaves(tree: Any) -> list[Any]:
    """Leaves in the order in which `unflatten` takes them."""
    return [leaf for _, leaf in named_leaves(tree, "")]


def unflatten(like: Any, values: Iterable[Any]) -> Any:
    """The tree of the structure of another whose leaves are the values, in turn."""
    rest = iter(values)
    return tree_map(lambda _: next(rest), like)


def where_rows(mask: Tensor, yes: Any, no: Any) -> Any:
    """Rows of `yes` where the (N,) bool mask is set, else rows of `no`; trees of (N, ...)."""
    return tree_map(lambda y, n: torch.where(over_rows(mask, y), y, n), yes, no)


def over_rows(mask: Tensor, values: Tensor) -> Tensor:
    """A view of a (N,) mask that broadcasts against (N, ...) values."""
    return mask.view(-1, *(1,) * (values.dim() - 1))


def copy_tree(target: Any, source: Any) -> None:
    """Copies a tree of tensors into another in place."""
    pairs: list[tuple[Tensor, Tensor]] = []
    tree_map(lambda t, s: pairs.append((t, s)), target, source)
    copy_all((target for target, _ in pairs), (source for _, source in pairs))


def clone_tree(tree: Any) -> Any:
    """A tree of fresh tensors with the values of another's."""
    originals = leaves(tree)
    copies = [torch.empty_like(original) for original in originals]
    copy_all(copies, originals)
    return unflatten(tree, copies)


def copy_all(targets: Iterable[Tensor], sources: Iterable[Tensor]) -> None:
    """Copies tensors into others in place; on CUDA in one launch for all of one dtype."""
    groups: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
    for target, source in zip(targets, sources, strict=True):
        into, of = groups.setdefault((target.dtype, source.dtype), ([], []))
        into.append(target)
        of.append(source)
    for into, of in groups.values():
        torch._foreach_copy_(into, of)


def map_space(function: Callable[[gym.Space[Any]], Any], space: gym.Space[Any]) -> Any:
    """A tree with the function's value for every leaf of a space."""
    if isinstance(space, gym.spaces.Dict):
        return {key: map_space(function, sub) for key, sub in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(map_space(function, sub) for sub in space.spaces)
    return function(space)


def as_space(tree: Any) -> gym.Space[Any]:
    """The space whose leaves are those of a tree of spaces."""
    if isinstance(tree, dict):
        return gym.spaces.Dict({key: as_space(sub) for key, sub in tree.items()})
    if isinstance(tree, tuple):
        return gym.spaces.Tuple([as_space(sub) for sub in tree])
    assert isinstance(tree, gym.Space)
    return tree


def warn_of_other_space(space: gym.Space[Any], single: gym.Space[Any], num_envs: int) -> None:
    """Warns if a space of all environments is not that of one, batched."""
    if space != batch_space(single, num_envs):
        gym.logger.warn(
            f"the space of all {num_envs} environments should be the single space batched: "
            f"got {space} and {single}"
        )


def torch_dtype(dtype: Any) -> torch.dtype:
    """The torch dtype of a NumPy one."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def zeros(space: gym.Space[Any], rows: tuple[int, ...], device: torch.device) -> Any:
    """A tree of zeros (*rows, ...) with the shapes and dtypes of a space."""
    return map_space(
        lambda leaf: torch.zeros(
            (*rows, *(leaf.shape or ())), dtype=torch_dtype(leaf.dtype), device=device
        ),
        space,
    )


def as_tensors(space: gym.Space[Any], values: Any, device: torch.device) -> Any:
    """Values, NumPy or torch, as tensors on a device with the dtypes of a space."""

    def convert(leaf: gym.Space[Any], value: Any) -> Tensor:
        if not isinstance(value, Tensor):
            # A copy: an array may be read-only or run backwards, which torch does not know.
            value = torch.from_numpy(np.array(value, order="C"))
        tensor: Tensor = value.to(device, torch_dtype(leaf.dtype))
        return tensor

    return tree_map(convert, map_space(lambda leaf: leaf, space), values)
