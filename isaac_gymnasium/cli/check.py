"""``isaac-gymnasium check``: whether an environment keeps gymnasium's vector contract."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Literal

import gymnasium
import tyro
from gymnasium.vector import VectorEnv

from isaac_gymnasium.cli._environment import import_task_module, is_refusal, parse_keywords
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.contract import check_vector_env
from isaac_gymnasium.contract.twins import make_again
from isaac_gymnasium.engines import EngineError


@dataclass(kw_only=True)
class Check:
    """Check any vector environment against gymnasium's contract, point by point."""

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ID")]
    """Environment ID; MODULE:ID imports a module first, also from the current directory."""
    num_envs: int = 4
    """Environments in parallel; with one, points that compare two are left out."""
    autoreset_mode: Literal["SameStep", "NextStep", "Disabled"] | None = None
    """What happens at an episode's end; the environment's own default if left out."""
    seed: int = 0
    """Seed of the rollouts and their actions."""
    steps: int | None = None
    """Length of the longest rollouts; by default a little more than an episode."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environment; also --env.KEY VALUE."""

    def run(self) -> int:
        """Print the table of points; 1 if one failed."""
        for name, value in (("num-envs", self.num_envs), ("steps", self.steps)):
            if value is not None and value < 1:
                raise UserError(f"--{name} must be at least 1, got {value}")
        env = self._make()
        try:
            report = check_vector_env(env, seed=self.seed, steps=self.steps)
        finally:
            env.close()
        print(report)
        return 0 if report.passed else 1

    def _make(self) -> VectorEnv:
        import_task_module(self.task)
        name = self.task.rpartition(":")[2]
        try:
            spec = deepcopy(gymnasium.spec(name))
        except gymnasium.error.Error as error:
            raise UserError(f"unknown environment {name!r}: {error}") from error
        spec.kwargs |= parse_keywords([word for words in self.env for word in words])
        spec.kwargs["num_envs"] = self.num_envs
        try:
            return make_again(spec, autoreset_mode=self.autoreset_mode)
        except EngineError as error:
            raise UserError(str(error)) from error
        except (TypeError, ValueError) as error:
            if not is_refusal(error):
                raise
            raise UserError(str(error)) from error
