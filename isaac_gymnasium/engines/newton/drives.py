"""What limits a drive, in the terms of MuJoCo's integrators.

PhysX limits the effort that a drive ends up with. MuJoCo limits the effort that it would have at
the joint's present speed, and only then lets the drive's damping slow what this effort sets going:
of 12 N m, a joint with 0.12 kg m^2 and 80 N m s/rad would keep less than two at 1/120 s. Speed
limits it does not know at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isaac_gymnasium.engines.newton.engine import NewtonEngine

UNLIMITED_EFFORT = 1e6
"""What Newton takes for no limit, N m or N."""


class EffortLimits:
    """Widens the solver's limits so that what drives end up with is limited as authored.

    A joint of inertia I that is driven with damping d, and with stiffness k if that is implicit,
    is accelerated by F / (I + d dt + k dt^2) for a force F at its present speed. The drive's share
    of that is the limit L where F is L (1 + (d dt + k dt^2) / I). I is the diagonal of the mass
    matrix of the same step: that of the joint while the others, which have drives too, hold still.
    Nor may a drive push its joint beyond its speed limit.

    Args:
        engine: The engine whose solver it is.
        solver: Newton's `SolverMuJoCo`, whose control callback this becomes.
        implicit_stiffness: Whether the solver's integrator is implicit in positions, too.
    """

    def __init__(self, engine: NewtonEngine, solver: Any, *, implicit_stiffness: bool) -> None:
        from isaac_gymnasium.engines.newton import _drive_kernel

        self._wp, self._kernel = engine._wp, _drive_kernel.widen_limits
        self._model, self._dofs = engine.model, solver.mjc_jnt_to_newton_dof
        self._dt = engine.dt
        self._stiffness_dt = engine.dt if implicit_stiffness else 0.0
        if self._dofs.size:
            solver.mjw_model.callback.control = self._update

    def _update(self, solver_model: Any, data: Any) -> None:
        model = self._model
        self._wp.launch(
            self._kernel,
            dim=self._dofs.shape,
            inputs=[
                self._dofs,
                solver_model.jnt_dofadr,
                solver_model.M_rowadr,
                solver_model.M_rownnz,
                data.M,
                data.qvel,
                model.joint_effort_limit,
                model.joint_velocity_limit,
                model.joint_target_ke,
                model.joint_target_kd,
                self._dt,
                self._stiffness_dt,
            ],
            outputs=[solver_model.jnt_actfrcrange],
            device=model.device,
        )
