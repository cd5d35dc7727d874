"""When Python must not look for garbage."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def garbage_kept() -> Iterator[None]:
    """Lets Python's cyclic garbage wait, where a search for it would be slow or do harm.

    Engines and their kernels are a million objects that stay, which the collector would walk again
    and again while they come: two fifths of what it takes to make an environment of newton.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
