"""Markers: seen by people, by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from any_engine import ENGINE
from pxr import UsdPhysics

import isaac_gymnasium
from isaac_gymnasium.envs.franka_push_cube import FrankaPushCube
from isaac_gymnasium.rendering.renderer import Renderer
from isaac_gymnasium.sensors import Camera
from isaac_gymnasium.task import Task
from isaac_gymnasium.vector_env import IsaacVectorEnv

N = 3


@dataclass(kw_only=True)
class Unmarked(FrankaPushCube):
    """The same without its marker."""

    def set_up_scene(self, scene: Any) -> None:
        scene.add_marker = lambda *arguments: None
        super().set_up_scene(scene)

    def get_markers(self) -> dict[str, torch.Tensor]:
        return {}


def make(task: Any = FrankaPushCube, **kwargs: Any) -> Any:
    arguments = {"device": "cpu", "engine": ENGINE, "render_mode": "rgb_array"}
    return IsaacVectorEnv(task, N, render_size=(160, 120), **arguments, **kwargs)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Any, Any]]:
    marked, plain = make(), make(Unmarked)
    for envs in (marked, plain):
        envs.reset(seed=0)
    yield marked, plain
    marked.close()
    plain.close()


def red(picture: np.ndarray) -> np.ndarray:
    r, g, b = picture.astype(int).transpose(2, 0, 1)
    return (r > g + 40) & (r > b + 40)


def test_a_marker_is_seen_where_the_task_says(both: Any) -> None:
    marked, plain = both
    for k, (frame, bare) in enumerate(zip(marked.render(), plain.render(), strict=True)):
        assert red(frame).sum() > 30 and not red(bare).any(), k
    before = marked.render()[1]
    marked.task.goal[1, 1] += 0.15
    assert np.array_equal(marked.render()[0], marked.render()[0])
    rows, columns = np.nonzero(red(before))
    moved_rows, moved_columns = np.nonzero(red(marked.render()[1]))
    # The camera looks along -x and y: y grows to the right and away.
    assert moved_columns.mean() > columns.mean() + 5 and moved_rows.mean() < rows.mean()
    grid = marked.render_grid(N, size=(320, 240))
    assert red(grid).sum() > 100
    marked.task.goal[1, 1] -= 0.15


def test_goals_in_their_cells_are_inside_the_grid(both: Any) -> None:
    marked, _ = both
    goal, at = marked.task.goal, marked.task.goal.clone()
    seen = []
    # To the side of everything else, within the cell of 1.3 m; far beyond it is not looked at.
    for y in (-0.5, 0.5, 50.0):
        goal[:, 1] = y
        rows, columns = np.nonzero(red(marked.render_grid(N, size=(320, 240))))
        seen.append(len(rows))
        assert not len(rows) or (columns.min() > 0 and columns.max() < 319)
    assert min(seen[:2]) > 40 * N and seen[2] == 0
    goal.copy_(at)


def test_cameras_do_not_see_markers(both: Any) -> None:
    view = {"position": (0.65, 0.0, 0.8), "target": (0.6, 0.0, 0.0), "width": 48, "height": 48}
    outputs = ("rgb", "segmentation")
    marked, plain = (Camera(envs.engine, **view, outputs=outputs) for envs in both)
    assert torch.equal(marked.rgb, plain.rgb)
    assert torch.equal(marked.segmentation, plain.segmentation)
    assert marked.labels == plain.labels and "Goal" not in marked.labels


def test_markers_are_no_part_of_the_simulation(both: Any) -> None:
    marked, plain = both
    stage = marked.engine.scene.stage
    assert marked.engine.scene.num_colliders == plain.engine.scene.num_colliders
    (marker,) = stage.GetPrimAtPath("/World/markers").GetChildren()
    assert len(marker.GetChildren()) == 3
    assert not any(prim.HasAPI(UsdPhysics.CollisionAPI) for prim in marker.GetChildren())
    actions = torch.tensor([[0.3, -0.5, -1.0, 0.2, 0.0, 0.1, -1.0]]).expand(N, 7)
    for envs in both:
        envs.reset(seed=0)
    for _ in range(10):
        seen = [envs.step(actions)[0] for envs in both]
        assert torch.equal(*seen)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, r"markers \['Goal'\], got \[\]"),
        ({"Goal": torch.zeros(N, 3), "Gaol": torch.zeros(N, 3)}, r"got \['Gaol', 'Goal'\]"),
        ({"Goal": torch.zeros(N, 4)}, r"\(3, 3\) positions or \(3, 7\) poses of 'Goal', got"),
    ],
)
def test_what_cannot_be_placed_is_named(
    both: Any, told: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = both[0].engine
    monkeypatch.setattr(engine, "markers", lambda: told)
    with pytest.raises(ValueError, match=message):
        both[0].render()
    Renderer.of(engine).poses()  # cameras need none


def test_a_name_is_given_once_and_can_be_written() -> None:
    from isaac_gymnasium.scene.builder import Scene
    from isaac_gymnasium.scene.markers import ball

    scene = Scene(env_spacing=1.0)
    scene.add_marker("Goal", ball(0.1))
    with pytest.raises(ValueError, match="already in the scene"):
        scene.add_marker("Goal", ball(0.1))
    with pytest.raises(ValueError, match="'a goal' is not a valid prim name"):
        scene.add_marker("a goal", ball(0.1))
    assert scene.markers() == ["Goal"]


MARKED = sorted(
    name
    for name, cls in isaac_gymnasium.registered_tasks().items()
    if cls.get_markers is not Task.get_markers and "Rough" not in name
)


@pytest.mark.parametrize("name", MARKED)
def test_every_task_tells_where_its_markers_are(name: str) -> None:
    envs = gym.make_vec(name, num_envs=2, engine=ENGINE, device="cpu")
    envs.reset(seed=0)
    renderer = Renderer.of(envs.unwrapped.engine)
    poses = renderer.poses(markers=True)
    assert poses.shape == (2, len(renderer.bodies) + len(renderer.markers), 7)
    assert torch.isfinite(poses).all()
    torch.testing.assert_close(poses[..., 3:].norm(dim=-1), torch.ones(poses.shape[:2]))
    envs.close()
