"""In place of the compiled bindings of omni.physics.tensors, on ovphysx's tensor bindings.

Every function takes descriptors and returns whether it could do what was asked.
"""

from __future__ import annotations

import enum
import re
import warnings
from types import SimpleNamespace
from typing import Any

import torch
from kit_world import WORLD, Physics, tensor_at

WORLD.require_app(__name__)


class TensorDataType(enum.IntEnum):
    float32 = 0
    float64 = 1
    int8 = 2
    int16 = 3
    int32 = 4
    int64 = 5
    uint8 = 6
    uint16 = 7
    uint32 = 8
    uint64 = 9


globals().update(TensorDataType.__members__)
__all__ = [*TensorDataType.__members__, "TensorDesc", "TensorDataType", "acquire_tensor_api"]


class TensorDesc:
    def __init__(self) -> None:
        self.dtype = TensorDataType.float32
        self.device = -1
        self.shape: tuple[int, ...] = ()
        self.data_address = 0


# Name in this API -> name in ovphysx, and whether it is a property, which lives on the CPU.
_ARTICULATION = {
    "root_transforms": "ARTICULATION_ROOT_POSE",
    "root_velocities": "ARTICULATION_ROOT_VELOCITY",
    "dof_positions": "ARTICULATION_DOF_POSITION",
    "dof_velocities": "ARTICULATION_DOF_VELOCITY",
    "dof_position_targets": "ARTICULATION_DOF_POSITION_TARGET",
    "dof_velocity_targets": "ARTICULATION_DOF_VELOCITY_TARGET",
    "dof_actuation_forces": "ARTICULATION_DOF_ACTUATION_FORCE",
    "link_transforms": "ARTICULATION_LINK_POSE",
    "link_velocities": "ARTICULATION_LINK_VELOCITY",
    "jacobians": "ARTICULATION_JACOBIAN",
    "generalized_mass_matrices": "ARTICULATION_MASS_MATRIX",
    "gravity_compensation_forces": "ARTICULATION_GRAVITY_FORCE",
}
_ARTICULATION_PROPERTIES = {
    "dof_stiffnesses": "ARTICULATION_DOF_STIFFNESS",
    "dof_dampings": "ARTICULATION_DOF_DAMPING",
    "dof_limits": "ARTICULATION_DOF_LIMIT",
    "dof_max_velocities": "ARTICULATION_DOF_MAX_VELOCITY",
    "dof_max_forces": "ARTICULATION_DOF_MAX_FORCE",
    "dof_armatures": "ARTICULATION_DOF_ARMATURE",
    "dof_friction_properties": "ARTICULATION_DOF_FRICTION_PROPERTIES",
    "masses": "ARTICULATION_BODY_MASS",
    "coms": "ARTICULATION_BODY_COM_POSE",
    "inertias": "ARTICULATION_BODY_INERTIA",
    "material_properties": "ARTICULATION_SHAPE_FRICTION_AND_RESTITUTION",
}
_RIGID_BODY = {"transforms": "RIGID_BODY_POSE", "velocities": "RIGID_BODY_VELOCITY"}
_RIGID_BODY_PROPERTIES = {
    "masses": "RIGID_BODY_MASS",
    "coms": "RIGID_BODY_COM_POSE",
    "inertias": "RIGID_BODY_INERTIA",
    "material_properties": "RIGID_BODY_SHAPE_FRICTION_AND_RESTITUTION",
}
_STATE = {
    "root_transforms",
    "root_velocities",
    "dof_positions",
    "dof_velocities",
    "transforms",
    "velocities",
}
_DERIVED = {
    "link_transforms",
    "link_velocities",
    "jacobians",
    "generalized_mass_matrices",
    "gravity_compensation_forces",
}


