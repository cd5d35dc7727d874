"""What RTX draws, drawn by the ray caster of isaac_gymnasium from the stage and from Fabric.

Cameras are where the stage has them, bodies where Fabric has them, or as authored where Fabric has
never been updated. Version 5.1 draws every environment in every picture, 6.0 keeps to partitions.
The first frame of a render product is empty. What an annotator hands out is overwritten by the
next frame. Light is not that of the stage: where there is none, pictures are black.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from kit_world import WORLD, KitRuleBroken, Physics
from pxr import Gf, Usd, UsdGeom, UsdLux, UsdPhysics

from isaac_gymnasium.rendering.renderer import Renderer
from isaac_gymnasium.rendering.view import Lens
from isaac_gymnasium.scene.builder import ENV_0, ENV_ROOT, Scene

# Annotator -> output of the ray caster, channels, what fills pixels that belong to no camera.
ANNOTATORS = {
    "rgb": ("rgb", 4, 255),
    "distance_to_image_plane": ("depth", 1, math.nan),
    "normals": ("normals", 4, math.nan),
}
OVER = Gf.Quatd(0.0, 1.0, 0.0, 0.0)


def pose_of(matrix: Gf.Matrix4d, turned: bool = False) -> list[float]:
    transform = Gf.Transform(matrix)
    turn = transform.GetRotation().GetQuat() * (OVER if turned else Gf.Quatd(1.0))
    return [*transform.GetTranslation(), *turn.GetImaginary(), turn.GetReal()]


def environments() -> list[str]:
    found = WORLD.stage.GetPrimAtPath(ENV_ROOT).GetChildren()
    paths = [str(prim.GetPath()) for prim in found]
    return sorted(paths, key=lambda path: int(path.rpartition("_")[2]))


def moving_bodies() -> list[str]:
    """Bodies of environment 0, by their paths below it."""
    prims = Usd.PrimRange(WORLD.stage.GetPrimAtPath(ENV_0))
    bodies = [prim for prim in prims if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
    return [str(prim.GetPath()).removeprefix(f"{ENV_0}/") for prim in bodies]


def articulations() -> dict[str, str]:
    """Of environment 0: what is below which prim belongs to the articulation with which root."""
    prims = Usd.PrimRange(WORLD.stage.GetPrimAtPath(ENV_0))
    roots = [prim for prim in prims if prim.HasAPI(UsdPhysics.ArticulationRootAPI)]
    paths = [str(prim.GetPath()).removeprefix(f"{ENV_0}/") for prim in roots]
    return {path.partition("/")[0]: path for path in paths}


def body_poses(physics: Physics) -> dict[str, dict[int, torch.Tensor]]:
    """World poses of the bodies in all environments, by path and number of the environment."""
    poses: dict[str, dict[int, torch.Tensor]] = {}
    robots = articulations()
    for body in moving_bodies():
        top, _, _ = body.partition("/")
        kind = "ARTICULATION_LINK_POSE" if top in robots else "RIGID_BODY_POSE"
        binding = physics.bind(f"{ENV_ROOT}/*/{robots.get(top, body)}", kind)
        values = torch.zeros(binding.shape)
        binding.read(values)
        if top in robots:
            values = values[:, list(binding.body_names).index(body.rpartition("/")[2])]
        rows = (int(path.split("/")[3].removeprefix("env_")) for path in binding.prim_paths)
        poses[body] = dict(zip(rows, values, strict=True))
        binding.destroy()
    return poses


class StageRenderer(Renderer):
    """The ray caster, on a stage in place of an engine's scene."""

    def __init__(self) -> None:
        stage = Usd.Stage.Open(WORLD.stage.Flatten())
        for path in environments():
            if path != ENV_0:
                stage.RemovePrim(path)
        robots = articulations()
        links = {
            robot: [b.rpartition("/")[2] for b in moving_bodies() if b.startswith(f"{robot}/")]
            for robot in robots
        }
        scene = Scene.__new__(Scene)
        scene.stage = stage
        super().__init__(
            SimpleNamespace(
                device=torch.device("cpu"),
                num_envs=1,
                scene=scene,
                articulation=lambda name: SimpleNamespace(link_names=links[name]),
                rigid_body=lambda name: None,
            )
        )


