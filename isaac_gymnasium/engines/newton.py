"""Engine `newton`: the pip package `newton` with its MuJoCo solver, on CPU or CUDA.

Every environment is a world of its own, so all of them stand at the origin and none can touch
another. The tensors handed out are the simulation's own arrays wherever the order of joints and
links allows it (which is that of PhysX): a read costs nothing, and a write is in the state at once.
What follows from the state is brought up to date for the written worlds alone.

Launching the hundred kernels of a physics step costs more than running them for few environments,
so the substeps of a control step are recorded as a graph, on the CPU as on CUDA.

What MuJoCo's solver does not know: speed limits of joints, damping of free bodies, a static
friction apart from the dynamic one, and a mode of combining frictions other than `max`.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.engines._newton_model import UNLIMITED, World, contact_gains
from isaac_gymnasium.engines.base import (
    Articulation,
    Body,
    Contacts,
    Engine,
    EngineError,
    RigidBody,
)
from isaac_gymnasium.transforms import quat_rotate

if TYPE_CHECKING:
    from isaac_gymnasium.scene.builder import Scene

logger = logging.getLogger("isaac_gymnasium.newton")

# Property: the model's arrays it is made of, and the ModelFlags that tell the solver of a change.
_JOINT_PROPERTIES: dict[str, tuple[tuple[str, ...], str]] = {
    "dof_stiffness": (("joint_target_ke",), "JOINT_DOF_FORCE_PROPERTIES"),
    "dof_damping": (("joint_target_kd",), "JOINT_DOF_FORCE_PROPERTIES"),
    "dof_limits": (("joint_limit_lower", "joint_limit_upper"), "JOINT_DOF_FORCE_PROPERTIES"),
    "dof_max_velocity": (("joint_velocity_limit",), "JOINT_DOF_FORCE_PROPERTIES"),
    "dof_max_effort": (("joint_effort_limit",), "JOINT_DOF_FORCE_PROPERTIES"),
    "dof_armature": (("joint_armature",), "JOINT_DOF_INERTIAL_PROPERTIES"),
    # PhysX's static and dynamic friction are one here; the viscous part is passive damping.
    "dof_friction": (
        ("joint_friction", "joint_friction", "joint_damping"),
        "JOINT_DOF_FORCE_PROPERTIES",
    ),
}
_BODY_PROPERTIES: dict[str, tuple[tuple[str, ...], str]] = {
    "mass": (("body_mass",), "BODY_INERTIAL_PROPERTIES"),
    "center_of_mass": (("body_com",), "BODY_INERTIAL_PROPERTIES"),
    "inertia": (("body_inertia",), "BODY_INERTIAL_PROPERTIES"),
}
_SHAPE_PROPERTIES: dict[str, tuple[tuple[str, ...], str]] = {
    "material": (
        ("shape_material_mu", "shape_material_mu", "shape_material_restitution"),
        "SHAPE_PROPERTIES",
    ),
}


class NewtonEngine(Engine):
    """Newton with MuJoCo's solver. See the module's docstring."""

    name: ClassVar[str] = "newton"

    def __init__(self, scene: Scene, num_envs: int, dt: float, device: torch.device) -> None:
        super().__init__(scene, num_envs, dt, device)
        scene.validate()
        self._wp, self._newton = _import_newton()
        self._streams: dict[int, Any] = {}
        self._graphs: dict[int, Any] = {}
        self._jacobians: Any = None
        self._masses: Any = None
        self._records = True
        # A write drops what the solver carries from step to step, and nothing else is left.
        self.has_history = False
        self.env_origins = torch.zeros(num_envs, 3, device=device)
        with self._on_torch_stream():
            self._open(scene)

    def _open(self, scene: Scene) -> None:
        newton = self._newton
        self.world = World(scene, self.num_envs, self.dt, str(self.device))
        self.model = model = self.world.model
        contacts = min(scene.settings.contacts_per_env, self.world.most_contacts)
        self.solver = newton.solvers.SolverMuJoCo(
            model,
            iterations=20,
            ls_iterations=50,
            # "discrete" lets contacts feel the implicit damping of drives: without, a gripper with
            # stiff drives bounces on what it closes on. It swallows restitution, though.
            integrator="discrete" if contacts and not self.world.bounces else "implicitfast",
            # Friction that does not creep and is the same in every direction.
            cone="elliptic",
            impratio=10.0,
            enable_multiccd=True,
            nconmax=max(contacts, 1),
            # Three rows a contact, and a limit and friction for every degree of freedom.
            njmax=3 * contacts + 2 * self.world.builder.joint_dof_count,
        )
        self._warned = False
        if self.device.type == "cuda":
            # A graph of all iterations: the solver would ask the host whether to go on.
            self.solver.mjw_model.opt.graph_conditional = False
        mujoco_warp = importlib.import_module("mujoco_warp")
        bits = mujoco_warp.OverflowType
        self._lost = int(bits.NEFC | bits.NJMAX_NNZ | bits.BROADPHASE | bits.NARROWPHASE)
        # Kernels print what overflows; where the host can look, it warns once instead. An iteration
        # that ends at its limit is no overflow: the next one goes on from there.
        on_cuda = self.device.type == "cuda"
        self.solver.mjw_model.opt.warn_overflow = self._lost if on_cuda else 0
        self._overflow = self._wp.to_torch(self.solver.mjw_data.overflow)
        self.state, self.control = model.state(), model.control()
        self._articulations = model.articulation_count // self.num_envs
        # One row more for what belongs to no world.
        self._written = torch.zeros(self.num_envs + 1, dtype=torch.bool, device=self.device)
        self._written_articulations = torch.zeros(
            model.articulation_count, dtype=torch.bool, device=self.device
        )
        self._body_f = self.array("body_f", of=self.state)
        newton.eval_fk(model, self.state.joint_q, self.state.joint_qd, self.state)
        self._warm_up()

    def _warm_up(self) -> None:
        """Compiles and loads every kernel of a step, and leaves the state as it was."""
        cache = Path(self._wp.config.kernel_cache_dir)
        if any(cache.glob("wp_mujoco_warp*")):
            logger.info("Newton loads its kernels from %s", cache)
        else:
            logger.warning("Newton compiles its kernels into %s, once: takes minutes", cache)
        begin = time.perf_counter()
        before = [(array, array.clone()) for array in self._state_tensors()]
        self._simulate()
        for array, values in before:
            array.copy_(values)
        self._reset_worlds(None)
        logger.info("Newton is ready after %.1f s", time.perf_counter() - begin)

    def _state_tensors(self) -> list[Tensor]:
        return [self.array(name, of=self.state) for name in ("joint_q", "joint_qd")]

    # ------------------------------------------------------------------ Engine

    def _make_articulation(self, name: str) -> NewtonArticulation:
        return NewtonArticulation(self, name)

    def _make_rigid_body(self, name: str) -> NewtonRigidBody:
        return NewtonRigidBody(self, name)

    def contacts(self, bodies: Sequence[str], filters: Sequence[str] = ()) -> NewtonContacts:
        return NewtonContacts(self, bodies, filters)

    def _advance(self, substeps: int) -> None:
        if self._wrenches or not self._records:
            super()._advance(substeps)
        else:
            if substeps not in self._graphs:
                self._graphs[substeps] = self._capture(substeps)
            if self._graphs[substeps] is None:
                super()._advance(substeps)
            else:
                with self._on_torch_stream():
                    self._wp.capture_launch(self._graphs[substeps])

    def _capture(self, substeps: int) -> Any:
        """A graph of the substeps; None, and plain launches from then on, where that fails."""
        wp, device = self._wp, str(self.device)
        on_cuda = self.device.type == "cuda"
        # torch's own stream may be the default one, which cannot be captured.
        stream = wp.ScopedStream(wp.Stream(device)) if on_cuda else contextlib.nullcontext()
        try:
            with stream, wp.ScopedCapture(device=device) as capture:
                for _ in range(substeps):
                    self._launch()
        except Exception as error:
            self._records = False
            logger.warning("Newton steps without a graph, which is slower: %s", error)
            return None
        return capture.graph

    def _simulate(self) -> None:
        with self._on_torch_stream():
            self._launch()

    def _launch(self) -> None:
        # The solver takes its input's place: one state is enough, and its tensors never move.
        self.solver.step(self.state, self.state, self.control, None, self.dt)

    def _apply_wrench(self, body: RigidBody, wrench: Tensor) -> None:
        assert isinstance(body, NewtonRigidBody)
        body.apply(wrench)

    def step(self, substeps: int = 1) -> None:
        pushed = bool(self._wrenches)
        super().step(substeps)
        if pushed:
            self._body_f.zero_()
        if self.device.type == "cpu" and not self._warned:
            self._warn_of_overflow()

    def _warn_of_overflow(self) -> None:
        if bool((self._overflow & self._lost).any()):
            self._warned = True
            warnings.warn(
                "Newton dropped contacts, its buffers are too small: raise "
                "PhysicsSettings.contacts_per_env of the task",
                RuntimeWarning,
                stacklevel=3,
            )

    def _flush(self) -> None:
        super()._flush()
        # Also before a step: the solver must not start from what it found before the write.
        if self._kinematics_dirty:
            self._update_kinematics()
            self._kinematics_dirty = False

    def _update_kinematics(self) -> None:
        with self._on_torch_stream():
            self._reset_worlds(self._written)
        self._written.zero_()

    def _reset_worlds(self, written: Tensor | None) -> None:
        wp, newton = self._wp, self._newton
        worlds = articulations = None
        if written is not None:
            rows = self._written_articulations.view(self.num_envs, -1)
            rows.copy_(written[:-1].unsqueeze(-1).expand_as(rows))
            worlds = wp.from_torch(written, dtype=wp.bool)
            articulations = wp.from_torch(self._written_articulations, dtype=wp.bool)
        self.solver.reset(self.state, world_mask=worlds, flags=0)
        newton.eval_fk(
            self.model, self.state.joint_q, self.state.joint_qd, self.state, mask=articulations
        )

    def _restart(self) -> None:
        fresh = ((self.state, self.model.state()), (self.control, self.model.control()))
        for (now, new), names in zip(
            fresh,
            (("joint_q", "joint_qd"), ("joint_target_q", "joint_target_qd", "joint_f")),
            strict=True,
        ):
            for name in names:
                self.array(name, of=now).copy_(self.array(name, of=new))
        self._written.zero_()
        with self._on_torch_stream():
            self._reset_worlds(None)

    def _destroy(self) -> None:
        self._graphs.clear()

    # ------------------------------------------------------------------ for the views

    @contextlib.contextmanager
    def _on_torch_stream(self) -> Iterator[None]:
        """Warp launches where torch does, so that neither has to wait for the other."""
        if self.device.type == "cpu":
            yield
            return
        stream = torch.cuda.current_stream(self.device)
        if stream.cuda_stream not in self._streams:
            self._streams[stream.cuda_stream] = self._wp.stream_from_torch(stream)
        with self._wp.ScopedStream(self._streams[stream.cuda_stream]):
            yield

    def array(self, name: str, of: Any = None) -> Tensor:
        """(N, width, ...) view of an array of the model, or of a state or control."""
        tensor: Tensor = self._wp.to_torch(getattr(self.model if of is None else of, name))
        # Shapes that all worlds share come last.
        rows = len(tensor)
        if name.startswith("shape_"):
            rows = self.num_envs * self.world.builder.shape_count
        return tensor[:rows].view(self.num_envs, rows // self.num_envs, *tensor.shape[1:])

    def mark(self, mask: Tensor | None) -> None:
        """Notes that worlds were written to."""
        if mask is None:
            self._written[:-1] = True
        else:
            self._written[:-1] |= mask

    def path(self, name: str) -> str:
        """Where a name of the scene is authored.

        Raises:
            EngineError: If there is nothing; the message lists what there is.
        """
        from isaac_gymnasium.scene.builder import ENV_0

        path = name if name.startswith("/") else f"{ENV_0}/{name}"
        if not self.scene.stage.GetPrimAtPath(path):
            raise EngineError(f"{path}: nothing here. {self.holds()}")
        return path

    def holds(self) -> str:
        """What the environment holds, for error messages."""
        from isaac_gymnasium.scene.builder import ENV_0

        names = [c.GetName() for c in self.scene.stage.GetPrimAtPath(ENV_0).GetChildren()]
        return f"The environment holds: {', '.join(names)}"

    def notify(self, flags: str) -> None:
        """Tells the solver that properties have changed."""
        with self._on_torch_stream():
            self.solver.notify_model_changed(getattr(self._newton.ModelFlags, flags))

    def jacobians(self) -> Tensor:
        """(N, articulations, links, 6, columns), padded with zeros."""
        with self._on_torch_stream():
            self._jacobians = self._newton.eval_jacobian(self.model, self.state, self._jacobians)
        found: Tensor = self._wp.to_torch(self._jacobians)
        return found.view(self.num_envs, self._articulations, -1, 6, found.shape[-1])

    def mass_matrices(self) -> Tensor:
        """(N, articulations, columns, columns), padded with zeros, armature included."""
        with self._on_torch_stream():
            self._masses = self._newton.eval_mass_matrix(self.model, self.state, self._masses)
        found: Tensor = self._wp.to_torch(self._masses)
        return found.view(self.num_envs, self._articulations, *found.shape[1:])


class _Columns:
    """Some columns of an (N, width, ...) array: a view of it where they are consecutive."""

    def __init__(self, array: Tensor, columns: Sequence[int]) -> None:
        first = columns[0] if columns else 0
        self._array = array
        self._index: Tensor | None = None
        if list(columns) == list(range(first, first + len(columns))):
            self.buffer = array[:, first : first + len(columns)]
        else:
            self._index = torch.tensor(columns, device=array.device)
            self.buffer = array.index_select(1, self._index)

    def read(self) -> None:
        if self._index is not None:
            torch.index_select(self._array, 1, self._index, out=self.buffer)

    def write(self) -> None:
        # Rows that were not written hold what was read, so that all of them may go.
        if self._index is not None:
            self._array.index_copy_(1, self._index, self.buffer)


class _NewtonBody(Body):
    """Quantities as columns of the engine's arrays, and properties of the model."""

    engine: NewtonEngine

    def __init__(self, engine: NewtonEngine, name: str) -> None:
        super().__init__(engine, name)
        self._columns: dict[str, _Columns] = {}
        self._places: list[tuple[dict[str, tuple[tuple[str, ...], str]], list[int]]] = []

    def _bind(self, quantity: str, array: Tensor, columns: Sequence[int]) -> None:
        self._columns[quantity] = _Columns(array, columns)

    def _pull(self, quantity: str) -> None:
        self._columns[quantity].read()

    def _push(self, quantity: str, mask: Tensor | None) -> None:
        self._columns[quantity].write()
        if quantity in self.STATE:
            self.engine.mark(mask)

    def _property(self, name: str) -> tuple[tuple[str, ...], str, Tensor]:
        for table, columns in self._places:
            if name in table:
                return *table[name], torch.tensor(
                    columns, dtype=torch.int64, device=self.engine.device
                )
        known = sorted(key for table, _ in self._places for key in table)
        raise ValueError(f"no property {name!r}, have {known}")

    def _get_property(self, name: str) -> Tensor:
        arrays, _, columns = self._property(name)
        parts = [self.engine.array(array).index_select(1, columns).cpu() for array in arrays]
        values = parts[0] if len(parts) == 1 else torch.stack(parts, dim=-1)
        if name == "center_of_mass":
            values = torch.cat(
                (values, values.new_tensor((0, 0, 0, 1)).expand(*values.shape[:2], 4)), -1
            )
        elif name == "inertia":
            values = values.flatten(2)
        elif name in ("dof_limits", "dof_max_effort"):
            free = values.abs() >= _unlimited(name)
            values = torch.where(free, UNLIMITED * values.sign(), values)
        return values[:, 0] if self._single(name) else values

    def _set_property(self, name: str, values: Tensor, mask: Tensor | None) -> None:
        arrays, flags, columns = self._property(name)
        old = self._get_property(name)
        new = values.to("cpu", torch.float32).expand(old.shape)
        if mask is not None:
            rows = mask.to("cpu").view(-1, *([1] * (old.dim() - 1)))
            new = torch.where(rows, new, old)
        new = (new.unsqueeze(1) if self._single(name) else new).to(self.engine.device)
        if name == "center_of_mass":
            new = new[..., :3]
        elif name == "inertia":
            new = new.unflatten(-1, (3, 3))
        elif name in ("dof_limits", "dof_max_effort"):
            new = new.clamp(-_unlimited(name), _unlimited(name))
        for k, array in enumerate(arrays):
            part = new if len(arrays) == 1 else new[..., k]
            self.engine.array(array).index_copy_(1, columns, part.contiguous())
        if name == "material":
            gains = contact_gains(new[..., 2].cpu(), self.engine.dt)
            for array, part in zip(("shape_material_ke", "shape_material_kd"), gains, strict=True):
                self.engine.array(array).index_copy_(1, columns, part.to(self.engine.device))
        self.engine.notify(flags)

    def _renew_properties(self) -> None:
        """The model outlives a restart, and with it what was changed in it."""

    def _single(self, name: str) -> bool:
        return isinstance(self, RigidBody) and name in _BODY_PROPERTIES


