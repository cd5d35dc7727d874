"""A stack goes back to a state, and its future is then the same."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from scripted_env import DISABLED, MODES, SAME_STEP, N, TorchEnv, assert_identical, rows

import isaac_gymnasium  # noqa: F401  (registers the IDs)
from isaac_gymnasium import wrappers

NUM_ENVS = 6


def cartpoles(mode: Any) -> Any:
    return gym.make_vec(
        "IsaacCartpole-v0",
        NUM_ENVS,
        device="cpu",
        autoreset_mode=mode.value,
        max_episode_steps=9,
    )


def stack(env: Any) -> Any:
    env = wrappers.NoiseAction(wrappers.StickyAction(wrappers.ClipAction(env), 0.3, (1, 3)), 0.1)
    env = wrappers.NoiseObservation(wrappers.RecordEpisodeStatistics(env), 0.1)
    env = wrappers.NormalizeObservation(wrappers.TimeAwareObservation(env))
    env = wrappers.FrameStackObservation(wrappers.DelayObservation(env, 2), 3)
    env = wrappers.NormalizeReward(env)
    env.update_running_mean = False
    return env


def play(env: Any, first: int, last: int) -> list[Any]:
    results = []
    for t in range(first, last):
        actions = torch.randn(NUM_ENVS, 1, generator=torch.Generator().manual_seed(t))
        results.append(env.step(actions))
        ended = results[-1][2] | results[-1][3]
        if env.autoreset_mode == DISABLED and ended.any():
            results.append(env.reset(options={"reset_mask": ended}))
    return results


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_the_future_after_a_restore_is_the_future_before(mode: Any) -> None:
    env = stack(cartpoles(mode))
    env.reset(seed=0)
    *_, last = play(env, 0, 14)
    state = env.get_state()
    assert all(len(value) == NUM_ENVS for value in state.values())
    future = play(env, 14, 30)
    assert_identical(env.set_state(state), last[0])
    assert_identical(play(env, 14, 30), future)

    mask = torch.arange(NUM_ENVS) % 2 == 0
    before = env.get_state()
    obs = env.set_state(state, mask)
    assert_identical(obs[mask], last[0][mask])
    after = env.get_state()
    for key in (key for key in state if "durations" not in key):
        assert_identical(rows(after[key], ~mask), rows(before[key], ~mask))
        if "/" in key and "Record" not in key:
            assert_identical(rows(after[key], mask), rows(state[key], mask))
    env.close()


def test_observations_come_back_as_they_were_though_statistics_have_moved() -> None:
    envs = cartpoles(MODES[1])
    env = wrappers.NormalizeObservation(envs)
    env.reset(seed=0)
    obs, *_ = env.step(torch.ones(NUM_ENVS, 1))
    state = env.get_state()
    play(env, 0, 5)
    assert not torch.allclose(env.observations(envs.set_state(envs.get_state())), obs)
    assert_identical(env.set_state(state), obs)
    envs.close()


def test_forks_of_an_environment_share_its_future() -> None:
    env = stack(cartpoles(MODES[1]))
    env.reset(seed=0)
    play(env, 0, 5)
    obs = env.fork(-2)
    assert_identical(obs, obs[4:5].expand_as(obs))
    for _ in range(8):
        obs, reward, *_ = env.step(torch.full((NUM_ENVS, 1), 0.3))
        # Cells of the CPU engine lie apart, so that their numbers round differently.
        torch.testing.assert_close(obs, obs[4:5].expand_as(obs), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(reward, reward[4:5].expand_as(reward), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="source must be an index below 6, got 6"):
        env.fork(6)
    env.close()


def test_a_state_of_another_stack_is_refused_and_nothing_changes() -> None:
    envs = cartpoles(MODES[1])
    env = wrappers.FrameStackObservation(wrappers.ClipAction(envs), 3)
    env.reset(seed=0)
    state = env.get_state()
    env.step(torch.ones(NUM_ENVS, 1))
    before = env.get_state()
    with pytest.raises(ValueError, match="of this stack: it lacks 'FrameStackObservation/ended'"):
        env.set_state(envs.get_state())
    wrong = {**state, "FrameStackObservation/past": torch.zeros(NUM_ENVS, 5, 4)}
    with pytest.raises(ValueError, match=r"6 rows, or one, of shape \(2, 4\), got \(6, 5, 4\)"):
        env.set_state(wrong)
    for value, got in ((torch.zeros(3, 2, 4), r"\(3, 2, 4\)"), (np.zeros((6, 2, 4)), "ndarray")):
        with pytest.raises(ValueError, match=f"of shape .*, got {got}"):
            env.set_state({**state, "FrameStackObservation/past": value})
    with pytest.raises(TypeError, match="a state must be a dict of tensors, got list"):
        env.set_state([state])
    with pytest.raises(ValueError, match="not a state of this environment: it has 'other'"):
        env.set_state({**state, "other": torch.zeros(NUM_ENVS)})
    with pytest.raises(TypeError, match="mask must be a bool array or tensor, got list"):
        env.set_state(state, [True] * NUM_ENVS)
    assert_identical(env.get_state(), before)
    envs.close()


def test_numpy_gets_numpy() -> None:
    envs = cartpoles(MODES[1])
    env = wrappers.TorchToNumpy(wrappers.NormalizeObservation(envs))
    obs, _ = env.reset(seed=0)
    restored = env.set_state(env.get_state(), np.ones(NUM_ENVS, bool))
    assert isinstance(restored, np.ndarray)
    np.testing.assert_array_equal(restored, obs)
    envs.close()


def test_staggered_resets_begin_in_mid_episode() -> None:
    envs = cartpoles(MODES[1])
    env = wrappers.TimeAwareObservation(envs, flatten=False)
    obs, _ = env.reset(seed=0, options={"stagger": True})
    assert len(obs["time"].unique()) > 2
    assert torch.equal(obs["time"][:, 0], envs.episode_length.to(torch.int32))
    *_, truncated, info = env.step(torch.zeros(NUM_ENVS, 1))
    assert torch.equal(info["final_obs"]["time"], obs["time"] + 1)
    assert torch.equal(truncated, (obs["time"][:, 0] + 1) >= 9)
    env.episode_length_buf = torch.arange(NUM_ENVS)
    assert torch.equal(envs.episode_length, torch.arange(NUM_ENVS))
    envs.close()


def test_an_environment_without_states_says_so() -> None:
    env = wrappers.ClipAction(TorchEnv(DISABLED))
    with pytest.raises(AttributeError, match="'TorchEnv' object has no attribute 'get_state'"):
        env.get_state()
    assert env.num_envs == N


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_lengths_that_are_assigned_are_the_time_that_is_seen(mode: Any) -> None:
    env = wrappers.TimeAwareObservation(cartpoles(mode), flatten=False)
    env.reset(seed=0)
    env.episode_length_buf = torch.tensor([0, 2, 4, 6, 7, 8])
    obs, _, _, truncated, _ = env.step(torch.zeros(NUM_ENVS, 1))
    assert truncated.tolist() == [False] * 5 + [True]
    last = 0 if mode == SAME_STEP else 9
    assert obs["time"].flatten().tolist() == [1, 3, 5, 7, 8, last]
    env.close()
