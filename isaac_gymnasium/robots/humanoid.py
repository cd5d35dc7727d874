"""The humanoid: 1.3 m tall, 21 hinges.

Geometry, joint ranges, stiffness, damping, armature and gears: `nv_humanoid.xml`, the model that
NVIDIA's Isaac Gym and Newton ship, derived from the DeepMind Control Suite's (Tassa et al. 2018,
arXiv:1801.00690). Masses follow from the capsules at 1000 kg/m^3. Where that model puts several
hinges on one body, small links of 0.02 kg stand between them here. The waist's tilt of 0.2 degrees
is left out, and limbs of the robot do not collide with each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from isaac_gymnasium.scene.inertia import capsule_between, shapes_inertial
from isaac_gymnasium.scene.model import Inertial, Joint, Link, Material, Robot, Shape, Vec3, sphere

GEARS = {
    "abdomen_z": 67.5,
    "abdomen_y": 67.5,
    "abdomen_x": 67.5,
    "hip_x": 45.0,
    "hip_z": 45.0,
    "hip_y": 135.0,
    "knee": 90.0,
    "ankle_y": 22.5,
    "ankle_x": 22.5,
    "shoulder1": 67.5,
    "shoulder2": 67.5,
    "elbow": 45.0,
}
"""Torque of a motor at full command by the joint's name without its side, N m."""

_DENSITY = 1000.0
_MATERIAL = Material(static_friction=1.0, dynamic_friction=1.0)
_SKIN = (0.85, 0.62, 0.48)
_SUIT = (0.20, 0.32, 0.48)
_BETWEEN = Inertial(mass=0.02, inertia=(2e-5, 2e-5, 2e-5, 0.0, 0.0, 0.0))


@dataclass(frozen=True)
class _Hinge:
    name: str
    axis: Vec3
    degrees: tuple[float, float]
    stiffness: float
    damping: float
    armature: float


def _bone(radius: float, start: Vec3, end: Vec3, color: Vec3 = _SUIT) -> Shape:
    return capsule_between(radius, start, end, color=color, material=_MATERIAL)


def _flesh(radius: float, start: Vec3, end: Vec3, color: Vec3 = _SUIT) -> Shape:
    """Fills a gap between bones, for the eye alone."""
    return capsule_between(radius, start, end, color=color, collides=False)


