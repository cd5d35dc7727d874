"""Turns the run folders of one task, one for each seed, into its page in docs/results.

    isaac-gymnasium train IsaacAnt-v0 --engine newton --seed 1 --run-dir runs/ant-1
    isaac-gymnasium train IsaacAnt-v0 --engine newton --seed 2 --run-dir runs/ant-2
    isaac-gymnasium train IsaacAnt-v0 --engine newton --seed 3 --run-dir runs/ant-3
    python scripts/results.py runs/ant-*

It writes into this repository:

* docs/results/<ID>.md and <ID>.png: what was reached over the seeds, how, and the curves;
* docs/results/results.json, all numbers, and docs/results/index.md, the table of all tasks;
* isaac_gymnasium/policies/<ID>.npz: the policy of the seed in the middle, by success and then by
  return, which comes with the package. It is evaluated again, since packing rounds its weights.

Folders of several tasks may be given at once. `train` leaves an evaluation.json in the run folder;
where there is none, or with --again, the policy is evaluated here. Times are told for the engine
newton alone: the licence of the others forbids it.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import shlex
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from isaac_gymnasium.cli._episodes import evaluate  # noqa: E402
from isaac_gymnasium.cli._errors import UserError  # noqa: E402
from isaac_gymnasium.cli._policy import find_policy, trained_policy  # noqa: E402
from isaac_gymnasium.cli._run_folder import EVALUATION, read_config  # noqa: E402
from isaac_gymnasium.cli._trainer import find_config  # noqa: E402
from isaac_gymnasium.policies import pack_policy, read_about  # noqa: E402
from isaac_gymnasium.presets import preset  # noqa: E402
from isaac_gymnasium.registration import registered_tasks  # noqa: E402

CURVE_LIMIT = 60_000
"""Bytes that the picture of the curves may take."""
TIMED_ENGINES = ("newton",)
"""Engines whose speed may be published."""

PAGE = """# {id}: what training reaches

| | |
|---|---|
{rows}

![Curves of {id}, one for each seed]({id}.png)

{command}
The policy of seed {shipped[seed]} comes with the package:

```bash
isaac-gymnasium evaluate {id}
```
"""

INDEX = """# Results

What training reaches with the presets of the package: the median over the seeds, and the least and
the most of them in brackets. Evaluated without exploration, one episode in each environment, from
seeds that training did not use. Each page has the curves and the command. `scripts/results.py`
writes these pages.

| task | success | return | seeds | samples each | engine |
|---|---|---|---|---|---|
{rows}

