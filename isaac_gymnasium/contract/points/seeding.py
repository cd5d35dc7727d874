"""What the seed of a reset decides."""

from __future__ import annotations

from functools import partial
from typing import Any

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.outcome import require_same_rollout, reset
from isaac_gymnasium.contract.twins import AnyVectorEnv, spec_of
from isaac_gymnasium.contract.values import equal, row
from isaac_gymnasium.contract.verdict import (
    Failed,
    NotApplicable,
    require,
    require_refusal,
    require_same,
)

_FEW_STEPS = 32


def seed_int(case: Case) -> None:
    """`reset(seed=int)` gives the same observations each time."""
    first = case.play(case.env, actions=case.actions[:3])[0]
    again = _start(case.env, seed=case.seed)
    require_same(first.seen["obs"], again, "obs", f"as reset(seed={case.seed}) gave before")


def seed_list(case: Case) -> None:
    """`reset(seed=list)` does too, and the list may have None in it."""
    seeds: list[int | None] = [case.seed + 13 * index for index in range(case.num_envs)]
    first = _start(case.env, seed=seeds)
    again = _start(case.env, seed=list(seeds))
    require_same(first, again, "obs", f"as reset(seed={seeds}) gave before")
    reset(case.env, seed=[*seeds[:-1], None])


def seed_none(case: Case) -> None:
    """`reset()` goes on with the random numbers of the seed before."""
    rounds = []
    for _ in range(2):
        start = _start(case.env, seed=case.seed)
        rounds.append([start, *(_start(case.env) for _ in range(3))])
    for first, again in zip(*rounds, strict=True):
        require_same(first, again, "obs", f"as after the first reset(seed={case.seed})")
    start, *later = rounds[0]
    if case.starts_are_random:
        require(
            not all(equal(start, obs) for obs in later),
            "reset() to draw new starts",
            f"three times the start of reset(seed={case.seed})",
        )


def seeds_differ(case: Case) -> None:
    """Different seeds give different rollouts."""
    if case.starts_are_random:
        return
    actions = case.actions[:_FEW_STEPS]
    seeded = [case.play(case.env, seed=seed, actions=actions) for seed in case.seeds]
    cores = [[outcome.core for outcome in rollout] for rollout in seeded]
    if not all(equal(cores[0], core) for core in cores[1:]):
        return
    unseeded = [_start(case.env) for _ in range(4)]
    if all(equal(unseeded[0], obs) for obs in unseeded[1:]):
        raise NotApplicable("nothing in the environment is random")
    raise Failed(f"rollouts to differ between the seeds {case.seeds}", "equal rollouts")


def rows_differ(case: Case) -> None:
    """An int seed gives every environment a start of its own."""
    if case.num_envs == 1:
        raise NotApplicable("there is one environment")
    if not case.starts_are_random:
        raise NotApplicable("the starts are not random")
    for seed in case.seeds:
        obs = _start(case.env, seed=seed)
        first = row(obs, 0)
        if not all(equal(first, row(obs, index)) for index in range(1, case.num_envs)):
            return
    raise Failed("observations that differ between environments", "the same start for all")


def reproducible(case: Case) -> None:
    """The same seed and actions give the same rollout, in a twin too."""
    spec = spec_of(case.env)
    if spec is not None and spec.nondeterministic:
        raise NotApplicable("the spec says that the environment is nondeterministic")
    require_same_rollout(case.rollout, case.play(case.env), "as in the first rollout")
    try:
        with case.twin() as twin:
            require_same_rollout(case.rollout, case.play(twin), "as in its twin")
    except NotApplicable:
        # One environment has shown what it can.
        return


def refuses_seeds(case: Case) -> None:
    """`reset(seed=list)` refuses a list of the wrong length."""
    with case.spare() as env:
        for length in (case.num_envs + 1, case.num_envs - 1):
            seeds = list(range(length))
            require_refusal(
                f"reset(seed=...) with {length} seeds for {case.num_envs} environments",
                partial(reset, env, seed=seeds),
            )


def _start(env: AnyVectorEnv, **kwargs: Any) -> Any:
    return reset(env, **kwargs).seen["obs"]
