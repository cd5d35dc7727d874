"""What is randomised is felt by the physics: each number drawn is checked against a motion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from bench import CUBE_MASS, EDGE, MASS, STIFFNESS, N, make, play
from torch import Tensor

from isaac_gymnasium.engines import EngineError

DT = 1 / 60
Make = Any


@pytest.fixture
def bench(engine_name: str) -> Iterator[Make]:
    envs = []

    def start(terms: Any, **kwargs: Any) -> Any:
        envs.append(make(terms, engine_name, **kwargs))
        return envs[-1]

    yield start
    for env in envs:
        env.close()


def number(env: Any, name: str = "it") -> Tensor:
    values: Tensor = env.randomization.values[name][:, 0]
    assert values.unique().numel() == N, "every environment has its own"
    return values


def quarter(x: Tensor) -> Tensor:
    """(N,) time at which x (T, N) first crosses zero, between two samples."""
    after = (x[1:] * x[:-1] <= 0).int().argmax(0)
    before, behind = x.gather(0, after[None])[0], x.gather(0, after[None] + 1)[0]
    return (after + before / (before - behind)) * DT


def test_a_heavier_carriage_is_slower_on_its_spring(bench: Make) -> None:
    term = {"target": "mass", "body": "Slider", "names": ["carriage"], "range": (0.3, 3.0)}
    env = bench({"it": term}, start=0.5)
    x = play(env, 40)[..., 0]
    expected = torch.pi / 2 * (MASS * number(env) / STIFFNESS).sqrt()
    torch.testing.assert_close(quarter(x), expected, rtol=0.06, atol=0.004)
    assert torch.equal(quarter(x).argsort(), number(env).argsort())


def test_a_stiffer_spring_is_faster(bench: Make) -> None:
    term = {"target": "joint_stiffness", "body": "Slider", "range": (0.3, 2.0)}
    env = bench({"it": term}, start=0.5)
    expected = torch.pi / 2 * (MASS / STIFFNESS / number_after(env)).sqrt()
    torch.testing.assert_close(quarter(env.played[..., 0]), expected, rtol=0.06, atol=0.004)


def number_after(env: Any, steps: int = 40, action: float = 0.0) -> Tensor:
    env.played = play(env, steps, action)
    return number(env)


def test_armature_is_mass_to_the_joint_alone(bench: Make) -> None:
    term = {
        "target": "joint_armature",
        "body": "Slider",
        "range": (0.5, 6.0),
        "operation": "absolute",
    }
    env = bench({"it": term}, start=0.5)
    expected = torch.pi / 2 * ((MASS + number_after(env)) / STIFFNESS).sqrt()
    torch.testing.assert_close(quarter(env.played[..., 0]), expected, rtol=0.06, atol=0.004)


def test_damping_brings_the_carriage_to_rest(bench: Make) -> None:
    term = {
        "target": "joint_damping",
        "body": "Slider",
        "range": (1.0, 10.0),
        "operation": "additive",
    }
    env = bench({"it": term}, force=1.0, stiffness=0.0)
    damping = number_after(env, 60, 1.0)
    # m v' = F - d v
    expected = 1.0 / damping * (1.0 - torch.exp(-damping / MASS * 60 * DT))
    torch.testing.assert_close(env.played[-1, :, 1], expected, rtol=0.03, atol=0.0)


def test_joint_friction_takes_its_share_of_the_force(bench: Make) -> None:
    term = {
        "target": "joint_friction",
        "body": "Slider",
        "range": (1.0, 7.0),
        "operation": "absolute",
    }
    env = bench({"it": term}, force=8.0, stiffness=0.0)
    friction = number_after(env, 20, 1.0)
    expected = (8.0 - friction) / MASS * 20 * DT
    torch.testing.assert_close(env.played[-1, :, 1], expected, rtol=0.1, atol=0.02)


def test_a_joint_stops_at_its_limit(bench: Make) -> None:
    term = {"target": "joint_limits", "body": "Slider", "range": (0.1, 0.5)}
    damping = {"target": "joint_damping", "body": "Slider", "operation": "absolute"}
    env = bench({"it": term, "damping": {**damping, "range": (5, 5)}}, force=2.0, stiffness=0.0)
    limit = number_after(env, 240, 1.0)
    torch.testing.assert_close(env.played[-1, :, 0], limit, rtol=0.0, atol=0.02)


def test_a_drive_pulls_no_harder_than_its_limit(bench: Make) -> None:
    term = {"target": "effort_limit", "body": "Slider", "range": (2, 10), "operation": "absolute"}
    env = bench({"it": term}, start=0.5)  # where the spring would pull with 100 N
    limit = number_after(env, 3)
    torch.testing.assert_close(env.played[-1, :, 1], -limit / MASS * 3 * DT, rtol=0.02, atol=0.0)


def test_a_drive_makes_a_joint_no_faster_than_its_limit(bench: Make) -> None:
    term = {"target": "velocity_limit", "body": "Slider", "operation": "absolute"}
    env = bench({"it": {**term, "range": (0.2, 1.0)}}, start=0.5)
    limit = number_after(env, 12)  # with 5 m/s the spring would bring it home
    fastest = env.played[..., 1].abs().amax(0)
    torch.testing.assert_close(fastest, limit, rtol=0.05, atol=0.0)


def test_a_weak_motor_pushes_less(bench: Make) -> None:
    term = {"target": "actuator_strength", "body": "Slider", "range": (0.2, 1.0)}
    env = bench({"it": term}, stiffness=0.0)
    strength = number_after(env, 10, 1.0)
    torch.testing.assert_close(
        env.played[-1, :, 1], strength * 10.0 / MASS * 10 * DT, rtol=0.01, atol=0.0
    )


def test_a_slippery_cube_slides_further(bench: Make) -> None:
    term = {"target": "friction", "body": "Cube", "range": (0.3, 1.3)}
    env = bench({"it": term}, speed=1.2)
    factor = number_after(env, 60)
    distance = env.played[-1, :, 2]
    assert float(env.played[-1, :, 3].abs().max()) < 0.02, "all have come to rest"
    expected = 1.2**2 / (2 * 0.5 * factor * 9.81)
    torch.testing.assert_close(distance, expected, rtol=0.1, atol=0.01)
    assert torch.equal(distance.argsort(), (-factor).argsort())


def test_a_heavier_body_is_harder_to_push_and_to_turn(bench: Make) -> None:
    term = {"target": "mass", "body": "Cube", "range": (0.3, 3.0)}
    env = bench({"it": term}, height=5.0)
    env.reset(seed=0)
    mass = CUBE_MASS * number(env)
    force, torque = torch.zeros(N, 3), torch.zeros(N, 3)
    force[:, 0], torque[:, 2] = 3.0, 0.01
    env.task.cube.apply_wrench(force, torque)
    env.step(torch.zeros(N, 1))
    vel = env.task.cube.vel
    torch.testing.assert_close(vel[:, 0], 3.0 * DT / mass, rtol=0.01, atol=0.0)
    inertia = mass * EDGE**2 / 6
    torch.testing.assert_close(vel[:, 5], 0.01 * DT / inertia, rtol=0.01, atol=0.0)


def test_inertia_alone_turns_harder_and_falls_alike(bench: Make) -> None:
    env = bench({"it": {"target": "inertia", "body": "Cube", "range": (0.5, 2.0)}}, height=5.0)
    env.reset(seed=0)
    factor = number(env)
    force, torque = torch.zeros(N, 3), torch.zeros(N, 3)
    force[:, 0], torque[:, 2] = 3.0, 0.01
    env.task.cube.apply_wrench(force, torque)
    env.step(torch.zeros(N, 1))
    vel = env.task.cube.vel
    torch.testing.assert_close(vel[:, 0], torch.full((N,), 3.0 * DT), rtol=0.01, atol=0.0)
    inertia = factor * CUBE_MASS * EDGE**2 / 6
    torch.testing.assert_close(vel[:, 5], 0.01 * DT / inertia, rtol=0.01, atol=0.0)


def test_a_force_beside_the_centre_of_mass_turns(bench: Make) -> None:
    term = {"target": "center_of_mass", "body": "Cube", "range": (-0.04, 0.04)}
    env = bench({"it": term}, height=5.0)
    env.reset(seed=0)
    offset = env.randomization.values["it"]
    assert offset.shape == (N, 3)
    force, torque = torch.zeros(N, 3), torch.zeros(N, 3)
    force[:, 0] = 3.0
    env.task.cube.apply_wrench(force, torque)
    env.step(torch.zeros(N, 1))
    # The force acts at the origin, which lies at -offset: (-o) x F has z = o_y F_x.
    turned = 3.0 * offset[:, 1] / (CUBE_MASS * EDGE**2 / 6) * DT
    torch.testing.assert_close(env.task.cube.vel[:, 5], turned, rtol=0.1, atol=0.02)


def test_gravity_is_an_environments_own_where_the_engine_has_it(
    bench: Make, engine_name: str
) -> None:
    terms = {"it": {"target": "gravity", "range": (0.1, 2.0)}}
    if engine_name == "physx":
        with pytest.raises(EngineError, match="engine 'physx' has one gravity for all"):
            bench(terms)
        return
    env = bench(terms, height=5.0)
    env.reset(seed=0)
    for _ in range(20):
        env.step(torch.zeros(N, 1))
    fallen = env.task.cube.vel[:, 2]
    torch.testing.assert_close(fallen, -9.81 * number(env) * 20 * DT, rtol=0.01, atol=0.0)


def test_a_bouncy_cube_bounces(engine_name: str, bench: Make) -> None:
    if engine_name == "newton":
        pytest.skip("its solver is chosen with the scene, which has nothing bouncy")
    term = {"target": "restitution", "body": "Cube", "range": (0.2, 1.0)}
    env = bench({"it": term}, height=0.5)
    env.reset(seed=0)
    speeds = []
    for _ in range(30):
        env.step(torch.zeros(N, 1))
        speeds.append(env.task.cube.vel[:, 2].clone())
    up = torch.stack(speeds).amax(0)
    # The ground's is 0, the two are averaged; it falls with sqrt(2 g h).
    expected = 0.5 * number(env) * (2 * 9.81 * 0.5) ** 0.5
    torch.testing.assert_close(up, expected, rtol=0.15, atol=0.12)
    assert torch.equal(up.argsort(), number(env).argsort())


def test_a_push_changes_the_velocity(bench: Make) -> None:
    terms = {
        "cube": {"target": "push", "body": "Cube", "range": (-1.0, 1.0), "interval_s": 0.1},
        "slide": {"target": "push", "body": "Slider", "range": (1.0, 2.0), "interval_s": 0.2},
    }
    env = bench(terms, height=5.0, stiffness=0.0)
    env.reset(seed=0)
    before = torch.zeros(N)
    for step in range(1, 13):
        env.step(torch.zeros(N, 1))
        pushes = env.randomization.values
        if step % 6 == 0:
            jump = env.task.cube.vel[:, 0] - before
            torch.testing.assert_close(jump, pushes["cube"][:, 0], rtol=0.01, atol=0.01)
        before = env.task.cube.vel[:, 0].clone()
    torch.testing.assert_close(
        env.task.slider.dof_vel[:, 0], pushes["slide"][:, 0], rtol=0.01, atol=0.01
    )


def test_initial_states_differ(bench: Make) -> None:
    terms = {
        "x": {"target": "initial_joint_position", "body": "Slider", "range": (-0.3, 0.3)},
        "v": {"target": "initial_joint_velocity", "body": "Slider", "range": (-0.3, 0.3)},
        "p": {"target": "initial_position", "body": "Cube", "range": (0.0, 0.2)},
        "w": {"target": "initial_velocity", "body": "Cube", "range": (-0.3, 0.3)},
    }
    env = bench(terms, start=0.9, height=1.0)
    obs, _ = env.reset(seed=0)
    values = env.randomization.values
    assert torch.equal(obs[:, 0], (0.9 + values["x"][:, 0]).clamp(max=1.0))
    assert torch.equal(obs[:, 1], values["v"][:, 0])
    assert torch.allclose(obs[:, 2], values["p"][:, 0], atol=1e-5)
    assert torch.equal(env.task.cube.vel, values["w"])
    first = obs
    assert not torch.equal(env.reset()[0], first), "every episode has its own"
