"""An environment that explodes ends, says so, comes back, and leaves a report that plays back."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import isaac_gymnasium
import isaac_gymnasium.registration
from isaac_gymnasium.cli import main
from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.nan_guard import FRAMES, NanError
from isaac_gymnasium.nan_report import NanReport, replay
from isaac_gymnasium.vector_env import IsaacVectorEnv

N = 6
CARTPOLE = "IsaacCartpole-v0"
MODES = ["SameStep", "NextStep", "Disabled"]


def make(tmp_path: Path, id: str = CARTPOLE, **kwargs: Any) -> Any:
    return gym.make_vec(
        id, **{"num_envs": N, "device": "cpu", "nan_folder": str(tmp_path), **kwargs}
    )


def poison(env: Any, rows: list[int]) -> None:
    """Writes what an explosion leads to."""
    mask = torch.zeros(env.num_envs, dtype=torch.bool)
    mask[rows] = True
    for body in env.engine.bodies():
        quantity = "dof_vel" if hasattr(body, "dof_names") else "vel"
        body._set(quantity, torch.full_like(body._get(quantity), torch.nan), mask)


def step(env: Any) -> Any:
    return env.step(torch.zeros(env.action_space.shape))


def leaves(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    return [tree]


@pytest.mark.parametrize("mode", MODES)
def test_it_is_terminated_reset_and_the_others_do_not_notice(
    mode: str, tmp_path: Path, engine_name: str
) -> None:
    env = make(tmp_path, autoreset_mode=mode, engine=engine_name)
    twin = make(tmp_path, autoreset_mode=mode, engine=engine_name)
    env.reset(seed=0), twin.reset(seed=0)
    for k in range(12):
        if k == 4:
            poison(env, [5])
        mine, other = step(env), step(twin)
        bad = torch.arange(N) == 5 if k == 4 else torch.zeros(N, dtype=torch.bool)
        assert torch.equal(mine[4]["nan"], bad)
        assert torch.equal(mine[2], bad | other[2])
        assert not bool((mine[2] & mine[3]).any())
        for a, b in zip(mine[:4], other[:4], strict=True):
            assert bool(a.isfinite().all())
            assert torch.equal(a[:4], b[:4]), "the block of four without it"
        assert all(bool(x.isfinite().all()) for x in leaves(mine[4]))
        if k == 4:
            assert float(mine[1][5]) == 0.0
            if mode == "SameStep":
                assert torch.equal(mine[4]["final_obs"][5], torch.zeros(4))
                assert float(mine[0][5].abs().sum()) > 0
            elif mode == "Disabled":
                with pytest.raises(ValueError, match="1 of 6 environments have ended"):
                    step(env)
                obs, _ = env.reset(options={"reset_mask": bad})
                assert bool(obs.isfinite().all())
    assert len(list(tmp_path.iterdir())) == 1
    env.close(), twin.close()


@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
def test_what_an_episode_that_is_over_comes_to_hold_is_reset_and_not_marked(
    mode: str, tmp_path: Path, engine_name: str
) -> None:
    env = make(tmp_path, autoreset_mode=mode, engine=engine_name, max_episode_steps=3)
    env.reset(seed=0)
    for _ in range(3):
        result = step(env)
    assert bool(result[3].all())
    poison(env, [2])
    if mode == "Disabled":
        obs, _ = env.reset(options={"reset_mask": torch.arange(N) < 3})
        assert bool(obs.isfinite().all())
        env.reset(options={"reset_mask": torch.arange(N) >= 3})
    for _ in range(2):
        obs, reward, terminated, _, info = step(env)
        assert not bool(info["nan"].any() | terminated.any())
        assert all(bool(x.isfinite().all()) for x in [obs, reward, *leaves(info)])
    assert not list(tmp_path.iterdir())
    env.close()


def test_a_state_taken_beside_an_explosion_restores_the_others(tmp_path: Path) -> None:
    env = make(tmp_path, autoreset_mode="NextStep")
    env.reset(seed=0)
    poison(env, [1])
    step(env)
    state = env.get_state()
    sound = torch.arange(N) != 1
    for _ in range(3):
        step(env)
    obs = env.set_state(state, sound)
    assert bool(obs.isfinite().all())
    dof_pos = env.engine.articulation("Robot").dof_pos
    assert torch.equal(dof_pos[sound], state["Robot/dof_pos"][sound])
    with pytest.raises(ValueError, match="must be finite, got NaN or infinity"):
        env.set_state(state)
    env.close()


@pytest.mark.parametrize(
    ("quantity", "mode"), [("dof_vel", "NextStep"), ("dof_efforts", "SameStep")]
)
def test_on_terrain_an_explosion_holds_up_nobody(
    quantity: str, mode: str, tmp_path: Path, engine_name: str
) -> None:
    id = "IsaacGo2Rough-v0"
    made = {"engine": engine_name, "autoreset_mode": mode, "levels": 4, "tiles": 4}
    env, twin = (make(tmp_path, id, **made, first_levels=4) for _ in range(2))
    env.reset(seed=0), twin.reset(seed=0)
    for _ in range(2):
        step(env), step(twin)
    robot = env.engine.articulation("Robot")
    bad = torch.arange(N) >= 4
    robot._set(quantity, torch.full((N, 12), torch.nan), bad)
    started = time.perf_counter()
    for k in range(3):
        mine, other = step(env), step(twin)
        exploded = k == 0 or quantity == "dof_efforts"  # which stay until they are set again
        assert torch.equal(mine[4]["nan"], bad & exploded)
        assert all(bool(x.isfinite().all()) for x in [*mine[:2], *leaves(mine[4])])
        assert torch.equal(mine[0][:4], other[0][:4])
    assert time.perf_counter() - started < 2.0, "one robot took PhysX and rays seconds each"
    frames = NanReport.load(sorted(tmp_path.iterdir())[0]).states["Robot/root_pose"]
    assert bool(frames[:-1].isfinite().all()) and bool(frames[-1, :3].isnan().all())
    env.close(), twin.close()


def test_what_is_too_far_away_to_have_bounds_has_exploded(tmp_path: Path) -> None:
    env = make(tmp_path, "IsaacGo2Rough-v0", engine="physx", levels=2, tiles=2, first_levels=2)
    env.reset(seed=0)
    robot = env.engine.articulation("Robot")
    pose = robot.root_pose.clone()
    pose[3, 0] = 1e15
    robot.write_root_state(pose, robot.root_vel)
    assert step(env)[4]["nan"].tolist() == [k == 3 for k in range(N)]
    env.close()


@pytest.mark.parametrize("id", sorted(isaac_gymnasium.registration.registered_tasks()))
def test_every_task_comes_back(id: str, tmp_path: Path) -> None:
    if not id.startswith("Isaac"):
        pytest.skip("registered by another test")
    env = make(tmp_path, id, num_envs=2, engine="physx")
    env.reset(seed=0)
    step(env)
    with pytest.MonkeyPatch.context() as patch:
        if any(hasattr(body, "dof_names") for body in env.engine.bodies()):
            poison(env, [1])
        else:  # PhysX itself refuses such a velocity of a free body.
            ruined = {"ruined": torch.tensor([0.0, torch.nan])}
            patch.setattr(type(env.task), "get_rewards", lambda self: ruined)
        result = step(env)
    assert result[4]["nan"].tolist() == [False, True]
    for _ in range(3):
        obs, reward, _, _, info = step(env)
        assert all(bool(x.isfinite().all()) for x in [*leaves(obs), reward, *leaves(info)])
        assert info["nan"].tolist() == [False, False]
    env.close()


def test_the_mode_raise_raises_and_leaves_the_environment_usable(tmp_path: Path) -> None:
    env = make(tmp_path, nan_guard="raise")
    env.reset(seed=0)
    step(env)
    poison(env, [2, 4])
    message = r"2 of 6 environments held numbers that are not finite, the first is 2; see isaac-g"
    with pytest.raises(NanError, match=message):
        step(env)
    assert bool(step(env)[0].isfinite().all())
    env.close()


def test_the_mode_off_looks_away(tmp_path: Path) -> None:
    env = make(tmp_path, nan_guard="off")
    env.reset(seed=0)
    poison(env, [2])
    result = step(env)
    assert "nan" not in result[4]
    assert bool(result[0][2].isnan().any())
    assert not list(tmp_path.iterdir())
    env.close()
    with pytest.raises(ValueError, match=r"nan_guard must be one of \('reset', .*, got 'on'"):
        make(tmp_path, nan_guard="on")


@dataclass(kw_only=True)
class Seen(Cartpole):
    """Sees halves, more than their type can hold in sum, and tells a velocity."""

    def observation_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(-100.0, 100.0, (64, 64), np.float16)

    def get_observations(self) -> torch.Tensor:
        halves = torch.full((self.num_envs, 64, 64), 20.0, dtype=torch.float16)
        return halves + self.robot.dof_vel[:, :1, None].half()

    def get_extras(self) -> dict[str, torch.Tensor]:
        return {"speed": self.robot.dof_vel[:, 0]}


def test_many_halves_are_no_explosion_and_one_that_is_none_is(tmp_path: Path) -> None:
    env = IsaacVectorEnv(Seen, N, device="cpu", nan_folder=str(tmp_path))
    env.reset(seed=0)
    assert not bool(step(env)[4]["nan"].any())
    poison(env, [2])
    assert step(env)[4]["nan"].nonzero().tolist() == [[2]]
    env.close()


@dataclass(kw_only=True)
class OnlyImages(Cartpole):
    """Has no number that could be other than finite."""

    def observation_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(0, 255, (2, 2), np.uint8)

    def get_observations(self) -> torch.Tensor:
        return torch.zeros(self.num_envs, 2, 2, dtype=torch.uint8)

    def get_rewards(self) -> dict[str, torch.Tensor]:
        return {}


def test_a_task_of_images_without_a_reward_is_stepped(tmp_path: Path) -> None:
    env = IsaacVectorEnv(OnlyImages, N, device="cpu", nan_folder=str(tmp_path))
    env.reset(seed=0)
    result = step(env)
    assert not bool(result[4]["nan"].any()) and not bool(result[1].any())
    env.close()


def test_a_partial_reset_beside_an_explosion_tells_finite_numbers(tmp_path: Path) -> None:
    kwargs: dict[str, Any] = {"device": "cpu", "nan_folder": str(tmp_path)}
    env = IsaacVectorEnv(Seen, N, autoreset_mode="Disabled", **kwargs)
    env.reset(seed=0)
    poison(env, [2])
    told = step(env)[4]["speed"]
    _, info = env.reset(options={"reset_mask": torch.arange(N) == 0})
    assert torch.equal(info["speed"][1:], told[1:]), "as the last step left it"
    env.close()


def test_watching_changes_no_bit(tmp_path: Path) -> None:
    runs = []
    for guard in ("reset", "off"):
        env = make(tmp_path, "IsaacFrankaCube-v0", num_envs=4, nan_guard=guard)
        env.reset(seed=0)
        generator = torch.Generator().manual_seed(0)
        runs.append([env.step(torch.rand(4, 7, generator=generator) * 2 - 1) for _ in range(20)])
        env.close()
    for mine, other in zip(*runs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine[:4], other[:4], strict=True))


def test_the_report_holds_the_last_frames_and_plays_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    env = make(tmp_path, "IsaacFrankaCube-v0", num_envs=3, cube_size=0.04)
    env.reset(seed=0)
    generator = torch.Generator().manual_seed(0)
    taken, poses = [], []
    with caplog.at_level(logging.WARNING, "isaac_gymnasium.nan"):
        for k in range(50):
            taken.append(torch.rand(3, 7, generator=generator) * 2 - 1)
            if k == 49:
                poison(env, [1])
            env.step(taken[-1])
            poses.append(env.task.cube_position()[1].clone())
    assert "1 of 3 environments held numbers that are not finite, the first is 1" in caplog.text
    env.close()
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("FrankaCube-env1-") and file.suffix == ".pt"
    report = NanReport.load(file)
    assert (report.engine, report.env) == (env.engine.name, 1)
    assert report.parameters["cube_size"] == 0.04
    assert report.first_step == 50 - FRAMES + 1
    assert torch.equal(report.actions, torch.stack(taken)[-FRAMES:, 1])
    recorded = report.states["Cube/pose"][:-1, :3]
    torch.testing.assert_close(recorded, torch.stack(poses)[-FRAMES:-1], atol=1e-6, rtol=0.0)

    frames = list(replay(report))
    assert [frame.step for frame in frames] == list(range(50 - FRAMES + 1, 51))
    assert frames[0].deviation < 1e-6
    assert max(frame.deviation for frame in frames[:10]) < 0.05
    assert [bool(frame.bad) for frame in frames] == [False] * (FRAMES - 1) + [True]
    assert "Robot/dof_vel" in frames[-1].bad
    assert not frames[-1].bad_again, "written by the test, not by the physics"

    assert main(["replay", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = f"franka_cube:FrankaCube, engine {env.engine.name}, environment 1"
    assert lines[0].endswith(told)
    assert lines[-1].startswith("step 50: ") and "not finite: Robot/dof_" in lines[-1]
    assert len([line for line in lines if line.startswith("step ")]) == FRAMES


def test_a_file_that_is_no_report_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    garbage, other = tmp_path / "garbage.pt", tmp_path / "other.pt"
    garbage.write_bytes(b"garbage")
    torch.save({"state": torch.zeros(3)}, other)
    for path in (garbage, other):
        with pytest.raises(ValueError, match=f"{path} is no NaN report"):
            NanReport.load(path)
        assert main(["replay", str(path)]) == 2
        assert "is no NaN report" in capsys.readouterr().err
    with pytest.raises(ValueError, match="there is no such file"):
        NanReport.load(tmp_path / "missing.pt")


def test_reports_are_few(tmp_path: Path) -> None:
    env = make(tmp_path)
    env.reset(seed=0)
    for _ in range(3):
        poison(env, list(range(N)))
        assert bool(step(env)[4]["nan"].all())
    assert len(list(tmp_path.iterdir())) == 8
    env.close()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("engine", ["physx", "newton"])
@pytest.mark.parametrize("mode", MODES[:2])
def test_on_a_gpu_nothing_waits(mode: str, engine: str, tmp_path: Path) -> None:
    env = make(tmp_path, device="cuda:0", autoreset_mode=mode, engine=engine)
    env.reset(seed=0)
    actions = torch.zeros(N, 1, device=env.device)
    for _ in range(8):
        env.step(actions)
    bad = actions.clone()
    bad[3] = torch.nan
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = env.step(bad)
        for _ in range(7):
            assert env.step(actions)[0].shape == (N, 4)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert result[4]["nan"].tolist() == [k == 3 for k in range(N)]
    assert torch.equal(result[2], result[4]["nan"])
    for _ in range(40):
        result = env.step(actions)
    assert bool(result[0].isfinite().all())
    assert len(list(tmp_path.iterdir())) == 1
    env.close()
