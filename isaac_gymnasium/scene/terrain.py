"""Generated ground: square tiles of some kinds, harder and harder, in rows of equal difficulty.

Kinds, sizes and ranges are those of Isaac Lab's rough terrain: stairs up and down, boxes, noise,
slopes up and down, on tiles of 8 m. All of it is one triangle mesh.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from isaac_gymnasium.scene.mesh import TriangleMesh, box_mesh, height_mesh, join

Generator = np.random.Generator
Tile = Callable[[float, float, Generator], tuple[TriangleMesh, float]]
"""From a tile's edge (m), a difficulty (0 to 1) and a generator to the mesh over [0, edge]^2, and
the height of its middle, where a robot starts."""

_DEPTH = 1.0
_PLATFORM = 3.0
_STEP = 0.3
_SPACING = 0.2


def flat(edge: float, difficulty: float, rng: Generator) -> tuple[TriangleMesh, float]:
    """Level ground."""
    return box_mesh((0.0, 0.0, -_DEPTH), (edge, edge, 0.0)), 0.0


def stairs_up(edge: float, difficulty: float, rng: Generator) -> tuple[TriangleMesh, float]:
    """A pyramid of steps 0.3 m wide and 0.05 to 0.23 m high, with a platform of 3 m on top."""
    height, count = _steps(edge, difficulty)
    boxes = [box_mesh((0.0, 0.0, -_DEPTH), (edge, edge, 0.0))]
    for k in range(1, count + 1):
        near, far = k * _STEP, edge - k * _STEP
        boxes.append(box_mesh((near, near, -_DEPTH), (far, far, k * height)))
    return join(boxes), count * height


def stairs_down(edge: float, difficulty: float, rng: Generator) -> tuple[TriangleMesh, float]:
    """The same pyramid as a pit."""
    height, count = _steps(edge, difficulty)
    floor = -count * height
    boxes = []
    for k in range(count):
        near, far, top = k * _STEP, edge - k * _STEP, -k * height
        inner, outer, bottom = near + _STEP, far - _STEP, floor - _DEPTH
        boxes += [
            box_mesh((near, near, bottom), (far, inner, top)),
            box_mesh((near, outer, bottom), (far, far, top)),
            box_mesh((near, inner, bottom), (inner, outer, top)),
            box_mesh((outer, inner, bottom), (far, outer, top)),
        ]
    near, far = count * _STEP, edge - count * _STEP
    boxes.append(box_mesh((near, near, floor - _DEPTH), (far, far, floor)))
    return join(boxes), floor


def random_boxes(
    edge: float, difficulty: float, rng: Generator, *, low: float = 0.05, high: float = 0.2
) -> tuple[TriangleMesh, float]:
    """Square pillars of 0.45 m, up to `low` to `high` above and below, round a level platform."""
    cells = int(edge / 0.45)
    width = edge / cells
    most = low + (high - low) * difficulty
    boxes = [box_mesh((0.0, 0.0, -_DEPTH), (edge, edge, -most))]
    for row, column in np.ndindex(cells, cells):
        x, y = row * width, column * width
        middle = max(abs(x + width / 2 - edge / 2), abs(y + width / 2 - edge / 2))
        top = 0.0 if middle < _PLATFORM / 2 else float(rng.uniform(-most, most))
        boxes.append(box_mesh((x, y, -_DEPTH), (x + width, y + width, top)))
    return join(boxes), 0.0


def rough(
    edge: float, difficulty: float, rng: Generator, *, unit: float = 0.02
) -> tuple[TriangleMesh, float]:
    """Noise of 1 to 5 units of height, more with the difficulty; level at the rim and middle."""
    points = round(edge / _SPACING) + 1
    levels = 1 + round(4 * difficulty)
    heights = unit * rng.integers(0, levels + 1, (points, points)).astype(np.float64)
    heights[[0, -1]] = heights[:, [0, -1]] = 0.0
    middle = slice(points // 2 - 2, points // 2 + 3)
    heights[middle, middle] = 0.0
    return height_mesh(heights, edge / (points - 1)), 0.0


def slope_up(edge: float, difficulty: float, rng: Generator) -> tuple[TriangleMesh, float]:
    """A pyramid of slope 0 to 0.4 with a platform of 3 m on top."""
    return _frustum(edge, 0.4 * difficulty)


def slope_down(edge: float, difficulty: float, rng: Generator) -> tuple[TriangleMesh, float]:
    """The same pyramid as a pit."""
    return _frustum(edge, -0.4 * difficulty)


ROUGH: Mapping[Tile, float] = {
    stairs_up: 0.2,
    stairs_down: 0.2,
    random_boxes: 0.2,
    rough: 0.2,
    slope_up: 0.1,
    slope_down: 0.1,
}
"""Shares of the kinds in Isaac Lab's rough terrain."""
ROUGH_FOR_SMALL_ROBOTS: Mapping[Tile, float] = {
    stairs_up: 0.2,
    stairs_down: 0.2,
    partial(random_boxes, low=0.025, high=0.1): 0.2,
    partial(rough, unit=0.01): 0.2,
    slope_up: 0.1,
    slope_down: 0.1,
}
"""The same with lower boxes and less noise, as Isaac Lab has it for the Go2."""


