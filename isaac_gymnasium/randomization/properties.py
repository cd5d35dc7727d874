"""Physical properties of bodies as numbers that are drawn say, written only where they changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Articulation, Body, Engine, RigidBody
from isaac_gymnasium.randomization.terms import Term

Change = Callable[[Tensor, Tensor, Tensor], None]
"""Takes an array (R, items, components) to change, its nominal values, and numbers (R, K)."""

_LINKS = {"mass", "center_of_mass", "inertia"}
_JOINTS: dict[str, tuple[tuple[str, ...], slice]] = {
    "joint_stiffness": (("dof_stiffness",), slice(None)),
    "joint_damping": (("dof_damping",), slice(None)),
    "joint_armature": (("dof_armature",), slice(None)),
    "joint_friction": (("dof_friction",), slice(0, 2)),
    "joint_limits": (("dof_limits",), slice(None)),
    "effort_limit": (("dof_max_effort",), slice(None)),
    "velocity_limit": (("dof_max_velocity",), slice(None)),
    "actuator_strength": (("dof_stiffness", "dof_damping"), slice(None)),
}
_MATERIAL = {"friction": slice(0, 2), "restitution": slice(2, 3)}
# A body without mass, or with a negative one, is none.
_SMALLEST_SHARE = 0.01


def is_property(target: str) -> bool:
    """Whether a target is a property of a body, or gravity."""
    return target in _LINKS or target in _JOINTS or target in _MATERIAL or target == "gravity"


def operate(term: Term, nominal: Tensor, values: Tensor) -> Tensor:
    """What a term makes of a nominal value."""
    if term.operation == "scale":
        return nominal * values
    return nominal + values if term.operation == "additive" else values.expand_as(nominal)


def joints(robot: Body, term: Term) -> list[int]:
    """Indices of the joints a term names.

    Raises:
        ValueError: If the body is no robot or a name is unknown.
    """
    if not isinstance(robot, Articulation):
        raise ValueError(f"{term.target}: {robot.name} is no robot, it has no joints")
    names = robot.dof_names if term.names is None else list(term.names)
    return robot.dof_index(names)


def _links(body: Body, term: Term) -> list[int]:
    if isinstance(body, Articulation):
        names = body.link_names if term.names is None else list(term.names)
        return [body.link_index(name) for name in names]
    if term.names is not None:
        raise ValueError(f"{term.target}: {body.name} is one body, names must be None")
    return [0]


class Property:
    """One property of a body in every environment, and the terms that act on it.

    Args:
        body: The body.
        name: As `Body.get_property` knows it.
    """

    def __init__(self, body: Body, name: str) -> None:
        self._body, self._name = body, name
        found = body.get_property(name).cpu()
        self._shape = found.shape
        if not found.numel():
            raise ValueError(f"{body.name} has no {name}, since nothing of it collides")
        items = 1 if isinstance(body, RigidBody) and name != "material" else found.shape[1]
        self.nominal = found.reshape(len(found), items, -1)
        self._current = self.nominal.clone()
        self.changes: list[tuple[str, Change]] = []

    def write(self, rows: Tensor, numbers: dict[str, Tensor]) -> None:
        """Works the values of rows out anew.

        Args:
            rows: (N,) bool, on the CPU.
            numbers: (N, K) for each term, on the CPU.
        """
        nominal = self.nominal[rows]
        new = nominal.clone()
        for name, change in self.changes:
            change(new, nominal, numbers[name][rows])
        different = rows.clone()
        different[rows] = (new != self._current[rows]).flatten(1).any(-1)
        if bool(different.any()):
            current = self._current.clone()
            current[rows] = new
            self._body.set_property(self._name, current.view(self._shape), different)
            self._current = current  # not before: what has failed is still to be written


class Gravity:
    """The acceleration along z in every environment; has the methods of `Property`."""

    def __init__(self, engine: Engine, num_envs: int) -> None:
        self._engine = engine
        self.nominal = torch.full((num_envs, 1, 1), engine.scene.settings.gravity)
        self._current = self.nominal.clone()
        self.changes: list[tuple[str, Change]] = []
        engine.set_gravity(self.nominal.flatten())  # refused here where it would be later

    def write(self, rows: Tensor, numbers: dict[str, Tensor]) -> None:
        """See `Property.write`."""
        nominal = self.nominal[rows]
        new = nominal.clone()
        for name, change in self.changes:
            change(new, nominal, numbers[name][rows])
        self._current[rows] = new
        self._engine.set_gravity(self._current.flatten(), rows)


Store = dict[tuple[str, str], Property | Gravity]


def bind(name: str, term: Term, engine: Engine, body: Body | None, store: Store) -> int:
    """Lets a term act on the properties it is about.

    Args:
        name: The term's own.
        term: Of a property.
        engine: Of the body.
        body: The body; None for gravity.
        store: Properties so far, which terms share.

    Returns:
        How many numbers the term needs in an environment.

    Raises:
        ValueError: If the body has no such joints or links.
    """
    if term.target == "gravity":
        key = ("", "gravity")
        if key not in store:
            store[key] = Gravity(engine, engine.num_envs)
        store[key].changes.append((name, _change(term, [0], slice(None), low=None)))
        return 1
    assert body is not None

    def of(what: str) -> Property:
        if (body.name, what) not in store:
            store[body.name, what] = Property(body, what)
        found = store[body.name, what]
        assert isinstance(found, Property)
        return found

    if term.target in _MATERIAL:
        if term.names is not None:
            raise ValueError(f"{term.target}: of all shapes of a body, names must be None")
        material = of("material")
        items = list(range(material.nominal.shape[1]))
        high = 1.0 if term.target == "restitution" else None
        change = _change(term, items, _MATERIAL[term.target], low=0.0, high=high)
        material.changes.append((name, change))
        return len(items)
    if term.target in _JOINTS:
        items = joints(body, term)
        properties, part = _JOINTS[term.target]
        for what in properties:
            low = None if term.target == "joint_limits" else 0.0
            of(what).changes.append((name, _change(term, items, part, low=low)))
        return len(items)
    items = _links(body, term)
    if term.target == "center_of_mass":
        of("center_of_mass").changes.append((name, _shift(term, items)))
        return 3 * len(items)
    if term.target == "mass":
        mass = of("mass")
        mass.changes.append((name, _change(term, items, slice(None), low=None)))
        # A heavier body of the same shape turns as much harder.
        of("inertia").changes.append((name, _with_mass(term, items, mass.nominal)))
    else:
        of("inertia").changes.append((name, _change(term, items, slice(None), low=None)))
    return len(items)


def _change(
    term: Term,
    items: Sequence[int],
    part: slice,
    *,
    low: float | None,
    high: float | None = None,
) -> Change:
    def change(array: Tensor, nominal: Tensor, numbers: Tensor) -> None:
        new = operate(term, array[:, items, part], numbers.unsqueeze(-1))
        if low is not None:
            new = new.clamp(low, high)
        if term.target in ("mass", "inertia"):
            least = _SMALLEST_SHARE * nominal[:, items, part]
            # Products of inertia may have either sign.
            new = torch.where(new.abs() < least.abs(), least, new)
            new = torch.where((new < least) & (least > 0), least, new)
        array[:, items, part] = new

    return change


def _shift(term: Term, items: Sequence[int]) -> Change:
    def change(array: Tensor, nominal: Tensor, numbers: Tensor) -> None:
        values = numbers.unflatten(-1, (len(items), 3))
        array[:, items, :3] = operate(term, array[:, items, :3], values)

    return change


def _with_mass(term: Term, items: Sequence[int], masses: Tensor) -> Change:
    first = masses[:1, items]  # nominal masses are the same in every environment

    def change(array: Tensor, nominal: Tensor, numbers: Tensor) -> None:
        mass = first.expand(len(array), -1, -1)
        new = torch.maximum(operate(term, mass, numbers.unsqueeze(-1)), _SMALLEST_SHARE * mass)
        array[:, items] *= new / mass

    return change
