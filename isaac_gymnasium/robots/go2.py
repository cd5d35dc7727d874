"""Unitree Go2, a quadruped of 15 kg.

Kinematics, masses, inertias, limits and collision volumes: the manufacturer's `go2_description`
(Unitree Robotics, BSD-3-Clause, in the repository unitree_ros). Lower legs are capsules down to the
foot, which is a link of its own, so that contacts of feet and shins can be told apart. Drives:
25 N m/rad and 0.5 N m s/rad, as Isaac Lab has them; rotor inertia at the joints 0.01 kg m^2 as in
MuJoCo Menagerie's model.
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

LEGS = ("FL", "FR", "RL", "RR")
"""Front and rear, left and right; joints and links are named `<leg>_hip`, `_thigh`, `_calf`."""
FEET = tuple(f"{leg}_foot" for leg in LEGS)
STIFFNESS = 25.0
DAMPING = 0.5
STANDING_HEIGHT = 0.32
"""Height of the base with the legs at their default positions, m."""

_DARK = (0.16, 0.17, 0.19)
_LIGHT = (0.80, 0.81, 0.83)
_HALF = math.sqrt(0.5)
_ALONG_Y: Quat = (_HALF, 0.0, 0.0, _HALF)
_FOOT_MATERIAL = Material(static_friction=1.0, dynamic_friction=1.0)

_BASE = Inertial(
    mass=6.921,
    center_of_mass=(0.021112, 0.0, -0.005366),
    inertia=(0.02448, 0.098077, 0.107, 0.00012166, 0.0014849, -3.12e-05),
)


def _leg_inertials(x: float, y: float) -> dict[str, Inertial]:
    """Mass properties of a leg's links; x is 1 in front and -1 behind, y is 1 on the left."""
    return {
        "hip": Inertial(
            mass=0.678,
            center_of_mass=(-0.0054 * x, 0.00194 * y, -0.000105),
            inertia=(0.00048, 0.000884, 0.000596, -3.01e-06 * x * y, 1.11e-06 * x, -1.42e-06 * y),
        ),
        "thigh": Inertial(
            mass=1.152,
            center_of_mass=(-0.00374, -0.0223 * y, -0.0327),
            inertia=(0.00584, 0.0058, 0.00103, 8.72e-05 * y, -0.000289, 0.000808 * y),
        ),
        "calf": Inertial(
            mass=0.154,
            center_of_mass=(0.00548, -0.000975 * y, -0.115),
            inertia=(0.00108, 0.0011, 3.29e-05, 3.4e-07 * y, 1.72e-05, 8.28e-06 * y),
        ),
        "foot": Inertial(mass=0.04, inertia=(9.6e-06, 9.6e-06, 9.6e-06, 0.0, 0.0, 0.0)),
    }


def _leg_shapes(y: float) -> dict[str, tuple[Shape, ...]]:
    return {
        "hip": (
            cylinder(0.046, 0.04, position=(0.0, 0.08 * y, 0.0), orientation=_ALONG_Y, color=_DARK),
            # The motor between trunk and thigh collides with nothing but the trunk.
            cylinder(
                0.036,
                0.08,
                position=(0.0, 0.02 * y, 0.0),
                orientation=_ALONG_Y,
                color=_LIGHT,
                collides=False,
            ),
        ),
        "thigh": (box((0.034, 0.0245, 0.213), position=(0.0, 0.0, -0.1065), color=_LIGHT),),
        "calf": (capsule_between(0.012, (0.0, 0.0, -0.02), (0.0, 0.0, -0.19), color=_DARK),),
        "foot": (sphere(0.022, position=(-0.002, 0.0, 0.0), color=_DARK, material=_FOOT_MATERIAL),),
    }


def go2() -> Robot:
    """A floating robot of 12 degrees of freedom, standing on four legs at its defaults."""
    body = (
        box((0.3762, 0.0935, 0.114), color=_LIGHT),
        cylinder(0.05, 0.09, position=(0.285, 0.0, 0.01), color=_DARK),
        sphere(0.047, position=(0.293, 0.0, -0.06), color=_DARK),
    )
    links = [Link(name="base", inertial=_BASE, shapes=body)]
    joints: list[Joint] = []

    def hinge(
        name: str,
        parent: str,
        position: Vec3,
        axis: Vec3,
        limits: tuple[float, float],
        default: float,
        motor: tuple[float, float] = (23.7, 30.1),
    ) -> Joint:
        return Joint(
            name=f"{name}_joint",
            kind="revolute",
            parent=parent,
            child=name,
            position=position,
            axis=axis,
            limits=limits,
            effort_limit=motor[0],
            velocity_limit=motor[1],
            stiffness=STIFFNESS,
            damping=DAMPING,
            armature=0.01,
            default=default,
        )

    about_x, about_y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    for leg in LEGS:
        x, y = 1.0 if leg[0] == "F" else -1.0, 1.0 if leg[1] == "L" else -1.0
        shapes = _leg_shapes(y)
        for part, inertial in _leg_inertials(x, y).items():
            links.append(Link(name=f"{leg}_{part}", inertial=inertial, shapes=shapes[part]))
        hip, thigh, calf = (f"{leg}_{part}" for part in ("hip", "thigh", "calf"))
        reach = (-1.5708, 3.4907) if x > 0 else (-0.5236, 4.5379)
        down = (0.0, 0.0, -0.213)
        joints += [
            hinge(hip, "base", (0.1934 * x, 0.0465 * y, 0.0), about_x, (-1.0472, 1.0472), 0.1 * y),
            hinge(thigh, hip, (0.0, 0.0955 * y, 0.0), about_y, reach, 0.8 if x > 0 else 1.0),
            hinge(calf, thigh, down, about_y, (-2.7227, -0.83776), -1.5, (35.55, 20.07)),
            Joint(
                name=f"{leg}_foot_joint",
                kind="fixed",
                parent=calf,
                child=f"{leg}_foot",
                position=down,
            ),
        ]
    return Robot(
        model="go2",
        links=tuple(links),
        joints=tuple(joints),
        fixed_base=False,
        position_iterations=4,
        max_depenetration_velocity=1.0,
    )
