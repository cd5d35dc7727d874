"""The Python front end: a view asks the backend to fill a tensor, always the same one."""

from omni.physics.tensors import acquire_tensor_api, float32


def create_simulation_view(frontend_name, stage_id=-1):
    backend = acquire_tensor_api().create_simulation_view(stage_id)
    if backend is None:
        raise Exception("Failed to create simulation view backend")
    if frontend_name.lower() not in ("torch", "pytorch"):
        raise Exception(f"Unrecognized frontend name '{frontend_name}'")
    from .frontend_torch import FrontendTorch

    return SimulationView(backend, FrontendTorch(backend.device_ordinal))


def _passed_on(name):
    return property(lambda self: getattr(self._backend, name))


class _View:
    def __init__(self, backend, frontend):
        self._backend = backend
        self._frontend = frontend

    count = _passed_on("count")
    max_shapes = _passed_on("max_shapes")
    prim_paths = _passed_on("prim_paths")

    def _fill(self, name, shape, device, *arguments):
        cache = self.__dict__.setdefault("_cache", {})
        if name not in cache:
            cache[name] = self._frontend.create_tensor(shape, float32, device)
        tensor, desc = cache[name]
        if not getattr(self._backend, name)(desc, *arguments):
            raise Exception(f"{name} failed in backend")
        return tensor

    def _send(self, name, data, indices):
        data = self._frontend.as_contiguous_float32(data)
        indices = self._frontend.as_contiguous_uint32(indices)
        described = map(self._frontend.get_tensor_desc, (data, indices))
        if not getattr(self._backend, name)(*described):
            raise Exception(f"{name} failed in backend")


def _getter(name, shape, device=None):
    def get(self):
        return self._fill(name, shape(self), device)

    get.__name__ = name
    return get


def _setter(name):
    def set_(self, data, indices):
        self._send(name, data, indices)

    set_.__name__ = name
    return set_


def _add(cls, shapes, device=None, writable=True):
    for name, shape in shapes.items():
        setattr(cls, f"get_{name}", _getter(f"get_{name}", shape, device))
        if writable:
            setattr(cls, f"set_{name}", _setter(f"set_{name}"))


class ArticulationView(_View):
    max_links = _passed_on("max_links")
    max_dofs = _passed_on("max_dofs")
    is_homogeneous = _passed_on("is_homogeneous")
    shared_metatype = _passed_on("shared_metatype")
    jacobian_shape = _passed_on("jacobian_shape")
    generalized_mass_matrix_shape = _passed_on("generalized_mass_matrix_shape")


_add(
    ArticulationView,
    {
        "root_transforms": lambda view: (view.count, 7),
        "root_velocities": lambda view: (view.count, 6),
        "dof_positions": lambda view: (view.count, view.max_dofs),
        "dof_velocities": lambda view: (view.count, view.max_dofs),
        "dof_position_targets": lambda view: (view.count, view.max_dofs),
        "dof_velocity_targets": lambda view: (view.count, view.max_dofs),
        "dof_actuation_forces": lambda view: (view.count, view.max_dofs),
    },
)
_add(
    ArticulationView,
    {
        "link_transforms": lambda view: (view.count, view.max_links, 7),
        "link_velocities": lambda view: (view.count, view.max_links, 6),
        "jacobians": lambda view: (
            view.count,
            view.jacobian_shape[0] // 6,
            6,
            view.jacobian_shape[1],
        ),
        "generalized_mass_matrices": lambda view: (
            view.count,
            *view.generalized_mass_matrix_shape,
        ),
        "gravity_compensation_forces": lambda view: (
            view.count,
            view.max_dofs if view.shared_metatype.fixed_base else view.max_dofs + 6,
        ),
    },
    writable=False,
)
_add(
    ArticulationView,
    {
        "dof_stiffnesses": lambda view: (view.count, view.max_dofs),
        "dof_dampings": lambda view: (view.count, view.max_dofs),
        "dof_limits": lambda view: (view.count, view.max_dofs, 2),
        "dof_max_velocities": lambda view: (view.count, view.max_dofs),
        "dof_max_forces": lambda view: (view.count, view.max_dofs),
        "dof_armatures": lambda view: (view.count, view.max_dofs),
        "dof_friction_properties": lambda view: (view.count, view.max_dofs, 3),
        "masses": lambda view: (view.count, view.max_links),
        "coms": lambda view: (view.count, view.max_links, 7),
        "inertias": lambda view: (view.count, view.max_links, 9),
        "material_properties": lambda view: (view.count, view.max_shapes, 3),
    },
    device=-1,
)


class RigidBodyView(_View):
    def apply_forces_and_torques_at_position(
        self, force_data, torque_data, position_data, indices, is_global
    ):
        parts = [
            None if part is None else self._frontend.as_contiguous_float32(part)
            for part in (force_data, torque_data, position_data)
        ]
        indices = self._frontend.as_contiguous_uint32(indices)
        described = [
            None if part is None else self._frontend.get_tensor_desc(part)
            for part in (*parts, indices)
        ]
        if not self._backend.apply_forces_and_torques_at_position(*described, is_global):
            raise Exception("Failed to apply forces and torques at pos in backend")
        return True


_add(
    RigidBodyView,
    {"transforms": lambda view: (view.count, 7), "velocities": lambda view: (view.count, 6)},
)
_add(
    RigidBodyView,
    {
        "masses": lambda view: (view.count, 1),
        "coms": lambda view: (view.count, 7),
        "inertias": lambda view: (view.count, 9),
        "material_properties": lambda view: (view.count, view.max_shapes, 3),
    },
    device=-1,
)


class RigidContactView(_View):
    sensor_count = _passed_on("sensor_count")
    filter_count = _passed_on("filter_count")
    sensor_paths = _passed_on("sensor_paths")
    filter_paths = _passed_on("filter_paths")

    def get_net_contact_forces(self, dt):
        return self._fill("get_net_contact_forces", (self.sensor_count, 3), None, dt)

    def get_contact_force_matrix(self, dt):
        if self.filter_count == 0:
            raise Exception("Contact force matrix is not available: no filters were specified")
        shape = (self.sensor_count, self.filter_count, 3)
        return self._fill("get_contact_force_matrix", shape, None, dt)


class SimulationView:
    def __init__(self, backend, frontend):
        self._backend = backend
        self._frontend = frontend

    is_valid = _passed_on("is_valid")
    device_ordinal = _passed_on("device_ordinal")

    def invalidate(self):
        return self._backend.invalidate()

    def set_subspace_roots(self, pattern):
        if not self._backend.set_subspace_roots(pattern):
            raise Exception("Failed to set subspace roots")

    def create_articulation_view(self, pattern):
        return ArticulationView(self._backend.create_articulation_view(pattern), self._frontend)

    def create_rigid_body_view(self, pattern):
        return RigidBodyView(self._backend.create_rigid_body_view(pattern), self._frontend)

    def create_rigid_contact_view(self, pattern, filter_patterns=[], max_contact_data_count=0):
        backend = self._backend.create_rigid_contact_view(
            pattern, filter_patterns, max_contact_data_count
        )
        return RigidContactView(backend, self._frontend)

    def update_articulations_kinematic(self):
        return self._backend.update_articulations_kinematic()
