"""Randomisation that suits a robot, and what `make_vec(..., randomization=...)` may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isaac_gymnasium.randomization.terms import Randomization, Term, parse

if TYPE_CHECKING:
    from isaac_gymnasium.scene.builder import Scene

Template = Mapping[str, Mapping[str, Any]]

# Margins that a model of a real machine may be off by. Masses are known to some percent, friction
# to a third, gains and motors to a tenth; a command is late by up to one step.
_MACHINE: Template = {
    "mass": {"target": "mass", "range": (0.9, 1.1)},
    "friction": {"target": "friction", "range": (0.7, 1.3), "together": True},
    "strength": {"target": "actuator_strength", "range": (0.9, 1.1), "together": True},
    "joint_damping": {"target": "joint_damping", "range": (0.9, 1.1)},
}
_WALKER: Template = {
    **_MACHINE,
    "push": {"target": "push", "range": (-0.3, 0.3), "when": "interval", "interval_s": 5.0},
}
ROBOTS: dict[str, Template] = {
    "cartpole": {
        "mass": {"target": "mass", "range": (0.8, 1.2)},
        "strength": {"target": "actuator_strength", "range": (0.9, 1.1), "together": True},
    },
    "franka": _MACHINE,
    "ant": _WALKER,
    "go2": {
        **_WALKER,
        "center_of_mass": {"target": "center_of_mass", "names": ("base",), "range": (-0.02, 0.02)},
    },
    "anymal": {
        **_WALKER,
        "center_of_mass": {"target": "center_of_mass", "names": ("base",), "range": (-0.03, 0.03)},
    },
    "humanoid": _WALKER,
    "allegro": _MACHINE,
    "balance_table": _MACHINE,
    "drawer_cabinet": {
        "mass": {"target": "mass", "range": (0.7, 1.3)},
        "friction": {"target": "friction", "range": (0.7, 1.3), "together": True},
        "joint_damping": {"target": "joint_damping", "range": (0.7, 1.3)},
    },
}
"""Terms of the robots of this package, by `Robot.model`; `body` is filled in."""

BODIES: dict[str, Template] = {
    "Quadcopter": {"mass": {"target": "mass", "range": (0.9, 1.1)}},
}
"""Terms of rigid bodies that are machines of this package, by their name in the scene."""

OBJECT: Template = {
    "mass": {"target": "mass", "range": (0.7, 1.3)},
    "friction": {"target": "friction", "range": (0.7, 1.3)},
}
"""Terms of any other free rigid body."""

COMMANDS: Template = {
    "action_delay": {"target": "action_delay", "distribution": "choice", "range": (0.0, 1.0)},
    "action_noise": {"target": "action_noise", "distribution": "normal", "range": (0.0, 0.02)},
    "observation_noise": {
        "target": "observation_noise",
        "distribution": "normal",
        "range": (0.0, 0.002),
    },
}
"""Terms of every environment."""

CAMERAS: Template = {
    "camera_position": {"target": "camera_position", "range": (-0.01, 0.01)},
    "camera_rotation": {"target": "camera_rotation", "range": (-0.02, 0.02)},
    "light_direction": {"target": "light_direction", "range": (-0.3, 0.3)},
    "sun_light": {"target": "sun_light", "range": (0.8, 1.2)},
    "sky_light": {"target": "sky_light", "range": (0.8, 1.2)},
}
"""Terms of tasks with cameras: mounts that are a centimetre and a degree off, other daylight."""


def default_randomization(scene: Scene) -> Randomization:
    """Margins for every robot and free body of a scene, for commands and for sensors."""
    robots, bodies = scene.bodies()
    terms = _terms(COMMANDS)
    for body in (*robots, *bodies):
        robot = scene.robots.get(body)
        template = BODIES.get(body, OBJECT)
        if body in robots:
            template = ROBOTS.get(robot.model if robot else "", _MACHINE)
        terms |= {f"{body}/{name}": Term(**term, body=body) for name, term in template.items()}
    return Randomization(terms=terms)


def with_cameras(plan: Randomization, *, light: bool) -> Randomization:
    """A default with the margins of cameras, and perhaps of light, beside the rest."""
    terms = _terms(CAMERAS)
    if not light:
        terms = {name: t for name, t in terms.items() if t.target.startswith("camera")}
    return replace(plan, terms={**plan.terms, **terms})


def _terms(template: Template) -> dict[str, Term]:
    return {name: Term(**term) for name, term in template.items()}


def resolve(given: object, scene: Scene) -> Randomization:
    """What an argument `randomization` means.

    Args:
        given: `"none"`, `"default"`, a dict for `parse`, or a `Randomization`.
        scene: What `"default"` looks for robots and bodies in.

    Raises:
        TypeError: If it is none of these.
        ValueError: If a name or value makes no sense.
    """
    if isinstance(given, Randomization):
        return given
    if isinstance(given, Mapping):
        return parse(given)
    if given == "none":
        return Randomization()
    if given == "default":
        return default_randomization(scene)
    if isinstance(given, str):
        raise ValueError(f"randomization must be 'none' or 'default', got {given!r}")
    raise TypeError(
        f"randomization must be 'none', 'default', a dict or a Randomization, got {given!r}"
    )
