"""Engine `isaacsim`: the same tasks inside real Isaac Sim, 5.1 and 6.x, on CPU or CUDA.

Everything that knows Isaac Sim is here and in `_isaacsim_app`. The scene is the one that every
engine gets; Isaac Sim's cloner copies its environment and replicates the physics; state moves
through the tensor views of `omni.physics.tensors`, and `omni.physx` is stepped directly.

What the tensor API asks for, and how it is met:

* Rows of a view come in the order of the stage. They are permuted to the order of environments.
* A getter returns the same tensor each time. It is copied into the engine's own buffer.
* A setter takes all rows and the indices of those to write; there are no masks. Where a mask picks
  rows of the state, the device is waited for once a mask and batch. Commands are written in full.
* Properties live on the CPU, indices included, whatever the physics runs on.
* A GPU needs one step before anything can be read. The authored state is written after it.

Environments stand on the grid that engine `physx` uses on the CPU, kept apart by collision groups.
On CUDA environment ids keep them apart, and the grid is there to be looked at, so that its cells
are no larger than `_SHOWN_CELL`.

What Kit shows comes from Fabric, which is brought up to date before a frame is drawn. Cameras are
tiles of one RTX render product each (`TiledCamera`).

Kit lives as long as the process. One environment can be open at a time.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from isaac_gymnasium.engines import _isaacsim_app as app
from isaac_gymnasium.engines._isaacsim_app import start
from isaac_gymnasium.engines._physx_runtime import gpu_capacities
from isaac_gymnasium.engines.base import (
    Articulation,
    Body,
    Contacts,
    Engine,
    EngineCamera,
    EngineError,
    RigidBody,
)
from isaac_gymnasium.engines.physx import grid_cell

if TYPE_CHECKING:
    from isaac_gymnasium.scene.builder import Scene


__all__ = ["IsaacSimEngine", "start"]

_SHOWN_CELL = 10.0


class _Access(NamedTuple):
    """How a quantity is read from a tensor view and written to it."""

    get: Callable[[Any], Tensor]
    set: Callable[[Any, Tensor, Tensor], None] | None = None


_ARTICULATION = {
    "root_pose": _Access(
        lambda art: art.get_root_transforms(),
        lambda art, data, ids: art.set_root_transforms(data, ids),
    ),
    "root_vel": _Access(
        lambda art: art.get_root_velocities(),
        lambda art, data, ids: art.set_root_velocities(data, ids),
    ),
    "dof_pos": _Access(
        lambda art: art.get_dof_positions(),
        lambda art, data, ids: art.set_dof_positions(data, ids),
    ),
    "dof_vel": _Access(
        lambda art: art.get_dof_velocities(),
        lambda art, data, ids: art.set_dof_velocities(data, ids),
    ),
    "dof_targets": _Access(
        lambda art: art.get_dof_position_targets(),
        lambda art, data, ids: art.set_dof_position_targets(data, ids),
    ),
    "dof_velocity_targets": _Access(
        lambda art: art.get_dof_velocity_targets(),
        lambda art, data, ids: art.set_dof_velocity_targets(data, ids),
    ),
    "dof_efforts": _Access(
        lambda art: art.get_dof_actuation_forces(),
        lambda art, data, ids: art.set_dof_actuation_forces(data, ids),
    ),
    "link_pose": _Access(lambda art: art.get_link_transforms()),
    "link_vel": _Access(lambda art: art.get_link_velocities()),
    "jacobian": _Access(lambda art: art.get_jacobians()),
    "mass_matrix": _Access(lambda art: art.get_generalized_mass_matrices()),
    "gravity_force": _Access(lambda art: art.get_gravity_compensation_forces()),
}
_MATTER = {
    "center_of_mass": _Access(
        lambda view: view.get_coms(), lambda view, data, ids: view.set_coms(data, ids)
    ),
    "inertia": _Access(
        lambda view: view.get_inertias(), lambda view, data, ids: view.set_inertias(data, ids)
    ),
    "material": _Access(
        lambda view: view.get_material_properties(),
        lambda view, data, ids: view.set_material_properties(data, ids),
    ),
}
"""Properties that are asked for alike of links and of free bodies."""
_ARTICULATION_PROPERTIES = _MATTER | {
    "dof_stiffness": _Access(
        lambda art: art.get_dof_stiffnesses(),
        lambda art, data, ids: art.set_dof_stiffnesses(data, ids),
    ),
    "dof_damping": _Access(
        lambda art: art.get_dof_dampings(),
        lambda art, data, ids: art.set_dof_dampings(data, ids),
    ),
    "dof_limits": _Access(
        lambda art: art.get_dof_limits(),
        lambda art, data, ids: art.set_dof_limits(data, ids),
    ),
    "dof_max_velocity": _Access(
        lambda art: art.get_dof_max_velocities(),
        lambda art, data, ids: art.set_dof_max_velocities(data, ids),
    ),
    "dof_max_effort": _Access(
        lambda art: art.get_dof_max_forces(),
        lambda art, data, ids: art.set_dof_max_forces(data, ids),
    ),
    "dof_armature": _Access(
        lambda art: art.get_dof_armatures(),
        lambda art, data, ids: art.set_dof_armatures(data, ids),
    ),
    "dof_friction": _Access(
        lambda art: art.get_dof_friction_properties(),
        lambda art, data, ids: art.set_dof_friction_properties(data, ids),
    ),
    "mass": _Access(lambda art: art.get_masses(), lambda art, data, ids: art.set_masses(data, ids)),
}
_RIGID_BODY = {
    "pose": _Access(
        lambda body: body.get_transforms(),
        lambda body, data, ids: body.set_transforms(data, ids),
    ),
    "vel": _Access(
        lambda body: body.get_velocities(),
        lambda body, data, ids: body.set_velocities(data, ids),
    ),
}
_RIGID_BODY_PROPERTIES = _MATTER | {
    "mass": _Access(
        lambda body: body.get_masses().flatten(),
        lambda body, data, ids: body.set_masses(data.unsqueeze(-1), ids),
    ),
}


class IsaacSimEngine(Engine):
    """Isaac Sim. See the module's docstring."""

    name: ClassVar[str] = "isaacsim"
    has_window: ClassVar[bool] = True
    _open_engine: ClassVar[IsaacSimEngine | None] = None

    @classmethod
    def prepare(cls, *, window: bool = False) -> None:
        """Starts Isaac Sim where it does not run.

        Raises:
            EngineError: If it cannot be started, or another of its environments is open.
        """
        cls._refuse_second()
        start(headless=not window)

    @classmethod
    def _refuse_second(cls) -> None:
        if cls._open_engine is not None:
            raise EngineError(
                "engine 'isaacsim' holds one environment at a time, Kit has one stage: close() "
                "the other one first"
            )

    def __init__(self, scene: Scene, num_envs: int, dt: float, device: torch.device) -> None:
        super().__init__(scene, num_envs, dt, device)
        self._refuse_second()
        scene.validate()
        gpu = device.type == "cuda"
        edge = min(scene.env_spacing, _SHOWN_CELL) if gpu else scene.env_spacing
        origins = torch.tensor([(*grid_cell(k, edge), 0.0) for k in range(num_envs)])
        self.env_origins = origins.to(device)
        self.has_history = scene.num_colliders > 0
        self._event = torch.cuda.Event() if gpu else None
        self._ids: dict[int, Tensor] = {}
        self._contacts: list[IsaacSimContacts] = []
        self._cameras: list[app.TiledCamera] = []
        self._drawn: int | None = None
        type(self)._open_engine = self
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------ the stage and its physics

    def _open(self) -> None:
        """Opens the scene in Kit, clones it, and brings its physics to the authored state."""
        self._time = 0.0
        self._sim_view: Any = None
        self._attached = False
        self._stage_id: int | None = None
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._set_up_kit()
        self._open_stage()
        self._clone()
        self._start_physics()
        for body in self.bodies():
            assert isinstance(body, (IsaacSimArticulation, IsaacSimRigidBody))
            body.write_authored_state()
        self._flush()
        self._update_kinematics()

    def _set_up_kit(self) -> None:
        import carb.settings

        settings = carb.settings.get_settings()
        gpu = self.device.type == "cuda"
        settings.set_int("/physics/cudaDevice", self.device.index or 0 if gpu else -1)
        settings.set_bool("/physics/suppressReadback", gpu)
        for name in ("", "Velocities", "Particles", "ForceSensors", "Residuals"):
            settings.set_bool(f"/physics/update{name}ToUsd", False)
        self._let_kit_step(False)

    def _let_kit_step(self, allowed: bool) -> None:
        """Whether Kit's own loop steps the physics, too, while its timeline plays."""
        import carb.settings

        carb.settings.get_settings().set_bool("/app/player/playSimulations", allowed)

    def _open_stage(self) -> None:
        import omni.usd

        self._author_device_settings()
        file = Path(self._folder.name) / "scene.usda"
        self.scene.stage.Export(str(file))
        _dress(file)
        context = omni.usd.get_context()
        if not context.open_stage(str(file)):
            raise EngineError(f"Kit cannot open the scene at {file}")
        while app.owns_app() and context.get_stage_loading_status()[2] > 0:
            app.update()
        self._stage_id = context.get_stage_id()

    def _author_device_settings(self) -> None:
        from pxr import Sdf

        from isaac_gymnasium.scene.builder import PHYSICS_SCENE
        from isaac_gymnasium.scene.usd import author_api

        gpu = self.device.type == "cuda"
        kinds = Sdf.ValueTypeNames
        settings: dict[str, tuple[object, object]] = {
            "physxScene:enableGPUDynamics": (kinds.Bool, gpu),
            "physxScene:broadphaseType": (kinds.Token, "GPU" if gpu else "MBP"),
            "physxScene:timeStepsPerSecond": (kinds.UInt, round(1.0 / self.dt)),
        }
        if gpu:
            capacities = gpu_capacities(
                self.num_envs, self.scene.settings.contacts_per_env, self.scene.num_colliders
            )
            for key, value in capacities.items():
                kind = kinds.UInt64 if key == "gpuTempBufferCapacity" else kinds.UInt
                settings[f"physxScene:{key}"] = (kind, value)
        author_api(self.scene.stage.GetPrimAtPath(PHYSICS_SCENE), "PhysxSceneAPI", settings)

    def _clone(self) -> None:
        import omni.usd
        from isaacsim.core.cloner import Cloner

        from isaac_gymnasium.scene.builder import ENV_0, ENV_ROOT, PHYSICS_SCENE

        stage = omni.usd.get_context().get_stage()
        gpu = self.device.type == "cuda"
        cloner = Cloner(stage=stage)
        cloner.define_base_env(ENV_ROOT)
        self._env_paths = paths = cloner.generate_paths(f"{ENV_ROOT}/env", self.num_envs)
        cloner.clone(
            source_prim_path=ENV_0,
            prim_paths=paths,
            positions=self.env_origins.cpu().numpy(),
            replicate_physics=True,
            base_env_path=ENV_ROOT,
            root_path=f"{ENV_ROOT}/env_",
            enable_env_ids=gpu,
        )
        if not gpu and self.num_envs > 1:
            shared = [path for path in ("/World/ground", "/World/terrain") if self._exists(path)]
            cloner.filter_collisions(
                physicsscene_path=PHYSICS_SCENE,
                collision_root_path="/World/collisions",
                prim_paths=paths,
                global_paths=shared,
            )

    def _exists(self, path: str) -> bool:
        return bool(self.scene.stage.GetPrimAtPath(path))

    def _start_physics(self) -> None:
        from omni.physics.tensors import create_simulation_view
        from omni.physx import get_physx_interface, get_physx_simulation_interface

        if self.device.type == "cuda":
            # On the CPU, loading the physics below attaches the stage, and twice would break it.
            get_physx_simulation_interface().attach_stage(self._stage_id)
            self._attached = True
        get_physx_interface().force_load_physics_from_usd()
        get_physx_interface().start_simulation()
        self._warm_up()
        self._sim_view = create_simulation_view("torch", self._stage_id)
        self._sim_view.set_subspace_roots("/")

    def _warm_up(self) -> None:
        """One step, before which a GPU has nothing to read."""
        from omni.physx import get_physx_interface

        get_physx_interface().update_simulation(elapsedStep=self.dt, currentTime=0.0)
        self._time = self.dt

    def _close_stage(self) -> None:
        import omni.usd
        from omni.physx import (
            get_physx_interface,
            get_physx_replicator_interface,
            get_physx_simulation_interface,
        )

        for camera in self._cameras:
            camera.close()
        if self._sim_view is not None:
            self._sim_view.invalidate()
            self._sim_view = None
        if self._attached:
            get_physx_simulation_interface().detach_stage()
        get_physx_interface().reset_simulation()
        if self._stage_id is not None and self.num_envs > 1:
            get_physx_replicator_interface().unregister_replicator(self._stage_id)
        omni.usd.get_context().new_stage()
        self._let_kit_step(True)
        self._folder.cleanup()

    # ------------------------------------------------------------------ Engine

    def _make_articulation(self, name: str) -> IsaacSimArticulation:
        return IsaacSimArticulation(self, name)

    def _make_rigid_body(self, name: str) -> IsaacSimRigidBody:
        return IsaacSimRigidBody(self, name)

    def contacts(self, bodies: Sequence[str], filters: Sequence[str] = ()) -> IsaacSimContacts:
        return IsaacSimContacts(self, bodies, filters)

    def _simulate(self) -> None:
        from omni.physx import get_physx_simulation_interface

        simulation = get_physx_simulation_interface()
        simulation.simulate(self.dt, self._time)
        simulation.fetch_results()
        self._time += self.dt

    def step(self, substeps: int = 1) -> None:
        super().step(substeps)
        if app.shows_window():
            self.draw()

    def draw(self) -> None:
        """Brings the poses to Kit's renderer, and draws a frame where Kit's loop is ours.

        Raises:
            EngineError: If the window has been closed.
        """
        if not app.kit_is_running():
            raise EngineError("Isaac Sim's window has been closed")
        from omni.physxfabric import get_physx_fabric_interface

        self._bring_up_to_date()
        self._update_kinematics()
        get_physx_fabric_interface().force_update(self.dt, self._time)
        app.update()
        self._drawn = self.state_version

    def _draw_for_camera(self, anew: bool) -> None:
        if self._record is not None:
            self._record.calls("RTX draws a picture")
        self._bring_up_to_date()
        if anew or self._drawn is None or self._drawn != self.state_version:
            self.draw()

    def camera(
        self, *, width: int, height: int, fov: float, near: float, outputs: Sequence[str]
    ) -> EngineCamera | None:
        offered = app.TiledCamera.offers(outputs)
        if not offered:
            return None
        if not app.owns_app():
            app.logger.warning(
                "Kit was not started by isaac_gymnasium, so its frames are not ours to ask for: "
                "pictures come from the ray caster, not from RTX"
            )
            return None
        camera = app.TiledCamera(
            f"camera_{len(self._cameras)}",
            self._env_paths,
            width=width,
            height=height,
            fov=fov,
            near=near,
            outputs=offered,
            device=self.device,
            draw=self._draw_for_camera,
        )
        self._cameras.append(camera)
        return camera

    def _update_kinematics(self) -> None:
        self._sim_view.update_articulations_kinematic()

    def _apply_wrench(self, body: RigidBody, wrench: Tensor) -> None:
        assert isinstance(body, IsaacSimRigidBody)
        body.apply(wrench)

    def _synchronize(self) -> None:
        if self._event is not None:
            self._event.record(torch.cuda.current_stream(self.device))
            self._event.synchronize()

    def _flush(self) -> None:
        super()._flush()
        # What a mask selects changes from batch to batch.
        self._ids.clear()

    def _restart(self) -> None:
        self._close_stage()
        for body in self._bodies.values():
            assert isinstance(body, (IsaacSimArticulation, IsaacSimRigidBody))
            body.unbind()
        self._open()
        for contacts in self._contacts:
            contacts.bind()
        self._drawn = None
        for camera in self._cameras:
            camera.open()

    def _destroy(self) -> None:
        try:
            self._close_stage()
        finally:
            type(self)._open_engine = None

    # ------------------------------------------------------------------ for the views

    def selected(self, mask: Tensor) -> Tensor:
        """Indices, int32, of the environments of a mask; the device is waited for once."""
        if id(mask) not in self._ids:
            self._ids[id(mask)] = mask.nonzero().flatten()
        return self._ids[id(mask)]

    def create_view(self, name: str, kind: str) -> Any:
        """A tensor view of the articulation or rigid body of this name in every environment.

        Raises:
            EngineError: If not every environment has one.
        """
        from isaac_gymnasium.scene.builder import ENV_0

        path = f"{ENV_0}/{name}"
        if kind == "articulation":
            path = self.scene.articulation_root(name) or path
            view = self._sim_view.create_articulation_view(_every(path))
        else:
            view = self._sim_view.create_rigid_body_view(_every(path))
        found = len(view.prim_paths) if _exists(view) else 0
        if found != self.num_envs:
            children = self.scene.stage.GetPrimAtPath(ENV_0).GetChildren()
            raise EngineError(
                f"{_every(path)}: expected one {kind} in each of {self.num_envs} environments, "
                f"found {found}. The environment holds: "
                f"{', '.join(child.GetName() for child in children)}"
            )
        return view

    def create_contact_view(
        self, sensors: list[str], filters: list[list[str]], max_contacts: int
    ) -> Any:
        """A contact view of bodies, each with its own filters."""
        return self._sim_view.create_rigid_contact_view(sensors, filters, max_contacts)

    def authored_pose(self, path: str) -> Tensor:
        """(N, 7) pose of a prim of the authored environment, put into every environment."""
        from pxr import Gf, UsdGeom

        matrix = UsdGeom.XformCache().GetLocalToWorldTransform(self.scene.stage.GetPrimAtPath(path))
        transform = Gf.Transform(matrix)
        rotation = transform.GetRotation().GetQuat()
        pose = [*transform.GetTranslation(), *rotation.GetImaginary(), rotation.GetReal()]
        poses = torch.tensor(pose, dtype=torch.float32, device=self.device).repeat(self.num_envs, 1)
        poses[:, :3] += self.env_origins
        return poses


