"""What tests of trainers share: when to stop, and whether two states are the same."""

from __future__ import annotations

from typing import Any

import torch


def stop_after(updates: int, seen: list[dict[str, float]] | None = None) -> Any:
    """An `on_update` that ends training after some updates, and keeps their metrics."""

    def on_update(metrics: dict[str, float]) -> bool:
        nonlocal updates
        updates -= 1
        if seen is not None:
            seen.append(metrics)
        return updates > 0

    return on_update


def assert_same(first: Any, second: Any, path: str = "") -> None:
    """Asserts that two trees of dicts, lists, tensors and plain values are equal to the bit."""
    assert type(first) is type(second), path
    if isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_same(first[key], second[key], f"{path}/{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), path
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{path}/{index}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    else:
        assert first == second, path
