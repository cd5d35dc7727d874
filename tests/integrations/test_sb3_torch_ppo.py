"""`TorchPPO`: number for number what SB3's PPO does, without the way through NumPy."""

from __future__ import annotations

import warnings
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch
from counting_env import CountingEnv
from torch.distributions import Distribution
from torch.utils._python_dispatch import TorchDispatchMode
from toy_env import ToyEnv

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    StopTrainingOnMaxEpisodes,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from isaac_gymnasium.integrations.sb3 import Sb3VecEnv
from isaac_gymnasium.integrations.sb3_torch_ppo import TorchPPO, TorchRolloutBuffer
from isaac_gymnasium.wrappers import NormalizeObservation, NormalizeReward, RecordEpisodeStatistics

POLICIES = {
    "box": "MlpPolicy",
    "double": "MlpPolicy",
    "image": "CnnPolicy",
    "dict": "MultiInputPolicy",
}
ARRAYS = (
    "actions",
    "rewards",
    "episode_starts",
    "values",
    "log_probs",
    "advantages",
    "returns",
)


def model_of(algorithm, observations="box", num_envs=5, device="cpu", env=None, **kwargs):
    env = env or Sb3VecEnv(CountingEnv(num_envs, observations, device=device))
    settings = {"n_steps": 11, "n_epochs": 2, "gamma": 0.9, "seed": 3, **kwargs}
    settings.setdefault("batch_size", settings["n_steps"])
    settings |= {"policy_kwargs": {"net_arch": [8], **settings.get("policy_kwargs", {})}}
    policy = POLICIES[observations]
    return algorithm(policy, env, device=device, **settings)


class KeepLocals(BaseCallback):
    def __init__(self, *names):
        super().__init__()
        self.names, self.kept = names, []

    def _on_step(self):
        self.kept.append({name: self.locals[name] for name in self.names})
        return True


def assert_same(actual, expected):
    if isinstance(expected, dict):
        assert set(actual.keys()) == set(expected)
        for key in expected:
            if key != "t":
                assert_same(actual[key], expected[key])
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for pair in zip(actual, expected, strict=True):
            assert_same(*pair)
    else:
        np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), 1e-5, 1e-5)


class TestBuffer:
    @pytest.mark.parametrize("gae_lambda", [0.0, 0.9, 1.0])
    def test_returns_are_those_of_sb3(self, gae_lambda, device):
        space, action = gym.spaces.Box(-1, 1, (3,)), gym.spaces.Box(-1, 1, (2,))
        rng = np.random.default_rng(0)
        ours, theirs = (
            buffer(
                20, space, action, "cpu" if buffer is RolloutBuffer else device, gae_lambda, 0.97, 6
            )
            for buffer in (TorchRolloutBuffer, RolloutBuffer)
        )
        for _ in range(2):
            ours.reset(), theirs.reset()
            for _ in range(20):
                arrays = [rng.normal(size=shape) for shape in ((6, 3), (6, 2), 6)]
                arrays += [rng.random(6) < 0.2]
                tensors = [torch.as_tensor(rng.normal(size=s)).float() for s in ((6, 1), 6)]
                theirs.add(*arrays, *tensors)
                ours.add(*(torch.as_tensor(a).to(device) for a in (*arrays, *tensors)))
            last, dones = torch.randn(6, 1), np.arange(6) % 2 == 0
            theirs.compute_returns_and_advantage(last, dones)
            ours.compute_returns_and_advantage(last.to(device), torch.as_tensor(dones).to(device))
            assert ours.full
            for name in (*ARRAYS, "observations"):
                assert_same(getattr(ours, name), getattr(theirs, name))

    @pytest.mark.parametrize("batch_size", [None, 7, 30])
    def test_minibatches_hold_each_sample_once(self, batch_size):
        space = gym.spaces.Dict(
            {"a": gym.spaces.Box(-1e9, 1e9, (2,)), "b": gym.spaces.Discrete(99)}
        )
        buffer = TorchRolloutBuffer(10, space, gym.spaces.Box(-1, 1, (1,)), "cpu", n_envs=3)
        for step in range(10):
            number = torch.arange(3) + 3.0 * step
            obs = {"a": torch.stack([number, -number], 1), "b": number.long()}
            buffer.add(obs, number[:, None], number, number == 0, number, number)
        buffer.compute_returns_and_advantage(torch.zeros(3), torch.zeros(3, dtype=torch.bool))
        passes = [list(buffer.get(batch_size)) for _ in range(2)]
        sizes = {None: [30], 7: [7, 7, 7, 7, 2], 30: [30]}[batch_size]
        orders = []
        for batches in passes:
            assert [len(batch.actions) for batch in batches] == sizes
            order = torch.cat([batch.old_values for batch in batches])
            assert order.sort().values.tolist() == list(range(30))
            for batch in batches:
                for same in (
                    batch.actions[:, 0],
                    batch.observations["a"][:, 0],
                    -batch.observations["a"][:, 1],
                    batch.observations["b"],
                    batch.old_log_prob,
                ):
                    assert torch.equal(same.float(), batch.old_values)
            orders.append(order)
        assert not torch.equal(*orders), "every pass has its own order"


