"""Mass properties of links made of primitives, and capsules placed by their two ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from isaac_gymnasium.scene.model import Inertial, Quat, Shape, Vec3, capsule


def shapes_inertial(
    shapes: Sequence[Shape], *, density: float | None = None, mass: float | None = None
) -> Inertial:
    """Mass, centre of mass and inertia of homogeneous primitives; where they overlap, both count.

    That is how MuJoCo infers a body's inertia from its geometry.

    Args:
        shapes: Placed in the link's frame.
        density: In kg/m^3.
        mass: Of all shapes together, in kg, instead of a density.

    Raises:
        ValueError: If not exactly one of density and mass is given, or there is no shape.
    """
    if (density is None) == (mass is None) or not shapes:
        raise ValueError(
            f"give shapes and exactly one of density and mass, got {len(shapes)} shapes, "
            f"density {density}, mass {mass}"
        )
    if density is None:
        assert mass is not None
        density = mass / sum(shape.volume for shape in shapes)
    masses = [density * shape.volume for shape in shapes]
    centers = [np.array(shape.position) for shape in shapes]
    total = sum(masses)
    center = np.average(centers, axis=0, weights=masses)
    inertia = np.zeros((3, 3))
    for shape, m, c in zip(shapes, masses, centers, strict=True):
        turn = _matrix(shape.orientation)
        arm = c - center
        inertia += turn @ np.diag(_principal(shape, m)) @ turn.T
        inertia += m * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = inertia.tolist()
    x, y, z = (float(value) for value in center)
    return Inertial(mass=total, center_of_mass=(x, y, z), inertia=(xx, yy, zz, xy, xz, yz))


def capsule_between(radius: float, start: Vec3, end: Vec3, **where: object) -> Shape:
    """A capsule whose caps are centred at two points; `where` are other fields of `Shape`."""
    along = np.array(end) - np.array(start)
    length = float(np.linalg.norm(along))
    x, y, z = (along / length).tolist()
    # The shortest turn from z to the capsule's axis: about z cross axis, half way between them.
    half: Quat = (1.0, 0.0, 0.0, 0.0) if z < -1.0 + 1e-9 else (-y, x, 0.0, 1.0 + z)
    norm = math.hypot(*half)
    i, j, k, w = (value / norm for value in half)
    a, b, c = (0.5 * (s + e) for s, e in zip(start, end, strict=True))
    return capsule(radius, length, position=(a, b, c), orientation=(i, j, k, w), **where)


def _principal(shape: Shape, mass: float) -> tuple[float, float, float]:
    """Moments about the centre, in the shape's own axes."""
    if shape.kind == "box":
        x, y, z = (s * s / 12.0 for s in shape.size)
        return mass * (y + z), mass * (x + z), mass * (x + y)
    r = shape.size[0]
    if shape.kind == "sphere":
        return (0.4 * mass * r * r,) * 3
    length = shape.size[1]
    tube = mass * (math.pi * r * r * length) / shape.volume
    across = tube * (r * r / 4.0 + length * length / 12.0)
    along = tube * r * r / 2.0
    if shape.kind == "capsule":
        # Two half spheres, each with its centre of mass 3r/8 beyond the end of the tube.
        caps = mass - tube
        across += caps * (0.4 * r * r + length * length / 4.0 + 3.0 * length * r / 8.0)
        along += 0.4 * caps * r * r
    return across, across, along


def _matrix(q: Quat) -> np.ndarray:
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
