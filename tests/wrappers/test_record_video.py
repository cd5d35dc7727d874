"""Videos of episodes, looked at frame by frame."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.rendering.video import VideoWriter
from isaac_gymnasium.wrappers import NormalizeObservation, RecordVideo
from isaac_gymnasium.wrappers.record_video import capped_cubic_schedule

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")

N, SIZE = 3, (64, 48)
Make = Callable[..., Any]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    pytest.importorskip("ovphysx")
    made: list[Any] = []

    def make(mode: str = "SameStep", steps: int = 6, **kwargs: Any) -> Any:
        envs = gym.make_vec(
            "IsaacCartpole-v0",
            num_envs=N,
            engine="physx",
            device="cpu",
            autoreset_mode=mode,
            max_episode_steps=steps,
            render_mode="rgb_array",
            render_size=SIZE,
        )
        made.append(RecordVideo(envs, tmp_path, **kwargs))
        return made[-1]

    yield make
    for envs in made:
        envs.close()


def push(envs: Any, count: int) -> None:
    for _ in range(count):
        _, _, terminated, truncated, _ = envs.step(torch.zeros(N, 1))
        ended = terminated | truncated
        if envs.autoreset_mode.value == "Disabled" and ended.any():
            envs.reset(options={"reset_mask": ended})


def watch(path: Path) -> list[np.ndarray]:
    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    return [np.frombuffer(raw, np.uint8).reshape(height, width, 3) for raw in reader]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_an_episode_is_its_first_frame_and_one_for_each_step(
    mode: str, make: Make, tmp_path: Path
) -> None:
    envs = make(mode, steps=6, envs=[1], episode_trigger=lambda k: k < 2)
    seen: list[np.ndarray] = []
    envs.reset(seed=0)
    seen.append(envs.env.render()[1])
    for _ in range(6):
        push(envs, 1)
        seen.append(envs.env.render_final()[1])
    push(envs, 8)
    assert names(tmp_path) == ["rl-video-episode-0.mp4", "rl-video-episode-1.mp4"]
    frames = watch(tmp_path / "rl-video-episode-0.mp4")
    assert len(frames) == 7
    if mode == "Disabled":  # its own reset has changed what there is to see
        seen.pop(), frames.pop()
    for frame, expected in zip(frames, seen, strict=True):
        assert frame.shape == (48, 64, 3)
        assert np.abs(frame.astype(int) - expected).mean() < 6, "encoding loses little"
    later = watch(tmp_path / "rl-video-episode-1.mp4")
    assert len(later) == 7
    ends = np.abs(later[0].astype(int) - frames[-1]).mean()
    steps = np.abs(frames[-1].astype(int) - frames[-2]).mean()
    assert ends > 2 * steps, "the next episode begins somewhere else"


def test_what_is_shown_can_be_chosen(make: Make, tmp_path: Path) -> None:
    for k, (arguments, shape) in enumerate(
        (
            ({"record_first_only": True}, (48, 64, 3)),
            ({"video_aspect_ratio": (4, 1)}, (48, 192, 3)),
            ({"video_aspect_ratio": (1, 3)}, (144, 64, 3)),
            ({"envs": [2, 0]}, (96, 64, 3)),
            ({"grid": True}, (48, 64, 3)),
        )
    ):
        envs = make(name_prefix=f"take{k}", **arguments)
        envs.reset(seed=0)
        push(envs, 2)
        envs.close()
        frames = watch(tmp_path / f"take{k}-episode-0.mp4")
        assert len(frames) == 3 and frames[0].shape == shape, arguments


def test_a_trigger_on_steps_and_a_length_make_snippets(make: Make, tmp_path: Path) -> None:
    envs = make(envs=[0], step_trigger=lambda k: k in (1, 9), video_length=3)
    envs.reset(seed=0)
    assert not envs.recording
    push(envs, 2)
    assert envs.recording
    push(envs, 10)
    assert not envs.recording
    assert names(tmp_path) == ["rl-video-step-1.mp4", "rl-video-step-9.mp4"]
    assert len(watch(tmp_path / "rl-video-step-1.mp4")) == 3


def test_nothing_is_rendered_between_videos(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    envs = make(envs=[0], episode_trigger=lambda k: k == 1)
    maker = envs.unwrapped._frame_maker
    calls: list[int] = []
    frame = maker.frame
    monkeypatch.setattr(maker, "frame", lambda *a: (calls.append(1), frame(*a))[1])
    envs.reset(seed=0)
    push(envs, 6)
    assert len(calls) == 1, "the first frame of the second episode"
    push(envs, 2)
    assert len(calls) == 3


def test_closing_finishes_the_video(make: Make, tmp_path: Path) -> None:
    envs = make(envs=[0])
    envs.reset(seed=0)
    push(envs, 2)
    assert "rl-video-episode-0.mp4" not in names(tmp_path)
    envs.close()
    assert names(tmp_path) == ["rl-video-episode-0.mp4"]
    assert len(watch(tmp_path / "rl-video-episode-0.mp4")) == 3


def test_the_rate_is_that_of_the_environment(make: Make, tmp_path: Path) -> None:
    for fps, expected in ((None, 60.0), (10, 10.0)):
        envs = make(envs=[0], fps=fps)
        envs.reset(seed=0)
        push(envs, 6)
        reader = imageio_ffmpeg.read_frames(str(tmp_path / "rl-video-episode-0.mp4"))
        assert next(reader)["fps"] == pytest.approx(expected)
        reader.close()


def test_it_stands_anywhere_in_a_stack_and_changes_no_result(make: Make, tmp_path: Path) -> None:
    recorded = NormalizeObservation(make(envs=[0]))
    plain = NormalizeObservation(make(episode_trigger=lambda k: False).env)
    assert torch.equal(recorded.reset(seed=3)[0], plain.reset(seed=3)[0])
    for _ in range(8):
        results = [envs.step(torch.ones(N, 1)) for envs in (recorded, plain)]
        for one, other in zip(*(r[:4] for r in results), strict=True):
            assert torch.equal(one, other)
    outside = RecordVideo(plain, tmp_path / "outside", envs=[0])
    outside.reset(seed=0)
    push(outside, 6)
    assert len(watch(tmp_path / "outside" / "rl-video-episode-0.mp4")) == 7


def test_arguments_are_those_of_gymnasium_and_then_our_own() -> None:
    theirs = inspect.signature(gym.wrappers.vector.RecordVideo).parameters
    ours = inspect.signature(RecordVideo).parameters
    assert list(ours) == [*theirs, "envs", "grid"]
    for name in theirs.keys() - {"gc_trigger"}:  # where it is a function that is always true
        assert ours[name].default == theirs[name].default, name


def test_garbage_is_collected_and_files_are_told_of_where_asked_for(
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    collected: list[int] = []
    asked: list[int] = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(asked[-1]))

    def after_the_second(episode: int) -> bool:
        asked.append(episode)
        return episode == 1

    always = {"episode_trigger": lambda k: True, "envs": [0]}
    envs = make(disable_logger=False, gc_trigger=after_the_second, **always)
    envs.reset(seed=0)
    push(envs, 12)
    assert (asked, collected) == ([0, 1], [1])
    paths = [tmp_path / f"rl-video-episode-{k}.mp4" for k in range(2)]
    assert capsys.readouterr().out == "".join(f"{path}: 7 frames\n" for path in paths)
    quiet = make(**always)
    quiet.reset(seed=0)
    push(quiet, 6)
    assert (len(asked), len(collected), capsys.readouterr().out) == (2, 1, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"envs": [3]}, "indices below 3"),
        ({"envs": []}, "indices below 3"),
        ({"video_length": -1}, "video_length must be at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Make, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_an_environment_without_frames_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ovphysx")
    envs = gym.make_vec("IsaacCartpole-v0", num_envs=1, device="cpu", engine="physx")
    with pytest.raises(ValueError, match="render_mode='rgb_array', and it is None"):
        RecordVideo(envs, tmp_path)
    envs.close()


def test_a_video_wants_equal_frames_and_an_mp4(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"an \.mp4 file, got a\.gif"):
        VideoWriter(tmp_path / "a.gif", 30)
    writer = VideoWriter(tmp_path / "a.mp4", 30)
    writer.add(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(
        ValueError, match=r"uint8 of shape \(48, 64, 3\), got uint8 of \(48, 32, 3\)"
    ):
        writer.add(np.zeros((48, 32, 3), np.uint8))
    writer.close()


def test_episodes_are_recorded_on_gymnasiums_schedule() -> None:
    pytest.importorskip("moviepy")  # without which gymnasium's schedule cannot be imported
    from gymnasium.utils.save_video import capped_cubic_video_schedule

    for episode in range(3001):
        assert capped_cubic_schedule(episode) == capped_cubic_video_schedule(episode), episode
