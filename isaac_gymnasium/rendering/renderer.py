"""`Renderer`: pictures of a scene, one or thousands at once, by ray casting on NVIDIA Warp.

It needs neither a display nor OpenGL, and runs where the engine's tensors are.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium._warp import import_warp, torch_stream
from isaac_gymnasium.engines.base import Engine
from isaac_gymnasium.rendering.bodies import BodyPoses
from isaac_gymnasium.rendering.view import Lens
from isaac_gymnasium.scene.model import Vec3

if TYPE_CHECKING:
    from isaac_gymnasium.sensors.camera import Camera

OUTPUTS = ("rgb", "depth", "segmentation", "normals")


class RenderingError(RuntimeError):
    """A picture cannot be made; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """A sun and the sky, in linear RGB.

    Attributes:
        direction: Towards the sun, world frame.
        sun: Light of the sun.
        sky: Light from above.
        horizon: What is seen far away.
        bounce: Light from below.
        checker: Edge of the squares on the ground, m.
        shadows: Whether things throw them.
    """

    direction: Vec3 = (0.35, -0.5, 0.9)
    sun: Vec3 = (0.85, 0.82, 0.76)
    sky: Vec3 = (0.42, 0.50, 0.62)
    horizon: Vec3 = (0.74, 0.80, 0.87)
    bounce: Vec3 = (0.16, 0.16, 0.17)
    checker: float = 0.5
    shadows: bool = True


class Lights:
    """The light of every environment's images, where it differs; change it in place.

    Args:
        light: What it is at first.
        num_envs: N.
        device: Where.

    Attributes:
        direction: (N, 3) towards the sun, world frame, of any length.
        sun: (N, 3) factors on the sun's red, green and blue.
        sky: (N, 3) factors on those of sky, horizon and bounce.
    """

    def __init__(self, light: Light, num_envs: int, device: torch.device) -> None:
        self.direction = torch.tensor([light.direction], device=device).repeat(num_envs, 1)
        self.sun = torch.ones(num_envs, 3, device=device)
        self.sky = torch.ones(num_envs, 3, device=device)

    @property
    def version(self) -> int:
        """Another number after every change."""
        return self.direction._version + self.sun._version + self.sky._version


class Images:
    """Buffers that pictures are rendered into, kept from one time to the next.

    Args:
        count: Number of images, I.
        lens: Gives their size.
        outputs: Which of `OUTPUTS` are wanted.
        device: Where.

    Attributes:
        rgb: (I, H, W, 3) uint8, sRGB.
        depth: (I, H, W) float32, distance along the camera's axis in m; infinite where nothing is.
        segmentation: (I, H, W) int32, index into `Renderer.labels`; 0 where nothing is.
        normals: (I, H, W, 3) float32, unit, in the environment frame, towards the camera; zero
            where nothing is.
        changed: (I,) int32, 1 for the images that the last rendering had to make anew.
    """

    def __init__(
        self, count: int, lens: Lens, outputs: Sequence[str], device: torch.device
    ) -> None:
        unknown = [name for name in outputs if name not in OUTPUTS]
        if unknown or not outputs or isinstance(outputs, str):
            raise ValueError(f"outputs must be some of {OUTPUTS}, got {outputs!r}")
        self.lens = lens
        self.outputs = tuple(outputs)
        shape = (count, lens.height, lens.width)

        def make(name: str, *last: int, dtype: torch.dtype) -> Tensor:
            # A kernel takes an array also for what is not wanted.
            size = (*shape, *last) if name in outputs else (1, 1, 1, *last)
            return torch.zeros(size, dtype=dtype, device=device)

        self.rgb = make("rgb", 3, dtype=torch.uint8)
        self.depth = make("depth", dtype=torch.float32)
        self.segmentation = make("segmentation", dtype=torch.int32)
        self.normals = make("normals", 3, dtype=torch.float32)
        # What they show, and how: where that is the same again, so is the image.
        self.changed = torch.zeros(count, dtype=torch.int32, device=device)
        self.cameras = torch.full((count, 7), math.nan, device=device)
        self.poses = torch.empty(0, 0, 7, device=device)
        self.light = torch.full((count, 9), math.nan, device=device)
        self.settings: object = None

    def wanted(self) -> dict[str, Tensor]:
        """The buffers of `outputs`, by name."""
        return {name: getattr(self, name) for name in self.outputs}