class _View:
    """Rows of a view: prim paths in Kit's order, and where ovphysx has each."""

    def __init__(self, physics: Physics, paths: list[str], anchor: str) -> None:
        self._physics = physics
        self.prim_paths = paths
        self._bindings: dict[str, Any] = {}
        self._derived: dict[str, torch.Tensor] = {}
        example = re.sub(r"/env_\d+/", "/*/", paths[0], count=1)
        self._pattern = example
        binding = self._binding(anchor)
        theirs = [_environment(path) for path in binding.prim_paths]
        self.count = len(paths)
        if binding.count == len(paths):
            self._rows = torch.tensor([theirs.index(_environment(path)) for path in paths])

    def _binding(self, kind: str) -> Any:
        if kind not in self._bindings:
            self._bindings[kind] = self._physics.bind(self._pattern, kind)
        return self._bindings[kind]

    def release(self) -> None:
        for binding in self._bindings.values():
            binding.destroy()
        self._bindings.clear()

    def keep_derived(self) -> None:
        """Keeps what follows from the state, as long as that is not refreshed."""
        for name in self._derived:
            self._derived[name] = self._fetch(name, self.TABLE[name], False)

    TABLE: dict[str, str]

    def _buffer(self, kind: str, on_cpu: bool) -> torch.Tensor:
        device = "cuda" if self._physics.device_ordinal >= 0 and not on_cpu else "cpu"
        return torch.zeros(self._binding(kind).shape, device=device)

    def _fetch(self, name: str, kind: str, on_cpu: bool) -> torch.Tensor:
        buffer = self._buffer(kind, on_cpu)
        self._binding(kind).read(buffer)
        return buffer[self._rows.to(buffer.device)]

    def _accepts(self, what: str, desc: TensorDesc, size: int, on_cpu: bool) -> bool:
        if not self._physics.valid:
            return WORLD.refuse(f"{what}: the view is no longer valid")
        if self._physics.steps == 0:
            return WORLD.refuse(f"{what}: nothing to be had before the first step")
        device = -1 if on_cpu else self._physics.device_ordinal
        if desc.device != device:
            return WORLD.refuse(f"{what}: expected device {device}, got {desc.device}")
        if desc.dtype != TensorDataType.float32:
            return WORLD.refuse(f"{what}: expected float32, got {desc.dtype!r}")
        if torch.Size(desc.shape).numel() != size:
            return WORLD.refuse(f"{what}: expected {size} elements, got shape {desc.shape}")
        return True

    def _get(self, name: str, kind: str, on_cpu: bool, desc: TensorDesc) -> bool:
        if not self._physics.valid:
            return WORLD.refuse(f"get {name}: the view is no longer valid")
        size = torch.Size(self._binding(kind).shape).numel()
        if not self._accepts(f"get {name}", desc, size, on_cpu):
            return False
        if name in _DERIVED and self._physics.stale and name in self._derived:
            values = self._derived[name]
        else:
            values = self._fetch(name, kind, on_cpu)
            if name in _DERIVED:
                self._derived[name] = values
        tensor_at(desc, torch.float32).copy_(values.reshape(tuple(desc.shape)))
        return True

    def _indices(self, what: str, desc: TensorDesc, on_cpu: bool) -> torch.Tensor | None:
        device = -1 if on_cpu else self._physics.device_ordinal
        if desc.dtype != TensorDataType.int32:
            WORLD.refuse(f"{what}: expected int32 indices, got {desc.dtype!r}")
        elif desc.device != device:
            WORLD.refuse(f"{what}: expected indices on device {device}, got {desc.device}")
        else:
            rows = tensor_at(desc, torch.int32).flatten().long()
            if len(rows) == 0 or (int(rows.min()) >= 0 and int(rows.max()) < self.count):
                return rows
            WORLD.refuse(f"{what}: indices {rows.tolist()} for {self.count} rows")
        return None

    def _set(
        self, name: str, kind: str, on_cpu: bool, desc: TensorDesc, indices: TensorDesc
    ) -> bool:
        what = f"set {name}"
        if not self._physics.valid:
            return WORLD.refuse(f"{what}: the view is no longer valid")
        buffer = self._buffer(kind, on_cpu)
        if not self._accepts(what, desc, buffer.numel(), on_cpu):
            return False
        rows = self._indices(what, indices, on_cpu)
        if rows is None:
            return False
        if name in _STATE:
            self._physics.written()
        if len(rows):
            data = tensor_at(desc, torch.float32).reshape(buffer.shape)
            theirs = self._rows.to(rows.device)[rows]
            buffer[theirs] = data[rows]
            self._binding(kind).write(buffer, indices=theirs.to(torch.int32))
        return True

    def check(self) -> bool:
        return self._physics.valid


def _environment(path: str) -> str:
    return path.split("/")[3]


