"""Generated terrain: heights where the formulas put them, and physics that stands on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from isaac_gymnasium.engines import load_engine
from isaac_gymnasium.scene import sphere, terrain
from isaac_gymnasium.scene.builder import Scene
from isaac_gymnasium.scene.mesh import TriangleMesh, box_mesh, join
from isaac_gymnasium.sensors import RayCaster

pytest.importorskip("warp")

EDGE = 8.0


def heights(mesh: TriangleMesh, places: list[tuple[float, float]]) -> list[float]:
    """Height of the mesh's upper side at each place, m."""
    starts = torch.tensor([(x, y, 10.0) for x, y in places])
    distance, _ = RayCaster(mesh, "cpu").cast(starts, torch.tensor((0.0, 0.0, -1.0)))
    return (10.0 - distance).tolist()


def tile(kind: Any, difficulty: float) -> tuple[TriangleMesh, float]:
    return kind(EDGE, difficulty, np.random.default_rng(0))


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("kind", "sign"), [(terrain.stairs_up, 1), (terrain.stairs_down, -1)])
def test_stairs_are_steps_of_their_height(kind: Any, sign: int, difficulty: float) -> None:
    mesh, middle = tile(kind, difficulty)
    step = sign * (0.05 + 0.18 * difficulty)
    # Treads are 0.3 m deep; eight of them lead to the platform of at least 3 m.
    places = [0.15 + 0.3 * k for k in range(9)]
    expected = [step * k for k in range(9)]
    assert heights(mesh, [(x, 4.1) for x in places]) == pytest.approx(expected, abs=1e-4)
    assert heights(mesh, [(4.1, EDGE - x) for x in places]) == pytest.approx(expected, abs=1e-4)
    assert middle == pytest.approx(8 * step)
    assert heights(mesh, [(4.0, 4.0), (2.6, 5.4)]) == pytest.approx([middle] * 2, abs=1e-4)


@pytest.mark.parametrize(("kind", "sign"), [(terrain.slope_up, 1), (terrain.slope_down, -1)])
def test_slopes_have_their_gradient(kind: Any, sign: int) -> None:
    mesh, middle = tile(kind, 0.5)
    places = [(0.0, 3.3), (1.0, 3.3), (2.0, 4.4), (2.5, 4.0), (5.0, 4.2)]
    expected = [sign * 0.2 * run for run in (0.0, 1.0, 2.0, 2.5, 2.5)]
    assert heights(mesh, places) == pytest.approx(expected, abs=1e-3)
    assert middle == pytest.approx(sign * 0.5)


def test_boxes_and_noise_stay_within_their_bounds_and_leave_room_to_start() -> None:
    grid = [(0.23 + 0.25 * i, 0.23 + 0.25 * j) for i in range(31) for j in range(31)]
    for difficulty, most in ((0.0, 0.05), (1.0, 0.2)):
        found = np.array(heights(tile(terrain.random_boxes, difficulty)[0], grid))
        assert 0.8 * most < np.abs(found).max() <= most + 1e-4
    for difficulty, most in ((0.0, 0.02), (1.0, 0.1)):
        found = np.array(heights(tile(terrain.rough, difficulty)[0], grid))
        assert 0.7 * most < found.max() <= most + 1e-4
        assert found.min() >= -1e-4
    near = [(4.0 + x, 4.0 + y) for x in (-0.25, 0.0, 0.25) for y in (-0.25, 0.0, 0.25)]
    for kind in (terrain.random_boxes, terrain.rough, terrain.flat):
        mesh, middle = tile(kind, 1.0)
        assert middle == 0.0
        assert heights(mesh, near) == pytest.approx([0.0] * 9, abs=1e-4)


def test_a_terrain_has_levels_and_kinds_and_no_gaps() -> None:
    made = terrain.generate_terrain(rows=3, columns=10, border=5.0)
    assert made.kinds == (
        *("stairs_up",) * 2,
        *("stairs_down",) * 2,
        *("random_boxes",) * 2,
        *("rough",) * 2,
        "slope_up",
        "slope_down",
    )
    assert made.origins.shape == (3, 10, 3)
    middles = [(float(x), float(y)) for x, y, _ in made.origins.reshape(-1, 3)]
    found = heights(made.mesh, middles)
    assert found == pytest.approx(made.origins[..., 2].flatten().tolist(), abs=1e-3)
    # The climb to the middle of the stairs grows from row to row.
    assert made.origins[:, 0, 2].tolist() == pytest.approx([8 * 0.05, 8 * 0.14, 8 * 0.23])
    border = [(-16.9, 0.03), (16.9, 30.0), (0.03, 44.9), (0.1, -44.9)]
    assert heights(made.mesh, border) == pytest.approx([0.0] * 4, abs=1e-4)
    again = terrain.generate_terrain(rows=3, columns=10, border=5.0)
    other = terrain.generate_terrain(rows=3, columns=10, border=5.0, seed=1)
    assert np.array_equal(again.mesh.points, made.mesh.points)
    assert not np.array_equal(other.mesh.points, made.mesh.points)


@pytest.mark.parametrize(
    "kwargs",
    [{"rows": 0}, {"edge": 2.0}, {"border": 0.0}, {"shares": {}}, {"shares": {terrain.flat: 0.0}}],
)
def test_values_without_a_meaning_are_refused(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|must"):
        terrain.generate_terrain(**kwargs)


def test_what_is_no_mesh_is_refused() -> None:
    good = box_mesh((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="triangles must name points 0 to 7"):
        TriangleMesh(good.points, good.triangles + 1)
    with pytest.raises(ValueError, match="points must have shape"):
        TriangleMesh(good.points[:, :2], good.triangles)
    with pytest.raises(ValueError, match="points must be finite"):
        TriangleMesh(good.points * np.nan, good.triangles)
    both = join([good, good.moved((2.0, 0.0, 0.0))])
    assert both.points.shape == (16, 3)
    assert both.triangles.max() == 15


def test_the_faces_of_a_box_look_outwards() -> None:
    mesh = box_mesh((0.0, 0.0, 0.0), (1.0, 2.0, 3.0))
    corners = mesh.points[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outwards = corners.mean(axis=1) - np.array([0.5, 1.0, 1.5])
    assert (np.einsum("ij,ij->i", normals, outwards) > 0).all()
    # Each side is covered once: the areas of the triangles add up to the surface.
    area = np.linalg.norm(normals, axis=1).sum() / 2
    assert area == pytest.approx(2 * (1 * 2 + 2 * 3 + 1 * 3))


@pytest.fixture
def balls(device: torch.device) -> Iterator[Any]:
    pytest.importorskip("ovphysx")
    mesh, _ = tile(terrain.stairs_up, 1.0)
    scene = Scene(env_spacing=20.0)
    scene.add_terrain(mesh)
    for k in range(4):
        scene.add_rigid_body(
            f"Ball{k}",
            sphere(0.05),
            mass=0.5,
            position=(0.15 + 0.3 * k, 4.0, 0.23 * k + 0.1),
            linear_damping=1.0,
            angular_damping=50.0,
        )
    engine = load_engine("physx")(scene, 1, 1 / 120, device)
    yield engine
    engine.close()


def test_balls_come_to_rest_on_the_steps_they_fall_on(balls: Any) -> None:
    for _ in range(120):
        balls.step()
    for k in range(4):
        place = balls.rigid_body(f"Ball{k}").pose[0, :3].tolist()
        assert place == pytest.approx([0.15 + 0.3 * k, 4.0, 0.23 * k + 0.05], abs=3e-3)
