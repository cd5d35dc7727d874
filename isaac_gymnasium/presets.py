"""PPO settings: general defaults, and what a task needs beside them.

A task without an entry in :data:`PRESETS` trains with the defaults of :class:`PpoConfig`. An author
of a task gives it settings of its own with one line: ``PRESETS["MyTask-v0"] = PpoConfig(...)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

__all__ = ["CPU_PRESETS", "PRESETS", "PpoConfig", "ppo_preset"]


@dataclass(kw_only=True, frozen=True)
class PpoConfig:
    """Settings of proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347)."""

    num_envs: int = 4096
    """Environments stepped in parallel."""
    timesteps: int = 50_000_000
    """Environment steps of the whole training, counted over all environments together."""
    seed: int = 42
    """Seed of the environments, the initial weights and the exploration."""

    rollouts: int = 24
    """Steps of each environment between two updates."""
    learning_epochs: int = 5
    """Passes over the collected steps in one update."""
    mini_batches: int = 4
    """Parts into which one pass is split."""
    learning_rate: float = 5e-4
    """Learning rate of Adam at the start."""
    kl_threshold: float = 0.01
    """Divergence of the policy per pass that the adaptive learning rate aims at; 0: rate fixed."""
    discount: float = 0.99
    """Discount factor of the return."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation (Schulman et al. 2016, arXiv:1506.02438)."""
    ratio_clip: float = 0.2
    """Clipping of the probability ratio."""
    value_clip: float = 0.2
    """Clipping of a change of the (standardised) value; 0: none."""
    value_loss_scale: float = 1.0
    """Weight of the value loss."""
    entropy_loss_scale: float = 0.0
    """Weight of the entropy bonus."""
    grad_norm_clip: float = 1.0
    """Largest norm of the gradient; 0: no limit."""
    reward_scale: float = 1.0
    """Factor on the reward before learning; reported returns are unscaled."""

    hidden_sizes: tuple[int, ...] = (256, 128, 64)
    """Units of the hidden layers (ELU) of policy and value."""
    shared_network: bool = False
    """Whether policy and value share their hidden layers."""
    initial_log_std: float = 0.0
    """Logarithm of the exploration's standard deviation at the start."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden_sizes", tuple(self.hidden_sizes))

    def check(self) -> None:
        """Raise ValueError where the settings cannot work together."""
        for name in ("num_envs", "timesteps", "rollouts", "learning_epochs", "mini_batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.hidden_sizes:
            raise ValueError("hidden_sizes must name at least one layer")
        if self.num_envs * self.rollouts < 2 * self.mini_batches:
            raise ValueError(
                f"num_envs * rollouts = {self.num_envs * self.rollouts} steps are too few for "
                f"{self.mini_batches} mini_batches of at least 2"
            )

    @property
    def iterations(self) -> int:
        """Updates needed to reach ``timesteps``, rounded up."""
        return -(-self.timesteps // (self.num_envs * self.rollouts))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PpoConfig:
        """Build a configuration from plain values, as read from a file.

        Args:
            values: settings by field name; fields left out keep their default.

        Raises:
            TypeError: a name is not a field; the message lists the valid ones.
        """
        _check_names(values)
        return cls(**values)


PRESETS: dict[str, PpoConfig] = {
    "IsaacAnt-v0": PpoConfig(
        num_envs=4096,
        timesteps=40_000_000,
        rollouts=16,
        learning_epochs=4,
        mini_batches=2,
        learning_rate=1e-3,
        kl_threshold=0.008,
        reward_scale=0.1,
        hidden_sizes=(256, 128, 64),
    ),
    "IsaacQuadcopter-v0": PpoConfig(
        num_envs=4096,
        timesteps=30_000_000,
        rollouts=24,
        learning_epochs=5,
        mini_batches=4,
        learning_rate=1e-3,
        kl_threshold=0.01,
        initial_log_std=-1.0,
        hidden_sizes=(64, 64),
    ),
    "IsaacCartpole-v0": PpoConfig(
        num_envs=4096,
        timesteps=10_000_000,
        rollouts=16,
        learning_epochs=8,
        mini_batches=8,
        learning_rate=1e-3,
        kl_threshold=0.008,
        value_loss_scale=2.0,
        reward_scale=0.1,
        hidden_sizes=(32, 32),
    ),
    "IsaacBallBalance-v0": PpoConfig(
        num_envs=4096,
        timesteps=30_000_000,
        rollouts=24,
        learning_epochs=5,
        mini_batches=8,
        learning_rate=1e-3,
        kl_threshold=0.01,
        value_loss_scale=2.0,
        hidden_sizes=(128, 64, 32),
    ),
    "IsaacCartpoleSwingUp-v0": PpoConfig(
        num_envs=4096,
        timesteps=20_000_000,
        rollouts=32,
        learning_epochs=5,
        mini_batches=8,
        learning_rate=1e-3,
        kl_threshold=0.008,
        value_loss_scale=2.0,
        entropy_loss_scale=0.002,
        hidden_sizes=(64, 64),
    ),
    "IsaacFrankaReach-v0": PpoConfig(
        num_envs=4096,
        timesteps=30_000_000,
        rollouts=24,
        learning_epochs=5,
        mini_batches=4,
        learning_rate=1e-3,
        kl_threshold=0.01,
        hidden_sizes=(256, 128, 64),
        initial_log_std=-1.5,
    ),
    "IsaacFrankaPushCube-v0": PpoConfig(
        num_envs=4096,
        timesteps=15_000_000,
        rollouts=16,
        learning_epochs=5,
        mini_batches=8,
        learning_rate=1e-3,
        kl_threshold=0.01,
        discount=0.95,
        entropy_loss_scale=0.001,
        hidden_sizes=(256, 128, 64),
    ),
    "IsaacFrankaStackCube-v0": PpoConfig(
        num_envs=4096,
        timesteps=40_000_000,
        rollouts=16,
        learning_epochs=5,
        mini_batches=8,
        learning_rate=1e-3,
        kl_threshold=0.01,
        discount=0.97,
        entropy_loss_scale=0.001,
        hidden_sizes=(256, 128, 64),
    ),
    "IsaacFrankaCabinet-v0": PpoConfig(
        num_envs=4096,
        timesteps=30_000_000,
        rollouts=16,
        learning_epochs=5,
        mini_batches=8,
        learning_rate=1e-3,
        kl_threshold=0.01,
        discount=0.98,
        entropy_loss_scale=0.001,
        hidden_sizes=(256, 128, 64),
    ),
    "IsaacFrankaCube-v0": PpoConfig(
        num_envs=4096,
        timesteps=15_000_000,
        rollouts=16,
        learning_epochs=5,
        mini_batches=8,
        learning_rate=1e-3,
        kl_threshold=0.01,
        discount=0.97,
        entropy_loss_scale=0.001,
        hidden_sizes=(256, 128, 64),
    ),
}
"""Settings by environment ID, tuned on a GPU."""

CPU_PRESETS: dict[str, dict[str, Any]] = {
    "IsaacAnt-v0": {"num_envs": 256, "timesteps": 10_000_000},
    "IsaacQuadcopter-v0": {"num_envs": 256, "timesteps": 5_000_000},
    "IsaacCartpole-v0": {"num_envs": 256, "timesteps": 400_000, "mini_batches": 4},
    "IsaacBallBalance-v0": {"num_envs": 256, "timesteps": 5_000_000},
    "IsaacCartpoleSwingUp-v0": {"num_envs": 256, "timesteps": 3_000_000, "mini_batches": 4},
    "IsaacFrankaReach-v0": {"num_envs": 256, "timesteps": 5_000_000},
    "IsaacFrankaPushCube-v0": {"num_envs": 256, "timesteps": 5_000_000},
    "IsaacFrankaStackCube-v0": {"num_envs": 256, "timesteps": 20_000_000},
    "IsaacFrankaCabinet-v0": {"num_envs": 256, "timesteps": 10_000_000},
    "IsaacFrankaCube-v0": {"num_envs": 256, "timesteps": 10_000_000},
}
"""What differs on a CPU, by environment ID."""

# For a task without a preset.
_CPU_DEFAULTS: dict[str, Any] = {"num_envs": 256, "timesteps": 5_000_000}


def ppo_preset(task_id: str, *, cpu: bool = False, **overrides: Any) -> PpoConfig:
    """The settings of a task: its preset or the defaults, then the overrides.

    Args:
        task_id: environment ID, with or without the ``module:`` in front.
        cpu: whether the environments run on a CPU, where fewer of them are the default.
        **overrides: fields of :class:`PpoConfig`.

    Raises:
        TypeError: an override is not a field; the message lists the valid ones.
    """
    _check_names(overrides)
    name = task_id.rpartition(":")[2]
    cpu_values = CPU_PRESETS.get(name, {} if name in PRESETS else _CPU_DEFAULTS)
    values = {**(cpu_values if cpu else {}), **overrides}
    return replace(PRESETS.get(name, PpoConfig()), **values)


def _check_names(values: Mapping[str, Any]) -> None:
    valid = [field.name for field in fields(PpoConfig)]
    unknown = [name for name in values if name not in valid]
    if unknown:
        raise TypeError(
            f"unknown PPO setting {', '.join(map(repr, unknown))}; valid: {', '.join(valid)}"
        )
