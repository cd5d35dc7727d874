"""A function of tensors as one CUDA graph.

Where a function is a few hundred small operations, launching them costs a GPU more time than
computing them. `Graph` records them once and launches them as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from isaac_gymnasium.tree import copy_all

Result = TypeVar("Result")

_WARM_UP_CALLS = 3
"""Libraries set themselves up, and choose their algorithms, in the first calls."""


class Graph(Generic[Result]):
    """Runs a function; on CUDA, after a few calls, by replaying a recording of it.

    The function has to do the same operations on the same persistent tensors in every call, must
    not look at values on the host, and may draw from torch's default random generator. It may
    compute gradients, if it sets those it starts from to None first.

    Args:
        function: takes tensors, and None, as positional arguments; returns tensors, or dicts,
            lists and tuples of them.
        device: where it computes; elsewhere than on CUDA the function is just called.
        enabled: False just calls the function.
    """

    def __init__(
        self, function: Callable[..., Result], device: torch.device, *, enabled: bool = True
    ) -> None:
        self._function = function
        self._enabled = enabled and device.type == "cuda"
        if self._enabled:
            self._stream = torch.cuda.Stream(device)
        self.forget()

    def forget(self) -> None:
        """Drops the recording, for instance after a persistent tensor was replaced."""
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor | None, ...] = ()
        self._result: Result

    def __call__(self, *inputs: Tensor | None) -> Result:
        """The function's result; once it is recorded, its tensors are valid until the next call."""
        if not self._enabled:
            return self._function(*inputs)
        if self._graph is None or _kinds(inputs) != _kinds(self._inputs):
            if self._graph is not None:
                self.forget()
            self._calls += 1
            if self._calls > _WARM_UP_CALLS:
                return self._record(inputs)
            return self._warm_up(inputs)
        copy_all(_tensors(self._inputs), _tensors(inputs))
        self._graph.replay()
        return self._result

    def _warm_up(self, inputs: tuple[Tensor | None, ...]) -> Result:
        # On the stream of the recording: gradients are accumulated on the stream they began on.
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = self._function(*inputs)
        current.wait_stream(self._stream)
        return result

    def _record(self, inputs: tuple[Tensor | None, ...]) -> Result:
        self._inputs = tuple(None if given is None else given.clone() for given in inputs)
        graph = torch.cuda.CUDAGraph()
        # Other threads, PhysX's among them, may go on using CUDA meanwhile.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._result = self._function(*self._inputs)
        self._graph = graph
        graph.replay()
        return self._result


def _tensors(inputs: tuple[Tensor | None, ...]) -> list[Tensor]:
    return [given for given in inputs if given is not None]


def _kinds(inputs: tuple[Tensor | None, ...]) -> list[Any]:
    return [None if given is None else (given.shape, given.dtype) for given in inputs]
