"""`IsaacCartpoleSwingUp-v0`: swing a hanging pole up and hold it upright."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.robots.cartpole import RAIL_HEIGHT, cartpole
from isaac_gymnasium.scene.viewpoint import Viewpoint
from isaac_gymnasium.task import Task

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

_UPRIGHT = math.cos(math.radians(12.0))


@dataclass(kw_only=True)
class CartpoleSwingUp(Task):
    """Swing a hanging pole up and hold it upright.

    ## Description
    The cart and pole of `IsaacCartpole-v0`, with the pole hanging at the start. Follows the task
    cartpole swingup of the DeepMind Control Suite (Tassa et al. 2018, arXiv:1801.00690; reward and
    observation). Different on purpose: the cart-pole is NVIDIA's, the rail ends at
    `max_cart_position` and ends the episode, and a step lasts 1/60 s.

    ## Action Space
    `Box(-1, 1, (1,))`: the force on the cart, in units of `max_force`.

    ## Observation Space
    `Box(-inf, inf, (5,))`: cart position (m), cosine and sine of the pole angle (0 is upright),
    cart velocity (m/s), pole velocity (rad/s).

    ## Rewards
    * `swing_up`: product of (1 + cos angle) / 2, (1 + g(cart position / 2 m)) / 2,
      (4 + q(action)) / 5 and (1 + g(pole velocity / 5 rad/s)) / 2, with g(x) = 0.1^(x^2) and
      q(x) = 1 - x^2; at most 1 a step, and only for a still pole, upright in the middle

    ## Starting State
    Pole hanging, its angle uniform in pi ± `initial_noise`; cart within ±`initial_noise` of the
    middle; everything at rest.

    ## Episode End
    Terminates when the cart is more than `max_cart_position` from the middle. Truncates after
    `episode_length_s` (600 steps of 1/60 s). `info["upright"]`: the pole is within 12 degrees of
    upright. `info["upright_share"]`: the steps of the episode's second half that were upright so
    far, as a part of all its steps. `info["success"]`: that part is at least 0.8.

    ## Arguments
    * `max_force`: N per unit of action
    * `max_cart_position`: m
    * `initial_noise`: rad and m

    ## Version History
    * v0: initial version
    """

    num_actions: ClassVar[int] = 1
    num_observations: ClassVar[int] = 5
    viewpoint: ClassVar[Viewpoint] = Viewpoint(
        eye=(7.0, -1.5, 3.0), target=(0.0, 0.0, 1.8), cell=(1.5, 9.0)
    )

    env_spacing: float = 10.0
    episode_length_s: float = 10.0
    max_force: float = 100.0
    max_cart_position: float = 3.0
    initial_noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(positive=("max_cart_position",), non_negative=("max_force", "initial_noise"))

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        scene.add_robot("Robot", cartpole(), position=(0.0, 0.0, RAIL_HEIGHT))

    def post_reset(self) -> None:
        self.robot = self.engine.articulation("Robot")
        self.cart, self.pole = self.robot.dof_index(["slider_to_cart", "cart_to_pole"])
        self.efforts = torch.zeros(self.num_envs, 2, device=self.device)
        self.actions = torch.zeros(self.num_envs, 1, device=self.device)
        self.upright_steps = torch.zeros(self.num_envs, device=self.device)

    def upright(self) -> Tensor:
        """(N,) bool: the pole is within 12 degrees of upright."""
        return torch.cos(self.robot.dof_pos[:, self.pole]) > _UPRIGHT

    def pre_physics_step(self, actions: Tensor) -> None:
        self.actions.copy_(actions)
        self.efforts[:, self.cart] = self.max_force * actions[:, 0]
        self.robot.set_dof_efforts(self.efforts)

    def post_physics_step(self, rng: RandomStreams) -> None:
        late = self.episode_length > self.max_episode_steps // 2
        self.upright_steps += self.upright() & late

    def get_observations(self) -> Tensor:
        pos, vel = self.robot.dof_pos, self.robot.dof_vel
        angle = pos[:, self.pole]
        return torch.stack(
            (
                pos[:, self.cart],
                torch.cos(angle),
                torch.sin(angle),
                vel[:, self.cart],
                vel[:, self.pole],
            ),
            dim=-1,
        )

    def get_rewards(self) -> dict[str, Tensor]:
        pos, vel = self.robot.dof_pos, self.robot.dof_vel
        upright = (1.0 + torch.cos(pos[:, self.pole])) / 2.0
        centred = (1.0 + _bell(pos[:, self.cart] / 2.0)) / 2.0
        gentle = (5.0 - self.actions[:, 0].square()) / 5.0
        still = (1.0 + _bell(vel[:, self.pole] / 5.0)) / 2.0
        return {"swing_up": upright * centred * gentle * still}

    def get_terminations(self) -> Tensor:
        return self.robot.dof_pos[:, self.cart].abs() > self.max_cart_position

    def get_extras(self) -> dict[str, Tensor]:
        share = self.upright_steps / (self.max_episode_steps - self.max_episode_steps // 2)
        return {"success": share >= 0.8, "upright": self.upright(), "upright_share": share}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        noise = rng.uniform(-self.initial_noise, self.initial_noise, (2,))
        pos = torch.zeros_like(self.efforts)
        pos[:, self.pole] = math.pi + noise[:, 0]
        pos[:, self.cart] = noise[:, 1]
        self.robot.write_dof_state(pos, torch.zeros_like(pos), mask)
        self.actions.masked_fill_(mask.unsqueeze(-1), 0.0)
        self.upright_steps.masked_fill_(mask, 0.0)


def _bell(x: Tensor) -> Tensor:
    """1 at zero and 0.1 at ±1."""
    return torch.exp(math.log(0.1) * x.square())
