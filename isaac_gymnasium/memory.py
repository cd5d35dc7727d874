"""How many environments fit: asked before anything is built, and told when memory runs out."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import torch

_LEAST, _USUAL = 16 * 1024, 128 * 1024
"""Bytes of an environment: less than any takes, and about what one with a robot takes."""
_MARGIN = 0.8
"""Share of what would just fit that is recommended: updates and the allocator need room, too."""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


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
        raise MemoryError(_refusal(num_envs, device, free))
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(_refusal(num_envs, device, free)) from error


@contextlib.contextmanager
def room_to_train(num_envs: int, device: torch.device) -> Iterator[None]:
    """Says with how many environments training would fit where it runs out of memory.

    Args:
        num_envs: Environments trained on, already made.
        device: Where they and the algorithm are.

    Raises:
        MemoryError: With the number that would fit, about.
    """
    free = available(device)
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        left = available(device)
        asked = taken = asked_for(error)
        if free is not None and left is not None:
            taken += max(0, free - left)
        message = f"training with {num_envs} environments ran out of the memory of {device}"
        if free is not None and taken > 0:
            # What an algorithm keeps and works with grows with the number of environments.
            fit = int(min(_MARGIN * num_envs * free / taken, num_envs // (1 if asked else 2)))
            message += f": with {free / 2**30:.1f} GiB for it, about {max(1, fit)} would fit"
        raise MemoryError(message) from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory has run out, on the host or on a device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # Engines, the CUDA driver and torch on the CPU have no type of their own for it.
    words = str(error).lower()
    return "out of memory" in words or "can't allocate memory" in words


def asked_for(error: Exception) -> int:
    """Bytes that the allocation asked for that failed; 0 where the error does not tell."""
    found = re.search(r"allocate ([\d.]+) (bytes|[KMGTPE]iB)", str(error))
    return int(float(found[1]) * 1024 ** _UNITS.index(found[2])) if found else 0


def _refusal(num_envs: int, device: torch.device, free: int | None) -> str:
    if free is None:
        return f"{num_envs} environments do not fit into the memory of {device}"
    fit = min(free // _USUAL, num_envs // 2)
    return (
        f"{num_envs} environments do not fit into the {free / 2**30:.1f} GiB that are free on "
        f"{device}; about {fit} would"
    )
