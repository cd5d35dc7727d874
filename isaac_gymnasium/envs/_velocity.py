"""`VelocityTask`: what legged robots that follow velocity commands have in common."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.commands import VelocityCommand
from isaac_gymnasium.controllers import IdealPd
from isaac_gymnasium.scene.markers import arrow
from isaac_gymnasium.scene.model import Material, Robot
from isaac_gymnasium.sensors import ContactSensor
from isaac_gymnasium.task import Task, once_a_state
from isaac_gymnasium.transforms import (
    quat_from_yaw,
    quat_rotate_inverse,
    yaw_from_quat,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene


@dataclass(kw_only=True)
class VelocityTask(Task):
    """Walk with the velocity that is asked for; the subclass says which robot, and documents it.

    Attributes:
        weights: Weight of each reward term, before the step's length is multiplied in.
        feet: Links that may touch the ground and are rewarded for long steps.
        shins: Links that should not touch anything, each of which costs when it does.
        flight: How long a step should last at least, s.
        start_height: Height of the base at the start, m.
        gains: Stiffness and damping of the drives.
        heading_gain: See `VelocityCommand`; 0 where turning speeds are commanded.
    """

    num_actions: ClassVar[int] = 12
    num_observations: ClassVar[int] = 48

    weights: ClassVar[Mapping[str, float]]
    feet: ClassVar[tuple[str, ...]]
    shins: ClassVar[tuple[str, ...]] = ()
    flight: ClassVar[float] = 0.5
    start_height: ClassVar[float]
    gains: ClassVar[tuple[float, float]]
    heading_gain: ClassVar[float] = 0.0

    # Where the environments are not kept apart otherwise: twice the way to go in an episode.
    env_spacing: float = 60.0
    episode_length_s: float = 20.0
    dt: float = 0.005
    decimation: int = 4
    action_scale: float = 1.0
    max_forward: float = 1.0
    max_sideways: float = 1.0
    max_turn: float = 1.0
    command_interval_s: float = 10.0
    standing_share: float = 0.02
    joint_noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            positive=("action_scale", "command_interval_s"),
            non_negative=(
                "max_forward",
                "max_sideways",
                "max_turn",
                "standing_share",
                "joint_noise",
            ),
        )
        if self.standing_share > 1.0:
            raise ValueError(f"standing_share must be at most 1, got {self.standing_share}")

    @abc.abstractmethod
    def robot_model(self) -> Robot:
        """The robot, standing at its default joint positions."""

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground(material=Material(static_friction=1.0, dynamic_friction=1.0))
        self.add_robot(scene)

    def add_robot(self, scene: Scene) -> None:
        """Adds the robot, with reports of what its base, feet and shins touch, and its command."""
        scene.add_robot("Robot", self.robot_model(), position=(0.0, 0.0, self.start_height))
        for link in ("base", *self.feet, *self.shins):
            scene.enable_contact_reports(f"Robot/{link}")
        scene.add_marker("Command", arrow(0.3))

    def post_reset(self) -> None:
        engine, n, device = self.engine, self.num_envs, self.device
        self.robot = engine.articulation("Robot")
        self.home = self.robot.dof_pos[:1].clone()
        self.targets = self.home.repeat(n, 1)
        self.motor = IdealPd(*self.gains, self.robot.effort_limits.unsqueeze(0))
        self.foot = ContactSensor(engine, [f"Robot/{link}" for link in self.feet])
        self.body = ContactSensor(engine, [f"Robot/{k}" for k in ("base", *self.shins)])
        self.velocity_command = VelocityCommand(
            n,
            device,
            limits=(self.max_forward, self.max_sideways, self.max_turn),
            interval=self.command_interval_s,
            standing=self.standing_share,
            heading_gain=self.heading_gain,
        )
        self.down = torch.tensor((0.0, 0.0, -1.0), device=device).repeat(n, 1)
        self.actions = torch.zeros(n, 12, device=device)
        self.last_actions = torch.zeros(n, 12, device=device)
        self.last_dof_vel = torch.zeros(n, 12, device=device)
        self.dof_acc = torch.zeros(n, 12, device=device)
        self.steps = torch.zeros(n, device=device)
        # Sums over the episode of how far speed and turning were off.
        self.speed_error = torch.zeros(n, device=device)
        self.turn_error = torch.zeros(n, device=device)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.last_actions.copy_(self.actions)
        self.actions.copy_(actions)
        torch.add(self.home, actions, alpha=self.action_scale, out=self.targets)
        self.robot.set_dof_targets(self.targets)

    def post_physics_step(self, rng: RandomStreams) -> None:
        vel = self.robot.dof_vel
        self.dof_acc.copy_((vel - self.last_dof_vel) / self.step_dt)
        self.last_dof_vel.copy_(vel)
        self.foot.update(self.step_dt)
        self.body.update(self.step_dt)
        self.velocity_command.step(self.step_dt, rng, self._yaw())
        speed, turn = self._errors()
        self.speed_error += speed
        self.turn_error += turn
        self.steps += 1.0

    # ------------------------------------------------------------------ what the base does

    @once_a_state
    def _velocity(self) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3) each: velocity, angular velocity, direction of gravity, in the base's frame."""
        vel, quat = self.robot.root_vel.unflatten(-1, (2, 3)), self.robot.root_pose[:, 3:7]
        vectors = torch.cat((vel, self.down.unsqueeze(1)), dim=1)
        linear, angular, down = quat_rotate_inverse(quat.unsqueeze(1), vectors).unbind(1)
        return linear, angular, down

    def _yaw(self) -> Tensor | None:
        """(N,) headings, rad, where commands need them."""
        return yaw_from_quat(self.robot.root_pose[:, 3:7]) if self.heading_gain else None

    def _errors(self) -> tuple[Tensor, Tensor]:
        """(N,) by how much the last step missed its command, m/s and rad/s."""
        linear, angular, _ = self._velocity()
        command = self.velocity_command.followed
        speed = (linear[:, :2] - command[:, :2]).norm(dim=-1)
        return speed, (angular[:, 2] - command[:, 2]).abs()

    def get_observations(self) -> Tensor:
        return torch.cat(
            (
                *self._velocity(),
                self.velocity_command.command,
                self.robot.dof_pos - self.home,
                self.robot.dof_vel,
                self.actions,
            ),
            dim=-1,
        )

    def get_markers(self) -> dict[str, Tensor]:
        base, command = self.robot.root_pose, self.velocity_command.command
        place = base[:, :3] - self.engine.env_origins
        place[:, 2] += 0.25
        # Who is to stand still sees no arrow: it is below the ground.
        place[:, 2] -= 100.0 * (command[:, :2].norm(dim=-1) < 0.05)
        yaw = yaw_from_quat(base[:, 3:7]) + torch.atan2(command[:, 1], command[:, 0])
        return {"Command": torch.cat((place, quat_from_yaw(yaw)), dim=-1)}

    def get_rewards(self) -> dict[str, Tensor]:
        linear, angular, gravity = self._velocity()
        speed, turn = self._errors()
        torque = self.motor.effort(self.targets, self.robot.dof_pos, self.robot.dof_vel)
        walking = self.velocity_command.followed[:, :2].norm(dim=-1) > 0.1
        flights = ((self.foot.last_air_time - self.flight) * self.foot.landed).sum(-1)
        terms = {
            "track_velocity": torch.exp(-speed.square() / 0.25),
            "track_turn": torch.exp(-turn.square() / 0.25),
            "bounce": linear[:, 2].square(),
            "sway": angular[:, :2].square().sum(-1),
            "tilt": gravity[:, :2].square().sum(-1),
            "torque": torque.square().sum(-1),
            "acceleration": self.dof_acc.square().sum(-1),
            "jerk": (self.actions - self.last_actions).square().sum(-1),
            "air_time": flights * walking,
            "fall": self.get_terminations().float(),
            "contacts": self.body.touching[:, 1:].float().sum(-1),
        }
        return {
            name: (weight * self.step_dt) * terms[name] for name, weight in self.weights.items()
        }

    def get_terminations(self) -> Tensor:
        return self.body.force[:, 0] > 1.0

    def get_extras(self) -> dict[str, Tensor]:
        fell = self.get_terminations()
        steps = self.steps.clamp(min=1.0)
        speed, turn = self.speed_error / steps, self.turn_error / steps
        return {
            "success": (speed <= 0.15) & (turn <= 0.15) & ~fell,
            "velocity_error": speed,
            "turn_error": turn,
            "fell": fell,
        }

    def start_place(self, mask: Tensor, rng: RandomStreams) -> Tensor:
        """(N, 3) ground, world frame, on which the environments of the mask start, m."""
        return self.engine.env_origins

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        rows = mask.unsqueeze(-1)
        pos = self.home + rng.uniform(-self.joint_noise, self.joint_noise, (12,))
        limits = self.robot.dof_limits
        pos = torch.clamp(pos, limits[:, 0], limits[:, 1])
        self.robot.write_dof_state(pos, torch.zeros_like(pos), mask)
        self.robot.set_dof_targets(pos, mask)
        torch.where(rows, pos, self.targets, out=self.targets)

        quat = quat_from_yaw(rng.uniform(-math.pi, math.pi))
        ground = self.start_place(mask, rng)
        pose = torch.cat((ground[:, :2], ground[:, 2:] + self.start_height, quat), dim=-1)
        self.robot.write_root_state(pose, torch.zeros_like(pose[:, :6]), mask)

        self.velocity_command.reset(mask, rng, self._yaw())
        self.foot.reset(mask)
        self.body.reset(mask)
        for buffer in (self.actions, self.last_actions, self.last_dof_vel, self.dof_acc):
            buffer.masked_fill_(rows, 0.0)
        for buffer in (self.steps, self.speed_error, self.turn_error):
            buffer.masked_fill_(mask, 0.0)
