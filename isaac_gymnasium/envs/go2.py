"""`IsaacGo2-v0`: a Unitree Go2 walks with the velocity that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from isaac_gymnasium.envs._velocity import VelocityTask
from isaac_gymnasium.robots.go2 import DAMPING, FEET, STIFFNESS, go2
from isaac_gymnasium.scene.model import Robot


@dataclass(kw_only=True)
class Go2(VelocityTask):
    """A Unitree Go2 walks with the velocity that is asked for.

    ## Description
    A quadruped of 15 kg on flat ground is told how fast to walk forward and sideways and how fast
    to turn, and something else every `command_interval_s`. Follows Isaac Lab's flat velocity task
    for the Go2 (reward weights, gains, default stance, time steps). It differs on purpose: turning
    is commanded directly and not through a heading, commands change twice an episode and not
    once, joints start with noise, observations carry none and masses are not randomised, joints
    are driven by the engine's implicit drives with the data sheet's torque limits, joint
    acceleration is taken over the environment's step, actions lie in [-1, 1] and are in units of
    1 rad, not of 0.25 rad (`jerk` weighs as much a rad), and a fall costs, without which falling
    soon can be the cheapest way out.

    ## Action Space
    `Box(-1, 1, (12,))`: joint position targets minus default positions, in units of
    `action_scale` rad. Order: hips, thighs, calves, each FL, FR, RL, RR.

    ## Observation Space
    `Box(-inf, inf, (48,))`: velocity of the base (3, m/s), its angular velocity (3, rad/s) and the
    direction of gravity (3), all in its own frame; command: forward and sideways (m/s), turning
    (rad/s); joint positions minus default positions (12); joint velocities (12); last action (12).

    ## Rewards
    Each times the step's 0.02 s. e is the error of the base's horizontal velocity, w that of its
    turning, both in its own frame.
    * `track_velocity`: 1.5 exp(-e^2 / 0.25)
    * `track_turn`: 0.75 exp(-w^2 / 0.25)
    * `bounce`: -2 times the squared vertical velocity
    * `sway`: -0.05 times the squared roll and pitch rates
    * `tilt`: -2.5 times the squared horizontal part of the direction of gravity
    * `torque`: -2e-4 times the sum of squared joint torques
    * `acceleration`: -2.5e-7 times the sum of squared joint accelerations
    * `jerk`: -0.16 times the squared change of the action
    * `fall`: -100 in the step that terminates
    * `air_time`: 0.25 times, for each foot that lands, its time in the air minus 0.5 s, while the
      command asks to walk (more than 0.1 m/s)

    ## Starting State
    Base level 0.34 m above the ground, heading anywhere; joints at their default positions plus
    uniform noise of `joint_noise`; at rest. The first command changes after 5 to 10 s.

    ## Episode End
    Terminates when the base touches anything. Truncates after `episode_length_s` (1000 steps of
    0.02 s). `info["velocity_error"]` (m/s) and `info["turn_error"]` (rad/s) are the episode's means
    of e and |w| so far, changes of command included; `info["fell"]`: terminated. `info["success"]`:
    both errors are at most 0.15 and the robot has not fallen.

    ## Arguments
    * `action_scale`: rad per unit of action
    * `max_forward`, `max_sideways`, `max_turn`: half widths of the uniform commands, m/s and rad/s
    * `command_interval_s`: time between two commands, s
    * `standing_share`: share of commands that are to stand still
    * `joint_noise`: half width of the initial noise, rad

    ## Version History
    * v0: initial version
    """

    weights: ClassVar[Mapping[str, float]] = {
        "track_velocity": 1.5,
        "track_turn": 0.75,
        "bounce": -2.0,
        "sway": -0.05,
        "tilt": -2.5,
        "torque": -2e-4,
        "acceleration": -2.5e-7,
        "jerk": -0.16,
        "fall": -100.0,
        "air_time": 0.25,
    }
    feet: ClassVar[tuple[str, ...]] = FEET
    start_height: ClassVar[float] = 0.34
    gains: ClassVar[tuple[float, float]] = (STIFFNESS, DAMPING)

    def robot_model(self) -> Robot:
        return go2()
