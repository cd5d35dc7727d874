"""``isaac-gymnasium replay``: the last frames of an environment that has exploded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.nan_report import NanReport, replay


@dataclass(kw_only=True)
class Replay:
    """Play back a report of the NaN guard step by step, beside a fresh simulation of it."""

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """A file that the NaN guard wrote."""
    engine: str | None = None
    """Physics engine; the report's by default."""

    def run(self) -> int:
        """Print one line for each step."""
        try:
            report = NanReport.load(self.file)
        except ValueError as error:
            raise UserError(str(error)) from error
        print(f"{report.task}, engine {report.engine}, environment {report.env}")
        for name, value in report.parameters.items():
            print(f"  {name} = {value!r}")
        for k, frame in enumerate(replay(report, engine=self.engine)):
            actions = " ".join(f"{x:.4g}" for x in report.actions[k].tolist())
            line = f"step {frame.step}: largest {frame.largest:.4g}, replay differs by "
            line += f"{frame.deviation:.2g}, actions {actions}"
            if frame.bad:
                line += f"; not finite: {', '.join(frame.bad)}"
                line += " (in the replay too)" if frame.bad_again else " (not in the replay)"
            print(line)
        return 0
