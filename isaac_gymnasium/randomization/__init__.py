"""Domain randomisation: see `docs/randomization.md`."""

from isaac_gymnasium.randomization.presets import default_randomization, resolve, with_cameras
from isaac_gymnasium.randomization.randomizer import Randomizer
from isaac_gymnasium.randomization.terms import TARGETS, Adaptive, Randomization, Term, parse

__all__ = [
    "TARGETS",
    "Adaptive",
    "Randomization",
    "Randomizer",
    "Term",
    "default_randomization",
    "parse",
    "resolve",
    "with_cameras",
]
