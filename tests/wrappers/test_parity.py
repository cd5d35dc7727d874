"""Each wrapper gives gymnasium's numbers on the same stream, in every mode, also partially reset.

Where gymnasium has a vector wrapper that accepts the mode, that is the reference; everywhere also
its wrapper of a single environment, within a vector of them, which sees the same episodes.
"""

import itertools
from typing import Any

import gymnasium.wrappers as single
import gymnasium.wrappers.vector as vector
import numpy as np
import pytest
import torch
from scripted_env import (
    DISABLED,
    MODES,
    NEXT_STEP,
    SAME_STEP,
    N,
    NumpyEnv,
    TorchEnv,
    assert_close,
    assert_same_rollout,
    record,
    rollout,
)
from torch.utils._python_dispatch import TorchDispatchMode

from isaac_gymnasium import wrappers

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)

# name, arguments, observations
OF_ONE = [
    ("FlattenObservation", {}, "box"),
    ("FlattenObservation", {}, "image"),
    ("FlattenObservation", {}, "dict"),
    ("FlattenObservation", {}, "discrete"),
    ("FlattenObservation", {}, "tuple"),
    ("FilterObservation", {"filter_keys": ["policy"]}, "dict"),
    ("FilterObservation", {"filter_keys": ["c", "a"]}, "discrete"),
    ("FilterObservation", {"filter_keys": [1]}, "tuple"),
    ("RescaleObservation", {"min_obs": -1.0, "max_obs": 3.0}, "box"),
    ("RescaleObservation", {"min_obs": np.float32([0, 1, 2]), "max_obs": 3.0}, "box"),
    (
        "RescaleObservation",
        {"min_obs": np.float32([-np.inf, 2, -3]), "max_obs": np.float32([9, np.inf, 5])},
        "half",
    ),
    ("DtypeObservation", {"dtype": np.float64}, "box"),
    ("DtypeObservation", {"dtype": np.int32}, "image"),
    ("FrameStackObservation", {"stack_size": 3}, "box"),
    ("FrameStackObservation", {"stack_size": 1}, "box"),
    ("FrameStackObservation", {"stack_size": 4, "padding_type": "zero"}, "dict"),
    ("FrameStackObservation", {"stack_size": 2, "padding_type": np.float32([1, 2, 3])}, "box"),
    ("FrameStackObservation", {"stack_size": 3}, "image"),
    ("FrameStackObservation", {"stack_size": 3}, "tuple"),
    ("DelayObservation", {"delay": 0}, "box"),
    ("DelayObservation", {"delay": 2}, "box"),
    ("DelayObservation", {"delay": 3}, "dict"),
    ("TimeAwareObservation", {}, "box"),
    ("TimeAwareObservation", {"normalize_time": True}, "box"),
    ("TimeAwareObservation", {"flatten": False}, "box"),
    ("TimeAwareObservation", {"flatten": False, "dict_time_key": "age"}, "dict"),
    ("TimeAwareObservation", {"normalize_time": True, "dict_time_key": "age"}, "dict"),
    ("TimeAwareObservation", {"flatten": False}, "tuple"),
    ("ClipAction", {}, "box"),
    ("RescaleAction", {"min_action": -4.0, "max_action": 4.0}, "box"),
    ("RescaleAction", {"min_action": np.float32([-1, 0]), "max_action": 2.0}, "box"),
    ("ClipReward", {"min_reward": -1.0, "max_reward": 2.0}, "box"),
    ("ClipReward", {"max_reward": 0.5}, "box"),
    # Of 0, since of one environment gymnasium does not transform the reward of a reset.
    ("TransformReward", {"func": lambda reward: 2.0 * reward}, "box"),
]


@modes
@pytest.mark.parametrize(
    ("name", "arguments", "space"), OF_ONE, ids=lambda v: v if isinstance(v, str) else "-".join(v)
)
def test_as_gymnasiums_wrapper_of_one_environment(
    name: str, arguments: dict[str, Any], space: str, mode: Any
) -> None:
    theirs = NumpyEnv(mode, space, lambda env: getattr(single, name)(env, **arguments))
    ours = getattr(wrappers, name)(TorchEnv(mode, space), **arguments)
    assert_same_rollout(rollout(ours), rollout(theirs))
    if not (name == "TimeAwareObservation" and ours.flatten):
        assert ours.single_observation_space == theirs.single_observation_space
        assert ours.observation_space == theirs.observation_space
    for a, e in zip(ours.env.numpy.received, theirs.received, strict=True):
        assert_close(a, e)


