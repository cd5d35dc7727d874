"""What the tasks mean that follow velocity commands: `IsaacGo2-v0`, `IsaacAnymal-v0`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.registration import _OURS
from isaac_gymnasium.robots.anymal import anymal_c
from isaac_gymnasium.robots.go2 import go2
from isaac_gymnasium.task import find_task
from isaac_gymnasium.transforms import quat_from_euler_xyz, quat_rotate_inverse

MASSES = {"IsaacAnymal-v0": 52.13485, "IsaacGo2-v0": 6.921 + 4 * (0.678 + 1.152 + 0.154 + 0.04)}
"""What the description of each robot adds up to, kg."""
IDS = list(MASSES)

Make = Callable[..., Any]


def put(env: Any, euler: Tensor, vel: Tensor, height: float = 0.6) -> Tensor:
    """Puts the bases to (N, 3) roll, pitch and yaw with (N, 6) velocities; returns (N, 4) turns."""
    quat = quat_from_euler_xyz(*euler.unbind(-1))
    pose = torch.cat((torch.zeros(env.num_envs, 3), quat), dim=-1).to(env.device)
    pose[:, 2] = height
    pose[:, :3] += env.engine.env_origins
    env.task.robot.write_root_state(pose, vel.to(env.device))
    return quat


@pytest.mark.parametrize("id", IDS)
def test_feet_carry_the_robots_weight_and_nothing_else_touches(make_id: Make, id: str) -> None:
    env = make_id(id, 4, max_forward=0.0, max_sideways=0.0, max_turn=0.0)
    task = env.task
    mass = task.robot.get_property("mass").sum(-1)
    torch.testing.assert_close(mass, torch.full((4,), MASSES[id]), rtol=1e-4, atol=0.0)
    total = torch.zeros(4, device=env.device)
    for step in range(100):
        _, _, terminated, _, info = env.step(torch.zeros(4, 12))
        assert not terminated.any()
        if step >= 50:
            total += task.foot._contacts.net[..., 2].sum(-1) / 50
    torch.testing.assert_close(total, mass.to(env.device) * 9.81, rtol=0.02, atol=0.0)
    assert not task.body.touching.any()
    assert task.foot.touching.all()
    # Standing is what is asked for.
    assert info["success"].all()


@pytest.mark.parametrize("id", IDS)
def test_the_observation_is_laid_out_as_documented(make_id: Make, id: str) -> None:
    env = make_id(id, 3)
    task, robot = env.task, env.task.robot
    euler = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.2, 3.0], [-0.4, 0.3, -2.0]])
    vel = torch.arange(18.0).view(3, 6) / 10
    quat = put(env, euler, vel)
    speeds = torch.linspace(-1.0, 1.0, 36).view(3, 12).to(env.device)
    robot.write_dof_state(robot.dof_pos + 0.05, speeds)
    actions = torch.linspace(-1.0, 1.0, 36).view(3, 12).to(env.device)
    task.pre_physics_step(actions)
    obs = task.get_observations().cpu()
    torch.testing.assert_close(obs[:, 0:3], quat_rotate_inverse(quat, vel[:, :3]))
    torch.testing.assert_close(obs[:, 3:6], quat_rotate_inverse(quat, vel[:, 3:]))
    down = torch.tensor([[0.0, 0.0, -1.0]]).expand(3, 3)
    torch.testing.assert_close(obs[:, 6:9], quat_rotate_inverse(quat, down))
    assert torch.equal(obs[:, 9:12], task.velocity_command.command.cpu())
    home = {joint.name: joint.default for joint in task.robot_model().dof_joints}
    offset = robot.dof_pos.cpu() - torch.tensor([home[name] for name in robot.dof_names])
    torch.testing.assert_close(obs[:, 12:24], offset, atol=1e-5, rtol=0.0)
    assert torch.equal(obs[:, 24:36], speeds.cpu())
    assert torch.equal(obs[:, 36:], actions.cpu())
    targets = robot.dof_targets.cpu() - torch.tensor([home[name] for name in robot.dof_names])
    torch.testing.assert_close(targets, task.action_scale * actions.cpu(), atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("id", IDS)
def test_rewards_by_hand(make_id: Make, id: str) -> None:
    env = make_id(id, 3, joint_noise=0.0)
    task, robot = env.task, env.task.robot
    euler = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.3, 0.0, 0.0]])
    vel = torch.tensor([[0.5, -0.2, 0.0, 0.0, 0.0, 0.4], [0.0] * 6, [0.0, 0.0, 0.3, 0.2, 0.0, 0.0]])
    put(env, euler, vel)
    command = torch.tensor([[0.5, -0.2, 0.4], [0.3, 0.4, -1.0], [0.0, 0.0, 0.0]])
    task.velocity_command.followed.copy_(command)
    dof_vel = torch.zeros(3, 12)
    dof_vel[1] = 2.0
    robot.write_dof_state(task.home.repeat(3, 1), dof_vel.to(env.device))
    task.last_dof_vel.zero_()
    task.dof_acc.copy_(dof_vel / 0.02)
    actions = torch.zeros(3, 12)
    actions[1, 0] = 0.5
    task.pre_physics_step(torch.zeros(3, 12, device=env.device))
    task.pre_physics_step(actions.to(env.device))
    task.foot.landed.zero_()
    task.foot.landed[:2, 1:3] = True
    task.foot.landed[2, 0] = True
    task.foot.last_air_time.fill_(0.1)
    task.foot.last_air_time[:, 2] = 0.8
    task.body.touching.fill_(False)
    task.body.touching[1, 1:] = True
    task.body.force[2, 0] = 5.0
    terms = {name: term.tolist() for name, term in task.get_rewards().items()}

    stiffness, damping = task.gains
    push = [stiffness * task.action_scale * 0.5 - damping * 2.0] + [-damping * 2.0] * 11
    limits = robot.effort_limits.tolist()
    push = [min(max(p, -k), k) for p, k in zip(push, limits, strict=True)]
    # In the frame of a base rolled by 0.3 rad.
    s, c = math.sin(0.3), math.cos(0.3)
    off = 0.3 * s
    expected = {
        "track_velocity": [1.0, math.exp(-0.25 / 0.25), math.exp(-off * off / 0.25)],
        "track_turn": [1.0, math.exp(-1.0 / 0.25), 1.0],
        "bounce": [0.0, 0.0, (0.3 * c) ** 2],
        "sway": [0.0, 0.0, 0.04],
        "tilt": [0.0, 0.0, s * s],
        "torque": [0.0, sum(p * p for p in push), 0.0],
        "acceleration": [0.0, 12 * 100.0**2, 0.0],
        "jerk": [0.0, 0.25, 0.0],
        # Two landings, after 0.1 s and 0.8 s; standing still earns and costs nothing.
        "air_time": [(0.1 + 0.8) - 2 * task.flight] * 2 + [0.0],
        "contacts": [0.0, float(len(task.shins)), 0.0],
        "fall": [0.0, 0.0, 1.0],
    }
    assert terms.keys() == task.weights.keys()
    for name, values in terms.items():
        by_hand = [task.weights[name] * 0.02 * value for value in expected[name]]
        assert values == pytest.approx(by_hand, abs=1e-5), name


@pytest.mark.parametrize("id", IDS)
def test_lying_on_its_back_is_a_fall_and_standing_is_none(make_id: Make, id: str) -> None:
    env = make_id(id, 4)
    euler = torch.zeros(4, 3)
    euler[1, 0] = euler[2, 1] = math.pi
    put(env, euler, torch.zeros(4, 6), height=env.task.start_height)
    upside_down = torch.tensor([False, True, True, False])
    fallen = torch.zeros(4, dtype=torch.bool)
    for _ in range(60):
        _, _, terminated, _, info = env.step(torch.zeros(4, 12))
        assert torch.equal(info["final_info"]["fell"], terminated)
        assert not (info["final_info"]["success"] & terminated).any()
        fallen |= terminated.cpu()
        # They need not fall in the same step; who has is put back on its feet.
        if bool((fallen == upside_down).all()):
            break
    assert torch.equal(fallen, upside_down)


@pytest.mark.parametrize("id", IDS)
def test_success_is_small_errors_on_average_and_no_fall(make_id: Make, id: str) -> None:
    env = make_id(id, 4)
    task = env.task
    task.steps.fill_(100.0)
    task.speed_error.copy_(torch.tensor([14.0, 16.0, 14.0, 14.0]))
    task.turn_error.copy_(torch.tensor([14.0, 14.0, 16.0, 14.0]))
    task.body.force[3, 0] = 2.0
    extras = task.get_extras()
    assert extras["success"].tolist() == [True, False, False, False]
    assert extras["fell"].tolist() == [False, False, False, True]
    assert extras["velocity_error"].tolist() == pytest.approx([0.14, 0.16, 0.14, 0.14])


@pytest.mark.parametrize("id", IDS)
def test_errors_are_the_episodes_mean_of_what_the_base_misses(make_id: Make, id: str) -> None:
    env = make_id(id, 4, command_interval_s=0.1)
    speeds, turns = [], []
    generator = torch.Generator().manual_seed(0)
    asked = env.task.velocity_command.command.cpu().clone()
    for _ in range(12):
        obs, _, terminated, _, info = env.step(torch.rand(4, 12, generator=generator) * 0.4 - 0.2)
        assert not terminated.any()
        obs = obs.cpu()
        speeds.append((obs[:, :2] - asked[:, :2]).norm(dim=-1))
        turns.append((obs[:, 5] - asked[:, 2]).abs())
        asked = obs[:, 9:12]
    for name, values in (("velocity_error", speeds), ("turn_error", turns)):
        torch.testing.assert_close(info[name].cpu(), torch.stack(values).mean(0))


@pytest.mark.parametrize("id", IDS)
def test_starts_differ_within_the_noise_and_head_everywhere(make_id: Make, id: str) -> None:
    env = make_id(id, 64)
    off = (env.task.robot.dof_pos - env.task.home).cpu()
    assert 0.09 < float(off.abs().max()) <= 0.1 + 1e-6
    gravity = env.task.get_observations()[:, 6:9].cpu()
    torch.testing.assert_close(gravity, torch.tensor([[0.0, 0.0, -1.0]]).expand(64, 3))
    quat = env.task.robot.root_pose[:, 3:7].cpu()
    yaw = 2 * torch.atan2(quat[:, 2], quat[:, 3])
    assert float(yaw.cos().mean().abs()) < 0.4
    assert float(yaw.sin().mean().abs()) < 0.4


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("action_scale", 0.0), ("max_turn", -1.0), ("standing_share", 1.5), ("command_interval_s", 0)],
)
def test_values_without_a_meaning_are_refused(id: str, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        find_task(_OURS[id])(**{name: value})


@pytest.mark.parametrize(
    ("robot", "sides", "parts"),
    [
        (go2(), ("FL FR", "RL RR"), ("hip", "thigh", "calf", "foot")),
        (anymal_c(), ("LF RF", "LH RH"), ("HIP", "THIGH", "SHANK", "FOOT")),
    ],
)
def test_a_quadruped_is_its_own_mirror_image(robot: Any, sides: Any, parts: Any) -> None:
    links = {link.name: link.inertial for link in robot.links}
    joints = {joint.child: joint for joint in robot.joints}
    for part in parts:
        for left, right in (side.split() for side in sides):
            one, other = links[f"{left}_{part}"], links[f"{right}_{part}"]
            x, y, z = one.center_of_mass
            assert other.center_of_mass == (x, -y, z)
            xx, yy, zz, xy, xz, yz = one.inertia
            assert other.inertia == (xx, yy, zz, -xy, xz, -yz)
            x, y, z = joints[f"{left}_{part}"].position
            assert joints[f"{right}_{part}"].position == (x, -y, z)