@dataclass(frozen=True, eq=False)
class Terrain:
    """Tiles in rows of rising difficulty and columns of one kind each.

    Attributes:
        mesh: All of it, centred on the origin, the surrounding ground at z = 0.
        origins: (rows, columns, 3) where a robot starts on each tile, m.
        kinds: Name of the kind of each column.
        edge: Edge of a tile, m.
    """

    mesh: TriangleMesh
    origins: NDArray[np.float32]
    kinds: tuple[str, ...]
    edge: float


def generate_terrain(
    *,
    rows: int = 10,
    columns: int = 20,
    edge: float = 8.0,
    border: float = 20.0,
    shares: Mapping[Tile, float] = ROUGH,
    seed: int = 0,
) -> Terrain:
    """Makes a terrain; the same arguments make the same one.

    Args:
        rows: Levels; the first is the easiest (difficulty 0), the last the hardest (1).
        columns: Tiles in a row, divided among the kinds by their shares.
        edge: Edge of a tile, m.
        border: Width of the level ground around, m.
        shares: Kinds of tiles and how much of a row each gets.
        seed: Of the random kinds.

    Raises:
        ValueError: If there is no tile, a size is not positive, or the shares are not.
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"expected at least one row and column, got {rows} and {columns}")
    if not (math.isfinite(edge) and edge > _PLATFORM + 2 * _STEP and border > 0.0):
        raise ValueError(
            f"edge must exceed {_PLATFORM + 2 * _STEP} m and border be positive, got {edge} and "
            f"{border}"
        )
    total = sum(shares.values())
    if not shares or min(shares.values()) < 0.0 or not total > 0.0:
        raise ValueError(f"shares must be non-negative and not all zero, got {shares}")
    rng = np.random.default_rng(seed)
    kinds = list(shares)
    ends = np.cumsum([shares[kind] / total for kind in kinds])
    chosen = [kinds[int(np.searchsorted(ends, (c + 0.5) / columns))] for c in range(columns)]
    length, width = rows * edge, columns * edge
    meshes = []
    origins = np.zeros((rows, columns, 3), np.float32)
    for row, column in np.ndindex(rows, columns):
        x, y = row * edge - length / 2, column * edge - width / 2
        mesh, middle = chosen[column](edge, row / max(rows - 1, 1), rng)
        meshes.append(mesh.moved((x, y, 0.0)))
        origins[row, column] = (x + edge / 2, y + edge / 2, middle)
    far_x, far_y = length / 2 + border, width / 2 + border
    for low, high in (
        ((-far_x, -far_y), (far_x, -width / 2)),
        ((-far_x, width / 2), (far_x, far_y)),
        ((-far_x, -width / 2), (-length / 2, width / 2)),
        ((length / 2, -width / 2), (far_x, width / 2)),
    ):
        meshes.append(box_mesh((*low, -_DEPTH), (*high, 0.0)))
    return Terrain(
        mesh=join(meshes),
        origins=origins,
        kinds=tuple(getattr(kind, "func", kind).__name__ for kind in chosen),
        edge=edge,
    )


def _steps(edge: float, difficulty: float) -> tuple[float, int]:
    """Height and number of the steps."""
    return 0.05 + 0.18 * difficulty, int((edge - _PLATFORM) / 2 / _STEP)


def _frustum(edge: float, slope: float) -> tuple[TriangleMesh, float]:
    """Four slopes up or down to a platform, and the height of that."""
    run = (edge - _PLATFORM) / 2
    height, far = slope * run, edge - run
    points = [
        *((0.0, 0.0, 0.0), (edge, 0.0, 0.0), (edge, edge, 0.0), (0.0, edge, 0.0)),
        *((run, run, height), (far, run, height), (far, far, height), (run, far, height)),
    ]
    quads = [(k, (k + 1) % 4, (k + 1) % 4 + 4, k + 4) for k in range(4)] + [(4, 5, 6, 7)]
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return TriangleMesh(np.array(points, np.float32), np.array(triangles, np.int32)), height
