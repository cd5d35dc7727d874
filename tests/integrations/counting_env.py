"""A vector environment whose every number says where it comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from isaac_gymnasium.wrappers import TorchWrapper

VECTOR = Box(-np.inf, np.inf, (4,), np.float32)
SPACES = {
    "box": VECTOR,
    "double": Box(-np.inf, np.inf, (4,), np.float64),
    "image": Box(0, 255, (36, 40, 3), np.uint8),
    "dict": Dict({"policy": VECTOR, "camera": Box(0, 255, (36, 40, 3), np.uint8)}),
}


class Task:
    strength = 3.0

    def describe(self, word: str) -> str:
        return f"a task, {word}"


class CountingEnv(VectorEnv[Any, Any, Tensor]):
    """Observes (environment, episode, step, seed); images show the environment, episode and step.

    An episode of environment k lasts 3 + k % 3 steps; those of odd length terminate, the others are
    truncated. The reward is environment + step / 10. Actions move nothing and are kept.
    """

    def __init__(
        self,
        num_envs: int = 5,
        observations: str = "box",
        mode: AutoresetMode = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        device: str | torch.device = "cpu",
        action_space: Box | None = None,
    ) -> None:
        self.num_envs, self.device = num_envs, torch.device(device)
        self.metadata = {"autoreset_mode": mode, "render_fps": 50, "render_modes": ["rgb_array"]}
        self.render_mode = render_mode
        self.single_observation_space = SPACES[observations]
        self.single_action_space = action_space or Box(-2.0, 2.0, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.index = torch.arange(num_envs, device=self.device)
        self.length = 3 + self.index % 3
        self.seeds = torch.full_like(self.index, -1)
        self.episode = torch.zeros_like(self.index)
        self.t = torch.zeros_like(self.index)
        self.resets: list[tuple[Any, Any]] = []
        self.actions: list[Any] = []
        self.renders: list[int] = []
        self.task = Task()
        self.shared = "one"

    def observe(self) -> Any:
        rows = torch.stack([self.index, self.episode, self.t, self.seeds], 1)
        image = rows[:, None, None, :3].expand(-1, 36, 40, -1).to(torch.uint8)
        space = self.single_observation_space
        if isinstance(space, Dict):
            # Not in the order of the space.
            return {"policy": rows.float(), "camera": image.clone()}
        if space.dtype == np.uint8:
            return image.clone()
        return rows.to(torch.float64 if space.dtype == np.float64 else torch.float32)

    def extras(self) -> dict[str, Tensor]:
        return {
            "success": self.index % 2 == 0,
            "progress": self.t / self.length,
            "place": torch.stack([self.index, self.t], 1),
        }

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.resets.append((seed, options))
        mask = (options or {}).get("reset_mask", torch.ones_like(self.index, dtype=torch.bool))
        if seed is not None:
            self.seeds = seed + self.index
        self.episode, self.t = self.episode + mask, torch.where(mask, 0, self.t)
        return self.observe(), self.extras()

    def step(self, actions: Any) -> Any:
        assert isinstance(actions, Tensor) and actions.device == self.device
        self.actions.append(actions)
        self.t = self.t + 1
        ended = self.t >= self.length
        terminated = ended & (self.length % 2 == 1)
        truncated = ended & ~terminated
        reward = self.index + self.t / 10
        info = {
            "final_obs": self.observe(),
            "_final_obs": ended.clone(),
            "final_info": self.extras(),
            "_final_info": ended.clone(),
            "final_state": self.index.clone(),
            "log": {"reward/mean": reward.mean()},
        }
        self.episode, self.t = self.episode + ended, torch.where(ended, 0, self.t)
        return self.observe(), reward, terminated, truncated, {**self.extras(), **info}

    def set_clock(self, t: int, mask: Tensor | None = None) -> Tensor:
        mask = torch.ones_like(self.index, dtype=torch.bool) if mask is None else mask
        self.t = torch.where(mask, t, self.t)
        return self.t

    def render(self) -> Any:
        env = self

        class Frames:
            def __len__(self) -> int:
                return env.num_envs

            def __getitem__(self, k: int) -> np.ndarray:
                env.renders.append(k)
                return np.full((8, 6, 3), 10 * k + int(env.t[k]), np.uint8)

        return Frames()


class AlsoTruncated(TorchWrapper):
    """Truncates what terminates, as a time limit of a wrapper may in the same step."""

    def step(self, actions: Any) -> Any:
        obs, reward, terminated, truncated, info = self.env.step(actions)
        return obs, reward, terminated, truncated | terminated, info
