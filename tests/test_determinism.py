"""Same seed, same actions: same bits; and what the number of environments may change."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)

IDS = ["IsaacCartpole-v0", "IsaacFrankaCube-v0"]
STEPS = 80


def actions_of(env: Any, rows: int) -> torch.Tensor:
    """(STEPS, rows, A) actions; row k is the same for every number of rows."""
    size = env.single_action_space.shape[0]
    table = torch.stack(
        [
            torch.rand(STEPS, size, generator=torch.Generator().manual_seed(1000 + k)) * 2 - 1
            for k in range(rows)
        ],
        dim=1,
    )
    return table.to(env.unwrapped.device)


def rollout(id: str, num_envs: int, device: torch.device, seed: int = 5) -> list[torch.Tensor]:
    """Observations, rewards and flags of a rollout with resets in it, (steps, rows, ...) each."""
    env: Any = gym.make_vec(
        id, num_envs=num_envs, device=str(device), episode_length_s=0.5, decimation=2
    )
    actions = actions_of(env, num_envs)
    obs, _ = env.reset(seed=seed)
    steps = [(obs, *env.step(a)[:4]) for a in actions]
    env.close()
    return [torch.stack([s[i] for s in steps]) for i in range(5)]


@pytest.mark.parametrize("id", IDS)
def test_the_same_seed_and_actions_give_the_same_bits(id: str, device: torch.device) -> None:
    first, second = rollout(id, 24, device), rollout(id, 24, device)
    assert bool(first[3].any() | first[4].any()), "the rollout should contain resets"
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
    other = rollout(id, 24, device, seed=6)
    assert not torch.equal(first[1], other[1])


@pytest.mark.parametrize("id", IDS)
def test_an_environment_does_not_feel_how_many_others_there_are(
    id: str, device: torch.device
) -> None:
    few, many = rollout(id, 8, device), rollout(id, 64, device)
    for a, b in zip(few, many, strict=True):
        assert torch.equal(a, b[:, :8])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("id", IDS)
def test_equal_environments_stay_equal_on_the_gpu(id: str) -> None:
    env: Any = gym.make_vec(id, num_envs=256, device="cuda:0", episode_length_s=10.0)
    env.reset(seed=0)
    task, row = env.task, torch.zeros(256, dtype=torch.int64)
    robot = task.robot
    robot.write_dof_state(robot.dof_pos[row], robot.dof_vel[row])
    if hasattr(task, "cube"):
        task.cube.write_state(task.cube.pose[row], task.cube.vel[row])
    actions = actions_of(env, 1).expand(-1, 256, -1)
    for a in actions:
        obs = env.step(a)[0]
        assert torch.equal(obs, obs[:1].expand_as(obs))
    env.close()


@pytest.mark.parametrize("id", IDS)
def test_a_single_environment_is_row_zero_of_many(id: str) -> None:
    import numpy as np

    vector: Any = gym.make_vec(id, num_envs=4, device="cpu")
    single: Any = gym.make(id)
    actions = actions_of(vector, 4)
    rows, _ = vector.reset(seed=3)
    one, _ = single.reset(seed=3)
    np.testing.assert_array_equal(rows[0].numpy(), one)
    for a in actions[:40]:
        obs, reward, terminated, _, _ = vector.step(a)
        one, r, t, _, _ = single.step(a[0].numpy())
        np.testing.assert_array_equal(obs[0].numpy(), one)
        assert float(reward[0]) == r
        assert bool(terminated[0]) == t
        if t:
            break
    vector.close()
    single.close()
