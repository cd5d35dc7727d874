"""scripts/launches.py: what a step launches on a GPU beside its physics."""

from __future__ import annotations

import pytest
import torch
from loading import load

pytest.importorskip("newton")

launches = load("launches")


def test_views_are_no_launches_and_copies_that_are_filled_are_two() -> None:
    rows = torch.ones(4, 3)
    with launches.Launches() as found:
        rows[:, 1].unsqueeze(-1).expand(4, 2)
        torch.empty(3)
        assert found.lines.total() == 0
        (rows + 1.0).masked_fill(rows > 0.0, 2.0)
        rows[:, 0] += 1.0
    assert found.lines.total() == 6


@pytest.mark.parametrize(("id", "most"), [("IsaacCartpole-v0", 80), ("IsaacAnt-v0", 215)])
def test_a_step_launches_no_more_than_it_did(id: str, most: int) -> None:
    lines = launches.count(id)
    files = {name for name, _ in lines}
    assert {"vector_env.py", "nan_guard.py", "random.py", "engines/newton/engine.py"} <= files
    assert most - 20 <= lines.total() <= most
