"""Two processes of `torchrun`, on the CPU, train one policy."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from two_processes import batch

pytest.importorskip("skrl")

from skrl.resources.preprocessors.torch import RunningStandardScaler

HERE = Path(__file__).parent
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TRAIN = ["train", "toy_env:Toy-v0", "--num-envs", "8", "--timesteps", "320", "--rollouts", "10"]
SMALL = ["--hidden-sizes", "8", "--device", "cpu", "--run-dir", "run", "--seed", "5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes have trained."""
    folder = tmp_path_factory.mktemp("processes")
    for name in ("toy_env.py", "two_processes.py"):
        shutil.copy(HERE / name, folder)
    result = subprocess.run(
        [sys.executable, *TORCHRUN, "two_processes.py", *TRAIN, *SMALL],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("evaluation: ") == 1, "only the first process reports"
    return folder


@pytest.fixture(scope="module")
def ranks(folder):
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


def test_both_have_the_same_weights_and_statistics(ranks):
    first, second = (rank["trainer"] for rank in ranks)
    for part in ("policy", "value", "observation_preprocessor", "value_preprocessor"):
        assert first[part].keys() == second[part].keys()
        for name, value in first[part].items():
            assert torch.equal(value, second[part][name]), (part, name)


def test_each_has_seen_something_else(ranks):
    assert ranks[0]["seeds"][0] == 5
    assert ranks[1]["seeds"][0] != 5
    assert not torch.equal(ranks[0]["position"], ranks[1]["position"])
    assert not torch.equal(ranks[0]["random"], ranks[1]["random"])


def test_the_policy_normalises_by_what_both_have_seen(ranks):
    # 2 processes, 2 updates, 80 observations each; the scaler starts as if it had seen one.
    count = ranks[0]["trainer"]["observation_preprocessor"]["current_count"]
    assert count == 1 + 2 * 2 * 80


def test_a_batch_of_two_processes_is_one_batch(ranks):
    expected = RunningStandardScaler(3, device="cpu")
    both = torch.cat([batch(0), batch(1)])
    expected(both, train=True)
    expected(both + 1, train=True)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(ranks[0]["scaler"][name], value, rtol=1e-6, atol=1e-6)


def test_steps_are_counted_over_both_and_one_run_folder_is_written(folder, ranks):
    assert [rank["trainer"]["timesteps"] for rank in ranks] == [320, 320]
    with (folder / "run" / "metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [int(row["environment_steps"]) for row in table] == [160, 320]
    state = torch.load(folder / "run" / "checkpoint.pt", weights_only=True)
    assert [len(state[name]) for name in ("environments", "generators")] == [2, 2]
    for environment, rank in zip(state["environments"], ranks, strict=True):
        assert torch.equal(environment["position"], rank["position"])


def test_one_process_resumes_what_two_began(folder, monkeypatch, capsys):
    from isaac_gymnasium.cli import main

    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    assert main(["resume", "run", "--timesteps", "400"]) == 0
    assert torch.load("run/checkpoint.pt", weights_only=True)["timesteps"] == 400
