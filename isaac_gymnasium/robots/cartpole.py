"""The cart-pole of NVIDIA's Isaac Gym tutorials.

Dimensions and masses: the cart-pole that Isaac Gym and Isaac Lab ship (rail 8 m along y; cart
0.2 x 0.25 x 0.2 m and 1 kg; pole 0.04 x 0.06 x 1.0 m and 1 kg with its centre of mass 0.47 m above
the hinge). The cart's joint carries a damping of 10 N s/m and a force limit of 400 N; the pole
swings freely.
"""

from isaac_gymnasium.scene.model import Joint, Link, Robot, box, box_inertial

RAIL_HEIGHT = 2.0
"""Height of the rail above the ground, m."""

POLE_COM = 0.47
"""Distance from the hinge to the pole's centre of mass, m."""

_POLE = (0.04, 0.06, 1.0)
_CART = (0.2, 0.25, 0.2)
_POST = (0.06, 0.06, RAIL_HEIGHT)
_STEEL = (0.30, 0.31, 0.34)


def cartpole() -> Robot:
    """Degrees of freedom: `slider_to_cart` (m, along y) and `cart_to_pole` (rad, about x)."""
    return Robot(
        model="cartpole",
        position_iterations=4,
        links=(
            Link(
                name="slider",
                inertial=box_inertial(1.0, (0.03, 8.0, 0.03)),
                shapes=(
                    box((0.03, 8.0, 0.03), collides=False, color=_STEEL),
                    *(
                        box(_POST, collides=False, position=(0.0, y, -_POST[2] / 2), color=_STEEL)
                        for y in (-4.0, 4.0)
                    ),
                ),
            ),
            Link(
                name="cart",
                inertial=box_inertial(1.0, _CART),
                shapes=(box(_CART, collides=False, color=(0.10, 0.30, 0.65)),),
            ),
            Link(
                name="pole",
                inertial=box_inertial(1.0, _POLE, center=(0.0, 0.0, POLE_COM)),
                shapes=(
                    box(
                        _POLE,
                        collides=False,
                        position=(0.0, 0.0, POLE_COM),
                        color=(0.85, 0.55, 0.15),
                    ),
                ),
            ),
        ),
        joints=(
            Joint(
                name="slider_to_cart",
                kind="prismatic",
                parent="slider",
                child="cart",
                axis=(0.0, 1.0, 0.0),
                limits=(-4.0, 4.0),
                effort_limit=400.0,
                velocity_limit=100.0,
                damping=10.0,
            ),
            Joint(
                name="cart_to_pole",
                kind="revolute",
                parent="cart",
                child="pole",
                position=(0.12, 0.0, 0.0),
                axis=(1.0, 0.0, 0.0),
                velocity_limit=100.0,
            ),
        ),
    )
