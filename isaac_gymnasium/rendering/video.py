"""Frames to an MP4 file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np


class VideoWriter:
    """Encodes frames as they come; the file appears when it is closed.

    Args:
        path: Where to; its folder is made.
        fps: Frames a second.

    Raises:
        ImportError: If imageio-ffmpeg is not installed.
        ValueError: If the path does not end in `.mp4`.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        try:
            import imageio_ffmpeg
        except ImportError as error:
            raise ImportError(
                f'videos need imageio-ffmpeg ({error}): pip install "isaac-gymnasium[video]"'
            ) from error
        self.path = Path(path)
        if self.path.suffix != ".mp4":
            raise ValueError(f"a video is an .mp4 file, got {self.path.name}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._part = self.path.with_name(f".{self.path.stem}.{os.getpid()}-{id(self):x}.part.mp4")
        self._ffmpeg, self._fps = imageio_ffmpeg, fps
        self._encoder: Any = None
        self.num_frames = 0

    def add(self, frame: np.ndarray) -> None:
        """Adds a (H, W, 3) uint8 frame; all must have the size of the first."""
        if self._encoder is None:
            height, width = frame.shape[:2]
            self._shape = frame.shape
            # What browsers play wants even sizes.
            self._encoder = self._ffmpeg.write_frames(
                str(self._part),
                (width, height),
                fps=self._fps,
                codec="libx264",
                quality=7,
                macro_block_size=2,
                ffmpeg_log_level="error",
            )
            self._encoder.send(None)
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(
                f"frames must be uint8 of shape {self._shape}, got {frame.dtype} of {frame.shape}"
            )
        self._encoder.send(np.ascontiguousarray(frame))
        self.num_frames += 1

    def close(self) -> None:
        """Finishes the file; without frames there is none."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None
            self._part.replace(self.path)