OF_MANY = [
    ("FlattenObservation", {}, "dict"),
    ("FilterObservation", {"filter_keys": ["policy"]}, "dict"),
    ("RescaleObservation", {"min_obs": -1.0, "max_obs": 3.0}, "box"),
    ("DtypeObservation", {"dtype": np.float64}, "box"),
    ("TransformObservation", {"func": lambda obs: 2 * obs}, "box"),
    ("TransformAction", {"func": lambda actions: 0.5 * actions}, "box"),
    ("TransformReward", {"func": lambda rewards: rewards - 1.0}, "box"),
    ("ClipAction", {}, "box"),
    ("RescaleAction", {"min_action": -4.0, "max_action": 4.0}, "box"),
    ("ClipReward", {"min_reward": -1.0, "max_reward": 2.0}, "box"),
    ("RecordEpisodeStatistics", {}, "box"),
    ("NormalizeObservation", {}, "box"),
    ("NormalizeReward", {}, "box"),
    ("NormalizeReward", {"gamma": 0.5, "epsilon": 0.1}, "box"),
]


def refuses(name: str, mode: Any) -> bool:
    """Whether gymnasium's vector wrapper refuses the mode; see test_where_gymnasium_differs."""
    if name == "NormalizeObservation":
        return mode != NEXT_STEP
    return name.endswith("Observation") and mode == SAME_STEP


@modes
@pytest.mark.parametrize(
    ("name", "arguments", "space"), OF_MANY, ids=lambda v: v if isinstance(v, str) else ""
)
def test_as_gymnasiums_vector_wrapper(
    name: str, arguments: dict[str, Any], space: str, mode: Any
) -> None:
    if refuses(name, mode):
        return
    theirs = getattr(vector, name)(NumpyEnv(mode, space), **arguments)
    ours = getattr(wrappers, name)(TorchEnv(mode, space), **arguments)
    # gymnasium's normalizing wrappers are not made for partial resets.
    partial = not name.startswith("Normalize")
    expected = rollout(theirs, partial)
    actual = rollout(ours, partial)
    assert_same_rollout(actual, expected)
    assert ours.single_action_space == theirs.single_action_space
    assert ours.single_observation_space == theirs.single_observation_space
    if name == "RecordEpisodeStatistics":
        assert_same_statistics(ours, theirs, actual, expected)
    for a, e in zip(ours.env.numpy.received, theirs.env.received, strict=True):
        assert_close(a, e)


def assert_same_statistics(ours: Any, theirs: Any, actual: Any, expected: Any) -> None:
    seen = 0
    for a, e in zip(actual, expected, strict=True):
        if len(a) < 5:
            continue
        mine, his = a[-1], e[-1]
        seen += int(mine["_episode"].sum())
        assert ("episode" in his) == bool(mine["_episode"].any())
        if "episode" in his:
            assert_close(mine["_episode"], his["_episode"])
            for key in "rl":
                assert_close(mine["episode"][key], his["episode"][key])
                assert mine["episode"][key].numpy().dtype == his["episode"][key].dtype
            ended = mine["_episode"].numpy()
            assert (mine["episode"]["t"].numpy()[ended] > 0).all()
            assert (mine["episode"]["t"].numpy()[~ended] == 0).all()
    assert ours.episode_count == theirs.episode_count == seen > 20
    assert_close(list(ours.return_queue), list(theirs.return_queue))
    assert list(ours.length_queue) == list(theirs.length_queue)
    assert len(ours.time_queue) == len(theirs.time_queue)
    assert ours.return_queue.maxlen == theirs.return_queue.maxlen
    assert_close(ours.episode_returns, theirs.episode_returns)
    assert_close(ours.episode_lengths, theirs.episode_lengths)


@modes
@pytest.mark.parametrize("buffer_length", [1, 3, 7, 1000])
def test_the_queues_hold_the_last_episodes_in_order(mode: Any, buffer_length: int) -> None:
    theirs = vector.RecordEpisodeStatistics(NumpyEnv(mode), buffer_length)
    ours = wrappers.RecordEpisodeStatistics(TorchEnv(mode), buffer_length)
    rollout(theirs)
    rollout(ours)
    assert_close(list(ours.return_queue), list(theirs.return_queue))
    assert list(ours.length_queue) == list(theirs.length_queue)


