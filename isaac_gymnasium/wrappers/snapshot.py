"""`WrapperSnapshot`: the state of the running episodes, through the whole stack."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isaac_gymnasium.tree import over_rows, plain_torch
from isaac_gymnasium.wrappers.state import WrapperState


class WrapperSnapshot(WrapperState):
    """Extends `get_state`, `set_state` and `fork` of the environment by a wrapper's own rows.

    What outlives episodes, such as running statistics, is not in it: see `state_dict`. Frozen or
    restored too, they make the future after a restore the same as before.
    """

    def get_state(self, **kwargs: Any) -> dict[str, Tensor]:
        """The environment's state, and of this wrapper and those within: N rows each.

        Args:
            **kwargs: For the environment, such as `exact`.
        """
        prefix, env = self._prefix(), self._within("get_state")
        own = {prefix + key: value.clone() for key, value in self._rows().items()}
        return {**env(**kwargs), **own}

    def set_state(self, state: dict[str, Tensor], mask: Any = None, **kwargs: Any) -> Any:
        """Goes back to a state.

        Args:
            state: From `get_state` of the same stack; N rows, or one that all are set to.
            mask: (N,) bool, the environments to set; None for all.
            **kwargs: For the environment, such as `exact`.

        Returns:
            The observations (N, ...), as the stack returned them when the state was taken.

        Raises:
            ValueError: If the state does not fit; nothing has been changed then.
        """
        if not isinstance(state, dict):
            raise TypeError(f"a state must be a dict of tensors, got {type(state).__name__}")
        prefix, rows, env = self._prefix(), self._rows(), self._within("set_state")
        given = {key: state.get(prefix + key) for key in rows}
        for key, value in given.items():
            if value is None:
                raise ValueError(f"not a state of this stack: it lacks {prefix + key!r}")
            count, *shape = rows[key].shape
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            if got not in ((count, *shape), (1, *shape)):
                raise ValueError(
                    f"state {prefix + key!r} must have {count} rows, or one, of shape "
                    f"{tuple(shape)}, got {got}"
                )
        inner = {key: value for key, value in state.items() if not key.startswith(prefix)}
        obs = env(inner, mask, **kwargs)
        with plain_torch():
            chosen = self._as_mask("mask", mask)
            for key, value in rows.items():
                old = given[key].to(value.device).expand_as(value)  # type: ignore[union-attr]
                value.copy_(torch.where(over_rows(chosen, value), old, value))
            return self._observe_restored(obs)

    def fork(self, source: int, mask: Any = None) -> Any:
        """Sets environments to the state of one of them.

        Args:
            source: Index of the environment to copy.
            mask: (N,) bool, the environments to set; None for all.

        Returns:
            The observations (N, ...).
        """
        state = self.get_state()
        count = self._as_mask("mask", None).shape[0]
        if not -count <= source < count:
            raise ValueError(f"source must be an index below {count}, got {source}")
        at = source % count
        return self.set_state({key: rows[at : at + 1] for key, rows in state.items()}, mask)

    def _observe_restored(self, obs: Any) -> Any:
        """What to return of the observations (N, ...) that the environment was restored to."""
        return obs

    def _as_mask(self, name: str, mask: Any) -> Tensor:
        """(N,) bool on the device; None is everyone."""
        raise NotImplementedError

    def _prefix(self) -> str:
        return f"{list(self._stack())[-1]}/"

    def _within(self, name: str) -> Any:
        """A method of what is wrapped."""
        raise NotImplementedError
