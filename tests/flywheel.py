"""A disc on a shaft, driven by a motor that is slower than the physics and quicker than a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.controllers import DcMotor, Delay
from isaac_gymnasium.scene import Joint, Link, Robot, box_inertial
from isaac_gymnasium.task import Task

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

INERTIA = 0.03 / 12 * (0.2**2 + 0.2**2)
"""Of the disc about its shaft, kg m^2."""
STALL, NO_LOAD = 0.006, 4.0
"""The motor's torque at rest, N m, and its speed without load, rad/s."""


def on_a_shaft() -> Robot:
    return Robot(
        links=(
            Link(name="base", inertial=box_inertial(1.0, (0.1, 0.1, 0.1))),
            Link(name="disc", inertial=box_inertial(0.03, (0.2, 0.2, 0.01))),
        ),
        joints=(Joint(name="shaft", kind="revolute", parent="base", child="disc"),),
    )


@dataclass(kw_only=True)
class Flywheel(Task):
    """Asks for a position that the action says, far enough away to take all the motor has."""

    num_actions: ClassVar[int] = 1
    num_observations: ClassVar[int] = 2

    decimation: int = 8
    dt: float = 0.005
    most_lag: int = 0

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_robot("Wheel", on_a_shaft(), position=(0.0, 0.0, 1.0))

    def post_reset(self) -> None:
        self.wheel = self.engine.articulation("Wheel")
        self.motor = DcMotor(1.0, 0.0, STALL, stall_effort=STALL, no_load_speed=NO_LOAD)
        self.delay = Delay(self.num_envs, 1, self.device, least=0, most=self.most_lag)
        self.wanted = torch.zeros(self.num_envs, 1, device=self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        torch.mul(actions, 1000.0, out=self.wanted)

    def each_physics_step(self) -> None:
        target = self.delay.step(self.wanted)
        pos, vel = self.wheel.dof_pos, self.wheel.dof_vel
        self.wheel.set_dof_efforts(self.motor.effort(target, pos, vel))

    def get_observations(self) -> Tensor:
        return torch.cat((self.wheel.dof_pos, self.wheel.dof_vel), dim=-1)

    def get_rewards(self) -> dict[str, Tensor]:
        return {"speed": self.wheel.dof_vel[:, 0]}

    def get_extras(self) -> dict[str, Tensor]:
        return {"success": self.wheel.dof_vel[:, 0]}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        still = torch.zeros(self.num_envs, 1, device=self.device)
        self.wheel.write_dof_state(still, still, mask)
        self.delay.reset(mask, rng, still)
