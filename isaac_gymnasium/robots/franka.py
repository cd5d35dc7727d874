"""Franka Emika Panda (Franka Research 1, "FER") with the Franka Hand.

Kinematics, joint limits, torque and speed limits, masses, centres of mass and inertias: the
manufacturer's `franka_description` (Franka Robotics GmbH, Apache-2.0, robots/fer and
end_effectors/franka_hand). Colliders are primitives of our own, sized after the collision volumes
given there. Rotor inertia at the arm's joints (0.1 kg m^2) as in MuJoCo Menagerie's model of it.

Drives: 400 N m/rad and 80 N m s/rad on the arm, the stiff setting that Isaac Lab uses for
differential inverse kinematics; the hand's fingers press with at most 70 N, the continuous
force of its data sheet, when closing from fully open.
"""

from __future__ import annotations

import math

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
    capsule,
)

ARM_JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
FINGER_JOINTS = ("panda_finger_joint1", "panda_finger_joint2")
HAND = "panda_hand"
TCP_OFFSET = 0.1034
"""Distance along the hand's z axis from the hand's frame to the point between the finger tips, m
(`hand_tcp` in franka_description)."""
PAD_OFFSET = TCP_OFFSET - 0.0584
"""The same distance from a finger's frame, m."""
FINGER_STROKE = 0.04
"""Travel of one finger, m; the hand opens to twice that."""
HOME = (0.0, 0.0, 0.0, -2.4, 0.0, 2.4, math.pi / 4)
"""Arm joint positions, rad: the hand points straight down, fingertips at (0.49, 0, 0.21) m."""

_WHITE = (0.86, 0.87, 0.88)
_DARK = (0.16, 0.17, 0.19)
_PAD = Material(static_friction=1.2, dynamic_friction=1.2, combine="max")
_NEAR = 0.004
"""Contact offset of hand and fingers, m: of what the pads hold they stand 11 mm off, and contacts
that carry nothing would be solved with those that do."""
_HALF = math.sqrt(0.5)
_ABOUT_X: dict[int, Quat] = {
    0: (0.0, 0.0, 0.0, 1.0),
    -90: (-_HALF, 0.0, 0.0, _HALF),
    90: (_HALF, 0.0, 0.0, _HALF),
}
_ALONG_Y: Quat = _ABOUT_X[90]
_ALONG_X: Quat = (0.0, _HALF, 0.0, _HALF)


def _inertial(mass: float, center: Vec3, *inertia: float) -> Inertial:
    """Mass properties with the inertia given as xx, xy, xz, yy, yz, zz (the source's order)."""
    xx, xy, xz, yy, yz, zz = inertia
    return Inertial(mass=mass, center_of_mass=center, inertia=(xx, yy, zz, xy, xz, yz))


# Mass, centre of mass, inertia (xx, xy, xz, yy, yz, zz) of link 0 to 7.
_INERTIALS = (
    _inertial(2.3966, (-0.0172, 0.0004, 0.0745), 0.0090, 0.0, 0.0020, 0.0115, 0.0, 0.0085),
    _inertial(
        2.7907, (0.00033, -0.02204, -0.04762),
        0.01564782655, 0.00000531236, -0.00003676721, 0.01439883526, -0.00248480843, 0.00500443991,
    ),
    _inertial(
        2.5420, (0.00038, -0.09211, 0.01908),
        0.01662427728, 0.00003086077, 0.00000835940, 0.00462501261, 0.00355899830, 0.01545124526,
    ),
    _inertial(
        2.2513, (0.05152, 0.01696, -0.02971),
        0.00631741992, 0.00097309955, 0.00292525834, 0.00866285493, 0.00093469224, 0.00657804051,
    ),
    # The published moments of link 4 break the triangle inequality (0.01274 > 0.00368 + 0.00796),
    # which no body can; 0.00111 kg m^2 about every axis is the least that mends it.
    _inertial(
        2.2037, (-0.05113, 0.05825, 0.01698),
        0.00895585566, -0.00339591957, 0.00158704074, 0.00760543136, -0.00181477884, 0.01114079917,
    ),
    _inertial(
        2.2855, (-0.00005, 0.03730, -0.09280),
        0.02297014781, -0.00000949345, -0.00002063156, 0.02095060919, 0.00382345782, 0.00430606551,
    ),
    _inertial(
        1.353, (0.06572, -0.00371, 0.00153),
        0.00087964522, -0.00021487814, -0.00011911662, 0.00277796968, 0.00001274322, 0.00286701969,
    ),
    _inertial(
        0.35973, (0.00089, -0.00044, 0.05491),
        0.00019541063, 0.00000165231, 0.00000148826, 0.00019210361, -0.00000131132, 0.00017936256,
    ),
)  # fmt: skip
_HAND_INERTIAL = _inertial(
    0.6544, (-0.0000376, 0.0119128, 0.0207260), 0.00186, 0.0, 0.0, 0.00030, -0.00002, 0.00174
)
_FINGER_INERTIAL = _inertial(
    0.0291, (0.0, 0.0152850, 0.0219675), 0.00000849, 0.0, 0.0, 0.00000853, -0.00000106, 0.00000177
)

