"""skrl: the environment wrapper, and agents that see how an episode really ended.

``SkrlWrapper`` hands tensors through on their device. In the ``SameStep`` mode the observation
after an episode's last step already belongs to the next episode; skrl would take it for the
successor. ``TrueSuccessorMixin`` gives any skrl agent the true one instead::

    class SAC(TrueSuccessorMixin, skrl.agents.torch.sac.SAC): ...
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed
from gymnasium import Space
from gymnasium.vector import AutoresetMode, VectorEnv

from isaac_gymnasium.integrations._requirements import needs_extra, require_autoreset
from isaac_gymnasium.wrappers import FlattenObservation


@contextmanager
def _in_our_process_group() -> Iterator[None]:
    """Keeps skrl, as it is imported, from joining the processes of `torchrun` a second time.

    It would do so with NCCL, whatever the device. Where there is a group already, it learns of it
    afterwards.
    """
    size = os.environ.get("WORLD_SIZE")
    if size is None or not torch.distributed.is_initialized():
        yield
        return
    del os.environ["WORLD_SIZE"]
    try:
        yield
    finally:
        os.environ["WORLD_SIZE"] = size
    from skrl import config

    config.torch._rank = torch.distributed.get_rank()
    config.torch._world_size = torch.distributed.get_world_size()
    config.torch._is_distributed = config.torch._world_size > 1


with needs_extra("skrl", "skrl"), _in_our_process_group():
    from skrl.envs.wrappers.torch import Wrapper
    from skrl.utils.spaces.torch import flatten_tensorized_space as flatten

    from isaac_gymnasium.integrations.skrl_agent import GraphedPPO

__all__ = ["PPO", "SkrlWrapper", "TrueSuccessorMixin"]


class SkrlWrapper(Wrapper):
    """An environment of this package as skrl expects it.

    Tensors stay where they are. Rewards and flags get the shape ``(N, 1)``; observations and states
    that are dictionaries become one flat tensor ``(N, O)`` in the order of their sorted keys.

    Args:
        env: an environment from ``gymnasium.make_vec``, possibly within wrappers, in the
            autoreset mode ``SameStep``.

    Raises:
        ValueError: the environment is in another autoreset mode.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        require_autoreset(
            env,
            AutoresetMode.SAME_STEP,
            "SkrlWrapper",
            "skrl records every step as a transition and resets no single environment itself",
        )
        super().__init__(env)

    @property
    def observation_space(self) -> Space[Any]:
        """Space of one environment's observation."""
        space: Space[Any] = self._env.single_observation_space
        return space

    @property
    def unflattened_space(self) -> Space[Any]:
        """What `observation_space` was before any `FlattenObservation`."""
        env: Any = self._env
        while env is not env.unwrapped:
            if isinstance(env, FlattenObservation):
                env = env.env
                break
            env = env.env
        space: Space[Any] = env.single_observation_space
        return space

    @property
    def action_space(self) -> Space[Any]:
        """Space of one environment's action."""
        space: Space[Any] = self._env.single_action_space
        return space

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Reset every environment, or those in ``options["reset_mask"]``.

        Returns:
            The observations (N, O) and the info.
        """
        observations, info = self._env.reset(seed=seed, options=options)
        return flatten(observations), info

    def step(
        self, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Step every environment.

        Args:
            actions: (N, A).

        Returns:
            Observations (N, O), rewards (N, 1) float32, terminated and truncated (N, 1) bool, and
            the info. The rewards are a copy, since skrl's agents add to them in place.
        """
        observations, rewards, terminated, truncated, info = self._env.step(actions)
        return (
            flatten(observations),
            rewards.to(torch.float32, copy=True).unsqueeze(1),
            terminated.unsqueeze(1),
            truncated.unsqueeze(1),
            info,
        )

    def state(self) -> torch.Tensor | None:
        """The privileged state (N, S) for an asymmetric critic; None if the task has none."""
        return None if self.state_space is None else flatten(self._unwrapped.state())

    def render(self, *args: Any, **kwargs: Any) -> Any:
        """What the environment renders; None without a render mode, as skrl asks all the same."""
        if getattr(self._env.unwrapped, "render_mode", None) is None:
            return None
        return self._env.render(*args, **kwargs)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


class TrueSuccessorMixin:
    """Hands a skrl agent the observation that truly followed each action.

    To be named before the agent class. The environment reports that observation for every
    environment at every step (``info["final_obs"]``), and likewise ``info["final_state"]`` where
    the task has a privileged state.
    """

    def record_transition(
        self,
        *,
        next_observations: torch.Tensor,
        next_states: torch.Tensor | None,
        infos: dict[str, Any],
        **transition: Any,
    ) -> None:
        """Record a transition, its successor replaced by the true one.

        Args:
            next_observations: (N, O) observations after the automatic reset.
            next_states: (N, S) privileged states after the automatic reset, or None.
            infos: the step's info.
            **transition: everything else that skrl records, handed on.
        """
        super().record_transition(  # type: ignore[misc]
            next_observations=flatten(infos["final_obs"]),
            next_states=None if next_states is None else flatten(infos["final_state"]),
            infos=infos,
            **transition,
        )


class PPO(TrueSuccessorMixin, GraphedPPO):
    """skrl's PPO with true successors, without waits for the device, recorded as CUDA graphs.

    It tracks no rewards itself; set ``experiment.write_interval`` to 0 and keep statistics beside.
    """
