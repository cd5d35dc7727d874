"""What belongs to the newton engine alone: that MuJoCo simulates what was authored."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tape import NoWaiting
from torch.utils._python_dispatch import _disable_current_modes

pytest.importorskip("newton")

import newton
import warp
from filelock import FileLock, Timeout

from isaac_gymnasium.engines import EngineError, available_engines, load_engine
from isaac_gymnasium.engines.newton import NewtonEngine, properties, runtime
from isaac_gymnasium.engines.newton.friction import Surface, combined, priorities
from isaac_gymnasium.engines.newton.materials import contact_gains
from isaac_gymnasium.engines.newton.mujoco import _use_one_warp
from isaac_gymnasium.engines.newton.runtime import compile_kernels, import_newton
from isaac_gymnasium.engines.newton.world import UNLIMITED, World
from isaac_gymnasium.random import RandomStreams, _launcher
from isaac_gymnasium.robots.cartpole import cartpole
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.robots.humanoid import humanoid
from isaac_gymnasium.scene import (
    Inertial,
    Joint,
    Link,
    Material,
    PhysicsSettings,
    Robot,
    box,
    box_inertial,
    capsule,
    sphere,
)
from isaac_gymnasium.scene.builder import Scene
from isaac_gymnasium.scene.mesh import TriangleMesh, box_mesh, join

N, DT = 3, 1.0 / 120.0
CPU = torch.device("cpu")


def tree() -> Robot:
    """A floating tree whose joints are listed neither breadth nor depth first."""

    def link(name: str, offset: float) -> Link:
        return Link(
            name=name,
            inertial=box_inertial(0.5 + offset, (0.1, 0.2, 0.3), center=(offset, 0.02, -offset)),
        )

    def joint(name: str, parent: str, child: str, kind: str = "revolute") -> Joint:
        return Joint(
            name=name,
            kind=kind,  # type: ignore[arg-type]
            parent=parent,
            child=child,
            position=(0.1, -0.05, 0.2),
            axis=(0.0, 1.0, 0.0),
        )

    names = ("torso", "zleg", "aleg", "mleg", "zfoot", "afoot", "mfoot", "tip")
    return Robot(
        fixed_base=False,
        links=tuple(link(name, 0.01 * k) for k, name in enumerate(names)),
        joints=(
            joint("jz", "torso", "zleg"),
            joint("jzf", "zleg", "zfoot", "prismatic"),
            joint("ja", "torso", "aleg"),
            joint("jaf", "aleg", "afoot"),
            joint("jm", "torso", "mleg", "prismatic"),
            joint("weld", "mleg", "mfoot", "fixed"),
            joint("jt", "mfoot", "tip"),
        ),
    )


@pytest.fixture
def arm() -> Iterator[Any]:
    scene = Scene(env_spacing=2.0)
    scene.add_ground(material=Material(static_friction=0.7, dynamic_friction=0.6))
    scene.add_robot("Robot", franka())
    scene.add_rigid_body("Cube", box((0.05,) * 3), density=400.0, position=(0.5, 0.0, 0.025))
    scene.add_rigid_body(
        "Balloon", sphere(0.1), mass=0.1, position=(0.0, 1.0, 1.0), disable_gravity=True
    )
    scene.add_static("Table", box((0.2, 0.2, 0.2)), position=(0.0, -1.0, 0.1))
    engine = NewtonEngine(scene, N, DT, CPU)
    yield engine
    engine.close()


def simulated(engine: Any, name: str) -> torch.Tensor:
    """What MuJoCo has of the last world."""
    return torch.as_tensor(getattr(engine.solver.mjw_model, name).numpy()[-1])


def test_mujoco_simulates_the_joints_that_were_authored(arm: Any) -> None:
    joints = franka().dof_joints
    d = len(joints)
    expected = {
        "dof_armature": [j.armature for j in joints],
        "dof_frictionloss": [0.0] * d,
        "dof_damping": [0.0] * d,
        "jnt_range": [list(j.limits) for j in joints],
        "qpos0": [0.0] * d,
    }
    for name, values in expected.items():
        torch.testing.assert_close(
            simulated(arm, name)[:d].double(), torch.tensor(values).double(), rtol=1e-6, atol=1e-7
        )
    # Force = gain * target + bias1 * position + bias2 * speed; position, then velocity actuators.
    actuators = sorted(arm.solver.mj_model.actuator_trnid[:, 0].tolist())
    assert actuators == sorted([*range(d)] * 2), "every joint has both"
    gain = torch.zeros(d, 2, dtype=torch.float64)
    bias = torch.zeros(d, 2, dtype=torch.float64)
    for k, joint in enumerate(arm.solver.mj_model.actuator_trnid[:, 0].tolist()):
        g, b = simulated(arm, "actuator_gainprm")[k], simulated(arm, "actuator_biasprm")[k]
        kind = 0 if float(b[1]) != 0.0 else 1
        gain[joint, kind] += float(g[0])
        bias[joint] += b[1:3].double()
    wanted = torch.tensor([[j.stiffness, j.damping] for j in joints], dtype=torch.float64)
    torch.testing.assert_close(gain, wanted, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(bias, -wanted, rtol=1e-6, atol=0.0)


def test_mujoco_simulates_the_bodies_that_were_authored(arm: Any) -> None:
    names = [arm.solver.mj_model.body(k).name for k in range(arm.solver.mj_model.nbody)]
    body_of = arm.solver.mjc_body_to_newton.numpy()[0]
    links = {link.name: link for link in franka().links}
    seen = set()
    for k in range(1, len(names)):
        label = arm.model.body_label[body_of[k]].rpartition("/")[2]
        gravity = float(simulated(arm, "body_gravcomp")[k])
        moments = sorted(simulated(arm, "body_inertia")[k].tolist())
        mass = float(simulated(arm, "body_mass")[k])
        seen.add(label)
        if label in links:
            inertial = links[label].inertial
            xx, yy, zz, xy, xz, yz = inertial.inertia
            tensor = torch.tensor([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=torch.float64)
            assert mass == pytest.approx(inertial.mass, rel=1e-6)
            assert moments == pytest.approx(torch.linalg.eigvalsh(tensor).tolist(), rel=1e-4)
            center = simulated(arm, "body_ipos")[k].tolist()
            assert center == pytest.approx(list(inertial.center_of_mass), abs=1e-7)
            assert gravity == 1.0
        elif label == "Cube":
            assert mass == pytest.approx(400.0 * 0.05**3, rel=1e-6)
            assert moments == pytest.approx([mass * 0.05**2 / 6] * 3, rel=1e-5)
            assert gravity == 0.0
        else:
            assert (label, gravity) == ("Balloon", 1.0)
            assert moments == pytest.approx([0.4 * 0.1 * 0.1**2] * 3, rel=1e-5)
    assert seen == {*links, "Cube", "Balloon"}


def test_mujoco_simulates_the_frictions_that_were_authored(arm: Any) -> None:
    shapes = arm.solver.mjc_geom_to_newton_shape.numpy()[0]
    friction = {
        arm.model.shape_label[shape]: float(simulated(arm, "geom_friction")[geom, 0])
        for geom, shape in enumerate(shapes)
    }
    assert len(friction) == arm.scene.num_colliders + 1
    for label, value in friction.items():
        pad = label.endswith("finger/box_1")
        expected = 1.2 if pad else 0.6 if label == "/World/ground" else 0.8
        assert value == pytest.approx(expected), label


def test_a_weightless_body_stays_and_the_others_start_where_they_were_authored(arm: Any) -> None:
    robot = arm.articulation("Robot")
    defaults = torch.tensor([j.default for j in franka().dof_joints])
    torch.testing.assert_close(robot.dof_pos, defaults.expand(N, -1))
    torch.testing.assert_close(robot.dof_targets, defaults.expand(N, -1))
    for _ in range(60):
        arm.step()
    balloon = arm.rigid_body("Balloon").pose[:, :3]
    torch.testing.assert_close(balloon, torch.tensor([[0.0, 1.0, 1.0]]).expand(N, -1))


def test_what_nothing_limits_is_told_as_physx_tells_it() -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_robot("Robot", cartpole())
    engine = NewtonEngine(scene, N, DT, CPU)
    robot = engine.articulation("Robot")
    assert robot.effort_limits.tolist() == [400.0, UNLIMITED]
    assert robot.dof_limits.tolist() == [[-4.0, 4.0], [-UNLIMITED, UNLIMITED]]
    assert robot.velocity_limits.tolist() == [100.0, 100.0]
    assert robot.get_property("dof_damping")[0].tolist() == [10.0, 0.0]
    engine.close()


def test_joints_and_links_are_in_the_order_of_physx() -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_robot("Robot", tree(), position=(0.0, 0.0, 1.0))
    engine = NewtonEngine(scene, N, DT, CPU)
    robot = engine.articulation("Robot")
    # As ovphysx 0.7 gave them: breadth first, children by the names of their joints.
    assert robot.dof_names == ["ja", "jm", "jz", "jaf", "jzf", "jt"]
    links = ["torso", "aleg", "mleg", "zleg", "afoot", "mfoot", "zfoot", "tip"]
    assert robot.link_names == links
    masses = {link.name: link.inertial.mass for link in tree().links}
    expected = torch.tensor([masses[name] for name in links])
    torch.testing.assert_close(robot.get_property("mass"), expected.expand(N, -1))
    engine.close()


def tree_state(robot: Any) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    q, qd, vel = (torch.randn(N, k, generator=generator) for k in (6, 6, 6))
    pose = torch.randn(N, 7, generator=generator)
    pose[:, 3:] /= pose[:, 3:].norm(dim=-1, keepdim=True)
    return 0.5 * q, qd, pose, vel


def test_a_floating_tree_moves_as_its_jacobian_says() -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_robot("Robot", tree(), position=(0.0, 0.0, 1.0))
    engine = NewtonEngine(scene, N, DT, CPU)
    robot = engine.articulation("Robot")
    q, qd, pose, vel = tree_state(robot)
    robot.write_root_state(pose, vel)
    robot.write_dof_state(q, qd)
    torch.testing.assert_close(robot.link_pose[:, 0], pose, atol=1e-6, rtol=0.0)
    torch.testing.assert_close(robot.link_vel[:, 0], vel, atol=1e-6, rtol=0.0)
    speeds = torch.cat((vel, qd), dim=-1)
    for link in range(len(robot.link_names)):
        twist = (robot.link_jacobian(link) * speeds.unsqueeze(1)).sum(-1)
        torch.testing.assert_close(twist, robot.link_vel[:, link], atol=1e-5, rtol=1e-5)
    # Kinetic energy by bodies and by the mass matrix.
    energy = 0.5 * (speeds * (robot.mass_matrix @ speeds.unsqueeze(-1)).squeeze(-1)).sum(-1)
    mass = robot.get_property("mass")
    linear = 0.5 * (mass * robot.link_vel[..., :3].square().sum(-1)).sum(-1)
    assert bool((energy > linear).all())
    force = robot.gravity_force[:, :3]
    expected = torch.tensor([0.0, 0.0, 9.81]) * mass.sum(-1, keepdim=True)
    torch.testing.assert_close(force, expected, rtol=1e-5, atol=1e-5)
    engine.close()


def test_a_masked_write_reaches_permuted_joints_of_its_rows_alone() -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_robot("Robot", tree(), position=(0.0, 0.0, 1.0))
    engine = NewtonEngine(scene, N, DT, CPU)
    robot = engine.articulation("Robot")
    engine.step(2)
    before = {k: getattr(robot, k).clone() for k in ("dof_pos", "dof_vel", "link_pose")}
    mask = torch.tensor([False, True, False])
    q, qd, _, _ = tree_state(robot)
    robot.write_dof_state(q, qd, mask)
    for name, old in before.items():
        now = getattr(robot, name)
        assert torch.equal(now[~mask], old[~mask]), name
    targets = robot.dof_names.index("jzf")
    joint = engine.model.joint_label.index("/World/envs/env_0/Robot/joints/jzf")
    coord = engine.world.builder.joint_q_start[joint]
    assert float(engine.array("joint_q", of=engine.state)[1, coord]) == float(q[1, targets])
    engine.close()


def test_a_force_acts_at_the_origin_of_a_body_whose_mass_is_elsewhere() -> None:
    scene = Scene(env_spacing=2.0)
    inertial = Inertial(
        mass=2.0, center_of_mass=(0.3, 0.0, 0.0), inertia=(0.01, 0.02, 0.02, 0.0, 0.0, 0.0)
    )
    scene.add_rigid_body("Body", capsule(0.05, 0.2), inertial=inertial, disable_gravity=True)
    engine = NewtonEngine(scene, N, DT, CPU)
    body = engine.rigid_body("Body")
    body.apply_wrench(torch.tensor([[0.0, 0.0, 1.0]]).expand(N, -1), torch.zeros(N, 3))
    engine.step()
    expected = torch.tensor([[0.0, 0.0, DT / 2.0, 0.0, 0.3 * DT / 0.02, 0.0]]).expand(N, -1)
    # What is left is the centre's turn about the origin within one step.
    torch.testing.assert_close(body.vel, expected, rtol=1e-3, atol=1e-4)
    engine.step()
    torch.testing.assert_close(body.vel[:, :3].norm(dim=-1), expected[:, 2], rtol=2e-2, atol=0.0)
    engine.close()


def test_recorded_substeps_change_no_bit() -> None:
    def run(records: bool) -> torch.Tensor:
        scene = Scene(env_spacing=2.0)
        scene.add_ground()
        scene.add_rigid_body("Cube", box((0.1,) * 3), mass=0.1, position=(0.0, 0.0, 0.2))
        scene.add_robot("Robot", cartpole(), position=(0.0, 0.0, 2.0))
        engine = NewtonEngine(scene, N, DT, CPU)
        engine._records = records
        robot, cube = engine.articulation("Robot"), engine.rigid_body("Cube")
        rows = []
        for k in range(40):
            robot.set_dof_efforts(torch.full((N, 2), 5.0 - k))
            if k == 20:
                robot.write_dof_state(
                    torch.full((N, 2), 0.1), torch.zeros(N, 2), torch.arange(N) == 1
                )
            engine.step(2)
            rows.append(torch.cat((robot.dof_pos, cube.pose), dim=-1).clone())
        assert bool(engine._graphs) == records
        engine.close()
        return torch.stack(rows)

    assert torch.equal(run(True), run(False))


def test_where_substeps_cannot_be_recorded_each_is_launched_and_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_robot("Robot", cartpole(), position=(0.0, 0.0, 2.0))
    recorded, plain = (NewtonEngine(scene, N, DT, CPU) for _ in range(2))

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no graphs here")

    for engine in (recorded, plain):
        if engine is plain:
            monkeypatch.setattr(engine._wp, "ScopedCapture", refuse)
        engine.articulation("Robot").set_dof_efforts(torch.full((N, 2), 3.0))
        for _ in range(3):
            engine.step(2)
    assert recorded._graphs[2] is not None
    said = [r.getMessage() for r in caplog.records if r.name == "isaac_gymnasium.newton"]
    assert [x for x in said if "graph" in x] == [
        "Newton steps without a graph, which is slower: no graphs here"
    ]
    places = [engine.articulation("Robot").dof_pos for engine in (recorded, plain)]
    assert torch.equal(*places) and bool(places[0].abs().max() > 0.0)
    recorded.close()
    plain.close()


@pytest.mark.parametrize("restitution", [0.3, 0.6, 0.9])
def test_contacts_return_the_speed_that_restitution_says(restitution: float) -> None:
    # One dimension, by itself: a unit mass on the spring and damper.
    dt = 1e-5
    stiffness, damping = (float(x) for x in contact_gains(torch.tensor(restitution), DT))
    x, v = 0.0, -1.0
    while True:
        force = -stiffness * x - damping * v
        if force < 0.0:
            break
        v += force * dt
        x += v * dt
    assert v == pytest.approx(restitution, abs=0.01)


@pytest.mark.parametrize(
    ("stiffness", "damping", "felt"),
    [(0.0, 0.0, False), (0.0, 0.1, False), (0.0, 0.2, True), (20.0, 0.0, True)],
)
def test_contacts_feel_the_drives_that_weigh(stiffness: float, damping: float, felt: bool) -> None:
    scene = Scene(env_spacing=2.0)
    joint = Joint(
        name="shaft",
        kind="revolute",
        parent="base",
        child="disc",
        stiffness=stiffness,
        damping=damping,
        armature=0.01,
    )
    links = [Link(name=name, inertial=box_inertial(1.0, (0.1,) * 3)) for name in ("base", "disc")]
    scene.add_robot("Wheel", Robot(links=tuple(links), joints=(joint,)), position=(0.0, 0.0, 1.0))
    assert World(scene, 1, DT, "cpu").driven == felt


def test_where_nothing_bounces_contacts_are_critically_damped() -> None:
    stiffness, damping = contact_gains(torch.zeros(2), DT)
    assert stiffness.tolist() == [2500.0] * 2
    assert damping.tolist() == [100.0] * 2


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> NoWaiting:
    """On the CPU, Warp's arrays look to torch like numbers of Python's."""
    to_torch = warp.to_torch

    def as_on_a_gpu(array: Any) -> torch.Tensor:
        with _disable_current_modes():
            return to_torch(array)

    monkeypatch.setattr(warp, "to_torch", as_on_a_gpu)
    return NoWaiting()


@pytest.mark.parametrize("name", [*properties.JOINT, *properties.BODY, *properties.SHAPE])
def test_a_property_is_read_and_written_without_waiting(
    arm: Any, no_waiting: NoWaiting, name: str
) -> None:
    of_robot = arm.articulation("Robot")._properties
    with no_waiting:
        of_robot.set(name, of_robot.get(name))


def test_gravity_is_written_without_waiting(arm: Any, no_waiting: NoWaiting) -> None:
    gravity, mask = torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([True, False, True])
    with no_waiting:
        arm.set_gravity(gravity, mask)
    arm.step()
    assert arm.solver.mjw_model.opt.gravity.numpy()[:, 2].tolist() == pytest.approx(
        [-1.0, -9.81, -3.0]
    )


def test_the_solver_hears_once_of_all_that_changed(
    arm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(arm.solver, "notify_model_changed", told.append)
    cube, flags = arm.rigid_body("Cube"), newton.ModelFlags
    for name in ("mass", "inertia", "material"):
        cube.set_property(name, 2.0 * cube.get_property(name))
    assert told == []
    arm.step()
    arm.step()
    assert told == [flags.BODY_INERTIAL_PROPERTIES | flags.SHAPE_PROPERTIES]


@pytest.mark.parametrize(
    ("name", "factor", "simulated_as"),
    [
        ("dof_stiffness", 0.5, "actuator_gainprm"),
        ("dof_damping", 0.5, "actuator_gainprm"),
        ("dof_armature", 2.0, "dof_armature"),
        ("dof_max_effort", 0.5, "jnt_actfrcrange"),
        ("dof_limits", 0.5, "jnt_range"),
        ("mass", 2.0, "body_mass"),
        ("inertia", 2.0, "body_inertia"),
        ("center_of_mass", 0.5, "body_ipos"),
        ("material", 0.5, "geom_friction"),
    ],
)
def test_a_changed_property_reaches_mujoco_in_its_rows_alone(
    arm: Any, name: str, factor: float, simulated_as: str
) -> None:
    robot = arm.articulation("Robot")
    arm.step(2)
    array = getattr(arm.solver.mjw_model, simulated_as)
    before, old = array.numpy().copy(), robot.get_property(name)
    mask = torch.tensor([True, False, False])
    robot.set_property(name, old * factor, mask)
    now = robot.get_property(name)
    torch.testing.assert_close(now[~mask], old[~mask], rtol=0.0, atol=0.0)
    changed = now[mask][..., :3] if name == "center_of_mass" else now[mask]
    wanted = (old[mask] * factor)[..., : changed.shape[-1]]
    torch.testing.assert_close(changed, wanted, rtol=1e-6, atol=0.0)
    arm.step(2)  # in each of which limits of drives are computed anew
    after = array.numpy()
    moved = abs(after - before) > 1e-3 * abs(before)
    assert moved[0].any()
    assert not moved[1:].any()
    assert bool(robot.dof_pos.isfinite().all())


def test_contacts_that_do_not_fit_are_warned_of_once() -> None:
    scene = Scene(env_spacing=2.0, settings=PhysicsSettings(contacts_per_env=2))
    scene.add_ground()
    scene.add_rigid_body("Cube", box((0.1,) * 3), mass=0.1, position=(0.0, 0.0, 0.06))
    engine = NewtonEngine(scene, N, DT, CPU)
    with pytest.warns(RuntimeWarning, match="dropped contacts.*contacts_per_env") as caught:
        for _ in range(30):
            engine.step()
    assert len(caught) == 1
    engine.close()


def test_a_bolted_base_cannot_be_moved(arm: Any) -> None:
    robot = arm.articulation("Robot")
    with pytest.raises(EngineError, match="Robot: its base is bolted"):
        robot.write_root_state(robot.root_pose, robot.root_vel)


@pytest.mark.skipif("physx" not in available_engines(), reason="needs both engines")
def test_both_engines_tell_the_same_of_a_robot() -> None:
    told = []
    for name in ("physx", "newton"):
        scene = Scene(env_spacing=2.0)
        scene.add_robot("Robot", franka(gravity_compensation=False))
        engine = load_engine(name)(scene, 2, DT, CPU)
        robot = engine.articulation("Robot")
        q = robot.dof_pos + 0.2 * torch.arange(9) / 9 - 0.1 * (torch.arange(9) > 6)
        robot.write_dof_state(q, torch.ones_like(q))
        pose = robot.link_pose.clone()
        pose[..., :3] -= engine.env_origins.unsqueeze(1)
        told.append(
            {
                "link_pose": pose.abs(),
                "link_vel": robot.link_vel.clone(),
                "jacobian": robot.jacobian.clone(),
                "mass_matrix": robot.mass_matrix.clone(),
                "gravity_force": robot.gravity_force.clone(),
            }
            | {k: robot.get_property(k) for k in ("mass", "inertia", "material", "dof_friction")}
            | {"limits": robot.dof_limits, "efforts": robot.effort_limits}
        )
        names = (robot.dof_names, robot.link_names)
        engine.close()
    assert names[0] == [j.name for j in franka().dof_joints]
    for key, value in told[0].items():
        torch.testing.assert_close(told[1][key], value, rtol=1e-3, atol=1e-4, msg=key)


@pytest.mark.skipif("physx" not in available_engines(), reason="needs both engines")
def test_both_engines_move_a_thrown_humanoid_alike_between_its_stops() -> None:
    n, dt, moved = 4, 1.0 / 960.0, []
    for name in ("physx", "newton"):
        scene = Scene(env_spacing=4.0)
        scene.add_ground()
        scene.add_robot("Robot", humanoid(), position=(0.0, 0.0, 1.34))
        engine = load_engine(name)(scene, n, dt, CPU)
        robot = engine.articulation("Robot")
        generator = torch.Generator().manual_seed(0)

        def random(width: int, most: float, generator: torch.Generator = generator) -> torch.Tensor:
            return most * (2.0 * torch.rand(n, width, generator=generator) - 1.0)

        dofs = len(robot.dof_names)
        middle = robot.dof_limits.mean(-1).expand(n, dofs)
        pose = torch.tensor((0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 1.0)).repeat(n, 1)
        pose[:, :3] += engine.env_origins
        start = [random(dofs, 2.0), random(6, 2.0)]
        robot.write_dof_state(middle, start[0])
        robot.write_root_state(pose, start[1])
        robot.set_dof_efforts(random(dofs, 10.0))
        for _ in range(16):
            engine.step()
        moved.append([robot.dof_vel - start[0], robot.root_vel - start[1]])
        engine.close()
    for here, there in zip(*moved, strict=True):
        assert float(here.square().mean().sqrt()) > 0.3
        assert float((here - there).norm() / here.norm()) < 0.02


def test_priorities_say_what_modes_of_combining_frictions_mean() -> None:
    ground, pad = Surface(0.8, "average"), Surface(1.2, "max")
    cube, ice, rubber = Surface(0.3, "min"), Surface(0.1, "max"), Surface(0.9, "average")
    assert combined(ground, rubber) == pytest.approx(0.85)
    assert combined(Surface(0.5, "multiply"), cube) == pytest.approx(0.15)
    chosen = priorities([ground, pad, cube, ice, ground])
    assert chosen.keys() == {ground, pad, cube, ice}

    def between(a: Surface, b: Surface) -> float:
        if chosen[a] == chosen[b]:
            return max(a.friction, b.friction)
        return max((a, b), key=lambda surface: chosen[surface]).friction

    for a, b in itertools.combinations(chosen, 2):
        assert between(a, b) == combined(a, b), (a, b)
    # Nothing lies between two coefficients: the nearer one.
    assert len(set(priorities([ground, rubber]).values())) <= 2


def test_balls_lie_on_ground_that_is_a_mesh() -> None:
    steps = [box_mesh((0.3 * k, -1.0, -1.0), (4.0, 1.0, 0.1 * k)) for k in range(4)]
    scene = Scene(env_spacing=1.0)
    scene.add_terrain(join([box_mesh((-4.0, -4.0, -2.0), (4.0, 4.0, 0.0)), *steps]))
    scene.add_rigid_body("Ball", sphere(0.05), mass=0.1, position=(0.0, 0.0, 1.0))
    engine = NewtonEngine(scene, 5, DT, CPU)
    ball = engine.rigid_body("Ball")
    pose = ball.pose.clone()
    # On the plain, in the middle of each step, and nowhere.
    pose[:, 0] = torch.tensor((-1.0, 0.45, 0.75, 1.5, 9.0))
    pose[:, 2] = 0.05 + torch.tensor((0.001, 0.101, 0.201, 0.301, 0.3))
    ball.write_state(pose, torch.zeros(5, 6))
    engine.step(120)
    height = ball.pose[:, 2] - 0.05
    torch.testing.assert_close(height[:4], torch.tensor((0.0, 0.1, 0.2, 0.3)), atol=1e-3, rtol=0)
    assert height[4] < -1.0
    # Nothing holds a ball that has been touched, but nothing pushes it either.
    torch.testing.assert_close(ball.pose[:4, :2], pose[:4, :2], atol=0.03, rtol=0)
    engine.close()


def riser(height: float, deterministic: bool = False) -> tuple[NewtonEngine, Any]:
    """Level ground with a step up at x = 0, and a ball of 0.05 m in each of five worlds."""
    scene = Scene(env_spacing=1.0)
    ground = box_mesh((-4.0, -4.0, -2.0), (4.0, 4.0, 0.0))
    step = box_mesh((0.0, -4.0, -2.0), (4.0, 4.0, height))
    scene.add_terrain(join([ground, step]))
    scene.add_rigid_body("Ball", sphere(0.05), mass=0.1, position=(0.0, 0.0, 1.0))
    engine = NewtonEngine(scene, 5, DT, CPU, deterministic=deterministic)
    return engine, engine.rigid_body("Ball")


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_riser_pushes_back_by_as_much_as_is_in_it_and_never_up(deterministic: bool) -> None:
    engine, ball = riser(0.2, deterministic)
    pose = ball.pose.clone()
    depth = torch.tensor((-0.03, -0.001, 0.001, 0.003, 0.005))
    pose[:, 0] = depth - 0.05
    pose[:, 2] = 0.05
    ball.write_state(pose, torch.zeros(5, 6))
    speed = torch.zeros(5)
    for _ in range(30):
        engine.step()
        speed = torch.maximum(speed, ball.vel[:, :3].norm(dim=-1))
        assert float((ball.pose[:, 2] - 0.05).abs().max()) < 2e-3
    assert float(speed.max()) < 0.5
    # Out of the wall, and untouched where it was not in it.
    assert float(ball.pose[:, 0].max()) < -0.049
    torch.testing.assert_close(ball.pose[:2, :2], pose[:2, :2], atol=1e-3, rtol=0)
    engine.close()


def test_a_box_stays_on_a_slope_that_is_a_mesh_and_slides_where_it_is_smooth() -> None:
    slope = 0.3
    rise = 4.0 * slope
    corners = [(-4.0, y, -rise) for y in (-2.0, 2.0)] + [(4.0, y, rise) for y in (2.0, -2.0)]
    mesh = TriangleMesh(np.array(corners, np.float32), np.array([(0, 2, 1), (0, 3, 2)], np.int32))
    for friction, way in ((1.0, 0.0), (0.1, None)):
        material = Material(static_friction=friction, dynamic_friction=friction)
        scene = Scene(env_spacing=1.0)
        scene.add_terrain(mesh, material=material)
        shape = box((0.2, 0.2, 0.1), material=material)
        scene.add_rigid_body("Box", shape, mass=1.0, position=(0.0, 0.0, 1.0))
        engine = NewtonEngine(scene, 1, DT, CPU)
        body = engine.rigid_body("Box")
        angle = math.atan(slope)
        pose = body.pose.clone()
        pose[:, 0], pose[:, 2] = -0.05 * math.sin(angle), 0.05 * math.cos(angle)
        pose[:, 3:] = torch.tensor((0.0, -math.sin(angle / 2), 0.0, math.cos(angle / 2)))
        body.write_state(pose, torch.zeros(1, 6))
        engine.step(120)
        moved = float((body.pose[:, :3] - pose[:, :3]).norm())
        if way is None:
            way = 0.5 * 9.81 * (math.sin(angle) - friction * math.cos(angle))
        assert moved == pytest.approx(way, rel=0.03, abs=2e-3)
        engine.close()


def test_contacts_with_the_ground_s_triangles_that_do_not_fit_are_warned_of() -> None:
    scene = Scene(env_spacing=1.0, settings=PhysicsSettings(contacts_per_env=2))
    scene.add_terrain(box_mesh((-4.0, -4.0, -2.0), (4.0, 4.0, 0.0)))
    scene.add_rigid_body("Box", box((0.2, 0.2, 0.2)), mass=1.0, position=(0.0, 0.0, 0.0995))
    engine = NewtonEngine(scene, 2, DT, CPU)
    with pytest.warns(RuntimeWarning, match="raise PhysicsSettings.contacts_per_env"):
        engine.step()
    engine.close()


SILENT = """
import torch
from isaac_gymnasium.engines.newton import NewtonEngine
from isaac_gymnasium.scene import sphere
from isaac_gymnasium.scene.builder import Scene
scene = Scene(env_spacing=1.0)
scene.add_rigid_body("Ball", sphere(0.1), mass=0.1, position=(0.0, 0.0, 1.0))
engine = NewtonEngine(scene, 4, 1 / 120, torch.device("cpu"))
engine.step()
engine.close()
"""


def test_a_simulation_prints_nothing() -> None:
    exec(SILENT, {})  # compiles what was not yet, which is announced
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", SILENT],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_other_threads_launch_their_kernels_while_those_of_a_step_are_listed() -> None:
    streams = RandomStreams(N, CPU)
    streams._launch = _launcher(CPU)
    assert streams._launch is not None
    found = []

    def launch_in_another_thread() -> None:
        thread = threading.Thread(target=lambda: found.append(streams.bits(8)))
        thread.start()
        thread.join()

    compile_kernels(launch_in_another_thread)
    assert torch.equal(found[0], RandomStreams(N, CPU).bits(8))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for compiled kernels."""
    import_newton()  # starts Warp, which settles the usual one
    monkeypatch.setattr(warp.config, "kernel_cache_dir", str(tmp_path))
    return tmp_path


