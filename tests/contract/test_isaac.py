"""This package's environments keep every point of the contract."""

from __future__ import annotations

import re
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.performance import benchmark_vector_step
from loading import load
from sound_env import Sound

import isaac_gymnasium
from isaac_gymnasium import wrappers
from isaac_gymnasium.contract import Report, check_vector_env
from isaac_gymnasium.contract.points.tensors import _HostReadIsAnError

pytestmark = pytest.mark.usefixtures("physics")

contract = load("contract")

MODES = ("SameStep", "NextStep", "Disabled")
IDS = ("IsaacCartpole-v0", "IsaacFrankaCube-v0")


def assert_every_point_passes(report: Report, mode: str, elsewhere: set[str]) -> None:
    report.raise_for_failures()
    elsewhere |= {"the autoreset mode is " + mode, "render_mode is None"}
    applicable = {
        point.name for point in report.points if point.reason and point.reason not in elsewhere
    }
    assert applicable <= {"no_host_sync"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", IDS)
def test_every_point_passes(id: str, mode: str, device: torch.device, engine_name: str) -> None:
    # Of newton on CUDA, the deterministic mode is what promises all of it.
    exact = {"deterministic": True} if engine_name == "newton" and device.type == "cuda" else {}
    env = gym.make_vec(
        id,
        num_envs=4,
        autoreset_mode=mode,
        max_episode_steps=10,
        device=str(device),
        engine=engine_name,
        **exact,
    )
    try:
        report = check_vector_env(env)
    finally:
        env.close()
    assert_every_point_passes(report, mode, set())
    if device.type == "cuda" and mode != "Disabled":
        assert report["no_host_sync"].status == "pass"


@pytest.mark.parametrize(
    ("id", "mode"), [*((IDS[0], mode) for mode in MODES), (IDS[1], "SameStep")]
)
def test_every_point_passes_behind_every_wrapper_at_once(
    id: str, mode: str, device: torch.device
) -> None:
    keywords = {"num_envs": 4, "max_episode_steps": 10, "device": str(device)}
    report = check_vector_env(contract.factory(id, mode, contract.every_wrapper, **keywords))
    inside = "the spec of a wrapped environment is that of the one inside"
    assert_every_point_passes(report, mode, {inside})


def test_every_wrapper_means_every_wrapper() -> None:
    env: Any = contract.every_wrapper(Sound())
    found = set()
    while env is not env.unwrapped:
        found.add(type(env).__name__)
        env = env.env
    kinds = {"TorchWrapper", "TorchActionWrapper", "TorchObservationWrapper", "TorchRewardWrapper"}
    others = {"FilterObservation", "RecordVideo", "TorchToNumpy"}  # of dicts, of what is last
    assert found == set(wrappers.__all__) - kinds - others


def test_the_script_tells_what_passed_and_fails_where_a_point_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--kinds", "bare", "--modes", "NextStep", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["contract.py", IDS[0], *words])
    assert contract.main() == 0
    assert re.fullmatch(
        r"IsaacCartpole-v0 +NextStep +bare +39 pass, 0 fail, 6 n/a \(\d+ s\)\n",
        capsys.readouterr().out,
    )
    monkeypatch.setitem(contract.KINDS, "bare", OutOfOrder)
    assert contract.main() == 1
    assert "1 fail" in (out := capsys.readouterr().out) and "    runs: expected no error" in out


class OutOfOrder(wrappers.TorchWrapper):
    def step(self, actions: Any) -> Any:
        raise RuntimeError("out of order")


@pytest.mark.parametrize("id", sorted(isaac_gymnasium.registered_tasks()))
def test_no_task_looks_at_a_value_in_a_step(id: str) -> None:
    """What would make the host wait on a GPU; resets run within every step, as they do there."""
    pytest.importorskip("ovphysx")
    options: dict[str, Any] = {"engine": "physx", "max_episode_steps": 3}
    if id.endswith("Rough-v0"):
        # On the CPU alone, the guard of robots on terrain looks where they are.
        options |= {**contract.SMALL, "nan_guard": "off"}
    env: Any = gym.make_vec(id, num_envs=4, device="cpu", **options)
    env._always_restarts = True
    actions = torch.rand(env.action_space.shape, generator=torch.Generator().manual_seed(0))
    env.reset(seed=0)
    env.step(actions)
    ended = False
    for _ in range(5):
        env._take_actions(actions)  # on the CPU alone, this looks whether they are finite
        with _HostReadIsAnError():
            result = env._advance()
        ended |= bool(result["restart"].any())
    assert ended
    env.close()


def small_cartpole(mode: str) -> Any:
    return gym.make_vec(IDS[0], num_envs=4, autoreset_mode=mode, max_episode_steps=10, device="cpu")


@pytest.mark.parametrize(
    ("mode", "wrap"),
    [
        *((mode, wrappers.TorchToNumpy) for mode in MODES),
        ("SameStep", wrappers.ToDevice),
        ("NextStep", wrappers.ToDevice),
    ],
)
def test_gymnasiums_benchmark_runs(mode: str, wrap: Any) -> None:
    env = small_cartpole(mode)
    wrapped = wrap(env) if wrap is wrappers.TorchToNumpy else env
    try:
        assert benchmark_vector_step(wrapped, target_duration=0.2, seed=0) > 4
    finally:
        env.close()


def test_without_autoreset_gymnasiums_benchmark_asks_of_tensors_what_torch_refuses() -> None:
    """`np.logical_or` of two tensors is a tensor, of uint8, and `np.any` of that calls its `any`.

    No environment of tensors can pass: where this fails, torch or gymnasium has changed, and
    docs/contract.md is to follow.
    """
    env = small_cartpole("Disabled")
    flags = torch.zeros(4, dtype=torch.bool)
    done: Any = np.logical_or(flags, flags)
    assert isinstance(done, torch.Tensor) and done.dtype == torch.uint8
    with pytest.raises(TypeError, match=r"any\(\) received an invalid combination of arguments"):
        np.any(done)
    with pytest.raises(TypeError, match=r"any\(\) received an invalid combination of arguments"):
        benchmark_vector_step(env, target_duration=0.2, seed=0)
    env.close()
