"""`check_vector_env`: every point of the contract, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gymnasium.vector import VectorEnv

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.points import (
    autoreset,
    inputs,
    interface,
    lifecycle,
    outputs,
    ownership,
    partial_reset,
    seeding,
    tensors,
)
from isaac_gymnasium.contract.report import Point, Report
from isaac_gymnasium.contract.twins import Factory
from isaac_gymnasium.contract.verdict import Failed, NotApplicable, sentence


@dataclass(frozen=True)
class _Check:
    """A point, and those without which it would say nothing of its own."""

    function: Callable[[Case], None]
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def requirement(self) -> str:
        return (self.function.__doc__ or "").splitlines()[0].rstrip(".")


_CHECKS = (
    _Check(interface.runs),
    _Check(interface.spaces),
    _Check(interface.metadata),
    _Check(interface.metadata_per_instance, ("metadata",)),
    _Check(outputs.observations, ("spaces",)),
    _Check(outputs.rewards),
    _Check(outputs.flags),
    _Check(outputs.finite),
    _Check(outputs.one_device),
    _Check(outputs.infos),
    _Check(outputs.exclusive_flags, ("flags",)),
    _Check(seeding.seed_int),
    _Check(seeding.seed_list, ("seed_int",)),
    _Check(seeding.seed_none, ("seed_int",)),
    _Check(seeding.seeds_differ, ("seed_int",)),
    _Check(seeding.rows_differ, ("seeds_differ",)),
    _Check(seeding.reproducible, ("seed_int",)),
    _Check(seeding.refuses_seeds, ("seed_list",)),
    _Check(inputs.sampled_actions, ("spaces",)),
    _Check(inputs.actions_unchanged),
    _Check(inputs.refuses_actions, ("spaces",)),
    _Check(ownership.outputs_kept),
    _Check(ownership.outputs_owned, ("reproducible", "outputs_kept")),
    _Check(autoreset.final_obs, ("metadata", "flags", "observations")),
    _Check(autoreset.final_info, ("metadata", "flags")),
    _Check(autoreset.same_step_reset, ("final_obs",)),
    _Check(autoreset.next_step_reset, ("metadata", "flags", "rewards")),
    _Check(autoreset.next_step_ignores_actions, ("reproducible", "next_step_reset")),
    _Check(autoreset.refuses_ended, ("metadata", "flags")),
    _Check(autoreset.true_successor, ("reproducible", "final_obs", "next_step_reset")),
    _Check(outputs.truncation, ("flags", "same_step_reset", "next_step_reset")),
    _Check(partial_reset.reset_mask),
    _Check(autoreset.next_step_after_mask, ("true_successor", "reset_mask")),
    _Check(partial_reset.reset_mask_isolated, ("reset_mask", "reproducible")),
    _Check(partial_reset.options_unchanged, ("reset_mask",)),
    _Check(partial_reset.refuses_reset_masks, ("reset_mask",)),
    _Check(tensors.no_host_sync),
    _Check(tensors.grad_modes, ("reproducible",)),
    _Check(interface.attributes),
    _Check(interface.render),
    _Check(interface.spec),
    _Check(interface.spec_json, ("spec",)),
    _Check(lifecycle.close),
    _Check(lifecycle.refuses_after_close, ("close",)),
    # The last one: it closes what the others share.
    _Check(lifecycle.recreation, ("reproducible",)),
)


def check_vector_env(
    env_or_factory: VectorEnv[Any, Any, Any] | Factory,
    *,
    seed: int = 0,
    steps: int | None = None,
    forbid_host_reads: bool = False,
) -> Report:
    """Checks a vector environment against gymnasium's contract, point by point.

    The environment may be of NumPy arrays or of torch tensors, on any device. It is reset and
    stepped with random actions; each rollout has a bounded number of steps. An exception in the
    environment fails the point at which it is raised, and the check goes on.

    Some points need a second environment, a twin: of a factory, or of an environment that
    `gymnasium.make_vec` made, twins are made as needed, also with `autoreset_mode="Disabled"` and
    the like. Where there can be none, those points are not applicable and say so.

    Args:
        env_or_factory: What makes the environment, called without arguments and, for a twin in
            another mode, with `autoreset_mode` (a string); or an environment, which is left open,
            to be reset before further use.
        seed: Seed of the rollouts and of the actions.
        steps: Length of the longest rollouts; by default 10 more than `max_episode_steps` where
            that is known and at most 1000, else 200. Points about an episode's end need one
            within that many steps.
        forbid_host_reads: On the CPU, count it as a synchronisation when `step` reads a tensor's
            value or selects by a mask, as it would be one on a GPU. On CUDA, synchronisations
            always count.

    Raises:
        TypeError: If it is neither an environment nor callable.
        ValueError: If `steps` is not positive.

    Returns:
        The report; `str(report)` is a table and `report.raise_for_failures()` for tests.
    """
    case = Case(env_or_factory, seed=seed, steps=steps, forbid_host_reads=forbid_host_reads)
    points: dict[str, Point] = {}
    # A point is blocked when one it needs failed, or was itself blocked.
    blocked: set[str] = set()
    try:
        subject = _describe(case)
        for check in _CHECKS:
            missing = [name for name in ("runs", *check.needs) if name in blocked]
            if missing:
                reason = f"needs the point {missing[0]}, which did not pass"
                point = _point(check, status="n/a", reason=reason)
            else:
                point = _judge(check, case)
            if missing or point.status == "fail":
                blocked.add(check.name)
            points[check.name] = point
    finally:
        case.close()
    return Report(subject=subject, points=tuple(points.values()))


def _judge(check: _Check, case: Case) -> Point:
    try:
        check.function(case)
    except NotApplicable as reason:
        return _point(check, status="n/a", reason=str(reason))
    except Failed as failure:
        case.renew()
        return _point(check, status="fail", expected=failure.expected, got=failure.got)
    except Exception as error:
        case.renew()
        return _point(check, status="fail", expected="no error", got=sentence(error))
    return _point(check, status="pass")


def _point(check: _Check, **kwargs: Any) -> Point:
    return Point(name=check.name, requirement=check.requirement, **kwargs)


def _describe(case: Case) -> str:
    """The environment in one line, as far as it can be made."""
    try:
        mode = "no autoreset mode" if case.mode is None else case.mode.value
        kind = "NumPy arrays" if case.device is None else f"torch tensors on {case.device}"
        return f"{case.env!r}, {mode}, {kind}"
    except Exception as error:
        return f"an environment that fails with {sentence(error)}"
