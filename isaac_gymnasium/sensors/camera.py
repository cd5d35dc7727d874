"""`Camera`: images of every environment as tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Engine
from isaac_gymnasium.rendering.renderer import Images, Renderer
from isaac_gymnasium.rendering.view import Lens, look_at
from isaac_gymnasium.scene.model import IDENTITY, ORIGIN, Quat, Vec3
from isaac_gymnasium.transforms import pose_compose


@dataclass(frozen=True)
class _Moment:
    """What an image is of: another one where an image made now might differ.

    No recorded step looks at it, and none may be dropped for it. As a number or a tuple of them it
    would count as a value of the task that the step depends on; see `segment`.
    """

    state: int
    pose: int
    shift: int
    light: int


class Camera:
    """A pinhole camera in every environment, fixed to its frame or to a body.

    Make it in `Task.post_reset`. It renders when it is read, all environments at once, and not
    again before the state changes; reading is safe in code that is recorded as a CUDA graph. Each
    image shows its own environment alone.

    Pictures come from the package's own ray caster. On the engine `isaacsim`, colours, depths and
    normals come from RTX instead, where the package has started Kit; `shadows` and `samples` are
    then up to RTX.

    The camera's axes are x to the right, y down and z ahead.

    Args:
        engine: The task's engine.
        body: What it is fixed to, such as `"Robot/panda_hand"` or `"Cube"`; None for the
            environment.
        position: In the frame of the body or of the environment, m.
        orientation: xyzw, in the same frame.
        target: Point in the same frame to look at, instead of an orientation; the image's vertical
            is then the frame's z axis.
        width: Pixels.
        height: Pixels.
        fov: Vertical field of view, rad.
        near: Depth below which nothing is seen, m.
        outputs: Some of `"rgb"`, `"depth"`, `"segmentation"` and `"normals"`.
        shadows: Whether there are any; images are made faster without.
        samples: Rays per pixel and axis, for rgb alone: 2 smooths edges and takes four times as
            long.
        name: What a term of domain randomisation calls it.

    Attributes:
        lens: Size and field of view.
        local_pose: (N, 7) pose in the frame of the body or environment. Change it in place, for
            cameras that differ from environment to environment.
        labels: What the numbers in `segmentation` mean; 0 is nothing.
        shift: (N, 7) pose in the camera's own axes that domain randomisation puts it off by; None
            where it does not.

    Raises:
        ValueError: If a value makes no sense or there is no such body.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        body: str | None = None,
        position: Vec3 = ORIGIN,
        orientation: Quat | None = None,
        target: Vec3 | None = None,
        width: int = 64,
        height: int = 64,
        fov: float = math.radians(60.0),
        near: float = 0.01,
        outputs: Sequence[str] = ("rgb",),
        shadows: bool = True,
        samples: int = 1,
        name: str = "camera",
    ) -> None:
        self.lens = Lens(width=width, height=height, fov=fov, near=near)
        self._engine = engine
        self._renderer = Renderer.of(engine)
        self._row = None if body is None else self._renderer.row(body)
        self._own = engine.camera(width=width, height=height, fov=fov, near=near, outputs=outputs)
        theirs = () if self._own is None else self._own.outputs
        rest = [name for name in outputs if name not in theirs]
        self._buffers: dict[str, Tensor] = {}
        self._images: Images | None = None
        if theirs:
            self._buffers = self._renderer.images(engine.num_envs, self.lens, theirs).wanted()
        if rest or not theirs:
            names = rest if theirs else outputs
            self._images = self._renderer.images(engine.num_envs, self.lens, names)
            self._buffers |= self._images.wanted()
        self._taken_at: _Moment | None = None
        if samples < 1 or (samples > 1 and tuple(outputs) != ("rgb",)):
            raise ValueError(f"samples must be 1, or more for rgb alone, got {samples}")
        self._shadows, self._samples = shadows, samples
        self.labels = self._renderer.labels
        pose = _local_pose(position, orientation, target).to(engine.device)
        self.local_pose = pose.repeat(engine.num_envs, 1)
        self.shift: Tensor | None = None
        self.name = name
        self._renderer.cameras.append(self)

    @property
    def rgb(self) -> Tensor:
        """(N, H, W, 3) uint8; a buffer that the next image overwrites, as are the others."""
        return self._read("rgb")

    @property
    def depth(self) -> Tensor:
        """(N, H, W) float32, distance along the camera's axis, m; infinite where nothing is."""
        return self._read("depth")

    @property
    def segmentation(self) -> Tensor:
        """(N, H, W) int32, index into `labels`."""
        return self._read("segmentation")

    @property
    def normals(self) -> Tensor:
        """(N, H, W, 3) float32, unit normals in the environment frame, towards the camera."""
        return self._read("normals")

    @property
    def pose(self) -> Tensor:
        """(N, 7) position and quaternion, environment frame."""
        pose = self.local_pose
        if self.shift is not None:
            pose = pose_compose(pose, self.shift)
        if self._row is None:
            return pose
        return pose_compose(self._renderer.poses()[:, self._row], pose)

    @property
    def intrinsics(self) -> Tensor:
        """(3, 3) matrix from points in the camera's frame to pixels."""
        lens = self.lens
        return torch.tensor(
            [
                [lens.focal_length, 0.0, lens.width / 2],
                [0.0, lens.focal_length, lens.height / 2],
                [0.0, 0.0, 1.0],
            ],
            device=self.local_pose.device,
        )

    @property
    def is_ray_cast(self) -> bool:
        """Whether all pictures come from the package's own ray caster."""
        return self._own is None

    def _read(self, name: str) -> Tensor:
        if name not in self._buffers:
            raise ValueError(
                f"this camera has no {name}: make it with outputs={(*self._buffers, name)}"
            )
        now = self._now()
        if now is None or now != self._taken_at:
            self._take()
            self._taken_at = now
        return self._buffers[name]

    def _now(self) -> _Moment | None:
        """None within a recorded step, whose replays have to take their images themselves."""
        state, lights = self._engine.state_version, self._renderer.lights
        if state is None:
            return None
        shift = 0 if self.shift is None else self.shift._version
        light = 0 if lights is None else lights.version
        return _Moment(state, self.local_pose._version, shift, light)

    def _take(self) -> None:
        pose = self.pose
        if self._images is not None:
            self._renderer.render(
                self._renderer.poses(),
                pose,
                self._images,
                world_offsets=-self._engine.env_origins,
                shadows=self._shadows,
                samples=self._samples,
                lights=self._renderer.lights,
            )
        if self._own is not None:
            pose = pose.clone()
            pose[:, :3] += self._engine.env_origins
            self._own.take(pose, self._buffers)


def _local_pose(position: Vec3, orientation: Quat | None, target: Vec3 | None) -> Tensor:
    """(1, 7)."""
    if target is not None:
        if orientation is not None:
            raise ValueError("give an orientation or a target, not both")
        if math.dist(position, target) == 0.0:
            raise ValueError(f"position and target must differ, both are {position}")
        return look_at(torch.tensor([position]).float(), torch.tensor([target]).float())
    quat = torch.tensor([orientation or IDENTITY]).float()
    if not torch.allclose(quat.norm(), torch.ones(()), atol=1e-3):
        raise ValueError(f"orientation must be a quaternion of length 1, got {orientation}")
    return torch.cat((torch.tensor([position]).float(), quat / quat.norm()), dim=-1)
