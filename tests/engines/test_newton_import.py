"""Every robot, as Newton imports it and as MuJoCo compiles it, against what was authored."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

pytest.importorskip("newton")

import newton

from isaac_gymnasium import robots
from isaac_gymnasium.engines.newton.world import UNLIMITED, World
from isaac_gymnasium.scene import Material, Robot
from isaac_gymnasium.scene.builder import Scene
from isaac_gymnasium.scene.model import Inertial, Shape

DT = 1.0 / 120.0
GROUND = Material(static_friction=0.7, dynamic_friction=0.6)


def factories() -> dict[str, Callable[[], Robot]]:
    """Every function of `robots` that makes a robot without being told anything."""
    found = {}
    for module in pkgutil.iter_modules(robots.__path__):
        namespace = vars(importlib.import_module(f"{robots.__name__}.{module.name}"))
        for name, make in namespace.items():
            if name.startswith("_") or not inspect.isfunction(make):
                continue
            parameters = inspect.signature(make).parameters.values()
            told = [p for p in parameters if p.default is inspect.Parameter.empty]
            if not told and inspect.signature(make).return_annotation in (Robot, "Robot"):
                found[name] = make
    return found


FACTORIES = factories()


@pytest.fixture(scope="module", params=FACTORIES)
def imported(request: pytest.FixtureRequest) -> Iterator[tuple[Robot, World]]:
    scene = Scene(env_spacing=3.0)
    scene.add_ground(material=GROUND)
    robot = FACTORIES[request.param]()
    scene.add_robot("Robot", robot, position=(0.0, 0.0, 1.0))
    world = World(scene, 1, DT, "cpu")
    world.root = scene.articulation_root("Robot")  # type: ignore[attr-defined]
    yield robot, world


def path(*names: str) -> str:
    return "/".join(("/World/envs/env_0/Robot", *names))


def tensor_of(inertial: Inertial) -> torch.Tensor:
    xx, yy, zz, xy, xz, yz = inertial.inertia
    return torch.tensor([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=torch.float64)


def test_the_robots_are_found() -> None:
    assert {"cartpole", "franka", "ant", "go2"} <= FACTORIES.keys()


def test_masses_and_inertias_are_those_authored(imported: tuple[Robot, World]) -> None:
    robot, world = imported
    b = world.builder
    assert len(b.body_label) == len(robot.links)
    for link in robot.links:
        body = b.body_label.index(path(link.name))
        assert b.body_mass[body] == pytest.approx(link.inertial.mass, rel=1e-6)
        assert list(b.body_com[body]) == pytest.approx(link.inertial.center_of_mass, abs=1e-6)
        found = torch.tensor(list(b.body_inertia[body]), dtype=torch.float64).view(3, 3)
        wanted = tensor_of(link.inertial)
        scale = float(wanted.diagonal().max())
        torch.testing.assert_close(found, wanted, rtol=0.0, atol=2e-4 * scale, msg=link.name)


def test_joints_have_the_limits_drives_and_rotors_authored(imported: tuple[Robot, World]) -> None:
    robot, world = imported
    b = world.builder
    for joint in robot.joints:
        index = b.joint_label.index(path("joints", joint.name))
        kind = newton.JointType(b.joint_type[index]).name
        assert kind == joint.kind.upper()
        if joint.kind == "fixed":
            continue
        dof = b.joint_qd_start[index]
        for found, wanted in (
            (b.joint_limit_lower[dof], joint.limits[0]),
            (b.joint_limit_upper[dof], joint.limits[1]),
            (b.joint_effort_limit[dof], joint.effort_limit),
            (b.joint_velocity_limit[dof], joint.velocity_limit),
        ):
            if math.isinf(wanted):
                assert abs(found) >= 1e6
                assert found * wanted > 0.0
            else:
                assert found == pytest.approx(wanted, rel=1e-5, abs=1e-7), joint.name
        assert b.joint_target_ke[dof] == pytest.approx(joint.stiffness, rel=1e-5)
        assert b.joint_target_kd[dof] == pytest.approx(joint.damping, rel=1e-5)
        assert b.joint_armature[dof] == pytest.approx(joint.armature, rel=1e-6)
        assert b.joint_friction[dof] == 0.0
        assert b.joint_q[b.joint_q_start[index]] == pytest.approx(joint.default, abs=1e-6)


KINDS = {"box": "BOX", "sphere": "SPHERE", "capsule": "CAPSULE", "cylinder": "CYLINDER"}


def scale_of(shape: Shape) -> list[float]:
    """As Newton has it: halves of edges and lengths."""
    match shape.kind:
        case "box":
            return [s / 2.0 for s in shape.size]
        case "sphere":
            return [shape.size[0]]
        case _:
            return [shape.size[0], shape.size[1] / 2.0]


def test_colliders_have_the_shapes_places_and_frictions_authored(
    imported: tuple[Robot, World],
) -> None:
    robot, world = imported
    b = world.builder
    for link in robot.links:
        body = b.body_label.index(path(link.name))
        wanted = [shape for shape in link.shapes if shape.collides]
        found = world.colliders([body])
        assert len(found) == len(wanted), link.name
        for shape in wanted:
            friction = (shape.material or Material()).dynamic_friction
            matches = [k for k in found if same_shape(b, k, shape)]
            assert matches, f"{link.name}: nothing like {shape}"
            assert b.shape_material_mu[matches[0]] == pytest.approx(friction)
            found.remove(matches[0])


def same_shape(b: Any, index: int, shape: Shape) -> bool:
    scale, (*place, x, y, z, w) = scale_of(shape), list(b.shape_transform[index])
    turned = abs(sum(p * q for p, q in zip((x, y, z, w), shape.orientation, strict=True)))
    return (
        newton.GeoType(b.shape_type[index]).name == KINDS[shape.kind]
        and list(b.shape_scale[index])[: len(scale)] == pytest.approx(scale, rel=1e-5)
        and place == pytest.approx(list(shape.position), abs=1e-6)
        and turned == pytest.approx(1.0, abs=1e-5)
    )


def test_joints_and_links_come_in_the_order_of_physx(imported: tuple[Robot, World]) -> None:
    robot, world = imported
    layout = world.articulation(world.root)  # type: ignore[attr-defined]
    # Breadth first, the children of a link by the names of their joints: what ovphysx 0.7 does.
    order = [robot.links[0].name]
    moving = []
    for name in order:
        children = sorted((j for j in robot.joints if j.parent == name), key=lambda j: j.name)
        order += [joint.child for joint in children]
    for name in order[1:]:
        joint = robot.by_child[name]
        moving += [joint.name] if joint.kind != "fixed" else []
    assert (layout.link_names, layout.dof_names) == (order, moving)
    assert (layout.root is None) == robot.fixed_base


def test_mujoco_compiles_what_was_imported(imported: tuple[Robot, World]) -> None:
    robot, world = imported
    # MuJoCo's own simulator on the CPU: its model is the one that is copied to the GPU.
    solver = newton.solvers.SolverMuJoCo(world.model, use_mujoco_cpu=True)
    compiled = solver.mj_model
    total = sum(link.inertial.mass for link in robot.links)
    assert float(compiled.body_mass.sum()) == pytest.approx(total, rel=1e-5)
    joints = {j.name: j for j in robot.dof_joints}
    assert compiled.nv == len(joints) + (0 if robot.fixed_base else 6)
    seen = set()
    for k in range(compiled.njnt):
        name = compiled.joint(k).name
        joint = next((j for n, j in joints.items() if name.split("/")[-1].endswith(n)), None)
        if joint is None:
            continue
        seen.add(joint.name)
        dof = compiled.jnt_dofadr[k]
        assert compiled.dof_armature[dof] == pytest.approx(joint.armature, rel=1e-5)
        if all(map(math.isfinite, joint.limits)):
            assert list(compiled.jnt_range[k]) == pytest.approx(list(joint.limits), rel=1e-5)
            assert compiled.jnt_limited[k]
        if joint.stiffness or joint.damping:
            drives = [a for a in range(compiled.nu) if compiled.actuator_trnid[a, 0] == k]
            gains = -sum(compiled.actuator_biasprm[a, 1:3] for a in drives)
            assert list(gains) == pytest.approx([joint.stiffness, joint.damping], rel=1e-5)
    assert seen == joints.keys()


def test_what_nothing_limits_is_not_limited_here() -> None:
    assert float(torch.finfo(torch.float32).max) == UNLIMITED
