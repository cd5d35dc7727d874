"""What a task returns, compared with what it has declared; looks at no value, so it costs no sync.

The loop checks once, when the task first returns something: a reward of shape (N, 1) would
otherwise be broadcast, and a float for a flag would surface far from where it was made.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from isaac_gymnasium.task import Task
from isaac_gymnasium.tree import torch_dtype


def check_observations(task: Task, space: gym.Space[Any], observations: object) -> None:
    """Raises a `ValueError` where observations are not N rows of a space, on the task's device."""
    _check_space(task, "get_observations", "observation", space, observations)


def check_states(task: Task, space: gym.Space[Any] | None, states: object) -> None:
    """Raises a `ValueError` where a privileged state is not N rows of its space."""
    if space is None:
        if states is not None:
            raise ValueError(
                f"{_name(task)}.get_states: must be None where state_space() is None, got "
                f"{_what(states)}"
            )
    else:
        _check_space(task, "get_states", "state", space, states)


def check_rewards(task: Task, rewards: object) -> None:
    """Raises a `ValueError` where rewards are not a dict of terms, each (N,) float32."""
    where = f"{_name(task)}.get_rewards"
    for name, term in _named(where, rewards).items():
        _check(where, f"term {name!r}", term, (task.num_envs,), torch.float32, task.device)


def check_terminations(task: Task, terminations: object) -> None:
    """Raises a `ValueError` where terminations are not (N,) bool."""
    where = f"{_name(task)}.get_terminations"
    _check(where, "it", terminations, (task.num_envs,), torch.bool, task.device)


def check_extras(task: Task, extras: object) -> None:
    """Raises a `ValueError` where extras are not a dict of tensors with N rows."""
    where = f"{_name(task)}.get_extras"
    for name, value in _named(where, extras).items():
        shape = (task.num_envs, *value.shape[1:]) if isinstance(value, Tensor) else ()
        _check(where, f"{name!r}", value, shape, None, task.device)


def _check_space(task: Task, method: str, what: str, space: gym.Space[Any], values: object) -> None:
    where = f"{_name(task)}.{method}"
    spaces: dict[str, gym.Space[Any]] = {what: space}
    found: dict[str, object] = {what: values}
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(values, dict) or set(values) != set(space):
            got = sorted(values) if isinstance(values, dict) else _what(values)
            raise ValueError(f"{where}: must be a dict of {sorted(space)}, got {got}")
        spaces = {f"{what}[{key!r}]": space[key] for key in space}
        found = {f"{what}[{key!r}]": values[key] for key in space}
    for name, single in spaces.items():
        shape = (task.num_envs, *(single.shape or ()))
        _check(where, name, found[name], shape, torch_dtype(single.dtype), task.device)


def _named(where: str, values: object) -> dict[str, Any]:
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ValueError(f"{where}: must be a dict of tensors by name, got {_what(values)}")
    return values


def _check(
    where: str,
    what: str,
    value: object,
    shape: tuple[int, ...],
    dtype: torch.dtype | None,
    device: torch.device,
) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"{where}: {what} must be a tensor, got {value!r}")
    if tuple(value.shape) != shape or (dtype is not None and value.dtype != dtype):
        kind = "" if dtype is None else f"{dtype} of "
        raise ValueError(
            f"{where}: {what} must be {kind}shape {shape}, got {value.dtype} of shape "
            f"{tuple(value.shape)}"
        )
    if value.device != device:
        raise ValueError(f"{where}: {what} must be on {device}, got {value.device}")


def _name(task: Task) -> str:
    return type(task).__name__


def _what(value: object) -> str:
    return f"{type(value).__name__} {value!r}" if not isinstance(value, Tensor) else "a tensor"
