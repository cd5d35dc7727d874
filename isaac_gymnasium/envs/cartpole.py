"""`IsaacCartpole-v0`: balance a pole on a cart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.robots.cartpole import RAIL_HEIGHT, cartpole
from isaac_gymnasium.scene.viewpoint import Viewpoint
from isaac_gymnasium.task import Task, once_a_state

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene


@dataclass(kw_only=True)
class Cartpole(Task):
    """Balance a pole on a cart.

    ## Description
    A cart slides on a rail; a pole swings freely on it. A force on the cart has to keep the pole
    upright. Follows Isaac Lab's direct Cartpole task (constants, reward, reset); unlike it, an
    episode lasts exactly 300 steps, and the action is clipped to [-1, 1].

    ## Action Space
    `Box(-1, 1, (1,))`: the force on the cart, in units of `max_force`.

    ## Observation Space
    `Box(-inf, inf, (4,))`: pole angle (rad, 0 is upright), pole velocity (rad/s), cart position
    (m), cart velocity (m/s).

    ## Rewards
    * `alive`: 1 for every step not terminated
    * `terminated`: -2 on termination
    * `pole_angle`: -1 times the squared pole angle
    * `cart_speed`: -0.01 times the absolute cart velocity
    * `pole_speed`: -0.005 times the absolute pole velocity

    ## Starting State
    Pole angle uniform in ±`initial_angle` times pi; cart in the middle; everything at rest.

    ## Episode End
    Terminates when the cart is more than `max_cart_position` from the middle or the pole more
    than 90 degrees from upright. Truncates after `episode_length_s` (300 steps of 1/60 s).
    `info["success"]` says that the pole is within 12 degrees of upright.

    ## Arguments
    * `max_force`: N per unit of action
    * `max_cart_position`: m
    * `initial_angle`: largest initial pole angle, in units of pi rad

    ## Version History
    * v0: initial version
    """

    num_actions: ClassVar[int] = 1
    num_observations: ClassVar[int] = 4
    viewpoint: ClassVar[Viewpoint] = Viewpoint(
        eye=(7.0, -1.5, 3.0), target=(0.0, 0.0, 2.0), cell=(1.5, 9.0)
    )

    env_spacing: float = 10.0
    max_force: float = 100.0
    max_cart_position: float = 3.0
    initial_angle: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(positive=("max_cart_position",), non_negative=("max_force", "initial_angle"))

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        scene.add_robot("Robot", cartpole(), position=(0.0, 0.0, RAIL_HEIGHT))

    def post_reset(self) -> None:
        self.robot = self.engine.articulation("Robot")
        self.cart, self.pole = self.robot.dof_index(["slider_to_cart", "cart_to_pole"])
        self.efforts = torch.zeros(self.num_envs, 2, device=self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.efforts[:, self.cart] = self.max_force * actions[:, 0]
        self.robot.set_dof_efforts(self.efforts)

    def get_observations(self) -> Tensor:
        pos, vel = self.robot.dof_pos, self.robot.dof_vel
        return torch.stack(
            (pos[:, self.pole], vel[:, self.pole], pos[:, self.cart], vel[:, self.cart]), dim=-1
        )

    def get_rewards(self) -> dict[str, Tensor]:
        pos, vel = self.robot.dof_pos, self.robot.dof_vel
        terminated = self.get_terminations().float()
        return {
            "alive": 1.0 - terminated,
            "terminated": -2.0 * terminated,
            "pole_angle": -pos[:, self.pole].square(),
            "cart_speed": -0.01 * vel[:, self.cart].abs(),
            "pole_speed": -0.005 * vel[:, self.pole].abs(),
        }

    @once_a_state
    def get_terminations(self) -> Tensor:
        pos = self.robot.dof_pos
        off_the_rail = pos[:, self.cart].abs() > self.max_cart_position
        return off_the_rail | (pos[:, self.pole].abs() > math.pi / 2)

    def get_extras(self) -> dict[str, Tensor]:
        return {"success": self.robot.dof_pos[:, self.pole].abs() < math.radians(12.0)}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        bound = self.initial_angle * math.pi
        pos = torch.zeros_like(self.efforts)
        pos[:, self.pole] = rng.uniform(-bound, bound)
        self.robot.write_dof_state(pos, torch.zeros_like(pos), mask)
