"""What differs in the images of the task's cameras: where these stand, and how the light falls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Engine
from isaac_gymnasium.randomization.draw import Draw
from isaac_gymnasium.randomization.terms import Term
from isaac_gymnasium.transforms import quat_from_rotation_vector

TARGETS = ("camera_position", "camera_rotation", "light_direction", "sun_light", "sky_light")


class Sight:
    """The cameras and the light of an engine's environments.

    Nothing below the renderer knows it: cameras and lights are reached through the engine.

    Args:
        engine: With the task's cameras made.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lights: Any = None
        self._direction = torch.zeros(3, device=engine.device)

    def bind(self, term: Term) -> int:
        """Lets a term act; how many numbers it needs in an environment.

        Raises:
            ValueError: If the task has no such camera, or none at all, or RTX lights the images.
        """
        renderer = self._engine.renderer
        if renderer is None or not renderer.cameras:
            raise ValueError(f"{term.target}: the task has no camera")
        n, device = self._engine.num_envs, self._engine.device
        if not term.target.startswith("camera"):
            if term.names is not None:
                raise ValueError(f"{term.target}: of the whole scene, names must be None")
            if not all(camera.is_ray_cast for camera in renderer.cameras):
                raise ValueError(f"{term.target}: RTX draws the cameras, by the light of the stage")
            if self._lights is None:
                self._lights = renderer.differ_in_light()
                self._direction = self._lights.direction[0] / self._lights.direction[0].norm()
            return 3
        cameras = self._cameras(term)
        for camera in cameras:
            if camera.shift is None:
                camera.shift = torch.zeros(n, 7, device=device)
                camera.shift[:, 6] = 1.0
        return 3 * len(cameras)

    def _cameras(self, term: Term) -> list[Any]:
        cameras: list[Any] = self._engine.renderer.cameras
        if term.names is None:
            return cameras
        known = sorted({camera.name for camera in cameras})
        for name in term.names:
            if name not in known:
                raise ValueError(f"{term.target}: names must be of {known}, got {name!r}")
        return [camera for camera in cameras if camera.name in term.names]

    def show(self, draws: Iterable[Draw]) -> None:
        """Puts cameras and light where the present numbers say, in place."""
        moves: dict[int, tuple[Any, Tensor]] = {}
        light: dict[str, Tensor] = {}
        for draw in draws:
            target = draw.term.target
            if target.startswith("camera"):
                at = 0 if target == "camera_position" else 3
                parts = draw.values.unflatten(-1, (-1, 3)).unbind(1)
                for camera, values in zip(self._cameras(draw.term), parts, strict=True):
                    zeros = torch.zeros(len(values), 6, device=values.device)
                    _, move = moves.setdefault(id(camera), (camera, zeros))
                    move[:, at : at + 3] += values
            elif target == "light_direction":
                light["direction"] = light.get("direction", self._direction) + draw.values
            else:
                name = target.removesuffix("_light")
                light[name] = light.get(name, torch.ones_like(draw.values)) * draw.values
        for camera, move in moves.values():
            turn = quat_from_rotation_vector(move[:, 3:])
            camera.shift.copy_(torch.cat((move[:, :3], turn), dim=-1))
        for name, values in light.items():
            getattr(self._lights, name).copy_(values)
