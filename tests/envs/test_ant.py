"""What `IsaacAnt-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.envs.ant import Ant
from isaac_gymnasium.robots.ant import LEGS, ant
from isaac_gymnasium.transforms import quat_from_euler_xyz, quat_rotate, quat_rotate_inverse

ID = "IsaacAnt-v0"
Make = Callable[..., Any]


@pytest.fixture
def make(device: torch.device) -> Iterator[Make]:
    envs: list[Any] = []

    def make(num_envs: int, **kwargs: Any) -> Any:
        envs.append(gym.make_vec(ID, num_envs=num_envs, device=str(device), **kwargs))
        envs[-1].reset(seed=0)
        return envs[-1]

    yield make
    for env in envs:
        env.close()


def put(env: Any, place: Tensor, euler: Tensor, vel: Tensor | None = None) -> None:
    """Puts the torsos to (N, 3) positions, (N, 3) roll, pitch and yaw, and (N, 6) velocities."""
    pose = torch.cat((place, quat_from_euler_xyz(*euler.unbind(-1))), dim=-1).to(env.device)
    pose[:, :3] += env.engine.env_origins
    vel = torch.zeros(env.num_envs, 6) if vel is None else vel
    env.task.robot.write_root_state(pose, vel.to(env.device))


def test_the_robot_is_the_published_one() -> None:
    robot = ant()
    mass = {link.name: link.inertial.mass for link in robot.links}
    tube, caps = math.pi * 0.08**2, 4 / 3 * math.pi * 0.08**3
    limb = {reach: 5.0 * (tube * reach * math.sqrt(2) + caps) for reach in (0.2, 0.4)}
    assert mass["torso"] == pytest.approx(5.0 * 4 / 3 * math.pi * 0.25**3 + 4 * limb[0.2])
    for leg in LEGS:
        assert mass[f"{leg}_leg"] == pytest.approx(limb[0.2])
        assert mass[f"{leg}_foot"] == pytest.approx(limb[0.4])
    assert [link.name for link in robot.links][1:3] == ["front_left_leg", "front_left_foot"]


def test_bent_ankles_hold_the_torso_above_the_feet(make: Make) -> None:
    env = make(4, joint_noise=0.0, speed_noise=0.0)
    robot = env.task.robot
    for leg, (x, y) in LEGS.items():
        foot = robot.link_pose[:, robot.link_index(f"{leg}_foot")].cpu()
        out = torch.tensor((0.4 * x, 0.4 * y, 0.56)) + env.engine.env_origins.cpu()
        torch.testing.assert_close(foot[:, :3], out, atol=1e-4, rtol=0.0)
        # The shin's far end, in the frame of the foot link.
        tip = torch.tensor((0.4 * x, 0.4 * y, 0.0)).expand(4, 3)
        assert float(quat_rotate(foot[:, 3:], tip)[0, 2]) == pytest.approx(-0.4, abs=1e-4)


def test_the_observation_is_laid_out_as_documented(make: Make) -> None:
    env = make(3)
    task, robot = env.task, env.task.robot
    place = torch.tensor([[0.0, 0.0, 0.6], [10.0, -20.0, 0.7], [-3.0, 4.0, 0.5]])
    euler = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.2, 3.0], [-0.4, 0.3, -2.0]])
    vel = torch.arange(18.0).view(3, 6) / 10
    put(env, place, euler, vel)
    actions = torch.linspace(-1, 1, 24).view(3, 8).to(env.device)
    task.pre_physics_step(actions)
    obs = task.get_observations().cpu()
    quat = quat_from_euler_xyz(*euler.unbind(-1))
    torch.testing.assert_close(obs[:, 0], place[:, 2], atol=1e-4, rtol=0.0)
    torch.testing.assert_close(obs[:, 1:4], quat_rotate_inverse(quat, vel[:, :3]))
    torch.testing.assert_close(obs[:, 4:7], quat_rotate_inverse(quat, vel[:, 3:]))
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
    torch.testing.assert_close(obs[:, 12:20], share, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(obs[:, 20:28], 0.2 * robot.dof_vel.cpu())
    assert torch.equal(obs[:, 28:], actions.cpu())
    assert robot.dof_names == [
        *(f"hip_{k}" for k in range(1, 5)),
        *(f"ankle_{k}" for k in range(1, 5)),
    ]


def test_rewards_by_hand(make: Make) -> None:
    env = make(4)
    task, robot = env.task, env.task.robot
    yaw = torch.tensor([0.0, 0.5, 2.0, 0.0])
    roll = torch.tensor([0.0, 0.5, 0.0, 0.0])
    euler = torch.stack((roll, torch.zeros(4), yaw), dim=-1)
    start = torch.tensor([[0.0, 0.0, 0.6]]).expand(4, 3)
    put(env, start, euler)
    task.run.restart(torch.ones(4, dtype=torch.bool, device=env.device), robot.root_pose)
    put(
        env,
        start + torch.tensor([0.05, 0.01, 0.0]) * torch.tensor([[1.0], [1.0], [-1.0], [1.0]]),
        euler,
    )
    low = start.clone()
    low[:, 2] = 0.3
    task.post_physics_step(env.rng)
    middle = robot.dof_limits.mean(-1)
    pos, vel = middle.repeat(4, 1), torch.zeros(4, 8, device=env.device)
    pos[1, 2], pos[1, 5] = robot.dof_limits[2, 0], robot.dof_limits[5, 1]
    vel[1] = 2.0
    robot.write_dof_state(pos, vel)
    actions = torch.zeros(4, 8, device=env.device)
    actions[1] = -0.5
    task.pre_physics_step(actions)
    terms = {name: term.tolist() for name, term in task.get_rewards().items()}
    expected = {
        "progress": [6.0, 6.0, -6.0, 6.0],
        "alive": [0.5] * 4,
        "upright": [0.1, 0.0, 0.1, 0.1],
        "heading": [0.5, 0.5, 0.5 * math.cos(2.0) / 0.8, 0.5],
        "action": [0.0, -0.005 * 8 * 0.25, 0.0, 0.0],
        "energy": [0.0, -0.01 * 8, 0.0, 0.0],
        "limits": [0.0, -2.0, 0.0, 0.0],
        "terminated": [0.0] * 4,
    }
    assert terms.keys() == expected.keys()
    for name, values in expected.items():
        assert terms[name] == pytest.approx(values, abs=2e-3), name
    put(env, low, euler)
    fallen = {name: term.tolist() for name, term in task.get_rewards().items()}
    assert fallen.pop("terminated") == [-2.0] * 4
    assert all(value == 0.0 for term in fallen.values() for value in term)


def test_it_ends_with_a_torso_near_the_ground_and_not_before(make: Make) -> None:
    env = make(3)
    heights = torch.tensor([0.32, 0.30, 2.0])
    place = torch.zeros(3, 3)
    place[:, 2] = heights
    put(env, place, torch.zeros(3, 3))
    assert env.task.get_terminations().tolist() == [False, True, False]
    assert env.task.get_extras()["fell"].tolist() == [False, True, False]


def test_success_is_to_have_been_fast_and_not_to_have_fallen(make: Make) -> None:
    env = make(4)
    task = env.task
    task.run.elapsed.fill_(2.0)
    place = torch.tensor([[6.1, 0.0, 0.6], [5.9, 0.0, 0.6], [6.1, 0.0, 0.2], [-9.0, 9.0, 0.6]])
    put(env, place, torch.zeros(4, 3))
    extras = task.get_extras()
    assert extras["success"].tolist() == [True, False, False, False]
    assert extras["speed"].tolist() == pytest.approx([3.05, 2.95, 3.05, -4.5], abs=1e-3)


def test_starts_differ_within_the_noise_and_feet_are_above_the_ground(make: Make) -> None:
    env = make(128)
    robot = env.task.robot
    off = (robot.dof_pos - env.task.home).cpu()
    assert 0.19 < float(off.abs().max()) <= 0.2 + 1e-6
    assert 0.09 < float(robot.dof_vel.abs().max()) <= 0.1 + 1e-6
    obs, *_ = env.step(torch.zeros(128, 8))
    assert float((obs[:, 0] - 0.56).abs().max()) < 0.01, "nothing is thrown up by the ground"


def test_an_idle_ant_sinks_until_its_legs_are_spread_and_then_rests(make: Make) -> None:
    env = make(4, joint_noise=0.0, speed_noise=0.0)
    for _ in range(300):
        obs, _, terminated, _, info = env.step(torch.zeros(4, 8))
        assert not terminated.any()
    assert float(obs[:, 1:4].abs().max()) < 0.05
    assert abs(float(info["log"]["reward/progress"])) < 0.02
    assert bool((obs[:, 0] > 0.31).all())


@pytest.mark.parametrize(
    "values", [{"goal_speed": 0.0}, {"max_torque": -1.0}, {"joint_noise": math.nan}]
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} must"):
        Ant(**values)
