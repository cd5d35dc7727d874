"""The pages of the libraries: what they show runs as printed, and learns to balance the pole."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

DOCS = Path(__file__).parents[2] / "docs" / "libraries"
NEEDS = {"rsl_rl": "rsl_rl", "rl_games": "rl_games", "torchrl": "torchrl", "plain_ppo": "torch"}
SHORTER = [
    (r"num_envs=256", "num_envs=8"),
    (r"timesteps=160_000", "timesteps=512, num_envs=8"),
    (r"total_steps=160_000", "total_steps=512"),
    (r"runner\.learn\(40\)", "runner.learn(2)"),
    (r"frames_per_batch=4096, total_frames=8192", "frames_per_batch=640, total_frames=1280"),
    (r"16 \* 256, total_frames=160_000", "16 * 8, total_frames=256"),
]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / f"{page}.md").read_text(), re.M | re.S)


def run(code: str) -> dict[str, Any]:
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, physics: None) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def torch_stays_as_it_is():
    """rl_games' runner sets what torch prints and how exactly it multiplies."""
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    yield
    torch.set_float32_matmul_precision(precision)
    torch.set_num_threads(threads)
    torch.set_printoptions(profile="default")


@pytest.mark.parametrize("page", [*NEEDS, "rllib"])
def test_the_first_example_is_short(page: str) -> None:
    statements = [line for line in blocks(page)[0].splitlines() if line and "import" not in line]
    assert len(statements) <= 10


@pytest.mark.parametrize(
    ("page", "block"), [(page, i) for page in NEEDS for i in range(len(blocks(page)))]
)
def test_examples_run(page: str, block: int) -> None:
    pytest.importorskip(NEEDS[page])
    code = blocks(page)[block]
    for pattern, replacement in SHORTER:
        code = re.sub(pattern, replacement, code)
    assert code != blocks(page)[block], "the example should be shortened"
    run(code)


@pytest.mark.slow
class TestCartpoleIsLearned:
    """To a return of at least 270 of 300 by the example as printed."""

    def test_with_rsl_rl(self, evaluate_policy: Callable[..., float]) -> None:
        pytest.importorskip("rsl_rl")
        names = run(blocks("rsl_rl")[0])
        env, policy = names["envs"].unwrapped, names["policy"]
        assert evaluate_policy(env, lambda obs: policy({"policy": obs})) >= 270
        env.close()

    def test_with_rl_games(self, evaluate_policy: Callable[..., float]) -> None:
        pytest.importorskip("rl_games")
        runner = run(blocks("rl_games")[0])["runner"]
        (checkpoint,) = Path("runs").rglob("last_*.pth")
        player = runner.create_player()
        player.restore(str(checkpoint))
        player.has_batch_dimension = True
        env = player.env.env.unwrapped
        assert evaluate_policy(env, lambda obs: player.get_action(obs, True)) >= 270
        env.close()

    def test_with_torchrl(self, evaluate_policy: Callable[..., float]) -> None:
        pytest.importorskip("torchrl")
        names = run(blocks("torchrl")[1])
        envs, network = names["envs"], names["network"]
        envs.update_running_mean = False
        score = evaluate_policy(envs, lambda obs: network(obs)[0])
        assert score / 0.1 >= 270  # the rewards are scaled
        envs.close()

    def test_with_the_plain_loop(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["IsaacCartpole-v0", "--total-steps", "160000", "--save", "policy.pt"]
        monkeypatch.setattr(sys, "argv", ["plain_ppo", *words])
        runpy.run_module(
            "isaac_gymnasium.integrations.plain_ppo", run_name="__main__", alter_sys=True
        )
        score = re.search(
            r"evaluation: return (\d+\.\d) ± .*\(256 episodes\)$", capsys.readouterr().out
        )
        assert score and float(score[1]) >= 270
        saved = torch.load("policy.pt", weights_only=True)
        assert {"agent", "envs", "args"} == set(saved)

    def test_with_rllib(self, capsys: pytest.CaptureFixture[str]) -> None:
        """RLlib takes a minute for this; that it clearly learns has to do."""
        pytest.importorskip("ray.rllib")
        algorithm = run(blocks("rllib")[0])["algorithm"]
        algorithm.stop()
        returns = [
            float(word) for word in re.findall(r"^-?\d+\.\d+$", capsys.readouterr().out, re.M)
        ]
        assert returns[0] < 50 and max(returns) > 150, returns
