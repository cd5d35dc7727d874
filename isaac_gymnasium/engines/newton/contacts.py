"""Contact forces on named bodies, from what the solvers leave of their last step."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Contacts, EngineError

if TYPE_CHECKING:
    from isaac_gymnasium.engines.newton.engine import NewtonEngine
    from isaac_gymnasium.engines.newton.steel import Steel


class Touches(NamedTuple):
    """Contact points of all worlds.

    Attributes:
        worlds: (C,) int64.
        shapes: (C, 2) int64, of all worlds' shapes.
        force: (C, 3) normal force on the second shape, N; zero where there is no contact.
    """

    worlds: Tensor
    shapes: Tensor
    force: Tensor


class NewtonContacts(Contacts, abc.ABC):
    """Contact forces."""

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
        # The same for whatever bodies are asked about.
        touches = self.engine.once("touches", self._touches)
        sensors = touches.worlds.unsqueeze(-1) * (b + 1) + self._sensor[touches.shapes]
        width = 1
        if quantity == "matrix":
            width = f + 1
            sensors = sensors * width + self._filter[touches.shapes].flip(-1)
        total = self._sum(n * (b + 1) * width, sensors, touches.force)
        if quantity == "matrix":
            self._buffers[quantity].copy_(total.view(n, b + 1, f + 1, 3)[:, :b, :f])
        else:
            self._buffers[quantity].copy_(total.view(n, b + 1, 3)[:, :b])

    @abc.abstractmethod
    def _touches(self) -> Touches:
        """The contacts of the last physics step."""

    def _sum(self, rows: int, places: Tensor, force: Tensor) -> Tensor:
        """(rows, 3) sums of (C, 3) forces over the second of (C, 2) places, less the first."""
        total = force.new_zeros(rows, 3)
        return total.index_add_(0, places[:, 1], force).index_add_(0, places[:, 0], -force)

    def _push(self, quantity: str, mask: Tensor | None) -> None:
        raise EngineError(f"{self.name} cannot be written")


class MuJoCoContacts(NewtonContacts):
    """From the rows of MuJoCo's constraint solver."""

    def __init__(
        self, engine: NewtonEngine, solver: Any, bodies: Sequence[str], filters: Sequence[str]
    ) -> None:
        super().__init__(engine, bodies, filters)
        data, to_torch = solver.mjw_data, engine._wp.to_torch
        self._count = to_torch(data.nacon)
        self._geoms = to_torch(data.contact.geom)
        self._normals = to_torch(data.contact.frame).view(-1, 3, 3)[:, 0]
        self._worlds = to_torch(data.contact.worldid)
        self._first_row = to_torch(data.contact.efc_address)[:, 0]
        self._row_forces = to_torch(data.efc.force)
        self._geom_shapes = to_torch(solver.mjc_geom_to_newton_shape)
        self._slots = torch.arange(len(self._worlds), device=engine.device)
        # Where what is no contact adds nothing: were it one place, threads would queue for it.
        self._anywhere = self._slots % engine.num_envs

    def _touches(self) -> Touches:
        valid = (self._slots < self._count) & (self._first_row >= 0)
        worlds = torch.where(valid, self._worlds, self._anywhere)
        rows = torch.where(valid, self._first_row, 0).long()
        # The first row of an elliptic contact is its normal force, on the second geom.
        force = (self._row_forces[worlds, rows] * valid).unsqueeze(-1) * self._normals
        force = torch.where(valid.unsqueeze(-1), force, 0.0)
        geoms = torch.where(valid.unsqueeze(-1), self._geoms, 0).long()
        return Touches(worlds, self._geom_shapes[worlds.unsqueeze(-1), geoms].long(), force)


class SteelContacts(NewtonContacts):
    """From the impulses that Steel reports for each contact."""

    def __init__(
        self, engine: NewtonEngine, steel: Steel, bodies: Sequence[str], filters: Sequence[str]
    ) -> None:
        super().__init__(engine, bodies, filters)
        found, to_torch = steel.found, engine._wp.to_torch
        self._count = to_torch(found.rigid_contact_count)
        pairs = (found.rigid_contact_shape0, found.rigid_contact_shape1)
        self._pairs = [to_torch(shapes) for shapes in pairs]
        self._normals = to_torch(found.rigid_contact_normal)
        capacity = len(self._normals)
        self._forces = to_torch(steel.observed.contact_f)[:capacity, :3]
        self._slots = torch.arange(capacity, device=engine.device)
        self._anywhere = self._slots % engine.num_envs
        self._shape_count = int(engine.world.builder.shape_count)

    def _touches(self) -> Touches:
        valid = (self._slots < self._count).unsqueeze(-1)
        shapes = torch.where(valid, torch.stack(self._pairs, -1), 0).long()
        # Shapes that all worlds share come last.
        worlds = (shapes.amin(-1) // self._shape_count).clamp(max=self.engine.num_envs - 1)
        worlds = torch.where(valid.squeeze(-1), worlds, self._anywhere)
        # Told is the force on the first, friction included; the normal points to the second.
        pressure = -(self._forces * self._normals).sum(-1, keepdim=True)
        return Touches(worlds, shapes, torch.where(valid, pressure * self._normals, 0.0))

    def _sum(self, rows: int, places: Tensor, force: Tensor) -> Tensor:
        # In whole micronewtons, whose sum does not depend on the order in which threads add.
        total = torch.zeros(rows, 3, dtype=torch.int64, device=force.device)
        whole = (force.double() * _PER_NEWTON).round().long()
        total.index_add_(0, places[:, 1], whole).index_add_(0, places[:, 0], -whole)
        return (total.double() / _PER_NEWTON).float()


_PER_NEWTON = 1e6
