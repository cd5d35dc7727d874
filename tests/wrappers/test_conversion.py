"""NumPy consumers get what gymnasium's NumPy environments give; devices are what they should be."""

from typing import Any

import gymnasium as gym
import gymnasium.wrappers.vector as vector
import numpy as np
import pytest
import torch
from scripted_env import (
    MODES,
    SAME_STEP,
    N,
    NumpyEnv,
    TorchEnv,
    assert_same_rollout,
    leaves,
    random_actions,
    rollout,
)

import isaac_gymnasium  # noqa: F401  (registers the IDs)
from isaac_gymnasium import wrappers

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)


def only_numpy(tree: Any) -> bool:
    values = tree.values() if isinstance(tree, dict) else tree
    if isinstance(tree, (dict, tuple)):
        return all(only_numpy(value) for value in values)
    return isinstance(tree, np.ndarray)


@modes
@pytest.mark.parametrize("space", ["box", "dict"])
def test_to_numpy_gives_what_gymnasiums_environment_gives(mode: Any, space: str) -> None:
    theirs = rollout(NumpyEnv(mode, space))
    ours = rollout(wrappers.TorchToNumpy(TorchEnv(mode, space)))
    assert_same_rollout(ours, theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert only_numpy(mine)
        # As there, only in steps in which an episode ended.
        assert ("final_obs" in mine[-1]) == ("final_obs" in other[-1])
        assert ("_final_obs" in mine[-1]) == ("_final_obs" in other[-1])


@pytest.mark.parametrize("name", ["RecordEpisodeStatistics", "NormalizeReward", "ClipReward"])
def test_wrappers_of_gymnasium_go_on_top_of_to_numpy(name: str) -> None:
    arguments = (-1.0, 1.0) if name == "ClipReward" else ()
    ours = getattr(vector, name)(wrappers.TorchToNumpy(TorchEnv(SAME_STEP)), *arguments)
    theirs = getattr(vector, name)(NumpyEnv(SAME_STEP), *arguments)
    assert_same_rollout(rollout_numpy(ours), rollout(theirs, partial=False), tolerance=1e-5)


def rollout_numpy(env: Any) -> list[Any]:
    return [env.reset(seed=0), *(env.step(random_actions(t).numpy()) for t in range(30))]


def test_statistics_become_those_of_gymnasium() -> None:
    ours = wrappers.TorchToNumpy(wrappers.RecordEpisodeStatistics(TorchEnv(SAME_STEP)))
    theirs = vector.RecordEpisodeStatistics(NumpyEnv(SAME_STEP))
    for mine, other in zip(rollout(ours), rollout(theirs), strict=True):
        assert ("episode" in mine[-1]) == ("episode" in other[-1])
        if "episode" in mine[-1]:
            np.testing.assert_allclose(mine[-1]["episode"]["r"], other[-1]["episode"]["r"], 1e-5)
            np.testing.assert_array_equal(mine[-1]["_episode"], other[-1]["_episode"])


def test_scalars_have_a_row_for_each_environment_so_that_infos_become_lists() -> None:
    """As RLlib wants them: `DictInfoToList` refuses anything else."""
    envs = gym.make_vec(
        "IsaacCartpole-v0", 4, device="cpu", autoreset_mode="NextStep", log_rewards=True
    )
    envs = vector.DictInfoToList(wrappers.TorchToNumpy(envs))
    envs.reset(seed=0)
    *_, infos = envs.step(envs.action_space.sample())
    envs.close()
    assert len(infos) == 4
    assert all(isinstance(info["success"], np.bool_) for info in infos)
    assert len({float(info["log"]["reward/alive"]) for info in infos}) == 1


def test_what_is_no_tensor_passes() -> None:
    inner = TorchEnv(SAME_STEP)
    step = inner.step

    def with_more(actions: Any) -> Any:
        *rest, info = step(actions)
        return (*rest, {**info, "name": "a", "number": 3, "names": ["a", "b"]})

    inner.step = with_more
    env = wrappers.TorchToNumpy(inner)
    env.reset(seed=0)
    *_, info = env.step(env.action_space.sample())
    assert (info["name"], info["number"], info["names"]) == ("a", 3, ["a", "b"])


def test_state_is_converted_too() -> None:
    assert isinstance(wrappers.TorchToNumpy(TorchEnv(SAME_STEP)).state(), np.ndarray)
    assert wrappers.ToDevice(TorchEnv(SAME_STEP), "meta").state().device.type == "meta"


@modes
def test_everything_is_on_the_device_asked_for(mode: Any) -> None:
    env = wrappers.ToDevice(TorchEnv(mode), "meta")
    outer = wrappers.NormalizeReward(env)
    assert env.device == outer.device == torch.device("meta")
    assert outer.accumulated_reward.device.type == "meta"
    results = [env.reset(seed=0), env.step(random_actions(0)), env.step(random_actions(1).numpy())]
    for result in results:
        tensors = leaves(result)
        assert tensors and all(tensor.device.type == "meta" for tensor in tensors)
        assert tensors[0].shape == (N, 3)
