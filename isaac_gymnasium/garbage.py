"""When Python must not look for garbage."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

_AN_ENGINE = 100
"""New modules by which one can tell that an engine was imported."""


@contextlib.contextmanager
def garbage_kept() -> Iterator[None]:
    """Lets Python's cyclic garbage wait, where a search for it would be slow or do harm.

    Engines and their kernels are a million objects that stay, which the collector would walk again
    and again while they come: two fifths of what it takes to make an environment of newton.
    Nor are they walked as new ones afterwards.
    """
    was_enabled, modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) - modules >= _AN_ENGINE and not gc.get_freeze_count():
            # Makes all there is old at once, without looking at it.
            gc.freeze()
            gc.unfreeze()
        if was_enabled:
            gc.enable()
