"""How many environments fit: asked before anything is built, and told when building fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_LEAST, _USUAL = 16 * 1024, 128 * 1024
"""Bytes of an environment: less than any takes, and about what one with a robot takes."""


def available(device: torch.device) -> int | None:
    """Free bytes of a device's memory; None where nobody can tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return None


@contextlib.contextmanager
def room_for(num_envs: int, device: torch.device) -> Iterator[None]:
    """Refuses what cannot fit, and says how many would where building runs out of memory.

    Raises:
        MemoryError: With the number that would fit, about.
    """
    free = available(device)
    if free is not None and num_envs * _LEAST > free:
        raise MemoryError(_message(num_envs, device, free))
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise MemoryError(_message(num_envs, device, free)) from error
    except RuntimeError as error:
        # Engines and the CUDA driver have no type of their own for it.
        if "out of memory" not in str(error).lower():
            raise
        raise MemoryError(_message(num_envs, device, free)) from error


def _message(num_envs: int, device: torch.device, free: int | None) -> str:
    if free is None:
        return f"{num_envs} environments do not fit into the memory of {device}"
    fit = min(free // _USUAL, num_envs // 2)
    return (
        f"{num_envs} environments do not fit into the {free / 2**30:.1f} GiB that are free on "
        f"{device}; about {fit} would"
    )