def _dress(file: Path) -> None:
    """Adds to an exported scene what RTX needs to show it: light, and a ground that can be seen.

    Isaac Sim's own ground planes are a mesh to look at and a plane, for guidance, to stand on.
    """
    from pxr import Gf, Usd, UsdGeom, UsdLux

    stage = Usd.Stage.Open(str(file))
    if not any(prim.HasAPI(UsdLux.LightAPI) for prim in stage.Traverse()):
        sky = UsdLux.DomeLight.Define(stage, "/World/lights/sky")
        sky.CreateIntensityAttr(1000.0)
        sun = UsdLux.DistantLight.Define(stage, "/World/lights/sun")
        sun.CreateIntensityAttr(2000.0)
        sun.AddRotateXYZOp().Set(Gf.Vec3f(35.0, 20.0, 0.0))
    plane = UsdGeom.Plane.Get(stage, "/World/ground")
    if plane:
        plane.CreatePurposeAttr(UsdGeom.Tokens.guide)
        ground = UsdGeom.Mesh.Define(stage, "/World/ground_to_see")
        edge = 1000.0
        corners = [(-edge, -edge, 0.0), (edge, -edge, 0.0), (edge, edge, 0.0), (-edge, edge, 0.0)]
        ground.CreatePointsAttr([Gf.Vec3f(*corner) for corner in corners])
        ground.CreateNormalsAttr([Gf.Vec3f(0.0, 0.0, 1.0)] * 4)
        ground.CreateFaceVertexCountsAttr([4])
        ground.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
        ground.CreateSubdivisionSchemeAttr("none")
        ground.CreateDisplayColorAttr(plane.GetDisplayColorAttr().Get())
    stage.GetRootLayer().Save()


