"""`IsaacFrankaStackCube-v0`: put a cube on a larger one with a Franka arm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from isaac_gymnasium.envs._franka_task import FrankaTask, off_place
from isaac_gymnasium.robots.franka import FINGER_STROKE, franka
from isaac_gymnasium.task import once_a_state

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

HELD = 0.05
"""The cube is at the fingertips up to this distance and released beyond it, m."""


@dataclass(kw_only=True)
class FrankaStackCube(FrankaTask):
    """Put a cube on a larger one with a Franka arm.

    ## Description
    The red cube has to be gripped, put on the green one and let go. Cubes, episode length and, on
    demand, reward are those of `FrankaCubeStack` of IsaacGymEnvs. Its reward pays up to 3.6 a step
    for hovering over the goal and 16 once for success, which ends the episode: hovering pays more.
    Here success pays most of all, at every step, and ends nothing. Also different on purpose: the
    cubes lie on the ground, success asks for a cube at rest, and actions are those of
    `IsaacFrankaCube-v0`.

    ## Action Space
    `control_mode="ee"` (default): `Box(-1, 1, (7,))`. Translation of the point between the
    fingertips (3, world axes, times `position_scale`), rotation of the hand (3, rotation vector in
    world axes, times `rotation_scale`), gripper (1: open, -1: closed); differential inverse
    kinematics, the drives follow at about 5 1/s.

    `control_mode="joint"`: `Box(-1, 1, (8,))`. Seven joint displacements (times `joint_scale`) and
    the gripper.

    ## Observation Space
    `Box(-inf, inf, (38,))`, environment frame: joint positions (9, rad and m), joint velocities
    (9), position (3, m) and orientation (4, quaternion xyzw) of the red cube, of the green cube
    (7), red cube minus fingertips (3, m), place on top of the green cube minus red cube (3, m).

    ## Rewards
    With `reward="staged"` (default); the first three are left out once the red cube is on top:

    * `reach`: 1 - tanh(5 d), with d the distance from the fingertips to the red cube
    * `lift`: 2 times the share of the way up to the green cube's top, while held (d below 5 cm)
    * `place`: 3 (1 - tanh(5 g)) times that share, with g the distance to its place
    * `on_top`: 6 while the red cube is on top
    * `release`: while on top, 2 times the share of its opening that the gripper is asked for, and
      4 times the share of the way to open that it has gone times the share of the 5 cm to release
      that the fingertips have gone
    * `success`: 4 in success
    * `action`: -0.01 times the squared action

    With `reward="isaacgymenvs"` the terms are named alike and the unused ones 0: `reach` is
    0.1 (1 - tanh(10 d)) with the mean distance of both fingers and the point between them, or what
    `place` has before its factor if that is more; `lift` 1.5 if the red cube is lifted by more
    than 4 cm above its edge; `place` 2 (1 - tanh(10 g)) if lifted; `success` 16, replacing the
    rest, and the episode ends.

    ## Starting State
    Arm at its home position plus uniform noise of `arm_noise`, gripper open. The cubes on the
    ground, 0.1 to 0.2 m apart in any direction, the middle between them at (0.5, 0), each
    coordinate plus uniform noise of `cube_noise`; each turned about z by up to 45 degrees.
    Everything at rest.

    ## Episode End
    Terminates when a cube leaves a square of edge 1.2 m about (0.5, 0). Truncates after
    `episode_length_s` (300 steps of 1/60 s). `info["on_top"]`: the red cube's centre is within 2 cm
    horizontally and 1 cm vertically of its place. `info["success"]`: the red cube is on top,
    released (d above 5 cm) and at rest (below 5 cm/s). With `reward="isaacgymenvs"` 2 cm
    vertically, d above 4 cm and any speed are enough, and success terminates.

    ## Arguments
    * `control_mode`: `"ee"` or `"joint"`
    * `reward`: `"staged"` or `"isaacgymenvs"`
    * `cube_size`, `base_size`: edges of the red and of the green cube, m; the hand opens to 0.08 m
    * `cube_density`: kg/m^3
    * `cube_noise`, `arm_noise`: half widths of the initial noise, m and rad
    * `position_scale`, `rotation_scale`, `joint_scale`: what an action of 1 asks for, m and rad

    ## Version History
    * v0: initial version
    """

    num_observations: ClassVar[int] = 38
    shared_tensors: ClassVar[tuple[str, ...]] = ("above",)
    middle: ClassVar[tuple[float, float]] = (0.5, 0.0)

    episode_length_s: float = 5.0

    reward: Literal["staged", "isaacgymenvs"] = "staged"
    cube_size: float = 0.05
    base_size: float = 0.07
    cube_density: float = 400.0
    cube_noise: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reward not in ("staged", "isaacgymenvs"):
            raise ValueError(f"reward must be 'staged' or 'isaacgymenvs', got {self.reward!r}")
        self.require(
            positive=("cube_size", "base_size", "cube_density"),
            non_negative=("cube_noise",),
        )
        if self.cube_size >= 2.0 * FINGER_STROKE:
            raise ValueError(
                f"cube_size must be below {2.0 * FINGER_STROKE}, or the hand cannot grip the cube, "
                f"got {self.cube_size}"
            )

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        scene.add_robot("Robot", franka())
        cubes = (
            ("Cube", self.cube_size, (0.9, 0.1, 0.1)),
            ("Base", self.base_size, (0.1, 0.6, 0.2)),
        )
        for k, (name, size, color) in enumerate(cubes):
            place = (self.middle[0], self.middle[1] + 0.15 * k)
            self.add_cube(scene, name, size, place=place, density=self.cube_density, color=color)

    def post_reset(self) -> None:
        super().post_reset()
        self.cube = self.engine.rigid_body("Cube")
        self.base = self.engine.rigid_body("Base")
        above = (0.0, 0.0, (self.cube_size + self.base_size) / 2)
        self.above = torch.tensor(above, device=self.device)

    def cube_position(self) -> Tensor:
        """(N, 3) centre of the red cube, environment frame, m."""
        return self.position_of(self.cube)

    def base_position(self) -> Tensor:
        """(N, 3) centre of the green cube, environment frame, m."""
        return self.position_of(self.base)

    def get_observations(self) -> Tensor:
        cube, base = self.cube_position(), self.base_position()
        return torch.cat(
            (
                self.robot.dof_pos,
                self.robot.dof_vel,
                cube,
                self.cube.pose[:, 3:7],
                base,
                self.base.pose[:, 3:7],
                cube - self.arm.fingertips(),
                base + self.above - cube,
            ),
            dim=-1,
        )

    @once_a_state
    def _stack(self) -> Stack:
        cube = self.cube_position()
        miss = self.base_position() + self.above - cube
        distance = (cube - self.arm.fingertips()).norm(dim=-1)
        on_top = (miss[:, :2].norm(dim=-1) < 0.02) & (miss[:, 2].abs() < 0.01)
        still = self.cube.vel[:, :3].norm(dim=-1) < 0.05
        return Stack(distance, miss, on_top, on_top & still & (distance > HELD))

    def get_rewards(self) -> dict[str, Tensor]:
        return self._staged() if self.reward == "staged" else self._isaacgymenvs()

    def _staged(self) -> dict[str, Tensor]:
        distance, miss, on_top, success = self._stack()
        height = self.cube_position()[:, 2] - self.cube_size / 2
        lifted = torch.clamp(height / self.base_size, 0.0, 1.0) * (distance < HELD)
        below = ~on_top
        free = 2.0 * FINGER_STROKE - self.cube_size
        opened = torch.clamp((self.arm.opening() - self.cube_size) / free, 0.0, 1.0)
        # What is asked for leads the way even while the cube keeps the fingers where they are.
        asked = self.arm.asked_opening() / (2.0 * FINGER_STROKE)
        away = torch.clamp(distance / HELD, max=1.0)
        return {
            "reach": (1.0 - torch.tanh(5.0 * distance)) * below,
            "lift": 2.0 * lifted * below,
            "place": 3.0 * lifted * (1.0 - torch.tanh(5.0 * miss.norm(dim=-1))) * below,
            "on_top": 6.0 * on_top,
            "release": (2.0 * asked + 4.0 * opened * away) * on_top,
            "success": 4.0 * success,
            "action": -0.01 * self.actions.square().sum(-1),
        }

    def _stacked_as_in_isaacgymenvs(self) -> Tensor:
        distance, miss, _, _ = self._stack()
        placed = (miss[:, :2].norm(dim=-1) < 0.02) & (miss[:, 2].abs() < 0.02)
        stacked: Tensor = placed & (distance > 0.04)
        return stacked

    def _isaacgymenvs(self) -> dict[str, Tensor]:
        cube = self.cube_position()
        distance, miss, _, _ = self._stack()
        tips = self.arm.finger_pads() - cube.unsqueeze(1)
        mean = (distance + tips.norm(dim=-1).sum(-1)) / 3.0
        lifted = (cube[:, 2] - self.cube_size) > 0.04
        aligned = (1.0 - torch.tanh(10.0 * miss.norm(dim=-1))) * lifted
        stacked = self._stacked_as_in_isaacgymenvs()
        zero = torch.zeros_like(mean)
        return {
            "reach": 0.1 * torch.maximum(1.0 - torch.tanh(10.0 * mean), aligned) * ~stacked,
            "lift": 1.5 * lifted * ~stacked,
            "place": 2.0 * aligned * ~stacked,
            "on_top": zero,
            "release": zero.clone(),
            "success": 16.0 * stacked,
            "action": zero.clone(),
        }

    def get_terminations(self) -> Tensor:
        cubes = torch.stack((self.cube_position(), self.base_position()), dim=1)
        left = (off_place(cubes, self.middle) > 0.6).any(dim=-1)
        return left | self._stacked_as_in_isaacgymenvs() if self.reward != "staged" else left

    def get_extras(self) -> dict[str, Tensor]:
        stack = self._stack()
        staged = self.reward == "staged"
        success = stack.success if staged else self._stacked_as_in_isaacgymenvs()
        return {"success": success, "on_top": stack.on_top}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        self.arm.reset(mask, rng, self.arm_noise)
        draws = rng.uniform(-1.0, 1.0, (6,))
        half = 0.075 + 0.025 * draws[:, 2]
        angle = math.pi * draws[:, 3]
        apart = torch.stack((half * torch.cos(angle), half * torch.sin(angle)), dim=-1)
        for k, (body, size, side) in enumerate(
            ((self.cube, self.cube_size, 1.0), (self.base, self.base_size, -1.0))
        ):
            self.lay(
                body,
                size / 2,
                place=self.middle,
                offset=self.cube_noise * draws[:, :2] + side * apart,
                yaw=0.25 * math.pi * draws[:, 4 + k],
                mask=mask,
            )


class Stack(NamedTuple):
    """Where the cubes are: (N,) distance, (N, 3) way to the place, (N,) on top, (N,) success."""

    distance: Tensor
    miss: Tensor
    on_top: Tensor
    success: Tensor
