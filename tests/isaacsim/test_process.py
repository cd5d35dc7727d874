"""Kit from start to end of a process of its own, on the stand-in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ovphysx")
ROOT = Path(__file__).parents[2]
KIT = Path(__file__).parent / "kit"


def run(code: str, version: str = "5.1", **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | environment
    env["PYTHONPATH"] = os.pathsep.join([str(KIT), str(ROOT)])
    env["KIT_STANDIN_VERSION"] = version
    for variable in ("OMNI_KIT_ACCEPT_EULA", "ACCEPT_EULA"):
        env.pop(variable, None)
    return subprocess.run(
        [sys.executable, "-c", code, "--an-option-of-ours"],
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


TWO_LIVES = """
import signal, sys
import gymnasium as gym, torch
import isaac_gymnasium
from isaac_gymnasium.registration import registered_tasks
registered_tasks()
roots = {name.partition(".")[0] for name in sys.modules}
assert not roots & {"isaacsim", "omni", "carb", "pxr"}, roots
handler = signal.getsignal(signal.SIGINT)
for _ in range(2):
    env = gym.make_vec("IsaacCartpole-v0", num_envs=3, engine="isaacsim", device="cpu")
    env.reset(seed=0)
    env.step(torch.zeros(3, 1))
    env.close()
from kit_world import WORLD
assert WORLD.running, "close() of an environment must not close Kit"
assert signal.getsignal(signal.SIGINT) is handler
assert "--an-option-of-ours" in sys.argv
print("end of the program")
"""


@pytest.mark.parametrize("version", ["5.1", "6.0"])
def test_kit_starts_once_and_ends_with_the_process(version: str) -> None:
    done = run(TWO_LIVES + "raise RuntimeError('a mistake')", version)
    assert "end of the program" in done.stdout, done.stderr
    assert "a mistake" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("version", ["5.1", "6.0"])
def test_the_status_of_the_command_line_is_that_of_the_process(version: str) -> None:
    program = """
import sys
from isaac_gymnasium.cli import main
from isaac_gymnasium.engines.isaacsim import start
start()
sys.exit(main({command!r}))
"""
    assert run(program.format(command=["doctor", "--engine", "havok"]), version).returncode == 2


@pytest.mark.parametrize(
    ("code", "message", "environment"),
    [
        ("import pxr", "pxr was imported before Isaac Sim", {}),
        (
            "gym.make_vec('IsaacCartpole-v0', engine='physx', device='cpu').close()",
            "imported before Isaac Sim",
            {},
        ),
        ("", "set OMNI_KIT_ACCEPT_EULA=YES", {"KIT_STANDIN_LICENCE": "ask"}),
    ],
    ids=["USD of somebody else", "another engine", "licence"],
)
def test_what_stands_in_the_way_is_told(
    code: str, message: str, environment: dict[str, str]
) -> None:
    program = f"""
import gymnasium as gym
import isaac_gymnasium
{code}
try:
    gym.make_vec("IsaacCartpole-v0", engine="isaacsim", device="cpu")
except isaac_gymnasium.engines.EngineError as error:
    print(error)
    assert "\\n" not in str(error)
import os
assert not [name for name in os.environ if "EULA" in name], "that is for the user to set"
"""
    done = run(program, **environment)
    assert message in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stderr


def test_a_window_is_drawn_each_step_and_reset() -> None:
    program = """
import gymnasium as gym, torch
import isaac_gymnasium
env = gym.make_vec(
    "IsaacCartpole-v0", num_envs=2, engine="isaacsim", device="cpu", render_mode="human"
)
from kit_world import WORLD
assert WORLD.app.config["headless"] is False
assert "human" in env.metadata["render_modes"]
frames = [WORLD.updates]
env.reset(seed=0)
frames.append(WORLD.updates)
for _ in range(3):
    env.step(torch.zeros(2, 1))
frames.append(WORLD.updates)
assert env.render() is None
frames.append(WORLD.updates)
print("frames", [b - a for a, b in zip(frames, frames[1:])])
WORLD.closed = True
try:
    env.step(torch.zeros(2, 1))
except isaac_gymnasium.engines.EngineError as error:
    print(error)
