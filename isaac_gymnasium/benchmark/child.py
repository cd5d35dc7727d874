"""The process of one case: makes the environment, times it, prints the result as JSON."""

from __future__ import annotations

import time

_ENTERED = time.time()

import json  # noqa: E402 (the clock has to be first)
import resource  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from contextlib import closing, nullcontext  # noqa: E402
from dataclasses import asdict  # noqa: E402
from functools import partial  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import torch  # noqa: E402

from isaac_gymnasium.benchmark.case import SETTLE, Case, Result, Spread  # noqa: E402
from isaac_gymnasium.provenance import versions  # noqa: E402

if TYPE_CHECKING:
    from isaac_gymnasium.benchmark.peers import Peer

_PERIOD = 64
"""Steps after which the random actions repeat."""
_UNDER_PEERS = ("gymnasium", "numpy", "torch", "mujoco", "mujoco-warp", "warp-lang", "rsl-rl-lib")
"""Distributions that figures of peers depend on."""
_RECORDING = 6
"""Steps until changed parts of a step are recorded as CUDA graphs again."""


def main() -> None:
    """Measures the case given as JSON in the first argument."""
    request = json.loads(sys.argv[1])
    result = run(Case(**request["case"]), request["started"])
    # The last line: libraries print, too.
    print("\n" + json.dumps(asdict(result)), flush=True)


def run(case: Case, started: float) -> Result:
    """Measure one case in this process.

    Args:
        case: what to measure.
        started: `time.time()` when the process was started.
    """
    from isaac_gymnasium.benchmark.peers import find_peer

    peer = find_peer(case.id)
    return _run_peer(case, peer, started) if peer else _run_own(case, started)


def _run_own(case: Case, started: float) -> Result:
    import gymnasium

    from isaac_gymnasium.benchmark.bare_loop import bare_loop
    from isaac_gymnasium.benchmark.workloads import (
        adapter_steps,
        picture_steps,
        policy_step,
        training_speeds,
    )
    from isaac_gymnasium.cli._environment import import_task_module

    import_task_module(case.id)
    clock = _Clock(started)
    clock.note("import")
    env: Any = gymnasium.make_vec(
        case.id.rpartition(":")[2],
        num_envs=case.num_envs,
        engine=case.engine,
        device=case.device,
        **case.keywords,
    )
    with closing(env):
        wait = _waiter(env.device)
        wait()
        clock.note("make")
        env.reset(seed=0)
        wait()
        clock.note("reset")
        low, high = (
            torch.as_tensor(bound).to(env.device)
            for bound in (env.single_action_space.low, env.single_action_space.high)
        )
        shape = (_PERIOD, case.num_envs, *env.single_action_space.shape)
        actions = low + (high - low) * torch.rand(shape, device=env.device)
        env.step(actions[0])
        wait()
        clock.note("step")

        random = _Cycle(lambda k: env.step(actions[k]))
        for _ in range(case.warm_up):
            random()
        bare = bare_loop(env)
        for _ in range(5):
            bare()
            random()
        speeds = {"random": _speed(case, random, wait)}
        # The step first: what comes after it moves by the same targets.
        physics = partial(env.engine.step, env.task.decimation)
        turns = _turn_about(case, {"step": random, "engine": bare, "physics": physics}, wait)
        turns |= _turn_about(case, {"reset": env.reset}, wait)
        turns["resets"] = _reset_share(case, env, random, wait)
        megabytes = _memory(env.device)
        if case.policy:
            chosen = policy_step(env, case.id)
            for _ in range(5):
                chosen()
            speeds["policy"] = _speed(case, chosen, wait)
        more: dict[str, Callable[[], object]] = {}
        if case.adapters:
            more |= adapter_steps(env, _Cycle(lambda k: actions[k]))
        if case.rendering:
            more |= picture_steps(env)
        for step in more.values():
            step()
        turns |= _turn_about(case, more, wait)
        if case.training:
            speeds["training"] = _spread(training_speeds(env, case.id, case.repeats, wait))
        return Result(
            case=case,
            engine=env.engine.name,
            device=_device_name(env.device),
            dt=env.task.dt,
            decimation=env.task.decimation,
            seconds=clock.seconds(),
            steps_per_second=speeds,
            milliseconds=turns,
            megabytes=megabytes,
            versions=versions(),
        )


