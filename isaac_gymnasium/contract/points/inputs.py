"""Which actions an environment takes, and what it does to them."""

from __future__ import annotations

import contextlib
import copy
import itertools
from functools import partial
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector.utils import batch_space

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.outcome import step
from isaac_gymnasium.contract.values import map_leaves, to_numpy
from isaac_gymnasium.contract.verdict import require_refusal, require_same

_FEW_STEPS = 4


def sampled_actions(case: Case) -> None:
    """`step` takes what `action_space.sample()` gives, NumPy arrays."""
    case.env.reset(seed=case.seed)
    for _ in range(_FEW_STEPS):
        if step(case.env, case.env.action_space.sample()).ended(case.num_envs).any():
            case.env.reset()


def actions_unchanged(case: Case) -> None:
    """`step` does not change the actions it is given."""
    within = case.actions[:_FEW_STEPS]
    # Beyond their bounds, actions may be refused, but not clipped in place.
    beyond = [map_leaves(_double, batch) for batch in within]
    with case.spare() as env:
        for convert, batches in itertools.product((case.native, copy.deepcopy), (within, beyond)):
            env.reset(seed=case.seed)
            for batch in batches:
                given = convert(batch)
                # Whether they are accepted is the business of other points.
                with contextlib.suppress(Exception):
                    env.step(given)
                require_same(batch, to_numpy(given), "actions", "as before the step")


def refuses_actions(case: Case) -> None:
    """`step` refuses actions of the wrong shape."""
    env = case.env
    wrong = {}
    for count in (case.num_envs + 1, case.num_envs - 1):
        if count > 0:
            wrong[f"{count} rows"] = batch_space(env.single_action_space, count).sample()
    if isinstance(env.action_space, Box) and len(env.action_space.shape) == 2:
        count, width = env.action_space.shape
        actions = np.zeros((count, width + 1), env.action_space.dtype)
        wrong[f"{width + 1} columns"] = actions
    for what, actions in wrong.items():
        # One each: what stumbles over actions half way may not go on afterwards.
        with case.spare() as spare:
            spare.reset(seed=case.seed)
            require_refusal(
                f"step() with actions of {what}, for an action space of shape "
                f"{env.action_space.shape},",
                partial(spare.step, case.native(actions)),
            )


def _double(leaf: Any) -> Any:
    return leaf * 2 if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" else leaf
