"""Settings of the algorithms, as dataclasses; they know no RL library.

One class for what every library's algorithm of a name shares, subclasses for what some have beside
it. The command line makes its options from the fields, and presets set them by name.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, get_type_hints

__all__ = [
    "AdaptivePpoConfig",
    "OffPolicyConfig",
    "PpoConfig",
    "SacConfig",
    "SkrlPpoConfig",
    "Td3Config",
    "TrainConfig",
]


@dataclass(kw_only=True, frozen=True)
class TrainConfig:
    """What every algorithm needs to know."""

    num_envs: int = 4096
    """Environments stepped in parallel, in each process."""
    timesteps: int = 50_000_000
    """Environment steps of the whole training, over all environments and processes together."""
    seed: int = 42
    """Seed of the environments, the initial weights and the exploration."""
    discount: float = 0.99
    """Discount factor of the return."""
    learning_rate: float = 5e-4
    """Learning rate of Adam at the start."""
    reward_scale: float = 1.0
    """Factor on the reward before learning; reported returns are unscaled."""
    hidden_sizes: tuple[int, ...] = (256, 128, 64)
    """Units of the hidden layers of policy and value."""
    stagger: bool = True
    """Whether the first episodes are cut at random lengths, so that later ones do not all end
    together. They are left out of the statistics of episodes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden_sizes", tuple(self.hidden_sizes))

    def check(self) -> None:
        """Raise ValueError where the settings cannot work, alone or together."""
        self._at_least(1, "num_envs", "timesteps")
        self._positive("learning_rate", "reward_scale")
        self._between(0.0, 1.0, "discount")
        if not self.hidden_sizes or min(self.hidden_sizes) < 1:
            raise ValueError(
                f"hidden_sizes must name at least one layer of at least 1, got {self.hidden_sizes}"
            )

    def _at_least(self, least: float, *names: str) -> None:
        for name in names:
            # Written so that nan fails too.
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")

    def _between(self, low: float, high: float, *names: str) -> None:
        for name in names:
            if not low <= getattr(self, name) <= high:
                raise ValueError(
                    f"{name} must be between {low} and {high}, got {getattr(self, name)}"
                )

    def _positive(self, *names: str) -> None:
        for name in names:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be a positive, finite number, got {getattr(self, name)}"
                )

    @classmethod
    def names(cls) -> list[str]:
        """The names of the settings."""
        return [field.name for field in fields(cls)]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a configuration from plain values, as read from a file.

        Args:
            values: settings by field name; fields left out keep their default.

        Raises:
            TypeError: a name is not a field; the message lists the valid ones. Or a value has
                another type than its field.
        """
        unknown = [name for name in values if name not in cls.names()]
        if unknown:
            raise TypeError(
                f"{cls.__name__} has no setting {', '.join(map(repr, unknown))}; "
                f"it has: {', '.join(cls.names())}"
            )
        types = get_type_hints(cls)
        return cls(**{name: _typed(name, value, types[name]) for name, value in values.items()})


def _typed(name: str, value: Any, wanted: Any) -> Any:
    """A plain value as a field's type: YAML and JSON know no tuples, YAML reads 1e-3 as text."""
    number = not isinstance(value, bool)
    if wanted is float and number and isinstance(value, (int, float, str)):
        with contextlib.suppress(ValueError):
            return float(value)
    elif isinstance(value, wanted if wanted in (bool, int) else ()) and number == (wanted is int):
        return value
    elif wanted == tuple[int, ...] and isinstance(value, (list, tuple)):
        return tuple(_typed(name, item, int) for item in value)
    kind = {int: "an integer", float: "a number", bool: "true or false"}.get(wanted, "a list")
    raise TypeError(f"{name} must be {kind}, got {value!r}")


@dataclass(kw_only=True, frozen=True)
class PpoConfig(TrainConfig):
    """Settings of proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347)."""

    rollouts: int = 24
    """Steps of each environment between two updates."""
    learning_epochs: int = 5
    """Passes over the collected steps in one update."""
    mini_batches: int = 4
    """Parts into which one pass is split."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation (Schulman et al. 2016, arXiv:1506.02438)."""
    ratio_clip: float = 0.2
    """Clipping of the probability ratio."""
    value_clip: float = 0.0
    """Clipping of a change of the value; 0: none."""
    value_loss_scale: float = 1.0
    """Weight of the value loss."""
    entropy_loss_scale: float = 0.0
    """Weight of the entropy bonus."""
    grad_norm_clip: float = 1.0
    """Largest norm of the gradient; 0: no limit."""
    initial_log_std: float = 0.0
    """Logarithm of the exploration's standard deviation at the start."""

    def check(self) -> None:
        """Raise ValueError where the settings cannot work, alone or together."""
        super().check()
        self._at_least(1, "rollouts", "learning_epochs", "mini_batches")
        self._at_least(0.0, "value_clip", "entropy_loss_scale", "grad_norm_clip")
        self._between(0.0, 1.0, "gae_lambda")
        self._positive("ratio_clip", "value_loss_scale")
        if self.num_envs * self.rollouts < 2 * self.mini_batches:
            raise ValueError(
                f"num_envs * rollouts = {self.num_envs * self.rollouts} steps are too few for "
                f"{self.mini_batches} mini_batches of at least 2"
            )


