"""Holds the description of Isaac Sim's API against the Isaac Sim that runs."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from typing import Any

from isaac_gymnasium.doctor.contract import load_contract, signature_of
from isaac_gymnasium.engines._isaacsim_app import CAMERA_EXTENSIONS, enable_extensions
from isaac_gymnasium.engines.base import EngineError


def compare_signatures(version: str) -> dict[str, str]:
    """How each name of the description is found: `"same"`, or what else.

    `"compiled"` is there but has no signature to look at. Anything that begins with `"differs"` or
    is `"missing"` would break the engine.

    Args:
        version: Which description to hold it against.
    """
    with contextlib.suppress(EngineError):  # what is not there is found missing below
        enable_extensions(CAMERA_EXTENSIONS)
    return {name: _compare(name, entry) for name, entry in load_contract(version).items()}


def is_fault(finding: str) -> bool:
    """Whether a finding means that the engine cannot work."""
    return finding == "missing" or finding.startswith("differs")


_SEEN_AT_WORK = (".shared_metatype.", ".HydraTexture.", ".Annotator.")
"""What only an instance has, or a module that is no part of the API."""


def _compare(name: str, entry: dict[str, Any]) -> str:
    if any(part in name for part in _SEEN_AT_WORK):
        return "seen when an environment is made"
    try:
        live = _find(name)
    except (ImportError, AttributeError):
        return "missing"
    if "parameters" not in entry:
        return "same"
    try:
        signature = inspect.signature(live)
    except (TypeError, ValueError):
        return "compiled"
    actual = [p for p in signature.parameters.values() if p.name != "self"]
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in actual):
        return "compiled"
    for position, expected in enumerate(signature_of(entry).parameters.values()):
        if position >= len(actual):
            return f"differs: no parameter {expected.name}"
        found = actual[position]
        if expected.kind is expected.POSITIONAL_ONLY:
            continue
        if found.name != expected.name:
            return f"differs: {found.name} in place of {expected.name}"
        if expected.default is not expected.empty and repr(found.default) != expected.default:
            return f"differs: {found.name} is {found.default!r} by default, not {expected.default}"
    return _rest(actual[len(entry["parameters"]) :])


def _rest(more: list[inspect.Parameter]) -> str:
    needed = [p.name for p in more if p.default is p.empty]
    if needed:
        return f"differs: needs {needed}, too"
    return "same" if not more else f"same, and takes {[p.name for p in more]}"


def _find(name: str) -> Any:
    """The live object of a name; interfaces are found by way of an instance."""
    owner, _, attribute = name.rpartition(".")
    made = _INSTANCES.get(owner)
    if made is not None:
        return getattr(type(made()), attribute)
    if owner.startswith("omni.physics.tensors.") or name.startswith("omni.physics.tensors."):
        module = importlib.import_module("omni.physics.tensors.impl.api")
        found: Any = module
        for part in name.removeprefix("omni.physics.tensors.").split("."):
            found = getattr(found, part)
        return found
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise ImportError(name)


def _call(module: str, function: str) -> Any:
    return getattr(importlib.import_module(module), function)()


_INSTANCES = {
    "omni.physx.PhysX": lambda: _call("omni.physx", "get_physx_interface"),
    "omni.physx.IPhysxSimulation": lambda: _call("omni.physx", "get_physx_simulation_interface"),
    "omni.physx.IPhysxReplicator": lambda: _call("omni.physx", "get_physx_replicator_interface"),
    "omni.physxfabric.PhysXFabric": lambda: _call("omni.physxfabric", "get_physx_fabric_interface"),
    "omni.usd.UsdContext": lambda: _call("omni.usd", "get_context"),
    "omni.kit.app.IApp": lambda: _call("omni.kit.app", "get_app"),
    "omni.ext.ExtensionManager": lambda: _call("omni.kit.app", "get_app").get_extension_manager(),
    "carb.settings.ISettings": lambda: _call("carb.settings", "get_settings"),
}
