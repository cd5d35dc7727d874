"""This package's environments keep every point of the contract."""

from __future__ import annotations

import gymnasium as gym
import pytest
import torch

import isaac_gymnasium  # noqa: F401 -- registers the IDs
from isaac_gymnasium.contract import check_vector_env

pytest.importorskip("ovphysx")

MODES = ("SameStep", "NextStep", "Disabled")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", ["IsaacCartpole-v0", "IsaacFrankaCube-v0"])
def test_every_point_passes(id: str, mode: str, device: torch.device) -> None:
    env = gym.make_vec(
        id, num_envs=4, autoreset_mode=mode, max_episode_steps=10, device=str(device)
    )
    try:
        report = check_vector_env(env)
    finally:
        env.close()
    report.raise_for_failures()
    elsewhere = {"the autoreset mode is " + mode, "render_mode is None"}
    applicable = {
        point.name for point in report.points if point.reason and point.reason not in elsewhere
    }
    assert applicable <= {"no_host_sync"}
    if device.type == "cuda" and mode != "Disabled":
        assert report["no_host_sync"].status == "pass"
