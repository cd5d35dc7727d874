"""A vector environment without physics: move a point to the middle of a line."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class ToyEnv(VectorEnv[torch.Tensor, Any, torch.Tensor]):
    """Observation (position, steps, environment); an action moves by up to 0.2.

    The reward is `reward` - |position|; |position| > 1.2 terminates. The first episode of
    environment k is ``k % 3`` steps shorter, so that episodes are cut at different times. Rewards
    are handed out in the one buffer they are kept in, against the package's own rule, to show who
    guards against that.
    """

    def __init__(
        self,
        num_envs: int = 1,
        device: str = "auto",
        engine: str = "auto",
        autoreset_mode: str = "SameStep",
        max_episode_steps: int = 10,
        asymmetric: bool = False,
        reward: float = 1.0,
    ) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode(autoreset_mode)}
        self.num_envs = num_envs
        self.reward = reward
        self.device = torch.device("cpu")
        self.max_episode_steps = max_episode_steps
        self.single_observation_space = Box(-np.inf, np.inf, (3,))
        self.single_action_space = Box(-1.0, 1.0, (1,))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.state_space = Box(-np.inf, np.inf, (5,)) if asymmetric else None
        self.generator = torch.Generator()
        self.index = torch.arange(num_envs, dtype=torch.float32)
        self.rewards = torch.zeros(num_envs)
        self.seeds: list[Any] = []
        self.options: list[Any] = []

    def _observe(self) -> torch.Tensor:
        return torch.stack([self.position, self.steps, self.index], 1)

    def state(self) -> torch.Tensor:
        return torch.cat([self._observe(), -self._observe()[:, :2]], 1)

    def get_state(self) -> dict[str, torch.Tensor]:
        state = {"position": self.position, "steps": self.steps}
        return {**state, "generator": self.generator.get_state()}

    def set_state(self, state: dict[str, torch.Tensor], mask: Any = None) -> torch.Tensor:
        assert mask is None
        self.position, self.steps = state["position"].clone(), state["steps"].clone()
        self.generator.set_state(state["generator"])
        return self._observe()

    def _start(self) -> torch.Tensor:
        return 2 * torch.rand(self.num_envs, generator=self.generator) - 1

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        self.seeds.append(seed)
        self.options.append(options)
        if seed is not None:
            self.generator.manual_seed(seed)
        self.position = self._start()
        self.steps = self.index % 3
        return self._observe(), {"success": self.position.abs() < 0.1}

    def step(self, actions: Any) -> tuple[torch.Tensor, ...]:
        assert actions.shape == (self.num_envs, 1)
        self.position = self.position + 0.2 * torch.as_tensor(actions)[:, 0].clamp(-1, 1)
        self.steps = self.steps + 1
        self.rewards.copy_(self.reward - self.position.abs())
        terminated = self.position.abs() > 1.2
        truncated = (self.steps >= self.max_episode_steps) & ~terminated
        ended = terminated | truncated
        success = self.position.abs() < 0.1
        info = {
            "final_obs": self._observe(),
            "_final_obs": ended,
            "final_info": {"success": success},
            "_final_info": ended,
            "log": {"reward/near": self.rewards.mean()},
        }
        if self.state_space is not None:
            info["final_state"] = self.state()
        self.position = torch.where(ended, self._start(), self.position)
        self.steps = torch.where(ended, 0.0, self.steps)
        info["success"] = self.position.abs() < 0.1
        return self._observe(), self.rewards, terminated, truncated, info


class PixelToyEnv(ToyEnv):
    """The position as a bright column in a picture, and what is no picture beside it."""

    def __init__(self, num_envs: int = 1, **kwargs: Any) -> None:
        super().__init__(num_envs, **kwargs)
        picture, clock = Box(0, 255, (6, 21, 3), np.uint8), Box(0.0, np.inf, (1,))
        self.single_observation_space = Dict({"picture": picture, "clock": clock})
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    def _observe(self) -> Any:
        column = (10.5 + 8.0 * self.position).long().clamp(0, 20)
        picture = torch.zeros(self.num_envs, 6, 21, 3, dtype=torch.uint8)
        picture[torch.arange(self.num_envs), :, column] = 255
        return {"clock": self.steps.unsqueeze(1), "picture": picture}


if "PixelToy-v0" not in gymnasium.registry:
    gymnasium.register("PixelToy-v0", vector_entry_point="toy_env:PixelToyEnv")
if "Toy-v0" not in gymnasium.registry:
    gymnasium.register("Toy-v0", vector_entry_point="toy_env:ToyEnv")
