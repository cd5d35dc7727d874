"""Where frames of a task are taken from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isaac_gymnasium.scene.model import Vec3


@dataclass(frozen=True, kw_only=True)
class Viewpoint:
    """Where frames of a task are taken from.

    Attributes:
        eye: Position of the camera in the environment frame, m.
        target: What it looks at, m.
        fov: Vertical field of view, rad.
        follow: Robot or rigid body that eye and target travel along with, horizontally: they are
            then relative to its place on the ground. On a terrain they go up and down with it too.
        cell: Edges along x and y of the cell that an environment takes up in a picture of many, m;
            by default the task's `env_spacing`.
    """

    eye: Vec3
    target: Vec3
    fov: float = math.radians(40.0)
    follow: str | None = None
    cell: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuses an eye on its target and fields of view that no lens has."""
        if math.dist(self.eye, self.target) == 0.0:
            raise ValueError(f"eye and target must differ, both are {self.eye}")
        if not 0.0 < self.fov < math.pi:
            raise ValueError(f"fov must lie in (0, pi) rad, got {self.fov}")
