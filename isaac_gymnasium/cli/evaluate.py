"""``isaac-gymnasium evaluate``: the policy of a run folder, without exploration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from isaac_gymnasium.cli._environment import parse_keywords
from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._policy import trained_policy
from isaac_gymnasium.cli._run_folder import find_run
from isaac_gymnasium.cli.train import EVALUATION_SEED_OFFSET


@dataclass(kw_only=True)
class Evaluate:
    """Evaluate the policy of a run, without exploration, one episode in each environment."""

    run_dir: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of the run, or an environment ID for the latest one in runs/<ID>."""
    episodes: int = 256
    """Episodes, each in an environment of its own."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    engine: str | None = None
    """Physics engine; the run's by default."""
    seed: int | None = None
    """Seed of the episodes; by default one that training did not use."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environment that differ from the run's."""

    def run(self) -> int:
        """Print the evaluation in one line."""
        if self.episodes < 1:
            raise UserError(f"--episodes must be at least 1, got {self.episodes}")
        with trained_policy(
            find_run(self.run_dir),
            num_envs=self.episodes,
            device=self.device,
            engine=self.engine,
            keywords=parse_keywords([word for words in self.env for word in words]),
        ) as trained:
            own_seed = trained.agent.seed + EVALUATION_SEED_OFFSET
            seed = own_seed if self.seed is None else self.seed
            print(f"evaluation: {evaluate(trained.env, trained.policy, seed=seed)}")
        return 0
