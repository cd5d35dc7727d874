"""What `IsaacFrankaCube-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import torch
from placing import place
from torch import Tensor

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.envs.franka_cube import FrankaCube
from isaac_gymnasium.robots.franka import HOME
from isaac_gymnasium.transforms import quat_rotate, wrap_to_pi, yaw_from_quat

ID = "IsaacFrankaCube-v0"
N = 8

Make = Callable[..., Any]


def put_cube(env: Any, position: Tensor, yaw: float = 0.0) -> None:
    """Puts the cubes at (N, 3) positions in their environments, at rest."""
    turn = torch.tensor((0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))).expand(env.num_envs, 4)
    place(env, env.task.cube, position, turn)


def actions(env: Any, *values: float) -> Tensor:
    row = torch.tensor(values, dtype=torch.float32, device=env.device)
    return row.expand(env.num_envs, -1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"control_mode": "torque"}, "control_mode must be 'ee' or 'joint', got 'torque'"),
        ({"cube_size": 0.0}, "cube_size must be a positive, finite number, got 0.0"),
        ({"cube_density": -1.0}, "cube_density must be a positive, finite number, got -1.0"),
        ({"goal_height": math.nan}, "goal_height must be a positive, finite number, got nan"),
        ({"goal_tolerance": 0.0}, "goal_tolerance must be a positive, finite number, got 0.0"),
        ({"dt": 0.0}, "dt must be a positive, finite number"),
        ({"cube_size": math.inf}, "cube_size must"),
        ({"arm_noise": -0.1}, "arm_noise must"),
        ({"cube_noise": math.nan}, "cube_noise must"),
        ({"position_scale": math.nan}, "position_scale must"),
    ],
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrankaCube(**values)


# ---------------------------------------------------------------------- the start


def test_starting_states_fill_their_ranges_and_nothing_else(make: Make) -> None:
    env = make(256)
    obs = env.task.get_observations().cpu()
    arm = (obs[:, :7] - torch.tensor(HOME)) / 0.05
    cube = (obs[:, 18:21] - torch.tensor((0.5, 0.0, 0.025))) / 0.1
    yaw = yaw_from_quat(obs[:, 21:25]) / (math.pi / 4)
    for share in (*arm.T, *cube[:, :2].T, yaw):
        assert float(share.abs().max()) <= 1.0 + 1e-5
        # Quartiles of a uniform distribution, within four standard errors.
        for quartile, level in ((0.25, -0.5), (0.5, 0.0), (0.75, 0.5)):
            error = 4 * 2 * math.sqrt(quartile * (1 - quartile) / 256)
            assert float(share.quantile(quartile)) == pytest.approx(level, abs=error)
    torch.testing.assert_close(obs[:, 7:9], torch.full((256, 2), 0.04))
    torch.testing.assert_close(obs[:, 20], torch.full((256,), 0.025), atol=1e-5, rtol=0.0)
    assert not obs[:, 21:23].any(), "cubes lie flat"
    assert not obs[:, 9:18].any()
    assert not env.task.cube.vel.any()
    table = torch.cat((arm, cube[:, :2], yaw.unsqueeze(-1)), dim=-1)
    independent = torch.corrcoef(table.T) - torch.eye(10)
    assert float(independent.abs().max()) < 0.3


def test_without_noise_every_episode_starts_the_same_but_for_the_turn_of_the_cube(
    make: Make,
) -> None:
    obs = make(cube_noise=0.0, arm_noise=0.0).task.get_observations().cpu()
    torch.testing.assert_close(obs[:, :7], torch.tensor(HOME).expand(N, 7))
    place = torch.tensor((0.5, 0.0, 0.025)).expand(N, 3)
    torch.testing.assert_close(obs[:, 18:21], place, atol=1e-5, rtol=0.0)
    # The fingertips hang where the robot's module says.
    tip = torch.tensor((0.49, 0.0, 0.21)).expand(N, 3)
    torch.testing.assert_close(obs[:, 18:21] - obs[:, 25:28], tip, atol=0.005, rtol=0.0)


# ---------------------------------------------------------------------- the observation


def test_the_observation_is_laid_out_as_documented(make: Make) -> None:
    env = make()
    robot, task = env.task.robot, env.task
    generator = torch.Generator().manual_seed(0)
    pos = robot.dof_pos.cpu() + 0.2 * torch.rand(N, 9, generator=generator) - 0.1
    pos[:, 7:] = 0.01 + 0.02 * torch.rand(N, 2, generator=generator)
    vel = torch.randn(N, 9, generator=generator)
    robot.write_dof_state(pos.to(env.device), vel.to(env.device))
    place = torch.tensor((0.4, -0.1, 0.3)) + 0.1 * torch.rand(N, 3, generator=generator)
    put_cube(env, place, yaw=math.radians(30.0))
    obs = task.get_observations().cpu()
    assert obs.shape == (N, 28)
    assert torch.equal(obs[:, :9], pos)
    assert torch.equal(obs[:, 9:18], vel)
    torch.testing.assert_close(obs[:, 18:21], place, atol=2e-6, rtol=0.0)
    quarter = math.radians(15.0)
    xyzw = torch.tensor((0.0, 0.0, math.sin(quarter), math.cos(quarter))).expand(N, 4)
    torch.testing.assert_close(obs[:, 21:25], xyzw)
    hand = robot.link_pose[:, robot.link_index("panda_hand")]
    ahead = torch.tensor((0.0, 0.0, 0.1034), device=env.device)
    tip = (hand[:, :3] + quat_rotate(hand[:, 3:], ahead) - env.engine.env_origins).cpu()
    torch.testing.assert_close(obs[:, 25:28], place - tip, atol=2e-6, rtol=0.0)
    # Between the pads of the two fingers, which point the same way as the hand.
    fingers = [robot.link_pose[:, robot.link_index(f"panda_{s}finger")] for s in ("left", "right")]
    pads = torch.stack([f[:, :3] + quat_rotate(f[:, 3:], ahead * 0.045 / 0.1034) for f in fingers])
    middle = pads.mean(0).cpu() - env.engine.env_origins.cpu()
    # Fingers that are not opened alike put the middle aside by half the difference.
    aside = (pos[:, 7] - pos[:, 8]).abs() / 2
    assert torch.allclose((middle - tip).norm(dim=-1), aside, atol=1e-3)


# ---------------------------------------------------------------------- reward, success, end


def expected_rewards(env: Any, action: Tensor, size: float = 0.05, goal: float = 0.2) -> Any:
    """The documented terms, cube by cube in plain Python."""
    task = env.task
    cubes, tips = task.cube_position().cpu(), task.fingertip_position().cpu()
    rows = []
    for cube, tip, a in zip(cubes.tolist(), tips.tolist(), action.cpu().tolist(), strict=True):
        distance = math.dist(cube, tip)
        miss = abs(cube[2] - size / 2 - goal)
        held = distance < 0.04 + 0.25 * size
        rows.append(
            {
                "reach": 1.0 - math.tanh(5.0 * distance),
                "lift": 4.0 * min(max(1.0 - miss / goal, 0.0), 1.0) * held,
                "goal": 5.0 * (held and miss < 0.03),
                "action": -0.01 * sum(min(max(x, -1.0), 1.0) ** 2 for x in a),
            }
        )
    return rows


def test_rewards_by_hand(make: Make) -> None:
    env = make()
    tip = env.task.fingertip_position().cpu()
    offsets = torch.tensor(
        [
            (0.0, 0.0, 0.0),
            (0.05, 0.0, 0.0),
            (0.0, 0.06, 0.0),
            (0.0, 0.0, -0.05),
            (0.01, 0.02, 0.03),
            (0.3, 0.0, 0.0),
            (0.0, 0.0, 0.05),
            (0.0, 0.0, -0.1),
        ]
    )
    put_cube(env, tip + offsets)
    action = torch.linspace(-2.0, 2.0, 7 * N, device=env.device).view(N, 7)
    env.task.pre_physics_step(action.clamp(-1, 1))
    terms = env.task.get_rewards()
    expected = expected_rewards(env, action)
    assert terms.keys() == expected[0].keys()
    for name, values in terms.items():
        assert values.tolist() == pytest.approx([row[name] for row in expected], abs=1e-5), name
    assert {bool(row["lift"]) for row in expected} == {True, False}
    assert {bool(row["goal"]) for row in expected} == {True, False}


def test_the_reward_of_a_step_is_that_of_the_state_it_leads_to(make: Make) -> None:
    env = make(autoreset_mode="Disabled", log_rewards=True)
    put_cube(env, env.task.fingertip_position().cpu())
    for scale in (0.3, 2.0):
        action = scale * torch.rand(N, 7, generator=torch.Generator().manual_seed(1))
        _, reward, _, _, info = env.step(action)
        expected = expected_rewards(env, action)
        assert reward.tolist() == pytest.approx([sum(r.values()) for r in expected], abs=1e-5)
        mean = sum(row["action"] for row in expected) / N
        assert float(info["log"]["reward/action"]) == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("size", [0.05, 0.1])
def test_success_is_a_cube_at_the_fingertips_at_the_goal_height(make: Make, size: float) -> None:
    env = make(cube_size=size, arm_noise=0.0)
    height = size / 2 + 0.2
    reach = 0.04 + 0.25 * size
    tip = env.task.fingertip_position().cpu()
    rise = height - tip[:, 2]  # from the fingertips to the goal
    assert float(rise.abs().max()) < reach - 0.01
    place = tip.clone()
    place[:, 2] = height
    expected = [True, True, False, True, False, True, False, False]
    aside = (reach**2 - rise**2).sqrt()
    place[1, 0] += aside[1] - 0.001
    place[2, 0] += aside[2] + 0.001
    place[3, 1] -= aside[3] - 0.001
    place[4, 1] -= aside[4] + 0.001
    # Heights within and beyond the tolerance, the cube still at the fingertips.
    down = torch.sign(-rise)
    place[5, 2] += down[5] * 0.029
    place[6, 2] += down[6] * 0.031
    place[7] = torch.tensor((0.5, 0.0, size / 2))
    assert bool(((place[5:7, 2] - tip[5:7, 2]).abs() < reach).all())
    put_cube(env, place)
    assert env.task.get_extras()["success"].tolist() == expected
    goal = env.task.get_rewards()["goal"]
    assert goal.tolist() == [5.0 * s for s in expected]


def test_lifting_pays_by_the_share_of_the_way_and_overshooting_does_not(make: Make) -> None:
    env = make()
    heights = torch.tensor([0.025, 0.075, 0.125, 0.225, 0.275, 0.325, 0.425, 0.6])
    robot = env.task.robot
    # With the hand at the cube: as the distance to the fingertips is asked for, move those along.
    place = torch.tensor((0.5, 0.0, 0.0)).repeat(N, 1)
    place[:, 2] = heights
    put_cube(env, place)
    tips = place.to(env.device)
    env.task.fingertip_position = lambda: tips
    assert robot is env.task.robot
    lift = env.task.get_rewards()["lift"].tolist()
    assert lift == pytest.approx([0.0, 1.0, 2.0, 4.0, 3.0, 2.0, 0.0, 0.0], abs=1e-4)


def test_it_terminates_where_the_cube_leaves_its_square(make: Make) -> None:
    env = make()
    places = [
        (0.999, 0.0, 0.025),
        (1.001, 0.0, 0.025),
        (0.001, 0.0, 0.025),
        (-0.001, 0.0, 0.025),
        (0.5, 0.499, 0.025),
        (0.5, -0.501, 0.025),
        (0.999, -0.499, 2.0),
        (1.1, 0.6, 0.025),
    ]
    put_cube(env, torch.tensor(places))
    expected = [False, True, False, True, False, True, False, True]
    assert env.task.get_terminations().tolist() == expected


def test_a_cube_that_leaves_ends_its_episode_only(make: Make) -> None:
    env = make()
    places = torch.tensor((0.5, 0.2, 0.025)).repeat(N, 1)
    places[3] = torch.tensor((1.2, 0.0, 0.025))
    put_cube(env, places)
    _, _, terminated, truncated, info = env.step(actions(env, 0, 0, 0, 0, 0, 0, 1))
    assert terminated.tolist() == [k == 3 for k in range(N)]
    assert not truncated.any()
    assert float(info["final_obs"][3, 18]) == pytest.approx(1.2, abs=1e-3)
    assert env.episode_length_buf.tolist() == [0 if k == 3 else 1 for k in range(N)]


# ---------------------------------------------------------------------- actions


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_translation_moves_the_fingertips_along_its_axis(
    make: Make, axis: int, sign: float
) -> None:
    env = make()
    push = [0.0] * 6 + [1.0]
    push[axis] = 0.2 * sign
    path = []
    for _ in range(30):
        env.step(actions(env, *push))
        path.append(env.task.fingertip_position().cpu())
    hand = env.task.robot.link_vel[:, env.task.hand, 3:].cpu()
    # 1 stands for 0.5 m/s.
    expected = torch.zeros(3)
    expected[axis] = 0.1 * sign
    velocity = (path[29] - path[14]) / (15 / 60)
    torch.testing.assert_close(velocity, expected.expand(N, 3), atol=0.015, rtol=0.0)
    assert float(hand.abs().max()) < 0.05, "the hand keeps its orientation"


@pytest.mark.parametrize("axis", range(3))
def test_a_rotation_turns_the_hand_about_the_fingertips(make: Make, axis: int) -> None:
    env = make()
    before = env.task.fingertip_position().cpu()
    turn = [0.0] * 6 + [1.0]
    turn[3 + axis] = 0.2
    for _ in range(30):
        env.step(actions(env, *turn))
    # 1 stands for 2.5 rad/s.
    expected = torch.zeros(3)
    expected[axis] = 0.5
    spin = env.task.robot.link_vel[:, env.task.hand, 3:].cpu()
    torch.testing.assert_close(spin, expected.expand(N, 3), atol=0.08, rtol=0.0)
    assert float((env.task.fingertip_position().cpu() - before).norm(dim=-1).max()) < 0.01


def test_the_gripper_opens_and_closes(make: Make) -> None:
    env = make()
    # Over the middle of nothing: the cube lies aside.
    put_cube(env, torch.tensor((0.5, 0.4, 0.025)).repeat(N, 1))
    for command, width in ((-1.0, 0.0), (1.0, 0.04), (0.0, 0.02), (-1.0, 0.0)):
        for _ in range(90):
            env.step(actions(env, 0, 0, 0, 0, 0, 0, command))
        fingers = env.task.robot.dof_pos[:, 7:].cpu()
        torch.testing.assert_close(fingers, torch.full((N, 2), width), atol=1e-3, rtol=0.0)


def test_joint_control_asks_for_joint_displacements(make: Make) -> None:
    env = make(control_mode="joint")
    robot = env.task.robot
    assert env.single_action_space == gym.spaces.Box(-1.0, 1.0, (8,), np.float32)
    before = robot.dof_pos.clone()
    push = torch.tensor([0.2, -0.2, 0.1, -0.1, 0.3, 0.0, -0.3, -1.0], device=env.device)
    env.step(push.expand(N, 8))
    targets = robot.dof_targets
    torch.testing.assert_close(targets[:, :7], before[:, :7] + 0.3 * push[:7])
    assert not targets[:, 7:].any()
    for _ in range(29):
        env.step(push.expand(N, 8))
    # The drives follow at 5 1/s.
    speed = 5.0 * 0.3 * push[:7]
    torch.testing.assert_close(robot.dof_vel[:, :7], speed.expand(N, 7), atol=0.03, rtol=0.05)


@pytest.mark.parametrize("mode", ["ee", "joint"])
def test_targets_stay_within_the_joint_limits(make: Make, mode: str) -> None:
    env = make(control_mode=mode)
    limits = env.task.robot.dof_limits
    generator = torch.Generator().manual_seed(0)
    size = env.single_action_space.shape[0]
    push = (torch.rand(N, size, generator=generator) * 2 - 1).sign().to(env.device)
    for _ in range(60):
        env.step(push)
        targets = env.task.robot.dof_targets
        assert bool((targets >= limits[:, 0] - 1e-6).all())
        assert bool((targets <= limits[:, 1] + 1e-6).all())
    at_limit = (targets[:, :7] - limits[:7, 0]).abs() < 1e-6
    at_limit |= (targets[:, :7] - limits[:7, 1]).abs() < 1e-6
    assert bool(at_limit.any()), "some joint should have been pushed to its limit"


# ---------------------------------------------------------------------- cubes


@pytest.mark.parametrize(("size", "density"), [(0.05, 400.0), (0.1, 400.0), (0.03, 1000.0)])
def test_cubes_weigh_what_they_should_and_rest_at_half_their_edge(
    make: Make, size: float, density: float
) -> None:
    env = make(cube_size=size, cube_density=density)
    mass = env.task.cube.get_property("mass").flatten()
    torch.testing.assert_close(mass, torch.full((N,), density * size**3), rtol=1e-4, atol=0.0)
    start = env.task.cube_position().cpu()
    for _ in range(60):
        obs, *_ = env.step(actions(env, 0, 0, 0, 0, 0, 0, 1))
    drift = (env.task.cube_position().cpu() - start).abs()
    assert float(drift.max()) < 2e-4
    torch.testing.assert_close(obs[:, 20].cpu(), torch.full((N,), size / 2), atol=2e-4, rtol=0.0)


def test_a_cube_slides_as_far_as_its_friction_lets_it(make: Make) -> None:
    env = make()
    place = torch.tensor((0.6, 0.2, 0.025)).repeat(N, 1)
    put_cube(env, place)
    cube = env.task.cube
    vel = torch.zeros(N, 6, device=env.device)
    vel[:, 1] = 1.0
    cube.write_state(cube.pose, vel)
    for _ in range(30):
        env.step(actions(env, 0, 0, 0, 0, 0, 0, 1))
    # 0.8 on 0.8 stays 0.8.
    travelled = env.task.cube_position().cpu()[:, 1] - place[:, 1]
    expected = torch.full((N,), 1.0 / (2 * 0.8 * 9.81))
    torch.testing.assert_close(travelled, expected, rtol=0.1, atol=0.0)
    assert float(cube.vel[:, :3].norm(dim=-1).max()) < 0.01


def test_a_large_cube_can_be_pushed(make: Make) -> None:
    env = make(cube_size=0.1, cube_noise=0.0, arm_noise=0.0)
    tip = env.task.fingertip_position().cpu()
    # The cube before the fingers of a hand that comes down behind it and then moves on.
    place = tip + torch.tensor((0.15, 0.0, 0.0))
    place[:, 2] = 0.05
    put_cube(env, place)
    for k in range(120):
        height = 0.06 - float(env.task.fingertip_position()[0, 2])
        forward = 0.0 if k < 50 else 0.4
        obs, *_ = env.step(actions(env, forward, 0, max(-1.0, 5 * height), 0, 0, 0, -1))
    moved = obs[:, 18:21].cpu() - place
    assert float(moved[:, 0].min()) > 0.05
    assert float(moved[:, 2].abs().max()) < 0.01


def test_random_actions_keep_everything_finite_and_untouched_cubes_at_rest(make: Make) -> None:
    n = 64
    env = make(n, seed=2)
    obs = env.task.get_observations()
    start = obs[:, 18:21].clone()
    nearest = obs[:, 25:28].norm(dim=-1)
    generator = torch.Generator().manual_seed(2)
    for k in range(100):
        if k % 10 == 0:
            push = (torch.rand(n, 7, generator=generator) * 2 - 1).to(env.device)
        _, reward, terminated, _, info = env.step(push)
        obs = info["final_obs"]
        assert bool(obs.isfinite().all())
        assert bool(reward.isfinite().all())
        assert bool((reward.abs() < 11.0).all())
        assert not terminated.any()
        limits = env.task.robot.dof_limits
        # A finger that the arm presses against the ground gives by millimetres.
        slack = torch.tensor([0.005] * 9, device=env.device)
        assert bool((obs[:, :9] > limits[:, 0] - slack).all())
        assert bool((obs[:, :9] < limits[:, 1] + slack).all())
        cube = obs[:, 18:21]
        assert float(cube[:, 2].min()) > 0.0125, "no cube is pressed halfway into the ground"
        assert float((cube[:, :2] - start[:, :2]).abs().max()) < 0.6
        torch.testing.assert_close(obs[:, 21:25].norm(dim=-1), torch.ones_like(nearest))
        nearest = torch.minimum(nearest, obs[:, 25:28].norm(dim=-1))
        # No part of the hand is farther than 0.17 m from the fingertips and the cube's corner.
        untouched = nearest > 0.17
        assert float((cube - start)[untouched][:, :2].abs().max()) < 1e-4
        # The ground may give way a little when a cube is first set upon it.
        assert float((cube - start)[untouched][:, 2].abs().max()) < 2e-3
    assert int(untouched.sum()) > n // 4
    moved = (cube - start).abs().amax(-1) > 1e-3
    assert bool(moved.any()), "some cube should have been touched"


# ---------------------------------------------------------------------- a grasp


class Grasp(NamedTuple):
    """What a scripted grasp went through, (steps, N, ...) each."""

    observations: Tensor
    rewards: Tensor
    success: Tensor


HOVER, DOWN, CLOSE, LIFT, HOLD = 60, 110, 150, 240, 540


def grasp(env: Any) -> Grasp:
    """Goes above the cube, down to it, closes, lifts it to the goal and holds it for 5 s."""
    task = env.task
    obs = task.get_observations()
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    x_axis, z_axis = torch.eye(3, device=env.device)[[0, 2]]
    for k in range(HOLD):
        away, height = obs[:, 25:28], obs[:, 20]
        rotation = task.robot.link_pose[:, task.hand, 3:7]
        # The hand points down, and its x axis along an edge of the cube.
        tilt = torch.linalg.cross(quat_rotate(rotation, z_axis), -z_axis.expand_as(away))
        heading = quat_rotate(rotation, x_axis)
        yaw = yaw_from_quat(obs[:, 21:25]) - torch.atan2(heading[:, 1], heading[:, 0])
        action = torch.zeros(env.num_envs, 7, device=env.device)
        action[:, 3:6] = 2.0 * tilt
        action[:, 5] += 2.0 * wrap_to_pi(4.0 * yaw) / 4.0
        action[:, 6] = 1.0 if k < DOWN else -1.0
        if k < CLOSE:
            above = 0.1 if k < HOVER else 0.0
            action[:, :3] = 20.0 * (away + above * z_axis)
        else:
            action[:, 2] = 20.0 * (0.225 - height)
        _, reward, _, _, info = env.step(action)
        obs = info["final_obs"]
        rows.append((obs, reward, info["final_info"]["success"]))
    return Grasp(*(torch.stack(column).cpu() for column in zip(*rows, strict=True)))


def test_a_scripted_grasp_lifts_the_cube_and_holds_it_without_slipping(make: Make) -> None:
    env = make(episode_length_s=10.0, seed=1)
    observations, rewards, success = grasp(env)
    away = observations[:, :, 25:28]
    # Hovering pays at most 1 a step, and that little by reaching only.
    assert float(rewards[:DOWN].max()) < 1.01
    assert not success[:CLOSE].any()
    # The goal, from the lift on to the end: 5 s in all environments.
    assert success[LIFT:].all()
    assert float(rewards[LIFT:].min()) > 9.0
    assert float(rewards[LIFT:].max()) < 10.01
    slip = (away[LIFT:] - away[LIFT]).norm(dim=-1)
    assert slip.shape == (300, N)
    assert float(slip.max()) < 0.002
    height = observations[LIFT:, :, 20]
    assert float((height - 0.225).abs().max()) < 0.005
    # The fingers stand where the faces of the cube are: 2.5 cm from the middle, each.
    torch.testing.assert_close(
        observations[LIFT:, :, 7:9], torch.full((300, N, 2), 0.025), atol=1.5e-3, rtol=0.0
    )
    # What is held still is not said to move, however hard the fingers press on it.
    assert float((height[-1] - height[-60]).abs().max()) < 1e-3
    assert float(env.task.cube.vel[:, :3].norm(dim=-1).max()) < 0.02
    assert float(env.task.cube.vel[:, 3:].norm(dim=-1).max()) < 0.2


def test_a_released_cube_falls_back_to_the_ground(make: Make) -> None:
    env = make(episode_length_s=20.0, seed=1)
    _, _, success = grasp(env)
    assert success[-1].all()
    for _ in range(90):
        obs, *_ = env.step(actions(env, 0, 0, 0, 0, 0, 0, 1))
    torch.testing.assert_close(obs[:, 20].cpu(), torch.full((N,), 0.025), atol=1e-3, rtol=0.0)
    assert not env.task.get_extras()["success"].any()
