"""The skrl adapter: shapes, true successors, bootstrapping, and that training learns."""

import importlib
import sys

import gymnasium as gym
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from toy_env import ToyEnv

pytest.importorskip("skrl")

from skrl.agents.torch.ppo import PPO as StockPPO
from skrl.trainers.torch import SequentialTrainer

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.cli._recorder import RecordTraining
from isaac_gymnasium.integrations.skrl import PPO, SkrlWrapper, TrueSuccessorMixin
from isaac_gymnasium.integrations.skrl_ppo import make_ppo
from isaac_gymnasium.integrations.skrl_trainers import SkrlPpo
from isaac_gymnasium.presets.configs import SkrlPpoConfig

SMALL = SkrlPpoConfig(num_envs=16, rollouts=10, hidden_sizes=(16,))


def make(num_envs=16, config=SMALL, **kwargs):
    torch.manual_seed(0)
    env = SkrlWrapper(ToyEnv(num_envs, **kwargs))
    agent = make_ppo(env, config)
    agent.enable_training_mode(True)
    return env, agent


def collect(env, agent, steps):
    """Yield (transition, info) of each step, recorded by the agent."""
    observations, _ = env.reset(seed=0)
    states = env.state()
    for timestep in range(steps):
        with torch.no_grad():
            actions, _ = agent.act(observations, states, timestep=timestep, timesteps=steps)
            next_observations, rewards, terminated, truncated, info = env.step(actions)
            transition = {
                "observations": observations,
                "states": states,
                "actions": actions,
                "rewards": rewards,
                "next_observations": next_observations,
                "next_states": env.state(),
                "terminated": terminated,
                "truncated": truncated,
            }
            agent.record_transition(**transition, infos=info, timestep=timestep, timesteps=steps)
        yield transition, info
        observations, states = next_observations, transition["next_states"]


class TestWrapper:
    def test_shapes_and_dtypes_are_skrls(self):
        env = SkrlWrapper(ToyEnv(5))
        observations, _ = env.reset(seed=3)
        assert observations.shape == (5, 3)
        observations, rewards, terminated, truncated, _ = env.step(torch.zeros(5, 1))
        assert observations.shape == (5, 3)
        assert rewards.shape == terminated.shape == truncated.shape == (5, 1)
        assert rewards.dtype == torch.float32
        assert terminated.dtype == truncated.dtype == torch.bool
        assert env.observation_space.shape == (3,)
        assert env.action_space.shape == (1,)
        assert (env.num_envs, env.device, env.state()) == (5, torch.device("cpu"), None)

    def test_seed_and_options_reach_the_environment(self):
        env = SkrlWrapper(ToyEnv(2))
        env.reset(seed=7)
        assert env.unwrapped.seeds == [7]

    def test_observations_are_not_copied(self):
        env = SkrlWrapper(ToyEnv(2))
        env.reset(seed=0)
        handed_out = env.unwrapped._observe()
        env.unwrapped._observe = lambda: handed_out
        assert env.step(torch.zeros(2, 1))[0].data_ptr() == handed_out.data_ptr()

    def test_adding_to_rewards_leaves_the_environment_alone(self):
        env = SkrlWrapper(ToyEnv(4))
        env.reset(seed=0)
        _, rewards, *_ = env.step(torch.zeros(4, 1))
        before = env.unwrapped.rewards.clone()
        rewards += 100
        assert torch.equal(env.unwrapped.rewards, before)

    @pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
    def test_other_autoreset_modes_are_rejected(self, mode):
        with pytest.raises(ValueError, match=rf"needs autoreset_mode='SameStep', got '{mode}'"):
            SkrlWrapper(ToyEnv(2, autoreset_mode=mode))

    def test_state_is_the_privileged_state(self):
        env = SkrlWrapper(ToyEnv(4, asymmetric=True))
        env.reset(seed=0)
        assert torch.equal(env.state(), env.unwrapped.state())


