"""What `IsaacHumanoid-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.envs.humanoid import Humanoid
from isaac_gymnasium.robots.humanoid import GEARS, humanoid
from isaac_gymnasium.transforms import quat_from_euler_xyz, quat_rotate_inverse

ID = "IsaacHumanoid-v0"
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
    robot = humanoid()
    mass = {link.name: link.inertial.mass for link in robot.links}
    head, pill = 4 / 3 * math.pi * 0.09**3, lambda r, h: math.pi * r * r * (h + 4 / 3 * r)
    assert mass["torso"] == pytest.approx(1000 * (head + pill(0.07, 0.14) + pill(0.06, 0.12)))
    assert mass["left_shin"] == pytest.approx(1000 * pill(0.049, 0.3))
    assert sum(mass.values()) == pytest.approx(41.0, abs=0.1)
    assert len(robot.dof_joints) == 21
    names = {j.name.removeprefix("right_").removeprefix("left_") for j in robot.dof_joints}
    assert names == set(GEARS)
    stiffness = {joint.name: joint.stiffness for joint in robot.dof_joints}
    assert stiffness["abdomen_y"] == stiffness["left_hip_y"] == 20.0
    assert stiffness["right_ankle_x"] == stiffness["left_elbow"] == 2.0


def test_it_stands_upright_and_is_its_own_mirror_image(make: Make) -> None:
    env = make(4, joint_noise=0.0, speed_noise=0.0)
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


def test_the_observation_is_laid_out_as_documented(make: Make) -> None:
    env = make(3)
    task, robot = env.task, env.task.robot
    place = torch.tensor([[0.0, 0.0, 1.3], [10.0, -20.0, 1.4], [-3.0, 4.0, 1.0]])
    euler = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.2, 3.0], [-0.4, 0.3, -2.0]])
    vel = torch.arange(18.0).view(3, 6) / 10
    put(env, place, euler, vel)
    actions = torch.linspace(-1, 1, 63).view(3, 21).to(env.device)
    task.pre_physics_step(actions)
    obs = task.get_observations().cpu()
    quat = quat_from_euler_xyz(*euler.unbind(-1))
    torch.testing.assert_close(obs[:, 0], place[:, 2], atol=1e-4, rtol=0.0)
    torch.testing.assert_close(obs[:, 1:4], quat_rotate_inverse(quat, vel[:, :3]))
    torch.testing.assert_close(obs[:, 4:7], 0.25 * quat_rotate_inverse(quat, vel[:, 3:]))
    limits = robot.dof_limits.cpu()
    share = 2 * (robot.dof_pos.cpu() - limits[:, 0]) / (limits[:, 1] - limits[:, 0]) - 1
    torch.testing.assert_close(obs[:, 12:33], share, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(obs[:, 33:54], 0.1 * robot.dof_vel.cpu())
    assert torch.equal(obs[:, 54:], actions.cpu())


def test_rewards_by_hand(make: Make) -> None:
    env = make(3)
    task, robot = env.task, env.task.robot
    euler = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.0, 2.0], [0.0, 0.0, 0.0]])
    start = torch.tensor([[0.0, 0.0, 1.3]]).expand(3, 3)
    put(env, start, euler)
    task.run.restart(torch.ones(3, dtype=torch.bool, device=env.device), robot.root_pose)
    put(env, start + torch.tensor([[0.05, 0.0, 0.0], [-0.02, 0.0, 0.0], [0.05, 0.0, 0.0]]), euler)
    task.post_physics_step(env.rng)
    pos = robot.dof_limits.mean(-1).repeat(3, 1)
    vel = torch.zeros(3, 21, device=env.device)
    pos[1, 3], pos[1, 7] = robot.dof_limits[3, 0], robot.dof_limits[7, 1]
    vel[1] = 2.0
    robot.write_dof_state(pos, vel)
    actions = torch.zeros(3, 21, device=env.device)
    actions[1] = -0.5
    task.pre_physics_step(actions)
    terms = {name: term.tolist() for name, term in task.get_rewards().items()}
    expected = {
        "progress": [6.0, -2.4, 6.0],
        "alive": [2.0] * 3,
        "upright": [0.1, 0.0, 0.1],
        "heading": [0.5, 0.5 * math.cos(2.0) / 0.8, 0.5],
        "action": [0.0, -0.01 * 21 * 0.25, 0.0],
        "energy": [0.0, -0.005 * 21, 0.0],
        "limits": [0.0, -2.0, 0.0],
        "terminated": [0.0] * 3,
    }
    assert terms.keys() == expected.keys()
    for name, values in expected.items():
        assert terms[name] == pytest.approx(values, abs=2e-3), name
    put(env, start - torch.tensor([0.0, 0.0, 0.6]), euler)
    fallen = {name: term.tolist() for name, term in task.get_rewards().items()}
    assert fallen.pop("terminated") == [-1.0] * 3
    assert all(value == 0.0 for term in fallen.values() for value in term)


def test_each_joint_gets_its_gear(make: Make) -> None:
    env = make(2)
    task = env.task
    task.pre_physics_step(torch.full((2, 21), 0.5, device=env.device))
    efforts = task.robot._buffers["dof_efforts"][0].tolist()
    for name, effort in zip(task.robot.dof_names, efforts, strict=True):
        gear = GEARS[name.removeprefix("right_").removeprefix("left_")]
        assert effort == pytest.approx(0.5 * gear), name


def test_it_ends_with_a_torso_too_low_and_not_before(make: Make) -> None:
    env = make(3)
    place = torch.zeros(3, 3)
    place[:, 2] = torch.tensor([0.81, 0.79, 2.0])
    put(env, place, torch.zeros(3, 3))
    assert env.task.get_terminations().tolist() == [False, True, False]


def test_success_is_to_have_been_fast_and_not_to_have_fallen(make: Make) -> None:
    env = make(3)
    env.task.run.elapsed.fill_(2.0)
    put(env, torch.tensor([[6.1, 0.0, 1.3], [5.9, 0.0, 1.3], [6.1, 0.0, 0.7]]), torch.zeros(3, 3))
    extras = env.task.get_extras()
    assert extras["success"].tolist() == [True, False, False]
    assert extras["fell"].tolist() == [False, False, True]


def test_without_effort_it_collapses(make: Make) -> None:
    env = make(4)
    for _ in range(150):
        _, _, terminated, _, _ = env.step(torch.zeros(4, 21))
        if terminated.any():
            break
    assert terminated.any()


def test_starts_keep_within_noise_and_limits(make: Make) -> None:
    env = make(64)
    robot = env.task.robot
    pos, limits = robot.dof_pos.cpu(), robot.dof_limits.cpu()
    assert 0.09 < float(pos.abs().max()) <= 0.1 + 1e-6
    assert bool((pos >= limits[:, 0] - 1e-6).all() & (pos <= limits[:, 1] + 1e-6).all())


@pytest.mark.parametrize("values", [{"goal_speed": 0.0}, {"effort_scale": -1.0}])
def test_values_without_a_meaning_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} must"):
        Humanoid(**values)
