"""Each kind of bad input is one clear error, and the environment goes on as if nothing had been."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.engines import EngineError
from isaac_gymnasium.state import load_state, save_state

N = 2


def make(id: str = "IsaacCartpole-v0", **kwargs: Any) -> Any:
    return gym.make_vec(id, **{"num_envs": N, "device": "cpu", **kwargs})


# ---------------------------------------------------------------------- making an environment

CONSTRUCTION = [
    ({"num_envs": 0}, "ValueError: num_envs must be an integer of at least 1, got 0"),
    ({"num_envs": 2.5}, "ValueError: num_envs must be an integer of at least 1, got 2.5"),
    ({"dt": -0.01}, "ValueError: dt must be a positive, finite number, got -0.01"),
    ({"dt": "fast"}, "ValueError: dt must be a positive, finite number, got 'fast'"),
    ({"render_size": 5}, "ValueError: render_size must be a width and a height, got 5"),
    ({"log_rewards": "no"}, "ValueError: log_rewards must be True or False, got 'no'"),
    ({"cuda_graphs": 1}, "ValueError: cuda_graphs must be True or False, got 1"),
    ({"deterministic": None}, "ValueError: deterministic must be True or False, got None"),
    ({"decimation": 0}, "ValueError: decimation must be an integer of at least 1, got 0"),
    (
        {"episode_length_s": 1e-4},
        "ValueError: episode_length_s 0.0001 is shorter than one step of 0.016666666666666666 s",
    ),
    (
        {"max_episode_steps": 0},
        "ValueError: max_episode_steps must be an integer of at least 1, got 0",
    ),
    (
        {"autoreset_mode": "Sometimes"},
        "ValueError: autoreset_mode must be one of 'NextStep', 'SameStep', 'Disabled', "
        "got 'Sometimes'",
    ),
    ({"device": "tpu"}, "ValueError: device must be 'auto', 'cpu' or 'cuda:k', got 'tpu'"),
    ({"device": 3.5}, "ValueError: device must be 'auto', 'cpu' or 'cuda:k', got 3.5"),
    (
        {"render_mode": "ansi"},
        "ValueError: render_mode must be None, 'rgb_array' or 'human', got 'ansi'",
    ),
    (
        {"max_force": float("nan")},
        "ValueError: max_force must be a non-negative, finite number, got nan",
    ),
    (
        {"nan_guard": "on"},
        "ValueError: nan_guard must be one of ('reset', 'raise', 'off'), got 'on'",
    ),
    (
        {"randomization": "some"},
        "ValueError: randomization must be 'none' or 'default', got 'some'",
    ),
    (
        {"id": "IsaacFrankaCube-v0", "cube_size": 0.6},
        "ValueError: cube_size must be at most 0.3, or the cube would lie in the arm's base, "
        "got 0.6",
    ),
]


@pytest.mark.parametrize(("kwargs", "message"), CONSTRUCTION)
def test_an_impossible_environment(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make(**kwargs)
    assert f"{type(caught.value).__name__}: {caught.value}" == message


def test_an_engine_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"engine must be 'auto' or one of .*, got 'bullet'"):
        make(engine="bullet")


def test_more_environments_than_fit_are_refused_with_how_many_would() -> None:
    message = r"1000000000 environments do not fit into the .* GiB .* on cpu; about \d+ would"
    with pytest.raises(MemoryError, match=message):
        make(num_envs=10**9)


def test_running_out_of_memory_says_how_many_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from isaac_gymnasium.envs.cartpole import Cartpole

    def post_reset(self: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    with monkeypatch.context() as patch:
        patch.setattr(Cartpole, "post_reset", post_reset)
        with pytest.raises(MemoryError, match=r"8 environments do not .*; about 4 would"):
            make(num_envs=8)
    make().close()


# ---------------------------------------------------------------------- using one

ALL = torch.ones(N, dtype=torch.bool)
NAN = torch.tensor([[0.0], [torch.nan]])
USE: list[tuple[Callable[[Any], Any], str]] = [
    (lambda e: e.step(torch.zeros(N, 2)), "ValueError: actions must have shape (2, 1), got (2, 2)"),
    (lambda e: e.step(torch.zeros(N)), "ValueError: actions must have shape (2, 1), got (2,)"),
    (
        lambda e: e.step(torch.zeros(N, 1, dtype=torch.int64)),
        "TypeError: actions must be floating point, got torch.int64",
    ),
    (
        lambda e: e.step([[0.0], [0.0]]),
        "TypeError: actions must be a torch tensor or a NumPy array, got list",
    ),
    (
        lambda e: e.step(NAN),
        "ValueError: actions must be finite, got NaN or infinity for 1 of 2 environments, the "
        "first is 1",
    ),
    (
        lambda e: e.step(np.full((N, 1), -np.inf)),
        "ValueError: actions must be finite, got NaN or infinity for 2 of 2 environments, the "
        "first is 0",
    ),
    (
        lambda e: e.reset(options={"reset_mask": ~ALL}),
        "ValueError: reset_mask must select at least one environment, got none",
    ),
    (
        lambda e: e.reset(options={"reset_mask": ALL.float()}),
        "TypeError: reset_mask must be a bool array or tensor, got torch.float32",
    ),
    (
        lambda e: e.reset(options={"reset_mask": ALL[:1]}),
        "ValueError: reset_mask must have shape (2,), got (1,)",
    ),
    (
        lambda e: e.reset(options={"reset_mask": [True, True]}),
        "TypeError: reset_mask must be a bool array or tensor, got list",
    ),
    (lambda e: e.reset(options=3), "TypeError: options must be a dict or None, got int"),
    (
        lambda e: e.reset(options={"stagger": "no"}),
        "ValueError: stagger must be True or False, got 'no'",
    ),
    (lambda e: e.fork("1"), "ValueError: source must be an index below 2, got '1'"),
    (
        lambda e: e.set_state({**e.get_state(), "episode_length": torch.full((N,), 0.5)}),
        "ValueError: state 'episode_length' must be torch.int64, got torch.float32",
    ),
    (lambda e: e.reset(seed=[1]), "ValueError: seed must have 2 entries, got 1"),
    (lambda e: e.reset(seed=-1), "ValueError: a seed must be an integer in [0, 2**63), got -1"),
    (lambda e: e.fork(2), "ValueError: source must be an index below 2, got 2"),
    (lambda e: e.set_state(3), "TypeError: a state must be a dict of tensors, got int"),
    (
        lambda e: e.set_state({}),
        "ValueError: not a state of this environment: it lacks 'Robot/dof_efforts'",
    ),
    (
        lambda e: e.set_state({**e.get_state(), "Robot/dof_pos": 3}),
        "ValueError: state 'Robot/dof_pos' must be a tensor, got int",
    ),
    (
        lambda e: e.set_state({**e.get_state(), "Robot/dof_pos": torch.full((N, 2), torch.nan)}),
        "ValueError: state 'Robot/dof_pos' must be finite, got NaN or infinity",
    ),
    (
        lambda e: e.set_state({**e.get_state(), "Robot/dof_pos": torch.zeros(N, 3)}),
        "ValueError: state 'Robot/dof_pos' must have shape (2, *(2,)) or one row, got (2, 3)",
    ),
    (
        lambda e: setattr(e, "max_episode_steps", -1),
        "ValueError: max_episode_steps must be an integer of at least 1, got -1",
    ),
]


@pytest.mark.parametrize(("use", "message"), USE)
def test_bad_use(use: Callable[[Any], Any], message: str) -> None:
    env, twin = make(), make()
    env.reset(seed=0), twin.reset(seed=0)
    with pytest.raises((TypeError, ValueError)) as caught:
        use(env)
    assert f"{type(caught.value).__name__}: {caught.value}" == message
    for _ in range(3):
        mine, other = (e.step(torch.full((N, 1), 0.5)) for e in (env, twin))
        assert torch.equal(mine[0], other[0]), "as if nothing had been"
    env.close(), twin.close()


def test_too_early_and_too_late() -> None:
    env = make()
    for use in (lambda: env.step(torch.zeros(N, 1)), env.get_state):
        with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) first"):
            use()
    with pytest.raises(gym.error.ResetNeeded, match=r"the first reset\(\) must reset every"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset(seed=0)
    env.close()
    for use in (lambda: env.step(torch.zeros(N, 1)), env.reset, env.get_state, env.state):
        with pytest.raises(gym.error.ClosedEnvironmentError, match="the environment is closed"):
            use()


# ---------------------------------------------------------------------- files


def test_a_state_file_brings_the_state_back_and_is_never_half_written(tmp_path: Path) -> None:
    env, file = make(), tmp_path / "state.pt"
    env.reset(seed=0)
    state = env.get_state()
    save_state(state, file)
    with pytest.raises(Exception, match="pickle"):
        save_state({"a": threading.Lock()}, file)  # type: ignore[dict-item]
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
    loaded = load_state(file)
    assert loaded.keys() == state.keys()
    assert torch.equal(env.set_state(loaded), env.step(torch.zeros(N, 1)) and env.set_state(state))
    env.close()


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch evil",)


def test_a_corrupt_or_foreign_state_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_state({"a": torch.zeros(3)}, "good.pt")
    whole = Path("good.pt").read_bytes()
    Path("half.pt").write_bytes(whole[: len(whole) // 2])
    Path("garbage.pt").write_bytes(b"garbage")
    torch.save({"a": torch.zeros(3)}, "foreign.pt")
    torch.save({"format": "isaac_gymnasium.state/1", "state": Evil()}, "evil.pt")
    for name in ("half", "garbage", "foreign", "evil"):
        with pytest.raises(ValueError, match=rf"^{name}.pt is no state file"):
            load_state(f"{name}.pt")
    assert not Path("evil").exists()
    with pytest.raises(ValueError, match=r"^none\.pt: there is no such file"):
        load_state("none.pt")
    env = make()
    with pytest.raises(ValueError, match="not a state of this environment"):
        env.set_state(load_state("good.pt"))
    env.close()


# ---------------------------------------------------------------------- processes and threads


def _step_in_a_child(env: Any, queue: Any) -> None:
    found = []
    again = functools.partial(make, engine="physx")
    for use in (lambda: env.step(torch.zeros(N, 1)), env.reset, again):
        try:
            use()
            found.append("nothing")
        except EngineError as error:
            found.append(str(error))
    env.close()
    queue.put(found)


FORK = """
import sys; sys.path.insert(0, {folder!r})
import multiprocessing, threading
from test_bad_input import _step_in_a_child, make
from isaac_gymnasium import vector_env
from isaac_gymnasium.engines import _physx_runtime
env = make(engine="physx")
env.reset(seed=0)
held, forked = threading.Event(), threading.Event()
def make_another():
    with vector_env._starting, _physx_runtime.lock:
        held.set()
        forked.wait()
