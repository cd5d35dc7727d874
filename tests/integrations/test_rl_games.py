"""The rl_games adapter: shapes, true successors in the bootstrap, seeds, learning."""

from __future__ import annotations

import importlib
import sys

import gymnasium as gym
import pytest
import torch
from counting_env import AlsoTruncated
from scripted_env import MODES, SAME_STEP, NoHostAccess, TorchEnv, random_actions
from toy_env import ToyEnv

pytest.importorskip("rl_games")

from rl_games.algos_torch.a2c_continuous import A2CAgent as StockAgent
from rl_games.common import vecenv

from isaac_gymnasium.integrations.rl_games import (
    A2CAgent,
    RlGamesVecEnv,
    Runner,
    agent_config,
    register,
)
from isaac_gymnasium.presets.configs import AdaptivePpoConfig

SMALL = AdaptivePpoConfig(
    num_envs=16,
    timesteps=480,
    rollouts=10,
    mini_batches=2,
    learning_epochs=2,
    hidden_sizes=(16,),
    reward_scale=0.5,
)


@pytest.fixture(autouse=True)
def settings_of_torch_stay():
    """rl_games' runner sets what torch prints and how exactly it multiplies."""
    precision = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(precision)
    torch.set_printoptions(profile="default")


def make_runner(tmp_path, config=SMALL, **kwargs):
    runner = Runner()
    params = agent_config("Toy-v0", config, train_dir=str(tmp_path), **kwargs)
    runner.load({"params": params})
    return runner


def make_agent(tmp_path, asymmetric=False):
    register("Toy-v0", asymmetric=asymmetric)
    return agent_of(make_runner(tmp_path, asymmetric=asymmetric))


def agent_of(runner):
    return runner.algo_factory.create(runner.algo_name, base_name="run", params=runner.params)


class TestVecEnv:
    def test_shapes_and_dtypes_are_rl_games(self):
        envs = RlGamesVecEnv(ToyEnv(5), seed=3)
        info = envs.get_env_info()
        assert info["observation_space"].shape == (3,) and info["action_space"].shape == (1,)
        assert "state_space" not in info
        obs = envs.reset()
        assert (obs.shape, obs.dtype) == ((5, 3), torch.float32)
        obs, rewards, dones, infos = envs.step(torch.zeros(5, 1))
        assert obs.shape == (5, 3)
        assert (rewards.shape, rewards.dtype) == ((5,), torch.float32)
        assert (dones.shape, dones.dtype) == ((5,), torch.bool)
        assert (infos["time_outs"].shape, infos["time_outs"].dtype) == ((5,), torch.bool)
        assert infos["episode"]["reward/near"].shape == ()

    def test_the_seed_is_that_of_the_first_reset(self):
        env = ToyEnv(2)
        envs = RlGamesVecEnv(env, seed=7)
        envs.reset()
        envs.reset()
        envs.seed(8)
        envs.reset()
        assert env.seeds == [7, None, 8]

    @pytest.mark.parametrize("space", ["box", "dict"])
    def test_a_rollout_is_that_of_the_environment(self, space):
        env = TorchEnv(SAME_STEP, space)
        envs = RlGamesVecEnv(AlsoTruncated(TorchEnv(SAME_STEP, space)))
        envs.env.unwrapped.state_space = None
        first, _ = env.reset(seed=0)
        torch.testing.assert_close(envs.reset(), first, rtol=0, atol=0)
        ends = timeouts = 0
        for t in range(30):
            obs, reward, terminated, truncated, info = env.step(random_actions(t))
            seen, rewards, dones, infos = envs.step(random_actions(t))
            torch.testing.assert_close(seen, obs, rtol=0, atol=0)
            assert torch.equal(rewards, reward)
            assert torch.equal(dones, terminated | truncated)
            assert torch.equal(infos["time_outs"], truncated)
            torch.testing.assert_close(
                infos["final_obs"], info["final_obs"], rtol=0, atol=0, equal_nan=True
            )
            ends, timeouts = ends + int(dones.sum()), timeouts + int(truncated.sum())
        assert 0 < timeouts < ends

    def test_the_privileged_state_goes_beside_the_observation(self):
        env = ToyEnv(4, asymmetric=True)
        envs = RlGamesVecEnv(env)
        assert envs.get_env_info()["state_space"] is env.state_space
        assert torch.equal(envs.reset()["states"], env.state())
        for _ in range(12):
            obs, *_, infos = envs.step(torch.ones(4, 1))
            assert torch.equal(obs["obs"], env._observe())
            assert torch.equal(obs["states"], env.state())
            final = infos["final_obs"]
            assert torch.equal(final["states"][:, :3], final["obs"])

    @pytest.mark.parametrize("mode", [mode for mode in MODES if mode is not SAME_STEP])
    def test_other_autoreset_modes_are_rejected(self, mode):
        with pytest.raises(ValueError, match=rf"'SameStep', got '{mode.value}'"):
            RlGamesVecEnv(ToyEnv(2, autoreset_mode=mode.value))

    def test_discrete_actions_are_rejected(self):
        env = ToyEnv(2)
        env.single_action_space = gym.spaces.Discrete(3)
        with pytest.raises(ValueError, match=r"Box of shape \(A,\), got Discrete\(3\)"):
            RlGamesVecEnv(env)

    def test_a_step_never_waits_for_the_device(self):
        envs = RlGamesVecEnv(ToyEnv(4, asymmetric=True))
        envs.reset()
        with NoHostAccess():
            for _ in range(12):
                envs.step(torch.ones(4, 1))


