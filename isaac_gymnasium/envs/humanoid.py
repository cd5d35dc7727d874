"""`IsaacHumanoid-v0`: run on two legs, as fast as they carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.envs._run import RunTask
from isaac_gymnasium.robots.humanoid import GEARS, humanoid
from isaac_gymnasium.scene.model import Robot


@dataclass(kw_only=True)
class Humanoid(RunTask):
    """Run on two legs, as fast as they carry.

    ## Description
    A humanoid with 21 hinges runs towards a point 1000 m ahead. Follows Isaac Lab's direct Humanoid
    task (constants, observation, reward). It differs in that the action is clipped, the
    joint-limit penalty counts the lower limits too, a start has noise as in IsaacGymEnvs' Humanoid,
    and an episode lasts exactly 900 steps.

    ## Action Space
    `Box(-1, 1, (21,))`: joint torques in units of each joint's gear (`robots.humanoid.GEARS`, 22.5
    to 135 N m) times `effort_scale`. Joints in the order of the engine, which is that of
    `env.unwrapped.task.robot.dof_names`.

    ## Observation Space
    `Box(-inf, inf, (75,))`: height of the torso (m); its velocity (3, m/s) and turning (3, times
    0.25) in its own frame; yaw, roll and the bearing of the target from the torso (rad); cosines of
    the tilt and of the bearing; joint positions within their limits (21, -1 to 1); joint velocities
    (21, times 0.1); the last action (21).

    ## Rewards
    While not terminated:
    * `progress`: the step's way towards the target over `dt`: twice the speed in m/s, as in the
      original, which divides by the physics step and not by the environment's
    * `alive`: 2
    * `upright`: 0.1 within 22 degrees of upright
    * `heading`: 0.5 where the cosine of the bearing exceeds 0.8, in proportion to it below
    * `action`: -0.01 times the squared action
    * `energy`: -0.005 times the sum over joints of |action times velocity|
    * `limits`: -1 for each joint within 1 % of the end of its range

    * `terminated`: -1 on termination, in place of all else

    ## Starting State
    Torso level at (0, 0, 1.34) m, all joints at zero; joint positions and velocities plus uniform
    noise of `joint_noise` and `speed_noise`, within the limits.

    ## Episode End
    Terminates when the torso is below `fall_height`. Truncates after `episode_length_s` (900 steps
    of 1/60 s). `info["speed"]`: distance along x over time since the start, m/s. `info["fell"]`:
    terminated. `info["success"]`: `speed` is at least `goal_speed` and the humanoid has not fallen.

    ## Arguments
    * `effort_scale`: gears per unit of action
    * `fall_height`: m
    * `goal_speed`: m/s, for `success` alone
    * `joint_noise`, `speed_noise`: half widths of the initial noise, rad and rad/s

    ## Version History
    * v0: initial version
    """

    num_actions: ClassVar[int] = 21
    num_observations: ClassVar[int] = 75
    start_height: ClassVar[float] = 1.34
    turn_scale: ClassVar[float] = 0.25
    speed_scale: ClassVar[float] = 0.1
    alive: ClassVar[float] = 2.0
    action_cost: ClassVar[float] = 0.01
    energy_cost: ClassVar[float] = 0.005
    fall_cost: ClassVar[float] = 1.0

    effort_scale: float = 1.0
    fall_height: float = 0.8
    joint_noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(non_negative=("effort_scale",))

    def robot_model(self) -> Robot:
        return humanoid()

    def post_reset(self) -> None:
        super().post_reset()
        names = [n.removeprefix("right_").removeprefix("left_") for n in self.robot.dof_names]
        self.gears = torch.tensor([[GEARS[name] for name in names]], device=self.device)

    def efforts(self, actions: Tensor) -> Tensor:
        return self.effort_scale * self.gears * actions
