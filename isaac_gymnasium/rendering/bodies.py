"""Poses of everything that moves, for a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Articulation, Engine, RigidBody


class BodyPoses:
    """Poses of bodies, and of markers, in their environments' frames.

    Args:
        engine: Where the bodies live.
        bodies: Their paths below the environment, such as `"Cube"` or `"Robot/panda_hand"`.
        markers: Names of markers, whose poses follow those of the bodies.

    Raises:
        EngineError: If the engine has no such body.
    """

    def __init__(self, engine: Engine, bodies: Sequence[str], markers: Sequence[str]) -> None:
        self._engine, self._bodies, self._markers = engine, len(bodies), markers
        self._views: list[tuple[Articulation | RigidBody, int, int]] = []
        robots = engine.scene.bodies()[0]
        for row, path in enumerate(bodies):
            self._views.append((*self._find(path, robots), row))
        rows = len(bodies) + len(markers)
        self._poses = torch.zeros(engine.num_envs, rows, 7, device=engine.device)
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
        bodies = self._poses[:, : self._bodies]
        for view, link, row in self._views:
            pose = view.link_pose[:, link] if isinstance(view, Articulation) else view.pose
            bodies[:, row] = pose
        bodies[..., :3] -= self._engine.env_origins.unsqueeze(1)
        return bodies

    def read_with_markers(self) -> Tensor:
        """(N, B + M, 7) the same, and the markers.

        Raises:
            ValueError: If the task tells of other markers than its scene has, or something else
                than positions or poses.
        """
        told = self._engine.markers()
        if set(told) != set(self._markers):
            raise ValueError(
                f"get_markers must tell of the scene's markers {sorted(self._markers)}, "
                f"got {sorted(told)}"
            )
        rows = len(self._poses)
        for row, name in enumerate(self._markers, self._bodies):
            if tuple(told[name].shape) not in ((rows, 3), (rows, 7)):
                raise ValueError(
                    f"get_markers must give ({rows}, 3) positions or ({rows}, 7) poses of "
                    f"{name!r}, got {tuple(told[name].shape)}"
                )
            self._poses[:, row, : told[name].shape[-1]] = told[name]
        self.read()
        return self._poses
