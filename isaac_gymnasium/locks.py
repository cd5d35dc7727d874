"""Threads: locks by which they take turns, and where they stop when the process ends."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from contextlib import AbstractContextManager
from typing import Protocol

_PATIENCE = 5.0
"""s; how long the end of the process waits for threads to stop."""


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Ends its thread."""


_workers: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_stopped: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_owners: weakref.WeakSet[Closable] = weakref.WeakSet()
_own = threading.local()
_ending = False


def turns() -> AbstractContextManager[bool]:
    """A re-entrant lock that is open in a forked process, whoever held it before the fork.

    The thread that did is not there to open it, and what the lock is about refuses to work there
    rather than to wait for ever.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lock._at_fork_reinit)  # type: ignore[attr-defined]
    return lock


def check_in() -> None:
    """Called by every thread before it works with an environment; where it stops at the end.

    A daemon thread that is still at work when Python takes down what it works with fails or takes
    the process with it: ended within C++, it calls `abort`. It waits here for the end instead.
    """
    thread = threading.current_thread()
    if not thread.daemon:
        return
    if not getattr(_own, "known", False):
        _own.known = True
        _workers.add(thread)
    if _ending:
        _stopped.add(thread)
        threading.Event().wait()


def stop_workers_at_exit() -> None:
    """To be called when an engine has started: what starts last at exit comes first."""
    atexit.unregister(_stop_workers)
    atexit.register(_stop_workers)


def close_at_exit(owner: Closable) -> None:
    """Has the owner of a thread close itself, if it is still there, before threads are stopped."""
    _owners.add(owner)


def _stop_workers() -> None:
    global _ending
    for owner in list(_owners):
        owner.close()
    _ending = True
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and any(
        thread.is_alive() and thread not in _stopped for thread in list(_workers)
    ):
        time.sleep(0.002)
