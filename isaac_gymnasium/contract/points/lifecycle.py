"""Closing, and making anew."""

from __future__ import annotations

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.outcome import require_same_rollout
from isaac_gymnasium.contract.verdict import require, require_refusal


def close(case: Case) -> None:
    """`close()` sets `closed` and may be called again."""
    with case.twin() as twin:
        twin.reset(seed=case.seed)
        twin.close()
        require(twin.unwrapped.closed is True, "closed to be True", twin.unwrapped.closed)
        twin.close()


def refuses_after_close(case: Case) -> None:
    """After `close()`, `step` and `reset` raise."""
    with case.twin() as twin:
        twin.reset(seed=case.seed)
        twin.close()
        require_refusal("step() after close()", lambda: twin.step(case.native(case.actions[0])))
        require_refusal("reset() after close()", lambda: twin.reset(seed=case.seed))


def recreation(case: Case) -> None:
    """When all are closed, a new environment gives the same rollout."""
    before = case.rollout
    case.close()
    with case.twin() as twin:
        require_same_rollout(before, case.play(twin), "as before all were closed")
