"""Mass properties of primitives, against integrals over their volume."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isaac_gymnasium.scene import (
    Shape,
    box,
    capsule,
    capsule_between,
    cylinder,
    shapes_inertial,
    sphere,
)


def inside(shape: Shape, points: np.ndarray) -> np.ndarray:
    """Which points (P, 3) of the shape's own frame lie in it."""
    x, y, z = points.T
    match shape.kind:
        case "box":
            return np.all(np.abs(points) <= np.array(shape.size) / 2, axis=1)
        case "sphere":
            return x * x + y * y + z * z <= shape.size[0] ** 2
        case "cylinder":
            return (x * x + y * y <= shape.size[0] ** 2) & (np.abs(z) <= shape.size[1] / 2)
        case _:
            beyond = np.maximum(np.abs(z) - shape.size[1] / 2, 0.0)
            return x * x + y * y + beyond**2 <= shape.size[0] ** 2


@pytest.mark.parametrize(
    "shape", [box((0.2, 0.3, 0.5)), sphere(0.2), cylinder(0.1, 0.5), capsule(0.1, 0.3)]
)
def test_moments_are_those_of_the_volume(shape: Shape) -> None:
    axis = np.linspace(-0.3, 0.3, 101)
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    points = points[inside(shape, points)]
    mass = 3.0
    squares = (points**2).mean(axis=0) * mass
    found = shapes_inertial([shape], mass=mass)
    expected = [squares[1] + squares[2], squares[0] + squares[2], squares[0] + squares[1]]
    assert found.inertia[:3] == pytest.approx(expected, rel=0.03)
    assert found.inertia[3:] == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert found.mass == pytest.approx(mass)


def test_two_halves_of_a_box_are_the_box() -> None:
    whole = shapes_inertial([box((0.4, 0.2, 0.1), position=(0.1, 0.2, 0.3))], density=500.0)
    halves = [box((0.2, 0.2, 0.1), position=(x, 0.2, 0.3)) for x in (0.0, 0.2)]
    found = shapes_inertial(halves, density=500.0)
    assert found.mass == pytest.approx(whole.mass) == pytest.approx(4.0)
    assert found.center_of_mass == pytest.approx(whole.center_of_mass)
    assert found.inertia == pytest.approx(whole.inertia, abs=1e-9)


def test_a_turned_shape_has_turned_moments() -> None:
    half = math.radians(30.0) / 2
    turned = box((0.4, 0.2, 0.1), orientation=(0.0, 0.0, math.sin(half), math.cos(half)))
    xx, yy, zz, xy, xz, yz = shapes_inertial([turned], mass=1.0).inertia
    a, b, c = shapes_inertial([box((0.4, 0.2, 0.1))], mass=1.0).inertia[:3]
    s, k = math.sin(2 * half), math.cos(2 * half)
    assert (xx, yy, zz) == pytest.approx((a * k * k + b * s * s, a * s * s + b * k * k, c))
    assert (xy, xz, yz) == pytest.approx(((a - b) * s * k, 0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ((0.0, 0.0, 0.0), (0.3, 0.4, 0.0)),
        ((0.1, 0.2, 0.3), (0.1, 0.2, -0.7)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.5)),
        ((1.0, -1.0, 0.5), (-0.3, 0.2, 0.1)),
    ],
)
def test_a_capsule_ends_where_it_is_told(
    start: tuple[float, float, float], end: tuple[float, float, float]
) -> None:
    shape = capsule_between(0.05, start, end)
    assert shape.size == pytest.approx((0.05, math.dist(start, end)))
    x, y, z, w = shape.orientation
    axis = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    assert np.array(shape.position) - axis * shape.size[1] / 2 == pytest.approx(start, abs=1e-9)
    assert np.array(shape.position) + axis * shape.size[1] / 2 == pytest.approx(end, abs=1e-9)


@pytest.mark.parametrize("amount", [{}, {"density": 1.0, "mass": 1.0}])
def test_mass_or_density_and_not_both(amount: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one of density and mass"):
        shapes_inertial([sphere(0.1)], **amount)
