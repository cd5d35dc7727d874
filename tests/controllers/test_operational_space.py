"""Operational-space control against closed forms; with a real arm in tests/envs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from isaac_gymnasium.controllers import operational_space_torque, pose_acceleration, solve_spd


def arm(n: int, dofs: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random Jacobians, mass matrices, accelerations and posture accelerations, float64."""
    generator = torch.Generator().manual_seed(0)

    def randn(*shape: int) -> Tensor:
        return torch.randn(n, *shape, generator=generator, dtype=torch.float64)

    root = randn(dofs, dofs)
    mass = 0.1 * root @ root.mT + 0.3 * torch.eye(dofs, dtype=torch.float64)
    return 0.5 * randn(6, dofs), mass, randn(6), randn(dofs)


def accelerations(jacobian: Tensor, mass: Tensor, torque: Tensor) -> tuple[Tensor, Tensor]:
    """Of the joints, and of the end effector, without velocity."""
    joints = torch.linalg.solve(mass, torque)
    return joints, (jacobian @ joints.unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize("dofs", [6, 7, 9])
def test_each_direction_is_accelerated_alone(dofs: int) -> None:
    jacobian, mass, wanted, posture = arm(50, dofs)
    for posture_acceleration in (None, posture):
        torque = operational_space_torque(
            jacobian, mass, wanted, posture_acceleration=posture_acceleration, damping=1e-6
        )
        _, found = accelerations(jacobian, mass, torque)
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)


def test_the_posture_gets_what_does_not_move_the_end_effector() -> None:
    jacobian, mass, _, posture = arm(50)
    still = torch.zeros(50, 6, dtype=torch.float64)
    torque = operational_space_torque(
        jacobian, mass, still, posture_acceleration=posture, damping=1e-6
    )
    joints, found = accelerations(jacobian, mass, torque)
    assert float(found.abs().max()) < 1e-6
    # One redundant joint: the null space of J is a line, on which the posture is projected in the
    # metric of the mass matrix (Gauss' principle of least constraint).
    _, _, rows = torch.linalg.svd(jacobian)
    line = rows[:, -1]
    weighted = (mass @ line.unsqueeze(-1)).squeeze(-1)
    share = (weighted * posture).sum(-1) / (weighted * line).sum(-1)
    torch.testing.assert_close(joints, share.unsqueeze(-1) * line, atol=1e-6, rtol=1e-6)
    assert float(share.abs().median()) > 0.1


def test_without_a_posture_no_joint_moves_for_nothing() -> None:
    jacobian, mass, wanted, _ = arm(5)
    torque = operational_space_torque(jacobian, mass, torch.zeros_like(wanted))
    assert not torque.any()


def test_damping_bounds_the_torque_at_a_singularity() -> None:
    jacobian, mass, wanted, _ = arm(50)
    jacobian[:, 0] = 1e-9 * jacobian[:, 0]  # cannot move along x
    wanted[:, 1:] = 0.0
    torque = operational_space_torque(jacobian, mass, wanted, damping=0.1)
    assert bool((torque.norm(dim=-1) < 1e-6).all())


def test_a_pose_is_approached_as_by_a_critically_damped_spring() -> None:
    error = torch.tensor([[0.1, 0.0, -0.2]])
    turn = torch.tensor([[0.0, 0.3, 0.0]])
    velocity = torch.tensor([[1.0, 0.0, 0.0, 0.0, -2.0, 0.0]])
    found = pose_acceleration(error, turn, velocity, stiffness=25.0)
    expected = torch.tensor([[2.5 - 10.0, 0.0, -5.0, 0.0, 7.5 + 20.0, 0.0]])
    torch.testing.assert_close(found, expected)
    half = pose_acceleration(error, turn, velocity, stiffness=25.0, damping_ratio=0.5)
    expected[:, 0], expected[:, 4] = 2.5 - 5.0, 7.5 + 10.0
    torch.testing.assert_close(half, expected)


def test_solve_spd_solves_for_several_right_sides_at_once() -> None:
    jacobian, mass, _, _ = arm(50)
    found = solve_spd(mass, jacobian.mT)
    torch.testing.assert_close(found, torch.linalg.solve(mass, jacobian.mT))
    one = solve_spd(mass, jacobian[:, 2])
    torch.testing.assert_close(found[:, :, 2], one)
