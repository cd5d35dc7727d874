"""Kit itself: the one application of a process, and the pictures that its RTX renderer takes."""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from isaac_gymnasium._warp import import_warp
from isaac_gymnasium.engines.base import EngineCamera, EngineError

logger = logging.getLogger("isaac_gymnasium.isaacsim")

LICENCE_VARIABLES = {"pip": "OMNI_KIT_ACCEPT_EULA=YES", "container": "ACCEPT_EULA=Y"}
"""What a user who accepts NVIDIA's licence sets. This package never sets them."""

# Fabric has to be there before the physics is loaded: it brings the poses to the renderer.
_EXTENSIONS = ("omni.physx", "omni.physx.fabric", "omni.physics.tensors", "isaacsim.core.cloner")
CAMERA_EXTENSIONS = ("omni.replicator.core",)
"""Switched on when the first camera is made; a simulation without one does not need them."""


class Version(NamedTuple):
    """What differs between the versions of Isaac Sim, as far as this package goes."""

    python: str
    close_takes_exit_code: bool


VERSIONS = {
    5: Version(python="3.11", close_takes_exit_code=False),
    6: Version(python="3.12", close_takes_exit_code=True),
}
"""By major version."""

_app: Any = None
"""The `SimulationApp` that this module has started."""

exit_status = 0
"""What the process is about to end with, as far as that is known: Kit ends it with its own."""


def kit_is_running() -> bool:
    """Whether this process runs Kit, started by whomever. Imports nothing of it."""
    omni_kit_app = sys.modules.get("omni.kit.app")
    if omni_kit_app is None:
        return False
    try:
        kit = omni_kit_app.get_app()
        return kit is not None and bool(kit.is_running())
    except RuntimeError:  # the framework has not been loaded
        return False


def start(*, headless: bool = True, **launch_config: Any) -> None:
    """Starts Isaac Sim in this process, unless it runs already; it ends with the process.

    `make_vec(..., engine="isaacsim")` calls it. Call it yourself, before, for a window or for
    settings of your own.

    Args:
        headless: Without a window.
        **launch_config: Further entries of the configuration of Isaac Sim's `SimulationApp`.

    Raises:
        EngineError: If it cannot be started here; the message says why.
    """
    global _app
    if kit_is_running():
        if not headless and (_app is None or not _windowed):
            logger.warning("Isaac Sim runs already, without a window it was not asked to open")
        enable_extensions()
        return
    if _app is not None:
        raise EngineError("Isaac Sim has been closed, and starts once a process only")
    _refuse_early_imports()
    if threading.current_thread() is not threading.main_thread():
        raise EngineError("Isaac Sim must be started from the main thread")
    with _undisturbed_process():
        _app = _import_simulation_app()({"headless": headless, **launch_config})
    _remember_window(not headless)
    atexit.register(_close_at_exit)
    enable_extensions()


_windowed = False


def _remember_window(windowed: bool) -> None:
    global _windowed
    _windowed = windowed


def shows_window() -> bool:
    """Whether somebody may be looking: Kit was started with a window, or not by us."""
    return _windowed or (_app is None and kit_is_running())


def update() -> None:
    """Lets Kit do one frame, where it is ours: elsewhere its own loop does."""
    if _app is not None:
        _app.update()


def owns_app() -> bool:
    """Whether this module has started Kit."""
    return _app is not None


def enable_extensions(names: Sequence[str] = _EXTENSIONS) -> None:
    """Switches on what the engine needs; experiences differ in what they load.

    Raises:
        EngineError: If one is missing from this Isaac Sim.
    """
    import omni.kit.app

    manager = omni.kit.app.get_app().get_extension_manager()
    for name in names:
        if not manager.is_extension_enabled(name) and not manager.set_extension_enabled_immediate(
            name, True
        ):
            raise EngineError(f"this Isaac Sim has no extension {name}")


def major_version() -> int | None:
    """Major version of the Isaac Sim that runs, None where it does not tell."""
    try:
        from isaacsim.core.version import get_version
    except ImportError:
        return None
    number = str(get_version()[0]).partition(".")[0]
    return int(number) if number.isdigit() else None


