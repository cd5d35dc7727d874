"""Buffers of the solver that were too small, noticed without making the GPU wait for the host."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

_LOOK_EVERY = 64
"""Control steps between two looks at what a GPU has noted."""


class Overflow:
    """Notes overflows after each control step, and warns once.

    Args:
        flags: Returns (N,) int32 bits that the solver has set in the last physics step.
        lost: The bits that mean that something was dropped.
    """

    def __init__(self, flags: Callable[[], Tensor], lost: int) -> None:
        self._flags = flags
        self._lost = lost
        self._seen = torch.zeros_like(flags())
        self._on_host: Tensor | None = None
        self._copied: torch.cuda.Event | None = None
        self._steps = 0
        self._warned = False

    def note(self) -> None:
        """Keeps what the last physics step has set; part of a recorded step."""
        self._seen |= self._flags()

    def look(self) -> None:
        """Warns of what has been noted; a GPU's notes arrive some steps later."""
        if self._warned:
            return
        if self._seen.device.type == "cpu":
            self._tell(self._found())
            return
        self._steps += 1
        if self._copied is not None and self._on_host is not None:
            if self._copied.query():
                self._copied = None
                self._tell(self._on_host)
        elif self._steps % _LOOK_EVERY == 0:
            if self._on_host is None:
                self._on_host = torch.zeros((), dtype=torch.bool, pin_memory=True)
            self._on_host.copy_(self._found(), non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def close(self) -> None:
        """Warns of what has not been looked at yet."""
        if not self._warned:
            self._tell(self._found())

    def _found(self) -> Tensor:
        return (self._seen & self._lost).any()

    def _tell(self, found: Tensor) -> None:
        if bool(found):
            self._warned = True
            warnings.warn(
                "Newton dropped contacts, its buffers are too small: raise "
                "PhysicsSettings.contacts_per_env of the task",
                RuntimeWarning,
                stacklevel=4,
            )