```{{toctree}}
:hidden:

{names}
```
"""


@dataclass(frozen=True)
class Run:
    """One finished run."""

    folder: Path
    config: dict[str, Any]
    curves: dict[str, list[tuple[float, float]]]
    steps: int
    seconds: float
    evaluation: dict[str, Any]

    @property
    def seed(self) -> int:
        return int(self.config["agent"]["seed"])

    @property
    def engine(self) -> str:
        """What it ran on."""
        return str(self.config["engine"])

    @property
    def score(self) -> tuple[float, float]:
        """Success, then return."""
        return self.evaluation.get("success", {"share": 0.0})["share"], self.evaluation["return"][
            "mean"
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse(arguments)
    try:
        by_task: dict[str, list[Run]] = {}
        for folder in args.runs:
            run = read_run(folder, args)
            by_task.setdefault(run.config["task"], []).append(run)
        for task, runs in by_task.items():
            write(task, sorted(runs, key=lambda run: run.seed), args)
    except UserError as error:
        print(f"results: {error}", file=sys.stderr)
        return 2
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--episodes", type=int, default=256, help="of an evaluation made here")
    parser.add_argument("--device", default="auto", help="of an evaluation made here")
    parser.add_argument("--engine", help="of an evaluation made here; that of the run by default")
    parser.add_argument("--again", action="store_true", help="evaluate all runs here")
    parser.add_argument("--shared", help="what else ran on the device, told with times")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--policies", type=Path, default=ROOT / "isaac_gymnasium" / "policies")
    return parser.parse_args(arguments)


def read_run(folder: Path, args: argparse.Namespace) -> Run:
    config = read_config(folder)
    if config["task"] not in registered_tasks():
        raise UserError(f"{folder} trained {config['task']}, which is no task of the package")
    file = folder / EVALUATION
    if args.again or not file.is_file():
        evaluate_here(folder, args, file)
    with (folder / "metrics.csv").open(newline="") as lines:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(lines)]
    if not rows:
        raise UserError(f"{folder} has no metrics: nothing was learned")
    steps = [row["environment_steps"] for row in rows]
    return Run(
        folder,
        config,
        {
            name: [(row["environment_steps"], row[name]) for row in rows if name in row]
            for name in ("episode/return", "episode/success")
        },
        int(steps[-1]),
        sum(
            (after - before) / row["time/steps_per_second"]
            for before, after, row in zip([0.0, *steps], steps, rows, strict=False)
        ),
        json.loads(file.read_text()),
    )


def evaluate_here(name: Path, args: argparse.Namespace, file: Path) -> None:
    """Write the evaluation of a run, or of a packed policy, to a file."""
    source = find_policy(str(name))
    with trained_policy(
        source, num_envs=args.episodes, device=args.device, engine=args.engine
    ) as trained:
        evaluation = evaluate(trained.env, trained.policy, seed=source.evaluation_seed)
        evaluation.write(file, trained.env, seed=source.evaluation_seed)
    print(f"{name}: {evaluation}")


def write(task: str, runs: list[Run], args: argparse.Namespace) -> None:
    """Write all there is to write of one task."""
    check(task, runs)
    chosen = sorted(runs, key=lambda run: run.score)[len(runs) // 2]
    args.docs.mkdir(parents=True, exist_ok=True)
    record = {**summary(runs), "shared": args.shared, "shipped": ship(task, chosen, args)}
    draw(runs, args.docs / f"{task}.png")
    file = args.docs / "results.json"
    results = json.loads(file.read_text()) if file.is_file() else {}
    results = dict(sorted({**results, task: record}.items()))
    file.write_text(json.dumps(results, indent=1) + "\n")
    (args.docs / f"{task}.md").write_text(page(task, record))
    (args.docs / "index.md").write_text(index(results))
    print(f"{args.docs / task}.md")


def check(task: str, runs: list[Run]) -> None:
    """Refuse runs that differ in more than the seed."""
    seeds = [run.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"runs of {task} must have a seed each, got {seeds}")
    for run in runs[1:]:
        first, other = settings(runs[0]), settings(run)
        for name in sorted({*first, *other}):
            if first.get(name) != other.get(name):
                raise UserError(
                    f"runs of {task} must differ in the seed alone, got {name} {first.get(name)!r} "
                    f"in {runs[0].folder} and {other.get(name)!r} in {run.folder}"
                )


def settings(run: Run) -> dict[str, Any]:
    """What runs of one task have to share."""
    config = run.config
    common = {"library": config["library"], "algorithm": config["algorithm"], "engine": run.engine}
    return {**common, **config["env"], **config["agent"], "seed": None}


def summary(runs: list[Run]) -> dict[str, Any]:
    """The numbers of the runs, as plain values."""
    config = runs[0].config
    names = [name for name, value in runs[0].evaluation.items() if is_measure(value)]
    engine = runs[0].engine
    record: dict[str, Any] = {
        "seeds": [run.seed for run in runs],
        "samples": [run.steps for run in runs],
        "engine": engine,
        "hardware": hardware(config.get("trained_on", {})),
        "commit": (config["git"] or {}).get("commit"),
        "changed": bool((config["git"] or {}).get("changed")),
        "versions": config["versions"],
        "command": command(runs[0]),
        "evaluation": {
            name: {"median": statistics.median(each), "values": each, "share": share}
            for name in names
            for each, share in [values(runs, name)]
        },
        "episodes": runs[0].evaluation["episodes"],
        "evaluated_on": f"{runs[0].evaluation['engine']}, {hardware(runs[0].evaluation)}",
        "date": max(run.evaluation["date"] for run in runs),
    }
    if engine in TIMED_ENGINES and record["hardware"]:
        record["seconds"] = statistics.median(run.seconds for run in runs)
    return record


def is_measure(value: Any) -> bool:
    return isinstance(value, dict) and bool({"mean", "share"} & value.keys())


def values(runs: list[Run], name: str) -> tuple[list[float], bool]:
    found = [run.evaluation[name] for run in runs]
    share = "share" in found[0]
    return [each["share" if share else "mean"] for each in found], share


def hardware(measured: dict[str, Any]) -> str | None:
    """The device's name; None for older runs that do not say."""
    found = measured.get("hardware")
    if not found:
        return None
    return str(found["gpus"][0] if measured["device"].startswith("cuda") else found["processor"])


def command(run: Run) -> str:
    """How to train this again: what differs from the preset is an option."""
    config, task = run.config, run.config["task"]
    library, algorithm = config["library"], config["algorithm"]
    words = ["isaac-gymnasium", "train", task, "--seed", str(run.seed)]
    words += [] if library == "skrl" else ["--library", library]
    words += [] if algorithm == "ppo" else ["--algorithm", algorithm]
    words += ["--engine", run.engine]
    cpu = config.get("trained_on", {}).get("device") == "cpu"
    own = asdict(preset(task, find_config(library, algorithm), library=library, cpu=cpu))
    for name, value in config["agent"].items():
        plain = list(own[name]) if isinstance(own.get(name), tuple) else own.get(name)
        if name == "seed" or value == plain:
            continue
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *map(str, value if isinstance(value, list) else [value])]
    for key, value in config["env"].items():
        words += ["--env", f"{key}={value}"]
    return shlex.join(words)


