"""Primitives as triangles, for a browser that knows nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import trimesh

from isaac_gymnasium.rendering.drawing import Drawable
from isaac_gymnasium.transforms import quat_rotate

__all__ = ["triangles"]

_SECTIONS = 24
_PLANE_EDGE = 100.0
"""What is drawn of a plane without end, m."""


def triangles(shape: Drawable) -> tuple[np.ndarray, np.ndarray]:
    """A drawable's surface in the frame of what it hangs on.

    Args:
        shape: Of any kind.

    Returns:
        (V, 3) float32 vertices, m, and (F, 3) int32 faces.
    """
    mesh = _mesh(shape)
    scaled = torch.from_numpy(np.asarray(mesh.vertices) * shape.scale)
    turned = quat_rotate(scaled.new_tensor(shape.orientation).expand(len(scaled), 4), scaled)
    vertices = turned.numpy() + shape.position
    return vertices.astype(np.float32), np.asarray(mesh.faces, dtype=np.int32)


def _mesh(shape: Drawable) -> trimesh.Trimesh:
    create: Any = trimesh.creation
    a, b, c = shape.size
    mesh: trimesh.Trimesh
    match shape.kind:
        case "box":
            mesh = create.box(extents=(2 * a, 2 * b, 2 * c))
        case "sphere":
            mesh = create.icosphere(subdivisions=3, radius=a)
        case "capsule":
            # trimesh has made capsules about their centre and about one end; ours is centred.
            mesh = create.capsule(height=2 * b, radius=a, count=[_SECTIONS, _SECTIONS // 2])
            mesh.apply_translation(-mesh.bounds.mean(axis=0))
        case "cylinder":
            mesh = create.cylinder(radius=a, height=2 * b, sections=_SECTIONS)
        case "cone":
            mesh = create.cone(radius=a, height=2 * b, sections=_SECTIONS)
            mesh.apply_translation((0.0, 0.0, -b))
        case "plane":
            edges = np.minimum((a, b), _PLANE_EDGE)
            corners = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], dtype=float)
            corners[:, :2] *= edges
            mesh = trimesh.Trimesh(corners, [(0, 1, 2), (0, 2, 3)], process=False)
        case _:
            mesh = trimesh.Trimesh(shape.points, shape.triangles, process=False)
    return mesh
