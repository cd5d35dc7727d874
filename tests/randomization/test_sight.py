"""Cameras that stand elsewhere and light that falls otherwise, against geometry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from any_engine import ENGINE
from torch import Tensor

from isaac_gymnasium.randomization import TARGETS
from isaac_gymnasium.scene import box
from isaac_gymnasium.sensors import Camera
from isaac_gymnasium.task import Task
from isaac_gymnasium.vector_env import IsaacVectorEnv

N, AWAY = 8, 2.0


@dataclass(kw_only=True)
class Watched(Task):
    """A red box in the air and two cameras on it: one at its side, one above."""

    num_actions = 1
    num_observations = 1

    def set_up_scene(self, scene: Any) -> None:
        scene.add_ground()
        scene.add_rigid_body(
            "Box", box((0.4, 0.4, 0.4), color=(0.4, 0.1, 0.1)), density=500.0, position=(0, 0, 1)
        )

    def post_reset(self) -> None:
        size: Any = {"width": 96, "height": 96, "outputs": ("rgb", "depth", "segmentation")}
        self.side = Camera(
            self.engine, position=(0, -AWAY, 1.0), target=(0, 0, 1.0), name="side", **size
        )
        self.top = Camera(
            self.engine, position=(0.0, 0.01, 1.0 + AWAY), target=(0, 0, 1), name="top", **size
        )
        self.body = self.engine.rigid_body("Box")

    def pre_physics_step(self, actions: Tensor) -> None:
        pass

    def get_observations(self) -> Tensor:
        return self.body.pose[:, :1]

    def get_rewards(self) -> dict[str, Tensor]:
        return {"none": torch.zeros(self.num_envs, device=self.device)}

    def get_terminations(self) -> Tensor:
        return torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)

    def reset_envs(self, mask: Tensor, rng: Any) -> None:
        pose = torch.zeros(self.num_envs, 7, device=self.device)
        pose[:, 2:7:4] = 1.0
        pose[:, :3] += self.engine.env_origins
        self.body.write_state(pose, torch.zeros_like(pose[:, :6]), mask)


@pytest.fixture
def watch() -> Iterator[Any]:
    envs = []

    def start(num_envs: int = N, **terms: Any) -> Any:
        envs.append(IsaacVectorEnv(Watched, num_envs, engine=ENGINE, randomization=terms))
        envs[-1].reset(seed=3)
        return envs[-1]

    yield start
    for env in envs:
        env.close()


def center(env: Any, camera: Camera) -> Tensor:
    """(N, 2) column and row of the middle of the box's image, pixels from the image's middle."""
    on_box = (camera.segmentation == camera.labels.index("Box")).float()
    count = on_box.sum((1, 2))
    assert bool((count > 50).all())
    places = torch.arange(96, device=env.device) + 0.5 - 48
    columns, rows = (on_box * places).sum((1, 2)), (on_box * places[:, None]).sum((1, 2))
    return torch.stack((columns, rows), dim=-1) / count.unsqueeze(-1)


def values(env: Any, name: str = "it") -> Tensor:
    drawn: Tensor = env.randomization.values[name]
    assert len(drawn.unique(dim=0)) == env.num_envs, "every environment has its own"
    return drawn


def test_a_camera_beside_its_place_sees_things_on_the_other_side(watch: Any) -> None:
    env = watch(it={"target": "camera_position", "names": "side", "range": (-0.3, 0.3)})
    moved, seen = values(env), center(env, env.task.side)
    near = AWAY - 0.2 - moved[:, 2:]  # to the front of the box
    expected = -moved[:, :2] * env.task.side.lens.focal_length / near
    # From beside or above it also sees the box's other faces, farther away.
    torch.testing.assert_close(seen, expected, rtol=0.2, atol=1.0)
    middle = env.task.side.depth[:, 48, 48]
    on_front = (moved[:, :2].abs() < 0.15).all(-1)
    assert bool(on_front.any())
    torch.testing.assert_close(middle[on_front], near[on_front, 0], rtol=0, atol=2e-3)
    assert env.task.top.shift is None
    assert len(env.task.top.rgb.flatten(1).unique(dim=0)) == 1, "the other camera stays"


def test_a_turned_camera_sees_things_turned(watch: Any) -> None:
    env = watch(it={"target": "camera_rotation", "names": "side", "range": (-0.2, 0.2)})
    turn, seen = values(env), center(env, env.task.side)
    focal = env.task.side.lens.focal_length
    # About y, down, it looks to the right; about x, to the right, up: things go the other way.
    expected = focal * torch.stack((-turn[:, 1], turn[:, 0]), dim=-1)
    torch.testing.assert_close(seen, expected, rtol=0.15, atol=1.0)


def brightness(env: Any, rows: slice) -> Tensor:
    """(N, 3) linear light of the box's top, seen from above, in the lower or upper half."""
    image = env.task.top.rgb[:, rows, 44:52].float() / 255.0
    return (((image + 0.055) / 1.055) ** 2.4).mean((1, 2))


