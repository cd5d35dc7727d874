"""What `IsaacFrankaStackCube-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from placing import place
from torch import Tensor

from isaac_gymnasium.envs.franka_stack_cube import FrankaStackCube
from isaac_gymnasium.transforms import yaw_from_quat

ID = "IsaacFrankaStackCube-v0"
N = 8
TOP = 0.07 + 0.025

Make = Callable[..., Any]


def put(env: Any, cube: Tensor, base: Tensor, speed: Tensor | None = None) -> None:
    """Puts the cubes to (N, 3) positions, the red one moving along x with (N,) speeds."""
    place(env, env.task.cube, cube, vel=None if speed is None else speed.unsqueeze(-1))
    place(env, env.task.base, base)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"control_mode": "osc"}, "control_mode must be 'ee' or 'joint', got 'osc'"),
        ({"reward": "sparse"}, "reward must be 'staged' or 'isaacgymenvs', got 'sparse'"),
        ({"base_size": 0.0}, "base_size must be a positive"),
        ({"cube_size": 0.08}, "cube_size must be below 0.08, or the hand cannot grip"),
        ({"cube_noise": -1.0}, "cube_noise must"),
    ],
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrankaStackCube(**values)


def test_cubes_start_apart_in_every_direction(make: Make) -> None:
    env = make(256)
    task = env.task
    cube, base = task.cube_position().cpu(), task.base_position().cpu()
    apart = (cube - base)[:, :2]
    assert 0.1 - 1e-5 <= float(apart.norm(dim=-1).min()) < 0.105
    assert 0.195 < float(apart.norm(dim=-1).max()) <= 0.2 + 1e-5
    for quadrant in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        there = (apart * torch.tensor(quadrant) > 0).all(-1)
        assert 40 < int(there.sum()) < 90
    middle = ((cube + base) / 2)[:, :2] - torch.tensor((0.5, 0.0))
    assert 0.047 < float(middle.abs().max()) <= 0.05 + 1e-5
    assert cube[:, 2].tolist() == pytest.approx([0.025] * 256, abs=1e-6)
    assert base[:, 2].tolist() == pytest.approx([0.035] * 256, abs=1e-6)
    turns = [yaw_from_quat(body.pose[:, 3:7]).cpu() for body in (task.cube, task.base)]
    for turn in turns:
        assert 0.75 < float(turn.abs().max()) <= math.pi / 4 + 1e-5
    assert abs(float(torch.corrcoef(torch.stack(turns))[0, 1])) < 0.3


def test_the_observation_is_laid_out_as_documented(make: Make) -> None:
    env = make()
    task, robot = env.task, env.task.robot
    cube = torch.tensor((0.4, 0.1, 0.2)).repeat(N, 1)
    base = torch.tensor((0.6, -0.1, 0.035)).repeat(N, 1)
    put(env, cube, base)
    obs = task.get_observations().cpu()
    assert torch.equal(obs[:, :9], robot.dof_pos.cpu())
    assert torch.equal(obs[:, 9:18], robot.dof_vel.cpu())
    flat = torch.tensor((0.0, 0.0, 0.0, 1.0)).expand(N, 4)
    for start, expected in (
        (18, cube),
        (21, flat),
        (25, base),
        (28, flat),
        (32, cube - task.arm.fingertips().cpu()),
        (35, base + torch.tensor((0.0, 0.0, 0.06)) - cube),
    ):
        found = obs[:, start : start + expected.shape[1]]
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=0.0)


def test_rewards_by_hand(make: Make) -> None:
    env = make(arm_noise=0.0)
    task = env.task
    tip = task.arm.fingertips().cpu()
    far = torch.tensor((0.5, 0.4, 0.035)).repeat(N, 1)
    cube, base = tip.clone(), far.clone()
    cube[1, 2] = 0.025  # on the ground, far from the fingertips
    cube[2, 0] += 0.04  # held
    cube[3, 0] += 0.06  # not held any more
    # On top, held; on top but moving; on top and released; next to it.
    base[4] = tip[4] - torch.tensor((0.0, 0.0, 0.06))
    for k in (5, 6, 7):
        base[k] = torch.tensor((0.5, 0.2, 0.035))
        cube[k] = torch.tensor((0.5, 0.2, TOP))
    cube[7, 0] += 0.021
    put(env, cube, base, torch.tensor((0.0, 0, 0, 0, 0, 0.06, 0.04, 0)))
    action = torch.linspace(-1.0, 1.0, 7 * N).view(N, 7)
    task.pre_physics_step(action.to(env.device))
    terms = {name: values.tolist() for name, values in task.get_rewards().items()}
    on_top = [k in (4, 5, 6) for k in range(N)]
    for k in range(N):
        d = math.dist(cube[k].tolist(), tip[k].tolist())
        g = math.dist((base[k] + torch.tensor((0.0, 0.0, 0.06))).tolist(), cube[k].tolist())
        lifted = min(max((float(cube[k, 2]) - 0.025) / 0.07, 0.0), 1.0) * (d < 0.05)
        expected = {
            "reach": (1 - math.tanh(5 * d)) * (not on_top[k]),
            "lift": 2 * lifted * (not on_top[k]),
            "place": 3 * lifted * (1 - math.tanh(5 * g)) * (not on_top[k]),
            "on_top": 6.0 * on_top[k],
            # The gripper still stands open, whatever it is asked for.
            "release": (1 + float(action[k, 6]) + 4 * min(d / 0.05, 1)) * on_top[k],
            "success": 4.0 * (k == 6),
            "action": -0.01 * float(action[k].square().sum()),
        }
        assert {name: values[k] for name, values in terms.items()} == pytest.approx(
            expected, abs=2e-5
        ), k
    assert [k for k in range(N) if terms["lift"][k] > 0] == [0, 2]


def test_success_is_a_cube_on_top_released_and_at_rest(make: Make) -> None:
    env = make(arm_noise=0.0)
    base = torch.tensor((0.5, 0.2, 0.035)).repeat(N, 1)
    cube = base + torch.tensor((0.0, 0.0, 0.06))
    cube[1, 0] += 0.019
    cube[2, 1] -= 0.021
    cube[3, 2] += 0.009
    cube[4, 2] += 0.011
    cube[5] = torch.tensor((0.5, 0.3, 0.025))
    base[6] = env.task.arm.fingertips()[6].cpu() - torch.tensor((0.0, 0.0, 0.06))
    cube[6] = base[6] + torch.tensor((0.0, 0.0, 0.06))  # still held
    put(env, cube, base, torch.tensor([0.0] * 7 + [0.06]))
    extras = env.task.get_extras()
    assert extras["success"].tolist() == [True, True, False, True] + [False] * 4
    assert extras["on_top"].tolist() == [True, True, False, True, False, False, True, True]


def test_nothing_short_of_success_pays_as_much(make: Make) -> None:
    """The most that a state without success can be paid, against the least of success."""
    env = make(arm_noise=0.0)
    base = env.task.arm.fingertips().cpu() - torch.tensor((0.0, 0.0, 0.06))
    held = base + torch.tensor((0.0, 0.0, 0.06))
    short = {}
    for name, offset in (("over the place", (0.0, 0.0, 0.011)), ("on top, held", (0.0, 0.0, 0.0))):
        put(env, held + torch.tensor(offset), base)
        rewards = env.task.get_rewards()
        short[name] = float(sum(rewards.values())[0])
    assert short["over the place"] == pytest.approx(6.0, abs=0.3)
    # Six on top, two for a gripper that is asked to open.
    assert short["on top, held"] == pytest.approx(8.0, abs=0.01)
    base = torch.tensor((0.5, 0.2, 0.035)).repeat(N, 1)
    put(env, base + torch.tensor((0.0, 0.0, 0.06)), base)
    assert float(sum(env.task.get_rewards().values())[0]) == pytest.approx(16.0, abs=0.01)


def test_the_reward_of_isaacgymenvs_by_hand(make: Make) -> None:
    env = make(reward="isaacgymenvs", arm_noise=0.0)
    task = env.task
    tip = task.arm.fingertips().cpu()
    base = torch.tensor((0.5, 0.2, 0.035)).repeat(N, 1)
    cube = tip.clone()
    cube[1] = base[1] + torch.tensor((0.0, 0.0, 0.06))
    cube[2, 2] = 0.085
    cube[3] = base[3] + torch.tensor((0.0, 0.03, 0.07))
    put(env, cube, base)
    terms = {name: values.tolist() for name, values in task.get_rewards().items()}
    for k in range(4):
        fingers = [tip[k] + torch.tensor((0.0, side * 0.04, 0.0)) for side in (1, -1)]
        d = sum(math.dist(cube[k].tolist(), p.tolist()) for p in (tip[k], *fingers)) / 3
        g = math.dist((base[k] + torch.tensor((0.0, 0.0, 0.06))).tolist(), cube[k].tolist())
        lifted = float(cube[k, 2]) - 0.05 > 0.04
        aligned = (1 - math.tanh(10 * g)) * lifted
        stacked = k == 1
        expected = {
            "reach": 0.1 * max(1 - math.tanh(10 * d), aligned) * (not stacked),
            "lift": 1.5 * lifted * (not stacked),
            "place": 2 * aligned * (not stacked),
            "on_top": 0.0,
            "release": 0.0,
            "success": 16.0 * stacked,
            "action": 0.0,
        }
        assert {name: values[k] for name, values in terms.items()} == pytest.approx(
            expected, abs=1e-4
        ), k
    assert task.get_terminations().tolist()[:4] == [False, True, False, False]


def test_it_terminates_where_a_cube_leaves_the_square(make: Make) -> None:
    env = make()
    inside = torch.tensor((0.5, 0.0, 0.035)).repeat(N, 1)
    cube, base = inside + torch.tensor((0.0, 0.2, 0.0)), inside.clone()
    cube[0, 0], cube[1, 0], cube[2, 1] = 1.099, 1.101, -0.601
    base[3, 0], base[4, 0], base[5, 1] = -0.099, -0.101, 0.601
    put(env, cube, base)
    expected = [False, True, True, False, True, True, False, False]
    assert env.task.get_terminations().tolist() == expected


def test_a_cube_under_the_palm_moves_as_its_velocity_says(make: Make) -> None:
    env = make()
    task = env.task
    every = torch.ones(N, dtype=torch.bool, device=env.device)
    below = task.arm.fingertips()[:, :2].clone()
    for body, height in ((task.base, 0.035), (task.cube, TOP)):
        task.lay(body, height, place=(0.0, 0.0), offset=below, mask=every)
    down = torch.zeros(N, 7, device=env.device)
    down[:, 2], down[:, 6] = -0.3, 1.0
    place, wrong = task.cube_position().clone(), []
    for _ in range(90):
        env.step(down)
        before, place = place, task.cube_position().clone()
        told = task.cube.vel[:, :3]
        wrong.append(((place - before) / task.step_dt - told).norm(dim=-1))
    # The fingers stand beside the cube, and the palm is on it.
    assert float((task.arm.fingertips() - place)[:, 2].max()) < 0.0
    assert float(torch.stack(wrong[40:]).quantile(0.9)) < 0.03