def _refuse_early_imports() -> None:
    for module in ("pxr", "ovphysx", "ovstage", "newton"):
        loaded = sys.modules.get(module)
        if loaded is not None:
            raise EngineError(
                f"{module} was imported before Isaac Sim was started (from "
                f"{getattr(loaded, '__file__', None)}), and Isaac Sim brings its own USD: make the "
                "engine='isaacsim' environment first, in a process that uses no other engine"
            )


def _import_simulation_app() -> Any:
    try:
        from isaacsim import SimulationApp
    except ImportError as error:
        raise EngineError(
            f"Isaac Sim cannot be imported ({error}): install it as docs/isaacsim.md says"
        ) from error
    except (EOFError, OSError, SystemExit) as error:
        # It asks for its licence to be accepted, and nobody is there to answer.
        raise EngineError(
            "Isaac Sim's licence has not been accepted: read it, and if you agree set "
            f"{LICENCE_VARIABLES['pip']} (in NVIDIA's container {LICENCE_VARIABLES['container']})"
        ) from error
    return SimulationApp


@contextlib.contextmanager
def _undisturbed_process() -> Iterator[None]:
    """Keeps our own command line from Kit, and its handler of Ctrl-C from us."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        sys.argv = arguments
        signal.signal(signal.SIGINT, handler)


def _close_at_exit() -> None:
    """Closes Kit, which ends the process at once.

    After a failure Isaac Sim 6 ends it with the status that it is given, without more ado. Version
    5.1 knows of no other status than 0, so that its process ends here.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    status = exit_status or int(hasattr(sys, "last_type"))
    version = VERSIONS.get(major_version() or 0)
    if status == 0:
        _app.close()
    elif version is not None and version.close_takes_exit_code:
        _app.close(exit_code=status)
    else:
        os._exit(status)


# ---------------------------------------------------------------------- cameras

_ANNOTATORS = {"rgb": "rgb", "depth": "distance_to_image_plane", "normals": "normals"}
_APERTURE = 20.955  # of a 35 mm camera, mm; with the focal length it gives the field of view
_FAR = 1.0e5
_FRAMES_TO_WAIT = 32


