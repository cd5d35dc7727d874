"""Poses of everything that moves, for a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Articulation, Engine, RigidBody


class BodyPoses:
    """Poses of bodies in their environments' frames.

    Args:
        engine: Where the bodies live.
        bodies: Their paths below the environment, such as `"Cube"` or `"Robot/panda_hand"`.

    Raises:
        EngineError: If the engine has no such body.
    """

    def __init__(self, engine: Engine, bodies: Sequence[str]) -> None:
        self._engine = engine
        self._views: list[tuple[Articulation | RigidBody, int, int]] = []
        robots = engine.scene.bodies()[0]
        for row, path in enumerate(bodies):
            self._views.append((*self._find(path, robots), row))
        self._poses = torch.zeros(engine.num_envs, len(bodies), 7, device=engine.device)
        self._poses[:, :, 6] = 1.0

    def _find(self, path: str, robots: Sequence[str]) -> tuple[Articulation | RigidBody, int]:
        for robot in robots:
            # An articulation's root may be marked on the robot or on its first link.
            if path == robot or path.split("/")[0] == robot.split("/")[0]:
                view = self._engine.articulation(robot)
                name = path.rpartition("/")[2]
                if name in view.link_names:
                    return view, view.link_names.index(name)
        return self._engine.rigid_body(path), -1

    def read(self) -> Tensor:
        """(N, B, 7) positions and quaternions now; a buffer that the next read changes."""
        for view, link, row in self._views:
            pose = view.link_pose[:, link] if isinstance(view, Articulation) else view.pose
            self._poses[:, row] = pose
        self._poses[:, :, :3] -= self._engine.env_origins.unsqueeze(1)
        return self._poses
