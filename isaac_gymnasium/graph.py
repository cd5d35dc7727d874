"""A function of tensors as one CUDA graph.

Where a function is a few dozen or a few hundred small operations, launching them costs a GPU more
time than computing them. `Graph` records them once and launches them as one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from isaac_gymnasium.garbage import garbage_kept
from isaac_gymnasium.tree import clone_tree, copy_all

logger = logging.getLogger("isaac_gymnasium.graphs")

Result = TypeVar("Result")

_WARM_UP_CALLS = 3
"""Libraries set themselves up, and choose their algorithms, in the first calls."""


@contextlib.contextmanager
def recording(
    graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream | None = None
) -> Iterator[None]:
    """Records the GPU work of what runs within, without doing any of it."""
    # A graph that is garbage must not be freed now: CUDA refuses, and the process ends. Other
    # threads, PhysX's among them, may go on using CUDA meanwhile.
    with (
        garbage_kept(),
        torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
    ):
        yield


class Graph(Generic[Result]):
    """Runs a function; on CUDA, after a few calls, by replaying a recording of it.

    The function has to do the same operations on the same persistent tensors in every call, must
    not look at values on the host, and may draw from torch's default random generator. It may
    compute gradients, if it sets those it starts from to None first. What cannot be recorded runs
    as it is, and a log line says why.

    Args:
        function: takes tensors, and None, as positional arguments, and does not change them;
            returns tensors, or dicts and tuples of them.
        device: where it computes; elsewhere than on CUDA the function is just called.
        enabled: False just calls the function.
        fresh: whether results are the caller's, at the price of copying them; else they are valid
            until the next call.
    """

    def __init__(
        self,
        function: Callable[..., Result],
        device: torch.device,
        *,
        enabled: bool = True,
        fresh: bool = False,
    ) -> None:
        self._function = function
        self._enabled = enabled and device.type == "cuda"
        self._fresh = fresh
        if self._enabled:
            self._stream = torch.cuda.Stream(device)
        self.forget()

    def forget(self) -> None:
        """Drops the recording, for instance after a persistent tensor was replaced."""
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._signature: list[Any] = []
        self._inputs: tuple[Tensor | None, ...] = ()
        self._result: Result

    def __call__(self, *inputs: Tensor | None, given: Sequence[object] = ()) -> Result:
        """The function's result.

        Args:
            *inputs: what it takes; where shapes or dtypes are others than in the last call, it is
                recorded anew.
            given: what else it depends on; recorded anew if one is another object than in the last
                call.
        """
        if not self._enabled:
            return self._function(*inputs)
        kinds = [None if each is None else (each.shape, each.dtype) for each in inputs]
        signature = [*given, *kinds]
        if not _same(signature, self._signature):
            self.forget()
            self._signature = signature
        if self._graph is None:
            self._calls += 1
            if self._calls <= _WARM_UP_CALLS:
                return self._warm_up(inputs)
            if not self._record(inputs):
                return self._function(*inputs)
        else:
            copy_all(_tensors(self._inputs), _tensors(inputs))
        assert self._graph is not None
        self._graph.replay()
        return clone_tree(self._result) if self._fresh else self._result

    def _warm_up(self, inputs: tuple[Tensor | None, ...]) -> Result:
        # On the stream of the recording: gradients are accumulated on the stream they began on.
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = self._function(*inputs)
        current.wait_stream(self._stream)
        return result

    def _record(self, inputs: tuple[Tensor | None, ...]) -> bool:
        """Records the function; it has not run yet then. False where that cannot be done."""
        self._inputs = tuple(None if given is None else given.clone() for given in inputs)
        graph = torch.cuda.CUDAGraph()
        try:
            with recording(graph, self._stream):
                self._result = self._function(*self._inputs)
        except Exception as error:
            self._enabled = False
            logger.warning(
                "%s runs without a CUDA graph, which is slower: %s",
                self._function.__qualname__,
                str(error).strip().splitlines()[0],
            )
            return False
        self._graph = graph
        return True


def _tensors(inputs: tuple[Tensor | None, ...]) -> list[Tensor]:
    return [given for given in inputs if given is not None]


def _same(a: list[Any], b: list[Any]) -> bool:
    """Whether two lists hold the same objects, shapes and dtypes compared by value."""
    return len(a) == len(b) and all(
        x is y or (isinstance(x, tuple) and x == y) for x, y in zip(a, b, strict=True)
    )