def test_more_light_makes_brighter_images_of_its_colour(watch: Any) -> None:
    env = watch(sun={"target": "sun_light", "range": (0.0, 1.0)})
    factors, seen = values(env, "sun"), brightness(env, slice(44, 52))
    plain = watch(sky={"target": "sky_light", "range": (1.0, 1.0)})
    dark = watch(sun={"target": "sun_light", "range": (0.0, 0.0)})
    full, none = brightness(plain, slice(44, 52)), brightness(dark, slice(44, 52))
    expected = none + factors * (full - none)
    torch.testing.assert_close(seen, expected, rtol=0.0, atol=0.02)
    sky = watch(it={"target": "sky_light", "range": (0.2, 1.0)}, sun=dark_sun())
    torch.testing.assert_close(
        brightness(sky, slice(44, 52)), values(sky) * none, rtol=0.05, atol=0.005
    )


def dark_sun() -> dict[str, Any]:
    return {"target": "sun_light", "range": (0.0, 0.0)}


def test_the_sun_lights_the_side_it_stands_on(watch: Any) -> None:
    env = watch(it={"target": "light_direction", "range": (-0.6, 0.6)})
    sun = torch.nn.functional.normalize(env.engine.renderer.lights.direction, dim=-1)
    authored = torch.tensor(env.engine.renderer.light.direction, device=env.device)
    drawn = authored / authored.norm() + values(env)
    torch.testing.assert_close(sun, torch.nn.functional.normalize(drawn, dim=-1))
    # A diffuse surface that looks up is as bright as the sun is high (Lambert), beside the sky.
    light = brightness(env, slice(44, 52))[:, 0]
    order = sun[:, 2].argsort()
    assert torch.equal(light.argsort(), order)


@pytest.mark.parametrize("target", ["light_direction", "sun_light", "sky_light"])
def test_other_light_is_seen_where_nothing_has_moved(watch: Any, target: str) -> None:
    env = watch(4, it={"target": target, "range": (0.2, 0.9), "when": "reset"})
    first = env.task.top.rgb.clone()
    env.reset(options={"reset_mask": torch.tensor([True, True, False, False])})
    same = (env.task.top.rgb == first).flatten(1).all(-1).cpu()
    assert same.tolist() == [False, False, True, True]


@pytest.mark.parametrize("when", ["construction", "reset", "interval"])
def test_images_follow_numbers_and_states(watch: Any, when: str) -> None:
    terms: Any = {
        name: {"target": name, "range": (0.9, 1.1) if "_light" in name else (-0.1, 0.1)}
        for name in TARGETS
        if name.startswith(("camera", "light")) or name.endswith("_light")
    }
    assert len(terms) == 5
    env = watch(
        4, **{key: {**term, "when": when, "interval_s": 0.02} for key, term in terms.items()}
    )
    if when == "interval":
        env.step(torch.zeros(4, 1))
    first, state = env.task.side.rgb.clone(), env.get_state()
    assert len(first.flatten(1).unique(dim=0)) == 4
    if when == "interval":
        env.step(torch.zeros(4, 1))
    else:
        mask = torch.tensor([False, True, False, True])
        env.reset(options={"reset_mask": mask})
        same = (env.task.side.rgb == first).flatten(1).all(-1).cpu()
        assert torch.equal(same, ~mask if when == "reset" else torch.ones(4, dtype=torch.bool))
        env.reset(seed=4)
    assert not torch.equal(env.task.side.rgb, first)
    env.set_state(state)
    assert torch.equal(env.task.side.rgb, first)
    if when != "interval":
        few = watch(2, **terms)
        assert torch.equal(few.task.side.rgb, first[:2])


def test_a_task_without_the_camera_is_refused() -> None:
    def make(task: Any, **term: Any) -> None:
        IsaacVectorEnv(task, 2, engine=ENGINE, randomization={"it": term})

    cartpole = "isaac_gymnasium.envs.cartpole:Cartpole"
    with pytest.raises(ValueError, match="'it': sun_light: the task has no camera"):
        make(cartpole, target="sun_light", range=(0.5, 1.0))
    with pytest.raises(ValueError, match=r"names must be of \['side', 'top'\], got 'front'"):
        make(Watched, target="camera_position", range=(0.0, 1.0), names="front")
    with pytest.raises(ValueError, match="operation must be 'additive', got 'scale'"):
        make(Watched, target="camera_position", range=(0.0, 1.0), operation="scale")
