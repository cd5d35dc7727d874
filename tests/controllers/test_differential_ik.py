"""Differential inverse kinematics against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from isaac_gymnasium.controllers import differential_ik, shift_jacobian, solve_spd
from isaac_gymnasium.transforms import quat_from_rotation_vector, quat_rotate


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def arm(n: int, dofs: int = 7, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """Random Jacobians, errors and posture steps of a robot's size; row k depends on k only."""
    draws = [randn(13, dofs, seed=k, dtype=dtype) for k in range(n)]
    table = torch.stack(draws)
    return 0.5 * table[:, :6], 0.1 * table[:, 6:12, 0], 0.2 * table[:, 12]


# ---------------------------------------------------------------------- solve_spd


@pytest.mark.parametrize("size", [1, 2, 3, 6, 9])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_solve_spd_is_linalg_solve(size: int, dtype: torch.dtype, tolerance: float) -> None:
    root = randn(200, size, size)
    matrix = root @ root.mT + 0.1 * torch.eye(size, dtype=torch.float64)
    right = randn(200, size, seed=1)
    expected = torch.linalg.solve(matrix, right)
    found = solve_spd(matrix.to(dtype), right.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=tolerance)


def test_solve_spd_needs_no_pivoting_where_scales_differ() -> None:
    # Metres beside radians beside a damping of 1e-4: a condition number of 1e8.
    scale = torch.tensor([1e2, 1.0, 1e-2, 1e-2, 1.0, 1e2], dtype=torch.float64)
    root = randn(100, 6, 6)
    matrix = scale[:, None] * (root @ root.mT + torch.eye(6, dtype=torch.float64)) * scale
    right = randn(100, 6, seed=1)
    found = solve_spd(matrix, right).unsqueeze(-1)
    residual = (matrix @ found).squeeze(-1) - right
    size = (matrix.abs() @ found.abs()).squeeze(-1)
    assert float((residual.abs() / size).max()) < 1e-11


def test_solve_spd_leaves_its_arguments_alone() -> None:
    root = randn(5, 6, 6)
    matrix, right = root @ root.mT, randn(5, 6, seed=1)
    before = matrix.clone(), right.clone()
    solve_spd(matrix, right)
    assert torch.equal(matrix, before[0])
    assert torch.equal(right, before[1])


# ---------------------------------------------------------------------- differential_ik


@pytest.mark.parametrize("dofs", [3, 6, 7, 9])
@pytest.mark.parametrize("damping", [0.5, 0.05, 0.005])
@pytest.mark.parametrize("with_posture", [False, True])
def test_the_step_is_the_minimiser_it_says(dofs: int, damping: float, with_posture: bool) -> None:
    jacobian, error, posture = arm(100, dofs)
    if not with_posture:
        posture = torch.zeros_like(posture)
    # The normal equations of |J dq - e|^2 + damping^2 |dq - w|^2, in joint space.
    normal = jacobian.mT @ jacobian + damping**2 * torch.eye(dofs, dtype=torch.float64)
    right = (jacobian.mT @ error.unsqueeze(-1)).squeeze(-1) + damping**2 * posture
    expected = torch.linalg.solve(normal, right)
    found = differential_ik(
        jacobian, error, damping=damping, posture_step=posture if with_posture else None
    )
    assert found.shape == (100, dofs)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-7)


def test_the_end_effector_goes_where_it_should_whatever_the_posture_wants() -> None:
    jacobian, error, posture = arm(100)
    free = differential_ik(jacobian, error, damping=1e-4)
    bound = differential_ik(jacobian, error, damping=1e-4, posture_step=posture)
    for step in (free, bound):
        reached = (jacobian @ step.unsqueeze(-1)).squeeze(-1)
        torch.testing.assert_close(reached, error, atol=1e-5, rtol=0.0)
    # The two differ by the part of the posture step that lies in the null space, in full.
    null_space = torch.eye(7, dtype=torch.float64) - torch.linalg.pinv(jacobian) @ jacobian
    wanted = (null_space @ posture.unsqueeze(-1)).squeeze(-1)
    assert float(wanted.norm(dim=-1).median()) > 0.05
    torch.testing.assert_close(bound - free, wanted, atol=1e-5, rtol=0.0)


def test_without_an_error_only_the_posture_moves_the_joints() -> None:
    jacobian, error, posture = arm(100)
    zero = torch.zeros_like(error)
    assert torch.equal(differential_ik(jacobian, zero), torch.zeros_like(posture))
    step = differential_ik(jacobian, zero, damping=1e-4, posture_step=posture)
    assert float((jacobian @ step.unsqueeze(-1)).abs().max()) < 1e-5
    assert bool(((step * posture).sum(-1) > 0).all())


def test_damping_bounds_the_step_at_a_singularity() -> None:
    jacobian, error, _ = arm(100)
    jacobian[:, 0] = 1e-9 * jacobian[:, 0]  # cannot move along x
    error[:, 0] = 1.0
    for damping in (0.5, 0.05):
        step = differential_ik(jacobian, error, damping=damping)
        # No singular value passes on more than 1 / (2 damping).
        assert bool((step.norm(dim=-1) <= error.norm(dim=-1) / (2 * damping) + 1e-9).all())
    gentle = differential_ik(jacobian, error, damping=0.5).norm(dim=-1)
    assert bool((gentle < differential_ik(jacobian, error, damping=0.05).norm(dim=-1)).all())


def test_the_default_damping_is_a_twentieth() -> None:
    jacobian, error, posture = arm(3)
    assert torch.equal(
        differential_ik(jacobian, error, posture_step=posture),
        differential_ik(jacobian, error, damping=0.05, posture_step=posture),
    )


