"""What was trained is shown on the engine it was trained on, whatever `auto` takes by then."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from isaac_gymnasium.cli import _policy, main
from isaac_gymnasium.cli._policy import find_policy
from isaac_gymnasium.cli._run_folder import read_config, trained_engine
from isaac_gymnasium.policies import load_policy, pack_policy, read_about, shipped_policies

WORDS = ("--device", "cpu", "--num-envs", "4", "--timesteps", "64", "--run-dir", "run")


@pytest.mark.parametrize(
    ("config", "engine"),
    [
        ({"engine": "auto", "trained_on": {"engine": "newton"}}, "newton"),
        ({"engine": "auto", "trained_on": {"engine": "physx"}}, "physx"),
        ({"engine": "physx", "trained_on": {"engine": "physx"}}, "physx"),
        # An environment of somebody else's, without an engine.
        ({"engine": "auto", "trained_on": {"engine": None}}, "auto"),
        # Older runs told what was installed, and auto preferred physx.
        ({"engine": "newton", "versions": {"ovphysx": "0.7", "newton": "1.8"}}, "newton"),
        ({"engine": "auto", "versions": {"ovphysx": "0.7", "newton": "1.8"}}, "physx"),
        ({"engine": "auto", "versions": {"newton": "1.8"}}, "newton"),
    ],
)
def test_a_run_s_engine_is_what_it_ran_on(config: dict[str, Any], engine: str) -> None:
    assert trained_engine(config) == engine


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run on physx that was started without naming an engine, when auto took physx."""
    for package in ("ovphysx", "newton", "skrl"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "IsaacCartpole-v0", *WORDS, "--engine", "physx"]) == 0
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    assert (config["engine"], config["trained_on"]["engine"]) == ("physx", "physx")
    path.write_text(json.dumps({**config, "engine": "auto"}))
    return tmp_path / "run"


def test_evaluate_and_resume_stay_on_the_engine_of_the_training(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def evaluated_on(*words: str) -> str:
        words = ("--episodes", "2", "--device", "cpu", "--json", "found.json", *words)
        assert main(["evaluate", "run", *words]) == 0
        return str(json.loads(Path("found.json").read_text())["engine"])

    capsys.readouterr()
    assert evaluated_on() == "physx"
    assert "engine:" not in capsys.readouterr().out
    assert evaluated_on("--engine", "newton") == "newton"
    assert "engine: newton; the policy was trained on physx\n" in capsys.readouterr().out
    assert main(["resume", "run", "--timesteps", "128"]) == 0
    assert json.loads((run / "evaluation.json").read_text())["engine"] == "physx"
    assert read_config(run)["engine"] == "physx"


def test_an_engine_that_is_not_installed_any_more_is_told(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_policy, "available_engines", lambda: ["newton"])
    assert main(["evaluate", "run", "--episodes", "2"]) == 2
    assert (
        "run was trained on engine 'physx', which is not installed: "
        'pip install "isaac-gymnasium[physx]", or name another with --engine'
    ) in capsys.readouterr().err


def test_a_packed_policy_runs_where_it_was_trained_else_on_what_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in shipped_policies().values():
        trained = read_about(file)["engine"]
        assert trained in ("newton", "physx")
        for installed in (["newton", "physx"], ["newton"], ["physx"]):
            monkeypatch.setattr(_policy, "available_engines", lambda found=installed: found)
            expected = trained if trained in installed else "auto"
            source = find_policy(str(file))
            assert (source.config["engine"], source.trained_on) == (expected, trained)


def test_a_packed_policy_tells_where_its_own_engine_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ovphysx")
    about = {**read_about(shipped_policies()["IsaacCartpole-v0"]), "engine": "newton"}
    file = tmp_path / "other.npz"
    pack_policy(load_policy("IsaacCartpole-v0"), file, about)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "newton" else find(name)
    )
    assert main(["evaluate", str(file), "--device", "cpu", "--episodes", "2"]) == 0
    assert "engine: physx; the policy was trained on newton\n" in capsys.readouterr().out
