"""The folder of one training run: settings, metrics, checkpoint, learning curve."""

from __future__ import annotations

import csv
import json
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from isaac_gymnasium.atomic import replacing
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.provenance import git_state, versions

_STEPS = "environment_steps"
EVALUATION = "evaluation.json"
"""The file of a run folder that says how well its policy does."""
_SETTINGS = {"task", "library", "algorithm", "engine", "env", "agent"}


class RunFolder:
    """``config.json``, ``metrics.csv``, events, ``checkpoint.pt``, ``learning_curve.png``.

    ``evaluation.json`` joins them when the training has come to its end.

    Args:
        path: the folder of the run, with its ``config.json``.
        resume_at: environment steps of the checkpoint that the run goes on from; later rows of
            metrics, of which the checkpoint knows nothing, are dropped.
        wandb: project of Weights & Biases that gets the metrics too; None for none.

    Raises:
        UserError: a package is not installed, or another process trains in this folder.
    """

    def __init__(
        self, path: Path, *, resume_at: int | None = None, wandb: str | None = None
    ) -> None:
        try:
            import matplotlib  # noqa: F401 -- needed at the end; its lack shall not surprise then
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError(
                f"{error}: pip install matplotlib tensorboard, or an extra such as "
                "isaac-gymnasium[skrl]"
            ) from error
        self.path = path
        self._lock = FileLock(path / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(f"another process trains in the run folder {path}") from error
        self._rows: list[dict[str, float]] = []
        self._columns: list[str] = []
        if resume_at is not None:
            self._read_metrics(resume_at)
        self._file = (path / "metrics.csv").open("w", newline="")
        self._csv: csv.DictWriter[str] | None = None
        for row in self._rows:
            self._write_row(row)
        self._events = SummaryWriter(str(path), purge_step=resume_at)
        self._wandb = None if wandb is None else _start_wandb(path, wandb)

    def _read_metrics(self, resume_at: int) -> None:
        file = self.path / "metrics.csv"
        if not file.is_file():
            return
        with file.open(newline="") as lines:
            table = csv.DictReader(lines)
            self._columns = list(table.fieldnames or ())
            for cells in table:
                # A kill may have cut the last line off.
                if None in cells.values():
                    break
                row = {name: float(cell) if cell else math.nan for name, cell in cells.items()}
                if row[_STEPS] > resume_at:
                    break
                self._rows.append(row)

    def write_metrics(self, environment_steps: int, metrics: dict[str, float]) -> None:
        """Append one row; a value that is ``nan`` stays empty.

        The first row sets the table's columns; TensorBoard gets every value.
        """
        row = {_STEPS: environment_steps, **metrics}
        self._rows.append(row)
        self._write_row(row)
        self._file.flush()
        known = _known(metrics)
        for name, value in known.items():
            self._events.add_scalar(name, value, environment_steps)
        if self._wandb is not None:
            self._wandb.log(known, step=environment_steps)

    def _write_row(self, row: dict[str, float]) -> None:
        if self._csv is None:
            columns = self._columns or list(row)
            self._csv = csv.DictWriter(self._file, columns, extrasaction="ignore")
            self._csv.writeheader()
        self._csv.writerow({**_known(row), _STEPS: int(row[_STEPS])})

    def close(self) -> None:
        """Draw the learning curve and close the files."""
        self._events.close()
        self._file.close()
        if self._wandb is not None:
            self._wandb.finish()
        _draw(self._rows, self.path / "learning_curve.png")
        self._lock.release()


def create_run_folder(path: Path, config: dict[str, Any]) -> None:
    """Make the folder of a new run, holding ``config.json``.

    Args:
        path: the folder; created if missing.
        config: what was asked for, JSON-able; stored beside the versions of what ran.

    Raises:
        UserError: the folder holds something already.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"the run folder {path} is not empty")
    path.mkdir(parents=True, exist_ok=True)
    ran = {"python": platform.python_version(), **versions()}
    write_config(path, {**config, "git": git_state(Path.cwd()), "versions": ran})


def write_config(path: Path, config: dict[str, Any]) -> None:
    """Replace the ``config.json`` of a run folder in one move."""
    with replacing(path / "config.json") as unfinished:
        unfinished.write_text(json.dumps(config, indent=2) + "\n")


def find_run(name: str) -> Path:
    """A run folder by its path, or the one in ``runs/<ID>`` with the latest checkpoint.

    Args:
        name: the folder, or an environment ID, with or without the ``module:`` in front.

    Raises:
        UserError: there is no such folder.
    """
    path = Path(name)
    if path.exists():
        return path
    runs = Path("runs") / name.rpartition(":")[2]
    checkpoints = sorted(runs.glob("*/checkpoint.pt"), key=lambda file: file.stat().st_mtime)
    if not checkpoints:
        raise UserError(f"there is neither a run folder {name} nor a run in {runs}")
    return checkpoints[-1].parent


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a finished or interrupted run, its engine the one that it was trained on.

    Raises:
        UserError: the folder is not one of a run with a checkpoint, or its settings are damaged.
    """
    for name in ("config.json", "checkpoint.pt"):
        if not (path / name).is_file():
            raise UserError(f"{path} is not a run folder: it has no {name}")
    try:
        config: dict[str, Any] = json.loads((path / "config.json").read_text())
    except ValueError as error:
        raise UserError(f"{path / 'config.json'} cannot be read: {error}") from error
    if not (isinstance(config, dict) and config.keys() >= _SETTINGS):
        raise UserError(f"{path} was made by another version of this package")
    config["engine"] = trained_engine(config)
    return config


def trained_engine(config: Mapping[str, Any]) -> str:
    """The engine of a run, whatever `auto` would take now."""
    trained_on = config.get("trained_on")
    found = str((trained_on or {}).get("engine") or config["engine"])
    if found != "auto" or trained_on is not None:
        return found
    # Of an older run, when auto took physx wherever it was installed.
    return "physx" if "ovphysx" in config.get("versions", {}) else "newton"


def _start_wandb(path: Path, project: str) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise UserError(f"{error}: pip install isaac-gymnasium[wandb]") from error
    # The name of the folder again, so that a resumed run goes on in the same place there.
    return wandb.init(
        project=project,
        id=path.resolve().name,
        name=path.resolve().name,
        dir=str(path),
        resume="allow",
        config=json.loads((path / "config.json").read_text()),
    )


def _known(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if not math.isnan(value)}


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
    points = [(row[_STEPS], row[name]) for row in rows if not math.isnan(row.get(name, math.nan))]
    axes.plot(*zip(*points, strict=True) if points else ([], []), color=color)
