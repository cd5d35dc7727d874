"""What `IsaacFrankaPushT-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from isaac_gymnasium.envs.franka_push_t import GOAL, FrankaPushT
from isaac_gymnasium.transforms import quat_rotate

ID = "IsaacFrankaPushT-v0"
N = 6

Make = Callable[..., Any]


def put_block(env: Any, places: list[tuple[float, float, float]]) -> None:
    """Puts the blocks to (x, y, turn) relative to the goal, at rest."""
    pose = torch.zeros(env.num_envs, 7)
    for k, (x, y, turn) in enumerate(places):
        yaw = GOAL[2] + turn
        pose[k] = torch.tensor(
            (GOAL[0] + x, GOAL[1] + y, 0.02, 0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
        )
    pose = pose.to(env.device)
    pose[:, :3] += env.engine.env_origins
    env.task.block.write_state(pose, torch.zeros_like(pose[:, :6]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"block_mass": 0.0}, "block_mass must be a positive"),
        ({"success_coverage": 1.1}, "success_coverage must be at most 1"),
        ({"position_scale": math.nan}, "position_scale must"),
    ],
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrankaPushT(**values)


def test_the_block_starts_about_its_goal_with_any_heading(make: Make) -> None:
    env = make(256)
    task = env.task
    place = (task.block_position() - task.goal).cpu()
    assert -0.1 <= float(place[:, 0].min()) < -0.095
    assert 0.095 < float(place[:, 0].max()) <= 0.1
    assert -0.1 <= float(place[:, 1].min()) < -0.095
    assert 0.19 < float(place[:, 1].max()) <= 0.2
    assert float(place[:, 2].abs().max()) < 1e-6
    heading = task.heading().cpu()
    assert float(heading.min()) < -3.0
    assert float(heading.max()) > 3.0
    assert not task.get_extras()["success"].any()
    # The hand touches nothing: it is farther away than the block reaches.
    away = (task.arm.fingertips() - task.block_position())[:, :2].norm(dim=-1)
    assert float(away.min()) > 0.15


def test_coverage_is_the_share_of_the_outline_under_the_block(make: Make) -> None:
    env = make()
    turn = GOAL[2]

    def along(x: float, y: float) -> tuple[float, float, float]:
        """A way in the goal's own axes."""
        c, s = math.cos(turn), math.sin(turn)
        return c * x - s * y, s * x + c * y, 0.0

    put_block(
        env,
        [
            (0.0, 0.0, 0.0),
            along(0.0, -0.02),
            along(0.1, 0.0),
            along(0.0, 0.5),
            (0, 0, 0),
            (0, 0, 0),
        ],
    )
    area = 0.2 * 0.05 + 0.05 * 0.15
    # Down by 2 cm: of bar and stem together all but a strip is left, and the stem covers nothing
    # below its end. Aside by 10 cm: half the bar, and not the stem; the bar's other half is off.
    expected = [1.0, (area - 0.02 * 0.2) / area, 0.1 * 0.05 / area, 0.0, 1.0, 1.0]
    assert env.task.coverage().tolist() == pytest.approx(expected, abs=0.01)


def test_success_is_nine_tenths_of_the_outline(make: Make) -> None:
    env = make()
    angle = math.radians(5.0)
    places = [
        (0, 0, 0),
        (0.004, 0, 0),
        (0.03, 0, 0),
        (0, 0, angle),
        (0, 0, 3 * angle),
        (0, 0, math.pi),
    ]
    put_block(env, [(float(x), float(y), float(t)) for x, y, t in places])
    extras = env.task.get_extras()
    assert extras["success"].tolist() == [True, True, False, True, False, False]
    assert [c >= 0.9 for c in extras["coverage"].tolist()] == extras["success"].tolist()


def test_rewards_by_hand(make: Make) -> None:
    env = make()
    places = [
        (0.0, 0.0, 0.0),
        (0.1, 0.0, 0.0),
        (0.0, 0.0, math.pi),
        (0.0, -0.2, math.pi / 2),
        (0.3, 0.4, 1.0),
        (0.0, 0.05, -0.5),
    ]
    put_block(env, places)
    terms = {name: values.tolist() for name, values in env.task.get_rewards().items()}
    tips, blocks = env.task.arm.fingertips().tolist(), env.task.block_position().tolist()
    for k, (x, y, turn) in enumerate(places):
        expected = {
            "turn": 0.5 * ((1 + math.cos(turn)) / 2) ** 2,
            "place": 0.5 * (1 - math.tanh(5 * math.hypot(x, y))) ** 2,
            "reach": math.sqrt(1 - math.tanh(5 * math.dist(tips[k], blocks[k]))) / 20,
        }
        expected["success"] = 3 - sum(expected.values()) if k == 0 else 0.0
        assert {name: values[k] for name, values in terms.items()} == pytest.approx(
            expected, abs=1e-4
        ), k


