"""`IsaacCartpoleCamera-v0`: balance a pole on a cart from what a camera sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.robots.cartpole import RAIL_HEIGHT
from isaac_gymnasium.sensors import Camera

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams


@dataclass(kw_only=True)
class CartpoleCamera(Cartpole):
    """Balance a pole on a cart from what a camera sees.

    ## Description
    `IsaacCartpole-v0`, seen by a camera that stands across the rail and overlooks the whole of it.
    Velocities are in no single image, so that an observation holds two of them, one step apart.

    ## Action Space
    `Box(-1, 1, (1,))`: the force on the cart, in units of `max_force`.

    ## Observation Space
    `Box(0, 255, (height, width, 6), uint8)`: the image one step ago (red, green, blue) and the
    image now. In the first observation of an episode both are the same.

    ## Rewards
    Those of `IsaacCartpole-v0`:
    * `alive`, `terminated`, `pole_angle`, `cart_speed`, `pole_speed`

    ## Starting State
    That of `IsaacCartpole-v0`.

    ## Episode End
    That of `IsaacCartpole-v0`.

    ## Arguments
    * `max_force`, `max_cart_position`, `initial_angle`: as in `IsaacCartpole-v0`
    * `width`, `height`: of the image, pixels
    * `shadows`: whether things throw them

    ## Version History
    * v0: initial version
    """

    width: int = 96
    height: int = 48
    shadows: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(positive=("width", "height"))

    def observation_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(0, 255, (self.height, self.width, 6), np.uint8)

    def post_reset(self) -> None:
        super().post_reset()
        # Half of the image's width is where the cart may be, and a little more.
        distance, half = 4.0, self.max_cart_position + 0.4
        fov = 2.0 * math.atan(half * self.height / self.width / distance)
        self.camera = Camera(
            self.engine,
            position=(distance, 0.0, RAIL_HEIGHT + 0.5),
            target=(0.0, 0.0, RAIL_HEIGHT + 0.3),
            width=self.width,
            height=self.height,
            fov=fov,
            shadows=self.shadows,
            # The pole is as thin as a pixel.
            samples=2,
        )
        self.seen = torch.zeros_like(self.camera.rgb)
        self.previous = torch.zeros_like(self.seen)
        self.first = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        super().pre_physics_step(actions)
        self.previous.copy_(self.seen)

    def post_physics_step(self, rng: RandomStreams) -> None:
        self.first.zero_()

    def get_observations(self) -> Tensor:
        self.seen.copy_(self.camera.rgb)
        previous = torch.where(self.first.view(-1, 1, 1, 1), self.seen, self.previous)
        return torch.cat((previous, self.seen), dim=-1)

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        super().reset_envs(mask, rng)
        self.first |= mask
