"""Puts free bodies and floating robots where a test wants them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def poses(env: Any, position: Tensor, quat: Tensor | None = None) -> Tensor:
    """(N, 7) poses in the world from (N, 3) places and (N, 4) turns in the environments."""
    if quat is None:
        quat = torch.tensor((0.0, 0.0, 0.0, 1.0)).expand(env.num_envs, 4)
    pose = torch.cat((position.cpu(), quat.cpu()), dim=-1).to(env.device)
    pose[:, :3] += env.engine.env_origins
    return pose


def velocities(env: Any, vel: Tensor | None = None) -> Tensor:
    """(N, 6) velocities from their first components; the others are zero."""
    full = torch.zeros(env.num_envs, 6)
    if vel is not None:
        full[:, : vel.shape[-1]] = vel.cpu()
    return full.to(env.device)


def place(
    env: Any, body: Any, position: Tensor, quat: Tensor | None = None, vel: Tensor | None = None
) -> None:
    """Puts the bodies to (N, 3) places and (N, 4) turns, moving with velocities, (N, 6) or less."""
    body.write_state(poses(env, position, quat), velocities(env, vel))
