"""What is measured, and what comes of it: plain data that travels as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Case", "Result", "Spread"]


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
            ``random``, or ``policy`` for a network of the preset's size.
        milliseconds: of one step of all environments: ``physics`` (the engine alone), ``engine``
            (physics and the reads and writes that the task needs), ``step`` (all of `env.step`),
            ``reset`` (of all environments).
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