class TestTrueSuccessor:
    @pytest.mark.parametrize("asymmetric", [False, True])
    def test_successors_at_episode_ends_are_the_final_observations(self, asymmetric):
        env, agent = make(asymmetric=asymmetric)
        ends = 0
        for transition, info in collect(env, agent, 40):
            ended = (transition["terminated"] | transition["truncated"]).squeeze(1)
            seen = agent._current_next_observations
            assert torch.equal(seen, info["final_obs"])
            assert not torch.isclose(seen, transition["next_observations"]).all(1)[ended].any()
            assert torch.equal(seen[~ended], transition["next_observations"][~ended])
            if asymmetric:
                assert torch.equal(agent._current_next_states, info["final_state"])
            ends += int(ended.sum())
        assert ends > 30

    def test_mixin_serves_any_agent(self):
        class Recorder:
            def record_transition(self, **transition):
                self.transition = transition

        class Agent(TrueSuccessorMixin, Recorder):
            pass

        agent, final = Agent(), torch.rand(2, 3)
        infos = {"final_obs": final}
        agent.record_transition(
            rewards=1, next_observations=torch.zeros(2, 3), next_states=None, infos=infos
        )
        assert torch.equal(agent.transition["next_observations"], final)
        assert agent.transition["next_states"] is None
        assert agent.transition["rewards"] == 1

    def test_stored_rewards_are_those_of_skrls_own_bootstrap_on_true_successors(self):
        config = SkrlPpoConfig(num_envs=16, rollouts=40, hidden_sizes=(16,), reward_scale=0.5)
        env, agent = make(config=config)
        _, stock = make(config=config)
        stock.__class__ = type("Stock", (TrueSuccessorMixin, StockPPO), {})
        bootstrapped = 0
        for transition, info in collect(env, agent, 40):
            stock._current_log_prob = agent._current_log_prob
            stock._current_values = agent._current_values
            stock.record_transition(**transition, infos=info, timestep=0, timesteps=0)
            bootstrapped += int(transition["truncated"].sum())
        assert bootstrapped > 10
        for name in ("rewards", "terminated", "truncated", "values", "observations", "actions"):
            ours, theirs = (a.memory.get_tensor_by_name(name) for a in (agent, stock))
            assert torch.equal(ours, theirs), name

    def test_terminated_transitions_keep_their_reward(self):
        env, agent = make()
        for step, (transition, _) in enumerate(collect(env, agent, SMALL.rollouts)):
            stored = agent.memory.get_tensor_by_name("rewards")[step]
            cut = transition["truncated"]
            assert torch.equal(stored[~cut], transition["rewards"][~cut])
            assert not torch.isclose(stored[cut], transition["rewards"][cut]).any()


