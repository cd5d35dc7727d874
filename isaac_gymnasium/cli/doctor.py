"""``isaac-gymnasium doctor``: what is installed, what can run, and whether it runs as it should."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.doctor.inventory import take_inventory
from isaac_gymnasium.engines import EngineError
from isaac_gymnasium.vector_env import resolve_device


@dataclass(kw_only=True)
class Doctor:
    """Tell what is installed and which engines can run; with --engine, try one."""

    engine: str | None = None
    """Run short experiments of known outcome, and one environment, on this engine. On isaacsim,
    also compare the API that is used with the Isaac Sim that is installed."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """File for the report as JSON, to be attached to an issue."""

    def run(self) -> int:
        """Print the findings; 1 if the engine did not pass."""
        report: dict[str, Any] = take_inventory()
        _print_inventory(report)
        passed = True
        try:
            if self.engine is not None:
                report |= {"engine": self.engine, "passed": False}
                passed = report["passed"] = self._try_engine(self.engine, report)
        except Exception as error:
            report["error"] = str(error) or type(error).__name__
            raise
        finally:
            # Of an engine that does not even start, most of all.
            if self.output is not None:
                self.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        return 0 if passed else 1

    def _try_engine(self, engine: str, report: dict[str, Any]) -> bool:
        from isaac_gymnasium.doctor.truth import run_experiments

        try:
            device = resolve_device(self.device)
            report["device"] = str(device)
            report["experiments"] = run_experiments(engine, device)
        except (EngineError, ValueError) as error:
            raise UserError(str(error)) from error
        passed = True
        for name, outcome in report["experiments"].items():
            print(f"  {name}: {outcome}")
            passed &= outcome == "passed"
        if engine == "isaacsim":
            passed &= _compare(report)
        return passed


def _print_inventory(report: dict[str, Any]) -> None:
    print(f"Python {report['python']} on {report['system']}")
    print("GPUs: " + (", ".join(report["gpus"]) or "none that torch can use"))
    for name, version in report["packages"].items():
        print(f"  {name} {version or '-'}")
    for name, found in report["system_libraries"].items():
        print(f"  {name} {'found' if found else 'missing'}")
    for name, engine in report["engines"].items():
        print(f"{name}: " + ("can run" if engine["can_run"] else "; ".join(engine["obstacles"])))
        print(f"  licence: {engine['licence']}")


def _compare(report: dict[str, Any]) -> bool:
    from isaac_gymnasium.doctor.signatures import compare_signatures, is_fault
    from isaac_gymnasium.engines._isaacsim_app import major_version

    major = major_version()
    report["isaacsim_major_version"] = major
    report["signatures"] = compare_signatures("5.1" if major == 5 else "6.0")
    faults = {name: found for name, found in report["signatures"].items() if is_fault(found)}
    for name, found in faults.items():
        print(f"  {name}: {found}")
    print(f"  {len(report['signatures']) - len(faults)} of {len(report['signatures'])} names agree")
    return not faults
