"""`IsaacFrankaCube-v0`: pick up a cube with a Franka arm and hold it at a height."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.envs._franka_task import FrankaTask, off_place
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene.markers import ball
from isaac_gymnasium.task import once_a_state

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene


@dataclass(kw_only=True)
class FrankaCube(FrankaTask):
    """Pick up a cube with a Franka arm and hold it at a height.

    ## Description
    A Franka Emika Panda stands at the origin; a red cube lies on the ground near (0.5, 0). The arm
    has to grip the cube and hold it `goal_height` above where it lay. The scene is that of NVIDIA's
    Franka tutorials; actions, reward and success are this package's own.

    ## Action Space
    `control_mode="ee"` (default): `Box(-1, 1, (7,))`. Translation of the point between the
    fingertips (3, world axes, times `position_scale`), rotation of the hand (3, rotation vector in
    world axes, times `rotation_scale`), gripper (1: open, -1: closed). Differential inverse
    kinematics turns the first six into joint targets relative to the present joint positions; the
    drives follow at about 5 1/s, so 1 means 0.5 m/s and 2.5 rad/s at the default scales.

    `control_mode="joint"`: `Box(-1, 1, (8,))`. Seven joint displacements (times `joint_scale`) and
    the gripper.

    ## Observation Space
    `Box(-inf, inf, (28,))`, environment frame: joint positions (9, rad and m), joint velocities
    (9), cube position (3, m), cube orientation (4, quaternion xyzw), cube position minus fingertip
    position (3, m).

    ## Rewards
    * `reach`: 1 - tanh(5 d), with d the distance from the fingertips to the cube
    * `lift`: 4 times the share of the way up to the goal height, while the cube is at the
      fingertips; overshooting loses what it gained
    * `goal`: 5 in success, so that holding the cube at the goal pays 10 a step and hovering next
      to it at most 1
    * `action`: -0.01 times the squared action

    ## Starting State
    Arm at its home position plus uniform noise of `arm_noise`, gripper open. Cube on the ground at
    (0.5, 0), each coordinate plus uniform noise of `cube_noise`, turned about z by up to 45
    degrees. Everything at rest.

    ## Episode End
    Terminates when the cube leaves a square of edge 1 m about its nominal place. Truncates after
    `episode_length_s` (300 steps of 1/60 s). `info["success"]`: the cube is at the fingertips and
    within `goal_tolerance` of the goal height.

    ## Arguments
    * `control_mode`: `"ee"` or `"joint"`
    * `cube_size`: edge, m. The hand opens to 0.08 m: a larger cube can be pushed but not gripped
    * `cube_density`: kg/m^3
    * `cube_noise`, `arm_noise`: half widths of the initial noise, m and rad
    * `goal_height`: height of the cube's centre above where it lay, m
    * `goal_tolerance`: m
    * `position_scale`, `rotation_scale`, `joint_scale`: what an action of 1 asks for, m and rad

    ## Version History
    * v0: initial version
    """

    num_observations: ClassVar[int] = 28
    cube_place: ClassVar[tuple[float, float]] = (0.5, 0.0)

    cube_size: float = 0.05
    cube_density: float = 400.0
    cube_noise: float = 0.1
    goal_height: float = 0.2
    goal_tolerance: float = 0.03

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            positive=("cube_size", "cube_density", "goal_height", "goal_tolerance"),
            non_negative=("cube_noise",),
        )
        if self.cube_size > 0.3:
            raise ValueError(
                f"cube_size must be at most 0.3, or the cube would lie in the arm's base, got "
                f"{self.cube_size}"
            )

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        scene.add_robot("Robot", franka())
        self.add_cube(
            scene,
            "Cube",
            self.cube_size,
            place=self.cube_place,
            density=self.cube_density,
            color=(0.9, 0.1, 0.1),
        )
        scene.add_marker("Goal", ball(0.012))

    def post_reset(self) -> None:
        super().post_reset()
        self.hand = self.arm.hand
        self.cube = self.engine.rigid_body("Cube")

    def fingertip_position(self) -> Tensor:
        """(N, 3) point between the fingertips, environment frame, m."""
        return self.arm.fingertips()

    @once_a_state
    def cube_position(self) -> Tensor:
        """(N, 3) centre of the cube, environment frame, m."""
        return self.position_of(self.cube)

    def get_observations(self) -> Tensor:
        cube = self.cube_position()
        return torch.cat(
            (
                self.robot.dof_pos,
                self.robot.dof_vel,
                cube,
                self.cube.pose[:, 3:7],
                cube - self.fingertip_position(),
            ),
            dim=-1,
        )

    @once_a_state
    def _progress(self) -> tuple[Tensor, Tensor, Tensor]:
        """Distance to the cube (m), share of the way up in [0, 1], success."""
        cube = self.cube_position()
        distance = (cube - self.fingertip_position()).norm(dim=-1)
        held = distance < 0.04 + 0.25 * self.cube_size
        miss = (cube[:, 2] - self.cube_size / 2 - self.goal_height).abs()
        share = torch.clamp(1.0 - miss / self.goal_height, 0.0, 1.0) * held
        return distance, share, held & (miss < self.goal_tolerance)

    def get_rewards(self) -> dict[str, Tensor]:
        distance, share, success = self._progress()
        return {
            "reach": 1.0 - torch.tanh(5.0 * distance),
            "lift": 4.0 * share,
            "goal": 5.0 * success,
            "action": -0.01 * self.actions.square().sum(-1),
        }

    def get_terminations(self) -> Tensor:
        return off_place(self.cube_position(), self.cube_place) > 0.5

    def get_markers(self) -> dict[str, Tensor]:
        # Only the height counts: the goal is above wherever the cube is.
        goal = self.cube_position().clone()
        goal[:, 2] = self.cube_size / 2 + self.goal_height
        return {"Goal": goal}

    def get_extras(self) -> dict[str, Tensor]:
        return {"success": self._progress()[2]}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        self.arm.reset(mask, rng, self.arm_noise)
        draws = rng.uniform(-1.0, 1.0, (3,))
        self.lay(
            self.cube,
            self.cube_size / 2,
            place=self.cube_place,
            offset=self.cube_noise * draws[:, :2],
            yaw=0.25 * math.pi * draws[:, 2],
            mask=mask,
        )
