"""`IsaacFrankaPushCube-v0`: push a cube into a disc with a Franka arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.envs._franka_task import FrankaTask, off_place
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene.markers import target
from isaac_gymnasium.scene.model import Material

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene


@dataclass(kw_only=True)
class FrankaPushCube(FrankaTask):
    """Push a cube into a disc with a Franka arm.

    ## Description
    A cube lies on the ground before the arm; the disc that it has to be pushed into lies 0.2 m
    farther away. Follows ManiSkill's `PushCube-v1` (sizes, reward, success, 50 steps of 1/20 s).
    Different on purpose: the arm stands on the ground and the cube nearer to it, all within reach;
    actions are those of `IsaacFrankaCube-v0`; the reward for pushing starts 2 cm before the
    fingertips are where they should push from.

    ## Action Space
    `control_mode="ee"` (default): `Box(-1, 1, (7,))`. Translation of the point between the
    fingertips (3, world axes, times `position_scale`), rotation of the hand (3, rotation vector in
    world axes, times `rotation_scale`), gripper (1: open, -1: closed); differential inverse
    kinematics, the drives follow at about 5 1/s.

    `control_mode="joint"`: `Box(-1, 1, (8,))`. Seven joint displacements (times `joint_scale`) and
    the gripper.

    ## Observation Space
    `Box(-inf, inf, (31,))`, environment frame: joint positions (9, rad and m), joint velocities
    (9), cube position (3, m), cube orientation (4, quaternion xyzw), cube position minus fingertip
    position (3, m), goal position minus cube position (3, m).

    ## Rewards
    * `reach`: 1 - tanh(5 d), with d the distance from the fingertips to a point 5 mm behind the
      cube
    * `push`: 1 - tanh(5 g), with g the horizontal distance from the cube to the middle of the disc,
      while d is below 2 cm
    * `success`: what is missing to 4 in success, so that nothing else pays as much

    ## Starting State
    Arm at its home position plus uniform noise of `arm_noise`, gripper open. Cube on the ground at
    (0.45, 0), each coordinate plus uniform noise of `cube_noise`. Everything at rest.

    ## Episode End
    Terminates when the cube leaves a square of edge 1.2 m about its nominal place. Truncates after
    `episode_length_s` (50 steps of 1/20 s). `info["success"]`: the cube's centre is above the disc
    and the cube on the ground.

    ## Arguments
    * `control_mode`: `"ee"` or `"joint"`
    * `cube_size`: edge, m
    * `cube_density`: kg/m^3
    * `cube_noise`, `arm_noise`: half widths of the initial noise, m and rad
    * `push_distance`: from the cube's place to the middle of the disc, along x, m
    * `goal_radius`: of the disc, m
    * `position_scale`, `rotation_scale`, `joint_scale`: what an action of 1 asks for, m and rad

    ## Version History
    * v0: initial version
    """

    num_observations: ClassVar[int] = 31
    shared_tensors: ClassVar[tuple[str, ...]] = ("behind",)
    cube_place: ClassVar[tuple[float, float]] = (0.45, 0.0)

    episode_length_s: float = 2.5
    decimation: int = 6

    cube_size: float = 0.04
    cube_density: float = 1000.0
    cube_noise: float = 0.1
    arm_noise: float = 0.02
    push_distance: float = 0.2
    goal_radius: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            positive=("cube_size", "cube_density", "goal_radius"),
            non_negative=("cube_noise", "push_distance"),
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
            color=(0.05, 0.16, 0.63),
            material=Material(static_friction=0.3, dynamic_friction=0.3, combine="min"),
        )
        # The goal is where the cube's centre has to be.
        ground = (0.0, 0.0, -self.cube_size / 2)
        scene.add_marker("Goal", target(self.goal_radius, position=ground))

    def post_reset(self) -> None:
        super().post_reset()
        self.cube = self.engine.rigid_body("Cube")
        self.goal = torch.zeros(self.num_envs, 3, device=self.device)
        behind = (-self.cube_size / 2 - 0.005, 0.0, 0.0)
        self.behind = torch.tensor(behind, device=self.device)

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
                cube - self.arm.fingertips(),
                self.goal - cube,
            ),
            dim=-1,
        )

    def _success(self) -> Tensor:
        cube = self.cube_position()
        miss = (self.goal - cube)[:, :2].norm(dim=-1)
        success: Tensor = (miss < self.goal_radius) & (cube[:, 2] < self.cube_size / 2 + 0.005)
        return success

    def get_rewards(self) -> dict[str, Tensor]:
        cube = self.cube_position()
        distance = (cube + self.behind - self.arm.fingertips()).norm(dim=-1)
        miss = (self.goal - cube)[:, :2].norm(dim=-1)
        reach = 1.0 - torch.tanh(5.0 * distance)
        push = (1.0 - torch.tanh(5.0 * miss)) * (distance < 0.02)
        return {
            "reach": reach,
            "push": push,
            "success": (4.0 - reach - push) * self._success(),
        }

    def get_terminations(self) -> Tensor:
        return off_place(self.cube_position(), self.cube_place) > 0.6

    def get_markers(self) -> dict[str, Tensor]:
        return {"Goal": self.goal}

    def get_extras(self) -> dict[str, Tensor]:
        return {"success": self._success()}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        self.arm.reset(mask, rng, self.arm_noise)
        height = self.cube_size / 2
        offset = rng.uniform(-self.cube_noise, self.cube_noise, (2,))
        self.lay(self.cube, height, place=self.cube_place, offset=offset, mask=mask)
        goal = torch.full_like(self.goal, height)
        goal[:, 0] = self.cube_place[0] + offset[:, 0] + self.push_distance
        goal[:, 1] = self.cube_place[1] + offset[:, 1]
        torch.where(mask.unsqueeze(-1), goal, self.goal, out=self.goal)
