"""SAC and TD3 agents of skrl from their settings: networks, scalers, noise, replay memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skrl.agents.torch.sac import SAC as SkrlSAC
from skrl.agents.torch.sac import SAC_CFG
from skrl.agents.torch.td3 import TD3 as SkrlTD3
from skrl.agents.torch.td3 import TD3_CFG
from skrl.models.torch import DeterministicMixin, Model
from skrl.resources.noises.torch import Noise
from torch import Tensor, nn
from torch.nn import functional

from isaac_gymnasium.integrations.skrl import SkrlWrapper, TrueSuccessorMixin
from isaac_gymnasium.integrations.skrl_agent import RolloutMemory, Scaler
from isaac_gymnasium.integrations.skrl_ppo import mlp
from isaac_gymnasium.presets.configs import OffPolicyConfig, SacConfig, Td3Config

__all__ = ["SAC", "TD3", "ReplayMemory", "make_memory", "make_sac", "make_td3"]


class ReplayScaler(Scaler):
    """Standardises by what the environment has shown, each observation counted once.

    skrl would count a transition as often as it is drawn, which keeps the statistics on those from
    the beginning, and changes them with every gradient step.
    """

    def forward(self, x: Tensor | None, *, train: bool = False, **kwargs: Any) -> Tensor | None:
        """Standardises; `train` is not minded."""
        standardized: Tensor | None = super().forward(x, **kwargs)
        return standardized

    def see(self, x: Tensor) -> None:
        """Takes observations (N, O) into the statistics."""
        super().forward(x, train=True)


class _SeesOnceMixin(TrueSuccessorMixin):
    """Shows each observation to its scaler once, as it is recorded."""

    def record_transition(self, **transition: Any) -> None:
        """Records a transition; see `TrueSuccessorMixin`."""
        agent: Any = self
        agent._observation_preprocessor.see(transition["observations"])
        if transition["states"] is not None:
            agent._state_preprocessor.see(transition["states"])
        super().record_transition(**transition)


class SAC(_SeesOnceMixin, SkrlSAC):
    """skrl's SAC with true successors."""

    def update(self, *, timestep: int, timesteps: int, report: bool = True) -> None:
        """Learn from the replay memory.

        Args:
            timestep: as in skrl.
            timesteps: as in skrl.
            report: whether to fetch losses from the device.
        """
        self.write_interval = int(report)
        super().update(timestep=timestep, timesteps=timesteps)
        self.write_interval = 0


class TD3(_SeesOnceMixin, SkrlTD3):
    """skrl's TD3 with true successors, and without waits for the device as it acts."""

    def act(
        self, observations: Tensor, states: Tensor | None, *, timestep: int, timesteps: int
    ) -> tuple[Tensor, dict[str, Any]]:
        """Actions (N, A) with exploration."""
        inputs = {
            "observations": self._observation_preprocessor(observations),
            "states": self._state_preprocessor(states),
        }
        actions, outputs = self.policy.act(inputs, role="policy")
        noisy = actions + self._exploration_noise.sample(actions.shape)
        return noisy.clamp(self._min_actions, self._max_actions), outputs

    def update(self, *, timestep: int, timesteps: int, report: bool = True) -> None:
        """Learn from the replay memory; see `SAC.update`."""
        super().update(timestep=timestep, timesteps=timesteps)


class ReplayMemory(RolloutMemory):
    """skrl's random memory, drawing on the device that holds the transitions."""

    def sample(self, names: list[str], *, batch_size: int, **unused: Any) -> list[list[Any]]:
        """One batch, drawn with replacement."""
        indexes = torch.randint(0, len(self), (batch_size,), device=self.device)
        batch: list[list[Any]] = self.sample_by_index(names=names, indexes=indexes)
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The transitions, and where the next one goes."""
        rows = self.memory_size if self.filled else self.memory_index
        tensors = {name: tensor[:rows].clone() for name, tensor in self.tensors.items()}
        return {"index": self.memory_index, "filled": self.filled, "tensors": tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, of a memory of the same size."""
        for name, tensor in state["tensors"].items():
            self.tensors[name][: len(tensor)].copy_(tensor)
        self.memory_index, self.filled = state["index"], state["filled"]


