"""Batched quaternion and pose maths in torch.

Quaternions are (..., 4), unit, in **xyzw** order; poses are (..., 7), position in metres then
quaternion; angles are radians. A quaternion ``q`` of frame B in frame A turns coordinates in B into
coordinates in A: ``v_A = quat_rotate(q, v_B)``. Leading dimensions broadcast.

Everything here works element by element, in an order fixed by the formula. So a row's result has
the same bits whatever the batch size, nothing syncs with the device, and a CUDA graph can capture
it. That excludes matmul and einsum, and ``torch.atan2`` too: on CPU one code evaluates it in the
bulk of a tensor and another in the last few elements, and the two round differently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

__all__ = [
    "atan2",
    "orientation_error",
    "pose_compose",
    "pose_inverse",
    "quat_angle",
    "quat_conjugate",
    "quat_from_axis_angle",
    "quat_from_euler_xyz",
    "quat_from_matrix",
    "quat_from_rotation_vector",
    "quat_from_yaw",
    "quat_identity",
    "quat_mul",
    "quat_rotate",
    "quat_rotate_inverse",
    "quat_to_matrix",
    "quat_to_rotation_vector",
    "roll_from_quat",
    "roll_yaw_points",
    "sum_in_order",
    "wrap_to_pi",
    "yaw_from_quat",
]

# Any length below this is as good as zero: sin(x / 2) / x and 2 * atan(x) / x have reached their
# limits in float32 long before, and its square is still a normal float32.
_TINY = 1e-12


def quat_identity(shape: Sequence[int], device: torch.device | str) -> torch.Tensor:
    """Return identity quaternions `(*shape, 4)` float32 on ``device``."""
    quat = torch.zeros((*shape, 4), dtype=torch.float32, device=device)
    quat[..., 3] = 1.0  # a fill, where building from a list would copy from the host
    return quat


def quat_mul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Hamilton product (..., 4) of ``a`` and ``b``, each (..., 4): the rotation b, then a.

    Source: Hamilton's ij = k convention, as in Diebel, "Representing Attitude", 2006, section 6.
    """
    x, y, z, w = b.unbind(-1)
    nx, ny, nz, _ = b.neg().unbind(-1)
    # Row i is what component i of ``a`` contributes: one multiplication instead of sixteen.
    rows = torch.stack((w, nz, y, nx, z, w, nx, ny, ny, x, w, nz, x, y, z, w), dim=-1)
    rows = rows.view(*b.shape[:-1], 4, 4)
    from_x, from_y, from_z, from_w = (rows * a.unsqueeze(-1)).unbind(-2)
    # Paired so that terms which ought to cancel in q q* do: its vector part is exactly zero.
    return (from_w + from_x) + (from_y + from_z)


def quat_conjugate(q: torch.Tensor) -> torch.Tensor:
    """Conjugate (..., 4) of ``q`` (..., 4): the inverse rotation."""
    return torch.cat((-q[..., :3], q[..., 3:]), dim=-1)


