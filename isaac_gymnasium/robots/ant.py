"""The ant: a ball on four legs with eight hinges.

Geometry, density, joint ranges, damping and armature: `nv_ant.xml`, the model that NVIDIA's Isaac
Gym and Newton ship, itself a variant of OpenAI Gym's `ant.xml` (Schulman et al. 2016,
arXiv:1506.02438). Links and joints bear the names they have there.
"""

from __future__ import annotations

import math

from isaac_gymnasium.scene.inertia import capsule_between, shapes_inertial
from isaac_gymnasium.scene.model import Joint, Link, Material, Robot, Shape, Vec3, sphere

LEGS: dict[str, tuple[float, float]] = {
    "front_left": (1.0, 1.0),
    "front_right": (-1.0, 1.0),
    "left_back": (-1.0, -1.0),
    "right_back": (1.0, -1.0),
}
"""The side of the torso, (x, y), on which each leg grows."""
GEAR = 15.0
"""Torque of a motor at full command, N m."""

_DENSITY = 5.0
_RADIUS = 0.08
_MATERIAL = Material(static_friction=1.0, dynamic_friction=1.0)
_BODY = (0.24, 0.25, 0.28)
_LIMB = (0.95, 0.42, 0.10)
_HALF = math.sqrt(0.5)


def ant() -> Robot:
    """A floating robot: four `hip_k` about z and four `ankle_k`, k from 1 to 4 in order of `LEGS`.

    At the default positions the hips point outwards and the ankles bend down by 45 degrees.
    """

    def limb(reach: tuple[float, float], color: Vec3 = _LIMB) -> Shape:
        x, y = reach
        return capsule_between(
            _RADIUS, (0.0, 0.0, 0.0), (x, y, 0.0), color=color, material=_MATERIAL
        )

    body = (
        sphere(0.25, color=_BODY, material=_MATERIAL),
        *(limb((0.2 * x, 0.2 * y), _BODY) for x, y in LEGS.values()),
    )
    links = [Link(name="torso", inertial=shapes_inertial(body, density=_DENSITY), shapes=body)]
    joints: list[Joint] = []
    for k, (leg, (x, y)) in enumerate(LEGS.items(), start=1):
        thigh, shin = (limb((0.2 * x, 0.2 * y)),), (limb((0.4 * x, 0.4 * y)),)
        for part, shapes in (("leg", thigh), ("foot", shin)):
            links.append(
                Link(
                    name=f"{leg}_{part}",
                    inertial=shapes_inertial(shapes, density=_DENSITY),
                    shapes=shapes,
                )
            )
        # The ankles' axes are those of the source: a positive angle bends the legs of x > 0 down.
        down = 1.0 if k in (1, 4) else -1.0
        axis = (-_HALF, _HALF, 0.0) if k in (1, 3) else (_HALF, _HALF, 0.0)
        near, far = sorted((down * math.radians(30.0), down * math.radians(100.0)))
        place = (0.2 * x, 0.2 * y, 0.0)
        hip = Joint(
            name=f"hip_{k}",
            kind="revolute",
            parent="torso",
            child=f"{leg}_leg",
            position=place,
            limits=(-math.radians(40.0), math.radians(40.0)),
            velocity_limit=100.0,
            damping=0.1,
            armature=0.01,
        )
        ankle = Joint(
            name=f"ankle_{k}",
            kind="revolute",
            parent=f"{leg}_leg",
            child=f"{leg}_foot",
            position=place,
            axis=axis,
            limits=(near, far),
            velocity_limit=100.0,
            damping=0.1,
            armature=0.01,
            default=down * math.radians(45.0),
        )
        joints += [hip, ankle]
    return Robot(
        model="ant",
        links=tuple(links),
        joints=tuple(joints),
        fixed_base=False,
        position_iterations=4,
        max_depenetration_velocity=10.0,
    )
