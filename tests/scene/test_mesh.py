"""Meshes in which at most two triangles share an edge, and physics on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from isaac_gymnasium.scene.mesh import TriangleMesh, box_mesh, height_mesh, join, manifold
from isaac_gymnasium.scene.terrain import generate_terrain


def shared_edges(mesh: TriangleMesh) -> np.ndarray:
    """How many triangles there are at each edge, once equal points are one."""
    places = np.unique(mesh.points, axis=0, return_inverse=True)[1].reshape(-1)
    corners = places[mesh.triangles]
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    return np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)[1]


def pillars(tops: Sequence[Sequence[float]], width: float = 0.45) -> TriangleMesh:
    return join(
        [
            box_mesh((width * i, width * j, -1.0), (width * (i + 1), width * (j + 1), top))
            for i, row in enumerate(tops)
            for j, top in enumerate(row)
        ]
    )


def test_boxes_side_by_side_get_edges_of_their_own() -> None:
    mesh = pillars([[0.0, 0.0, 0.1], [0.0, 0.2, 0.1]])
    assert shared_edges(mesh).max() > 2
    apart = manifold(mesh)
    assert set(shared_edges(apart)) == {2}, "each box is closed, and no other is part of it"
    moved = apart.points[apart.triangles] - mesh.points[mesh.triangles]
    assert not moved[..., :2].any()
    assert -1e-4 < moved[..., 2].min() < 0.0 == moved[..., 2].max()


def test_what_hangs_together_well_is_left_as_it_is() -> None:
    mesh = join([box_mesh((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), height_mesh(np.zeros((3, 4)), 0.5)])
    assert manifold(mesh) is mesh


def test_triangles_that_share_no_points_are_joined_where_two_meet() -> None:
    shared = pillars([[0.0, 0.0], [0.1, 0.0]])
    points = shared.points[shared.triangles].reshape(-1, 3)
    soup = TriangleMesh(points, np.arange(len(points)).reshape(-1, 3))
    apart = manifold(soup)
    assert len(apart.points) < len(points)
    assert set(shared_edges(apart)) <= {1, 2}
    assert np.abs(apart.points[apart.triangles] - points.reshape(-1, 3, 3)).max() < 3e-4


def test_far_up_points_are_set_apart_by_what_their_numbers_can_tell() -> None:
    mesh = pillars([[0.0, 0.0], [0.0, 0.0]]).moved((0.0, 0.0, 5000.0))
    assert set(shared_edges(manifold(mesh))) == {2}


def test_no_edge_of_a_whole_terrain_has_more_than_two_triangles() -> None:
    mesh = generate_terrain(rows=3, columns=10).mesh
    assert shared_edges(mesh).max() > 2
    assert shared_edges(manifold(mesh)).max() == 2


LYING_ON_PILLARS = """
import torch
from isaac_gymnasium.engines import load_engine
from isaac_gymnasium.scene.builder import Scene
from isaac_gymnasium.scene.mesh import box_mesh, join
from isaac_gymnasium.scene.model import cylinder

places = [(0.45 * i, 0.45 * j) for i in range(-4, 4) for j in range(-4, 4)]
scene = Scene(env_spacing=1.0)
scene.add_terrain(join([box_mesh((x, y, -1.0), (x + 0.45, y + 0.45, 0.0)) for x, y in places]))
scene.add_rigid_body("Bar", cylinder(0.05, 0.14), mass=0.3)
engine = load_engine("physx")(scene, 256, 1 / 200, torch.device("cpu"))
bar, generator = engine.rigid_body("Bar"), torch.Generator().manual_seed(0)
for _ in range(30):
    place = torch.rand(256, 3, generator=generator)
    turn = torch.nn.functional.normalize(torch.randn(256, 4, generator=generator))
    place = place * torch.tensor([2.7, 2.7, 0.06]) - torch.tensor([1.35, 1.35, -0.04])
    bar.write_state(torch.cat((place, turn), dim=1), torch.zeros(256, 6))
    engine.step(1)
engine.close()
"""


def test_physx_comes_back_from_cylinders_on_boxes_side_by_side() -> None:
    """It did not in the sixth of these steps, where the boxes shared their edges."""
    pytest.importorskip("ovphysx")
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", LYING_ON_PILLARS],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
