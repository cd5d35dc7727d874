"""Engine `physx`: Isaac Sim's PhysX from the pip package `ovphysx`, on CPU or CUDA.

Everything that knows ovphysx is here and in `_physx_runtime`. State moves through ovphysx's tensor
bindings, called at the level of their C functions: the descriptor of each persistent buffer is
built once, and the GPU is synchronised once before a batch of calls instead of before each call.
ovphysx marks the bindings as deprecated; the session API that replaces them has no masked write.

On CUDA, environment ids keep the environments apart, so all of them stand at the origin: equal
actions give equal numbers in every environment, whatever `num_envs` is. On the CPU they need room
and stand on a grid whose k-th cell does not depend on `num_envs`.
"""

from __future__ import annotations

import ctypes
import math
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.engines import _physx_runtime as runtime
from isaac_gymnasium.engines._physx_strays import Strays
from isaac_gymnasium.engines.base import (
    Articulation,
    Body,
    Contacts,
    Engine,
    EngineError,
    RigidBody,
)

if TYPE_CHECKING:
    from isaac_gymnasium.scene.builder import Scene

_ARTICULATION = {
    "root_pose": "ARTICULATION_ROOT_POSE",
    "root_vel": "ARTICULATION_ROOT_VELOCITY",
    "dof_pos": "ARTICULATION_DOF_POSITION",
    "dof_vel": "ARTICULATION_DOF_VELOCITY",
    "dof_targets": "ARTICULATION_DOF_POSITION_TARGET",
    "dof_velocity_targets": "ARTICULATION_DOF_VELOCITY_TARGET",
    "dof_efforts": "ARTICULATION_DOF_ACTUATION_FORCE",
    "link_pose": "ARTICULATION_LINK_POSE",
    "link_vel": "ARTICULATION_LINK_VELOCITY",
    "jacobian": "ARTICULATION_JACOBIAN",
    "mass_matrix": "ARTICULATION_MASS_MATRIX",
    "gravity_force": "ARTICULATION_GRAVITY_FORCE",
}
_ARTICULATION_PROPERTIES = {
    "dof_stiffness": "ARTICULATION_DOF_STIFFNESS",
    "dof_damping": "ARTICULATION_DOF_DAMPING",
    "dof_limits": "ARTICULATION_DOF_LIMIT",
    "dof_max_velocity": "ARTICULATION_DOF_MAX_VELOCITY",
    "dof_max_effort": "ARTICULATION_DOF_MAX_FORCE",
    "dof_armature": "ARTICULATION_DOF_ARMATURE",
    "dof_friction": "ARTICULATION_DOF_FRICTION_PROPERTIES",
    "mass": "ARTICULATION_BODY_MASS",
    "center_of_mass": "ARTICULATION_BODY_COM_POSE",
    "inertia": "ARTICULATION_BODY_INERTIA",
    "material": "ARTICULATION_SHAPE_FRICTION_AND_RESTITUTION",
}
_RIGID_BODY = {"pose": "RIGID_BODY_POSE", "vel": "RIGID_BODY_VELOCITY"}
_RIGID_BODY_PROPERTIES = {
    "mass": "RIGID_BODY_MASS",
    "center_of_mass": "RIGID_BODY_COM_POSE",
    "inertia": "RIGID_BODY_INERTIA",
    "material": "RIGID_BODY_SHAPE_FRICTION_AND_RESTITUTION",
}