class _Forbid(TorchDispatchMode):
    """Fails where the host would wait for a device: a value read, a data-dependent shape."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        assert name not in ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select"), (
            f"{name} would wait for the device"
        )
        return function(*args, **(kwargs or {}))


def test_a_step_of_collection_never_waits_for_the_device():
    _, agent = make(asymmetric=True)
    env = SkrlWrapper(RecordTraining(ToyEnv(16, asymmetric=True)))
    with _Forbid():
        for _ in collect(env, agent, 25):
            pass
    with pytest.raises(AssertionError, match="would wait"), _Forbid():
        torch.ones(3).any().item()


class TestUpdate:
    def full_batch(self, **changes):
        """Ours and skrl's own agent after the same rollout, about to learn from all of it."""
        values = {"num_envs": 16, "rollouts": 10, "hidden_sizes": (16,), "mini_batches": 1}
        config = SkrlPpoConfig(**(values | {"learning_epochs": 1} | changes))
        env, agent = make(config=config)
        _, stock = make(config=config)
        reference = StockPPO(
            models=stock.models,
            memory=stock.memory,
            cfg=stock.cfg,
            observation_space=stock.observation_space,
            action_space=stock.action_space,
            device=stock.device,
        )
        reference.init()
        reference.enable_training_mode(True)
        for _ in collect(env, agent, config.rollouts):
            pass
        for name, tensor in agent.memory.tensors.items():
            reference.memory.tensors[name].copy_(tensor)
        reference.memory.filled = True
        reference._current_next_observations = agent._current_next_observations
        return agent, reference

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"entropy_loss_scale": 0.01, "value_clip": 0.0},
            {"kl_threshold": 1e-9, "learning_rate": 5e-3},
            {"shared_network": True, "kl_threshold": 0.0},
        ],
        ids=["defaults", "entropy", "slower", "shared"],
    )
    def test_one_step_on_the_whole_rollout_is_skrls(self, changes):
        agent, reference = self.full_batch(**changes)
        before = agent.policy.mean.weight.clone()
        for one in (agent, reference):
            one.update(timestep=0, timesteps=1)
        assert not torch.equal(agent.policy.mean.weight, before)
        for name, model in agent.models.items():
            for ours, theirs in zip(
                model.parameters(), reference.models[name].parameters(), strict=True
            ):
                torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        for tag, (theirs,) in reference.tracking_data.items():
            assert agent.tracking_data[tag] == pytest.approx([theirs], rel=1e-4, abs=1e-6), tag
        for scaler in ("_observation_preprocessor", "_value_preprocessor"):
            ours, theirs = getattr(agent, scaler), getattr(reference, scaler)
            torch.testing.assert_close(ours.running_mean, theirs.running_mean)
            torch.testing.assert_close(ours.running_variance, theirs.running_variance)

    def test_learning_rate_follows_the_divergence(self):
        changes = {"learning_epochs": 2, "learning_rate": 1e-3}
        slower, _ = self.full_batch(**changes, kl_threshold=1e-9)
        faster, _ = self.full_batch(**changes, kl_threshold=1e9)
        for agent in (slower, faster):
            agent.update(timestep=0, timesteps=1)
        assert float(slower.optimizer.param_groups[0]["lr"]) == pytest.approx(1e-3 / 2.25)
        assert float(faster.optimizer.param_groups[0]["lr"]) == pytest.approx(2.25e-3)

    @pytest.mark.parametrize(("kl_threshold", "bound"), [(1e9, 1.2e-3), (1e-9, 0.8e-3)])
    def test_learning_rate_stays_within_its_bounds(self, kl_threshold, bound):
        agent, _ = self.full_batch(
            learning_epochs=2,
            learning_rate=1e-3,
            kl_threshold=kl_threshold,
            min_learning_rate=0.8e-3,
            max_learning_rate=1.2e-3,
        )
        agent.update(timestep=0, timesteps=1)
        assert float(agent.optimizer.param_groups[0]["lr"]) == pytest.approx(bound)
        with pytest.raises(
            ValueError, match=r"learning_rate must be between 1e-05 and 0\.005, got 0\.02"
        ):
            SkrlPpoConfig(learning_rate=0.02).check()
        SkrlPpoConfig(learning_rate=0.02, kl_threshold=0.0).check()

    def test_an_epsilon_keeps_small_observations_small(self):
        agent, _ = self.full_batch(observation_epsilon=0.5)
        scaler = agent._observation_preprocessor
        scaler.running_variance.fill_(1e-8)
        scaler.running_mean.zero_()
        small = torch.full(agent.observation_space.shape, 1e-3).unsqueeze(0)
        torch.testing.assert_close(scaler(small), 2 * small, rtol=1e-3, atol=0.0)

    def test_statistics_stay_in_their_tensors(self):
        agent, _ = self.full_batch()
        scaler = agent._observation_preprocessor
        kept = {name: buffer.data_ptr() for name, buffer in scaler.named_buffers()}
        assert float(scaler.running_mean.abs().sum()) == 0
        agent.update(timestep=0, timesteps=1)
        assert float(scaler.running_mean.abs().sum()) > 0
        assert kept == {name: buffer.data_ptr() for name, buffer in scaler.named_buffers()}

    def test_optimizer_goes_on_from_a_checkpoint_made_elsewhere(self):
        agent, _ = self.full_batch()
        agent.update(timestep=0, timesteps=1)
        state = agent.optimizer.state_dict()
        for group in state["param_groups"]:
            group |= {"lr": torch.tensor(7e-3), "capturable": True}
        _, other = make()
        rate = other.optimizer.param_groups[0]["lr"]
        other.optimizer.load_state_dict(state)
        (group,) = other.optimizer.param_groups
        assert group["lr"] is rate and float(rate) == pytest.approx(7e-3)
        assert not group["capturable"]

    @pytest.mark.parametrize("name", ["mixed_precision", "kl_threshold"])
    def test_what_cannot_be_recorded_is_refused(self, name):
        _, agent = make()
        setattr(agent.cfg, name, 1)
        with pytest.raises(ValueError, match=f"{name} must not be set"):
            PPO(models=agent.models, memory=agent.memory, cfg=agent.cfg, device="cpu")


