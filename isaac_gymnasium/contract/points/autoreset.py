"""What happens to an environment whose episode has ended, in each autoreset mode."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.outcome import Outcome, step
from isaac_gymnasium.contract.spaces import require_in_space
from isaac_gymnasium.contract.values import equal, row, with_rows
from isaac_gymnasium.contract.verdict import (
    NotApplicable,
    require,
    require_refusal,
    require_same,
    require_same_outcome,
)

_NEXT_STEP, _SAME_STEP = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP
_DISABLED = AutoresetMode.DISABLED
# Modes of a twin that shows the true successor, the simplest first.
_TWIN_MODES = {
    _SAME_STEP: (_DISABLED, _NEXT_STEP),
    _NEXT_STEP: (_DISABLED, _SAME_STEP),
    _DISABLED: (_NEXT_STEP, _SAME_STEP),
}


def final_obs(case: Case) -> None:
    """SameStep: an episode's end brings `final_obs` and its mask."""
    _require_mode(case, _SAME_STEP)
    for _, outcome, ended in case.steps_with_end():
        info = outcome.live["info"]
        require("final_obs" in info, "final_obs in the info of the step", f"{sorted(info)}")
        value = info["final_obs"]
        if isinstance(value, np.ndarray) and value.dtype == object:
            for index in np.flatnonzero(ended):
                space = case.env.single_observation_space
                require_in_space(space, value[index], f"final_obs[{index}]")
        else:
            require_in_space(case.env.observation_space, value, "final_obs", ended)
    for outcome in case.rollout:
        if "final_obs" in outcome.live["info"]:
            _require_mask(case, outcome, "_final_obs")


def final_info(case: Case) -> None:
    """SameStep: an episode's end brings `final_info` and its mask."""
    _require_mode(case, _SAME_STEP)
    for _, outcome, _ in case.steps_with_end():
        info = outcome.live["info"]
        require("final_info" in info, "final_info in the info of the step", f"{sorted(info)}")
        require(isinstance(info["final_info"], dict), "final_info to be a dict", info["final_info"])
        _require_mask(case, outcome, "_final_info")


def same_step_reset(case: Case) -> None:
    """SameStep: the step that ends an episode returns the next start."""
    _require_mode(case, _SAME_STEP)
    tells = False
    for flag in ("terminated", "truncated"):
        pairs = []
        for _, outcome, _ in case.steps_with_end():
            for k in map(int, np.flatnonzero(outcome.seen[flag])):
                last = row(outcome.seen["info"]["final_obs"], k)
                pairs.append((k, last, row(outcome.seen["obs"], k)))
        tells |= _require_new_episodes(case, pairs, f"where {flag}")
    if not tells:
        raise NotApplicable("every episode ended where it had begun")


def next_step_reset(case: Case) -> None:
    """NextStep: the step after an end resets, pays 0 and sets no flag."""
    _require_mode(case, _NEXT_STEP)
    pairs = []
    for index, outcome, ended in _ends_with_successor(case):
        after = case.rollout[index + 1]
        reward = np.asarray(after.seen["reward"])[ended]
        require(not reward.any(), "reward 0 in the step after an episode's end", str(reward))
        flags = after.ended(case.num_envs) & ended
        require(not flags.any(), "no flag in the step after an episode's end", "a flag")
        for k in map(int, np.flatnonzero(ended)):
            pairs.append((k, row(outcome.seen["obs"], k), row(after.seen["obs"], k)))
    _require_new_episodes(case, pairs, "in the step after an episode's end")


def next_step_ignores_actions(case: Case) -> None:
    """NextStep: the step after an end ignores the action."""
    _require_mode(case, _NEXT_STEP)
    index, _, ended = next(_ends_with_successor(case))
    actions = list(case.actions[: index + 3])
    actions[index] = _with_other_rows(case, actions[index], ended)
    again = case.play(case.env, actions=actions)
    others = np.flatnonzero(ended).tolist()
    for place in range(index + 1, len(again)):
        where = f"as with other actions for environments {others} in the step that resets them"
        require_same_outcome(case.rollout[place].core, again[place].core, place, where)


