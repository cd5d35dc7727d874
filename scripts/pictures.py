"""Renders the picture at the top of the README: `python scripts/pictures.py`.

It needs an engine and Pillow, which Matplotlib brings, and writes into `docs/images`.
"""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from PIL import Image

import isaac_gymnasium  # noqa: F401 (registers the IDs)

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main() -> None:
    """Write the picture."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    _save(franka_cubes(), "franka_cube.png")


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


def _save(picture: np.ndarray, name: str) -> None:
    image = Image.fromarray(picture).quantize(256, Image.Quantize.MAXCOVERAGE)
    image.save(IMAGES / name, optimize=True)
    print(f"{name}: {(IMAGES / name).stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
