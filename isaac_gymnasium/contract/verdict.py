"""How a point says that it failed or does not apply; one that returns has passed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isaac_gymnasium.contract.values import describe, difference


class Failed(Exception):
    """The environment does not keep the point."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}; got {got}")
        self.expected = expected
        self.got = got


class NotApplicable(Exception):
    """The point cannot be checked; the message says why."""


def require(condition: bool, expected: str, got: object) -> None:
    """Fails the point unless a condition holds.

    Args:
        condition: What has to hold.
        expected: The condition in words.
        got: What came: words, or a value to be described.
    """
    if not condition:
        raise Failed(expected, got if isinstance(got, str) else describe(got))


def require_same(expected: Any, got: Any, path: str, where: str) -> None:
    """Fails the point unless two trees of NumPy arrays are equal bit for bit.

    Args:
        expected: The one tree.
        got: The other.
        path: What the trees are, such as `"obs"`.
        where: What makes them equal, such as `"as before"`.
    """
    found = difference(expected, got, path)
    if found is not None:
        raise Failed(f"{found[0]} {where}", found[1])


def require_same_outcome(
    expected: Mapping[str, Any], got: Mapping[str, Any], index: int, where: str
) -> None:
    """`require_same` for what a call returned, by name; the reset is outcome 0."""
    require(
        expected.keys() == got.keys(),
        f"{sorted(expected)} in outcome {index}, {where}",
        f"{sorted(got)}",
    )
    for name, value in expected.items():
        require_same(value, got[name], name, f"in outcome {index}, {where}")


def require_refusal(what: str, call: Callable[[], object]) -> None:
    """Fails the point unless a call raises."""
    try:
        call()
    except Exception:
        return
    raise Failed(f"{what} to raise", "no error")


def sentence(error: Exception) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else f"{text[:297]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
