"""What `IsaacFrankaPushCube-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from placing import place
from torch import Tensor

from isaac_gymnasium.envs.franka_push_cube import FrankaPushCube

ID = "IsaacFrankaPushCube-v0"
N = 8

Make = Callable[..., Any]


def put_cube(env: Any, position: Tensor) -> None:
    """Puts the cubes at (N, 3) positions in their environments, at rest."""
    place(env, env.task.cube, position)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"control_mode": "torque"}, "control_mode must be 'ee' or 'joint', got 'torque'"),
        ({"cube_size": 0.0}, "cube_size must be a positive"),
        ({"goal_radius": -1.0}, "goal_radius must"),
        ({"push_distance": math.nan}, "push_distance must"),
    ],
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrankaPushCube(**values)


def test_the_disc_lies_a_push_beyond_a_cube_somewhere_in_its_square(make: Make) -> None:
    env = make(256)
    obs = env.task.get_observations().cpu()
    share = (obs[:, 18:20] - torch.tensor((0.45, 0.0))) / 0.1
    assert 0.97 < float(share.abs().max()) <= 1.0 + 1e-5
    assert abs(float(share.mean())) < 0.15
    torch.testing.assert_close(obs[:, 20], torch.full((256,), 0.02), atol=1e-5, rtol=0.0)
    ahead = torch.tensor((0.2, 0.0, 0.0)).expand(256, 3)
    torch.testing.assert_close(obs[:, 28:31], ahead, atol=2e-6, rtol=0.0)
    assert not env.task.get_extras()["success"].any()


def test_rewards_by_hand(make: Make) -> None:
    env = make()
    task = env.task
    tip = task.arm.fingertips().cpu()
    # From where the fingertips should push: behind the cube by half its edge and 5 mm.
    behind = torch.tensor((0.025, 0.0, 0.0))
    offsets = torch.zeros(N, 3)
    offsets[:, 0] = torch.tensor((0.0, 0.019, 0.021, 0.1, 0.0, 0.0, 0.0, 0.3))
    put_cube(env, tip + behind + offsets)
    goal = tip + behind + offsets
    goal[:, 1] += torch.tensor((0.2, 0.2, 0.2, 0.2, 0.101, 0.5, 0.3, 0.2))
    task.goal.copy_(goal)
    terms = {name: values.tolist() for name, values in task.get_rewards().items()}
    distance, miss = offsets[:, 0].tolist(), (goal - tip - behind - offsets)[:, 1].tolist()
    expected = {
        "reach": [1 - math.tanh(5 * d) for d in distance],
        "push": [(1 - math.tanh(5 * g)) * (d < 0.02) for d, g in zip(distance, miss, strict=True)],
        "success": [0.0] * N,
    }
    assert terms.keys() == expected.keys()
    for name, values in expected.items():
        assert terms[name] == pytest.approx(values, abs=1e-4), name


def test_success_is_a_cube_on_the_ground_within_the_disc_and_pays_most(make: Make) -> None:
    env = make()
    task = env.task
    place = task.goal.cpu().clone()
    place[1, 0] += 0.099
    place[2, 0] += 0.101
    place[3, 1] -= 0.099
    place[4, :2] -= 0.08  # 0.113 m away
    place[5, 2] += 0.004
    place[6, 2] += 0.006
    place[7, 0] -= 0.2
    put_cube(env, place)
    expected = [True, True, False, True, False, True, False, False]
    assert task.get_extras()["success"].tolist() == expected
    total = torch.stack(list(task.get_rewards().values())).sum(0)
    assert total.tolist() == pytest.approx(
        [4.0 if s else t for s, t in zip(expected, total.tolist(), strict=True)]
    )
    assert float(total[[2, 4, 6, 7]].max()) < 2.0


def test_it_terminates_where_the_cube_leaves_its_square(make: Make) -> None:
    env = make()
    places = [
        (1.049, 0.0),
        (1.051, 0.0),
        (-0.149, 0.0),
        (-0.151, 0.0),
        (0.45, 0.599),
        (0.45, -0.601),
        (1.0, -0.59),
        (1.2, 0.9),
    ]
    put_cube(env, torch.tensor([(x, y, 0.02) for x, y in places]))
    expected = [False, True, False, True, False, True, False, True]
    assert env.task.get_terminations().tolist() == expected


def test_a_scripted_push_succeeds_and_doing_nothing_does_not(make: Make) -> None:
    env = make()
    obs = env.task.get_observations()
    back = torch.tensor((-0.06, 0.0, 0.0), device=env.device)
    rewards = []
    for step in range(50):
        action = torch.zeros(N, 7, device=env.device)
        action[:, 6] = -1.0
        to_cube = obs[:, 25:28]
        if step < 22:
            wanted = to_cube + back
            # First above the cube's height, not through it.
            wanted[:, 2] += 0.06 if step < 12 else 0.0
            action[:, :3] = 20.0 * wanted
        else:
            action[:, 0] = 1.0
            action[:, 1:3] = 20.0 * to_cube[:, 1:]
            action *= 1.0 - (obs[:, 28] < 0.05).float().unsqueeze(-1)
        obs, reward, terminated, _, info = env.step(action)
        obs = info["final_obs"]
        rewards.append(reward)
        assert not terminated.any()
    assert info["final_info"]["success"].all()
    assert rewards[-1].tolist() == pytest.approx([4.0] * N)
    assert float(torch.stack(rewards[:20]).max()) < 1.6
    for _ in range(50):
        *_, info = env.step(torch.zeros(N, 7, device=env.device))
    assert not info["final_info"]["success"].any()
