"""What is installed here, and which engines can run with it."""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Any

import torch

from isaac_gymnasium.engines import available_engines, how_to_install
from isaac_gymnasium.engines._isaacsim_app import LICENCE_VARIABLES, VERSIONS, kit_is_running
from isaac_gymnasium.provenance import gpus, versions

_PACKAGES = (
    "isaac-gymnasium",
    "gymnasium",
    "torch",
    "numpy",
    "ovphysx",
    "newton",
    "warp-lang",
    "usd-core",
    "isaacsim",
)
_SYSTEM_LIBRARIES = ("libGL.so.1", "libX11.so.6")
_LICENCES = {
    "newton": "Apache-2.0",
    "physx": "NVIDIA's terms for Omniverse, accepted by installing ovphysx",
    "isaacsim": "NVIDIA's licence of Isaac Sim; you accept it when asked, or by setting "
    + " or ".join(f"{value} ({where})" for where, value in LICENCE_VARIABLES.items()),
}


def take_inventory() -> dict[str, Any]:
    """Versions, GPUs, system libraries, and for each engine what stands in its way, if anything."""
    found = versions(_PACKAGES)
    packages = {name: found.get(name) for name in _PACKAGES}
    libraries = {name: _loads(name) for name in _SYSTEM_LIBRARIES} if _on_linux() else {}
    installed = available_engines()
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": packages,
        "gpus": gpus(),
        "system_libraries": libraries,
        "kit_is_running": kit_is_running(),
        "engines": {
            name: {
                "can_run": not obstacles,
                "obstacles": obstacles,
                "licence": _LICENCES[name],
            }
            for name, obstacles in (
                (name, _obstacles(name, name in installed, packages, libraries))
                for name in _LICENCES
            )
        },
    }


def _obstacles(
    name: str, installed: bool, packages: dict[str, str | None], libraries: dict[str, bool]
) -> list[str]:
    if not installed:
        return [f"not installed: {how_to_install(name)}"]
    found = []
    if name == "physx":
        found += [f"system library {lib} is missing" for lib, ok in libraries.items() if not ok]
    if name == "isaacsim":
        if packages["usd-core"] and not kit_is_running():
            found.append("usd-core is installed beside it, and would shadow Kit's own pxr")
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        if python not in {version.python for version in VERSIONS.values()}:
            found.append(f"Isaac Sim runs on Python 3.11 (5.1) or 3.12 (6.x), this is {python}")
        if not torch.cuda.is_available():
            found.append("torch sees no CUDA device, and Kit needs an RTX GPU")
    return found


def _on_linux() -> bool:
    return sys.platform.startswith("linux")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
