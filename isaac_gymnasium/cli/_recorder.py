"""What the run sees of the environment while a trainer steps it, and where a resumed run begins."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv
from torch import Tensor

from isaac_gymnasium.integrations.trainer import process_count
from isaac_gymnasium.tree import plain_tensors
from isaac_gymnasium.wrappers.base import Seed, Step, TorchWrapper


class RecordTraining(TorchWrapper, RecordConstructorArgs):
    """Sums up episodes, reward terms and steps; goes back to a saved state in its next reset.

    Everything is summed on the device and fetched at once. To be used with same-step autoreset.

    Args:
        env: The environment.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        with plain_tensors():
            self._return = torch.zeros(self.num_envs, device=self._device)
            self._length = torch.zeros_like(self._return)
        self._saved: dict[str, Tensor] | None = None
        self._seed_shift = 0
        self._clear()

    def _clear(self) -> None:
        self._steps = 0
        with plain_tensors():
            self._episodes = torch.zeros((), device=self._device)
        self._episode_sums: dict[str, Tensor] = {}
        self._step_sums: dict[str, Tensor] = {}

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
            return self.set_state(saved), {}
        if isinstance(seed, int):
            seed += self._seed_shift
        mask = self._reset_mask(options)
        result = super().reset(seed=seed, options=options)
        with plain_tensors():
            self._return.masked_fill_(mask, 0.0)
            self._length.masked_fill_(mask, 0.0)
        return result

    def step(self, actions: Any) -> Step:
        """Steps all environments and counts what happened."""
        result: Step = self.env.step(actions)
        _, rewards, terminated, truncated, info = result
        with plain_tensors():
            self._count(rewards, terminated | truncated, info)
        return result

    def _count(self, rewards: Tensor, ended: Tensor, info: dict[str, Any]) -> None:
        self._return.add_(rewards)
        self._length.add_(1.0)
        self._steps += 1
        self._episodes.add_(ended.sum())
        episode = {**info["final_info"], "return": self._return, "length": self._length}
        for name, values in episode.items():
            _add(self._episode_sums, f"episode/{name}", (values * ended).sum())
        for name, value in info.get("log", {}).items():
            _add(self._step_sums, name, value)
        self._return.masked_fill_(ended, 0.0)
        self._length.masked_fill_(ended, 0.0)

    def fetch(self) -> dict[str, float]:
        """The means since the last call, `nan` for episodes where none ended; then start anew.

        Over all processes where there are several; each of them calls it then.
        """
        steps = torch.full_like(self._episodes, self._steps)
        sums = [self._episodes, steps, *self._episode_sums.values(), *self._step_sums.values()]
        names = [*self._episode_sums, *self._step_sums]
        total = torch.stack([value.float() for value in sums])
        if process_count() > 1:
            torch.distributed.all_reduce(total)
        counts = [total[0]] * len(self._episode_sums) + [total[1]] * len(self._step_sums)
        self._clear()
        if not names:
            return {}
        means: list[float] = (total[2:] / torch.stack(counts)).tolist()
        return dict(zip(names, means, strict=True))

    def _rows(self) -> dict[str, Tensor]:
        return {"return": self._return, "length": self._length}


def _add(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value
