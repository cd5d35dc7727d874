"""What the first step loads: nothing that it does not use, since every package takes its time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

STAGES = """
import json, sys
import gymnasium, torch
seen = set(sys.modules)

def stage(name):
    new = sorted(set(sys.modules) - seen)
    seen.update(new)
    print(json.dumps([name, new]))

import isaac_gymnasium
stage("import")
envs = gymnasium.make_vec("IsaacCartpole-v0", num_envs=4, device="cpu", engine=ENGINE)
envs.reset(seed=0)
envs.step(envs.action_space.sample())
stage("step")
envs.close()
import isaac_gymnasium.cli
stage("cli")
"""
# As packages, whatever the extras installed.
LIBRARIES = {"matplotlib", "ray", "rl_games", "rsl_rl", "skrl", "stable_baselines3", "torchrl"}
TOOLS = {"imageio_ffmpeg", "onnx", "pandas", "PIL", "scipy", "sphinx", "tensorboard", "viser"}
ENGINES = {"isaacsim", "mujoco", "newton", "ovphysx", "pxr", "warp"}
COMMANDS = {"tqdm", "tyro"}


@pytest.fixture(scope="module")
def stages() -> dict[str, list[str]]:
    pytest.importorskip("ovphysx")
    code = STAGES.replace("ENGINE", repr("physx"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))


def packages(names: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def rooms(names: list[str]) -> set[str]:
    ours = [name.split(".") for name in names if name.startswith("isaac_gymnasium.")]
    return {parts[1] for parts in ours}


def test_importing_the_package_loads_neither_an_engine_nor_a_library(stages) -> None:
    loaded = packages(stages["import"])
    assert not loaded & (LIBRARIES | TOOLS | ENGINES | COMMANDS)
    # What registers IDs, what a task is written with, and the checker; the loop waits for make_vec.
    allowed = {"contract", "presets", "registration", "scene", "task", "transforms", "tree"}
    assert rooms(stages["import"]) <= allowed


def test_the_first_step_loads_one_task_and_one_engine(stages) -> None:
    loaded = packages(stages["step"])
    assert {"ovphysx", "pxr"} <= loaded
    assert not loaded & (LIBRARIES | TOOLS | COMMANDS | (ENGINES - {"ovphysx", "pxr"}))
    ours = {name for name in stages["step"] if name.startswith("isaac_gymnasium.")}
    assert {name for name in ours if name.startswith("isaac_gymnasium.envs.")} == {
        "isaac_gymnasium.envs.cartpole"
    }
    assert {name for name in ours if name.startswith("isaac_gymnasium.robots.")} == {
        "isaac_gymnasium.robots.cartpole"
    }
    unused = {"audit", "benchmark", "cli", "doctor", "integrations", "rendering", "viewer"}
    assert not rooms(stages["step"]) & (unused | {"policies", "sensors", "wrappers"})


def test_the_command_line_waits_with_libraries_until_one_is_asked_for(stages) -> None:
    loaded = packages(stages["cli"])
    assert "tyro" in loaded
    assert not loaded & (LIBRARIES | TOOLS)