"""
    done = run(program)
    assert "frames [1, 3, 1]" in done.stdout, done.stderr
    assert "window has been closed" in done.stdout


def test_the_guide_to_the_script_editor_runs() -> None:
    guide = (ROOT / "docs" / "isaacsim.md").read_text(encoding="utf-8")
    code = next(c for c in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "asyncio" in c)
    program = f"""
import asyncio
from isaacsim import SimulationApp
app = SimulationApp()
from kit_world import WORLD
async def editor():
    names = {{}}
    exec({code.replace("range(300)", "range(3)")!r}, names)
    await names["task"]
asyncio.run(editor())
from isaac_gymnasium.engines.isaacsim import IsaacSimEngine
print("frames", WORLD.updates, "open", IsaacSimEngine._open_engine, flush=True)
app.close()
"""
    done = run(program)
    assert "frames 3 open None" in done.stdout, done.stderr


def test_kit_takes_settings_when_it_is_started_by_hand() -> None:
    program = """
from isaac_gymnasium.engines import isaacsim
isaacsim.start(headless=False, width=640)
from kit_world import WORLD
print(WORLD.app.config["headless"], WORLD.app.config["width"])
"""
    assert "False 640" in run(program).stdout


def test_other_engines_never_import_it() -> None:
    program = """
import sys
import gymnasium as gym
import isaac_gymnasium
env = gym.make_vec("IsaacCartpole-v0", num_envs=2, engine="physx", device="cpu")
env.reset(seed=0)
env.close()
print({name.partition(".")[0] for name in sys.modules} & {"isaacsim", "omni", "carb"})
"""
    assert run(program).stdout.strip() == "set()"


def test_cartpole_learns() -> None:
    program = """
import torch
import isaac_gymnasium
from isaac_gymnasium.integrations.plain_ppo import Args, evaluate, make_envs, train
torch.set_num_threads(1)
args = Args(num_envs=64, total_steps=64 * 16 * 14, engine="isaacsim", device="cpu")
envs = make_envs(args)
untrained = evaluate(train(Args(**{**vars(args), "total_steps": 1}), envs), envs, seed=9)
envs.update_running_mean = True
trained = evaluate(train(args, envs), envs, seed=9)
print("returns", float(untrained.mean()), float(trained.mean()))
envs.close()
"""
    done = run(program)
    last = done.stdout.strip().splitlines()[-1].split()
    assert last[0] == "returns", done.stderr
    assert float(last[2]) > 2.0 * float(last[1])


@pytest.mark.parametrize("version", ["5.1", "6.0"])
def test_the_doctor_finds_isaac_sim_well(version: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = ["doctor", "--engine", "isaacsim", "--device", "cpu", "--output", str(report)]
    program = f"from isaac_gymnasium.cli import main; print('status', main({command!r}))"
    done = run(program, version)
    assert "status 0" in done.stdout, done.stdout + done.stderr
    written = json.loads(report.read_text())
    assert written["passed"]
    assert set(written["experiments"].values()) == {"passed"}
    assert len(written["signatures"]) > 100


def test_the_doctor_reports_an_isaac_sim_that_does_not_start(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = ["doctor", "--engine", "isaacsim", "--device", "cpu", "--output", str(report)]
    program = f"import sys; from isaac_gymnasium.cli import main; sys.exit(main({command!r}))"
    done = run(program, KIT_STANDIN_LICENCE="ask")
    assert done.returncode == 2, done.stderr
    written = json.loads(report.read_text())
    assert written["passed"] is False
    assert "OMNI_KIT_ACCEPT_EULA" in written["error"]
    assert written["error"] in done.stderr


def test_the_doctor_finds_what_has_changed() -> None:
    program = """
from isaac_gymnasium.engines.isaacsim import start
start()
import omni.physics.tensors.impl.api as api
from isaacsim.core.cloner import Cloner
del api.ArticulationView.get_jacobians
Cloner.filter_collisions = lambda self, scene_path, collision_root_path: None
from isaac_gymnasium.doctor.signatures import compare_signatures, is_fault
found = compare_signatures("5.1")
print(sorted(name.rpartition(".")[2] for name in found if is_fault(found[name])))
"""
    assert "['filter_collisions', 'get_jacobians']" in run(program).stdout