def _exists(view: Any) -> bool:
    """Whether a view is more than the empty shell one gets where nothing matched."""
    try:
        return bool(view.prim_paths)
    except AttributeError:
        return False


def _every(path: str) -> str:
    """The glob that finds a prim of environment 0 in every environment."""
    from isaac_gymnasium.scene.builder import ENV_0, ENV_ROOT

    return path.replace(ENV_0, f"{ENV_ROOT}/env_*", 1)


def _row_of_each(paths: Sequence[str], bodies: Sequence[str] = ("",)) -> Tensor:
    """Which row of a view each (environment, body) has, given the paths of its rows.

    Args:
        paths: Prim paths of the rows.
        bodies: Bodies below an environment; `("",)` where each environment has one row.

    Returns:
        (N * B,) int64, environment by environment.
    """
    from isaac_gymnasium.scene.builder import ENV_ROOT

    rows: dict[tuple[int, int], int] = {}
    for row, path in enumerate(paths):
        match = re.match(rf"{ENV_ROOT}/env_(\d+)/(.*)", path)
        assert match is not None, path
        body = 0 if bodies == ("",) else list(bodies).index(match[2])
        rows[int(match[1]), body] = row
    return torch.tensor([rows[key] for key in sorted(rows)])


class _IsaacSimBody(Body):
    """Moves the quantities of a body through a tensor view."""

    _KIND: ClassVar[str]
    _ACCESS: ClassVar[dict[str, _Access]]
    _PROPERTIES: ClassVar[dict[str, _Access]]

    engine: IsaacSimEngine

    def __init__(self, engine: IsaacSimEngine, name: str) -> None:
        super().__init__(engine, name)
        self._view: Any = None
        self._properties: dict[str, Tensor] = {}
        self._changed: set[str] = set()
        self._outgoing: dict[str, Tensor] = {}

    @property
    def view(self) -> Any:
        """The tensor view, in the engine's present simulation."""
        if self._view is None:
            self._view = self.engine.create_view(self.name, self._KIND)
            rows = _row_of_each(self._view.prim_paths)
            self._rows_cpu = rows
            self._rows = rows.to(self.engine.device)
            self._environments = rows.argsort().to(self.engine.device)
            self._environments_cpu = rows.argsort()
        return self._view

    def unbind(self) -> None:
        """Forgets the view of a simulation that has ended."""
        self._view = None
        self._stamps.clear()

    def write_authored_state(self) -> None:
        """Puts the body where the scene was authored, at rest."""
        raise NotImplementedError

    def _allocate(self, quantity: str) -> Tensor:
        values = self._ACCESS[quantity].get(self.view)
        return torch.zeros(values.shape, dtype=torch.float32, device=self.engine.device)

    def _pull(self, quantity: str) -> None:
        values = self._ACCESS[quantity].get(self.view)
        torch.index_select(values, 0, self._rows, out=self._buffers[quantity])

    def _push(self, quantity: str, mask: Tensor | None) -> None:
        view, buffer, write = self.view, self._buffers[quantity], self._ACCESS[quantity].set
        if write is None:
            raise EngineError(f"{self.name}.{quantity} cannot be written")
        rows = self._rows
        if mask is not None and quantity in self.STATE:
            rows = rows[self.engine.selected(mask)]
            if not len(rows):
                return
        data = self._outgoing.setdefault(quantity, torch.empty_like(buffer))
        torch.index_select(buffer, 0, self._environments, out=data)
        self.engine._synchronize()
        write(view, data, rows.to(torch.int32))

    def _property(self, name: str) -> Tensor:
        if name not in self._PROPERTIES:
            raise ValueError(f"no property {name!r}, have {sorted(self._PROPERTIES)}")
        if name not in self._properties:
            values = self._PROPERTIES[name].get(self.view)
            self._properties[name] = values[self._rows_cpu]
        return self._properties[name]

    def _get_property(self, name: str) -> Tensor:
        return self._property(name).clone()

    def _set_property(self, name: str, values: Tensor, mask: Tensor | None) -> None:
        cached, write = self._property(name), self._PROPERTIES[name].set
        assert write is not None
        values = values.to("cpu", torch.float32).expand(cached.shape)
        rows = self._rows_cpu
        if mask is None:
            cached.copy_(values)
        else:
            mask = mask.to("cpu")
            cached[mask] = values[mask]
            rows = rows[mask]
        if len(rows):
            data = cached[self._environments_cpu]
            write(self.view, data, rows.to(torch.int32))
        self._changed.add(name)

    def _renew_properties(self) -> None:
        kept = {name: self._properties[name] for name in self._changed}
        self._properties.clear()
        for name, values in kept.items():
            self._set_property(name, values, None)


