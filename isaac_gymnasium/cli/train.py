"""``isaac-gymnasium train``: an algorithm on an environment, into a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from isaac_gymnasium.cli._checkpoint import NAME, restore
from isaac_gymnasium.cli._environment import make_environment, parse_keywords
from isaac_gymnasium.cli._episodes import evaluate, evaluation_seed, measured_on
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._loop import train
from isaac_gymnasium.cli._parameters import Parameters
from isaac_gymnasium.cli._processes import is_first, join_processes
from isaac_gymnasium.cli._recorder import RecordTraining
from isaac_gymnasium.cli._run_folder import EVALUATION, RunFolder, create_run_folder
from isaac_gymnasium.cli._trainer import find_trainer_class, make_trainer
from isaac_gymnasium.integrations.trainer import Trainer
from isaac_gymnasium.memory import room_to_train
from isaac_gymnasium.presets.configs import SkrlPpoConfig, TrainConfig


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
    """Physics engine; auto takes the first that is installed of newton, physx and isaacsim."""
    run_dir: Path | None = None
    """Folder of the run; runs/<ID>/<time>-seed<seed> by default."""
    checkpoint_seconds: float = 60.0
    """Seconds between two checkpoints; there is one at the end in any case."""
    wandb: str | None = None
    """Project of Weights & Biases to log to as well."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environment; --env.KEY VALUE for those listed below."""
    parameters: Annotated[Parameters, tyro.conf.arg(name="env"), tyro.conf.FlagConversionOff] = (
        field(default_factory=Parameters)
    )
    agent: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=SkrlPpoConfig)

    def run(self) -> int:
        """Train, evaluate, print one line each."""
        settings = asdict(self)
        del settings["run_dir"], settings["parameters"]
        words = [word for words in self.env for word in words]
        settings["env"] = self.parameters.changed() | parse_keywords(words)
        return run_training(settings, self.agent, self._run_path())

    def _run_path(self) -> Path:
        if self.run_dir is not None:
            return self.run_dir
        name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}-seed{self.agent.seed}"
        return Path("runs") / self.task.rpartition(":")[2] / name


def run_training(
    settings: dict[str, Any],
    agent: TrainConfig,
    path: Path,
    *,
    checkpoint: dict[str, Any] | None = None,
) -> int:
    """Train and evaluate.

    Args:
        settings: what `config.json` holds of the options.
        agent: the algorithm's settings.
        path: the run folder, which must not exist yet for a new run.
        checkpoint: where to go on from; None for a new run.

    Returns:
        The exit status: 0, or 128 and the number of the signal that ended the training.

    Raises:
        UserError: something that was asked for makes no sense, or memory runs out.
    """
    try:
        agent.check()
    except ValueError as error:
        raise UserError(str(error)) from error
    with join_processes(settings["device"]) as device:
        trainer_class = find_trainer_class(settings["library"], settings["algorithm"])
        env = make_environment(
            settings["task"],
            num_envs=agent.num_envs,
            device=device,
            engine=settings["engine"],
            keywords=settings["env"],
        )
        with closing(env), _room(agent.num_envs, env.unwrapped.device):  # type: ignore[attr-defined]
            recorder = RecordTraining(env)
            with closing(make_trainer(trainer_class, recorder, agent)) as trainer:
                return _learn_and_evaluate(settings, trainer, recorder, path, checkpoint)


def _learn_and_evaluate(
    settings: Mapping[str, Any],
    trainer: Trainer[Any],
    recorder: RecordTraining,
    path: Path,
    checkpoint: dict[str, Any] | None,
) -> int:
    env = recorder.env
    if checkpoint is not None:
        restore(checkpoint, trainer, recorder)
    run = None
    if is_first():
        if checkpoint is None:
            create_run_folder(path, {**settings, "trained_on": measured_on(env)})
        resume_at = None if checkpoint is None else trainer.timesteps
        run = RunFolder(path, resume_at=resume_at, wandb=settings["wandb"])
        # What it says of the policy will not hold any more.
        (path / EVALUATION).unlink(missing_ok=True)
        print(f"run folder: {path}")
    with closing(run) if run is not None else nullcontext():
        ended_by = train(trainer, recorder, path, run, seconds=settings["checkpoint_seconds"])
    if not is_first():
        return 0
    if ended_by is not None:
        print(f"interrupted; checkpoint: {path / NAME}; isaac-gymnasium resume {path}")
        return 128 + ended_by
    seed = evaluation_seed(trainer.config.seed)
    evaluation = evaluate(env, trainer.policy(), seed=seed)
    evaluation.write(path / EVALUATION, env, seed=seed)
    print(f"evaluation: {evaluation}")
    return 0


@contextmanager
def _room(num_envs: int, device: torch.device) -> Iterator[None]:
    try:
        with room_to_train(num_envs, device):
            yield
    except MemoryError as error:
        raise UserError(str(error)) from error


def will_use_cuda(device: str) -> bool:
    """Whether an environment with this device runs on CUDA."""
    return torch.cuda.is_available() if device == "auto" else device.startswith("cuda")
