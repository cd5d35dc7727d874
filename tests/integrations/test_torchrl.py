"""The TorchRL adapter: specs, partial resets, true last observations, collectors, learning."""

from __future__ import annotations

import importlib
import sys

import gymnasium as gym
import pytest
import torch
from scripted_env import DISABLED, MODES, N, TorchEnv, random_actions

pytest.importorskip("torchrl")

from tensordict import TensorDict
from torchrl.collectors import Collector
from torchrl.data import Bounded, Unbounded
from torchrl.envs import Compose, GymWrapper, RewardSum, StepCounter, TransformedEnv
from torchrl.envs.utils import check_env_specs

from isaac_gymnasium.integrations.torchrl import TorchRLEnv


def scripted(space: str = "box", state: bool = True) -> TorchEnv:
    env = TorchEnv(DISABLED, space)
    if not state:
        env.state_space = None
    return env


def cartpole(**kwargs):
    pytest.importorskip("ovphysx")
    return gym.make_vec("IsaacCartpole-v0", device="cpu", engine="physx", **kwargs)


def scripted_policy():
    """Actions of the scripted rollout, one row of the table a step."""
    t = -1

    def policy(tensordict):
        nonlocal t
        t += 1
        return tensordict.set("action", random_actions(t))

    return policy


class TestSpecs:
    @pytest.mark.parametrize("space", ["box", "half", "image", "dict"])
    @pytest.mark.parametrize("state", [False, True])
    def test_torchrls_own_check_passes(self, space, state):
        check_env_specs(TorchRLEnv(scripted(space, state)), break_when_any_done="both")

    @pytest.mark.parametrize("seed", [None, 3])
    def test_torchrls_own_check_passes_on_a_simulation(self, seed):
        env = TorchRLEnv(cartpole(num_envs=4, max_episode_steps=2, autoreset_mode="Disabled"))
        check_env_specs(env, seed=seed, break_when_any_done="both")
        env.close()

    def test_specs_are_the_spaces(self):
        env = TorchRLEnv(scripted("dict"))
        assert env.batch_size == (N,) and env.device == torch.device("cpu")
        spec = env.observation_spec
        assert set(spec.keys()) == {"policy", "camera", "state"}
        assert isinstance(spec["policy"], Bounded) and spec["policy"].shape == (N, 3)
        assert torch.equal(spec["policy"].low[0], torch.tensor([-10.0, -5.0, -20.0]))
        assert spec["camera"].shape == (N, 2, 2) and spec["state"].shape == (N, 2)
        assert torch.equal(env.action_spec.high[0], torch.tensor([1.0, 3.0]))
        assert isinstance(TorchRLEnv(scripted("half")).observation_spec["observation"], Unbounded)
        assert TorchRLEnv(scripted("image")).observation_spec["observation"].dtype == torch.uint8
        assert env.reward_spec.shape == env.done_spec["done"].shape == (N, 1)


class TestSteps:
    @pytest.mark.parametrize("space", ["box", "dict"])
    def test_next_is_what_followed_and_the_root_what_begins(self, space):
        env, ours = scripted(space), TorchRLEnv(scripted(space))
        policy, steps = scripted_policy(), 30
        rollout = ours.rollout(steps, policy, break_when_any_done=False)
        obs, _ = env.reset(seed=0)
        ends = 0
        for t in range(steps):
            row = rollout[:, t]
            for name, value in (obs if space == "dict" else {"observation": obs}).items():
                assert torch.equal(row[name], value), f"before step {t}"
            obs, reward, terminated, truncated, _ = env.step(random_actions(t))
            for name, value in (obs if space == "dict" else {"observation": obs}).items():
                assert torch.equal(row["next", name], value), f"after step {t}"
            assert torch.equal(row["next", "reward"].squeeze(1), reward)
            assert torch.equal(row["next", "terminated"].squeeze(1), terminated)
            assert torch.equal(row["next", "truncated"].squeeze(1), truncated)
            done = terminated | truncated
            assert torch.equal(row["next", "done"].squeeze(1), done)
            assert not row["done"].any()
            if done.any():
                obs, _ = env.reset(options={"reset_mask": done})
            ends += int(done.sum())
        assert ends > 20

    def test_reset_by_mask_leaves_the_others(self):
        env = TorchRLEnv(scripted())
        first = env.reset()
        stepped = env.step(first.set("action", random_actions(0)))["next"]
        mask = torch.tensor([True, False, False, True, False]).unsqueeze(1)
        again = env.reset(stepped.clone().set("_reset", mask))
        kept = ~mask.squeeze(1)
        assert torch.equal(again["observation"][kept], stepped["observation"][kept])
        assert not torch.isclose(again["observation"], stepped["observation"])[~kept].any()
        none = env.reset(again.clone().set("_reset", torch.zeros_like(mask)))
        assert torch.equal(none["observation"], again["observation"])

    def test_partial_steps_are_refused(self):
        env = TorchRLEnv(scripted())
        with pytest.raises(ValueError, match="step together"):
            env.rollout(20, break_when_any_done=False, break_when_all_done=True)

    @pytest.mark.parametrize("mode", [mode for mode in MODES if mode is not DISABLED])
    def test_other_autoreset_modes_are_rejected(self, mode):
        with pytest.raises(ValueError, match=rf"'Disabled', got '{mode.value}'"):
            TorchRLEnv(TorchEnv(mode))

    @pytest.mark.parametrize("space", ["discrete", "tuple"])
    def test_spaces_without_boxes_are_rejected(self, space):
        with pytest.raises(TypeError, match="spaces of boxes, got"):
            TorchRLEnv(scripted(space))

    @pytest.mark.parametrize(
        ("name", "message"), [("reward", "another use"), ("state", "collides")]
    )
    def test_observations_with_a_name_of_torchrls_are_rejected(self, name, message):
        env = scripted("dict")
        env.single_observation_space = gym.spaces.Dict({name: gym.spaces.Box(-1, 1, (2,))})
        with pytest.raises(ValueError, match=f"{message}.*{name}|{name}.*{message}"):
            TorchRLEnv(env)


