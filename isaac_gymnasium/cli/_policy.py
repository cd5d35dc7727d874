"""A trained policy, from a run folder or a packed file, and environments it can act in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gymnasium.vector import VectorEnv
from torch import nn

from isaac_gymnasium.cli._checkpoint import load_trainer_state, read_checkpoint
from isaac_gymnasium.cli._environment import make_environment
from isaac_gymnasium.cli._episodes import engine_of, evaluation_seed
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._run_folder import find_run, read_config
from isaac_gymnasium.cli._trainer import find_config, find_trainer_class, make_trainer
from isaac_gymnasium.engines import available_engines, how_to_install
from isaac_gymnasium.policies import load_policy, read_about, shipped_policies


@dataclass(frozen=True)
class PolicySource:
    """Where a policy is, and what it was trained on.

    Attributes:
        path: a run folder, or the file of a packed policy.
        config: its settings, of which `task`, `engine`, `env` and `agent` say what to make.
        trained_on: name of the engine that it was trained on, where that is known.
    """

    path: Path
    config: Mapping[str, Any]
    trained_on: str | None

    @property
    def evaluation_seed(self) -> int:
        """A seed that training did not use."""
        return evaluation_seed(self.config["agent"]["seed"])

    def __str__(self) -> str:
        if self.path.is_dir():
            return f"{self.path}"
        seed, commit = self.config["agent"]["seed"], (self.config.get("git") or {}).get("commit")
        return f"{self.path.name} (seed {seed}, commit {commit[:12] if commit else 'unknown'})"

    def policy(self, env: VectorEnv[Any, Any, Any]) -> nn.Module:
        """The policy, on the device of an environment.

        Raises:
            UserError: it does not fit the environment, or cannot be had with what is installed.
        """
        if not self.path.is_dir():
            self._check_spaces(env)
            return load_policy(self.path, device=env.unwrapped.device)  # type: ignore[attr-defined]
        library, algorithm = self.config["library"], self.config["algorithm"]
        agent = find_config(library, algorithm).from_dict(self.config["agent"])
        trainer = make_trainer(
            find_trainer_class(library, algorithm), env, replace(agent, num_envs=env.num_envs)
        )
        what = f"the policy of {self.path} does not fit {self.config['task']} as it is made here"
        load_trainer_state(read_checkpoint(self.path), trainer, what)
        return trainer.policy()

    def _check_spaces(self, env: VectorEnv[Any, Any, Any]) -> None:
        for kind, space in (
            ("observations", env.single_observation_space),
            ("actions", env.single_action_space),
        ):
            expected, got = (self.config[kind],), space.shape
            if expected != got:
                raise UserError(
                    f"the policy of {self.path.name} was trained with {kind} of shape {expected}, "
                    f"{self.config['task']} as it is made here has {got}"
                )


def find_policy(name: str) -> PolicySource:
    """A policy by the name that commands take.

    Args:
        name: a run folder, the file of a packed policy, or an environment ID, with or without the
            `module:` in front: for the latest run in `runs/<ID>`, else for the policy that comes
            with the package.

    Raises:
        UserError: there is none.
    """
    path = Path(name)
    if not path.is_file():
        shipped = shipped_policies()
        try:
            folder = find_run(name)
        except UserError as error:
            if name not in shipped:
                raise UserError(
                    f"{error}; the package has policies for {', '.join(shipped) or 'no task'}"
                ) from error
            path = shipped[name]
        else:
            config = read_config(folder)
            return PolicySource(folder, config, config["engine"])
    try:
        about = read_about(path)
    except ValueError as error:
        raise UserError(str(error)) from error
    trained = about.get("engine")
    # Better on another than not at all.
    engine = trained if trained in available_engines() else "auto"
    return PolicySource(path, {**about, "engine": engine}, trained)


@dataclass(frozen=True)
class TrainedPolicy:
    """A policy from observations (N, O) to actions (N, A), without exploration.

    Attributes:
        env: environments it can act in.
        policy: itself.
    """

    env: VectorEnv[Any, Any, Any]
    policy: nn.Module


@contextmanager
def trained_policy(
    source: PolicySource,
    *,
    num_envs: int,
    device: str = "auto",
    engine: str | None = None,
    keywords: Mapping[str, Any] | None = None,
) -> Iterator[TrainedPolicy]:
    """A policy in environments of its task, which are closed afterwards.

    Args:
        source: where the policy is.
        num_envs: environments to make.
        device: of environments and policy.
        engine: physics engine; None is that of the training, for a packed policy auto where that
            is not installed.
        keywords: arguments of the environment that differ from the training's.

    Raises:
        UserError: there is no such policy, or it cannot be had with what is installed.
    """
    config = source.config
    if engine is None:
        engine = config["engine"]
        if engine not in ("auto", *available_engines()):
            raise UserError(
                f"{source.path} was trained on engine {engine!r}, which is not installed: "
                f"{how_to_install(engine)}, or name another with --engine"
            )
    env = make_environment(
        config["task"],
        num_envs=num_envs,
        device=device,
        engine=engine,
        keywords={**config["env"], **(keywords or {})},
    )
    with closing(env):
        yield TrainedPolicy(env, source.policy(env))


def tell_where(source: PolicySource, env: VectorEnv[Any, Any, Any]) -> None:
    """Print the engine of environments, if it is not the one that their policy was trained on."""
    engine = engine_of(env)
    if engine is not None and source.trained_on not in (engine, "auto", None):
        print(f"engine: {engine}; the policy was trained on {source.trained_on}")
