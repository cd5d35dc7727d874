"""`FrameMaker`: what `render` and `render_grid` of a vector environment show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Engine
from isaac_gymnasium.rendering.drawing import Drawable
from isaac_gymnasium.rendering.renderer import Renderer
from isaac_gymnasium.rendering.view import Lens, fit, look_at
from isaac_gymnasium.scene.viewpoint import Viewpoint

FRAME_SIZE = (640, 480)
"""Width and height of a frame, pixels."""
_SAMPLES = 2
_FOV = math.radians(40.0)
_TOWARD = (0.8, -1.0, 0.62)
"""From what is looked at to the camera, where no viewpoint says otherwise."""


class FrameMaker:
    """Takes pictures of environments for people to look at.

    Args:
        engine: Whose environments.
        viewpoint: Where from; None finds a place that shows everything as it is authored.
        size: Width and height of a frame, pixels.
    """

    def __init__(
        self, engine: Engine, viewpoint: Viewpoint | None, size: tuple[int, int] = FRAME_SIZE
    ) -> None:
        self._renderer = Renderer.of(engine)
        self._boxes = _authored_boxes(self._renderer.drawables)
        self._view = viewpoint or self._find_viewpoint(engine)
        self._cell = self._view.cell or self._find_cell(engine.scene.env_spacing)
        self._row = None
        if self._view.follow is not None:
            self._row = self._renderer.row(self._view.follow)
            body = self._renderer.bodies[self._row]
            self._height = _authored_height(self._renderer.drawables, body)
        # Where the world holds more than a ground plane, an environment cannot leave its place.
        planes = all(each.kind == "plane" for each in self._renderer.drawables if each.shared)
        self._origins = engine.env_origins
        self._places = None if planes else engine.env_origins
        self._lens = Lens(width=size[0], height=size[1], fov=self._view.fov)
        self._image = self._renderer.images(1, self._lens)
        # A buffer for what a step ended with, before any reset.
        self.final = torch.zeros_like(self._renderer.poses(markers=True))

    def _find_viewpoint(self, engine: Engine) -> Viewpoint:
        low, high = self._boxes
        target = (low + high) / 2
        lens = Lens(width=FRAME_SIZE[0], height=FRAME_SIZE[1], fov=_FOV)
        follow = None
        for robot in engine.scene.bodies()[0]:
            if not engine.articulation(robot).fixed_base:
                follow = robot
                break
        eye = fit(target, torch.tensor(_TOWARD), _corners(low, high), lens, margin=1.3)[:3]
        return Viewpoint(eye=tuple(eye.tolist()), target=tuple(target.tolist()), follow=follow)

    def _find_cell(self, spacing: float) -> tuple[float, float]:
        """Room to move about what is authored, but no more than an environment has."""
        edge = min(spacing, 1.5 * float((self._boxes[1] - self._boxes[0])[:2].max()) + 0.2)
        return (edge, edge)

    def snapshot(self) -> Tensor:
        """(N, B + M, 7) what there is to see now, kept."""
        return self._renderer.poses(markers=True).clone()

    def keep_final(self) -> None:
        """Notes what there is to see now as what the step ended with."""
        self.final.copy_(self._renderer.poses(markers=True))

    def frames(self, snapshot: Tensor) -> Frames:
        """One frame for each environment, rendered when looked at."""
        return Frames(self, snapshot)

    def frame(self, snapshot: Tensor, env: int) -> np.ndarray:
        """(H, W, 3) uint8 picture of one environment alone."""
        poses = snapshot[env : env + 1]
        device = poses.device
        walked = self._walked(poses)
        eye = torch.tensor([self._view.eye], device=device) + walked
        target = torch.tensor([self._view.target], device=device) + walked
        self._renderer.render(
            poses,
            look_at(eye, target),
            self._image,
            world_offsets=-self._origins[env : env + 1],
            samples=_SAMPLES,
        )
        return self._image.rgb[0].cpu().numpy().copy()

    def grid(
        self, snapshot: Tensor, envs: Sequence[int], size: tuple[int, int] = FRAME_SIZE
    ) -> np.ndarray:
        """(H, W, 3) uint8 picture of several environments, side by side on one ground."""
        poses = snapshot[list(envs)]
        device = poses.device
        walked = self._walked(poses)
        if self._places is None:
            # On a ground that is the same everywhere, who walks stays in the middle of a cell.
            centers = self._layout(len(envs)).to(device)
            places, still = centers - walked, None
        else:
            places = self._places[list(envs)]
            centers, still = places + walked, torch.zeros_like(places)
        low, high = (side.to(device) for side in self._boxes)
        corners = (centers.unsqueeze(1) + _corners(low, high)).flatten(0, 1)
        lens = Lens(width=size[0], height=size[1], fov=_FOV)
        toward = torch.tensor(_TOWARD, device=device)
        target = (corners.amin(0) + corners.amax(0)) / 2
        image = self._renderer.images(1, lens)
        self._renderer.render(
            poses,
            fit(target, toward, corners, lens).unsqueeze(0),
            image,
            offsets=places,
            world_offsets=still,
            samples=_SAMPLES,
        )
        return image.rgb[0].cpu().numpy()

    def _walked(self, poses: Tensor) -> Tensor:
        """(K, 3) how far eye and target have come along with what they follow."""
        walked = torch.zeros(len(poses), 3, device=poses.device)
        if self._row is not None:
            walked[:, :2] = poses[:, self._row, :2]
            # On ground that rises and falls they go up and down with it.
            if self._places is not None:
                walked[:, 2] = poses[:, self._row, 2] - self._height
        return walked

    def _layout(self, count: int) -> Tensor:
        """(K, 3) places on a board of cells that is about as wide as deep."""
        x, y = self._cell
        columns = max(1, round(math.sqrt(count * y / x)))
        index = torch.arange(count)
        zero = torch.zeros(count)
        return torch.stack((x * (index % columns), y * (index // columns), zero), dim=-1)


class Frames(Sequence[np.ndarray]):
    """One (H, W, 3) uint8 frame for each environment, rendered when it is asked for.

    It shows the moment at which it was made, whatever happens later.
    """

    def __init__(self, maker: FrameMaker, snapshot: Tensor) -> None:
        self._maker = maker
        self._snapshot = snapshot

    def __len__(self) -> int:
        return len(self._snapshot)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[np.ndarray, ...]: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | tuple[np.ndarray, ...]:
        if isinstance(index, slice):
            return tuple(self[k] for k in range(*index.indices(len(self))))
        # operator.index semantics of a list: IndexError ends an iteration.
        return self._maker.frame(self._snapshot, range(len(self))[index])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[k] for k in range(len(self)))


def _authored_boxes(drawables: Sequence[Drawable]) -> tuple[Tensor, Tensor]:
    """Corners (3,) and (3,) of the box about an environment's shapes as authored."""
    own = [
        each
        for each in drawables
        if not (each.shared or each.marker) and math.isfinite(each.radius)
    ]
    if not own:
        return torch.tensor([-0.5, -0.5, 0.0]), torch.tensor([0.5, 0.5, 1.0])
    low, high = zip(*(each.box for each in own), strict=True)
    return torch.tensor(low).amin(0), torch.tensor(high).amax(0)


def _authored_height(drawables: Sequence[Drawable], body: str) -> float:
    """Where the scene puts an upright body, by the shapes on it, m; 0 without any."""
    own = [
        0.5 * (d.box[0][2] + d.box[1][2]) - d.position[2]
        for d in drawables
        if d.body == body and not d.marker
    ]
    return sum(own) / max(1, len(own))


def _corners(low: Tensor, high: Tensor) -> Tensor:
    """(8, 3) corners of a box."""
    axes = torch.stack((low, high))
    return torch.cartesian_prod(axes[:, 0], axes[:, 1], axes[:, 2])
