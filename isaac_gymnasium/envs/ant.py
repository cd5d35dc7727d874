"""`IsaacAnt-v0`: run with four legs, as fast as they carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from isaac_gymnasium.envs._run import RunTask
from isaac_gymnasium.robots.ant import ant
from isaac_gymnasium.scene.model import PhysicsSettings, Robot


@dataclass(kw_only=True)
class Ant(RunTask):
    """Run with four legs, as fast as they carry.

    ## Description
    A ball on four legs with two hinges each runs towards a point 1000 m ahead. Follows Isaac Lab's
    direct Ant task (constants, observation, reward). It differs in that the action is clipped, the
    joint-limit penalty counts the lower limits too, a start has the noise of IsaacGymEnvs' Ant,
    and an episode lasts exactly 900 steps.

    ## Action Space
    `Box(-1, 1, (8,))`: torques on `hip_1..4`, then `ankle_1..4`, in units of `max_torque`.

    ## Observation Space
    `Box(-inf, inf, (36,))`: height of the torso (m); its velocity (3, m/s) and turning (3, rad/s)
    in its own frame; yaw, roll and the bearing of the target from the torso (rad); cosines of the
    tilt and of the bearing; joint positions within their limits (8, -1 to 1); joint velocities
    (8, times 0.2); the last action (8).

    ## Rewards
    While not terminated:
    * `progress`: the step's way towards the target over `dt`: twice the speed in m/s, as in the
      original, which divides by the physics step and not by the environment's
    * `alive`: 0.5
    * `upright`: 0.1 within 22 degrees of upright
    * `heading`: 0.5 where the cosine of the bearing exceeds 0.8, in proportion to it below
    * `action`: -0.005 times the squared action
    * `energy`: -0.01 times the sum over joints of |action times velocity|
    * `limits`: -1 for each joint within 1 % of the end of its range

    * `terminated`: -2 on termination, in place of all else

    ## Starting State
    Torso level at (0, 0, 0.56) m, hips straight out, ankles bent by 45 degrees; joint positions and
    velocities plus uniform noise of `joint_noise` and `speed_noise`.

    ## Episode End
    Terminates when the torso is below `fall_height`. Truncates after `episode_length_s` (900 steps
    of 1/60 s). `info["speed"]`: distance along x over time since the start, m/s. `info["fell"]`:
    terminated. `info["success"]`: `speed` is at least `goal_speed` and the ant has not fallen.

    ## Arguments
    * `max_torque`: N m per unit of action
    * `fall_height`: m
    * `goal_speed`: m/s, for `success` alone
    * `joint_noise`, `speed_noise`: half widths of the initial noise, rad and rad/s

    ## Version History
    * v0: initial version
    """

    num_actions: ClassVar[int] = 8
    num_observations: ClassVar[int] = 36
    start_height: ClassVar[float] = 0.56
    turn_scale: ClassVar[float] = 1.0
    speed_scale: ClassVar[float] = 0.2
    alive: ClassVar[float] = 0.5
    action_cost: ClassVar[float] = 0.005
    energy_cost: ClassVar[float] = 0.01
    fall_cost: ClassVar[float] = 2.0

    max_torque: float = 7.5
    fall_height: float = 0.31
    joint_noise: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(non_negative=("max_torque",))

    def physics_settings(self) -> PhysicsSettings:
        # Flat on the ground, a capsule touches it at both ends: 25 points for ball and legs.
        return PhysicsSettings(contacts_per_env=32)

    def robot_model(self) -> Robot:
        return ant()

    def efforts(self, actions: Tensor) -> Tensor:
        return self.max_torque * actions
