"""What happened in the episodes: statistics while training, and the evaluation of a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from isaac_gymnasium.integrations.skrl import SkrlWrapper

Policy = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]


class EpisodeStatistics:
    """Means over the episodes that ended, and over the logged values of each step.

    Everything is summed on the device and fetched at once.

    Args:
        num_envs: N.
        device: where the environments' tensors are.
    """

    def __init__(self, num_envs: int, device: torch.device) -> None:
        self._return = torch.zeros(num_envs, device=device)
        self._length = torch.zeros(num_envs, device=device)
        self._clear()

    def _clear(self) -> None:
        self._steps = 0
        self._episodes = torch.zeros((), device=self._return.device)
        self._episode_sums: dict[str, torch.Tensor] = {}
        self._step_sums: dict[str, torch.Tensor] = {}

    def update(
        self,
        rewards: torch.Tensor,
        terminated: torch.Tensor,
        truncated: torch.Tensor,
        info: dict[str, Any],
    ) -> None:
        """Count one step.

        Args:
            rewards: (N, 1).
            terminated: (N, 1) bool.
            truncated: (N, 1) bool.
            info: the step's info, for ``final_info`` and ``log``.
        """
        self._return += rewards.squeeze(1)
        self._length += 1
        ended = (terminated | truncated).squeeze(1)
        self._steps += 1
        self._episodes += ended.sum()
        episode = {**info["final_info"], "return": self._return, "length": self._length}
        for name, values in episode.items():
            _add(self._episode_sums, f"episode/{name}", (values * ended).sum())
        for name, value in info.get("log", {}).items():
            _add(self._step_sums, name, value)
        self._return = self._return.masked_fill(ended, 0.0)
        self._length = self._length.masked_fill(ended, 0.0)

    def fetch(self) -> dict[str, float]:
        """The means since the last call, ``nan`` for episodes where none ended; then start anew."""
        means = {name: total / self._episodes for name, total in self._episode_sums.items()}
        means |= {name: total / self._steps for name, total in self._step_sums.items()}
        values = torch.stack([value.float() for value in means.values()]).tolist()
        self._clear()
        return dict(zip(means, values, strict=True))


def _add(sums: dict[str, torch.Tensor], name: str, value: torch.Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value


@dataclass(frozen=True)
class Evaluation:
    """The first episode of each environment.

    ``returns`` and ``lengths`` are (N,) float; ``successes`` is (N,) bool, or None where the task
    does not say what success is. ``extras`` are the task's other extras at the episode's end, each
    (N,) by name.
    """

    returns: torch.Tensor
    lengths: torch.Tensor
    successes: torch.Tensor | None
    extras: dict[str, torch.Tensor]

    def __str__(self) -> str:
        deviation = self.returns.std(correction=0)
        parts = [f"return {self.returns.mean():.1f} ± {deviation:.1f}"]
        if self.successes is not None:
            parts.append(f"success {100 * self.successes.float().mean():.1f} %")
        parts.append(f"length {self.lengths.mean():.1f}")
        for name, values in self.extras.items():
            mean = float(values.float().mean())
            percent = values.dtype == torch.bool
            parts.append(f"{name} {100 * mean:.1f} %" if percent else f"{name} {mean:.3g}")
        return f"{', '.join(parts)} ({len(self.returns)} episodes)"


@torch.no_grad()
def evaluate(env: SkrlWrapper, policy: Policy, *, seed: int) -> Evaluation:
    """Run one episode in each environment; what follows an episode's end is not counted.

    Args:
        env: the environments; they are reset first.
        policy: from observations (N, O) and privileged states to actions (N, A).
        seed: seed of the reset.

    Raises:
        RuntimeError: an episode did not end within the environments' ``max_episode_steps``.
    """
    observations, _ = env.reset(seed=seed)
    returns = torch.zeros(env.num_envs, device=env.device)
    lengths = torch.zeros_like(returns)
    running = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
    extras: dict[str, torch.Tensor] = {}
    for step in range(env.unwrapped.max_episode_steps):
        actions = policy(observations, env.state())
        observations, rewards, terminated, truncated, info = env.step(actions)
        returns += rewards.squeeze(1) * running
        lengths += running
        ended = running & (terminated | truncated).squeeze(1)
        for name, values in info["final_info"].items():
            before = extras.get(name, torch.zeros_like(values))
            extras[name] = torch.where(ended, values, before)
        running &= ~ended
        if step % 32 == 31 and not running.any():
            break
    if running.any():
        raise RuntimeError(f"{int(running.sum())} episodes ran beyond max_episode_steps")
    return Evaluation(returns, lengths, extras.pop("success", None), extras)
