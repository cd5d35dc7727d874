"""`TorchRolloutBuffer`: SB3's rollout buffer, with its data on the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import BaseBuffer, RolloutBuffer
from stable_baselines3.common.type_aliases import DictRolloutBufferSamples, RolloutBufferSamples
from torch import Tensor

from isaac_gymnasium.tree import copy_tree, tree_map, zeros

_SCALARS = ("rewards", "episode_starts", "values", "log_probs", "advantages", "returns")


def _on_host(name: str) -> property:
    def read(self: TorchRolloutBuffer) -> np.ndarray:
        array: np.ndarray = self.tensors[name].cpu().numpy()
        return array

    return property(read, doc=f"A NumPy copy of the {name}.")


class TorchRolloutBuffer(RolloutBuffer):
    """T steps of N environments as tensors; takes the arguments of SB3's `RolloutBuffer`.

    Observations may be a Box or a Dict. The attributes of SB3's buffer, such as `values` and
    `returns`, read as NumPy arrays, (T, N).

    Attributes:
        tensors: By name, (T, N, ...) on the device; `observations` may be a dict.
    """

    tensors: dict[str, Any]

    def reset(self) -> None:
        """Empties the buffer; its memory stays."""
        BaseBuffer.reset(self)
        if hasattr(self, "tensors"):
            return
        rows = (self.buffer_size, self.n_envs)
        action = zeros(self.action_space, rows, self.device)
        self.tensors = {
            "observations": zeros(self.observation_space, rows, self.device),
            "actions": action.reshape(*rows, self.action_dim),
            **{name: torch.zeros(rows, device=self.device) for name in _SCALARS},
        }

    actions = _on_host("actions")
    rewards = _on_host("rewards")
    episode_starts = _on_host("episode_starts")
    values = _on_host("values")
    log_probs = _on_host("log_probs")
    advantages = _on_host("advantages")
    returns = _on_host("returns")

    @property
    def observations(self) -> Any:
        """A NumPy copy of the observations, or a dict of them."""
        return tree_map(lambda leaf: leaf.cpu().numpy(), self.tensors["observations"])

    def add(
        self,
        obs: Any,
        action: Tensor,
        reward: Tensor,
        episode_start: Tensor,
        value: Tensor,
        log_prob: Tensor,
    ) -> None:
        """Appends a step.

        Args:
            obs: (N, ...) or a dict of them.
            action: (N, A).
            reward: (N,).
            episode_start: (N,) bool, whether the observation begins an episode.
            value: (N, 1) or (N,).
            log_prob: (N,).
        """
        step = {
            "observations": obs,
            "actions": action.reshape(self.n_envs, self.action_dim),
            "rewards": reward,
            "episode_starts": episode_start,
            "values": value.flatten(),
            "log_probs": log_prob.flatten(),
        }
        kept = {name: self.tensors[name] for name in step}
        copy_tree(tree_map(lambda leaf: leaf[self.pos], kept), step)
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def compute_returns_and_advantage(self, last_values: Tensor, dones: Tensor) -> None:
        """Generalised advantage estimation (Schulman et al. 2016, arXiv:1506.02438).

        Args:
            last_values: (N, 1) or (N,), of the observations after the last step.
            dones: (N,) bool, whether the last step ended an episode.
        """
        rewards, values, starts = (self.tensors[n] for n in ("rewards", "values", "episode_starts"))
        advantages = self.tensors["advantages"]
        going_on = 1.0 - torch.cat([starts[1:], dones.to(starts.dtype).unsqueeze(0)])
        next_values = torch.cat([values[1:], last_values.reshape(1, -1)])
        deltas = rewards + self.gamma * next_values * going_on - values
        decay = self.gamma * self.gae_lambda * going_on
        advantage = torch.zeros_like(deltas[0])
        for step in reversed(range(self.buffer_size)):
            advantage = torch.addcmul(deltas[step], decay[step], advantage)
            advantages[step] = advantage
        torch.add(advantages, values, out=self.tensors["returns"])

    def get(
        self, batch_size: int | None = None
    ) -> Iterator[RolloutBufferSamples | DictRolloutBufferSamples]:
        """Minibatches, drawn anew without replacement.

        Args:
            batch_size: How many samples one has, all by default; the last may have fewer.
        """
        assert self.full, "the buffer must be full"
        size = self.buffer_size * self.n_envs
        order = torch.randperm(size, device=self.device)
        for rows in order.split(batch_size or size):
            yield self.samples(rows)

    def samples(self, rows: Tensor) -> RolloutBufferSamples | DictRolloutBufferSamples:
        """Samples (B,) by their index among all, that is step times N plus environment."""
        batch = tree_map(lambda leaf: leaf.flatten(0, 1)[rows], self.tensors)
        nested = isinstance(batch["observations"], dict)
        return (DictRolloutBufferSamples if nested else RolloutBufferSamples)(
            observations=batch["observations"],
            actions=batch["actions"].float(),
            old_values=batch["values"],
            old_log_prob=batch["log_probs"],
            advantages=batch["advantages"],
            returns=batch["returns"],
        )
