"""`IsaacFrankaReach-v0`: bring the hand of a Franka arm to given poses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium.controllers import operational_space_torque, pose_acceleration
from isaac_gymnasium.envs._franka_arm import IN_FRONT, FrankaArm
from isaac_gymnasium.robots.franka import franka, hand_outline
from isaac_gymnasium.scene.markers import GOAL_COLOR
from isaac_gymnasium.scene.viewpoint import Viewpoint
from isaac_gymnasium.task import Task
from isaac_gymnasium.transforms import orientation_error, quat_from_euler_xyz, quat_mul

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

HOME = (0.0, -0.569, 0.0, -2.81, 0.0, 3.037, 0.0)
# Half a turn to both sides of the heading, seen from the base, that joint 7 has in its middle: the
# quaternions jump where the joint's range has its gap and nowhere else.
_GOAL_LOW = (0.35, -0.2, 0.15, math.pi / 4 - math.pi)
_GOAL_HIGH = (0.65, 0.2, 0.5, math.pi / 4 + math.pi)


@dataclass(kw_only=True)
class FrankaReach(Task):
    """Bring the hand of a Franka arm to given poses.

    ## Description
    The hand, pointing down, has to take a position and a heading; every `goal_period_s` a new goal
    appears. Follows the reaching task of Isaac Lab (its `Isaac-Reach-Franka-v0`: goals, rewards,
    time step, start). Different on purpose: actions are bounded, with a scale that covers every
    joint; the observation also holds the error; the small penalties do not grow during training;
    the goals of an episode are drawn at its start; joint 7 starts in the middle of its range, from
    where the shorter way to a heading is one that it can go; the arm has this package's drives; the
    term `aligned`. From one goal to the next the shorter turn is often one that joint 7 cannot go,
    and at any usual discount a wrist twisted to within 0.8 rad pays more than two seconds of the
    longer way.

    ## Action Space
    `control_mode="joint"` (default): `Box(-1, 1, (7,))`, joint targets: the default position plus
    `joint_scale` times the action.

    `control_mode="ee"`: `Box(-1, 1, (6,))`, translation of the fingertips and rotation of the hand,
    world axes, times `position_scale` and `rotation_scale`, by differential inverse kinematics.

    `control_mode="osc"`: the same six by operational-space control: torques that let the hand
    follow as if by springs of `osc_stiffness`, the elbow drawn home in the null space.

    ## Observation Space
    `Box(-inf, inf, (31 + A,))`, A the number of actions, environment frame: joint positions minus
    defaults (9, rad and m), joint velocities (9), goal position (3, m) and orientation (4,
    quaternion xyzw), goal minus hand position (3, m), rotation vector from hand to goal (3, rad),
    last action (A).

    ## Rewards
    Each times the length of a step (1/30 s), so that an episode pays at most 3.6:

    * `position`: -0.2 times the distance d from the hand to its goal
    * `near`: 0.1 (1 - tanh(d / 0.1))
    * `rotation`: -0.1 times the angle a between the hand and its goal
    * `aligned`: 0.2 (1 - tanh(a / 0.2)) (1 - tanh(d / 0.1)), 0 with `reward="isaaclab"`
    * `action_rate`: -0.0001 times the squared change of the action
    * `joint_speed`: -0.0001 times the squared joint velocities

    ## Starting State
    Joint positions at the default times uniform numbers between 0.5 and 1.5, held within the
    limits, at rest. Goals uniform in x 0.35 to 0.65, y ±0.2, z 0.15 to 0.5 m and any heading.

    ## Episode End
    Nothing terminates. Truncates after `episode_length_s` (360 steps of 1/30 s).
    `info["position_error"]` (m) and `info["rotation_error"]` (rad): from the hand to its goal.
    `info["success"]`: they are below `position_tolerance` and `rotation_tolerance`.

    ## Arguments
    * `control_mode`: `"joint"`, `"ee"` or `"osc"`
    * `reward`: `"aligned"` or `"isaaclab"`
    * `goal_period_s`: time between goals, s
    * `joint_scale`, `position_scale`, `rotation_scale`: what an action of 1 asks for, rad and m
    * `osc_stiffness`: 1/s^2
    * `position_tolerance`, `rotation_tolerance`: of success, m and rad

    ## Version History
    * v0: initial version
    """

    shared_tensors: ClassVar[tuple[str, ...]] = ("goal_low", "goal_range")
    viewpoint: ClassVar[Viewpoint | None] = IN_FRONT
    env_spacing: float = 2.5
    episode_length_s: float = 12.0
    dt: float = 1.0 / 60.0

    control_mode: Literal["joint", "ee", "osc"] = "joint"
    reward: Literal["aligned", "isaaclab"] = "aligned"
    goal_period_s: float = 4.0
    joint_scale: float = math.pi
    position_scale: float = 0.1
    rotation_scale: float = 0.5
    osc_stiffness: float = 150.0
    position_tolerance: float = 0.05
    rotation_tolerance: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.control_mode not in ("joint", "ee", "osc"):
            raise ValueError(
                f"control_mode must be 'joint', 'ee' or 'osc', got {self.control_mode!r}"
            )
        if self.reward not in ("aligned", "isaaclab"):
            raise ValueError(f"reward must be 'aligned' or 'isaaclab', got {self.reward!r}")
        self.require(
            positive=(
                "goal_period_s",
                "osc_stiffness",
                "position_tolerance",
                "rotation_tolerance",
            ),
            non_negative=("joint_scale", "position_scale", "rotation_scale"),
        )
        if self.goal_steps < 1:
            raise ValueError(
                f"goal_period_s {self.goal_period_s} is shorter than one step of {self.step_dt} s"
            )

    @property
    def goal_steps(self) -> int:
        """Environment steps between two goals."""
        return round(self.goal_period_s / self.step_dt)

    @property
    def _action_size(self) -> int:
        return 7 if self.control_mode == "joint" else 6

    def action_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(-1.0, 1.0, (self._action_size,), np.float32)

    def observation_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(-np.inf, np.inf, (31 + self._action_size,), np.float32)

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        robot = franka(home=HOME)
        if self.control_mode == "osc":
            robot = franka(home=HOME, stiffness=0.0, damping=0.0)
        scene.add_robot("Robot", robot)
        scene.add_marker("Goal", hand_outline(GOAL_COLOR))

    def post_reset(self) -> None:
        self.arm = FrankaArm(self)
        self.robot = self.arm.robot
        zeros = torch.zeros(self.num_envs, self._action_size, device=self.device)
        self.actions, self.last_actions = zeros, zeros.clone()
        self.efforts = torch.zeros(self.num_envs, 9, device=self.device)
        count = -(-self.max_episode_steps // self.goal_steps)
        self.goals = torch.zeros(self.num_envs, count, 7, device=self.device)
        self.goals[..., 3] = 1.0
        low, high = torch.tensor(_GOAL_LOW), torch.tensor(_GOAL_HIGH)
        self.goal_low, self.goal_range = low.to(self.device), (high - low).to(self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.last_actions.copy_(self.actions)
        self.actions.copy_(actions)
        if self.control_mode == "joint":
            limits = self.robot.dof_limits[:7]
            targets = self.arm.home[:7] + self.joint_scale * actions
            self.arm.targets[:, :7] = torch.clamp(targets, limits[:, 0], limits[:, 1])
            self.robot.set_dof_targets(self.arm.targets)
            return
        position = self.position_scale * actions[:, :3]
        rotation = self.rotation_scale * actions[:, 3:]
        if self.control_mode == "ee":
            self.arm.displace_hand(torch.cat((position, rotation), dim=-1))
        else:
            self._operational_space(position, rotation)

    def _operational_space(self, position: Tensor, rotation: Tensor) -> None:
        jacobian = self.arm.jacobian()
        pos, vel = self.robot.dof_pos[:, :7], self.robot.dof_vel[:, :7]
        velocity = (jacobian * vel.unsqueeze(1)).sum(-1)
        limits = self.robot.effort_limits[:7]
        efforts = operational_space_torque(
            jacobian,
            self.arm.mass_matrix(),
            pose_acceleration(position, rotation, velocity, stiffness=self.osc_stiffness),
            posture_acceleration=10.0 * (self.arm.home[:7] - pos) - 2.0 * math.sqrt(10.0) * vel,
        )
        self.efforts[:, :7] = torch.clamp(efforts, -limits, limits)
        self.robot.set_dof_efforts(self.efforts)

    def goal(self) -> Tensor:
        """(N, 7) pose that the hand shall have now, environment frame."""
        index = (self.episode_length // self.goal_steps).clamp(max=self.goals.shape[1] - 1)
        return self.goals.gather(1, index.view(-1, 1, 1).expand(-1, 1, 7)).squeeze(1)

    def errors(self) -> tuple[Tensor, Tensor]:
        """(N, 3) goal minus hand position, m, and (N, 3) rotation vector to the goal, rad."""
        goal, hand = self.goal(), self.arm.hand_pose
        position = goal[:, :3] - (hand[:, :3] - self.engine.env_origins)
        return position, orientation_error(goal[:, 3:], hand[:, 3:])

    def get_observations(self) -> Tensor:
        position, rotation = self.errors()
        return torch.cat(
            (
                self.robot.dof_pos - self.arm.home,
                self.robot.dof_vel,
                self.goal(),
                position,
                rotation,
                self.actions,
            ),
            dim=-1,
        )

    def get_rewards(self) -> dict[str, Tensor]:
        position, rotation = self.errors()
        distance, angle = position.norm(dim=-1), rotation.norm(dim=-1)
        dt = self.step_dt
        near = 1.0 - torch.tanh(distance / 0.1)
        aligned = 0.2 * dt if self.reward == "aligned" else 0.0
        return {
            "position": -0.2 * dt * distance,
            "near": 0.1 * dt * near,
            "rotation": -0.1 * dt * angle,
            "aligned": aligned * near * (1.0 - torch.tanh(angle / 0.2)),
            "action_rate": -1e-4 * dt * (self.actions - self.last_actions).square().sum(-1),
            "joint_speed": -1e-4 * dt * self.robot.dof_vel.square().sum(-1),
        }

    def get_markers(self) -> dict[str, Tensor]:
        return {"Goal": self.goal()}

    def get_extras(self) -> dict[str, Tensor]:
        position, rotation = self.errors()
        distance, angle = position.norm(dim=-1), rotation.norm(dim=-1)
        near = (distance < self.position_tolerance) & (angle < self.rotation_tolerance)
        return {"success": near, "position_error": distance, "rotation_error": angle}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        pos = self.arm.home.repeat(self.num_envs, 1)
        limits = self.robot.dof_limits[:7]
        spread = pos[:, :7] * rng.uniform(0.5, 1.5, (7,))
        pos[:, :7] = torch.clamp(spread, limits[:, 0], limits[:, 1])
        self.robot.write_dof_state(pos, torch.zeros_like(pos), mask)
        self.robot.set_dof_targets(pos, mask)
        self.actions.masked_fill_(mask.unsqueeze(-1), 0.0)
        self.last_actions.masked_fill_(mask.unsqueeze(-1), 0.0)

        count = self.goals.shape[1]
        draws = self.goal_low + self.goal_range * rng.uniform(0.0, 1.0, (count, 4))
        half_turn = torch.full_like(draws[..., 3], math.pi)
        heading = quat_from_euler_xyz(half_turn, torch.zeros_like(half_turn), draws[..., 3])
        # The arm points at the goal: the turn of the base by which it does, as a quaternion.
        x, y = draws[..., 0], draws[..., 1]
        towards = torch.zeros_like(heading)
        towards[..., 2], towards[..., 3] = y, x + torch.sqrt(x * x + y * y)
        towards /= torch.sqrt(towards.square().sum(-1, keepdim=True))
        goals = torch.cat((draws[..., :3], quat_mul(towards, heading)), dim=-1)
        torch.where(mask.view(-1, 1, 1), goals, self.goals, out=self.goals)
