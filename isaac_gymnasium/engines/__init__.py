"""Physics engines. `load_engine` finds one by name without importing the others."""

from __future__ import annotations

import importlib
import importlib.util
from typing import NamedTuple

from isaac_gymnasium.engines._isaacsim_app import kit_is_running
from isaac_gymnasium.engines.base import (
    Articulation,
    Contacts,
    Engine,
    EngineError,
    RigidBody,
)

__all__ = [
    "Articulation",
    "Contacts",
    "Engine",
    "EngineError",
    "RigidBody",
    "available_engines",
    "how_to_install",
    "load_engine",
]


class _Entry(NamedTuple):
    requires: tuple[str, ...]
    """The modules whose presence means that the engine can run."""
    where: str
    """`"module:Class"` of the engine."""


# In the order in which "auto" prefers them.
_ENGINES = {
    # A package of this name may be there without the solver, and somebody's newton.py as well.
    "newton": _Entry(
        ("newton", "mujoco_warp", "pxr"), "isaac_gymnasium.engines.newton:NewtonEngine"
    ),
    "physx": _Entry(("ovphysx", "pxr"), "isaac_gymnasium.engines.physx:PhysxEngine"),
    "isaacsim": _Entry(("isaacsim",), "isaac_gymnasium.engines.isaacsim:IsaacSimEngine"),
}


def available_engines() -> list[str]:
    """Names of the engines whose packages are installed, best first."""
    return [name for name, entry in _ENGINES.items() if all(map(_is_installed, entry.requires))]


def _is_installed(module: str) -> bool:
    if module == "isaacsim" and kit_is_running():
        return True
    # Any folder of this name on sys.path has a spec, but no origin.
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def how_to_install(name: str) -> str:
    """What to do for an engine whose package is not installed."""
    if name == "isaacsim":  # Its USD must not meet the other engines'.
        return "Isaac Sim wants a Python environment of its own, see docs/isaacsim.md"
    return f'pip install "isaac-gymnasium[{name}]"'


def load_engine(name: str = "auto") -> type[Engine]:
    """The class of an engine.

    Args:
        name: The name of an engine, or `"auto"`: isaacsim where this process runs Kit, otherwise
            the first one that is installed of newton, physx and isaacsim.

    Raises:
        ValueError: If there is no engine of this name.
        EngineError: If its package is not installed; the message says what to do.
    """
    if name != "auto" and name not in _ENGINES:
        raise ValueError(f"engine must be 'auto' or one of {list(_ENGINES)}, got {name!r}")
    installed = available_engines()
    best = "isaacsim" if kit_is_running() else (installed or ["newton"])[0]
    wanted = best if name == "auto" else name
    if wanted not in installed:
        what = "no physics engine is installed" if name == "auto" else f"engine {name!r} is missing"
        raise EngineError(f"{what}: {how_to_install(wanted)}")
    module, _, attribute = _ENGINES[wanted].where.partition(":")
    engine = getattr(importlib.import_module(module), attribute)
    assert isinstance(engine, type) and issubclass(engine, Engine)
    return engine
