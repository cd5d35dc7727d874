"""`Sb3VecEnv`: what SB3 is told, to the number; SB3's own wrappers around it."""

from __future__ import annotations

import importlib
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from counting_env import AlsoTruncated, CountingEnv
from gymnasium.vector import AutoresetMode
from toy_env import ToyEnv

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.monitor import Monitor, load_results
from stable_baselines3.common.vec_env import (
    VecCheckNan,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

from isaac_gymnasium.integrations import sb3
from isaac_gymnasium.integrations._empty_dicts import EmptyDicts
from isaac_gymnasium.integrations._host_copy import HostCopy
from isaac_gymnasium.integrations.sb3 import Sb3VecEnv
from isaac_gymnasium.wrappers import NormalizeReward, RecordEpisodeStatistics

N = 5
LENGTHS = [3, 4, 5, 3, 4]
ZERO = np.zeros((N, 2), np.float32)


def make(**kwargs):
    return Sb3VecEnv(CountingEnv(N, **kwargs))


class TestStep:
    def test_shapes_and_dtypes_are_those_of_sb3(self):
        venv = make()
        obs = venv.reset()
        assert (obs.shape, obs.dtype) == ((N, 4), np.float32)
        obs, rewards, dones, infos = venv.step(ZERO)
        assert (obs.shape, obs.dtype) == ((N, 4), np.float32)
        assert (rewards.shape, rewards.dtype) == ((N,), np.float32)
        assert (dones.shape, dones.dtype) == ((N,), np.bool_)
        assert infos == [{}] * N
        assert (venv.num_envs, venv.observation_space.shape) == (N, (4,))

    def test_what_terminates_is_not_truncated_as_well(self):
        venv = Sb3VecEnv(AlsoTruncated(CountingEnv(N)))
        venv.reset()
        seen = set()
        for _ in range(5):
            _, _, dones, infos = venv.step(ZERO)
            seen |= {(k, infos[k]["TimeLimit.truncated"]) for k in np.flatnonzero(dones)}
        assert seen == {(k, length == 4) for k, length in enumerate(LENGTHS)}

    @pytest.mark.parametrize("small", [0, 2**20])
    def test_every_number_is_the_environments_own(self, device, small, monkeypatch):
        monkeypatch.setattr(sb3, "_SMALL", small)
        venv = make(device=device)
        venv.reset()
        t, episode = np.zeros(N, int), np.ones(N, int)
        ends = 0
        for _ in range(13):
            obs, rewards, dones, infos = venv.step(ZERO)
            t += 1
            ended = t >= LENGTHS
            np.testing.assert_allclose(rewards, np.arange(N) + t / 10, rtol=1e-6)
            np.testing.assert_array_equal(dones, ended)
            for k in range(N):
                if not ended[k]:
                    assert infos[k] == {}
                    continue
                ends += 1
                final = infos[k]["terminal_observation"]
                np.testing.assert_array_equal(final, [k, episode[k], t[k], -1])
                assert final.dtype == np.float32
                assert infos[k]["TimeLimit.truncated"] is (LENGTHS[k] == 4)
                assert infos[k]["is_success"] is infos[k]["success"] is (k % 2 == 0)
                assert infos[k]["progress"] == pytest.approx(1.0)
                np.testing.assert_array_equal(infos[k]["place"], [k, t[k]])
                assert venv.reset_infos[k]["progress"] == 0.0
                assert "final_state" not in infos[k]
            episode += ended
            t[ended] = 0
            np.testing.assert_array_equal(obs.T, [np.arange(N), episode, t, -np.ones(N)])
        assert ends == sum(13 // length for length in LENGTHS)

    def test_episodes_are_reported_as_by_monitor(self):
        venv = make()
        venv.reset()
        for _ in range(2):
            seen = {}
            for t in range(1, 6):
                for k, info in enumerate(venv.step(ZERO)[3]):
                    if "episode" in info:
                        seen.setdefault(k, (t, info["episode"]))
            venv.reset()  # in the middle of episodes, whose rewards must not be carried over
            for k, length in enumerate(LENGTHS):
                t, episode = seen[k]
                assert t == episode["l"] == length
                assert type(episode["l"]) is int and type(episode["r"]) is float
                assert episode["r"] == pytest.approx(length * k + length * (length + 1) / 20)
                assert 0 <= episode["t"] < 60

    def test_statistics_of_a_wrapper_within_are_taken_over(self):
        venv = Sb3VecEnv(NormalizeReward(RecordEpisodeStatistics(CountingEnv(N))))
        venv.reset()
        infos = [venv.step(ZERO)[3] for _ in range(3)][-1]
        assert infos[3]["episode"]["r"] == pytest.approx(3 * 3 + 0.6)
        assert infos[3]["episode"]["l"] == 3

    def test_a_partial_reset_keeps_the_other_episodes(self):
        venv = make()
        venv.reset()
        venv.step(ZERO)
        venv.set_options({"reset_mask": torch.tensor([True, False, False, False, False])})
        obs = venv.reset()
        np.testing.assert_array_equal(obs[:, 2], [0, 1, 1, 1, 1])
        venv.step(ZERO)
        infos = venv.step(ZERO)[3]
        assert "episode" not in infos[0]
        assert infos[3]["episode"]["l"] == 3
        assert venv.step(ZERO)[3][0]["episode"]["l"] == 3

    @pytest.mark.parametrize("observations", ["double", "image", "dict"])
    def test_observations_of_every_kind(self, observations):
        venv = make(observations=observations)
        first, space = venv.reset(), venv.observation_space
        for step in range(4):
            obs, _, dones, infos = venv.step(ZERO)
            finals = [info["terminal_observation"] for info in infos if info]
            assert len(finals) == dones.sum() == [0, 0, 2, 2][step]
            for single in [
                *finals,
                *([obs[0]] if observations != "dict" else [{k: v[0] for k, v in obs.items()}]),
            ]:
                assert space.contains(single)
        if observations == "dict":
            assert list(first) == list(obs) == list(space)
            assert obs["camera"].shape == (N, 36, 40, 3)
            np.testing.assert_array_equal(finals[0]["policy"], [1, 1, 4, -1])
            assert (finals[0]["camera"] == [1, 1, 4]).all()
        elif observations == "image":
            assert (finals[1] == [4, 1, 4]).all()
        else:
            assert obs.dtype == np.float64

    def test_what_is_returned_shares_no_memory(self, device):
        venv = make(device=device)
        obs = venv.reset()
        first = venv.step(ZERO)
        before = [obs.copy(), *(array.copy() for array in first[:3])]
        inside = venv.env.t.clone()
        first[1][:] += 100
        first[0][:] = -1
        second = venv.step(ZERO)
        assert not np.shares_memory(first[0], second[0])
        assert torch.equal(venv.env.t.cpu(), inside.cpu() + 1)
        np.testing.assert_array_equal(obs, before[0])
        third = venv.step(ZERO)[3][0]["terminal_observation"]
        venv.step(ZERO)
        np.testing.assert_array_equal(third, [0, 1, 3, -1])

    def test_rewards_are_the_callers_own(self):
        """SB3 adds to them in place, and this environment hands out its own buffer."""
        venv = Sb3VecEnv(ToyEnv(4))
        venv.reset()
        rewards = venv.step(np.zeros((4, 1)))[1]
        rewards += 100
        assert (venv.env.rewards < 2).all()

    def test_infos_are_the_callers_own(self):
        venv = make()
        venv.reset()
        kept = [venv.step(ZERO)[3] for _ in range(13)]
        for t, infos in enumerate(kept):
            for k, info in enumerate(infos):
                info["seen"] = (t, k)
        assert [info["seen"] for infos in kept for info in infos] == [
            (t, k) for t in range(13) for k in range(N)
        ]
        venv.reset()
        for _ in range(9):
            infos = venv.step(ZERO)[3]
            assert not any("seen" in info for info in infos)
            for info in infos:
                info["seen"] = True

    def test_actions_arrive_whole_in_the_dtype_of_their_space(self, device):
        venv = make(device=device)
        venv.reset()
        given = np.random.default_rng(0).normal(size=(3, N, 2))
        for actions in given:
            venv.step(actions)
        for received, actions in zip(venv.env.actions, given, strict=True):
            assert received.dtype == torch.float32
            np.testing.assert_array_equal(received.cpu(), actions.astype(np.float32))

    def test_actions_of_another_shape_or_kind_are_refused(self):
        venv = make()
        venv.reset()
        with pytest.raises(ValueError, match=r"must have shape \(5, 2\), got \(5, 1\)"):
            venv.step(np.zeros((N, 1)))
        with pytest.raises(TypeError, match="Cannot cast"):
            venv.step(np.zeros((N, 2), complex))

    def test_step_wait_needs_a_step(self):
        venv = make()
        venv.reset()
        with pytest.raises(RuntimeError, match="needs a step_async"):
            venv.step_wait()


class TestReset:
    def test_seeds_are_used_once(self):
        venv = make()
        assert venv.seed(7) == [7, 8, 9, 10, 11]
        obs = venv.reset()
        np.testing.assert_array_equal(obs[:, 3], [7, 8, 9, 10, 11])
        venv.reset()
        assert [seed for seed, _ in venv.env.resets] == [7, None]

    def test_options_are_used_once_and_copied(self):
        venv = make()
        options = {"stagger": [1]}
        venv.set_options(options)
        options["stagger"].append(2)
        venv.reset()
        venv.reset()
        venv.set_options([{"stagger": True}] * N)
        venv.reset()
        assert [o for _, o in venv.env.resets] == [{"stagger": [1]}, None, {"stagger": True}]

    def test_options_that_differ_are_refused(self):
        with pytest.raises(ValueError, match="share their options, got several"):
            make().set_options([{"a": 1}] * (N - 1) + [{"a": 2}])
        with pytest.raises(ValueError, match="must have 5 entries, got 2"):
            make().set_options([{}, {}])

    def test_reset_infos_are_rows(self):
        venv = make()
        venv.reset()
        assert [info["success"] for info in venv.reset_infos] == [True, False, True, False, True]
        np.testing.assert_array_equal(venv.reset_infos[3]["place"], [3, 0])


class TestAttributes:
    def test_shared_attributes_come_once_for_each_index(self):
        venv = make()
        assert venv.get_attr("shared") == ["one"] * N
        assert venv.get_attr("strength", [0, 3]) == [3.0] * 2
        assert venv.get_attr("render_mode", 2) == [None]
        assert venv.has_attr("shared") and not venv.has_attr("absent")

    def test_tensors_with_rows_come_by_row(self):
        venv = make()
        assert [int(v) for v in venv.get_attr("length")] == LENGTHS
        assert [int(v) for v in venv.get_attr("index", np.array([4, -5]))] == [4, 0]

    def test_attributes_are_set_where_they_are(self):
        venv = Sb3VecEnv(RecordEpisodeStatistics(CountingEnv(N)))
        venv.set_attr("strength", 4.0)
        venv.set_attr("shared", "two")
        assert (venv.env.unwrapped.task.strength, venv.env.unwrapped.shared) == (4.0, "two")
        venv.set_attr("length", 9, [1, 3])
        assert venv.env.unwrapped.length.tolist() == [3, 9, 5, 9, 4]

    def test_what_cannot_be_set_is_refused(self):
        venv = make()
        with pytest.raises(ValueError, match="strength is shared by all 5 environments"):
            venv.set_attr("strength", 4.0, indices=[1])
        with pytest.raises(AttributeError, match="has 'absent'"):
            venv.set_attr("absent", 1)
        with pytest.raises(IndexError, match="must be below 5, got 5"):
            venv.get_attr("shared", 5)

    def test_methods_run_once(self):
        venv = make()
        assert venv.env_method("describe", "this", indices=[1, 2]) == ["a task, this"] * 2
        assert [int(t) for t in venv.env_method("set_clock", 2)] == [2] * N
        assert [int(t) for t in venv.env_method("set_clock", t=1, indices=3)] == [1]
        assert venv.env.t.tolist() == [2, 2, 2, 1, 2]
        with pytest.raises(ValueError, match="call reset"):
            venv.env_method("reset")

    def test_wrappers_are_found(self):
        venv = Sb3VecEnv(RecordEpisodeStatistics(CountingEnv(N)))
        assert venv.env_is_wrapped(RecordEpisodeStatistics) == [True] * N
        assert venv.env_is_wrapped(NormalizeReward, indices=[0, 1]) == [False] * 2
        assert venv.env_is_wrapped(Monitor) == [True] * N
        silent = Sb3VecEnv(CountingEnv(N), monitor=False)
        assert silent.env_is_wrapped(Monitor) == [False] * N

    def test_images_are_of_the_first_environments(self):
        venv = Sb3VecEnv(CountingEnv(N, render_mode="rgb_array"), max_images=3)
        venv.reset()
        assert [int(image[0, 0, 0]) for image in venv.get_images()] == [0, 10, 20]
        assert venv.env.renders == [0, 1, 2], "nobody sees the others"
        assert venv.render().shape == (16, 12, 3)
        with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
            assert make().get_images() == [None] * N


class TestConstruction:
    @pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
    def test_other_autoreset_modes_are_refused(self, mode):
        with pytest.raises(
            ValueError, match=f"needs autoreset_mode='SameStep', got '{mode.value}'"
        ):
            make(mode=mode)

    def test_what_is_no_vector_environment_is_refused(self):
        with pytest.raises(TypeError, match=r"needs a gymnasium.vector.VectorEnv.*got CartPoleEnv"):
            Sb3VecEnv(gym.make("CartPole-v1").unwrapped)

    def test_numpy_environments_are_refused(self):
        env = gym.vector.SyncVectorEnv(
            [lambda: gym.make("Pendulum-v1")], autoreset_mode=AutoresetMode.SAME_STEP
        )
        with pytest.raises(TypeError, match="returns torch tensors, but observation is a ndarray"):
            Sb3VecEnv(env).reset()

    def test_make_closes_what_it_cannot_use(self, monkeypatch):
        monkeypatch.setattr(ToyEnv, "close", lambda self: setattr(ToyEnv, "closed_by", True))
        with pytest.raises(ValueError, match="SameStep"):
            Sb3VecEnv.make("Toy-v0", num_envs=2, autoreset_mode="NextStep")
        assert ToyEnv.closed_by

    def test_missing_sb3_is_one_clear_message(self, monkeypatch):
        for name in ("sb3", "sb3_torch_ppo"):
            module = f"isaac_gymnasium.integrations.{name}"
            for loaded in (module, "isaac_gymnasium.integrations.sb3"):
                monkeypatch.delitem(sys.modules, loaded, raising=False)
            monkeypatch.setitem(sys.modules, "stable_baselines3.common.monitor", None)
            with pytest.raises(ImportError, match=r"pip install isaac-gymnasium\[sb3\]"):
                importlib.import_module(module)


class TestWrappersOfSb3:
    def test_normalize_sees_the_final_observations(self):
        venv = VecNormalize(make(), norm_reward=False, clip_obs=1e9)
        venv.reset()
        for _ in range(3):
            infos = venv.step(ZERO)[3]
        final = venv.unnormalize_obs(infos[3]["terminal_observation"])
        np.testing.assert_allclose(final, [3, 1, 3, -1], atol=1e-3)

    def test_monitor_counts_the_same_episodes(self, tmp_path):
        file = str(tmp_path / "monitor.csv")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            venv = VecMonitor(Sb3VecEnv(CountingEnv(N), monitor=False), file, ("is_success",))
        venv.reset()
        infos = [info for _ in range(5) for info in venv.step(ZERO)[3] if info]
        venv.close()
        table = load_results(str(tmp_path))
        assert len(table) == len(infos) == 5
        assert list(table["l"]) == [info["episode"]["l"] for info in infos] == [3, 3, 4, 4, 5]
        assert set(table.columns) >= {"r", "l", "t", "is_success"}

    def test_monitor_upon_statistics_agrees_with_them(self):
        with pytest.warns(UserWarning, match="already wrapped"):
            venv = VecMonitor(make())
        inner = venv.venv
        venv.reset()
        for _ in range(5):
            inner.step_async(ZERO)
            step = inner.pending
            for k, info in enumerate(venv.step_wait()[3]):
                if info:
                    assert info["episode"]["r"] == pytest.approx(float(step.episode[0, k]))
                    assert info["episode"]["l"] == int(step.episode[1, k])

    def test_frames_stack_up_to_the_final_one(self):
        venv = VecFrameStack(make(), 2)
        venv.reset()
        for _ in range(3):
            infos = venv.step(ZERO)[3]
        np.testing.assert_array_equal(infos[3]["terminal_observation"], [3, 1, 2, -1, 3, 1, 3, -1])

    def test_check_nan_passes_numbers_and_stops_others(self):
        venv = VecCheckNan(make(), raise_exception=True)
        venv.reset()
        venv.step(ZERO)
        with pytest.raises(ValueError, match="nan"):
            venv.step(np.full((N, 2), np.nan, np.float32))

    def test_video_recorder_writes_a_film(self, tmp_path):
        pytest.importorskip("moviepy")
        inner = Sb3VecEnv(CountingEnv(N, render_mode="rgb_array"), max_images=4)
        venv = VecVideoRecorder(inner, str(tmp_path), lambda step: step == 0, video_length=4)
        assert venv.frames_per_sec == 50
        venv.reset()
        for _ in range(6):
            venv.step(ZERO)
        venv.close()
        assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]

    def test_evaluation_reads_the_episodes_without_a_warning(self):
        class Still:
            def predict(self, obs, state=None, episode_start=None, deterministic=True):
                return ZERO, None

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            returns, lengths = evaluate_policy(
                Still(), VecNormalize(make()), 2 * N, return_episode_rewards=True
            )
        assert sorted(lengths) == sorted(2 * LENGTHS)
        assert sum(returns) == pytest.approx(
            2 * sum(n * k + n * (n + 1) / 20 for k, n in enumerate(LENGTHS))
        )


class TestHostCopy:
    def test_values_dtypes_and_shapes_survive(self, device):
        tensors = [
            torch.rand(3, 5),
            torch.tensor([True, False, True]),
            torch.arange(7, dtype=torch.int64),
            torch.rand(2, 2, dtype=torch.float64).T,
            torch.tensor(3.5),
            torch.arange(5, dtype=torch.uint8),
            torch.empty(0, 4),
        ]
        fetch = HostCopy(device)
        for some in (tensors, tensors[:2], tensors):
            arrays = fetch([tensor.to(device) for tensor in some])
            for array, tensor in zip(arrays, some, strict=True):
                assert array.dtype == tensor.numpy().dtype
                np.testing.assert_array_equal(array, tensor.numpy())

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    @pytest.mark.parametrize(("small", "transfers"), [(2**20, [1, 1, 1]), (0, [1, 1, 2])])
    def test_a_step_makes_one_transfer_and_large_ends_one_more(self, small, transfers, monkeypatch):
        monkeypatch.setattr(sb3, "_SMALL", small)
        venv = make(device="cuda:0")
        venv.reset()
        counts = []
        for _ in range(3):
            with torch.profiler.profile() as profile:
                venv.step(ZERO)
            names = [event.name for event in profile.events()]
            counts.append(sum("Memcpy DtoH" in name for name in names))
        assert counts == transfers


class TestEmptyDicts:
    def test_those_that_nobody_holds_come_again(self):
        dicts, ids = EmptyDicts(3), []
        for _ in range(6):
            got = dicts()
            assert got == [{}, {}, {}] and len(set(map(id, got))) == 3
            ids.append(list(map(id, got)))
        assert ids[0] == ids[2] == ids[4] and ids[1] == ids[3] == ids[5] and ids[0] != ids[1]

    @pytest.mark.parametrize("part", ["list", "dict"])
    def test_those_that_somebody_holds_do_not(self, part):
        dicts = EmptyDicts(3)
        held = dicts() if part == "list" else dicts()[1:2]
        for _ in range(4):
            assert not set(map(id, held)) & set(map(id, dicts()))

    def test_what_was_written_stays_where_it_was(self):
        dicts = EmptyDicts(2)
        for _ in range(5):
            got = dicts()
            assert got == [{}, {}]
            got[1]["a"] = 1


def toy(num_envs=32, **kwargs):
    return Sb3VecEnv(ToyEnv(num_envs, **kwargs))


class KeepLog(KVWriter):
    def __init__(self, kept):
        self.kept = kept

    def write(self, key_values, key_excluded, step=0):
        self.kept.append(dict(key_values))

    def close(self):
        pass


class TestLearning:
    def test_ppo_logs_episodes_without_a_monitor(self):
        model = PPO("MlpPolicy", toy(), n_steps=16, batch_size=512, seed=0, device="cpu")
        logged = []
        model.set_logger(Logger(None, [KeepLog(logged)]))
        model.learn(2048)
        assert 2 < logged[-1]["rollout/ep_rew_mean"] < 9
        assert 7 < logged[-1]["rollout/ep_len_mean"] <= 10
        assert 0 <= logged[-1]["rollout/success_rate"] <= 1

    def test_the_replay_buffer_holds_true_successors(self):
        model = SAC("MlpPolicy", toy(8), learning_starts=10_000, seed=0, device="cpu")
        model.learn(8 * 30)
        buffer = model.replay_buffer
        obs, successor = buffer.observations[:30], buffer.next_observations[:30]
        np.testing.assert_array_equal(successor[..., 1], obs[..., 1] + 1)
        moved = np.abs(successor[..., 0] - obs[..., 0])
        assert moved.max() <= 0.2 + 1e-6
        assert buffer.dones[:30].sum() >= 16
        cut = buffer.timeouts[:30].astype(bool)
        assert (successor[..., 1][cut] == 10).all() and cut.sum() >= 8


@pytest.fixture(scope="module")
def cartpole():
    pytest.importorskip("ovphysx")
    venv = Sb3VecEnv.make("IsaacCartpole-v0", num_envs=256, device="cpu", engine="physx")
    yield venv
    venv.close()


class TestIsaac:
    def test_seeds_repeat_a_rollout(self, cartpole):
        rollouts = []
        for seed in (3, 3, 4):
            cartpole.seed(seed)
            first = cartpole.reset()
            steps = [cartpole.step(np.full((256, 1), 0.3))[0] for _ in range(5)]
            rollouts.append(np.stack([first, *steps]))
        np.testing.assert_array_equal(rollouts[0], rollouts[1])
        assert not np.array_equal(rollouts[0], rollouts[2])

    def test_final_observations_are_those_of_the_environment(self, cartpole):
        cartpole.seed(0)
        cartpole.reset()
        ends = 0
        for _ in range(60):
            cartpole.step_async(np.ones((256, 1)))
            step = cartpole.pending
            obs, _, dones, infos = cartpole.step_wait()
            np.testing.assert_array_equal(dones, (step.terminated | step.truncated).numpy())
            for k in np.flatnonzero(dones):
                final = infos[k]["terminal_observation"]
                np.testing.assert_array_equal(final, step.info["final_obs"][k])
                assert abs(final[2]) > 3.0 or abs(final[0]) > np.pi / 2, "the state that ended it"
                assert obs[k, 2] == 0.0, "a new episode starts in the middle"
                assert infos[k]["TimeLimit.truncated"] is False
                ends += 1
        assert ends >= 256

    def test_task_parameters_are_attributes(self, cartpole):
        assert cartpole.get_attr("max_force", [0, 9]) == [100.0, 100.0]
        cartpole.set_attr("max_force", 50.0)
        assert cartpole.env.unwrapped.task.max_force == 50.0
        cartpole.set_attr("max_force", 100.0)
        assert cartpole.get_attr("max_episode_steps", 0) == [300]

    @pytest.mark.slow
    def test_ppo_balances_the_pole(self, cartpole):
        model = PPO("MlpPolicy", cartpole, **CARTPOLE_PPO)
        model.learn(CARTPOLE_STEPS)
        assert evaluate_policy(model, cartpole, 256)[0] >= 270

    def test_sb3_accepts_the_single_environment(self):
        pytest.importorskip("ovphysx")
        env = gym.make("IsaacCartpole-v0", engine="physx")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(env)
        env.close()


CARTPOLE_STEPS = 140_000
CARTPOLE_PPO = {
    "n_steps": 16,
    "batch_size": 1024,
    "n_epochs": 8,
    "learning_rate": 3e-3,
    "policy_kwargs": {"net_arch": [32, 32], "activation_fn": torch.nn.ELU},
    "seed": 0,
    "device": "cpu",
}
