"""How a picture is taken: lenses, and poses of cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from isaac_gymnasium.transforms import quat_from_matrix, quat_rotate, quat_rotate_inverse


@dataclass(frozen=True, kw_only=True)
class Lens:
    """A pinhole camera without distortion.

    Attributes:
        width: Pixels.
        height: Pixels.
        fov: Vertical field of view, rad.
        near: Depth below which nothing is seen, m.
    """

    width: int
    height: int
    fov: float
    near: float = 0.01

    def __post_init__(self) -> None:
        """Refuses images without pixels and fields of view that no lens has."""
        for name in ("width", "height"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        if not 0.0 < self.fov < math.pi:
            raise ValueError(f"fov must lie in (0, pi) rad, got {self.fov}")
        if not 0.0 < self.near < math.inf:
            raise ValueError(f"near must be positive and finite, got {self.near}")

    @property
    def focal_length(self) -> float:
        """In pixels, the same for both axes."""
        return 0.5 * self.height / math.tan(0.5 * self.fov)


def look_at(eye: Tensor, target: Tensor) -> Tensor:
    """(..., 7) poses of cameras that look from eyes (..., 3) at targets (..., 3).

    A camera's axes are x to the right, y down and z ahead; the horizon is level.
    """
    ahead = torch.nn.functional.normalize(target - eye, dim=-1)
    up = torch.zeros_like(ahead)
    up[..., 2] = 1.0
    right = torch.linalg.cross(ahead, up)
    # Straight up or down there is no right: take that of a camera which turned up from ahead.
    level = torch.zeros_like(ahead)
    level[..., 1] = -1.0
    right = torch.where(right.norm(dim=-1, keepdim=True) < 1e-6, level, right)
    right = torch.nn.functional.normalize(right, dim=-1)
    down = torch.linalg.cross(ahead, right)
    rotation = torch.stack((right, down, ahead), dim=-1)
    return torch.cat((eye, quat_from_matrix(rotation)), dim=-1)


def fit(target: Tensor, toward: Tensor, points: Tensor, lens: Lens, margin: float = 1.08) -> Tensor:
    """(7,) pose of the nearest camera that sees all points, as much left and right of its middle.

    Args:
        target: (3,) a point to look at to begin with.
        toward: (3,) direction from there to the camera.
        points: (P, 3) what must be seen.
        lens: The camera's.
        margin: How much of the picture to leave free about them.
    """
    toward = torch.nn.functional.normalize(toward, dim=-1)
    rotation = look_at(target + toward, target)[3:]
    slope = math.tan(0.5 * lens.fov) / margin
    wide = slope * lens.width / lens.height
    for _ in range(8):
        x, y, z = quat_rotate_inverse(rotation.expand(len(points), 4), points - target).unbind(-1)
        distance = (torch.maximum(x.abs() / wide, y.abs() / slope) - z).max()
        u, v = x / (z + distance), y / (z + distance)
        middle = torch.stack((u.max() + u.min(), v.max() + v.min(), torch.zeros_like(distance)))
        target = target + quat_rotate(rotation, 0.5 * distance * middle)
    x, y, z = quat_rotate_inverse(rotation.expand(len(points), 4), points - target).unbind(-1)
    distance = (torch.maximum(x.abs() / wide, y.abs() / slope) - z).max()
    return torch.cat((target + toward * distance, rotation))
