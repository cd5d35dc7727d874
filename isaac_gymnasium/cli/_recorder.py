"""What the run sees of the environment while a trainer steps it, and where a resumed run begins."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.graph import Graph
from isaac_gymnasium.integrations.trainer import process_count
from isaac_gymnasium.tree import plain_torch
from isaac_gymnasium.wrappers.base import Seed, Step, TorchWrapper


class RecordTraining(TorchWrapper, RecordConstructorArgs):
    """Sums up episodes, reward terms and steps; goes back to a saved state in its next reset.

    Everything is summed on the device and fetched at once; on CUDA a step of it is one launch. The
    episodes that a staggered reset begins, which are cut at random lengths, are left out. To be
    used with same-step autoreset.

    Args:
        env: The environment.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.unwrapped.log_rewards = True  # type: ignore[attr-defined]
        with plain_torch():
            self._return = torch.zeros(self.num_envs, device=self._device)
            self._length = torch.zeros_like(self._return)
            self._whole = torch.ones_like(self._all)
        self._saved: dict[str, Tensor] | None = None
        self._seed_shift = 0
        self._graph = Graph(self._count_now, self._device)
        self._name([], [])

    def _name(self, of_episodes: list[str], of_steps: list[str]) -> None:
        """Begins to sum what has these names."""
        self._names = of_episodes, of_steps
        with plain_torch():
            # In front of each, the number of episodes and of steps.
            self._episode_sums, self._step_sums = (
                torch.zeros(1 + len(names), device=self._device) for names in self._names
            )
        self._graph.forget()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes back to a state from `get_state` in the next reset, in place of new episodes."""
        self._saved = state

    def shift_seed(self, shift: int) -> None:
        """Adds to the seeds of later resets: a resumed run shall not begin as the first did."""
        self._seed_shift = shift

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes, or goes on with those of a restored state."""
        saved, self._saved = self._saved, None
        if saved is not None:
            try:
                return self.set_state(saved), {}
            except ValueError as error:
                raise UserError(f"the checkpoint's environments do not fit: {error}") from error
        if isinstance(seed, int):
            seed += self._seed_shift
        mask = self._reset_mask(options)
        result = super().reset(seed=seed, options=options)
        with plain_torch():
            self._return.masked_fill_(mask, 0.0)
            self._length.masked_fill_(mask, 0.0)
            self._whole.masked_fill_(mask, not (options or {}).get("stagger"))
        return result

    def step(self, actions: Any) -> Step:
        """Steps all environments and counts what happened."""
        result: Step = self.env.step(actions)
        _, rewards, terminated, truncated, info = result
        episode, log = info["final_info"], info.get("log", {})
        names = [f"episode/{name}" for name in (*episode, "return", "length")], list(log)
        if names != self._names:
            self._name(*names)
        with plain_torch():
            terms = torch.stack(list(log.values())) if log else None
            self._graph(rewards, terminated, truncated, terms, *episode.values())
        return result

    def _count_now(
        self,
        rewards: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        terms: Tensor | None,
        *extras: Tensor,
    ) -> None:
        self._return.add_(rewards)
        self._length.add_(1.0)
        ended = terminated | truncated
        counted = ended & self._whole
        rows = torch.stack([*(value.float() for value in extras), self._return, self._length])
        self._episode_sums[0].add_(counted.sum())
        self._episode_sums[1:].add_((rows * counted).sum(1))
        self._step_sums[0].add_(1.0)
        if terms is not None:
            self._step_sums[1:].add_(terms)
        self._whole.logical_or_(ended)
        self._return.masked_fill_(ended, 0.0)
        self._length.masked_fill_(ended, 0.0)

    def fetch(self) -> dict[str, float]:
        """The means since the last call, `nan` for episodes where none ended; then start anew.

        Over all processes where there are several; each of them calls it then.
        """
        total = torch.cat([self._episode_sums, self._step_sums])
        if process_count() > 1:
            torch.distributed.all_reduce(total)
        of_episodes, of_steps = self._names
        episodes, steps = total.split([1 + len(of_episodes), 1 + len(of_steps)])
        means: list[float] = torch.cat([part[1:] / part[0] for part in (episodes, steps)]).tolist()
        self._episode_sums.zero_()
        self._step_sums.zero_()
        return dict(zip([*of_episodes, *of_steps], means, strict=True))

    def _rows(self) -> dict[str, Tensor]:
        return {"return": self._return, "length": self._length, "whole": self._whole}
