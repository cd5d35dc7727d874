"""The physics is true: closed forms, and the published kinematics of the robots."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from isaac_gymnasium.engines import Engine, load_engine
from isaac_gymnasium.robots.franka import HAND, franka
from isaac_gymnasium.robots.go2 import go2
from isaac_gymnasium.scene import (
    Inertial,
    Joint,
    Link,
    Material,
    Robot,
    box,
    box_inertial,
    sphere,
)
from isaac_gymnasium.scene.builder import Scene

DT = 1.0 / 240.0
GRAVITY = 9.81

Start = Callable[..., Engine]


@pytest.fixture
def start(engine_name: str, device: torch.device) -> Iterator[Start]:
    engines: list[Engine] = []

    def make(scene: Scene, num_envs: int = 3, dt: float = DT) -> Engine:
        engines.append(load_engine(engine_name)(scene, num_envs, dt, device))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def place(engine: Engine, pose: list[float]) -> torch.Tensor:
    """The pose (7) in the environment frame, for every environment, in the world frame."""
    poses = torch.tensor(pose, device=engine.device).repeat(engine.num_envs, 1)
    poses[:, :3] += engine.env_origins
    return poses


def test_a_free_body_falls_with_g(start: Start) -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_rigid_body("Ball", sphere(0.1), mass=0.3, position=(0.0, 0.0, 50.0))
    engine = start(scene)
    ball = engine.rigid_body("Ball")
    time = 1.0
    for _ in range(round(time / DT)):
        engine.step()
    # The largest error a first-order integrator may make, and the rounding of 50 m.
    torch.testing.assert_close(
        ball.pose[:, 2].cpu(),
        torch.full((3,), 50.0 - 0.5 * GRAVITY * time**2),
        atol=0.5 * GRAVITY * DT * time + 1e-4,
        rtol=0.0,
    )
    torch.testing.assert_close(
        ball.vel[:, 2].cpu(), torch.full((3,), -GRAVITY * time), atol=1e-3, rtol=0.0
    )


def pendulum(length: float, mass: float) -> Robot:
    return Robot(
        links=(
            Link(name="base", inertial=box_inertial(1.0, (0.1, 0.1, 0.1))),
            Link(
                name="rod",
                inertial=box_inertial(mass, (0.02, 0.02, length), center=(0, 0, -length / 2)),
            ),
        ),
        joints=(Joint(name="hinge", kind="revolute", parent="base", child="rod", axis=(0, 1, 0)),),
    )


def test_a_pendulum_swings_with_its_period(start: Start) -> None:
    length, mass, amplitude = 1.2, 0.7, 0.1
    scene = Scene(env_spacing=4.0)
    scene.add_robot("Pendulum", pendulum(length, mass), position=(0.0, 0.0, 3.0))
    engine = start(scene)
    robot = engine.articulation("Pendulum")
    robot.write_dof_state(
        torch.full((3, 1), amplitude, device=engine.device),
        torch.zeros(3, 1, device=engine.device),
    )
    crossings, before = [], amplitude
    for k in range(round(12.0 / DT)):
        engine.step()
        now = float(robot.dof_pos[1, 0])
        if before > 0 >= now or before < 0 <= now:
            crossings.append((k + before / (before - now)) * DT)
        before = now
    # A rod about its end, with the first correction for the finite amplitude.
    inertia = mass / 12.0 * (length**2 + 0.02**2) + mass * (length / 2) ** 2
    period = 2 * math.pi * math.sqrt(inertia / (mass * GRAVITY * length / 2))
    period *= 1 + amplitude**2 / 16
    measured = 2 * (crossings[-1] - crossings[0]) / (len(crossings) - 1)
    assert measured == pytest.approx(period, rel=0.005)


def test_a_sliding_box_stops_where_friction_says(start: Start) -> None:
    friction, speed = 0.3, 2.0
    material = Material(static_friction=friction, dynamic_friction=friction)
    scene = Scene(env_spacing=6.0)
    scene.add_ground(material=material)
    scene.add_rigid_body("Box", box((0.2, 0.2, 0.1), material=material), mass=1.0)
    engine = start(scene)
    body = engine.rigid_body("Box")
    pose = place(engine, [0.0, 0.0, 0.05, 0.0, 0.0, 0.0, 1.0])
    vel = torch.zeros(3, 6, device=engine.device)
    vel[:, 0] = speed
    body.write_state(pose, vel)
    for _ in range(round(1.5 * speed / (friction * GRAVITY) / DT)):
        engine.step()
    travelled = (body.pose - pose)[:, 0].cpu()
    expected = speed**2 / (2 * friction * GRAVITY)
    torch.testing.assert_close(travelled, torch.full((3,), expected), rtol=0.03, atol=0.0)
    assert float(body.vel.norm(dim=-1).max()) < 1e-2


def franka_hand_pose(q: np.ndarray) -> np.ndarray:
    """Pose of the hand from the Denavit-Hartenberg parameters that Franka publishes (Craig)."""
    parameters = [  # a, d, alpha
        (0.0, 0.333, 0.0),
        (0.0, 0.0, -math.pi / 2),
        (0.0, 0.316, math.pi / 2),
        (0.0825, 0.0, math.pi / 2),
        (-0.0825, 0.384, -math.pi / 2),
        (0.0, 0.0, math.pi / 2),
        (0.088, 0.0, math.pi / 2),
        (0.0, 0.107, 0.0),  # the flange, then the hand turned by -45 degrees
    ]
    pose = np.eye(4)
    for (a, d, alpha), theta in zip(parameters, [*q[:7], -math.pi / 4], strict=True):
        c, s, ca, sa = math.cos(theta), math.sin(theta), math.cos(alpha), math.sin(alpha)
        pose = pose @ np.array(
            [
                [c, -s, 0, a],
                [s * ca, c * ca, -sa, -d * sa],
                [s * sa, c * sa, ca, d * ca],
                [0, 0, 0, 1],
            ]
        )
    return pose


def random_arm_state(engine: Engine, robot: object) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    limits = robot.dof_limits.cpu()
    share = torch.rand(engine.num_envs, 9, generator=generator)
    q = limits[:, 0] + share * (limits[:, 1] - limits[:, 0])
    qd = 0.5 * torch.randn(engine.num_envs, 9, generator=generator)
    return q.to(engine.device), qd.to(engine.device)


def test_franka_forward_kinematics_are_the_published_ones(start: Start) -> None:
    scene = Scene(env_spacing=3.0)
    scene.add_robot("Robot", franka())
    engine = start(scene, num_envs=16)
    robot = engine.articulation("Robot")
    q, _ = random_arm_state(engine, robot)
    robot.write_dof_state(q, torch.zeros_like(q))
    hand = robot.link_pose[:, robot.link_index(HAND)].clone()
    hand[:, :3] -= engine.env_origins
    for k in range(engine.num_envs):
        expected = franka_hand_pose(q[k].cpu().double().numpy())
        x, y, z, w = hand[k, 3:].cpu().double().numpy()
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        np.testing.assert_allclose(hand[k, :3].cpu(), expected[:3, 3], atol=1e-5)
        np.testing.assert_allclose(rotation, expected[:3, :3], atol=1e-5)


def test_jacobian_times_joint_velocity_is_the_twist(start: Start) -> None:
    scene = Scene(env_spacing=3.0)
    scene.add_robot("Robot", franka())
    engine = start(scene, num_envs=8)
    robot = engine.articulation("Robot")
    q, qd = random_arm_state(engine, robot)
    robot.write_dof_state(q, qd)
    for name in ("panda_link3", HAND, "panda_rightfinger"):
        link = robot.link_index(name)
        twist = (robot.link_jacobian(link) * qd.unsqueeze(1)).sum(-1)
        torch.testing.assert_close(twist, robot.link_vel[:, link], atol=1e-5, rtol=1e-5)


def test_drives_hold_the_arm_against_gravity(start: Start) -> None:
    scene = Scene(env_spacing=3.0)
    scene.add_robot("Robot", franka(gravity_compensation=False))
    engine = start(scene)
    robot = engine.articulation("Robot")
    targets = robot.dof_targets.clone()
    for _ in range(round(6.0 / DT)):
        engine.step()
    held = robot.get_property("dof_stiffness").to(engine.device) * (targets - robot.dof_pos)
    assert float(robot.dof_vel.abs().max()) < 1e-3
    assert float(robot.gravity_force[:, :7].abs().max()) > 10.0
    torch.testing.assert_close(held, robot.gravity_force, atol=0.05, rtol=0.01)


def test_gravity_compensation_leaves_no_sag(start: Start) -> None:
    scene = Scene(env_spacing=3.0)
    scene.add_robot("Robot", franka())
    engine = start(scene)
    robot = engine.articulation("Robot")
    for _ in range(240):
        engine.step()
    torch.testing.assert_close(robot.dof_pos, robot.dof_targets, atol=1e-4, rtol=0.0)


def test_what_is_set_on_another_stays_there_from_the_first_step_on(start: Start) -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_ground()
    scene.add_rigid_body("Low", box((0.2, 0.2, 0.1)), mass=2.0, position=(0.0, 0.0, 0.05))
    scene.add_rigid_body("High", box((0.1, 0.1, 0.1)), mass=0.5, position=(0.0, 0.0, 0.15))
    engine = start(scene)
    bodies = [engine.rigid_body(name) for name in ("Low", "High")]
    for _ in range(60):
        engine.step()
        for body, height in zip(bodies, (0.05, 0.15), strict=True):
            torch.testing.assert_close(
                body.pose, place(engine, [0, 0, height, 0, 0, 0, 1]), atol=2e-3, rtol=0.0
            )
            assert float(body.vel.abs().max()) < 0.1


def test_contacts_carry_the_weight_of_what_rests(start: Start) -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_ground()
    scene.add_rigid_body("Low", box((0.2, 0.2, 0.1)), mass=2.0, position=(0.0, 0.0, 0.05))
    scene.add_rigid_body("High", box((0.1, 0.1, 0.1)), mass=0.5, position=(0.0, 0.0, 0.15))
    for name in ("Low", "High"):
        scene.enable_contact_reports(name)
    engine = start(scene)
    contacts = engine.contacts(["Low", "High"], filters=["High", "Low"])
    for _ in range(240):
        engine.step()
    net, matrix = contacts.net.cpu(), contacts.matrix.cpu()
    ones = torch.ones(3)
    torch.testing.assert_close(net[:, 0, 2], 2.0 * GRAVITY * ones, rtol=0.01, atol=0.0)
    torch.testing.assert_close(net[:, 1, 2], 0.5 * GRAVITY * ones, rtol=0.01, atol=0.0)
    torch.testing.assert_close(matrix[:, 0, 0, 2], -0.5 * GRAVITY * ones, rtol=0.01, atol=0.0)
    torch.testing.assert_close(matrix[:, 1, 1, 2], 0.5 * GRAVITY * ones, rtol=0.01, atol=0.0)
    assert float(matrix[:, 0, 1].abs().max()) == 0.0


def test_a_kicking_robot_moves_as_what_it_touches_pushes_it(start: Start) -> None:
    scene, robot = Scene(env_spacing=4.0), go2()
    scene.add_ground(material=Material(static_friction=1.0, dynamic_friction=1.0))
    scene.add_robot("Robot", robot, position=(0.0, 0.0, 0.34))
    links = [f"Robot/{link.name}" for link in robot.links if any(s.collides for s in link.shapes)]
    for link in links:
        scene.enable_contact_reports(link)
    engine = start(scene, 8, 0.005)
    dog, contacts = engine.articulation("Robot"), engine.contacts(links, filters=[])
    mass = dog.get_property("mass").to(engine.device)
    weight, home = GRAVITY * mass.sum(-1), dog.dof_pos.clone()
    generator = torch.Generator().manual_seed(0)
    momentum, wrong, most = torch.zeros_like(weight), [], 0.0
    for step in range(120):
        if step % 4 == 0:
            kick = 0.8 * torch.rand(8, 12, generator=generator) - 0.4
            dog.set_dof_targets(home + kick.to(engine.device))
        engine.step()
        before, momentum = momentum, (mass * dog.link_vel[..., 2]).sum(-1)
        push = contacts.net[..., 2].sum(-1)
        wrong.append(((momentum - before) / 0.005 - (push - weight)).abs() / weight)
        most = max(most, float((push / weight).max()))
    assert most > 2.0  # it does kick
    assert float(torch.stack(wrong).quantile(0.99)) < 0.1


def test_a_wrench_accelerates_by_newtons_second_law(start: Start) -> None:
    mass, radius, time = 0.4, 0.1, 12 * DT
    scene = Scene(env_spacing=2.0)
    scene.add_rigid_body("Ball", sphere(radius), mass=mass, position=(0.0, 0.0, 20.0))
    engine = start(scene)
    ball = engine.rigid_body("Ball")
    force = torch.tensor([[1.0, -2.0, 0.5]], device=engine.device).expand(3, 3)
    torque = torch.tensor([[0.0, 0.004, 0.0]], device=engine.device).expand(3, 3)
    ball.apply_wrench(force, torque)
    engine.step(12)
    gravity = torch.tensor([0.0, 0.0, -GRAVITY], device=engine.device)
    expected = (force / mass + gravity) * time
    torch.testing.assert_close(ball.vel[:, :3], expected, rtol=1e-3, atol=1e-5)
    spin = torque / (0.4 * mass * radius**2) * time
    torch.testing.assert_close(ball.vel[:, 3:], spin, rtol=1e-3, atol=1e-5)
    engine.step(12)
    torch.testing.assert_close(ball.vel[:, :3], expected + gravity * time, rtol=1e-3, atol=1e-5)


def test_a_joint_effort_lasts_until_it_is_set_again(start: Start) -> None:
    scene = Scene(env_spacing=4.0)
    robot = Robot(
        links=(
            Link(name="base", inertial=box_inertial(1.0, (0.1, 0.1, 0.1))),
            Link(name="slide", inertial=box_inertial(2.0, (0.1, 0.1, 0.1))),
        ),
        joints=(Joint(name="x", kind="prismatic", parent="base", child="slide", axis=(1, 0, 0)),),
    )
    scene.add_robot("Slider", robot)
    engine = start(scene)
    slider = engine.articulation("Slider")
    slider.set_dof_efforts(torch.full((3, 1), 6.0, device=engine.device))
    engine.step(2)
    engine.step(10)
    expected = torch.full((3, 1), 6.0 / 2.0 * 12 * DT, device=engine.device)
    torch.testing.assert_close(slider.dof_vel, expected, rtol=1e-3, atol=0.0)


def test_a_ball_bounces_back_as_its_restitution_says(start: Start) -> None:
    scene = Scene(env_spacing=3.0)
    bouncy = Material(restitution=0.8)
    scene.add_ground(material=bouncy)
    scene.add_rigid_body("Ball", sphere(0.1, material=bouncy), mass=0.2, position=(0.0, 0.0, 1.1))
    engine = start(scene)
    ball = engine.rigid_body("Ball")
    highest, was_down = 0.0, False
    for _ in range(round(1.2 / DT)):
        engine.step()
        z = float(ball.pose[0, 2])
        was_down |= z < 0.15
        if was_down:
            highest = max(highest, z)
    # Falls by 1 m and comes back to e^2 of it.
    assert highest - 0.1 == pytest.approx(0.8**2, rel=0.06)


def rotor(
    limit: float,
    *,
    stiffness: float,
    damping: float,
    inertia: float = 0.1,
    velocity_limit: float = math.inf,
) -> Robot:
    """A wheel on a drive; its axis stands upright."""
    return Robot(
        links=(
            Link(name="base", inertial=box_inertial(1.0, (0.1, 0.1, 0.1))),
            Link(
                name="wheel",
                inertial=Inertial(mass=1.0, inertia=(inertia, inertia, inertia, 0.0, 0.0, 0.0)),
            ),
        ),
        joints=(
            Joint(
                name="axle",
                kind="revolute",
                parent="base",
                child="wheel",
                axis=(0, 0, 1),
                stiffness=stiffness,
                damping=damping,
                effort_limit=limit,
                velocity_limit=velocity_limit,
            ),
        ),
    )


def test_a_drive_pulls_with_its_effort_limit_and_no_less(start: Start) -> None:
    limit, inertia, steps, dt = 12.0, 0.1, 5, 1.0 / 120.0
    scene = Scene(env_spacing=2.0)
    # Were it not limited, this drive would pull with 24 kN m.
    scene.add_robot("Rotor", rotor(limit, stiffness=40.0 * 100, damping=5.0))
    engine = start(scene, dt=dt)
    robot = engine.articulation("Rotor")
    robot.set_dof_targets(torch.full((3, 1), 6.0, device=engine.device))
    engine.step(steps)
    # Its damping belongs to the drive, and is limited with it.
    expected = torch.full((3, 1), limit / inertia * steps * dt, device=engine.device)
    torch.testing.assert_close(robot.dof_vel, expected, rtol=2e-2, atol=0.0)


def test_a_strongly_damped_drive_answers_a_step_without_delay(start: Start) -> None:
    stiffness, damping, step, dt = 400.0, 80.0, 0.1, 1.0 / 120.0
    scene = Scene(env_spacing=2.0)
    scene.add_robot("Rotor", rotor(12.0, stiffness=stiffness, damping=damping))
    engine = start(scene, dt=dt)
    robot = engine.articulation("Rotor")
    robot.set_dof_targets(torch.full((3, 1), step, device=engine.device))
    # The drive's 40 N m last for a millisecond; what stays is below the limit of 12 N m.
    for k in range(1, 13):
        engine.step()
        expected = step * (1.0 - math.exp(-stiffness / damping * k * dt))
        assert float(robot.dof_pos[0, 0]) == pytest.approx(expected, abs=0.03 * step)


def test_a_drive_keeps_its_speed_limit_and_reaches_it(start: Start) -> None:
    limit, dt = 2.5, 1.0 / 120.0
    scene = Scene(env_spacing=2.0)
    scene.add_robot("Rotor", rotor(12.0, stiffness=400.0, damping=40.0, velocity_limit=limit))
    engine = start(scene, dt=dt)
    robot = engine.articulation("Rotor")
    targets = torch.tensor((3.0, -3.0, 0.1), device=engine.device).unsqueeze(-1)
    robot.set_dof_targets(targets)
    fastest = torch.zeros(3, 1, device=engine.device)
    for _ in range(60):
        engine.step()
        fastest = torch.maximum(fastest, robot.dof_vel.abs())
    assert fastest[:2, 0].tolist() == pytest.approx([limit, limit], rel=0.02)
    assert float(fastest[2, 0]) < 0.5 * limit
    engine.step(300)
    torch.testing.assert_close(robot.dof_pos, targets, atol=1e-3, rtol=0.0)


@pytest.mark.parametrize(
    ("box_surface", "ground_surface", "friction"),
    [
        ((0.2, "min"), (0.8, "average"), 0.2),
        ((0.8, "average"), (0.2, "min"), 0.2),
        ((0.2, "min"), (0.6, "max"), 0.6),
    ],
)
def test_two_frictions_make_the_one_that_the_stronger_mode_says(
    start: Start,
    box_surface: tuple[float, Any],
    ground_surface: tuple[float, Any],
    friction: float,
) -> None:
    box_material, ground_material = (
        Material(static_friction=value, dynamic_friction=value, combine=mode)
        for value, mode in (box_surface, ground_surface)
    )
    scene = Scene(env_spacing=6.0)
    scene.add_ground(material=ground_material)
    scene.add_rigid_body("Box", box((0.2, 0.2, 0.02), material=box_material), mass=1.0)
    engine = start(scene)
    body = engine.rigid_body("Box")
    vel = torch.zeros(3, 6, device=engine.device)
    vel[:, 0] = 3.0
    body.write_state(place(engine, [0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 1.0]), vel)
    # On average: MuJoCo's cones make what slides fast hop a little.
    engine.step(96)
    slower = ((3.0 - body.vel[:, 0]) / (96 * DT)).cpu()
    torch.testing.assert_close(slower, torch.full((3,), friction * GRAVITY), rtol=0.03, atol=0.0)
