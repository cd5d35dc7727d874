"""scripts/results.py: run folders to a page, a picture and a policy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from loading import load

from isaac_gymnasium.cli import main

pytest.importorskip("ovphysx")
pytest.importorskip("skrl")

ROOT = Path(__file__).parents[2]
TRAIN = ["train", "IsaacCartpole-v0", "--device", "cpu", "--engine", "physx", "--num-envs", "32"]

results = load("results")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in ("1", "2", "3"):
        words = ["--timesteps", "4096", "--seed", seed, "--run-dir", f"{folder}/{seed}"]
        assert main([*TRAIN, *words]) == 0
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


def change(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def write(tmp_path: Path, *folders: Path, words: tuple[str, ...] = ()) -> int:
    places = ["--docs", f"{tmp_path}/docs", "--policies", f"{tmp_path}/policies"]
    places += ["--engine", "physx", "--device", "cpu", "--episodes", "8"]
    return results.main([*map(str, folders), *places, *words])


def test_runs_become_a_page_a_picture_and_a_policy(runs: Path, tmp_path: Path, capsys) -> None:
    for seed, share, mean in (("1", 0.5, 250.0), ("2", 0.75, 200.0), ("3", 0.75, 150.0)):
        file = runs / seed / "evaluation.json"
        document = json.loads(file.read_text())
        assert document["episodes"] == 32
        document |= {"return": {"mean": mean, "std": 1.0}, "success": {"share": share}}
        file.write_text(json.dumps(document))
    assert write(tmp_path, *(runs / seed for seed in "321")) == 0

    record = json.loads((tmp_path / "docs" / "results.json").read_text())["IsaacCartpole-v0"]
    assert record["seeds"] == [1, 2, 3]
    assert record["evaluation"]["return"]["values"] == [250.0, 200.0, 150.0]
    assert record["evaluation"]["return"]["median"] == 200.0
    # By success first: 0.5, 0.75 with the lower return, 0.75 with the higher.
    assert record["shipped"]["seed"] == 3
    assert record["samples"] == [4096] * 3

    page = (tmp_path / "docs" / "IsaacCartpole-v0.md").read_text()
    command = "isaac-gymnasium train IsaacCartpole-v0 --seed 1 --engine physx"
    assert f"{command} --num-envs 32 --timesteps 4096\n" in page
    assert "| seeds | 1, 2, 3 |" in page
    assert "| return | 200 (150 to 250) |" in page
    assert "| success | 75.0 % (50.0 % to 75.0 %) |" in page
    picture = tmp_path / "docs" / "IsaacCartpole-v0.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 3_000 < picture.stat().st_size < results.CURVE_LIMIT
    index = (tmp_path / "docs" / "index.md").read_text()
    assert "| [IsaacCartpole-v0](IsaacCartpole-v0.md) |" in index
    assert sorted(f.name for f in (tmp_path / "docs").iterdir()) == [
        "IsaacCartpole-v0.md",
        "IsaacCartpole-v0.png",
        "index.md",
        "results.json",
    ]

    capsys.readouterr()
    policy = str(tmp_path / "policies" / "IsaacCartpole-v0.npz")
    words = ["--engine", "physx", "--device", "cpu", "--episodes", "8"]
    assert main(["evaluate", policy, *words]) == 0
    shown = record["shipped"]["return"]["mean"]
    assert f"evaluation: return {shown:.1f}" in capsys.readouterr().out


def test_what_was_not_evaluated_yet_is_evaluated(runs: Path, tmp_path: Path) -> None:
    (runs / "1" / "evaluation.json").unlink()
    assert write(tmp_path, runs / "1") == 0
    assert json.loads((runs / "1" / "evaluation.json").read_text())["episodes"] == 8


def test_times_are_told_of_engines_whose_licence_allows_it(runs: Path, tmp_path: Path) -> None:
    for engine, told in (("physx", False), ("isaacsim", False), ("newton", True)):
        trained_on = json.loads((runs / "1" / "config.json").read_text())["trained_on"]
        assert trained_on["engine"] in ("physx", "isaacsim")
        change(runs / "1", trained_on={**trained_on, "engine": engine})
        assert write(tmp_path, runs / "1", words=("--shared", "six at once")) == 0
        page = (tmp_path / "docs" / "IsaacCartpole-v0.md").read_text()
        record = json.loads((tmp_path / "docs" / "results.json").read_text())["IsaacCartpole-v0"]
        assert ("wall-clock" in page) == told
        assert ("median, six at once |" in page) == told
        assert ("seconds" in record) == told
        assert "per_second" not in json.dumps(record)
    assert 0.1 < record["seconds"] < 600.0


def test_runs_that_do_not_belong_together_are_refused(runs: Path, tmp_path: Path, capsys) -> None:
    assert write(tmp_path, runs / "1", runs / "1") == 2
    assert "must have a seed each, got [1, 1]" in capsys.readouterr().err
    agent = json.loads((runs / "2" / "config.json").read_text())["agent"]
    change(runs / "2", agent={**agent, "discount": 0.5})
    assert write(tmp_path, runs / "1", runs / "2") == 2
    assert "differ in the seed alone, got discount 0.99 in" in capsys.readouterr().err
    change(runs / "3", task="my_module:Mine-v0")
    assert write(tmp_path, runs / "3") == 2
    assert "my_module:Mine-v0, which is no task of the package" in capsys.readouterr().err
    assert write(tmp_path, runs / "nothing") == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert not (tmp_path / "docs").exists() and not (tmp_path / "policies").exists()


def test_a_policy_of_other_spaces_is_refused(runs: Path, tmp_path: Path, capsys) -> None:
    change(runs / "1", task="IsaacCartpoleSwingUp-v0")
    assert write(tmp_path, runs / "1", words=("--again",)) == 2
    assert "does not fit IsaacCartpoleSwingUp-v0 as it is made here" in capsys.readouterr().err


def test_the_pages_of_this_repository_are_those_of_its_numbers() -> None:
    folder = ROOT / "docs" / "results"
    found = json.loads((folder / "results.json").read_text())
    assert (folder / "index.md").read_text() == results.index(found)
    for task, record in found.items():
        assert (folder / f"{task}.md").read_text() == results.page(task, record)
        assert (folder / f"{task}.png").stat().st_size < results.CURVE_LIMIT
        assert (record["engine"] in results.TIMED_ENGINES) or "seconds" not in record
    pages = {file.stem for file in folder.glob("*.md")} - {"index"}
    assert pages == set(found)
    policies = {f.stem for f in (ROOT / "isaac_gymnasium" / "policies").glob("*.npz")}
    assert policies <= set(found)
