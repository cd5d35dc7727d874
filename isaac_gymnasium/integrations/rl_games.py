"""rl_games (1.6.5 or newer): its `IVecEnv`, and a PPO that bootstraps from true last observations.

    register("IsaacCartpole-v0")
    config = preset("IsaacCartpole-v0", AdaptivePpoConfig, library="rl_games")
    runner = Runner()
    runner.load({"params": agent_config("IsaacCartpole-v0", config)})
    runner.run({"train": True})

Where the time limit ends an episode, rl_games' own PPO adds the value of the observation *before*
the last action, since it never sees the one after it. The agent that `Runner` trains adds the value
of the latter.
"""

from __future__ import annotations

from collections.abc import Callable
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
from isaac_gymnasium.vector_env import resolve_device
from isaac_gymnasium.wrappers import TorchWrapper

with needs_extra("rl_games", "rl-games"):
    from rl_games.algos_torch.a2c_continuous import A2CAgent as _A2CAgent
    from rl_games.common import env_configurations, vecenv
    from rl_games.common.algo_observer import IsaacAlgoObserver
    from rl_games.common.ivecenv import IVecEnv
    from rl_games.common.schedulers import AdaptiveScheduler
    from rl_games.torch_runner import Runner as _Runner

__all__ = ["A2CAgent", "RlGamesVecEnv", "Runner", "agent_config", "register"]

_VECENV_TYPE = "ISAAC_GYMNASIUM"


