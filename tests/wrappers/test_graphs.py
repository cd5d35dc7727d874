"""The wrappers' arithmetic replayed as CUDA graphs gives the bits that running it gives."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from isaac_gymnasium import wrappers
from isaac_gymnasium.graph import Graph

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
N, STEPS = 64, 24


class Stream(VectorEnv[Any, Any, torch.Tensor]):
    """Random observations, rewards and ends from a table on the device."""

    def __init__(self, mode: AutoresetMode, device: torch.device) -> None:
        self.metadata, self.num_envs, self.device = {"autoreset_mode": mode}, N, device
        self.single_observation_space = gym.spaces.Dict(
            {"a": gym.spaces.Box(-np.inf, np.inf, (5,)), "b": gym.spaces.Box(-np.inf, np.inf, ())}
        )
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (2,))
        self.observation_space = batch_space(self.single_observation_space, N)
        self.action_space = batch_space(self.single_action_space, N)
        generator = torch.Generator().manual_seed(0)
        table = torch.randn(STEPS + 1, N, 13, generator=generator) * 3 + 1
        self.table = table.to(device).unbind(0)
        self.received: list[torch.Tensor] = []
        self.t = 0

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.t, self.received = 0, []
        return {"a": self.table[0][:, :5].clone(), "b": self.table[0][:, 5].clone()}, {}

    def step(self, actions: Any) -> Any:
        self.received.append(actions.clone())
        self.t += 1
        row = self.table[self.t]
        terminated = row[:, 12] > 4.0
        truncated = (row[:, 12] < -3.0) & ~terminated
        obs = {"a": row[:, :5].clone(), "b": row[:, 5].clone()}
        info = {}
        if self.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP:
            info["final_obs"] = {"a": row[:, 6:11].clone(), "b": row[:, 11].clone()}
        return obs, row[:, 5].clone(), terminated, truncated, info


def stack(env: Any) -> Any:
    env = wrappers.NormalizeObservation(wrappers.RecordEpisodeStatistics(env))
    return wrappers.ClipAction(wrappers.NormalizeReward(env))


def recorders(env: Any) -> list[Graph]:
    found = []
    while hasattr(env, "env"):
        found += [value for value in vars(env).values() if isinstance(value, Graph)]
        env = env.env
    return found


def play(env: Any) -> list[Any]:
    actions = torch.linspace(-3, 3, 2 * N, device=env.device).view(N, 2)
    results = [env.reset(seed=0)]
    for t in range(STEPS):
        if t == 12:
            env.update_running_mean = False
        if t == 18:
            env.update_running_mean = True
        results.append(env.step(actions))
    return results


def tensors(tree: Any, path: str = "") -> dict[str, torch.Tensor]:
    if isinstance(tree, dict):
        tree = tree.items()
    elif isinstance(tree, (tuple, list)):
        tree = enumerate(tree)
    else:
        return {path: tree}
    return {k: v for key, sub in tree for k, v in tensors(sub, f"{path}/{key}").items()}


def without_time(results: list[Any]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in tensors(results).items() if not key.endswith("/t")}


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
def test_replaying_changes_no_bit_and_waits_for_nothing(mode: AutoresetMode) -> None:
    device = torch.device("cuda:0")
    plain, fast = stack(Stream(mode, device)), stack(Stream(mode, device))
    for recorder in recorders(plain):
        recorder._enabled = False
    expected = without_time(play(plain))
    play(fast)  # records
    assert all(recorder._graph is not None for recorder in recorders(fast))
    fast = stack(Stream(mode, device))
    torch.cuda.set_sync_debug_mode("error")
    try:
        results = play(fast)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    found = without_time(results)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key
    assert {
        key: v.tolist()
        for key, v in tensors(fast.state_dict()).items()
        if "ring" not in key and "running" not in key
    } == {
        key: v.tolist()
        for key, v in tensors(plain.state_dict()).items()
        if "ring" not in key and "running" not in key
    }
    storages = [value.data_ptr() for value in found.values()]
    assert len(set(storages)) == len(storages), "results must not share memory"


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
def test_every_recording_is_told_what_it_depends_on(mode: AutoresetMode) -> None:
    env = stack(Stream(mode, torch.device("cpu")))
    seen: dict[int, list[Any]] = {}

    def watch(recorder: Graph) -> None:
        function = recorder._function

        def call(*arguments: torch.Tensor, given: Any = ()) -> Any:
            seen.setdefault(id(recorder), []).append(list(given))
            return function(*arguments)

        recorder.__class__ = type(
            "Watched", (Graph,), {"__call__": lambda self, *a, given=(): call(*a, given=given)}
        )

    for recorder in recorders(env):
        watch(recorder)
    assert len(recorders(env)) == 3
    play(env)
    changed = [calls for calls in seen.values() if calls[0]]
    assert len(changed) == 2
    for calls in changed:
        assert [c[0] for c in calls] == [t < 12 or t >= 18 for t in range(STEPS)]
        assert all(c[-1] is calls[0][-1] for c in calls), "statistics change in place only"
