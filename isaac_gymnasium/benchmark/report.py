"""Results as a table, as JSON and as a picture."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isaac_gymnasium.benchmark.case import PICTURES, Result, Spread
from isaac_gymnasium.provenance import git_state, gpus

__all__ = ["draw", "hardware", "save", "table"]


def table(results: Sequence[Result]) -> str:
    """Results as text, one line each, medians with their range.

    Args:
        results: any number, also none.
    """
    kinds = _kinds(results)
    header = ["environment", "engine", "device", "N", "dt x steps", "first step"]
    header += [f"{kind} steps/s" for kind in kinds] + ["over engine", "memory"]
    rows = [header, *([*_facts(one), *_figures(one, kinds)] for one in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    for result in results:
        lines += _details(result)
    return "\n".join(lines)


def _details(result: Result) -> list[str]:
    """Where a step's time goes, and what else was measured, a line each."""
    lines = []
    if result.shares:
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in result.shares.items())
        step = result.milliseconds["step"].median
        lines.append(f"a step of {step:.3g} ms: {shares}")
    if result.adapters:
        beyond = ", ".join(f"{name} {ms:+.3g} ms" for name, ms in result.adapters.items())
        lines.append(f"beyond a step, through the adapter of: {beyond}")
    pictures = {n: m.median for n, m in result.milliseconds.items() if n in PICTURES}
    if pictures:
        lines.append(", ".join(f"a {name} in {ms:.3g} ms" for name, ms in pictures.items()))
    name = f"{result.case.id}, {result.engine}, {result.case.num_envs}"
    return [f"{name}: {line}" for line in lines]


def _kinds(results: Sequence[Result]) -> list[str]:
    found = {kind for result in results for kind in result.steps_per_second}
    return [kind for kind in ("random", "policy", "training") if kind in found]


def _facts(result: Result) -> list[str]:
    time_step = "?"
    if result.dt is not None and result.decimation is not None:
        time_step = f"{1e3 * result.dt:.3g} ms x {result.decimation}"
    return [
        result.case.id,
        result.engine,
        result.device,
        str(result.case.num_envs),
        time_step,
        f"{result.seconds['total']:.1f} s",
    ]


def _figures(result: Result, kinds: Sequence[str]) -> list[str]:
    cells = []
    for kind in kinds:
        spread = result.steps_per_second.get(kind)
        cells.append("" if spread is None else _speed(spread))
    share = result.layer_share
    cells.append("" if share is None else f"{100 * share:+.0f} %")
    megabytes = result.megabytes
    cells.append(" + ".join(f"{megabytes[name] / 1e3:.1f} GB {name}" for name in megabytes))
    return cells


def _speed(spread: Spread) -> str:
    return f"{_short(spread.median)} ({_short(spread.low)} to {_short(spread.high)})"


def _short(value: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "K")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"


def save(results: Sequence[Result], path: Path) -> None:
    """Write results with versions, hardware and commit as JSON."""
    document = {"hardware": hardware(), "results": [_plain(result) for result in results]}
    path.write_text(json.dumps(document, indent=2) + "\n")


def _plain(result: Result) -> dict[str, Any]:
    return {
        **asdict(result),
        "layer_share": result.layer_share,
        "shares": result.shares,
        "adapters": result.adapters,
    }


def hardware() -> dict[str, Any]:
    """What the figures depend on besides the code: machine, Python, and the commit, if any."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": gpus(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str | None:
    """The commit of this package's checkout, with ``-dirty`` where it has been changed."""
    state = git_state(Path(__file__).parent)
    return None if state is None else state["commit"][:12] + "-dirty" * state["changed"]


def draw(results: Sequence[Result], path: Path) -> None:
    """Environment steps a second over the number of environments, one line an ID and engine.

    Args:
        results: at least one.
        path: the picture, in a format that matplotlib knows by its ending.
    """
    from matplotlib.figure import Figure

    kinds = _kinds(results)
    figure = Figure(figsize=(5 * len(kinds), 4), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        axes.set(xlabel="environments", ylabel="environment steps a second", title=kind)
        axes.set(xscale="log", yscale="log")
        axes.grid(alpha=0.3, which="both")
        lines: dict[str, list[tuple[int, Spread]]] = {}
        for result in results:
            if kind in result.steps_per_second:
                line = lines.setdefault(f"{result.case.id}, {result.engine}, {result.device}", [])
                line.append((result.case.num_envs, result.steps_per_second[kind]))
        for name, points in lines.items():
            points.sort(key=lambda point: point[0])
            counts, spreads = zip(*points, strict=True)
            medians = [spread.median for spread in spreads]
            below = [spread.median - spread.low for spread in spreads]
            above = [spread.high - spread.median for spread in spreads]
            axes.errorbar(counts, medians, (below, above), marker="o", capsize=3, label=name)
        ticks = sorted({result.case.num_envs for result in results})
        axes.set_xlim(ticks[0] / 1.5, ticks[-1] * 1.5)
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)