def make_memory(env: SkrlWrapper, config: OffPolicyConfig) -> ReplayMemory:
    """The replay memory, without tensors yet: the agent's `init` makes them."""
    steps = max(1, config.buffer_size // env.num_envs)
    return ReplayMemory(memory_size=steps, num_envs=env.num_envs, device=env.device)


def make_sac(env: SkrlWrapper, config: SacConfig) -> SAC:
    """Build a SAC agent without a memory.

    Observations and privileged states are standardised by running statistics. Where the task has a
    privileged state, the critics see it in place of the observation.

    Args:
        env: the wrapped environment; the agent lives on its device.
        config: networks and settings.
    """
    cfg = SAC_CFG(
        **_common(env, config),
        learning_rate=config.learning_rate,
        initial_entropy_value=config.initial_entropy,
    )
    models = {"policy": _GaussianActor(config, env), **_critics(config, env)}
    agent: SAC = _finish(SAC, env, cfg, models)
    return agent


def make_td3(env: SkrlWrapper, config: Td3Config) -> TD3:
    """Build a TD3 agent without a memory; see `make_sac`."""
    cfg = TD3_CFG(
        **_common(env, config),
        learning_rate=config.learning_rate,
        policy_delay=config.policy_delay,
        exploration_noise=_ActionNoise,
        exploration_noise_kwargs={"env": env, "std": config.exploration_noise},
        smooth_regularization_noise=_ActionNoise,
        smooth_regularization_noise_kwargs={
            "env": env,
            "std": config.smoothing_noise,
            "largest": config.smoothing_clip,
        },
        # The noise is clipped already, in units of the action's range.
        smooth_regularization_clip=np.inf,
    )
    models = {
        "policy": _Actor(config, env),
        "target_policy": _Actor(config, env),
        **_critics(config, env),
    }
    agent: TD3 = _finish(TD3, env, cfg, models)
    return agent


def _common(env: SkrlWrapper, config: OffPolicyConfig) -> dict[str, Any]:
    def scaler(size: Any) -> dict[str, Any]:
        return {"size": size, "device": env.device}

    asymmetric = env.state_space is not None
    return {
        "gradient_steps": config.gradient_steps,
        "batch_size": config.batch_size,
        "discount_factor": config.discount,
        "polyak": config.polyak,
        "observation_preprocessor": ReplayScaler,
        "observation_preprocessor_kwargs": scaler(env.observation_space),
        "state_preprocessor": ReplayScaler if asymmetric else None,
        "state_preprocessor_kwargs": scaler(env.state_space) if asymmetric else {},
        "rewards_shaper": lambda rewards, *_: config.reward_scale * rewards,
    }


def _finish(agent: Any, env: SkrlWrapper, cfg: Any, models: dict[str, Model]) -> Any:
    cfg.experiment.write_interval = cfg.experiment.checkpoint_interval = 0
    made = agent(models=models, cfg=cfg, **_spaces(env))
    made.init()
    return made


def _spaces(env: SkrlWrapper) -> dict[str, Any]:
    return {
        "observation_space": env.observation_space,
        "state_space": env.state_space,
        "action_space": env.action_space,
        "device": env.device,
    }


def _critics(config: OffPolicyConfig, env: SkrlWrapper) -> dict[str, Model]:
    names = ("critic_1", "critic_2", "target_critic_1", "target_critic_2")
    return {name: _Critic(config, env) for name in names}


def _mlp(inputs: int, config: OffPolicyConfig) -> nn.Sequential:
    return mlp(inputs, *config.hidden_sizes, activation=nn.ReLU)


class _Range(nn.Module):
    """From [-1, 1] to the action space."""

    center: Tensor
    extent: Tensor

    def __init__(self, env: SkrlWrapper) -> None:
        super().__init__()
        space: Any = env.action_space
        low, high = (torch.as_tensor(side, device=env.device) for side in (space.low, space.high))
        self.register_buffer("center", 0.5 * (low + high))
        self.register_buffer("extent", 0.5 * (high - low))

    def forward(self, actions: Tensor) -> Tensor:
        stretched: Tensor = self.center + self.extent * actions
        return stretched


class _ActionNoise(Noise):
    """Normal noise, clipped, in units of half the action's range."""

    def __init__(self, *, env: SkrlWrapper, std: float, largest: float = np.inf) -> None:
        super().__init__(device=env.device)
        self._extent = _Range(env).extent
        self._std, self._largest = std, largest

    def sample(self, size: Any) -> Tensor:
        noise = self._std * torch.randn(tuple(size), device=self.device)
        scaled: Tensor = noise.clamp(-self._largest, self._largest) * self._extent
        return scaled


class _Actor(DeterministicMixin, Model):
    """Actions from an MLP, squashed into the action space."""

    def __init__(self, config: OffPolicyConfig, env: SkrlWrapper) -> None:
        Model.__init__(self, **_spaces(env))
        DeterministicMixin.__init__(self)
        self.hidden = _mlp(self.num_observations, config)
        self.mean = nn.Linear(config.hidden_sizes[-1], self.num_actions)
        self.range = _Range(env)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[Tensor, dict[str, Any]]:
        return self.range(self.mean(self.hidden(inputs["observations"])).tanh()), {}


class _GaussianActor(Model):
    """Normally distributed actions, squashed; mean and deviation from one MLP.

    The density of a squashed action is that of Haarnoja et al. 2018 (arXiv:1801.01290), appendix C.
    """

    def __init__(self, config: OffPolicyConfig, env: SkrlWrapper) -> None:
        super().__init__(**_spaces(env))
        self.hidden = _mlp(self.num_observations, config)
        self.mean = nn.Linear(config.hidden_sizes[-1], self.num_actions)
        self.log_std = nn.Linear(config.hidden_sizes[-1], self.num_actions)
        self.range = _Range(env)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[Tensor, dict[str, Any]]:
        hidden = self.hidden(inputs["observations"])
        return self.mean(hidden), {"log_std": self.log_std(hidden).clamp(-5.0, 2.0)}

    def act(self, inputs: dict[str, Any], *, role: str = "") -> tuple[Tensor, dict[str, Any]]:
        mean, outputs = self.compute(inputs, role)
        normal = torch.distributions.Normal(mean, outputs["log_std"].exp())
        before = normal.rsample()
        # log(1 - tanh(x)^2), in a form that holds for large x.
        slope = 2.0 * (np.log(2.0) - before - functional.softplus(-2.0 * before))
        log_prob = normal.log_prob(before) - slope - self.range.extent.log()
        outputs["log_prob"] = log_prob.sum(dim=-1, keepdim=True)
        actions: Tensor = self.range(before.tanh())
        return actions, outputs


class _Critic(DeterministicMixin, Model):
    """Value of an action from an MLP; of the privileged state where there is one."""

    def __init__(self, config: OffPolicyConfig, env: SkrlWrapper) -> None:
        Model.__init__(self, **_spaces(env))
        DeterministicMixin.__init__(self)
        self.key = "observations" if self.state_space is None else "states"
        inputs = self.num_observations if self.state_space is None else self.num_states
        self.hidden = _mlp(inputs + self.num_actions, config)
        self.value = nn.Linear(config.hidden_sizes[-1], 1)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[Tensor, dict[str, Any]]:
        seen = torch.cat((inputs[self.key], inputs["taken_actions"]), dim=-1)
        return self.value(self.hidden(seen)), {}
