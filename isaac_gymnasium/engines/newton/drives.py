"""What limits a drive, in the terms of MuJoCo's integrators.

PhysX limits the effort that a drive ends up with. MuJoCo limits the effort that it would have at
the joint's present speed, and only then lets the drive's damping slow what this effort sets going:
of 12 N m, a joint with 0.12 kg m^2 and 80 N m s/rad would keep less than two at 1/120 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from isaac_gymnasium.engines.newton.engine import NewtonEngine

UNLIMITED_EFFORT = 1e6
"""What Newton takes for no limit, N m or N."""


class EffortLimits:
    """Widens the solver's limits so that what drives end up with is limited as authored.

    A joint of inertia I that is driven with damping d, and with stiffness k if that is implicit,
    is accelerated by F / (I + d dt + k dt^2) for a force F at its present speed. The drive's share
    of that is the limit L where F is L (1 + (d dt + k dt^2) / I). I is that of the joint alone, all
    others free, in the model's reference pose.

    Args:
        engine: The engine whose solver it is.
        solver: Newton's `SolverMuJoCo`.
        implicit_stiffness: Whether the solver's integrator is implicit in positions, too.
    """

    def __init__(self, engine: NewtonEngine, solver: Any, *, implicit_stiffness: bool) -> None:
        to_torch = engine._wp.to_torch
        self._engine, self._solver = engine, solver
        self._stiffness_dt = engine.dt if implicit_stiffness else 0.0
        joints: Tensor = to_torch(solver.mjc_jnt_to_newton_dof).long()
        self._of_drives = joints >= 0
        self._dofs = joints.clamp(min=0)
        self._solver_dofs: Tensor = to_torch(solver.mjw_model.jnt_dofadr).long()
        self._ranges: Tensor = to_torch(solver.mjw_model.jnt_actfrcrange)

    def update(self) -> None:
        """Sets the solver's limits anew; to be called once it has been told of changes."""
        if not self._dofs.numel():
            return
        model, to_torch = self._engine.model, self._engine._wp.to_torch
        limit = to_torch(model.joint_effort_limit)[self._dofs]
        stiffness = to_torch(model.joint_target_ke)[self._dofs]
        damping = to_torch(model.joint_target_kd)[self._dofs]
        mobility = to_torch(self._solver.mjw_model.dof_invweight0)[:, self._solver_dofs]
        slowed = self._engine.dt * (damping + self._stiffness_dt * stiffness) * mobility
        wide = torch.where(limit < UNLIMITED_EFFORT, limit * (1.0 + slowed), limit)
        wide = torch.stack((-wide, wide), dim=-1)
        self._ranges.copy_(torch.where(self._of_drives.unsqueeze(-1), wide, self._ranges))