def humanoid() -> Robot:
    """A floating robot, upright at its default positions; joints as in `GEARS` by their sides."""
    trunk = (
        _bone(0.07, (0.0, -0.07, 0.0), (0.0, 0.07, 0.0)),
        _bone(0.06, (-0.01, -0.06, -0.12), (-0.01, 0.06, -0.12)),
        sphere(0.09, position=(0.0, 0.0, 0.19), color=_SKIN, material=_MATERIAL),
    )
    neck = _flesh(0.045, (0.0, 0.0, 0.05), (0.0, 0.0, 0.13), _SKIN)
    spine = _flesh(0.055, (-0.01, 0.0, 0.0), (-0.01, 0.0, -0.195))
    inertial = shapes_inertial(trunk, density=_DENSITY)
    links = [Link(name="torso", inertial=inertial, shapes=(*trunk, neck, spine))]
    joints: list[Joint] = []

    def grow(name: str, parent: str, position: Vec3, hinges: list[_Hinge], *bones: Shape) -> None:
        """Hangs a link on its parent by hinges that share one point, the link's own origin."""
        for last, hinge in zip((False,) * (len(hinges) - 1) + (True,), hinges, strict=True):
            child = name if last else f"{hinge.name}_link"
            solid = [bone for bone in bones if bone.collides]
            inertial = shapes_inertial(solid, density=_DENSITY) if last else _BETWEEN
            links.append(Link(name=child, inertial=inertial, shapes=bones if last else ()))
            x, y, z = hinge.axis
            norm = math.hypot(x, y, z)
            low, high = (math.radians(angle) for angle in hinge.degrees)
            joints.append(
                Joint(
                    name=hinge.name,
                    kind="revolute",
                    parent=parent,
                    child=child,
                    position=position,
                    axis=(x / norm, y / norm, z / norm),
                    limits=(low, high),
                    velocity_limit=100.0,
                    stiffness=hinge.stiffness,
                    damping=hinge.damping,
                    armature=hinge.armature,
                )
            )
            parent, position = child, (0.0, 0.0, 0.0)

    grow(
        "lower_waist",
        "torso",
        (-0.01, 0.0, -0.195),
        [
            _Hinge("abdomen_z", (0.0, 0.0, 1.0), (-45.0, 45.0), 20.0, 5.0, 0.02),
            _Hinge("abdomen_y", (0.0, 1.0, 0.0), (-75.0, 30.0), 20.0, 5.0, 0.01),
        ],
        _bone(0.06, (0.0, -0.06, -0.065), (0.0, 0.06, -0.065)),
        _flesh(0.055, (0.0, 0.0, 0.0), (0.0, 0.0, -0.13)),
    )
    grow(
        "pelvis",
        "lower_waist",
        (0.0, 0.0, -0.13),
        [_Hinge("abdomen_x", (1.0, 0.0, 0.0), (-35.0, 35.0), 10.0, 5.0, 0.01)],
        _bone(0.09, (-0.02, -0.07, -0.1), (-0.02, 0.07, -0.1)),
    )
    # s is 1 on the right, which has negative y, and -1 on the left.
    for side, s in (("right", 1.0), ("left", -1.0)):
        grow(
            f"{side}_thigh",
            "pelvis",
            (0.0, -0.1 * s, -0.14),
            [
                _Hinge(f"{side}_hip_x", (s, 0.0, 0.0), (-25.0, 5.0), 10.0, 5.0, 0.01),
                _Hinge(f"{side}_hip_z", (0.0, 0.0, s), (-60.0, 35.0), 10.0, 5.0, 0.01),
                _Hinge(f"{side}_hip_y", (0.0, 1.0, 0.0), (-80.0, 20.0), 20.0, 5.0, 0.01),
            ],
            _bone(0.06, (0.0, 0.0, 0.0), (0.0, 0.01 * s, -0.34)),
        )
        grow(
            f"{side}_shin",
            f"{side}_thigh",
            (0.0, 0.01 * s, -0.383),
            [_Hinge(f"{side}_knee", (0.0, -1.0, 0.0), (-160.0, 2.0), 5.0, 0.1, 0.007)],
            _bone(0.049, (0.0, 0.0, -0.02), (0.0, 0.0, -0.32)),
        )
        grow(
            f"{side}_foot",
            f"{side}_shin",
            (0.0, 0.0, -0.33),
            [
                _Hinge(f"{side}_ankle_y", (0.0, 1.0, 0.0), (-50.0, 50.0), 2.0, 1.0, 0.006),
                _Hinge(f"{side}_ankle_x", (1.0, 0.0, 0.5), (-50.0, 50.0), 2.0, 1.0, 0.006),
            ],
            _bone(0.027, (-0.07, -0.02 * s, -0.08), (0.14, -0.04 * s, -0.08), _SKIN),
            _bone(0.027, (-0.07, 0.0, -0.08), (0.14, 0.02 * s, -0.08), _SKIN),
            _flesh(0.03, (0.0, 0.0, 0.0), (0.0, -0.01 * s, -0.07), _SKIN),
        )
        grow(
            f"{side}_upper_arm",
            "torso",
            (0.0, -0.17 * s, 0.06),
            [
                _Hinge(f"{side}_shoulder1", (2.0 * s, 1.0, s), (-60.0, 60.0), 10.0, 5.0, 0.01),
                _Hinge(f"{side}_shoulder2", (0.0, -1.0, s), (-60.0, 60.0), 10.0, 5.0, 0.01),
            ],
            _bone(0.04, (0.0, 0.0, 0.0), (0.16, -0.16 * s, -0.16)),
        )
        grow(
            f"{side}_lower_arm",
            f"{side}_upper_arm",
            (0.18, -0.18 * s, -0.18),
            [_Hinge(f"{side}_elbow", (0.0, -1.0, s), (-90.0, 50.0), 2.0, 1.0, 0.006)],
            _bone(0.031, (0.01, 0.01 * s, 0.01), (0.17, 0.17 * s, 0.17), _SKIN),
            sphere(0.04, position=(0.18, 0.18 * s, 0.18), color=_SKIN, material=_MATERIAL),
        )
    return Robot(
        model="humanoid",
        links=tuple(links),
        joints=tuple(joints),
        fixed_base=False,
        position_iterations=4,
        max_depenetration_velocity=10.0,
    )
