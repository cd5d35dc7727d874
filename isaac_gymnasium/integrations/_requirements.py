"""What adapters ask for, in the same words: their library, an autoreset mode, actions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv


@contextmanager
def needs_extra(library: str, extra: str) -> Iterator[None]:
    """Says which extra of this package to install where an import within fails.

    Args:
        library: What is imported, for the message.
        extra: The extra that has it.

    Raises:
        ImportError: If something is missing; a message that names the extra already stays.
    """
    try:
        yield
    except ImportError as error:
        hint = f"pip install isaac-gymnasium[{extra}]"
        if hint in str(error):
            raise
        raise ImportError(f"{library} is not usable here ({error}): {hint}") from error


def require_autoreset(
    env: VectorEnv[Any, Any, Any], mode: AutoresetMode, adapter: str, reason: str
) -> None:
    """Refuses an environment in another autoreset mode than an adapter's.

    Args:
        env: The environment, possibly within wrappers.
        mode: The one mode the adapter is right in.
        adapter: Its name, for the message.
        reason: Why it has to be that mode, for the message.

    Raises:
        ValueError: If the environment is in another mode.
    """
    found = env.metadata.get("autoreset_mode")
    if found is not mode:
        got = found.value if isinstance(found, AutoresetMode) else found
        raise ValueError(f"{adapter} needs autoreset_mode={mode.value!r}, got {got!r}: {reason}")


def require_vector_actions(env: VectorEnv[Any, Any, Any], library: str) -> int:
    """The number of values in an action.

    Args:
        env: The environment, possibly within wrappers.
        library: Whose algorithms know no other actions, for the message.

    Raises:
        ValueError: If actions are no vectors.
    """
    space = env.single_action_space
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise ValueError(f"{library} needs actions in a Box of shape (A,), got {space}")
    return space.shape[0]