def next_step_after_mask(case: Case) -> None:
    """NextStep: where a mask has reset ended ones, the next step acts."""
    _require_mode(case, _NEXT_STEP)
    outcomes = []
    with case.twin(_DISABLED) as twin:
        for env in (twin, case.env):
            ended = case.play(env, until_end=True)[-1].ended(case.num_envs)
            if not ended.any():
                raise NotApplicable(f"no episode ended within {case.steps} steps")
            env.reset(options={"reset_mask": ended})
            outcomes.append(step(env, case.native(case.actions[0])).core)
    where = f"as in the mode {_DISABLED.value}, in the step after a reset by mask"
    for name, expected in outcomes[0].items():
        require_same(expected, outcomes[1][name], name, where)


def refuses_ended(case: Case) -> None:
    """Disabled: `step` refuses to go on where an episode has ended."""
    _require_mode(case, _DISABLED)
    with case.spare() as env:
        outcomes = case.play(env, until_end=True)
        ended = outcomes[-1].ended(case.num_envs)
        if not ended.any():
            raise NotApplicable(f"no episode ended within {case.steps} steps")
        require_refusal(
            "step() after an episode's end, without a reset,",
            lambda: env.step(case.native(case.actions[0])),
        )


def true_successor(case: Case) -> None:
    """The step that ends an episode tells the state that it led to."""
    assert case.mode is not None
    seen = False
    with case.twin(*_TWIN_MODES[case.mode]) as twin:
        for seed in case.seeds:
            outcome = case.play(case.env, seed=seed, until_end=True)[-1]
            other = case.play(twin, seed=seed, until_end=True)[-1]
            ended = outcome.ended(case.num_envs)
            seen |= bool(ended.any())
            twin_mode = twin.metadata["autoreset_mode"]
            where = f"as in the mode {twin_mode.value}"
            for name in ("reward", "terminated", "truncated"):
                require_same(other.seen[name], outcome.seen[name], name, where)
            for k in range(case.num_envs):
                require_same(
                    _last_obs(other, twin_mode, k, ended[k]),
                    _last_obs(outcome, case.mode, k, ended[k]),
                    f"final_obs[{k}]" if ended[k] else f"obs[{k}]",
                    where,
                )
    if not seen:
        raise NotApplicable(f"no episode ended within {case.steps} steps")


def _last_obs(outcome: Outcome, mode: AutoresetMode, index: int, ended: bool) -> Any:
    if ended and mode == _SAME_STEP:
        return row(outcome.seen["info"]["final_obs"], index)
    return row(outcome.seen["obs"], index)


def _require_mode(case: Case, mode: AutoresetMode) -> None:
    if case.mode != mode:
        is_mode = "None" if case.mode is None else case.mode.value
        raise NotApplicable(f"the autoreset mode is {is_mode}")


def _require_mask(case: Case, outcome: Outcome, name: str) -> None:
    mask, ended = outcome.seen["info"].get(name), outcome.ended(case.num_envs)
    require(
        isinstance(mask, np.ndarray) and mask.dtype == bool and np.array_equal(mask, ended),
        f"{name} to be terminated | truncated, {ended.tolist()}",
        str(mask.tolist()) if isinstance(mask, np.ndarray) else mask,
    )


def _require_new_episodes(case: Case, pairs: list[tuple[int, Any, Any]], where: str) -> bool:
    """Fails the point if every observation after a reset is the one before it.

    Args:
        case: The case.
        pairs: Environment, observation before and after the reset.
        where: When that was.

    Returns:
        Whether there was an observation from which that can be told.
    """
    starts = case.rollout[0].seen["obs"]
    # One that ends where it began tells nothing.
    kept = [equal(last, obs) for k, last, obs in pairs if not equal(last, row(starts, k))]
    require(
        not kept or not all(kept),
        f"the obs of a new episode {where}",
        "the last observation of the old one",
    )
    return bool(kept)


def _ends_with_successor(case: Case) -> Iterator[tuple[int, Outcome, np.ndarray]]:
    found = False
    for index, outcome, ended in case.steps_with_end():
        if index + 1 < len(case.rollout):
            found = True
            yield index, outcome, ended
    if not found:
        raise NotApplicable("the first episode ended with the last step")


def _with_other_rows(case: Case, actions: Any, mask: np.ndarray) -> Any:
    """The actions with other ones in the rows of a mask."""
    space = copy.deepcopy(case.env.action_space)
    space.seed(case.seed + 1)
    for _ in range(20):
        mixed = with_rows(actions, space.sample(), mask)
        if not equal(actions, mixed):
            return mixed
    raise NotApplicable("the action space has one action only")
