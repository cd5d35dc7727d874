"""Every library and algorithm that is installed: train, interrupt, resume, evaluate, export."""

import csv
import json
from pathlib import Path

import gymnasium
import pytest
import torch

from isaac_gymnasium.cli import main
from isaac_gymnasium.cli._policy import find_policy, trained_policy
from isaac_gymnasium.integrations.trainers import TRAINERS, load_trainer
from isaac_gymnasium.policies import load_policy, pack_policy

pytest.importorskip("matplotlib")
pytest.importorskip("tensorboard")

pytestmark = pytest.mark.usefixtures("user_directory")
ON_POLICY = ["--rollouts", "10", "--mini-batches", "2"]
OFF_POLICY = ["--learning-starts", "40", "--batch-size", "16", "--gradient-steps", "1"]
OFF_POLICY += ["--report-every", "10", "--buffer-size", "400"]


def load(library, algorithm):
    try:
        return load_trainer(library, algorithm)
    except ImportError as error:
        assert f"pip install isaac-gymnasium[{TRAINERS[library, algorithm].extra}]" in str(error)
        pytest.skip(f"{library} is not installed")


@pytest.mark.parametrize(("library", "algorithm"), TRAINERS)
def test_training_begins_with_one_staggered_reset(library, algorithm, user_directory, monkeypatch):
    trainer = load(library, algorithm)
    monkeypatch.syspath_prepend(user_directory)
    small = {"num_envs": 8, "timesteps": 160, "hidden_sizes": (8,)}
    small |= {"mini_batches": 2} if algorithm == "ppo" else {"buffer_size": 4096}
    for stagger in (True, False):
        config = TRAINERS[library, algorithm].config(**small, stagger=stagger)
        env = gymnasium.make_vec("toy_env:Toy-v0", num_envs=8)
        trainer(env, config).learn(lambda metrics: False)
        assert [options or {} for options in env.options] == [{"stagger": True} if stagger else {}]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("library", "algorithm"), TRAINERS)
def test_the_whole_way(library, algorithm, terminate_after, capsys):
    load(library, algorithm)
    own = ON_POLICY if algorithm == "ppo" else OFF_POLICY
    words = ["--library", library, "--algorithm", algorithm, "--num-envs", "8", *own]
    words += ["--timesteps", "320", "--hidden-sizes", "8", "--run-dir", "run", "--device", "cpu"]

    terminate_after(2)
    assert main(["train", "toy_env:Toy-v0", *words]) == 143
    state = torch.load("run/checkpoint.pt", weights_only=True)
    assert state["timesteps"] == 160
    assert main(["resume", "run"]) == 0
    resumed = capsys.readouterr().out.splitlines()[-1]
    assert resumed.startswith("evaluation: return ")
    with Path("run/metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [int(row["environment_steps"]) for row in table] == [80, 160, 240, 320]
    assert any(name.startswith("loss/") and cell for name, cell in table[-1].items())
    assert {"episode/return", "episode/length", "reward/near"} <= set(table[0])
    config = json.loads(Path("run/config.json").read_text())
    assert (config["library"], config["algorithm"]) == (library, algorithm)

    assert main(["evaluate", "run", "--episodes", "8", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == resumed
    assert main(["evaluate", "run", "--episodes", "1", "--device", "cpu"]) == 0
    assert main(["export", "run", "--format", "torchscript"]) == 0
    observations = torch.randn(5, 3)
    with trained_policy(find_policy("run"), num_envs=3, device="cpu") as trained:
        actions = trained.policy(observations)
        pack_policy(trained.policy, Path("packed.npz"), config)
    assert actions.shape == (5, 1)
    assert actions.abs().max() <= 1
    torch.testing.assert_close(torch.jit.load("run/policy.pt")(observations), actions)
    packed = load_policy("packed.npz")(observations)
    torch.testing.assert_close(packed, actions, rtol=1e-2, atol=1e-3)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_pixels_are_learned_from(capsys):
    pytest.importorskip("skrl")
    words = ["--num-envs", "64", "--timesteps", "19200", "--rollouts", "10", "--hidden-sizes", "32"]
    words += ["--learning-rate", "3e-3", "--kl-threshold", "0", "--shared-network"]
    assert main(["train", "toy_env:PixelToy-v0", *words, "--run-dir", "run"]) == 0
    # Random actions earn about 4.2, the best ones 8.4.
    returned = float(capsys.readouterr().out.split("return ")[-1].split()[0])
    assert returned > 8.0
    with trained_policy(find_policy("run"), num_envs=5, device="cpu") as trained:
        assert any(isinstance(layer, torch.nn.Conv2d) for layer in trained.policy.modules())
        observations, _ = trained.env.reset(seed=0)
        actions = trained.policy(observations)
    assert main(["export", "run", "--format", "torchscript"]) == 0
    torch.testing.assert_close(torch.jit.load("run/policy.pt")(observations), actions)
