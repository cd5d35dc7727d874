"""MuJoCo's solver: the fast one."""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from isaac_gymnasium.engines.newton.collisions import Collisions
from isaac_gymnasium.engines.newton.contacts import MuJoCoContacts
from isaac_gymnasium.engines.newton.drives import EffortLimits

if TYPE_CHECKING:
    from isaac_gymnasium.engines.newton.engine import NewtonEngine

_SMALL = 16
"""Degrees of freedom of a world whose matrices are a single tile in MuJoCo Warp."""
_MATRIX_KERNELS = (
    "update_gradient_JTDAJ_dense",
    "update_gradient_cholesky",
    "cholesky_solve",
    "small_cholesky",
    "eff_pcg",
)
"""Those that such a world has, and that MuJoCo Warp gives two or four warps of threads each."""
_WARP = 32


class MuJoCo:
    """Steps the worlds of an engine with MuJoCo's solver.

    Attributes:
        solver: Newton's own object.
        lost: Those of the bits of `overflow` that mean that something was dropped.
    """

    def __init__(self, engine: NewtonEngine) -> None:
        self._engine = engine
        world, on_cpu = engine.world, engine.device.type == "cpu"
        contacts = min(engine.scene.settings.contacts_per_env, world.most_contacts)
        # "discrete" lets contacts feel the implicit damping of drives: without, a gripper with
        # stiff drives bounces on what it closes on. It swallows restitution, though.
        discrete = world.driven and contacts > 0 and not world.bounces
        self.solver = engine._newton.solvers.SolverMuJoCo(
            engine.model,
            # Where four are too few the next step goes on from there: motion is hardly off,
            # but what is read as contact forces would be by several weights of what lands.
            iterations=10 if world.reports else 4,
            ls_iterations=20,
            # In units of `tolerance`: a search may end 1e-4 rad/s^2 or m/s^2 from the best place on
            # its line. With MuJoCo's 0.01 it ends in float32's noise, after nearly twice the looks.
            ls_tolerance=100.0,
            integrator="discrete" if discrete else "implicitfast",
            # Friction that does not creep and is the same in every direction.
            cone="elliptic",
            impratio=10.0,
            enable_multiccd=True,
            nconmax=max(contacts, 1),
            # Three rows a contact, and a limit and friction for every degree of freedom.
            njmax=3 * contacts + 2 * world.builder.joint_dof_count,
            use_mujoco_contacts=not world.ground_is_mesh,
        )
        self._collisions = Collisions(engine, max(contacts, 1)) if world.ground_is_mesh else None
        if self._collisions is not None:
            # Friction as stiff as the contact, as where MuJoCo finds it, and not by Newton's gain.
            engine.model.shape_material_kf.fill_(math.inf)
        EffortLimits(engine, self.solver, implicit_stiffness=discrete)
        _use_one_warp(self.solver.mjw_model)
        self._options = self.solver.mjw_model.opt
        # On a GPU always as many iterations as may be: to ask whether to go on costs more.
        self._options.graph_conditional = on_cpu
        # Kernels would print what overflows, in every step. An iteration that ends at its limit is
        # no overflow: the next step goes on from there.
        self._options.warn_overflow = 0
        bits = importlib.import_module("mujoco_warp").OverflowType
        self.lost = int(bits.NEFC | bits.NJMAX_NNZ | bits.BROADPHASE | bits.NARROWPHASE)
        self._dropped = int(bits.NARROWPHASE)
        self._overflow: Tensor = engine._wp.to_torch(self.solver.mjw_data.overflow)

    @property
    def overflow(self) -> Tensor:
        """(N,) int32 bits of what overflowed in the last physics step."""
        if self._collisions is None:
            return self._overflow
        return self._overflow | self._collisions.lost * self._dropped

    def step(self) -> None:
        """One physics step."""
        engine = self._engine
        # The solver takes its input's place: one state is enough, and its tensors never move.
        found = None
        if self._collisions is not None:
            self._collisions.find()
            found = self._collisions.found
        self.solver.step(engine.state, engine.state, engine.control, found, engine.dt)

    def changed(self) -> None:
        """The solver has been told of changed properties."""

    def contacts(self, bodies: Sequence[str], filters: Sequence[str]) -> MuJoCoContacts:
        """Contact forces on bodies."""
        return MuJoCoContacts(self._engine, self.solver, bodies, filters)

    @contextlib.contextmanager
    def looking_at_nothing(self) -> Iterator[None]:
        """While within, a step launches every kernel and asks for no result of any."""
        options = self._options
        kept = options.iterations, options.graph_conditional
        # One iteration has all the kernels; nothing tells when to stop if none of them runs.
        options.iterations, options.graph_conditional = 1, False
        try:
            yield
        finally:
            options.iterations, options.graph_conditional = kept


def _use_one_warp(model: Any) -> None:
    """Lets one warp of threads, not several, share out the matrices of a small world.

    Its threads then never wait for another warp. Warp keeps a kernel for each number of threads, so
    that scenes compile these once more. On the CPU it is always one thread.

    Args:
        model: MuJoCo Warp's, before the first step.
    """
    if model.nv_pad > _SMALL:
        return
    for kernel in _MATRIX_KERNELS:
        # MuJoCo Warp calls these settings experimental: one may go.
        if hasattr(model.block_dim, kernel):
            setattr(model.block_dim, kernel, _WARP)