def _run_peer(case: Case, peer: Peer, started: float) -> Result:
    clock = _Clock(started)
    clock.note("import")
    env = peer.make(case)
    with closing(env):
        device = torch.device(getattr(env, "device", "cpu"))
        wait = _waiter(device)
        wait()
        clock.note("make")
        env.reset()
        wait()
        clock.note("reset")
        actions = [env.action_space.sample() for _ in range(_PERIOD)]
        env.step(actions[0])
        wait()
        clock.note("step")
        random = _Cycle(lambda k: env.step(actions[k]))
        for _ in range(case.warm_up):
            random()
        speeds = {"random": _speed(case, random, wait)}
        if case.training and hasattr(env, "training_speeds"):
            updates = env.training_speeds(SETTLE + case.repeats, wait)
            speeds["training"] = _spread(updates[SETTLE:])
        return Result(
            case=case,
            engine=peer.library,
            device=_device_name(device),
            dt=peer.dt,
            decimation=peer.decimation,
            seconds=clock.seconds(),
            steps_per_second=speeds,
            milliseconds={},
            megabytes=_memory(device),
            versions=versions((peer.package, *peer.modules, *_UNDER_PEERS)),
        )


class _Clock:
    """Stages between the start of the process and the first step."""

    def __init__(self, started: float) -> None:
        self._started = self._last = started
        self._stages: dict[str, float] = {}

    def note(self, stage: str) -> None:
        now = time.time()
        self._stages[stage] = now - self._last
        self._last = now

    def seconds(self) -> dict[str, float]:
        return {**self._stages, "total": self._last - self._started}


class _Cycle:
    """Calls a function with 0, 1, ... and starts anew after the last of the random actions."""

    def __init__(self, function: Callable[[int], object]) -> None:
        self._function = function
        self._count = 0

    def __call__(self) -> Any:
        self._count += 1
        return self._function((self._count - 1) % _PERIOD)


def _waiter(device: torch.device) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def _speed(
    case: Case, step: Callable[[], object], wait: Callable[[], None], calls: int | None = None
) -> Spread:
    calls = calls or case.steps
    speeds = []
    for _ in range(case.repeats):
        wait()
        start = time.perf_counter()
        for _ in range(calls):
            step()
        wait()
        speeds.append(case.num_envs * calls / (time.perf_counter() - start))
    return _spread(speeds)


def _turn_about(
    case: Case, steps: dict[str, Callable[[], object]], wait: Callable[[], None]
) -> dict[str, Spread]:
    """Milliseconds of one call, measured turn about.

    So all see the same clocks and the same physics: arms that press on something take longer.
    """
    means: dict[str, list[float]] = {name: [] for name in steps}
    calls = max(1, case.steps // 4)
    for _ in range(case.repeats):
        totals = dict.fromkeys(steps, 0.0)
        for _ in range(calls):
            for name, step in steps.items():
                wait()
                start = time.perf_counter()
                step()
                wait()
                totals[name] += time.perf_counter() - start
        for name, total in totals.items():
            means[name].append(1e3 * total / calls)
    return {name: _spread(values) for name, values in means.items()}


def _reset_share(case: Case, env: Any, step: Callable[[], object], wait: Any) -> Spread:
    """Milliseconds of a step that resets take: with them and without, turn about.

    Seconds without a reset would let bodies fly off, which is other physics.
    """
    from isaac_gymnasium.benchmark.workloads import without_resets

    calls = min(64, case.steps)
    differences = []
    for _ in range(case.repeats):
        seconds = []
        for context in (without_resets(env), nullcontext()):
            with context:
                for _ in range(_RECORDING):
                    step()
                wait()
                start = time.perf_counter()
                for _ in range(calls):
                    step()
                wait()
                seconds.append(time.perf_counter() - start)
        differences.append(1e3 * (seconds[1] - seconds[0]) / calls)
    env.reset()
    return _spread(differences)


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def _memory(device: torch.device) -> dict[str, float]:
    # Linux counts in KiB, macOS in bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    megabytes = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        megabytes["device"] = (total - free) / 2**20
    return megabytes


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


if __name__ == "__main__":
    main()
