"""RTX cameras on the stand-in, which draws what stage and Fabric say with our own ray caster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import pytest
import torch

from isaac_gymnasium.engines import Engine, EngineError, _isaacsim_app, load_engine
from isaac_gymnasium.engines import isaacsim as adapter
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene import sphere
from isaac_gymnasium.scene.builder import Scene
from isaac_gymnasium.sensors import Camera
from isaac_gymnasium.transforms import quat_from_axis_angle, quat_mul

NUM_ENVS = 5


@pytest.fixture
def own_kit(kit: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Kit as if the adapter had started it, so that its frames are ours to ask for."""
    monkeypatch.setattr(_isaacsim_app, "_app", kit.app)
    return kit


@pytest.fixture
def start(own_kit: Any) -> Iterator[Callable[[], Engine]]:
    engines: list[Engine] = []

    def make_engine() -> Engine:
        scene = Scene(env_spacing=2.0)
        scene.add_ground()
        scene.add_robot("Arm", franka(), position=(0.0, 0.0, 0.2))
        scene.add_rigid_body("Ball", sphere(0.1), mass=0.3, position=(0.6, 0.3, 0.4))
        engine = load_engine("isaacsim")(scene, NUM_ENVS, 1.0 / 120.0, torch.device("cpu"))
        engines.append(engine)
        return engine

    yield make_engine
    own_kit.products.clear()
    for engine in engines:
        engine._cameras.clear()
        engine.close()


def pair(engine: Engine, outputs: tuple[str, ...], **kwargs: Any) -> tuple[Camera, Camera]:
    """The same camera, drawn by RTX and by our ray caster."""
    common = {"width": 31, "height": 21, "fov": 1.0, "outputs": outputs, **kwargs}
    theirs = Camera(engine, **common)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(engine), "camera", lambda self, **kwargs: None)
        return theirs, Camera(engine, **common)


def exercise(engine: Engine) -> None:
    """Passes on an adapter that keeps every rule, and on no other."""
    rtx_alone = ("depth", "normals", "rgb")
    outputs = (*rtx_alone, "segmentation")
    cameras = [
        # The ray caster asks for link poses, and so has them updated; this one does not.
        pair(engine, rtx_alone, position=(1.5, -1.2, 1.0), target=(0.2, 0.0, 0.4)),
        pair(engine, outputs, body="Arm/panda_hand", position=(0.05, 0.0, 0.0), target=(0, 0, 1.0)),
        # Along the row of environments: a ball in each, one behind the other.
        pair(engine, outputs, position=(0.3, 0.3, 0.4), target=(1.0, 0.3, 0.4), fov=0.1),
    ]
    arm, ball = engine.articulation("Arm"), engine.rigid_body("Ball")
    k = torch.arange(engine.num_envs, dtype=torch.float32)

    def look() -> None:
        for rtx, cast in cameras:
            # The mesh that RTX shows for the ground ends, far away.
            near = [each.depth.clamp(max=20.0) for each in (rtx, cast)]
            torch.testing.assert_close(*near, atol=1e-3, rtol=1e-3)
            turned = (rtx.normals - cast.normals).norm(dim=-1)[cast.depth < 20.0]
            assert turned.mean() < 1e-2
            if "segmentation" in rtx._buffers:
                assert torch.equal(rtx.segmentation, cast.segmentation)
            assert rtx.rgb.float().mean() > 40.0, "it is dark"
        # Environments are told apart.
        distances = torch.cdist(*[cameras[0][0].depth.clamp(max=99.0).flatten(1)] * 2)
        assert (distances + torch.eye(engine.num_envs) > 1e-3).all()

    def spread(height: float) -> None:
        pose = ball.pose.clone()
        pose[:, 2] = height + 0.05 * k
        ball.write_state(pose, torch.zeros_like(ball.vel))

    spread(0.4)
    look()
    # After steps, and after a write without one.
    arm.set_dof_targets(arm.dof_pos + 0.3)
    engine.step(10)
    look()
    pos = arm.dof_pos.clone()
    pos[:, 0] += 0.1 * k
    arm.write_dof_state(pos, torch.zeros_like(pos))
    spread(0.35)
    look()
    # Cameras that are moved, each in its own way.
    for camera in cameras[0]:
        camera.local_pose[:, 2] += 0.1 * k
    look()
    # A new simulation of the same scene.
    engine.restart()
    spread(0.4)
    look()


def test_pictures_show_each_environment_as_it_is(start: Callable[[], Engine]) -> None:
    engine = start()
    exercise(engine)
    engine.close()


def by_columns(self: Any, tiles: torch.Tensor, count: int) -> torch.Tensor:
    rows, columns = tiles.shape[0] // self._height, tiles.shape[1] // self._width
    tiles = tiles.reshape(rows, self._height, columns, self._width, -1)
    return tiles.permute(2, 0, 1, 3, 4).flatten(0, 1)[:count]


def place_unturned(self: Any, poses: torch.Tensor) -> bool:
    turned = poses.clone()
    turned[:, 3:] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    return PLACE(self, turned)


def place_once(self: Any, poses: torch.Tensor) -> bool:
    return False if self._placed is not None else PLACE(self, poses)


def place_without_axes(self: Any, poses: torch.Tensor) -> bool:

    half_turn = quat_from_axis_angle(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([torch.pi]))
    poses = poses.clone()
    poses[:, 3:] = quat_mul(poses[:, 3:], half_turn.expand(len(poses), 4))
    return PLACE(self, poses)


