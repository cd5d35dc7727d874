"""From a task's name and words like ``cube_size=0.04`` to an environment."""

from __future__ import annotations

import ast
import importlib
import traceback
from collections.abc import Sequence
from typing import Any

import gymnasium
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv

from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.engines import EngineError
from isaac_gymnasium.registration import registered_tasks
from isaac_gymnasium.wrappers import FlattenObservation


def parse_keywords(words: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` words; a value that is no Python literal is a string.

    Raises:
        UserError: a word without ``=``.
    """
    keywords: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key.strip() and equals):
            raise UserError(f"--env expects KEY=VALUE, got {word!r}")
        try:
            keywords[key.strip()] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            constants = {"true": True, "false": False, "none": None}
            keywords[key.strip()] = constants.get(value.lower(), value)
    return keywords


def make_environment(
    task: str, *, num_envs: int, device: str, engine: str, keywords: dict[str, Any]
) -> VectorEnv[Any, Any, Any]:
    """Make the environments of a task, their observations as one vector (N, O).

    Args:
        task: environment ID, or ``module:ID`` for a task of the user's own.
        num_envs: how many in parallel.
        device: ``"auto"``, ``"cpu"`` or ``"cuda:0"``.
        engine: ``"auto"`` or an engine's name.
        keywords: further arguments of the environment.

    Raises:
        UserError: unknown task, module or argument, or an extra that is not installed.
    """
    name = task.rpartition(":")[2]
    import_task_module(task)
    try:
        gymnasium.spec(name)
    except gymnasium.error.Error as error:
        known = ", ".join(sorted(registered_tasks()))
        raise UserError(f"unknown environment {name!r}; known: {known}") from error
    try:
        env = gymnasium.make_vec(name, num_envs=num_envs, device=device, engine=engine, **keywords)
    except (EngineError, MemoryError) as error:
        raise UserError(str(error)) from error
    except (TypeError, ValueError) as error:
        if not is_refusal(error):
            raise
        raise UserError(str(error)) from error
    mode = AutoresetMode(env.unwrapped.metadata["autoreset_mode"])
    if mode is not AutoresetMode.SAME_STEP:
        env.close()
        raise UserError(f"training needs autoreset_mode='SameStep', got {mode.value!r}")
    space = env.single_observation_space
    if not (isinstance(space, Box) and len(space.shape) == 1):
        env = FlattenObservation(env)
    return env


def is_refusal(error: Exception) -> bool:
    """Whether this package itself raised the error, rather than the code of a user's task."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module: str = frame.f_globals.get("__name__", "")
    return module.split(".")[0] in ("isaac_gymnasium", "gymnasium")


def import_task_module(task: str) -> None:
    """Import the module of ``module:ID``, which registers the ID; nothing for a plain ID.

    Raises:
        UserError: there is no such module. What its own code raises is let through.
    """
    module = task.rpartition(":")[0]
    if not module:
        return
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UserError(
            f"no module {error.name!r}, neither in the current directory nor installed"
        ) from error