def _unlimited(name: str) -> float:
    """What Newton itself takes for no limit."""
    return 1e10 if name == "dof_limits" else 1e6


class NewtonArticulation(_NewtonBody, Articulation):
    """A robot."""

    def __init__(self, engine: NewtonEngine, name: str) -> None:
        from pxr import UsdPhysics

        super().__init__(engine, name)
        path = engine.path(name)
        prim = engine.scene.stage.GetPrimAtPath(path)
        if not prim.HasAPI(UsdPhysics.ArticulationRootAPI):
            raise EngineError(f"{path}: no articulation here. {engine.holds()}")
        self.layout = layout = engine.world.articulation(path)
        self.dof_names, self.link_names = layout.dof_names, layout.link_names
        self.fixed_base = layout.root is None
        if not self.dof_names:
            raise EngineError(
                f"{path}: the articulation has no degrees of freedom; check that its joints point "
                "at its links"
            )
        state, control = engine.state, engine.control
        q, qd = engine.array("joint_q", of=state), engine.array("joint_qd", of=state)
        body_q, body_qd = engine.array("body_q", of=state), engine.array("body_qd", of=state)
        self._bind("dof_pos", q, layout.coords)
        self._bind("dof_vel", qd, layout.dofs)
        self._bind("dof_targets", engine.array("joint_target_q", of=control), layout.coords)
        self._bind("dof_velocity_targets", engine.array("joint_target_qd", of=control), layout.dofs)
        self._bind("dof_efforts", engine.array("joint_f", of=control), layout.dofs)
        self._bind("link_pose", body_q, layout.links)
        self._bind("link_vel", body_qd, layout.links)
        if layout.root is not None:
            self._bind("root_pose", q, range(layout.root[0], layout.root[0] + 7))
            self._bind("root_vel", qd, range(layout.root[1], layout.root[1] + 6))
        self._computed: dict[str, Callable[[], Tensor]] = {
            "root_pose": lambda: self.link_pose[:, 0],
            "root_vel": lambda: self.link_vel[:, 0],
            "jacobian": self._jacobian,
            "mass_matrix": self._mass_matrix,
            "gravity_force": self._gravity_force,
        }
        self._places = [
            (_JOINT_PROPERTIES, layout.dofs),
            (_BODY_PROPERTIES, layout.links),
            (_SHAPE_PROPERTIES, engine.world.colliders(layout.links)),
        ]
        self.dof_limits = self.get_property("dof_limits")[0].to(engine.device)
        self.effort_limits = self.get_property("dof_max_effort")[0].to(engine.device)
        self.velocity_limits = self.get_property("dof_max_velocity")[0].to(engine.device)
        device = engine.device
        root = [] if layout.root is None else range(6)
        self._rows = torch.tensor(layout.rows, device=device)
        self._dofs = torch.tensor(layout.dofs, device=device)
        # A fixed root has no row in the Jacobian, and its weight moves no joint.
        self._weights = torch.tensor(layout.links[int(self.fixed_base) :], device=device)
        self._generalised = torch.tensor([*root, *layout.columns], device=device)

    def _allocate(self, quantity: str) -> Tensor:
        if quantity in self._columns:
            return self._columns[quantity].buffer
        if quantity not in self._computed:
            raise EngineError(f"{self.name}: engine 'newton' has no {quantity}")
        return self._computed[quantity]().clone()

    def _pull(self, quantity: str) -> None:
        if quantity in self._columns:
            super()._pull(quantity)
        else:
            self._buffers[quantity].copy_(self._computed[quantity]())

    def write_root_state(self, pose: Tensor, vel: Tensor, mask: Tensor | None = None) -> None:
        if self.fixed_base:
            raise EngineError(f"{self.name}: its base is bolted to the world and cannot be moved")
        super().write_root_state(pose, vel, mask)

    def _jacobian(self) -> Tensor:
        found = self.engine.jacobians()[:, self.layout.index].index_select(1, self._rows)
        found = found.index_select(-1, self._generalised)
        return found[:, 1:] if self.fixed_base else found

    def _mass_matrix(self) -> Tensor:
        found = self.engine.mass_matrices()[:, self.layout.index]
        found = found.index_select(1, self._generalised).index_select(2, self._generalised)
        # PhysX's has no armature in it.
        armature = self.engine.array("joint_armature").index_select(1, self._dofs)
        found.diagonal(dim1=1, dim2=2)[:, -self.num_dofs :] -= armature
        return found

    def _gravity_force(self) -> Tensor:
        engine, links = self.engine, self._weights
        comp = engine.array("gravcomp", of=engine.model.mujoco).index_select(1, links)
        mass = engine.array("body_mass").index_select(1, links) * (1.0 - comp)
        # The row beyond the worlds' is that of what they share.
        gravity: Tensor = engine._wp.to_torch(engine.model.gravity)[: engine.num_envs]
        weight = mass.unsqueeze(-1) * gravity.unsqueeze(1)
        force: Tensor = -(self.jacobian[:, :, :3] * weight.unsqueeze(-1)).sum((1, 2))
        return force


