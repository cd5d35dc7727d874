"""NVIDIA Warp, imported quietly."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from typing import Any

import torch


@functools.cache
def import_warp() -> Any:
    """The module `warp`, initialised, without its greeting.

    Raises:
        ImportError: If it is not installed; it comes with every engine.
    """
    import warp

    if hasattr(warp.config, "log_level"):
        warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)
    else:
        warp.config.quiet = True  # the versions that come with Isaac Sim
    # Its library complains on the console where there is no GPU.
    with contextlib.nullcontext() if torch.cuda.is_available() else _silence():
        warp.init()
    return warp


def torch_stream(device: torch.device) -> Any:
    """The stream that torch uses on a CUDA device now, for Warp: neither waits for the other.

    None on the CPU.
    """
    if device.type == "cpu":
        return None
    return _warp_stream(torch.cuda.current_stream(device))


@functools.cache
def _warp_stream(stream: torch.cuda.Stream) -> Any:
    return import_warp().stream_from_torch(stream)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing that native code writes to stderr is seen."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
