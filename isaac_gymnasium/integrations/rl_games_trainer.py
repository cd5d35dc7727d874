"""rl_games' PPO as a trainer of the command line."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from gymnasium.vector import VectorEnv
from rl_games.common.algo_observer import AlgoObserver
from rl_games.common.tr_helpers import DefaultRewardsShaper
from torch import nn

from isaac_gymnasium.integrations.rl_games import A2CAgent, RlGamesVecEnv, agent_config
from isaac_gymnasium.integrations.trainer import OnUpdate, Policy, Trainer
from isaac_gymnasium.presets.configs import AdaptivePpoConfig

__all__ = ["RlGamesPpo"]


class RlGamesPpo(Trainer[AdaptivePpoConfig]):
    """PPO of rl_games; see `isaac_gymnasium.integrations.trainer.Trainer`."""

    def __init__(self, env: VectorEnv[Any, Any, Any], config: AdaptivePpoConfig) -> None:
        super().__init__(env, config)
        self._env = RlGamesVecEnv(env)
        # rl_games opens a log of its own in a folder of its own, whether one wants it or not.
        self._folder = tempfile.TemporaryDirectory(prefix="rl_games_")
        if env.num_envs != config.num_envs:
            # To act, not to learn; rl_games wants its mini-batches to fit all the same.
            config = replace(config, num_envs=env.num_envs, mini_batches=1)
        params = agent_config(
            "command_line",
            config,
            device=self._env.env.device,
            train_dir=self._folder.name,
            asymmetric=self._env.env.state_space is not None,
        )
        params["config"] |= {
            "env_info": self._env.get_env_info(),
            "vec_env": self._env,
            "num_actors": env.num_envs,
            "reward_shaper": DefaultRewardsShaper(**params["config"]["reward_shaper"]),
            "features": {"observer": AlgoObserver()},
            "print_stats": False,
        }
        with contextlib.redirect_stdout(io.StringIO()):
            self.agent = A2CAgent("command_line", params)

    def learn(self, on_update: OnUpdate) -> None:
        """Trains; see `Trainer.learn`."""
        agent, config = self.agent, self.config
        agent.init_tensors()
        self._env.seed(self.environment_seed)
        self._env.set_options(self.reset_options)
        agent.obs = agent.env_reset()
        go_on = True
        while go_on and self.timesteps < config.timesteps:
            agent.update_epoch()
            *_, policy_losses, value_losses, _, entropies, kls, _, _ = agent.train_epoch()
            agent.dataset.update_values_dict(None)
            agent.frame += agent.curr_frames
            self.timesteps += agent.curr_frames
            go_on = on_update(
                {
                    "loss/policy": _mean(policy_losses),
                    "loss/value": _mean(value_losses),
                    "policy/entropy": _mean(entropies),
                    "policy/kl": _mean(kls),
                    "policy/learning_rate": float(agent.last_lr),
                }
            )

    def state_dict(self) -> dict[str, Any]:
        """Weights, statistics, optimiser with its learning rate, counters."""
        return {"timesteps": self.timesteps, **self.agent.get_full_state_weights()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        self.agent.set_full_state_weights(dict(state))
        self.timesteps = int(state["timesteps"])

    def policy(self) -> nn.Module:
        """Mean actions; see `Trainer.policy`."""
        space: Any = self.env.single_action_space
        network, scaler = self.agent.model.a2c_network, self.agent.model.running_mean_std
        # rl_games stretches actions from [-1, 1] to the action space.
        low, high = torch.from_numpy(space.low), torch.from_numpy(space.high)
        stretch = nn.Linear(*space.shape, *space.shape)
        with torch.no_grad():
            stretch.weight.copy_(torch.diag((high - low) / 2))
            stretch.bias.copy_((high + low) / 2)
        return Policy(
            nn.Sequential(
                network.actor_mlp, network.mu, nn.Hardtanh(), stretch.to(self._env.env.device)
            ),
            space,
            mean=scaler.running_mean,
            std=(scaler.running_var.float() + scaler.epsilon).sqrt(),
            clip=5.0,
        )


def _mean(values: list[torch.Tensor]) -> float:
    return float(torch.stack([value.detach().mean() for value in values]).mean())