class IsaacSimArticulation(_IsaacSimBody, Articulation):
    """A robot."""

    _KIND = "articulation"
    _ACCESS = _ARTICULATION
    _PROPERTIES = _ARTICULATION_PROPERTIES

    def __init__(self, engine: IsaacSimEngine, name: str) -> None:
        super().__init__(engine, name)
        art = self.view
        if not art.is_homogeneous:
            raise EngineError(f"{name}: its copies differ in their links or joints")
        kind = art.shared_metatype
        self.dof_names = list(kind.dof_names)
        self.link_names = list(kind.link_names)
        self.fixed_base = bool(kind.fixed_base)
        if not self.dof_names:
            raise EngineError(
                f"{art.prim_paths[0]}: the articulation has no degrees of freedom; check that its "
                "joints point at its links"
            )
        self.dof_limits = self.get_property("dof_limits")[0].to(engine.device)
        self.effort_limits = self.get_property("dof_max_effort")[0].to(engine.device)
        self.velocity_limits = self.get_property("dof_max_velocity")[0].to(engine.device)

    def write_authored_state(self) -> None:
        prims = self._prims_by_name()
        root = str(prims[self.link_names[0]].GetPath())
        pose = self.engine.authored_pose(root)
        self.write_root_state(pose, torch.zeros_like(self.root_vel))
        positions = [_joint_position(prims.get(name)) for name in self.dof_names]
        pos = torch.tensor(positions, device=self.engine.device).expand_as(self.dof_pos)
        self.write_dof_state(pos, torch.zeros_like(self.dof_vel))

    def _prims_by_name(self) -> dict[str, Any]:
        from pxr import Usd

        from isaac_gymnasium.scene.builder import ENV_0

        prim = self.engine.scene.stage.GetPrimAtPath(f"{ENV_0}/{self.name}")
        return {child.GetName(): child for child in Usd.PrimRange(prim)}


