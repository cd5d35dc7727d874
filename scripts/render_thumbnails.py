"""Renders the picture of every environment: `python scripts/render_thumbnails.py [ID ...]`.

It needs an engine and Pillow, which Matplotlib brings, and writes `docs/_static/envs/<ID>.png`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import torch
from PIL import Image, ImageOps

import isaac_gymnasium
from isaac_gymnasium.rendering.frames import FrameMaker
from isaac_gymnasium.sensors import Camera

FOLDER = Path(__file__).parents[1] / "docs" / "_static" / "envs"
SIZE = (320, 240)

# Share of the field of view, where a film has to show more than a small picture can.
ZOOM = {
    "IsaacCartpole-v0": 0.55,
    "IsaacCartpoleCamera-v0": 0.55,
    "IsaacCartpoleSwingUp-v0": 0.55,
    "IsaacFrankaCube-v0": 0.75,
    "IsaacFrankaCubeCamera-v0": 0.75,
    "IsaacFrankaPushCube-v0": 0.75,
    "IsaacFrankaPushT-v0": 0.75,
    "IsaacFrankaReach-v0": 0.75,
    "IsaacFrankaStackCube-v0": 0.75,
    "IsaacQuadcopter-v0": 0.85,
}


def thumbnail(name: str) -> Image.Image:
    """An environment a few steps into an episode; what its cameras see is in the corner."""
    envs = gym.make_vec(name, num_envs=4, device="cpu")
    envs.reset(seed=1)
    for _ in range(3):
        envs.step(torch.zeros(envs.action_space.shape))
    task = envs.unwrapped.task
    viewpoint = task.viewpoint
    if viewpoint is not None:
        viewpoint = replace(viewpoint, fov=ZOOM.get(name, 1.0) * viewpoint.fov)
    maker = FrameMaker(task.engine, viewpoint, (2 * SIZE[0], 2 * SIZE[1]))
    picture = Image.fromarray(maker.frame(maker.snapshot(), 0))
    picture = picture.resize(SIZE, Image.Resampling.LANCZOS)
    bottom = SIZE[1]
    for camera in (value for value in vars(task).values() if isinstance(value, Camera)):
        seen = Image.fromarray(camera.rgb[0].cpu().numpy())
        seen = seen.resize((96 * seen.width // seen.height, 96), Image.Resampling.NEAREST)
        seen = ImageOps.expand(seen, border=2, fill="white")
        bottom -= seen.height
        picture.paste(seen, (0, bottom))
    envs.close()
    return picture


def main() -> None:
    """Render the environments that are named, or all of this package."""
    ours = (
        name
        for name, task in isaac_gymnasium.registered_tasks().items()
        if task.__module__.startswith("isaac_gymnasium.")
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or sorted(ours):
        file = FOLDER / f"{name}.png"
        thumbnail(name).quantize(256, kmeans=1).save(file, optimize=True)
        print(f"{file.name}: {file.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