def ship(task: str, run: Run, args: argparse.Namespace) -> dict[str, Any]:
    """Pack the policy of a run and evaluate what comes out."""
    path = args.policies / f"{task}.npz"
    with trained_policy(
        find_policy(str(run.folder)), num_envs=2, device="cpu", engine=args.engine
    ) as trained:
        kept = ("task", "library", "algorithm", "engine", "env", "agent", "git")
        about = {name: run.config[name] for name in kept}
        try:
            pack_policy(trained.policy, path, {**about, "timesteps": run.steps})  # type: ignore[arg-type]
        except ValueError as error:
            raise UserError(f"{run.folder}: {error}") from error
    file = args.docs / "evaluation.tmp"
    evaluate_here(path, args, file)
    evaluation = json.loads(file.read_text())
    file.unlink()
    return {
        "seed": run.seed,
        "bytes": path.stat().st_size,
        "encoding": read_about(path)["encoding"],
        "episodes": evaluation["episodes"],
        "engine": evaluation["engine"],
        **{name: value for name, value in evaluation.items() if is_measure(value)},
    }


def draw(runs: list[Run], path: Path) -> None:
    """Return and success over the samples: the seeds, and their median where all have one."""
    from matplotlib.figure import Figure
    from PIL import Image

    names = [name for name in runs[0].curves if any(run.curves[name] for run in runs)]
    figure = Figure(figsize=(4.5 * len(names), 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        curves = [np.array(run.curves[name]).T for run in runs if run.curves[name]]
        for steps, curve in curves:
            axes.plot(steps / 1e6, curve, color="tab:blue", alpha=0.4, linewidth=0.8)
        shared = np.linspace(
            max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves), 300
        )
        middle = np.median([np.interp(shared, *curve) for curve in curves], axis=0)
        axes.plot(shared / 1e6, middle, color="tab:blue", linewidth=1.6)
        axes.set(xlabel="million environment steps", title=name.replace("/", " "))
        axes.grid(alpha=0.3)
        if name == "episode/success":
            axes.set_ylim(-0.02, 1.02)
    figure.savefig(path, dpi=90)
    with Image.open(path) as image:
        image.convert("RGB").quantize(32).save(path, optimize=True)
    if path.stat().st_size > CURVE_LIMIT:
        raise UserError(f"{path} takes {path.stat().st_size} bytes, of {CURVE_LIMIT} allowed")


def page(task: str, record: dict[str, Any]) -> str:
    measures = record["evaluation"]
    order = [name for name in ("success", "return", "length") if name in measures]
    rows = [(name, spread(measures[name])) for name in (*order, *sorted({*measures} - {*order}))]
    changed = " with local changes" if record["changed"] else ""
    shipped = record["shipped"]
    told = ", ".join(f"{name} {number(shipped[name])}" for name, _ in rows if name in shipped)
    rows += [
        ("seeds", ", ".join(map(str, record["seeds"]))),
        ("samples", ", ".join(map(millions, sorted(set(record["samples"]))))),
        ("trained with", ", ".join(filter(None, (f"`{record['engine']}`", record["hardware"])))),
    ]
    if "seconds" in record:
        time = f"{record['seconds']:.0f} s each, median"
        rows.append(("wall-clock", ", ".join(filter(None, (time, record["shared"])))))
    rows += [
        ("evaluated", f"{record['episodes']} episodes each, {record['evaluated_on']}"),
        ("when", f"{record['date']}, commit `{(record['commit'] or 'unknown')[:12]}`{changed}"),
        (
            "the policy in the package",
            f"seed {shipped['seed']}, {shipped['bytes'] / 1000:.0f} KB, weights as "
            f"{shipped['encoding']}: {told} ({shipped['episodes']} episodes, {shipped['engine']})",
        ),
    ]
    return PAGE.format(
        id=task,
        rows="\n".join(f"| {name} | {text} |" for name, text in rows),
        command=f"```bash\n{record['command']}\n```\n",
        shipped=shipped,
    )


def index(results: dict[str, Any]) -> str:
    rows = []
    for task, record in results.items():
        measures = record["evaluation"]
        success = spread(measures["success"]) if "success" in measures else ""
        samples = millions(int(statistics.median(record["samples"])))
        rows.append(
            f"| [{task}]({task}.md) | {success} | {spread(measures['return'])} "
            f"| {len(record['seeds'])} | {samples} | {record['engine']} |"
        )
    return INDEX.format(rows="\n".join(rows), names="\n".join(results))


def spread(measure: dict[str, Any]) -> str:
    """`99.2 % (98.7 to 99.5 %)`: the median over the seeds, and its range."""
    kind, least, most = "share" if measure["share"] else "mean", *extremes(measure["values"])
    middle = number({kind: measure["median"]})
    if least == most:
        return middle
    return f"{middle} ({number({kind: least})} to {number({kind: most})})"


def extremes(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def number(measure: dict[str, Any]) -> str:
    if "share" in measure:
        return f"{100 * measure['share']:.1f} %"
    digits = 3 - math.floor(math.log10(abs(measure["mean"]) or 1.0)) - 1
    return f"{measure['mean']:.{min(max(digits, 0), 4)}f}"


def millions(steps: int) -> str:
    return f"{steps / 1e6:.3g} M"


if __name__ == "__main__":
    raise SystemExit(main())
