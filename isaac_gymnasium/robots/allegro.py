"""Wonik Robotics' Allegro Hand, the right one: three fingers and a thumb, 16 hinges.

Kinematics, joint limits and collision boxes: the manufacturer's `allegro_hand_description`
(SimLab, BSD). It has no masses: the palm's is MuJoCo Menagerie's, and links are homogeneous at the
800 kg/m^3 used there. Drives: 3 N m/rad, 0.1 N m s/rad and 0.5 N m, as in Isaac Lab.
"""

from __future__ import annotations

import math

from isaac_gymnasium.scene.inertia import shapes_inertial
from isaac_gymnasium.scene.model import Joint, Link, Material, Quat, Robot, Shape, Vec3, box, sphere

FINGERS = ("index", "middle", "ring", "thumb")
TIPS = tuple(f"{finger}_tip" for finger in FINGERS)
PALM_UP: Quat = (0.5, -0.5, 0.5, 0.5)
"""Turns the hand's frame (fingers along z, palm facing x) so that the palm looks up and the fingers
point along -y."""
FINGER_SURFACE = 0.0098
"""Height of the fingers' inner side above their joints, along the palm's normal, m."""

_DENSITY = 800.0
_BLACK = (0.12, 0.12, 0.13)
_WHITE = (0.88, 0.88, 0.88)
_RUBBER = Material(static_friction=1.0, dynamic_friction=1.0)
_WIDTH = (0.0196, 0.0275)
_TIP_RADIUS = 0.012
_SPREAD = 0.08726646255

_Hinge = tuple[Vec3, Vec3, tuple[float, float], Shape]


def _segment(length: float) -> Shape:
    return box((*_WIDTH, length), position=(0.0, 0.0, length / 2), color=_BLACK, material=_RUBBER)


def _finger(root: Vec3) -> tuple[list[_Hinge], float]:
    """Place, axis, limits and shape of the four hinges of a finger, and where the tip is."""
    about_y = (0.0, 1.0, 0.0)
    return [
        (root, (0.0, 0.0, 1.0), (-0.47, 0.47), _segment(0.0164)),
        ((0.0, 0.0, 0.0164), about_y, (-0.196, 1.61), _segment(0.054)),
        ((0.0, 0.0, 0.054), about_y, (-0.174, 1.709), _segment(0.0384)),
        ((0.0, 0.0, 0.0384), about_y, (-0.227, 1.618), _segment(0.0267)),
    ], 0.0267


def _thumb() -> tuple[list[_Hinge], float]:
    base = box((0.0358, 0.034, 0.0455), position=(-0.0179, 0.009, 0.0145), color=_BLACK)
    about_y = (0.0, 1.0, 0.0)
    return [
        ((-0.0182, 0.019333, -0.045987), (-1.0, 0.0, 0.0), (0.263, 1.396), base),
        ((-0.027, 0.005, 0.0399), (0.0, 0.0, 1.0), (-0.105, 1.163), _segment(0.0177)),
        ((0.0, 0.0, 0.0177), about_y, (-0.189, 1.644), _segment(0.0514)),
        ((0.0, 0.0, 0.0514), about_y, (-0.162, 1.719), _segment(0.0423)),
    ], 0.0423


def allegro_hand(*, gravity_compensation: bool = True) -> Robot:
    """The hand, bolted to the world by its palm; joints `<finger>_joint0..3` from the palm on.

    Args:
        gravity_compensation: Leaves gravity out for the hand, as Isaac Lab does.
    """
    palm = (box((0.0408, 0.1130, 0.095), position=(-0.0093, 0.0, -0.0475), color=_BLACK),)
    links = [Link(name="palm", inertial=shapes_inertial(palm, mass=0.4154), shapes=palm)]
    joints: list[Joint] = []
    half = _SPREAD / 2
    # The thumb's frame: pitch of -95 degrees, then yaw of -90 degrees.
    pitch, yaw = -1.65806278845 / 2, -math.pi / 4
    thumb_turn = (
        -math.sin(pitch) * math.sin(yaw),
        math.sin(pitch) * math.cos(yaw),
        math.cos(pitch) * math.sin(yaw),
        math.cos(pitch) * math.cos(yaw),
    )
    for finger, turn, (hinges, tip) in (
        ("index", (-math.sin(half), 0.0, 0.0, math.cos(half)), _finger((0.0, 0.0435, -0.001542))),
        ("middle", (0.0, 0.0, 0.0, 1.0), _finger((0.0, 0.0, 0.0007))),
        ("ring", (math.sin(half), 0.0, 0.0, math.cos(half)), _finger((0.0, -0.0435, -0.001542))),
        ("thumb", thumb_turn, _thumb()),
    ):
        parent, orientation = "palm", turn
        for k, (position, axis, limits, shape) in enumerate(hinges):
            child = f"{finger}_{k}"
            links.append(
                Link(
                    name=child, inertial=shapes_inertial([shape], density=_DENSITY), shapes=(shape,)
                )
            )
            joints.append(
                Joint(
                    name=f"{finger}_joint{k}",
                    kind="revolute",
                    parent=parent,
                    child=child,
                    position=position,
                    orientation=orientation,
                    axis=axis,
                    limits=limits,
                    effort_limit=0.5,
                    velocity_limit=100.0,
                    stiffness=3.0,
                    damping=0.1,
                    default=max(0.0, limits[0] + 0.017 if limits[0] > 0 else 0.0),
                )
            )
            parent, orientation = child, (0.0, 0.0, 0.0, 1.0)
        ball = (sphere(_TIP_RADIUS, color=_WHITE, material=_RUBBER),)
        links.append(
            Link(
                name=f"{finger}_tip",
                inertial=shapes_inertial(ball, density=_DENSITY),
                shapes=ball,
            )
        )
        joints.append(
            Joint(
                name=f"{finger}_tip_fixed",
                kind="fixed",
                parent=parent,
                child=f"{finger}_tip",
                position=(0.0, 0.0, tip),
            )
        )
    return Robot(
        model="allegro",
        links=tuple(links),
        joints=tuple(joints),
        disable_gravity=gravity_compensation,
        position_iterations=8,
    )
