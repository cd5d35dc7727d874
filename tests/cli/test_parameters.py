"""Parameters of a task as options."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import gymnasium
import pytest

import isaac_gymnasium
from isaac_gymnasium.cli import main
from isaac_gymnasium.cli._main import _parse
from isaac_gymnasium.cli._parameters import task_parameters
from isaac_gymnasium.envs.cartpole import Cartpole


@dataclass(kw_only=True)
class Shapes(Cartpole):
    """A cart-pole with parameters of many types.

    ## Arguments
    * `count`, `offset`: how many,
      and where
    """

    count: int = 3
    rate: float = 2
    offset: tuple[float, float, float] = (0.0, 0.0, 1)
    friendly: bool = True
    mood: Literal["calm", "wild"] = "calm"
    file: str = "a.usd"
    nothing: float | None = None
    mixed: tuple[object, ...] = (1, "a")


@pytest.fixture(autouse=True)
def shapes():
    isaac_gymnasium.register("Shapes-v0", Shapes)
    yield
    del gymnasium.registry["Shapes-v0"]


def chosen(*words):
    command = _parse(["train", "Shapes-v0", "--device", "cpu", *words])
    return command.parameters.changed()


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ((), {}),
        (("--env.count", "4"), {"count": 4}),
        (("--env.count=4",), {"count": 4}),
        (("--env.rate", "0.5"), {"rate": 0.5}),
        (("--env.offset", "1", "2", "3.5"), {"offset": (1.0, 2.0, 3.5)}),
        (("--env.friendly", "False"), {"friendly": False}),
        (("--env.mood", "wild"), {"mood": "wild"}),
        (("--env.file", "b.usd"), {"file": "b.usd"}),
        (("--env.max-force", "50"), {"max_force": 50.0}),
        (("--env.dt", "0.01", "--seed", "3"), {"dt": 0.01}),
        (("--env.max_force", "100"), {}),
    ],
)
def test_each_kind_of_parameter(words, value):
    assert chosen(*words) == value


@pytest.mark.parametrize(
    "words", [("--env.count", "x"), ("--env.mood", "sad"), ("--env.offset", "1", "2")]
)
def test_a_value_of_another_kind_is_refused(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        chosen(*words)
    assert exit_.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_what_is_no_option_can_be_given_all_the_same():
    command = _parse(["train", "Shapes-v0", "--env.nothing", "0.5", "--env", "mixed=(2, 'b')"])
    assert command.env == (("nothing=0.5",), ("mixed=(2, 'b')",))
    names = {item.name for item in fields(task_parameters("Shapes-v0"))}
    assert {"count", "mood", "env_spacing"} <= names
    assert not {"nothing", "mixed", "engine", "revision"} & names


def test_help_says_what_the_docstrings_say(capsys):
    with pytest.raises(SystemExit):
        _parse(["train", "Shapes-v0", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--env.count INT how many, and where (default: 3)" in shown
    assert "--env.max-force FLOAT N per unit of action (default: 100.0)" in shown
    assert "--env.dt FLOAT Length of one physics step, s. (default: 0.00833" in shown
    assert "--env.mood {calm,wild}" in shown


def test_an_environment_of_another_kind_has_no_options():
    assert fields(task_parameters("CartPole-v1")) == fields(task_parameters("Unknown-v0")) == ()


@pytest.mark.parametrize("id", isaac_gymnasium.registered_tasks())
def test_every_shipped_parameter_is_an_option_and_has_a_word_of_explanation(id):
    task = isaac_gymnasium.registered_tasks()[id]
    options = task_parameters(id)
    assert {item.name for item in fields(options)} == set(task.parameters())
    for item in fields(options):
        assert item.default == task.parameters()[item.name]
        (settings,) = item.type.__metadata__
        assert settings.help, f"{id} says nothing about {item.name}"


@pytest.mark.usefixtures("physics")
def test_the_environment_gets_them(monkeypatch, tmp_path, capsys):
    pytest.importorskip("skrl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    words = ["train", "IsaacCartpole-v0", "--device", "cpu", "--env.episode-length-s", "0.2"]
    words += ["--num-envs", "4", "--timesteps", "40", "--rollouts", "10", "--mini-batches", "1"]
    assert main([*words, "--run-dir", "run"]) == 0
    assert "length 12.0 (4 episodes)" in capsys.readouterr().out
    assert '"episode_length_s": 0.2' in Path("run/config.json").read_text()
