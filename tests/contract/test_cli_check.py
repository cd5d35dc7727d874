"""``isaac-gymnasium check``, run as the command does."""

from __future__ import annotations

import pytest

from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli.check import Check


def test_prints_the_table_and_succeeds_where_every_point_passes(capsys):
    assert Check(task="sound_env:Sound-v0").run() == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Sound(Sound-v0, num_envs=4), SameStep, torch tensors on cpu\n")
    assert "0 failed" in printed
    assert "pass  true_successor" in printed


def test_fails_with_status_1_where_a_point_fails(capsys):
    assert Check(task="broken_envs:GrowingBounds-v0").run() == 1
    assert "FAIL  spec " in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
@pytest.mark.parametrize(
    ("task", "words"),
    [("sound_env:Sound-v0", ()), ("CartPole-v1", ("vectorization_mode=sync",))],
)
def test_mode_number_and_arguments_reach_the_environment(task, words, mode, capsys):
    words = (*words, "max_episode_steps=6")
    Check(task=task, num_envs=3, autoreset_mode=mode, steps=9, env=(words,)).run()
    printed = capsys.readouterr().out
    assert f"num_envs=3), {mode}" in printed
    assert "pass  truncation" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "Nothing-v0"}, "unknown environment 'Nothing-v0': "),
        ({"task": "no_such_module:A-v0"}, "no module 'no_such_module'"),
        ({"task": "sound_env:Sound-v0", "num_envs": 0}, "--num-envs must be at least 1, got 0"),
        ({"task": "sound_env:Sound-v0", "steps": 0}, "--steps must be at least 1, got 0"),
        ({"task": "CartPole-v1", "env": (("mass=2",),)}, "unexpected keyword argument 'mass'"),
        ({"task": "CartPole-v1", "autoreset_mode": "SameStep"}, "argument 'autoreset_mode'"),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, message):
    with pytest.raises(UserError, match=message):
        Check(**arguments).run()
