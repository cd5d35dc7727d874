"""Executes the notebooks in place, keeping their outputs: `make notebooks`.

    python notebooks/run.py             all of them
    python notebooks/run.py 01 06       those whose names begin so
    python notebooks/run.py --check     without writing, to see that they run

It ends with an error at the first cell that fails, or where an output says what only concerns the
machine that made it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
# Paths of somebody's machine, and speeds of an engine whose licence forbids publishing them.
PRIVATE = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|mnt|usr|var|opt)/|steps/s|it/s")


def main() -> None:
    """Execute what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of names; all by default")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    paths = sorted(
        path
        for path in HERE.glob("*.ipynb")
        if not args.names or path.name.startswith(tuple(args.names))
    )
    if not paths:
        sys.exit(f"no notebook begins with any of {args.names}")
    for path in paths:
        begin = time.perf_counter()
        notebook = execute(path)
        if not args.check:
            nbformat.write(notebook, path)
        print(f"{path.name}: {time.perf_counter() - begin:.0f} s", flush=True)


def execute(path: Path) -> Any:
    """A notebook with fresh outputs, run by this interpreter in a folder of its own."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        # A log on stderr belongs to the run, not to the lesson.
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)
    for line in outputs(notebook):
        if PRIVATE.search(line):
            sys.exit(f"{path.name}: an output concerns only this machine: {line}")
    return notebook


def outputs(notebook: Any) -> list[str]:
    """The lines of text that cells have printed or shown."""
    lines: list[str] = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            lines += str(output.get("text", "")).splitlines()
            lines += str(output.get("data", {}).get("text/plain", "")).splitlines()
    return lines


if __name__ == "__main__":
    main()
