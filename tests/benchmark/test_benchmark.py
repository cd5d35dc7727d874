"""The benchmark's figures against clocks and arithmetic of the test's own."""

import json
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

from isaac_gymnasium.benchmark import Case, CaseFailed, Result, measure, save, table
from isaac_gymnasium.benchmark.case import ADAPTERS, PICTURES, Spread
from isaac_gymnasium.benchmark.child import _run_peer
from isaac_gymnasium.benchmark.peers import PEERS, Peer, find_peer
from isaac_gymnasium.benchmark.workloads import without_resets
from isaac_gymnasium.cli import main
from isaac_gymnasium.vector_env import IsaacVectorEnv

pytest.importorskip("ovphysx")


def result(**changes):
    values = {
        "case": Case(id="IsaacCartpole-v0", num_envs=64),
        "engine": "newton",
        "device": "cpu",
        "dt": 1 / 120,
        "decimation": 2,
        "seconds": {"import": 1.0, "make": 2.0, "reset": 0.5, "step": 0.5, "total": 4.0},
        "steps_per_second": {"random": Spread(median=20_000.0, low=19_000.0, high=2.5e6)},
        "milliseconds": {
            "engine": Spread(median=2.0, low=1.9, high=2.1),
            "step": Spread(median=2.5, low=2.4, high=2.6),
        },
        "megabytes": {"host": 500.0},
        "versions": {"torch": "2.13.0"},
    }
    return Result(**(values | changes))


@pytest.mark.slow
def test_measures_what_a_clock_around_it_confirms(tmp_path, capsys):
    started = time.perf_counter()
    words = ["benchmark", "IsaacCartpole-v0", "--num-envs", "32", "--engines", "physx", "--policy"]
    words += ["--training", "--adapters", "--rendering"]
    words += ["--steps", "20", "--repeats", "3", "--device", "cpu", "--output", str(tmp_path)]
    assert main(words) == 0
    took = time.perf_counter() - started

    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split()[:4] == ["IsaacCartpole-v0", "physx", "cpu", "32"]
    assert (tmp_path / "benchmark.png").stat().st_size > 10_000
    document = json.loads((tmp_path / "benchmark.json").read_text())
    assert document["hardware"]["cores"] >= 1
    (got,) = document["results"]
    stages = {name: value for name, value in got["seconds"].items() if name != "total"}
    assert all(value > 0 for value in stages.values())
    assert sum(stages.values()) == pytest.approx(got["seconds"]["total"], abs=0.01)
    for spread in got["steps_per_second"].values():
        assert spread["low"] <= spread["median"] <= spread["high"]
        # Two repetitions were at least as fast as the median says, and all ran within this test.
        assert 32 * 20 / spread["median"] < took
    milliseconds = {name: spread["median"] for name, spread in got["milliseconds"].items()}
    assert {"physics", "engine", "step", "reset", "resets", *PICTURES} <= set(milliseconds)
    assert set(got["steps_per_second"]) == {"random", "policy", "training"}
    shares = got["shares"]
    parts = [shares[name] for name in ("physics", "reads and writes", "task and loop")]
    assert sum(parts) == pytest.approx(1.0) and 0 < shares["physics"] < 1
    installed = {name for name, (_, needs) in ADAPTERS.items() if find_spec(needs)}
    assert set(got["adapters"]) == installed
    assert 0 < milliseconds["physics"] < milliseconds["step"] < 1e3 * took
    assert got["dt"] * got["decimation"] == pytest.approx(1 / 60)
    assert 100 < got["megabytes"]["host"] < 4000


@pytest.mark.slow
def test_a_case_that_cannot_run_says_why_and_the_others_go_on(capsys):
    words = ["benchmark", "IsaacCartpole-v0", "--num-envs", "4", "--device", "cpu"]
    assert main([*words, "--env.pole_lenght", "1", "--steps", "1", "--engines", "physx"]) == 1
    assert "pole_lenght" in capsys.readouterr().out
    with pytest.raises(CaseFailed, match="Nothing"):
        measure(Case(id="IsaacNothing-v0", num_envs=4))


def test_a_case_that_takes_too_long_is_given_up():
    with pytest.raises(CaseFailed, match=r"no result within 0\.1 s"):
        measure(Case(id="IsaacCartpole-v0", num_envs=4), timeout=0.1)


@pytest.mark.parametrize("name", ["num_envs", "steps", "repeats"])
def test_impossible_numbers_are_refused(name, capsys):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        Case(**{"id": "IsaacCartpole-v0", "num_envs": 1, name: 0})
    option = "--" + name.replace("_", "-")
    assert main(["benchmark", "IsaacCartpole-v0", option, "0"]) == 2
    assert f"{name} must be at least 1, got 0" in capsys.readouterr().err


