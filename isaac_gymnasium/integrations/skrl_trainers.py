"""skrl's algorithms as trainers of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from gymnasium.vector import VectorEnv
from torch import nn

from isaac_gymnasium.integrations.skrl import SkrlWrapper
from isaac_gymnasium.integrations.skrl_agent import Scaler
from isaac_gymnasium.integrations.skrl_off_policy import make_memory, make_sac, make_td3
from isaac_gymnasium.integrations.skrl_ppo import make_ppo
from isaac_gymnasium.integrations.trainer import OnUpdate, Policy, Trainer, process_count
from isaac_gymnasium.presets.configs import OffPolicyConfig, SacConfig, SkrlPpoConfig, Td3Config

__all__ = ["SkrlPpo", "SkrlSac", "SkrlTd3"]

OffPolicyT = TypeVar("OffPolicyT", bound=OffPolicyConfig)


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
        observations, _ = env.reset(seed=self.environment_seed, options=self.reset_options)
        seen = observations, env.state()
        done_by_a_step = env.num_envs * process_count()
        total = -(-config.timesteps // done_by_a_step)
        go_on = True
        while go_on and self.timesteps < config.timesteps:
            for _ in range(config.rollouts):
                step = {"timestep": self.timesteps // done_by_a_step, "timesteps": total}
                agent.pre_interaction(**step)
                with torch.no_grad():
                    actions, _ = agent.act(*seen, **step)
                    seen = _step_and_record(agent, env, seen, actions, step)
                agent.post_interaction(**step)
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
        return _policy(self.agent, self.env)

    def close(self) -> None:
        """Drops the CUDA graphs; see `Trainer.close`."""
        self.agent.forget_graphs()


class _OffPolicy(Trainer[OffPolicyT]):
    """What SAC and TD3 share: the loop around a replay memory."""

    def __init__(self, env: VectorEnv[Any, Any, Any], config: OffPolicyT) -> None:
        super().__init__(env, config)
        self._env = SkrlWrapper(env)
        self.agent = self._make()
        self._saved_memory: dict[str, Any] | None = None

    def _make(self) -> Any:
        """The agent."""
        raise NotImplementedError

    def learn(self, on_update: OnUpdate) -> None:
        """Trains; see `Trainer.learn`."""
        agent, env, config = self.agent, self._env, self.config
        self._make_memory()
        agent.enable_training_mode(True)
        observations, _ = env.reset(seed=self.environment_seed, options=self.reset_options)
        seen = observations, env.state()
        total = -(-config.timesteps // env.num_envs)
        go_on = True
        while go_on and self.timesteps < config.timesteps:
            for position in range(config.report_every):
                number = self.timesteps // env.num_envs
                step = {"timestep": number, "timesteps": total}
                with torch.no_grad():
                    if self.timesteps < config.learning_starts:
                        actions = self._random_actions()
                    else:
                        actions, _ = agent.act(*seen, **step)
                    seen = _step_and_record(agent, env, seen, actions, step)
                self.timesteps += env.num_envs
                enough = len(agent.memory) >= min(config.learning_starts, config.buffer_size)
                if enough and number % config.update_every == 0:
                    last = position + config.update_every >= config.report_every
                    agent.update(**step, report=last)
                if self.timesteps >= config.timesteps:
                    break
            go_on = on_update(_metrics(agent))

    def _make_memory(self) -> None:
        agent = self.agent
        updates = getattr(agent, "_update_counter", None)
        if agent.memory is None:
            agent.memory = make_memory(self._env, self.config)
            agent.init()
        if updates is not None:
            agent._update_counter = updates
        if self._saved_memory is not None:
            agent.memory.load_state_dict(self._saved_memory)
            self._saved_memory = None

    def _random_actions(self) -> torch.Tensor:
        space: Any = self.env.single_action_space
        low, high = (
            torch.as_tensor(side, device=self._env.device) for side in (space.low, space.high)
        )
        return low + (high - low) * torch.rand(
            self._env.num_envs, len(low), device=self._env.device
        )

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimisers, statistics, counters; the replay memory if it is asked for."""
        agent = self.agent
        state = {name: part.state_dict() for name, part in agent.checkpoint_modules.items()}
        state["timesteps"] = self.timesteps
        for name in ("log_entropy_coefficient", "_entropy_coefficient", "_update_counter"):
            value = getattr(agent, name, None)
            if value is not None:
                state[name] = value.detach() if isinstance(value, torch.Tensor) else value
        if self.config.checkpoint_buffer and agent.memory is not None:
            state["memory"] = agent.memory.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        agent = self.agent
        for name, part in agent.checkpoint_modules.items():
            part.load_state_dict(state[name])
        self.timesteps = int(state["timesteps"])
        if "log_entropy_coefficient" in state:
            with torch.no_grad():
                agent.log_entropy_coefficient.copy_(state["log_entropy_coefficient"])
        for name in ("_entropy_coefficient", "_update_counter"):
            if name in state:
                value = state[name]
                moved = value.to(agent.device) if isinstance(value, torch.Tensor) else value
                setattr(agent, name, moved)
        self._saved_memory = state.get("memory")

    def policy(self) -> nn.Module:
        """Actions without noise; see `Trainer.policy`."""
        return _policy(self.agent, self.env, squash=True)


class SkrlSac(_OffPolicy[SacConfig]):
    """SAC of skrl; see `isaac_gymnasium.integrations.trainer.Trainer`."""

    def _make(self) -> Any:
        return make_sac(self._env, self.config)


class SkrlTd3(_OffPolicy[Td3Config]):
    """TD3 of skrl; see `isaac_gymnasium.integrations.trainer.Trainer`."""

    def _make(self) -> Any:
        return make_td3(self._env, self.config)


def _step_and_record(
    agent: Any,
    env: SkrlWrapper,
    seen: tuple[torch.Tensor, torch.Tensor | None],
    actions: torch.Tensor,
    step: Mapping[str, int],
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Steps the environments from observations and states, tells the agent, returns the next."""
    next_observations, rewards, terminated, truncated, info = env.step(actions)
    next_states = env.state()
    agent.record_transition(
        observations=seen[0],
        states=seen[1],
        actions=actions,
        rewards=rewards,
        next_observations=next_observations,
        next_states=next_states,
        terminated=terminated,
        truncated=truncated,
        infos=info,
        **step,
    )
    return next_observations, next_states


def _policy(agent: Any, env: VectorEnv[Any, Any, Any], *, squash: bool = False) -> Policy:
    """An agent's mean actions, from observations as the environment gives them."""
    model, scaler = agent.policy, agent._observation_preprocessor
    scaling: dict[str, Any] = {}
    if isinstance(scaler, Scaler):  # nothing scales images but their encoder
        scaling = {
            "mean": scaler.running_mean,
            "std": scaler.running_variance.float().sqrt() + scaler.epsilon,
            "clip": scaler.clip_threshold,
        }
    network = nn.Sequential(model.hidden, model.mean)
    return Policy(network, env.single_action_space, squash=squash, **scaling)


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
