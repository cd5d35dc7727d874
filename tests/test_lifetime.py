"""Environments come and go, and leave nothing behind but what their engine leaves."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import gymnasium as gym
import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.envs.cartpole import Cartpole

CYCLES = """
import gc, sys
import gymnasium as gym
import torch

import isaac_gymnasium
from isaac_gymnasium.engines import load_engine
from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.scene.builder import Scene

torch.set_num_threads(1)
N = 32


def bare():
    task = Cartpole()
    scene = Scene(env_spacing=task.env_spacing)
    task.set_up_scene(scene)
    engine = load_engine("physx")(scene, N, task.dt, torch.device("cpu"))
    robot = engine.articulation("Robot")
    robot.dof_pos, robot.dof_vel
    for _ in range(3):
        robot.set_dof_efforts(torch.zeros(N, 2))
        engine.step(2)
        robot.dof_pos, robot.dof_vel
    engine.close()


def env():
    env = gym.make_vec("IsaacCartpole-v0", num_envs=N, engine="physx", device="cpu")
    env.reset(seed=0)
    for _ in range(3):
        env.step(torch.zeros(N, 1))
    env.close()


def megabytes(cycle, cycles=20):
    for _ in range(4):
        cycle()
    gc.collect()
    before = resident()
    for _ in range(cycles):
        cycle()
    gc.collect()
    return (resident() - before) / cycles


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


print(megabytes(bare), megabytes(env))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_twenty_cycles_cost_no_more_memory_than_the_bare_engine() -> None:
    pytest.importorskip("ovphysx")
    done = subprocess.run(
        [sys.executable, "-c", CYCLES], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    bare, env = map(float, done.stdout.split()[-2:])
    # One environment kept alive would be more than a megabyte.
    assert env < bare + 0.25, f"MB per cycle: engine {bare:.2f}, environment {env:.2f}"


def test_a_closed_environment_is_freed(engine_name: str) -> None:
    env = gym.make_vec("IsaacCartpole-v0", num_envs=2, engine=engine_name, device="cpu")
    env.reset(seed=0)
    env.step(torch.zeros(2, 1))
    assert isinstance(env.task, Cartpole)
    kept = [weakref.ref(part) for part in (env, env.task, env.engine, env.engine.scene)]
    env.close()
    del env
    gc.collect()
    assert [ref() for ref in kept] == [None] * 4


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs Linux' shared memory")
@pytest.mark.parametrize("last", ["env.close()", "sys.exit(3)", "pass"])
def test_a_process_that_ends_leaves_no_shared_memory(last: str) -> None:
    pytest.importorskip("ovphysx")
    code = f"""
import os, sys
from isaac_gymnasium.vector_env import IsaacVectorEnv

env = IsaacVectorEnv("isaac_gymnasium.envs.cartpole:Cartpole", 2, device="cpu", engine="physx")
env.reset(seed=0)
print(os.getpid(), any(name.endswith(f"-{{os.getpid()}}") for name in os.listdir("/dev/shm")))
{last}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pid, used = done.stdout.split()
    assert used == "True", "ovphysx has none any more: this test and the removal can go"
    assert not [path for path in Path("/dev/shm").iterdir() if path.name.endswith(f"-{pid}")]


STEPPING = """
import threading, time
import torch
from isaac_gymnasium.vector_env import IsaacVectorEnv

torch.set_num_threads(1)
where = "isaac_gymnasium.envs.cartpole:Cartpole"
env = IsaacVectorEnv(where, 4, device="cpu", engine={engine!r})
env.reset(seed=0)


def go_on():
    while True:
        env.step(torch.zeros(4, 1))


{start}
while env.rng.episode.sum() == 0:  # until the thread has stepped for a while
    time.sleep(0.01)
print("the end")
"""
STARTS = {
    "a thread": "threading.Thread(target=go_on, daemon=True).start()",
    "a view": "env.max_episode_steps = 5; view = env.view(port=8091)",
}


@pytest.mark.parametrize(
    ("start", "engine"), [("a thread", "physx"), ("a thread", "newton"), ("a view", "physx")]
)
def test_a_process_ends_quietly_while_a_daemon_thread_steps(start: str, engine: str) -> None:
    pytest.importorskip({"physx": "ovphysx"}.get(engine, engine))
    if start == "a view":
        pytest.importorskip("viser")
    code = STEPPING.format(engine=engine, start=STARTS[start])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "the end" in done.stdout
    for trouble in ("Traceback", "Error", "terminate"):
        assert trouble not in done.stderr, done.stderr