class TestSameAsSb3:
    @pytest.mark.parametrize("observations", list(POLICIES))
    def test_a_rollout_from_the_same_seed_is_the_same(self, observations):
        # One rollout each, and one update.
        ours, theirs = (model_of(a, observations).learn(1) for a in (TorchPPO, PPO))
        for name in ARRAYS:
            expected = getattr(theirs.rollout_buffer, name)
            if name not in ("rewards", "episode_starts"):
                # SB3 leaves these flat, environment by environment.
                expected = expected.reshape(5, 11, -1).swapaxes(0, 1)
            assert_same(getattr(ours.rollout_buffer, name).reshape(expected.shape), expected)

    def test_the_bootstrap_changes_rewards_where_an_episode_was_cut(self):
        model = model_of(TorchPPO, n_steps=4)
        model.learn(1)
        index = np.arange(5)
        change = model.rollout_buffer.rewards - (index + np.arange(1, 5)[:, None] / 10)
        change[3, [0, 3]] = model.rollout_buffer.rewards[3, [0, 3]] - ([0.1, 3.1])
        assert (np.abs(change[3, [1, 4]]) > 1e-3).all()
        change[3, [1, 4]] = 0
        np.testing.assert_allclose(change, 0, atol=1e-6)

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"policy_kwargs": {"share_features_extractor": False}, "clip_range_vf": 0.3},
            {"use_sde": True, "policy_kwargs": {"squash_output": True}, "target_kl": 10.0},
        ],
        ids=["plain", "separate", "sde"],
    )
    def test_training_with_the_same_minibatches_is_the_same(self, settings, monkeypatch):
        def permutation(size):
            order = torch.randperm(size).numpy()
            # Ours goes step by step, SB3's environment by environment.
            return order % 5 * 11 + order // 5

        monkeypatch.setattr(np.random, "permutation", permutation)
        weights = []
        for algorithm in (TorchPPO, PPO):
            model = model_of(algorithm, learning_rate=1e-2, **settings)
            model.learn(4 * 55)
            weights.append(torch.cat([p.detach().flatten() for p in model.policy.parameters()]))
        fresh = model_of(PPO, **settings).policy.parameters()
        fresh = torch.cat([p.detach().flatten() for p in fresh])
        assert (weights[1] - fresh).abs().max() > 0.02
        torch.testing.assert_close(*weights, atol=2e-4, rtol=1e-3)

    @pytest.mark.parametrize("observations", ["box", "image", "dict"])
    def test_callbacks_see_the_same(self, observations):
        names = ("new_obs", "rewards", "dones", "infos", "actions", "clipped_actions", "n_steps")
        kept = []
        for algorithm in (TorchPPO, PPO):
            callback = KeepLocals(*names)
            model_of(algorithm, observations).learn(1, callback)
            kept.append(callback.kept)
        assert len(kept[0]) == 11
        for ours, theirs in zip(*kept, strict=True):
            for name in set(names) - {"rewards"}:
                assert_same(ours[name], theirs[name])
            # SB3 adds the bootstrap to the array that it has shown.
            cut = [bool(i.get("TimeLimit.truncated")) for i in theirs["infos"]]
            assert_same(np.where(cut, 0, ours["rewards"]), np.where(cut, 0, theirs["rewards"]))

    def test_episodes_reach_the_log_in_order(self):
        ours, theirs = (model_of(a).learn(3 * 55) for a in (TorchPPO, PPO))
        assert len(theirs.ep_info_buffer) > 30
        assert_same(list(ours.ep_info_buffer), list(theirs.ep_info_buffer))
        assert list(ours.ep_success_buffer) == list(theirs.ep_success_buffer)


