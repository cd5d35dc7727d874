"""Cameras against geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from any_engine import ENGINE
from still_life import StillLife

from isaac_gymnasium.sensors import Camera
from isaac_gymnasium.transforms import pose_compose, quat_rotate, quat_rotate_inverse
from isaac_gymnasium.vector_env import IsaacVectorEnv

ALL = ("rgb", "depth", "segmentation", "normals")
N = 3


@pytest.fixture(scope="module")
def envs() -> Iterator[Any]:
    envs = IsaacVectorEnv(StillLife, N, engine=ENGINE, device="cpu", robot=True)
    envs.reset(seed=0)
    yield envs
    envs.close()


def camera(envs: Any, **kwargs: Any) -> Camera:
    return Camera(envs.engine, **{"outputs": ALL, "width": 65, "height": 49, **kwargs})


def rays(seen: Camera) -> torch.Tensor:
    """(H, W, 3) directions of length 1 along the axis, camera frame."""
    lens = seen.lens
    rows, columns = torch.meshgrid(
        torch.arange(lens.height) + 0.5, torch.arange(lens.width) + 0.5, indexing="ij"
    )
    pixels = torch.stack((columns, rows, torch.ones_like(rows)), dim=-1)
    return pixels @ torch.linalg.inv(seen.intrinsics).T


def test_the_depth_of_the_ground_is_that_of_a_plane(envs: Any) -> None:
    seen = camera(envs, position=(-20.0, -20.0, 3.0), target=(-18.0, -17.0, 0.0), fov=1.0)
    slope = quat_rotate(seen.pose[:1, 3:].expand(49 * 65, 4), rays(seen).view(-1, 3))[:, 2]
    expected = (-3.0 / slope).view(49, 65)
    assert slope.max() < 0, "the camera sees the ground alone"
    for k in range(N):
        torch.testing.assert_close(seen.depth[k], expected, rtol=1e-5, atol=1e-4)
    up = torch.tensor([0.0, 0.0, 1.0]).expand_as(seen.normals)
    torch.testing.assert_close(seen.normals, up, rtol=0, atol=1e-5)
    assert (seen.segmentation == seen.labels.index("ground")).all()


def test_the_depth_of_a_ball_is_that_of_a_sphere(envs: Any) -> None:
    seen = camera(envs, position=(0.0, -4.0, 1.0), target=(0.0, 0.0, 1.0), fov=0.5)
    on_ball = seen.segmentation[0] == seen.labels.index("Ball")
    d = rays(seen)
    # |t d - c| = r with the centre c on the axis, 4 m ahead.
    a, b, c = d.square().sum(-1), 4.0 * d[..., 2], 16.0 - 0.25
    root = b.square() - a * c
    expected = (b - root.clamp(min=0.0).sqrt()) / a
    assert torch.equal(on_ball, root > 0)
    assert int(on_ball.sum()) == pytest.approx(
        math.pi * (seen.lens.focal_length * 0.5 / math.sqrt(c)) ** 2, rel=0.02
    )
    torch.testing.assert_close(seen.depth[0][on_ball], expected[on_ball], rtol=0, atol=1e-3)
    normals = (d * expected.unsqueeze(-1) - torch.tensor([0.0, 0.0, 4.0]))[on_ball] / 0.5
    # Camera x is the world's x, camera y down, camera z the world's y.
    world = torch.stack((normals[:, 0], normals[:, 2], -normals[:, 1]), dim=-1)
    torch.testing.assert_close(seen.normals[0][on_ball], world, rtol=0, atol=2e-3)


def test_where_surfaces_coincide_one_of_them_is_seen(envs: Any) -> None:
    seen = camera(envs, position=(5.0, 6.0, 1.7), target=(6.0, 8.0, 1.0), fov=0.3)
    found = seen.segmentation[0].unique().tolist()
    assert sum(seen.labels[k] in ("Twin", "Double") for k in found) == 1


@pytest.mark.parametrize(
    ("name", "place", "eye", "depth"),
    [
        ("Ball", (0.0, 0.0, 1.0), (0.0, 0.0, 9.0), 7.5),
        ("Crate", (2.0, 0.0, 1.0), (2.0, -3.0, 1.0), 2.7),
        ("Crate", (2.0, 0.0, 1.0), (2.0, 0.0, 5.0), 3.6),
        ("Pill", (4.0, 0.0, 1.0), (4.0, -3.0, 1.0), 2.5),
        ("Pill", (4.0, 0.0, 1.0), (4.0, 0.0, 5.0), 3.8),
        ("Can", (6.0, 0.0, 1.0), (6.0, -3.0, 1.0), 2.7),
        ("Can", (6.0, 0.0, 1.0), (6.0, 0.0, 5.0), 3.6),
        ("Can", (6.2, 0.0, 1.0), (6.2, 0.0, 0.1), 0.5),
        ("Cone", (8.0, 0.0, 1.0), (8.0, -3.0, 1.0), 2.85),
        ("Cone", (8.1, 0.0, 1.0), (8.1, 0.0, 5.0), 3.8667),
        ("Cone", (8.2, 0.0, 1.0), (8.2, 0.0, 0.1), 0.5),
        ("Pyramid", (10.0, 0.0, 1.3), (10.0, -3.0, 1.3), 2.75),
        ("Pyramid", (10.0, 0.1, 1.0), (10.0, 0.1, 5.0), 3.52),
        ("Pyramid", (10.2, 0.1, 1.0), (10.2, 0.1, 0.1), 0.9),
        ("Egg", (12.0, 0.0, 1.0), (12.0, -3.0, 1.0), 2.5),
        ("Egg", (12.0, 0.0, 1.0), (15.0, 0.0, 1.0), 2.7),
        ("Egg", (12.0, 0.0, 1.0), (12.0, 0.0, 5.0), 3.6),
    ],
)
def test_every_kind_of_shape_is_where_it_is(
    envs: Any, name: str, place: tuple, eye: tuple, depth: float
) -> None:
    seen = camera(envs, position=eye, target=place, width=9, height=9, fov=0.02)
    middle = (slice(None), 4, 4)
    assert seen.labels[int(seen.segmentation[0, 4, 4])] == name
    assert seen.depth[middle].tolist() == pytest.approx([depth] * N, abs=1e-3)
    normal = seen.normals[0, 4, 4]
    assert normal.norm() == pytest.approx(1.0, abs=1e-5)
    # The normal agrees with the slope of the depth image.
    tangents = []
    points = seen.depth[0].unsqueeze(-1) * rays(seen)
    points = quat_rotate(seen.pose[:1, 3:].expand(81, 4), points.view(-1, 3)).view(9, 9, 3)
    for one, other in ((points[4, 5], points[4, 3]), (points[5, 4], points[3, 4])):
        tangents.append(torch.nn.functional.normalize(one - other, dim=-1))
    assert max(abs(float(t @ normal)) for t in tangents) < 2e-2


def test_colours_are_those_of_the_shapes(envs: Any) -> None:
    for place, channel in ((0.0, 0), (2.0, 1), (4.0, 2), (10.0, 2)):
        seen = camera(envs, position=(place, -4.0, 1.3), target=(place, 0.0, 1.15), fov=0.02)
        color = seen.rgb.float().mean((0, 1, 2))
        others = [c for c in range(3) if c != channel]
        assert color[channel] > 2 * max(color[others])


def test_nothing_is_nowhere(envs: Any) -> None:
    seen = camera(envs, position=(0.0, 0.0, 20.0), target=(1.0, 0.0, 30.0))
    assert torch.isinf(seen.depth).all()
    assert not seen.segmentation.any() and not seen.normals.any()
    assert seen.labels[0] == "nothing"


def test_what_is_invisible_is_not_seen(envs: Any) -> None:
    seen = camera(envs, position=(0.0, -6.0, 1.0), target=(0.0, 0.0, 1.0), fov=0.1)
    assert "Hidden" not in seen.labels
    assert seen.depth[0, 24, 32] == pytest.approx(5.5, abs=1e-3)


def test_things_throw_shadows(envs: Any) -> None:
    view = {"position": (0.0, -3.0, 3.0), "target": (-0.35, 0.5, 0.0), "outputs": ("rgb",)}
    with_shadows, without = camera(envs, **view), camera(envs, **view, shadows=False)
    darker = with_shadows.rgb.float().mean(-1) < 0.8 * without.rgb.float().mean(-1)
    assert 0.02 < float(darker.float().mean()) < 0.5
    brighter = with_shadows.rgb.int() > without.rgb.int()
    assert not brighter.any()


def test_all_environments_see_the_same_of_the_same_scene(envs: Any) -> None:
    seen = camera(envs, position=(3.0, -6.0, 3.0), target=(3.0, 0.0, 1.0))
    for name in ALL:
        image = getattr(seen, name)
        assert all(torch.equal(image[0], image[k]) for k in range(1, N)), name


def test_a_camera_on_the_hand_moves_with_the_hand(envs: Any) -> None:
    arm = envs.task.arm
    seen = camera(envs, body="Robot/panda_hand", position=(0.1, 0.0, 0.0), near=0.02)
    before = seen.pose.clone(), seen.depth.clone()
    joints = envs.task.home.clone()
    joints[1, 0] += 1.0
    joints[2, 3] -= 0.5
    arm.write_dof_state(joints, torch.zeros_like(joints))
    hand = arm.link_pose[:, arm.link_index("panda_hand")].clone()
    hand[:, :3] -= envs.engine.env_origins
    offset = torch.tensor([[0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]).expand(N, 7)
    torch.testing.assert_close(seen.pose, pose_compose(hand, offset), rtol=0, atol=1e-5)
    assert torch.equal(seen.depth[0], before[1][0])
    assert (seen.pose[1:] - before[0][1:]).abs().amax(-1).min() > 0.1
    assert (seen.depth[2] - before[1][2]).abs().max() > 0.01
    # The ground, where the middle ray meets it: the camera's height over the ray's slope.
    ahead = quat_rotate(seen.pose[:, 3:], torch.tensor([[0.0, 0.0, 1.0]]).expand(N, 3))
    ground = seen.segmentation[:, 24, 32] == seen.labels.index("ground")
    expected = seen.pose[:, 2] / -ahead[:, 2]
    assert ground.any()
    torch.testing.assert_close(seen.depth[:, 24, 32][ground], expected[ground], rtol=0, atol=1e-3)
    arm.write_dof_state(envs.task.home, torch.zeros_like(joints))


def test_a_moving_body_is_seen_where_it_is_now(envs: Any) -> None:
    seen = camera(envs, position=(0.0, 3.0, 2.0), target=(0.0, 3.0, 0.0), outputs=("depth",))
    assert seen.depth[:, 24, 32].tolist() == pytest.approx([1.8] * N, abs=2e-3)
    pose = envs.task.dice.pose.clone()
    pose[1, 2] += 0.5
    envs.task.dice.write_state(pose, torch.zeros(N, 6))
    assert seen.depth[:, 24, 32].tolist() == pytest.approx([1.8, 1.3, 1.8], abs=2e-3)
    envs.step(torch.zeros(N, 1))
    fallen = 9.81 * (2 * envs.task.dt) ** 2
    assert 1.3 < float(seen.depth[1, 24, 32]) < 1.3 + 2 * fallen
    envs.reset(seed=0)


def test_each_environment_can_have_its_own_camera_pose(envs: Any) -> None:
    seen = camera(envs, position=(-20.0, 0.0, 2.0), target=(-20.0, 0.0, 0.0), outputs=("depth",))
    assert seen.depth[:, 24, 32].tolist() == pytest.approx([2.0] * N, abs=1e-4)
    seen.local_pose[:, 2] += torch.arange(N)
    assert seen.depth[:, 24, 32].tolist() == pytest.approx([2.0, 3.0, 4.0], abs=1e-4)


def test_an_image_is_rendered_once_for_one_state(
    envs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = camera(envs)
    calls = []
    render = seen._renderer.render
    monkeypatch.setattr(
        seen._renderer, "render", lambda *a, **k: (calls.append(1), render(*a, **k))
    )
    first = seen.rgb
    assert seen.rgb is first and seen.depth is not first and len(calls) == 1
    envs.step(torch.zeros(N, 1))
    seen.rgb.sum()
    assert len(calls) == 2


def test_only_images_that_would_change_are_made_anew(envs: Any) -> None:
    view = {"position": (0.0, 5.0, 2.0), "target": (0.0, 3.0, 0.0), "outputs": ("rgb",)}
    seen = camera(envs, **view)
    before, images = seen.rgb.clone(), seen._images
    assert images.changed.all()
    pose = envs.task.dice.pose.clone()
    pose[1, 0] += 0.3
    envs.task.dice.write_state(pose, torch.zeros(N, 6))
    after = seen.rgb
    assert images.changed.tolist() == [0, 1, 0]
    assert torch.equal(after, camera(envs, **view).rgb) and not torch.equal(after[1], before[1])
    seen.local_pose[2, 2] += 0.1
    assert seen.rgb is after and images.changed.tolist() == [0, 0, 1]
    for change in ({"shadows": False}, {"samples": 2}):
        seen._renderer.render(seen._renderer.poses(), seen.pose, images, **change)
        assert images.changed.all(), "other light or more rays make all images anew"
    envs.reset(seed=0)


def test_the_inside_of_what_holds_the_camera_is_not_seen(envs: Any) -> None:
    for place in ((0.0, 0.0, 1.0), (2.0, 0.0, 1.0), (4.0, 0.0, 1.0), (6.0, 0.0, 1.0)):
        above = (place[0] + 0.5, 3.0, 1.1)
        seen = camera(envs, position=place, target=above, outputs=("depth",))
        assert torch.isinf(seen.depth[0, 24, 32])


def test_sizes_and_dtypes(envs: Any) -> None:
    seen = camera(envs, width=12, height=8)
    shapes = {name: (getattr(seen, name).dtype, tuple(getattr(seen, name).shape)) for name in ALL}
    assert shapes == {
        "rgb": (torch.uint8, (N, 8, 12, 3)),
        "depth": (torch.float32, (N, 8, 12)),
        "segmentation": (torch.int32, (N, 8, 12)),
        "normals": (torch.float32, (N, 8, 12, 3)),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be an integer of at least 1, got 0"),
        ({"fov": 4.0}, "fov must lie in"),
        ({"near": 0.0}, "near must be positive"),
        ({"outputs": ("rgb", "infrared")}, "outputs must be some of"),
        ({"outputs": ()}, "outputs must be some of"),
        ({"body": "Robot/panda_foot"}, "nothing that moves is named 'Robot/panda_foot'"),
        ({"orientation": (0.0, 0.0, 0.0, 2.0)}, "length 1"),
        ({"orientation": (0.0, 0.0, 0.0, 1.0), "target": (1.0, 0.0, 0.0)}, "not both"),
        ({"target": (0.0, 0.0, 0.0)}, "must differ"),
    ],
)
def test_bad_arguments_are_refused(envs: Any, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        camera(envs, **arguments)


def test_an_output_that_was_not_asked_for_is_refused(envs: Any) -> None:
    with pytest.raises(ValueError, match="no depth: make it with outputs"):
        _ = camera(envs, outputs=("rgb",)).depth


def test_both_engines_show_the_same(engine_name: str, device: torch.device) -> None:
    made = IsaacVectorEnv(StillLife, 2, engine=engine_name, device=device, robot=True)
    made.reset(seed=0)
    seen = camera(made, position=(1.5, 4.6, 1.0), target=(0.3, 6.0, 0.3))
    arm = made.task.arm
    for link, where in (("panda_hand", (0.0, 0.0, 0.033)), ("panda_link2", (0.0, -0.1, 0.0))):
        point = torch.tensor([where], device=device).expand(2, 3)
        pose = arm.link_pose[:, arm.link_index(link)]
        point = pose[:, :3] + quat_rotate(pose[:, 3:], point) - made.engine.env_origins
        local = quat_rotate_inverse(seen.pose[:, 3:], point - seen.pose[:, :3])
        u, v, w = (local @ seen.intrinsics.T)[0].tolist()
        pixel = (0, int(v / w), int(u / w))
        assert seen.labels[int(seen.segmentation[pixel])] == f"Robot/{link}"
        assert 0.0 < w - float(seen.depth[pixel]) < 0.13, "the point lies behind the surface"
    torch.testing.assert_close(seen.depth[0], seen.depth[1], rtol=0, atol=1e-4)
    made.close()
