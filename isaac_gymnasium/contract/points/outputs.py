"""The form of what `reset` and `step` return, and the time limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.outcome import Outcome
from isaac_gymnasium.contract.spaces import require_in_space
from isaac_gymnasium.contract.values import describe, is_array, leaves
from isaac_gymnasium.contract.verdict import Failed, NotApplicable, require

_FLAGS = ("terminated", "truncated")


def observations(case: Case) -> None:
    """Observations are in `observation_space`."""
    for outcome in case.rollout:
        require_in_space(case.env.observation_space, outcome.live["obs"], "obs")


def rewards(case: Case) -> None:
    """Rewards are an array of N numbers."""
    for outcome in _steps(case):
        reward = outcome.live["reward"]
        require(
            is_array(reward)
            and tuple(reward.shape) == (case.num_envs,)
            and outcome.seen["reward"].dtype.kind in "iuf",
            f"an array of numbers of shape ({case.num_envs},)",
            reward,
        )


def flags(case: Case) -> None:
    """Terminated and truncated are arrays of N bools."""
    for outcome in _steps(case):
        for name in _FLAGS:
            flag = outcome.live[name]
            require(
                _is_mask(flag, case.num_envs),
                f"{name} to be a bool array of shape ({case.num_envs},)",
                flag,
            )


def finite(case: Case) -> None:
    """Observations and rewards are finite."""
    for index, outcome in enumerate(case.rollout):
        for name in ("obs", "reward"):
            for path, leaf in leaves(outcome.seen.get(name, 0.0), name):
                values = np.asarray(leaf)
                if values.dtype.kind == "f" and not np.isfinite(values).all():
                    raise Failed(f"finite {path}", f"NaN or infinity in outcome {index}")


def one_device(case: Case) -> None:
    """All tensors are on one device; rewards and flags are tensors too."""
    if case.device is None:
        raise NotApplicable("the environment returns NumPy arrays")
    own = getattr(case.env.unwrapped, "device", None)
    if isinstance(own, (str, torch.device)):
        own = torch.device(own)
        same = own.type == case.device.type and own.index in (None, case.device.index)
        require(same, f"tensors on the environment's device {own}", f"obs on {case.device}")
    for outcome in case.rollout:
        for name, value in outcome.live.items():
            for path, leaf in leaves(value, name):
                if isinstance(leaf, Tensor):
                    here = leaf.device == case.device
                    require(here, f"{path} on {case.device} like the obs", str(leaf.device))
                elif name != "info":
                    raise Failed(f"{path} to be a tensor", describe(leaf))


def infos(case: Case) -> None:
    """Infos hold arrays, numbers, strings, dicts; masks are (N,) bool."""
    for outcome in case.rollout:
        _require_info(outcome.live["info"], "info", case.num_envs)


def _require_info(info: Mapping[Any, Any], path: str, num_envs: int) -> None:
    for key, value in info.items():
        require(isinstance(key, str), f"the keys of {path} to be strings", key)
        place = f"{path}[{key!r}]"
        if isinstance(value, dict):
            _require_info(value, place, num_envs)
            continue
        require(
            is_array(value) or isinstance(value, (bool, int, float, str, np.generic)),
            f"{place} to be an array, number, string or dict",
            value,
        )
        if key.startswith("_") and key[1:] in info:
            require(
                _is_mask(value, num_envs),
                f"the mask {place} to be a bool array of shape ({num_envs},)",
                value,
            )


def exclusive_flags(case: Case) -> None:
    """No step both terminates and truncates an episode.

    Gymnasium leaves that open; with both flags set, learners differ in whether they bootstrap.
    """
    for outcome in _steps(case):
        both = outcome.seen["terminated"] & outcome.seen["truncated"]
        require(
            not both.any(),
            "one flag at a time, terminated having precedence",
            f"both for environments {np.flatnonzero(both).tolist()}",
        )


def truncation(case: Case) -> None:
    """An episode is truncated at `max_episode_steps`, not before or after."""
    limit = case.max_episode_steps
    if limit is None:
        raise NotApplicable("neither the environment nor its spec tells max_episode_steps")
    if limit > case.steps:
        raise NotApplicable(f"max_episode_steps is {limit} and the rollout has {case.steps} steps")
    length = np.zeros(case.num_envs, dtype=int)
    ended = np.zeros(case.num_envs, dtype=bool)
    reached = False
    for outcome in _steps(case):
        # With next-step autoreset, the step after an episode's end belongs to none.
        length = np.where(ended, 0 if case.mode == AutoresetMode.NEXT_STEP else 1, length + 1)
        ended = outcome.ended(case.num_envs)
        early = outcome.seen["truncated"] & (length < limit)
        require(
            not early.any(),
            f"truncation at step {limit} of an episode",
            f"truncation at steps {sorted(set(length[early].tolist()))}",
        )
        late = ~ended & (length >= limit)
        require(not late.any(), f"episodes to end at step {limit}", "episodes that go on")
        reached |= bool((length == limit).any())
    if not reached:
        raise NotApplicable(f"every episode terminated before its step {limit}")


def _steps(case: Case) -> list[Outcome]:
    return [outcome for outcome in case.rollout if outcome.is_step]


def _is_mask(value: object, num_envs: int) -> bool:
    if isinstance(value, Tensor):
        return value.dtype == torch.bool and tuple(value.shape) == (num_envs,)
    return isinstance(value, np.ndarray) and value.dtype == bool and value.shape == (num_envs,)