class NewtonRigidBody(_NewtonBody, RigidBody):
    """A free rigid body."""

    def __init__(self, engine: NewtonEngine, name: str) -> None:
        super().__init__(engine, name)
        path = engine.path(name)
        try:
            self._body, coord, dof = engine.world.free_body(path)
        except EngineError as error:
            raise EngineError(f"{error}. {engine.holds()}") from None
        state = engine.state
        self._bind("pose", engine.array("joint_q", of=state), range(coord, coord + 7))
        self._bind("vel", engine.array("joint_qd", of=state), range(dof, dof + 6))
        self._places = [
            (_BODY_PROPERTIES, [self._body]),
            (_SHAPE_PROPERTIES, engine.world.colliders([self._body])),
        ]

    def _allocate(self, quantity: str) -> Tensor:
        return self._columns[quantity].buffer

    def apply(self, wrench: Tensor) -> None:
        """Applies (N, 6) force at the body's origin and torque during the next physics step."""
        engine = self.engine
        center = engine.array("body_com")[:, self._body]
        # The solver wants the force at the centre of mass.
        arm = -quat_rotate(self._columns["pose"].buffer[:, 3:7], center)
        force, torque = wrench[:, :3], wrench[:, 3:]
        moved = torque + torch.linalg.cross(arm, force)
        engine._body_f[:, self._body] = torch.cat((force, moved), dim=-1)


