"""`RunTask`: what robots that run towards a point far ahead have in common."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.scene.model import Material, Robot
from isaac_gymnasium.task import Task, once_a_state
from isaac_gymnasium.transforms import (
    atan2,
    quat_rotate_inverse,
    roll_yaw_points,
    wrap_to_pi,
)

if TYPE_CHECKING:
    from isaac_gymnasium.engines.base import Articulation, Engine
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

TARGET = 1000.0
"""Distance along x from an environment's origin to the point to run to, m."""


class Run:
    """Where the torso is, how it stands, and how far it has come.

    Args:
        engine: The physics engine.
        robot: The runner; its root link is the torso, x forward and z up.

    Attributes:
        position: (N, 2) where the torso was after the last step, environment frame, m.
        progress: (N,) way towards the target made good in the last step, m.
        elapsed: (N,) time since the start of the episode, s.
    """

    shared_tensors = ("target",)

    def __init__(self, engine: Engine, robot: Articulation) -> None:
        self.engine = engine
        self.robot = robot
        self.target = torch.tensor((TARGET, 0.0), device=engine.device)
        self.position = torch.zeros(engine.num_envs, 2, device=engine.device)
        self.progress = torch.zeros(engine.num_envs, device=engine.device)
        self.elapsed = torch.zeros(engine.num_envs, device=engine.device)

    def advance(self, step_dt: float) -> None:
        """Notes how far the step that has just ended led."""
        now = self._place()[:, :2]
        ahead = self.target - self.position
        # Along the line of sight: a difference of two distances of a kilometre would be all noise.
        move = ((now - self.position) * ahead).sum(-1)
        self.progress.copy_(move / ahead.norm(dim=-1))
        self.position.copy_(now)
        self.elapsed += step_dt

    def restart(self, mask: Tensor, pose: Tensor) -> None:
        """Begins a new run where the mask says, from (N, 7) world poses."""
        start = pose[:, :2] - self.engine.env_origins[:, :2]
        torch.where(mask.unsqueeze(-1), start, self.position, out=self.position)
        self.progress.masked_fill_(mask, 0.0)
        self.elapsed.masked_fill_(mask, 0.0)

    def height(self) -> Tensor:
        """(N,) height of the torso, m."""
        return self._place()[:, 2]

    def mean_speed(self) -> Tensor:
        """(N,) speed along x since the start of the episode, on average, m/s."""
        return self._place()[:, 0] / self.elapsed.clamp(min=1e-6)

    def upright(self) -> Tensor:
        """(N,) cosine of the torso's tilt: 1 upright, -1 upside down."""
        return self._points()[0][:, 0]

    @once_a_state
    def heading(self) -> Tensor:
        """(N,) cosine of the angle between the torso's x axis and the way to the target."""
        ahead = self._ahead()
        ahead = ahead / ahead.norm(dim=-1, keepdim=True)
        x, y = self._points()
        forward = torch.stack((x[:, 1], y[:, 1]), dim=-1)
        cosine: Tensor = (forward * ahead).sum(-1)
        return cosine

    def observation(self, turn_scale: float) -> tuple[Tensor, ...]:
        """Height, velocity (3), turning (3, scaled), yaw, roll, bearing, two cosines; 12 columns.

        Velocities are in the torso's frame; the bearing is the angle from the torso's yaw to the
        target; the cosines are `upright` and `heading`.
        """
        quat, ahead = self.robot.root_pose[:, 3:7], self._ahead()
        vel = quat_rotate_inverse(quat.unsqueeze(1), self.robot.root_vel.unflatten(-1, (2, 3)))
        x, y = self._points()
        roll, yaw = atan2(y, x).unbind(-1)
        bearing = wrap_to_pi((ahead[:, 1] / ahead[:, 0]).atan() - yaw)
        return (
            self._place()[:, 2:],
            vel[:, 0],
            turn_scale * vel[:, 1],
            torch.stack((yaw, roll, bearing, self.upright(), self.heading()), dim=-1),
        )

    @once_a_state
    def _place(self) -> Tensor:
        """(N, 3) of the torso, environment frame, m."""
        return self.robot.root_pose[:, :3] - self.engine.env_origins

    @once_a_state
    def _ahead(self) -> Tensor:
        """(N, 2) from the torso to the target, m."""
        return self.target - self._place()[:, :2]

    @once_a_state
    def _points(self) -> tuple[Tensor, Tensor]:
        """See `roll_yaw_points`."""
        return roll_yaw_points(self.robot.root_pose[:, 3:7])


