"""rsl_rl (5 or newer): its `VecEnv`, and a PPO that bootstraps from true last observations.

    envs = RslRlVecEnv(gym.make_vec("IsaacCartpole-v0", num_envs=4096), seed=0)
    config = runner_config(preset("IsaacCartpole-v0", AdaptivePpoConfig, library="rsl_rl"))
    runner = OnPolicyRunner(envs, config, log_dir="runs/rsl_rl", device=str(envs.device))

Where the time limit ends an episode, rsl_rl's own PPO adds the value of the observation *before*
the last action, since it never sees the one after it. `PPO` here adds the value of the latter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from isaac_gymnasium.integrations._requirements import (
    needs_extra,
    require_autoreset,
    require_vector_actions,
)
from isaac_gymnasium.presets.configs import AdaptivePpoConfig
from isaac_gymnasium.tree import zeros
from isaac_gymnasium.wrappers import TorchWrapper

with needs_extra("rsl_rl", "rsl-rl"):
    from rsl_rl.algorithms import PPO as _RslRlPPO
    from rsl_rl.env import VecEnv
    from tensordict import TensorDict

__all__ = ["PPO", "RslRlVecEnv", "runner_config"]


class RslRlVecEnv(VecEnv):
    """An environment of this package as rsl_rl expects it.

    rsl_rl resets nothing: the first call of `get_observations` does. Observation groups are
    `policy`, or the keys of a dict observation, and `critic` where the task has a privileged state.
    Tensors stay where they are.

    Args:
        env: An environment from `gymnasium.make_vec`, possibly within wrappers, in the autoreset
            mode `SameStep`.
        seed: Of the first reset; see `IsaacVectorEnv.reset`.

    Attributes:
        num_envs: N.
        num_actions: A.
        device: Where the tensors live.
        cfg: ID and keywords of the environment, for rsl_rl's loggers.

    Raises:
        ValueError: If the environment is in another autoreset mode, its actions are no vectors, or
            an observation has the name of the group `critic` beside a privileged state.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], *, seed: int | list[int | None] | None = None
    ) -> None:
        require_autoreset(
            env,
            AutoresetMode.SAME_STEP,
            "RslRlVecEnv",
            "rsl_rl records every step as a transition and never resets an environment",
        )
        self.num_actions = require_vector_actions(env, "rsl_rl")
        self.env = TorchWrapper(env)
        self.env.unwrapped.log_rewards = True  # type: ignore[attr-defined]
        self.num_envs: int = self.env.num_envs
        self.device: torch.device = self.env.device
        spec = self.env.unwrapped.spec
        self.cfg: dict[str, Any] = {} if spec is None else {"id": spec.id, **spec.kwargs}
        self._seed = seed
        self._observations: TensorDict | None = None
        self._name_groups(self.env.single_observation_space, self.env.state_space)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> TensorDict:
        """Starts new episodes in all environments.

        Args:
            seed: As the environment's `reset` takes it.
            options: As the environment's `reset` takes them.

        Returns:
            The observation groups; see `get_observations`.
        """
        obs, _ = self.env.reset(seed=seed, options=options)
        return self._observe(obs)

    def get_observations(self) -> TensorDict:
        """The observation groups that the last step or reset led to, each (N, ...)."""
        if self._observations is None:
            return self.reset(seed=self._seed)
        return self._observations

    def example_observations(self) -> TensorDict:
        """Groups of zeros, for whoever needs to know shapes before the first reset."""
        spaces = self._name_groups(self.env.single_observation_space, self.env.state_space)
        rows = (self.num_envs,)
        return self._tensordict({k: zeros(space, rows, self.device) for k, space in spaces.items()})

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Steps all environments.

        Args:
            actions: (N, A); the environment clips them to its action space.

        Returns:
            Observation groups, rewards (N,) float32, dones (N,) bool, and extras: `time_outs` (N,)
            bool, where the time limit alone ended the episode; `final_observations`, the groups
            before any reset; `log`, the mean of each reward term.
        """
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        final = self._name_groups(info["final_obs"], info.get("final_state"))
        extras = {
            "time_outs": truncated & ~terminated,
            "final_observations": self._tensordict(final),
            "log": info.get("log", {}),
        }
        return self._observe(obs), rewards, terminated | truncated, extras

    @property
    def max_episode_length(self) -> int:
        """Length at which an episode is truncated, in steps."""
        length: int = self.env.max_episode_steps
        return length

    @property
    def episode_length_buf(self) -> Tensor:
        """(N,) int64, steps since each environment's last reset; assigning copies into it."""
        lengths: Tensor = self.env.episode_length_buf
        return lengths

    @episode_length_buf.setter
    def episode_length_buf(self, lengths: Tensor) -> None:
        self.env.episode_length_buf = lengths

    @property
    def unwrapped(self) -> VectorEnv[Any, Any, Any]:
        """The environment itself."""
        return self.env.unwrapped

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _observe(self, obs: Any) -> TensorDict:
        state = None if self.env.state_space is None else self.env.state()
        self._observations = self._tensordict(self._name_groups(obs, state))
        return self._observations

    def _tensordict(self, groups: dict[str, Any]) -> TensorDict:
        return TensorDict(groups, batch_size=[self.num_envs], device=self.device)

    @staticmethod
    def _name_groups(obs: Any, state: Any) -> dict[str, Any]:
        """Observations or their spaces by the names of their groups."""
        named = isinstance(obs, (dict, gym.spaces.Dict))
        groups = dict(obs.items()) if named else {"policy": obs}
        if state is not None:
            if "critic" in groups:
                raise ValueError(
                    "the observation 'critic' collides with the group of the privileged state"
                )
            groups["critic"] = state
        return groups


