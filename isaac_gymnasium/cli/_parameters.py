"""A task's parameters as options of the command line."""

from __future__ import annotations

import re
import sys
import typing
from dataclasses import MISSING, Field, dataclass, field, fields, make_dataclass
from typing import Annotated, Any

import gymnasium
import tyro

from isaac_gymnasium.task import Task, find_task


@dataclass(kw_only=True)
class Parameters:
    """Parameters of the task; subclasses made by `task_parameters` have them as fields."""

    def changed(self) -> dict[str, Any]:
        """The parameters that are not the task's defaults."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if getattr(self, item.name) != item.default
        }


def task_parameters(id: str) -> Parameters:
    """The parameters of a registered task, at their defaults.

    A parameter whose default is no number, text, truth value or tuple of them is left out, and so
    is everything of an environment that is no task of this package; `--env KEY=VALUE` sets those.

    Args:
        id: environment ID, without a module in front; unknown IDs have no parameters.
    """
    spec = gymnasium.registry.get(id)
    if spec is None or "task" not in spec.kwargs:
        return Parameters()
    task = find_task(spec.kwargs["task"])
    words = _documentation(task)
    options = [
        (
            item.name,
            Annotated[kind, tyro.conf.arg(help=words.get(item.name, ""))],
            field(default=item.default),
        )
        for item in fields(task)
        if item.init and (kind := _kind(task, item)) is not None
    ]
    made: type[Parameters] = make_dataclass(
        "Parameters", options, bases=(Parameters,), kw_only=True
    )
    made.__doc__ = f"Parameters of {id}."
    return made()


def _kind(task: type[Task], item: Field[Any]) -> Any:
    """The type of an option for a field; None if it cannot be one."""
    if item.default is MISSING or item.default is None:
        return None
    kind = _annotation(task, item)
    if typing.get_origin(kind) is typing.Literal:
        return kind
    if isinstance(item.default, (bool, int, float, str)):
        # An integer as the default of what may be any number.
        return float if kind is float else type(item.default)
    if isinstance(item.default, tuple) and item.default:
        kinds = {type(value) for value in item.default}
        if kinds in ({int}, {float}, {str}, {int, float}):
            same = float if float in kinds else kinds.pop()
            return tuple.__class_getitem__((same,) * len(item.default))
    return None


def _annotation(task: type[Task], item: Field[Any]) -> Any:
    """A field's annotation, read in the module of the class that has it; None where that fails."""
    if not isinstance(item.type, str):
        return item.type
    for owner in task.__mro__:
        if item.name in vars(owner).get("__annotations__", {}):
            try:
                return eval(item.type, vars(sys.modules[owner.__module__]))
            except Exception:  # names that only a type checker imports
                return None
    return None


def _documentation(task: type[Task]) -> dict[str, str]:
    """What the docstrings say of each parameter: `* name, name: text` and Google's `name: text`."""
    found: dict[str, str] = {}
    for owner in reversed(task.__mro__):
        names: list[str] = []
        for line in (owner.__doc__ or "").splitlines():
            entry = re.match(r"\s*(?:\* )?((?:`?\w+`?, )*`?\w+`?): (.*)", line)
            if entry:
                names = re.findall(r"\w+", entry[1])
                found |= dict.fromkeys(names, entry[2])
            elif names and line.strip() and not line.lstrip().startswith(("*", "#")):
                found |= {name: f"{found[name]} {line.strip()}" for name in names}
            else:
                names = []
    return found
