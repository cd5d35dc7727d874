"""The table of IDs, and `register` for tasks of your own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from isaac_gymnasium.presets import add_preset
from isaac_gymnasium.task import Task, find_task

_OURS = {
    "IsaacAllegroHand-v0": "isaac_gymnasium.envs.allegro_hand:AllegroHand",
    "IsaacAnt-v0": "isaac_gymnasium.envs.ant:Ant",
    "IsaacAnymal-v0": "isaac_gymnasium.envs.anymal:Anymal",
    "IsaacAnymalRough-v0": "isaac_gymnasium.envs.anymal_rough:AnymalRough",
    "IsaacBallBalance-v0": "isaac_gymnasium.envs.ball_balance:BallBalance",
    "IsaacCartpole-v0": "isaac_gymnasium.envs.cartpole:Cartpole",
    "IsaacCartpoleCamera-v0": "isaac_gymnasium.envs.cartpole_camera:CartpoleCamera",
    "IsaacCartpoleSwingUp-v0": "isaac_gymnasium.envs.cartpole_swing_up:CartpoleSwingUp",
    "IsaacFrankaCabinet-v0": "isaac_gymnasium.envs.franka_cabinet:FrankaCabinet",
    "IsaacFrankaCube-v0": "isaac_gymnasium.envs.franka_cube:FrankaCube",
    "IsaacFrankaCubeCamera-v0": "isaac_gymnasium.envs.franka_cube_camera:FrankaCubeCamera",
    "IsaacFrankaPushCube-v0": "isaac_gymnasium.envs.franka_push_cube:FrankaPushCube",
    "IsaacFrankaPushT-v0": "isaac_gymnasium.envs.franka_push_t:FrankaPushT",
    "IsaacFrankaReach-v0": "isaac_gymnasium.envs.franka_reach:FrankaReach",
    "IsaacFrankaStackCube-v0": "isaac_gymnasium.envs.franka_stack_cube:FrankaStackCube",
    "IsaacGo2-v0": "isaac_gymnasium.envs.go2:Go2",
    "IsaacGo2Rough-v0": "isaac_gymnasium.envs.go2_rough:Go2Rough",
    "IsaacHumanoid-v0": "isaac_gymnasium.envs.humanoid:Humanoid",
    "IsaacQuadcopter-v0": "isaac_gymnasium.envs.quadcopter:Quadcopter",
}


def register(
    id: str,
    task: type[Task] | str,
    *,
    preset: Mapping[str, Any] | str | Path | None = None,
) -> None:
    """Registers a task, for `gymnasium.make_vec(id, num_envs=N)` and `gymnasium.make(id)`.

    Args:
        id: As gymnasium wants it: `"Name-v0"`, optionally with a namespace in front.
        task: A `Task` subclass at the top level of its module, or `"module:Class"`.
        preset: Settings that the task trains well with, such as `{"ppo": {"discount": 0.95}}`, or
            the path of a YAML file with them; see `isaac_gymnasium.presets`.
    """
    if preset is not None:
        add_preset(id, preset)
    if not isinstance(task, str):
        if not (isinstance(task, type) and issubclass(task, Task)):
            raise TypeError(f"task must be a subclass of Task or 'module:Class', got {task!r}")
        if "." in task.__qualname__:
            raise TypeError(
                f"{task.__qualname__} must stand at the top level of its module, to be found again"
            )
        task = f"{task.__module__}:{task.__qualname__}"
    gym.register(
        id=id,
        entry_point="isaac_gymnasium.single_env:IsaacEnv",
        vector_entry_point="isaac_gymnasium.vector_env:IsaacVectorEnv",
        # A string, so that a spec survives JSON, pickling and spawned processes.
        kwargs={"task": task},
    )


def registered_tasks() -> dict[str, type[Task]]:
    """IDs of everything registered here, ours and yours, with their tasks."""
    return {
        id: find_task(spec.kwargs["task"])
        for id, spec in gym.registry.items()
        if spec.vector_entry_point == "isaac_gymnasium.vector_env:IsaacVectorEnv"
    }


def register_all() -> None:
    """Registers the tasks of this package; importing `isaac_gymnasium` calls it."""
    for id, task in _OURS.items():
        if id not in gym.registry:
            register(id, task)
