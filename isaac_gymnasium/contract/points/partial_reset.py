"""`reset(options={"reset_mask": mask})`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.outcome import Outcome, reset, step
from isaac_gymnasium.contract.values import equal, rows, with_rows
from isaac_gymnasium.contract.verdict import NotApplicable, require, require_refusal, require_same

_BEFORE = (3, 5, 8)
_AFTER = 6


def reset_mask(case: Case) -> None:
    """`reset` with a mask resets those rows and changes no other."""
    mask = _mask(case)
    kinds: list[Callable[[np.ndarray], Any]] = [np.array]
    if case.device is not None:
        kinds.append(torch.tensor)
    moved = restarted = False
    for kind in kinds:
        for before in _BEFORE:
            start, *_, last = (one.seen["obs"] for one in _play_without_end(case, before))
            obs = reset(case.env, options={"reset_mask": kind(mask)}).seen["obs"]
            _require_same_rows(last, obs, ~mask, "as the step before the reset returned it")
            moved |= not equal(rows(start, mask), rows(last, mask))
            restarted |= not equal(rows(last, mask), rows(obs, mask))
    if not moved:
        raise NotApplicable("the observations do not change in a few steps")
    require(restarted, "new observations where the mask is set", "those of the step before")


def reset_mask_isolated(case: Case) -> None:
    """The other environments go on as if nothing had been reset."""
    mask = _mask(case)
    base = _play_without_end(case, _BEFORE[0] + _AFTER)
    if len(base) < 3:
        raise NotApplicable("an episode ended within two steps")
    before = min(_BEFORE[0], len(base) - 2)
    _play_without_end(case, before)
    case.env.reset(options={"reset_mask": mask.copy()})
    for index in range(before, len(base) - 1):
        outcome = step(case.env, case.native(case.actions[index]))
        for name, value in outcome.core.items():
            expected = base[index + 1].seen[name]
            where = f"as without a reset {index + 1 - before} steps before"
            _require_same_rows(expected, value, ~mask, where, name)
        if outcome.ended(case.num_envs).any():
            break


def options_unchanged(case: Case) -> None:
    """`reset` changes neither the dict `options` nor the mask in it."""
    given = _mask(case) if case.num_envs > 1 else np.ones(1, dtype=bool)
    mask = given.copy()
    options = {"reset_mask": given}
    case.env.reset(seed=case.seed)
    case.env.reset(options=options)
    require(
        options.keys() == {"reset_mask"} and options["reset_mask"] is given,
        "options to hold the reset_mask it was given",
        f"{options}",
    )
    require(np.array_equal(given, mask), f"the mask {mask.tolist()}", f"{given.tolist()}")


def refuses_reset_masks(case: Case) -> None:
    """`reset` refuses a mask that is not bool, not (N,), or all False."""
    count = case.num_envs
    wrong: dict[str, np.ndarray] = {
        "of int64": np.ones(count, dtype=np.int64),
        f"of shape ({count + 1},)": np.ones(count + 1, dtype=bool),
        "that selects no environment": np.zeros(count, dtype=bool),
    }
    with case.spare() as env:
        for what, mask in wrong.items():
            env.reset(seed=case.seed)
            require_refusal(
                f"reset with a reset_mask {what}",
                partial(env.reset, options={"reset_mask": mask}),
            )


def _mask(case: Case) -> np.ndarray:
    """Every other environment."""
    if case.num_envs == 1:
        raise NotApplicable("there is one environment")
    return np.array([index % 2 == 0 for index in range(case.num_envs)])


def _play_without_end(case: Case, steps: int) -> list[Outcome]:
    """A rollout of at most that many steps, none of which ends an episode."""
    actions = case.actions[:steps]
    outcomes = case.play(case.env, actions=actions, until_end=True)
    if outcomes[-1].ended(case.num_envs).any():
        actions = actions[: len(outcomes) - 2]
        outcomes = case.play(case.env, actions=actions)
    if len(outcomes) == 1:
        raise NotApplicable("an episode ended in the first step")
    return outcomes


def _require_same_rows(
    expected: Any, got: Any, mask: np.ndarray, where: str, name: str = "obs"
) -> None:
    require_same(expected, with_rows(got, expected, ~mask), name, where)