class TiledCamera(EngineCamera):
    """RTX cameras, one in every environment; their pictures are the tiles of one render product.

    Args:
        name: Of the prims and of the render product.
        environments: Paths of the environments.
        width: Of a picture, pixels.
        height: Of a picture, pixels.
        fov: Vertical field of view, rad.
        near: Depth below which nothing is seen, m.
        outputs: Some of `"rgb"`, `"depth"` and `"normals"`.
        device: Where the pictures are wanted.
        draw: Lets RTX draw a frame of the present state, if asked to, or if it has none yet.
    """

    def __init__(
        self,
        name: str,
        environments: Sequence[str],
        *,
        width: int,
        height: int,
        fov: float,
        near: float,
        outputs: Sequence[str],
        device: torch.device,
        draw: Callable[[bool], None],
    ) -> None:
        self.name = name
        self.outputs = tuple(outputs)
        self._environments = list(environments)
        self._paths = [f"/World/cameras/{name}/env_{k}" for k in range(len(environments))]
        self._width, self._height, self._near = width, height, near
        wide = 2.0 * math.tan(0.5 * fov) * width / height
        self._focal_length = _APERTURE / wide
        self._device = device
        self._draw = draw
        self.open()

    @staticmethod
    def offers(outputs: Sequence[str]) -> list[str]:
        """Those of the outputs that RTX has."""
        return [name for name in outputs if name in _ANNOTATORS]

    def open(self) -> None:
        """Makes the cameras in the stage that is open, and asks for their pictures."""
        enable_extensions(CAMERA_EXTENSIONS)
        import omni.replicator.core as rep

        self._author()
        product = rep.create.render_product_tiled(
            cameras=self._paths, tile_resolution=(self._width, self._height), name=self.name
        )
        self._product = product
        self._annotators = {}
        for name in self.outputs:
            annotator = rep.AnnotatorRegistry.get_annotator(
                _ANNOTATORS[name], device=str(self._device), do_array_copy=False
            )
            annotator.attach(product.path)
            self._annotators[name] = annotator

    def _author(self) -> None:
        import omni.usd
        from pxr import Gf, Sdf, UsdGeom

        stage = omni.usd.get_context().get_stage()
        layer = stage.GetRootLayer()
        self._transforms = []
        self._placed: Tensor | None = None
        for path, environment in zip(self._paths, self._environments, strict=True):
            camera = UsdGeom.Camera.Define(stage, path)
            camera.CreateHorizontalApertureAttr(_APERTURE)
            camera.CreateVerticalApertureAttr(_APERTURE * self._height / self._width)
            camera.CreateFocalLengthAttr(self._focal_length)
            camera.CreateClippingRangeAttr(Gf.Vec2f(self._near, _FAR))
            camera.AddTransformOp().Set(Gf.Matrix4d(1.0))
            # Where RTX knows partitions, a camera sees its own environment and what is nobody's.
            for prim, attribute in (
                (camera.GetPrim(), "omni:scenePartition"),
                (stage.GetPrimAtPath(environment), "primvars:omni:scenePartition"),
            ):
                partition = prim.CreateAttribute(attribute, Sdf.ValueTypeNames.Token)
                partition.Set(environment.rpartition("/")[2])
            self._transforms.append(layer.GetAttributeAtPath(f"{path}.xformOp:transform"))

    def close(self) -> None:
        """Lets go of the pictures, before the stage is gone."""
        for annotator in self._annotators.values():
            annotator.detach()
        self._product.destroy()

    def take(self, poses: Tensor, images: Mapping[str, Tensor]) -> None:
        self._draw(self._place(poses))
        for _ in range(_FRAMES_TO_WAIT):
            tiles = {name: self._tiles(name) for name in self.outputs}
            if all(each is not None for each in tiles.values()):
                break
            self._draw(True)
        for name, each in tiles.items():
            if each is None:
                raise EngineError(
                    f"RTX has drawn no {name} in {_FRAMES_TO_WAIT} frames: it needs a GPU with RT "
                    "cores, and Kit an experience that renders"
                )
            image = images[name]
            pictures = self._cut(each, len(image))
            image.copy_(pictures[..., 0] if image.ndim == 3 else pictures[..., : image.shape[-1]])

    def _place(self, poses: Tensor) -> bool:
        """Moves the cameras, and says whether any has moved."""
        from pxr import Gf, Sdf

        poses = poses.to("cpu", torch.float64)
        if self._placed is not None and torch.equal(poses, self._placed):
            return False
        self._placed = poses
        # A camera of USD looks along its -z axis, and its y axis points up.
        over = Gf.Quatd(0.0, 1.0, 0.0, 0.0)
        with Sdf.ChangeBlock():
            for transform, (x, y, z, qx, qy, qz, qw) in zip(
                self._transforms, poses.tolist(), strict=True
            ):
                turn = Gf.Rotation(Gf.Quatd(qw, qx, qy, qz) * over)
                transform.default = Gf.Matrix4d(turn, Gf.Vec3d(x, y, z))
        return True

    def _tiles(self, name: str) -> Tensor | None:
        """What RTX has drawn last, None before the first frame."""
        data = self._annotators[name].get_data()
        data = data["data"] if isinstance(data, dict) else data
        if data is None or data.size == 0:
            return None
        if self._device.type == "cpu":
            return torch.from_numpy(data.copy())
        tiles: Tensor = import_warp().to_torch(data)
        return tiles

    def _cut(self, tiles: Tensor, count: int) -> Tensor:
        """(N, H, W, C) pictures, which lie row by row in (rows H, columns W, C) tiles."""
        tall, wide = tiles.shape[:2]
        rows, columns = tall // self._height, wide // self._width
        if rows * columns < count or tall % self._height or wide % self._width:
            raise EngineError(
                f"RTX has drawn {tall} x {wide} pixels, which are not {count} pictures of "
                f"{self._height} x {self._width}"
            )
        pictures = tiles.reshape(rows, self._height, columns, self._width, -1).transpose(1, 2)
        return pictures.flatten(0, 1)[:count]
