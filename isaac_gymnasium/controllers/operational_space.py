"""Operational-space control: joint torques that give an end effector wanted accelerations.

Khatib 1987, "A unified approach for motion and force control of robot manipulators". Only
elementwise operations and sums over short dimensions, as in `differential_ik`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isaac_gymnasium.controllers.differential_ik import solve_spd
from isaac_gymnasium.transforms import sum_in_order


def operational_space_torque(
    jacobian: Tensor,
    mass_matrix: Tensor,
    acceleration: Tensor,
    *,
    posture_acceleration: Tensor | None = None,
    damping: float = 0.01,
) -> Tensor:
    """Torques for a wanted acceleration of the end effector, and of the posture beside it.

    With `A = (J M^-1 J^T + damping^2 I)^-1`, the end effector's inertia, the torque is
    `J^T A a + (I - J^T A J M^-1) M w`: of the joint accelerations `w`, only the part passes that
    gives the end effector none. Velocity products (Coriolis forces, the change of J) are left out,
    and gravity is to be compensated elsewhere.

    Args:
        jacobian: (N, 6, D) of the end effector, linear part first.
        mass_matrix: (N, D, D) of the joints, kg m^2. `Articulation.mass_matrix` leaves rotor
            inertia (armature) out: add it to the diagonal.
        acceleration: (N, 6) wanted: m/s^2, then rad/s^2; the Jacobian's frame.
        posture_acceleration: (N, D) joint accelerations `w` wanted where the end effector does not
            care, rad/s^2.
        damping: Bounds the inertia near singularities, 1/sqrt(kg).

    Returns:
        (N, D) joint torques, N m.
    """
    transposed = jacobian.transpose(1, 2)
    moved = solve_spd(mass_matrix, transposed)  # M^-1 J^T, (N, D, 6)
    mobility = sum_in_order(jacobian.unsqueeze(-1) * moved.unsqueeze(1), 2)
    mobility.diagonal(dim1=-2, dim2=-1).add_(damping * damping)
    if posture_acceleration is not None:
        acceleration = acceleration - (jacobian * posture_acceleration.unsqueeze(1)).sum(-1)
    force = solve_spd(mobility, acceleration)
    torque = sum_in_order(jacobian * force.unsqueeze(-1), 1)
    if posture_acceleration is None:
        return torque
    return torque + (mass_matrix * posture_acceleration.unsqueeze(1)).sum(-1)


def pose_acceleration(
    position_error: Tensor,
    rotation_error: Tensor,
    velocity: Tensor,
    *,
    stiffness: float,
    damping_ratio: float = 1.0,
) -> Tensor:
    """Acceleration of a spring and damper between an end effector and its goal.

    Args:
        position_error: (N, 3) goal minus present position, m.
        rotation_error: (N, 3) rotation vector from the present to the goal orientation, rad.
        velocity: (N, 6) of the end effector, m/s and rad/s.
        stiffness: 1/s^2.
        damping_ratio: 1 is critical.

    Returns:
        (N, 6) m/s^2 and rad/s^2.
    """
    error = torch.cat((position_error, rotation_error), dim=-1)
    return stiffness * error - (2.0 * damping_ratio * math.sqrt(stiffness)) * velocity