@warp.kernel(module="unique")
def double(values: warp.array(dtype=float)) -> None:
    values[warp.tid()] *= 2.0


def test_compiling_is_announced_once_and_kept(
    own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = warp.ones(3, dtype=float, device="cpu")

    def launch() -> None:
        warp.launch(double, dim=3, inputs=[values], device="cpu")

    compile_kernels(launch)
    assert values.numpy().tolist() == [1.0] * 3, "nothing is launched"
    assert "Newton compiles its kernels, once (physics step)" in capsys.readouterr().err
    assert list(own_cache.rglob("*.o"))
    compile_kernels(launch)
    assert "compiles" not in capsys.readouterr().err
    launch()
    assert values.numpy().tolist() == [2.0] * 3


def put_together(factors: list[float]) -> tuple[warp.Kernel, warp.Function]:
    """A kernel like those of MuJoCo Warp that call functions from a list, and what these call."""

    @warp.func
    def multiply(values: warp.array(dtype=float), k: int, factor: float):
        values[k] *= factor

    def by(factor: float) -> warp.Function:
        @warp.func
        def scale(values: warp.array(dtype=float), k: int):
            multiply(values, k, factor)

        return scale

    functions = [by(factor) for factor in factors]

    @warp.kernel(module="unique", enable_backward=False)
    def scaled(values: warp.array(dtype=float)):
        k = warp.tid()
        for i in range(warp.static(len(functions))):
            warp.static(functions[i])(values, k)

    return scaled, multiply


def test_a_kernel_is_named_as_ever_though_what_it_calls_is_not_written(
    own_cache: Path,
) -> None:
    values = warp.ones(3, dtype=float, device="cpu")
    made: list[warp.Kernel] = []

    def launch() -> None:
        kernel, multiply = put_together([2.0, 3.0])
        assert not hasattr(multiply.adj, "blocks"), "its code was written"
        made.append(kernel)
        warp.launch(kernel, dim=3, inputs=[values], device="cpu")

    compile_kernels(launch)
    # Warp returns a kernel that it has under this name already.
    assert put_together([2.0, 3.0])[0] is made[0]
    assert put_together([2.0, 5.0])[0] is not made[0]
    warp.launch(made[0], dim=3, inputs=[values], device="cpu")
    assert values.numpy().tolist() == [6.0] * 3


@warp.kernel(module="unique")
def triple(values: warp.array(dtype=float)) -> None:
    values[warp.tid()] *= 3.0


@pytest.mark.parametrize("patience", [60.0, 0.2])
def test_processes_that_share_a_cache_compile_in_turns_unless_one_takes_too_long(
    patience: float, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = warp.ones(3, dtype=float, device="cpu")
    monkeypatch.setattr(runtime, "_PATIENCE", patience)
    asked, refused = threading.Event(), threading.Event()

    class Watched(FileLock):
        def acquire(self, *args: Any, **kwargs: Any) -> Any:
            asked.set()
            try:
                return super().acquire(*args, **kwargs)
            except Timeout:
                refused.set()
                raise

    monkeypatch.setattr(runtime, "FileLock", Watched)
    kernel = warp.Kernel(triple.func, key=f"triple_{patience}".replace(".", "_"))

    def launch() -> None:
        warp.launch(kernel, dim=3, inputs=[values], device="cpu")

    other = FileLock(own_cache / "isaac_gymnasium.lock")
    thread = threading.Thread(target=compile_kernels, args=(launch,))
    with other:
        thread.start()
        assert asked.wait(60.0), "it should ask for its turn before it compiles"
        assert refused.wait(2.0 if patience > 2.0 else 60.0) == (patience < 2.0)
        if refused.is_set():
            thread.join(60.0)
        assert thread.is_alive() == (patience > 2.0)
        assert bool(list(own_cache.rglob("*.o"))) == refused.is_set()
    thread.join(60.0)
    assert list(own_cache.rglob("*.o"))


def test_one_warp_of_threads_shares_out_the_matrices_of_small_worlds_alone() -> None:
    types = pytest.importorskip("mujoco_warp._src.types")
    usual = types.BlockDim()
    scene = Scene(env_spacing=2.0)
    scene.add_robot("Robot", cartpole())
    engine = NewtonEngine(scene, N, DT, CPU)
    blocks = engine.solver.mjw_model.block_dim
    engine.close()
    assert blocks.update_gradient_JTDAJ_dense == blocks.update_gradient_cholesky == 32
    assert blocks.cholesky_solve == blocks.small_cholesky == blocks.eff_pcg == 32
    large = SimpleNamespace(nv_pad=32, block_dim=types.BlockDim())
    _use_one_warp(large)
    assert large.block_dim == usual != blocks
