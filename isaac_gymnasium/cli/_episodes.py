"""The evaluation of a policy: one episode in each environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
from gymnasium.vector import VectorEnv

from isaac_gymnasium.benchmark import hardware

Policy = Callable[[torch.Tensor], torch.Tensor]


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

    def as_data(self) -> dict[str, Any]:
        """By name, mean and standard deviation of a number, and the share of a bool that is set."""
        values = {"return": self.returns, "length": self.lengths, **self.extras}
        if self.successes is not None:
            values["success"] = self.successes
        return {"episodes": len(self.returns)} | {n: _mean(v) for n, v in values.items()}

    def write(self, path: Path, env: VectorEnv[Any, Any, Any], *, seed: int) -> None:
        """Write the means as JSON, with what they were measured on.

        Args:
            path: the file.
            env: the environments.
            seed: that of the episodes.
        """
        document = {**self.as_data(), "seed": seed, "date": f"{date.today()}", **measured_on(env)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n")


def _mean(values: torch.Tensor) -> dict[str, float]:
    if values.dtype == torch.bool:
        return {"share": float(values.float().mean())}
    return {"mean": float(values.mean()), "std": float(values.std(correction=0))}


def measured_on(env: VectorEnv[Any, Any, Any]) -> dict[str, Any]:
    """Engine, device and hardware of environments, as plain values."""
    core: Any = env.unwrapped
    return {"engine": engine_of(env), "device": str(core.device), "hardware": hardware()}


def engine_of(env: VectorEnv[Any, Any, Any]) -> str | None:
    """Name of the engine of environments, if they have one."""
    engine = getattr(env.unwrapped, "engine", None)
    return None if engine is None else engine.name


def evaluation_seed(seed: int) -> int:
    """A seed for the evaluation of what was trained with a seed: no episode of it was seen then."""
    return seed + 1_000_000


@torch.no_grad()
def evaluate(env: VectorEnv[Any, Any, Any], policy: Policy, *, seed: int) -> Evaluation:
    """Run one episode in each environment; what follows an episode's end is not counted.

    Args:
        env: the environments, with same-step autoreset; they are reset first.
        policy: from observations (N, O) to actions (N, A).
        seed: seed of the reset.

    Raises:
        RuntimeError: an episode did not end within the environments' ``max_episode_steps``.
    """
    observations, _ = env.reset(seed=seed)
    device = env.unwrapped.device  # type: ignore[attr-defined]
    returns = torch.zeros(env.num_envs, device=device)
    lengths = torch.zeros_like(returns)
    running = torch.ones(env.num_envs, dtype=torch.bool, device=device)
    extras: dict[str, torch.Tensor] = {}
    for step in range(env.unwrapped.max_episode_steps):  # type: ignore[attr-defined]
        observations, rewards, terminated, truncated, info = env.step(policy(observations))
        returns += rewards * running
        lengths += running
        ended = running & (terminated | truncated)
        for name, values in info["final_info"].items():
            before = extras.get(name, torch.zeros_like(values))
            extras[name] = torch.where(ended, values, before)
        running &= ~ended
        if step % 32 == 31 and not running.any():
            break
    if running.any():
        raise RuntimeError(f"{int(running.sum())} episodes ran beyond max_episode_steps")
    return Evaluation(returns, lengths, extras.pop("success", None), extras)
