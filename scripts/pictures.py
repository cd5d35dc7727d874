"""Renders the pictures of the README and the documentation: `python scripts/pictures.py`.

It needs an engine and Pillow, which Matplotlib brings, and writes into `docs/images`.
"""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import isaac_gymnasium

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLUMNS, TILE = 5, (240, 180)


def main() -> None:
    """Write all pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    _save(franka_cubes(), "franka_cube.png")
    _save(gallery(), "environments.png", colors=None)


def franka_cubes() -> np.ndarray:
    """Arms on their way to their cubes, some faster than others."""
    envs = gym.make_vec("IsaacFrankaCube-v0", num_envs=15, device="cpu")
    obs, _ = envs.reset(seed=4)
    pace = torch.linspace(0.05, 1.0, 15)[torch.randperm(15, generator=torch.manual_seed(0))]
    for step in range(130):
        actions = torch.zeros(envs.action_space.shape)
        actions[:, :3] = pace.unsqueeze(-1) * (10.0 * obs[:, 25:28]).clamp(-1.0, 1.0)
        held = (obs[:, 25:28].norm(dim=-1) < 0.01) & (step > 60)
        actions[:, 6] = torch.where(held, -1.0, 1.0)
        if step > 90:
            actions[:, 2] = torch.where(held, 0.5, actions[:, 2])
        obs, *_ = envs.step(actions)
    picture = envs.unwrapped.render_grid(15, size=(1600, 800))
    envs.close()
    half = Image.fromarray(picture).resize((960, 480), Image.Resampling.LANCZOS)
    return np.asarray(half)


def gallery() -> np.ndarray:
    """Every environment, with its name."""
    names = sorted(
        name
        for name, task in isaac_gymnasium.registered_tasks().items()
        if task.__module__.startswith("isaac_gymnasium.") and not name.endswith("Camera-v0")
    )
    rows = -(-len(names) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * TILE[0], rows * TILE[1]), (255, 255, 255))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=13)
    for k, name in enumerate(names):
        size = (2 * TILE[0], 2 * TILE[1])
        envs = gym.make_vec(
            name, num_envs=4, device="cpu", render_mode="rgb_array", render_size=size
        )
        envs.reset(seed=1)
        for _ in range(3):
            envs.step(torch.zeros(envs.action_space.shape))
        tile = Image.fromarray(envs.render()[0]).resize(TILE, Image.Resampling.LANCZOS)
        envs.close()
        x, y = TILE[0] * (k % COLUMNS), TILE[1] * (k // COLUMNS)
        picture.paste(tile, (x, y))
        draw.text((x + 8, y + 6), name, fill=(25, 25, 30), font=font)
    return np.asarray(picture)


def _save(picture: np.ndarray, name: str, colors: int | None = 256) -> None:
    image = Image.fromarray(picture)
    if colors is not None:
        image = image.quantize(colors, Image.Quantize.MAXCOVERAGE)
    image.save(IMAGES / name, optimize=True)
    print(f"{name}: {(IMAGES / name).stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
