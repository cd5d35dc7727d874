"""Environments for the tests of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)


@pytest.fixture
def make_id(
    request: pytest.FixtureRequest, engine_name: str, device: torch.device
) -> Iterator[Callable[..., Any]]:
    """Makes environments with the module's `KEYWORDS`, if it has any, and resets them."""
    envs: list[Any] = []
    own = getattr(request.module, "KEYWORDS", {})
    usual = {"engine": engine_name, "device": str(device), **own}

    def make_id(id: str, num_envs: int, *, seed: int = 0, **kwargs: Any) -> Any:
        envs.append(gym.make_vec(id, num_envs=num_envs, **{**usual, **kwargs}))
        envs[-1].reset(seed=seed)
        return envs[-1]

    yield make_id
    for env in envs:
        env.close()


@pytest.fixture
def make(request: pytest.FixtureRequest, make_id: Callable[..., Any]) -> Callable[..., Any]:
    """Makes environments of the module's `ID`, `N` of them if not told, and resets them."""
    usual = getattr(request.module, "N", None)

    def make(num_envs: int = usual, **kwargs: Any) -> Any:
        return make_id(request.module.ID, num_envs, **kwargs)

    return make
