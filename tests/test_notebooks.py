"""The notebooks as they are kept: run from top to bottom, and fit for others to read.

`make notebooks ARGS=--check` runs them.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = [
    "01_first_steps",
    "02_train_and_watch",
    "03_write_your_own_task",
    "04_wrappers_and_contract",
    "05_benchmark_your_algorithm",
    "06_cameras",
    "07_randomisation_and_state",
]


@pytest.fixture(scope="module")
def run() -> Any:
    spec = importlib.util.spec_from_file_location("notebooks_run", FOLDER / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=NAMES)
def notebook(request: pytest.FixtureRequest) -> Any:
    return nbformat.read(FOLDER / f"{request.param}.ipynb", as_version=4)


def test_these_are_all() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


def test_every_cell_has_run_once_in_order_without_an_error(notebook: Any) -> None:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert "error" not in kinds
    assert all(cell.outputs for cell in cells[-2:-1]), "something to see"


def test_no_output_concerns_only_one_machine(notebook: Any, run: Any) -> None:
    assert not [line for line in run.outputs(notebook) if run.PRIVATE.search(line)]


def test_what_concerns_only_one_machine_is_found(run: Any) -> None:
    for line in ("saved to /home/me/film.mp4", "step 1,000  return 3.0  12,345 steps/s"):
        assert run.PRIVATE.search(line)
    for line in ("https://example.org/home/x", "300 steps of 1/60 s", "device='cpu'"):
        assert not run.PRIVATE.search(line)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_small(name: str) -> None:
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 700_000
