"""What `IsaacFrankaReach-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from isaac_gymnasium.envs.franka_reach import HOME, FrankaReach
from isaac_gymnasium.transforms import (
    quat_from_rotation_vector,
    quat_mul,
    quat_rotate,
)

ID = "IsaacFrankaReach-v0"
N = 8

Make = Callable[..., Any]


def goal_at(env: Any, offset: Tensor, turn: Tensor) -> None:
    """Puts every goal at (N, 3) m and a (N, 3) rotation vector, world axes, from the hand."""
    task = env.task
    hand = task.arm.hand_pose
    goals = torch.zeros(env.num_envs, 7, device=env.device)
    goals[:, :3] = hand[:, :3] - env.engine.env_origins + offset.to(env.device)
    goals[:, 3:] = quat_mul(quat_from_rotation_vector(turn.to(env.device)), hand[:, 3:])
    task.goals.copy_(goals.unsqueeze(1).expand_as(task.goals))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"control_mode": "torque"}, "control_mode must be 'joint', 'ee' or 'osc', got 'torque'"),
        ({"goal_period_s": 0.0}, "goal_period_s must be a positive"),
        ({"goal_period_s": 0.01}, "goal_period_s 0.01 is shorter than one step"),
        ({"osc_stiffness": -1.0}, "osc_stiffness must"),
        ({"joint_scale": math.nan}, "joint_scale must"),
    ],
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrankaReach(**values)


def test_it_starts_with_every_joint_between_half_and_one_and_a_half_of_home(make: Make) -> None:
    env = make(256)
    pos = env.task.robot.dof_pos[:, :7].cpu()
    home, limits = torch.tensor(HOME), env.task.robot.dof_limits[:7].cpu()
    share = pos / torch.where(home == 0.0, 1.0, home)
    assert not pos[:, home == 0.0].any()
    for joint in (1, 3, 5):
        low, high = sorted((0.5 * home[joint], 1.5 * home[joint]))
        assert bool((pos[:, joint] >= max(low, limits[joint, 0]) - 1e-6).all())
        assert bool((pos[:, joint] <= min(high, limits[joint, 1]) + 1e-6).all())
    assert float(share[:, 1].min()) < 0.55
    assert float(share[:, 1].max()) > 1.45
    assert not env.task.robot.dof_vel.any()


def test_goals_fill_their_box_and_point_down(make: Make) -> None:
    env = make(256)
    goals = env.task.goals.cpu()
    assert goals.shape == (256, 3, 7)
    low, high = torch.tensor((0.35, -0.2, 0.15)), torch.tensor((0.65, 0.2, 0.5))
    share = (goals[..., :3] - low) / (high - low)
    assert 0.0 <= float(share.min()) < 0.02
    assert 0.98 < float(share.max()) <= 1.0
    z_axis = torch.tensor((0.0, 0.0, 1.0)).expand(256, 3, 3)
    down = quat_rotate(goals[..., 3:], z_axis)
    torch.testing.assert_close(down, -z_axis, atol=1e-5, rtol=0.0)
    x_axis = quat_rotate(goals[..., 3:], torch.tensor((1.0, 0.0, 0.0)).expand(256, 3, 3))
    heading = torch.atan2(x_axis[..., 1], x_axis[..., 0])
    assert float(heading.min()) < -3.0
    assert float(heading.max()) > 3.0
    # The quaternions jump only half a turn from the heading that joint 7 has in its middle when the
    # arm points at the goal: 45 degrees from there.
    middle = math.pi / 4 + torch.atan2(goals[..., 1], goals[..., 0])
    from_middle = torch.remainder(heading - middle + math.pi, math.tau) - math.pi
    first = goals[..., 3] * torch.cos(middle / 2) + goals[..., 4] * torch.sin(middle / 2)
    torch.testing.assert_close(first, torch.cos(from_middle / 2), atol=1e-4, rtol=0.0)
    flat = torch.cat((share, heading.unsqueeze(-1) / math.pi), dim=-1).view(256, 12)
    assert float((torch.corrcoef(flat.T) - torch.eye(12)).abs().max()) < 0.3


def test_a_new_goal_comes_every_four_seconds(make: Make) -> None:
    env = make(episode_length_s=1.0, goal_period_s=0.4)
    still = torch.zeros(N, 7, device=env.device)
    seen = []
    goals = env.task.goals.clone()
    assert goals.shape[1] == 3
    for _ in range(29):
        obs, *_ = env.step(still)
        seen.append(obs[:, 18:25].clone())
    # Steps lead to step counts 1 to 29; the goals last for 12 of them.
    for count, goal in enumerate(seen, start=1):
        assert torch.equal(goal, goals[:, min(count // 12, 2)]), count


def test_the_observation_is_laid_out_as_documented(make: Make) -> None:
    env = make()
    task = env.task
    action = torch.linspace(-0.2, 0.2, 7 * N, device=env.device).view(N, 7)
    env.step(action)
    offset = torch.tensor((0.1, -0.2, 0.05)).expand(N, 3)
    turn = torch.tensor((0.0, 0.3, -0.4)).expand(N, 3)
    goal_at(env, offset, turn)
    obs = task.get_observations()
    assert obs.shape == (N, 38)
    default = torch.tensor((*HOME, 0.04, 0.04), device=env.device)
    torch.testing.assert_close(obs[:, :9], task.robot.dof_pos - default)
    assert torch.equal(obs[:, 9:18], task.robot.dof_vel)
    assert torch.equal(obs[:, 18:25], task.goals[:, 0])
    torch.testing.assert_close(obs[:, 25:28].cpu(), offset, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(obs[:, 28:31].cpu(), turn, atol=1e-5, rtol=0.0)
    assert torch.equal(obs[:, 31:], action)


@pytest.mark.parametrize(("reward", "aligned"), [("aligned", 0.2), ("isaaclab", 0.0)])
def test_rewards_by_hand(make: Make, reward: str, aligned: float) -> None:
    env = make(2, reward=reward)
    task = env.task
    first = torch.full((2, 7), 0.1, device=env.device)
    second = torch.tensor([[0.4] * 7, [0.1] * 7], device=env.device)
    task.pre_physics_step(first)
    task.pre_physics_step(second)
    vel = torch.zeros(2, 9)
    vel[1, 2], vel[1, 5] = 2.0, -1.0
    task.robot.write_dof_state(task.robot.dof_pos.clone(), vel.to(env.device))
    offset = torch.tensor([[0.03, 0.0, 0.04], [0.0, 0.0, 0.0]])
    goal_at(env, offset, torch.tensor([[0.0, 0.6, 0.8], [0.0, 0.0, 0.1]]))
    dt = 1 / 30
    expected = {
        "position": [-0.2 * 0.05 * dt, 0.0],
        "near": [0.1 * (1 - math.tanh(0.5)) * dt, 0.1 * dt],
        "rotation": [-0.1 * dt, -0.01 * dt],
        "aligned": [
            aligned * (1 - math.tanh(d / 0.1)) * (1 - math.tanh(a / 0.2)) * dt
            for d, a in ((0.05, 1.0), (0.0, 0.1))
        ],
        "action_rate": [-1e-4 * 7 * 0.09 * dt, 0.0],
        "joint_speed": [0.0, -1e-4 * 5.0 * dt],
    }
    terms = task.get_rewards()
    assert terms.keys() == expected.keys()
    for name, values in expected.items():
        assert terms[name].tolist() == pytest.approx(values, rel=1e-3, abs=1e-7), name


def test_success_needs_both_position_and_rotation(make: Make) -> None:
    env = make(6)
    offset = torch.zeros(6, 3)
    offset[:, 0] = torch.tensor((0.0, 0.049, 0.051, 0.0, 0.0, 0.0))
    turn = torch.zeros(6, 3)
    turn[:, 2] = torch.tensor((0.0, 0.0, 0.0, -0.199, 0.201, math.pi))
    goal_at(env, offset, turn)
    extras = env.task.get_extras()
    assert extras["success"].tolist() == [True, True, False, True, False, False]
    assert extras["position_error"].tolist() == pytest.approx(offset[:, 0].tolist(), abs=1e-4)
    assert extras["rotation_error"].tolist() == pytest.approx(turn[:, 2].abs().tolist(), abs=1e-3)


def test_nothing_ends_an_episode_but_its_time(make: Make) -> None:
    env = make(episode_length_s=0.5)
    generator = torch.Generator().manual_seed(0)
    for step in range(15):
        push = torch.rand(N, 7, generator=generator) * 2 - 1
        _, _, terminated, truncated, _ = env.step(push.to(env.device))
        assert not terminated.any()
        assert bool(truncated.all()) == (step == 14)


def test_joint_actions_are_targets_about_home_within_the_limits(make: Make) -> None:
    env = make()
    robot = env.task.robot
    for value in (0.0, 0.3, -1.0):
        env.step(torch.full((N, 7), value, device=env.device))
        limits = robot.dof_limits[:7].cpu()
        wanted = (torch.tensor(HOME) + math.pi * value).clamp(limits[:, 0], limits[:, 1])
        torch.testing.assert_close(robot.dof_targets[:, :7].cpu(), wanted.expand(N, 7))


@pytest.mark.parametrize("mode", ["ee", "osc"])
def test_a_script_that_asks_for_the_error_reaches_its_goals(make: Make, mode: str) -> None:
    env = make(control_mode=mode, episode_length_s=4.0)
    task = env.task
    ahead = torch.tensor((0.0, 0.0, 0.1034), device=env.device).expand(N, 3)
    obs = task.get_observations()
    for _ in range(119):
        goal, rotation = obs[:, 21:25], obs[:, 28:31]
        # The fingertips move, and have to go where the hand's goal puts them.
        position = obs[:, 18:21] + quat_rotate(goal, ahead) - task.arm.fingertips()
        obs, _, _, _, info = env.step(torch.cat((10.0 * position, 2.0 * rotation), dim=-1))
    # A heading beyond what the last joint can turn is out of the script's reach.
    assert int(info["success"].sum()) >= N - 2
    reached = info["position_error"][info["success"]]
    assert float(reached.max()) < 0.02


def test_operational_space_control_pushes_along_one_axis_only(make: Make) -> None:
    env = make(control_mode="osc", dt=1e-3, decimation=1)
    task = env.task
    action = torch.zeros(N, 6, device=env.device)
    action[:, 1] = 1.0
    env.step(action)
    velocity = (task.arm.jacobian() @ task.robot.dof_vel[:, :7].unsqueeze(-1)).squeeze(-1)
    # A spring of 150 1/s^2 stretched by 0.1 m, for 1 ms.
    expected = torch.tensor((0.0, 0.015, 0.0, 0.0, 0.0, 0.0)).expand(N, 6)
    torch.testing.assert_close(velocity.cpu(), expected, atol=6e-4, rtol=0.0)
