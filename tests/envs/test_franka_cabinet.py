"""What `IsaacFrankaCabinet-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from isaac_gymnasium.envs.franka_cabinet import FrankaCabinet
from isaac_gymnasium.robots.drawer_cabinet import drawer_cabinet
from isaac_gymnasium.transforms import quat_rotate

ID = "IsaacFrankaCabinet-v0"
N = 8

Make = Callable[..., Any]


def open_drawer(env: Any, openings: list[float]) -> None:
    task = env.task
    pos = torch.zeros(env.num_envs, 2, device=env.device)
    pos[:, task.drawer] = torch.tensor(openings, device=env.device)
    task.cabinet.write_dof_state(pos, torch.zeros_like(pos))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"control_mode": "osc"}, "control_mode must be 'ee' or 'joint', got 'osc'"),
        ({"reward": "sparse"}, "reward must be 'staged' or 'isaacgymenvs', got 'sparse'"),
        ({"success_opening": 0.4}, "success_opening must be below 0.4"),
        ({"success_opening": 0.0}, "success_opening must be a positive"),
        ({"arm_noise": math.nan}, "arm_noise must"),
    ],
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrankaCabinet(**values)


def test_the_frame_has_the_published_size() -> None:
    frame, *_ = drawer_cabinet().links
    corners = [
        [p + s * e / 2 for p, e in zip(shape.position, shape.size, strict=True)]
        for shape in frame.shapes
        for s in (-1, 1)
    ]
    low, high = ([f(axis) for axis in zip(*corners, strict=True)] for f in (min, max))
    assert low == pytest.approx([0.0, -0.305, 0.0], abs=1e-9)
    assert high == pytest.approx([0.61, 0.305, 0.762], abs=1e-9)


def test_it_starts_closed_with_the_hand_before_the_handle(make: Make) -> None:
    env = make(256)
    obs = env.task.get_observations().cpu()
    assert not obs[:, 21:].any()
    assert not obs[:, 9:18].any()
    away = obs[:, 18:21]
    assert 0.15 < float(away[:, 0].mean()) < 0.35
    assert float(away[:, 1:].mean(0).abs().max()) < 0.05
    assert not env.task.get_extras()["success"].any()
    pads = env.task.arm.finger_pads().cpu()
    assert bool(((pads[:, 0, 2] - pads[:, 1, 2]).abs() > 0.06).all())


def test_the_handle_moves_with_the_drawer(make: Make) -> None:
    env = make()
    task = env.task
    openings = [0.05 * k for k in range(N)]
    open_drawer(env, openings)
    link = task.cabinet.link_pose[:, task.cabinet.link_index("drawer_top_link")]
    middle = torch.tensor((-0.05, 0.0, 0.64), device=env.device).expand(N, 3)
    expected = link[:, :3] + quat_rotate(link[:, 3:], middle) - env.engine.env_origins
    torch.testing.assert_close(task.handle(), expected, atol=1e-5, rtol=0.0)
    assert task.handle()[:, 0].tolist() == pytest.approx([0.72 - q for q in openings], abs=1e-5)
    torch.testing.assert_close(
        task.get_observations()[:, 18:21], expected - task.arm.fingertips(), atol=1e-5, rtol=0.0
    )
    assert task.get_observations()[:, 21].tolist() == pytest.approx(openings, abs=1e-6)


def test_joint_positions_are_observed_between_their_limits(make: Make) -> None:
    env = make(3)
    task = env.task
    low, high = task.robot.dof_limits.unbind(-1)
    pos = torch.stack((low, high, 0.75 * low + 0.25 * high))
    task.robot.write_dof_state(pos, torch.full_like(pos, 2.0))
    obs = task.get_observations().cpu()
    expected = torch.tensor([[-1.0] * 9, [1.0] * 9, [-0.5] * 9])
    torch.testing.assert_close(obs[:, :9], expected, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(obs[:, 9:18], torch.full((3, 9), 0.2))


def test_rewards_by_hand(make: Make) -> None:
    env = make(5, arm_noise=0.0)
    task = env.task
    openings = [0.0, 0.195, 0.389, 0.391, 0.25]
    open_drawer(env, openings)
    # Environment 4: the hand at the handle.
    task.closed_handle.copy_(
        task.arm.fingertips()[4] + torch.tensor((0.25, 0.0, 0.01), device=env.device)
    )
    action = torch.linspace(-1.0, 1.0, 35).view(5, 7)
    task.pre_physics_step(action.to(env.device))
    terms = {name: values.tolist() for name, values in task.get_rewards().items()}
    tip, handle = task.arm.fingertips().cpu(), task.handle().cpu()
    for k in range(5):
        d = math.dist(tip[k].tolist(), handle[k].tolist())
        expected = {
            "reach": 1 - math.tanh(5 * d),
            "align": 0.5,
            "around": 0.5 * (k == 4),
            "open": 6 * min(openings[k] / 0.39, 1.0),
            "success": 4.0 * (k == 3),
            "action": -0.01 * float(action[k].square().sum()),
        }
        assert {name: values[k] for name, values in terms.items()} == pytest.approx(
            expected, abs=2e-3
        ), k
    assert env.task.get_extras()["success"].tolist() == [False, False, False, True, False]


def test_alignment_pays_for_pointing_at_the_front_with_one_finger_above_the_other(
    make: Make,
) -> None:
    env = make(4, arm_noise=0.0)
    task = env.task
    pos = task.arm.home.repeat(4, 1)
    pos[1, 6] += math.pi / 2  # fingers side by side
    pos[2, 6] += math.pi  # the other finger above
    pos[3, 5] -= math.pi / 2  # pointing down
    task.robot.write_dof_state(pos, torch.zeros_like(pos))
    align = task.get_rewards()["align"].tolist()
    assert align == pytest.approx([0.5, 0.25, 0.5, 0.0], abs=5e-3)


def test_the_reward_of_isaacgymenvs_by_hand_and_its_end(make: Make) -> None:
    env = make(5, reward="isaacgymenvs", arm_noise=0.0)
    task = env.task
    tip = task.arm.fingertips()
    openings = [0.0, 0.005, 0.25, 0.395, 0.25]
    open_drawer(env, openings)
    # The hand at the handle of a drawer open by 0.25 m.
    task.closed_handle.copy_(tip[0] + torch.tensor((0.26, 0.0, 0.01), device=env.device))
    action = torch.zeros(5, 7, device=env.device)
    action[:, 0] = 0.5
    task.pre_physics_step(action)
    terms = {name: values.tolist() for name, values in task.get_rewards().items()}
    handle = task.handle().cpu()
    for k, q in enumerate(openings):
        d = math.dist(tip[k].tolist(), handle[k].tolist())
        near = (1 / (1 + d * d)) ** 2
        expected = {
            "reach": 2 * near * (2 if d <= 0.02 else 1),
            "align": 0.5,
            "around": 0.125,
            "open": 7.5 * q * 1.5 + 0.5 * (q > 0.01) + 0.5 * (q > 0.2) + 1.0 * (q > 0.39),
            "success": 0.0,
            "action": -0.0025,
        }
        if k == 3:  # the handle is 13 cm before the fingers, which are thus behind it
            expected = dict.fromkeys(expected, 0.0) | {"reach": -1.0}
        assert {name: values[k] for name, values in terms.items()} == pytest.approx(
            expected, abs=5e-3
        ), k
    assert task.get_terminations().tolist() == [False, False, False, True, False]


def test_it_terminates_when_the_hand_is_lost_and_not_by_success(make: Make) -> None:
    env = make(3)
    task = env.task
    open_drawer(env, [0.0, 0.395, 0.0])
    pos = task.robot.dof_pos.clone()
    pos[2, 0] = 2.8  # turned away from the cabinet
    task.robot.write_dof_state(pos, torch.zeros_like(pos))
    assert task.get_terminations().tolist() == [False, False, True]


def script(env: Any, step: int) -> Tensor:
    """Goes to the handle, closes the hand and pulls until the drawer is nearly open."""
    task = env.task
    away = task.handle() - task.arm.fingertips()
    rotation = task.arm.hand_pose[:, 3:7]
    x, y, z = torch.eye(3, device=env.device).unsqueeze(1).expand(3, N, 3)
    forward, up = quat_rotate(rotation, z), quat_rotate(rotation, y)
    action = torch.zeros(N, 7, device=env.device)
    action[:, :3] = 10.0 * away
    action[:, 3:6] = 2.0 * (torch.linalg.cross(forward, x) + torch.linalg.cross(up, z))
    action[:, 6] = 1.0 if step < 30 else -1.0
    if step >= 50:
        action[:, 0] = 10.0 * (task.opening() - 0.397)
    return action


def test_a_scripted_pull_opens_the_drawer_and_pays_ever_more(make: Make) -> None:
    env = make()
    rewards = []
    for step in range(160):
        _, reward, terminated, _, info = env.step(script(env, step))
        assert not terminated.any()
        rewards.append(reward)
    assert info["final_info"]["success"].all()
    assert float(info["final_info"]["opening"].min()) > 0.39
    means = torch.stack(rewards).mean(-1)
    assert float(means[45]) < 2.1
    assert float(means[-1]) > 11.0


def test_a_drawer_left_alone_stays_shut_and_one_let_go_of_is_drawn_in_slowly(make: Make) -> None:
    env = make()
    open_drawer(env, [0.0] * 4 + [0.2] * 4)
    still = torch.zeros(N, 7, device=env.device)
    for _ in range(4):
        obs, *_ = env.step(still)
    found = obs[:, 21].cpu()
    assert float(found[:4].abs().max()) < 1e-4
    # A spring of 10 N/m and a damper of 1 N s/m on 4 kg, for 0.2 s.
    decay = 1 / 8
    omega = math.sqrt(10 / 4 - decay**2)
    swing = math.cos(0.2 * omega) + decay / omega * math.sin(0.2 * omega)
    expected = 0.2 * math.exp(-0.2 * decay) * swing
    assert found[4:].tolist() == pytest.approx([expected] * 4, rel=0.005)