def _add_accessors(cls: type, table: dict[str, str], on_cpu: bool) -> None:
    def add(name: str, kind: str) -> None:
        def get(self: _View, desc: TensorDesc) -> bool:
            return self._get(name, kind, on_cpu, desc)

        def set_(self: _View, desc: TensorDesc, indices: TensorDesc) -> bool:
            return self._set(name, kind, on_cpu, desc, indices)

        setattr(cls, f"get_{name}", get)
        if name not in _DERIVED:
            setattr(cls, f"set_{name}", set_)

    for name, kind in table.items():
        add(name, kind)


class IArticulationView(_View):
    TABLE = _ARTICULATION

    def __init__(self, physics: Physics, paths: list[str]) -> None:
        super().__init__(physics, paths, "ARTICULATION_DOF_POSITION")
        if not hasattr(self, "_rows"):
            return
        binding = self._binding("ARTICULATION_DOF_POSITION")
        self.is_homogeneous = True
        self.max_dofs, self.max_links = len(binding.dof_names), len(binding.body_names)
        self.shared_metatype = SimpleNamespace(
            dof_names=list(binding.dof_names),
            link_names=list(binding.body_names),
            fixed_base=bool(binding.is_fixed_base),
        )
        # Of what has never been read, too, there is a value from before a write.
        self._derived = {name: torch.empty(0) for name in _DERIVED}

    @property
    def max_shapes(self) -> int:
        return self._binding(_ARTICULATION_PROPERTIES["material_properties"]).shape[1]

    @property
    def jacobian_shape(self) -> tuple[int, int]:
        return tuple(self._binding("ARTICULATION_JACOBIAN").shape[1:])

    @property
    def generalized_mass_matrix_shape(self) -> tuple[int, int]:
        return tuple(self._binding("ARTICULATION_MASS_MATRIX").shape[1:])


class IRigidBodyView(_View):
    TABLE = _RIGID_BODY

    def __init__(self, physics: Physics, paths: list[str]) -> None:
        super().__init__(physics, paths, "RIGID_BODY_POSE")

    @property
    def max_shapes(self) -> int:
        return self._binding(_RIGID_BODY_PROPERTIES["material_properties"]).shape[1]

    def apply_forces_and_torques_at_position(
        self,
        force_data: TensorDesc | None = None,
        torque_data: TensorDesc | None = None,
        position_data: TensorDesc | None = None,
        indices: TensorDesc | None = None,
        is_global: bool = True,
    ) -> bool:
        if not is_global:
            raise NotImplementedError("forces in the body's frame are not imitated")
        parts = []
        for desc in (force_data, torque_data, position_data):
            if desc is None:
                raise NotImplementedError("part of a wrench is not imitated")
            if not self._accepts("apply forces", desc, 3 * self.count, False):
                return False
            parts.append(tensor_at(desc, torch.float32).reshape(self.count, 3))
        rows = self._indices("apply forces", indices, False)
        if rows is None:
            return False
        buffer = self._buffer("RIGID_BODY_WRENCH", False)
        theirs = self._rows.to(rows.device)[rows]
        buffer[theirs] = torch.cat(parts, dim=-1)[rows]
        self._binding("RIGID_BODY_WRENCH").write(buffer, indices=theirs.to(torch.int32))
        return True

    if not WORLD.version.startswith("5."):

        def wake_up(self, indices: TensorDesc | None = None) -> bool:
            return True


_add_accessors(IArticulationView, _ARTICULATION, on_cpu=False)
_add_accessors(IArticulationView, _ARTICULATION_PROPERTIES, on_cpu=True)
_add_accessors(IRigidBodyView, _RIGID_BODY, on_cpu=False)
_add_accessors(IRigidBodyView, _RIGID_BODY_PROPERTIES, on_cpu=True)


