"""`Recorded`: a wrapper's arithmetic as one CUDA graph.

The usual stack of wrappers is some fifty tensor operations on a few thousand numbers each, and on a
GPU every one of them costs about ten microseconds to launch and next to nothing to run. Replayed as
a graph they cost one launch, beside those that copy the arguments in and the results out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger("isaac_gymnasium.wrappers")

_PLAIN_RUNS = 3
"""Runs before one is recorded; they make what the function keeps, and load its kernels."""


class Recorded:
    """A function of tensors that is recorded once on a GPU and replayed from then on.

    It must change its own state in place only, and its results must depend on nothing but this
    state, the arguments, and what it is told it depends on. On the CPU it runs as it is.

    Args:
        function: Takes tensors and returns a tuple of tensors.
        device: Where they live.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], device: torch.device) -> None:
        self._function = function
        self._enabled = device.type == "cuda"
        self._forget()

    def _forget(self) -> None:
        self._runs = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._signature: list[Any] = []
        self._arguments: list[Tensor] = []
        self._results: tuple[Tensor, ...] = ()

    def __call__(self, *arguments: Tensor, given: Sequence[object] = ()) -> tuple[Tensor, ...]:
        """Runs the function; what it returns is the caller's.

        Args:
            *arguments: Tensors, not changed.
            given: What else the function depends on; if one is another object than in the last
                call, the function is recorded anew.
        """
        if not self._enabled:
            return self._function(*arguments)
        signature = [*given, *((a.shape, a.dtype) for a in arguments)]
        if not _same(signature, self._signature):
            self._forget()
            self._signature = signature
        if self._graph is None:
            self._runs += 1
            if self._runs <= _PLAIN_RUNS or not self._record(arguments):
                return self._function(*arguments)
        else:
            for kind in {a.dtype for a in arguments}:
                pairs = [
                    p for p in zip(self._arguments, arguments, strict=True) if p[1].dtype == kind
                ]
                torch._foreach_copy_([p[0] for p in pairs], [p[1] for p in pairs])
        assert self._graph is not None
        self._graph.replay()
        return tuple(result.clone() for result in self._results)

    def _record(self, arguments: Sequence[Tensor]) -> bool:
        """Records the function; it has not run yet then. False where that cannot be done."""
        self._arguments = [argument.clone() for argument in arguments]
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads, PhysX's among them, may go on using CUDA meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._results = self._function(*self._arguments)
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


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two lists hold the same objects, shapes and dtypes compared by value."""
    return len(a) == len(b) and all(
        x is y or (isinstance(x, tuple) and x == y) for x, y in zip(a, b, strict=True)
    )
