"""`IsaacFrankaCubeCamera-v0`: pick up a cube that only cameras see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium.envs.franka_cube import FrankaCube
from isaac_gymnasium.sensors import Camera


@dataclass(kw_only=True)
class FrankaCubeCamera(FrankaCube):
    """Pick up a cube that only cameras see, and hold it at a height.

    ## Description
    `IsaacFrankaCube-v0` without the cube's pose: a camera in front of the arm and one on its hand
    show where it is.

    ## Action Space
    That of `IsaacFrankaCube-v0`.

    ## Observation Space
    A `Dict`:
    * `front`: `Box(0, 255, (height, width, 3), uint8)`, rgb of the camera in front of the arm
    * `hand`: the same of the camera on the hand, which sees the fingertips
    * `joints`: `Box(-inf, inf, (18,))`, joint positions (9, rad and m) and velocities (9)

    ## Rewards
    Those of `IsaacFrankaCube-v0`:
    * `reach`, `lift`, `goal`, `action`

    ## Starting State
    That of `IsaacFrankaCube-v0`.

    ## Episode End
    That of `IsaacFrankaCube-v0`.

    ## Arguments
    * `control_mode`, `cube_size`, `cube_density`, `cube_noise`, `arm_noise`, `goal_height`,
      `goal_tolerance`, `position_scale`, `rotation_scale`, `joint_scale`: as in
      `IsaacFrankaCube-v0`
    * `width`, `height`: of the images, pixels
    * `shadows`: whether things throw them

    ## Version History
    * v0: initial version
    """

    width: int = 64
    height: int = 64
    shadows: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(positive=("width", "height"))

    def observation_space(self) -> gym.Space[Any]:
        image = gym.spaces.Box(0, 255, (self.height, self.width, 3), np.uint8)
        joints = gym.spaces.Box(-np.inf, np.inf, (18,), np.float32)
        return gym.spaces.Dict({"front": image, "hand": image, "joints": joints})

    def post_reset(self) -> None:
        super().post_reset()
        size: dict[str, Any] = {
            "width": self.width,
            "height": self.height,
            "shadows": self.shadows,
        }
        self.front_camera = Camera(
            self.engine,
            position=(1.15, 0.0, 0.75),
            target=(0.42, 0.0, 0.15),
            fov=math.radians(50.0),
            name="front",
            **size,
        )
        self.hand_camera = Camera(
            self.engine,
            body="Robot/panda_hand",
            position=(0.08, 0.0, 0.02),
            target=(0.0, 0.0, 0.16),
            fov=math.radians(75.0),
            name="hand",
            **size,
        )

    def get_observations(self) -> dict[str, Tensor]:  # type: ignore[override]
        return {
            "front": self.front_camera.rgb,
            "hand": self.hand_camera.rgb,
            "joints": torch.cat((self.robot.dof_pos, self.robot.dof_vel), dim=-1),
        }
