"""`IsaacEnv`: one environment of a task as a `gymnasium.Env`, for `gymnasium.make`."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from torch import Tensor

from isaac_gymnasium.task import Task
from isaac_gymnasium.vector_env import IsaacVectorEnv


class IsaacEnv(gym.Env[Any, np.ndarray]):
    """A NumPy view of an `IsaacVectorEnv` of one environment.

    It runs on the CPU unless told otherwise: a GPU pays off from a few hundred environments on.

    Args:
        task: A `Task` subclass, or where to find it as `"module:Class"`.
        device: As in `IsaacVectorEnv`.
        log_rewards: Whether `info["log"]` tells the reward terms.
        **kwargs: Further arguments of `IsaacVectorEnv`.

    Attributes:
        vector_env: The environment of which this is a view.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 (gymnasium's declaration)

    def __init__(
        self,
        task: type[Task] | str,
        *,
        device: str = "cpu",
        log_rewards: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("max_episode_steps", _limit_of_make(sys._getframe(1)))
        self.vector_env = IsaacVectorEnv(
            task,
            num_envs=1,
            device=device,
            autoreset_mode=AutoresetMode.DISABLED,
            log_rewards=log_rewards,
            **kwargs,
        )
        self.observation_space = self.vector_env.single_observation_space
        self.action_space = self.vector_env.single_action_space
        self.render_mode = self.vector_env.render_mode
        self.metadata = {
            **type(self).metadata,
            "render_fps": self.vector_env.metadata["render_fps"],
        }

    @property
    def task(self) -> Task:
        """The task, with its parameters and handles."""
        return self.vector_env.task

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts a new episode; see `IsaacVectorEnv.reset`."""
        super().reset(seed=seed)
        obs, info = self.vector_env.reset(seed=seed, options=options)
        return _first(obs), _first(info)

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advances the environment by one step.

        Args:
            action: (A,) floats.
        """
        actions = np.asarray(action, dtype=np.float32)[None]
        obs, reward, terminated, truncated, info = self.vector_env.step(actions)
        return _first(obs), float(reward), bool(terminated), bool(truncated), _first(info)

    def render(self) -> np.ndarray | None:
        """(H, W, 3) uint8 frame, None where a window is drawn; see `IsaacVectorEnv.render`."""
        frames = self.vector_env.render()
        return None if frames is None else frames[0]

    def close(self) -> None:
        """Frees the simulation."""
        self.vector_env.close()


def _limit_of_make(caller: FrameType) -> int | None:
    """The `max_episode_steps` that `gymnasium.make` was asked for, if it is the caller.

    It keeps this for a `TimeLimit` around the environment, which could only shorten the task's own
    limit.
    """
    if caller.f_code is not gym.make.__code__:
        return None
    asked, spec = (caller.f_locals.get(name) for name in ("max_episode_steps", "env_spec"))
    limit = spec.max_episode_steps if asked is None and spec is not None else asked
    return None if limit == -1 else limit


def _first(tree: Any) -> Any:
    """Row 0 of every tensor as NumPy, scalars as Python numbers."""
    if isinstance(tree, dict):
        return {key: _first(value) for key, value in tree.items()}
    assert isinstance(tree, Tensor)
    value = tree if tree.dim() == 0 else tree[0]
    return value.item() if value.dim() == 0 else value.cpu().numpy()
