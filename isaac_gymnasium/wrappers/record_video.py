"""`RecordVideo`: episodes as MP4 files, their last frames included."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv

from isaac_gymnasium.rendering.video import VideoWriter
from isaac_gymnasium.wrappers.base import Seed, Step, TorchWrapper

Trigger = Callable[[int], bool]


class RecordVideo(TorchWrapper, RecordConstructorArgs):
    """Records videos of chosen environments, in one picture.

    As `gymnasium.wrappers.vector.RecordVideo`, but for torch tensors, with the last frame of an
    episode in every autoreset mode, and encoded while it goes. An episode is one of the first
    environment that is shown. Frames are rendered only while something is recorded.

    Args:
        env: Made with `render_mode="rgb_array"`.
        video_folder: Where to; made if it is not there.
        video_aspect_ratio: Width to height that tiles are laid out to come close to.
        record_first_only: Show the first environment alone.
        episode_trigger: Whether to record an episode, by its number from 0; by default episodes
            0, 1, 8, 27, ..., 1000, 2000, ...
        step_trigger: Whether to start recording at a step, by its number from 0.
        video_length: Frames of a video; 0 for as long as the episode.
        name_prefix: Of the files' names.
        fps: Frames a second; by default the environment's `render_fps`.
        disable_logger: Keep quiet; otherwise a line is printed for each file that is finished.
        gc_trigger: Whether to collect garbage after a video, by the number of the episode. By
            default never: no frames are kept here, so that there is nothing to collect.
        envs: Which environments to show; by default the first sixteen.
        grid: Show them side by side on one ground, with the environment's `render_grid`, instead
            of a tile for each.

    Raises:
        ValueError: If the environment renders no frames, or `envs` are not among its own.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        video_folder: str | Path,
        video_aspect_ratio: tuple[int, int] = (1, 1),
        record_first_only: bool = False,
        episode_trigger: Trigger | None = None,
        step_trigger: Trigger | None = None,
        video_length: int = 0,
        name_prefix: str = "rl-video",
        fps: float | None = None,
        disable_logger: bool = True,
        gc_trigger: Trigger | None = None,
        *,
        envs: Sequence[int] | None = None,
        grid: bool = False,
    ) -> None:
        super().__init__(
            env,
            video_folder=video_folder,
            video_aspect_ratio=video_aspect_ratio,
            record_first_only=record_first_only,
            episode_trigger=episode_trigger,
            step_trigger=step_trigger,
            video_length=video_length,
            name_prefix=name_prefix,
            fps=fps,
            disable_logger=disable_logger,
            gc_trigger=gc_trigger,
            envs=envs,
            grid=grid,
        )
        if env.render_mode != "rgb_array":
            raise ValueError(
                f"RecordVideo needs render_mode='rgb_array', and it is {env.render_mode!r}"
            )
        if envs is None:
            envs = range(1 if record_first_only else min(16, env.num_envs))
        if not len(envs) or not all(0 <= k < env.num_envs for k in envs):
            raise ValueError(f"envs must be indices below {env.num_envs}, got {list(envs)}")
        if video_length < 0:
            raise ValueError(f"video_length must be at least 0, got {video_length}")
        if episode_trigger is None and step_trigger is None:
            episode_trigger = capped_cubic_schedule
        self._shown, self._grid = list(envs), grid
        self._aspect = video_aspect_ratio[0] / video_aspect_ratio[1]
        self._episode_trigger, self._step_trigger = episode_trigger, step_trigger
        self._length = video_length
        self._quiet, self._gc_trigger = disable_logger, gc_trigger
        self._folder, self._name_prefix = Path(video_folder), name_prefix
        self._fps = float(self.metadata.get("render_fps", 30)) if fps is None else fps
        # A missing encoder is no news for the first trigger, after hours.
        VideoWriter(self._folder / f"{name_prefix}.mp4", self._fps)
        self._writer: VideoWriter | None = None
        self._step, self._episode = -1, -1
        self._first_ended = False

    @property
    def recording(self) -> bool:
        """Whether a video is being recorded."""
        return self._writer is not None

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes, and with them perhaps a video."""
        begins = bool(self._reset_mask(options)[self._shown[0]])
        obs, info = super().reset(seed=seed, options=options)
        if begins:
            self._first_ended = False
            self._begin_episode()
        return obs, info

    def step(self, actions: Any) -> Step:
        """Steps all environments and adds a frame to the video that is being recorded."""
        result = self.env.step(actions)
        self._step += 1
        # Without same-step autoreset, this step has begun the episode itself.
        began = self._first_ended and self._autoreset_mode == AutoresetMode.NEXT_STEP
        first = self._shown[0]
        self._first_ended = bool((result[2][first] | result[3][first]).item())
        if began:
            self._begin_episode()
        else:
            self._capture(final=True)
        if self._step_trigger is not None and self._step_trigger(self._step):
            self.start_recording(f"{self._name_prefix}-step-{self._step}")
        if self._first_ended:
            if not self._length:
                self.stop_recording()
            if self._autoreset_mode == AutoresetMode.SAME_STEP:
                self._first_ended = False
                self._begin_episode()
        return result

    def _begin_episode(self) -> None:
        self._episode += 1
        if not self._length:
            self.stop_recording()
        if self._episode_trigger is not None and self._episode_trigger(self._episode):
            self.start_recording(f"{self._name_prefix}-episode-{self._episode}")
        elif self.recording and self._length:
            self._capture(final=False)

    def start_recording(self, video_name: str) -> None:
        """Starts a video, with a frame of what there is to see now; ends one that is running."""
        self.stop_recording()
        self._writer = VideoWriter(self._folder / f"{video_name}.mp4", self._fps)
        self._capture(final=False)

    def stop_recording(self) -> None:
        """Finishes the video that is being recorded, if any."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.close()
        if not self._quiet:
            print(f"{writer.path}: {writer.num_frames} frames")
        if self._gc_trigger is not None and self._gc_trigger(self._episode):
            gc.collect()

    def _capture(self, final: bool) -> None:
        if self._writer is None:
            return
        self._writer.add(self._picture(final))
        if self._length and self._writer.num_frames >= self._length:
            self.stop_recording()

    def _picture(self, final: bool) -> np.ndarray:
        if self._grid:
            picture: np.ndarray = self.render_grid(self._shown, final=final)
            return picture
        # What the step ended with, before any reset; only our environments know.
        render = getattr(self, "render_final", None) if final else None
        frames: Any = (render or self.env.render)()
        return _tile([np.asarray(frames[k]) for k in self._shown], self._aspect)

    def close(self, **kwargs: Any) -> None:
        """Finishes the video and closes the environments."""
        self.stop_recording()
        super().close(**kwargs)


def _tile(frames: list[np.ndarray], aspect: float) -> np.ndarray:
    """(R H, C W, 3) frames in rows, at a ratio of width to height near `aspect`."""
    height, width = frames[0].shape[:2]

    def miss(columns: int) -> float:
        rows = math.ceil(len(frames) / columns)
        empty = columns * rows - len(frames)
        return abs(math.log(columns * width / (rows * height) / aspect)) + 0.1 * empty

    columns = min(range(1, len(frames) + 1), key=miss)
    rows = math.ceil(len(frames) / columns)
    picture = np.zeros((rows * height, columns * width, 3), np.uint8)
    for k, frame in enumerate(frames):
        y, x = height * (k // columns), width * (k % columns)
        picture[y : y + height, x : x + width] = frame
    return picture


def capped_cubic_schedule(episode: int) -> bool:
    """Gymnasium's schedule, whose own module cannot be imported without moviepy."""
    return round(episode ** (1 / 3)) ** 3 == episode if episode < 1000 else episode % 1000 == 0
