"""What stands behind the stand-in for Kit: one application, one stage, and PhysX by way of ovphysx.

Only what NVIDIA ships compiled is imitated here and in the modules `_physx` and `_physicsTensors`;
the Python front ends beside them are as thin as NVIDIA's, so that those can take their place.

Where the real thing is silently wrong, warns, or crashes, this raises `KitRuleBroken`. Where the
real thing behaves differently on CPU and GPU, this behaves like a GPU on both: link poses go stale
with a write, and nothing can be read before the first step.
"""

from __future__ import annotations

import ctypes
import fnmatch
import importlib.util
import os
import sys
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch


class KitRuleBroken(AssertionError):
    """The real Kit would do something else than was meant, or fall over."""


class ProcessEnded(BaseException):
    """What closing Kit raises where the process belongs to a test session."""


class World:
    """The state of the process."""

    def __init__(self) -> None:
        self.version = os.environ.get("KIT_STANDIN_VERSION", "5.1")
        self.shared_process = False
        self.app: Any = None
        self.closed = False
        self.settings: dict[str, Any] = {}
        self.updates = 0
        self.extensions = {"omni.physx", "omni.physics.tensors"}
        self.products: list[Any] = []
        self.fabric: Any = None
        self.stage: Any = None
        self.stage_id = -1
        self.replicators: dict[int, tuple[Any, Any, Any]] = {}
        self.physics: Physics | None = None
        self.loading: Physics | None = None
        self.attached: int | None = None
        self.log: list[str] = []

    @property
    def running(self) -> bool:
        return self.app is not None and not self.closed

    def require_app(self, module: str) -> None:
        if not self.running:
            raise ModuleNotFoundError(f"No module named {module!r} (Kit has not been started)")

    def require_extension(self, name: str) -> None:
        self.require_app(name)
        if name not in self.extensions:
            raise ModuleNotFoundError(f"No module named {name!r} (the extension is not enabled)")

    def refuse(self, why: str) -> bool:
        """What a compiled function does with bad input: it logs, and returns False."""
        self.log.append(why)
        return False

    # ------------------------------------------------------------------ the application

    def start(self, app: Any) -> None:
        if self.app is not None:
            raise KitRuleBroken("a second SimulationApp in one process")
        early = [name for name in ("pxr", "ovphysx", "ovstage") if name in sys.modules]
        if early and not self.shared_process:
            raise KitRuleBroken(f"imported before SimulationApp: {early}")
        self.app = app
        offer_physx_schema()
        self.new_stage()

    def close(self, exit_code: int) -> None:
        self.closed = True
        if self.shared_process:
            raise ProcessEnded(exit_code)
        os._exit(exit_code)

    def update(self) -> None:
        """One frame of Kit: every render product draws what Fabric and the stage say now."""
        if (
            self.physics is not None
            and self.settings.get("/app/player/playSimulations") is not False
        ):
            raise KitRuleBroken("Kit's own loop would have stepped the physics")
        self.updates += 1
        for product in self.products:
            product.draw()

    def update_fabric(self, time: float) -> None:
        if time <= 0.0:
            raise KitRuleBroken("Fabric was updated before the first step")
        physics = self.require_physics()
        if physics.stale:
            raise KitRuleBroken("Fabric was given link poses of before a write")
        if physics.has_fabric:
            from kit_render import body_poses

            self.fabric = body_poses(physics)

    # ------------------------------------------------------------------ the stage

    def new_stage(self) -> bool:
        from pxr import Usd

        self._replace_stage(Usd.Stage.CreateInMemory())
        return True

    def open_stage(self, path: str) -> bool:
        from pxr import Tf, Usd

        try:
            self._replace_stage(Usd.Stage.Open(path))
        except Tf.ErrorException as error:
            return self.refuse(str(error))
        return True

    def _replace_stage(self, stage: Any) -> None:
        from pxr import UsdUtils

        if self.physics is not None:
            raise KitRuleBroken("the stage was replaced below a running simulation")
        if self.products:
            raise KitRuleBroken("the stage was replaced below a render product")
        self.fabric = None
        if self.stage is not None:
            if self.stage_id in self.replicators:
                raise KitRuleBroken("the replicator of a stage that is gone was not unregistered")
            UsdUtils.StageCache.Get().Erase(self.stage)
        self.stage = stage
        self.stage_id = UsdUtils.StageCache.Get().Insert(stage).ToLongInt()

    # ------------------------------------------------------------------ the physics

    def attach(self, stage_id: int) -> bool:
        if stage_id != self.stage_id:
            return self.refuse(f"no stage {stage_id}")
        self.attached = stage_id
        return True

    def detach(self) -> None:
        self.attached = None

    def load(self) -> None:
        if self.physics is not None:
            raise KitRuleBroken("the physics was loaded twice")
        gpu = self._scene_attribute("physxScene:enableGPUDynamics") is not False
        if gpu and self.attached is None:
            raise KitRuleBroken("on a GPU the stage has to be attached before it is loaded")
        if not gpu and self.attached is not None:
            raise KitRuleBroken("on the CPU attaching and loading initialises the broadphase twice")
        self.physics = Physics(self, gpu)

    def reset(self) -> None:
        if self.physics is not None:
            self.physics.destroy()
        self.physics = None

    def require_physics(self) -> Physics:
        if self.physics is None:
            raise KitRuleBroken("no physics has been loaded")
        return self.physics

    def _scene_attribute(self, name: str) -> Any:
        for prim in self.stage.Traverse():
            if prim.GetTypeName() == "PhysicsScene":
                return prim.GetAttribute(name).Get()
        return None

    # ------------------------------------------------------------------ paths

    def matching(self, pattern: str) -> list[str]:
        """Prim paths that fit a glob, level by level, in an order that is nobody's."""
        from pxr import Sdf

        if Sdf.Path.IsValidPathString(pattern) and self.stage.GetPrimAtPath(pattern):
            return [pattern]
        found = [self.stage.GetPseudoRoot()]
        for token in pattern.strip("/").split("/"):
            found = [
                child
                for prim in found
                for child in prim.GetAllChildren()
                if fnmatch.fnmatchcase(child.GetName(), token)
            ]
        paths = [str(prim.GetPath()) for prim in found]
        return sorted(paths, key=lambda path: (hash_of(path), path))


