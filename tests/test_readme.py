"""The README and the documentation: what they show runs as printed, what they say is true."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import pytest
import torch

from isaac_gymnasium import presets
from isaac_gymnasium.registration import _OURS
from isaac_gymnasium.task import make_task

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    )
    if path.parent.name != "environments"  # generated
}
ID = "MyPendulum-v0"


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)


(TASK,) = (code for code in blocks("python") if "class MyPendulum" in code)
EXAMPLES = [code for code in blocks("python") if code != TASK]
COMMANDS = [line for code in blocks("bash") for line in code.splitlines()]


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The task of the README, in a folder of the user's own that is the current directory."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "my_pendulum.py").write_text(TASK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("my_pendulum")
    for registry in (gym.registry, sys.modules, presets._added):
        for name in (ID, "my_pendulum"):
            registry.pop(name, None)


def test_the_first_example_has_ten_lines() -> None:
    assert len([line for line in EXAMPLES[0].splitlines() if line]) <= 10


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_run(code: str, pendulum: ModuleType, physics: None) -> None:
    names: dict[str, Any] = {}
    exec(re.sub(r"range\(300\)", "range(20)", re.sub(r"num_envs=\d\d+", "num_envs=8", code)), names)
    assert names["envs"].closed
    assert torch.isfinite(names["obs"]).all()


def test_the_answers_to_first_questions_run(
    tmp_path: Path, physics: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, in a module: a registered task is found again by its module's name."""
    pytest.importorskip("skrl")
    code = "\n".join(blocks("python", PAGES["docs/guide/questions.md"]))
    code = re.sub(r"num_envs=[\w.]+", 'num_envs=8, engine="physx"', code.replace("(300)", "(3)"))
    fewer = r"\1config = configs.SkrlPpoConfig(num_envs=8, timesteps=128)\n"
    (tmp_path / "answers.py").write_text(re.sub(r"(config = preset\(.*\)\n)", fewer, code))
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        answers = importlib.import_module("answers")
    finally:
        gym.registry.pop("FeelingFrankaCube-v0", None)
        sys.modules.pop("answers", None)
    assert torch.equal(answers.successor, answers.obs), "three steps end no episode"
    assert answers.policy(answers.obs.cpu()).shape == (8, 1)


def test_the_task_is_short() -> None:
    assert len(TASK.splitlines()) < 80


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_the_task_runs_in_every_autoreset_mode(
    mode: str, pendulum: ModuleType, physics: None
) -> None:
    envs: Any = gym.make_vec(
        ID, num_envs=4, device="cpu", autoreset_mode=mode, episode_length_s=0.2, max_torque=3.0
    )
    assert envs.task.max_torque == 3.0
    first, _ = envs.reset(seed=0)
    for length in range(1, 5):
        obs, _, terminated, truncated, info = envs.step(torch.zeros(4, 1))
        assert not terminated.any()
        assert truncated.all() == truncated.any() == (length == 4)
    if mode == "SameStep":
        assert info["_final_obs"].all()
        assert not torch.equal(info["final_obs"], obs)
    elif mode == "NextStep":
        obs, reward, _, truncated, _ = envs.step(torch.ones(4, 1))
        assert not reward.any() and not truncated.any()
    else:
        with pytest.raises(ValueError, match="reset_mask"):
            envs.step(torch.zeros(4, 1))
        obs, _ = envs.reset(options={"reset_mask": truncated})
    assert not torch.equal(obs, first), "the second episode should start elsewhere"
    assert (obs[:, 2].abs() <= 1.0).all(), "a new episode starts slowly"
    envs.close()


def test_the_pendulum_swings_as_a_rod_does(pendulum: ModuleType, physics: None) -> None:
    """At the bottom, small swings have the period 2 pi sqrt(2 L / 3 g) = 1.64 s of a 1 m rod."""
    envs: Any = gym.make_vec(ID, num_envs=4, device="cpu", dt=1 / 480, decimation=1)
    envs.reset(seed=0)
    start = torch.full((4, 1), torch.pi + 0.05)
    envs.task.robot.write_dof_state(start, torch.zeros(4, 1))
    steps = round(1.638 * 480)
    half, full = (
        [envs.step(torch.zeros(4, 1))[0] for _ in range(n)][-1]
        for n in (steps // 2, steps - steps // 2)
    )
    torch.testing.assert_close(half[:, 1], torch.full((4,), 0.05), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(full[:, 1], torch.full((4,), -0.05), atol=1e-3, rtol=0.0)
    envs.close()


def test_the_task_trains_from_the_command_line(
    pendulum: ModuleType, physics: None, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skrl")
    from isaac_gymnasium.cli import main

    words = ["--timesteps", "512", "--num-envs", "8", "--rollouts", "16", "--device", "cpu"]
    assert main(["train", f"my_pendulum:{ID}", *words, "--run-dir", "run"]) == 0
    assert re.search(r"evaluation: return -\d+\.\d ± .*\(8 episodes\)\n$", capsys.readouterr().out)
    files = {re.sub(r"\.tfevents\..*", ".tfevents.*", path.name) for path in Path("run").iterdir()}
    listed = re.findall(r"^\| `([a-z_]*\.[a-z.*]+)` \|", README, re.M)
    assert files == set(listed), "the README's table of a run folder should be complete"


@pytest.mark.parametrize("line", [c for c in COMMANDS if c.startswith("isaac-gymnasium")])
def test_command_lines_parse(line: str, pendulum: ModuleType) -> None:
    pytest.importorskip("skrl")
    from isaac_gymnasium.cli._main import _parse

    words = shlex.split(line)[1:]
    if "--help" in words:
        with pytest.raises(SystemExit) as exit_:
            _parse(words)
        assert exit_.value.code == 0
    else:
        _parse(words)


def test_make_knows_the_targets() -> None:
    targets = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
    assert {"run", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target


@pytest.mark.parametrize("id", _OURS)
def test_the_table_of_environments_is_true(id: str) -> None:
    row = re.search(
        rf"^\| `{id}`<br><img [^|]*/{id}.png[^|]*\|[^|]*\|([^|]*)\|([^|]*)\|$", README, re.M
    )
    assert row, f"{id} is missing from the README's table of environments"
    task = make_task(_OURS[id], {})
    for cell, space in zip(
        row.groups(), (task.action_space(), task.observation_space()), strict=True
    ):
        shape = f"({', '.join(map(str, space.shape))})" if space.shape else ""
        assert cell.strip().startswith(f"`{type(space).__name__}{shape}`")


@pytest.mark.parametrize("page", PAGES)
def test_no_speed_of_an_engine_is_published(page: str) -> None:
    """NVIDIA's terms forbid benchmark results of PhysX; lines on newton may have figures."""
    page = "\n".join(
        line
        for line in PAGES[page].splitlines()
        if "`newton`" not in line or re.search("physx|isaac ?sim", line, re.I)
    )
    rate = r"(?:steps?|frames?)\s*(?:per|a|each|/)\s*s(?:ec(?:ond)?s?)?\b|\bfps\b|\bsps\b"
    near = rf"\d[^\n]{{0,40}}(?:{rate})|(?:{rate}).{{0,80}}?\d"
    found = re.search(near, page, re.I | re.S)
    assert not found, found


@pytest.mark.parametrize("page", PAGES)
def test_no_path_of_somebodys_machine(page: str) -> None:
    found = re.search(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|mnt)/\S*", PAGES[page])
    assert not found, found


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = PAGES[page]
    for target in re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", text):
        path, _, anchor = "".join(target).partition("#")
        if "://" in path or path.endswith("environments/index.md"):
            continue
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text()), target