class Renderer:
    """Draws environments of an engine; `Renderer.of` gives the one that an engine's users share.

    Args:
        engine: Whose scene to draw.
        light: Sun and sky.

    Attributes:
        labels: What the numbers in a segmentation mean; 0 is nothing.
        bodies: Paths of the B bodies whose poses a picture needs.
        markers: Names of the M markers.
        cameras: The cameras of the task.
        lights: Of the cameras' images, where environments differ in it; None where they do not.

    Raises:
        RenderingError: If Warp is missing.
    """

    def __init__(self, engine: Engine, light: Light | None = None) -> None:
        from isaac_gymnasium.rendering.drawing import KINDS, read_drawables

        try:
            self._wp = import_warp()
        except ImportError as error:
            raise RenderingError(
                f"rendering needs Warp, which comes with every engine ({error}): "
                "pip install warp-lang"
            ) from error
        self._kernels = importlib.import_module("isaac_gymnasium.rendering._kernels")
        self.device = engine.device
        self.light = light or Light()
        self.cameras: list[Camera] = []
        self.lights: Lights | None = None
        self._light = Lights(self.light, 1, engine.device)
        drawn = read_drawables(engine.scene.stage)
        drawn.sort(key=lambda each: (each.shared, not each.marker))
        self.drawables = drawn
        roots = [
            f"{robot}/{engine.articulation(robot).link_names[0]}"
            for robot in engine.scene.bodies()[0]
        ]
        named = {each.body for each in drawn if each.body and not each.marker}
        self.bodies = sorted({*roots, *named})
        self.markers = engine.scene.markers()
        # Images with labels do not show markers.
        labels = dict.fromkeys(each.label for each in drawn if not each.marker)
        self.labels = ["nothing", *labels]
        numbers = {label: k for k, label in enumerate(self.labels)}
        self._poses = BodyPoses(engine, self.bodies, self.markers)
        self._roots = dict(zip(engine.scene.bodies()[0], roots, strict=True))
        # A marker may have the name of a body.
        frames = {(False, ""): 0} | {(False, name): 1 + k for k, name in enumerate(self.bodies)}
        more = 1 + len(self.bodies)
        frames |= {(True, name): more + k for k, name in enumerate(self.markers)}
        wp, device = self._wp, str(self.device)

        def array(values: list[Any], dtype: Any) -> Any:
            return wp.array(np.array(values), dtype=dtype, device=device)

        self._meshes = [self._mesh(each) for each in drawn if each.kind == "mesh"]
        ids = iter(mesh.id for mesh in self._meshes)
        shapes = self._kernels.Shapes()
        shapes.kind = array([KINDS.index(each.kind) for each in drawn], wp.int32)
        shapes.frame = array([frames[each.marker, each.body] for each in drawn], wp.int32)
        shapes.label = array([numbers.get(each.label, 0) for each in drawn], wp.int32)
        shapes.pose = array([(*each.position, *each.orientation) for each in drawn], wp.transform)
        shapes.size = array([each.size for each in drawn], wp.vec3)
        shapes.inverse_scale = array([[1.0 / s for s in each.scale] for each in drawn], wp.vec3)
        shapes.color = array([each.color for each in drawn], wp.vec3)
        shapes.radius = array([each.radius for each in drawn], wp.float32)
        shapes.mesh = array([next(ids) if d.kind == "mesh" else 0 for d in drawn], wp.uint64)
        shapes.environment = sum(not each.shared for each in drawn)
        shapes.count = len(drawn)
        self._shapes = shapes

    @classmethod
    def of(cls, engine: Engine) -> Renderer:
        """The engine's renderer, made when first asked for."""
        if engine.renderer is None:
            engine.renderer = cls(engine)
        renderer: Renderer = engine.renderer
        return renderer

    def _mesh(self, drawable: Any) -> Any:
        wp, device = self._wp, str(self.device)
        return wp.Mesh(
            points=wp.array(drawable.points, dtype=wp.vec3, device=device),
            indices=wp.array(drawable.triangles.flatten(), dtype=wp.int32, device=device),
        )

    def poses(self, *, markers: bool = False) -> Tensor:
        """Poses now, environment frame; a buffer that the next call changes.

        Args:
            markers: Whether those of the markers follow.

        Returns:
            (N, B, 7), or (N, B + M, 7) with the markers.
        """
        return self._poses.read_with_markers() if markers else self._poses.read()

    def row(self, name: str) -> int:
        """Where `poses` has a rigid body, or the root link of a robot.

        Raises:
            ValueError: If there is no such body.
        """
        name = self._roots.get(name, name)
        if name not in self.bodies:
            raise ValueError(f"nothing that moves is named {name!r}, have {self.bodies}")
        return self.bodies.index(name)

    def differ_in_light(self) -> Lights:
        """The light of each environment's cameras, from now on its own."""
        if self.lights is None:
            self.lights = Lights(self.light, len(self._poses.read()), self.device)
        return self.lights

    def images(self, count: int, lens: Lens, outputs: Sequence[str] = ("rgb",)) -> Images:
        """Buffers for `count` images."""
        return Images(count, lens, outputs, self.device)

    def render(
        self,
        poses: Tensor,
        cameras: Tensor,
        images: Images,
        *,
        offsets: Tensor | None = None,
        world_offsets: Tensor | None = None,
        samples: int = 1,
        shadows: bool = True,
        lights: Lights | None = None,
    ) -> None:
        """Fills images; those that show what they show already, from the same place, are left.

        Args:
            poses: (K, B, 7) poses of `bodies` in K environments, K a multiple of the number of
                images I. Image i shows the environments from i K/I to (i + 1) K/I. (K, B + M, 7)
                show the markers, too.
            cameras: (I, 7) poses of the cameras: x to the right, y down, z ahead.
            images: Where to.
            offsets: (K, 3) where the environments' origins stand in the picture; by default all
                at its origin.
            world_offsets: (K, 3) where the world's origin stands; by default as `offsets`.
            samples: Rays per pixel and axis; more than one smooths edges and shadows, for
                rgb alone.
            shadows: Whether there are any.
            lights: One for each image; by default `light` for all.
        """
        wp, kernels, shapes = self._wp, self._kernels, self._shapes
        count, lens = len(cameras), images.lens
        zeros = torch.zeros(len(poses), 3, device=self.device) if offsets is None else offsets
        still = zeros if world_offsets is None else world_offsets
        rows = 1 + len(self.bodies) + len(self.markers)
        frames = torch.zeros(len(poses), rows, 7, device=self.device)
        frames[:, 0, 6] = 1.0
        frames[:, 1 : 1 + poses.shape[1]] = poses
        marked = poses.shape[1] == rows - 1
        shapes.first = 0 if marked else sum(each.marker for each in self.drawables)
        if images.poses.shape[:2] != (len(poses), shapes.count):
            images.poses = torch.full((len(poses), shapes.count, 7), math.nan, device=self.device)
        settings = (samples, shadows, self.light, lights is None, marked)
        # Of nothing but sky, no shape says that the camera has moved.
        images.changed.fill_(int(settings != images.settings or not shapes.count))
        images.settings = settings
        if lights is not None:
            light = torch.cat((lights.direction, lights.sun, lights.sky), dim=-1)
            images.changed |= (light != images.light).any(-1)
            images.light.copy_(light)
        spheres = torch.empty(len(poses), shapes.count, 4, device=self.device)
        bounds = torch.empty(len(poses), 4, device=self.device)
        where: dict[str, Any] = {"device": str(self.device), "stream": torch_stream(self.device)}

        placed = kernels.Placed()
        placed.poses = wp.from_torch(images.poses, dtype=wp.transform)
        placed.spheres = wp.from_torch(spheres, dtype=wp.vec4)
        placed.bounds = wp.from_torch(bounds, dtype=wp.vec4)
        camera_array = wp.from_torch(cameras.contiguous(), dtype=wp.transform)
        changed_array = wp.from_torch(images.changed)
        wp.launch(
            kernels.place_shapes,
            dim=(len(poses), shapes.count),
            inputs=[
                shapes,
                wp.from_torch(frames, dtype=wp.transform),
                wp.from_torch(zeros.contiguous(), dtype=wp.vec3),
                wp.from_torch(still.contiguous(), dtype=wp.vec3),
                len(poses) // count,
                camera_array,
            ],
            outputs=[
                placed,
                wp.from_torch(images.cameras, dtype=wp.transform),
                changed_array,
            ],
            **where,
        )
        wp.launch(
            kernels.bound_environments,
            dim=len(poses),
            inputs=[shapes, placed],
            **where,
        )
        # Tiles of pixels, in bands of them.
        wide, high = kernels.TILE_WIDTH, kernels.TILE_HEIGHT
        bands, tiles = -(-lens.height // high), -(-lens.width // wide)
        lights = lights or self._light
        lit = [
            wp.from_torch(each, dtype=wp.vec3)
            for each in (lights.direction, lights.sun, lights.sky)
        ]
        masks = kernels.Masks()
        masks.there = int(len(poses) == count)
        cells = kernels.SUN_CELLS**2
        if masks.there:
            seen = torch.empty(count, bands * tiles, dtype=torch.int64, device=self.device)
            shading = torch.empty(count, cells, dtype=torch.int64, device=self.device)
            masks.seen, masks.shading = wp.from_torch(seen), wp.from_torch(shading)
            wp.launch(
                kernels.mask_tiles,
                dim=(count, bands * tiles),
                inputs=[shapes, placed, camera_array, changed_array, self._lens(lens), masks],
                **where,
            )
            wp.launch(
                kernels.mask_sun,
                dim=(count, cells),
                inputs=[shapes, placed, changed_array, lit[0], masks],
                **where,
            )
        arrays = [
            wp.from_torch(images.rgb),
            wp.from_torch(images.depth),
            wp.from_torch(images.segmentation),
            wp.from_torch(images.normals, dtype=wp.vec3),
        ]
        wants = [int(name in images.outputs) for name in OUTPUTS]
        look = self._look(samples, shadows)
        bands *= count

        def cast(first: int, number: int) -> None:
            wp.launch(
                kernels.cast_rays,
                dim=(number, tiles, wide * high),
                inputs=[
                    shapes,
                    placed,
                    masks,
                    len(poses) // count,
                    camera_array,
                    changed_array,
                    first,
                    self._lens(lens),
                    look,
                    *lit,
                ],
                outputs=[*arrays, *wants],
                **where,
            )

        if self.device.type == "cuda":
            cast(0, bands)
            return
        # Warp runs a launch on the CPU in one thread. More parts than threads even out the load.
        threads = torch.get_num_threads()
        parts = min(bands, 1 if threads == 1 else 8 * threads)
        cuts = [bands * k // parts for k in range(parts + 1)]
        sizes = [end - begin for begin, end in itertools.pairwise(cuts)]
        list(_pool(threads).map(cast, cuts[:-1], sizes))

    def _lens(self, lens: Lens) -> Any:
        found = self._kernels.Lens()
        found.tan_y = math.tan(0.5 * lens.fov)
        found.tan_x = found.tan_y * lens.width / lens.height
        found.near, found.width, found.height = lens.near, lens.width, lens.height
        return found

    def _look(self, samples: int, shadows: bool) -> Any:
        wp, light = self._wp, self.light
        look = self._kernels.Look()
        look.sun_color, look.sky = wp.vec3(*light.sun), wp.vec3(*light.sky)
        look.horizon, look.bounce = wp.vec3(*light.horizon), wp.vec3(*light.bounce)
        look.checker, look.shadows = light.checker, int(shadows and light.shadows)
        look.samples = samples
        return look


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="isaac_gymnasium_rays")