class NewtonContacts(Contacts):
    """Contact forces, from the rows of the solver's last step."""

    engine: NewtonEngine

    def __init__(self, engine: NewtonEngine, bodies: Sequence[str], filters: Sequence[str]) -> None:
        super().__init__(engine, f"contacts of {list(bodies)}")
        n, b, f = engine.num_envs, len(bodies), len(filters)
        self._shapes = {"net": (n, b, 3), "matrix": (n, b, f, 3)}
        for body in bodies:
            prim = engine.scene.stage.GetPrimAtPath(engine.path(body))
            # USD lists applied schemas only where their package is installed.
            if not prim.HasAttribute("physxContactReport:threshold"):
                raise EngineError(
                    f"{self.name} with {list(filters)}: each must be a rigid body with contact "
                    "reports on (Scene.enable_contact_reports)"
                )
        self._sensor = self._table(bodies)
        self._filter = self._table(filters)
        data = engine.solver.mjw_data
        to_torch = engine._wp.to_torch
        self._count = to_torch(data.nacon)
        self._geoms = to_torch(data.contact.geom)
        self._normals = to_torch(data.contact.frame).view(-1, 3, 3)[:, 0]
        self._worlds = to_torch(data.contact.worldid)
        self._first_row = to_torch(data.contact.efc_address)[:, 0]
        self._row_forces = to_torch(data.efc.force)
        self._geom_shapes = to_torch(engine.solver.mjc_geom_to_newton_shape)
        self._slots = torch.arange(len(self._worlds), device=engine.device)

    def _table(self, names: Sequence[str]) -> Tensor:
        """(shapes,) which of the names a shape belongs to; the number of names for none."""
        world = self.engine.world
        table = torch.full((len(world.shape_labels),), len(names), dtype=torch.int64)
        for k, name in enumerate(names):
            shapes = world.shapes_of(self.engine.path(name))
            if not shapes:
                raise EngineError(f"{self.name}: nothing collides at {name}")
            table[shapes] = k
        return table.to(self.engine.device)

    def _allocate(self, quantity: str) -> Tensor:
        return torch.zeros(self._shapes[quantity], device=self.engine.device)

    def _pull(self, quantity: str) -> None:
        n, b = self._shapes["net"][:2]
        f = self._shapes["matrix"][2]
        valid = (self._slots < self._count) & (self._first_row >= 0)
        worlds = torch.where(valid, self._worlds, 0).long()
        rows = torch.where(valid, self._first_row, 0).long()
        # The first row of an elliptic contact is its normal force, on the second geom.
        force = (self._row_forces[worlds, rows] * valid).unsqueeze(-1) * self._normals
        force = torch.where(valid.unsqueeze(-1), force, 0.0)
        geoms = torch.where(valid.unsqueeze(-1), self._geoms, 0).long()
        shapes = self._geom_shapes[worlds.unsqueeze(-1), geoms].long()
        sensors = worlds.unsqueeze(-1) * (b + 1) + self._sensor[shapes]
        width = 1
        if quantity == "matrix":
            width = f + 1
            sensors = sensors * width + self._filter[shapes].flip(-1)
        total = torch.zeros(n * (b + 1) * width, 3, device=force.device)
        total.index_add_(0, sensors[:, 1], force).index_add_(0, sensors[:, 0], -force)
        if quantity == "matrix":
            self._buffers[quantity].copy_(total.view(n, b + 1, f + 1, 3)[:, :b, :f])
        else:
            self._buffers[quantity].copy_(total.view(n, b + 1, 3)[:, :b])

    def _push(self, quantity: str, mask: Tensor | None) -> None:
        raise EngineError(f"{self.name} cannot be written")


def _import_newton() -> tuple[Any, Any]:
    """Warp and Newton, quiet.

    Raises:
        EngineError: If Newton or its MuJoCo solver is missing.
    """
    try:
        import warp

        warp.config.log_level = warp.LOG_WARNING
        import newton

        importlib.import_module("mujoco_warp")
    except ImportError as error:
        raise EngineError(
            f"engine 'newton' needs newton with its simulators ({error}): "
            'pip install "isaac-gymnasium[newton]"'
        ) from error
    return warp, newton
