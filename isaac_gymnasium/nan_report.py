"""`NanReport`: the last frames of an environment that has exploded, in a file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from isaac_gymnasium import tensor_file

_FORMAT = "isaac_gymnasium.nan/1"


@dataclass(frozen=True, kw_only=True)
class NanReport:
    """The last frames of one environment.

    Attributes:
        task: `"module:Class"`.
        parameters: Of the task.
        engine: Name of the engine.
        env: Index of the environment.
        first_step: Step within the episode that the first frame is of.
        actions: (K, A) that led to each frame.
        states: (K, ...) of each body's quantities, in the environment frame, by
            `"body/quantity"`; the last frame is the one that is not finite.
    """

    task: str
    parameters: dict[str, Any]
    engine: str
    env: int
    first_step: int
    actions: Tensor
    states: dict[str, Tensor]

    def save(self, folder: Path) -> Path:
        """Writes a file of its own into a folder, in one move; returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        name = self.task.rpartition(":")[2]
        stamp = (
            f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{time.perf_counter_ns() % 10**6:06}"
        )
        path = folder / f"{name}-env{self.env}-{stamp}.pt"
        content = {"format": _FORMAT, **asdict(self), "parameters": json.dumps(self.parameters)}
        tensor_file.write(content, path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> NanReport:
        """Reads a report. Nothing in the file is executed.

        Raises:
            ValueError: If there is no such file or it holds no report.
        """
        content = tensor_file.read(path, "NaN report", format=_FORMAT)
        return cls(**{**content, "parameters": json.loads(content["parameters"])})


class Frame(NamedTuple):
    """One step of a replay.

    Attributes:
        step: Within the episode.
        bad: Quantities that were recorded as not finite.
        largest: The largest recorded magnitude that is finite.
        deviation: The largest difference between what was recorded and what the replay gives, over
            what is finite in both.
        bad_again: Quantities that are not finite in the replay.
    """

    step: int
    bad: list[str]
    largest: float
    deviation: float
    bad_again: list[str]


def replay(report: NanReport, *, engine: str | None = None) -> Iterator[Frame]:
    """Sets an environment to the first frame and takes the recorded actions again, step by step.

    Args:
        report: What to replay.
        engine: Another engine than the report's.
    """
    from isaac_gymnasium.vector_env import IsaacVectorEnv

    env = IsaacVectorEnv(
        report.task,
        1,
        engine=engine or report.engine,
        device="cpu",
        nan_guard="off",
        **report.parameters,
    )
    try:
        env.reset(seed=0)
        bodies = {body.name: body for body in env.engine.bodies()}
        for key, values in report.states.items():
            name, _, quantity = key.rpartition("/")
            bodies[name]._set(quantity, values[:1].clone(), None)
        yield _frame(report, 0, {key: values[:1] for key, values in report.states.items()})
        for k in range(1, len(report.actions)):
            env.task.pre_physics_step(report.actions[k : k + 1])
            env.engine.step(env.task.decimation)
            found = {}
            for key in report.states:
                name, _, quantity = key.rpartition("/")
                found[key] = bodies[name]._get(quantity).clone()
            yield _frame(report, k, found)
    finally:
        env.close()


def _frame(report: NanReport, k: int, found: dict[str, Tensor]) -> Frame:
    recorded = {key: values[k : k + 1] for key, values in report.states.items()}
    both = [(recorded[key].flatten(), found[key].flatten()) for key in recorded]
    finite = [(a, b) for a, b in both if bool((a + b).isfinite().all())]
    largest = [float(a[a.isfinite()].abs().max()) for a, _ in both if bool(a.isfinite().any())]
    return Frame(
        step=report.first_step + k,
        bad=[key for key, values in recorded.items() if not bool(values.isfinite().all())],
        largest=max(largest, default=0.0),
        deviation=max((float((a - b).abs().max()) for a, b in finite), default=0.0),
        bad_again=[key for key, values in found.items() if not bool(values.isfinite().all())],
    )
