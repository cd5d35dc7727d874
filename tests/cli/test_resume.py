"""Killing a run and resuming it: what goes on is what would have gone on."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from training import assert_same

from isaac_gymnasium.cli import main

pytest.importorskip("skrl")

pytestmark = pytest.mark.usefixtures("user_directory")
ROOT = Path(__file__).parents[2]
SMALL = ["--num-envs", "8", "--rollouts", "10", "--hidden-sizes", "8", "--checkpoint-seconds", "0"]


def rows(folder):
    with (Path(folder) / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def timeless(table):
    return [
        {name: cell for name, cell in row.items() if not name.startswith("time/")} for row in table
    ]


def checkpoint(folder):
    return torch.load(Path(folder) / "checkpoint.pt", weights_only=True)


def test_a_killed_run_goes_on_as_if_it_had_not_been(user_directory, capsys):
    words = ["train", "toy_env:Toy-v0", *SMALL]
    endless = ["--run-dir", "killed", "--timesteps", "100000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "isaac_gymnasium.cli", *words, *endless],
        cwd=user_directory,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    metrics = user_directory / "killed" / "metrics.csv"
    while not metrics.is_file() or metrics.read_text().count("\n") < 4:
        assert process.poll() is None, "the run ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert main(["resume", "killed"]) == 2
    assert "another process trains in the run folder killed" in capsys.readouterr().err
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    done = checkpoint("killed")["timesteps"]
    end = done + 240
    assert done >= 160
    # A last line that the kill cut off, and a row later than the checkpoint.
    text = metrics.read_text()
    metrics.write_text(f"{text[: text.rindex(chr(10)) + 1]}{end}{text.splitlines()[-1][3:]}\n12,3")
    assert main(["resume", "killed", "--timesteps", str(end)]) == 0
    assert main([*words, "--run-dir", "whole", "--timesteps", str(end)]) == 0
    assert_same(checkpoint("killed"), checkpoint("whole"))
    assert timeless(rows("killed")) == timeless(rows("whole"))
    assert [int(row["environment_steps"]) for row in rows("killed")] == list(range(80, end + 1, 80))
    assert json.loads(Path("killed/config.json").read_text())["agent"]["timesteps"] == end


OFF_POLICY = ["--num-envs", "8", "--report-every", "10", "--hidden-sizes", "8"]
OFF_POLICY += ["--learning-starts", "40", "--batch-size", "16", "--gradient-steps", "1"]
OFF_POLICY += ["--buffer-size", "160", "--checkpoint-buffer", "--checkpoint-seconds", "0"]


@pytest.mark.parametrize(
    "options", [SMALL, ["--algorithm", "sac", *OFF_POLICY], ["--algorithm", "td3", *OFF_POLICY]]
)
def test_resuming_continues_everything(options, terminate_after):
    words = ["train", "toy_env:Toy-v0", *options, "--timesteps", "480"]
    assert main([*words, "--run-dir", "whole"]) == 0
    terminate_after(3)
    assert main([*words, "--run-dir", "cut"]) == 143
    assert checkpoint("cut")["timesteps"] == 240
    assert main(["resume", "cut"]) == 0
    assert_same(checkpoint("cut"), checkpoint("whole"))
    assert timeless(rows("cut")) == timeless(rows("whole"))


def test_a_resumed_run_without_its_replay_memory_fills_a_new_one(terminate_after):
    options = [word for word in OFF_POLICY if word != "--checkpoint-buffer"]
    words = ["train", "toy_env:Toy-v0", "--algorithm", "sac", *options, "--timesteps", "480"]
    terminate_after(3)
    assert main([*words, "--run-dir", "cut"]) == 143
    assert "memory" not in checkpoint("cut")["trainer"]
    assert main(["resume", "cut"]) == 0
    assert rows("cut")[-1]["loss/critic"]
    assert checkpoint("cut")["timesteps"] == 480


def test_an_environment_without_a_state_begins_new_episodes(terminate_after, monkeypatch):
    source = Path("toy_env.py").read_text()
    Path("toy_env.py").write_text(source.replace("get_state(self) ->", "no_state(self) ->"))
    words = ["train", "toy_env:Toy-v0", *SMALL, "--timesteps", "240"]
    terminate_after(1)
    assert main([*words, "--run-dir", "cut", "--seed", "5"]) == 143
    seeds = []
    toy = sys.modules["toy_env"].ToyEnv
    reset = toy.reset
    monkeypatch.setattr(
        toy, "reset", lambda self, *, seed=None, **k: seeds.append(seed) or reset(self, seed=seed)
    )
    assert main(["resume", "cut"]) == 0
    assert seeds[0] == 5 + 80


def test_physics_goes_on_too(terminate_after):
    pytest.importorskip("ovphysx")
    words = ["train", "IsaacCartpole-v0", *SMALL, "--timesteps", "320", "--device", "cpu"]
    words += ["--engine", "physx", "--mini-batches", "2"]
    assert main([*words, "--run-dir", "whole"]) == 0
    terminate_after(2)
    assert main([*words, "--run-dir", "cut"]) == 143
    assert main(["resume", "cut"]) == 0
    assert_same(checkpoint("cut"), checkpoint("whole"))


class TestMistakes:
    @pytest.fixture
    def run(self):
        words = ["train", "toy_env:Toy-v0", *SMALL, "--timesteps", "80", "--run-dir", "run"]
        assert main(words) == 0

    def test_a_finished_run_wants_more_timesteps(self, run, capsys):
        assert main(["resume", "run"]) == 2
        message = "run has done 80 environment steps of 80; give --timesteps to train on"
        assert message in capsys.readouterr().err

    def test_a_damaged_checkpoint(self, run, capsys):
        data = Path("run/checkpoint.pt").read_bytes()
        Path("run/checkpoint.pt").write_bytes(data[: len(data) // 2])
        assert main(["resume", "run", "--timesteps", "160"]) == 2
        assert "run/checkpoint.pt cannot be read" in capsys.readouterr().err

    def test_a_checkpoint_of_another_format(self, run, capsys):
        torch.save({"format": 0}, "run/checkpoint.pt")
        assert main(["resume", "run", "--timesteps", "160"]) == 2
        assert "run/checkpoint.pt must have the format 1, got 0" in capsys.readouterr().err

    def test_no_run_folder(self, capsys):
        assert main(["resume", "."]) == 2
        assert ". is not a run folder: it has no config.json" in capsys.readouterr().err


def test_a_checkpoint_is_never_half_written(monkeypatch):
    words = ["train", "toy_env:Toy-v0", *SMALL, "--timesteps", "80", "--run-dir", "run"]
    assert main(words) == 0
    before = Path("run/checkpoint.pt").read_bytes()

    def broken(state, file):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="no space left"):
        main(["resume", "run", "--timesteps", "160"])
    assert Path("run/checkpoint.pt").read_bytes() == before
