"""A small vector environment of torch tensors that keeps every point of the contract."""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class Sound(VectorEnv[torch.Tensor, Any, torch.Tensor]):
    """A cart pushed along a line.

    Observation: position and how far the episode is; the velocity is hidden. The reward is
    1 + position; |position| > 1 terminates. Nothing in a step waits for the host, except for the
    refusal of ended environments without autoreset.
    """

    columns = 2
    bound = 100.0

    def __init__(
        self,
        num_envs: int = 4,
        autoreset_mode: str = "SameStep",
        max_episode_steps: int = 8,
        render_mode: str | None = "rgb_array",
        device: str | torch.device = "cpu",
    ) -> None:
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"autoreset_mode": self.autoreset_mode, "render_modes": ["rgb_array"]}
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps
        self.render_mode = render_mode
        self.device = torch.device(device)
        self.single_observation_space = Box(-self.bound, self.bound, (self.columns,))
        self.single_action_space = Box(-1.0, 1.0, (1,))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.seeds = torch.zeros(num_envs, dtype=torch.float64)
        self.episode = torch.zeros(num_envs, dtype=torch.float64)
        self.index = torch.arange(num_envs, dtype=torch.float64)
        self.position = torch.zeros(num_envs)
        self.velocity = torch.zeros(num_envs)
        self.length = torch.zeros(num_envs)
        self.ended = torch.zeros(num_envs, dtype=torch.bool)
        self.seeded = False

    # ------------------------------------------------------------------ gymnasium's interface

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        self.require_open()
        mask = self.reset_mask(options)
        with self.plain_torch():
            if seed is None and self.seeded:
                self.episode += mask
            else:
                self.seed(secrets.randbits(32) if seed is None else seed)
            self.begin(mask)
            return self.observe(), {"success": self.position.abs() < 0.1}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self.require_open()
        actions = self.read(actions)
        if self.autoreset_mode == AutoresetMode.DISABLED:
            self.refuse_ended()
        with self.plain_torch():
            return self.advance(actions)

    def render(self) -> Any:
        return [np.zeros((4, 6, 3), np.uint8) for _ in range(self.num_envs)]

    def call(self, name: str, *args: Any) -> tuple[Any, ...]:
        value = getattr(self, name)
        return (value(*args) if callable(value) else value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        setattr(self, name, values[0] if isinstance(values, list) else values)

    # ------------------------------------------------------------------ the parts

    def plain_torch(self) -> contextlib.AbstractContextManager[Any]:
        stack = contextlib.ExitStack()
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        return stack

    def require_open(self) -> None:
        if self.closed:
            raise gym.error.ClosedEnvironmentError("closed")

    def refuse_ended(self) -> None:
        if self.ended.any():
            raise ValueError("an episode has ended")

    def reset_mask(self, options: dict[str, Any] | None) -> torch.Tensor:
        if not options or "reset_mask" not in options:
            return torch.ones(self.num_envs, dtype=torch.bool)
        mask = torch.as_tensor(options["reset_mask"])
        if mask.dtype != torch.bool or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError("bad reset_mask")
        return mask

    def read(self, actions: Any) -> torch.Tensor:
        actions = torch.as_tensor(actions)
        if actions.shape != self.action_space.shape:
            raise ValueError("bad actions")
        return actions[:, 0].clamp(-1, 1)

    def seed(self, seed: Any) -> None:
        if isinstance(seed, int):
            seed = [seed + 1000 * index for index in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError("bad number of seeds")
        for index, one in enumerate(seed):
            if one is not None:
                self.seeds[index], self.episode[index] = one, 0
        self.seeded = True

    def draw(self) -> torch.Tensor:
        """Numbers in [-0.5, 0.5) that depend on seed, episode and environment."""
        phase = 12.9898 * self.seeds + 78.233 * self.episode + 37.719 * self.index
        return ((43758.5453 * phase.sin()).frac().abs() - 0.5).float()

    def begin(self, mask: torch.Tensor) -> None:
        self.position = torch.where(mask, self.draw(), self.position)
        self.velocity = torch.where(mask, 0.0, self.velocity)
        self.length = torch.where(mask, 0.0, self.length)
        self.ended = self.ended & ~mask

    def observe(self) -> torch.Tensor:
        return torch.stack([self.position, self.length / self.max_episode_steps], 1)

    def is_over(self) -> tuple[torch.Tensor, torch.Tensor]:
        terminated = self.position.abs() > 1
        return terminated, (self.length >= self.max_episode_steps) & ~terminated

    def move(self, actions: torch.Tensor) -> None:
        self.velocity = self.velocity + 0.3 * actions
        self.position = self.position + 0.5 * self.velocity
        self.length = self.length + 1

    def advance(self, actions: torch.Tensor) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        before = self.ended
        self.move(actions)
        reward = 1 + self.position
        terminated, truncated = self.is_over()
        info: dict[str, Any] = {}
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            reward = torch.where(before, 0.0, reward)
            terminated, truncated = terminated & ~before, truncated & ~before
            self.episode = self.episode + before
            self.begin(before)
        self.ended = terminated | truncated
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            info["final_obs"] = self.observe()
            info["final_info"] = {"success": self.position.abs() < 0.1}
            info["_final_obs"], info["_final_info"] = self.ended, self.ended.clone()
            self.episode = self.episode + self.ended
            self.begin(self.ended)
        info["success"] = self.position.abs() < 0.1
        return self.observe(), reward, terminated, truncated, info


if "Sound-v0" not in gym.registry:
    gym.register("Sound-v0", vector_entry_point="sound_env:Sound")
