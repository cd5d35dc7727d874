"""Where gymnasium 1.4's own vector wrappers raise or go wrong, and what ours do there.

``DIFFERENCES`` is the table; each row names the two checks that hold it to the truth.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium.wrappers as single
import gymnasium.wrappers.vector as vector
import numpy as np
import pytest
import torch
from gymnasium.vector import SyncVectorEnv
from scripted_env import (
    DISABLED,
    NEXT_STEP,
    SAME_STEP,
    N,
    NumpyEnv,
    Scripted,
    TorchEnv,
    assert_same_rollout,
    rollout,
)

from isaac_gymnasium import wrappers

MASK = np.array([False, True, False, True, False])


def no_actions(env: Any) -> Any:
    return (torch if isinstance(env.unwrapped, TorchEnv) else np).zeros((N, 2))


@dataclass
class Row:
    """One line of the table."""

    wrapper: str
    where: str
    gymnasium: str
    ours: str
    check_gymnasium: Callable[[], None]
    check_ours: Callable[[], None]


def raises(error: type[Exception], function: Callable[[], Any]) -> Callable[[], None]:
    def check() -> None:
        with pytest.raises(error):
            function()

    return check


# ---------------------------------------------------------------------- observations, SameStep


def observation_wrappers_in_same_step() -> None:
    of_one = NumpyEnv(SAME_STEP, "dict", single.FlattenObservation)
    ours = wrappers.FlattenObservation(TorchEnv(SAME_STEP, "dict"))
    results = rollout(ours)
    assert_same_rollout(results, rollout(of_one))
    assert any(len(r) == 5 and r[-1]["_final_obs"].any() for r in results)


def all_observations(env: TorchEnv, partial: bool) -> tuple[list[Any], np.ndarray]:
    """A rollout, and every observation in it once, in float64."""
    results = rollout(env, partial)
    seen = [np.asarray(results[0][0])]
    for before, result in itertools.pairwise(results):
        if len(result) == 5:
            seen.append(np.asarray(result[0]))
            if "final_obs" in result[-1]:
                ended = np.asarray(result[2] | result[3])
                seen.append(np.asarray(result[-1]["final_obs"])[ended])
        else:
            changed = (np.asarray(result[0]) != np.asarray(before[0])).any(1)
            seen.append(np.asarray(result[0])[changed])
    return results, np.concatenate(seen).astype(float)


def normalizes_every_observation_once(mode: Any, partial: bool = True) -> Callable[[], None]:
    def check() -> None:
        raw, seen = all_observations(TorchEnv(mode), partial)
        ours = wrappers.NormalizeObservation(TorchEnv(mode))
        rollout(ours, partial)
        count = 1e-4 + len(seen)
        mean = seen.sum(0) / count
        square = (seen**2).sum(0) + 1e-4 - count * mean**2
        assert ours.obs_rms.count.item() == pytest.approx(count)
        np.testing.assert_allclose(ours.obs_rms.mean, mean, 1e-9)
        np.testing.assert_allclose(ours.obs_rms.var, square / count, 1e-9)
        last = raw[-1][0]
        expected = (last.numpy() - mean) / np.sqrt(square / count)
        np.testing.assert_allclose(ours.observations(last), expected, 1e-5, 1e-5)

    return check


def normalizes_each_key() -> None:
    ours = wrappers.NormalizeObservation(TorchEnv(NEXT_STEP, "dict"))
    flat = wrappers.NormalizeObservation(wrappers.FlattenObservation(TorchEnv(NEXT_STEP, "dict")))
    assert_same_rollout(rollout(wrappers.FlattenObservation(ours)), rollout(flat))


# ---------------------------------------------------------------------- partial resets


def accumulated_after_partial_reset(env: Any, mask: Any) -> tuple[Any, Any]:
    env.reset(seed=0)
    env.step(no_actions(env))
    before = np.array(env.accumulated_reward)
    env.reset(options={"reset_mask": mask})
    return before, np.array(env.accumulated_reward)


def gymnasium_forgets_all_rewards() -> None:
    _, after = accumulated_after_partial_reset(vector.NormalizeReward(NumpyEnv(DISABLED)), MASK)
    assert (after == 0).all()


def ours_forgets_those_reset() -> None:
    ours = wrappers.NormalizeReward(TorchEnv(DISABLED))
    before, after = accumulated_after_partial_reset(ours, MASK)
    np.testing.assert_array_equal(after, np.where(MASK, 0, before))


def lengths_after_partial_reset(wrapper: Any, env: Any) -> Any:
    env = wrapper(env)
    options = {"reset_mask": MASK.copy()}
    env.reset(seed=0)
    env.step(no_actions(env))
    env.reset(options=options)
    return np.asarray(env.episode_lengths), options


def sync(mode: Any) -> SyncVectorEnv:
    return SyncVectorEnv([lambda k=k: Scripted(k) for k in range(N)], autoreset_mode=mode)


def gymnasium_resets_all_statistics() -> None:
    lengths, options = lengths_after_partial_reset(vector.RecordEpisodeStatistics, sync(DISABLED))
    assert (lengths == 0).all()
    assert options == {}


def ours_resets_masked_statistics() -> None:
    lengths, options = lengths_after_partial_reset(
        wrappers.RecordEpisodeStatistics, TorchEnv(DISABLED)
    )
    np.testing.assert_array_equal(lengths, np.where(MASK, 0, 1))
    np.testing.assert_array_equal(options["reset_mask"], MASK)


# ---------------------------------------------------------------------- aliases


def ended_mask_after_reset(env: Any, mask: Any) -> tuple[Any, Any]:
    env.reset(seed=0)
    while True:
        *_, info = env.step(no_actions(env))
        if "_episode" in info and info["_episode"].any():
            break
    before = np.array(info["_episode"])
    env.reset(options={"reset_mask": mask})
    return before, np.array(info["_episode"])


def gymnasium_changes_a_mask_it_returned() -> None:
    env = vector.RecordEpisodeStatistics(NumpyEnv(DISABLED))
    before, after = ended_mask_after_reset(env, np.ones(N, bool) & (np.arange(N) < 4))
    assert before[:4].any() and not after[:4].any()


def ours_leaves_the_mask_alone() -> None:
    env = wrappers.RecordEpisodeStatistics(TorchEnv(DISABLED))
    before, after = ended_mask_after_reset(env, np.ones(N, bool) & (np.arange(N) < 4))
    np.testing.assert_array_equal(before, after)


def clipped_in_place(wrapper: Any, env: Any) -> bool:
    kept: list[Any] = []
    inner_step = env.step

    def step(actions: Any) -> Any:
        result = inner_step(actions)
        kept.append((result[1], np.array(result[1])))
        return result

    env.step = step
    rollout(wrapper(env, 0.0, 0.1), partial=False, steps=5)
    return any((np.asarray(now) != then).any() for now, then in kept)


def gymnasium_clips_in_place() -> None:
    assert clipped_in_place(vector.ClipReward, NumpyEnv(SAME_STEP))


def ours_clips_a_copy() -> None:
    assert not clipped_in_place(wrappers.ClipReward, TorchEnv(SAME_STEP))


# ---------------------------------------------------------------------- infos, spaces, attributes


def steps_with_episode(env: Any) -> set[bool]:
    return {"episode" in result[-1] for result in rollout(env) if len(result) == 5}


def gymnasium_leaves_statistics_out() -> None:
    assert steps_with_episode(vector.RecordEpisodeStatistics(NumpyEnv(SAME_STEP))) == {False, True}


def ours_always_reports() -> None:
    assert steps_with_episode(wrappers.RecordEpisodeStatistics(TorchEnv(SAME_STEP))) == {True}


def gymnasium_rescales_images_to_zero() -> None:
    obs, _ = vector.RescaleObservation(NumpyEnv(NEXT_STEP, "image"), 0.0, 1.0).reset()
    assert obs.dtype == np.uint8 and not obs.any()


def ours_rescales_images() -> None:
    raw, _ = TorchEnv(NEXT_STEP, "image").reset()
    env = wrappers.RescaleObservation(TorchEnv(NEXT_STEP, "image"), 0.0, 1.0)
    obs, _ = env.reset()
    torch.testing.assert_close(obs, raw / 255)
    assert obs.numpy() in env.observation_space


def gymnasium_counts_in_float64() -> None:
    env = NumpyEnv(NEXT_STEP, "box", single.TimeAwareObservation)
    assert env.single_observation_space.dtype == np.float64


def ours_counts_in_float32() -> None:
    env = wrappers.TimeAwareObservation(TorchEnv(NEXT_STEP))
    assert env.single_observation_space.dtype == np.float32
    assert env.reset()[0].dtype == torch.float32


def gymnasium_hides_attributes() -> None:
    env = vector.ClipAction(TorchEnv(NEXT_STEP))
    for name in ("device", "autoreset_mode", "max_episode_steps", "call", "state"):
        assert not hasattr(env, name)


def ours_forwards_attributes() -> None:
    inner = TorchEnv(NEXT_STEP)
    env = wrappers.ClipAction(inner)
    assert env.device == inner.device and env.autoreset_mode is NEXT_STEP
    assert env.max_episode_steps == inner.max_episode_steps and env.call("x") == "called x"
    assert torch.equal(env.state(), inner.state())


def freeze_the_outer(package: Any, env: Any) -> tuple[bool, bool]:
    inner = package.NormalizeObservation(env)
    outer = package.NormalizeReward(inner)
    outer.update_running_mean = False
    return outer.update_running_mean, inner.update_running_mean


def gymnasium_freezes_one() -> None:
    assert freeze_the_outer(vector, NumpyEnv(NEXT_STEP)) == (False, True)


def ours_freezes_the_stack() -> None:
    assert freeze_the_outer(wrappers, TorchEnv(NEXT_STEP)) == (False, False)


DIFFERENCES = [
    Row(
        "every observation wrapper",
        "SameStep",
        "ValueError",
        "transforms observations and final_obs",
        raises(ValueError, lambda: vector.FlattenObservation(NumpyEnv(SAME_STEP))),
        observation_wrappers_in_same_step,
    ),
    Row(
        "NormalizeObservation",
        "SameStep",
        "ValueError",
        "counts observations and the final_obs of ended episodes, each once",
        raises(ValueError, lambda: vector.NormalizeObservation(NumpyEnv(SAME_STEP))),
        normalizes_every_observation_once(SAME_STEP),
    ),
    Row(
        "NormalizeObservation",
        "Disabled",
        "ValueError",
        "counts each observation once",
        raises(ValueError, lambda: vector.NormalizeObservation(NumpyEnv(DISABLED))),
        normalizes_every_observation_once(DISABLED),
    ),
    Row(
        "NormalizeObservation",
        "partial reset",
        "ValueError",
        "counts those reset, returns the others as the last step left them",
        raises(ValueError, lambda: rollout(vector.NormalizeObservation(NumpyEnv(NEXT_STEP)))),
        normalizes_every_observation_once(NEXT_STEP),
    ),
    Row(
        "NormalizeObservation",
        "Dict observations",
        "AxisError",
        "keeps statistics for each key",
        raises(
            np.exceptions.AxisError,
            lambda: vector.NormalizeObservation(NumpyEnv(NEXT_STEP, "dict")).reset(),
        ),
        normalizes_each_key,
    ),
    Row(
        "NormalizeReward",
        "partial reset",
        "forgets the discounted sums of all environments",
        "forgets those of the environments reset",
        gymnasium_forgets_all_rewards,
        ours_forgets_those_reset,
    ),
    Row(
        "NormalizeReward, NormalizeObservation",
        "update_running_mean = False",
        "freezes one wrapper",
        "freezes the wrapper and those within it",
        gymnasium_freezes_one,
        ours_freezes_the_stack,
    ),
    Row(
        "RecordEpisodeStatistics",
        "partial reset of a SyncVectorEnv",
        "restarts the statistics of all environments, and empties the caller's options",
        "restarts those of the environments reset, and leaves the options alone",
        gymnasium_resets_all_statistics,
        ours_resets_masked_statistics,
    ),
    Row(
        "RecordEpisodeStatistics",
        "reset after a step",
        'writes into the info["_episode"] returned by the step',
        "leaves it alone",
        gymnasium_changes_a_mask_it_returned,
        ours_leaves_the_mask_alone,
    ),
    Row(
        "RecordEpisodeStatistics",
        "step in which no episode ends",
        'no "episode" in the info',
        'zeros, and "_episode" is all False: leaving it out would wait for the device',
        gymnasium_leaves_statistics_out,
        ours_always_reports,
    ),
    Row(
        "ClipReward",
        "every step",
        "writes into the environment's rewards",
        "returns new ones",
        gymnasium_clips_in_place,
        ours_clips_a_copy,
    ),
    Row(
        "RescaleObservation",
        "integers, such as images",
        "zeros, since the scale is cast to the observation's dtype",
        "float32",
        gymnasium_rescales_images_to_zero,
        ours_rescales_images,
    ),
    Row(
        "TimeAwareObservation",
        "flat, time not normalized",
        "float64",
        "the observation's own float dtype",
        gymnasium_counts_in_float64,
        ours_counts_in_float32,
    ),
    Row(
        "every wrapper",
        "device, autoreset_mode, max_episode_steps, state, call",
        "AttributeError",
        "the environment's",
        gymnasium_hides_attributes,
        ours_forwards_attributes,
    ),
]


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: f"{row.wrapper}: {row.where}")
def test_the_table_is_true(row: Row) -> None:
    row.check_gymnasium()
    row.check_ours()


# gymnasium's vector wrappers on an environment that returns tensors: the error in each mode, None
# where there is none. NumPy in place of tensors, or actions the environment does not take, count.
ON_TENSORS = {
    "RecordEpisodeStatistics": ({}, (TypeError, TypeError, TypeError)),
    "NormalizeObservation": ({}, (TypeError, ValueError, ValueError)),
    "NormalizeReward": ({}, (RuntimeError, RuntimeError, RuntimeError)),
    "ClipAction": ({}, (AssertionError, AssertionError, AssertionError)),
    "RescaleAction": (
        {"min_action": -2.0, "max_action": 2.0},
        (AssertionError, AssertionError, AssertionError),
    ),
    "ClipReward": ({"max_reward": 1.0}, (None, None, None)),
    "TransformReward": ({"func": torch.tanh}, (None, None, None)),
    "TransformAction": ({"func": torch.tanh}, (None, None, None)),
    "TransformObservation": ({"func": torch.tanh}, (None, ValueError, None)),
    "FlattenObservation": ({}, (TypeError, ValueError, TypeError)),
    "RescaleObservation": (
        {"min_obs": -1.0, "max_obs": 1.0},
        (TypeError, ValueError, TypeError),
    ),
    "DtypeObservation": ({"dtype": np.float64}, (AssertionError, ValueError, AssertionError)),
}


@pytest.mark.parametrize("name", ON_TENSORS)
def test_ours_work_on_tensors_where_gymnasiums_do_not(name: str) -> None:
    arguments, errors = ON_TENSORS[name]
    for mode, error in zip((NEXT_STEP, SAME_STEP, DISABLED), errors, strict=True):

        def run(package: Any, mode: Any = mode) -> None:
            env = getattr(package, name)(TorchEnv(mode), **arguments)
            for obs, *_ in rollout(env, partial=False, steps=8):
                assert isinstance(obs, torch.Tensor)

        run(wrappers)
        if error is None:
            run(vector)
        else:
            raises(error, lambda run=run: run(vector))()
