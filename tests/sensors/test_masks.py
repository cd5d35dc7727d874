"""Images of one environment, for which masks tell what rays may meet, against images without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from any_engine import ENGINE
from still_life import StillLife

from isaac_gymnasium.rendering.renderer import OUTPUTS, Lights, Renderer
from isaac_gymnasium.rendering.view import Lens, look_at
from isaac_gymnasium.scene import sphere
from isaac_gymnasium.vector_env import IsaacVectorEnv

VIEWS = 40


@dataclass(kw_only=True)
class Crowd(StillLife):
    """More shapes than a mask has bits."""

    def set_up_scene(self, scene: Any) -> None:
        super().set_up_scene(scene)
        for k in range(70):
            place = (1.3 * (k % 10), 1.2 * (k // 10) - 3.0, 0.1 + 0.3 * (k % 7))
            scene.add_static(f"Marble{k}", sphere(0.08), position=place)


@pytest.mark.parametrize("task", [StillLife, Crowd])
@pytest.mark.parametrize("own_light", [False, True])
def test_masks_hide_nothing(task: type[StillLife], own_light: bool) -> None:
    envs = IsaacVectorEnv(task, 1, engine=ENGINE, device="cpu", robot=True)
    envs.reset(seed=0)
    renderer = Renderer.of(envs.engine)
    generator = torch.Generator().manual_seed(0)
    poses = renderer.poses().expand(VIEWS, -1, 7)

    def within(low: tuple[float, ...], high: tuple[float, ...]) -> torch.Tensor:
        share = torch.rand(VIEWS, 3, generator=generator)
        return torch.tensor(low) + share * (torch.tensor(high) - torch.tensor(low))

    cameras = look_at(
        within((-4.0, -6.0, 0.1), (16.0, 10.0, 4.0)), within((-1.0, -1.0, 0.0), (13.0, 7.0, 1.5))
    )
    lights = None
    if own_light:
        lights = Lights(renderer.light, VIEWS, renderer.device)
        lights.direction = within((-1.0, -1.0, 0.01), (1.0, 1.0, 1.0))
    lens = Lens(width=45, height=30, fov=1.2)
    masked, plain = (renderer.images(VIEWS, lens, OUTPUTS) for _ in range(2))
    renderer.render(poses, cameras, masked, lights=lights)
    # Of two environments in one picture there are no masks; these coincide, and one is seen.
    twice = poses.repeat_interleave(2, dim=0)
    renderer.render(twice, cameras, plain, lights=lights)
    for name, image in masked.wanted().items():
        assert torch.equal(image, plain.wanted()[name]), name
    assert len(masked.segmentation.unique()) > 0.8 * len(renderer.labels)
    envs.close()