def test_arguments_are_left_alone() -> None:
    given = arm(4)
    before = [tensor.clone() for tensor in given]
    differential_ik(given[0], given[1], posture_step=given[2])
    shift_jacobian(given[0], given[1][:, :3])
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))


def test_following_a_small_step_of_a_real_chain_reduces_the_error() -> None:
    # A planar arm of three links of 1 m, whose kinematics are known in closed form.
    def tip(q: Tensor) -> Tensor:
        angle = q.cumsum(-1)
        return torch.stack((angle.cos().sum(-1), angle.sin().sum(-1), angle[:, -1]), dim=-1)

    def jacobian_of(q: Tensor) -> Tensor:
        angle = q.cumsum(-1)
        along_x = -angle.sin().flip(-1).cumsum(-1).flip(-1)
        along_y = angle.cos().flip(-1).cumsum(-1).flip(-1)
        jacobian = torch.zeros(len(q), 6, 3, dtype=q.dtype)
        jacobian[:, 0], jacobian[:, 1], jacobian[:, 5] = along_x, along_y, 1.0
        return jacobian

    q = 0.6 + 0.3 * randn(50, 3)
    goal = tip(q + 0.2 * randn(50, 3, seed=1))
    for _ in range(40):
        error = torch.zeros(50, 6, dtype=torch.float64)
        error[:, [0, 1, 5]] = goal - tip(q)
        q = q + differential_ik(jacobian_of(q), error, damping=0.01)
    assert float((goal - tip(q)).abs().max()) < 1e-3


# ---------------------------------------------------------------------- shift_jacobian


def test_a_shifted_jacobian_is_that_of_the_other_point() -> None:
    jacobian, _, qd = arm(100)
    offset = 0.3 * randn(100, 3, seed=5)
    shifted = shift_jacobian(jacobian, offset)
    twist = (jacobian @ qd.unsqueeze(-1)).squeeze(-1)
    moved = (shifted @ qd.unsqueeze(-1)).squeeze(-1)
    assert torch.equal(moved[:, 3:], twist[:, 3:])
    # Where the two points of the rigid body are a short time before and after.
    time = 1e-4
    positions = []
    for dt in (-time, time):
        turn = quat_from_rotation_vector(twist[:, 3:] * dt)
        positions.append(twist[:, :3] * dt + quat_rotate(turn, offset))
    velocity = (positions[1] - positions[0]) / (2 * time)
    torch.testing.assert_close(moved[:, :3], velocity, atol=1e-6, rtol=0.0)


def test_a_shifted_jacobian_integrates_to_a_finite_rotation() -> None:
    # A joint about z through the origin turns a body with its reference point at `at`.
    axis = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    at = torch.tensor([[0.4, 0.1, 0.2]], dtype=torch.float64)
    offset = torch.tensor([[0.1, -0.3, 0.5]], dtype=torch.float64)
    angle, steps = 1.2, 500
    point = at + offset
    for k in range(steps):
        turn = quat_from_rotation_vector(axis * angle * (k + 0.5) / steps)
        linear = torch.linalg.cross(axis, quat_rotate(turn, at))
        jacobian = torch.cat((linear, axis), dim=-1).unsqueeze(-1)
        shifted = shift_jacobian(jacobian, quat_rotate(turn, offset))
        point = point + shifted[:, :3, 0] * angle / steps
    turned = quat_rotate(quat_from_rotation_vector(axis * angle), at + offset)
    torch.testing.assert_close(point, turned, atol=1e-6, rtol=0.0)


def test_shifting_there_and_back_or_nowhere_changes_nothing() -> None:
    jacobian, _, _ = arm(20)
    offset = randn(20, 3, seed=5)
    assert torch.equal(shift_jacobian(jacobian, torch.zeros_like(offset)), jacobian)
    back = shift_jacobian(shift_jacobian(jacobian, offset), -offset)
    torch.testing.assert_close(back, jacobian, atol=1e-12, rtol=0.0)


# ---------------------------------------------------------------------- how it is computed


def test_a_row_does_not_depend_on_how_many_there_are(device: torch.device) -> None:
    def everything(n: int) -> tuple[Tensor, ...]:
        jacobian, error, posture = (t.to(device) for t in arm(n, dtype=torch.float32))
        gram = (jacobian.unsqueeze(2) * jacobian.unsqueeze(1)).sum(-1)
        gram.diagonal(dim1=-2, dim2=-1).add_(0.01)
        return (
            differential_ik(jacobian, error, posture_step=posture),
            shift_jacobian(jacobian, error[:, :3]),
            solve_spd(gram, error),
        )

    many = everything(2048)
    for n in (1, 2, 3, 8, 64, 301):
        for some, all_ in zip(everything(n), many, strict=True):
            assert torch.equal(some, all_[:n])


def test_nothing_is_looked_at_on_the_host() -> None:
    # Tensors without data: whoever wants to see a value of theirs gets an error.
    jacobian, error, posture = (t.to("meta") for t in arm(4))
    for look in (lambda: error[0, 0].item(), error.cpu, lambda: bool(error.any())):
        with pytest.raises((RuntimeError, NotImplementedError)):
            look()
    step = differential_ik(jacobian, error, posture_step=posture)
    assert step.shape == (4, 7)
    assert shift_jacobian(jacobian, error[:, :3]).shape == (4, 6, 7)
    assert solve_spd(jacobian[:, :, :6], error).shape == (4, 6)
