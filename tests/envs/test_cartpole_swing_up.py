"""What `IsaacCartpoleSwingUp-v0` means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from isaac_gymnasium.envs.cartpole_swing_up import CartpoleSwingUp

ID = "IsaacCartpoleSwingUp-v0"

Make = Callable[..., Any]


def put(env: Any, states: list[tuple[float, float, float, float]]) -> None:
    """Puts environment k to (angle, its speed, cart, its speed)."""
    task = env.task
    pos, vel = torch.zeros(2, len(states), 2)
    for k, (angle, angle_speed, cart, cart_speed) in enumerate(states):
        pos[k, task.pole], vel[k, task.pole] = angle, angle_speed
        pos[k, task.cart], vel[k, task.cart] = cart, cart_speed
    task.robot.write_dof_state(pos.to(env.device), vel.to(env.device))


@pytest.mark.parametrize(
    "values", [{"initial_noise": -1.0}, {"max_force": math.nan}, {"max_cart_position": 0.0}]
)
def test_values_without_a_meaning_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} must"):
        CartpoleSwingUp(**values)


def test_the_observation_is_laid_out_as_documented(make: Make) -> None:
    env = make(2)
    put(env, [(0.5, -0.2, 0.3, -0.4), (-2.0, 0.6, -0.7, 0.8)])
    expected = [
        [0.3, math.cos(0.5), math.sin(0.5), -0.4, -0.2],
        [-0.7, math.cos(-2.0), math.sin(-2.0), 0.8, 0.6],
    ]
    torch.testing.assert_close(env.task.get_observations().cpu(), torch.tensor(expected))


def test_it_starts_hanging_near_the_middle(make: Make) -> None:
    env = make(256)
    obs, info = env.reset(seed=1)
    cart, cosine, sine = obs[:, 0], obs[:, 1], obs[:, 2]
    for noise in (cart, torch.asin(sine)):
        assert 0.09 < float(noise.abs().max()) <= 0.1
    assert bool((cosine < -0.99).all())
    assert not obs[:, 3:].any()
    assert not info["success"].any()
    assert not info["upright"].any()


def test_rewards_by_hand(make: Make) -> None:
    states = [
        (0.0, 0.0, 0.0, 0.0),
        (math.pi, 0.0, 0.0, 0.0),
        (0.5, 0.0, 2.0, 3.0),
        (0.5, 5.0, -1.0, 0.0),
    ]
    forces = [0.0, 0.0, 1.0, -0.5]
    env = make(4)
    env.task.pre_physics_step(torch.tensor(forces, device=env.device).unsqueeze(-1))
    put(env, states)
    expected = [
        (1 + math.cos(angle))
        / 2
        * (1 + 0.1 ** ((cart / 2) ** 2))
        / 2
        * (4 + (1 - force**2))
        / 5
        * (1 + 0.1 ** ((speed / 5) ** 2))
        / 2
        for (angle, speed, cart, _), force in zip(states, forces, strict=True)
    ]
    assert expected[:2] == [1.0, 0.0]
    terms = env.task.get_rewards()
    assert terms.keys() == {"swing_up"}
    assert terms["swing_up"].tolist() == pytest.approx(expected, abs=1e-6)


def test_it_terminates_off_the_rail_and_not_before(make: Make) -> None:
    env = make(6)
    carts = [2.99, 3.01, -2.99, -3.01, 0.0, 0.0]
    put(env, [(k * 1.0, 0.0, cart, 0.0) for k, cart in enumerate(carts)])
    expected = [False, True, False, True, False, False]
    assert env.task.get_terminations().tolist() == expected


def balance(obs: torch.Tensor) -> torch.Tensor:
    """A linear-quadratic regulator of the upright pole."""
    angle = torch.atan2(obs[:, 2], obs[:, 1])
    state = torch.stack((angle, obs[:, 4], obs[:, 0], obs[:, 3]), dim=-1)
    gain = torch.tensor([-1.91, -0.49, 0.23, 0.4], device=obs.device)
    return (state @ gain).clamp(-1, 1).unsqueeze(-1)


def test_success_is_a_second_half_upright_for_four_fifths(make: Make) -> None:
    """Poles put upright at different times: 15 of 20 late steps fail, 16 succeed."""
    env = make(4, episode_length_s=40 / 60)
    hanging = (math.pi, 0.0, 0.0, 0.0)
    put(env, [(0.0, 0.0, 0.0, 0.0), hanging, hanging, hanging])
    zero = torch.zeros(4, 1, device=env.device)
    for step in range(40):
        # Environment 1 begins steps 24 to 39 upright, environment 2 only steps 25 to 39.
        upright = torch.tensor([True, step >= 24, step >= 25, False], device=env.device)
        put(env, [(0.0 if up else math.pi, 0.0, 0.0, 0.0) for up in upright.tolist()])
        _, _, terminated, truncated, info = env.step(zero)
        assert not terminated.any()
    assert truncated.all()
    final = info["final_info"]
    assert final["upright_share"].tolist() == pytest.approx([1.0, 0.8, 0.75, 0.0])
    assert final["success"].tolist() == [True, True, False, False]
    assert final["upright"].tolist() == upright.tolist()
    assert not info["upright_share"].any(), "counted anew in the next episode"


def test_upright_is_within_twelve_degrees_whatever_the_turns(make: Make) -> None:
    angles = [0.0, 11.9, -11.9, 12.1, 360.0, -708.1]
    env = make(len(angles))
    put(env, [(math.radians(angle), 1.0, 1.0, 1.0) for angle in angles])
    assert env.task.get_extras()["upright"].tolist() == [True, True, True, False, True, True]


def test_a_regulator_keeps_an_upright_pole_and_earns_nearly_all(make: Make) -> None:
    env = make(4, episode_length_s=5.0)
    put(env, [(0.1 * k, 0.0, 0.0, 0.0) for k in range(4)])
    obs = env.task.get_observations()
    total = torch.zeros(4, device=env.device)
    for _ in range(300):
        obs, reward, _, _, info = env.step(balance(obs))
        total += reward
    assert info["final_info"]["success"].all()
    assert float(total.min()) > 0.9 * 300
