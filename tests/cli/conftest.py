"""What tests of the command line share: a user's directory, and an interrupted training."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isaac_gymnasium.cli import _loop


@pytest.fixture
def user_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, holding ``toy_env.py`` and nothing else."""
    shutil.copy(Path(__file__).parents[1] / "integrations" / "toy_env.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "toy_env", raising=False)
    return tmp_path


@pytest.fixture
def terminate_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sends SIGTERM to this process after some updates."""

    def terminate_after(updates: int) -> None:
        seen = []

        def show(*arguments: Any) -> None:
            seen.append(arguments)
            if len(seen) == updates:
                signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr(_loop, "_show", show)

    return terminate_after