def test_it_terminates_where_the_block_is_pushed_away(make: Make) -> None:
    env = make()
    put_block(
        env, [(0.49, 0, 0), (0.51, 0, 0), (0, -0.51, 0), (0.3, 0.3, 0), (0.4, 0.4, 0), (0, 0, 0)]
    )
    assert env.task.get_terminations().tolist() == [False, True, True, False, True, False]


def test_the_observation_is_laid_out_as_documented(make: Make) -> None:
    env = make()
    task = env.task
    put_block(env, [(0.1, -0.05, 0.4)] * N)
    vel = torch.zeros(N, 6, device=env.device)
    vel[:, 0], vel[:, 1], vel[:, 5] = 0.3, -0.2, 0.7
    task.block.write_state(task.block.pose.clone(), vel)
    obs = task.get_observations().cpu()
    tip, block = task.arm.fingertips().cpu(), task.block_position().cpu()
    assert torch.equal(obs[:, :7], task.robot.dof_pos[:, :7].cpu())
    assert torch.equal(obs[:, 7:14], task.robot.dof_vel[:, :7].cpu())
    yaw = GOAL[2] + 0.4
    rest = torch.tensor(
        [-0.1, 0.05, math.cos(yaw), math.sin(yaw), math.cos(0.4), math.sin(-0.4), 0.3, -0.2, 0.7]
    )
    expected = torch.cat((tip, (block - tip)[:, :2], rest.expand(N, 9)), dim=-1)
    torch.testing.assert_close(obs[:, 14:], expected, atol=1e-5, rtol=0.0)


def test_the_hand_moves_in_the_plane_and_keeps_height_and_direction(make: Make) -> None:
    env = make()
    put_block(env, [(0.3, -0.3, 0.0)] * N)
    start = env.task.arm.fingertips().cpu().clone()
    action = torch.tensor((0.2, -0.4), device=env.device).expand(N, 2)
    for _ in range(20):
        env.step(action)
    moved = env.task.arm.fingertips().cpu() - start
    # 1 stands for a little less than 0.5 m/s.
    assert moved[:, 0].tolist() == pytest.approx([0.09] * N, abs=0.02)
    assert moved[:, 1].tolist() == pytest.approx([-0.18] * N, abs=0.04)
    height = env.task.arm.fingertips()[:, 2].cpu()
    torch.testing.assert_close(height, torch.full((N,), 0.02), atol=0.004, rtol=0.0)
    ahead = quat_rotate(
        env.task.arm.hand_pose[:, 3:7].cpu(), torch.tensor((0.0, 0.0, 1.0)).expand(N, 3)
    )
    torch.testing.assert_close(
        ahead, torch.tensor((0.0, 0.0, -1.0)).expand(N, 3), atol=0.02, rtol=0.0
    )


def test_a_push_moves_and_turns_the_block_on_the_ground(make: Make) -> None:
    env = make(2)
    # Bar across the hand's way towards -y, its middle ahead or 7 cm aside.
    tip = env.task.arm.fingertips()[0].tolist()
    x, y = tip[0] - GOAL[0], tip[1] - GOAL[1] - 0.12
    put_block(env, [(x, y, -GOAL[2]), (x - 0.07, y, -GOAL[2])])
    before, heading = env.task.block_position().clone(), env.task.heading().clone()
    action = torch.tensor((0.0, -0.5), device=env.device).expand(2, 2)
    for _ in range(16):
        env.step(action)
    moved = (env.task.block_position() - before).cpu()
    turned = (env.task.heading() - heading).cpu()
    assert float(moved[0, 1]) < -0.05
    assert abs(float(turned[0])) < 0.15
    assert float(turned[1].abs()) > 0.3
    assert float(moved[:, 2].abs().max()) < 2e-3
