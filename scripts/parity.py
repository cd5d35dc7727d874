"""Write docs/parity.md and its figures: every task on both engines, with a policy if there is one.

    python scripts/parity.py --runs runs --device cpu

Takes `isaac-gymnasium parity` for each task, in a process of its own. Under `--runs` it looks for
run folders, and takes the latest of a task; without one it takes the policy that comes with the
package.
"""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from isaac_gymnasium.policies import shipped_policies
from isaac_gymnasium.registration import registered_tasks

_PAGE = Path(__file__).parents[1] / "docs" / "parity.md"
_FIGURES = Path("images", "parity")
_SMALL = {
    # Rows of tiles cost time to make, and the comparison needs few.
    id: ["--env.levels", "3", "--env.tiles", "10", "--env.first-levels", "2"]
    for id in ("IsaacAnymalRough-v0", "IsaacGo2Rough-v0")
}


@dataclass(kw_only=True)
class Arguments:
    """What to compare, where, and how much of it."""

    ids: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Environment IDs; by default all."""
    runs: Path | None = None
    """Where trained runs lie."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    num_envs: int = 16
    """Environments in parallel."""
    episodes: int = 64
    """Episodes of a policy on each engine."""
    jobs: int = 1
    """Tasks at once."""
    page: Path = field(default=_PAGE)
    """What to write; the figures go to images/parity beside it."""


def main() -> None:
    """Compare, and write the page."""
    given = tyro.cli(Arguments, description=__doc__)
    ids = given.ids or tuple(registered_tasks())
    found: list[tuple[str, str]] = []
    (given.page.parent / _FIGURES).mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        for section in pool.map(lambda id: _section(id, given), ids):
            found += [] if section is None else [section]
            given.page.write_text(_page(found, given))


def _page(found: list[tuple[str, str]], given: Arguments) -> str:
    lines = [
        "# Parity of the engines",
        "",
        "What the rows mean, and where the differences come from: [Engines](engines.md). Made by:",
        "",
        "```bash",
        f"python scripts/parity.py{' --runs runs' if given.runs else ''} "
        f"--device {given.device} --num-envs {given.num_envs} --episodes {given.episodes}",
        "```",
        "",
        "## One policy on each engine",
        "",
        "| task | trained policy | return | success, % |",
        "|---|---|---|---|",
        *(summary for _, summary in found if summary),
        "",
        "The first number is on `physx`, the second on `newton`.",
        *(line for table, _ in found for line in ("", table)),
    ]
    return "\n".join(lines) + "\n"


def _section(id: str, given: Arguments) -> tuple[str, str] | None:
    policy = _policy(id, given.runs)
    with tempfile.TemporaryDirectory() as folder:
        numbers, figure = Path(folder) / "numbers.json", _FIGURES / f"{id}.svg"
        command = [sys.executable, "-m", "isaac_gymnasium.cli", "parity", id]
        command += ["--engines", "physx", "newton", "--device", given.device]
        command += ["--num-envs", str(given.num_envs), "--episodes", str(given.episodes)]
        command += ["--figure", str(given.page.parent / figure)]
        command += ["--json", str(numbers), *_SMALL.get(id, [])]
        command += [] if policy is None else ["--policy", policy]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{id}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        rows = {row["check"]: row["values"] for row in json.loads(numbers.read_text())["rows"]}
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    print(f"{id}: {len(table) - 2} rows", file=sys.stderr)
    summary = ""
    if policy is not None:
        name = "of the package" if policy == id else f"`{Path(policy).name}`"
        values = (", ".join(rows.get(f"policy: {what}", ())) for what in ("return", "success, %"))
        summary = f"| `{id}` | {name} | {' | '.join(values)} |"
    picture = f"![Distance between the engines over one second]({figure})"
    return "\n".join([f"## {id}", "", *table, "", picture]), summary


def _policy(id: str, runs: Path | None) -> str | None:
    """The latest run of a task, else the ID where the package has a policy."""
    known = []
    for config in () if runs is None else runs.rglob("config.json"):
        checkpoint = config.with_name("checkpoint.pt")
        if checkpoint.is_file() and json.loads(config.read_text()).get("task") == id:
            known.append(config.parent)
    if known:
        return str(max(known, key=lambda run: (run / "checkpoint.pt").stat().st_mtime))
    return id if id in shipped_policies() else None


if __name__ == "__main__":
    main()
