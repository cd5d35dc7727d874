"""Environments of the task that a module of tests is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)


@pytest.fixture
def make(request: pytest.FixtureRequest, device: torch.device) -> Iterator[Callable[..., Any]]:
    """Makes environments of the module's `ID`, `N` of them if not told, and resets them."""
    envs: list[Any] = []
    usual = getattr(request.module, "N", None)

    def make(num_envs: int = usual, *, seed: int = 0, **kwargs: Any) -> Any:
        id = request.module.ID
        envs.append(gym.make_vec(id, num_envs=num_envs, device=str(device), **kwargs))
        envs[-1].reset(seed=seed)
        return envs[-1]

    yield make
    for env in envs:
        env.close()
