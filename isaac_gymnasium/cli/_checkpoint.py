"""Checkpoints: everything a run goes on from, in one file that is never half written."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isaac_gymnasium import tensor_file
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._processes import gather, is_first
from isaac_gymnasium.cli._recorder import RecordTraining
from isaac_gymnasium.integrations.trainer import Trainer, process_count, process_rank

NAME = "checkpoint.pt"
_FORMAT = 1


def save_checkpoint(folder: Path, trainer: Trainer[Any], env: RecordTraining) -> None:
    """Replace the checkpoint of a run folder in one move.

    Every process calls it; the first one writes.

    Args:
        folder: the run folder.
        trainer: its algorithm, between two updates.
        env: the environment it steps; its state is kept where it can tell it.
    """
    environments = gather(_on_host(env.get_state()) if _has_state(env) else None)
    generators = gather(_generators())
    if not is_first():
        return
    state = {
        "format": _FORMAT,
        "timesteps": trainer.timesteps,
        "trainer": trainer.state_dict(),
        "environments": environments,
        "generators": generators,
    }
    tensor_file.write(state, folder / NAME)


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The checkpoint of a run folder, on the CPU.

    Raises:
        UserError: there is none, it cannot be read, or it is of another version of this package.
    """
    path = folder / NAME
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {NAME}") from error
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise UserError(f"{path} cannot be read: {error}") from error
    if state.get("format") != _FORMAT:
        raise UserError(f"{path} must have the format {_FORMAT}, got {state.get('format')!r}")
    return state


def load_trainer_state(state: dict[str, Any], trainer: Trainer[Any], misfit: str) -> None:
    """Give a trainer what a checkpoint holds for it.

    Args:
        state: from `read_checkpoint`.
        trainer: changed in place.
        misfit: what to say where the checkpoint is of another task or of other settings.

    Raises:
        UserError: it is.
    """
    try:
        trainer.load_state_dict(state["trainer"])
    except (KeyError, RuntimeError, ValueError) as error:
        words = str(error).strip().splitlines()[-1].strip()
        raise UserError(f"{misfit}: {words}") from error


def restore(state: dict[str, Any], trainer: Trainer[Any], env: RecordTraining) -> None:
    """Go back to where a checkpoint was written; the environment does so in its next reset.

    With another number of processes, or where the environment could not tell its state, it begins
    new episodes, with seeds that the run has not used.
    """
    load_trainer_state(state, trainer, f"{NAME} does not fit the run's task and settings")
    rank, environments = process_rank(), state["environments"]
    if len(environments) == process_count():
        _restore_generators(state["generators"][rank])
        if environments[rank] is not None:
            env.restore(environments[rank])
            return
    env.shift_seed(trainer.timesteps)


def _has_state(env: RecordTraining) -> bool:
    return hasattr(env.unwrapped, "get_state")


def _on_host(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.cpu() for name, value in state.items()}


def _generators() -> dict[str, Any]:
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    version, words, last = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
        # As plain numbers, which weights_only reads.
        "numpy": [str(kind), np.asarray(keys).tolist(), position, has_gauss, gauss],
        "python": [version, list(words), last],
    }


def _restore_generators(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
    version, words, last = state["python"]
    random.setstate((version, tuple(words), last))
