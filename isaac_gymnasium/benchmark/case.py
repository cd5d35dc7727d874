"""What is measured, and what comes of it: plain data that travels as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ADAPTERS", "PICTURES", "SETTLE", "Case", "Result", "Spread"]

ADAPTERS = {
    "skrl": ("skrl:SkrlWrapper", "skrl"),
    "rsl_rl": ("rsl_rl:RslRlVecEnv", "rsl_rl"),
    "rl_games": ("rl_games:RlGamesVecEnv", "rl_games"),
    "sb3": ("sb3:Sb3VecEnv", "stable_baselines3"),
}
"""Adapters to environments in the autoreset mode `SameStep`, and the module each needs."""
PICTURES: dict[str, int | Sequence[int]] = {"frame": range(1), "grid of 16": 16}
"""Environments in each kind of picture."""
SETTLE = 4
"""Updates before training is timed: by then its CUDA graphs are recorded."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One measurement.

    Args:
        id: environment ID, ``"module:ID"``, or ``"gymnasium:ID"`` and the like for a peer.
        num_envs: environments stepped at once, N.
        engine: ``"auto"`` or an engine's name; ignored by peers.
        device: ``"auto"``, ``"cpu"`` or ``"cuda:0"``.
        steps: steps of all environments in one repetition.
        repeats: repetitions; medians and ranges are over them.
        warm_up: steps before the first repetition.
        policy: whether to measure stepping with a network choosing the actions.
        training: whether to measure training, too.
        adapters: whether to measure a step through the adapters to RL libraries, too.
        rendering: whether to measure pictures, too.
        keywords: further arguments of the environment.
    """

    id: str
    num_envs: int
    engine: str = "auto"
    device: str = "auto"
    steps: int = 200
    repeats: int = 5
    warm_up: int = 50
    policy: bool = False
    training: bool = False
    adapters: bool = False
    rendering: bool = False
    keywords: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("num_envs", 1), ("steps", 1), ("repeats", 1), ("warm_up", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median and range of some repetitions."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one case gave.

    Args:
        case: what was measured.
        engine: the engine that ran, or the peer's library.
        device: where it ran.
        dt: length of a physics step, s; None where it is not known.
        decimation: physics steps in an environment step; None where it is not known.
        seconds: from the start of the process: ``import``, ``make``, ``reset``, ``step`` (the first
            one), each the time that this stage alone took, and ``total``.
        steps_per_second: environment steps a second, by what chose the actions:
            ``random``, ``policy`` for a network of the preset's size, or ``training`` for skrl's
            PPO with the task's preset, all in.
        milliseconds: of one step of all environments: ``physics`` (the engine alone), ``engine``
            (physics and the reads and writes that the task needs), ``step`` (all of `env.step`),
            ``resets`` (what of a step goes into resets, the engine's part of them included); of a
            ``reset`` of all environments; of a step through an adapter, by the library's name; of
            a ``frame`` and a ``grid of 16``.
        megabytes: ``host``, and ``device`` on CUDA: what importing, making and stepping took.
        versions: of the packages that matter, by name.
    """

    case: Case
    engine: str
    device: str
    dt: float | None
    decimation: int | None
    seconds: dict[str, float]
    steps_per_second: dict[str, Spread]
    milliseconds: dict[str, Spread]
    megabytes: dict[str, float]
    versions: dict[str, str]

    @property
    def layer_share(self) -> float | None:
        """What `env.step` takes beyond the bare engine loop, as a fraction of that loop."""
        if "engine" not in self.milliseconds:
            return None
        return self.milliseconds["step"].median / self.milliseconds["engine"].median - 1.0

    @property
    def shares(self) -> dict[str, float]:
        """Where the time of a step goes, as fractions of it.

        ``physics``, ``reads and writes`` of the engine and ``task and loop``, torch's part, make 1;
        ``resets`` are in all of them.
        """
        names = ("physics", "engine", "step")
        if not all(name in self.milliseconds for name in names):
            return {}
        physics, engine, step = (self.milliseconds[name].median for name in names)
        shares = {
            "physics": physics / step,
            "reads and writes": (engine - physics) / step,
            "task and loop": (step - engine) / step,
        }
        if "resets" in self.milliseconds:
            shares["resets"] = self.milliseconds["resets"].median / step
        return shares

    @property
    def adapters(self) -> dict[str, float]:
        """What a step through each adapter takes beyond the environment's own, ms."""
        own = self.milliseconds.get("step")
        return {
            name: spread.median - own.median
            for name, spread in self.milliseconds.items()
            if own is not None and name in ADAPTERS
        }