class TestSeeds:
    def test_the_same_seed_gives_the_same_rollout(self):
        env = TorchRLEnv(cartpole(num_envs=4, autoreset_mode="Disabled"), seed=5)

        def policy(tensordict):
            return tensordict.set("action", torch.ones(4, 1))

        first = env.rollout(10, policy)["next", "observation"]
        other = env.rollout(10, policy)["next", "observation"]
        env.set_seed(5)
        # A partial reset in between does not use the seed up.
        mask = torch.tensor([[True], [False], [False], [False]])
        env.reset(TensorDict({"_reset": mask, "done": ~mask & False}, [4]))
        again = env.rollout(10, policy)["next", "observation"]
        assert torch.equal(first, again) and not torch.equal(first, other)
        env.close()
        assert env.is_closed


def test_a_collector_gives_whole_episodes():
    env = TransformedEnv(TorchRLEnv(scripted()), Compose(RewardSum(), StepCounter()))
    collector = Collector(env, scripted_policy(), frames_per_batch=N * 10, total_frames=N * 30)
    batches = torch.cat(list(collector), dim=1)
    collector.shutdown()
    reference, totals, lengths = scripted(), torch.zeros(N), torch.zeros(N)
    reference.reset(seed=0)
    for t in range(30):
        obs, reward, terminated, truncated, _ = reference.step(random_actions(t))
        totals, lengths = totals + reward, lengths + 1
        done, row = terminated | truncated, batches[:, t]["next"]
        assert torch.equal(row["observation"], obs)
        assert torch.allclose(row["episode_reward"].squeeze(1), totals)
        assert torch.equal(row["step_count"].squeeze(1), lengths.long())
        totals, lengths = totals * ~done, lengths * ~done
        if done.any():
            reference.reset(options={"reset_mask": done})


class TestTorchRLsOwnWrapper:
    @pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
    def test_the_bare_environment_passes_torchrls_check(self, mode):
        env = GymWrapper(cartpole(num_envs=4, max_episode_steps=2, autoreset_mode=mode))
        check_env_specs(env, break_when_any_done="both")
        rollout = env.rollout(4, break_when_any_done=False)
        assert rollout["next", "truncated"].squeeze(-1).tolist() == [[False, True] * 2] * 4
        # What follows the last action of an episode is not what the next one begins with.
        ended, begun = rollout["next", "observation"][:, 1], rollout["observation"][:, 2]
        assert not torch.isclose(ended, begun).all(1).any()

    def test_next_step_autoreset_passes_too_where_torchrl_lets_it_through(self):
        bare = cartpole(num_envs=4, max_episode_steps=3, autoreset_mode="NextStep")
        try:
            env = GymWrapper(bare)
        except RuntimeError as error:
            assert "auto-reset mode must be one of" in str(error)
        else:
            check_env_specs(env, break_when_any_done="both")
        bare.close()

    def test_extras_of_a_task_pass_too(self):
        pytest.importorskip("ovphysx")
        env = gym.make_vec("IsaacAllegroHand-v0", 4, device="cpu", engine="physx")
        check_env_specs(GymWrapper(env))
        env.close()

    def test_with_same_step_autoreset_it_stumbles_over_logged_means(self):
        """TorchRL wants N rows of everything in the info; `log` holds one number for all."""
        with pytest.raises(RuntimeError, match=r"reward/\w+ has shape .* incompatible"):
            GymWrapper(cartpole(num_envs=4, log_rewards=True))


def test_missing_torchrl_is_one_clear_message(monkeypatch):
    monkeypatch.delitem(sys.modules, "isaac_gymnasium.integrations.torchrl")
    monkeypatch.setitem(sys.modules, "torchrl.envs", None)
    with pytest.raises(ImportError, match=r"pip install isaac-gymnasium\[torchrl\]"):
        importlib.import_module("isaac_gymnasium.integrations.torchrl")
