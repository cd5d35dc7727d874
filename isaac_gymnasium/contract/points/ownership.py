"""Whether the caller owns what `reset` and `step` return."""

from __future__ import annotations

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.values import overwrite, to_numpy
from isaac_gymnasium.contract.verdict import require_same_outcome


def outputs_kept(case: Case) -> None:
    """What was returned keeps its values during later calls."""
    with case.spare() as env:
        outcomes = case.play(env)
        env.reset(seed=case.seed + 1)
        for index, outcome in enumerate(outcomes):
            now = to_numpy(outcome.live)
            where = "as when it was returned"
            require_same_outcome(outcome.seen, now, index, where)


def outputs_owned(case: Case) -> None:
    """What was returned may be changed in place without an effect."""
    with case.twin() as twin:
        outcomes = case.outcomes(twin)
        for index, (expected, outcome) in enumerate(zip(case.rollout, outcomes, strict=False)):
            where = "as where the outputs before were left alone"
            require_same_outcome(expected.core, outcome.core, index, where)
            overwrite(outcome.live)
