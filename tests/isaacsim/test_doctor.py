"""The experiments of `isaac-gymnasium doctor` hold on a sound engine, and on no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from isaac_gymnasium.cli import main
from isaac_gymnasium.doctor.truth import run_experiments


def test_physx_passes_and_the_report_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ovphysx")
    file = tmp_path / "report.json"
    words = ["doctor", "--engine", "physx", "--device", "cpu", "--output", str(file)]
    assert main(words) == 0
    report = json.loads(file.read_text())
    assert set(report["experiments"].values()) == {"passed"}
    assert report["engines"]["physx"]["can_run"]
    assert "physx: can run" in capsys.readouterr().out


def test_an_engine_that_writes_something_else_does_not_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    physx = pytest.importorskip("isaac_gymnasium.engines.physx")
    pytest.importorskip("ovphysx")
    write = physx._Binding.write
    monkeypatch.setattr(
        physx._Binding, "write", lambda self, buffer, mask=None: write(self, buffer + 0.1)
    )
    outcomes = run_experiments("physx", torch.device("cpu"))
    assert "passed" not in outcomes["a mask selects environments"]


def test_an_unknown_engine_is_a_mistake_of_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--engine", "havok"]) == 2
    assert "engine must be" in capsys.readouterr().err
