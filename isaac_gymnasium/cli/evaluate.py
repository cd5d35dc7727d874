"""``isaac-gymnasium evaluate``: the policy of a run folder, without exploration."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from isaac_gymnasium.cli._checkpoint import read_checkpoint
from isaac_gymnasium.cli._environment import make_environment, parse_keywords
from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._run_folder import read_config
from isaac_gymnasium.cli._trainer import find_config, find_trainer_class, make_trainer
from isaac_gymnasium.cli.train import EVALUATION_SEED_OFFSET


@dataclass(kw_only=True)
class Evaluate:
    """Evaluate the policy of a run, without exploration, one episode in each environment."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
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
        config = read_config(self.run_dir)
        trainer_class = find_trainer_class(config["library"], config["algorithm"])
        agent = find_config(config["library"], config["algorithm"]).from_dict(config["agent"])
        keywords = parse_keywords([word for words in self.env for word in words])
        env = make_environment(
            config["task"],
            num_envs=self.episodes,
            device=self.device,
            engine=config["engine"] if self.engine is None else self.engine,
            keywords={**config["env"], **keywords},
        )
        with closing(env):
            trainer = make_trainer(trainer_class, env, replace(agent, num_envs=self.episodes))
            trainer.load_state_dict(read_checkpoint(self.run_dir)["trainer"])
            seed = agent.seed + EVALUATION_SEED_OFFSET if self.seed is None else self.seed
            print(f"evaluation: {evaluate(env, trainer.policy(), seed=seed)}")
        return 0
