"""A round tray on a base that lifts and tilts it, for balancing a ball.

Tray: radius 0.5 m, thickness 0.02 m, as in Isaac Gym's BallBalance. There, three legs of two links
each carry it. Their feet make closed loops, which a tree of joints cannot hold; so here three
joints in a row give the tray the same three motions: up, and a turn about x and about y. Masses and
gains are this package's own: the drives follow within some hundredths of a second, as the legs do.
"""

from isaac_gymnasium.scene.model import (
    Inertial,
    Joint,
    Link,
    Material,
    Robot,
    Shape,
    Vec3,
    box_inertial,
    cylinder,
)

TRAY_RADIUS = 0.5
"""m."""
TRAY_HEIGHT = 0.6
"""Top of the tray above the ground with all joints at zero, m."""
TILT_LIMIT = 0.5
"""Largest turn about x and about y, rad."""
LIFT_LIMIT = 0.2
"""Largest way up and down, m."""

_THICKNESS = 0.02
_TRAY_MASS = 2.0


def _tray_inertial() -> Inertial:
    across = _TRAY_MASS * (3.0 * TRAY_RADIUS**2 + _THICKNESS**2) / 12.0
    along = _TRAY_MASS * TRAY_RADIUS**2 / 2.0
    return Inertial(
        mass=_TRAY_MASS,
        center_of_mass=(0.0, 0.0, -_THICKNESS / 2),
        inertia=(across, across, along, 0.0, 0.0, 0.0),
    )


def _column(radius: float, length: float, color: Vec3) -> Shape:
    return cylinder(radius, length, position=(0.0, 0.0, -length / 2), collides=False, color=color)


def _tilt(name: str, parent: str, child: str, axis: Vec3) -> Joint:
    return Joint(
        name=name,
        kind="revolute",
        parent=parent,
        child=child,
        axis=axis,
        limits=(-TILT_LIMIT, TILT_LIMIT),
        effort_limit=200.0,
        velocity_limit=50.0,
        stiffness=400.0,
        damping=20.0,
    )


def balance_table() -> Robot:
    """Degrees of freedom: `lift` (m, up), `tilt_x` and `tilt_y` (rad); root at the tray's top."""
    small = box_inertial(0.5, (0.1, 0.1, 0.1), (0.0, 0.0, -0.1))
    return Robot(
        model="balance_table",
        position_iterations=8,
        disable_gravity=True,
        links=(
            Link(
                name="base",
                inertial=box_inertial(5.0, (0.2, 0.2, 0.3), (0.0, 0.0, 0.15 - TRAY_HEIGHT)),
                shapes=(
                    cylinder(
                        0.12,
                        0.3,
                        position=(0.0, 0.0, 0.15 - TRAY_HEIGHT),
                        collides=False,
                        color=(0.30, 0.31, 0.34),
                    ),
                ),
            ),
            Link(name="column", inertial=small, shapes=(_column(0.05, 0.45, (0.6, 0.6, 0.62)),)),
            Link(name="gimbal", inertial=small),
            Link(
                name="tray",
                inertial=_tray_inertial(),
                shapes=(
                    cylinder(
                        TRAY_RADIUS,
                        _THICKNESS,
                        position=(0.0, 0.0, -_THICKNESS / 2),
                        color=(0.10, 0.30, 0.65),
                        material=Material(static_friction=1.0, dynamic_friction=1.0),
                        contact_offset=0.02,
                    ),
                ),
            ),
        ),
        joints=(
            Joint(
                name="lift",
                kind="prismatic",
                parent="base",
                child="column",
                limits=(-LIFT_LIMIT, LIFT_LIMIT),
                effort_limit=4000.0,
                velocity_limit=20.0,
                stiffness=10000.0,
                damping=600.0,
            ),
            _tilt("tilt_x", "column", "gimbal", (1.0, 0.0, 0.0)),
            _tilt("tilt_y", "gimbal", "tray", (0.0, 1.0, 0.0)),
        ),
    )