@dataclass(kw_only=True, frozen=True)
class AdaptivePpoConfig(PpoConfig):
    """PPO whose learning rate follows the divergence of the policy."""

    kl_threshold: float = 0.01
    """Divergence of the policy that the adaptive learning rate aims at; 0: rate fixed."""
    min_learning_rate: float = 1e-5
    """Least value that the adaptive learning rate falls to."""
    max_learning_rate: float = 5e-3
    """Largest value that the adaptive learning rate rises to."""

    def check(self) -> None:
        """Raise ValueError where the settings cannot work, alone or together."""
        super().check()
        self._at_least(0.0, "kl_threshold")
        self._positive("min_learning_rate", "max_learning_rate")
        if self.kl_threshold > 0:
            self._between(self.min_learning_rate, self.max_learning_rate, "learning_rate")


@dataclass(kw_only=True, frozen=True)
class SkrlPpoConfig(AdaptivePpoConfig):
    """PPO of skrl."""

    shared_network: bool = False
    """Whether policy and value share their hidden layers."""
    observation_epsilon: float = 1e-8
    """Added to the deviation that an observation is divided by, so that a constant stays small."""

    def check(self) -> None:
        """Raise ValueError where the settings cannot work, alone or together."""
        super().check()
        self._positive("observation_epsilon")


@dataclass(kw_only=True, frozen=True)
class OffPolicyConfig(TrainConfig):
    """What algorithms that learn from a replay buffer share."""

    num_envs: int = 256
    """Environments stepped in parallel, in each process."""
    timesteps: int = 5_000_000
    """Environment steps of the whole training, over all environments and processes together."""
    learning_rate: float = 3e-4
    """Learning rate of Adam."""
    buffer_size: int = 1_000_000
    """Transitions that the replay buffer holds, over all environments."""
    batch_size: int = 4096
    """Transitions in one gradient step."""
    learning_starts: int = 10_000
    """Environment steps with random actions before learning begins."""
    update_every: int = 1
    """Steps of each environment between two updates."""
    gradient_steps: int = 8
    """Gradient steps in one update."""
    polyak: float = 0.005
    """Part of the networks that their slow copies take over in a gradient step."""
    report_every: int = 50
    """Steps of each environment between two rows of metrics."""
    checkpoint_buffer: bool = False
    """Whether checkpoints hold the replay buffer; without, a resumed run fills a new one."""

    def check(self) -> None:
        """Raise ValueError where the settings cannot work, alone or together."""
        super().check()
        self._at_least(1, "batch_size", "update_every", "gradient_steps", "report_every")
        self._at_least(0, "learning_starts")
        self._between(0.0, 1.0, "polyak")
        if self.buffer_size < max(self.num_envs, self.batch_size):
            raise ValueError(
                f"buffer_size must be at least num_envs and batch_size, {self.num_envs} and "
                f"{self.batch_size}, got {self.buffer_size}"
            )


@dataclass(kw_only=True, frozen=True)
class SacConfig(OffPolicyConfig):
    """Settings of soft actor-critic (Haarnoja et al. 2018, arXiv:1812.05905)."""

    initial_entropy: float = 0.2
    """Weight of the entropy at the start; it is learned."""


@dataclass(kw_only=True, frozen=True)
class Td3Config(OffPolicyConfig):
    """Settings of twin delayed DDPG (Fujimoto et al. 2018, arXiv:1802.09477)."""

    exploration_noise: float = 0.1
    """Standard deviation of the noise on actions, in units of half the action's range."""
    policy_delay: int = 2
    """Gradient steps of the critics for each one of the policy."""
    smoothing_noise: float = 0.2
    """Standard deviation of the noise on the target policy's actions."""
    smoothing_clip: float = 0.5
    """Largest noise on the target policy's actions."""

    def check(self) -> None:
        """Raise ValueError where the settings cannot work, alone or together."""
        super().check()
        self._at_least(1, "policy_delay")
        self._at_least(0.0, "exploration_noise", "smoothing_noise", "smoothing_clip")