class PhysxEngine(Engine):
    """PhysX. See the module's docstring."""

    name: ClassVar[str] = "physx"

    def __init__(self, scene: Scene, num_envs: int, dt: float, device: torch.device) -> None:
        super().__init__(scene, num_envs, dt, device)
        scene.validate()
        cells = [(0.0, 0.0)] * num_envs
        if device.type == "cpu":
            cells = [grid_cell(k, scene.env_spacing) for k in range(num_envs)]
        self.env_origins = torch.tensor(cells, dtype=torch.float32, device=device)
        self.env_origins = torch.nn.functional.pad(self.env_origins, (0, 1))
        self._cells = cells
        self._bindings: list[_Binding] = []
        self._contacts: list[PhysxContacts] = []
        self._overflows: set[str] = set()
        # Where nothing can touch, PhysX carries nothing along beside the state.
        self.has_history = scene.num_colliders > 0
        self._event = torch.cuda.Event() if device.type == "cuda" else None
        self._strays: Strays | None = None
        self._author_device_settings(scene)
        self._open()

    def _open(self) -> None:
        """Starts a simulation of the scene."""
        with runtime.lock:
            self._physx = runtime.start(self.num_envs, self.device)
            try:
                self._populate()
            except BaseException:
                self.close()
                raise

    def _populate(self) -> None:
        import ovstage
        from ovphysx import TaskError

        from isaac_gymnasium.scene.builder import ENV_0, ENV_ROOT

        self._stage = ovstage.Stage("isaac_gymnasium")
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "scene.usdc")
            self.scene.stage.Export(file)
            ovstage.population.open_usd(
                self._stage, file, ordinal=1, domains=ovstage.PopulationDomain.ALL
            )
        self._stage.advance_write_floor(ordinal=1).wait()
        self._physx.wait_task(self._physx.attach_ovstage(self._stage, read_ordinal=1))
        if self.num_envs > 1:
            targets = [f"{ENV_ROOT}/env_{k}" for k in range(1, self.num_envs)]
            anchors = [(x, y, 0.0, 0.0, 0.0, 0.0, 1.0) for x, y in self._cells[1:]]
            try:
                self._physx.wait_task(self._physx.clone(ENV_0, targets, anchor_transforms=anchors))
            except (RuntimeError, TaskError) as error:
                raise EngineError(
                    f"{ENV_0}: cloning it {len(targets)} times failed: {error}"
                ) from (error)
        self._physx.warmup()
        self._physx.wait_all()
        self._quiet_bodies()
        # No step has passed yet, so nothing is lost by telling of what loading overflowed.
        self._report_overflows()

    def _quiet_bodies(self) -> None:
        """Gives free bodies back the velocities they were authored with.

        The warm-up is a step of a nanosecond. What a body that touches another is pushed out by in
        it, rounding included, makes metres a second.
        """
        from pxr import UsdPhysics

        from isaac_gymnasium.scene.builder import ENV_0

        for name in self.scene.bodies()[1]:
            api = UsdPhysics.RigidBodyAPI(self.scene.stage.GetPrimAtPath(f"{ENV_0}/{name}"))
            if not api.GetRigidBodyEnabledAttr().Get():
                continue
            turning = [math.radians(x) for x in api.GetAngularVelocityAttr().Get()]
            row = torch.tensor([*api.GetVelocityAttr().Get(), *turning], device=self.device)
            vel = row.repeat(self.num_envs, 1)
            self._synchronize()
            self.bind(name, _RIGID_BODY["vel"]).write(vel)
            if self._event is not None:
                torch.cuda.synchronize(self.device)  # `vel` is read until then

    def _author_device_settings(self, scene: Scene) -> None:
        from pxr import Sdf

        from isaac_gymnasium.scene.builder import PHYSICS_SCENE
        from isaac_gymnasium.scene.usd import author_api

        gpu = self.device.type == "cuda"
        kinds = Sdf.ValueTypeNames
        settings: dict[str, tuple[object, object]] = {
            "physxScene:enableGPUDynamics": (kinds.Bool, gpu),
            "physxScene:broadphaseType": (kinds.Token, "GPU" if gpu else "MBP"),
        }
        if gpu:
            capacities = runtime.gpu_capacities(
                self.num_envs, scene.settings.contacts_per_env, scene.num_colliders
            )
            for key, value in capacities.items():
                kind = kinds.UInt64 if key == "gpuTempBufferCapacity" else kinds.UInt
                settings[f"physxScene:{key}"] = (kind, value)
        author_api(scene.stage.GetPrimAtPath(PHYSICS_SCENE), "PhysxSceneAPI", settings)

    # ------------------------------------------------------------------ Engine

    def _make_articulation(self, name: str) -> PhysxArticulation:
        return PhysxArticulation(self, name)

    def _make_rigid_body(self, name: str) -> PhysxRigidBody:
        from pxr import UsdPhysics

        from isaac_gymnasium.scene.builder import ENV_0

        prim = self.scene.stage.GetPrimAtPath(f"{ENV_0}/{name}")
        if not prim or not prim.HasAPI(UsdPhysics.RigidBodyAPI):
            raise EngineError(
                f"{ENV_0}/{name}: no rigid body here. The environment holds: "
                f"{', '.join(self._names())}"
            )
        return PhysxRigidBody(self, name)

    def contacts(self, bodies: Sequence[str], filters: Sequence[str] = ()) -> PhysxContacts:
        return PhysxContacts(self, bodies, filters)

    def catch_strays(self) -> Tensor | None:
        if self.device.type != "cpu" or not self.scene.has_terrain:
            return None
        self._strays = Strays(self)
        return self._strays.found

    def _simulate(self) -> None:
        if self._strays is not None:
            self._strays.bring_home()
        with runtime.lock:
            self._physx.step_sync(self.dt)
        if runtime.overflow_messages:
            self._report_overflows()

    def _update_kinematics(self) -> None:
        # On the CPU a write refreshes the links by itself, and this call would change the
        # trajectory in its last bits.
        if self.device.type == "cuda":
            with runtime.lock:
                self._physx.update_articulations_kinematic()

    def _apply_wrench(self, body: RigidBody, wrench: Tensor) -> None:
        assert isinstance(body, PhysxRigidBody)
        body.apply(wrench)

    def _synchronize(self) -> None:
        # An event: waiting for a stream is among the syncs that torch can be told to refuse.
        if self._event is not None:
            self._event.record(torch.cuda.current_stream(self.device))
            self._event.synchronize()

    def _restart(self) -> None:
        self._destroy()
        self._open()
        for contacts in self._contacts:
            contacts.bind()

    def _destroy(self) -> None:
        with runtime.lock:
            for binding in self._bindings:
                binding.destroy()
            for contacts in self._contacts:
                contacts.release()
            self._bindings.clear()
            self._physx.destroy()
            self._stage = None

    def _report_overflows(self) -> None:
        for message in runtime.overflow_messages:
            if message not in self._overflows:
                self._overflows.add(message)
                warnings.warn(
                    f"PhysX dropped contacts, a GPU buffer is too small: {message} "
                    "(raise PhysicsSettings.contacts_per_env of the task)",
                    RuntimeWarning,
                    stacklevel=3,
                )
        runtime.overflow_messages.clear()

    # ------------------------------------------------------------------ for the views

    def bind(self, path: str, tensor_type: str) -> _Binding:
        """A tensor binding to `path` in every environment.

        Raises:
            EngineError: If not every environment has such an object.
        """
        from ovphysx.types import TensorType

        from isaac_gymnasium.scene.builder import ENV_0, ENV_ROOT

        if tensor_type.startswith("ARTICULATION"):
            path = (self.scene.articulation_root(path) or f"{ENV_0}/{path}").removeprefix(
                f"{ENV_0}/"
            )
        with runtime.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            binding = self._physx.create_tensor_binding(
                f"{ENV_ROOT}/*/{path}", tensor_type=TensorType[tensor_type]
            )
        if binding.count != self.num_envs:
            found = binding.count
            binding.destroy()
            kind = "articulation" if tensor_type.startswith("ARTICULATION") else "rigid body"
            raise EngineError(
                f"{ENV_ROOT}/env_*/{path}: expected one {kind} in each of {self.num_envs} "
                f"environments, found {found}. The environment holds: {', '.join(self._names())}"
            )
        bound = _Binding(self, binding)
        self._bindings.append(bound)
        return bound

    def is_weightless(self, name: str) -> bool:
        """Whether gravity was authored to leave a body alone."""
        from isaac_gymnasium.scene.builder import ENV_0

        prim = self.scene.stage.GetPrimAtPath(f"{ENV_0}/{name}")
        return bool(prim.GetAttribute("physxRigidBody:disableGravity").Get())

    def _names(self) -> list[str]:
        from isaac_gymnasium.scene.builder import ENV_0

        return [child.GetName() for child in self.scene.stage.GetPrimAtPath(ENV_0).GetChildren()]


