"""Controllers between a task's actions and the drives of a robot."""

from isaac_gymnasium.controllers.actuators import DcMotor, Delay, IdealPd
from isaac_gymnasium.controllers.differential_ik import (
    differential_ik,
    shift_jacobian,
    solve_spd,
)
from isaac_gymnasium.controllers.operational_space import (
    operational_space_torque,
    pose_acceleration,
)

__all__ = [
    "DcMotor",
    "Delay",
    "IdealPd",
    "differential_ik",
    "operational_space_torque",
    "pose_acceleration",
    "shift_jacobian",
    "solve_spd",
]