def _joint_position(prim: Any) -> float:
    """The joint position that is authored on a joint, rad or m."""
    if prim is None:
        return 0.0
    for kind, unit in (("angular", math.radians(1.0)), ("linear", 1.0)):
        value = prim.GetAttribute(f"state:{kind}:physics:position").Get()
        if value is not None:
            return float(value) * unit
    return 0.0


class IsaacSimRigidBody(_IsaacSimBody, RigidBody):
    """A free rigid body."""

    _KIND = "rigid body"
    _ACCESS = _RIGID_BODY
    _PROPERTIES = _RIGID_BODY_PROPERTIES

    def __init__(self, engine: IsaacSimEngine, name: str) -> None:
        super().__init__(engine, name)
        _ = self.view  # which tells at once where there is none

    def write_authored_state(self) -> None:
        from isaac_gymnasium.scene.builder import ENV_0

        pose = self.engine.authored_pose(f"{ENV_0}/{self.name}")
        self.write_state(pose, torch.zeros_like(self.vel))

    def apply(self, wrench: Tensor) -> None:
        """Applies (N, 6) force at the body's origin and torque during the next physics step.

        Raises:
            EngineError: On a GPU, if gravity is disabled for the body.
        """
        if self.engine.device.type == "cuda" and self._is_weightless():
            raise EngineError(
                f"{self.name}: on a GPU, PhysX lets gravity act on a body that a force is applied "
                "to, although it is disabled for this body; leave disable_gravity off and apply "
                "the weight as a force instead"
            )
        body = self.view
        wrench = wrench[self._environments]
        self.engine._synchronize()
        place = body.get_transforms()[:, :3].contiguous()
        body.apply_forces_and_torques_at_position(
            wrench[:, :3].contiguous(),
            wrench[:, 3:].contiguous(),
            place,
            self._rows.to(torch.int32),
            True,
        )

    def _is_weightless(self) -> bool:
        from isaac_gymnasium.scene.builder import ENV_0

        prim = self.engine.scene.stage.GetPrimAtPath(f"{ENV_0}/{self.name}")
        return bool(prim.GetAttribute("physxRigidBody:disableGravity").Get())


