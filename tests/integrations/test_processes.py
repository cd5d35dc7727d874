"""Two processes of `torchrun`, on the CPU, train one policy."""

import csv
import os
import re
import shlex
import shutil
import socket
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


def test_two_machines_train_as_the_page_says(tmp_path):
    """Each has one process, which is its first but not the first of all."""
    page = (HERE.parents[1] / "docs" / "several_machines.md").read_text()
    (command,) = re.findall(r"^torchrun (.*?)^```$", page, re.M | re.S)
    words = shlex.split(command.replace("\\\n", " "))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    mine = {"first-machine": "127.0.0.1", "29500": port, "IsaacFrankaCube-v0": "toy_env:Toy-v0"}
    words = [mine.get(word, word) for word in words]
    words[words.index("--nproc-per-node") + 1] = "1"
    words[words.index("--num-envs") + 1] = "8"
    words += [*TRAIN[4:], *SMALL[:4], "--seed", "5"]
    machines = []
    for rank in ("0", "1"):
        folder = tmp_path / rank
        folder.mkdir()
        shutil.copy(HERE / "toy_env.py", folder)
        words[words.index("--node-rank") + 1] = rank
        machine = subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        machines.append(machine)
    try:
        for machine in machines:
            _, errors = machine.communicate(timeout=300)
            assert machine.returncode == 0, errors
    finally:
        for machine in machines:
            machine.kill()
    run = tmp_path / "0" / "runs" / "cube"
    with (run / "metrics.csv").open() as file:
        assert [int(row["environment_steps"]) for row in csv.DictReader(file)] == [160, 320]
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    positions = [environment["position"] for environment in state["environments"]]
    assert len(positions) == 2 and not torch.equal(*positions)
    assert not (tmp_path / "1" / "runs").exists()
