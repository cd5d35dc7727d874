"""Controllers between a task's actions and the drives of a robot."""

from isaac_gymnasium.controllers.differential_ik import (
    differential_ik,
    shift_jacobian,
    solve_spd,
)

__all__ = ["differential_ik", "shift_jacobian", "solve_spd"]
