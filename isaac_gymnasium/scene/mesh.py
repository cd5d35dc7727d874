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


def manifold(mesh: TriangleMesh) -> TriangleMesh:
    """The same surface with at most two triangles at an edge, also once equal points are one.

    PhysX makes equal points one, whatever the triangles say, and then walks round a point from
    triangle to triangle over the edges that two of them share: where boxes stand side by side, four
    do, and it may walk for ever. Here parts that must not hang together get points of their own,
    10 um below each other; a mesh without such edges comes back as it is.
    """
    merged = _places(mesh.points)[mesh.triangles]
    everything = np.arange(3 * len(mesh.triangles))
    if not _pairs(merged, everything)[1]:
        return mesh
    # Triangles that already share points stay together first of all: the faces of a box.
    near, _ = _pairs(mesh.triangles, everything)
    rest, _ = _pairs(merged, np.delete(everything, near))
    one, other = np.concatenate((near, rest)).T
    # Where one of the two triangles begins the edge, the other ends it.
    label = _label(len(everything), np.append(one, _next(one)), np.append(_next(other), other))
    kept, triangles = np.unique(label, return_inverse=True)
    points = mesh.points[mesh.triangles.reshape(-1)[kept]]
    while (rank := _ranks(_places(points))).any():
        points[:, 2] -= rank * np.maximum(1e-5, 2.0 * np.spacing(np.abs(points[:, 2])))
    return TriangleMesh(points, triangles.reshape(-1, 3).astype(np.int32))


def _places(points: NDArray[np.float32]) -> NDArray[np.intp]:
    """(V,) for each point a number that it shares with those equal to it."""
    bits = (points + 0.0).view(np.int32)  # one zero, not two
    order = np.lexsort(bits.T)
    new = (np.diff(bits[order], axis=0) != 0).any(1)
    places = np.empty_like(order)
    places[order] = np.append(0, np.cumsum(new))
    return places


def _ranks(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """(V,) how many before each point share its place."""
    order = np.argsort(places, kind="stable")
    _, begin, count = np.unique(places[order], return_index=True, return_counts=True)
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order)) - np.repeat(begin, count)
    return ranks


def _next(corners: NDArray[np.intp]) -> NDArray[np.intp]:
    """The corner after each in its triangle; corner 3 t + k is the k-th of triangle t."""
    return corners - corners % 3 + (corners + 1) % 3


def _pairs(
    triangles: NDArray[np.integer], edges: NDArray[np.intp]
) -> tuple[NDArray[np.intp], bool]:
    """Edges that are the only two between their points, and run in opposite directions.

    Args:
        triangles: (T, 3) points.
        edges: (E,) which to look at, each named by the corner it begins at.

    Returns:
        (P, 2) of them; whether others share their points with any.
    """
    point = triangles.reshape(-1).astype(np.int64)
    begin, end = point[edges], point[_next(edges)]
    key = np.minimum(begin, end) * (int(point.max()) + 1) + np.maximum(begin, end)
    order = np.argsort(key, kind="stable")
    _, first, count = np.unique(key[order], return_index=True, return_counts=True)
    one, other = order[first[count == 2]], order[first[count == 2] + 1]
    opposite = begin[one] == end[other]
    more = bool((count > 2).any() or not opposite.all())
    return np.stack((edges[one[opposite]], edges[other[opposite]]), axis=1), more


def _label(size: int, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """(size,) the least number among those that pairs join each with, over any number of pairs."""
    label = np.arange(size)
    while True:
        least = np.minimum(label[one], label[other])
        following = label.copy()
        np.minimum.at(following, label[one], least)
        np.minimum.at(following, label[other], least)
        following = following[following]
        if np.array_equal(following, label):
            return label
        label = following
