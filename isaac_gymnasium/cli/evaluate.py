"""``isaac-gymnasium evaluate``: the policy of a run folder, without exploration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from isaac_gymnasium.cli._environment import make_environment, parse_keywords
from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._run_folder import load_checkpoint, read_config
from isaac_gymnasium.cli.train import EVALUATION_SEED_OFFSET
from isaac_gymnasium.presets import PpoConfig


@dataclass(kw_only=True)
class Evaluate:
    """Evaluate the policy of a run: its mean actions, one episode in each environment."""

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
        keywords = parse_keywords([word for words in self.env for word in words])
        env = make_environment(
            config["task"],
            num_envs=self.episodes,
            device=self.device,
            engine=config["engine"] if self.engine is None else self.engine,
            keywords={**config["env"], **keywords},
        )
        try:
            from isaac_gymnasium.integrations.skrl_ppo import make_ppo, mean_actions

            ppo = PpoConfig.from_dict(config["ppo"])
            agent = make_ppo(env, replace(ppo, num_envs=self.episodes))
            load_checkpoint(self.run_dir, agent)
            agent.enable_training_mode(False)
            seed = ppo.seed + EVALUATION_SEED_OFFSET if self.seed is None else self.seed
            print(f"evaluation: {evaluate(env, partial(mean_actions, agent), seed=seed)}")
        finally:
            env.close()
        return 0
