"""A quadcopter like Bitcraze's Crazyflie 2: one rigid body, four rotors as mere looks.

Mass and inertia: Foerster 2015, "System Identification of the Crazyflie 2.0 Nano Quadrocopter"
(ETH Zurich), identified with battery and markers. Rotors: 46 mm from the centre, in an X, with
propellers of 23 mm radius (Bitcraze's data sheet). The collider is a box around frame and battery.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from isaac_gymnasium.scene.inertia import capsule_between
from isaac_gymnasium.scene.model import Inertial, Shape, Vec3, box, cylinder

if TYPE_CHECKING:
    from isaac_gymnasium.scene.builder import Scene

MASS = 0.028
"""In kg."""
INERTIAL = Inertial(
    mass=MASS,
    inertia=(16.571710e-6, 16.655602e-6, 29.261652e-6, 0.830806e-6, 0.718277e-6, 1.800197e-6),
)
ARM = 0.046
"""Distance from the centre to a rotor, m."""
ROTOR_RADIUS = 0.023

_FRAME = (0.12, 0.13, 0.15)
_FRONT = (0.90, 0.35, 0.10)
_BACK = (0.75, 0.77, 0.80)


def add_quadcopter(scene: Scene, name: str, *, position: Vec3) -> str:
    """Adds the quadcopter to a scene as a rigid body; returns its prim path.

    Args:
        scene: Under construction.
        name: Name in the environment; `Engine.rigid_body(name)` finds it.
        position: Centre of mass in the environment frame, m.
    """
    return scene.add_rigid_body(
        name, _shapes(), inertial=INERTIAL, position=position, position_iterations=4
    )


def _shapes() -> list[Shape]:
    shapes = [box((0.06, 0.06, 0.025), color=_FRAME)]
    offset = ARM * math.sqrt(0.5)
    for x, y in ((1, 1), (-1, 1), (-1, -1), (1, -1)):
        tip = (x * offset, y * offset, 0.0)
        rotor = (x * offset, y * offset, 0.012)
        color = _FRONT if x > 0 else _BACK
        shapes += [
            capsule_between(0.004, (0.0, 0.0, 0.0), tip, color=_FRAME, collides=False),
            cylinder(ROTOR_RADIUS, 0.002, position=rotor, color=color, collides=False),
        ]
    return shapes
