"""What is done with environments besides stepping them: a policy, training, adapters, pictures."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from isaac_gymnasium.benchmark.case import ADAPTERS, PICTURES, SETTLE
from isaac_gymnasium.vector_env import IsaacVectorEnv

__all__ = ["adapter_steps", "picture_steps", "policy_step", "training_speeds", "without_resets"]


def policy_step(env: IsaacVectorEnv, task_id: str) -> Callable[[], None]:
    """Steps with a network of the preset's size choosing the actions."""
    from isaac_gymnasium.presets import preset
    from isaac_gymnasium.presets.configs import PpoConfig
    from isaac_gymnasium.wrappers import FlattenObservation

    flat = FlattenObservation(env)
    latest = [flat.reset()[0]]
    inputs = latest[0].shape[1]
    layers: list[torch.nn.Module] = []
    for size in preset(task_id, PpoConfig).hidden_sizes:
        layers += [torch.nn.Linear(inputs, size), torch.nn.ELU()]
        inputs = size
    layers += [torch.nn.Linear(inputs, env.action_space.shape[1]), torch.nn.Tanh()]  # type: ignore[index]
    network = torch.nn.Sequential(*layers).to(env.device)

    def step() -> None:
        with torch.no_grad():
            latest[0] = flat.step(network(latest[0].float()))[0]

    return step


def training_speeds(
    env: IsaacVectorEnv, task_id: str, repeats: int, wait: Callable[[], None]
) -> list[float]:
    """Environment steps a second of skrl's PPO with the task's preset, all in, update by update.

    Raises:
        ImportError: skrl is not installed.
    """
    from isaac_gymnasium.cli._recorder import RecordTraining
    from isaac_gymnasium.cli._trainer import make_trainer
    from isaac_gymnasium.integrations.trainers import find_trainer, load_trainer
    from isaac_gymnasium.presets import preset
    from isaac_gymnasium.wrappers import FlattenObservation

    config = preset(task_id, find_trainer("skrl", "ppo").config, cpu=env.device.type == "cpu")
    config = config.from_dict(
        {**vars(config), "num_envs": env.num_envs, "timesteps": 10**12}  # on_update ends it
    )
    flat = len(env.single_observation_space.shape or ()) == 1
    recorder = RecordTraining(env if flat else FlattenObservation(env))
    trainer = make_trainer(load_trainer("skrl", "ppo"), recorder, config)
    marks: list[tuple[float, int]] = []

    def on_update(_: dict[str, float]) -> bool:
        recorder.fetch()
        wait()
        marks.append((time.perf_counter(), trainer.timesteps))
        return len(marks) <= SETTLE + repeats

    trainer.learn(on_update)
    pairs = zip(marks[SETTLE:], marks[SETTLE + 1 :], strict=False)
    return [(steps - before) / (now - then) for (then, before), (now, steps) in pairs]


def adapter_steps(
    env: IsaacVectorEnv, action: Callable[[], Tensor]
) -> dict[str, Callable[[], object]]:
    """A step through the adapter of every library that is installed, by the library's name.

    Args:
        env: In the autoreset mode `SameStep`.
        action: Gives (N, A) actions, others every time.
    """
    steps: dict[str, Callable[[], object]] = {}
    for name, (where, needs) in ADAPTERS.items():
        if importlib.util.find_spec(needs) is None:
            continue
        module, _, kind = where.partition(":")
        adapter = getattr(importlib.import_module(f"isaac_gymnasium.integrations.{module}"), kind)
        adapted = adapter(env)
        adapted.reset()
        steps[name] = _stepper(adapted, action, host=name == "sb3")
    return steps


def _stepper(adapted: Any, action: Callable[[], Tensor], *, host: bool) -> Callable[[], object]:
    # SB3 lives on the host, where its actions come from.
    return lambda: adapted.step(action().cpu().numpy() if host else action())


def picture_steps(env: IsaacVectorEnv) -> dict[str, Callable[[], object]]:
    """A picture of one environment and one of sixteen, 640 x 480, copied to the host."""
    return {
        name: partial(env.render_grid, envs, size=(640, 480)) for name, envs in PICTURES.items()
    }


@contextmanager
def without_resets(env: IsaacVectorEnv) -> Iterator[None]:
    """Leaves out what the task does at a reset, and what the engine then has to follow up."""
    task: Any = env.task
    task.reset_envs = lambda mask, rng: None
    task.revision += 1  # what was recorded had resets in it
    try:
        yield
    finally:
        del task.reset_envs
        task.revision += 1
