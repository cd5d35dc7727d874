"""This package's environments keep every point of the contract."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest
import torch
from gymnasium.utils.performance import benchmark_vector_step

import isaac_gymnasium  # noqa: F401 -- registers the IDs
from isaac_gymnasium import wrappers
from isaac_gymnasium.contract import Report, check_vector_env

pytest.importorskip("ovphysx")

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
def test_every_point_passes(id: str, mode: str, device: torch.device) -> None:
    env = gym.make_vec(
        id, num_envs=4, autoreset_mode=mode, max_episode_steps=10, device=str(device)
    )
    try:
        report = check_vector_env(env)
    finally:
        env.close()
    assert_every_point_passes(report, mode, set())
    if device.type == "cuda" and mode != "Disabled":
        assert report["no_host_sync"].status == "pass"


def make_stack(id: str, autoreset_mode: str, device: torch.device) -> Any:
    """The usual wrappers, with statistics of some steps that no longer change.

    Running statistics would make the same seed give other observations, which is their purpose.
    """
    env: Any = gym.make_vec(
        id,
        num_envs=4,
        autoreset_mode=autoreset_mode,
        max_episode_steps=10,
        device=str(device),
    )
    env = wrappers.NormalizeObservation(wrappers.RecordEpisodeStatistics(env))
    env = wrappers.ClipAction(wrappers.NormalizeReward(env))
    generator = torch.Generator().manual_seed(0)
    env.reset(seed=0)
    for _ in range(9):
        env.step(torch.rand(env.action_space.shape, generator=generator))
    env.update_running_mean = False
    return env


@pytest.mark.parametrize(
    ("id", "mode"), [*((IDS[0], mode) for mode in MODES), (IDS[1], "SameStep")]
)
def test_every_point_passes_with_the_usual_wrappers(
    id: str, mode: str, device: torch.device
) -> None:
    def make(autoreset_mode: str = mode) -> Any:
        return make_stack(id, autoreset_mode, device)

    report = check_vector_env(make)
    inside = "the spec of a wrapped environment is that of the one inside"
    assert_every_point_passes(report, mode, {inside})


@pytest.mark.parametrize("mode", MODES)
def test_gymnasiums_benchmark_runs(mode: str) -> None:
    env: Any = gym.make_vec(
        IDS[0], num_envs=4, autoreset_mode=mode, max_episode_steps=10, device="cpu"
    )
    if mode == "Disabled":  # There it asks np.any of a tensor, which torch does not answer.
        env = wrappers.TorchToNumpy(env)
    try:
        assert benchmark_vector_step(env, target_duration=0.2, seed=0) > 4
    finally:
        env.close()