def offer_physx_schema() -> None:
    """Adds to `pxr` what Kit's has and usd-core's has not, as far as the cloners use it."""
    import pxr

    class PhysxSceneAPI:
        def __init__(self, prim: Any) -> None:
            self._prim = prim

        def CreateInvertCollisionGroupFilterAttr(self) -> Any:
            from pxr import Sdf

            name = "physxScene:invertCollisionGroupFilter"
            return self._prim.CreateAttribute(name, Sdf.ValueTypeNames.Bool)

    if importlib.util.find_spec("pxr.PhysxSchema") is None:
        pxr.PhysxSchema = SimpleNamespace(PhysxSceneAPI=PhysxSceneAPI)


def hash_of(path: str) -> int:
    """A number that has nothing to do with a path's place in the alphabet."""
    value = 17
    for letter in path.split("/")[3] if path.count("/") > 2 else path:
        value = (value * 31 + ord(letter)) * 2654435761 % 2**32
    return value


class Physics:
    """One simulation of the stage, as ovphysx runs it."""

    def __init__(self, world: World, gpu: bool) -> None:
        self.world = world
        self.gpu = gpu
        self.valid = True
        # What is switched on later has never heard of these bodies.
        self.has_fabric = "omni.physx.fabric" in world.extensions
        self.steps = 0
        self.started = False
        self.in_flight = False
        self.stale = False
        self.views: list[Any] = []
        self.clones: tuple[str, int, bool] | None = None
        excluded: list[str] = []
        callbacks = world.replicators.get(world.stage_id)
        if callbacks is not None:
            world.loading = self
            excluded = list(callbacks[0](world.stage_id))
            callbacks[1](world.stage_id)
        self._open(excluded)
        ordinal = int(world.settings.get("/physics/cudaDevice", 0))
        suppressed = bool(world.settings.get("/physics/suppressReadback", False))
        self.device_ordinal = max(ordinal, 0) if gpu and suppressed else -1

    def _open(self, excluded: list[str]) -> None:
        import ovstage

        from isaac_gymnasium.engines import _physx_runtime as runtime

        device = torch.device("cuda" if self.gpu else "cpu")
        source, count, _ = self.clones or ("", 0, False)
        self.physx = runtime.start(count, device)
        self.stage = ovstage.Stage("kit")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "scene.usda"
            self._export(file, excluded, source)
            ovstage.population.open_usd(
                self.stage, str(file), ordinal=1, domains=ovstage.PopulationDomain.ALL
            )
        self.stage.advance_write_floor(ordinal=1).wait()
        self.physx.wait_task(self.physx.attach_ovstage(self.stage, read_ordinal=1))
        if self.clones is not None:
            rename = self.world.replicators[self.world.stage_id][2]
            targets = [rename(source, k) for k in range(count)]
            anchors = [self._pose(path) for path in targets]
            self.physx.wait_task(self.physx.clone(source, targets, anchor_transforms=anchors))
        self.physx.warmup()
        self.physx.wait_all()

    def _pose(self, path: str) -> tuple[float, ...]:
        from pxr import Gf, UsdGeom

        prim = self.world.stage.GetPrimAtPath(path)
        if not prim:
            raise KitRuleBroken(f"a replica without a prim: {path}")
        transform = Gf.Transform(UsdGeom.XformCache().GetLocalToWorldTransform(prim))
        turn = transform.GetRotation().GetQuat()
        return (*transform.GetTranslation(), *turn.GetImaginary(), turn.GetReal())

    def _export(self, file: Path, excluded: list[str], source: str) -> None:
        """Writes the stage without what replication leaves out, which is cloned instead."""
        from pxr import Usd

        stage = Usd.Stage.Open(self.world.stage.Flatten())
        gone = [p for root in excluded for p in stage.GetPrimAtPath(root).GetChildren()]
        gone = [prim.GetPath() for prim in gone if str(prim.GetPath()) != source]
        for prim in stage.Traverse():
            if prim.GetTypeName() == "PhysicsCollisionGroup":
                gone.append(prim.GetPath())
            if prim.GetTypeName() == "PhysicsScene":
                prim.RemoveProperty("physxScene:invertCollisionGroupFilter")
        for path in gone:
            stage.RemovePrim(path)
        stage.Export(str(file))

    @property
    def cells_are_apart(self) -> bool:
        """Whether nothing can collide with what is in another environment."""
        if self.clones is None:
            return True
        source, count, env_ids = self.clones
        if self.gpu and env_ids:
            return True
        rename = self.world.replicators[self.world.stage_id][2]
        cells = {source, *(rename(source, k) for k in range(count))}
        inverted = self.world._scene_attribute("physxScene:invertCollisionGroupFilter")
        grouped: list[str] = []
        for prim in self.world.stage.Traverse():
            if prim.GetTypeName() == "PhysicsCollisionGroup":
                members = prim.GetRelationship("collection:colliders:includes").GetTargets()
                grouped += [str(path) for path in members if str(path) in cells]
                others = prim.GetRelationship("physics:filteredGroups").GetTargets()
                if prim.GetPath() not in others:
                    return False
        return bool(inverted) and sorted(grouped) == sorted(cells)

    def step(self, dt: float) -> None:
        self.physx.step_sync(dt)
        self.steps += 1
        self.stale = False

    def written(self) -> None:
        """Notes that the state was written: what follows from it is now that of before."""
        if not self.stale:
            for view in self.views:
                view.keep_derived()
            self.stale = True

    def refresh(self) -> None:
        if self.gpu:
            self.physx.update_articulations_kinematic()
        self.stale = False

    def bind(self, pattern: str, kind: str) -> Any:
        from ovphysx.types import TensorType

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return self.physx.create_tensor_binding(pattern, tensor_type=TensorType[kind])

    def destroy(self) -> None:
        self.valid = False
        for view in self.views:
            view.release()
        self.physx.destroy()


def tensor_at(description: Any, dtype: torch.dtype) -> torch.Tensor:
    """The tensor that a descriptor points at."""
    shape = tuple(description.shape)
    if description.device >= 0:
        kind = {torch.float32: "<f4", torch.int32: "<i4"}[dtype]
        array = {"shape": shape, "typestr": kind, "data": (description.data_address, False)}
        holder = type("Array", (), {"__cuda_array_interface__": {**array, "version": 2}})()
        return torch.as_tensor(holder, device=f"cuda:{description.device}")
    size = torch.Size(shape).numel()
    if size == 0:
        return torch.empty(shape, dtype=dtype)
    memory = (ctypes.c_char * (size * dtype.itemsize)).from_address(description.data_address)
    return torch.frombuffer(memory, dtype=dtype).view(shape)


WORLD = World()
