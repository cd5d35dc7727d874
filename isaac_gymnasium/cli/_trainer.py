"""From a run's settings to its trainer."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from isaac_gymnasium.cli._environment import is_refusal
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.integrations.trainer import Trainer, process_count, process_rank
from isaac_gymnasium.integrations.trainers import find_trainer, load_trainer
from isaac_gymnasium.presets.configs import TrainConfig

# Layers up to this size gain nothing from a second thread of torch on a CPU, and a second thread
# that waits by spinning costs ten times the time where something else wants the core.
_SMALL_LAYER = 64


def find_config(library: str, algorithm: str) -> type[TrainConfig]:
    """The dataclass of an algorithm's settings.

    Raises:
        UserError: there is no such library or algorithm.
    """
    try:
        return find_trainer(library, algorithm).config
    except ValueError as error:
        raise UserError(str(error)) from error


def find_trainer_class(library: str, algorithm: str) -> type[Trainer[Any]]:
    """The trainer.

    Raises:
        UserError: there is no such library or algorithm, it is not installed, or it cannot train
            in several processes and there are several.
    """
    try:
        found = load_trainer(library, algorithm)
    except (ImportError, ValueError) as error:
        raise UserError(str(error)) from error
    if process_count() > 1 and not found.distributed:
        raise UserError(f"{algorithm} of {library} trains in one process, got {process_count()}")
    return found


def make_trainer(
    trainer: type[Trainer[Any]], env: VectorEnv[Any, Any, Any], config: TrainConfig
) -> Trainer[Any]:
    """Construct a trainer, with torch, NumPy and `random` seeded, in each process differently.

    Raises:
        UserError: the settings make no sense for it.
    """
    # Before the networks, so that a seed means the same weights in each process.
    seed_generators(config.seed)
    if env.device.type == "cpu" and max(config.hidden_sizes) <= _SMALL_LAYER:  # type: ignore[attr-defined]
        torch.set_num_threads(1)
    try:
        made = trainer(env, config)
        if process_rank():
            seed_generators(config.seed + process_rank())
        return made
    except ValueError as error:
        if not is_refusal(error):
            raise
        raise UserError(str(error)) from error


def seed_generators(seed: int) -> None:
    """Seed torch, NumPy and `random`."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
