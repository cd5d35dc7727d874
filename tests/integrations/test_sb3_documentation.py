"""docs/libraries/sb3.md: what it shows runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("stable_baselines3")
pytestmark = pytest.mark.usefixtures("physics")

PAGE = (Path(__file__).parents[2] / "docs/libraries/sb3.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
SMALL = {
    r"num_envs=\d+": "num_envs=8",
    r"learn\(\d+_000\)": "learn(300)",
    r"learning_starts=\d_000": "learning_starts=100",
    "batch_size=1024": "batch_size=64",
}


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_run(code, tmp_path, monkeypatch):
    assert len([line for line in code.splitlines() if line]) <= 10
    for pattern, small in SMALL.items():
        code = re.sub(pattern, small, code)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert names["model"].num_timesteps >= 300
    assert names["envs"].env.closed if hasattr(names["envs"], "env") else names["envs"].closed


def test_there_is_an_example_of_each():
    assert len(EXAMPLES) == 4
