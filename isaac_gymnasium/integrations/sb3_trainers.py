"""Stable-Baselines3's algorithms, and `TorchPPO`, as trainers of the command line."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor, nn

from isaac_gymnasium.integrations.sb3 import Sb3VecEnv
from isaac_gymnasium.integrations.sb3_torch_ppo import TorchPPO
from isaac_gymnasium.integrations.trainer import OnUpdate, Policy, Trainer
from isaac_gymnasium.presets.configs import (
    OffPolicyConfig,
    PpoConfig,
    SacConfig,
    Td3Config,
    TrainConfig,
)
from isaac_gymnasium.wrappers import NormalizeObservation, NormalizeReward, ScaleReward

# isort: split
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecNormalize

__all__ = ["Sb3Ppo", "Sb3Sac", "Sb3Td3", "TorchPpoTrainer"]

ConfigT = TypeVar("ConfigT", bound=TrainConfig)


class _Sb3Trainer(Trainer[ConfigT]):
    """What SB3's algorithms have in common.

    Attributes:
        model: SB3's algorithm.
    """

    model: Any

    def learn(self, on_update: OnUpdate) -> None:
        """Trains; see `Trainer.learn`."""
        model = self.model
        model.set_logger(Logger(None, []))
        model.env.unwrapped.seed(self.environment_seed)
        model.env.unwrapped.set_options(self.reset_options)
        model.num_timesteps, model._last_obs = self.timesteps, None
        model.action_space.seed(self.environment_seed)
        remaining = self.config.timesteps - self.timesteps
        _, callback = model._setup_learn(remaining, reset_num_timesteps=False)
        callback.on_training_start(locals(), globals())
        go_on = True
        while go_on and self.timesteps < self.config.timesteps:
            self._update(callback)
            self.timesteps = model.num_timesteps
            values = model.logger.name_to_value
            metrics = {name: float(values[tag]) for tag, name in _METRICS.items() if tag in values}
            model.logger.dump()
            go_on = on_update(metrics)

    @abc.abstractmethod
    def _update(self, callback: Any) -> None:
        """Steps the environment and learns from it, once or for a while."""

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimisers, statistics, counters."""
        _, variables = self.model._get_torch_save_params()
        return {
            "timesteps": self.timesteps,
            "updates": self.model._n_updates,
            "parameters": self.model.get_parameters(),
            "variables": {name: getattr(self.model, name).detach() for name in variables},
            "statistics": self._statistics(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        self.model.set_parameters(dict(state["parameters"]), device=self.model.device)
        for name, value in state["variables"].items():
            getattr(self.model, name).data.copy_(value)
        self._load_statistics(state["statistics"])
        self.model._n_updates = int(state["updates"])
        self.timesteps = int(state["timesteps"])

    @abc.abstractmethod
    def _statistics(self) -> dict[str, Tensor]:
        """The running statistics of observations and rewards."""

    @abc.abstractmethod
    def _load_statistics(self, state: Mapping[str, Tensor]) -> None: ...


class Sb3Ppo(_Sb3Trainer[PpoConfig]):
    """PPO of Stable-Baselines3; see `isaac_gymnasium.integrations.trainer.Trainer`.

    Observations and rewards are divided by running deviations, as with SB3's `VecNormalize`, so
    that `reward_scale` cancels. The learning rate falls to 0 linearly.
    """

    algorithm: ClassVar[type[PPO]] = PPO

    def __init__(self, env: VectorEnv[Any, Any, Any], config: PpoConfig) -> None:
        super().__init__(env, config)
        self._observations = NormalizeObservation(env)
        self._rewards = NormalizeReward(self._observations, gamma=config.discount)
        venv = Sb3VecEnv(self._rewards, monitor=False)
        rate, samples = config.learning_rate, env.num_envs * config.rollouts
        with warnings.catch_warnings():
            # One minibatch may be smaller than the others.
            warnings.filterwarnings("ignore", "You have specified a mini-batch size")
            self.model = self._make(venv, rate, max(2, -(-samples // config.mini_batches)))

    def _make(self, venv: Sb3VecEnv, rate: float, batch_size: int) -> Any:
        config = self.config
        return self.algorithm(
            "MlpPolicy",
            venv,
            learning_rate=lambda remaining: rate * remaining,
            n_steps=config.rollouts,
            batch_size=batch_size,
            n_epochs=config.learning_epochs,
            gamma=config.discount,
            gae_lambda=config.gae_lambda,
            clip_range=config.ratio_clip,
            clip_range_vf=config.value_clip or None,
            ent_coef=config.entropy_loss_scale,
            vf_coef=config.value_loss_scale,
            max_grad_norm=config.grad_norm_clip or float("inf"),
            policy_kwargs={
                "net_arch": list(config.hidden_sizes),
                "activation_fn": nn.ELU,
                "log_std_init": config.initial_log_std,
            },
            device=venv.device,
        )

    def _update(self, callback: Any) -> None:
        model = self.model
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
        model._update_current_progress_remaining(model.num_timesteps, model._total_timesteps)
        model.train()

    def policy(self) -> nn.Module:
        """Mean actions; see `Trainer.policy`."""
        networks, rms = self.model.policy, self._observations.obs_rms
        return Policy(
            nn.Sequential(networks.mlp_extractor.policy_net, networks.action_net),
            self.env.single_action_space,
            mean=rms.mean,
            std=(rms.var + self._observations.epsilon).sqrt(),
        )

    def _statistics(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self._live_statistics().items()}

    def _load_statistics(self, state: Mapping[str, Tensor]) -> None:
        for name, value in self._live_statistics().items():
            value.copy_(state[name])

    def _live_statistics(self) -> dict[str, Tensor]:
        both = {"observation": self._observations.obs_rms, "reward": self._rewards.return_rms}
        return {
            f"{of}.{name}": getattr(rms, name)
            for of, rms in both.items()
            for name in ("count", "mean", "square")
        }


class TorchPpoTrainer(Sb3Ppo):
    """`TorchPPO` with what `Sb3Ppo` has around it."""

    algorithm = TorchPPO


class _OffPolicy(_Sb3Trainer[ConfigT]):
    """What SB3's SAC and TD3 have in common.

    Observations are normalised as they are drawn from the replay buffer, by SB3's `VecNormalize`.
    """

    config: Any

    def _make(self, algorithm: Any, **settings: Any) -> Any:
        config: OffPolicyConfig = self.config
        venv = Sb3VecEnv(ScaleReward(self.env, config.reward_scale), monitor=False)
        self._normalize = VecNormalize(venv, norm_reward=False)
        return algorithm(
            "MlpPolicy",
            self._normalize,
            learning_rate=config.learning_rate,
            buffer_size=config.buffer_size,
            learning_starts=config.learning_starts,
            batch_size=config.batch_size,
            tau=config.polyak,
            gamma=config.discount,
            train_freq=config.update_every,
            gradient_steps=config.gradient_steps,
            policy_kwargs={"net_arch": list(config.hidden_sizes)},
            device=venv.device,
            **settings,
        )

    def _update(self, callback: Any) -> None:
        model, config = self.model, self.config
        for _ in range(-(-config.report_every // config.update_every)):
            model.collect_rollouts(
                model.env,
                callback,
                model.train_freq,
                model.replay_buffer,
                model.action_noise,
                config.learning_starts,
            )
            # Of the buffer, not of the training: a resumed run begins with an empty one.
            if model.replay_buffer.size() * model.n_envs > config.learning_starts:
                model.train(config.gradient_steps, config.batch_size)
            if model.num_timesteps >= config.timesteps:
                return

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimisers, statistics, counters; with `checkpoint_buffer` the buffer too."""
        state = super().state_dict()
        if self.config.checkpoint_buffer:
            buffer = self.model.replay_buffer
            arrays = {name: getattr(buffer, name)[: buffer.size()] for name in _BUFFER}
            state["buffer"] = {name: torch.from_numpy(a.copy()) for name, a in arrays.items()}
            state["buffer_position"] = buffer.pos
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` returned, the buffer if it holds one."""
        buffer = self.model.replay_buffer
        saved = state.get("buffer", {})
        for name, value in saved.items():
            room = getattr(buffer, name)
            if len(value) > len(room) or value.shape[1:] != room.shape[1:]:
                raise ValueError(
                    f"the replay buffer has room for {room.shape} {name}, the checkpoint holds "
                    f"{tuple(value.shape)}"
                )
        super().load_state_dict(state)
        for name, value in saved.items():
            getattr(buffer, name)[: len(value)] = value.numpy()
        if saved:
            count = len(saved["rewards"])
            buffer.full = count == buffer.buffer_size
            buffer.pos = int(state["buffer_position"]) if buffer.full else count

    def policy(self) -> nn.Module:
        """Actions without exploration; see `Trainer.policy`."""
        rms = self._normalize.obs_rms
        return Policy(
            self._network(),
            self.env.single_action_space,
            mean=torch.from_numpy(np.array(rms.mean)),
            std=torch.from_numpy(np.sqrt(rms.var + self._normalize.epsilon)),
            clip=self._normalize.clip_obs,
            squash=True,
        )

    @abc.abstractmethod
    def _network(self) -> nn.Module:
        """From observations to actions that are yet to be squashed."""

    def _statistics(self) -> dict[str, Tensor]:
        rms = self._normalize.obs_rms
        values = {name: getattr(rms, name) for name in ("mean", "var", "count")}
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}

    def _load_statistics(self, state: Mapping[str, Tensor]) -> None:
        rms = self._normalize.obs_rms
        if state["mean"].shape != rms.mean.shape:
            raise ValueError(
                f"observations have shape {rms.mean.shape}, those of the checkpoint "
                f"{tuple(state['mean'].shape)}"
            )
        rms.mean, rms.var = state["mean"].numpy().copy(), state["var"].numpy().copy()
        rms.count = float(state["count"])


class Sb3Sac(_OffPolicy[SacConfig]):
    """SAC of Stable-Baselines3; see `isaac_gymnasium.integrations.trainer.Trainer`."""

    def __init__(self, env: VectorEnv[Any, Any, Any], config: SacConfig) -> None:
        super().__init__(env, config)
        self.model = self._make(SAC, ent_coef=f"auto_{config.initial_entropy}")

    def _network(self) -> nn.Module:
        return nn.Sequential(self.model.actor.latent_pi, self.model.actor.mu)


class Sb3Td3(_OffPolicy[Td3Config]):
    """TD3 of Stable-Baselines3; see `isaac_gymnasium.integrations.trainer.Trainer`."""

    def __init__(self, env: VectorEnv[Any, Any, Any], config: Td3Config) -> None:
        super().__init__(env, config)
        actions = np.ones(env.single_action_space.shape or ())
        self.model = self._make(
            TD3,
            action_noise=NormalActionNoise(0.0 * actions, config.exploration_noise * actions),
            policy_delay=config.policy_delay,
            target_policy_noise=config.smoothing_noise,
            target_noise_clip=config.smoothing_clip,
        )

    def _network(self) -> nn.Module:
        # Without the last layer, the tanh.
        return nn.Sequential(*list(self.model.actor.mu)[:-1])


_BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")

_METRICS = {
    "train/policy_gradient_loss": "loss/policy",
    "train/actor_loss": "loss/policy",
    "train/value_loss": "loss/value",
    "train/critic_loss": "loss/critic",
    "train/entropy_loss": "loss/entropy",
    "train/ent_coef": "policy/entropy_weight",
    "train/approx_kl": "policy/kl",
    "train/std": "policy/std",
    "train/learning_rate": "policy/learning_rate",
    "train/explained_variance": "policy/explained_variance",
}
