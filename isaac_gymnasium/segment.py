"""Runs of torch code within a step, recorded as CUDA graphs.

A step of a task is a few hundred small tensor operations, and on a GPU launching them costs more
than computing them. A `Segment` watches such a run a few times, then records it and replays it as
one launch. Where the engine can be captured, the run is the whole step, physics included; elsewhere
it must not need the engine in its middle. It only does so where that is sure to give the same
result: the run must not look at tensor values on the host, and the task must not bind its
attributes to other tensors or numbers from step to step. What cannot be recorded runs as it is, and
a log line says why. What is rebound later (a parameter, a buffer) is noticed, and recorded anew.
"""

from __future__ import annotations

import collections
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import Tensor

from isaac_gymnasium.engines.base import Engine, Record, View
from isaac_gymnasium.task import Task

logger = logging.getLogger("isaac_gymnasium.graphs")

Result = TypeVar("Result")
_WATCHED_RUNS = 3
"""The first run may create what the others keep; the second and the third have to agree."""


class Segment(Generic[Result]):
    """A part of a step that is recorded once it has shown what it does.

    Args:
        function: Takes no arguments; reads and writes persistent tensors and returns tensors.
        engine: The engine it works with.
        task: The task it works with; changing one of its parameters records anew.
        enabled: Whether to record at all.
        with_engine: Whether the function calls the engine, and leaves it up to date.
    """

    def __init__(
        self,
        function: Callable[[], Result],
        engine: Engine,
        task: Task,
        *,
        enabled: bool,
        with_engine: bool = False,
    ) -> None:
        self._function = function
        self._engine = engine
        self._task = task
        self._enabled = enabled and engine.device.type == "cuda"
        self._with_engine = with_engine
        self._forget()

    def _forget(self) -> None:
        self._runs = 0
        self._revision = self._task.revision
        self._graph: Callable[[], None] | None = None
        self._bound: dict[str, Any] = {}
        self._record: Record
        self._result: Result

    def __call__(self) -> Result:
        """Runs the function; its tensors are valid until the next call."""
        # A wrench from before the step would have to be one that the graph knows.
        unusual = self._engine.recording or (self._with_engine and self._engine.waiting_wrenches)
        if not self._enabled or unusual:
            return self._function()
        bound = _bindings(self._task)
        rebound = _difference(self._bound, bound)
        if self._revision != self._task.revision or (rebound and self._graph is not None):
            self._forget()
        elif rebound and self._runs >= _WATCHED_RUNS - 1:
            kind = type(self._task).__name__
            self._give_up(f"{kind}.{rebound} is rebound in a step; change it in place instead")
            return self._function()
        self._bound = bound
        if self._graph is not None:
            self._engine.prefetch(self._record)
            self._graph()
            self._engine.replay(self._record)
            return self._result
        self._runs += 1
        return self._watch() if self._runs <= _WATCHED_RUNS else self._capture()

    def _watch(self) -> Result:
        with self._engine.record(strict=False, with_engine=self._with_engine) as record:
            result = self._function()
        if record.obstacle:
            self._give_up(record.obstacle)
        self._record = record
        return result

    def _capture(self) -> Result:
        self._engine.prefetch(self._record)
        try:
            with self._engine.record(strict=True, with_engine=self._with_engine) as record:
                graph, result = self._engine.capture(self._function)
        except Exception as error:
            self._give_up(str(error).strip().splitlines()[0])
            return self._function()
        self._record, self._result, self._graph = record, result, graph
        graph()
        return result

    def _give_up(self, why: str) -> None:
        self._enabled = False
        logger.warning(
            "%s: %s runs without a CUDA graph, which is slower: %s",
            type(self._task).__name__,
            self._function.__name__.strip("_"),
            why,
        )


def _bindings(task: Task) -> dict[str, Any]:
    """Tensors and plain values that a task, its helpers and their containers are bound to, by name.

    The tensors themselves, not their ids: an id may come back once its tensor is gone.
    """
    owners: dict[str, object] = {"": task}
    for name, value in vars(task).items():
        plain = isinstance(value, (type, Tensor, Engine, View))
        if hasattr(value, "__dict__") and not plain:
            owners[f"{name}."] = value
    bound: dict[str, Any] = {}
    for prefix, owner in owners.items():
        for name, value in vars(owner).items():
            if isinstance(value, (list, tuple, collections.deque)):
                bound |= {f"{prefix}{name}[{k}]": v for k, v in enumerate(value) if _counts(v)}
            elif isinstance(value, dict):
                bound |= {f"{prefix}{name}[{k!r}]": v for k, v in value.items() if _counts(v)}
            elif _counts(value):
                bound[prefix + name] = value
    return bound


def _counts(value: object) -> bool:
    return value is None or isinstance(value, (Tensor, bool, int, float, str))


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """The first name that is bound to something else, if any."""
    for name in after.keys() | before.keys():
        old, new = before.get(name), after.get(name)
        if old is not new and (isinstance(old, Tensor) or isinstance(new, Tensor) or old != new):
            return name
    return None
