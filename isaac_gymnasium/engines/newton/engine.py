"""`NewtonEngine`: the engine interface on top of a Newton model and its MuJoCo solver.

Launching the hundred kernels of a physics step costs more than running them for few environments.
On CUDA the loop therefore records a whole environment step as one graph; where it cannot, and on
the CPU, the substeps of a control step are one.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium._warp import torch_stream
from isaac_gymnasium.engines.base import Engine, EngineError, Record, Result, RigidBody
from isaac_gymnasium.engines.newton.contacts import NewtonContacts
from isaac_gymnasium.engines.newton.mujoco import MuJoCo
from isaac_gymnasium.engines.newton.overflow import Overflow
from isaac_gymnasium.engines.newton.runtime import (
    compile_kernels,
    cpu_lock,
    import_newton,
    preload,
)
from isaac_gymnasium.engines.newton.steel import Steel
from isaac_gymnasium.engines.newton.views import NewtonArticulation, NewtonRigidBody, sent
from isaac_gymnasium.engines.newton.world import World
from isaac_gymnasium.graph import recording

if TYPE_CHECKING:
    from isaac_gymnasium.scene.builder import Scene

logger = logging.getLogger("isaac_gymnasium.newton")

_STATE = ("joint_q", "joint_qd")
_CONTROL = ("joint_target_q", "joint_target_qd", "joint_f")


class NewtonEngine(Engine):
    """Newton with MuJoCo's solver. See the package's docstring.

    Args:
        scene: The authored scene.
        num_envs: Number of environments, N.
        dt: Length of a physics step, s.
        device: Where to simulate.
        deterministic: Take Newton's solver Steel instead, which gives the same bits on CUDA every
            time.
    """

    name: ClassVar[str] = "newton"
    has_deterministic_mode: ClassVar[bool] = True

    def __init__(
        self,
        scene: Scene,
        num_envs: int,
        dt: float,
        device: torch.device,
        *,
        deterministic: bool = False,
    ) -> None:
        super().__init__(scene, num_envs, dt, device)
        self.deterministic = deterministic
        scene.validate()
        self._wp, self._newton = import_newton()
        self._side_stream: torch.cuda.Stream | None = None
        self._graphs: dict[int, Any] = {}
        self._jacobians: Any = None
        self._masses: Any = None
        self._records = True
        self._untold = 0
        # A write drops what the solver carries from step to step, and nothing else is left.
        self.has_history = False
        # On CUDA the order of MuJoCo's sums over contacts is another one every time.
        self.reproducible = device.type != "cuda" or deterministic or scene.num_colliders == 0
        self.capturable = device.type == "cuda"
        self.env_origins = torch.zeros(num_envs, 3, device=device)
        with self._on_torch_stream():
            self._open(scene)

    def _open(self, scene: Scene) -> None:
        newton = self._newton
        preload(str(self.device))
        self.world = World(scene, self.num_envs, self.dt, str(self.device))
        self.model = model = self.world.model
        self.state, self.control = model.state(), model.control()
        self._articulations = model.articulation_count // self.num_envs
        # One row more for what belongs to no world.
        self._written = torch.zeros(self.num_envs + 1, dtype=torch.bool, device=self.device)
        self._written_articulations = torch.zeros(
            model.articulation_count, dtype=torch.bool, device=self.device
        )
        self._body_f = self.array("body_f", of=self.state)
        self.lasting_force = torch.zeros_like(self._body_f)
        self._steps = Steel(self) if self.deterministic else MuJoCo(self)
        self.solver = self._steps.solver
        self._overflow = Overflow(lambda: self._steps.overflow, self._steps.lost)
        newton.eval_fk(model, self.state.joint_q, self.state.joint_qd, self.state)
        self._warm_up()

    def _warm_up(self) -> None:
        """Compiles and loads every kernel of a step, and leaves the state as it was."""
        begin = time.perf_counter()

        def step_and_reset() -> None:
            self._simulate()
            self._reset_worlds(self._written)

        with self._steps.looking_at_nothing():
            compile_kernels(step_and_reset)
        arrays = [self.array(name, of=self.state) for name in _STATE]
        before = [(array, array.clone()) for array in arrays]
        step_and_reset()
        for array, values in before:
            array.copy_(values)
        self._reset_worlds(None)
        logger.info("Newton is ready after %.1f s", time.perf_counter() - begin)

    # ------------------------------------------------------------------ Engine

    def _make_articulation(self, name: str) -> NewtonArticulation:
        return NewtonArticulation(self, name)

    def _make_rigid_body(self, name: str) -> NewtonRigidBody:
        return NewtonRigidBody(self, name)

    def contacts(self, bodies: Sequence[str], filters: Sequence[str] = ()) -> NewtonContacts:
        return self._steps.contacts(bodies, filters)

    def _advance(self, substeps: int) -> None:
        if self._wrenches or self.recording or not self._records:
            super()._advance(substeps)
            return
        if substeps not in self._graphs:
            self._graphs[substeps] = self._capture_substeps(substeps)
        if self._graphs[substeps] is None:
            super()._advance(substeps)
            return
        with self._on_torch_stream():
            self._wp.capture_launch(self._graphs[substeps])

    def _capture_substeps(self, substeps: int) -> Any:
        """A graph of the substeps; None, and plain launches from then on, where that fails."""
        wp, device = self._wp, str(self.device)
        on_cuda = self.device.type == "cuda"
        # torch's own stream may be the default one, which cannot be captured.
        stream = wp.ScopedStream(wp.Stream(device)) if on_cuda else cpu_lock
        try:
            with stream, wp.ScopedCapture(device=device) as capture:
                for _ in range(substeps):
                    self._launch()
        except Exception as error:
            self._records = False
            logger.warning("Newton steps without a graph, which is slower: %s", error)
            return None
        return capture.graph

    def capture(self, function: Callable[[], Result]) -> tuple[Callable[[], None], Result]:
        if self._side_stream is None:
            self._side_stream = torch.cuda.Stream(self.device)
        graph = torch.cuda.CUDAGraph()
        with recording(graph, self._side_stream), self._on_torch_stream() as stream:
            # Warp has to know, or it would free what the graph goes on using.
            self._wp.capture_begin(stream=stream, external=True)
            try:
                result = function()
            finally:
                self._wp.capture_end(stream=stream)
        return graph.replay, result

    def _simulate(self) -> None:
        with self._on_torch_stream():
            self._launch()

    def _launch(self) -> None:
        self._steps.step()

    def _apply_wrench(self, body: RigidBody, wrench: Tensor) -> None:
        assert isinstance(body, NewtonRigidBody)
        body.apply(wrench)

    def step(self, substeps: int = 1) -> None:
        pushed = bool(self._wrenches)
        super().step(substeps)
        if pushed:
            self._body_f.copy_(self.lasting_force)
        self._overflow.note()
        if not self.recording:
            self._overflow.look()

    def replay(self, record: Record) -> None:
        super().replay(record)
        self._overflow.look()

    def _flush(self) -> None:
        if self._untold:
            with self._on_torch_stream():
                self.solver.notify_model_changed(self._untold)
                self._steps.changed()
            self._untold = 0
        pending = self._pending.items()
        masks = {id(mask): mask for (view, name), mask in pending if name in view.STATE}
        super()._flush()
        # Also before a step: the solver must not start from what it found before the write.
        if self._kinematics_dirty:
            self._mark(list(masks.values()))
            self._update_kinematics()
            self._kinematics_dirty = False

    def _mark(self, masks: list[Tensor | None]) -> None:
        """Notes which worlds were written to: those of any (N,) bool mask, None being all."""
        rows = self._written[:-1]
        for k, mask in enumerate(masks):
            if mask is None:
                rows.fill_(True)
                return
            rows.bitwise_or_(mask) if k else rows.copy_(mask)

    def _update_kinematics(self) -> None:
        with self._on_torch_stream():
            self._reset_worlds(self._written)

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
        for names, now, new in (
            (_STATE, self.state, self.model.state()),
            (_CONTROL, self.control, self.model.control()),
        ):
            for name in names:
                self.array(name, of=now).copy_(self.array(name, of=new))
        with self._on_torch_stream():
            self._reset_worlds(None)

    def _destroy(self) -> None:
        self._overflow.close()
        self._graphs.clear()

    # ------------------------------------------------------------------ for the views

    @contextlib.contextmanager
    def _on_torch_stream(self) -> Iterator[Any]:
        """Warp launches where torch does, so that neither has to wait for the other."""
        if self.device.type == "cpu":
            with cpu_lock:
                yield None
            return
        warp_stream = torch_stream(self.device)
        # No waiting for the stream that Warp used before: a graph could not hold that.
        with self._wp.ScopedStream(warp_stream, sync_enter=False):
            yield warp_stream

    def array(self, name: str, of: Any = None) -> Tensor:
        """(N, width, ...) view of an array of the model, or of a state or control."""
        tensor: Tensor = self._wp.to_torch(getattr(self.model if of is None else of, name))
        # Shapes that all worlds share come last.
        rows = len(tensor)
        if name.startswith("shape_"):
            rows = self.num_envs * self.world.builder.shape_count
        return tensor[:rows].view(self.num_envs, rows // self.num_envs, *tensor.shape[1:])

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

    def set_gravity(self, gravity: Tensor, mask: Tensor | None = None) -> None:
        own: Tensor = self._wp.to_torch(self.model.gravity)[: self.num_envs, 2]
        values = sent(gravity.to(torch.float32), own.device)
        own.copy_(values if mask is None else torch.where(sent(mask, own.device), values, own))
        self.notify("MODEL_PROPERTIES")

    def notify(self, flags: str) -> None:
        """Has the solver told that properties have changed, with the next batch of writes.

        What follows from masses takes more kernels than a physics step, however many have changed.
        """
        self._untold |= getattr(self._newton.ModelFlags, flags)

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
