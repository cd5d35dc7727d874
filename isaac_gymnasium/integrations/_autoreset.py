"""The one check that every adapter makes: the autoreset mode it is right in."""

from __future__ import annotations

from typing import Any

from gymnasium.vector import AutoresetMode, VectorEnv

from isaac_gymnasium.wrappers import TorchWrapper


def require_autoreset(
    env: VectorEnv[Any, Any, Any], mode: AutoresetMode, adapter: str, reason: str
) -> TorchWrapper:
    """Refuses an environment in another autoreset mode than an adapter's.

    Args:
        env: The environment, possibly within wrappers.
        mode: The one mode the adapter is right in.
        adapter: Its name, for the message.
        reason: Why it has to be that mode, for the message.

    Returns:
        The environment within a wrapper that forwards `device`, `state()` and the like also
        through gymnasium's own wrappers.

    Raises:
        ValueError: If the environment is in another mode.
    """
    wrapped = TorchWrapper(env)
    if wrapped.autoreset_mode is not mode:
        raise ValueError(
            f"{adapter} needs autoreset_mode={mode.value!r}, "
            f"got {wrapped.autoreset_mode.value!r}: {reason}"
        )
    return wrapped
