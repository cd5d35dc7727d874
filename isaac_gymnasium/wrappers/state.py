"""`WrapperState`: what a stack of wrappers remembers, saved, restored and shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from gymnasium.vector import VectorWrapper
from torch import Tensor

from isaac_gymnasium.tree import plain_torch


class WrapperState:
    """The part of a wrapper that keeps state, on its own and together with those within it."""

    _update_running_mean = True

    @property
    def update_running_mean(self) -> bool:
        """Whether running statistics go on being updated; False freezes them, for evaluation.

        Setting it sets it for the wrappers within as well.
        """
        return self._update_running_mean

    @update_running_mean.setter
    def update_running_mean(self, setting: bool) -> None:
        for wrapper in self._stack().values():
            wrapper._update_running_mean = setting

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Copies of the state of this wrapper and of those within, by class name.

        That of the environment is not in it; see `get_state`.
        A second wrapper of one class, counted from the environment outwards, is `"Class#2"`.
        """
        return {
            name: {key: value.clone() for key, value in wrapper._state().items()}
            for name, wrapper in self._stack().items()
            if wrapper._state()
        }

    def load_state_dict(
        self, state: Mapping[str, Mapping[str, Tensor]], *, strict: bool = True
    ) -> None:
        """Copies in what `state_dict` returned.

        Statistics fit any number of environments. What belongs to running or past episodes is
        restored where the shapes agree; otherwise it stays as it is, and a reset should follow.

        Args:
            state: From `state_dict`.
            strict: Refuse a state that holds more wrappers than this stack.

        Raises:
            KeyError: If something is missing, or too much is there.
            ValueError: If a statistic has another shape. Nothing has been changed after either.
        """
        own = {name: wrapper for name, wrapper in self._stack().items() if wrapper._state()}
        if missing := [name for name in own if name not in state]:
            raise KeyError(f"the state must hold {list(own)}, {missing} is missing")
        if strict and (surplus := [name for name in state if name not in own]):
            raise KeyError(f"the state must hold nothing but {list(own)}, got also {surplus}")
        for name, wrapper in own.items():
            wrapper._check(name, state[name])
        with plain_torch():
            for name, wrapper in own.items():
                wrapper._load(state[name])

    def synchronize(self, group: Any = None) -> None:
        """Merges running statistics, here and within, over the processes of a group.

        Each process adds what it has seen since the last call, and all end with the same
        statistics.

        Args:
            group: A process group of `torch.distributed`; None is all processes.
        """
        with plain_torch():
            for wrapper in self._stack().values():
                wrapper._synchronize(group)

    # ------------------------------------------------------------------ what a wrapper fills in

    def _statistics(self) -> dict[str, Tensor]:
        """Live tensors that outlive episodes and have no row for each environment."""
        return {}

    def _rows(self) -> dict[str, Tensor]:
        """Live tensors (N, ...) that belong to the running episodes."""
        return {}

    def _memory(self) -> dict[str, Tensor]:
        """Live tensors about past episodes that are worth keeping where their shapes agree."""
        return {}

    def _synchronize(self, group: Any) -> None:
        """Merges this wrapper's statistics over the processes of a group."""

    # ------------------------------------------------------------------ helpers

    def _state(self) -> dict[str, Tensor]:
        return {**self._statistics(), **self._rows(), **self._memory()}

    def _check(self, owner: str, state: Mapping[str, Tensor]) -> None:
        if missing := [key for key in self._state() if key not in state]:
            raise KeyError(f"the state of {owner} must hold {missing[0]!r}, got {list(state)}")
        for key, value in self._statistics().items():
            if state[key].shape != value.shape:
                raise ValueError(
                    f"{key!r} of {owner} must have shape {tuple(value.shape)}, "
                    f"got {tuple(state[key].shape)}"
                )

    def _load(self, state: Mapping[str, Tensor]) -> None:
        for key, value in self._statistics().items():
            value.copy_(state[key])
        for part in (self._rows(), self._memory()):
            if all(state[key].shape == value.shape for key, value in part.items()):
                for key, value in part.items():
                    value.copy_(state[key])

    def _stack(self) -> dict[str, WrapperState]:
        """This wrapper and those of its kind within, the innermost first, by unique names."""
        wrappers: list[WrapperState] = []
        env: Any = self
        while isinstance(env, VectorWrapper):
            if isinstance(env, WrapperState):
                wrappers.append(env)
            env = env.env
        named: dict[str, WrapperState] = {}
        seen: Counter[str] = Counter()
        for wrapper in reversed(wrappers):
            name = type(wrapper).__name__
            seen[name] += 1
            named[name if seen[name] == 1 else f"{name}#{seen[name]}"] = wrapper
        return named
