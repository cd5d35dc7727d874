"""The scene in the browser: one instanced mesh for each shape, moved to where the bodies are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium.rendering.drawing import Drawable
from isaac_gymnasium.rendering.renderer import Renderer
from isaac_gymnasium.viewer.shapes import triangles

__all__ = ["World"]

_MARGIN = 100.0
"""Ground around the environments, m."""
_SECTION = 2.0
"""Between the strong lines on the ground, m."""
_BELOW = 0.002
"""What lies on the ground would flicker through it, m."""


class World:
    """What the browser shows of some environments.

    Args:
        server: A viser server.
        renderer: Knows the shapes and the bodies they hang on.
        places: (K, 3) where environments may stand in the picture, m.
    """

    def __init__(self, server: Any, renderer: Renderer, places: Tensor) -> None:
        self._scene = server.scene
        low, high = places.amin(0), places.amax(0)
        self._middle = (0.5 * (low + high)).tolist()
        self._edge = float((high - low).max()) + 2 * _MARGIN
        rows = enumerate(renderer.bodies)
        more = enumerate(renderer.markers, len(renderer.bodies))
        self._rows = {(False, ""): -1} | {(False, body): row for row, body in rows}
        self._rows |= {(True, marker): row for row, marker in more}
        self._moving = [shape for shape in renderer.drawables if not shape.shared]
        self._handles: list[Any] = []
        self._ground: list[Any] = []
        self._planes: list[tuple[Any, Tensor]] = []
        self._count = 0
        self._scene.set_up_direction("+z")
        for index, shape in enumerate(renderer.drawables):
            if shape.shared:
                self._add_shared(index, shape)

    def _add_shared(self, index: int, shape: Drawable) -> None:
        name = f"/world/{index}_{shape.label}"
        if shape.kind == "plane" and math.isinf(shape.radius):
            # One without end, or a very large one, hides what stands on it from a near camera.
            x, y, _ = self._middle
            middle = torch.tensor([x, y, shape.position[2] - _BELOW])
            plane = self._scene.add_grid(
                name,
                width=self._edge,
                height=self._edge,
                plane="xy",
                cell_size=0.5,
                section_size=_SECTION,
                position=tuple(middle.tolist()),
                plane_color=_rgb(shape.color),
                plane_opacity=1.0,
            )
            self._planes.append((plane, middle))
            return
        vertices, faces = triangles(shape)
        self._ground.append(
            self._scene.add_mesh_simple(
                name, vertices, faces, color=_rgb(shape.color), flat_shading=True
            )
        )

    def show(self, poses: Tensor, places: Tensor, ground: Tensor) -> None:
        """Moves everything.

        Args:
            poses: (K, B + M, 7) of bodies and markers of the environments to show, environment
                frame.
            places: (K, 3) where each environment stands in the picture, m.
            ground: (3,) where the world's origin is, m.
        """
        for handle in self._ground:
            handle.position = tuple(ground.tolist())
        # A plane without end looks the same again a section further on.
        shift = torch.cat((ground[:2] % _SECTION, ground[2:]))
        for handle, middle in self._planes:
            handle.position = tuple((middle + shift).tolist())
        if len(poses) != self._count:
            self._rebuild(len(poses))
        still = torch.zeros(len(poses), 1, 7)
        still[..., 6] = 1.0
        # Row -1 is what no body carries.
        frames = torch.cat((poses.float(), still), dim=1)
        frames[..., :3] += places.unsqueeze(1)
        positions = frames[..., :3].numpy()
        wxyz = frames[..., [6, 3, 4, 5]].numpy()
        for shape, handle in zip(self._moving, self._handles, strict=True):
            row = self._rows[shape.marker, shape.body]
            handle.batched_positions = np.ascontiguousarray(positions[:, row])
            handle.batched_wxyzs = np.ascontiguousarray(wxyz[:, row])

    def _rebuild(self, count: int) -> None:
        """Instances cannot change in number, hence new ones."""
        for handle in self._handles:
            handle.remove()
        self._count = count
        self._handles = []
        for index, shape in enumerate(self._moving):
            vertices, faces = triangles(shape)
            self._handles.append(
                self._scene.add_batched_meshes_simple(
                    f"/envs/{index}_{shape.label}",
                    vertices,
                    faces,
                    batched_wxyzs=np.tile((1.0, 0.0, 0.0, 0.0), (count, 1)),
                    batched_positions=np.zeros((count, 3)),
                    batched_colors=_bytes(shape.color),
                    flat_shading=shape.kind == "box",
                    lod="off",
                )
            )


def _rgb(color: tuple[float, float, float]) -> tuple[int, int, int]:
    """Linear colour as sRGB bytes."""
    linear = np.clip(color, 0.0, 1.0)
    return _bytes(
        np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    )


def _bytes(color: Any) -> tuple[int, int, int]:
    """Numbers in [0, 1] as bytes; viser takes the colours of instances as linear."""
    red, green, blue = (255.0 * np.clip(color, 0.0, 1.0)).round().astype(int).tolist()
    return (red, green, blue)
