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
from isaac_gymnasium.rendering.renderer import Images, Renderer
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

    Attributes:
        uneven: Whether the world holds more than a ground plane, so that an environment cannot be
            shown elsewhere than in its place.
    """

    def __init__(
        self, engine: Engine, viewpoint: Viewpoint | None, size: tuple[int, int] = FRAME_SIZE
    ) -> None:
        self._renderer = Renderer.of(engine)
        self._boxes = _authored_boxes(self._renderer.drawables)
        radii = [math.hypot(*d.position) + d.radius for d in self._renderer.drawables if d.marker]
        self._goal = torch.full((3,), max(radii, default=0.0))
        self._view = viewpoint or self._find_viewpoint(engine)
        self._cell = self._view.cell or self._find_cell(engine.scene.env_spacing)
        self._row = None
        if self._view.follow is not None:
            self._row = self._renderer.row(self._view.follow)
            body = self._renderer.bodies[self._row]
            self._height = _authored_height(self._renderer.drawables, body)
        self.uneven = any(d.kind != "plane" for d in self._renderer.drawables if d.shared)
        self._origins = engine.env_origins
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

    @property
    def follows(self) -> bool:
        """Whether the picture goes along with a body."""
        return self._row is not None

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
        self._shoot(snapshot[env : env + 1], self._origins[env : env + 1], self._image)
        return self._image.rgb[0].cpu().numpy().copy()

    def _shoot(self, poses: Tensor, origins: Tensor, images: Images) -> None:
        """Takes an image of each environment, as its frame shows it."""
        walked = self.walked(poses)
        eye = torch.tensor([self._view.eye], device=poses.device) + walked
        target = torch.tensor([self._view.target], device=poses.device) + walked
        self._renderer.render(
            poses, look_at(eye, target), images, world_offsets=-origins, samples=_SAMPLES
        )

    def grid(
        self, snapshot: Tensor, envs: Sequence[int], size: tuple[int, int] = FRAME_SIZE
    ) -> np.ndarray:
        """(H, W, 3) uint8 picture of several environments, side by side on one ground."""
        poses = snapshot[list(envs)]
        if self.uneven:
            return self._mosaic(poses, self._origins[list(envs)], size)
        device = poses.device
        walked = self.walked(poses)
        # On a ground that is the same everywhere, who walks stays in the middle of a cell.
        centers = self.layout(len(envs)).to(device)
        places = centers - walked
        goals = poses[:, len(self._renderer.bodies) :, :3] + places.unsqueeze(1)
        lens = Lens(width=size[0], height=size[1], fov=_FOV)
        image = self._renderer.images(1, lens)
        self._renderer.render(
            poses,
            self.overview(centers, lens, goals).unsqueeze(0),
            image,
            offsets=places,
            samples=_SAMPLES,
        )
        return image.rgb[0].cpu().numpy()

    def _mosaic(self, poses: Tensor, origins: Tensor, size: tuple[int, int]) -> np.ndarray:
        """(H, W, 3) uint8 frames side by side: the places of a terrain lie too far apart."""
        count = len(poses)
        columns = math.ceil(math.sqrt(count))
        width, height = size[0] // columns, size[1] // columns
        top = (size[1] - math.ceil(count / columns) * height) // 2
        tiles = self._renderer.images(count, Lens(width=width, height=height, fov=self._view.fov))
        self._shoot(poses, origins, tiles)
        picture = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
        for k, tile in enumerate(tiles.rgb.cpu().numpy()):
            row, column = divmod(k, columns)
            y, x = top + row * height, column * width
            picture[y : y + height, x : x + width] = tile
        return picture

    def walked(self, poses: Tensor) -> Tensor:
        """(K, 3) how far eye and target have come along with what they follow."""
        walked = torch.zeros(len(poses), 3, device=poses.device)
        if self._row is not None:
            walked[:, :2] = poses[:, self._row, :2]
            # On ground that rises and falls they go up and down with it.
            if self.uneven:
                walked[:, 2] = poses[:, self._row, 2] - self._height
        return walked

    def layout(self, count: int, room: float = 0.0) -> Tensor:
        """(K, 3) places on a board of cells that is about as wide as deep, m.

        Args:
            count: K.
            room: Added to both edges of a cell that belongs to what walks about, m.
        """
        x, y = (edge + room * self.follows for edge in self._cell)
        columns = max(1, round(math.sqrt(count * y / x)))
        index = torch.arange(count)
        zero = torch.zeros(count)
        return torch.stack((x * (index % columns), y * (index // columns), zero), dim=-1)

    def overview(self, centers: Tensor, lens: Lens, goals: Tensor | None = None) -> Tensor:
        """(7,) pose of a camera that sees all environments, from the side frames are taken from.

        Args:
            centers: (K, 3) where they stand in the picture, m.
            lens: The camera's.
            goals: (K, M, 3) what else is to be seen, as far as it lies in its cell.
        """
        device = centers.device
        low, high = (side.to(device) for side in self._boxes)
        corners = (centers.unsqueeze(1) + _corners(low, high)).flatten(0, 1)
        if goals is not None:
            half = torch.tensor([*self._cell, torch.inf], device=device) / 2
            near = ((goals - centers.unsqueeze(1)).abs() < half).all(-1)
            around = _corners(-self._goal, self._goal).to(device)
            corners = torch.cat((corners, (goals[near].unsqueeze(1) + around).flatten(0, 1)))
        x, y, z = _TOWARD
        x = math.copysign(x, self._view.eye[0] - self._view.target[0])
        y = math.copysign(y, self._view.eye[1] - self._view.target[1])
        toward = torch.tensor([x, y, z], device=device)
        return fit((corners.amin(0) + corners.amax(0)) / 2, toward, corners, lens)


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
