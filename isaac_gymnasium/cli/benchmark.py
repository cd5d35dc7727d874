"""``isaac-gymnasium benchmark``: how fast environments are here, with figures others can repeat."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tqdm import tqdm

from isaac_gymnasium.cli._environment import parse_keywords
from isaac_gymnasium.cli._errors import UserError

if TYPE_CHECKING:
    from isaac_gymnasium.benchmark import Case


@dataclass(kw_only=True)
class Benchmark:
    """Time environments: creation, stepping, the engine's share of it, memory.

    Every combination runs in a process of its own. Engines under NVIDIA's Omniverse terms do not
    allow publishing figures made with them.
    """

    tasks: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="ID ...")]
    """Environment IDs; MODULE:ID imports a module first."""
    num_envs: tuple[int, ...] = (256,)
    """Numbers of environments."""
    engines: tuple[str, ...] = ("auto",)
    """Physics engines; auto takes the first that is installed of newton, physx and isaacsim."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    steps: int = 200
    """Steps of all environments in one repetition."""
    repeats: int = 5
    """Repetitions; the table shows their median and range."""
    policy: bool = False
    """Measure stepping with a network of the preset's size choosing the actions, too."""
    training: bool = False
    """Measure training with skrl's PPO and the task's preset, too."""
    adapters: bool = False
    """Measure a step through the adapter of each RL library that is installed, too."""
    rendering: bool = False
    """Measure pictures of one environment and of sixteen, too."""
    peers: bool = False
    """Step those of other packages' environments that are installed, too."""
    peer_python: Path | None = None
    """Python of another virtual environment, for peers whose dependencies clash with ours: it has
    the peer and this package. The peer is named as an ID is: mjlab:Velocity-Flat-Unitree-Go1."""
    output: Path | None = None
    """Folder for benchmark.json and benchmark.png."""
    env: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="KEY=VALUE ..."),
    ] = ()
    """Arguments of the environments."""

    def run(self) -> int:
        """Print a table; 1 where a case failed."""
        from isaac_gymnasium import benchmark
        from isaac_gymnasium.benchmark.peers import find_peer

        results, failures = [], []
        for case in tqdm(self._cases(), unit="case", leave=False):
            try:
                python = self.peer_python if find_peer(case.id) else None
                results.append(benchmark.measure(case, python=python))
            except benchmark.CaseFailed as error:
                failures.append(f"{case.id}, {case.num_envs} environments, {case.engine}: {error}")
        if results:
            print(benchmark.table(results))
        if results and self.output is not None:
            self.output.mkdir(parents=True, exist_ok=True)
            benchmark.save(results, self.output / "benchmark.json")
            benchmark.draw(results, self.output / "benchmark.png")
            print(f"written: {self.output / 'benchmark.json'}, {self.output / 'benchmark.png'}")
        for failure in failures:
            print(f"failed: {failure}")
        return 1 if failures else 0

    def _cases(self) -> list[Case]:
        from isaac_gymnasium.benchmark import Case
        from isaac_gymnasium.benchmark.peers import PEERS

        keywords = parse_keywords([word for words in self.env for word in words])
        wanted = [
            (task, engine, num_envs, keywords)
            for task, engine, num_envs in product(self.tasks, self.engines, self.num_envs)
        ]
        if self.peers:
            installed = [peer.id for peer in PEERS if not peer.missing]
            wanted += [(id, "auto", count, {}) for id, count in product(installed, self.num_envs)]
        if not wanted:
            raise UserError("benchmark expects at least one ID, or --peers; got neither")
        try:
            return [
                Case(
                    id=task,
                    num_envs=num_envs,
                    engine=engine,
                    device=self.device,
                    steps=self.steps,
                    repeats=self.repeats,
                    policy=self.policy,
                    training=self.training,
                    adapters=self.adapters,
                    rendering=self.rendering,
                    keywords=given,
                )
                for task, engine, num_envs, given in wanted
            ]
        except ValueError as error:
            raise UserError(str(error)) from error