@modes
def test_durations_are_from_the_reset_to_the_last_step(
    mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr(
        "isaac_gymnasium.wrappers.episode_statistics.time.perf_counter", lambda: 0.5 * next(clock)
    )
    results = rollout(env := wrappers.RecordEpisodeStatistics(TorchEnv(mode)))
    assert 0.5 * next(clock) == 0.5 * (len(results) + 1)  # it is read once in each result
    now, began, resetting, t = 0.5, np.full(N, 0.5), np.zeros(N, bool), -1
    for result in results[1:]:
        now += 0.5
        if len(result) == 2:
            mask = resetting if mode == DISABLED else np.zeros(N, bool)
            mask = mask | np.isin(np.arange(N), [1, 3] if t % 7 == 3 else [])
            began[mask], resetting = now, resetting & ~mask
            continue
        t += 1
        if mode == NEXT_STEP:
            began[resetting] = now
        ended = np.asarray(result[2] | result[3])
        np.testing.assert_allclose(result[4]["episode"]["t"], np.where(ended, now - began, 0.0))
        resetting = ended
        if mode == SAME_STEP:
            began[ended] = now
    last = [r[4]["episode"]["t"] for r in results if len(r) == 5 and (r[2] | r[3]).any()][-1]
    assert list(env.time_queue)[-1] == last[last > 0][-1]


@modes
def test_rewards_that_are_frozen_are_scaled_alike(mode: Any) -> None:
    theirs = vector.NormalizeReward(NumpyEnv(mode))
    ours = wrappers.NormalizeReward(TorchEnv(mode))
    for env in (theirs, ours):
        rollout(env, partial=False)
        env.update_running_mean = False
    frozen = ours.return_rms.var.clone()
    assert_same_rollout(rollout(ours, partial=False), rollout(theirs, partial=False))
    assert_close(ours.return_rms.var, frozen, tolerance=0)
    assert_close(ours.return_rms.var, theirs.return_rms.var)
    assert_close(ours.return_rms.mean, theirs.return_rms.mean)
    assert_close(ours.return_rms.count, theirs.return_rms.count)


@modes
def test_rewards_under_partial_resets_are_as_gymnasium_would_scale_those_left(mode: Any) -> None:
    """gymnasium itself forgets all sums in any reset; here by hand what it means to do."""
    raw, scaled = rollout(TorchEnv(mode)), rollout(wrappers.NormalizeReward(TorchEnv(mode), 0.9))
    total, seen, resetting, t = np.zeros(N), [], np.zeros(N, bool), -1
    for before, after in zip(raw[1:], scaled[1:], strict=True):
        if len(before) == 2:
            mask = resetting if mode == DISABLED else np.zeros(N, bool)
            mask = mask | np.isin(np.arange(N), [1, 3] if t % 7 == 3 else [])
            total[mask], resetting = 0.0, resetting & ~mask
            continue
        t += 1
        _, reward, terminated, truncated, _ = (np.asarray(part) for part in before)
        active = ~resetting if mode == NEXT_STEP else np.ones(N, bool)
        total = np.where(active, 0.9 * total * ~terminated + reward, total)
        seen.append(total[active])
        samples = np.concatenate(seen)
        count = len(samples) + 1e-4
        mean = samples.sum() / count
        var = (((samples - mean) ** 2).sum() + 1e-4 * (1 + mean**2)) / count
        np.testing.assert_allclose(after[1], reward / np.sqrt(var + 1e-8), 1e-5, 1e-6)
        resetting = terminated | truncated
        if mode == SAME_STEP:
            total = np.where(resetting, 0.0, total)


def test_observations_that_are_frozen_are_normalized_alike() -> None:
    theirs = vector.NormalizeObservation(NumpyEnv(NEXT_STEP))
    ours = wrappers.NormalizeObservation(TorchEnv(NEXT_STEP))
    for env in (theirs, ours):
        rollout(env, partial=False)
        env.update_running_mean = False
    assert_same_rollout(rollout(ours, partial=False), rollout(theirs, partial=False))
    assert_close(ours.obs_rms.var, theirs.obs_rms.var)
    assert_close(ours.obs_rms.mean, theirs.obs_rms.mean)
    assert_close(ours.obs_rms.count, theirs.obs_rms.count)


@pytest.mark.parametrize("mode", [NEXT_STEP, DISABLED], ids=lambda mode: mode.value)
def test_stacks_give_the_same(mode: Any) -> None:
    def stack(package: Any, env: Any) -> Any:
        env = package.RecordEpisodeStatistics(package.FlattenObservation(env))
        env = package.NormalizeReward(package.ClipReward(env, -2.0, 2.0))
        return package.RescaleAction(package.ClipAction(env), -np.inf, np.inf)

    theirs, ours = stack(vector, NumpyEnv(mode, "dict")), stack(wrappers, TorchEnv(mode, "dict"))
    assert_same_rollout(rollout(ours, partial=False), rollout(theirs, partial=False))


def test_no_two_episodes_are_written_to_one_place() -> None:
    """On a GPU the order of such writes is open."""
    places: list[torch.Tensor] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
            if function.name() == "aten::index_copy_":
                places.append(args[2].clone())
            return function(*args, **(kwargs or {}))

    env = wrappers.RecordEpisodeStatistics(recorded := record(TorchEnv(SAME_STEP)), 2)
    obs, _, _, _, info = next(recorded.steps)
    all_end, none = torch.ones(N, dtype=torch.bool), torch.zeros(N, dtype=torch.bool)
    recorded.steps = iter([(obs, torch.arange(N) + 10.0 * k, all_end, none, info) for k in (0, 1)])
    env.reset(seed=0)
    with Watch():
        env.step(torch.zeros(N, 2))
        env.step(torch.zeros(N, 2))
    assert [len(place.unique()) for place in places] == [N, N]
    assert list(env.return_queue) == [13.0, 14.0]