def test_register_makes_an_id_known_with_its_keywords():
    register("Toy-v0", max_episode_steps=7)
    envs = vecenv.create_vec_env("Toy-v0", 3, seed=5, asymmetric=True)
    assert isinstance(envs, RlGamesVecEnv)
    env = envs.env.unwrapped
    assert (env.num_envs, env.max_episode_steps) == (3, 7)
    envs.reset()
    assert env.seeds == [5] and env.state_space is not None


def test_register_takes_a_function():
    register("mine", lambda num_envs, steps: ToyEnv(num_envs, max_episode_steps=steps), steps=9)
    env = vecenv.create_vec_env("mine", 2).env.unwrapped
    assert (env.num_envs, env.max_episode_steps) == (2, 9)


class TestAgent:
    @pytest.mark.parametrize("asymmetric", [False, True])
    def test_a_truncated_step_gains_the_value_of_the_true_last_observation(
        self, tmp_path, asymmetric
    ):
        agent = make_agent(tmp_path, asymmetric=asymmetric)
        assert type(agent) is A2CAgent
        steps, step = [], agent.vec_env.step

        def spy(actions):
            result = step(actions)
            steps.append((result[1].clone(), dict(result[3])))
            return result

        agent.vec_env.step = spy
        agent.init_tensors()
        agent.obs = agent.env_reset()
        agent.set_eval()
        with torch.no_grad():
            agent.play_steps()
        seen = 0
        for (rewards, infos), stored in zip(
            steps, agent.experience_buffer.tensor_dict["rewards"], strict=True
        ):
            values = agent.get_values(agent.obs_to_tensors(infos["final_obs"])).squeeze(1)
            expected = 0.5 * rewards + agent.gamma * values * infos["time_outs"]
            assert torch.allclose(stored.squeeze(1), expected)
            seen += int(infos["time_outs"].sum())
        assert seen > 5

    def test_no_bootstrap_where_none_is_asked_for(self, tmp_path):
        agent = make_agent(tmp_path)
        agent.value_bootstrap = False
        agent.init_tensors()
        agent.obs = agent.env_reset()
        agent.set_eval()
        with torch.no_grad():
            agent.play_steps()
        assert (agent.experience_buffer.tensor_dict["rewards"] <= 0.5).all()

    def test_rl_games_own_agent_takes_the_value_before_the_action(self, tmp_path):
        """The reason for ours; when rl_games changes that, ours can go."""
        register("Toy-v0")
        agent = StockAgent("run", make_runner(tmp_path).params)
        agent.init_tensors()
        agent.obs = agent.env_reset()
        agent.set_eval()
        rewards, step = [], agent.env_step

        def spy(actions):
            result = step(actions)
            rewards.append((result[1].clone(), result[3]["time_outs"]))
            return result

        agent.env_step = spy
        with torch.no_grad():
            agent.play_steps()
        stored = agent.experience_buffer.tensor_dict
        for t, (reward, time_outs) in enumerate(rewards):
            expected = 0.5 * reward + agent.gamma * stored["values"][t] * time_outs.unsqueeze(1)
            assert torch.allclose(stored["rewards"][t], expected)

    def test_the_critic_sees_the_privileged_state(self, tmp_path):
        agent = make_agent(tmp_path, asymmetric=True)
        assert agent.central_value_net.model.running_mean_std.running_mean.shape == (5,)
        assert agent.model.running_mean_std.running_mean.shape == (3,)
        agent.train()


class TestRunner:
    def test_a_run_logs_and_continues_from_its_checkpoint(self, tmp_path):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        register("Toy-v0")
        make_runner(tmp_path).run({"train": True})
        (events,) = tmp_path.rglob("events.out.tfevents.*")
        accumulator = EventAccumulator(str(events))
        accumulator.Reload()
        tags = accumulator.Tags()["scalars"]
        assert {"Episode/reward/near", "rewards/step", "losses/a_loss"} <= set(tags)

        (checkpoint,) = tmp_path.rglob("*.pth")
        saved = torch.load(checkpoint, weights_only=False)
        agent = make_agent(tmp_path)
        agent.restore(str(checkpoint))
        assert (agent.epoch_num, agent.frame) == (3, 480)
        assert agent.last_lr == saved["optimizer"]["param_groups"][0]["lr"]
        assert agent.last_lr != SMALL.learning_rate, "the test should see a rate that has moved"
        for name, value in saved["model"].items():
            assert torch.equal(agent.model.state_dict()[name], value)

    def test_minibatches_must_divide_the_rollout(self):
        with pytest.raises(ValueError, match=r"mini_batches to divide .* = 160, got 3"):
            agent_config("Toy-v0", AdaptivePpoConfig(num_envs=16, rollouts=10, mini_batches=3))


def test_missing_rl_games_is_one_clear_message(monkeypatch):
    monkeypatch.delitem(sys.modules, "isaac_gymnasium.integrations.rl_games")
    monkeypatch.setitem(sys.modules, "rl_games.common.ivecenv", None)
    with pytest.raises(ImportError, match=r"pip install isaac-gymnasium\[rl-games\]"):
        importlib.import_module("isaac_gymnasium.integrations.rl_games")
