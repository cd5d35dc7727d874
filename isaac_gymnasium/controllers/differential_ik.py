"""Differential inverse kinematics by damped least squares, with a posture in the null space.

Only elementwise operations and sums over fixed, short dimensions: no host synchronisation, nothing
whose rounding depends on the number of environments (batched BLAS would), and a fixed sequence of
kernels that a CUDA graph can record.
"""

from __future__ import annotations

import torch
from torch import Tensor

from isaac_gymnasium.transforms import sum_in_order


def differential_ik(
    jacobian: Tensor,
    error: Tensor,
    *,
    damping: float = 0.05,
    posture_step: Tensor | None = None,
) -> Tensor:
    """Joint displacement that brings an end effector closer to where it should be.

    Solves `min |J dq - e|^2 + damping^2 |dq - w|^2`, so that `w` acts in the directions that do
    not move the end effector (Wampler 1986; Nakamura and Hanafusa 1986).

    Args:
        jacobian: (N, 6, D) of the end effector, linear part first.
        error: (N, 6) wanted displacement: m, then rotation vector in rad; same frame.
        damping: Trades accuracy for small joint displacements near singularities.
        posture_step: (N, D) displacement `w` wanted where the end effector does not care, rad.

    Returns:
        (N, D) joint displacement, rad.
    """
    if posture_step is not None:
        error = error - (jacobian * posture_step.unsqueeze(1)).sum(-1)
    gram = (jacobian.unsqueeze(2) * jacobian.unsqueeze(1)).sum(-1)
    gram.diagonal(dim1=-2, dim2=-1).add_(damping * damping)
    step = sum_in_order(jacobian * solve_spd(gram, error).unsqueeze(-1), 1)
    return step if posture_step is None else step + posture_step


def shift_jacobian(jacobian: Tensor, offset: Tensor) -> Tensor:
    """The Jacobian of another point of the same body.

    Args:
        jacobian: (N, 6, D), linear part first.
        offset: (N, 3) from the Jacobian's point to the other one, same frame, m.
    """
    linear, angular = jacobian[:, :3], jacobian[:, 3:]
    arm = offset.unsqueeze(-1).expand_as(angular)
    return torch.cat((linear + torch.linalg.cross(angular, arm, dim=1), angular), dim=1)


def solve_spd(matrix: Tensor, right: Tensor) -> Tensor:
    """Solves small symmetric positive definite systems by Gauss-Jordan elimination.

    Pivoting is not needed for such matrices. `torch.linalg.solve` would look at an error code on
    the host.

    Args:
        matrix: (N, K, K).
        right: (N, K), or (N, K, R) for R right sides at once.

    Returns:
        The solution, of the shape of `right`.
    """
    size = matrix.shape[-1]
    several = right.dim() == matrix.dim()
    work = torch.cat((matrix, right if several else right.unsqueeze(-1)), dim=-1)
    identity = torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    for k in range(size):
        pivot_row = work[:, k : k + 1] / work[:, k : k + 1, k : k + 1]
        # Less one in row k: subtracting the product then leaves the scaled pivot row there.
        factors = work[:, :, k : k + 1] - identity[:, k : k + 1]
        work = torch.addcmul(work, factors, pivot_row, value=-1.0)
    return work[..., size:] if several else work[..., size]
