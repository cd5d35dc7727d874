"""Rays against a known plane, box and terrain."""

from __future__ import annotations

import math
import time

import pytest
import torch

from isaac_gymnasium.scene.mesh import box_mesh, join
from isaac_gymnasium.sensors import HeightScan, RayCaster, lidar_directions
from isaac_gymnasium.transforms import quat_from_euler_xyz

pytest.importorskip("warp")

GROUND = box_mesh((-50.0, -50.0, -1.0), (50.0, 50.0, 0.0))
CRATE = box_mesh((1.0, -0.5, 0.0), (2.0, 0.5, 0.6))


@pytest.fixture
def caster(device: torch.device) -> RayCaster:
    return RayCaster(join([GROUND, CRATE]), device, reach=30.0)


def test_rays_meet_the_ground_where_geometry_says(caster: RayCaster) -> None:
    angles = torch.deg2rad(torch.tensor([10.0, 30.0, 45.0, 89.0], device=caster.device))
    # Away from the crate.
    ways = torch.stack((-angles.cos(), torch.zeros_like(angles), -angles.sin()), dim=-1)
    distance, normal = caster.cast(torch.tensor((0.0, 0.0, 2.0), device=caster.device), ways)
    torch.testing.assert_close(distance, 2.0 / angles.sin(), atol=1e-4, rtol=1e-5)
    up = torch.tensor((0.0, 0.0, 1.0), device=caster.device).expand(4, 3)
    torch.testing.assert_close(normal, up, atol=1e-5, rtol=0.0)


def test_rays_meet_the_sides_and_the_top_of_a_box(caster: RayCaster) -> None:
    starts = torch.tensor(
        [[0.0, 0.0, 0.3], [1.5, 0.0, 3.0], [1.5, 2.0, 0.1], [0.0, 0.0, 0.7], [3.0, 0.2, 0.3]]
    )
    ways = torch.tensor(
        [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]
    )
    distance, normal = caster.cast(starts.to(caster.device), ways.to(caster.device))
    assert distance.tolist() == pytest.approx([1.0, 2.4, 1.5, 30.0, 1.0], abs=1e-5)
    expected = [[-1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]]
    torch.testing.assert_close(
        normal.cpu(), torch.tensor(expected, dtype=torch.float32), atol=1e-5, rtol=0.0
    )


def test_any_shape_of_rays_keeps_its_shape(caster: RayCaster) -> None:
    starts = torch.zeros(3, 1, 3, device=caster.device) + torch.tensor(
        (-5.0, 0.0, 4.0), device=caster.device
    )
    ways = torch.tensor((0.0, 0.0, -1.0), device=caster.device).expand(5, 3)
    distance, normal = caster.cast(starts, ways)
    assert distance.shape == (3, 5)
    assert normal.shape == (3, 5, 3)
    assert torch.equal(distance, torch.full_like(distance, 4.0))


