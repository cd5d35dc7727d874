"""The rsl_rl adapter: groups, dtypes, true successors in the bootstrap, seeds, learning."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace

import gymnasium as gym
import pytest
import torch
from counting_env import AlsoTruncated
from scripted_env import MODES, SAME_STEP, NoHostAccess, TorchEnv, random_actions
from toy_env import ToyEnv

pytest.importorskip("rsl_rl")

from rsl_rl.algorithms import PPO as StockPPO
from rsl_rl.runners import OnPolicyRunner

from isaac_gymnasium.integrations.rsl_rl import PPO, RslRlVecEnv, runner_config
from isaac_gymnasium.presets.configs import AdaptivePpoConfig
from isaac_gymnasium.wrappers import RecordEpisodeStatistics

SMALL = AdaptivePpoConfig(num_envs=16, rollouts=10, mini_batches=2, hidden_sizes=(16,))


def make_runner(envs, config=SMALL, asymmetric=False, **changes):
    torch.manual_seed(0)
    settings = runner_config(config, asymmetric=asymmetric)
    for section, values in changes.items():
        settings[section] |= values
    return OnPolicyRunner(envs, settings, device="cpu")


class TestVecEnv:
    def test_shapes_and_dtypes_are_rsl_rls(self):
        envs = RslRlVecEnv(ToyEnv(5), seed=3)
        assert (envs.num_envs, envs.num_actions, envs.max_episode_length) == (5, 1, 10)
        assert envs.device == torch.device("cpu")
        envs.reset(seed=3)
        obs, rewards, dones, extras = envs.step(torch.zeros(5, 1))
        assert obs.batch_size == (5,)
        assert {key: (value.shape, value.dtype) for key, value in obs.items()} == {
            "policy": ((5, 3), torch.float32)
        }
        assert (rewards.shape, rewards.dtype) == ((5,), torch.float32)
        assert (dones.shape, dones.dtype) == ((5,), torch.bool)
        assert (extras["time_outs"].shape, extras["time_outs"].dtype) == ((5,), torch.bool)
        assert extras["log"]["reward/near"].shape == ()
        assert envs.get_observations() is obs

    def test_the_first_observations_come_from_a_reset_with_the_seed(self):
        env = ToyEnv(2)
        envs = RslRlVecEnv(env, seed=7)
        assert env.seeds == []
        assert torch.equal(envs.get_observations()["policy"], env._observe())
        envs.get_observations()
        assert env.seeds == [7]

    @pytest.mark.parametrize("space", ["box", "dict"])
    def test_example_observations_are_those_of_a_step_but_zero(self, space):
        envs = RslRlVecEnv(TorchEnv(SAME_STEP, space))
        example = envs.example_observations()
        real = envs.get_observations()
        assert (example == torch.zeros_like(real)).all()
        assert {k: v.dtype for k, v in example.items()} == {k: v.dtype for k, v in real.items()}

    @pytest.mark.parametrize("space", ["box", "dict"])
    def test_a_rollout_is_that_of_the_environment(self, space):
        env = TorchEnv(SAME_STEP, space)
        envs = RslRlVecEnv(AlsoTruncated(TorchEnv(SAME_STEP, space)), seed=0)
        env.state_space = envs.env.unwrapped.state_space = None
        first, _ = env.reset(seed=0)
        groups = envs.get_observations()
        for name, value in (first if space == "dict" else {"policy": first}).items():
            assert torch.equal(groups[name], value)
        ends = timeouts = 0
        for t in range(30):
            obs, reward, terminated, truncated, info = env.step(random_actions(t))
            groups, rewards, dones, extras = envs.step(random_actions(t))
            for name, value in (obs if space == "dict" else {"policy": obs}).items():
                assert torch.equal(groups[name], value)
            assert torch.equal(rewards, reward)
            assert torch.equal(dones, terminated | truncated)
            assert torch.equal(extras["time_outs"], truncated)
            final = info["final_obs"] if space == "dict" else {"policy": info["final_obs"]}
            for name, value in final.items():
                assert torch.equal(extras["final_observations"][name][dones], value[dones])
            ends, timeouts = ends + int(dones.sum()), timeouts + int(truncated.sum())
        assert 0 < timeouts < ends

    def test_the_privileged_state_is_the_group_critic(self):
        env = ToyEnv(4, asymmetric=True)
        envs = RslRlVecEnv(env, seed=0)
        assert torch.equal(envs.get_observations()["critic"], env.state())
        for _ in range(12):
            obs, _, dones, extras = envs.step(torch.ones(4, 1))
            assert torch.equal(obs["critic"], env.state())
            final = extras["final_observations"]
            assert torch.equal(final["critic"][:, :3], final["policy"])
            assert not torch.equal(final["critic"][dones], obs["critic"][dones]) or not dones.any()

    def test_an_observation_called_critic_beside_a_state_is_refused(self):
        env = TorchEnv(SAME_STEP, "dict")
        env.single_observation_space = gym.spaces.Dict({"critic": gym.spaces.Box(-1, 1, (3,))})
        with pytest.raises(ValueError, match="'critic' collides"):
            RslRlVecEnv(env)

    @pytest.mark.parametrize("mode", [mode for mode in MODES if mode is not SAME_STEP])
    def test_other_autoreset_modes_are_rejected(self, mode):
        with pytest.raises(ValueError, match=rf"'SameStep', got '{mode.value}'"):
            RslRlVecEnv(ToyEnv(2, autoreset_mode=mode.value))

    def test_discrete_actions_are_rejected(self):
        env = ToyEnv(2)
        env.single_action_space = gym.spaces.Discrete(3)
        with pytest.raises(ValueError, match=r"Box of shape \(A,\), got Discrete\(3\)"):
            RslRlVecEnv(env)

    def test_a_step_never_waits_for_the_device(self):
        envs = RslRlVecEnv(ToyEnv(4, asymmetric=True), seed=0)
        envs.get_observations()
        with NoHostAccess():
            for _ in range(12):
                envs.step(torch.ones(4, 1))


class TestBootstrap:
    @pytest.mark.parametrize("asymmetric", [False, True])
    @pytest.mark.parametrize("network", ["MLPModel", "RNNModel"])
    def test_a_truncated_step_gains_the_value_of_the_true_last_observation(
        self, network, asymmetric
    ):
        recurrent = network == "RNNModel"
        memory = {
            "class_name": network,
            "rnn_type": "gru",
            "rnn_hidden_dim": 8,
            "rnn_num_layers": 1,
        }
        changes = {name: memory for name in ("actor", "critic") if recurrent}
        envs = RslRlVecEnv(ToyEnv(16, asymmetric=asymmetric), seed=0)
        alg = make_runner(envs, asymmetric=asymmetric, **changes).alg
        assert type(alg) is PPO
        seen = 0
        with torch.inference_mode():
            obs = envs.get_observations()
            for step in range(SMALL.rollouts):
                actions = alg.act(obs)
                before = alg.critic.get_hidden_state()
                obs, rewards, dones, extras = envs.step(actions)
                expected = rewards + alg.gamma * extras["time_outs"] * alg.critic(
                    extras["final_observations"]
                ).squeeze(-1)
                alg.critic.reset(hidden_state=before)
                alg.process_env_step(obs, rewards, dones, extras)
                assert torch.allclose(alg.storage.rewards[step, :, 0], expected)
                seen += int(extras["time_outs"].sum())
                if recurrent:
                    kept = torch.where(dones.view(1, -1, 1), 0.0, before)
                    assert torch.equal(alg.critic.get_hidden_state(), kept)
        assert seen > 5

    def test_rsl_rls_own_ppo_takes_the_value_before_the_action(self):
        """The reason for ours; when rsl_rl changes that, ours can go."""
        envs = RslRlVecEnv(ToyEnv(16), seed=0)
        # The bounds of the adaptive learning rate are ours.
        fixed = replace(SMALL, kl_threshold=0.0)
        alg = make_runner(envs, fixed, algorithm={"class_name": StockPPO}).alg
        obs = envs.get_observations()
        with torch.inference_mode():
            for step in range(SMALL.rollouts):
                actions = alg.act(obs)
                values = alg.transition.values.squeeze(-1)
                obs, rewards, dones, extras = envs.step(actions)
                alg.process_env_step(obs, rewards, dones, extras)
                expected = rewards + alg.gamma * extras["time_outs"] * values
                assert torch.allclose(alg.storage.rewards[step, :, 0], expected)


class TestRunner:
    def test_random_initial_episode_lengths_reach_the_environment(self, tmp_path):
        pytest.importorskip("ovphysx")
        env = gym.make_vec(
            "IsaacCartpole-v0", num_envs=16, device="cpu", engine="physx", max_episode_steps=50
        )
        envs = RslRlVecEnv(env, seed=0)
        assert envs.cfg == {"id": "IsaacCartpole-v0", **env.spec.kwargs}
        runner = make_runner(envs)
        runner.learn(0, init_at_random_ep_len=True)
        assert env.episode_length.unique().numel() > 4
        lengths = env.episode_length.clone()
        assert torch.equal(envs.episode_length_buf, lengths)
        envs.step(torch.zeros(16, 1))
        assert torch.equal(envs.episode_length_buf, (lengths + 1) % 50)
        envs.close()
        assert env.closed

    def test_reward_terms_and_returns_are_logged(self, tmp_path):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        envs = RslRlVecEnv(RecordEpisodeStatistics(ToyEnv(16)), seed=0)
        settings = runner_config(SMALL)
        OnPolicyRunner(envs, settings, log_dir=str(tmp_path), device="cpu").learn(2)
        events = EventAccumulator(str(tmp_path))
        events.Reload()
        tags = events.Tags()["scalars"]
        assert {"reward/near", "Train/mean_reward", "Train/mean_episode_length"} <= set(tags)

    def test_a_checkpoint_continues(self, tmp_path):
        runner = make_runner(RslRlVecEnv(ToyEnv(16), seed=0))
        runner.learn(3)
        runner.save(str(tmp_path / "model.pt"))
        other = make_runner(RslRlVecEnv(ToyEnv(16), seed=1))
        other.load(str(tmp_path / "model.pt"))
        assert other.current_learning_iteration == 2
        assert other.alg.learning_rate == runner.alg.learning_rate
        for name, value in runner.alg.save()["actor_state_dict"].items():
            assert torch.equal(value, other.alg.save()["actor_state_dict"][name])
        assert other.alg.optimizer.state_dict()["state"][0]["step"] > 0
        other.learn(1)


def test_missing_rsl_rl_is_one_clear_message(monkeypatch):
    monkeypatch.delitem(sys.modules, "isaac_gymnasium.integrations.rsl_rl")
    monkeypatch.setitem(sys.modules, "rsl_rl.algorithms", None)
    with pytest.raises(ImportError, match=r"pip install isaac-gymnasium\[rsl-rl\]"):
        importlib.import_module("isaac_gymnasium.integrations.rsl_rl")