def draw_stale_links(self: Any, anew: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(self), "_update_kinematics", lambda self: None)
        DRAW(self, anew)


def draw_what_is_there(self: Any, anew: bool) -> None:
    if anew or self._drawn is None:
        DRAW(self, anew)


CAMERA = _isaacsim_app.TiledCamera
PLACE, DRAW = CAMERA._place, adapter.IsaacSimEngine._draw_for_camera
NO_FABRIC = tuple(name for name in _isaacsim_app._EXTENSIONS if "fabric" not in name)


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        pytest.param(CAMERA, "_cut", by_columns, id="tiles column by column"),
        pytest.param(CAMERA, "_place", place_unturned, id="cameras without their turn"),
        pytest.param(CAMERA, "_place", place_once, id="cameras that stay"),
        pytest.param(CAMERA, "_place", place_without_axes, id="axes that are not USD's"),
        pytest.param(CAMERA, "_author", lambda self: None, id="no camera in the stage"),
        pytest.param(
            adapter.IsaacSimEngine, "_draw_for_camera", draw_stale_links, id="links of before"
        ),
        pytest.param(
            adapter.IsaacSimEngine, "_draw_for_camera", draw_what_is_there, id="the last frame"
        ),
        pytest.param(adapter, "_dress", lambda file: None, id="no light"),
        pytest.param(_isaacsim_app, "_FRAMES_TO_WAIT", 1, id="the first frame, which is empty"),
        pytest.param(CAMERA, "close", lambda self: None, id="render products that are left"),
    ],
)
def test_an_adapter_that_breaks_a_rule_is_caught(
    start: Callable[[], Engine],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    wrong: Any,
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(Exception):  # noqa: B017 (each fails in its own way)
        exercise(start())


def test_poses_without_fabric_never_arrive(
    start: Callable[[], Engine], own_kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_kit, "extensions", own_kit.extensions - {"omni.physx.fabric"})
    engine = start()
    own_kit.extensions.add("omni.physx.fabric")
    with pytest.raises(AssertionError):
        exercise(engine)


def test_without_partitions_neighbours_are_in_the_picture(
    start: Callable[[], Engine], own_kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    rtx, cast = pair(engine, ("depth",), position=(0.8, 0.3, 0.4), target=(1.0, 0.3, 0.4), fov=0.1)
    assert torch.equal(rtx.depth < 7.0, cast.depth < 7.0)
    monkeypatch.setattr(own_kit, "version", "5.1")
    engine.step()
    assert (rtx.depth < 7.0).sum() > (cast.depth < 7.0).sum()
    engine.close()


def test_a_picture_cannot_be_recorded(start: Callable[[], Engine]) -> None:
    engine = start()
    camera = Camera(engine, position=(1.0, 1.0, 1.0), target=(0.0, 0.0, 0.0), width=8, height=8)
    with engine.record(strict=False) as record:
        _ = camera.rgb
    assert record.obstacle == "RTX draws a picture"
    engine.close()


def test_a_gpu_that_draws_nothing_is_told(start: Callable[[], Engine], own_kit: Any) -> None:
    engine = start()
    camera = Camera(engine, position=(1.0, 1.0, 1.0), target=(0.0, 0.0, 0.0), width=8, height=8)
    own_kit.products[0].draw = lambda: None
    with pytest.raises(EngineError, match="RT cores"):
        _ = camera.rgb


def test_pictures_without_our_own_kit_come_from_the_ray_caster(
    kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        env: Any = gym.make_vec(
            "IsaacCartpoleCamera-v0", num_envs=2, engine="isaacsim", device="cpu"
        )
    try:
        assert "come from the ray caster" in caplog.text
        assert env.unwrapped.task.camera.rgb.any()
        assert not kit.products
    finally:
        env.close()


def test_light_is_not_ours_to_change(own_kit: Any) -> None:
    term = {"target": "sun_light", "range": (0.5, 1.5)}
    with pytest.raises(ValueError, match="by the light of the stage"):
        gym.make_vec(
            "IsaacCartpoleCamera-v0",
            num_envs=2,
            engine="isaacsim",
            device="cpu",
            randomization={"sun": term},
        )
    assert not own_kit.products


@pytest.mark.parametrize("task", ["IsaacCartpoleCamera-v0", "IsaacFrankaCubeCamera-v0"])
def test_tasks_with_cameras_see_through_rtx(own_kit: Any, task: str) -> None:
    env: Any = gym.make_vec(
        task, num_envs=2, engine="isaacsim", device="cpu", randomization="default"
    )
    try:
        assert own_kit.products
        targets = {term.target for term in env.unwrapped.randomization.plan.terms.values()}
        assert "camera_position" in targets and "sun_light" not in targets
        before, _ = env.reset(seed=0)
        after, *_ = env.step(torch.ones(env.action_space.shape))
        for one, other in zip(*(list(tensors(obs)) for obs in (before, after)), strict=True):
            assert one.dtype == torch.uint8
            assert not torch.equal(one, other)
    finally:
        env.close()
    assert not own_kit.products


def tensors(obs: Any) -> Iterator[torch.Tensor]:
    """The images of an observation."""
    for each in obs.values() if isinstance(obs, dict) else [obs]:
        if each.dtype == torch.uint8:
            yield each