class TestEnvironments:
    def test_a_bare_environment_is_enough(self):
        model = model_of(TorchPPO, env=CountingEnv(5))
        assert isinstance(model.get_env(), Sb3VecEnv)
        model.learn(1)
        assert model.num_timesteps == 55

    def test_wrappers_within_normalise(self):
        inner = NormalizeReward(NormalizeObservation(RecordEpisodeStatistics(CountingEnv(5))))
        model = model_of(TorchPPO, env=Sb3VecEnv(inner))
        model.learn(55)
        assert model.rollout_buffer.observations.max() < 5
        assert max(info["r"] for info in model.ep_info_buffer) > 10

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda: VecNormalize(Sb3VecEnv(CountingEnv(5))),
            lambda: VecMonitor(Sb3VecEnv(CountingEnv(5), monitor=False)),
            lambda: DummyVecEnv([lambda: gym.make("Pendulum-v1")]),
            lambda: "Pendulum-v1",
        ],
        ids=["VecNormalize", "VecMonitor", "DummyVecEnv", "TimeLimit"],
    )
    def test_what_would_go_through_numpy_is_refused(self, wrap, request):
        name = request.node.callspec.id
        with pytest.raises(TypeError, match=f"needs an Sb3VecEnv .* got .*{name}"):
            TorchPPO("MlpPolicy", wrap())

    def test_set_env_refuses_too(self):
        model = model_of(TorchPPO)
        with pytest.raises(TypeError, match="got VecNormalize"):
            model.set_env(VecNormalize(Sb3VecEnv(CountingEnv(5))))
        model.set_env(CountingEnv(5))

    @pytest.mark.parametrize("buffer", [DictRolloutBuffer, RolloutBuffer])
    def test_the_buffers_of_sb3_are_replaced(self, buffer):
        model = model_of(TorchPPO, rollout_buffer_class=buffer)
        assert type(model.rollout_buffer) is TorchRolloutBuffer

    def test_other_buffers_are_refused(self):
        class Mine(RolloutBuffer):
            pass

        with pytest.raises(TypeError, match="subclass of TorchRolloutBuffer, got Mine"):
            model_of(TorchPPO, rollout_buffer_class=Mine)

    def test_two_devices_are_bridged(self, device):
        model = model_of(TorchPPO, env=Sb3VecEnv(CountingEnv(5, device=device)), device="cpu")
        model.learn(1)
        assert model.rollout_buffer.full


class TestCallbacks:
    def test_a_callback_may_end_the_training(self):
        model = model_of(TorchPPO)
        model.learn(10_000, StopTrainingOnMaxEpisodes(max_episodes=2))
        assert model.num_timesteps == 5 * 9, "in step 9, the tenth and eleventh episode end"
        assert [info["l"] for info in model.ep_info_buffer] == [3, 3, 4, 4, 5, 3, 3, 4, 4, 3, 3]
        model.learn(55, reset_num_timesteps=False)
        assert model.num_timesteps == 45 + 55
        assert model.rollout_buffer.observations[0, 1, 2] == 1, "the episode has gone on"

    def test_nothing_is_fetched_that_nobody_looks_at(self, monkeypatch):
        model = model_of(TorchPPO)
        monkeypatch.setattr(Sb3VecEnv, "step_wait", None)
        model.learn(55)

    def test_the_host_waits_as_often_for_long_rollouts_as_for_short_ones(self, monkeypatch):
        waits = []
        # Another library may have turned this off for all.
        monkeypatch.setattr(Distribution, "_validate_args", True)
        for n_steps in (6, 60):
            model = model_of(TorchPPO, n_steps=n_steps)
            _, callback = model._setup_learn(1000)
            with CountWaits() as count:
                model.collect_rollouts(model.env, callback, model.rollout_buffer, n_steps)
            waits.append(count.names)
        # The bootstrap reads at which steps an episode was cut, and looks up the rows.
        assert waits[0] == waits[1], waits
        assert len(waits[0]) < 8
        assert Distribution._validate_args, "training looks again"


