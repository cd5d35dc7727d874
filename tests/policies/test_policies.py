"""Packed policies: they act as before, what cannot be packed is refused, the package has some."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

import isaac_gymnasium
from isaac_gymnasium import policies
from isaac_gymnasium.cli import main
from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.integrations.image_encoder import ImageEncoder
from isaac_gymnasium.integrations.trainer import Policy
from isaac_gymnasium.policies import load_policy, pack_policy, read_about, shipped_policies
from isaac_gymnasium.task import make_task

SPACE = Box(-1.0, 3.0, (2,))
SHIPPED = shipped_policies()


def policy(*hidden: int, inputs: int = 5, squash: bool = False, seed: int = 0) -> Policy:
    torch.manual_seed(seed)
    sizes = (inputs, *hidden)
    layers: list[nn.Module] = []
    for width, following in itertools.pairwise(sizes):
        layers += [nn.Linear(width, following), nn.ELU()]
    network = nn.Sequential(nn.Sequential(*layers), nn.Linear(sizes[-1], 2))
    mean, std = torch.randn(inputs), 0.5 + torch.rand(inputs)
    return Policy(network, SPACE, mean=mean, std=std, clip=2.0, squash=squash)


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize(("hidden", "encoding"), [((32, 16), "float16"), ((500, 400), "int8")])
def test_what_is_packed_acts_as_before(
    hidden: tuple[int, ...], encoding: str, squash: bool, tmp_path: Path
) -> None:
    original, file = policy(*hidden, squash=squash), tmp_path / "a" / "policy.npz"
    pack_policy(original, file, {"task": "Mine-v0", "agent": {"seed": 3}})
    about = read_about(file)
    assert (about["task"], about["agent"], about["encoding"]) == ("Mine-v0", {"seed": 3}, encoding)
    assert (about["observations"], about["actions"]) == (5, 2)
    assert file.stat().st_size <= policies.SIZE_LIMIT
    # Far ones are clipped.
    observations = torch.randn(256, 5) * torch.logspace(-2, 2, 256).unsqueeze(-1)
    expected, got = original(observations), load_policy(file)(observations)
    torch.testing.assert_close(got, expected, rtol=0.0, atol=0.02)
    assert expected.std() > 0.1
    assert [child.name for child in file.parent.iterdir()] == ["policy.npz"]


IMAGE = Box(0, 255, (24, 32, 6), np.uint8)
SEEN = gym.spaces.Dict(
    {"a": IMAGE, "b": Box(-1.0, 1.0, (3,)), "c": Box(0, 255, (9, 9, 3), np.uint8)}
)


def seeing_policy(space: gym.Space, hidden: int) -> Policy:
    torch.manual_seed(0)
    encoder = ImageEncoder(space)
    layers = (nn.Linear(encoder.num_features, hidden), nn.ELU(), nn.Linear(hidden, 2))
    network = nn.Sequential(nn.Sequential(encoder, *layers[:2]), layers[2])
    with torch.no_grad():  # what float16 can hold
        for parameter in network.parameters():
            parameter.copy_(parameter.half())
    return Policy(network, SPACE)


@pytest.mark.parametrize("space", [IMAGE, SEEN], ids=["image", "dict"])
def test_a_policy_that_sees_acts_as_before(space: gym.Space, tmp_path: Path) -> None:
    original, file = seeing_policy(space, 32), tmp_path / "policy.npz"
    pack_policy(original, file, {"task": "Mine-v0"})
    about = read_about(file)
    width = gym.spaces.flatdim(space)
    assert (about["observations"], about["encoding"]) == (width, "float16")
    observations = torch.randint(0, 256, (64, width), dtype=torch.uint8)
    for seen in (observations, observations.float()):
        actions = original(seen)
        assert torch.equal(load_policy(file)(seen), actions)
        assert actions.std() > 0.01


@pytest.mark.parametrize(
    ("hidden", "encoding", "error"), [(400, "int8", 0.02), (900, "int6", 0.1), (1200, "int4", 0.4)]
)
def test_a_large_policy_that_sees_takes_fewer_bits(
    hidden: int, encoding: str, error: float, tmp_path: Path
) -> None:
    original, file = seeing_policy(IMAGE, hidden), tmp_path / "policy.npz"
    pack_policy(original, file, {"task": "Mine-v0"})
    assert read_about(file)["encoding"] == encoding
    assert file.stat().st_size <= policies.SIZE_LIMIT
    seen = torch.randint(0, 256, (64, gym.spaces.flatdim(IMAGE))).float()
    torch.testing.assert_close(load_policy(file)(seen), original(seen), rtol=0.0, atol=error)


def test_a_file_is_the_same_to_the_last_byte_whenever_it_is_written(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        pack_policy(policy(8), tmp_path / name, {"task": "Mine-v0"})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer(x)


def with_nan() -> Policy:
    broken = policy(8)
    broken.mean[0] = float("nan")
    return broken


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (lambda: policy(2000, 1000), "a.npz", "bytes, of 300000 allowed"),
        (with_nan, "a.npz", "not finite"),
        (lambda: Policy(nn.Sequential(nn.LSTM(2, 2)), SPACE), "a.npz", "got LSTM"),
        (lambda: Policy(Residual(), SPACE), "a.npz", "more than its layers in a row"),
        (lambda: policy(8), "a.pt", r"must end in \.npz, got .*a\.pt"),
    ],
)
def test_what_cannot_be_packed_is_refused(make, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        pack_policy(make(), tmp_path / name, {})
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_policy_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "policy.npz"
    for content in (b"", b"text", b"PK\x03\x04 cut off"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"policy\.npz is not a packed policy"):
            load_policy(file)
    np.savez(file, mean=np.zeros(3))
    with pytest.raises(ValueError, match="not a packed policy"):
        load_policy(file)
    # Pickles are not read.
    np.savez(file, about=np.array([{"format": 1}], dtype=object))
    with pytest.raises(ValueError, match="not a packed policy"):
        load_policy(file)
    about = np.frombuffer(json.dumps({"format": 99}).encode(), dtype=np.uint8)
    np.savez(file, about=about)
    with pytest.raises(ValueError, match="must have the format 1, got 99"):
        load_policy(file)
    with pytest.raises(ValueError, match=r"neither a file IsaacNone-v0 nor .* IsaacCartpole-v0"):
        load_policy("IsaacNone-v0")


@pytest.mark.parametrize("id", SHIPPED)
def test_a_policy_of_the_package_fits_its_task(id: str) -> None:
    task = make_task(isaac_gymnasium.registered_tasks()[id], {})
    about, shipped = read_about(SHIPPED[id]), load_policy(id)
    assert SHIPPED[id].stat().st_size <= policies.SIZE_LIMIT
    assert about["task"] == id and isinstance(about["agent"]["seed"], int)
    width = gym.spaces.flatdim(task.observation_space())
    assert shipped(torch.zeros(3, width)).shape == (3, *task.action_space().shape)


class TestCommands:
    """On a directory without a run, as after `pip install`."""

    CARTPOLE = ("IsaacCartpole-v0", "--device", "cpu", "--engine", "physx")

    @pytest.fixture(autouse=True)
    def directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("ovphysx")
        monkeypatch.chdir(tmp_path)

    def test_evaluate_needs_no_run_folder_and_no_rl_library(self, monkeypatch, capsys) -> None:
        monkeypatch.setitem(__import__("sys").modules, "skrl", None)
        words = [*self.CARTPOLE, "--episodes", "64", "--json", "new/evaluation.json"]
        assert main(["evaluate", *words]) == 0
        out = capsys.readouterr().out
        assert "policy: IsaacCartpole-v0.npz (seed " in out
        document = json.loads(Path("new/evaluation.json").read_text())
        assert document["return"]["mean"] >= 290.0
        assert document["success"] == {"share": 1.0}
        assert (document["episodes"], document["engine"]) == (64, "physx")
        assert f"evaluation: return {document['return']['mean']:.1f} ±" in out

    def test_a_packed_file_is_taken_where_a_run_is(self, capsys) -> None:
        file = str(SHIPPED["IsaacCartpole-v0"])
        words = ["--device", "cpu", "--engine", "physx"]
        assert main(["evaluate", file, *words, "--episodes", "4"]) == 0
        out = capsys.readouterr().out
        assert main(["evaluate", *self.CARTPOLE, "--episodes", "4"]) == 0
        assert capsys.readouterr().out == out
        assert main(["export", file, "--engine", "physx", "--format", "torchscript"]) == 0
        assert Path("policy.pt").is_file()
        audit = ["audit", *self.CARTPOLE, "--num-envs", "4", "--policy", "IsaacCartpole-v0"]
        assert main(audit) == 0
        assert "success at some step: IsaacCartpole-v0 100 %" in capsys.readouterr().out

    def test_a_policy_for_other_spaces_is_refused(self, capsys) -> None:
        pack_policy(
            policy(8),
            Path("other.npz"),
            {"task": "IsaacCartpole-v0", "env": {}, "agent": {"seed": 1}},
        )
        assert main(["evaluate", "other.npz", "--device", "cpu", "--engine", "physx"]) == 2
        assert (
            "the policy of other.npz was trained with observations of shape (5,), "
            "IsaacCartpole-v0 as it is made here has (4,)"
        ) in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["evaluate", "export"])
    def test_without_any_policy_the_error_names_those_there_are(self, command, capsys) -> None:
        assert main([command, "IsaacNone-v0"]) == 2
        error = capsys.readouterr().err
        assert "neither a run folder IsaacNone-v0 nor a run in runs/IsaacNone-v0" in error
        assert "the package has policies for" in error and "IsaacCartpole-v0" in error

    def test_a_run_of_ones_own_comes_first(self, capsys) -> None:
        pytest.importorskip("skrl")
        words = ["--num-envs", "4", "--timesteps", "64"]
        assert main(["train", *self.CARTPOLE, *words, "--seed", "7"]) == 0
        (metrics,) = Path("runs/IsaacCartpole-v0").glob("*/metrics.csv")
        assert "reward/alive" in metrics.read_text().splitlines()[0]
        capsys.readouterr()
        assert main(["evaluate", *self.CARTPOLE, "--episodes", "2"]) == 0
        assert "policy: runs/IsaacCartpole-v0/" in capsys.readouterr().out


def test_the_shown_way_to_use_one_works() -> None:
    pytest.importorskip("ovphysx")
    envs = gym.make_vec("IsaacCartpole-v0", num_envs=16, device="cpu", engine="physx")
    shipped = load_policy("IsaacCartpole-v0", device=envs.unwrapped.device)
    assert evaluate(envs, shipped, seed=1).returns.mean() >= 290
    envs.close()
