"""What the comparison of engines says, of engines that are made up and of those there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from isaac_gymnasium import parity
from isaac_gymnasium.cli import main
from isaac_gymnasium.engines import available_engines
from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.parity import Measurement
from isaac_gymnasium.vector_env import IsaacVectorEnv

BOTH = pytest.mark.skipif(len(available_engines()) < 2, reason="needs two engines")


def made_up(engine: str, **changes: object) -> Measurement:
    time = torch.arange(1.0, 61.0).view(-1, 1, 1)
    found = Measurement(
        engine=engine,
        step_dt=1 / 60,
        names={"Robot: joints": ["a", "b"]},
        totals={"Robot: mass, kg": 2.0},
        gravity={"Robot": torch.tensor([0.0, -0.05])},
        drive={"Robot": torch.tensor([0.1, 0.2])},
        path={"Robot joints": (0.01 * time).expand(60, 3, 2)},
        running=torch.ones(60, 3, dtype=torch.bool),
    )
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def rows(other: Measurement) -> dict[str, parity.Row]:
    compared = parity.compare([made_up("one"), other])
    return {row.check.partition(":")[2].strip() or row.check: row for row in compared}


def test_equal_engines_differ_in_nothing() -> None:
    assert all(row.amount == 0.0 for row in rows(made_up("two")).values())


def test_another_order_of_joints_is_told() -> None:
    row = rows(made_up("two", names={"Robot: joints": ["b", "a"]}))["joints"]
    assert (row.amount, row.difference) == (1.0, "names or order differ on two")


def test_masses_are_compared_in_percent_and_responses_in_their_units() -> None:
    heavier = rows(made_up("two", totals={"Robot: mass, kg": 2.1}))["mass, kg"]
    assert heavier.amount == pytest.approx(0.05)
    assert heavier.difference == "5 %"
    slower = made_up("two", drive={"Robot": torch.tensor([0.1, 0.19])})
    row = rows(slower)["drive, 0.1 s"]
    assert row.amount == pytest.approx(0.01)
    assert row.values == ("0.20000", "0.19000")


def test_errors_grow_along_the_path_and_ended_episodes_do_not_count() -> None:
    first, other = made_up("one"), made_up("two")
    other.path = {"Robot joints": 1.1 * first.path["Robot joints"]}
    error = parity.drift("Robot joints", first, other)
    torch.testing.assert_close(error, 0.001 * torch.arange(1.0, 61.0))
    other.path["Robot joints"][:, 0] += 100.0
    other.running[:, 0] = False
    torch.testing.assert_close(parity.drift("Robot joints", first, other), error)


@BOTH
def test_the_engines_agree_on_the_cartpole(tmp_path: Path) -> None:
    def make(engine: str) -> IsaacVectorEnv:
        return IsaacVectorEnv(Cartpole, 4, engine=engine, device="cpu")

    found = [parity.measure(make, engine, seconds=0.5) for engine in ("physx", "newton")]
    for row in parity.compare(found):
        if "order" in row.difference or "kg" in row.check:
            assert row.amount < 1e-6, row
        elif "drive" in row.check or "gravity" in row.check:
            assert row.amount < 0.003, row
        else:
            assert row.amount < 0.05, row
    assert float(found[0].gravity["Robot"].abs().max()) > 0.001, "the pole should have fallen"
    assert float(found[0].drive["Robot"].abs().max()) > 0.01, "the cart should have moved"


@BOTH
def test_the_command_writes_table_numbers_and_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers, figure = tmp_path / "parity.json", tmp_path / "parity.png"
    words = ["parity", "IsaacCartpole-v0", "--device", "cpu", "--num-envs", "2"]
    assert main([*words, "--json", str(numbers), "--figure", str(figure)]) == 0
    table = capsys.readouterr().out
    assert "| Robot: joints" in table
    data = json.loads(numbers.read_text())
    assert data["engines"] == available_engines()
    assert {row["check"] for row in data["rows"]} >= {"Robot: links", "Robot: mass, kg"}
    assert len(data["errors"][available_engines()[1]]["Robot joints"]) == 60
    assert figure.read_bytes()[:4] == b"\x89PNG"


def test_one_engine_is_nothing_to_compare(capsys: pytest.CaptureFixture[str]) -> None:
    engine = available_engines()[0]
    assert main(["parity", "IsaacCartpole-v0", "--engines", engine]) == 2
    assert "two engines or more" in capsys.readouterr().err
