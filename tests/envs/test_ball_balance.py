"""What `IsaacBallBalance-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from placing import place
from torch import Tensor

from isaac_gymnasium.envs.ball_balance import BallBalance

ID = "IsaacBallBalance-v0"
N = 8

Make = Callable[..., Any]


def put_ball(env: Any, position: list[Any], velocity: Any = (0.0, 0.0, 0.0)) -> None:
    """Puts the balls to positions in their environments."""
    place(
        env,
        env.task.ball,
        torch.tensor(position),
        vel=torch.tensor(velocity).expand(env.num_envs, 3),
    )


@pytest.mark.parametrize(
    "values", [{"leg_speed": -1.0}, {"drop_distance": math.nan}, {"ball_density": 0.0}]
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} must"):
        BallBalance(**values)


def test_the_ball_starts_above_the_tray_and_moves_down_and_inwards(make: Make) -> None:
    obs = make(256).task.get_observations().cpu()
    ball, vel = obs[:, 9:12], obs[:, 12:15]
    height = ball[:, 2] + 0.7
    distance = ball[:, :2].norm(dim=-1)
    assert 1.0 <= float(height.min()) < 1.02
    assert 1.98 < float(height.max()) <= 2.0
    assert 0.48 < float(distance.max()) <= 0.5 + 1e-5
    assert torch.equal(vel[:, 2], torch.full((256,), -5.0))
    inwards = -(ball[:, :2] * vel[:, :2]).sum(-1) / distance
    share = inwards / (4.0 * distance)
    assert -1e-4 <= float(share.min()) < 0.02
    assert 0.98 < float(share.max()) <= 1.0 + 1e-4
    across = ball[:, 0] * vel[:, 1] - ball[:, 1] * vel[:, 0]
    assert float(across.abs().max()) < 1e-5
    assert not obs[:, :9].any()


def test_rewards_by_hand(make: Make) -> None:
    env = make(3)
    put_ball(
        env,
        [(0.0, 0.0, 0.7), (0.3, -0.4, 0.7), (0.0, 0.0, 1.2)],
        [(0, 0, 0), (0, 0, 0), (3.0, 0, -4.0)],
    )
    terms = env.task.get_rewards()
    assert terms.keys() == {"balance"}
    assert terms["balance"].tolist() == pytest.approx([1.0, 1 / 1.5, 1 / 1.5 / 6.0], rel=1e-5)


def test_it_terminates_when_the_ball_has_fallen_and_not_before(make: Make) -> None:
    env = make(4)
    put_ball(env, [(0.0, 0.0, 0.7), (0.9, 0.0, 0.16), (0.9, 0.0, 0.14), (0.0, 0.7, 0.1)])
    assert env.task.get_terminations().tolist() == [False, False, True, True]


def test_success_is_a_ball_above_the_tray(make: Make) -> None:
    env = make(6)
    places = [
        (0.0, 0.0, 0.7),
        (0.35, -0.35, 0.6),
        (0.36, -0.36, 0.7),
        (0.0, 0.6, 0.7),
        (0.0, 0.0, 1.3),
        (0.0, 0.0, 0.2),
    ]
    put_ball(env, places)
    expected = [True, True, False, False, False, False]
    assert env.task.get_extras()["success"].tolist() == expected


def test_legs_lift_and_tilt_the_tray(make: Make) -> None:
    env = make(4)
    put_ball(env, [(0.0, 0.0, 30.0)] * 4)
    # All legs up; the one on +y up; that one down and the others up; nothing.
    moves = torch.tensor([[0.5] * 3, [0.5, 0.0, 0.0], [-0.5, 0.5, 0.5], [0.0] * 3])
    for _ in range(10):
        env.step(moves.to(env.device))
    for _ in range(20):
        env.step(torch.zeros(4, 3, device=env.device))
    pos = env.task.table.dof_pos.cpu()
    # A speed of 1 m/s for 0.1 s.
    expected = torch.tensor(
        [[0.1, 0.0, 0.0], [1 / 30, 0.2 / 1.08, 0.0], [1 / 30, -0.4 / 1.08, 0.0], [0.0, 0.0, 0.0]]
    )
    torch.testing.assert_close(pos, expected, atol=3e-3, rtol=0.0)
    # The tray as a whole leans as the legs say: its +y side is up in environment 1.
    tray = env.task.table.link_pose[1, env.task.table.link_index("tray"), 3:].tolist()
    assert tray[0] == pytest.approx(math.sin(0.2 / 1.08 / 2), abs=2e-3)


def regulate(obs: Tensor) -> Tensor:
    """Tilts against where the ball is and goes; (N, 3) actions."""
    away, speed = obs[:, 9:11], obs[:, 12:14]
    wish = -6.0 * away - 4.0 * speed
    tilt_x, tilt_y = -wish[:, 1] / 7.0, wish[:, 0] / 7.0
    angles = (math.pi / 2, math.pi * 7 / 6, math.pi * 11 / 6)
    legs = [0.36 * (math.sin(a) * tilt_x - math.cos(a) * tilt_y) for a in angles]
    return (torch.stack(legs, dim=-1) - obs[:, :3]) / 0.02


def test_a_regulator_keeps_the_ball_and_a_still_tray_loses_it(make: Make) -> None:
    env = make(16, drop_distance=0.35)
    for still in (False, True):
        obs, _ = env.reset(seed=3)
        lost = torch.zeros(16, dtype=torch.bool, device=env.device)
        for _ in range(500):
            action = torch.zeros(16, 3, device=env.device) if still else regulate(obs)
            obs, reward, terminated, _, info = env.step(action)
            lost |= terminated
        kept = ~lost & info["final_info"]["success"]
        if still:
            assert int(kept.sum()) <= 8
        else:
            assert int(kept.sum()) >= 14
            assert float(reward[kept].min()) > 0.9


def test_the_ball_weighs_what_it_should_and_rests_on_the_tray(make: Make) -> None:
    env = make()
    mass = env.task.ball.get_property("mass").flatten()
    expected = torch.full((N,), 200.0 * 4 / 3 * math.pi * 0.1**3)
    torch.testing.assert_close(mass, expected, rtol=1e-3, atol=0.0)
    put_ball(env, [(0.0, 0.0, 0.702)] * N)
    for _ in range(50):
        obs, *_ = env.step(torch.zeros(N, 3, device=env.device))
    assert float(obs[:, 9:12].abs().max()) < 3e-3
