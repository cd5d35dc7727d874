"""Checkpoints: everything a run goes on from, in one file that is never half written."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._recorder import RecordTraining
from isaac_gymnasium.integrations.trainer import Trainer

NAME = "checkpoint.pt"
_FORMAT = 1


def save_checkpoint(folder: Path, trainer: Trainer[Any], env: RecordTraining) -> None:
    """Replace the checkpoint of a run folder in one move.

    Args:
        folder: the run folder.
        trainer: its algorithm, between two updates.
        env: the environment it steps; its state is kept where it can tell it.
    """
    state = {
        "format": _FORMAT,
        "trainer": trainer.state_dict(),
        "environment": env.get_state() if _has_state(env) else None,
        "random": _random_state(),
    }
    unfinished = folder / f"{NAME}.tmp"
    with unfinished.open("wb") as file:
        torch.save(state, file)
        # On the disk before the name points to it, or a crash of the machine could lose both.
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / NAME)


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The checkpoint of a run folder, on the CPU.

    Raises:
        UserError: there is none, or it is of another version of this package.
    """
    path = folder / NAME
    if not path.is_file():
        raise UserError(f"{folder} has no {NAME}")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if state.get("format") != _FORMAT:
        raise UserError(f"{path} must have the format {_FORMAT}, got {state.get('format')!r}")
    return state


def restore(state: dict[str, Any], trainer: Trainer[Any], env: RecordTraining) -> None:
    """Go back to where a checkpoint was written; the environment does so in its next reset."""
    trainer.load_state_dict(state["trainer"])
    if state["environment"] is not None:
        env.restore(state["environment"])
    _set_random_state(state["random"])


def _has_state(env: RecordTraining) -> bool:
    return hasattr(env.unwrapped, "get_state")


def _random_state() -> dict[str, Any]:
    name, keys, position, has_gauss, gauss = np.random.get_state()
    version, words, last = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
        # As plain numbers: arrays and tuples of NumPy are not among what weights_only reads.
        "numpy": [str(name), [int(k) for k in keys], int(position), int(has_gauss), float(gauss)],
        "python": [version, list(words), last],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
    version, words, last = state["python"]
    random.setstate((version, tuple(words), last))