class _Binding:
    """One tensor binding with the C functions that read and write it."""

    def __init__(self, engine: PhysxEngine, binding: Any) -> None:
        from ovphysx._bindings import _lib

        self._engine = engine
        self._lib = _lib
        self.binding = binding
        self.shape = tuple(binding.shape)
        self._sdk = engine._physx.handle
        self._handle = binding.handle
        self._descriptor: tuple[int, Any] | None = None

    def read(self, buffer: Tensor) -> None:
        """Fills a buffer of `shape` on the binding's own device."""
        with runtime.lock:
            self._check(
                self._lib.ovphysx_read_tensor_binding(self._sdk, self._handle, self._of(buffer))
            )

    def write(self, buffer: Tensor, mask: Tensor | None = None) -> None:
        """Writes all rows, or those of a (N,) bool mask."""
        with runtime.lock:
            if mask is None:
                status = self._lib.ovphysx_write_tensor_binding(
                    self._sdk, self._handle, self._of(buffer), None
                )
            else:
                status = self._lib.ovphysx_write_tensor_binding_masked(
                    self._sdk, self._handle, self._of(buffer), ctypes.byref(_describe(mask))
                )
            self._check(status)

    def _of(self, buffer: Tensor) -> Any:
        pointer = buffer.data_ptr()
        if self._descriptor is None or self._descriptor[0] != pointer:
            described = _describe(buffer)
            self._descriptor = (pointer, ctypes.byref(described))
        return self._descriptor[1]

    def _check(self, result: Any) -> None:
        if result.status != 0:
            raise EngineError(f"PhysX refused a tensor: {self._engine._physx._get_last_error()}")

    def destroy(self) -> None:
        """Frees the binding."""
        self.binding.destroy()


