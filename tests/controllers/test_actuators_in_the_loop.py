"""Actuator models at the rate of the physics: what `Task.each_physics_step` is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from flywheel import INERTIA, NO_LOAD, STALL, Flywheel

from isaac_gymnasium.vector_env import IsaacVectorEnv

Start = Callable[..., IsaacVectorEnv]


@pytest.fixture
def start(engine_name: str, device: torch.device) -> Iterator[Start]:
    envs: list[IsaacVectorEnv] = []

    def make(num_envs: int, **kwargs: Any) -> IsaacVectorEnv:
        envs.append(IsaacVectorEnv(Flywheel, num_envs, engine=engine_name, device=device, **kwargs))
        envs[-1].reset(seed=0)
        return envs[-1]

    yield make
    for env in envs:
        env.close()


def test_a_motor_gets_weaker_within_a_step(start: Start) -> None:
    env = start(2)
    dt, steps = env.task.dt, 4
    for _ in range(steps):
        obs, *_ = env.step(torch.tensor([[1.0], [-1.0]]))
    # Each physics step takes the same share off what the speed lacks of that without load.
    share = dt * STALL / (INERTIA * NO_LOAD)
    speed = NO_LOAD * (1.0 - (1.0 - share) ** (steps * env.task.decimation))
    torch.testing.assert_close(obs[:, 1].cpu(), torch.tensor([speed, -speed]), rtol=1e-3, atol=0.0)
    held = NO_LOAD * (1.0 - (1.0 - env.task.decimation * share) ** steps)
    assert abs(held - speed) > 0.05 * speed, "a torque held for a step would have been noticed"


def test_a_delay_counts_physics_steps(start: Start) -> None:
    env = start(64, most_lag=5)
    lag = env.task.delay.lag
    assert lag.unique().tolist() == [0, 1, 2, 3, 4, 5]
    obs, *_ = env.step(torch.ones(64, 1))
    share = env.task.dt * STALL / (INERTIA * NO_LOAD)
    speed = NO_LOAD * (1.0 - (1.0 - share) ** (env.task.decimation - lag))
    torch.testing.assert_close(obs[:, 1], speed.float(), rtol=1e-3, atol=0.0)
