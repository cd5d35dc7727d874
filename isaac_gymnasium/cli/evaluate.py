"""``isaac-gymnasium evaluate``: a trained policy, without exploration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from gymnasium.vector import VectorEnv

from isaac_gymnasium.cli._environment import parse_keywords
from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._policy import find_policy, tell_where, trained_policy
from isaac_gymnasium.rendering.video import VideoWriter
from isaac_gymnasium.wrappers import RecordVideo


@dataclass(kw_only=True)
class Evaluate:
    """Evaluate a trained policy, without exploration, one episode in each environment."""

    policy: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of a run, a packed policy, or an environment ID: the latest run in runs/<ID>, else the
    policy that comes with the package."""
    episodes: int = 256
    """Episodes, each in an environment of its own."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    engine: str | None = None
    """Physics engine; by default the one that the policy was trained on. A packed policy runs on
    what auto takes where that one is not installed."""
    seed: int | None = None
    """Seed of the episodes; by default one that training did not use."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environment that differ from the run's."""
    video: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """MP4 file for a film of the first episode."""
    video_envs: int = 1
    """Environments in the film, side by side."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File for the means, with what they were measured on."""

    def run(self) -> int:
        """Print the evaluation in one line."""
        if self.episodes < 1:
            raise UserError(f"--episodes must be at least 1, got {self.episodes}")
        keywords = parse_keywords([word for words in self.env for word in words])
        if self.video is not None:
            self._check_video(self.video)
            keywords = {"render_mode": "rgb_array", **keywords}
        source = find_policy(self.policy)
        print(f"policy: {source}")
        with trained_policy(
            source,
            num_envs=self.episodes,
            device=self.device,
            engine=self.engine,
            keywords=keywords,
        ) as trained:
            tell_where(source, trained.env)
            seed = source.evaluation_seed if self.seed is None else self.seed
            with (
                contextlib.nullcontext(trained.env)
                if self.video is None
                else _film(trained.env, self.video, self.video_envs) as env
            ):
                evaluation = evaluate(env, trained.policy, seed=seed)
            print(f"evaluation: {evaluation}")
            if self.json is not None:
                evaluation.write(self.json, trained.env, seed=seed)
        return 0

    def _check_video(self, path: Path) -> None:
        if not 1 <= self.video_envs <= self.episodes:
            raise UserError(
                f"--video-envs must be between 1 and {self.episodes}, got {self.video_envs}"
            )
        try:
            VideoWriter(path, 30)
        except (ImportError, ValueError) as error:
            raise UserError(f"--video: {error}") from error


@contextlib.contextmanager
def _film(env: VectorEnv[Any, Any, Any], path: Path, count: int) -> Iterator[RecordVideo]:
    """The environments, with the first episode going to a file."""
    film = RecordVideo(
        env,
        path.parent,
        episode_trigger=lambda episode: episode == 0,
        name_prefix=path.stem,
        envs=range(count),
        grid=count > 1,
    )
    try:
        yield film
    finally:
        film.stop_recording()
    (path.parent / f"{path.stem}-episode-0.mp4").replace(path)
    print(f"video: {path}")
