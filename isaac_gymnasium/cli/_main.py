"""From the words on the command line to one command, and its errors to one line."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Annotated

import tyro

from isaac_gymnasium.cli._environment import import_task_module
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._parameters import Parameters, task_parameters
from isaac_gymnasium.cli.audit import Audit
from isaac_gymnasium.cli.benchmark import Benchmark
from isaac_gymnasium.cli.check import Check
from isaac_gymnasium.cli.doctor import Doctor
from isaac_gymnasium.cli.evaluate import Evaluate
from isaac_gymnasium.cli.export import Export
from isaac_gymnasium.cli.list import List
from isaac_gymnasium.cli.parity import Parity
from isaac_gymnasium.cli.replay import Replay
from isaac_gymnasium.cli.resume import Resume
from isaac_gymnasium.cli.train import Train, will_use_cuda
from isaac_gymnasium.cli.view import View
from isaac_gymnasium.engines import _isaacsim_app
from isaac_gymnasium.integrations.trainers import TRAINERS
from isaac_gymnasium.presets import preset
from isaac_gymnasium.presets.configs import TrainConfig

Command = (
    List
    | Train
    | Resume
    | Evaluate
    | View
    | Export
    | Check
    | Replay
    | Benchmark
    | Parity
    | Audit
    | Doctor
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; those of this process by default.

    Returns:
        The exit status: 0, 1 where `check` or `audit` found a failure, 2 after a mistake of the
        user, 128 and the number of a signal that ended it, or would have where nobody reads what is
        printed any more.
    """
    # A console script, unlike `python -m`, does not find modules in the current directory.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        status = _parse(sys.argv[1:] if arguments is None else arguments).run()
        sys.stdout.flush()
    except UserError as error:
        print(f"isaac-gymnasium: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        # As `head` does to `list`. What is still to be flushed at the end has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    _isaacsim_app.exit_status = status
    return status


def _parse(arguments: Sequence[str]) -> Command:
    config = _config(arguments)
    # A first reading finds the task, so that the second one, and its --help, has the options and
    # defaults of the task.
    without_help = [word for word in arguments if word not in ("-h", "--help")]
    first: Command | None = None
    with (
        contextlib.suppress(SystemExit),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        first = _read(_join_env_options(without_help), config())
    if not isinstance(first, Train):
        return _read(_join_env_options(arguments), config())
    # A task's own module registers it, and may bring its preset.
    import_task_module(first.task)
    cpu = not will_use_cuda(first.device)
    agent = preset(first.task, config, library=first.library, cpu=cpu)
    parameters = task_parameters(first.task.rpartition(":")[2])
    known = [item.name for item in fields(parameters)]
    return _read(_join_env_options(arguments, known), agent, parameters)


def _config(words: Sequence[str]) -> type[TrainConfig]:
    """The settings of the library and algorithm among the words, before the words are read."""
    chosen = _value(words, "--library", "skrl"), _value(words, "--algorithm", "ppo")
    # What is not in the table is for the real reading, or the command itself, to refuse.
    return TRAINERS.get(chosen, TRAINERS["skrl", "ppo"]).config


def _value(words: Sequence[str], option: str, default: str) -> str:
    value = default
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word == option:
            value = following
        elif word.startswith(f"{option}="):
            value = word.partition("=")[2]
    return value


def _read(
    words: Sequence[str], agent: TrainConfig, parameters: Parameters | None = None
) -> Command:
    train = Train(task=tyro.MISSING, agent=agent, parameters=parameters or Parameters())
    return tyro.cli(
        Annotated[List, tyro.conf.subcommand("list")]
        | Annotated[Train, tyro.conf.subcommand("train", default=train)]
        | Annotated[Resume, tyro.conf.subcommand("resume")]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[View, tyro.conf.subcommand("view")]
        | Annotated[Export, tyro.conf.subcommand("export")]
        | Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[Replay, tyro.conf.subcommand("replay")]
        | Annotated[Benchmark, tyro.conf.subcommand("benchmark")]
        | Annotated[Parity, tyro.conf.subcommand("parity")]
        | Annotated[Audit, tyro.conf.subcommand("audit")]
        | Annotated[Doctor, tyro.conf.subcommand("doctor")],
        prog="isaac-gymnasium",
        description="Isaac Sim's parallel scenes as gymnasium environments.",
        args=words,
    )


def _join_env_options(arguments: Sequence[str], known: Collection[str] = ()) -> list[str]:
    """Write ``--env.KEY VALUE`` and ``--env.KEY=VALUE`` as ``--env KEY=VALUE``.

    Args:
        arguments: words of the command line.
        known: keys that are options of their own, and stay as they are.
    """
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        key, equals, value = word.removeprefix("--env.").partition("=")
        key = key.replace("-", "_")
        if not word.startswith("--env.") or key in known:
            words.append(word)
        else:
            value = value if equals else next(rest, "")
            words += ["--env", f"{key}={value}"]
    return words
