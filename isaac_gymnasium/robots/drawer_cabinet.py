"""A kitchen base cabinet with two drawers.

Frame: the 24 x 24 x 30 inch base cabinet of IKEA's SEKTION series, after which the cabinet of Isaac
Gym's and Isaac Lab's Franka tasks is named (0.61 x 0.61 x 0.762 m). Drawers, handles and masses are
this package's own; a drawer opens by 0.4 m, and its drive has the stiffness 10 N/m and the damping
1 N s/m of Isaac Lab's. A handle is a horizontal bar that a hand can close on from above and below.
"""

from __future__ import annotations

from isaac_gymnasium.scene.inertia import shapes_inertial
from isaac_gymnasium.scene.model import Joint, Link, Material, Robot, Shape, Vec3, box

WIDTH, DEPTH, HEIGHT = 0.61, 0.61, 0.762
"""Of the frame along y, x and z, m."""
STROKE = 0.4
"""How far a drawer opens, m."""
HANDLE = (-0.05, 0.0, 0.64)
"""Middle of the top drawer's handle, in the frame of the cabinet, when closed."""

_BOARD = 0.018
_FRONT_HEIGHT = 0.22
_GAP = 0.004
_BAR = 0.02
_BAR_LENGTH = 0.16
_WOOD: Vec3 = (0.72, 0.58, 0.42)
_WHITE: Vec3 = (0.86, 0.87, 0.88)
_METAL: Vec3 = (0.35, 0.36, 0.38)
_GRIP = Material(static_friction=1.0, dynamic_friction=1.0)


def drawer_cabinet() -> Robot:
    """Degrees of freedom: `drawer_top`, `drawer_bottom` (m, open is positive).

    The root's frame is on the ground, in the middle of the front; the front faces -x.
    """
    top = HANDLE[2]
    return Robot(
        model="drawer_cabinet",
        links=(
            Link(name="frame", inertial=shapes_inertial(_frame(), density=600.0), shapes=_frame()),
            _drawer("drawer_top_link", top),
            _drawer("drawer_bottom_link", top - _FRONT_HEIGHT - _GAP),
        ),
        joints=tuple(
            Joint(
                name=name,
                kind="prismatic",
                parent="frame",
                child=f"{name}_link",
                axis=(-1.0, 0.0, 0.0),
                limits=(0.0, STROKE),
                effort_limit=100.0,
                velocity_limit=5.0,
                stiffness=10.0,
                damping=1.0,
            )
            for name in ("drawer_top", "drawer_bottom")
        ),
        position_iterations=12,
    )


def _frame() -> tuple[Shape, ...]:
    side = (DEPTH, _BOARD, HEIGHT)
    y, middle = (WIDTH - _BOARD) / 2, DEPTH / 2
    board = (DEPTH, WIDTH - 2 * _BOARD, _BOARD)
    return (
        box(side, position=(middle, y, HEIGHT / 2), color=_WOOD),
        box(side, position=(middle, -y, HEIGHT / 2), color=_WOOD),
        box(board, position=(middle, 0.0, HEIGHT - _BOARD / 2), color=_WOOD),
        box(board, position=(middle, 0.0, _BOARD / 2), color=_WOOD),
    )


def _drawer(name: str, height: float) -> Link:
    front = (_BOARD, WIDTH - 2 * _BOARD - 2 * _GAP, _FRONT_HEIGHT)
    shapes = [
        box(front, position=(_BOARD / 2, 0.0, height), color=_WHITE),
        # The box behind the front touches nothing.
        box(
            (0.45, 0.5, 0.1),
            position=(_BOARD + 0.225, 0.0, height - 0.03),
            color=_WOOD,
            collides=False,
        ),
        box(
            (_BAR, _BAR_LENGTH, _BAR),
            position=(HANDLE[0], 0.0, height),
            color=_METAL,
            material=_GRIP,
            contact_offset=0.004,
        ),
    ]
    length = -HANDLE[0] - _BAR / 2
    shapes += [
        box(
            (length, _BAR, _BAR),
            position=(-length / 2, side * (_BAR_LENGTH - _BAR) / 2, height),
            color=_METAL,
            contact_offset=0.004,
        )
        for side in (-1.0, 1.0)
    ]
    return Link(name=name, inertial=shapes_inertial(shapes, mass=4.0), shapes=tuple(shapes))
