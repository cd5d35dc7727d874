"""`TorchWrapper`: what every wrapper of this package shares.

gymnasium's own vector wrappers work on NumPy, refuse same-step autoreset where they change
observations, and hide the attributes of what they wrap. These work on tensors, on their device and
without waiting for it, in every autoreset mode and under partial resets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from torch import Tensor

from isaac_gymnasium.tree import plain_torch
from isaac_gymnasium.wrappers.snapshot import WrapperSnapshot

Seed = int | Sequence[int | None] | None
Step = tuple[Any, Tensor, Tensor, Tensor, dict[str, Any]]


class TorchWrapper(VectorWrapper, WrapperSnapshot, RecordConstructorArgs):
    """Wraps a vector environment whose results are torch tensors.

    Public attributes that a wrapper does not have itself are those of the environment within:
    `task`, `state()`, `state_space`, `call` and so on, also through gymnasium's own wrappers.
    Properties of the environment, such as `max_episode_steps`, are set there.

    Args:
        env: A `gymnasium.vector.VectorEnv` that returns torch tensors.
        **arguments: The constructor's further arguments, recorded as gymnasium does.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], **arguments: Any) -> None:
        RecordConstructorArgs.__init__(self, **arguments)
        VectorWrapper.__init__(self, env)
        self._device = _device(env)
        self._autoreset_mode = _autoreset_mode(env)
        with plain_torch():
            self._all = torch.ones(self.num_envs, dtype=torch.bool, device=self._device)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "env":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._within(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and "env" in self.__dict__ and not hasattr(type(self), name):
            unwrapped = self.unwrapped
            if isinstance(getattr(type(unwrapped), name, None), property):
                setattr(unwrapped, name, value)
                return
        super().__setattr__(name, value)

    def _within(self, name: str) -> Any:
        env = self.env
        while True:
            try:
                return getattr(env, name)
            except AttributeError:
                if not isinstance(env, VectorWrapper):
                    raise
                env = env.env

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self._device

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """What happens to an environment whose episode has ended."""
        return self._autoreset_mode

    @property
    def observation_space(self) -> gym.Space[Any]:
        """Space of all environments' observations; batched when first asked for."""
        if self._observation_space is None and self._single_observation_space is not None:
            self._observation_space = batch_space(self._single_observation_space, self.num_envs)
        return super().observation_space

    @observation_space.setter
    def observation_space(self, space: gym.Space[Any]) -> None:
        self._observation_space = space

    @property
    def action_space(self) -> gym.Space[Any]:
        """Space of all environments' actions; batched when first asked for."""
        if self._action_space is None and self._single_action_space is not None:
            self._action_space = batch_space(self._single_action_space, self.num_envs)
        return super().action_space

    @action_space.setter
    def action_space(self, space: gym.Space[Any]) -> None:
        self._action_space = space

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes, of all environments or of those in `options["reset_mask"]`.

        Args:
            seed: Handed to the environment.
            options: Handed to the environment, as a copy.
        """
        # A copy, since gymnasium's SyncVectorEnv takes the mask out of what it is given.
        options = None if options is None else dict(options)
        return self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]

    def _reset_mask(self, options: dict[str, Any] | None) -> Tensor:
        """(N,) bool: the environments that a reset with these options restarts."""
        return self._as_mask("reset_mask", (options or {}).get("reset_mask"))

    def _as_mask(self, name: str, mask: Any) -> Tensor:
        if mask is None:
            return self._all
        if isinstance(mask, np.ndarray):
            mask = torch.from_numpy(np.array(mask))
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
            raise TypeError(f"{name} must be a bool array or tensor, got {got}")
        if tuple(mask.shape) != (self.num_envs,):
            raise ValueError(f"{name} must have shape ({self.num_envs},), got {tuple(mask.shape)}")
        return mask.to(self._device)


class EpisodeEnds:
    """Which environments begin a new episode within a step, in each autoreset mode.

    Args:
        env: The wrapper that asks.

    Attributes:
        ended: (N,) bool, whether the last step ended the episode and the next one resets it.
    """

    def __init__(self, env: TorchWrapper) -> None:
        self.mode = env.autoreset_mode
        with plain_torch():
            self.ended = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)

    def restarted(self, ended: Tensor) -> Tensor | None:
        """(N,) bool: begins an episode in this step; None where no step ever does.

        With same-step autoreset these are the environments whose episode has just `ended` (N,),
        with next-step autoreset those whose episode ended in the step before.
        """
        if self.mode == AutoresetMode.SAME_STEP:
            return ended
        if self.mode == AutoresetMode.DISABLED:
            return None
        restarted = self.ended.clone()
        self.ended.copy_(ended)
        return restarted

    def reset(self, mask: Tensor) -> None:
        """Forgets the last step of the environments in the (N,) mask."""
        self.ended.masked_fill_(mask, False)


def _device(env: Any) -> torch.device:
    while True:
        device = getattr(env, "device", None)
        if device is not None:
            return torch.device(device)
        if not isinstance(env, VectorWrapper):
            return torch.device("cpu")
        env = env.env


def _autoreset_mode(env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    mode = env.metadata.get("autoreset_mode")
    if mode is None:
        gym.logger.warn(
            f"the metadata of {env} has no 'autoreset_mode', taken to be AutoresetMode.NEXT_STEP"
        )
        return AutoresetMode.NEXT_STEP
    if not isinstance(mode, AutoresetMode):
        raise TypeError(f"metadata['autoreset_mode'] must be an AutoresetMode, got {mode!r}")
    return mode
