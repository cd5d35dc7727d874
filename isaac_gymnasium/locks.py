"""Locks by which threads take turns."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager


def turns() -> AbstractContextManager[bool]:
    """A re-entrant lock that is open in a forked process, whoever held it before the fork.

    The thread that did is not there to open it, and what the lock is about refuses to work there
    rather than to wait for ever.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lock._at_fork_reinit)  # type: ignore[attr-defined]
    return lock