def quat_rotate(q: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Rotate ``v`` (..., 3) by ``q`` (..., 4): from q's body frame into its parent's, (..., 3).

    Source: v + 2w(u x v) + 2u x (u x v), u the vector part: Rodrigues' formula for quaternions.
    """
    spin, tilt = _turns(q, v)
    return v + (spin + tilt)


def quat_rotate_inverse(q: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Rotate ``v`` (..., 3) by the inverse of ``q`` (..., 4): into q's body frame, (..., 3)."""
    spin, tilt = _turns(q, v)
    return v + (tilt - spin)


def quat_from_axis_angle(axis: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Quaternion (..., 4) of a turn by ``angle`` (...) rad about unit vectors ``axis`` (..., 3)."""
    half = (0.5 * angle).unsqueeze(-1)
    xyz = axis * half.sin()
    return torch.cat((xyz, half.cos().expand(*xyz.shape[:-1], 1)), dim=-1)


def quat_from_rotation_vector(v: torch.Tensor) -> torch.Tensor:
    """Quaternion (..., 4) of a turn by ``|v|`` rad about ``v`` (..., 3); identity at zero."""
    angle = _norm(v).clamp_min(_TINY)
    half = 0.5 * angle
    return torch.cat((v * (half.sin() / angle), half.cos()), dim=-1)


def quat_to_rotation_vector(q: torch.Tensor) -> torch.Tensor:
    """Rotation vector (..., 3) rad of ``q`` (..., 4), the shorter way: its length is in [0, pi].

    ``q`` and ``-q`` give one result, save at exactly pi (w = 0), where both signs are right.
    """
    xyz, w = q[..., :3], q[..., 3:]
    sine = _norm(xyz).clamp_min(_TINY)
    # The absolute cosine makes the ratio positive, so atan is enough; division by zero gives pi.
    scale = 2.0 * (sine / w.abs()).atan() / sine
    return xyz * torch.where(w < 0.0, -scale, scale)


def quat_from_euler_xyz(roll: torch.Tensor, pitch: torch.Tensor, yaw: torch.Tensor) -> torch.Tensor:
    """Quaternion (..., 4) of turns about the fixed axes x, then y, then z (extrinsic xyz).

    The same as URDF's rpy, and as intrinsic turns about z, y', x''.

    Args:
        roll: (...) rad about x.
        pitch: (...) rad about y.
        yaw: (...) rad about z.
    """
    half = 0.5 * torch.stack(torch.broadcast_tensors(roll, pitch, yaw))
    (sr, sp, sy), (cr, cp, cy) = half.sin().unbind(0), half.cos().unbind(0)
    x = sr * cp * cy - cr * sp * sy
    y = cr * sp * cy + sr * cp * sy
    z = cr * cp * sy - sr * sp * cy
    w = cr * cp * cy + sr * sp * sy
    return torch.stack((x, y, z, w), dim=-1)


def quat_from_yaw(yaw: torch.Tensor) -> torch.Tensor:
    """Quaternion (..., 4) of turns by ``yaw`` (...) rad about z."""
    half = 0.5 * yaw
    level = torch.zeros_like(half)
    return torch.stack((level, level, half.sin(), half.cos()), dim=-1)


def yaw_from_quat(q: torch.Tensor) -> torch.Tensor:
    """Heading (...) in [-pi, pi] rad of ``q`` (..., 4): the yaw of its extrinsic xyz angles.

    It is the direction of the body's x axis seen from above, so it means nothing once that axis is
    vertical (pitch of 90 degrees); the result is finite even there.
    """
    x, y, z, w = q.unbind(-1)
    return atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def roll_from_quat(q: torch.Tensor) -> torch.Tensor:
    """Roll (...) in [-pi, pi] rad of ``q`` (..., 4): the first of its extrinsic xyz angles.

    Like the yaw it means nothing, but is finite, at a pitch of 90 degrees.
    """
    x, y, z, w = q.unbind(-1)
    return atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))


def roll_yaw_points(q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (..., 2) whose angles are roll and yaw of ``q`` (..., 4): their x, and their y.

    The first x is the cosine of the tilt; x and y of the second are where the body's x axis points.
    """
    squares = q[..., :3].square()
    x_and_z = q[..., 0:3:2]
    products = q[..., 3:] * x_and_z + q[..., 1:2] * x_and_z.flip(-1)
    return 1.0 - 2.0 * (squares[..., :2] + squares[..., 1:]), 2.0 * products


def quat_angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Angle (...) in [0, pi] rad of the rotation between ``a`` and ``b``, each (..., 4).

    Precise for small angles too, where the arc cosine of a dot product is not.
    """
    q = quat_mul(a, quat_conjugate(b))
    return 2.0 * (_norm(q[..., :3]) / q[..., 3:].abs()).atan().squeeze(-1)


def quat_from_matrix(matrix: torch.Tensor) -> torch.Tensor:
    """Quaternion (..., 4) of rotation matrices (..., 3, 3), the largest component positive.

    Source: 4 q q^T has entries linear in the matrix; of its rows the one with the largest diagonal
    entry is normalised, which never divides by a small number (Shepperd, 1978).
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (m.unbind(-1) for m in matrix.unbind(-2))
    tx, ty, tz, tw = 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz, 1 + xx + yy + zz
    sxy, sxz, syz = xy + yx, xz + zx, yz + zy
    dx, dy, dz = zy - yz, xz - zx, yx - xy
    best, largest = torch.stack((dx, dy, dz, tw), dim=-1), tw
    for entry, row in (
        (tx, (tx, sxy, sxz, dx)),
        (ty, (sxy, ty, syz, dy)),
        (tz, (sxz, syz, tz, dz)),
    ):
        better = (entry > largest).unsqueeze(-1)
        best = torch.where(better, torch.stack(row, dim=-1), best)
        largest = torch.maximum(largest, entry)
    return best / _norm(best)


def quat_to_matrix(q: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (..., 3, 3) of ``q`` (..., 4); column i is body axis i in the parent."""
    products = q.unsqueeze(-1) * (2.0 * q).unsqueeze(-2)
    (xx, xy, xz, xw), (_, yy, yz, yw), (_, _, zz, zw), _ = (
        row.unbind(-1) for row in products.unbind(-2)
    )
    entries = (
        *(1.0 - (yy + zz), xy - zw, xz + yw),
        *(xy + zw, 1.0 - (xx + zz), yz - xw),
        *(xz - yw, yz + xw, 1.0 - (xx + yy)),
    )
    return torch.stack(entries, dim=-1).view(*q.shape[:-1], 3, 3)


def pose_compose(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Pose (..., 7) of C in A, from ``a`` (..., 7), B in A, and ``b`` (..., 7), C in B."""
    position = a[..., :3] + quat_rotate(a[..., 3:], b[..., :3])
    return torch.cat((position, quat_mul(a[..., 3:], b[..., 3:])), dim=-1)


def pose_inverse(pose: torch.Tensor) -> torch.Tensor:
    """Pose (..., 7) of A in B from ``pose`` (..., 7) of B in A."""
    position, quat = pose[..., :3], pose[..., 3:]
    return torch.cat((-quat_rotate_inverse(quat, position), quat_conjugate(quat)), dim=-1)


def orientation_error(desired: torch.Tensor, current: torch.Tensor) -> torch.Tensor:
    """Rotation vector (..., 3) rad, in the world frame, that takes ``current`` to ``desired``.

    Both are (..., 4), body in world. The turn is the shorter one, so its length is in [0, pi].
    """
    return quat_to_rotation_vector(quat_mul(desired, quat_conjugate(current)))


def atan2(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Angle (...) in [-pi, pi] rad of points ``x``, ``y`` (...); zero for the origin.

    Batch-independent, which `torch.atan2` is not: see above.
    """
    angle = (y / torch.where(x == 0.0, 1e-37, x)).atan()  # nearly the smallest normal float32
    opposite = torch.where(y < 0.0, angle - math.pi, angle + math.pi)
    return torch.where(x < 0.0, opposite, angle)


def wrap_to_pi(angle: torch.Tensor) -> torch.Tensor:
    """Angle (...) in [-pi, pi] rad that differs from ``angle`` (...) rad by whole turns.

    Both ends occur, and float32 may round past them by an ulp of ``angle``.
    """
    return angle - math.tau * torch.round(angle / math.tau)


def sum_in_order(values: torch.Tensor, dim: int) -> torch.Tensor:
    """Sum over a dimension of few entries, one after the other.

    `torch.sum` over any but the last dimension shares the entries out among a GPU's threads, and
    into how many parts depends on the number of rows.
    """
    first, *others = values.unbind(dim)
    total: torch.Tensor = first.clone()
    for each in others:
        total += each
    return total


def _turns(q: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """2w(u x v) and 2u x (u x v), u the vector part."""
    xyz, v = torch.broadcast_tensors(q[..., :3], v)  # linalg.cross wants equally many dimensions
    t: torch.Tensor = 2.0 * torch.linalg.cross(xyz, v)
    return q[..., 3:] * t, torch.linalg.cross(xyz, t)


def _norm(v: torch.Tensor) -> torch.Tensor:
    """Length (..., 1) of ``v`` (..., n), summed in index order, which no reduction promises."""
    first, *rest = (v * v).unbind(-1)
    return sum(rest, first).sqrt().unsqueeze(-1)
