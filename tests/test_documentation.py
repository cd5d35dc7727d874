"""The documentation site: a page and a picture of every environment, links that hold."""

from __future__ import annotations

import importlib.util
import json
import re
import struct
import zlib
from pathlib import Path
from types import ModuleType

import pytest

from isaac_gymnasium.registration import _OURS
from isaac_gymnasium.task import find_task

DOCS = Path(__file__).parents[1] / "docs"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


site, links = load("environment_pages"), load("links")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    docs = tmp_path_factory.mktemp("docs")
    site.write_pages(docs)
    return {file.stem: file.read_text() for file in (docs / "environments").iterdir()}


def test_there_is_a_page_for_every_environment_and_none_else(pages: dict[str, str]) -> None:
    assert pages.keys() == {*_OURS, "index"}


@pytest.mark.parametrize("id", _OURS)
def test_a_page_says_all_there_is_to_know(id: str, pages: dict[str, str]) -> None:
    texts = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", pages[id], re.M))
    assert list(texts) == [*site.HEADINGS, "Keywords", "Settings"]
    assert all(text.strip() for text in texts.values())
    keywords = re.findall(r"^\| `(\w+)` \| `.+` \|$", texts["Keywords"], re.M)
    assert sorted(keywords) == sorted(find_task(_OURS[id]).parameters())
    assert "ppo:" in texts["Settings"]
    assert pages["index"].count(f"[{id}]({id}.md)") == 1


def test_the_architecture_names_every_module_and_none_that_is_not_there() -> None:
    text = (DOCS / "architecture.md").read_text()
    package = DOCS.parent / "isaac_gymnasium"
    there = {path.stem for path in package.iterdir() if path.suffix == ".py"}
    there |= {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    rooms = re.search(r"```text\n(.*?)```", text, re.S)
    assert rooms is not None
    names = [re.split(r" {3,}", line)[0].split() for line in rooms[1].splitlines()]
    named = [name.rstrip("/") for line in names for name in line]
    assert sorted(named) == sorted(name for name in there if not name.startswith("_"))
    # A name without a folder stands beside the one before it.
    for row in re.findall(r"^\| (`.*?) \|", text, re.M):
        folder = package
        for name in re.findall(r"`([\w/]+)`", row):
            path = package / name
            if not (path.exists() or path.with_suffix(".py").exists()):
                path = folder / name
            assert path.exists() or path.with_suffix(".py").exists(), name
            folder = path.parent


@pytest.mark.parametrize("id", _OURS)
def test_every_environment_has_a_small_picture(id: str) -> None:
    data = (DOCS / "_static" / "envs" / f"{id}.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (320, 240)
    assert len(data) < 40_000
    # What compresses to next to nothing shows nothing.
    assert len(zlib.compress(data)) > 5_000


def test_a_docstring_without_a_heading_is_refused(tmp_path: Path) -> None:
    cls = find_task(_OURS["IsaacCartpole-v0"])
    text = cls.__doc__ or ""
    lacking = type("Lacking", (cls,), {"__doc__": text.replace("## Rewards", "Rewards")})
    with pytest.raises(ValueError, match=r"Lacking must have something to say under .*Rewards"):
        site.page("IsaacCartpole-v0", lacking, tmp_path)


def test_pages_are_kept_unless_they_change(tmp_path: Path) -> None:
    """Sphinx reads again what is newer than its last build."""
    site.write_pages(tmp_path)
    folder = tmp_path / "environments"
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    (folder / "IsaacGone-v0.md").write_text("# IsaacGone-v0\n")
    (folder / "IsaacAnt-v0.md").write_text("# changed\n")
    site.write_pages(tmp_path)
    after = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"IsaacAnt-v0.md"}


def test_what_training_reaches_is_shown_where_it_is_known(tmp_path: Path) -> None:
    cls = find_task(_OURS["IsaacAnt-v0"])
    assert "What training reaches" not in site.page("IsaacAnt-v0", cls, tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "IsaacAnt-v0.md").touch()
    assert "{include} ../results/IsaacAnt-v0.md" in site.page("IsaacAnt-v0", cls, tmp_path)
    record = {"IsaacAnt-v0": {"evaluation": {"success": {"median": 0.9453}}}}
    (tmp_path / "results" / "results.json").write_text(json.dumps(record))
    site.write_pages(tmp_path)
    rows = (tmp_path / "environments" / "index.md").read_text().splitlines()
    assert [row for row in rows if "success 94.5 %" in row] == [
        row for row in rows if "[IsaacAnt-v0]" in row
    ]


@pytest.mark.parametrize(
    ("folder", "before", "after"),
    [
        ("", "docs/contract.md#points", "/contract.md#points"),
        ("", "CONTRIBUTING.md", "/guide/contributing.md"),
        ("", "LICENSE", "/../LICENSE"),
        ("docs", "../README.md", "/guide/quick_start.md"),
        ("docs/libraries", "../architecture.md", "/architecture.md"),
        ("docs/libraries", "../../isaac_gymnasium/task.py", "/../isaac_gymnasium/task.py"),
        ("docs", "#here", "#here"),
        ("docs", "https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_links_lead_to_pages_of_the_site(folder: str, before: str, after: str) -> None:
    assert links.relink(f"See [it]({before}).", folder) == f"See [it]({after})."
