"""SB3's algorithms and TorchPPO as trainers of the command line."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_env import ToyEnv
from training import assert_same, stop_after

pytest.importorskip("stable_baselines3")

from isaac_gymnasium.cli import main
from isaac_gymnasium.cli._recorder import RecordTraining
from isaac_gymnasium.integrations.trainers import load_trainer
from isaac_gymnasium.presets.configs import PpoConfig, SacConfig, Td3Config

PPO = PpoConfig(
    num_envs=32,
    timesteps=12_800,
    rollouts=10,
    mini_batches=3,
    learning_rate=3e-3,
    discount=0.9,
    reward_scale=0.5,
    hidden_sizes=(16,),
    initial_log_std=-0.5,
)
OFF_POLICY = {
    "num_envs": 32,
    "timesteps": 3840,
    "learning_rate": 3e-3,
    "discount": 0.9,
    "hidden_sizes": (32, 32),
    "batch_size": 128,
    "learning_starts": 640,
    "buffer_size": 6400,
    "report_every": 10,
    "checkpoint_buffer": True,
}
CONFIGS = {
    ("sb3", "ppo"): PPO,
    ("torch_ppo", "ppo"): PPO,
    ("sb3", "sac"): SacConfig(**OFF_POLICY, initial_entropy=0.01),
    ("sb3", "td3"): Td3Config(**OFF_POLICY, exploration_noise=0.2),
}


@pytest.fixture(params=list(CONFIGS), ids="-".join)
def kind(request):
    return request.param


@pytest.fixture
def make(kind):
    def make(env=None, **changes):
        config = replace(CONFIGS[kind], **changes)
        torch.manual_seed(config.seed)
        np.random.seed(config.seed)
        return load_trainer(*kind)(env or ToyEnv(config.num_envs), config)

    return make


def mean_return(policy):
    """Standing still has 5.0, the best 8.9."""
    env = RecordTraining(ToyEnv(64))
    observations, _ = env.reset(seed=1)
    for _ in range(20):
        observations = env.step(policy(observations))[0]
    return env.fetch()["episode/return"]


def test_construction_does_not_touch_the_environment(make):
    trainer = make()
    trainer.policy()
    assert trainer.env.seeds == []


def test_it_learns(make, kind):
    trainer, seen = make(), []
    trainer.learn(stop_after(1000, seen))
    config = CONFIGS[kind]
    assert trainer.env.seeds == [config.seed]
    updates = 320 if kind[1] == "ppo" else 10 * 32
    assert trainer.timesteps == config.timesteps and len(seen) == config.timesteps / updates
    names = {"loss/policy", "policy/learning_rate"}
    names.add("loss/value" if kind[1] == "ppo" else "loss/critic")
    assert names <= set(seen[-1])
    assert all(isinstance(value, float) for metrics in seen for value in metrics.values())
    assert mean_return(trainer.policy()) > 8.2


def test_it_stops_when_told(make):
    trainer = make()
    trainer.learn(stop_after(2))
    assert trainer.timesteps == 640


def test_a_restored_trainer_goes_on_with_the_same_bits(make, tmp_path):
    """Once the environment and the generators are where they were, too."""
    trainer = make()
    trainer.learn(stop_after(4))
    torch.save(trainer.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["timesteps"] == 1280 and state["updates"] > 0
    other = make()
    other.load_state_dict(state)
    assert_same(other.state_dict(), trainer.state_dict())
    for each in (trainer, other):
        torch.manual_seed(5)
        np.random.seed(5)
        each.learn(stop_after(3))
        assert each.timesteps == 2240
    assert_same(other.state_dict(), trainer.state_dict())
    assert trainer.state_dict()["updates"] > state["updates"]


def test_another_number_of_environments_can_go_on(make):
    changes = {"checkpoint_buffer": False} if hasattr(make().config, "checkpoint_buffer") else {}
    trainer, other = make(**changes), make(num_envs=64, **changes)
    trainer.learn(stop_after(3))
    other.load_state_dict(trainer.state_dict())
    other.learn(stop_after(1))
    assert other.timesteps == 960 + 640


def test_a_state_that_does_not_fit_is_refused(make):
    state = make().state_dict()
    with pytest.raises((ValueError, RuntimeError), match=r"shape|size"):
        make(hidden_sizes=(8,)).load_state_dict(state)


@pytest.mark.parametrize("algorithm", ["sac", "td3"])
class TestReplayBuffer:
    def make(self, algorithm, num_envs=32, **changes):
        config = replace(CONFIGS["sb3", algorithm], num_envs=num_envs, **changes)
        return load_trainer("sb3", algorithm)(ToyEnv(num_envs), config)

    def test_that_of_other_environments_is_refused(self, algorithm):
        trainer = self.make(algorithm)
        trainer.learn(stop_after(1))
        with pytest.raises(ValueError, match="replay buffer has room for"):
            self.make(algorithm, num_envs=64).load_state_dict(trainer.state_dict())

    def test_a_full_one_goes_on_where_it_was(self, algorithm):
        trainer = self.make(algorithm, buffer_size=32 * 15, learning_starts=10_000)
        trainer.learn(stop_after(2))
        other = self.make(algorithm, buffer_size=32 * 15)
        other.load_state_dict(trainer.state_dict())
        buffer = other.model.replay_buffer
        assert (buffer.pos, buffer.full) == (5, True)

    def test_learning_waits_until_a_new_one_is_filled(self, algorithm):
        trainer = self.make(algorithm, checkpoint_buffer=False)
        trainer.learn(stop_after(3))
        other = self.make(algorithm, checkpoint_buffer=False)
        other.load_state_dict(trainer.state_dict())
        updates = other.model._n_updates
        other.learn(stop_after(2))
        assert other.model._n_updates == updates > 0
        other.learn(stop_after(1))
        assert other.model._n_updates > updates


def test_the_policy_is_the_librarys_without_exploration(make, kind):
    space = gym.spaces.Box(-2.0, 4.0, (1,))
    env = ToyEnv(32)
    env.single_action_space = space
    trainer = make(env=env)
    trainer.learn(stop_after(4))
    observations = torch.randn(64, 3) * torch.tensor([1.0, 5.0, 10.0])
    if kind[1] == "ppo":
        normal = trainer._observations.observations(observations).numpy()
    else:
        normal = trainer._normalize.normalize_obs(observations.numpy())
    expected = trainer.model.predict(normal, deterministic=True)[0]
    policy = trainer.policy()
    torch.testing.assert_close(
        policy(observations), torch.from_numpy(expected), atol=1e-5, rtol=1e-4
    )
    traced = torch.jit.trace(policy, observations)
    torch.testing.assert_close(traced(observations), policy(observations))
    weights = [p.clone() for p in policy.parameters()]
    trainer.learn(stop_after(2))
    assert all(map(torch.equal, weights, policy.parameters())), "it is a copy"


def test_settings_reach_the_model():
    config = replace(PPO, value_clip=0.0, grad_norm_clip=0.0, ratio_clip=0.3, gae_lambda=0.8)
    model = load_trainer("sb3", "ppo")(ToyEnv(32), config).model
    assert (model.n_steps, model.batch_size, model.n_epochs) == (10, 107, 5)
    assert (model.gamma, model.gae_lambda, model.max_grad_norm) == (0.9, 0.8, float("inf"))
    assert (model.clip_range(1.0), model.clip_range_vf) == (0.3, None)
    assert model.policy.log_std.tolist() == [-0.5]
    sac = load_trainer("sb3", "sac")(ToyEnv(32), replace(CONFIGS["sb3", "sac"], polyak=0.01)).model
    assert float(sac.log_ent_coef.detach().exp()) == pytest.approx(0.01)
    assert (sac.tau, sac.batch_size, sac.replay_buffer.buffer_size) == (0.01, 128, 200)


@pytest.mark.usefixtures("physics")
def test_the_command_line_trains_evaluates_and_resumes(kind, tmp_path, capsys):
    library, algorithm = kind
    words = ["--num-envs", "8", "--device", "cpu", "--timesteps", "256"]
    if algorithm == "ppo":
        words += ["--rollouts", "16", "--mini-batches", "2"]
    else:
        words += ["--learning-starts", "64", "--batch-size", "32"]
    run = str(tmp_path / "run")
    command = ["train", "IsaacCartpole-v0", "--library", library, "--algorithm", algorithm]
    assert main([*command, "--run-dir", run, *words]) == 0
    assert "evaluation: return" in capsys.readouterr().out
    assert main(["evaluate", run]) == 0
    assert "evaluation: return" in capsys.readouterr().out
    assert main(["resume", run, "--timesteps", "384"]) == 0
    assert "evaluation: return" in capsys.readouterr().out
    checkpoint = torch.load(f"{run}/checkpoint.pt", weights_only=True)
    assert checkpoint["trainer"]["timesteps"] == 384
    assert checkpoint["trainer"]["updates"] > 0
