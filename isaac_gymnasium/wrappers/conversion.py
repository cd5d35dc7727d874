"""Wrappers that move results: to another device, or to NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.tree import as_tensors, plain_torch, tree_map
from isaac_gymnasium.wrappers.base import Seed, Step, TorchWrapper


class ToDevice(TorchWrapper, RecordConstructorArgs):
    """Moves results to a device, and actions back to the environment's.

    Args:
        env: The environment.
        device: The device, as torch names it.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], device: str | torch.device) -> None:
        super().__init__(env, device=device)
        self._env_device = self._device
        self._device = torch.device(device)

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes; see `TorchWrapper.reset`."""
        obs, info = _move(super().reset(seed=seed, options=options), self._env_device, self._device)
        return obs, info

    def step(self, actions: Any) -> Step:
        """Steps all environments.

        Args:
            actions: (N, ...), NumPy or torch on any device.
        """
        with plain_torch():
            actions = as_tensors(self.single_action_space, actions, self._env_device)
        result = _move(self.env.step(actions), self._env_device, self._device)
        obs, reward, terminated, truncated, info = result
        return obs, reward, terminated, truncated, info

    def state(self) -> Any:
        """The environment's privileged state (N, S), or None."""
        return _move(self._within("state")(), self._env_device, self._device)

    def _observe_restored(self, obs: Any) -> Any:
        return _move(obs, self._env_device, self._device)


class TorchToNumpy(TorchWrapper, RecordConstructorArgs):
    """Returns NumPy arrays, in the form that gymnasium's NumPy environments have.

    All results of a step are fetched together. As in gymnasium, `final_obs`, `episode` and whatever
    else comes with a mask is in the info only in steps in which the mask is set somewhere, and
    every entry has N rows: a scalar, such as those under `log`, is repeated. Unlike there,
    `final_obs` is one array over all environments, or a dict of them.

    Args:
        env: The environment.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes; see `TorchWrapper.reset`."""
        obs, info = self._to_numpy(super().reset(seed=seed, options=options))
        return obs, self._info(info)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Steps all environments.

        Args:
            actions: (N, ...), NumPy or torch.
        """
        with plain_torch():
            actions = as_tensors(self.single_action_space, actions, self._device)
        obs, reward, terminated, truncated, info = self._to_numpy(self.env.step(actions))
        return obs, reward, terminated, truncated, self._info(info)

    def state(self) -> Any:
        """The environment's privileged state (N, S), or None."""
        return self._to_numpy(self._within("state")())

    def _observe_restored(self, obs: Any) -> Any:
        return self._to_numpy(obs)

    def _to_numpy(self, tree: Any) -> Any:
        def convert(leaf: Any) -> Any:
            return leaf.detach().numpy() if isinstance(leaf, Tensor) else leaf

        return tree_map(convert, _move(tree, self._device, torch.device("cpu")))

    def _info(self, info: dict[str, Any]) -> dict[str, Any]:
        unset = {
            key
            for key, mask in info.items()
            if key.startswith("_") and isinstance(mask, np.ndarray) and not mask.any()
        }
        kept = {k: v for k, v in info.items() if k not in unset and f"_{k}" not in unset}

        def repeat(leaf: Any) -> Any:
            scalar = isinstance(leaf, np.ndarray) and leaf.ndim == 0
            return np.full(self.num_envs, leaf) if scalar else leaf

        return {key: tree_map(repeat, value) for key, value in kept.items()}


def _move(tree: Any, source: torch.device, target: torch.device) -> Any:
    """Moves the tensors in a tree, and waits once for all of them where the host will read them."""
    moved = tree_map(
        lambda leaf: leaf.to(target, non_blocking=True) if isinstance(leaf, Tensor) else leaf, tree
    )
    if source.type == "cuda" and target.type == "cpu":
        torch.cuda.current_stream(source).synchronize()
    return moved
