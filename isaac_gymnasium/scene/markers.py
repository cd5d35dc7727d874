"""Shapes to show people what a task asks for; see `Scene.add_marker`."""

from __future__ import annotations

import math

from isaac_gymnasium.scene.model import IDENTITY, ORIGIN, Quat, Shape, Vec3, box, cylinder, sphere

__all__ = ["GOAL_COLOR", "arrow", "ball", "colored_cube", "target"]

GOAL_COLOR: Vec3 = (0.10, 0.55, 0.16)
_RED, _WHITE = (0.60, 0.06, 0.06), (0.85, 0.85, 0.85)
_THIN = 0.001
_BARB = math.radians(145.0)
_HALF = math.sqrt(0.5)
_FACES: tuple[tuple[Vec3, Vec3, Quat], ...] = (
    ((1.0, 0.0, 0.0), (0.70, 0.05, 0.05), (0.0, _HALF, 0.0, _HALF)),
    ((-1.0, 0.0, 0.0), (0.85, 0.35, 0.05), (0.0, _HALF, 0.0, _HALF)),
    ((0.0, 1.0, 0.0), (0.05, 0.45, 0.10), (_HALF, 0.0, 0.0, _HALF)),
    ((0.0, -1.0, 0.0), (0.80, 0.70, 0.05), (_HALF, 0.0, 0.0, _HALF)),
    ((0.0, 0.0, 1.0), (0.05, 0.15, 0.70), IDENTITY),
    ((0.0, 0.0, -1.0), (0.80, 0.80, 0.80), IDENTITY),
)
"""Where a face looks, its colour, and the turn of z to its normal."""


def ball(radius: float) -> Shape:
    """A place to be reached.

    Args:
        radius: m.
    """
    return sphere(radius, color=GOAL_COLOR, collides=False)


def target(radius: float, *, position: Vec3 = ORIGIN) -> list[Shape]:
    """Rings on the ground around a place.

    Args:
        radius: Of the outer ring, m.
        position: Of their middle, in the marker's frame.
    """
    x, y, z = position
    rings = ((1.0, _RED), (2 / 3, _WHITE), (1 / 3, _RED))
    return [
        cylinder(
            share * radius,
            (1 + k) * _THIN,
            position=(x, y, z + (1 + k) * _THIN / 2),
            color=color,
            collides=False,
        )
        for k, (share, color) in enumerate(rings)
    ]


def arrow(length: float) -> list[Shape]:
    """An arrow along x, its middle at the origin.

    Args:
        length: m.
    """
    width, head = length / 12, length / 3
    shapes = [box((length, width, width), color=GOAL_COLOR, collides=False)]
    for side in (-1.0, 1.0):
        turn = side * _BARB
        shapes.append(
            box(
                (head, width, width),
                position=(
                    (length + head * math.cos(turn)) / 2,
                    head * math.sin(turn) / 2,
                    0.0,
                ),
                orientation=(0.0, 0.0, math.sin(turn / 2), math.cos(turn / 2)),
                color=GOAL_COLOR,
                collides=False,
            )
        )
    return shapes


def colored_cube(edge: float) -> list[Shape]:
    """Tiles on the faces of a cube, each of another colour, so that one sees how it is turned.

    Args:
        edge: Of the cube, m.
    """
    shift = (edge + _THIN) / 2
    return [
        box(
            (0.88 * edge, 0.88 * edge, _THIN),
            position=(shift * x, shift * y, shift * z),
            orientation=turn,
            color=color,
            collides=False,
        )
        for (x, y, z), color, turn in _FACES
    ]