def test_nothing_to_measure_is_refused(capsys):
    assert main(["benchmark"]) == 2
    assert "at least one ID" in capsys.readouterr().err


def test_table_shows_time_step_spread_and_what_the_package_adds():
    header, line = table([result()]).splitlines()
    assert "8.33 ms x 2" in line and "20K (19K to 2.5M)" in line and "+25 %" in line
    assert line.index("8.33") == header.index("dt x steps")
    peer = result(dt=None, decimation=None, milliseconds={})
    assert "?" in table([peer]) and "%" not in table([peer])


def test_what_was_measured_beside_has_lines_of_its_own():
    def exactly(value):
        return Spread(median=value, low=value, high=value)

    measured = {"physics": 1.0, "engine": 2.0, "step": 4.0, "resets": 1.0, "skrl": 4.5, "frame": 7}
    one = result(milliseconds={name: exactly(value) for name, value in measured.items()})
    _, _, shares, adapters, pictures = table([one]).splitlines()
    assert shares.endswith(
        "a step of 4 ms: physics 25 %, reads and writes 25 %, task and loop 50 %, resets 25 %"
    )
    assert adapters.endswith("beyond a step, through the adapter of: skrl +0.5 ms")
    assert pictures.endswith("a frame in 7 ms")


@pytest.mark.slow
def test_leaving_resets_out_is_undone_afterwards():
    env = IsaacVectorEnv(
        "isaac_gymnasium.envs.cartpole:Cartpole",
        4,
        device="cpu",
        engine="physx",
        max_episode_steps=2,
    )
    try:
        env.reset(seed=0)
        env.set_state({**env.get_state(), "Robot/dof_pos": torch.tensor([[0.5, 0.1]] * 4)})
        with without_resets(env):
            for _ in range(2):
                _, _, _, truncated, _ = env.step(torch.zeros(4, 1))
            assert bool(truncated.all())
            assert bool((env.task.robot.dof_pos[:, 0] > 0.4).all()), "nobody was put back"
        for _ in range(2):
            env.step(torch.zeros(4, 1))
        assert bool((env.task.robot.dof_pos[:, 0] < 0.4).all())
    finally:
        env.close()


def test_saved_results_say_on_what_they_were_made(tmp_path):
    save([result()], tmp_path / "b.json")
    document = json.loads((tmp_path / "b.json").read_text())
    assert document["results"][0]["layer_share"] == pytest.approx(0.25)
    assert {"processor", "gpus", "python", "commit"} <= set(document["hardware"])


def test_a_peer_that_is_not_installed_names_its_package():
    peer = Peer(
        id="nobody:Ant",
        library="nobody",
        package="nobody-envs",
        modules=("nobody_envs",),
        dt=0.01,
        decimation=1,
        build=lambda num_envs, device: None,
    )
    with pytest.raises(ModuleNotFoundError, match="pip install nobody-envs"):
        peer.make(Case(id=peer.id, num_envs=1))
    assert all(find_peer(known.id) is known for known in PEERS)


class TrainedElsewhere:
    """A peer that trains itself, faster from update to update."""

    device = "cpu"
    action_space = SimpleNamespace(sample=lambda: torch.zeros(2, 1))

    def reset(self):
        self.steps = 0

    def step(self, actions):
        self.steps += 1

    def training_speeds(self, updates, wait):
        return [10.0**k for k in range(updates)]

    def close(self):
        assert self.steps == 1 + 3 + 2 * 4


def test_a_peers_training_counts_after_the_first_updates():
    peer = Peer(
        id="elsewhere:Task",
        library="elsewhere",
        package="elsewhere",
        modules=(),
        dt=0.01,
        decimation=1,
        build=lambda num_envs, device: TrainedElsewhere(),
    )
    case = Case(id=peer.id, num_envs=2, steps=4, repeats=2, warm_up=3)
    assert set(_run_peer(case, peer, time.time()).steps_per_second) == {"random"}
    trained = _run_peer(replace(case, training=True), peer, time.time())
    assert trained.steps_per_second["training"] == Spread(median=5.5e4, low=1e4, high=1e5)


@pytest.mark.slow
@pytest.mark.skipif(bool(find_peer("gymnasium:Ant-v5").missing), reason="needs mujoco")
def test_a_peer_is_stepped_in_the_same_way_by_its_own_python(tmp_path):
    python, note = tmp_path / "python", tmp_path / "note"
    python.write_text(f'#!/bin/sh\necho used > {note}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    case = Case(id="gymnasium:Ant-v5", num_envs=2, steps=5, repeats=1, warm_up=1)
    got = measure(case, python=python)
    assert note.read_text() == "used\n"
    assert got.engine == "gymnasium (MuJoCo)" and (got.dt, got.decimation) == (0.01, 5)
    assert got.steps_per_second["random"].median > 0 and got.milliseconds == {}
