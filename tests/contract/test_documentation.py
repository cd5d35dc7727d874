from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from isaac_gymnasium import check_vector_env

PAGE = Path(__file__).parents[2] / "docs" / "contract.md"


@pytest.mark.parametrize(("column", "mode"), [(0, "SameStep"), (1, "NextStep"), (2, "Disabled")])
def test_the_page_says_what_the_check_finds(column: int, mode: str) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.M
    )
    written = [(name, requirement, rest[column]) for name, requirement, *rest in rows]
    env: Any = gym.make_vec(
        "IsaacCartpole-v0", num_envs=4, max_episode_steps=12, autoreset_mode=mode, device="cpu"
    )
    found = [(p.name, p.requirement, p.status) for p in check_vector_env(env).points]
    env.close()
    assert written == found
