"""Writes a page for every environment of the package, from the docstring of its class.

The pages go into `docs/environments`, which git ignores.
"""

from __future__ import annotations

import importlib.resources
import inspect
import json
import re
from pathlib import Path

import isaac_gymnasium
from isaac_gymnasium.task import Task, make_task

HEADINGS = (
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Version History",
)

INDEX = """# Environments

{count} tasks. Every keyword on their pages is a keyword of `gymnasium.make_vec`. All actions lie in
[-1, 1]; units are SI, angles are radians, quaternions are xyzw.

```{{toctree}}
:hidden:

{names}
```

| | |
|---|---|
{rows}
"""

PAGE = """# {id}

{summary}

![What {id} looks like](../_static/envs/{id}.png)

```python
envs = gym.make_vec("{id}", num_envs=1024)
```

| | |
|---|---|
| action space | `{actions}` |
| observation space | `{observations}` |
| an episode | {task.max_episode_steps} steps of {task.step_dt:.4g} s |
| a step | {task.decimation} steps of the physics |
| source | [{file}](../../{file}) |

{body}
{results}
## Keywords

| keyword | default |
|---|---|
{keywords}

## Settings

What `isaac-gymnasium train {id}` takes unless told otherwise; `--help` after it lists them all.

```yaml
{preset}
```
"""

RESULTS = """
## What training reaches

```{{include}} ../results/{id}.md
:start-line: 1
```
"""


def environments() -> dict[str, type[Task]]:
    """The tasks of the package by ID, in alphabetical order."""
    tasks = isaac_gymnasium.registered_tasks()
    ours = {
        id: task for id, task in tasks.items() if task.__module__.startswith("isaac_gymnasium.")
    }
    return dict(sorted(ours.items()))


def sections(docstring: str) -> dict[str, str]:
    """Texts of a docstring by heading; what stands before the first is under ""."""
    parts = re.split(r"^## (.*)$", docstring, flags=re.M)
    return {"": parts[0].strip()} | {
        heading: text.strip() for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def page(id: str, cls: type[Task], docs: Path) -> str:
    """The page of an environment, in Markdown.

    Raises:
        ValueError: A heading is missing, empty, unknown or out of order.
    """
    texts = sections(inspect.getdoc(cls) or "")
    summary = texts.pop("")
    if tuple(texts) != HEADINGS or not all(texts.values()):
        raise ValueError(
            f"the docstring of {cls.__qualname__} must have something to say under each of the "
            f"headings {', '.join(HEADINGS)}, in this order; it has {', '.join(texts)}"
        )
    task = make_task(cls, {})
    file = Path(inspect.getfile(cls)).relative_to(Path(isaac_gymnasium.__file__).parents[1])
    preset = importlib.resources.files("isaac_gymnasium.presets").joinpath(f"{id}.yaml")
    results = docs / "results" / f"{id}.md"
    return PAGE.format(
        id=id,
        summary=summary,
        task=task,
        actions=task.action_space(),
        observations=task.observation_space(),
        file=file.as_posix(),
        body="\n\n".join(f"## {heading}\n{text}" for heading, text in texts.items()),
        keywords="\n".join(f"| `{name}` | `{value}` |" for name, value in _keywords(task)),
        preset=preset.read_text().strip(),
        results=RESULTS.format(id=id) if results.exists() else "",
    )


def write_pages(docs: Path) -> None:
    """Writes the pages and their index into `docs/environments`, if they have changed."""
    tasks = environments()
    pages = {id: page(id, cls, docs) for id, cls in tasks.items()}
    summaries = {id: sections(inspect.getdoc(cls) or "")[""] for id, cls in tasks.items()}
    pages["index"] = INDEX.format(
        count=len(tasks),
        names="\n".join(tasks),
        rows="\n".join(
            f"| [![{id}](../_static/envs/{id}.png){{width=160px}}]({id}.md) "
            f"| [{id}]({id}.md)<br>{text}{_reached(id, docs)} |"
            for id, text in summaries.items()
        ),
    )
    folder = docs / "environments"
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.md"):
        if file.stem not in pages:
            file.unlink()
    for name, text in pages.items():
        file = folder / f"{name}.md"
        # Sphinx reads again what is newer than its last build.
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def _reached(id: str, docs: Path) -> str:
    """A line about the share of episodes that succeed after training, where it is known."""
    file = docs / "results" / "results.json"
    record = json.loads(file.read_text()).get(id) if file.exists() else None
    if record is None or "success" not in record["evaluation"]:
        return ""
    success = 100 * record["evaluation"]["success"]["median"]
    return f"<br>After training: success {success:.1f} %"


def _keywords(task: Task) -> list[tuple[str, str]]:
    """Keywords of a task and their defaults, its own before those that all tasks have."""
    defaults = sorted(task.parameters().items(), key=lambda item: item[0] in Task.parameters())
    return [(name, f"{v:.5g}" if isinstance(v, float) else repr(v)) for name, v in defaults]