class RenderProduct:
    """As rep.create.render_product_tiled makes it."""

    def __init__(self, cameras: list[str], tile: tuple[int, int], name: str) -> None:
        for path in cameras:
            if not UsdGeom.Camera(WORLD.stage.GetPrimAtPath(path)):
                raise ValueError(f"Invalid camera `{path}`")
        self.path = f"/Render/OmniverseKit/HydraTextures/{name}"
        self.outputs: set[str] = set()
        self._cameras, self._tile = cameras, tile
        self._renderer = StageRenderer()
        self._lit = any(prim.HasAPI(UsdLux.LightAPI) for prim in WORLD.stage.Traverse())
        self._frames = 0
        self.buffers: dict[str, np.ndarray] = {}
        WORLD.products.append(self)

    def destroy(self) -> None:
        WORLD.products.remove(self)

    def draw(self) -> None:
        self._frames += 1
        if self._frames < 2:
            return
        paths = environments()
        origins = torch.tensor([self._pose(path)[:3] for path in paths])
        cameras = torch.tensor([self._pose(path, turned=True) for path in self._cameras])
        shown = torch.tensor([self._seen_by(path, paths) for path in self._cameras]).flatten()
        images = self._renderer.images(
            len(cameras), self._lens(), [ANNOTATORS[name][0] for name in self.outputs]
        )
        self._renderer.render(
            self._bodies(paths, origins)[shown],
            cameras,
            images,
            offsets=origins[shown],
            world_offsets=torch.zeros(len(shown), 3),
        )
        for name in self.outputs:
            self._tile_up(name, getattr(images, ANNOTATORS[name][0]))

    def _pose(self, path: str, turned: bool = False) -> list[float]:
        prim = WORLD.stage.GetPrimAtPath(path)
        return pose_of(UsdGeom.XformCache().GetLocalToWorldTransform(prim), turned)

    def _seen_by(self, camera: str, paths: list[str]) -> list[int]:
        stage = WORLD.stage
        mine = stage.GetPrimAtPath(camera).GetAttribute("omni:scenePartition").Get()
        if mine is None or WORLD.version == "5.1":
            return list(range(len(paths)))
        name = "primvars:omni:scenePartition"
        theirs = [stage.GetPrimAtPath(path).GetAttribute(name).Get() for path in paths]
        return [k for k, other in enumerate(theirs) if other in (None, mine)]

    def _lens(self) -> Lens:
        camera = UsdGeom.Camera(WORLD.stage.GetPrimAtPath(self._cameras[0]))
        width, height = self._tile
        wide = camera.GetHorizontalApertureAttr().Get() / camera.GetFocalLengthAttr().Get()
        near = camera.GetClippingRangeAttr().Get()[0]
        fov = 2.0 * math.atan(0.5 * wide * height / width)
        return Lens(width=width, height=height, fov=fov, near=near)

    def _bodies(self, paths: list[str], origins: torch.Tensor) -> torch.Tensor:
        """(N, B, 7), each in the frame of its environment."""
        poses = torch.zeros(len(paths), len(self._renderer.bodies), 7)
        for row, body in enumerate(self._renderer.bodies):
            for env, path in enumerate(paths):
                if WORLD.fabric is not None:
                    pose = WORLD.fabric[body][int(path.rpartition("_")[2])]
                else:
                    pose = torch.tensor(self._pose(f"{path}/{body}"))
                poses[env, row] = pose
        poses[..., :3] -= origins.unsqueeze(1)
        return poses

    def _tile_up(self, name: str, pictures: torch.Tensor) -> None:
        _, channels, filler = ANNOTATORS[name]
        width, height = self._tile
        columns = math.ceil(math.sqrt(len(pictures)))
        rows = math.ceil(len(pictures) / columns)
        shape = (rows * height, columns * width, channels)
        if name not in self.buffers:
            self.buffers[name] = np.empty(shape, pictures.numpy().dtype)
        tiled = self.buffers[name]
        tiled[:] = filler
        if name == "rgb" and not self._lit:
            pictures = torch.zeros_like(pictures)
        for k, picture in enumerate(pictures.reshape(len(pictures), height, width, -1).numpy()):
            top, left = (k // columns) * height, (k % columns) * width
            tiled[top : top + height, left : left + width, : picture.shape[-1]] = picture


def buffer_of(product: RenderProduct, name: str, device: str, copied: bool) -> np.ndarray:
    if product not in WORLD.products:
        raise KitRuleBroken("an annotator outlived its render product")
    if device != "cpu":
        raise NotImplementedError("pictures on a GPU are not imitated")
    tiled = product.buffers.get(name, np.empty(0, np.float32))
    tiled = tiled[..., 0] if tiled.ndim == 3 and tiled.shape[-1] == 1 else tiled
    return tiled.copy() if copied else tiled
