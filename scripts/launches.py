"""How many kernels a step of a task launches on a GPU beside its physics, and in which lines.

    python scripts/launches.py IsaacAnt-v0 IsaacCartpole-v0

With engine `newton` a step is one CUDA graph, and each kernel in it is a node that takes one or two
microseconds even where it has next to nothing to do: what the loop and a task cost on a GPU is the
number of these nodes. They are counted on the CPU, along the path that a GPU takes.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

import isaac_gymnasium
from isaac_gymnasium._warp import import_warp
from isaac_gymnasium.random import _launcher
from isaac_gymnasium.tree import plain_torch

PACKAGE = Path(isaac_gymnasium.__file__).parent
LAUNCHES = {"masked_fill": 2}  # a copy, then the fill; most operations are one
LAUNCHES |= dict.fromkeys(("empty", "empty_like", "empty_strided", "detach", "promote_types"), 0)


class Launches(TorchDispatchMode):
    """Counts launches by the line of the package that they come from: (file, line) -> number."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: Counter[tuple[str, int]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = [r.alias_info for r in func._schema.returns]
        view = returned and all(alias is not None and not alias.is_write for alias in returned)
        if not view:
            self.note(LAUNCHES.get(func._schema.name.removeprefix("aten::"), 1))
        return func(*args, **(kwargs or {}))

    def note(self, count: int = 1) -> None:
        """Counts launches for the line that is the innermost of the package's."""
        frame = sys._getframe(1)
        while frame.f_back and not Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
            frame = frame.f_back
        path = Path(frame.f_code.co_filename)
        name = str(path.relative_to(PACKAGE)) if path.is_relative_to(PACKAGE) else path.name
        self.lines[name, frame.f_lineno] += count


@contextlib.contextmanager
def counted(engine: Any) -> Iterator[Launches]:
    """Counts what is launched within, but for the physics steps of a Newton engine."""
    found, wp = Launches(), import_warp()
    launch, simulate = wp.launch, engine._launch

    def noted(*args: Any, **kwargs: Any) -> Any:
        found.note()
        return launch(*args, **kwargs)

    def uncounted() -> None:
        wp.launch = launch
        with _disable_current_modes():
            simulate()
        wp.launch = noted

    wp.launch, engine._launch = noted, uncounted
    try:
        with found:
            yield found
    finally:
        wp.launch = launch
        del engine._launch


def count(id: str, **keywords: Any) -> Counter[tuple[str, int]]:
    """Launches of one step of a task, by line."""
    made: Any = gym.make_vec(id, num_envs=4, device="cpu", engine="newton", **keywords)
    env = made.unwrapped
    # As on a GPU, where the host does not look at masks and a draw is one launch.
    env._always_restarts = env.engine.capturable = True
    for streams in (env.rng, *env.randomization._streams.values()):
        streams._launch = _launcher(env.device)
    env.reset(seed=0)
    with plain_torch():
        for _ in range(3):  # the first steps make what the others keep
            with env.engine.record(strict=False, with_engine=True), counted(env.engine) as found:
                env._advance_now()
    made.close()
    return found.lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ids", nargs="+", help="registered tasks")
    for id in parser.parse_args().ids:
        lines = count(id)
        files: Counter[str] = Counter()
        for (name, _), launches in lines.items():
            files[name] += launches
        print(f"{id}: {lines.total()} launches beside the physics")
        for name, total in files.most_common():
            own = sorted((line, k) for (file, line), k in lines.items() if file == name)
            print(f"{total:5d}  {name}: " + ", ".join(f"{k} in line {line}" for line, k in own))


if __name__ == "__main__":
    main()
