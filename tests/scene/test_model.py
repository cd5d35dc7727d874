"""Scenes as plain data: what is refused, and what follows from the numbers."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from isaac_gymnasium.robots import cartpole as cartpole_module
from isaac_gymnasium.robots import franka as franka_module
from isaac_gymnasium.robots.cartpole import cartpole
from isaac_gymnasium.robots.franka import ARM_JOINTS, FINGER_JOINTS, HOME, franka
from isaac_gymnasium.scene import (
    Inertial,
    Joint,
    Link,
    Material,
    PhysicsSettings,
    Robot,
    Shape,
    box,
    box_inertial,
    capsule,
    cylinder,
    model,
    sphere,
)

INERTIAL = box_inertial(1.0, (0.1, 0.1, 0.1))


def links(*names: str) -> tuple[Link, ...]:
    return tuple(Link(name=name, inertial=INERTIAL) for name in names)


def hinge(name: str, parent: str, child: str, **kwargs: Any) -> Joint:
    return Joint(name=name, kind="revolute", parent=parent, child=child, **kwargs)


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("box", (1.0, 1.0)),
        ("box", (1.0, 0.0, 1.0)),
        ("box", (1.0, -1.0, 1.0)),
        ("box", (1.0, math.inf, 1.0)),
        ("sphere", (0.1, 0.1)),
        ("sphere", (math.nan,)),
        ("sphere", ()),
        ("capsule", (0.1,)),
        ("capsule", (0.1, 0.0)),
        ("cylinder", (-0.1, 1.0)),
    ],
)
def test_sizes_must_be_positive_finite_and_as_many_as_the_kind_takes(
    kind: Any, size: tuple[float, ...]
) -> None:
    takes = {"box": 3, "sphere": 1, "capsule": 2, "cylinder": 2}[kind]
    with pytest.raises(ValueError, match=f"a {kind} takes {takes} positive, finite lengths, got"):
        Shape(kind=kind, size=size)


def test_the_constructors_say_what_they_build() -> None:
    where = {"position": (1.0, 2.0, 3.0), "collides": False}
    assert box((1.0, 2.0, 3.0), **where) == Shape(kind="box", size=(1.0, 2.0, 3.0), **where)
    assert sphere(0.5, **where) == Shape(kind="sphere", size=(0.5,), **where)
    assert capsule(0.5, 2.0, **where) == Shape(kind="capsule", size=(0.5, 2.0), **where)
    assert cylinder(0.5, 2.0, **where) == Shape(kind="cylinder", size=(0.5, 2.0), **where)
    with pytest.raises(TypeError, match="colour"):
        box((1.0, 1.0, 1.0), colour=(1.0, 0.0, 0.0))


def inside(shape: Shape, points: np.ndarray) -> np.ndarray:
    """Which points lie in a shape, from its definition."""
    x, y, z = points.T
    if shape.kind == "box":
        return (np.abs(points) <= np.array(shape.size) / 2).all(-1)
    if shape.kind == "sphere":
        return np.linalg.norm(points, axis=-1) <= shape.size[0]
    radius, length = shape.size
    if shape.kind == "cylinder":
        return (np.hypot(x, y) <= radius) & (np.abs(z) <= length / 2)
    nearest = np.stack((0 * x, 0 * y, np.clip(z, -length / 2, length / 2)), axis=-1)
    return np.linalg.norm(points - nearest, axis=-1) <= radius


@pytest.mark.parametrize(
    "shape", [box((0.4, 0.8, 1.2)), sphere(0.6), capsule(0.3, 0.7), cylinder(0.5, 0.92)]
)
def test_volumes_are_those_of_the_points_inside(shape: Shape) -> None:
    axis = np.linspace(-1.0, 1.0, 101)[:-1] + 0.01
    grid = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    counted = inside(shape, grid).sum() * 0.02**3
    assert shape.volume == pytest.approx(counted, rel=0.01)


def test_the_inertia_of_a_box_is_the_sum_over_its_points() -> None:
    size, mass, center = np.array([0.2, 0.5, 1.1]), 3.0, (0.1, 0.2, 0.3)
    cells = [(np.arange(60) + 0.5) / 60 * s - s / 2 for s in size]
    points = np.stack(np.meshgrid(*cells), axis=-1).reshape(-1, 3)
    squares = (points**2).mean(0) * mass
    inertial = box_inertial(mass, tuple(size), center=center)
    expected = (squares[1] + squares[2], squares[0] + squares[2], squares[0] + squares[1], 0, 0, 0)
    assert inertial.inertia == pytest.approx(expected, rel=1e-3)
    assert (inertial.mass, inertial.center_of_mass) == (mass, center)


# ---------------------------------------------------------------------- joints


@pytest.mark.parametrize("axis", [(0, 0, 0), (1, 1, 0), (0, 0, 2), (math.nan, 0, 1)])
def test_an_axis_must_be_a_unit_vector(axis: Any) -> None:
    with pytest.raises(ValueError, match="joint elbow: axis must be a unit vector, got"):
        hinge("elbow", "a", "b", axis=axis)


@pytest.mark.parametrize("axis", [(0, -1, 0), (0.6, 0.0, -0.8), (0.0, 0.28, 0.96)])
def test_an_axis_may_point_anywhere(axis: Any) -> None:
    assert hinge("elbow", "a", "b", axis=axis).axis == axis


@pytest.mark.parametrize(
    ("limits", "default"),
    [((-1.0, 1.0), 1.5), ((0.5, 1.0), 0.0), ((1.0, -1.0), 0.0), ((-1.0, 1.0), math.nan)],
)
def test_a_default_must_lie_within_the_limits(limits: Any, default: float) -> None:
    with pytest.raises(ValueError, match=r"joint elbow: default .* lies outside limits"):
        hinge("elbow", "a", "b", limits=limits, default=default)


def test_the_limits_themselves_are_within() -> None:
    for default in (-0.5, 0.25):
        assert hinge("elbow", "a", "b", limits=(-0.5, 0.25), default=default).default == default


# ---------------------------------------------------------------------- robots


@pytest.mark.parametrize(
    ("names", "joints", "message"),
    [
        (("a", "b", "b"), (hinge("j", "a", "b"),), r"link names must be unique.*\['b'\]"),
        (
            ("a", "b", "c"),
            (hinge("j", "a", "b"), hinge("j", "b", "c")),
            r"joint names must be unique.*\['j'\]",
        ),
        (("a", "b"), (hinge("j", "a", "hand"),), r"joint j: no link named 'hand', have \['a', 'b'"),
        (("a", "b"), (hinge("j", "base", "b"),), "joint j: no link named 'base'"),
        (
            ("a", "b", "c"),
            (hinge("j", "a", "c"), hinge("k", "b", "c")),
            "joint k: link c already hangs on j",
        ),
        (("a", "b", "c"), (hinge("j", "a", "b"),), r"one tree from a, loose: \['c'\]"),
        (("a", "b"), (hinge("j", "b", "a"),), "one tree from a"),
        (("a", "b"), (hinge("j", "a", "b"), hinge("k", "b", "a")), "one tree from a"),
        (("a", "b", "c"), (hinge("j", "c", "b"), hinge("k", "b", "c")), "one tree from a"),
        (("a", "b"), (hinge("j", "b", "b"),), "one tree from a"),
        ((), (), "at least one link"),
    ],
)
def test_links_and_joints_must_form_one_tree(
    names: tuple[str, ...], joints: tuple[Joint, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Robot(links=links(*names), joints=joints)


def test_joints_may_be_listed_in_any_order() -> None:
    joints = (hinge("late", "b", "c"), hinge("early", "a", "b"))
    robot = Robot(links=links("a", "c", "b"), joints=joints)
    assert {child: joint.name for child, joint in robot.by_child.items()} == {
        "b": "early",
        "c": "late",
    }


def test_fixed_joints_have_no_degree_of_freedom() -> None:
    weld = Joint(name="weld", kind="fixed", parent="b", child="c")
    robot = Robot(links=links("a", "b", "c"), joints=(weld, hinge("j", "a", "b")))
    assert [joint.name for joint in robot.dof_joints] == ["j"]
    assert [joint.name for joint in franka().dof_joints] == [*ARM_JOINTS, *FINGER_JOINTS]
    assert [joint.default for joint in franka().dof_joints[:7]] == list(HOME)
    assert [joint.name for joint in cartpole().dof_joints] == ["slider_to_cart", "cart_to_pole"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mass": -1.0},
        {"mass": 0.0},
        {"mass": math.nan},
        {"inertia": (math.nan, 1.0, 1.0, 0.0, 0.0, 0.0)},
    ],
)
def test_masses_must_be_positive_and_inertias_finite(wrong: dict[str, Any]) -> None:
    good = {"mass": 1.0, "inertia": (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)}
    Inertial(**good)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Inertial(**{**good, **wrong})


def test_what_describes_a_scene_cannot_be_changed_behind_its_back() -> None:
    for data, name in (
        (Material(), "static_friction"),
        (sphere(0.1), "size"),
        (INERTIAL, "mass"),
        (links("a")[0], "name"),
        (hinge("j", "a", "b"), "default"),
        (cartpole(), "links"),
        (PhysicsSettings(), "gravity"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(data, name, 1.0)


def test_equal_materials_are_one_key() -> None:
    assert len({Material(), Material(), Material(restitution=0.5)}) == 2


@pytest.mark.parametrize("module", [model, cartpole_module, franka_module])
def test_a_robot_can_be_read_without_usd_or_an_engine(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    imported |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    allowed = {"isaac_gymnasium.scene.model", *sys.stdlib_module_names}
    assert imported <= allowed


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"static_friction": -0.1}, "static_friction must be non-negative and finite, got -0.1"),
        ({"dynamic_friction": math.inf}, "dynamic_friction must be non-negative and finite"),
        ({"restitution": 1.1}, r"restitution must be in \[0, 1\], got 1.1"),
        ({"combine": "mean"}, r"combine must be one of \('average', .*, got 'mean'"),
    ],
)
def test_an_impossible_material_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Material(**wrong)
    Material(static_friction=0.0, dynamic_friction=3.0, restitution=1.0, combine="min")
