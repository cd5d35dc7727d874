"""docs/command_line.md: its commands parse, its tables and examples are true."""

import re
import shlex
from pathlib import Path

import pytest
import torch
import yaml

from isaac_gymnasium import presets
from isaac_gymnasium.cli import main
from isaac_gymnasium.cli._main import _parse
from isaac_gymnasium.integrations.trainers import TRAINERS

PAGE = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines()]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line):
    words = shlex.split(line)
    if words[0] == "torchrun":
        words = words[words.index("isaac_gymnasium.cli") :]
    _parse(words[1:])


def test_the_table_of_libraries_is_that_of_the_trainers():
    rows = re.findall(r"^\| `(\w+)`[^|]*\| ([^|]*) \| `([\w-]+)` \|$", PAGE, re.M)
    shown = {
        (library, algorithm): extra
        for library, algorithms, extra in rows
        for algorithm in re.findall(r"`(\w+)`", algorithms)
    }
    assert shown == {key: entry.extra for key, entry in TRAINERS.items()}


def test_the_preset_is_one(monkeypatch):
    monkeypatch.setattr(presets, "_added", {})
    (text,) = blocks("yaml")
    presets.add_preset("Page-v0", yaml.safe_load(text))
    config = presets.preset("Page-v0", TRAINERS["rsl_rl", "ppo"].config, library="rsl_rl", cpu=True)
    assert (config.num_envs, config.rollouts, config.kl_threshold) == (256, 24, 0.008)


@pytest.mark.usefixtures("physics")
def test_the_exported_policy_is_used_as_shown(tmp_path, monkeypatch):
    pytest.importorskip("skrl")
    monkeypatch.chdir(tmp_path)
    words = ["--device", "cpu", "--num-envs", "8", "--timesteps", "128"]
    assert main(["train", "IsaacCartpole-v0", *words, "--run-dir", "runs/cartpole"]) == 0
    assert main(["export", "runs/cartpole", "--format", "torchscript"]) == 0
    names = {}
    exec(blocks("python")[0], names)
    assert names["actions"].shape == (1, 1)
    assert torch.isfinite(names["actions"]).all()
