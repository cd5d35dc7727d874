"""Runs a case in a new process and takes its result."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isaac_gymnasium.benchmark.case import Case, Result, Spread

__all__ = ["CaseFailed", "measure"]


class CaseFailed(RuntimeError):
    """The process of a case ended without a result; the message is its last words."""


def measure(
    case: Case, *, timeout: float | None = None, python: str | Path | None = None
) -> Result:
    """Measure one case in a process of its own.

    Args:
        case: what to measure.
        timeout: seconds after which to give up.
        python: the interpreter of another virtual environment, for a peer whose dependencies clash
            with ours; this one where None.

    Raises:
        CaseFailed: the environment could not be made or stepped, or took longer than `timeout`.
    """
    request = json.dumps({"case": asdict(case), "started": time.time()})
    command = [str(python or sys.executable), "-m", "isaac_gymnasium.benchmark.child", request]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise CaseFailed(f"no result within {timeout:g} s") from error
    answer = done.stdout.rpartition("\n{")
    if done.returncode or not answer[1]:
        words = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise CaseFailed(words[-1] if words else f"the process ended with {done.returncode}")
    return _result(json.loads("{" + answer[2]))


def _result(values: dict[str, Any]) -> Result:
    values["case"] = Case(**values["case"])
    for name in ("steps_per_second", "milliseconds"):
        values[name] = {key: Spread(**value) for key, value in values[name].items()}
    return Result(**values)
