"""rsl_rl's PPO as a trainer of the command line."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import torch
from gymnasium.vector import VectorEnv
from torch import nn

from isaac_gymnasium.integrations.rsl_rl import PPO, RslRlVecEnv, runner_config
from isaac_gymnasium.integrations.trainer import (
    OnUpdate,
    Policy,
    Trainer,
    process_count,
    process_rank,
)
from isaac_gymnasium.presets.configs import AdaptivePpoConfig

__all__ = ["RslRlPpo"]


class RslRlPpo(Trainer[AdaptivePpoConfig]):
    """PPO of rsl_rl; see `isaac_gymnasium.integrations.trainer.Trainer`."""

    distributed = True

    def __init__(self, env: VectorEnv[Any, Any, Any], config: AdaptivePpoConfig) -> None:
        super().__init__(env, config)
        self._env = RslRlVecEnv(env)
        settings = runner_config(config, asymmetric=self._env.env.state_space is not None)
        processes = {"global_rank": process_rank(), "world_size": process_count()}
        settings["multi_gpu"] = processes if process_count() > 1 else None
        with contextlib.redirect_stdout(io.StringIO()):
            self.algorithm: PPO = PPO.construct_algorithm(
                self._env.example_observations(), self._env, settings, str(self._env.device)
            )

    def learn(self, on_update: OnUpdate) -> None:
        """Trains; see `Trainer.learn`."""
        algorithm, env, config = self.algorithm, self._env, self.config
        algorithm.train_mode()
        if algorithm.is_multi_gpu:
            algorithm.broadcast_parameters()
        observations = env.reset(seed=self.environment_seed, options=self.reset_options)
        done_by_a_step = env.num_envs * process_count()
        go_on = True
        while go_on and self.timesteps < config.timesteps:
            with torch.inference_mode():
                for _ in range(config.rollouts):
                    actions = algorithm.act(observations)
                    observations, rewards, dones, extras = env.step(actions)
                    rewards = config.reward_scale * rewards
                    algorithm.process_env_step(observations, rewards, dones, extras)
                    self.timesteps += done_by_a_step
                algorithm.compute_returns(observations)
            losses = algorithm.update()
            go_on = on_update(
                {
                    "loss/policy": losses["surrogate"],
                    "loss/value": losses["value"],
                    "policy/entropy": losses["entropy"],
                    "policy/std": float(algorithm.get_policy().output_std.detach().mean()),
                    "policy/learning_rate": algorithm.learning_rate,
                }
            )

    def state_dict(self) -> dict[str, Any]:
        """Weights, statistics, optimiser with its learning rate, counter."""
        return {"timesteps": self.timesteps, **self.algorithm.save()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        self.algorithm.load(dict(state), None, True)
        self.timesteps = int(state["timesteps"])

    def policy(self) -> nn.Module:
        """Mean actions; see `Trainer.policy`."""
        actor = self.algorithm.get_policy()
        scaler = actor.obs_normalizer
        return Policy(
            actor.mlp,
            self.env.single_action_space,
            mean=scaler.mean,
            std=scaler.std + scaler.eps,
        )
