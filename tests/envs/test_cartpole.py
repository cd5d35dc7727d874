"""What `IsaacCartpole-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.envs.cartpole import Cartpole

ID = "IsaacCartpole-v0"
ANGLE, ANGLE_SPEED, CART, CART_SPEED = range(4)

Make = Callable[..., Any]


def put(env: Any, states: list[tuple[float, ...]]) -> Tensor:
    """Puts environment k to (angle, its speed, cart, its speed); the states as a tensor."""
    rows, task = torch.tensor(states, device=env.device), env.task
    pos, vel = torch.zeros(len(rows), 2), torch.zeros(len(rows), 2)
    pos[:, task.pole], vel[:, task.pole] = rows[:, ANGLE].cpu(), rows[:, ANGLE_SPEED].cpu()
    pos[:, task.cart], vel[:, task.cart] = rows[:, CART].cpu(), rows[:, CART_SPEED].cpu()
    task.robot.write_dof_state(pos.to(env.device), vel.to(env.device))
    return rows


@pytest.mark.parametrize(
    "values", [{"initial_angle": -1.0}, {"max_force": math.nan}, {"max_cart_position": -1.0}]
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} must"):
        Cartpole(**values)


def test_the_observation_is_the_pole_then_the_cart(make: Make) -> None:
    env = make(2)
    rows = put(env, [(0.1, -0.2, 0.3, -0.4), (-0.5, 0.6, -0.7, 0.8)])
    assert torch.equal(env.task.get_observations(), rows)
    assert env.single_observation_space.shape == (4,)
    assert env.single_action_space == gym.spaces.Box(-1.0, 1.0, (1,), np.float32)


def test_upright_is_zero_and_a_positive_angle_leans_towards_minus_y(make: Make) -> None:
    env = make(2)
    put(env, [(0.0, 0.0, 1.0, 0.0), (0.3, 0.0, 1.0, 0.0)])
    robot = env.task.robot
    cart, pole = (robot.link_pose[:, robot.link_index(name)].cpu() for name in ("cart", "pole"))
    origins = env.engine.env_origins.cpu()
    np.testing.assert_allclose(
        cart[:, :3] - origins, torch.tensor([[0.0, 1.0, 2.0]] * 2), atol=1e-5
    )
    # The pole's own z axis, from its quaternion.
    x, y, z, w = pole[:, 3:].unbind(-1)
    up = torch.stack((2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)), dim=-1)
    expected = torch.tensor([[0.0, 0.0, 1.0], [0.0, -math.sin(0.3), math.cos(0.3)]])
    torch.testing.assert_close(up, expected, atol=1e-5, rtol=0.0)


def acceleration(state: np.ndarray, force: float) -> np.ndarray:
    """Cart and pole by Lagrange: cart s, pole angle a, pole a box of 0.06 x 1 m in its plane."""
    cart_mass, mass, arm, gravity, damping = 1.0, 1.0, 0.47, 9.81, 10.0
    inertia = mass * (0.06**2 + 1.0) / 12 + mass * arm**2
    angle, angle_speed, _, speed = state
    coupling = -mass * arm * math.cos(angle)
    matrix = np.array([[inertia, coupling], [coupling, cart_mass + mass]])
    forces = [
        mass * gravity * arm * math.sin(angle),
        force - damping * speed - mass * arm * math.sin(angle) * angle_speed**2,
    ]
    turning, sliding = np.linalg.solve(matrix, forces)
    return np.array([angle_speed, turning, speed, sliding])


def integrate(state: np.ndarray, force: float, time: float, steps: int = 400) -> np.ndarray:
    """Classical Runge-Kutta."""
    h = time / steps
    for _ in range(steps):
        a = acceleration(state, force)
        b = acceleration(state + h / 2 * a, force)
        c = acceleration(state + h / 2 * b, force)
        d = acceleration(state + h * c, force)
        state = state + h / 6 * (a + 2 * b + 2 * c + d)
    return state


def test_it_moves_by_the_equations_of_motion(make: Make) -> None:
    env = make(5, dt=1 / 960, decimation=16, max_force=50.0)
    rows = put(
        env,
        [
            (0.0, 0.0, 0.0, 0.0),
            (0.3, -0.5, 0.0, 0.2),
            (-0.2, 0.0, 0.5, 0.0),
            (0.2, 1.0, -1.0, -2.0),
            (-0.5, 2.0, 0.0, 1.0),
        ],
    )
    actions = torch.tensor([[0.2], [0.0], [-0.3], [0.1], [-0.2]])
    for _ in range(18):
        obs, _, terminated, _, _ = env.step(actions)
        assert not terminated.any()
    for row, action, found in zip(rows.cpu(), actions, obs.cpu(), strict=True):
        expected = integrate(row.double().numpy(), 50.0 * float(action), 0.3)
        np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.005)


def test_rewards_by_hand(make: Make) -> None:
    env = make(4)
    put(
        env,
        [(0.0, 0.0, 0.0, 0.0), (0.5, 2.0, -1.0, -3.0), (-2.0, 1.0, 0.0, 0.0), (0.1, 0.0, 3.5, 0.0)],
    )
    terms = {name: term.tolist() for name, term in env.task.get_rewards().items()}
    expected = {
        "alive": [1.0, 1.0, 0.0, 0.0],
        "terminated": [0.0, 0.0, -2.0, -2.0],
        "pole_angle": [0.0, -0.25, -4.0, -0.01],
        "cart_speed": [0.0, -0.03, 0.0, 0.0],
        "pole_speed": [0.0, -0.01, -0.005, 0.0],
    }
    assert terms.keys() == expected.keys()
    for name, values in expected.items():
        assert terms[name] == pytest.approx(values, abs=1e-6), name


def test_it_terminates_off_the_rail_or_with_a_fallen_pole_and_not_before(make: Make) -> None:
    right = math.pi / 2
    cases = [
        ((0.0, 0.0, 2.999, 0.0), False),
        ((0.0, 0.0, 3.001, 0.0), True),
        ((0.0, 0.0, -2.999, 0.0), False),
        ((0.0, 0.0, -3.001, 0.0), True),
        ((right - 0.001, 0.0, 0.0, 0.0), False),
        ((right + 0.001, 0.0, 0.0, 0.0), True),
        ((-right + 0.001, 0.0, 0.0, 0.0), False),
        ((-right - 0.001, 0.0, 0.0, 0.0), True),
        ((0.0, 50.0, 0.0, 50.0), False),
    ]
    env = make(len(cases))
    put(env, [state for state, _ in cases])
    assert env.task.get_terminations().tolist() == [ends for _, ends in cases]
    env.task.max_cart_position = 1.0
    put(env, [(0.0, 0.0, 1.5 - k / 8, 0.0) for k in range(len(cases))])
    assert env.task.get_terminations().tolist() == [True] * 4 + [False] * 5


def test_success_is_a_pole_within_twelve_degrees(make: Make) -> None:
    angles = [0.0, 11.9, -11.9, 12.1, -12.1, 90.0]
    env = make(len(angles))
    put(env, [(math.radians(angle), 5.0, 2.0, 5.0) for angle in angles])
    assert env.task.get_extras()["success"].tolist() == [True, True, True, False, False, False]


def test_a_push_off_the_rail_ends_the_episode_with_its_penalty(make: Make) -> None:
    env = make(8, autoreset_mode="Disabled", log_rewards=True)
    put(env, [(0.0, 0.0, 2.9, 12.0)] * 4 + [(0.0, 0.0, -2.9, -12.0)] * 4)
    actions = torch.tensor([[1.0]] * 4 + [[-1.0]] * 4)
    obs, reward, terminated, truncated, info = env.step(actions)
    assert terminated.all()
    assert not truncated.any()
    assert bool((obs[:4, CART] > 3.0).all())
    assert bool((obs[4:, CART] < -3.0).all())
    assert bool((reward < -2.0).all())
    assert float(info["log"]["reward/alive"]) == 0.0


def test_starting_states_fill_their_range_and_nothing_else(make: Make) -> None:
    obs, _ = make(512).reset(seed=1)
    share = obs[:, ANGLE].cpu() / (0.25 * math.pi)
    assert float(share.abs().max()) <= 1.0
    # Quartiles of a uniform distribution, within four standard errors.
    for quartile, level in ((0.25, -0.5), (0.5, 0.0), (0.75, 0.5)):
        assert float(share.quantile(quartile)) == pytest.approx(level, abs=4 * 0.5 * 2 / 512**0.5)
    assert not obs[:, [ANGLE_SPEED, CART, CART_SPEED]].any()
    narrow, _ = make(64, initial_angle=0.01).reset(seed=1)
    assert 0.005 * math.pi < float(narrow[:, ANGLE].abs().max()) <= 0.01 * math.pi


def test_a_scripted_controller_balances_for_the_whole_episode(make: Make) -> None:
    env = make(8)
    obs, _ = env.reset(seed=2)
    # A linear-quadratic regulator of the upright pole.
    gain = torch.tensor([-1.91, -0.49, 0.23, 0.4], device=env.device)
    total = torch.zeros(8, device=env.device)
    for step in range(300):
        obs, reward, terminated, truncated, info = env.step((obs @ gain).clamp(-1, 1).unsqueeze(-1))
        total += reward
        assert not terminated.any()
        assert bool(truncated.all()) == (step == 299)
        assert truncated.any() == truncated.all()
    assert info["final_info"]["success"].all()
    assert float(total.min()) > 285.0
