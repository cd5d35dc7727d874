"""The engine's part of an environment step, alone.

The bare loop makes the same engine calls as the environment (targets, physics steps, reads, masked
reset writes, kinematics, reads of what follows from them) with nothing of the task in between. What
`env.step` takes beyond it is what this package adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from isaac_gymnasium.engines.base import View
from isaac_gymnasium.segment import Segment
from isaac_gymnasium.tree import plain_torch
from isaac_gymnasium.vector_env import IsaacVectorEnv

__all__ = ["bare_loop"]

Quantity = tuple[View, str]

_RESET_SHARE = 0.005
"""Environments reset in a step; episodes of 200 steps, their ends spread out."""


def bare_loop(env: IsaacVectorEnv) -> Callable[[], None]:
    """The engine calls of one step of an environment, found by watching one.

    Args:
        env: the environment, reset; it is reset again and stepped once.

    Returns:
        A function that makes the calls. The environment can be stepped in between.
    """
    engine, decimation = env.engine, env.task.decimation
    before, after, writes = _watch(env)
    mask = torch.rand(env.num_envs, device=env.device) < _RESET_SHARE

    def step() -> None:
        for view, quantity in writes:
            if quantity not in view.STATE:
                engine._queue(view, quantity, None)
        engine.step(decimation)
        for view, quantity in before:
            view._get(quantity)
        for view, quantity in writes:
            if quantity in view.STATE:
                view._writes += 1
                engine._queue(view, quantity, mask)
        for view, quantity in after:
            view._get(quantity)

    if not engine.capturable:
        return plain_torch()(step)

    def whole() -> None:
        step()
        engine.forward()  # nothing may be left for a graph's end to do

    # At its best as the environment's step is: recorded.
    return Segment(whole, engine, env.task, enabled=env._cuda_graphs, with_engine=True)


class _Log:
    """Quantities pulled before and after the first write of state, and quantities pushed."""

    def __init__(self) -> None:
        self.pulls: tuple[list[Quantity], list[Quantity]] = ([], [])
        self.pushes: list[Quantity] = []

    def pulled(self, view: View, quantity: str) -> None:
        state_written = any(name in owner.STATE for owner, name in self.pushes)
        self.pulls[state_written].append((view, quantity))

    def pushed(self, view: View, quantity: str) -> None:
        if (view, quantity) not in self.pushes:
            self.pushes.append((view, quantity))


def _watch(env: IsaacVectorEnv) -> tuple[list[Quantity], list[Quantity], list[Quantity]]:
    actions = torch.zeros(env.action_space.shape or (), device=env.device)
    # Every row is reset, so that the CPU does not skip anything either.
    env.reset()
    env.task.revision += 1  # a recorded step would not be seen to read or write
    env.episode_length[0] = env.max_episode_steps
    with _logging(env) as log:
        env.step(actions)
        before, after = list(log.pulls[0]), list(log.pulls[1])
        # What the next step's actions need is read after the reset, too.
        env.task.pre_physics_step(actions)
        env.engine.step()
    known = before + after
    after += [quantity for quantity in log.pulls[0] + log.pulls[1] if quantity not in known]
    return before, after, log.pushes


@contextmanager
def _logging(env: IsaacVectorEnv) -> Iterator[_Log]:
    log = _Log()
    views = {value for value in vars(env.task).values() if isinstance(value, View)}
    for view in views:
        _wrap(view, "_pull", log.pulled)
        _wrap(view, "_push", log.pushed)
    try:
        yield log
    finally:
        for view in views:
            del view._pull, view._push


def _wrap(view: View, name: str, note: Callable[[View, str], None]) -> None:
    original = getattr(view, name)

    def noted(quantity: str, *rest: Any) -> None:
        note(view, quantity)
        original(quantity, *rest)

    setattr(view, name, noted)