# Joint frame in the parent link: position, turn about x in degrees; then limits, torque, speed.
_JOINTS: tuple[tuple[Vec3, int, tuple[float, float], float, float], ...] = (
    ((0.0, 0.0, 0.333), 0, (-2.8973, 2.8973), 87.0, 2.175),
    ((0.0, 0.0, 0.0), -90, (-1.7628, 1.7628), 87.0, 2.175),
    ((0.0, -0.316, 0.0), 90, (-2.8973, 2.8973), 87.0, 2.175),
    ((0.0825, 0.0, 0.0), 90, (-3.0718, -0.0698), 87.0, 2.175),
    ((-0.0825, 0.384, 0.0), -90, (-2.8973, 2.8973), 12.0, 2.61),
    ((0.0, 0.0, 0.0), 90, (-0.0175, 3.7525), 12.0, 2.61),
    ((0.088, 0.0, 0.0), 90, (-2.8973, 2.8973), 12.0, 2.61),
)

_SHAPES: tuple[tuple[Shape, ...], ...] = (
    (
        capsule(0.06, 0.05, position=(-0.06, 0.0, 0.06), orientation=_ALONG_X, color=_WHITE),
        capsule(0.06, 0.06, position=(0.0, 0.0, 0.09), color=_WHITE),
    ),
    (capsule(0.06, 0.20, position=(0.0, 0.0, -0.10), color=_WHITE),),
    (capsule(0.06, 0.20, position=(0.0, -0.10, 0.0), orientation=_ALONG_Y, color=_WHITE),),
    (
        capsule(0.06, 0.10, position=(0.0, 0.0, -0.09), color=_WHITE),
        capsule(0.05, 0.08, position=(0.0825, 0.0, 0.0), orientation=_ALONG_Y, color=_DARK),
    ),
    (
        capsule(0.055, 0.08, position=(-0.0825, 0.08, 0.0), orientation=_ALONG_Y, color=_WHITE),
        capsule(0.05, 0.06, position=(0.0, 0.0, 0.01), color=_DARK),
    ),
    (
        capsule(0.055, 0.08, position=(0.0, 0.0, -0.26), color=_WHITE),
        capsule(0.03, 0.14, position=(0.0, 0.075, -0.13), color=_WHITE),
        capsule(0.05, 0.06, position=(0.0, 0.0, -0.01), orientation=_ALONG_Y, color=_DARK),
    ),
    (capsule(0.045, 0.05, position=(0.088, 0.0, 0.0), orientation=_ALONG_Y, color=_WHITE),),
    (capsule(0.04, 0.06, position=(0.0, 0.0, 0.06), color=_DARK),),
)


def _finger() -> tuple[Shape, ...]:
    # The tip's inner face lies at y = 0, where the two fingers meet when closed.
    return (
        box(
            (0.022, 0.015, 0.036),
            position=(0.0, 0.0185, 0.018),
            color=_DARK,
            contact_offset=_NEAR,
        ),
        box(
            (0.0175, 0.0152, 0.0185),
            position=(0.0, 0.0076, 0.04525),
            color=(0.10, 0.10, 0.11),
            material=_PAD,
            contact_offset=_NEAR,
        ),
    )


