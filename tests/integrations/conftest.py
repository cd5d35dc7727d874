"""Let tests import ``toy_env`` from here and ``scripted_env`` from the wrappers' tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "wrappers")]


@pytest.fixture
def evaluate_policy() -> Callable[..., float]:
    """The mean return of one episode in each environment, from a policy of observations."""

    @torch.no_grad()
    def evaluate(env: Any, policy: Callable[[Any], Any], seed: int = 1_000_000) -> float:
        obs, _ = env.reset(seed=seed)
        returns = torch.zeros(env.num_envs)
        running = torch.ones(env.num_envs, dtype=torch.bool)
        while running.any():
            obs, rewards, terminated, truncated, _ = env.step(policy(obs))
            returns += rewards * running
            running &= ~(terminated | truncated)
        return float(returns.mean())

    return evaluate