def test_a_height_scan_turns_with_the_heading_and_not_with_the_tilt(caster: RayCaster) -> None:
    scan = HeightScan(caster, size=(1.6, 1.0), resolution=0.1)
    assert scan.offsets.shape == (17 * 11, 3)
    assert scan.offsets[0].tolist() == pytest.approx([-0.8, -0.5, 0.0])
    assert scan.offsets[-1].tolist() == pytest.approx([0.8, 0.5, 0.0])
    yaw = torch.tensor([0.0, math.pi / 2, math.pi, 0.0])
    tilt = torch.tensor([0.0, 0.0, 0.0, 0.4])
    quat = quat_from_euler_xyz(tilt, 0.5 * tilt, yaw)
    place = torch.tensor([[0.75, 0.0, 0.4], [1.5, -1.0, 0.4], [2.25, 0.0, 0.4], [0.75, 0.0, 0.4]])
    pose = torch.cat((place, quat), dim=-1).to(caster.device)
    heights = scan.scan(pose).cpu().view(4, 17, 11)
    # The crate begins 0.25 m ahead of the first robot and is as wide as the scan.
    forward = torch.linspace(-0.8, 0.8, 17)
    expected = torch.where(forward > 0.25, 0.6, 0.0)
    inner = heights[:, :, 1:10]
    torch.testing.assert_close(inner[0], expected.unsqueeze(-1).expand(17, 9), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(heights[3], heights[0], atol=1e-4, rtol=0.0)
    torch.testing.assert_close(inner[2], inner[0], atol=1e-4, rtol=0.0)
    # Looking along y from (1.5, -1), the crate begins half a metre ahead.
    expected = torch.where(forward > 0.45, 0.6, 0.0)
    rows = inner[1][(forward - 0.5).abs() > 0.06]
    wanted = expected[(forward - 0.5).abs() > 0.06].unsqueeze(-1).expand_as(rows)
    torch.testing.assert_close(rows[:, 1:8], wanted[:, 1:8], atol=1e-4, rtol=0.0)


def test_where_there_is_no_ground_the_scan_ends_at_its_reach(caster: RayCaster) -> None:
    pose = torch.tensor([[100.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]], device=caster.device)
    heights = HeightScan(caster, size=(0.0, 0.0), above=5.0).scan(pose)
    assert heights.tolist() == [[1.0 + 5.0 - 30.0]]


@pytest.mark.parametrize("nowhere", [math.nan, math.inf])
def test_rays_that_are_nowhere_meet_nothing_and_take_no_time(
    nowhere: float, device: torch.device
) -> None:
    crates = [box_mesh((x, y, 0.0), (x + 0.5, y + 0.5, 0.5)) for x in range(80) for y in range(80)]
    caster = RayCaster(join(crates), device, reach=30.0)
    starts = torch.tensor((0.1, 0.1, 9.0), device=device).repeat(3000, 1)
    ways = torch.tensor((0.0, 0.0, -1.0), device=device).repeat(3000, 1)
    lost = torch.full_like(starts[1:], nowhere)
    for rays in ((torch.cat((starts[:1], lost)), ways), (starts, torch.cat((ways[:1], lost)))):
        began = time.perf_counter()
        distance, normal = caster.cast(*rays)
        assert float(distance[0]) == pytest.approx(8.5)
        assert bool((distance[1:] == 30.0).all()) and not bool(normal[1:].any())
        assert time.perf_counter() - began < 2.0, "each was held against every triangle"


def test_a_lidar_sweeps_evenly_and_sees_a_ring_on_the_ground(caster: RayCaster) -> None:
    ways = lidar_directions(4, 36, elevation=(-0.6, -0.3))
    assert ways.shape == (4, 36, 3)
    torch.testing.assert_close(ways.norm(dim=-1), torch.ones(4, 36))
    assert ways[0, 0].tolist() == pytest.approx([math.cos(0.6), 0.0, -math.sin(0.6)])
    assert ways[3, 9].tolist() == pytest.approx([0.0, math.cos(0.3), -math.sin(0.3)], abs=1e-6)
    start = torch.tensor((-20.0, 0.0, 1.0), device=caster.device)
    distance, _ = caster.cast(start, ways.to(caster.device))
    ring = 1.0 / torch.linspace(-0.6, -0.3, 4).sin().neg()
    torch.testing.assert_close(
        distance.cpu(), ring.unsqueeze(-1).expand(4, 36), atol=1e-4, rtol=1e-5
    )
    narrow = lidar_directions(1, 3, elevation=(0.0, 0.0), azimuth=1.0)
    assert narrow[0, 1].tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_values_without_a_meaning_are_refused(caster: RayCaster) -> None:
    with pytest.raises(ValueError, match="reach must be positive"):
        RayCaster(GROUND, "cpu", reach=0.0)
    with pytest.raises(ValueError, match="positive resolution"):
        HeightScan(caster, resolution=0.0)
    with pytest.raises(ValueError, match="at least one channel"):
        lidar_directions(0, 4, elevation=(0.0, 0.0))
