"""`isaac-gymnasium evaluate --video`."""

from __future__ import annotations

from pathlib import Path

import pytest

from isaac_gymnasium.cli import main

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
pytest.importorskip("ovphysx")
pytest.importorskip("skrl")

ENV = ["--env", "max_episode_steps=5", "render_size=(64,48)"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Path:
    monkeypatch.chdir(tmp_path)
    words = ["--num-envs", "4", "--timesteps", "64", "--device", "cpu", "--engine", "physx"]
    assert main(["train", "IsaacCartpole-v0", *words, "--run-dir", "run"]) == 0
    capsys.readouterr()
    return tmp_path / "run"


def test_the_first_episode_is_filmed(run: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["evaluate", "run", "--episodes", "4", "--device", "cpu", *ENV]
    for count in ("1", "3"):
        path = f"films/{count}.mp4"
        assert main([*words, "--video", path, "--video-envs", count]) == 0
        out = capsys.readouterr().out
        assert "(4 episodes)" in out and f"video: {path}" in out
        reader = imageio_ffmpeg.read_frames(path)
        assert next(reader)["size"] == (64, 48)
        assert len(list(reader)) == 6
    assert sorted(p.name for p in Path("films").iterdir()) == ["1.mp4", "3.mp4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--video", "a.gif"], "an .mp4 file, got a.gif"),
        (["--video", "a.mp4", "--video-envs", "5"], "--video-envs must be between 1 and 4, got 5"),
    ],
)
def test_what_cannot_be_filmed_is_refused(
    run: Path, words: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["evaluate", "run", "--episodes", "4", "--device", "cpu", *words]) != 0
    assert message in capsys.readouterr().err
