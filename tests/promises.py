"""Which rollouts are the same to the bit, as the documentation promises."""

from __future__ import annotations

import pytest
import torch


def repeats(engine: str, device: torch.device, *, touches: bool) -> bool:
    """Whether the same state, seed and actions give the same bits again.

    Newton adds up on CUDA in the order in which threads arrive, which is felt where bodies touch;
    its deterministic mode has a test of its own.
    """
    return not (engine == "newton" and device.type == "cuda" and touches)


def skip_unless_it_repeats(engine: str, device: torch.device, id: str) -> None:
    """Skips a test of bits where nobody promises them. Of the tasks, cartpoles touch nothing."""
    if not repeats(engine, device, touches="Cartpole" not in id):
        pytest.skip("newton's default mode does not repeat contacts to the bit on CUDA")


def restores(engine: str, device: torch.device, *, touches: bool) -> bool:
    """Whether a restored state has the future of the one that was saved, to the bit.

    PhysX keeps contacts from step to step (friction anchors, the order of pairs) where no call
    reads or writes them.
    """
    return repeats(engine, device, touches=touches) and not (engine == "physx" and touches)
