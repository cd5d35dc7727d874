"""skrl's algorithms as trainers of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium.vector import VectorEnv
from torch import nn

from isaac_gymnasium.integrations.skrl import SkrlWrapper
from isaac_gymnasium.integrations.skrl_ppo import make_ppo
from isaac_gymnasium.integrations.trainer import OnUpdate, Policy, Trainer, process_count
from isaac_gymnasium.presets.configs import SkrlPpoConfig

__all__ = ["SkrlPpo"]


class SkrlPpo(Trainer[SkrlPpoConfig]):
    """PPO of skrl; see `isaac_gymnasium.integrations.trainer.Trainer`."""

    distributed = True

    def __init__(self, env: VectorEnv[Any, Any, Any], config: SkrlPpoConfig) -> None:
        super().__init__(env, config)
        self._env = SkrlWrapper(env)
        self.agent = make_ppo(self._env, config)

    def learn(self, on_update: OnUpdate) -> None:
        """Trains; see `Trainer.learn`."""
        agent, env, config = self.agent, self._env, self.config
        agent.enable_training_mode(True)
        observations, _ = env.reset(seed=self.environment_seed)
        states = env.state()
        done_by_a_step = env.num_envs * process_count()
        total = -(-config.timesteps // done_by_a_step)
        go_on = True
        while go_on and self.timesteps < config.timesteps:
            for _ in range(config.rollouts):
                step = {"timestep": self.timesteps // done_by_a_step, "timesteps": total}
                agent.pre_interaction(**step)
                with torch.no_grad():
                    actions, _ = agent.act(observations, states, **step)
                    successors, rewards, terminated, truncated, info = env.step(actions)
                    next_states = env.state()
                    agent.record_transition(
                        observations=observations,
                        states=states,
                        actions=actions,
                        rewards=rewards,
                        next_observations=successors,
                        next_states=next_states,
                        terminated=terminated,
                        truncated=truncated,
                        infos=info,
                        **step,
                    )
                agent.post_interaction(**step)
                observations, states = successors, next_states
                self.timesteps += done_by_a_step
            go_on = on_update(_metrics(agent))

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser with its learning rate, statistics, counter."""
        modules = {name: part.state_dict() for name, part in self.agent.checkpoint_modules.items()}
        return {"timesteps": self.timesteps, **modules}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        for name, part in self.agent.checkpoint_modules.items():
            part.load_state_dict(state[name])
        self.timesteps = int(state["timesteps"])

    def policy(self) -> nn.Module:
        """Mean actions; see `Trainer.policy`."""
        model, scaler = self.agent.policy, self.agent._observation_preprocessor
        return Policy(
            nn.Sequential(model.hidden, model.mean),
            self.env.single_action_space,
            mean=scaler.running_mean,
            std=scaler.running_variance.float().sqrt() + scaler.epsilon,
            clip=scaler.clip_threshold,
        )


_METRICS = {
    "Loss / Policy loss": "loss/policy",
    "Loss / Value loss": "loss/value",
    "Loss / Entropy loss": "loss/entropy",
    "Loss / Critic loss": "loss/critic",
    "Policy / Standard deviation": "policy/std",
    "Learning / Learning rate": "policy/learning_rate",
}


def _metrics(agent: Any) -> dict[str, float]:
    """Means of what the agent has tracked since the last call."""
    means = {
        _METRICS[tag]: float(sum(values) / len(values))
        for tag, values in agent.tracking_data.items()
        if tag in _METRICS
    }
    agent.tracking_data.clear()
    return means