class IRigidContactView:
    def __init__(
        self, physics: Physics, sensors: list[str], filters: list[list[str]], count: int
    ) -> None:
        self._physics = physics
        self.sensor_paths, self.filter_paths = sensors, filters
        self.sensor_count, self.filter_count = len(sensors), len(filters[0])
        self.max_contact_data_count = count
        self._contacts: Any = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._contacts = physics.physx.create_contact_binding(
                sensors,
                filter_patterns=[path for paths in filters for path in paths] or None,
                filters_per_sensor=self.filter_count,
                max_contact_data_count=count,
            )

    def release(self) -> None:
        self._contacts.destroy()

    def keep_derived(self) -> None:
        pass

    def get_net_contact_forces(self, desc: TensorDesc, dt: float) -> bool:
        shape = (self.sensor_count, 3)
        return self._read("read_net_normal_forces", shape, desc)

    def get_contact_force_matrix(self, desc: TensorDesc, dt: float) -> bool:
        shape = (self.sensor_count, self.filter_count, 3)
        return self._read("read_normal_force_matrix", shape, desc)

    def _read(self, function: str, shape: tuple[int, ...], desc: TensorDesc) -> bool:
        if not self._physics.valid or self._physics.steps == 0:
            return WORLD.refuse(f"{function}: no simulation that has made a step")
        if tuple(desc.shape) != shape or desc.device != self._physics.device_ordinal:
            return WORLD.refuse(f"{function}: expected {shape}, got {desc.shape}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            getattr(self._contacts, function)(tensor_at(desc, torch.float32))
        return True


class ISimulationView:
    def __init__(self, physics: Physics) -> None:
        self._physics = physics
        self.device_ordinal = physics.device_ordinal
        self.cuda_context = 0
        self._subspaces = False

    @property
    def is_valid(self) -> bool:
        return self._physics.valid

    def invalidate(self) -> None:
        self._physics.valid = False

    def set_subspace_roots(self, pattern: str) -> bool:
        if pattern != "/":
            raise NotImplementedError("subspaces are not imitated")
        self._subspaces = True
        return True

    def _create(self, kind: type, pattern: str | list[str]) -> Any:
        patterns = [pattern] if isinstance(pattern, str) else list(pattern)
        paths = [path for pattern in patterns for path in WORLD.matching(pattern)]
        if not paths:
            WORLD.refuse(f"pattern {pattern!r} did not match anything")
            return None
        view = kind(self._physics, paths)
        if not hasattr(view, "_rows"):
            view.release()
            WORLD.refuse(f"pattern {pattern!r} did not match objects of the kind")
            return None
        self._physics.views.append(view)
        return view

    def create_articulation_view(self, pattern: str | list[str]) -> Any:
        return self._create(IArticulationView, pattern)

    def create_rigid_body_view(self, pattern: str | list[str]) -> Any:
        return self._create(IRigidBodyView, pattern)

    def create_rigid_contact_view(
        self,
        pattern: str | list[str],
        filter_patterns: list[Any] = (),
        max_contact_data_count: int = 0,
    ) -> Any:
        patterns = [pattern] if isinstance(pattern, str) else list(pattern)
        filters = [filter_patterns] if isinstance(pattern, str) else list(filter_patterns)
        filters = filters or [[] for _ in patterns]
        if len(filters) != len(patterns):
            WORLD.refuse("as many lists of filters as of sensors, please")
            return None
        sensors: list[str] = []
        others: list[list[str]] = []
        for pattern, names in zip(patterns, filters, strict=True):
            found = WORLD.matching(pattern)
            found = [path for path in found if _reports_contacts(path)]
            columns = [WORLD.matching(name) for name in names]
            columns = [c * len(found) if len(c) == 1 else c for c in columns]
            if any(len(column) != len(found) for column in columns):
                WORLD.refuse(f"filters {names} do not match as many prims as {pattern}")
                return None
            sensors += found
            others += [list(row) for row in zip(*columns, strict=True)] or [[] for _ in found]
        if not sensors:
            WORLD.refuse(f"{patterns}: no bodies that report contacts")
            return None
        view = IRigidContactView(self._physics, sensors, others, max_contact_data_count)
        self._physics.views.append(view)
        return view

    def update_articulations_kinematic(self) -> None:
        self._physics.refresh()


def _reports_contacts(path: str) -> bool:
    # Not GetAppliedSchemas(), which leaves out schemas that this USD has no definition of.
    schemas = WORLD.stage.GetPrimAtPath(path).GetMetadata("apiSchemas")
    return schemas is not None and "PhysxContactReportAPI" in schemas.GetAppliedItems()


class TensorApi:
    def create_simulation_view(self, stage_id: int = -1) -> ISimulationView | None:
        if WORLD.physics is None or stage_id not in (-1, WORLD.stage_id):
            WORLD.refuse(f"no simulation of stage {stage_id}")
            return None
        return ISimulationView(WORLD.physics)

    def reset(self) -> None:
        pass


def acquire_tensor_api() -> TensorApi:
    return TensorApi()
