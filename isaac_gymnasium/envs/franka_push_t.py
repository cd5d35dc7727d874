"""`IsaacFrankaPushT-v0`: push a T-shaped block onto its outline with a Franka arm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.envs._franka_arm import IN_FRONT, FrankaArm
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene.model import Material, PhysicsSettings, Shape, box
from isaac_gymnasium.scene.viewpoint import Viewpoint
from isaac_gymnasium.task import Task
from isaac_gymnasium.transforms import (
    orientation_error,
    quat_from_euler_xyz,
    quat_from_yaw,
    quat_rotate,
    yaw_from_quat,
)

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

HOME = (0.7308, 0.5077, -0.0458, -2.3153, 0.0709, 2.8219, 1.4088)
"""Arm joint positions, rad: the fingertips just above the ground at (0.4, 0.32) m."""
GOAL = (0.459, -0.1, math.pi * 5 / 3)
"""Where the block belongs: x and y of its centre of mass, m, and its heading, rad."""
TIP_HEIGHT = 0.02
THICKNESS = 0.04

# Bar and stem, as x, y, width, height around the centre of mass.
_PARTS = ((0.0, 0.3 / 7, 0.2, 0.05), (0.0, -0.4 / 7, 0.05, 0.15))


def t_block(material: Material) -> tuple[Shape, ...]:
    """The block's shapes; the origin is its centre of mass, the stem points along -y."""
    return tuple(
        box(
            (width, height, THICKNESS),
            position=(x, y, 0.0),
            color=(0.75, 0.1, 0.1),
            material=material,
            contact_offset=0.004,
        )
        for x, y, width, height in _PARTS
    )