@dataclass(kw_only=True)
class RunTask(Task):
    """Run as fast as possible; the subclass says with which robot, and documents it.

    Attributes:
        start_height: Height of the torso at the start, m.
        turn_scale: Factor on the torso's turning in the observation.
        speed_scale: Factor on the joints' velocities in the observation.
        alive: Reward of a step that does not terminate.
        action_cost: What a squared action of 1 costs.
        energy_cost: What an action of 1 at a joint that moves with 1 rad/s costs.
        fall_cost: What terminating costs.
    """

    # Where a torso starts belongs to the environment's place, not to its state.
    shared_tensors: ClassVar[tuple[str, ...]] = ("start", "rest")

    start_height: ClassVar[float]
    turn_scale: ClassVar[float]
    speed_scale: ClassVar[float]
    alive: ClassVar[float]
    action_cost: ClassVar[float]
    energy_cost: ClassVar[float]
    fall_cost: ClassVar[float]

    # Where the environments are not kept apart otherwise, nobody gets as far as its neighbour.
    env_spacing: float = 200.0
    episode_length_s: float = 15.0
    fall_height: float
    goal_speed: float = 3.0
    joint_noise: float
    speed_noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            positive=("goal_speed",), non_negative=("fall_height", "joint_noise", "speed_noise")
        )

    @abc.abstractmethod
    def robot_model(self) -> Robot:
        """The robot, at its default joint positions."""

    @abc.abstractmethod
    def efforts(self, actions: Tensor) -> Tensor:
        """(N, A) torques, N m, of (N, A) actions."""

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground(material=Material(static_friction=1.0, dynamic_friction=1.0))
        scene.add_robot("Robot", self.robot_model(), position=(0.0, 0.0, self.start_height))

    def post_reset(self) -> None:
        self.robot = self.engine.articulation("Robot")
        self.run = Run(self.engine, self.robot)
        self.actions = torch.zeros(self.num_envs, self.num_actions, device=self.device)
        self.home = self.robot.dof_pos[:1].clone()
        lower, upper = self.robot.dof_limits.unsqueeze(0).unbind(-1)
        self.middle, self.half_range = 0.5 * (upper + lower), 0.5 * (upper - lower)
        self.start = torch.zeros(self.num_envs, 7, device=self.device)
        self.start[:, 2], self.start[:, 6] = self.start_height, 1.0
        self.start[:, :3] += self.engine.env_origins
        self.rest = torch.zeros(1, 6, device=self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.actions.copy_(actions)
        self.robot.set_dof_efforts(self.efforts(actions))

    def post_physics_step(self, rng: RandomStreams) -> None:
        self.run.advance(self.step_dt)

    @once_a_state
    def _share_of_range(self) -> Tensor:
        return (self.robot.dof_pos - self.middle) / self.half_range

    def get_observations(self) -> Tensor:
        return torch.cat(
            (
                *self.run.observation(self.turn_scale),
                self._share_of_range(),
                self.speed_scale * self.robot.dof_vel,
                self.actions,
            ),
            dim=-1,
        )

    def get_rewards(self) -> dict[str, Tensor]:
        terminated = self.get_terminations().float()
        terms = {
            "progress": self.run.progress / self.dt,
            "alive": torch.full_like(terminated, self.alive),
            "upright": 0.1 * (self.run.upright() > 0.93),
            # Its most within 37 degrees of the target.
            "heading": torch.clamp(0.5 / 0.8 * self.run.heading(), max=0.5),
            "action": -self.action_cost * self.actions.square().sum(-1),
            "energy": -self.energy_cost * (self.actions * self.robot.dof_vel).abs().sum(-1),
            "limits": -(self._share_of_range().abs() > 0.98).float().sum(-1),
        }
        while_standing = (1.0 - terminated) * torch.stack(list(terms.values()))
        return dict(zip(terms, while_standing.unbind(), strict=True)) | {
            "terminated": -self.fall_cost * terminated
        }

    @once_a_state
    def get_terminations(self) -> Tensor:
        return self.run.height() < self.fall_height

    def get_extras(self) -> dict[str, Tensor]:
        speed, fell = self.run.mean_speed(), self.get_terminations()
        return {"success": (speed >= self.goal_speed) & ~fell, "speed": speed, "fell": fell}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        size = (self.num_actions,)
        pos = self.home + rng.uniform(-self.joint_noise, self.joint_noise, size)
        limits = self.robot.dof_limits
        pos = torch.clamp(pos, limits[:, 0], limits[:, 1])
        vel = rng.uniform(-self.speed_noise, self.speed_noise, size)
        self.robot.write_dof_state(pos, vel, mask)

        self.robot.write_root_state(self.start, self.rest, mask)
        self.run.restart(mask, self.start)
        self.actions.masked_fill_(mask.unsqueeze(-1), 0.0)
