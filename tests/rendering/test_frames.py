"""Frames for people: `render`, `render_final`, `render_grid`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import isaac_gymnasium  # noqa: F401  (registers the IDs)
from isaac_gymnasium import wrappers
from isaac_gymnasium.rendering import Lens, look_at
from isaac_gymnasium.rendering.frames import FrameMaker
from isaac_gymnasium.rendering.view import fit
from isaac_gymnasium.scene import Viewpoint
from isaac_gymnasium.transforms import quat_rotate, quat_rotate_inverse
from isaac_gymnasium.vector_env import IsaacVectorEnv

N = 3
SIZE = (80, 60)


def make(**kwargs: Any) -> Any:
    task = "isaac_gymnasium.envs.cartpole:Cartpole"
    arguments = {"device": "cpu", "render_mode": "rgb_array", "render_size": SIZE, **kwargs}
    return IsaacVectorEnv(task, N, **arguments)


@pytest.fixture(scope="module")
def envs() -> Iterator[Any]:
    pytest.importorskip("ovphysx")
    envs = make(engine="physx")
    yield envs
    envs.close()


@pytest.fixture(autouse=True)
def at_rest(request: pytest.FixtureRequest) -> None:
    if "envs" in request.fixturenames:
        request.getfixturevalue("envs").reset(seed=0)


def tilt(envs: Any, angles: list[float]) -> None:
    pos = torch.zeros(N, 2)
    pos[:, envs.task.pole] = torch.tensor(angles)
    envs.task.robot.write_dof_state(pos, torch.zeros(N, 2))


def pole(frame: np.ndarray) -> np.ndarray:
    """(H, W) bool: the orange pixels."""
    red, green, blue = frame.astype(int).transpose(2, 0, 1)
    return (red > blue + 20) & (red > green)


def test_there_is_a_frame_for_each_environment(envs: Any) -> None:
    frames = envs.render()
    assert len(frames) == N
    assert [f.shape for f in frames] == [(60, 80, 3)] * N
    assert frames[0].dtype == np.uint8
    assert np.array_equal(frames[-1], frames[N - 1])
    assert len(frames[1:]) == 2
    assert len(envs.call("render")) == N
    with pytest.raises(IndexError):
        frames[N]


def test_a_frame_shows_its_own_environment_alone(envs: Any) -> None:
    tilt(envs, [0.0, 1.0, 0.0])
    frames = envs.render()
    assert np.array_equal(frames[0], frames[2])
    upright, tilted = pole(frames[0]), pole(frames[1])
    assert upright.any() and tilted.any()
    rows, columns = np.nonzero(upright)
    assert np.ptp(rows) > 3 * np.ptp(columns)
    rows, columns = np.nonzero(tilted)
    assert np.ptp(columns) > np.ptp(rows)


def test_a_frame_shows_the_moment_of_the_call(envs: Any) -> None:
    tilt(envs, [0.0, 0.0, 0.0])
    frames = envs.render()
    now = frames[0]
    tilt(envs, [1.0, 1.0, 1.0])
    assert not np.array_equal(envs.render()[0], now)
    assert np.array_equal(frames[0], now)


def test_nothing_is_rendered_until_it_is_looked_at(
    envs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = envs._frame_maker
    calls = []
    frame = maker.frame
    monkeypatch.setattr(maker, "frame", lambda *a: (calls.append(a[1]), frame(*a))[1])
    frames = envs.render()
    assert calls == []
    _ = frames[1]
    assert calls == [1]


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_the_final_frames_are_those_before_the_reset(mode: str) -> None:
    pytest.importorskip("ovphysx")
    envs = make(engine="physx", autoreset_mode=mode)
    envs.reset(seed=0)
    tilt(envs, [1.5, 0.0, 0.0])
    push = torch.zeros(N, 1)
    for _ in range(30):
        before = envs.render()
        _, _, terminated, _, _ = envs.step(push)
        if terminated.any():
            break
    assert terminated.tolist() == [True, False, False]
    final, now = envs.render_final(), envs.render()
    # The pole fell on over the horizon; a new episode starts within 45 degrees of upright.
    rows = np.nonzero(pole(final[0]))[0]
    assert rows.mean() > np.nonzero(pole(before[0]))[0].mean() - 0.5
    assert np.array_equal(final[0], now[0]) == (mode != "SameStep")
    assert np.array_equal(final[1], now[1])
    envs.close()


def test_the_grid_shows_as_many_as_asked_for(envs: Any) -> None:
    tilt(envs, [0.0, 0.0, 0.0])
    one, three = envs.render_grid(1), envs.render_grid(N)
    assert one.shape == three.shape == (60, 80, 3)
    assert envs.render_grid(100).shape == three.shape
    chosen = envs.render_grid([2], size=(320, 240))
    assert chosen.shape == (240, 320, 3)
    # Three environments in one picture: three poles, apart from each other.
    picture = envs.render_grid(N, size=(480, 360))
    columns = pole(picture).any(0)
    starts = np.flatnonzero(np.diff(np.concatenate(([0], columns.astype(int)))) == 1)
    assert len(starts) == N


def test_the_grid_needs_no_render_mode_but_frames_do() -> None:
    pytest.importorskip("ovphysx")
    envs = make(engine="physx", render_mode=None)
    with pytest.raises(gym.error.ResetNeeded):
        envs.render_grid()
    envs.reset(seed=0)
    assert envs.render_grid().shape == (60, 80, 3)
    with pytest.raises(gym.error.Error, match="render_mode='rgb_array'"):
        envs.render()
    with pytest.raises(ValueError, match="indices below 3"):
        envs.render_grid([3])
    envs.close()


def test_bad_modes_and_sizes_are_refused() -> None:
    with pytest.raises(
        ValueError, match="render_mode must be None, 'rgb_array' or 'human', got 'x'"
    ):
        make(render_mode="x")
    with pytest.raises(ValueError, match="the height in render_size must be an integer"):
        make(render_size=(80, 0))


def test_metadata_says_what_there_is(envs: Any) -> None:
    assert envs.metadata["render_modes"] == ["rgb_array"]
    assert envs.metadata["render_fps"] == 60


def test_rendering_changes_no_bit_of_what_follows(envs: Any) -> None:
    actions = torch.linspace(-1.0, 1.0, N).unsqueeze(-1)
    runs = []
    for look in (False, True):
        envs.reset(seed=1)
        for _ in range(5):
            obs = envs.step(actions)[0]
            if look:
                _ = envs.render()[0], envs.render_grid()
        runs.append(obs)
    assert torch.equal(*runs)


def test_wrappers_forward_frames(envs: Any) -> None:
    wrapped = wrappers.ClipReward(wrappers.RecordEpisodeStatistics(envs), -1.0, 1.0)
    assert np.array_equal(wrapped.render()[0], envs.render()[0])
    assert np.array_equal(wrapped.render_grid(2), envs.render_grid(2))
    assert wrapped.render_mode == "rgb_array"


@pytest.mark.usefixtures("physics")
def test_the_single_environment_gives_a_frame() -> None:
    env = gym.make("IsaacCartpole-v0", render_mode="rgb_array", render_size=SIZE)
    env.reset(seed=0)
    frame = env.render()
    assert isinstance(frame, np.ndarray) and frame.shape == (60, 80, 3)
    assert pole(frame).any()
    assert env.metadata["render_fps"] == 60
    env.close()


def test_both_engines_give_frames(engine_name: str, device: torch.device) -> None:
    envs = make(engine=engine_name, device=device)
    envs.reset(seed=0)
    tilt_on = torch.zeros(N, 2, device=device)
    envs.task.robot.write_dof_state(tilt_on, tilt_on)
    frames = envs.render()
    rows, columns = np.nonzero(pole(frames[0]))
    assert np.ptp(rows) > 3 * np.ptp(columns), "an upright pole"
    assert np.array_equal(frames[0], frames[2])
    assert pole(envs.render_grid(N)).any()
    envs.close()


@pytest.mark.usefixtures("physics")
def test_a_robot_on_a_terrain_stays_in_the_picture_however_high_it_stands() -> None:
    envs: Any = gym.make_vec(
        "IsaacAnymalRough-v0", 4, device="cpu", levels=1, tiles=5, first_levels=1
    )
    envs.reset(seed=0)
    maker = FrameMaker(envs.unwrapped.engine, None, SIZE)
    low = maker.snapshot()
    high = low + torch.tensor([0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0])
    for look in (lambda poses: maker.frame(poses, 0), lambda poses: maker.grid(poses, [0], SIZE)):
        before, after = (np.argwhere(pole(look(poses))) for poses in (low, high))
        assert len(before) > 50, "the red body"
        assert np.abs(before.mean(0) - after.mean(0)).max() < 1.0
    envs.close()


@pytest.mark.usefixtures("physics")
def test_a_grid_on_a_terrain_shows_robots_large_enough_to_be_known() -> None:
    envs: Any = gym.make_vec(
        "IsaacAnymalRough-v0", 3, device="cpu", levels=1, tiles=5, first_levels=1
    )
    envs.reset(seed=0)
    picture = envs.unwrapped.render_grid(3, size=(320, 240))
    # Two by two tiles, of which the last is empty.
    tiles = [picture[y : y + 120, x : x + 160] for y in (0, 120) for x in (0, 160)]
    assert all(pole(tile).sum() > 300 for tile in tiles[:3])
    assert (tiles[3] == 255).all()
    envs.close()


def test_a_grid_is_seen_from_the_side_that_frames_are_seen_from(envs: Any) -> None:
    lens = Lens(width=4, height=3, fov=0.7)
    for x, y in ((7.0, -1.5), (-7.0, -1.5), (7.0, 1.5)):
        maker = FrameMaker(envs.engine, Viewpoint(eye=(x, y, 3.0), target=(0.0, 0.0, 2.0)))
        centers = maker.layout(N)
        eye = maker.overview(centers, lens)[:3] - centers.mean(0)
        assert (eye[:2].sign() == torch.tensor([x, y]).sign()).all()


def test_those_who_walk_can_be_given_room(envs: Any) -> None:
    view = {"eye": (7.0, -1.5, 3.0), "target": (0.0, 0.0, 2.0), "cell": (1.0, 1.0)}
    stays, walks = (
        FrameMaker(envs.engine, Viewpoint(**view, follow=follow)).layout(2, room=3.0)
        for follow in (None, "Robot")
    )
    assert stays[1].tolist() == [0.0, 1.0, 0.0] and walks[1].tolist() == [0.0, 4.0, 0.0]


# ---------------------------------------------------------------------- cameras


def test_look_at_looks_at() -> None:
    eye = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 5.0], [0.0, 0.0, -5.0], [-2.0, 0.0, 0.0]])
    target = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    pose = look_at(eye, target)
    ahead = quat_rotate(pose[:, 3:], torch.tensor([[0.0, 0.0, 1.0]]).expand(4, 3))
    toward = torch.nn.functional.normalize(target - eye, dim=-1)
    torch.testing.assert_close(ahead, toward, rtol=0, atol=1e-6)
    down = quat_rotate(pose[:, 3:], torch.tensor([[0.0, 1.0, 0.0]]).expand(4, 3))
    assert down[0, 2] < 0 and down[3, 2] == pytest.approx(-1.0)
    right = quat_rotate(pose[:, 3:], torch.tensor([[1.0, 0.0, 0.0]]).expand(4, 3))
    assert right[:, 2].abs().max() < 1e-6, "the horizon is level"


def test_fit_sees_all_points_and_no_more_than_it_has_to() -> None:
    lens = Lens(width=160, height=90, fov=0.7)
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 4.0
    target = points.mean(0)
    pose = fit(target, torch.tensor([1.0, -1.0, 0.5]), points, lens, margin=1.0)
    x, y, z = quat_rotate_inverse(pose[3:].expand(50, 4), points - pose[:3]).unbind(-1)
    u, v = x / z * lens.focal_length / 80, y / z * lens.focal_length / 45
    edge = torch.maximum(u.abs(), v.abs()).max()
    assert (z > 0).all() and edge == pytest.approx(1.0, abs=1e-4)
    assert float(u.max() + u.min()) == pytest.approx(0.0, abs=0.02)
    assert float(v.max() + v.min()) == pytest.approx(0.0, abs=0.02)


def test_a_viewpoint_needs_a_direction() -> None:
    with pytest.raises(ValueError, match="must differ"):
        Viewpoint(eye=(1.0, 0.0, 0.0), target=(1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="fov"):
        Viewpoint(eye=(1.0, 0.0, 0.0), target=(0.0, 0.0, 0.0), fov=0.0)