@dataclass(kw_only=True)
class FrankaPushT(Task):
    """Push a T-shaped block onto its outline with a Franka arm.

    ## Description
    A block shaped like a T lies on the ground; the closed hand, pointing down, has to push it to a
    fixed place and heading. Follows ManiSkill's `PushT-v1` (block, goal, start, reward, success,
    100 steps of 1/20 s), which follows Chi et al. 2023 (arXiv:2303.04137). Different on purpose:
    a closed hand stands for the stick; the action moves it in the plane; friction is that of wood;
    success ends nothing, so that it pays more than staying close to it; coverage is counted on a
    finer grid.

    ## Action Space
    `Box(-1, 1, (2,))`: translation of the fingertips in the plane, in units of `position_scale`.
    Differential inverse kinematics keeps their height and the hand's orientation.

    ## Observation Space
    `Box(-inf, inf, (28,))`, environment frame: joint positions (7, rad), joint velocities (7),
    fingertip position (3, m), block minus fingertips (2, m), goal minus block (2, m), cosine and
    sine of the block's heading (2) and of the turn from it to the goal's (2), velocity of the block
    in the plane (2, m/s) and its yaw rate (rad/s).

    ## Rewards
    * `turn`: 0.5 ((1 + cos of the turn to the goal's heading) / 2)^2
    * `place`: 0.5 (1 - tanh(5 d))^2, with d the distance to the goal
    * `reach`: sqrt(1 - tanh(5 r)) / 20, with r the distance from the fingertips to the block
    * `success`: what is missing to 3 in success

    ## Starting State
    The closed hand beside the block's region, plus uniform noise of `arm_noise`. The block at the
    goal plus uniform ±0.1 m in x and -0.1 to 0.2 m in y, with any heading. Everything at rest.

    ## Episode End
    Terminates when the block's centre is more than 0.5 m from the goal. Truncates after
    `episode_length_s` (100 steps of 1/20 s). `info["success"]`: the block covers at least
    `success_coverage` of its outline; `info["coverage"]`: how much it covers.

    ## Arguments
    * `block_mass`: kg
    * `block_friction`: of the block on the ground
    * `success_coverage`: share of the outline
    * `arm_noise`: half width of the initial noise, rad
    * `position_scale`: what an action of 1 asks for, m

    ## Version History
    * v0: initial version
    """

    num_actions: ClassVar[int] = 2
    num_observations: ClassVar[int] = 28
    shared_tensors: ClassVar[tuple[str, ...]] = ("goal", "outline")
    viewpoint: ClassVar[Viewpoint | None] = IN_FRONT

    decimation: int = 6
    block_mass: float = 0.8
    block_friction: float = 0.5
    success_coverage: float = 0.9
    arm_noise: float = 0.02
    position_scale: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            positive=("block_mass", "success_coverage"),
            non_negative=("block_friction", "arm_noise", "position_scale"),
        )
        if self.success_coverage > 1.0:
            raise ValueError(
                f"success_coverage must be at most 1, the whole outline, got "
                f"{self.success_coverage}"
            )

    def physics_settings(self) -> PhysicsSettings:
        return PhysicsSettings(bounce_threshold=0.2, friction_correlation_distance=0.00625)

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        scene.add_robot("Robot", franka(home=HOME))
        x, y, yaw = GOAL
        turn = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
        outline = [
            box((w, h, 0.002), position=(a, b, 0.001), collides=False, color=(0.2, 0.6, 0.3))
            for a, b, w, h in _PARTS
        ]
        scene.add_static("Goal", outline, position=(x, y, 0.0), orientation=turn)
        friction = self.block_friction
        wood = Material(static_friction=friction, dynamic_friction=friction, combine="min")
        scene.add_rigid_body(
            "Block",
            t_block(wood),
            mass=self.block_mass,
            position=(x, y, THICKNESS / 2),
            orientation=turn,
            position_iterations=12,
        )

    def post_reset(self) -> None:
        self.arm = FrankaArm(self)
        self.arm.home[7:] = 0.0
        self.robot = self.arm.robot
        self.block = self.engine.rigid_body("Block")
        x, y, _ = GOAL
        self.goal = torch.tensor((x, y, THICKNESS / 2), device=self.device)
        down = quat_from_euler_xyz(torch.tensor(math.pi), torch.zeros(()), torch.zeros(()))
        self.down = down.to(self.device).repeat(self.num_envs, 1)
        self.displacement = torch.zeros(self.num_envs, 6, device=self.device)
        self.x_axis = torch.tensor((1.0, 0.0, 0.0), device=self.device).repeat(self.num_envs, 1)
        self.outline = _outline().to(self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.displacement[:, :2] = self.position_scale * actions
        self.displacement[:, 2] = TIP_HEIGHT - self.arm.fingertips()[:, 2]
        self.displacement[:, 3:] = orientation_error(self.down, self.arm.hand_pose[:, 3:7])
        self.arm.targets[:, 7:] = 0.0
        self.arm.displace_hand(self.displacement)

    def block_position(self) -> Tensor:
        """(N, 3) centre of mass of the block, environment frame, m."""
        return self.block.pose[:, :3] - self.engine.env_origins

    def coverage(self) -> Tensor:
        """(N,) share of the outline that the block covers."""
        x_axis = quat_rotate(self.block.pose[:, 3:7], self.x_axis)
        away = self.outline.unsqueeze(0) - self.block_position()[:, None, :2]
        cosine, sine = x_axis[:, :1], x_axis[:, 1:2]
        x = cosine * away[..., 0] + sine * away[..., 1]
        y = cosine * away[..., 1] - sine * away[..., 0]
        covered = torch.zeros_like(x, dtype=torch.bool)
        for a, b, width, height in _PARTS:
            covered |= ((x - a).abs() <= width / 2) & ((y - b).abs() <= height / 2)
        return covered.float().mean(-1)

    def heading(self) -> Tensor:
        """(N,) heading of the block, rad."""
        return yaw_from_quat(self.block.pose[:, 3:7])

    def get_observations(self) -> Tensor:
        tip, block, heading = self.arm.fingertips(), self.block_position(), self.heading()
        turn = GOAL[2] - heading
        angles = (torch.cos(heading), torch.sin(heading), torch.cos(turn), torch.sin(turn))
        return torch.cat(
            (
                self.robot.dof_pos[:, :7],
                self.robot.dof_vel[:, :7],
                tip,
                (block - tip)[:, :2],
                (self.goal - block)[:, :2],
                torch.stack(angles, dim=-1),
                self.block.vel[:, :2],
                self.block.vel[:, 5:6],
            ),
            dim=-1,
        )

    def get_rewards(self) -> dict[str, Tensor]:
        block = self.block_position()
        facing = (1.0 + torch.cos(GOAL[2] - self.heading())) / 2.0
        near = 1.0 - torch.tanh(5.0 * (self.goal - block)[:, :2].norm(dim=-1))
        reach = 1.0 - torch.tanh(5.0 * (block - self.arm.fingertips()).norm(dim=-1))
        terms = {
            "turn": 0.5 * facing.square(),
            "place": 0.5 * near.square(),
            "reach": reach.sqrt() / 20.0,
        }
        success = self.coverage() >= self.success_coverage
        return {**terms, "success": (3.0 - sum(terms.values())) * success}

    def get_terminations(self) -> Tensor:
        away: Tensor = (self.goal - self.block_position())[:, :2].norm(dim=-1) > 0.5
        return away

    def get_extras(self) -> dict[str, Tensor]:
        coverage = self.coverage()
        return {"success": coverage >= self.success_coverage, "coverage": coverage}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        self.arm.reset(mask, rng, self.arm_noise)
        draws = rng.uniform(0.0, 1.0, (3,))
        pose = torch.zeros(self.num_envs, 7, device=self.device)
        pose[:, 0] = GOAL[0] - 0.1 + 0.2 * draws[:, 0]
        pose[:, 1] = GOAL[1] - 0.1 + 0.3 * draws[:, 1]
        pose[:, 2] = THICKNESS / 2
        pose[:, :3].add_(self.engine.env_origins)
        pose[:, 3:7] = quat_from_yaw(math.tau * draws[:, 2])
        self.block.write_state(pose, torch.zeros_like(pose[:, :6]), mask)


def _outline(spacing: float = 0.005) -> Tensor:
    """(P, 2) points, each for an equal area, that the block covers at its goal; m."""
    points = []
    for a, b, width, height in _PARTS:
        columns = (torch.arange(round(width / spacing)) + 0.5) * spacing - width / 2 + a
        rows = (torch.arange(round(height / spacing)) + 0.5) * spacing - height / 2 + b
        points.append(torch.cartesian_prod(columns, rows))
    along, across = torch.cat(points).unbind(-1)
    cosine, sine = math.cos(GOAL[2]), math.sin(GOAL[2])
    x = GOAL[0] + cosine * along - sine * across
    y = GOAL[1] + sine * along + cosine * across
    return torch.stack((x, y), dim=-1)
