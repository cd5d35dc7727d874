"""The policy of a run, together with environments it can act in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gymnasium.vector import VectorEnv
from torch import nn

from isaac_gymnasium.cli._checkpoint import read_checkpoint
from isaac_gymnasium.cli._environment import make_environment
from isaac_gymnasium.cli._run_folder import read_config
from isaac_gymnasium.cli._trainer import find_config, find_trainer_class, make_trainer
from isaac_gymnasium.presets.configs import TrainConfig


@dataclass(frozen=True)
class TrainedPolicy:
    """A policy from observations (N, O) to actions (N, A), without exploration.

    Attributes:
        env: environments it can act in.
        policy: itself.
        agent: the algorithm's settings in its run.
        config: all of the run's settings, as its folder holds them.
    """

    env: VectorEnv[Any, Any, Any]
    policy: nn.Module
    agent: TrainConfig
    config: dict[str, Any]


@contextmanager
def trained_policy(
    folder: Path,
    *,
    num_envs: int,
    device: str = "auto",
    engine: str | None = None,
    keywords: Mapping[str, Any] | None = None,
) -> Iterator[TrainedPolicy]:
    """The policy of a run folder's checkpoint; its environments are closed afterwards.

    Args:
        folder: the run folder.
        num_envs: environments to make.
        device: of environments and policy.
        engine: physics engine; None is the run's.
        keywords: arguments of the environment that differ from the run's.

    Raises:
        UserError: there is no such policy, or it cannot be had with what is installed.
    """
    config = read_config(folder)
    state = read_checkpoint(folder)
    trainer_class = find_trainer_class(config["library"], config["algorithm"])
    agent = find_config(config["library"], config["algorithm"]).from_dict(config["agent"])
    env = make_environment(
        config["task"],
        num_envs=num_envs,
        device=device,
        engine=config["engine"] if engine is None else engine,
        keywords={**config["env"], **(keywords or {})},
    )
    with closing(env):
        trainer = make_trainer(trainer_class, env, agent)
        trainer.load_state_dict(state["trainer"])
        yield TrainedPolicy(env, trainer.policy(), agent, config)
