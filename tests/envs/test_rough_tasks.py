"""What walking on rough ground adds: `IsaacGo2Rough-v0`, `IsaacAnymalRough-v0`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.envs.anymal_rough import AnymalRough
from isaac_gymnasium.envs.go2_rough import Go2Rough
from isaac_gymnasium.transforms import wrap_to_pi, yaw_from_quat

TASKS = {"IsaacAnymalRough-v0": AnymalRough, "IsaacGo2Rough-v0": Go2Rough}
IDS = list(TASKS)
KEYWORDS = {"levels": 3, "tiles": 10, "first_levels": 2}

Make = Callable[..., Any]


@pytest.mark.parametrize("id", IDS)
def test_robots_start_and_stand_on_their_tiles_and_not_on_each_other(
    make_id: Make, id: str
) -> None:
    env = make_id(id, 40, max_forward=0.0, max_sideways=0.0, max_turn=0.0, joint_noise=0.0)
    task = env.task
    assert set(task.level.tolist()) == {0, 1}
    assert set(task.column.tolist()) == set(range(10))
    place = torch.from_numpy(task.terrain.origins).to(env.device)[task.level, task.column]
    assert torch.equal(task.start, place)
    above = task.robot.root_pose[:, :3] - place
    expected = torch.tensor((0.0, 0.0, task.start_height), device=env.device).expand(40, 3)
    torch.testing.assert_close(above, expected, atol=1e-4, rtol=0.0)
    for _ in range(50):
        _, _, terminated, _, info = env.step(torch.zeros(40, 12))
        assert not terminated.any()
    # Four environments share a tile's middle here, as if each were alone.
    above = task.robot.root_pose[:, :3] - place
    assert float(above[:, :2].abs().max()) < 0.1
    assert float((above[:, 2] - above[:, 2].mean()).abs().max()) < 0.05
    assert torch.equal(info["level"], task.level.float())


@pytest.mark.parametrize("id", IDS)
def test_the_scan_is_the_height_above_the_ground(make_id: Make, id: str) -> None:
    env = make_id(id, 10, joint_noise=0.0)
    task = env.task
    obs = task.get_observations()
    assert obs.shape == (10, 235)
    # All stand on level ground within the scan, but for noise and boxes further out.
    height = task.robot.root_pose[:, 2:3] - task.start[:, 2:3]
    level = [k for k, c in enumerate(task.column.tolist()) if "stairs" in task.terrain.kinds[c]]
    torch.testing.assert_close(
        obs[level, 48:], (height - 0.5)[level].expand(-1, 187), atol=1e-4, rtol=0.0
    )
    pose = task.robot.root_pose.clone()
    pose[:, 2] += 5.0
    task.robot.write_root_state(pose, torch.zeros_like(task.robot.root_vel))
    assert torch.equal(task.get_observations()[:, 48:], torch.ones(10, 187, device=env.device))


@pytest.mark.parametrize("id", IDS)
def test_who_leaves_the_tile_climbs_and_who_stays_behind_descends(make_id: Make, id: str) -> None:
    env = make_id(id, 8, first_levels=3)
    task = env.task
    task.level.fill_(1)
    task.steps.fill_(1000.0)
    task.steps[6:] = 10.0
    task.velocity_command.command.zero_()
    task.velocity_command.command[2:6, 0] = 0.5
    task.velocity_command.command[1, 0] = 0.3
    pose = task.robot.root_pose.clone()
    # Asked for 10 m, 4.5 m is off the tile and 3 m is too little; asked for 6 m, 3.5 m will do.
    for row, way in enumerate((4.5, 3.5, 4.5, 3.0, 0.0, 3.9, 4.5, 0.0)):
        pose[row, 0] = task.start[row, 0] + way
    task.robot.write_root_state(pose, torch.zeros_like(task.robot.root_vel))
    env.reset()
    assert task.level.tolist() == [2, 1, 2, 0, 0, 0, 1, 1]
    heights = torch.from_numpy(task.terrain.origins).to(env.device)[task.level, task.column, 2]
    torch.testing.assert_close(task.robot.root_pose[:, 2], heights + task.start_height)


@pytest.mark.parametrize("id", IDS)
def test_random_actions_throw_nobody_about(make_id: Make, id: str) -> None:
    env = make_id(id, 16, first_levels=3, autoreset_mode="Disabled")
    task = env.task
    actions = torch.Generator().manual_seed(0)
    for _ in range(60):
        obs, _, terminated, _, _ = env.step(2.0 * torch.rand(16, 12, generator=actions) - 1.0)
        assert torch.isfinite(obs).all()
        # Joints reach what their limits let them and bounce, the base falls from where it stood.
        assert float(task.robot.dof_vel.abs().max()) < 60.0
        assert float(task.robot.root_vel[:, :3].norm(dim=-1).max()) < 3.0
        above = task.robot.root_pose[:, 2] - task.start[:, 2]
        assert float(above.min()) > -0.2
        assert float(above.max()) < task.start_height + 0.1
        if terminated.any():
            env.reset(options={"reset_mask": terminated})


def test_the_turn_asked_for_leads_to_a_heading(make_id: Make) -> None:
    env = make_id("IsaacGo2Rough-v0", 32, standing_share=0.0)
    task = env.task
    for _ in range(2):
        left = task.velocity_command._heading - yaw_from_quat(task.robot.root_pose[:, 3:7])
        asked = (0.5 * wrap_to_pi(left)).clamp(-1.0, 1.0)
        torch.testing.assert_close(task.velocity_command.command[:, 2], asked)
        env.step(torch.rand(32, 12) - 0.5)


def test_beyond_the_hardest_level_lies_any_and_below_the_easiest_none(make_id: Make) -> None:
    env = make_id("IsaacGo2Rough-v0", 64)
    task = env.task
    task.level.fill_(2)
    task.level[32:] = 0
    task.steps.fill_(1000.0)
    task.velocity_command.command.fill_(1.0)
    pose = task.robot.root_pose.clone()
    pose[:32, 0] = task.start[:32, 0] + 5.0
    task.robot.write_root_state(pose, torch.zeros_like(task.robot.root_vel))
    env.reset()
    assert set(task.level[:32].tolist()) == {0, 1, 2}
    assert not task.level[32:].any()


def test_without_a_curriculum_levels_stay(make_id: Make) -> None:
    env = make_id("IsaacGo2Rough-v0", 8, curriculum=False)
    before = env.task.level.clone()
    env.task.steps.fill_(1000.0)
    env.task.velocity_command.command.fill_(1.0)
    env.reset()
    assert torch.equal(env.task.level, before)


def test_falling_off_the_terrain_ends_the_episode(make_id: Make) -> None:
    env = make_id("IsaacGo2Rough-v0", 2)
    pose = env.task.robot.root_pose.clone()
    pose[1, 2] = -6.0
    env.task.robot.write_root_state(pose, torch.zeros_like(env.task.robot.root_vel))
    assert env.task.get_terminations().tolist() == [False, True]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"levels": 0}, "levels must be an integer of at least 1, got 0"),
        ({"tiles": 2.5}, "tiles must be an integer"),
        ({"levels": 3, "first_levels": 4}, "first_levels must be at most levels, got 4 of 3"),
    ],
)
@pytest.mark.parametrize("id", IDS)
def test_values_without_a_meaning_are_refused(id: str, values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TASKS[id](**values)
