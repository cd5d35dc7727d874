"""ANYbotics ANYmal C, a quadruped of 52 kg.

Kinematics, masses, inertias, limits and collision volumes: the manufacturer's
`anymal_c_simple_description` (ANYbotics AG, BSD-3-Clause). Links that are bolted to each other
there are merged here, and the motors' small asymmetries (under 2 % of a moment of inertia)
averaged, so that the legs are mirror images. The foot is a link of its own, so that contacts of
feet and shanks can be told apart. Drives: 80 N m/rad and 2 N m s/rad, as in IsaacGymEnvs'
AnymalTerrain.
"""

from __future__ import annotations

import math

from isaac_gymnasium.scene.inertia import capsule_between
from isaac_gymnasium.scene.model import (
    Inertial,
    Joint,
    Link,
    Material,
    Quat,
    Robot,
    Shape,
    Vec3,
    box,
    cylinder,
    sphere,
)

LEGS = ("LF", "LH", "RF", "RH")
"""Left and right, front and hind; joints are named `<leg>_HAA`, `_HFE` and `_KFE`."""
FEET = tuple(f"{leg}_FOOT" for leg in LEGS)
THIGHS = tuple(f"{leg}_THIGH" for leg in LEGS)
STIFFNESS = 80.0
DAMPING = 2.0

_RED = (0.75, 0.10, 0.10)
_DARK = (0.15, 0.15, 0.17)
_GREY = (0.45, 0.46, 0.48)
_HALF = math.sqrt(0.5)
_ALONG_Y: Quat = (_HALF, 0.0, 0.0, _HALF)
_FOOT_MATERIAL = Material(static_friction=1.0, dynamic_friction=1.0)

_BASE = Inertial(
    mass=26.37317,
    center_of_mass=(-0.01814, -0.00047, 0.0085),
    inertia=(0.216086, 1.79204, 1.83995, 0.0067371, 0.060281, 0.00112726),
)
_BASE_SHAPES = (
    box((0.58, 0.30, 0.18), color=_RED),
    box((0.11, 0.32, 0.16), position=(0.4695, 0.0, 0.0), color=_DARK),
    box((0.11, 0.32, 0.16), position=(-0.4695, 0.0, 0.0), color=_DARK),
    cylinder(0.07, 0.12, position=(-0.364, 0.0, 0.1335), color=_DARK),
)


def _leg_links(leg: str, x: float, y: float) -> list[Link]:
    """Links of one leg; x is 1 in front and -1 behind, y is 1 on the left and -1 on the right."""

    def motor(place: Vec3) -> Shape:
        return cylinder(0.05, 0.14, position=place, orientation=_ALONG_Y, color=_DARK)

    return [
        Link(
            name=f"{leg}_HIP",
            inertial=Inertial(
                mass=2.781,
                center_of_mass=(0.05671 * x, 0.01739 * y, -0.00046),
                inertia=(0.0032955, 0.0049392, 0.0058339, 0.0, -9.9e-05 * x, 0.00013581 * y),
            ),
            shapes=(motor((0.0599 * x, 0.01381 * y, 0.0)),),
        ),
        Link(
            name=f"{leg}_THIGH",
            inertial=Inertial(
                mass=3.071,
                center_of_mass=(0.0, 0.03081 * y, -0.2457),
                inertia=(0.029904, 0.0295638, 0.00486108, 0.0, 0.0, 0.00414243 * y),
            ),
            shapes=(
                box((0.075, 0.06, 0.282627), position=(0.0, 0.03 * y, -0.1413), color=_GREY),
                motor((0.0, 0.0303 * y, -0.285)),
            ),
        ),
        Link(
            name=f"{leg}_SHANK",
            inertial=Inertial(
                mass=0.33842,
                center_of_mass=(0.03453 * x, 0.00686 * y, 0.00098),
                inertia=(
                    0.000328528,
                    0.00111194,
                    0.000896128,
                    2.11881e-05 * x * y,
                    1.33604e-05 * x,
                    6.92875e-08 * y,
                ),
            ),
            shapes=(
                capsule_between(
                    0.0175,
                    (0.08795 * x, 0.01305 * y, -0.02),
                    (0.08795 * x, 0.01305 * y, -0.29),
                    color=_DARK,
                ),
            ),
        ),
        Link(
            name=f"{leg}_FOOT",
            inertial=Inertial(
                mass=0.25,
                center_of_mass=(0.00948 * x, -0.00948 * y, 0.1468),
                inertia=(
                    0.00317174,
                    0.00317174,
                    8.3192e-05,
                    2.63048e-06 * x * y,
                    6.81558e-05 * x,
                    6.81558e-05 * y,
                ),
            ),
            shapes=(
                sphere(0.03, position=(0.0, 0.0, 0.0225), color=_DARK, material=_FOOT_MATERIAL),
            ),
        ),
    ]


def anymal_c() -> Robot:
    """A floating robot of 12 degrees of freedom, standing on bent legs at its defaults."""
    links = [Link(name="base", inertial=_BASE, shapes=_BASE_SHAPES)]
    joints: list[Joint] = []
    for leg in LEGS:
        x, y = 1.0 if leg[1] == "F" else -1.0, 1.0 if leg[0] == "L" else -1.0
        links += _leg_links(leg, x, y)
        hip, thigh, shank, foot = (f"{leg}_{k}" for k in ("HIP", "THIGH", "SHANK", "FOOT"))
        inward = (-0.72, 0.49) if y > 0 else (-0.49, 0.72)
        around = (-9.42477796077, 9.42477796077)
        about_x, about_y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
        for name, parent, child, position, axis, limits, default in (
            ("HAA", "base", hip, (0.2999 * x, 0.104 * y, 0.0), about_x, inward, 0.0),
            ("HFE", hip, thigh, (0.0599 * x, 0.08381 * y, 0.0), about_y, around, 0.4 * x),
            ("KFE", thigh, shank, (0.0, 0.1003 * y, -0.285), about_y, around, -0.8 * x),
        ):
            joints.append(
                Joint(
                    name=f"{leg}_{name}",
                    kind="revolute",
                    parent=parent,
                    child=child,
                    position=position,
                    axis=axis,
                    limits=limits,
                    effort_limit=80.0,
                    velocity_limit=7.5,
                    stiffness=STIFFNESS,
                    damping=DAMPING,
                    default=default,
                )
            )
        joints.append(
            Joint(
                name=f"{leg}_foot_fixed",
                kind="fixed",
                parent=shank,
                child=foot,
                position=(0.08795 * x, 0.01305 * y, -0.33797),
            )
        )
    return Robot(
        model="anymal",
        links=tuple(links),
        joints=tuple(joints),
        fixed_base=False,
        position_iterations=4,
        max_depenetration_velocity=1.0,
    )
