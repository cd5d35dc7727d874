"""`Trainer`: what the command line asks of an algorithm, whichever library it comes from."""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import torch
from gymnasium import Space
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv
from torch import nn

from isaac_gymnasium.presets.configs import TrainConfig

__all__ = ["OnUpdate", "Policy", "Trainer"]

ConfigT = TypeVar("ConfigT", bound=TrainConfig)

OnUpdate = Callable[[dict[str, float]], bool]
"""Called after an update with the algorithm's metrics; False ends the training."""


class Trainer(abc.ABC, Generic[ConfigT]):
    """One algorithm of one library, ready to train on an environment.

    A library's module holds a subclass for each algorithm and is named in
    `isaac_gymnasium.integrations.trainers.TRAINERS`, together with the dataclass of its settings,
    which stands in `isaac_gymnasium.presets.configs` since it has to be there without the library.
    That is all: options, presets, run folder, metrics of episodes, checkpoints, resuming,
    evaluation and export are the command line's.

    The constructor makes networks and optimisers, cheaply and without a step of the environment:
    evaluation and export construct a trainer too. Large buffers are made in `learn`. The caller
    has seeded torch, NumPy and `random`. Settings the library cannot honour are a `ValueError`.

    Args:
        env: a `gymnasium.vector.VectorEnv` of torch tensors in the autoreset mode `SameStep`, with
            observations `Box (O,)` and a finite action space `Box (A,)`. Wrapped or not; `device`,
            `max_episode_steps`, `state_space` and `state()` are there as on `IsaacVectorEnv`.
        config: every setting; checked already.

    Attributes:
        timesteps: environment steps done, over all environments and processes, also those before
            a resume.
        distributed: whether it averages gradients over the processes of `torchrun`.
    """

    distributed: ClassVar[bool] = False

    def __init__(self, env: VectorEnv[Any, Any, Any], config: ConfigT) -> None:
        self.env = env
        self.config = config
        self.timesteps = 0

    @abc.abstractmethod
    def learn(self, on_update: OnUpdate) -> None:
        """Trains until `timesteps` reaches `config.timesteps` or `on_update` returns False.

        Begins with exactly one `env.reset(seed=self.environment_seed, options=self.reset_options)`,
        also after `load_state_dict`: the environment of a resumed run goes back to its saved state
        in that reset. Steps the environment and nothing else, so that whoever wraps it sees every
        step.

        `on_update` is called after each update, or every few seconds where updates are more
        frequent, with `timesteps` up to date. Its argument holds what the algorithm has to tell,
        as floats on the host: losses as `loss/<name>` (one that is not finite ends the training as
        diverged), anything else as `<group>/<name>`, such as `policy/std`. Returns of episodes,
        reward terms and times are not among it; the caller sees those itself. `state_dict` and
        `policy` are called from within it.
        """

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from: weights, optimisers, counters, statistics.

        Tensors, numbers, strings, and lists and dicts of them, so that
        `torch.load(weights_only=True)` reads it. Schedules and adaptive learning rates are part of
        it. The states of random generators and of the environment are not: the caller keeps them.
        """

    @abc.abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` returned, `timesteps` included.

        The environment may have another number of copies than the one that was trained on.

        Raises:
            ValueError, KeyError, RuntimeError: the state does not fit.
        """

    @abc.abstractmethod
    def policy(self) -> nn.Module:
        """The policy without exploration, as a module of its own.

        Maps observations (N, O) as the environment gives them to actions (N, A) within the action
        space, normalisation and clipping included. It shares no memory with the trainer, is in
        evaluation mode, lies on the environment's device, and can be traced, hence exported.
        `Policy` does it for most.
        """

    def close(self) -> None:
        """Lets go of what outlives no process group, such as recordings of work done with others.

        Nothing can be learnt afterwards. The environment stays open.
        """

    @property
    def environment_seed(self) -> int:
        """The seed of the environments, another one in each process."""
        return self.config.seed + 1_000_003 * process_rank()

    @property
    def reset_options(self) -> dict[str, Any]:
        """The options of the reset that training begins with."""
        return {"stagger": True} if self.config.stagger else {}


class Policy(nn.Module):
    """A network with everything around it: observations as they come, actions as they go.

    `actions = clamp(network(clamp((observations - mean) / std, -clip, clip)), low, high)`, with a
    copy of the network. Where `squash` is set, `tanh` of the network's result is stretched from
    [-1, 1] to [low, high] instead.

    Args:
        network: (N, O) -> (N, A).
        action_space: the finite space of one environment's action.
        mean: (O,), subtracted; None is 0.
        std: (O,), divided by, any epsilon included; None is 1.
        clip: largest absolute value of a normalised observation.
        squash: whether the network's result is squashed.
    """

    def __init__(
        self,
        network: nn.Module,
        action_space: Space[Any],
        *,
        mean: torch.Tensor | None = None,
        std: torch.Tensor | None = None,
        clip: float = float("inf"),
        squash: bool = False,
    ) -> None:
        if not (isinstance(action_space, Box) and action_space.is_bounded()):
            raise TypeError(f"action_space must be a finite Box, got {action_space}")
        super().__init__()
        device = next(network.parameters()).device
        self.network = copy.deepcopy(network)
        self.clip = float(clip)
        self.squash = squash
        values = {
            "mean": torch.zeros(()) if mean is None else mean,
            "std": torch.ones(()) if std is None else std,
            "low": torch.from_numpy(action_space.low),
            "high": torch.from_numpy(action_space.high),
        }
        for name, value in values.items():
            self.register_buffer(name, value.detach().to(device, torch.float32, copy=True))
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.low: torch.Tensor
        self.high: torch.Tensor
        self.requires_grad_(False).eval()

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Actions (N, A) for observations (N, O)."""
        normalized = ((observations - self.mean) / self.std).clamp(-self.clip, self.clip)
        actions: torch.Tensor = self.network(normalized)
        if self.squash:
            return self.low + 0.5 * (actions.tanh() + 1.0) * (self.high - self.low)
        return torch.minimum(torch.maximum(actions, self.low), self.high)


def process_rank() -> int:
    """The number of this process among those of `torchrun`; 0 where it is the only one."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def process_count() -> int:
    """The number of processes that train together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
