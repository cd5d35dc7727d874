"""``isaac-gymnasium train``: PPO on an environment, into a run folder."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import torch
import tyro
from tqdm import tqdm

from isaac_gymnasium.cli._environment import make_environment, parse_keywords
from isaac_gymnasium.cli._episodes import EpisodeStatistics, evaluate
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._run_folder import RunFolder
from isaac_gymnasium.presets import PpoConfig

if TYPE_CHECKING:
    from isaac_gymnasium.integrations.skrl import PPO, SkrlWrapper

# Far from the training seeds, so that the evaluation starts where no training episode did.
EVALUATION_SEED_OFFSET = 1_000_000
_CHECKPOINT_SECONDS = 60.0
# Layers up to this size gain nothing from a second thread of torch on a CPU, and a second thread
# that waits by spinning costs ten times the time where something else wants the core.
_SMALL_LAYER = 64


@dataclass(kw_only=True)
class Train:
    """Train a policy with skrl's PPO and evaluate it.

    Settings not given come from the task's preset; name the task before --help to see them.
    """

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ID")]
    """Environment ID; MODULE:ID imports a module first, also from the current directory."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    engine: str = "auto"
    """Physics engine: auto, or the name of one that is installed."""
    run_dir: Path | None = None
    """Folder of the run; runs/<ID>/<time>-seed<seed> by default."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environment; also --env.KEY VALUE."""
    ppo: tyro.conf.OmitArgPrefixes[PpoConfig] = field(default_factory=PpoConfig)

    def run(self) -> int:
        """Train, evaluate, print one line each."""
        try:
            self.ppo.check()
        except ValueError as error:
            raise UserError(str(error)) from error
        keywords = parse_keywords([word for words in self.env for word in words])
        torch.manual_seed(self.ppo.seed)
        env = make_environment(
            self.task,
            num_envs=self.ppo.num_envs,
            device=self.device,
            engine=self.engine,
            keywords=keywords,
        )
        if env.device.type == "cpu" and max(self.ppo.hidden_sizes) <= _SMALL_LAYER:
            torch.set_num_threads(1)
        try:
            return self._train(env, {**asdict(self), "env": keywords})
        finally:
            env.close()

    def _train(self, env: SkrlWrapper, config: dict[str, object]) -> int:
        from isaac_gymnasium.integrations.skrl_ppo import make_ppo, mean_actions

        try:
            agent = make_ppo(env, self.ppo)
        except ValueError as error:
            raise UserError(str(error)) from error
        interrupted = False
        with closing(RunFolder(self._run_path(), {**config, "run_dir": None})) as run:
            print(f"run folder: {run.path}")
            try:
                learn(agent, env, self.ppo, run)
            except KeyboardInterrupt:
                interrupted = True
            run.save_checkpoint(agent)
        if interrupted:
            print(f"interrupted; checkpoint: {run.path / 'checkpoint.pt'}")
            return 130
        agent.enable_training_mode(False)
        result = evaluate(
            env, partial(mean_actions, agent), seed=self.ppo.seed + EVALUATION_SEED_OFFSET
        )
        print(f"evaluation: {result}")
        return 0

    def _run_path(self) -> Path:
        if self.run_dir is not None:
            return self.run_dir
        name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}-seed{self.ppo.seed}"
        return Path("runs") / self.task.rpartition(":")[2] / name


def learn(agent: PPO, env: SkrlWrapper, config: PpoConfig, run: RunFolder) -> None:
    """Collect and update until ``config.timesteps`` environment steps are done.

    Args:
        agent: the agent, changed in place.
        env: the environments; they are reset first.
        config: seed, timesteps and rollouts are read here.
        run: gets one row of metrics for each update and a checkpoint every minute.

    Raises:
        FloatingPointError: a loss is no longer finite; the last checkpoint stays.
    """
    agent.enable_training_mode(True)
    statistics = EpisodeStatistics(env.num_envs, env.device)
    observations, _ = env.reset(seed=config.seed)
    states = env.state()
    update_steps = env.num_envs * config.rollouts
    timesteps = config.iterations * config.rollouts
    saved_at = time.perf_counter()
    with tqdm(total=config.iterations * update_steps, unit="step", unit_scale=True) as bar:
        for start in range(0, timesteps, config.rollouts):
            started_at = time.perf_counter()
            for timestep in range(start, start + config.rollouts):
                agent.pre_interaction(timestep=timestep, timesteps=timesteps)
                with torch.no_grad():
                    actions, _ = agent.act(
                        observations, states, timestep=timestep, timesteps=timesteps
                    )
                    successors, rewards, terminated, truncated, info = env.step(actions)
                    next_states = env.state()
                    statistics.update(rewards, terminated, truncated, info)
                    agent.record_transition(
                        observations=observations,
                        states=states,
                        actions=actions,
                        rewards=rewards,
                        next_observations=successors,
                        next_states=next_states,
                        terminated=terminated,
                        truncated=truncated,
                        infos=info,
                        timestep=timestep,
                        timesteps=timesteps,
                    )
                agent.post_interaction(timestep=timestep, timesteps=timesteps)
                observations, states = successors, next_states
            metrics = statistics.fetch() | _losses(agent)
            now = time.perf_counter()
            metrics["time/steps_per_second"] = update_steps / (now - started_at)
            bar.update(update_steps)
            run.write_metrics(bar.n, metrics)
            _show(bar, metrics)
            if now - saved_at > _CHECKPOINT_SECONDS:
                run.save_checkpoint(agent)
                saved_at = now


def _losses(agent: PPO) -> dict[str, float]:
    losses = {name: sum(values) / len(values) for name, values in agent.tracking_data.items()}
    agent.tracking_data.clear()
    if not all(map(math.isfinite, losses.values())):
        raise FloatingPointError(f"training diverged: {losses}")
    return losses


def _show(bar: tqdm[NoReturn], metrics: dict[str, float]) -> None:
    if not math.isnan(metrics["episode/return"]):
        shown = {"return": f"{metrics['episode/return']:.1f}"}
        if "episode/success" in metrics:
            shown["success"] = f"{100 * metrics['episode/success']:.0f} %"
        bar.set_postfix(shown, refresh=False)