def _describe(tensor: Tensor) -> Any:
    """The DLPack descriptor of a contiguous tensor, valid as long as the tensor lives."""
    from ovphysx.dlpack import DLDataType, DLDataTypeCode, DLDevice, DLDeviceType, DLTensor

    code, bits = {
        torch.float32: (DLDataTypeCode.kDLFloat, 32),
        torch.bool: (DLDataTypeCode.kDLUInt, 8),
    }[tensor.dtype]
    shape = (ctypes.c_int64 * tensor.dim())(*tensor.shape)
    strides = (ctypes.c_int64 * tensor.dim())(*tensor.stride())
    kind = DLDeviceType.kDLCUDA if tensor.is_cuda else DLDeviceType.kDLCPU
    described = DLTensor(
        data=tensor.data_ptr(),
        device=DLDevice(device_type=DLDeviceType(kind), device_id=tensor.device.index or 0),
        ndim=tensor.dim(),
        dtype=DLDataType(code=DLDataTypeCode(code), bits=bits, lanes=1),
        shape=ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64)),
        strides=ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64)),
        byte_offset=0,
    )
    described._keepalive = (shape, strides)
    return described


class _PhysxBody(Body):
    """Moves the quantities of a view through bindings, made when first needed."""

    _TYPES: ClassVar[dict[str, str]]
    _PROPERTIES: ClassVar[dict[str, str]]

    engine: PhysxEngine

    def __init__(self, engine: PhysxEngine, name: str) -> None:
        super().__init__(engine, name)
        self._bindings: dict[str, _Binding] = {}
        self._properties: dict[str, tuple[_Binding, Tensor]] = {}
        self._changed: set[str] = set()

    def _renew(self) -> None:
        self._bindings.clear()
        super()._renew()

    def _renew_properties(self) -> None:
        kept = {name: self._properties[name][1] for name in self._changed}
        self._properties.clear()
        for name, values in kept.items():
            self._set_property(name, values, None)

    def _bind(self, quantity: str) -> _Binding:
        if quantity not in self._bindings:
            self._bindings[quantity] = self.engine.bind(self.name, self._TYPES[quantity])
        return self._bindings[quantity]

    def _allocate(self, quantity: str) -> Tensor:
        shape = self._bind(quantity).shape
        return torch.zeros(shape, dtype=torch.float32, device=self.engine.device)

    def _pull(self, quantity: str) -> None:
        self._bind(quantity).read(self._buffers[quantity])

    def _push(self, quantity: str, mask: Tensor | None) -> None:
        self._bind(quantity).write(self._buffers[quantity], mask)

    def _property(self, name: str) -> tuple[_Binding, Tensor]:
        if name not in self._PROPERTIES:
            raise ValueError(f"no property {name!r}, have {sorted(self._PROPERTIES)}")
        if name not in self._properties:
            binding = self.engine.bind(self.name, self._PROPERTIES[name])
            values = torch.zeros(binding.shape, dtype=torch.float32)
            binding.read(values)
            self._properties[name] = (binding, values)
        return self._properties[name]

    def _get_property(self, name: str) -> Tensor:
        return self._property(name)[1].clone()

    def _set_property(self, name: str, values: Tensor, mask: Tensor | None) -> None:
        binding, cached = self._property(name)
        values = values.to("cpu", torch.float32).expand(cached.shape)
        if mask is None:
            cached.copy_(values)
        else:
            mask = mask.to("cpu")
            cached[mask] = values[mask]
        binding.write(cached, mask)
        self._changed.add(name)


class PhysxArticulation(_PhysxBody, Articulation):
    """A robot."""

    _TYPES = _ARTICULATION
    _PROPERTIES = _ARTICULATION_PROPERTIES

    def __init__(self, engine: PhysxEngine, name: str) -> None:
        super().__init__(engine, name)
        binding = self._bind("dof_pos").binding
        self.dof_names = list(binding.dof_names)
        self.link_names = list(binding.body_names)
        self.fixed_base = bool(binding.is_fixed_base)
        if not self.dof_names:
            raise EngineError(
                f"{binding.prim_paths[0]}: the articulation has no degrees of freedom; check that "
                "its joints point at its links"
            )
        self.dof_limits = self.get_property("dof_limits")[0].to(engine.device)
        self.effort_limits = self.get_property("dof_max_effort")[0].to(engine.device)
        self.velocity_limits = self.get_property("dof_max_velocity")[0].to(engine.device)

    def _allocate(self, quantity: str) -> Tensor:
        buffer = super()._allocate(quantity)
        if quantity == "jacobian":
            self._flat_jacobian = buffer
            buffer = buffer.view(buffer.shape[0], -1, 6, buffer.shape[-1])
        return buffer

    def _pull(self, quantity: str) -> None:
        buffer = self._flat_jacobian if quantity == "jacobian" else self._buffers[quantity]
        self._bind(quantity).read(buffer)


