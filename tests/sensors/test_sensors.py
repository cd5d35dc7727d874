"""Contact times of a scripted foot, forces under a known weight, an IMU in known motions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from isaac_gymnasium.engines import Engine, load_engine
from isaac_gymnasium.scene import Joint, Link, Robot, box, box_inertial
from isaac_gymnasium.scene.builder import Scene
from isaac_gymnasium.sensors import ContactSensor, Imu

N, DT = 4, 0.005
SIZE, MASS = (0.2, 0.2, 0.1), 2.0


def scene() -> Scene:
    scene = Scene(env_spacing=3.0)
    scene.add_ground()
    scene.add_rigid_body("Box", box(SIZE), mass=MASS, position=(0.0, 0.0, 0.05))
    base = box_inertial(1.0, (0.1, 0.1, 0.1))
    spinner = Robot(
        links=(
            Link(name="base", inertial=base),
            Link(name="arm", inertial=box_inertial(1.0, SIZE, center=(0.1, 0.0, 0.0))),
        ),
        joints=(Joint(name="spin", kind="revolute", parent="base", child="arm"),),
    )
    scene.add_robot("Spinner", spinner, position=(1.0, 0.0, 1.0))
    free = Robot(
        links=(Link(name="base", inertial=base), Link(name="tail", inertial=base)),
        joints=(Joint(name="hinge", kind="revolute", parent="base", child="tail", damping=1.0),),
        fixed_base=False,
    )
    scene.add_robot("Faller", free, position=(-1.0, 0.0, 5.0))
    scene.enable_contact_reports("Box")
    return scene


@pytest.fixture
def engine(engine_name: str, device: torch.device) -> Iterator[Engine]:
    engine = load_engine(engine_name)(scene(), N, DT, device)
    yield engine
    engine.close()


def test_a_scripted_foot(engine: Engine) -> None:
    sensor = ContactSensor(engine, ["Box"], threshold=1.0)
    sensor.reset(torch.ones(N, dtype=torch.bool, device=engine.device))
    script = [20.0] * 3 + [0.5] * 4 + [5.0] * 2 + [0.0]
    seen = []
    for force in script:
        sensor.advance(torch.full((N, 1), force, device=engine.device), 0.02)
        names = ("touching", "landed", "air_time", "contact_time", "last_air_time")
        seen.append([float(getattr(sensor, name)[0, 0]) for name in names])
    touching, landed, air, contact, last = zip(*seen, strict=True)
    assert touching == (1.0,) * 3 + (0.0,) * 4 + (1.0,) * 2 + (0.0,)
    assert landed == (0.0,) * 7 + (1.0,) + (0.0,) * 2
    assert air == pytest.approx((0, 0, 0, 0.02, 0.04, 0.06, 0.08, 0, 0, 0.02))
    assert contact == pytest.approx((0.02, 0.04, 0.06, 0, 0, 0, 0, 0.02, 0.04, 0))
    assert last == pytest.approx((0,) * 7 + (0.1,) * 3)
    mask = torch.arange(N, device=engine.device) == 1
    sensor.reset(mask)
    assert sensor.last_air_time[:, 0].tolist() == pytest.approx([0.1, 0.0, 0.1, 0.1])
    assert sensor.touching[:, 0].tolist() == [False, True, False, False]


def test_a_resting_box_presses_with_its_weight_and_a_lifted_one_with_nothing(
    engine: Engine,
) -> None:
    sensor, body = ContactSensor(engine, ["Box"]), engine.rigid_body("Box")
    for _ in range(100):
        engine.step()
    sensor.update(DT)
    weight = torch.full((N, 1), MASS * 9.81, device=engine.device)
    torch.testing.assert_close(sensor.force, weight, rtol=0.02, atol=0.0)
    assert sensor.touching.all()
    pose = body.pose.clone()
    pose[:, 2] += 1.0
    mask = torch.arange(N, device=engine.device) < 2
    body.write_state(pose, torch.zeros_like(body.vel), mask)
    engine.step()
    sensor.update(DT)
    assert sensor.touching[:, 0].tolist() == [False, False, True, True]


def test_an_imu_feels_weight_at_rest_and_none_in_free_fall(engine: Engine) -> None:
    faller = engine.articulation("Faller")
    still = Imu(engine, engine.articulation("Spinner"), "base")
    falling = Imu(engine, faller, "base", position=(0.0, 0.0, 0.02))
    everybody = torch.ones(N, dtype=torch.bool, device=engine.device)
    for imu in (still, falling):
        imu.reset(everybody)
    for _ in range(20):
        engine.step()
        for imu in (still, falling):
            imu.update(DT)
    up = torch.tensor((0.0, 0.0, 9.81), device=engine.device).expand(N, 3)
    torch.testing.assert_close(still.specific_force, up, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(falling.specific_force, torch.zeros_like(up), atol=0.02, rtol=0.0)


def test_an_imu_on_a_turning_arm_feels_the_centripetal_force(engine: Engine) -> None:
    robot = engine.articulation("Spinner")
    half = math.radians(90.0) / 2
    turned = (0.0, 0.0, math.sin(half), math.cos(half))
    plain = Imu(engine, robot, "arm", position=(0.3, 0.0, 0.0))
    rotated = Imu(engine, robot, "arm", position=(0.3, 0.0, 0.0), orientation=turned)
    speed = 2.0
    vel = torch.full((N, 1), speed, device=engine.device)
    robot.write_dof_state(torch.zeros_like(vel), vel)
    for _ in range(5):
        engine.step()
        plain.update(DT)
        rotated.update(DT)
    inward = -speed * speed * 0.3
    expected = torch.tensor((inward, 0.0, 9.81), device=engine.device).expand(N, 3)
    torch.testing.assert_close(plain.specific_force, expected, atol=0.02, rtol=0.0)
    # The sensor's x axis points along the arm's y, so that the arm's x is its -y.
    expected = torch.tensor((0.0, -inward, 9.81), device=engine.device).expand(N, 3)
    torch.testing.assert_close(rotated.specific_force, expected, atol=0.02, rtol=0.0)
    spin = torch.tensor((0.0, 0.0, speed), device=engine.device).expand(N, 3)
    torch.testing.assert_close(rotated.angular_velocity, spin, atol=1e-3, rtol=0.0)
