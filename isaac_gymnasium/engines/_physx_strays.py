"""Environments whose bodies are nowhere, brought home before PhysX looks for what they touch."""

from __future__ import annotations

import torch

from isaac_gymnasium.engines.base import SPEEDS, Engine

FAR = 1e9
"""Further away nothing can have got, m; from 1e15 on PhysX finds no bounds that are numbers."""


class Strays:
    """Looks after the environments of one engine, on the CPU.

    A shape at a place that is no number is held against every triangle of a mesh beside it: one
    step with one such robot on terrain lasts for seconds, where another takes a millisecond.

    Args:
        engine: The engine, before its first step.

    Attributes:
        found: (N,) bool, environments that were brought home; whoever reads it clears it.
    """

    def __init__(self, engine: Engine) -> None:
        self.found = torch.zeros(engine.num_envs, dtype=torch.bool)
        self._bodies = [
            (body, {quantity: body._get(quantity).clone() for quantity in body.moving})
            for body in engine.bodies()
        ]

    def bring_home(self) -> None:
        """Puts the bodies of environments that have strayed where they were before any step."""
        near = torch.ones_like(self.found)
        for body, home in self._bodies:
            for quantity in home.keys() - SPEEDS:
                body._pull(quantity)
                # What is no number is not less, either.
                near &= (body._buffers[quantity].abs() < FAR).all(-1)
        if bool(near.all()):
            return
        self.found |= ~near
        for body, home in self._bodies:
            for quantity, values in home.items():
                body._buffers[quantity].copy_(values)
                body._push(quantity, ~near)
