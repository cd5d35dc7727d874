"""What `IsaacQuadcopter-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from placing import place
from torch import Tensor

from isaac_gymnasium.envs.quadcopter import Quadcopter
from isaac_gymnasium.robots.quadcopter import INERTIAL, MASS
from isaac_gymnasium.transforms import quat_from_euler_xyz, quat_rotate_inverse

ID = "IsaacQuadcopter-v0"
HOVER = 2.0 / 1.9 - 1.0
"""The first action at which the thrust is the weight."""

Make = Callable[..., Any]


def put(env: Any, position: Tensor, quat: Tensor | None = None, vel: Tensor | None = None) -> None:
    """Puts the bodies to (N, 3) places of their environments, (N, 4) turns, (N, 6) velocities."""
    place(env, env.task.body, position, quat, vel)


def test_it_flies_by_the_equations_of_motion(make: Make) -> None:
    env = make(4, autoreset_mode="Disabled", dt=0.002, decimation=5)
    put(env, torch.tensor([[0.0, 0.0, 1.0]]).expand(4, 3))
    actions = torch.zeros(4, 4)
    actions[:, 0] = torch.tensor([HOVER, 1.0, -1.0, HOVER])
    actions[3, 3] = 0.01
    for _ in range(20):
        env.step(actions)
    vel = env.task.body.vel.cpu()
    # 0.2 s of weight, of 1.9 times the weight, and of free fall.
    up = torch.tensor([0.0, 0.9, -1.0, 0.0]) * 9.81 * 0.2
    torch.testing.assert_close(vel[:, 2], up, atol=2e-3, rtol=1e-3)
    turn = 1e-4 * 0.2 / INERTIAL.inertia[2]
    assert float(vel[3, 5]) == pytest.approx(turn, rel=0.02)
    assert float(vel[:3, 3:].abs().max()) < 1e-3


def test_thrust_and_moments_turn_with_the_body(make: Make) -> None:
    env = make(2, autoreset_mode="Disabled")
    quat = quat_from_euler_xyz(*torch.tensor([[math.pi / 2, 0.0], [0.0, 0.0], [0.0, 0.0]]))
    put(env, torch.tensor([[0.0, 0.0, 1.0]]).expand(2, 3), quat)
    actions = torch.zeros(2, 4)
    actions[:, 0], actions[:, 3] = 1.0, 0.001
    env.step(actions)
    vel = env.task.body.vel.cpu()
    # Lying on its side, body z is world -y.
    speed = 1.9 * 9.81 * 0.02
    torch.testing.assert_close(
        vel[:, :3],
        torch.tensor([[0.0, -speed, -9.81 * 0.02], [0.0, 0.0, speed - 9.81 * 0.02]]),
        atol=2e-3,
        rtol=0.0,
    )
    assert float(vel[0, 4]) < -1e-3 < 1e-3 < float(vel[1, 5])


def test_the_observation_is_laid_out_as_documented(make: Make) -> None:
    env = make(3)
    place = torch.tensor([[0.0, 0.0, 1.0], [1.0, -1.0, 0.5], [-0.5, 0.2, 1.5]])
    quat = quat_from_euler_xyz(*torch.tensor([[0.0, 0.4, -0.3], [0.0, 0.2, 0.5], [0.0, 2.0, -3.0]]))
    vel = torch.arange(18.0).view(3, 6) / 10
    put(env, place, quat, vel)
    obs = env.task.get_observations().cpu()
    goal = env.task.goal.cpu()
    torch.testing.assert_close(obs[:, 0:3], quat_rotate_inverse(quat, vel[:, :3]))
    torch.testing.assert_close(obs[:, 3:6], quat_rotate_inverse(quat, vel[:, 3:]))
    down = torch.tensor([[0.0, 0.0, -1.0]]).expand(3, 3)
    torch.testing.assert_close(obs[:, 6:9], quat_rotate_inverse(quat, down))
    torch.testing.assert_close(
        obs[:, 9:12], quat_rotate_inverse(quat, goal - place), atol=1e-5, rtol=0.0
    )


def test_rewards_by_hand(make: Make) -> None:
    env = make(3)
    goal = env.task.goal.cpu()
    off = torch.tensor([[0.0, 0.0, 0.0], [0.8, 0.0, 0.0], [0.0, 0.4, -0.3]])
    vel = torch.zeros(3, 6)
    vel[1] = torch.tensor([1.0, 2.0, -2.0, 0.0, 3.0, -4.0])
    put(env, goal + off, vel=vel)
    terms = {name: term.tolist() for name, term in env.task.get_rewards().items()}
    expected = {
        "velocity": [0.0, -0.05 * 9 * 0.02, 0.0],
        "turning": [0.0, -0.01 * 25 * 0.02, 0.0],
        "distance": [0.3 * (1 - math.tanh(d / 0.8)) for d in (0.0, 0.8, 0.5)],
    }
    assert terms.keys() == expected.keys()
    for name, values in expected.items():
        assert terms[name] == pytest.approx(values, abs=1e-5), name


def test_success_is_to_be_at_the_goal(make: Make) -> None:
    env = make(3)
    goal = env.task.goal.cpu()
    put(env, goal + torch.tensor([[0.0, 0.09, 0.0], [0.0, 0.08, 0.08], [1.0, 0.0, 0.0]]))
    extras = env.task.get_extras()
    assert extras["success"].tolist() == [True, False, False]
    assert extras["distance"].tolist() == pytest.approx([0.09, 0.11314, 1.0], abs=1e-4)


def test_it_ends_below_a_tenth_and_above_two_metres(make: Make) -> None:
    env = make(4)
    place = torch.zeros(4, 3)
    place[:, 2] = torch.tensor([0.11, 0.09, 1.99, 2.01])
    put(env, place)
    assert env.task.get_terminations().tolist() == [False, True, False, True]
    assert env.task.get_extras()["fell"].tolist() == [False, True, False, True]


def test_goals_fill_their_box_and_change_with_the_episode(make: Make) -> None:
    env = make(256)
    first = env.task.goal.cpu().clone()
    share = (first - torch.tensor((0.0, 0.0, 1.0))) / torch.tensor((2.0, 2.0, 0.5))
    assert 0.97 < float(share.abs().max()) <= 1.0
    assert float(share.mean(0).abs().max()) < 4 / math.sqrt(3 * 256)
    mask = torch.arange(256) < 8
    env.reset(options={"reset_mask": mask.to(env.device)})
    changed = (env.task.goal.cpu() != first).any(-1)
    assert torch.equal(changed, mask)


def test_a_scripted_pilot_reaches_its_goal_and_stays(make: Make) -> None:
    env = make(16)
    obs, _ = env.reset(seed=3)
    weight = MASS * 9.81
    for step in range(500):
        velocity, turning, down, to_goal = obs.split(3, dim=-1)
        # Wanted acceleration, the tilt that gives it, and the moments that give the tilt.
        want = (4.0 * to_goal - 3.0 * velocity).clamp(-4.0, 4.0) - 9.81 * down
        error = torch.stack((-want[:, 1], want[:, 0]), dim=-1) / 9.81
        moment = 0.004 * error - 0.0004 * turning[:, :2]
        yaw = -0.0004 * turning[:, 2:]
        thrust = want[:, 2:] * MASS / weight * 2 / 1.9 - 1
        obs, _, terminated, truncated, info = env.step(
            torch.cat((thrust, 100.0 * moment, 100.0 * yaw), dim=-1)
        )
        assert not terminated.any()
        assert bool(truncated.all()) == (step == 499)
    assert info["final_info"]["success"].all()


@pytest.mark.parametrize("values", [{"goal_tolerance": 0.0}, {"max_moment": -1.0}])
def test_values_without_a_meaning_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} must"):
        Quadcopter(**values)
