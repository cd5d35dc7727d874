"""rsl_rl and rl_games as trainers of the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import pytest
import torch
from toy_env import ToyEnv
from training import assert_same, stop_after

from isaac_gymnasium.cli import main
from isaac_gymnasium.integrations.trainers import load_trainer
from isaac_gymnasium.presets.configs import AdaptivePpoConfig

CONFIG = AdaptivePpoConfig(
    num_envs=32,
    timesteps=3200,
    rollouts=10,
    mini_batches=2,
    learning_rate=3e-3,
    kl_threshold=0.02,
    discount=0.9,
    reward_scale=0.5,
    hidden_sizes=(16,),
    initial_log_std=-0.5,
)


@pytest.fixture(params=["rsl_rl", "rl_games"])
def library(request):
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture
def make(library):
    def make(config=CONFIG, **kwargs):
        torch.manual_seed(config.seed)
        env = ToyEnv(config.num_envs, **kwargs)
        return load_trainer(library, "ppo")(env, config)

    return make


def test_construction_does_not_touch_the_environment(make):
    trainer = make()
    assert trainer.env.seeds == []
    trainer.policy()
    assert trainer.env.seeds == []


def test_it_learns_and_stops_in_time(make):
    trainer, seen = make(), []
    observations = torch.tensor([[0.8, 5.0, 0.0], [-0.8, 5.0, 0.0]])
    before = trainer.policy()(observations)
    trainer.learn(stop_after(1000, seen))
    assert trainer.env.seeds == [CONFIG.seed]
    assert trainer.timesteps == CONFIG.timesteps and len(seen) == 10
    assert {"loss/policy", "loss/value", "policy/learning_rate"} <= set(seen[0])
    assert all(isinstance(value, float) for metrics in seen for value in metrics.values())
    actions = trainer.policy()(observations)
    assert actions.shape == (2, 1) and not torch.equal(actions, before)
    assert actions[0] < 0 < actions[1], "it should walk to the middle"


@pytest.mark.parametrize(("kl_threshold", "bound"), [(1e9, 4e-3), (1e-9, 2e-3)])
def test_the_learning_rate_stays_within_its_bounds(make, kl_threshold, bound):
    bounds = {"min_learning_rate": 2e-3, "max_learning_rate": 4e-3}
    trainer, seen = make(replace(CONFIG, kl_threshold=kl_threshold, **bounds)), []
    trainer.learn(stop_after(2, seen))
    assert seen[-1]["policy/learning_rate"] == pytest.approx(bound)


def test_it_stops_when_told(make):
    trainer = make()
    trainer.learn(stop_after(2))
    assert trainer.timesteps == 640


@pytest.mark.parametrize("asymmetric", [False, True])
def test_a_restored_trainer_goes_on_with_the_same_bits(make, tmp_path, asymmetric):
    """Once the environment and the generators are where they were, too."""
    trainer = make(asymmetric=asymmetric)
    trainer.learn(stop_after(3))
    torch.save(trainer.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["timesteps"] == 960
    other = make(asymmetric=asymmetric)
    other.load_state_dict(state)
    assert_same(other.state_dict(), trainer.state_dict())
    assert other.timesteps == 960
    for each in (trainer, other):
        torch.manual_seed(5)
        each.learn(stop_after(2))
        assert each.timesteps == 1600
    assert_same(other.state_dict(), trainer.state_dict())


def test_another_number_of_environments_can_go_on(make):
    trainer, other = make(), make(replace(CONFIG, num_envs=64))
    trainer.learn(stop_after(1))
    other.load_state_dict(trainer.state_dict())
    other.learn(stop_after(1))
    assert other.timesteps == 320 + 640


def test_the_policy_is_the_librarys_without_exploration(make, library):
    trainer = make()
    trainer.learn(stop_after(3))
    observations = torch.randn(8, 3)
    if library == "rsl_rl":
        expected = trainer.algorithm.get_policy()({"policy": observations}).clamp(-1, 1)
    else:
        trainer.agent.set_eval()
        expected = trainer.agent.get_action_values({"obs": observations})["mus"].clamp(-1, 1)
    torch.testing.assert_close(trainer.policy()(observations), expected)
    traced = torch.jit.trace(trainer.policy(), observations)
    torch.testing.assert_close(traced(observations), expected)


def test_actions_are_stretched_to_the_action_space(make, library):
    """rl_games stretches, rsl_rl clips; what acts in training is what is exported."""
    trainer = make()
    space = gym.spaces.Box(-2.0, 4.0, (1,))
    trainer.env.single_action_space = space
    observations = torch.linspace(-50, 50, 21).unsqueeze(1).repeat(1, 3)
    actions = trainer.policy()(observations)
    assert (actions >= -2).all() and (actions <= 4).all()
    if library == "rl_games":
        trainer.agent.set_eval()
        mean = trainer.agent.get_action_values({"obs": observations})["mus"].clamp(-1, 1)
        torch.testing.assert_close(actions, 1 + 3 * mean)


def test_settings_it_cannot_honour_are_refused():
    pytest.importorskip("rl_games")
    config = AdaptivePpoConfig(num_envs=32, rollouts=10, mini_batches=3)
    with pytest.raises(ValueError, match="mini_batches"):
        load_trainer("rl_games", "ppo")(ToyEnv(32), config)


@pytest.mark.usefixtures("physics")
def test_the_command_line_trains_and_evaluates(library, tmp_path, capsys):
    words = ["--num-envs", "8", "--rollouts", "16", "--mini-batches", "2", "--device", "cpu"]
    run = str(tmp_path / "run")
    command = ["train", "IsaacCartpole-v0", "--library", library, "--run-dir", run]
    assert main([*command, *words, "--timesteps", "256"]) == 0
    assert "evaluation: return" in capsys.readouterr().out
    assert main(["evaluate", run]) == 0
    assert "evaluation: return" in capsys.readouterr().out


TWO_PROCESSES = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
import torch.distributed as dist
from toy_env import ToyEnv
from isaac_gymnasium.cli._processes import join_processes
from isaac_gymnasium.integrations.trainers import load_trainer
from isaac_gymnasium.presets.configs import AdaptivePpoConfig

def threads():
    return [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]

with join_processes("cpu"):
    torch.manual_seed(dist.get_rank())
    config = AdaptivePpoConfig(
        num_envs=16, timesteps=960, rollouts=10, mini_batches=2, hidden_sizes=(16,), seed=5
    )
    trainer = load_trainer("rsl_rl", "ppo")(ToyEnv(16), config)
    assert trainer.distributed
    trainer.learn(lambda metrics: True)
    assert trainer.timesteps == 960, trainer.timesteps
    weights = trainer.state_dict()["actor_state_dict"]
    mine = torch.cat([value.double().flatten() for value in weights.values()])
    all_weights = [torch.zeros_like(mine) for _ in range(2)]
    dist.all_gather(all_weights, mine)
    assert torch.equal(*all_weights)
    seeds = [None, None]
    dist.all_gather_object(seeds, trainer.env.seeds)
    assert seeds[0] == [5] and seeds[1] != seeds[0], seeds
    assert [name for name in threads() if "gloo" in name], threads()
assert not [name for name in threads() if "gloo" in name], threads()
"""


@pytest.mark.slow
def test_two_processes_of_rsl_rl_keep_the_same_weights(tmp_path):
    pytest.importorskip("rsl_rl")
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    here = Path(__file__).parent
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    result = subprocess.run(
        [*command, str(script), str(here)],
        env={**os.environ, "PYTHONPATH": str(here.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