class RlGamesVecEnv(IVecEnv):
    """An environment of this package as rl_games expects it.

    Tensors stay where they are. Where the task has a privileged state, observations come as
    `{"obs": ..., "states": ...}`, for a central value network.

    Args:
        env: An environment from `gymnasium.make_vec`, possibly within wrappers, in the autoreset
            mode `SameStep`.
        seed: Of the first reset; see `IsaacVectorEnv.reset`.

    Raises:
        ValueError: If the environment is in another autoreset mode, or its actions are no vectors.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], *, seed: int | list[int | None] | None = None
    ) -> None:
        require_autoreset(
            env,
            AutoresetMode.SAME_STEP,
            "RlGamesVecEnv",
            "rl_games records every step as a transition and resets no single environment",
        )
        require_vector_actions(env, "rl_games")
        self.env = TorchWrapper(env)
        self.env.unwrapped.log_rewards = True  # type: ignore[attr-defined]
        self._seed = seed
        self._options: dict[str, Any] | None = None

    def reset(self) -> Any:
        """Starts new episodes in all environments.

        Returns:
            Observations (N, O) or a dict of them; with a privileged state (N, S) in a dict beside.
        """
        obs, _ = self.env.reset(seed=self._seed, options=self._options)
        self._seed = self._options = None
        return self._with_state(obs, self._state())

    def step(self, actions: Tensor) -> tuple[Any, Tensor, Tensor, dict[str, Any]]:
        """Steps all environments.

        Args:
            actions: (N, A).

        Returns:
            Observations as from `reset`, rewards (N,) float32, dones (N,) bool, and infos:
            `time_outs` (N,) bool, where the time limit alone ended the episode; `final_obs`, the
            observations before any reset; `episode`, the mean of each reward term, under the key
            that rl_games' `IsaacAlgoObserver` averages over an epoch.
        """
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        infos = {
            "time_outs": truncated & ~terminated,
            "final_obs": self._with_state(info["final_obs"], info.get("final_state")),
            "episode": info.get("log", {}),
        }
        return self._with_state(obs, self._state()), rewards, terminated | truncated, infos

    def get_env_info(self) -> dict[str, Any]:
        """Spaces of one environment, and the number of agents in it."""
        info = {
            "observation_space": self.env.single_observation_space,
            "action_space": self.env.single_action_space,
            "agents": 1,
            "value_size": 1,
        }
        if self.env.state_space is not None:
            info["state_space"] = self.env.state_space
        return info

    def seed(self, seed: int | list[int | None] | None) -> None:
        """Sets the seed of the next reset."""
        self._seed = seed

    def set_options(self, options: dict[str, Any] | None) -> None:
        """Sets the options of the next reset."""
        self._options = options

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _state(self) -> Any:
        return None if self.env.state_space is None else self.env.state()

    @staticmethod
    def _with_state(obs: Any, state: Tensor | None) -> Any:
        return obs if state is None else {"obs": obs, "states": state}


def register(
    name: str, make: Callable[..., VectorEnv[Any, Any, Any]] | None = None, **kwargs: Any
) -> None:
    """Makes an environment known to rl_games as `config.env_name`.

    What stands under `config.env_config` is added to the keywords; `seed` there is that of the
    first reset, which rl_games' runner sets if `env_config` is there at all.

    Args:
        name: An environment ID or, with `make`, any name.
        make: Called with `num_envs` and the keywords; `gymnasium.make_vec` of the ID by default.
        **kwargs: Keywords of the environment.
    """

    def create(num_envs: int, seed: int | None = None, **overrides: Any) -> RlGamesVecEnv:
        keywords = {"num_envs": num_envs, **kwargs, **overrides}
        env = gym.make_vec(name, **keywords) if make is None else make(**keywords)
        return RlGamesVecEnv(env, seed=seed)

    vecenv.register(
        _VECENV_TYPE,
        lambda config_name, num_actors, **overrides: env_configurations.configurations[config_name][
            "env_creator"
        ](num_actors, **overrides),
    )
    env_configurations.register(name, {"vecenv_type": _VECENV_TYPE, "env_creator": create})


class A2CAgent(_A2CAgent):
    """rl_games' PPO, with the value of the true last observation where the time limit ended it.

    It also takes up the learning rate that a checkpoint was saved with, and keeps an adaptive one
    between `min_lr` and `max_lr` of its configuration, where they are there.
    """

    def __init__(self, base_name: str, params: dict[str, Any]) -> None:
        super().__init__(base_name, params)
        if isinstance(self.scheduler, AdaptiveScheduler):
            self.scheduler.min_lr = self.config.get("min_lr", self.scheduler.min_lr)
            self.scheduler.max_lr = self.config.get("max_lr", self.scheduler.max_lr)
        self._shape_rewards: Callable[[Tensor], Tensor] = self.config["reward_shaper"]
        self.rewards_shaper = self._shape_and_bootstrap

    def train(self) -> Any:
        """Trains; what has been logged is in its file when it returns."""
        try:
            return super().train()
        finally:
            if self.writer is not None:  # only the first of several processes writes
                self.writer.flush()

    def env_step(self, actions: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Any]:
        """Steps the environments and values the observations that truly followed.

        Args:
            actions: (N, A).
        """
        obs, rewards, dones, infos = super().env_step(actions)
        # Out of sight of the base class, which would count them in its own way.
        time_outs, final = infos.pop("time_outs"), infos.pop("final_obs")
        self._bootstrap: Tensor | float = 0.0
        if self.value_bootstrap:
            memory = self.central_value_net.rnn_states if self.has_central_value else None
            values = self.get_values(self.obs_to_tensors(final))
            if self.has_central_value:
                # A recurrent network has taken one step too many.
                self.central_value_net.rnn_states = memory
            time_outs = time_outs.to(self.ppo_device).unsqueeze(1)
            self._bootstrap = self.gamma * values * time_outs
        return obs, rewards, dones, infos

    def _shape_and_bootstrap(self, rewards: Tensor) -> Tensor:
        return self._shape_rewards(rewards) + self._bootstrap

    def set_full_state_weights(self, weights: dict[str, Any], set_epoch: bool = True) -> None:
        """Restores networks, statistics, optimiser with its learning rate, and counters."""
        super().set_full_state_weights(weights, set_epoch)
        self.last_lr = self.optimizer.param_groups[0]["lr"]


class Runner(_Runner):
    """rl_games' runner, training `A2CAgent` and logging the mean of each reward term.

    Args:
        algo_observer: What logs; `IsaacAlgoObserver` by default, since rl_games' own default looks
            at every episode that ended on the host.
    """

    def __init__(self, algo_observer: Any = None) -> None:
        super().__init__(algo_observer or IsaacAlgoObserver())
        self.algo_factory.register_builder("a2c_continuous", A2CAgent)


def agent_config(
    name: str,
    config: AdaptivePpoConfig,
    *,
    device: str | torch.device = "auto",
    train_dir: str = "runs",
    asymmetric: bool = False,
    env_config: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What rl_games' runner needs to know under `params`, from this package's PPO settings.

    Args:
        name: Of an environment given to `register`.
        config: Networks and settings.
        device: Where networks and environments live; `"auto"` for CUDA where there is one.
        train_dir: Folder under which rl_games makes one for each run.
        asymmetric: Whether the value network sees the privileged state.
        env_config: Further keywords of the environment.

    Raises:
        ValueError: If the settings cannot work in rl_games.
    """
    config.check()
    batch = config.num_envs * config.rollouts
    if batch % config.mini_batches:
        raise ValueError(
            f"rl_games needs mini_batches to divide num_envs * rollouts = {batch}, "
            f"got {config.mini_batches}"
        )
    device = str(resolve_device(device))
    mlp = {
        "units": list(config.hidden_sizes),
        "activation": "elu",
        "initializer": {"name": "default"},
    }
    settings: dict[str, Any] = {
        "name": name.rpartition(":")[2],
        "env_name": name,
        "env_config": {"device": device, **(env_config or {}), "seed": config.seed},
        "device": device,
        "device_name": device,
        "train_dir": train_dir,
        "num_actors": config.num_envs,
        "max_epochs": -(-config.timesteps // batch),
        "horizon_length": config.rollouts,
        "minibatch_size": batch // config.mini_batches,
        "seq_length": 1,  # of recurrent networks; minibatch_size has to be a multiple of it
        "mini_epochs": config.learning_epochs,
        "learning_rate": config.learning_rate,
        "lr_schedule": "adaptive" if config.kl_threshold > 0 else "constant",
        "schedule_type": "legacy",
        "kl_threshold": config.kl_threshold,
        "min_lr": config.min_learning_rate,
        "max_lr": config.max_learning_rate,
        "gamma": config.discount,
        "tau": config.gae_lambda,
        "ppo": True,
        "e_clip": config.ratio_clip,
        "clip_value": config.value_clip > 0,
        "critic_coef": 2.0 * config.value_loss_scale,  # rl_games halves it
        "entropy_coef": config.entropy_loss_scale,
        "bounds_loss_coef": 0.0,
        "truncate_grads": config.grad_norm_clip > 0,
        "grad_norm": config.grad_norm_clip,
        "normalize_input": True,
        "normalize_value": True,
        "normalize_advantage": True,
        "value_bootstrap": True,
        "reward_shaper": {"scale_value": config.reward_scale},
        "torch_compile": False,
        "save_best_after": 100,
        "save_frequency": 0,
        "player": {"use_vecenv": True, "deterministic": True},
    }
    if asymmetric:
        settings["central_value_config"] = {
            "minibatch_size": batch // config.mini_batches,
            "mini_epochs": config.learning_epochs,
            "learning_rate": config.learning_rate,
            "lr_schedule": "constant",
            "kl_threshold": config.kl_threshold,
            "clip_value": config.value_clip > 0,
            "e_clip": config.ratio_clip,
            "normalize_input": True,
            "truncate_grads": config.grad_norm_clip > 0,
            "grad_norm": config.grad_norm_clip,
            "network": {"name": "actor_critic", "central_value": True, "mlp": mlp},
        }
    return {
        "seed": config.seed,
        "torch_threads": 0,
        "algo": {"name": "a2c_continuous"},
        "model": {"name": "continuous_a2c_logstd"},
        "network": {
            "name": "actor_critic",
            "separate": not asymmetric,
            "space": {
                "continuous": {
                    "mu_activation": "None",
                    "sigma_activation": "None",
                    "mu_init": {"name": "default"},
                    "sigma_init": {"name": "const_initializer", "val": config.initial_log_std},
                    "fixed_sigma": True,
                }
            },
            "mlp": mlp,
        },
        "config": settings,
    }
