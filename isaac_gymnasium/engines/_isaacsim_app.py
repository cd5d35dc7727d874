"""The one Kit application of a process: starting it, finding one that runs, closing it at exit."""

from __future__ import annotations

import atexit
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from isaac_gymnasium.engines.base import EngineError

logger = logging.getLogger("isaac_gymnasium.isaacsim")

LICENCE_VARIABLES = {"pip": "OMNI_KIT_ACCEPT_EULA=YES", "container": "ACCEPT_EULA=Y"}
"""What a user who accepts NVIDIA's licence sets. This package never sets them."""

_EXTENSIONS = ("omni.physx", "omni.physics.tensors", "isaacsim.core.cloner")


class Version(NamedTuple):
    """What differs between the versions of Isaac Sim, as far as this package goes."""

    python: str
    close_takes_exit_code: bool


VERSIONS = {
    5: Version(python="3.11", close_takes_exit_code=False),
    6: Version(python="3.12", close_takes_exit_code=True),
}
"""By major version."""

_app: Any = None
"""The `SimulationApp` that this module has started."""


def kit_is_running() -> bool:
    """Whether this process runs Kit, started by whomever. Imports nothing of it."""
    omni_kit_app = sys.modules.get("omni.kit.app")
    if omni_kit_app is None:
        return False
    try:
        kit = omni_kit_app.get_app()
        return kit is not None and bool(kit.is_running())
    except RuntimeError:  # the framework has not been loaded
        return False


def start(*, headless: bool = True, **launch_config: Any) -> None:
    """Starts Isaac Sim in this process, unless it runs already; it ends with the process.

    `make_vec(..., engine="isaacsim")` calls it. Call it yourself, before, for a window or for
    settings of your own.

    Args:
        headless: Without a window.
        **launch_config: Further entries of the configuration of Isaac Sim's `SimulationApp`.

    Raises:
        EngineError: If it cannot be started here; the message says why.
    """
    global _app
    if kit_is_running():
        if not headless and (_app is None or not _windowed):
            logger.warning("Isaac Sim runs already, without a window it was not asked to open")
        return
    if _app is not None:
        raise EngineError("Isaac Sim has been closed, and starts once a process only")
    _refuse_early_imports()
    if threading.current_thread() is not threading.main_thread():
        raise EngineError("Isaac Sim must be started from the main thread")
    with _undisturbed_process():
        _app = _import_simulation_app()({"headless": headless, **launch_config})
    _remember_window(not headless)
    atexit.register(_close_at_exit)
    enable_extensions()


_windowed = False


def _remember_window(windowed: bool) -> None:
    global _windowed
    _windowed = windowed


def shows_window() -> bool:
    """Whether somebody may be looking: Kit was started with a window, or not by us."""
    return _windowed or (_app is None and kit_is_running())


def update() -> None:
    """Lets Kit do one frame, where it is ours: elsewhere its own loop does."""
    if _app is not None:
        _app.update()


def owns_app() -> bool:
    """Whether this module has started Kit."""
    return _app is not None


def enable_extensions() -> None:
    """Switches on what the engine needs; experiences differ in what they load.

    Raises:
        EngineError: If one is missing from this Isaac Sim.
    """
    import omni.kit.app

    manager = omni.kit.app.get_app().get_extension_manager()
    for name in _EXTENSIONS:
        if not manager.is_extension_enabled(name) and not manager.set_extension_enabled_immediate(
            name, True
        ):
            raise EngineError(f"this Isaac Sim has no extension {name}")


def major_version() -> int | None:
    """Major version of the Isaac Sim that runs, None where it does not tell."""
    try:
        from isaacsim.core.version import get_version
    except ImportError:
        return None
    number = str(get_version()[0]).partition(".")[0]
    return int(number) if number.isdigit() else None


def _refuse_early_imports() -> None:
    for module in ("pxr", "ovphysx", "ovstage", "newton"):
        loaded = sys.modules.get(module)
        if loaded is not None:
            raise EngineError(
                f"{module} was imported before Isaac Sim was started (from "
                f"{getattr(loaded, '__file__', None)}), and Isaac Sim brings its own USD: make the "
                "engine='isaacsim' environment first, in a process that uses no other engine"
            )


def _import_simulation_app() -> Any:
    try:
        from isaacsim import SimulationApp
    except ImportError as error:
        raise EngineError(
            f"Isaac Sim cannot be imported ({error}): install it as docs/isaacsim.md says"
        ) from error
    except (EOFError, OSError, SystemExit) as error:
        # It asks for its licence to be accepted, and nobody is there to answer.
        raise EngineError(
            "Isaac Sim's licence has not been accepted: read it, and if you agree set "
            f"{LICENCE_VARIABLES['pip']} (in NVIDIA's container {LICENCE_VARIABLES['container']})"
        ) from error
    return SimulationApp


@contextlib.contextmanager
def _undisturbed_process() -> Iterator[None]:
    """Keeps our own command line from Kit, and its handler of Ctrl-C from us."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        sys.argv = arguments
        signal.signal(signal.SIGINT, handler)


def _close_at_exit() -> None:
    """Closes Kit, which ends the process at once."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    version = VERSIONS.get(major_version() or 0)
    failed = hasattr(sys, "last_type")
    if version is not None and version.close_takes_exit_code:
        _app.close(exit_code=int(failed))
    else:
        _app.close()
