"""Combined coefficients of friction, said with MuJoCo's priorities.

PhysX combines two coefficients by average, minimum, product or maximum, whichever of the two
materials' modes is the strongest. MuJoCo takes that of the geom with the higher priority, and the
larger one where priorities are equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

_COMBINE: dict[str, Callable[[float, float], float]] = {
    "average": lambda a, b: 0.5 * (a + b),
    "min": min,
    "multiply": lambda a, b: a * b,
    "max": max,
}
"""PhysX's modes, weakest first."""
_LEVELS = 3
_MOST_KINDS = 7


class Surface(NamedTuple):
    """What of a material friction depends on."""

    friction: float
    combine: str


def combined(a: Surface, b: Surface) -> float:
    """The coefficient between two surfaces, as PhysX has it."""
    modes = list(_COMBINE)
    mode = modes[max(modes.index(a.combine), modes.index(b.combine))]
    return _COMBINE[mode](a.friction, b.friction)


def priorities(surfaces: Sequence[Surface]) -> dict[Surface, int]:
    """Priorities with which MuJoCo's coefficients come closest to `combined`.

    They are exact where the coefficient of each pair can be one of the two, as with `min` and
    `max`; elsewhere the sum of the errors is the least. Beyond a few kinds of surfaces the modes
    themselves are the priorities.
    """
    kinds = list(dict.fromkeys(surfaces))
    modes = list(_COMBINE)
    by_mode = {kind: modes.index(kind.combine) for kind in kinds}
    if len(kinds) > _MOST_KINDS:
        return by_mode
    pairs = list(itertools.combinations(kinds, 2))

    def error(chosen: dict[Surface, int]) -> float:
        return sum(abs(_resulting(a, b, chosen) - combined(a, b)) for a, b in pairs)

    levels = itertools.product(range(_LEVELS), repeat=len(kinds))
    return min((dict(zip(kinds, level, strict=True)) for level in levels), key=error)


def _resulting(a: Surface, b: Surface, chosen: dict[Surface, int]) -> float:
    if chosen[a] == chosen[b]:
        return max(a.friction, b.friction)
    return (a if chosen[a] > chosen[b] else b).friction
