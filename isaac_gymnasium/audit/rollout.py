"""One episode of every environment, with each reward term at each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from isaac_gymnasium.task import Task

Policy = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The first episode of N environments, T steps at most.

    Attributes:
        name: Who acted.
        terms: Reward terms by name, (T, N) each.
        success: (T, N) bool, as the task says after each step.
        running: (T, N) bool, whether the step still belongs to the first episode.
        time_limit: Steps after which an episode is truncated.
    """

    name: str
    terms: dict[str, Tensor]
    success: Tensor
    running: Tensor
    time_limit: int

    @property
    def reward(self) -> Tensor:
        """(T, N) sum of all terms."""
        return torch.stack(tuple(self.terms.values())).sum(0)


@torch.no_grad()
def roll(env: VectorEnv[Any, Any, Any], policy: Policy, *, name: str, seed: int) -> Rollout:
    """Runs one episode in each environment.

    Args:
        env: Environments of this package, made with `cuda_graphs=False` and resetting in the same
            step; they are reset first.
        policy: From observations to actions (N, A).
        name: Of the policy.
        seed: Of the reset.

    Raises:
        ValueError: The task does not say what success is, or the autoreset mode is another one.
    """
    core: Any = env.unwrapped
    mode = AutoresetMode(core.metadata["autoreset_mode"])
    if mode is not AutoresetMode.SAME_STEP:
        raise ValueError(f"an audit needs autoreset_mode='SameStep', got {mode.value!r}")
    observations, info = env.reset(seed=seed)
    if "success" not in info:
        raise ValueError(f"{type(core.task).__name__} does not say what success is")
    running = torch.ones(env.num_envs, dtype=torch.bool, device=core.device)
    steps: list[tuple[dict[str, Tensor], Tensor, Tensor]] = []
    with _recorded_rewards(core.task) as recorded:
        for _ in range(core.max_episode_steps):
            observations, _, terminated, truncated, info = env.step(policy(observations))
            steps.append((recorded.pop(), info["final_info"]["success"].clone(), running.clone()))
            running &= ~(terminated | truncated)
            if not running.any():
                break
    terms, success, ran = zip(*steps, strict=True)
    return Rollout(
        name=name,
        terms={key: torch.stack([step[key] for step in terms]).cpu() for key in terms[0]},
        success=torch.stack(success).cpu(),
        running=torch.stack(ran).cpu(),
        time_limit=core.max_episode_steps,
    )


@contextmanager
def _recorded_rewards(task: Task) -> Iterator[list[dict[str, Tensor]]]:
    """Keeps a copy of every reward that the loop asks the task for."""
    recorded: list[dict[str, Tensor]] = []
    original = task.get_rewards

    def get_rewards() -> dict[str, Tensor]:
        terms = original()
        recorded.append({name: term.float().clone() for name, term in terms.items()})
        return terms

    task.get_rewards = get_rewards  # type: ignore[method-assign]
    try:
        yield recorded
    finally:
        del task.get_rewards
