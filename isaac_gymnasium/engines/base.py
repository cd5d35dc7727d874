"""The interface between tasks and physics engines.

Every engine shares one way of moving data:

* A quantity (say the joint positions of all robots) lives in one persistent tensor of full size,
  allocated when it is first asked for and read at most once a physics step.
* A write goes into that tensor at once and to the engine later, together with all other writes,
  right before the next step or the next read that needs it. A GPU engine then synchronises once
  for the batch.
* What follows from the state (link poses, Jacobians) is brought up to date after a write without
  a physics step, and only when somebody reads it.

Tensors handed out are the buffers themselves: read them, do not write to them, and clone what has
to outlive the next step.

Conventions: SI units, radians, world frame, quaternions xyzw, float32. Row k is environment k.
A body's linear velocity is that of its centre of mass.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from torch import Tensor

from isaac_gymnasium.graph import recording

if TYPE_CHECKING:
    from isaac_gymnasium.scene.builder import Scene


Result = TypeVar("Result")
COMMANDS = frozenset({"dof_targets", "dof_velocity_targets", "dof_efforts"})
"""Quantities that we set and the engine only follows."""
SPEEDS = frozenset({"root_vel", "dof_vel", "vel"})
"""Quantities of the state that are velocities."""


class EngineError(RuntimeError):
    """The engine refused something; the message says what and for which prim."""


class NotRecordable(EngineError):
    """A part of a step cannot be held by a CUDA graph."""


class Record:
    """What a part of a step asked of the engine; see `Engine.record`.

    Attributes:
        strict: Whether to raise where the engine would have to be called.
        with_engine: Whether the graph holds what the engine does, too.
        obstacle: Why the part cannot be replayed, if so.
        reads: Quantities it needs to be up to date, in order of first use.
        writes: Rows it leaves to be written, as (view, quantity, mask).
        wrenches: Wrenches it leaves to be applied.
        steps: Calls of `Engine.step` within it.
        fresh: Quantities that are up to date when it ends.
    """

    def __init__(self, strict: bool, with_engine: bool) -> None:
        self.strict = strict
        self.with_engine = with_engine
        self.obstacle: str | None = None
        self.reads: dict[tuple[View, str], None] = {}
        self.writes: list[tuple[View, str, Tensor | None]] = []
        self.wrenches: dict[RigidBody, Tensor] = {}
        self.steps = 0
        self.fresh: list[tuple[View, str]] = []
        self._pulled: dict[tuple[View, str], None] = {}

    def refuse(self, why: str) -> None:
        """Notes an obstacle, and raises it where nothing can be done about it."""
        self.obstacle = self.obstacle or why
        if self.strict:
            raise NotRecordable(why)

    def calls(self, why: str) -> None:
        """Notes work of the engine on the GPU, an obstacle unless the graph holds that, too."""
        if not self.with_engine:
            self.refuse(why)

    def read(self, view: View, quantity: str, fresh: bool) -> None:
        """Notes a read; one that has to wait for a write of the same part may be an obstacle."""
        if self.with_engine:
            noted = self._pulled if (view, quantity) in self._pulled or not fresh else self.reads
            noted[(view, quantity)] = None
            return
        self.reads[(view, quantity)] = None
        if fresh:
            return
        written = any(v is view and q in v.STATE for v, q in view.engine._pending)
        if self.strict or (written and quantity not in view.STATE):
            self.refuse(
                f"{view.name}.{quantity} is read after the state it follows from is written"
            )

    def end(self, pending: dict[tuple[View, str], Tensor | None]) -> None:
        """Notes how the engine is left, and whether a graph can leave it so."""
        self.writes = [(*key, mask) for key, mask in pending.items()]
        touched = {**self.reads, **self._pulled}
        self.fresh = [(view, name) for view, name in touched if view._is_fresh(name)]
        if self.with_engine and self.writes:
            self.refuse("it leaves writes for the next step")
        if self.with_engine and self.wrenches:
            self.refuse("it leaves a wrench for the next step")


class Engine(abc.ABC):
    """Steps `num_envs` copies of one scene.

    Attributes:
        name: The name `make_vec(..., engine=name)` knows it by.
        has_window: Whether it can show the simulation in a window of its own.
        num_envs: Number of environments, N.
        dt: Length of one physics step, s.
        device: Where the tensors live.
        env_origins: (N, 3) origin of each environment in the world, m.
        has_history: Whether what follows depends on more than the state, so that only `restart`
            leads back to the same bits.
        reproducible: Whether the same seeds and actions give the same bits every time.
        capturable: Whether a CUDA graph can hold the engine's own work on the GPU.
        has_deterministic_mode: Whether it can be made with `deterministic=True`.
    """

    name: ClassVar[str]
    has_deterministic_mode: ClassVar[bool] = False
    has_window: ClassVar[bool] = False

    def __init__(self, scene: Scene, num_envs: int, dt: float, device: torch.device) -> None:
        self.scene = scene
        self.num_envs = num_envs
        self.dt = dt
        self.device = device
        self.env_origins: Tensor
        self.has_history = True
        self.reproducible = True
        self.capturable = False
        self.closed = False
        self.step_count = 0
        self._changes = 0
        self._pending: dict[tuple[View, str], Tensor | None] = {}
        self._kinematics_dirty = False
        self._wrenches: dict[RigidBody, Tensor] = {}
        self._record: Record | None = None
        self._kept: dict[Hashable, Any] = {}
        self._kept_of: tuple[int, Record | None] = (0, None)
        self._bodies: dict[str, Body] = {}
        self._views: list[View] = []
        # What draws the scene, made by `rendering` when something is first looked at.
        self.renderer: Any = None
        # Where its markers are, by name, as the task tells when something is looked at.
        self.markers: Callable[[], Mapping[str, Tensor]] = dict

    @classmethod  # noqa: B027 (most engines have nothing to start)
    def prepare(cls, *, window: bool = False) -> None:
        """Starts what has to run before `pxr` is imported; called before the scene is built.

        Args:
            window: Whether somebody wants to watch, in the window of an engine that has one.
        """

    # ------------------------------------------------------------------ objects of the scene

    def articulation(self, name: str) -> Articulation:
        """The robot a task added under this name; the same object for the same name.

        Raises:
            EngineError: If there is none, or the engine found no joints in it.
        """
        view = self._bodies.get(name)
        if not isinstance(view, Articulation):
            view = self._bodies[name] = self._make_articulation(name)
        return view

    def rigid_body(self, name: str) -> RigidBody:
        """The rigid body a task added under this name; the same object for the same name.

        Raises:
            EngineError: If there is none.
        """
        view = self._bodies.get(name)
        if not isinstance(view, RigidBody):
            view = self._bodies[name] = self._make_rigid_body(name)
        return view

    def bodies(self) -> list[Body]:
        """Every robot and every free rigid body of the scene, in the order of the scene."""
        articulations, rigid_bodies = self.scene.bodies()
        return [
            *(self.articulation(name) for name in articulations),
            *(self.rigid_body(name) for name in rigid_bodies),
        ]

    @abc.abstractmethod
    def _make_articulation(self, name: str) -> Articulation:
        """Binds a robot."""

    @abc.abstractmethod
    def _make_rigid_body(self, name: str) -> RigidBody:
        """Binds a rigid body."""

    @abc.abstractmethod
    def contacts(self, bodies: Sequence[str], filters: Sequence[str] = ()) -> Contacts:
        """Contact forces on bodies, in total and by the body they come from.

        Args:
            bodies: B rigid bodies or links, such as `"Cube"` or `"Robot/panda_hand"`; contact
                reports must be on (`Scene.enable_contact_reports`).
            filters: F bodies to tell apart, the same for every one of `bodies`.
        """

    # ------------------------------------------------------------------ time

    def set_gravity(self, gravity: Tensor, mask: Tensor | None = None) -> None:
        """Sets the acceleration along world z, (N,) m/s^2, where each environment has its own.

        Raises:
            EngineError: If this engine has one gravity for all environments.
        """
        raise EngineError(f"engine {self.name!r} has one gravity for all environments")

    def step(self, substeps: int = 1) -> None:
        """Advances all environments by `substeps * dt` seconds."""
        if self.closed:
            raise EngineError("the engine is closed")
        if self._record is not None:
            self._record.calls("it steps the physics")
            self._record.steps += 1
        self._flush()
        self._advance(substeps)
        self._wrenches.clear()
        self.step_count += 1
        self._changes += 1
        self._kinematics_dirty = False

    def forward(self) -> None:
        """Applies pending writes and brings link poses up to date, without a physics step."""
        if self._record is not None:
            self._record.calls("it calls forward()")
        self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        self._flush()
        if self._kinematics_dirty:
            self._update_kinematics()
            self._kinematics_dirty = False

    def catch_strays(self) -> Tensor | None:
        """Asks not to let what is nowhere (at NaN, say) hold up a step; before the first one.

        Returns:
            (N,) bool, set where an environment was brought home for that; whoever reads it clears
            it. None where nothing is held up.
        """
        return None

    def restart(self) -> None:
        """Makes the simulation as new, its changed properties kept.

        Engines carry more than their state from step to step, such as the order in which contacts
        are solved. Only from a new simulation do the same writes and steps lead to the same bits.
        Handles and buffers stay valid. It takes about as long as making the engine.
        """
        if self.closed:
            raise EngineError("the engine is closed")
        if self._record is not None:
            self._record.refuse("it restarts the engine")
        self._pending.clear()
        self._wrenches.clear()
        self._kinematics_dirty = False
        self.step_count = 0
        self._changes += 1
        self._restart()
        for view in self._views:
            view._renew()

    # ------------------------------------------------------------------ pictures

    def draw(self) -> None:  # noqa: B027 (most engines have no window)
        """Draws the present state in the engine's own window, where it has one."""

    def camera(
        self, *, width: int, height: int, fov: float, near: float, outputs: Sequence[str]
    ) -> EngineCamera | None:
        """A camera of the engine's own renderer in every environment, None where it has none.

        Args:
            width: Pixels.
            height: Pixels.
            fov: Vertical field of view, rad.
            near: Depth below which nothing is seen, m.
            outputs: What is wanted; the camera may have less.
        """
        return None

    @property
    def state_version(self) -> int | None:
        """Another number after every change of the state; for what is derived from it and kept.

        None while a part of a step is recorded: what is left out then would never be done.
        """
        return self._changes if self._record is None else None

    def once(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """What `compute` returns, computed once until the state of the simulation changes.

        What is computed while a part of a step is recorded is used within that part alone.
        """
        now = self._changes, self._record
        if self._kept_of != now:
            self._kept.clear()
            self._kept_of = now
        if key not in self._kept:
            self._kept[key] = compute()
        found: Result = self._kept[key]
        return found

    def close(self) -> None:
        """Frees the simulation. Calling it again does nothing."""
        if not self.closed:
            self.closed = True
            self._pending.clear()
            self._kept.clear()
            self._destroy()

    # ------------------------------------------------------------------ recording a part of a step

    @property
    def recording(self) -> bool:
        """Whether a part of a step is being recorded."""
        return self._record is not None

    @property
    def waiting_wrenches(self) -> bool:
        """Whether wrenches wait for the next `step`."""
        return bool(self._wrenches)

    @contextlib.contextmanager
    def record(self, *, strict: bool, with_engine: bool = False) -> Iterator[Record]:
        """Notes what the code within needs from the engine and leaves for it to do.

        Such code can be recorded as a CUDA graph: `prefetch`, replay the graph, `replay`.

        Args:
            strict: Raise `NotRecordable` where the graph could not hold what is asked for.
                Otherwise the engine is called as always, and `Record.obstacle` tells whether
                prefetch, graph and replay would have done the same.
            with_engine: Let the graph hold what the engine does as well; it must be `capturable`,
                and the code has to end with `forward`.
        """
        self._bring_up_to_date()
        outer = self._pending, self._wrenches
        record = Record(strict, with_engine)
        self._pending, self._wrenches, self._record = {}, record.wrenches, record
        try:
            yield record
            record.end(self._pending)
        except BaseException:
            # What a failed capture has "read" and "stepped" has never happened.
            self.step_count += 1
            raise
        finally:
            inner = self._pending
            self._pending, self._wrenches = outer
            self._record = None
        self._wrenches.update(record.wrenches)
        for (view, quantity), mask in inner.items():
            self._queue(view, quantity, mask)

    def capture(self, function: Callable[[], Result]) -> tuple[Callable[[], None], Result]:
        """Records the GPU work of a function as a CUDA graph, without doing any of it.

        Returns:
            A function that does the work, and what `function` returned: tensors that the work
            fills in anew each time.
        """
        graph = torch.cuda.CUDAGraph()
        with recording(graph):
            result = function()
        return graph.replay, result

    def prefetch(self, record: Record) -> None:
        """Brings what a recorded part needs up to date."""
        if record.with_engine:
            self._bring_up_to_date()
        for view, quantity in record.reads:
            view._get(quantity)

    def replay(self, record: Record) -> None:
        """Takes note of what a recorded part has done, and queues what it leaves to be written."""
        self._changes += 1
        self._wrenches.update(record.wrenches)
        for view, quantity, mask in record.writes:
            if quantity in view.STATE:
                view._writes += 1
            self._queue(view, quantity, mask)
        if record.steps:
            self.step_count += record.steps
            for view, quantity in record.fresh:
                view._stamps[quantity] = view._now(quantity)

    # ------------------------------------------------------------------ what an engine fills in

    def _advance(self, substeps: int) -> None:
        """Physics steps of one control step; an engine may have a faster way than one by one."""
        for _ in range(substeps):
            for body, wrench in self._wrenches.items():
                self._apply_wrench(body, wrench)
            self._simulate()

    @abc.abstractmethod
    def _restart(self) -> None:
        """Replaces the simulation by a new one of the same scene."""

    @abc.abstractmethod
    def _simulate(self) -> None:
        """One physics step of `dt`."""

    @abc.abstractmethod
    def _update_kinematics(self) -> None:
        """Recomputes link poses and velocities from the joint state."""

    @abc.abstractmethod
    def _destroy(self) -> None:
        """Frees everything; called once."""

    @abc.abstractmethod
    def _apply_wrench(self, body: RigidBody, wrench: Tensor) -> None:
        """Applies (N, 6) force at the body's origin and torque, world frame, for one step."""

    def _synchronize(self) -> None:  # noqa: B027 (an engine on the CPU has nothing to wait for)
        """Waits until the tensors may be touched by the engine; called once before a batch."""

    # ------------------------------------------------------------------ the write batch

    def _queue(self, view: View, quantity: str, mask: Tensor | None) -> None:
        """Notes that rows of a buffer have to reach the engine."""
        key = (view, quantity)
        earlier = self._pending.get(key, mask)
        if mask is not None and earlier is not mask:
            mask = None if earlier is None else earlier | mask
        self._pending[key] = mask

    def _flush(self) -> None:
        if not self._pending:
            return
        self._synchronize()
        for (view, quantity), mask in self._pending.items():
            view._push(quantity, mask)
            if quantity in view.STATE:
                self._kinematics_dirty = True
        self._pending.clear()


class EngineCamera(abc.ABC):
    """Cameras of an engine's own renderer, one in every environment.

    Attributes:
        outputs: What it takes pictures of, some of `"rgb"`, `"depth"` and `"normals"`.
    """

    outputs: tuple[str, ...]

    @abc.abstractmethod
    def take(self, poses: Tensor, images: Mapping[str, Tensor]) -> None:
        """Takes pictures of the present state.

        Args:
            poses: (N, 7) of the cameras, world frame: x to the right, y down, z ahead.
            images: What to fill, by output: rgb (N, H, W, 3) uint8; depth (N, H, W), m, infinite
                where nothing is; normals (N, H, W, 3), world frame.
        """


class View(abc.ABC):
    """One kind of object in every environment, and its quantities."""

    STATE: ClassVar[frozenset[str]]
    """Quantities that make up the state: they can be written, and the rest follows from them."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        self._buffers: dict[str, Tensor] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self._writes = 0
        engine._views.append(self)

    def _now(self, quantity: str) -> tuple[int, int]:
        # A buffer of the state holds what was written to it; what follows from it does not.
        return (self.engine.step_count, 0 if quantity in self.STATE else self._writes)

    def _is_fresh(self, quantity: str) -> bool:
        return self._stamps.get(quantity) == self._now(quantity)

    def _get(self, quantity: str) -> Tensor:
        """The up-to-date buffer of a quantity."""
        record, fresh = self.engine._record, self._is_fresh(quantity)
        if record is not None:
            record.read(self, quantity, fresh)
        if fresh:
            return self._buffers[quantity]
        if self.engine.closed:
            raise EngineError(f"{self.name}.{quantity}: the engine is closed")
        if quantity in self.STATE:
            self.engine._flush()
        else:
            self.engine._bring_up_to_date()
        self.engine._synchronize()
        if quantity not in self._buffers:
            with torch.inference_mode(False):
                self._buffers[quantity] = self._allocate(quantity)
        self._pull(quantity)
        self._stamps[quantity] = self._now(quantity)
        return self._buffers[quantity]

    def _set(self, quantity: str, values: Tensor, mask: Tensor | None) -> None:
        """Writes rows of a quantity: into the buffer now, to the engine with the next batch."""
        buffer = self._command(quantity) if quantity not in self.STATE else self._get(quantity)
        if mask is None:
            buffer.copy_(values)
        else:
            torch.where(mask.view(-1, *([1] * (buffer.dim() - 1))), values, buffer, out=buffer)
        if quantity in self.STATE:
            self._writes += 1
            self.engine._changes += 1
        self.engine._queue(self, quantity, mask)

    def _command(self, quantity: str) -> Tensor:
        """The buffer of a command (target, effort), which only we write."""
        if quantity not in self._buffers:
            self._get(quantity)
        return self._buffers[quantity]

    def _renew(self) -> None:
        """Forgets what was read from a simulation that has been replaced."""
        self._stamps.clear()
        for quantity in self._buffers.keys() & COMMANDS:
            self._pull(quantity)

    @abc.abstractmethod
    def _allocate(self, quantity: str) -> Tensor:
        """A buffer of the quantity's full shape."""

    @abc.abstractmethod
    def _pull(self, quantity: str) -> None:
        """Reads the quantity from the engine into its buffer."""

    @abc.abstractmethod
    def _push(self, quantity: str, mask: Tensor | None) -> None:
        """Writes the buffer's rows (all, or those of the (N,) bool mask) to the engine."""


class Body(View):
    """A view of something with physical properties. They change rarely and may live on the host."""

    @property
    def moving(self) -> list[str]:
        """Quantities of the state that can change: not the root's where it is bolted down."""
        bolted = isinstance(self, Articulation) and self.fixed_base
        return ["dof_pos", "dof_vel"] if bolted else sorted(self.STATE)

    def _renew(self) -> None:
        super()._renew()
        self._renew_properties()

    @abc.abstractmethod
    def _renew_properties(self) -> None:
        """Writes the properties that have been changed to a simulation that knows nothing of it."""

    def get_property(self, name: str) -> Tensor:
        """A copy of a physical property for every environment, on the CPU.

        Of L links, or of a free body, whose tensors lack that dimension: `mass` (N, L), kg;
        `center_of_mass` (N, L, 7), a pose in the link's frame whose position counts; `inertia`
        (N, L, 9) about it, axes of the link's frame, kg m^2. Of S shapes: `material` (N, S, 3),
        static friction, dynamic friction and restitution. Of D joints: `dof_stiffness`,
        `dof_damping`, `dof_armature`, `dof_max_effort` and `dof_max_velocity`, (N, D) in the units
        of `scene.model.Joint`; `dof_limits` (N, D, 2), rad or m; `dof_friction` (N, D, 3), static,
        dynamic and viscous.

        Args:
            name: Of the property.

        Raises:
            ValueError: If there is none of this name; the message lists those there are.
        """
        self._host_call(f"it reads {self.name}.{name}")
        return self._get_property(name)

    def set_property(self, name: str, values: Tensor, mask: Tensor | None = None) -> None:
        """Changes a physical property, in the environments of the (N,) bool mask or in all.

        Args:
            name: See `get_property`.
            values: On any device; they broadcast to the shape that `get_property` returns.
            mask: (N,) bool.
        """
        self._host_call(f"it changes {self.name}.{name}")
        self._set_property(name, values, mask)

    def _host_call(self, what: str) -> None:
        if self.engine.closed:
            raise EngineError(f"{self.name}: the engine is closed")
        if self.engine._record is not None:
            self.engine._record.refuse(what)

    @abc.abstractmethod
    def _get_property(self, name: str) -> Tensor:
        """See `get_property`."""

    @abc.abstractmethod
    def _set_property(self, name: str, values: Tensor, mask: Tensor | None) -> None:
        """See `set_property`."""


class Articulation(Body):
    """A robot in every environment.

    Attributes:
        dof_names: Names of the D degrees of freedom, in tensor order.
        link_names: Names of the L links, in tensor order.
        fixed_base: Whether the root is bolted to the world.
        dof_limits: (D, 2) lower and upper joint positions, rad or m.
        effort_limits: (D,) largest drive effort, N m or N.
        velocity_limits: (D,) rad/s or m/s.
        effort_scale: (N, D) what efforts are multiplied by, or None; weak motors have less than 1.
    """

    STATE = frozenset({"root_pose", "root_vel", "dof_pos", "dof_vel"})

    dof_names: list[str]
    link_names: list[str]
    fixed_base: bool
    dof_limits: Tensor
    effort_limits: Tensor
    velocity_limits: Tensor
    effort_scale: Tensor | None = None

    @property
    def num_dofs(self) -> int:
        """D, the number of degrees of freedom."""
        return len(self.dof_names)

    @property
    def root_pose(self) -> Tensor:
        """(N, 7) position and quaternion of the root link, world frame."""
        return self._get("root_pose")

    @property
    def root_vel(self) -> Tensor:
        """(N, 6) linear and angular velocity of the root link, world frame, m/s and rad/s."""
        return self._get("root_vel")

    @property
    def dof_pos(self) -> Tensor:
        """(N, D) joint positions, rad or m."""
        return self._get("dof_pos")

    @property
    def dof_vel(self) -> Tensor:
        """(N, D) joint velocities, rad/s or m/s."""
        return self._get("dof_vel")

    @property
    def link_pose(self) -> Tensor:
        """(N, L, 7) position and quaternion of every link, world frame."""
        return self._get("link_pose")

    @property
    def link_vel(self) -> Tensor:
        """(N, L, 6) linear (of the centre of mass) and angular velocity, world frame."""
        return self._get("link_vel")

    @property
    def jacobian(self) -> Tensor:
        """(N, J, 6, C) geometric Jacobians, world frame, linear part at the centre of mass.

        Fixed base: J = L - 1 (no root) and C = D. Floating base: J = L and C = 6 + D, root first.
        `link_jacobian` picks a link.
        """
        return self._get("jacobian")

    @property
    def mass_matrix(self) -> Tensor:
        """(N, C, C) generalised mass matrix."""
        return self._get("mass_matrix")

    @property
    def gravity_force(self) -> Tensor:
        """(N, C) generalised forces that would balance gravity."""
        return self._get("gravity_force")

    @property
    def dof_targets(self) -> Tensor:
        """(N, D) position targets of the drives as last set, rad or m."""
        return self._command("dof_targets")

    def link_jacobian(self, link: int) -> Tensor:
        """(N, 6, C) Jacobian of one link, by its index in `link_names`."""
        return self.jacobian[:, link - 1 if self.fixed_base else link]

    def dof_index(self, names: Sequence[str]) -> list[int]:
        """Indices of degrees of freedom by name.

        Raises:
            ValueError: If one is unknown; the message lists those there are.
        """
        return _index(self.name, "degree of freedom", names, self.dof_names)

    def link_index(self, name: str) -> int:
        """Index of a link by name.

        Raises:
            ValueError: If it is unknown; the message lists those there are.
        """
        return _index(self.name, "link", [name], self.link_names)[0]

    def set_dof_targets(self, targets: Tensor, mask: Tensor | None = None) -> None:
        """Sets the drives' position targets, (N, D) in rad or m, held until set again."""
        self._set("dof_targets", targets, mask)

    def set_dof_velocity_targets(self, targets: Tensor, mask: Tensor | None = None) -> None:
        """Sets the drives' velocity targets, (N, D) in rad/s or m/s, held until set again."""
        self._set("dof_velocity_targets", targets, mask)

    def set_dof_efforts(self, efforts: Tensor, mask: Tensor | None = None) -> None:
        """Sets joint efforts, (N, D) in N m or N, applied beside the drives until set again."""
        if self.effort_scale is not None:
            efforts = efforts * self.effort_scale
        self._set("dof_efforts", efforts, mask)

    def write_dof_state(self, pos: Tensor, vel: Tensor, mask: Tensor | None = None) -> None:
        """Puts joints to (N, D) positions and velocities, in the environments of the mask."""
        self._set("dof_pos", pos, mask)
        self._set("dof_vel", vel, mask)

    def write_root_state(self, pose: Tensor, vel: Tensor, mask: Tensor | None = None) -> None:
        """Puts the root link to (N, 7) poses and (N, 6) velocities, world frame."""
        self._set("root_pose", pose, mask)
        self._set("root_vel", vel, mask)


class RigidBody(Body):
    """A free rigid body in every environment."""

    STATE = frozenset({"pose", "vel"})

    @property
    def pose(self) -> Tensor:
        """(N, 7) position and quaternion, world frame."""
        return self._get("pose")

    @property
    def vel(self) -> Tensor:
        """(N, 6) linear (of the centre of mass) and angular velocity, world frame."""
        return self._get("vel")

    def write_state(self, pose: Tensor, vel: Tensor, mask: Tensor | None = None) -> None:
        """Puts the body to (N, 7) poses and (N, 6) velocities, world frame."""
        self._set("pose", pose, mask)
        self._set("vel", vel, mask)

    def apply_wrench(self, force: Tensor, torque: Tensor) -> None:
        """Applies forces at the body's origin and torques during the next `Engine.step`.

        Args:
            force: (N, 3) world frame, N.
            torque: (N, 3) world frame, N m.
        """
        self.engine._wrenches[self] = torch.cat((force, torque), dim=-1)


class Contacts(View):
    """Contact forces on B bodies in every environment.

    Both are normal forces in the world frame, averaged over the last physics step, in N.
    """

    STATE = frozenset()

    @property
    def net(self) -> Tensor:
        """(N, B, 3) sum over everything that touches the body."""
        return self._get("net")

    @property
    def matrix(self) -> Tensor:
        """(N, B, F, 3) force from each filter body."""
        return self._get("matrix")


def _index(owner: str, what: str, names: Sequence[str], known: Sequence[str]) -> list[int]:
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(f"{owner}: no {what} named {missing[0]!r}, have {list(known)}")
    return [known.index(name) for name in names]