threading.Thread(target=make_another).start()
held.wait()
context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=_step_in_a_child, args=(env, queue))
child.start()
forked.set()
for line in queue.get(timeout=60):
    print(line)
child.join(20)
print(child.exitcode)
import torch
print(tuple(env.step(torch.zeros(2, 1))[0].shape))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_fork_is_refused_with_the_reason() -> None:
    pytest.importorskip("ovphysx")
    code = FORK.format(folder=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    step, reset, making, exitcode, after = done.stdout.strip().splitlines()[-5:]
    assert "does not survive the fork into this one; start worker processes with" in step
    assert reset == step
    assert "does not survive a fork; start worker processes with the 'spawn'" in making
    assert exitcode == "0"
    assert after == "(2, 4)", "the parent goes on"


def _rollout(seed: int, engine: str = "physx") -> torch.Tensor:
    torch.set_num_threads(1)
    env = make("IsaacFrankaCube-v0", num_envs=4, engine=engine)
    found = [env.reset(seed=seed)[0]]
    generator = torch.Generator().manual_seed(seed)
    found += [env.step(torch.rand(4, 7, generator=generator) * 2 - 1)[0] for _ in range(30)]
    env.close()
    return torch.stack(found)


def _spawned(seed: int) -> Any:
    return _rollout(seed).numpy()


# Environments are made and closed while the other thread steps its own, and one thread closes the
# last of all: neither engine can bear that without help.
@pytest.mark.parametrize("engine", ["physx", "newton"])
def test_threads_each_have_environments_of_their_own(engine: str) -> None:
    pytest.importorskip({"physx": "ovphysx"}.get(engine, engine))
    seeds = range(6)
    alone = [_rollout(seed, engine) for seed in seeds]
    found: dict[int, torch.Tensor] = {}

    def roll(own: range) -> None:
        for seed in own:
            found[seed] = _rollout(seed, engine)

    threads = [threading.Thread(target=roll, args=(seeds[k::2],), daemon=True) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(found) == list(seeds)
    assert all(torch.equal(found[seed], alone[seed]) for seed in seeds)


def test_spawned_processes_each_have_environments_of_their_own() -> None:
    pytest.importorskip("ovphysx")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, multiprocessing; sys.path.insert(0, sys.argv[1])\n"
            "if __name__ == '__main__':\n"
            "    from test_bad_input import _spawned\n"
            "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
            "        print(float(pool.apply(_spawned, (0,)).sum()))",
            str(Path(__file__).parent),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) == float(_spawned(0).sum())
