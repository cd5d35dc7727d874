"""mjlab's environments, which run MuJoCo Warp on the GPU, for stepping and training beside ours."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

__all__ = ["MjlabEnv"]


class MjlabEnv:
    """A task of mjlab as the benchmark steps its peers.

    Args:
        task: the name that mjlab registered it under.
        num_envs: environments, N.
        device: ``"cpu"`` or ``"cuda:0"``.

    Attributes:
        action_space: samples (N, A) actions, uniform in [-1, 1], on `device`.
        device: where tensors live.
    """

    def __init__(self, task: str, num_envs: int, device: str) -> None:
        importlib.import_module("mjlab.tasks")  # registers them
        self._registry = importlib.import_module("mjlab.tasks.registry")
        importlib.import_module("mjlab.utils.torch").configure_torch_backends()
        config = self._registry.load_env_cfg(task)
        config.scene.num_envs = num_envs
        config.seed = 0
        self._task = task
        self._env = importlib.import_module("mjlab.envs").ManagerBasedRlEnv(config, device=device)
        self.device = torch.device(device)
        self.action_space = SimpleNamespace(sample=self._sample)

    def _sample(self) -> Tensor:
        return 2.0 * torch.rand(self._env.action_space.shape, device=self.device) - 1.0

    def reset(self) -> Any:
        """Resets all environments."""
        return self._env.reset()

    def step(self, actions: Tensor) -> Any:
        """Steps with (N, A) actions; who is done is reset in it."""
        return self._env.step(actions)

    def close(self) -> None:
        """Ends it."""
        self._env.close()

    def training_speeds(self, updates: int, wait: Callable[[], None]) -> list[float]:
        """Environment steps a second of rsl_rl's PPO with mjlab's settings, without its log."""
        rl = importlib.import_module("mjlab.rl")
        config = self._registry.load_rl_cfg(self._task)
        runner = rl.MjlabOnPolicyRunner(
            rl.RslRlVecEnvWrapper(self._env, clip_actions=config.clip_actions),
            asdict(config),
            device=str(self.device),
        )
        steps = config.num_steps_per_env * self._env.num_envs
        speeds = []
        for _ in range(updates):
            wait()
            start = time.perf_counter()
            runner.learn(num_learning_iterations=1)
            wait()
            speeds.append(steps / (time.perf_counter() - start))
        return speeds
