"""Triangle meshes as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isaac_gymnasium.scene.model import Vec3


@dataclass(frozen=True, eq=False)
class TriangleMesh:
    """Points (V, 3) float32 in m, and triangles (T, 3) int32, counterclockwise from outside."""

    points: NDArray[np.float32]
    triangles: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Refuses arrays that are no mesh."""
        object.__setattr__(self, "points", np.ascontiguousarray(self.points, np.float32))
        object.__setattr__(self, "triangles", np.ascontiguousarray(self.triangles, np.int32))
        for name in ("points", "triangles"):
            array = getattr(self, name)
            if array.ndim != 2 or array.shape[1] != 3 or not len(array):
                raise ValueError(f"{name} must have shape (at least 1, 3), got {array.shape}")
        if not np.isfinite(self.points).all():
            raise ValueError("points must be finite")
        if self.triangles.min() < 0 or self.triangles.max() >= len(self.points):
            raise ValueError(
                f"triangles must name points 0 to {len(self.points) - 1}, got "
                f"{self.triangles.min()} to {self.triangles.max()}"
            )

    def moved(self, offset: Vec3) -> TriangleMesh:
        """The same mesh elsewhere."""
        return TriangleMesh(self.points + np.array(offset, np.float32), self.triangles)


def join(meshes: Sequence[TriangleMesh]) -> TriangleMesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes[:-1])])
    return TriangleMesh(
        np.concatenate([mesh.points for mesh in meshes]),
        np.concatenate(
            [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]
        ),
    )


def box_mesh(low: Vec3, high: Vec3) -> TriangleMesh:
    """A box between two corners."""
    corners = [
        [(low, high)[bit][axis] for axis, bit in enumerate(bits)] for bits in np.ndindex(2, 2, 2)
    ]
    faces = [
        *((0, 1, 3), (0, 3, 2)),
        *((4, 6, 7), (4, 7, 5)),
        *((0, 4, 5), (0, 5, 1)),
        *((2, 3, 7), (2, 7, 6)),
        *((0, 2, 6), (0, 6, 4)),
        *((1, 5, 7), (1, 7, 3)),
    ]
    return TriangleMesh(np.array(corners, np.float32), np.array(faces, np.int32))


def height_mesh(heights: NDArray[np.float64], spacing: float) -> TriangleMesh:
    """A surface over a grid: (X, Y) heights in m, `spacing` m apart, from the origin on."""
    rows, columns = heights.shape
    x, y = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    points = np.stack((x * spacing, y * spacing, heights), axis=-1).reshape(-1, 3)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    near = corner + np.array([0, columns, columns + 1])
    far = corner + np.array([0, columns + 1, 1])
    return TriangleMesh(points, np.concatenate((near, far)))