class PPO(_RslRlPPO):
    """rsl_rl's PPO, with the value of the true last observation where the time limit ended it.

    Name it in a runner's configuration as `algorithm.class_name`, itself or as
    `"isaac_gymnasium.integrations.rsl_rl:PPO"`.

    Args:
        *args: As for rsl_rl's PPO.
        learning_rate_bounds: What the adaptive learning rate stays within; rsl_rl has bounds of its
            own, 1e-5 and 1e-2, that these cannot widen.
        **kwargs: As for rsl_rl's PPO.
    """

    def __init__(
        self, *args: Any, learning_rate_bounds: Sequence[float] = (0.0, math.inf), **kwargs: Any
    ) -> None:
        self._bounds = tuple(learning_rate_bounds)
        super().__init__(*args, **kwargs)

    @property
    def learning_rate(self) -> float:
        """The present learning rate, within its bounds; those of rsl_rl are fixed numbers."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        least, largest = self._bounds
        self._learning_rate = min(max(rate, least), largest)

    def process_env_step(
        self, obs: TensorDict, rewards: Tensor, dones: Tensor, extras: dict[str, Any]
    ) -> None:
        """Records a step.

        Args:
            obs: Observation groups after the step and any reset.
            rewards: (N,).
            dones: (N,).
            extras: From `RslRlVecEnv.step`.
        """
        extras = dict(extras)
        final, time_outs = extras.pop("final_observations"), extras.pop("time_outs")
        hidden_state = self.critic.get_hidden_state()
        values = self.critic(final.to(self.device)).detach().squeeze(-1)
        # A recurrent critic has taken one step too many.
        self.critic.reset(hidden_state=hidden_state)
        rewards = rewards + self.gamma * values * time_outs.to(self.device)
        super().process_env_step(obs, rewards, dones, extras)


def runner_config(config: AdaptivePpoConfig, *, asymmetric: bool = False) -> dict[str, Any]:
    """What rsl_rl's `OnPolicyRunner` needs to know, from this package's PPO settings.

    rsl_rl scales no rewards: wrap the environment in `wrappers.ScaleReward` where
    `config.reward_scale` is not 1. It has no network that policy and value share.

    Args:
        config: Networks and settings.
        asymmetric: Whether the value network sees the privileged state, the group `critic`.
    """
    config.check()
    network = {
        "class_name": "MLPModel",
        "hidden_dims": list(config.hidden_sizes),
        "activation": "elu",
        "obs_normalization": True,
    }
    adaptive = config.kl_threshold > 0
    bounds = [config.min_learning_rate, config.max_learning_rate]
    return {
        "seed": config.seed,
        "num_steps_per_env": config.rollouts,
        "save_interval": 50,
        "obs_groups": {"actor": ["policy"], "critic": ["critic" if asymmetric else "policy"]},
        "actor": {
            **network,
            "distribution_cfg": {
                "class_name": "GaussianDistribution",
                "init_std": float(torch.tensor(config.initial_log_std).exp()),
                "std_type": "log",
            },
        },
        "critic": network,
        "algorithm": {
            "class_name": f"{PPO.__module__}:{PPO.__qualname__}",
            "num_learning_epochs": config.learning_epochs,
            "num_mini_batches": config.mini_batches,
            "clip_param": config.ratio_clip,
            "gamma": config.discount,
            "lam": config.gae_lambda,
            "value_loss_coef": config.value_loss_scale,
            "entropy_coef": config.entropy_loss_scale,
            "learning_rate": config.learning_rate,
            "schedule": "adaptive" if adaptive else "fixed",
            "desired_kl": config.kl_threshold if adaptive else None,
            **({"learning_rate_bounds": bounds} if adaptive else {}),
            "max_grad_norm": config.grad_norm_clip or float("inf"),
            "use_clipped_value_loss": config.value_clip > 0,
        },
    }
