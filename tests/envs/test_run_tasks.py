"""What the tasks mean that are about running: `IsaacAnt-v0`, `IsaacHumanoid-v0`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.registration import _OURS
from isaac_gymnasium.robots.ant import LEGS, ant
from isaac_gymnasium.robots.humanoid import GEARS, humanoid
from isaac_gymnasium.task import find_task
from isaac_gymnasium.transforms import quat_from_euler_xyz, quat_rotate, quat_rotate_inverse

ANT, HUMANOID = IDS = "IsaacAnt-v0", "IsaacHumanoid-v0"
STANDING = {ANT: 0.6, HUMANOID: 1.3}
"""A height of the torso that is no fall, m."""
FALL = {ANT: 0.31, HUMANOID: 0.8}
"""The height below which it is one, m."""

Make = Callable[..., Any]


def put(env: Any, place: Tensor, euler: Tensor, vel: Tensor | None = None) -> None:
    """Puts the torsos to (N, 3) positions, (N, 3) roll, pitch and yaw, and (N, 6) velocities."""
    pose = torch.cat((place, quat_from_euler_xyz(*euler.unbind(-1))), dim=-1).to(env.device)
    pose[:, :3] += env.engine.env_origins
    vel = torch.zeros(env.num_envs, 6) if vel is None else vel
    env.task.robot.write_root_state(pose, vel.to(env.device))


def plain(name: str) -> str:
    """The name of a joint of the humanoid without its side."""
    return name.removeprefix("right_").removeprefix("left_")


def test_the_ant_is_the_published_one() -> None:
    robot = ant()
    mass = {link.name: link.inertial.mass for link in robot.links}
    tube, caps = math.pi * 0.08**2, 4 / 3 * math.pi * 0.08**3
    limb = {reach: 5.0 * (tube * reach * math.sqrt(2) + caps) for reach in (0.2, 0.4)}
    assert mass["torso"] == pytest.approx(5.0 * 4 / 3 * math.pi * 0.25**3 + 4 * limb[0.2])
    for leg in LEGS:
        assert mass[f"{leg}_leg"] == pytest.approx(limb[0.2])
        assert mass[f"{leg}_foot"] == pytest.approx(limb[0.4])
    assert [link.name for link in robot.links][1:3] == ["front_left_leg", "front_left_foot"]


def test_the_humanoid_is_the_published_one() -> None:
    robot = humanoid()
    mass = {link.name: link.inertial.mass for link in robot.links}
    head, pill = 4 / 3 * math.pi * 0.09**3, lambda r, h: math.pi * r * r * (h + 4 / 3 * r)
    assert mass["torso"] == pytest.approx(1000 * (head + pill(0.07, 0.14) + pill(0.06, 0.12)))
    assert mass["left_shin"] == pytest.approx(1000 * pill(0.049, 0.3))
    assert sum(mass.values()) == pytest.approx(41.0, abs=0.1)
    assert len(robot.dof_joints) == 21
    names = {plain(joint.name) for joint in robot.dof_joints}
    assert names == set(GEARS)
    stiffness = {joint.name: joint.stiffness for joint in robot.dof_joints}
    assert stiffness["abdomen_y"] == stiffness["left_hip_y"] == 20.0
    assert stiffness["right_ankle_x"] == stiffness["left_elbow"] == 2.0


def test_bent_ankles_hold_the_torso_above_the_feet(make_id: Make) -> None:
    env = make_id(ANT, 4, joint_noise=0.0, speed_noise=0.0, log_rewards=True)
    robot = env.task.robot
    for leg, (x, y) in LEGS.items():
        foot = robot.link_pose[:, robot.link_index(f"{leg}_foot")].cpu()
        out = torch.tensor((0.4 * x, 0.4 * y, 0.56)) + env.engine.env_origins.cpu()
        torch.testing.assert_close(foot[:, :3], out, atol=1e-4, rtol=0.0)
        # The shin's far end, in the frame of the foot link.
        tip = torch.tensor((0.4 * x, 0.4 * y, 0.0)).expand(4, 3)
        assert float(quat_rotate(foot[:, 3:], tip)[0, 2]) == pytest.approx(-0.4, abs=1e-4)


def test_the_humanoid_stands_upright_and_is_its_own_mirror_image(make_id: Make) -> None:
    env = make_id(HUMANOID, 4, joint_noise=0.0, speed_noise=0.0)
    robot = env.task.robot
    assert robot.link_names[0] == "torso"
    place = (robot.link_pose[..., :3] - env.engine.env_origins.unsqueeze(1)).cpu()[0]
    by_name = dict(zip(robot.link_names, place.tolist(), strict=True))
    for name, (x, y, z) in by_name.items():
        if name.startswith("right_"):
            assert by_name["left_" + name.removeprefix("right_")] == pytest.approx(
                [x, -y, z], abs=1e-5
            )
    # Torso, waist, pelvis, thigh, shin and foot of the model add up to this height of the ankles.
    ankle = 1.34 - 0.195 - 0.13 - 0.14 - 0.383 - 0.33
    assert by_name["right_foot"] == pytest.approx([-0.01, -0.09, ankle], abs=1e-5)
    obs, *_ = env.step(torch.zeros(4, 21))
    assert float(obs[:, 0].min()) > 1.33, "nothing is thrown about by the start"


@pytest.mark.parametrize(
    ("id", "turn_scale", "speed_scale"), [(ANT, 1.0, 0.2), (HUMANOID, 0.25, 0.1)]
)
def test_the_observation_is_laid_out_as_documented(
    make_id: Make, id: str, turn_scale: float, speed_scale: float
) -> None:
    env = make_id(id, 3)
    task, robot = env.task, env.task.robot
    joints = robot.num_dofs
    place = torch.tensor([[0.0, 0.0, 1.3], [10.0, -20.0, 1.4], [-3.0, 4.0, 1.0]])
    euler = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.2, 3.0], [-0.4, 0.3, -2.0]])
    vel = torch.arange(18.0).view(3, 6) / 10
    put(env, place, euler, vel)
    actions = torch.linspace(-1, 1, 3 * joints).view(3, joints).to(env.device)
    task.pre_physics_step(actions)
    obs = task.get_observations().cpu()
    quat = quat_from_euler_xyz(*euler.unbind(-1))
    torch.testing.assert_close(obs[:, 0], place[:, 2], atol=1e-4, rtol=0.0)
    torch.testing.assert_close(obs[:, 1:4], quat_rotate_inverse(quat, vel[:, :3]))
    torch.testing.assert_close(obs[:, 4:7], turn_scale * quat_rotate_inverse(quat, vel[:, 3:]))
    torch.testing.assert_close(obs[:, 7], euler[:, 2], atol=1e-5, rtol=0.0)
    torch.testing.assert_close(obs[:, 8], euler[:, 0], atol=1e-5, rtol=0.0)
    for row, (x, y, _) in enumerate(place.tolist()):
        bearing = math.atan2(-y, 1000.0 - x) - float(euler[row, 2])
        bearing = math.atan2(math.sin(bearing), math.cos(bearing))
        assert float(obs[row, 9]) == pytest.approx(bearing, abs=1e-4)
        roll, pitch, yaw = euler[row].tolist()
        assert float(obs[row, 10]) == pytest.approx(math.cos(roll) * math.cos(pitch), abs=1e-5)
        forward = math.cos(pitch) * math.cos(yaw + math.atan2(y, 1000.0 - x))
        assert float(obs[row, 11]) == pytest.approx(forward, abs=1e-5)
    limits = robot.dof_limits.cpu()
    share = 2 * (robot.dof_pos.cpu() - limits[:, 0]) / (limits[:, 1] - limits[:, 0]) - 1
    positions, speeds, last = obs[:, 12:].split(joints, dim=-1)
    torch.testing.assert_close(positions, share, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(speeds, speed_scale * robot.dof_vel.cpu())
    assert torch.equal(last, actions.cpu())


def test_the_ants_joints_come_hips_first(make_id: Make) -> None:
    hips, ankles = ([f"{kind}_{k}" for k in range(1, 5)] for kind in ("hip", "ankle"))
    assert make_id(ANT, 1).task.robot.dof_names == hips + ankles


@pytest.mark.parametrize(
    ("id", "alive", "action", "energy", "fall"),
    [(ANT, 0.5, 0.005, 0.01, 2.0), (HUMANOID, 2.0, 0.01, 0.005, 1.0)],
)
def test_rewards_by_hand(
    make_id: Make, id: str, alive: float, action: float, energy: float, fall: float
) -> None:
    env = make_id(id, 4)
    task, robot = env.task, env.task.robot
    joints = robot.num_dofs
    yaw = torch.tensor([0.0, 0.5, 2.0, 0.0])
    roll = torch.tensor([0.0, 0.5, 0.0, 0.0])
    euler = torch.stack((roll, torch.zeros(4), yaw), dim=-1)
    start = torch.tensor([[0.0, 0.0, STANDING[id]]]).expand(4, 3)
    put(env, start, euler)
    task.run.restart(torch.ones(4, dtype=torch.bool, device=env.device), robot.root_pose)
    signs = torch.tensor([[1.0], [1.0], [-1.0], [1.0]])
    put(env, start + torch.tensor([0.05, 0.01, 0.0]) * signs, euler)
    task.post_physics_step(env.rng)
    pos, vel = robot.dof_limits.mean(-1).repeat(4, 1), torch.zeros(4, joints, device=env.device)
    pos[1, 3], pos[1, 7] = robot.dof_limits[3, 0], robot.dof_limits[7, 1]
    vel[1] = 2.0
    robot.write_dof_state(pos, vel)
    actions = torch.zeros(4, joints, device=env.device)
    actions[1] = -0.5
    task.pre_physics_step(actions)
    terms = {name: term.tolist() for name, term in task.get_rewards().items()}
    expected = {
        "progress": [0.05 / task.dt, 0.05 / task.dt, -0.05 / task.dt, 0.05 / task.dt],
        "alive": [alive] * 4,
        "upright": [0.1, 0.0, 0.1, 0.1],
        "heading": [0.5, 0.5, 0.5 * math.cos(2.0) / 0.8, 0.5],
        "action": [0.0, -action * joints * 0.25, 0.0, 0.0],
        "energy": [0.0, -energy * joints, 0.0, 0.0],
        "limits": [0.0, -2.0, 0.0, 0.0],
        "terminated": [0.0] * 4,
    }
    assert terms.keys() == expected.keys()
    for name, values in expected.items():
        assert terms[name] == pytest.approx(values, abs=2e-3), name
    put(env, start * 0.5, euler)
    fallen = {name: term.tolist() for name, term in task.get_rewards().items()}
    assert fallen.pop("terminated") == [-fall] * 4
    assert all(value == 0.0 for term in fallen.values() for value in term)


def test_each_joint_of_the_humanoid_gets_its_gear(make_id: Make) -> None:
    env = make_id(HUMANOID, 2)
    task = env.task
    task.pre_physics_step(torch.full((2, 21), 0.5, device=env.device))
    efforts = task.robot._buffers["dof_efforts"][0].tolist()
    for name, effort in zip(task.robot.dof_names, efforts, strict=True):
        assert effort == pytest.approx(0.5 * GEARS[plain(name)]), name


@pytest.mark.parametrize("id", IDS)
def test_it_ends_with_a_torso_too_low_and_not_before(make_id: Make, id: str) -> None:
    env = make_id(id, 3)
    place = torch.zeros(3, 3)
    place[:, 2] = torch.tensor([FALL[id] + 0.01, FALL[id] - 0.01, 2.0])
    put(env, place, torch.zeros(3, 3))
    assert env.task.get_terminations().tolist() == [False, True, False]
    assert env.task.get_extras()["fell"].tolist() == [False, True, False]


@pytest.mark.parametrize("id", IDS)
def test_success_is_to_have_been_fast_and_not_to_have_fallen(make_id: Make, id: str) -> None:
    env = make_id(id, 4)
    env.task.run.elapsed.fill_(2.0)
    up, down = STANDING[id], FALL[id] - 0.1
    place = torch.tensor([[6.1, 0.0, up], [5.9, 0.0, up], [6.1, 0.0, down], [-9.0, 9.0, up]])
    put(env, place, torch.zeros(4, 3))
    extras = env.task.get_extras()
    assert extras["success"].tolist() == [True, False, False, False]
    assert extras["fell"].tolist() == [False, False, True, False]
    assert extras["speed"].tolist() == pytest.approx([3.05, 2.95, 3.05, -4.5], abs=1e-3)


@pytest.mark.parametrize(("id", "noise"), [(ANT, 0.2), (HUMANOID, 0.1)])
def test_starts_keep_within_noise_and_limits(make_id: Make, id: str, noise: float) -> None:
    env = make_id(id, 128)
    robot = env.task.robot
    pos, limits = robot.dof_pos.cpu(), robot.dof_limits.cpu()
    off = (pos - env.task.home.cpu()).abs().max()
    assert 0.95 * noise < float(off) <= noise + 1e-6
    assert bool((pos >= limits[:, 0] - 1e-6).all() & (pos <= limits[:, 1] + 1e-6).all())
    assert 0.09 < float(robot.dof_vel.abs().max()) <= 0.1 + 1e-6
    obs, *_ = env.step(torch.zeros(128, robot.num_dofs))
    start = env.task.start_height
    assert float((obs[:, 0] - start).abs().max()) < 0.01, "nothing is thrown up by the ground"


def test_an_idle_ant_sinks_until_its_legs_are_spread_and_then_rests(make_id: Make) -> None:
    env = make_id(ANT, 4, joint_noise=0.0, speed_noise=0.0, log_rewards=True)
    # It balances on four feet for a while, and then tips onto the legs of one side.
    for _ in range(400):
        obs, _, terminated, _, info = env.step(torch.zeros(4, 8))
        assert not terminated.any()
    assert float(obs[:, 1:4].abs().max()) < 0.05
    assert abs(float(info["log"]["reward/progress"])) < 0.02
    assert bool((obs[:, 0] > 0.31).all())


def test_without_effort_the_humanoid_collapses(make_id: Make) -> None:
    env = make_id(HUMANOID, 4)
    for _ in range(150):
        _, _, terminated, _, _ = env.step(torch.zeros(4, 21))
        if terminated.any():
            break
    assert terminated.any()


@pytest.mark.parametrize(
    ("id", "values"),
    [
        (ANT, {"goal_speed": 0.0}),
        (ANT, {"max_torque": -1.0}),
        (ANT, {"joint_noise": math.nan}),
        (HUMANOID, {"effort_scale": -1.0}),
    ],
)
def test_values_without_a_meaning_are_refused(id: str, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} must"):
        find_task(_OURS[id])(**values)