class TestTraining:
    @pytest.mark.parametrize("shared", [False, True])
    def test_ppo_learns(self, shared):
        config = SkrlPpoConfig(
            num_envs=64,
            timesteps=15_000,
            rollouts=10,
            learning_rate=3e-3,
            kl_threshold=0.02,
            discount=0.9,
            hidden_sizes=(16,),
            initial_log_std=-0.5,
            shared_network=shared,
        )
        torch.manual_seed(0)
        env = ToyEnv(64)
        trainer = SkrlPpo(env, config)
        updates = []
        trainer.learn(lambda metrics: updates.append(metrics) or True)
        assert trainer.timesteps == 64 * 10 * len(updates) == 15_360
        assert {"loss/policy", "loss/value", "policy/std", "policy/learning_rate"} == set(
            updates[0]
        )
        still, learned, best = (
            float(evaluate(env, policy, seed=1).returns.mean())
            for policy in (
                lambda observations: torch.zeros(64, 1),
                trainer.policy(),
                lambda observations: -5 * observations[:, :1],
            )
        )
        assert still < best - 3
        assert learned > best - 0.3

    def test_asymmetric_critic_values_the_state(self):
        _, agent = make(asymmetric=True)
        assert agent.value.hidden[0].in_features == 5
        assert agent.policy.hidden[0].in_features == 3

    def test_shared_network_with_a_privileged_state_is_refused(self):
        with pytest.raises(ValueError, match="shared_network cannot serve"):
            make(asymmetric=True, config=SkrlPpoConfig(num_envs=16, shared_network=True))

    def test_shared_network_is_one_model(self):
        _, agent = make(config=SkrlPpoConfig(num_envs=16, shared_network=True))
        assert agent.policy is agent.value

    def test_skrls_own_trainer_runs(self):
        env, agent = make()
        weights = agent.policy.mean.weight.clone()
        cfg = {"timesteps": 20, "headless": True, "close_environment_at_exit": False}
        SequentialTrainer(env=env, agents=agent, cfg=cfg).train()
        assert not torch.equal(weights, agent.policy.mean.weight)


def test_missing_skrl_is_one_clear_message(monkeypatch):
    monkeypatch.delitem(sys.modules, "isaac_gymnasium.integrations.skrl")
    monkeypatch.setitem(sys.modules, "skrl.envs.wrappers.torch", None)
    with pytest.raises(ImportError, match=r"pip install isaac-gymnasium\[skrl\]"):
        importlib.import_module("isaac_gymnasium.integrations.skrl")


def test_ppo_is_true_successor_agent():
    assert issubclass(PPO, TrueSuccessorMixin)
    assert issubclass(PPO, StockPPO)


@pytest.mark.parametrize("stagger", [False, True])
@pytest.mark.usefixtures("physics")
def test_first_episodes_may_start_at_random_lengths(stagger):
    config = SkrlPpoConfig(
        num_envs=64, timesteps=128, rollouts=2, hidden_sizes=(8,), stagger=stagger
    )
    env = gym.make_vec("IsaacCartpole-v0", num_envs=64, device="cpu")
    try:
        SkrlPpo(env, config).learn(lambda metrics: True)
        assert (int(env.unwrapped.episode_length.max()) > 2) == stagger
    finally:
        env.close()
