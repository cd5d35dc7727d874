"""``isaac-gymnasium list``: the environments and their spaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gymnasium import Space
from gymnasium.spaces import Box

from isaac_gymnasium.registration import registered_tasks
from isaac_gymnasium.task import make_task


@dataclass(kw_only=True)
class List:
    """List the environments: ID, observation space, action space."""

    def run(self) -> int:
        """Print one line for each environment; starts no engine."""
        tasks = {id: make_task(task, {}) for id, task in sorted(registered_tasks().items())}
        width = max(map(len, tasks), default=0)
        for id, task in tasks.items():
            spaces = [_describe(space) for space in (task.observation_space(), task.action_space())]
            print(f"{id:{width}}  observation {spaces[0]}  action {spaces[1]}")
        return 0


def _describe(space: Space[Any]) -> str:
    if isinstance(space, Box):
        return f"Box{space.shape}".replace(",)", ")")
    return str(space)
