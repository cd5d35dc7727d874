"""What one call of `reset` or `step` returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isaac_gymnasium.contract.twins import AnyVectorEnv
from isaac_gymnasium.contract.values import to_numpy
from isaac_gymnasium.contract.verdict import require, require_same_outcome


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one call of `reset` or `step` returned.

    Attributes:
        live: The very objects, by name: obs and info, after a step also reward, terminated and
            truncated.
        seen: A copy of `live` in NumPy, made at once.
        is_step: False for a reset.
    """

    live: dict[str, Any]
    seen: dict[str, Any]
    is_step: bool

    @property
    def core(self) -> dict[str, Any]:
        """`seen` without the info, in which there may be things such as times."""
        return {name: value for name, value in self.seen.items() if name != "info"}

    def ended(self, num_envs: int) -> np.ndarray:
        """(N,) bool: whose episode the step ended, as far as the flags can be read."""
        ended = np.zeros(num_envs, dtype=bool)
        for name in ("terminated", "truncated"):
            flag = np.asarray(self.seen.get(name, False))
            if flag.size == num_envs and flag.dtype.kind in "biuf":
                ended |= flag.reshape(num_envs).astype(bool)
        return ended


Rollout = list[Outcome]


def reset(env: AnyVectorEnv, **kwargs: Any) -> Outcome:
    """Calls `reset` and keeps what came."""
    result = env.reset(**kwargs)
    require(
        isinstance(result, tuple) and len(result) == 2,
        "reset to return the tuple (obs, info)",
        type(result).__name__,
    )
    live = dict(zip(("obs", "info"), result, strict=True))
    return Outcome(live=live, seen=to_numpy(live), is_step=False)


def step(env: AnyVectorEnv, actions: Any) -> Outcome:
    """Calls `step` and keeps what came."""
    result = env.step(actions)
    require(
        isinstance(result, tuple) and len(result) == 5,
        "step to return the tuple (obs, reward, terminated, truncated, info)",
        type(result).__name__,
    )
    names = ("obs", "reward", "terminated", "truncated", "info")
    live = dict(zip(names, result, strict=True))
    return Outcome(live=live, seen=to_numpy(live), is_step=True)


def require_same_rollout(first: Rollout, again: Rollout, where: str) -> None:
    """Fails the point unless two rollouts are equal, infos aside."""
    for index, (one, other) in enumerate(zip(first, again, strict=False)):
        require_same_outcome(one.core, other.core, index, where)
    require(
        len(again) == len(first),
        f"a rollout of {len(first)} outcomes, {where}",
        f"{len(again)} outcomes",
    )
