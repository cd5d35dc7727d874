"""What PhysX calls a material, in MuJoCo's terms: springs, dampers, impedance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_RESTING_CONTACT = (2500.0, 100.0)
"""Stiffness and damping of a contact that does not bounce: MuJoCo's own time constant, 0.02 s."""
IMPEDANCE = (0.95, 0.99, 0.001, 0.5, 2.0)
"""How hard contacts are, MuJoCo's `solimp`: five times as hard as its default, with which a gripper
sinks millimetres into what it holds."""
STOP = (0.02, 1.0)
"""Time constant (s) and share of critical damping of a joint's stops: MuJoCo's own."""
_STEPS_OF_A_BOUNCE = 8.0


def contact_gains(restitution: Tensor, dt: float) -> tuple[Tensor, Tensor]:
    """Stiffness and damping, per unit of mass, of contacts that return this share of speed.

    MuJoCo knows no restitution. A spring that is damped by the share z of critical and lets go
    when it would pull returns exp(-z (pi - 2 asin z) / sqrt(1 - z^2)) of the speed (Schwager and
    Poeschel 2007, "Coefficient of restitution and linear-dashpot model revisited"). It is as stiff
    as `dt` can resolve; where nothing bounces the contact is MuJoCo's critically damped default.

    Args:
        restitution: 0 to 1, any shape.
        dt: Length of a physics step, s.

    Returns:
        Stiffness (1/s^2) and damping (1/s), each of the shape of `restitution`.
    """
    # From the largest share to the smallest, so that what is returned rises.
    table = torch.linspace(0.0, 0.999, 1000, device=restitution.device).flip(0)
    returned = torch.exp(-table * (math.pi - 2 * torch.asin(table)) / torch.sqrt(1 - table**2))
    above = torch.searchsorted(returned, restitution.contiguous()).clamp_(1, len(table) - 1)
    closer = restitution - returned[above - 1] < returned[above] - restitution
    share = table[torch.where(closer, above - 1, above)]
    frequency = math.pi / (_STEPS_OF_A_BOUNCE * dt)
    stiffness, damping = _RESTING_CONTACT
    bounces = restitution > 0.0
    return (
        torch.where(bounces, torch.full_like(share, frequency**2), stiffness),
        torch.where(bounces, 2.0 * share.clamp(min=1e-4) * frequency, damping),
    )
