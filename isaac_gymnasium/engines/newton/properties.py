"""Physical properties: which arrays of the model hold them, and in which units."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from isaac_gymnasium.engines.newton.drives import UNLIMITED_EFFORT
from isaac_gymnasium.engines.newton.materials import contact_gains
from isaac_gymnasium.engines.newton.world import UNLIMITED

if TYPE_CHECKING:
    from isaac_gymnasium.engines.newton.engine import NewtonEngine


class Property(NamedTuple):
    """Where a property lives.

    Attributes:
        flag: The `ModelFlags` that tells the solver of a change.
        arrays: The model's arrays; several are stacked in a last dimension.
    """

    flag: str
    arrays: tuple[str, ...]


_FORCE, _INERTIA = "JOINT_DOF_FORCE_PROPERTIES", "BODY_INERTIAL_PROPERTIES"
JOINT = {
    "dof_stiffness": Property(_FORCE, ("joint_target_ke",)),
    "dof_damping": Property(_FORCE, ("joint_target_kd",)),
    "dof_limits": Property(_FORCE, ("joint_limit_lower", "joint_limit_upper")),
    "dof_max_velocity": Property(_FORCE, ("joint_velocity_limit",)),
    "dof_max_effort": Property(_FORCE, ("joint_effort_limit",)),
    "dof_armature": Property("JOINT_DOF_INERTIAL_PROPERTIES", ("joint_armature",)),
    # PhysX's static and dynamic friction are one here; the viscous part is passive damping.
    "dof_friction": Property(_FORCE, ("joint_friction", "joint_friction", "joint_damping")),
}
BODY = {
    "mass": Property(_INERTIA, ("body_mass",)),
    "center_of_mass": Property(_INERTIA, ("body_com",)),
    "inertia": Property(_INERTIA, ("body_inertia",)),
}
SHAPE = {
    "material": Property(
        "SHAPE_PROPERTIES",
        ("shape_material_mu", "shape_material_mu", "shape_material_restitution"),
    ),
}
# What Newton itself takes for no limit.
_LIMITLESS = {"dof_limits": 1e10, "dof_max_effort": UNLIMITED_EFFORT}


class Properties:
    """The properties of one robot or rigid body in every environment.

    Args:
        engine: The engine whose model holds them.
        places: Tables of properties, each with the columns of the model's arrays it is about.
    """

    def __init__(
        self, engine: NewtonEngine, places: list[tuple[dict[str, Property], list[int]]]
    ) -> None:
        self._engine = engine
        self._columns = {
            name: (where, torch.tensor(columns, dtype=torch.int64, device=engine.device))
            for table, columns in places
            for name, where in table.items()
        }

    def get(self, name: str) -> Tensor:
        """(N, columns, ...) values on the engine's device.

        Raises:
            ValueError: If there is no such property; the message lists those there are.
        """
        where, columns = self._find(name)
        parts = [self._engine.array(array).index_select(1, columns) for array in where.arrays]
        values = parts[0] if len(parts) == 1 else torch.stack(parts, dim=-1)
        if name == "center_of_mass":
            # Not turned. A quaternion made here would have to wait for a GPU.
            values = pad(pad(values, (0, 3)), (0, 1), value=1.0)
        elif name == "inertia":
            values = values.flatten(2)
        elif name in _LIMITLESS:
            free = values.abs() >= _LIMITLESS[name]
            values = torch.where(free, UNLIMITED * values.sign(), values)
        return values

    def set(self, name: str, values: Tensor) -> None:
        """Writes (N, columns, ...) values on the engine's device, and has the solver told."""
        where, columns = self._find(name)
        if name == "center_of_mass":
            values = values[..., :3]
        elif name == "inertia":
            values = values.unflatten(-1, (3, 3))
        elif name in _LIMITLESS:
            values = values.clamp(-_LIMITLESS[name], _LIMITLESS[name])
        split = [values] if len(where.arrays) == 1 else values.unbind(-1)
        parts = dict(zip(where.arrays, split, strict=True))
        if name == "material":
            gains = contact_gains(values[..., 2], self._engine.dt)
            parts |= zip(("shape_material_ke", "shape_material_kd"), gains, strict=True)
        for array, part in parts.items():
            self._engine.array(array).index_copy_(1, columns, part.contiguous())
        self._engine.notify(where.flag)

    def _find(self, name: str) -> tuple[Property, Tensor]:
        if name not in self._columns:
            raise ValueError(f"no property {name!r}, have {sorted(self._columns)}")
        return self._columns[name]
