"""`IsaacBallBalance-v0`: catch a falling ball with a tray and bring it to rest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.robots.balance_table import (
    LIFT_LIMIT,
    TILT_LIMIT,
    TRAY_HEIGHT,
    TRAY_RADIUS,
    balance_table,
)
from isaac_gymnasium.scene.model import sphere
from isaac_gymnasium.task import Task
from isaac_gymnasium.transforms import sum_in_order

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

BALL_RADIUS = 0.1
_LEG_RADIUS = 0.36
_LEG_ANGLES = (math.pi / 2, math.pi * 7 / 6, math.pi * 11 / 6)


@dataclass(kw_only=True)
class BallBalance(Task):
    """Catch a falling ball with a tray and bring it to rest.

    ## Description
    A ball falls onto a round tray, moving inwards. Three legs under the tray, 120 degrees apart,
    move up and down; the ball has to stay on the tray and come to rest in its middle. Follows
    `BallBalance` of IsaacGymEnvs (tray, ball, start, reward, 500 steps of 1/100 s). Different on
    purpose: joints for lift and tilt stand for the legs, whose feet would close loops; an action
    moves a leg's end, not its knee; there are no force sensors.

    ## Action Space
    `Box(-1, 1, (3,))`: speeds at which the targets of the three legs' upper ends rise, in units of
    `leg_speed`.

    ## Observation Space
    `Box(-inf, inf, (15,))`: height targets of the legs (3, m), lift (m) and tilts about x and y
    (rad) of the tray, their velocities (3), ball position relative to its goal (3, m), ball
    velocity (3, m/s).

    ## Rewards
    * `balance`: 1 / (1 + d) / (1 + v), with d the distance from the ball to its goal, resting on
      the middle of the level tray (m), and v its speed (m/s)

    ## Starting State
    Tray level, at rest. The ball 1 to 2 m above the ground, up to `drop_distance` from the middle
    in any direction, falling with 5 m/s and moving inwards with a speed uniform between 0 and
    2 m/s times distance / 0.5 m.

    ## Episode End
    Terminates when the ball has fallen: its centre is lower than 1.5 radii. Truncates after
    `episode_length_s` (500 steps of 1/100 s). `info["success"]`: the ball is kept, that is, it is
    above the tray and not farther from the tray's height than the tray can be.

    ## Arguments
    * `leg_speed`: m/s for an action of 1
    * `drop_distance`: m
    * `ball_density`: kg/m^3

    ## Version History
    * v0: initial version
    """

    num_actions: ClassVar[int] = 3
    num_observations: ClassVar[int] = 15
    shared_tensors: ClassVar[tuple[str, ...]] = ("plane", "goal")

    env_spacing: float = 4.0
    dt: float = 1.0 / 200.0
    leg_speed: float = 2.0
    drop_distance: float = 0.5
    ball_density: float = 200.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(positive=("ball_density",), non_negative=("leg_speed", "drop_distance"))

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        scene.add_robot("Table", balance_table(), position=(0.0, 0.0, TRAY_HEIGHT))
        scene.add_rigid_body(
            "Ball",
            sphere(BALL_RADIUS, color=(0.9, 0.35, 0.1), contact_offset=0.02),
            density=self.ball_density,
            position=(0.0, 0.0, 1.5),
        )

    def post_reset(self) -> None:
        self.table = self.engine.articulation("Table")
        self.ball = self.engine.rigid_body("Ball")
        joints = ["lift", "tilt_x", "tilt_y"]
        if self.table.dof_names != joints:
            raise RuntimeError(f"Table: unexpected order of joints {self.table.dof_names}")
        self.legs = torch.zeros(self.num_envs, 3, device=self.device)
        # The plane through the three ends: its height in the middle and its slopes.
        scale = 2.0 / (3.0 * _LEG_RADIUS)
        rows = [(1 / 3, scale * math.sin(a), -scale * math.cos(a)) for a in _LEG_ANGLES]
        self.plane = torch.tensor(rows, device=self.device)
        goal = (0.0, 0.0, TRAY_HEIGHT + BALL_RADIUS)
        self.goal = torch.tensor(goal, device=self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.legs += (self.leg_speed * self.step_dt) * actions
        self.legs.clamp_(-LIFT_LIMIT, LIFT_LIMIT)
        targets = sum_in_order(self.legs.unsqueeze(-1) * self.plane, 1)
        targets[:, 1:].clamp_(-TILT_LIMIT, TILT_LIMIT)
        self.table.set_dof_targets(targets)

    def ball_offset(self) -> Tensor:
        """(N, 3) position of the ball relative to its goal, m."""
        return self.ball.pose[:, :3] - self.engine.env_origins - self.goal

    def get_observations(self) -> Tensor:
        return torch.cat(
            (
                self.legs,
                self.table.dof_pos,
                self.table.dof_vel,
                self.ball_offset(),
                self.ball.vel[:, :3],
            ),
            dim=-1,
        )

    def get_rewards(self) -> dict[str, Tensor]:
        distance = self.ball_offset().norm(dim=-1)
        speed = self.ball.vel[:, :3].norm(dim=-1)
        return {"balance": 1.0 / (1.0 + distance) / (1.0 + speed)}

    def get_terminations(self) -> Tensor:
        return self.ball_offset()[:, 2] < 0.5 * BALL_RADIUS - TRAY_HEIGHT

    def get_extras(self) -> dict[str, Tensor]:
        offset = self.ball_offset()
        # Tilting, the rim goes farther up and down than the lift.
        reach = LIFT_LIMIT + TRAY_RADIUS * math.sin(TILT_LIMIT)
        above = offset[:, :2].norm(dim=-1) < TRAY_RADIUS
        return {"success": above & (offset[:, 2].abs() < reach)}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        zero = torch.zeros_like(self.legs)
        self.legs.masked_fill_(mask.unsqueeze(-1), 0.0)
        self.table.write_dof_state(zero, zero, mask)
        self.table.set_dof_targets(zero, mask)

        draws = rng.uniform(0.0, 1.0, (4,))
        angle, distance = math.tau * draws[:, 0], self.drop_distance * draws[:, 1]
        direction = torch.stack((torch.cos(angle), torch.sin(angle)), dim=-1)
        pose = torch.zeros(self.num_envs, 7, device=self.device)
        pose[:, :2] = direction * distance.unsqueeze(-1)
        pose[:, 2] = 1.0 + draws[:, 2]
        pose[:, :3].add_(self.engine.env_origins)
        pose[:, 6] = 1.0
        vel = torch.zeros(self.num_envs, 6, device=self.device)
        vel[:, :2] = direction * (-4.0 * distance * draws[:, 3]).unsqueeze(-1)
        vel[:, 2] = -5.0
        self.ball.write_state(pose, vel, mask)
