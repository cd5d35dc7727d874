"""The table of trainers by library and algorithm; none of the libraries is imported by it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from isaac_gymnasium.integrations._requirements import needs_extra
from isaac_gymnasium.integrations.trainer import Trainer
from isaac_gymnasium.presets import configs

__all__ = ["TRAINERS", "TrainerEntry", "find_trainer", "load_trainer"]


@dataclass(frozen=True)
class TrainerEntry:
    """Where a trainer is, the dataclass of its settings, and the extra that its library is in."""

    trainer: str
    config: type[configs.TrainConfig]
    extra: str


_HERE = "isaac_gymnasium.integrations"

TRAINERS: dict[tuple[str, str], TrainerEntry] = {
    ("skrl", "ppo"): TrainerEntry(f"{_HERE}.skrl_trainers:SkrlPpo", configs.SkrlPpoConfig, "skrl"),
    ("skrl", "sac"): TrainerEntry(f"{_HERE}.skrl_trainers:SkrlSac", configs.SacConfig, "skrl"),
    ("skrl", "td3"): TrainerEntry(f"{_HERE}.skrl_trainers:SkrlTd3", configs.Td3Config, "skrl"),
    ("sb3", "ppo"): TrainerEntry(f"{_HERE}.sb3_trainers:Sb3Ppo", configs.PpoConfig, "sb3"),
    ("sb3", "sac"): TrainerEntry(f"{_HERE}.sb3_trainers:Sb3Sac", configs.SacConfig, "sb3"),
    ("sb3", "td3"): TrainerEntry(f"{_HERE}.sb3_trainers:Sb3Td3", configs.Td3Config, "sb3"),
    ("torch_ppo", "ppo"): TrainerEntry(
        f"{_HERE}.sb3_trainers:TorchPpoTrainer", configs.PpoConfig, "sb3"
    ),
    ("rsl_rl", "ppo"): TrainerEntry(
        f"{_HERE}.rsl_rl_trainer:RslRlPpo", configs.AdaptivePpoConfig, "rsl-rl"
    ),
    ("rl_games", "ppo"): TrainerEntry(
        f"{_HERE}.rl_games_trainer:RlGamesPpo", configs.AdaptivePpoConfig, "rl-games"
    ),
}
"""What `isaac-gymnasium train --library --algorithm` offers."""


def find_trainer(library: str, algorithm: str) -> TrainerEntry:
    """The entry of a library's algorithm.

    Raises:
        ValueError: there is none; the message lists the algorithms of the library, or the
            libraries.
    """
    entry = TRAINERS.get((library, algorithm))
    if entry is not None:
        return entry
    algorithms = [name for lib, name in TRAINERS if lib == library]
    if not algorithms:
        libraries = ", ".join(dict.fromkeys(lib for lib, _ in TRAINERS))
        raise ValueError(f"library must be one of {libraries}, got {library!r}")
    raise ValueError(
        f"algorithm must be one of {', '.join(algorithms)} with library {library}, "
        f"got {algorithm!r}"
    )


def load_trainer(library: str, algorithm: str) -> type[Trainer[Any]]:
    """Import a trainer.

    Raises:
        ValueError: there is no such trainer.
        ImportError: its library is not installed; the message names the extra.
    """
    entry = find_trainer(library, algorithm)
    module, _, name = entry.trainer.partition(":")
    with needs_extra(library, entry.extra):
        trainer: type[Trainer[Any]] = getattr(importlib.import_module(module), name)
    return trainer
