"""The part of Isaac Sim's API that the engine `isaacsim` uses, by version, as data.

Each entry names a function, method or attribute, its parameters with their defaults, the source
it was read from, and, where something is called on its result, what that is. The files are read by
the tests, which hold the adapter's source against them, and by `isaac-gymnasium doctor`, which
holds them against a live Isaac Sim.
"""

from __future__ import annotations

import inspect
import json
from importlib import resources
from typing import Any

VERSIONS = ("5.1", "6.0")
"""Versions of Isaac Sim that are described."""


def load_contract(version: str) -> dict[str, dict[str, Any]]:
    """Entries by full name.

    Args:
        version: One of `VERSIONS`.
    """
    name = f"contract_{version.replace('.', '_')}.json"
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    names: dict[str, dict[str, Any]] = json.loads(text)["names"]
    return names


def signature_of(entry: dict[str, Any]) -> inspect.Signature:
    """The signature that an entry describes; parameters without a public name are positional."""
    parameters = []
    for name, *default in entry["parameters"]:
        nameless = name.startswith("arg") and name[3:].isdigit()
        kind = (
            inspect.Parameter.POSITIONAL_ONLY
            if nameless
            else inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        empty = inspect.Parameter.empty
        parameters.append(inspect.Parameter(name, kind, default=default[0] if default else empty))
    return inspect.Signature(parameters)
