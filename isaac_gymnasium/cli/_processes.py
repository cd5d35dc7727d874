"""The processes of `torchrun`: who this one is, and what they agree on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

# Its functions have the group of their import as a default: imported within one, by whatever
# library, they keep it and its threads alive to the end, where Python no longer bears them.
import torch.distributed.nn

from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.integrations.trainer import process_count, process_rank


@contextmanager
def join_processes(device: str) -> Iterator[str]:
    """Join the processes that `torchrun` started; without it, nothing happens.

    Args:
        device: what the user asked for.

    Yields:
        The device of this process: with several GPUs each its own.

    Raises:
        UserError: one GPU was asked for by number, or there are fewer than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    cuda = torch.cuda.is_available() if device == "auto" else device.startswith("cuda")
    if cuda:
        device = f"cuda:{_own_gpu(device)}"
        torch.cuda.set_device(torch.device(device))
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield device if cuda else "cpu"
    finally:
        dist.destroy_process_group()


def _own_gpu(device: str) -> int:
    if device not in ("auto", "cuda"):
        raise UserError(f"with torchrun every process has a GPU of its own, got --device {device}")
    index, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if index >= count:
        raise UserError(f"torchrun started more processes than there are GPUs: {count}")
    return index


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return process_rank() == 0


def any_process(*flags: bool) -> tuple[bool, ...]:
    """For each flag, whether it is set in any of the processes."""
    if process_count() == 1:
        return flags
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    shared = torch.tensor([float(flag) for flag in flags], device=device)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return tuple(value > 0 for value in shared.tolist())


def gather(value: Any) -> list[Any]:
    """The values of all processes in the first one; in the others a list without meaning."""
    if process_count() == 1:
        return [value]
    values: list[Any] = [None] * process_count()
    dist.gather_object(value, values if is_first() else None)
    return values
