"""Domain randomisation as plain data: what is drawn, when, from which distribution.

Nothing here knows an engine. `randomizer` draws the numbers and puts them where they belong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

When = Literal["construction", "reset", "interval", "step"]
Distribution = Literal["uniform", "log_uniform", "normal", "choice"]
Operation = Literal["additive", "scale", "absolute"]

_PROPERTY: tuple[When, ...] = ("construction", "reset", "interval")
_BUFFER: tuple[When, ...] = ("reset", "construction", "interval")
_MOMENTS: dict[str, tuple[When, ...]] = {
    # Properties of bodies: the engine's, and on the host.
    "mass": _PROPERTY,
    "center_of_mass": _PROPERTY,
    "inertia": _PROPERTY,
    "friction": _PROPERTY,
    "restitution": _PROPERTY,
    "joint_stiffness": _PROPERTY,
    "joint_damping": _PROPERTY,
    "joint_armature": _PROPERTY,
    "joint_friction": _PROPERTY,
    "joint_limits": _PROPERTY,
    "effort_limit": _PROPERTY,
    "velocity_limit": _PROPERTY,
    "gravity": _PROPERTY,
    "actuator_strength": _PROPERTY,
    # What the loop does itself, on the device.
    "action_delay": _BUFFER,
    "action_bias": _BUFFER,
    "observation_bias": _BUFFER,
    "action_noise": ("step",),
    "observation_noise": ("step",),
    "push": ("interval",),
    "initial_joint_position": ("reset",),
    "initial_joint_velocity": ("reset",),
    "initial_position": ("reset",),
    "initial_velocity": ("reset",),
    # What cameras see.
    "camera_position": _BUFFER,
    "camera_rotation": _BUFFER,
    "light_direction": _BUFFER,
    "sun_light": _BUFFER,
    "sky_light": _BUFFER,
}
TARGETS = tuple(_MOMENTS)
"""What can be randomised."""

_WITHOUT_BODY = {
    "gravity",
    "action_delay",
    "action_bias",
    "action_noise",
    "observation_bias",
    "observation_noise",
    "camera_position",
    "camera_rotation",
    "light_direction",
    "sun_light",
    "sky_light",
}
_WITHOUT_NAMES = {
    "gravity",
    "action_delay",
    "action_bias",
    "action_noise",
    "initial_position",
    "initial_velocity",
}
_SCALED = {
    "mass",
    "inertia",
    "friction",
    "joint_stiffness",
    "joint_damping",
    "joint_armature",
    "joint_friction",
    "joint_limits",
    "effort_limit",
    "velocity_limit",
    "actuator_strength",
    "gravity",
    "sun_light",
    "sky_light",
}
_ABSOLUTE = {"restitution", "action_delay"}


@dataclass(frozen=True, kw_only=True)
class Term:
    """One thing that differs between environments.

    Args:
        target: One of `TARGETS`. Masses and inertias, `friction` (static and dynamic alike) and
            `restitution`, the joints' gains, `joint_friction`, `joint_limits`, `effort_limit` and
            `velocity_limit` are properties of a body. `actuator_strength` scales what drives and
            efforts reach. `gravity` scales the scene's where the engine has one for each
            environment. `action_delay` is a number of steps. `push` adds to velocities (m/s and
            rad/s: of the root, of a free body, or of the joints where the root is bolted down).
            `initial_...` adds to the state a reset leads to. `..._noise` is new in every step,
            `..._bias` stays. `camera_position` (m) and `camera_rotation` (a rotation vector, rad)
            move the task's cameras in their own axes: x to the right, y down, z ahead.
            `light_direction` adds to the unit vector towards the sun; `sun_light` and `sky_light`
            scale red, green and blue.
        body: The robot or rigid body; none for gravity, actions, observations, cameras, light.
        names: Which of its links or joints; of dict observations, which keys; of cameras, which.
            None for all.
        range: Lower and upper bound; mean and standard deviation of `"normal"`; the values to
            choose from for `"choice"`.
        distribution: `"uniform"`, `"log_uniform"`, `"normal"` or `"choice"`.
        operation: `"scale"` multiplies the nominal value, `"additive"` is added to it, `"absolute"`
            replaces it; by default what is usual for the target.
        when: `"construction"` (again whenever a seed is given), `"reset"` (every episode),
            `"interval"` (all environments at once, every `interval_s`) or `"step"` (noise); by
            default the first that the target allows.
        interval_s: Time between draws, s.
        together: One number for all links, joints or components, instead of one each.
        shared: One number for all environments. Not at a reset, which is each environment's own.

    Raises:
        ValueError: If something makes no sense; the message names it.
    """

    target: str
    range: tuple[float, ...]
    body: str = ""
    names: tuple[str, ...] | None = None
    distribution: Distribution = "uniform"
    operation: Operation | None = None
    when: When | None = None
    interval_s: float = 5.0
    together: bool = False
    shared: bool = False

    def __post_init__(self) -> None:
        """Fills in what is usual for the target, and refuses what makes no sense."""
        if self.target not in _MOMENTS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {self.target!r}")
        try:
            if isinstance(self.range, str):
                raise TypeError
            self._default("range", tuple(float(x) for x in self.range))
        except (TypeError, ValueError):
            raise ValueError(f"{self.target}: range must be numbers, got {self.range!r}") from None
        names = (self.names,) if isinstance(self.names, str) else self.names
        if names is not None:
            if not (isinstance(names, Sequence) and all(isinstance(x, str) for x in names)):
                raise ValueError(f"{self.target}: names must be strings or None, got {names!r}")
            if self.target in _WITHOUT_NAMES:
                raise ValueError(f"{self.target}: names must be None, got {tuple(names)}")
            self._default("names", tuple(names))
        moments = _MOMENTS[self.target]
        if self.when is None:
            self._default("when", moments[0])
        if self.operation is None:
            usual = "scale" if self.target in _SCALED else "additive"
            self._default("operation", "absolute" if self.target in _ABSOLUTE else usual)
        self._choice("when", moments)
        self._choice("distribution", ("uniform", "log_uniform", "normal", "choice"))
        self._choice("operation", ("additive", "scale", "absolute"))
        only = {"inertia": "scale", "center_of_mass": "additive", "action_delay": "absolute"}
        only |= dict.fromkeys(("camera_position", "camera_rotation", "light_direction"), "additive")
        only |= dict.fromkeys(("sun_light", "sky_light", "actuator_strength"), "scale")
        if self.operation != (wanted := only.get(self.target, self.operation)):
            raise ValueError(f"{self.target}: operation must be {wanted!r}, got {self.operation!r}")
        if bool(self.body) == (self.target in _WITHOUT_BODY):
            which = "no body" if self.target in _WITHOUT_BODY else "the name of a body"
            raise ValueError(f"{self.target}: body must be {which}, got {self.body!r}")
        if self.target == "joint_limits" and self.operation == "absolute":
            raise ValueError(
                "joint_limits: operation must be 'scale' or 'additive', got 'absolute'"
            )
        if self.target.startswith(("initial_", "push")) and self.operation != "additive":
            raise ValueError(f"{self.target}: operation must be 'additive', got {self.operation!r}")
        if self.shared and self.when in ("reset", "step"):
            raise ValueError(
                f"{self.target}: what is shared must be drawn at 'construction' or 'interval', "
                f"got {self.when!r}"
            )
        seconds = self.interval_s
        if not (isinstance(seconds, (int, float)) and math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"{self.target}: interval_s must be positive, got {seconds!r}")
        self._check_range()

    def _check_range(self) -> None:
        values, what = self.range, f"{self.target}: range"
        if not all(map(math.isfinite, values)):
            raise ValueError(f"{what} must be finite, got {values}")
        if self.distribution == "choice":
            if not values:
                raise ValueError(f"{what} must hold the values to choose from, got none")
        elif len(values) != 2:
            raise ValueError(f"{what} must be two numbers, got {values}")
        elif self.distribution == "normal":
            if values[1] < 0:
                raise ValueError(f"{what} must be a mean and a deviation >= 0, got {values}")
        elif values[0] > values[1]:
            raise ValueError(f"{what} must be a lower and an upper bound, got {values}")
        if self.distribution == "log_uniform" and values[0] <= 0:
            raise ValueError(f"{what} must be positive to be log-uniform, got {values}")
        lowest = values[0] if self.distribution == "normal" else min(values)
        if self.operation == "scale" and self.target in _SCALED and lowest < 0:
            raise ValueError(f"{what} must not be negative to scale by, got {values}")
        if self.target == "action_delay" and (lowest < 0 or self.distribution == "normal"):
            raise ValueError(f"{what} must be steps >= 0, not normal, got {values}")

    def _default(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _choice(self, name: str, allowed: Sequence[str]) -> None:
        if (value := getattr(self, name)) not in allowed:
            raise ValueError(f"{self.target}: {name} must be one of {allowed}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """Automatic domain randomisation: each environment's ranges widen as it succeeds.

    Every range is taken between no effect (level 0) and its full width (level 1). An episode that
    ends in `info[success]` raises its environment's level by `step`, another lowers it so far that
    the level stands still where `target` of the episodes succeed: a weighted staircase.

    Args:
        success: The name of a bool in the task's extras.
        target: Share of episodes that should succeed, in (0, 1).
        step: What one success adds to the level, in (0, 1].
        start: Level of a new environment, in [0, 1].

    Source: the staircase is that of Kaernbach, "Simple adaptive testing with the weighted up-down
    method", 1991; the idea that of OpenAI et al., "Solving Rubik's Cube with a Robot Hand", 2019.
    """

    success: str = "success"
    target: float = 0.75
    step: float = 0.02
    start: float = 0.0

    def __post_init__(self) -> None:
        """Refuses shares and steps out of range."""
        if not 0 < self.target < 1:
            raise ValueError(f"target must be in (0, 1), got {self.target}")
        if not 0 < self.step <= 1:
            raise ValueError(f"step must be in (0, 1], got {self.step}")
        if not 0 <= self.start <= 1:
            raise ValueError(f"start must be in [0, 1], got {self.start}")


@dataclass(frozen=True, kw_only=True)
class Randomization:
    """Everything that is randomised, by names of your choice.

    Args:
        terms: What differs. Terms on the same property act in this order.
        in_info: Whether `info["randomization"]` tells the present values, for privileged critics.
        adaptive: Widen the ranges with success.
    """

    terms: Mapping[str, Term] = field(default_factory=dict)
    in_info: bool = False
    adaptive: Adaptive | None = None

    def __post_init__(self) -> None:
        """Refuses what is no term."""
        if not (self.adaptive is None or isinstance(self.adaptive, Adaptive)):
            raise TypeError(f"adaptive must be an Adaptive, a dict or None, got {self.adaptive!r}")
        for name, term in self.terms.items():
            if not isinstance(term, Term):
                raise TypeError(f"randomization {name!r} must be a Term, got {term!r}")


def parse(given: Mapping[str, Any]) -> Randomization:
    """A `Randomization` from plain dicts, as JSON and YAML hold them.

    Args:
        given: Terms by name; or a dict with `terms` and the other arguments of `Randomization`.

    Raises:
        TypeError: For a key that is unknown; the message lists those there are.
        ValueError: For a value that makes no sense.
    """
    whole = dict(given) if "terms" in given else {"terms": given}
    if not isinstance(whole["terms"], Mapping):
        raise TypeError(f"randomization: terms must be a dict, got {whole['terms']!r}")
    terms = {
        name: term if isinstance(term, Term) else _make(Term, f"randomization {name!r}", term)
        for name, term in whole.pop("terms").items()
    }
    if isinstance(adaptive := whole.get("adaptive"), Mapping):
        whole["adaptive"] = _make(Adaptive, "adaptive", adaptive)
    result: Randomization = _make(Randomization, "randomization", {**whole, "terms": terms})
    return result


def _make(kind: type[Any], what: str, arguments: object) -> Any:
    if not isinstance(arguments, Mapping):
        raise TypeError(f"{what} must be a dict, got {arguments!r}")
    known = [f.name for f in fields(kind)]
    for name in arguments:
        if name not in known:
            raise TypeError(f"{what} has no {name!r}; it has: {', '.join(known)}")
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what}: {error}") from None
