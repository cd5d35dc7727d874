"""The folder of one training run: settings, metrics, checkpoint, learning curve."""

from __future__ import annotations

import csv
import json
import math
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from isaac_gymnasium.cli._errors import UserError

if TYPE_CHECKING:
    from isaac_gymnasium.integrations.skrl import PPO

_PACKAGES = ("isaac-gymnasium", "gymnasium", "torch", "skrl", "ovphysx", "newton", "isaacsim")


class RunFolder:
    """``config.json``, ``metrics.csv``, events, ``checkpoint.pt``, ``learning_curve.png``.

    Args:
        path: the folder; created if missing.
        config: what was asked for, JSON-able; stored beside the versions of what ran.

    Raises:
        UserError: the folder holds something already, or an extra is not installed.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        try:
            import matplotlib  # noqa: F401 -- needed at the end; its lack shall not surprise then
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError(f"{error}: pip install isaac-gymnasium[skrl]") from error
        if path.exists() and any(path.iterdir()):
            raise UserError(f"the run folder {path} is not empty")
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        text = json.dumps({**config, "versions": _versions()}, indent=2)
        (path / "config.json").write_text(text + "\n")
        self._events = SummaryWriter(str(path))
        self._rows: list[dict[str, float]] = []
        self._file = (path / "metrics.csv").open("w", newline="")
        self._csv: csv.DictWriter[str] | None = None

    def write_metrics(self, environment_steps: int, metrics: dict[str, float]) -> None:
        """Append one row; a value that is ``nan`` stays empty.

        The first row sets the table's columns; TensorBoard gets every value.
        """
        row = {"environment_steps": environment_steps, **metrics}
        self._rows.append(row)
        if self._csv is None:
            self._csv = csv.DictWriter(self._file, list(row), extrasaction="ignore")
            self._csv.writeheader()
        known = {name: value for name, value in row.items() if not math.isnan(value)}
        self._csv.writerow(known)
        self._file.flush()
        for name, value in known.items():
            self._events.add_scalar(name, value, environment_steps)

    def save_checkpoint(self, agent: PPO) -> None:
        """Replace ``checkpoint.pt`` in one move, so that it is never half written."""
        state = {name: module.state_dict() for name, module in agent.checkpoint_modules.items()}
        unfinished = self.path / "checkpoint.pt.tmp"
        torch.save(state, unfinished)
        os.replace(unfinished, self.path / "checkpoint.pt")

    def close(self) -> None:
        """Draw the learning curve and close the files."""
        self._events.close()
        self._file.close()
        _draw(self._rows, self.path / "learning_curve.png")


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a finished or interrupted run.

    Raises:
        UserError: the folder is not one of a run with a checkpoint.
    """
    for name in ("config.json", "checkpoint.pt"):
        if not (path / name).is_file():
            raise UserError(f"{path} is not a run folder: it has no {name}")
    config: dict[str, Any] = json.loads((path / "config.json").read_text())
    return config


def load_checkpoint(path: Path, agent: PPO) -> None:
    """Give an agent the weights, scalers and optimiser state of a run folder."""
    state = torch.load(path / "checkpoint.pt", map_location=agent.device, weights_only=True)
    for name, module in agent.checkpoint_modules.items():
        module.load_state_dict(state[name])


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _draw(rows: list[dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel="environment steps", ylabel="episode return")
    axes.grid(alpha=0.3)
    _plot(axes, rows, "episode/return", "tab:blue")
    if any("episode/success" in row for row in rows):
        right = axes.twinx()
        right.set(ylabel="success", ylim=(-0.02, 1.02))
        _plot(right, rows, "episode/success", "tab:orange")
        right.yaxis.label.set_color("tab:orange")
        axes.yaxis.label.set_color("tab:blue")
    figure.savefig(path, dpi=150)


def _plot(axes: Any, rows: list[dict[str, float]], name: str, color: str) -> None:
    points = [(row["environment_steps"], row[name]) for row in rows if not math.isnan(row[name])]
    axes.plot(*zip(*points, strict=True) if points else ([], []), color=color)
