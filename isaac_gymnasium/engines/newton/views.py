"""Robots and free bodies as columns of the simulation's own arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Articulation, Body, EngineError, RigidBody
from isaac_gymnasium.engines.newton import properties
from isaac_gymnasium.engines.newton.properties import Properties
from isaac_gymnasium.transforms import quat_rotate, sum_in_order

if TYPE_CHECKING:
    from isaac_gymnasium.engines.newton.engine import NewtonEngine


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device; a GPU is not waited for, as it would be without pinned memory."""
    if device.type != "cuda" or values.device == device:
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


class _Places:
    """Places along a dimension; those that are consecutive are taken as a view."""

    def __init__(self, places: Sequence[int], device: torch.device) -> None:
        self.first, self.count = places[0] if places else 0, len(places)
        self.index: Tensor | None = None
        if list(places) != list(range(self.first, self.first + self.count)):
            self.index = torch.tensor(places, device=device)

    def of(self, array: Tensor, dim: int) -> Tensor:
        if self.index is None:
            return array.narrow(dim, self.first, self.count)
        return array.index_select(dim, self.index)


class _Columns:
    """Some columns of an (N, width, ...) array: a view of it where they are consecutive."""

    def __init__(self, array: Tensor, columns: Sequence[int]) -> None:
        places = _Places(columns, array.device)
        self._array, self._index = array, places.index
        self.buffer = places.of(array, 1)

    def read(self) -> None:
        if self._index is not None:
            torch.index_select(self._array, 1, self._index, out=self.buffer)

    def write(self) -> None:
        # Rows that were not written hold what was read, so that all of them may go.
        if self._index is not None:
            self._array.index_copy_(1, self._index, self.buffer)


class _NewtonBody(Body):
    """Quantities as columns of the engine's arrays, and properties of the model."""

    engine: NewtonEngine
    _properties: Properties

    def __init__(self, engine: NewtonEngine, name: str) -> None:
        super().__init__(engine, name)
        self._columns: dict[str, _Columns] = {}

    def _bind(self, quantity: str, array: Tensor, columns: Sequence[int]) -> None:
        self._columns[quantity] = _Columns(array, columns)

    def _pull(self, quantity: str) -> None:
        self._columns[quantity].read()

    def _push(self, quantity: str, mask: Tensor | None) -> None:
        self._columns[quantity].write()

    def _get_property(self, name: str) -> Tensor:
        values = self._properties.get(name).cpu()
        return values[:, 0] if self._single(name) else values

    def _set_property(self, name: str, values: Tensor, mask: Tensor | None) -> None:
        old = self._properties.get(name)
        new = sent(values.to(torch.float32), old.device)
        new = (new.unsqueeze(1) if self._single(name) else new).expand(old.shape)
        if mask is not None:
            rows = sent(mask, old.device).view(-1, *([1] * (old.dim() - 1)))
            new = torch.where(rows, new, old)
        self._properties.set(name, new)

    def _renew_properties(self) -> None:
        """The model outlives a restart, and with it what was changed in it."""

    def _single(self, name: str) -> bool:
        return isinstance(self, RigidBody) and name in properties.BODY


