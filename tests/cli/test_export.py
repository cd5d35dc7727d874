"""Exported policies act like the policy, and need nothing of this package."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

from isaac_gymnasium.cli import main
from isaac_gymnasium.cli._policy import find_policy, trained_policy
from isaac_gymnasium.integrations.trainer import Policy

pytest.importorskip("skrl")

pytestmark = pytest.mark.usefixtures("user_directory")
ALONE = """
import sys, torch
policy = torch.jit.load("run/policy.pt")
torch.save(policy(torch.load("observations.pt")), "actions.pt")
assert not any(name.startswith(("isaac_gymnasium", "skrl")) for name in sys.modules)
"""


@pytest.fixture
def trained(capsys):
    """Observations, among them far ones that are clipped, and the actions of a short run."""
    words = ["--num-envs", "8", "--timesteps", "160", "--rollouts", "10", "--hidden-sizes", "8"]
    assert main(["train", "toy_env:Toy-v0", *words, "--run-dir", "run"]) == 0
    capsys.readouterr()
    observations = torch.randn(6, 3) * torch.tensor([[1.0], [3.0], [10.0], [1e3], [1e-3], [0.0]])
    with trained_policy(find_policy("run"), num_envs=2, device="cpu") as trained:
        return observations, trained.policy(observations)


def test_torchscript_runs_with_torch_alone(trained, capsys):
    observations, actions = trained
    assert main(["export", "run", "--format", "torchscript"]) == 0
    assert capsys.readouterr().out == "torchscript: run/policy.pt\n"
    torch.save(observations, "observations.pt")
    subprocess.run([sys.executable, "-I", "-c", ALONE], check=True)
    assert torch.equal(torch.load("actions.pt"), actions)
    assert not list(Path("run").glob("*.tmp"))


def test_onnx_runs_with_onnxruntime(trained, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    observations, actions = trained
    assert main(["export", "run", "--output", "files"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("torchscript: files/policy.pt\nonnx: files/policy.onnx\n")
    assert sorted(file.name for file in Path("files").iterdir()) == ["policy.onnx", "policy.pt"]
    session = onnxruntime.InferenceSession("files/policy.onnx")
    for rows in (slice(None), slice(0, 1)):
        (result,) = session.run(["actions"], {"observations": observations[rows].numpy()})
        torch.testing.assert_close(torch.from_numpy(result), actions[rows], rtol=1e-5, atol=1e-6)


def test_a_missing_onnx_names_the_extra_before_anything_is_written(trained, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "onnxscript" else object()
    )
    assert main(["export", "run"]) == 2
    assert "pip install isaac-gymnasium[export], or give --format torch" in capsys.readouterr().err
    assert not Path("run/policy.pt").exists()


def test_the_latest_run_of_an_id_is_meant_by_the_id(capsys):
    words = ["--num-envs", "8", "--timesteps", "80", "--rollouts", "10", "--hidden-sizes", "8"]
    for seed in ("1", "2"):
        assert main(["train", "toy_env:Toy-v0", *words, "--seed", seed]) == 0
    capsys.readouterr()
    assert main(["export", "toy_env:Toy-v0", "--format", "torchscript"]) == 0
    assert "-seed2/policy.pt" in capsys.readouterr().out
    assert main(["evaluate", "Other-v0"]) == 2
    error = capsys.readouterr().err
    assert "there is neither a run folder Other-v0 nor a run in runs/Other-v0" in error


class TestPolicy:
    SPACE = Box(-1.0, 3.0, (1,))

    def network(self):
        network = nn.Linear(2, 1, bias=False)
        nn.init.constant_(network.weight, 1.0)
        return network

    def test_observations_are_normalised_and_clipped_and_actions_clipped(self):
        policy = Policy(
            self.network(),
            self.SPACE,
            mean=torch.tensor([1.0, 0.0]),
            std=torch.tensor([2.0, 1.0]),
            clip=1.5,
        )
        observations = torch.tensor([[2.0, 0.25], [100.0, 0.0], [100.0, 100.0], [-100.0, -9.0]])
        assert policy(observations).tolist() == [[0.75], [1.5], [3.0], [-1.0]]

    def test_squashed_actions_fill_the_action_space(self):
        policy = Policy(self.network(), self.SPACE, squash=True)
        actions = policy(torch.tensor([[-50.0, 0.0], [0.0, 0.0], [50.0, 0.0]]))
        assert actions.tolist() == [[-1.0], [1.0], [3.0]]

    def test_it_is_a_copy(self):
        network = self.network()
        policy = Policy(network, self.SPACE)
        nn.init.constant_(network.weight, 9.0)
        assert policy(torch.ones(1, 2)) == 2.0
        assert not any(parameter.requires_grad for parameter in policy.parameters())

    def test_an_infinite_action_space_is_refused(self):
        with pytest.raises(TypeError, match="action_space must be a finite Box, got Box"):
            Policy(self.network(), Box(-float("inf"), 1.0, (1,)))
