"""Contact forces, from the rows of MuJoCo's constraint solver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Contacts, EngineError

if TYPE_CHECKING:
    from isaac_gymnasium.engines.newton.engine import NewtonEngine


class NewtonContacts(Contacts):
    """Contact forces, from the rows of the solver's last step."""

    engine: NewtonEngine

    def __init__(self, engine: NewtonEngine, bodies: Sequence[str], filters: Sequence[str]) -> None:
        super().__init__(engine, f"contacts of {list(bodies)}")
        n, b, f = engine.num_envs, len(bodies), len(filters)
        self._shapes = {"net": (n, b, 3), "matrix": (n, b, f, 3)}
        for body in bodies:
            prim = engine.scene.stage.GetPrimAtPath(engine.path(body))
            # USD lists applied schemas only where their package is installed.
            if not prim.HasAttribute("physxContactReport:threshold"):
                raise EngineError(
                    f"{self.name} with {list(filters)}: each must be a rigid body with contact "
                    "reports on (Scene.enable_contact_reports)"
                )
        self._sensor = self._table(bodies)
        self._filter = self._table(filters)
        data = engine.solver.mjw_data
        to_torch = engine._wp.to_torch
        self._count = to_torch(data.nacon)
        self._geoms = to_torch(data.contact.geom)
        self._normals = to_torch(data.contact.frame).view(-1, 3, 3)[:, 0]
        self._worlds = to_torch(data.contact.worldid)
        self._first_row = to_torch(data.contact.efc_address)[:, 0]
        self._row_forces = to_torch(data.efc.force)
        self._geom_shapes = to_torch(engine.solver.mjc_geom_to_newton_shape)
        self._slots = torch.arange(len(self._worlds), device=engine.device)

    def _table(self, names: Sequence[str]) -> Tensor:
        """(shapes,) which of the names a shape belongs to; the number of names for none."""
        world = self.engine.world
        table = torch.full((len(world.shape_labels),), len(names), dtype=torch.int64)
        for k, name in enumerate(names):
            shapes = world.shapes_of(self.engine.path(name))
            if not shapes:
                raise EngineError(f"{self.name}: nothing collides at {name}")
            table[shapes] = k
        return table.to(self.engine.device)

    def _allocate(self, quantity: str) -> Tensor:
        return torch.zeros(self._shapes[quantity], device=self.engine.device)

    def _pull(self, quantity: str) -> None:
        n, b = self._shapes["net"][:2]
        f = self._shapes["matrix"][2]
        valid = (self._slots < self._count) & (self._first_row >= 0)
        worlds = torch.where(valid, self._worlds, 0).long()
        rows = torch.where(valid, self._first_row, 0).long()
        # The first row of an elliptic contact is its normal force, on the second geom.
        force = (self._row_forces[worlds, rows] * valid).unsqueeze(-1) * self._normals
        force = torch.where(valid.unsqueeze(-1), force, 0.0)
        geoms = torch.where(valid.unsqueeze(-1), self._geoms, 0).long()
        shapes = self._geom_shapes[worlds.unsqueeze(-1), geoms].long()
        sensors = worlds.unsqueeze(-1) * (b + 1) + self._sensor[shapes]
        width = 1
        if quantity == "matrix":
            width = f + 1
            sensors = sensors * width + self._filter[shapes].flip(-1)
        total = torch.zeros(n * (b + 1) * width, 3, device=force.device)
        total.index_add_(0, sensors[:, 1], force).index_add_(0, sensors[:, 0], -force)
        if quantity == "matrix":
            self._buffers[quantity].copy_(total.view(n, b + 1, f + 1, 3)[:, :b, :f])
        else:
            self._buffers[quantity].copy_(total.view(n, b + 1, 3)[:, :b])

    def _push(self, quantity: str, mask: Tensor | None) -> None:
        raise EngineError(f"{self.name} cannot be written")