class PhysxRigidBody(_PhysxBody, RigidBody):
    """A free rigid body."""

    _TYPES: ClassVar[dict[str, str]] = {**_RIGID_BODY, "wrench": "RIGID_BODY_WRENCH"}
    _PROPERTIES = _RIGID_BODY_PROPERTIES

    def __init__(self, engine: PhysxEngine, name: str) -> None:
        super().__init__(engine, name)
        self._bind("pose")

    def apply(self, wrench: Tensor) -> None:
        """Applies (N, 6) force at the body's origin and torque during the next physics step.

        Raises:
            EngineError: On a GPU, if gravity is disabled for the body.
        """
        if self.engine.device.type == "cuda" and self.engine.is_weightless(self.name):
            raise EngineError(
                f"{self.name}: on a GPU, PhysX lets gravity act on a body that a force is applied "
                "to, although it is disabled for this body; leave disable_gravity off and apply "
                "the weight as a force instead"
            )
        if "wrench" not in self._buffers:
            self._buffers["wrench"] = self._allocate("wrench")
        position = torch.empty_like(self.pose)
        self.engine._synchronize()
        self._bind("pose").read(position)
        self._buffers["wrench"].copy_(torch.cat((wrench, position[:, :3]), dim=-1))
        self.engine._synchronize()
        self._push("wrench", None)


class PhysxContacts(Contacts):
    """Contact forces through a contact binding."""

    engine: PhysxEngine

    def __init__(self, engine: PhysxEngine, bodies: Sequence[str], filters: Sequence[str]) -> None:
        from isaac_gymnasium.scene.builder import ENV_ROOT

        super().__init__(engine, f"contacts of {list(bodies)} with {list(filters)}")
        n = engine.num_envs
        self._sensors = [f"{ENV_ROOT}/env_{k}/{body}" for k in range(n) for body in bodies]
        self._filters = [
            name if name.startswith("/") else f"{ENV_ROOT}/env_{k}/{name}"
            for k in range(n)
            for _ in bodies
            for name in filters
        ]
        self._shapes = {
            "net": (n, len(bodies), 3),
            "matrix": (n, len(bodies), len(filters), 3),
        }
        self.bind()
        engine._contacts.append(self)

    def bind(self) -> None:
        """Makes the contact binding in the engine's present simulation."""
        self._stamps.clear()
        sensors = self._sensors
        try:
            with runtime.lock, warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self._binding = self.engine._physx.create_contact_binding(
                    sensors,
                    filter_patterns=self._filters or None,
                    filters_per_sensor=len(self._filters) // len(sensors),
                    max_contact_data_count=64 * len(sensors),
                )
            if self._binding.sensor_count != len(sensors):
                found = self._binding.sensor_count
                self._binding.destroy()
                raise RuntimeError(f"found {found} bodies instead of {len(sensors)}")
        except RuntimeError as error:
            raise EngineError(
                f"{self.name}: each must be a rigid body with contact reports on "
                f"(Scene.enable_contact_reports): {error}"
            ) from error

    def release(self) -> None:
        """Frees the contact binding."""
        self._binding.destroy()

    def _allocate(self, quantity: str) -> Tensor:
        return torch.zeros(self._shapes[quantity], device=self.engine.device)

    def _pull(self, quantity: str) -> None:
        rows = self._buffers[quantity].flatten(0, 1)
        with runtime.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            if quantity == "net":
                self._binding.read_net_normal_forces(rows)
            else:
                self._binding.read_normal_force_matrix(rows)

    def _push(self, quantity: str, mask: Tensor | None) -> None:
        raise EngineError(f"{self.name} cannot be written")


def grid_cell(k: int, spacing: float) -> tuple[float, float]:
    """Centre of the k-th cell of a square grid that grows in shells, whatever the total is."""
    shell = math.isqrt(k)
    offset = k - shell * shell
    row, column = (offset, shell) if offset <= shell else (shell, 2 * shell - offset)
    return row * spacing, column * spacing
