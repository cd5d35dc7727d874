"""A PPO agent of skrl from its settings: networks, scalers, memory."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from gymnasium import Space
from skrl.agents.torch.ppo import PPO_CFG
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.resources.schedulers.torch import KLAdaptiveLR
from torch import nn

from isaac_gymnasium.integrations.image_encoder import ImageEncoder, has_images
from isaac_gymnasium.integrations.skrl import PPO, SkrlWrapper
from isaac_gymnasium.integrations.skrl_agent import RolloutMemory, Scaler
from isaac_gymnasium.presets.configs import SkrlPpoConfig

__all__ = ["make_ppo", "mlp"]


def make_ppo(env: SkrlWrapper, config: SkrlPpoConfig) -> PPO:
    """Build an agent, ready to train, for an environment.

    Where observations hold images, an `ImageEncoder` stands before the hidden layers. Other
    observations, privileged states and values are standardised by running statistics. Where the
    task has a privileged state, the value network sees it in place of the observation.

    Args:
        env: the wrapped environment; the agent lives on its device.
        config: networks and settings.

    Raises:
        ValueError: settings that cannot work, such as a ``shared_network`` for a task with a
            privileged state.
    """
    config.check()
    # skrl's own wrapper of a bare environment knows one space, which is flat.
    observed = getattr(env, "unflattened_space", env.observation_space)
    pixels = has_images(observed)
    spaces = {
        "observation_space": env.observation_space,
        "state_space": env.state_space,
        "action_space": env.action_space,
        "device": env.device,
    }
    models: dict[str, Model]
    if config.shared_network:
        if env.state_space is not None:
            raise ValueError("a shared_network cannot serve a task with a privileged state")
        shared = _SharedActorCritic(config, observed, **spaces)
        models = {"policy": shared, "value": shared}
    else:
        models = {
            "policy": _Policy(config, observed, **spaces),
            "value": _Value(config, observed, **spaces),
        }

    def scaler(size: Any, **more: float) -> dict[str, Any]:
        return {"size": size, "device": env.device, **more}

    asymmetric = env.state_space is not None
    adaptive = config.kl_threshold > 0
    schedule = {
        "kl_threshold": config.kl_threshold,
        "min_lr": config.min_learning_rate,
        "max_lr": config.max_learning_rate,
    }
    epsilon = config.observation_epsilon
    cfg = PPO_CFG(
        rollouts=config.rollouts,
        learning_epochs=config.learning_epochs,
        mini_batches=config.mini_batches,
        discount_factor=config.discount,
        gae_lambda=config.gae_lambda,
        learning_rate=config.learning_rate,
        learning_rate_scheduler=KLAdaptiveLR if adaptive else None,
        learning_rate_scheduler_kwargs=schedule if adaptive else {},
        observation_preprocessor=None if pixels else Scaler,
        observation_preprocessor_kwargs=(
            {} if pixels else scaler(env.observation_space, epsilon=epsilon)
        ),
        state_preprocessor=Scaler if asymmetric else None,
        state_preprocessor_kwargs=scaler(env.state_space, epsilon=epsilon) if asymmetric else {},
        value_preprocessor=Scaler,
        value_preprocessor_kwargs=scaler(1),
        grad_norm_clip=config.grad_norm_clip,
        ratio_clip=config.ratio_clip,
        value_clip=config.value_clip,
        entropy_loss_scale=config.entropy_loss_scale,
        value_loss_scale=config.value_loss_scale,
        time_limit_bootstrap=True,
        rewards_shaper=lambda rewards, *_: config.reward_scale * rewards,
    )
    cfg.experiment.write_interval = cfg.experiment.checkpoint_interval = 0
    agent = PPO(
        models=models,
        memory=RolloutMemory(memory_size=config.rollouts, num_envs=env.num_envs, device=env.device),
        cfg=cfg,
        **spaces,
    )
    agent.init()
    return agent


def mlp(*sizes: int, activation: type[nn.Module] = nn.ELU) -> nn.Sequential:
    """Linear layers, each followed by an activation."""
    layers = [module for pair in pairwise(sizes) for module in (nn.Linear(*pair), activation())]
    return nn.Sequential(*layers)


def _hidden(observed: Space[Any], inputs: int, sizes: tuple[int, ...]) -> nn.Sequential:
    """The layers from flat observations (N, `inputs`) of a space to the last hidden units."""
    if not has_images(observed):
        return mlp(inputs, *sizes)
    encoder = ImageEncoder(observed)
    return nn.Sequential(encoder, *mlp(encoder.num_features, *sizes))


def _mean_layer(inputs: int, actions: int) -> nn.Linear:
    # Near-zero means at the start, as Andrychowicz et al. 2020 (arXiv:2006.05990) recommend: the
    # first actions are then the exploration's alone.
    layer = nn.Linear(inputs, actions)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


class _Policy(GaussianMixin, Model):
    """Mean actions from hidden layers, one free standard deviation for each action."""

    def __init__(self, config: SkrlPpoConfig, observed: Space[Any], **spaces: Any) -> None:
        Model.__init__(self, **spaces)
        GaussianMixin.__init__(self)
        self.hidden = _hidden(observed, self.num_observations, config.hidden_sizes)
        self.mean = _mean_layer(config.hidden_sizes[-1], self.num_actions)
        self.log_std = nn.Parameter(torch.full((self.num_actions,), config.initial_log_std))

    def compute(
        self, inputs: dict[str, Any], role: str = ""
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        return self.mean(self.hidden(inputs["observations"])), {"log_std": self.log_std}


class _Value(DeterministicMixin, Model):
    """Value of the privileged state, or of the observation where there is none."""

    def __init__(self, config: SkrlPpoConfig, observed: Space[Any], **spaces: Any) -> None:
        Model.__init__(self, **spaces)
        DeterministicMixin.__init__(self)
        self.key = "observations" if self.state_space is None else "states"
        if self.state_space is None:
            self.hidden = _hidden(observed, self.num_observations, config.hidden_sizes)
        else:
            self.hidden = mlp(self.num_states, *config.hidden_sizes)
        self.value = nn.Linear(config.hidden_sizes[-1], 1)

    def compute(
        self, inputs: dict[str, Any], role: str = ""
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        return self.value(self.hidden(inputs[self.key])), {}


class _SharedActorCritic(GaussianMixin, DeterministicMixin, Model):
    """Policy and value on the same hidden layers; skrl says by ``role`` which one it wants."""

    def __init__(self, config: SkrlPpoConfig, observed: Space[Any], **spaces: Any) -> None:
        Model.__init__(self, **spaces)
        GaussianMixin.__init__(self)
        DeterministicMixin.__init__(self)
        self.hidden = _hidden(observed, self.num_observations, config.hidden_sizes)
        self.mean = _mean_layer(config.hidden_sizes[-1], self.num_actions)
        self.value = nn.Linear(config.hidden_sizes[-1], 1)
        self.log_std = nn.Parameter(torch.full((self.num_actions,), config.initial_log_std))

    def act(self, inputs: dict[str, Any], *, role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        mixin = GaussianMixin if role == "policy" else DeterministicMixin
        output: tuple[torch.Tensor, dict[str, Any]] = mixin.act(self, inputs, role=role)
        return output

    def compute(
        self, inputs: dict[str, Any], role: str = ""
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        hidden = self.hidden(inputs["observations"])
        if role == "policy":
            return self.mean(hidden), {"log_std": self.log_std}
        return self.value(hidden), {}