class IsaacSimContacts(Contacts):
    """Contact forces through a contact view."""

    engine: IsaacSimEngine

    def __init__(
        self, engine: IsaacSimEngine, bodies: Sequence[str], filters: Sequence[str]
    ) -> None:
        super().__init__(engine, f"contacts of {list(bodies)} with {list(filters)}")
        self._sensors = list(bodies)
        self._filters = list(filters)
        n, b, f = engine.num_envs, len(self._sensors), len(self._filters)
        self._shapes = {"net": (n, b, 3), "matrix": (n, b, f, 3)}
        self.bind()
        engine._contacts.append(self)

    def bind(self) -> None:
        """Makes the contact view in the engine's present simulation."""
        from isaac_gymnasium.scene.builder import ENV_0

        self._stamps.clear()
        sensors = [_every(f"{ENV_0}/{body}") for body in self._sensors]
        filters = [
            name if name.startswith("/") else _every(f"{ENV_0}/{name}") for name in self._filters
        ]
        wanted = self.engine.num_envs * len(sensors)
        contact = self.engine.create_contact_view(sensors, [filters] * len(sensors), 64 * wanted)
        try:
            paths = list(contact.sensor_paths)
        except AttributeError:
            paths = []
        if len(paths) != wanted:
            raise EngineError(
                f"{self.name}: each must be a rigid body with contact reports on "
                f"(Scene.enable_contact_reports): found {len(paths)} of {wanted}"
            )
        self._contact = contact
        self._rows = _row_of_each(paths, self._sensors).to(self.engine.device)

    def _allocate(self, quantity: str) -> Tensor:
        return torch.zeros(self._shapes[quantity], device=self.engine.device)

    def _pull(self, quantity: str) -> None:
        contact = self._contact
        if quantity == "matrix" and not self._filters:
            return
        if quantity == "net":
            forces = contact.get_net_contact_forces(self.engine.dt)
        else:
            forces = contact.get_contact_force_matrix(self.engine.dt)
        rows = self._buffers[quantity].flatten(0, 1)
        torch.index_select(forces, 0, self._rows, out=rows)

    def _push(self, quantity: str, mask: Tensor | None) -> None:
        raise EngineError(f"{self.name} cannot be written")