def hand_outline(color: Vec3) -> list[Shape]:
    """The hand with open fingers in one colour, in the hand's frame, to show where it is to be."""
    fingers = [
        box((0.015, 0.015, 0.055), position=(0.0, side * 0.05, 0.085), color=color, collides=False)
        for side in (-1.0, 1.0)
    ]
    palm = box((0.04, 0.18, 0.03), position=(0.0, 0.0, 0.045), color=color, collides=False)
    return [palm, *fingers]


def franka(
    *,
    stiffness: float = 400.0,
    damping: float = 80.0,
    gravity_compensation: bool = True,
    home: tuple[float, ...] = HOME,
) -> Robot:
    """The arm with its hand: 9 degrees of freedom, `panda_joint1..7` and two fingers.

    Args:
        stiffness: Drive gain of the arm's joints, N m/rad.
        damping: Drive gain of the arm's joints, N m s/rad.
        gravity_compensation: Leaves gravity out for the robot, as the real arm's controller
            compensates its own weight at all times.
        home: Default positions of the seven arm joints, rad.
    """
    links = [
        Link(name=f"panda_link{i}", inertial=_INERTIALS[i], shapes=_SHAPES[i]) for i in range(8)
    ]
    links += [
        Link(
            name=HAND,
            inertial=_HAND_INERTIAL,
            shapes=(
                box(
                    (0.04, 0.2, 0.066),
                    position=(0.0, 0.0, 0.033),
                    color=_WHITE,
                    contact_offset=_NEAR,
                ),
            ),
        ),
        Link(name="panda_leftfinger", inertial=_FINGER_INERTIAL, shapes=_finger()),
        Link(name="panda_rightfinger", inertial=_FINGER_INERTIAL, shapes=_finger()),
    ]
    joints = [
        Joint(
            name=name,
            kind="revolute",
            parent=f"panda_link{i}",
            child=f"panda_link{i + 1}",
            position=position,
            orientation=_ABOUT_X[turn],
            limits=limits,
            effort_limit=effort,
            velocity_limit=speed,
            stiffness=stiffness,
            damping=damping,
            armature=0.1,
            default=home[i],
        )
        for i, (name, (position, turn, limits, effort, speed)) in enumerate(
            zip(ARM_JOINTS, _JOINTS, strict=True)
        )
    ]
    joints.append(
        Joint(
            name="panda_hand_joint",
            kind="fixed",
            parent="panda_link7",
            child=HAND,
            position=(0.0, 0.0, 0.107),
            orientation=(0.0, 0.0, -math.sin(math.pi / 8), math.cos(math.pi / 8)),
        )
    )
    for name, side, turn in zip(
        FINGER_JOINTS, ("left", "right"), ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 0.0)), strict=True
    ):
        joints.append(
            Joint(
                name=name,
                kind="prismatic",
                parent=HAND,
                child=f"panda_{side}finger",
                position=(0.0, 0.0, 0.0584),
                orientation=turn,
                axis=(0.0, 1.0, 0.0),
                limits=(0.0, FINGER_STROKE),
                effort_limit=70.0,
                velocity_limit=0.2,
                # The hand couples its fingers mechanically. Two springs that never saturate
                # within the stroke centre an object between them in the same way.
                stiffness=70.0 / FINGER_STROKE,
                damping=100.0,
                # The spindles that drive the fingers cannot be driven back: a large rotor inertia
                # keeps a finger in place that the arm presses against something.
                armature=2.0,
                default=FINGER_STROKE,
            )
        )
    return Robot(
        model="franka",
        links=tuple(links),
        joints=tuple(joints),
        disable_gravity=gravity_compensation,
        # With 8, 12 and 16 PhysX lets a policy for stacking succeed in 30, 52 and 64 % of episodes.
        position_iterations=12,
    )
