"""``isaac-gymnasium view``: an environment live in the browser."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import torch
import tyro

from isaac_gymnasium.cli._environment import make_environment, parse_keywords
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._policy import find_policy, tell_where, trained_policy
from isaac_gymnasium.wrappers.flatten import flatten


@dataclass(kw_only=True)
class View:
    """Watch and steer an environment in the browser; Ctrl-C ends it."""

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ID")] = ""
    """Environment ID, or MODULE:ID; a run brings its own."""
    policy: str | None = None
    """What chooses the actions: the folder of a run, a packed policy, or an environment ID: the
    latest run in runs/<ID>, else the policy that comes with the package."""
    num_envs: int = 4
    """Environments side by side."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    engine: str | None = None
    """Physics engine; by default the one that the policy was trained on, auto without a policy."""
    host: str = "127.0.0.1"
    """Address to listen on; whoever reaches it controls the environment."""
    port: int = 8080
    """Port; the next free one is taken if it is not."""
    seconds: float = 10.0
    """How far back in time one can go."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environment."""

    def run(self) -> int:
        """Serve until interrupted."""
        if self.num_envs < 1 or not self.seconds > 0:
            raise UserError(
                "--num-envs must be at least 1 and --seconds positive, got "
                f"{self.num_envs} and {self.seconds}"
            )
        if bool(self.task) == (self.policy is not None):
            raise UserError("view expects an ID or --policy RUN; got neither or both")
        try:
            from isaac_gymnasium.viewer import Viewer
        except ImportError as error:
            raise UserError(str(error)) from error
        with ExitStack() as stack:
            env, policy, make = self._prepare(stack)
            viewer = stack.enter_context(
                Viewer(env, policy, host=self.host, port=self.port, seconds=self.seconds, make=make)
            )
            print(f"viewer: {viewer.url} (Ctrl-C ends it)", flush=True)
            viewer.wait()
        return 0

    def _prepare(self, stack: ExitStack) -> tuple[Any, Any, Any]:
        """The environment, its policy if any, and how to make it with changed arguments."""
        given = parse_keywords([word for words in self.env for word in words])
        if self.policy is None:
            make = partial(self._make, self.task, self.engine or "auto", given)
            return stack.enter_context(closing(make({}))), None, make
        source = find_policy(self.policy)
        print(f"policy: {source}")
        trained = stack.enter_context(
            trained_policy(
                source,
                num_envs=self.num_envs,
                device=self.device,
                engine=self.engine,
                keywords=given,
            )
        )
        tell_where(source, trained.env)
        config = source.config
        engine = config["engine"] if self.engine is None else self.engine
        make = partial(self._make, config["task"], engine, {**config["env"], **given})

        space = trained.env.unwrapped.single_observation_space

        def policy(observations: Any) -> Any:
            # The viewer steps the environment beneath the wrapper that flattens.
            return trained.policy(flatten(space, observations, torch.float32))

        return trained.env, policy, make

    def _make(
        self, task: str, engine: str, keywords: dict[str, Any], changed: dict[str, Any]
    ) -> Any:
        return make_environment(
            task,
            num_envs=self.num_envs,
            device=self.device,
            engine=engine,
            keywords={**keywords, **changed},
        )
