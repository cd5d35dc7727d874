"""``isaac-gymnasium parity``: one task on every engine at hand, compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from isaac_gymnasium import parity
from isaac_gymnasium.cli._environment import make_environment, parse_keywords
from isaac_gymnasium.cli._episodes import Evaluation, evaluate
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._policy import PolicySource, find_policy, trained_policy
from isaac_gymnasium.engines import available_engines
from isaac_gymnasium.vector_env import IsaacVectorEnv


@dataclass(kw_only=True)
class Parity:
    """Compare a task on several engines: names, masses, responses, motion, success of a policy."""

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ID")]
    """Environment ID; MODULE:ID imports a module first, also from the current directory."""
    policy: Annotated[str | None, tyro.conf.arg(metavar="RUN")] = None
    """Trained policy to evaluate on each engine: the folder of a run, a packed policy, or an ID,
    which means the latest run in runs/<ID>, else the policy that comes with the package."""
    engines: tuple[str, ...] = ()
    """Engines to compare, the reference first; by default all that are installed."""
    num_envs: int = 64
    """Environments in parallel."""
    episodes: int = 256
    """Episodes of the policy on each engine."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    seed: int = 0
    """Seed of initial states and actions."""
    figure: Path | None = None
    """Where to draw the errors over time."""
    json: Path | None = None
    """Where to write all numbers."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environment; also --env.KEY VALUE."""

    def run(self) -> int:
        """Print the table."""
        for name, value in (("num-envs", self.num_envs), ("episodes", self.episodes)):
            if value < 1:
                raise UserError(f"--{name} must be at least 1, got {value}")
        engines = self.engines or tuple(available_engines())
        if len(set(engines)) < 2 or len(set(engines)) < len(engines):
            raise UserError(f"parity compares two engines or more, got {list(engines)}")
        # Before minutes of measuring, not after them.
        source = None if self.policy is None else find_policy(self.policy)
        if source is not None and source.config["task"] != self.task:
            raise UserError(f"{self.policy} is a policy for {source.config['task']}")
        found = [parity.measure(self._make, engine, seed=self.seed) for engine in engines]
        rows = parity.compare(found)
        if source is not None:
            rows += self._policy_rows(source, engines)
        print(parity.as_table(rows, engines))
        if self.json is not None:
            data = {"task": self.task, **parity.as_data(rows, found)}
            self.json.write_text(json.dumps(data, indent=2) + "\n")
        if self.figure is not None:
            parity.draw(found, self.task).savefig(self.figure, dpi=150)
        return 0

    def _make(self, engine: str) -> IsaacVectorEnv:
        env = make_environment(
            self.task,
            num_envs=self.num_envs,
            device=self.device,
            engine=engine,
            keywords=parse_keywords([word for words in self.env for word in words]),
        ).unwrapped
        if not isinstance(env, IsaacVectorEnv):
            raise UserError(f"{self.task} is no task of this package")
        return env

    def _policy_rows(self, source: PolicySource, engines: tuple[str, ...]) -> list[parity.Row]:
        keywords = parse_keywords([word for words in self.env for word in words])
        found = []
        for engine in engines:
            with trained_policy(
                source, num_envs=self.episodes, device=self.device, engine=engine, keywords=keywords
            ) as trained:
                found.append(evaluate(trained.env, trained.policy, seed=source.evaluation_seed))
        rows = [_policy_row("policy: return", [float(e.returns.mean()) for e in found], "{:.1f}")]
        if all(e.successes is not None for e in found):
            shares = [_share(e) for e in found]
            rows.append(_policy_row("policy: success, %", shares, "{:.1f}"))
        return rows


def _share(evaluation: Evaluation) -> float:
    assert evaluation.successes is not None
    return 100.0 * float(evaluation.successes.float().mean())


def _policy_row(check: str, values: list[float], style: str) -> parity.Row:
    apart = max(abs(value - values[0]) for value in values[1:])
    return parity.Row(check, tuple(map(style.format, values)), style.format(apart), apart)
