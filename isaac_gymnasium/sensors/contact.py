"""Contact of links with anything, and for how long they have been in it or out of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Engine


class ContactSensor:
    """Reads contact forces once a step and keeps the times of flight and stance.

    Contact is what the last physics step of an environment step ended with.

    Args:
        engine: The physics engine.
        bodies: B links or bodies, such as `"Robot/FL_foot"`, with contact reports on
            (`Scene.enable_contact_reports`).
        threshold: Normal force from which on a body counts as touching, N.

    Attributes:
        force: (N, B) net normal force, N.
        touching: (N, B) bool.
        landed: (N, B) bool, touching now and not one step before.
        air_time: (N, B) seconds since the body lifted off; 0 while touching.
        contact_time: (N, B) seconds since it landed; 0 in the air.
        last_air_time: (N, B) how long the flight lasted that ended last.
    """

    def __init__(self, engine: Engine, bodies: Sequence[str], *, threshold: float = 1.0) -> None:
        self._contacts = engine.contacts(bodies)
        self._threshold = threshold
        shape = (engine.num_envs, len(bodies))
        device = engine.device
        self.force = torch.zeros(shape, device=device)
        self.touching = torch.zeros(shape, dtype=torch.bool, device=device)
        self.landed = torch.zeros(shape, dtype=torch.bool, device=device)
        self.air_time = torch.zeros(shape, device=device)
        self.contact_time = torch.zeros(shape, device=device)
        self.last_air_time = torch.zeros(shape, device=device)

    def update(self, step_dt: float) -> None:
        """Takes the forces as they are after a step of `step_dt` seconds."""
        self.advance(self._contacts.net.norm(dim=-1), step_dt)

    def advance(self, force: Tensor, step_dt: float) -> None:
        """As `update`, with (N, B) forces from elsewhere."""
        self.force.copy_(force)
        touching = force > self._threshold
        flying = ~touching
        torch.logical_and(touching, ~self.touching, out=self.landed)
        flight = self.air_time + step_dt
        torch.where(self.landed, flight, self.last_air_time, out=self.last_air_time)
        torch.mul(flight, flying, out=self.air_time)
        self.contact_time.add_(step_dt).mul_(touching)
        self.touching.copy_(touching)

    def reset(self, mask: Tensor) -> None:
        """Forgets the past where the (N,) bool mask says: in contact, and for no time."""
        rows = mask.unsqueeze(-1)
        for times in (self.force, self.air_time, self.contact_time, self.last_air_time):
            times.masked_fill_(rows, 0.0)
        # A robot is set down at its start: touching it first is no landing.
        self.touching.masked_fill_(rows, True)
        self.landed.masked_fill_(rows, False)
