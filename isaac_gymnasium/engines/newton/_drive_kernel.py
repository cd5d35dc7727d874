"""How far the solver may let drives go, as one Warp kernel: it runs in each physics step."""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def widen_limits(
    dofs: wp.array2d(dtype=wp.int32),
    solver_dofs: wp.array(dtype=wp.int32),
    row_starts: wp.array(dtype=wp.int32),
    row_lengths: wp.array(dtype=wp.int32),
    inertia: wp.array2d(dtype=wp.float32),
    speeds: wp.array2d(dtype=wp.float32),
    effort_limit: wp.array(dtype=wp.float32),
    speed_limit: wp.array(dtype=wp.float32),
    stiffness: wp.array(dtype=wp.float32),
    damping: wp.array(dtype=wp.float32),
    dt: wp.float32,
    stiffness_dt: wp.float32,
    ranges: wp.array2d(dtype=wp.vec2),
):
    world, joint = wp.tid()
    dof = dofs[world, joint]
    if dof < 0:
        return
    row = solver_dofs[joint]
    # The last entry of a row of the mass matrix is that of its diagonal.
    own = inertia[world, row_starts[row] + row_lengths[row] - 1]
    implicit = dt * (damping[dof] + stiffness_dt * stiffness[dof])
    wide = effort_limit[dof] * (1.0 + implicit / wp.max(own, 1.0e-9))
    lowest, highest = -wide, wide
    if implicit > 0.0:
        per_speed = (own + implicit) / dt
        highest = wp.clamp((speed_limit[dof] - speeds[world, row]) * per_speed, -wide, wide)
        lowest = wp.clamp((-speed_limit[dof] - speeds[world, row]) * per_speed, -wide, wide)
    ranges[world, joint] = wp.vec2(lowest, highest)
