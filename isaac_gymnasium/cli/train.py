"""``isaac-gymnasium train``: an algorithm on an environment, into a run folder."""

from __future__ import annotations

import signal
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from gymnasium.vector import VectorEnv

from isaac_gymnasium.cli._environment import make_environment, parse_keywords
from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._loop import train
from isaac_gymnasium.cli._recorder import RecordTraining
from isaac_gymnasium.cli._run_folder import RunFolder, create_run_folder
from isaac_gymnasium.cli._trainer import find_trainer_class, make_trainer
from isaac_gymnasium.integrations.trainer import Trainer
from isaac_gymnasium.presets.configs import SkrlPpoConfig, TrainConfig

# Far from the training seeds, so that the evaluation starts where no training episode did.
EVALUATION_SEED_OFFSET = 1_000_000


@dataclass(kw_only=True)
class Train:
    """Train a policy and evaluate it.

    Settings not given come from the task's preset. Name the task, library and algorithm before
    --help to see the options and defaults that they have.
    """

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ID")]
    """Environment ID; MODULE:ID imports a module first, also from the current directory."""
    library: Literal["skrl", "sb3", "torch_ppo", "rsl_rl", "rl_games"] = "skrl"
    """Whose algorithm; torch_ppo is that of sb3 with everything on the environment's device."""
    algorithm: Literal["ppo", "sac", "td3"] = "ppo"
    """Which algorithm; sac and td3 learn from a replay buffer (skrl and sb3)."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    engine: str = "auto"
    """Physics engine: auto, or the name of one that is installed."""
    run_dir: Path | None = None
    """Folder of the run; runs/<ID>/<time>-seed<seed> by default."""
    wandb: str | None = None
    """Project of Weights & Biases to log to as well."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environment; also --env.KEY VALUE."""
    agent: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=SkrlPpoConfig)

    def run(self) -> int:
        """Train, evaluate, print one line each."""
        try:
            self.agent.check()
        except ValueError as error:
            raise UserError(str(error)) from error
        trainer_class = find_trainer_class(self.library, self.algorithm)
        keywords = parse_keywords([word for words in self.env for word in words])
        env = make_environment(
            self.task,
            num_envs=self.agent.num_envs,
            device=self.device,
            engine=self.engine,
            keywords=keywords,
        )
        with closing(env):
            recorder = RecordTraining(env)
            trainer = make_trainer(trainer_class, recorder, self.agent)
            path = self._run_path()
            config = asdict(self)
            del config["run_dir"]
            create_run_folder(path, {**config, "env": keywords})
            print(f"run folder: {path}")
            with closing(RunFolder(path, wandb=self.wandb)) as run:
                ended_by = train(trainer, recorder, run)
            return report(trainer, env, path, ended_by)

    def _run_path(self) -> Path:
        if self.run_dir is not None:
            return self.run_dir
        name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}-seed{self.agent.seed}"
        return Path("runs") / self.task.rpartition(":")[2] / name


def report(
    trainer: Trainer[Any],
    env: VectorEnv[Any, Any, Any],
    path: Path,
    ended_by: signal.Signals | None,
) -> int:
    """Print how the training ended, with an evaluation if it did so by itself.

    Returns:
        The exit status, 128 and the number of a signal that ended it.
    """
    if ended_by is not None:
        print(f"interrupted; checkpoint: {path / 'checkpoint.pt'}; isaac-gymnasium resume {path}")
        return 128 + ended_by
    seed = trainer.config.seed + EVALUATION_SEED_OFFSET
    print(f"evaluation: {evaluate(env, trainer.policy(), seed=seed)}")
    return 0


def will_use_cuda(device: str) -> bool:
    """Whether an environment with this device runs on CUDA."""
    return torch.cuda.is_available() if device == "auto" else device.startswith("cuda")
