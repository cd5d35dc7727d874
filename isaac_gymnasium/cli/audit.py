"""``isaac-gymnasium audit``: whether success is what a task's reward pays most for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import tyro
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv

from isaac_gymnasium.audit import SCRIPTS, Rollout, audit, roll
from isaac_gymnasium.cli._environment import make_environment, parse_keywords
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._policy import find_policy
from isaac_gymnasium.vector_env import resolve_device


@dataclass(kw_only=True)
class Audit:
    """Compare what a task pays for success with what it pays for staying short of it."""

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ID")]
    """Environment ID; MODULE:ID imports a module first, also from the current directory."""
    policy: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="POLICY")
    ] = ()
    """scripted, random, zero, or a trained policy: the folder of a run, a packed policy, or an ID;
    repeatable. By default scripted where there is a script and random where not."""
    num_envs: int = 64
    """Environments, one episode in each."""
    discount: float = 0.99
    """Discount factor of the values that are compared."""
    seed: int = 0
    """Seed of the episodes and of random actions."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    engine: str = "auto"
    """Physics engine; auto takes the first that is installed of newton, physx and isaacsim."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environment; also --env.KEY VALUE."""

    def run(self) -> int:
        """Print the audit; 1 unless success was seen and is worth more."""
        if not 0.0 < self.discount < 1.0:
            raise UserError(f"--discount must lie between 0 and 1, got {self.discount}")
        if self.num_envs < 1:
            raise UserError(f"--num-envs must be at least 1, got {self.num_envs}")
        keywords = parse_keywords([word for words in self.env for word in words])
        env = make_environment(
            self.task,
            num_envs=self.num_envs,
            device=self.device,
            engine=self.engine,
            keywords={**keywords, "cuda_graphs": False},
        )
        with closing(env):
            try:
                result = audit(list(self._rollouts(env)), discount=self.discount)
            except ValueError as error:
                raise UserError(str(error)) from error
        print(result)
        return 0 if result.passed else 1

    def _rollouts(self, env: VectorEnv[Any, Any, Any]) -> Iterator[Rollout]:
        name = self.task.rpartition(":")[2]
        for policy in self.policy or ("scripted" if name in SCRIPTS else "random",):
            if policy == "scripted":
                yield from self._scripted(env, name)
            else:
                yield roll(env, self._policy(env, policy), name=policy, seed=self.seed)

    def _scripted(self, env: VectorEnv[Any, Any, Any], name: str) -> Iterator[Rollout]:
        if name not in SCRIPTS:
            known = ", ".join(sorted(SCRIPTS))
            raise UserError(f"there is no script for {name}; there are for {known}")
        core: Any = env.unwrapped
        task, script = core.task, SCRIPTS[name]
        yield roll(env, lambda _: script.succeed(task), name="scripted", seed=self.seed)
        short = script.stay_short
        if short is not None:
            yield roll(env, lambda _: short(task), name="staying short", seed=self.seed)

    def _policy(
        self, env: VectorEnv[Any, Any, Any], name: str
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        space = env.action_space
        assert isinstance(space, Box)
        device = resolve_device(self.device)
        low, high = (torch.from_numpy(bound).to(device) for bound in (space.low, space.high))
        if name == "zero":
            return lambda _: torch.zeros_like(low)
        if name == "random":
            generator = torch.Generator().manual_seed(self.seed)
            return lambda _: (
                low + (high - low) * torch.rand(low.shape, generator=generator).to(device)
            )
        try:
            source = find_policy(name)
        except UserError as error:
            raise UserError(
                "--policy expects scripted, random, zero or a trained policy, "
                f"got {name!r}: {error}"
            ) from error
        return source.policy(env)