class CountWaits(TorchDispatchMode):
    """Names the operations for which a host would wait for a device."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.name() in ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal"):
            self.names.append(function.name())
        return function(*args, **(kwargs or {}))


class TestFiles:
    @pytest.mark.parametrize("observations", ["box", "dict"])
    def test_sb3_loads_what_it_saves(self, observations, tmp_path):
        model = model_of(TorchPPO, observations)
        model.learn(55)
        model.save(tmp_path / "model")
        data = zipfile.ZipFile(tmp_path / "model.zip").read("data").decode()
        assert "Torch" not in data and "_last_obs" not in data
        loaded = PPO.load(tmp_path / "model", Sb3VecEnv(CountingEnv(5, observations)), device="cpu")
        obs = loaded.env.reset()
        np.testing.assert_array_equal(
            loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0]
        )
        loaded.learn(55, reset_num_timesteps=False)
        assert loaded.num_timesteps == 110

    def test_it_loads_what_sb3_saves(self, tmp_path):
        model = model_of(PPO)
        model.learn(55)
        model.save(tmp_path / "model")
        loaded = TorchPPO.load(tmp_path / "model", CountingEnv(5), device="cpu")
        assert type(loaded.rollout_buffer) is TorchRolloutBuffer
        assert loaded.gamma == 0.9
        loaded.learn(55, reset_num_timesteps=False)
        assert loaded.num_timesteps == 110

    def test_a_checkpoint_goes_on_with_counters_and_optimiser(self, tmp_path):
        model = model_of(TorchPPO)
        model.learn(110, CheckpointCallback(11, str(tmp_path), "cut"))
        loaded = TorchPPO.load(tmp_path / "cut_110_steps", CountingEnv(5), device="cpu")
        assert (loaded.num_timesteps, loaded._n_updates) == (110, 2)
        state = loaded.policy.optimizer.state_dict()["state"]
        assert {int(entry["step"]) for entry in state.values()} == {10}
        loaded.learn(55, reset_num_timesteps=False)
        assert (loaded.num_timesteps, loaded._n_updates) == (165, 4)

    def test_without_an_environment_it_predicts(self, tmp_path):
        model_of(TorchPPO).save(tmp_path / "model")
        loaded = TorchPPO.load(tmp_path / "model", device="cpu")
        assert loaded.predict(np.zeros(4, np.float32))[0].shape == (2,)


class TestTrain:
    def test_logs_are_those_of_sb3(self):
        logged = []
        for algorithm in (TorchPPO, PPO):
            model = model_of(algorithm, n_steps=4, batch_size=20, n_epochs=1, clip_range_vf=0.2)
            torch.manual_seed(1)
            model.learn(20)
            logged.append(
                {k: v for k, v in model.logger.name_to_value.items() if k.startswith("train/")}
            )
        ours, theirs = logged
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name

    def test_a_policy_that_became_nan_is_noticed(self):
        model = model_of(TorchPPO, n_steps=4, batch_size=10)
        model.learn(20)
        with torch.no_grad():
            model.policy.value_net.bias.fill_(float("nan"))
        with pytest.raises(ValueError, match="training diverged"):
            model.train()

    def test_what_cannot_be_recorded_learns_as_sb3_does(self):
        model = model_of(TorchPPO, n_steps=4, batch_size=10, target_kl=1e-9, n_epochs=20)
        model.learn(20)
        assert not model._recordable() and model._n_updates < 20

    def test_files_made_on_a_gpu_load_without_one(self):
        model = model_of(TorchPPO, n_steps=4, batch_size=10)
        model.learn(20)
        # What learning on CUDA leaves behind.
        (group,) = model.policy.optimizer.param_groups
        group |= {"lr": torch.tensor(3e-4), "capturable": True}
        (group,) = model.get_parameters()["policy.optimizer"]["param_groups"]
        assert group["lr"] == pytest.approx(3e-4) and not isinstance(group["lr"], torch.Tensor)
        assert not group["capturable"]

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_recorded_minibatches_learn_what_plain_ones_do(self):
        weights = []
        for recorded in (True, False):
            torch.manual_seed(0)
            model = model_of(TorchPPO, device="cuda:0", n_steps=16, batch_size=16, n_epochs=4)
            model._setup_model()
            if not recorded:
                model._recordable = lambda: False
            for _ in range(3):
                torch.manual_seed(1)
                model.learn(80, reset_num_timesteps=False)
            weights.append([p.detach().clone() for p in model.policy.parameters()])
            if recorded:
                assert any(graph._graph for graph in model._minibatches.values())
        for ours, theirs in zip(*weights, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3)


class TestLearning:
    def test_it_learns_as_sb3_does(self):
        """Standing still has 5.0, the best policy 8.9."""
        for algorithm in (TorchPPO, PPO):
            model = algorithm(
                "MlpPolicy",
                Sb3VecEnv(ToyEnv(64)),
                n_steps=10,
                batch_size=320,
                n_epochs=5,
                learning_rate=3e-3,
                gamma=0.9,
                policy_kwargs={"net_arch": [16], "log_std_init": -0.5},
                seed=1,
                device="cpu",
            )
            model.learn(15_000)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                mean, _ = evaluate_policy(model, Sb3VecEnv(ToyEnv(64)), 128)
            assert mean > 8.5, algorithm

    @pytest.mark.slow
    def test_it_balances_the_pole(self):
        pytest.importorskip("ovphysx")
        from test_sb3 import CARTPOLE_PPO, CARTPOLE_STEPS

        envs = gym.make_vec("IsaacCartpole-v0", num_envs=256, device="cpu", engine="physx")
        model = TorchPPO("MlpPolicy", envs, **CARTPOLE_PPO)
        model.learn(CARTPOLE_STEPS)
        assert evaluate_policy(model, model.get_env(), 256)[0] >= 270
        envs.close()