class NewtonArticulation(_NewtonBody, Articulation):
    """A robot."""

    def __init__(self, engine: NewtonEngine, name: str) -> None:
        super().__init__(engine, name)
        path = engine.path(name)
        rooted_at = engine.scene.articulation_root(name)
        if rooted_at is None:
            raise EngineError(f"{path}: no articulation here. {engine.holds()}")
        self.layout = layout = engine.world.articulation(rooted_at)
        self.dof_names, self.link_names = layout.dof_names, layout.link_names
        self.fixed_base = layout.root is None
        if not self.dof_names:
            raise EngineError(
                f"{path}: the articulation has no degrees of freedom; check that its joints point "
                "at its links"
            )
        state, control = engine.state, engine.control
        q, qd = engine.array("joint_q", of=state), engine.array("joint_qd", of=state)
        body_q, body_qd = engine.array("body_q", of=state), engine.array("body_qd", of=state)
        self._bind("dof_pos", q, layout.coords)
        self._bind("dof_vel", qd, layout.dofs)
        self._bind("dof_targets", engine.array("joint_target_q", of=control), layout.coords)
        self._bind("dof_velocity_targets", engine.array("joint_target_qd", of=control), layout.dofs)
        self._bind("dof_efforts", engine.array("joint_f", of=control), layout.dofs)
        self._bind("link_pose", body_q, layout.links)
        self._bind("link_vel", body_qd, layout.links)
        if layout.root is not None:
            self._bind("root_pose", q, range(layout.root[0], layout.root[0] + 7))
            self._bind("root_vel", qd, range(layout.root[1], layout.root[1] + 6))
        self._computed: dict[str, Callable[[], Tensor]] = {
            "root_pose": lambda: self.link_pose[:, 0],
            "root_vel": lambda: self.link_vel[:, 0],
            "jacobian": self._jacobian,
            "mass_matrix": self._mass_matrix,
            "gravity_force": self._gravity_force,
        }
        colliders = engine.world.colliders(layout.links)
        self._properties = Properties(
            engine,
            [
                (properties.JOINT, layout.dofs),
                (properties.BODY, layout.links),
                (properties.SHAPE, colliders),
            ],
        )
        self.dof_limits = self.get_property("dof_limits")[0].to(engine.device)
        self.effort_limits = self.get_property("dof_max_effort")[0].to(engine.device)
        self.velocity_limits = self.get_property("dof_max_velocity")[0].to(engine.device)
        device = engine.device
        root = [] if layout.root is None else range(6)
        self._rows = _Places(layout.rows, device)
        self._dofs = _Places(layout.dofs, device)
        # A fixed root has no row in the Jacobian, and its weight moves no joint.
        self._weights = _Places(layout.links[int(self.fixed_base) :], device)
        self._generalised = _Places([*root, *layout.columns], device)

    def _allocate(self, quantity: str) -> Tensor:
        if quantity in self._columns:
            return self._columns[quantity].buffer
        if quantity not in self._computed:
            raise EngineError(f"{self.name}: engine 'newton' has no {quantity}")
        return self._computed[quantity]().clone()

    def _pull(self, quantity: str) -> None:
        if quantity in self._columns:
            super()._pull(quantity)
        else:
            self._buffers[quantity].copy_(self._computed[quantity]())

    def write_root_state(self, pose: Tensor, vel: Tensor, mask: Tensor | None = None) -> None:
        if self.fixed_base:
            raise EngineError(f"{self.name}: its base is bolted to the world and cannot be moved")
        super().write_root_state(pose, vel, mask)

    def _jacobian(self) -> Tensor:
        found = self._rows.of(self.engine.jacobians()[:, self.layout.index], 1)
        found = self._generalised.of(found, -1)
        return found[:, 1:] if self.fixed_base else found

    def _mass_matrix(self) -> Tensor:
        found = self.engine.mass_matrices()[:, self.layout.index]
        found = self._generalised.of(self._generalised.of(found, 1), 2).clone()
        # PhysX's has no armature in it.
        armature = self._dofs.of(self.engine.array("joint_armature"), 1)
        found.diagonal(dim1=1, dim2=2)[:, -self.num_dofs :] -= armature
        return found

    def _gravity_force(self) -> Tensor:
        engine, links = self.engine, self._weights
        comp = links.of(engine.array("gravcomp", of=engine.model.mujoco), 1)
        mass = links.of(engine.array("body_mass"), 1) * (1.0 - comp)
        # The row beyond the worlds' is that of what they share.
        gravity: Tensor = engine._wp.to_torch(engine.model.gravity)[: engine.num_envs]
        weight = mass.unsqueeze(-1) * gravity.unsqueeze(1)
        pulls = sum_in_order(self.jacobian[:, :, :3] * weight.unsqueeze(-1), 2)
        return -sum_in_order(pulls, 1)


class NewtonRigidBody(_NewtonBody, RigidBody):
    """A free rigid body."""

    def __init__(self, engine: NewtonEngine, name: str) -> None:
        super().__init__(engine, name)
        path = engine.path(name)
        try:
            self._body, coord, dof = engine.world.free_body(path)
        except EngineError as error:
            raise EngineError(f"{error}. {engine.holds()}") from None
        state = engine.state
        self._bind("pose", engine.array("joint_q", of=state), range(coord, coord + 7))
        self._bind("vel", engine.array("joint_qd", of=state), range(dof, dof + 6))
        colliders = engine.world.colliders([self._body])
        self._properties = Properties(
            engine, [(properties.BODY, [self._body]), (properties.SHAPE, colliders)]
        )

    def _allocate(self, quantity: str) -> Tensor:
        return self._columns[quantity].buffer

    def apply(self, wrench: Tensor) -> None:
        """Applies (N, 6) force at the body's origin and torque during the next physics step."""
        engine = self.engine
        center = engine.array("body_com")[:, self._body]
        # The solver wants the force at the centre of mass.
        arm = -quat_rotate(self._columns["pose"].buffer[:, 3:7], center)
        force, torque = wrench[:, :3], wrench[:, 3:]
        moved = torque + torch.linalg.cross(arm, force)
        pushed = torch.cat((force, moved), dim=-1)
        engine._body_f[:, self._body] = engine.lasting_force[:, self._body] + pushed
