"""Saving and restoring everything an environment's future follows from.

A state is a flat dict of tensors, one row an environment: physics, commands, counters, random
streams and the task's buffers. `save_state` keeps it in a file, and `load_state` brings it back, in
another process too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from isaac_gymnasium import tensor_file
from isaac_gymnasium.engines.base import COMMANDS, Articulation, Body, Engine

if TYPE_CHECKING:
    from isaac_gymnasium.task import Task
    from isaac_gymnasium.vector_env import IsaacVectorEnv

State = dict[str, Tensor]

_ORIGIN = "env_origins"
_FORMAT = "isaac_gymnasium.state/1"


def get_state(env: IsaacVectorEnv, *, exact: bool) -> State:
    """Copies of every row; see `IsaacVectorEnv.get_state`."""
    env.randomization.flush()
    state = {_ORIGIN: env.engine.env_origins.clone()}
    state |= {key: tensor.clone() for key, tensor in _buffers(env)}
    bodies = list(_quantities(env.engine))
    state |= {f"{b.name}/{q}": b._get(q).clone() for b, q in bodies}
    # Engines carry more than their state from step to step: rounding in link poses, contacts of
    # the last step. Writing the state drops it, here as in a later restore, so that both go on
    # alike.
    if exact:
        _forget_contacts(env.engine)
    for body, quantity in bodies:
        body._set(quantity, state[f"{body.name}/{quantity}"], None)
    return state


def set_state(env: IsaacVectorEnv, state: State, mask: Tensor, *, exact: bool) -> None:
    """Writes rows of a state back; see `IsaacVectorEnv.set_state`.

    Raises:
        ValueError: If the state is not one of such an environment.
    """
    if not isinstance(state, dict):
        raise TypeError(f"a state must be a dict of tensors, got {type(state).__name__}")
    types = {key: tensor.dtype for key, tensor in _buffers(env)}
    here = {key: tensor.shape[1:] for key, tensor in _buffers(env)}
    here |= {f"{b.name}/{q}": b._get(q).shape[1:] for b, q in _quantities(env.engine)}
    here[_ORIGIN] = env.engine.env_origins.shape[1:]
    # With one environment, what has one row for all counts as that environment's own.
    common = {key for key, *_ in tensors_of(env.task)} - types.keys()
    state = {key: tensor for key, tensor in state.items() if key not in common}
    for problem, keys in (
        ("lacks", here.keys() - state.keys()),
        ("has", state.keys() - here.keys()),
    ):
        if keys:
            raise ValueError(f"not a state of this environment: it {problem} {sorted(keys)[0]!r}")
    for key, shape in here.items():
        if not isinstance(state[key], Tensor):
            raise ValueError(f"state {key!r} must be a tensor, got {type(state[key]).__name__}")
        # Physics is float32 throughout; a double loses nothing that it would have kept.
        wanted, got = types.get(key, torch.float32), state[key].dtype
        if got != wanted and not (wanted.is_floating_point and got.is_floating_point):
            raise ValueError(f"state {key!r} must be {wanted}, got {got}")
        rows = tuple(state[key].shape)
        if rows[1:] != tuple(shape) or rows[:1] not in ((1,), (env.num_envs,)):
            raise ValueError(
                f"state {key!r} must have shape ({env.num_envs}, *{tuple(shape)}) or one row, "
                f"got {rows}"
            )
    device = env.device
    rows_of = {
        key: tensor.to(device, types.get(key, torch.float32)).expand(env.num_envs, *here[key])
        for key, tensor in state.items()
    }
    for key, tensor in rows_of.items():
        # A task may have a use for infinity, the physics has none.
        if not key.startswith("task") and not bool(tensor[mask].isfinite().all()):
            raise ValueError(f"state {key!r} must be finite, got NaN or infinity")
    if exact:
        _forget_contacts(env.engine)
    for key, tensor in _buffers(env):
        tensor.copy_(torch.where(_column(mask, tensor), rows_of[key], tensor))
    shift = env.engine.env_origins - rows_of[_ORIGIN]
    for body, quantity in _quantities(env.engine):
        values = rows_of[f"{body.name}/{quantity}"]
        if quantity in ("pose", "root_pose"):
            values = torch.cat((values[:, :3] + shift, values[:, 3:]), dim=-1)
        body._set(quantity, values.contiguous(), mask)
    env.randomization.restored(mask)


def _forget_contacts(engine: Engine) -> None:
    if engine.has_history and engine.step_count:
        engine.restart()


def save_state(state: Mapping[str, Tensor], file: str | Path) -> None:
    """Writes a state into a file, in one move: a file that is there is whole.

    Args:
        state: From `get_state` of an environment, wrapped or not.
        file: Where to; a file of the name is replaced.
    """
    tensor_file.write({"format": _FORMAT, "state": dict(state)}, Path(file))


def load_state(file: str | Path) -> State:
    """Reads a state that `save_state` wrote; nothing in the file is executed.

    Raises:
        ValueError: If there is no such file, or it holds no state.
    """
    state: State = tensor_file.read(file, "state file", format=_FORMAT)["state"]
    return state


def _column(mask: Tensor, like: Tensor) -> Tensor:
    return mask.view(-1, *([1] * (like.dim() - 1)))


def _quantities(engine: Engine) -> Iterator[tuple[Body, str]]:
    """State and commands of every body in the scene, whether or not the task looks at it."""
    for body in engine.bodies():
        commands = sorted(COMMANDS) if isinstance(body, Articulation) else []
        yield from ((body, quantity) for quantity in (*body.moving, *commands))


def _buffers(env: IsaacVectorEnv) -> Iterator[tuple[str, Tensor]]:
    """Per-environment tensors of the loop, the random streams, the task and its helpers."""
    yield "episode_length", env.episode_length
    yield "ended", env._ended
    for name in ("seed", "stream", "episode"):
        yield f"random/{name}", getattr(env.rng, name)
    for name, tensor in env.randomization.buffers():
        yield f"randomization/{name}", tensor
    seen = {id(env.episode_length)}
    for key, tensor, shared in tensors_of(env.task):
        if not shared and len(tensor) == env.num_envs and id(tensor) not in seen:
            seen.add(id(tensor))
            yield key, tensor


def tensors_of(task: Task) -> Iterator[tuple[str, Tensor, bool]]:
    """Tensors of a task and its helpers by name, and whether all environments share them."""
    owners: dict[str, object] = {"task": task} | {
        f"task.{name}": value
        for name, value in vars(task).items()
        if hasattr(value, "__dict__") and not isinstance(value, (type, Tensor, Body, Engine))
    }
    for prefix, owner in owners.items():
        kinds = type(owner).__mro__
        named = {name for kind in kinds for name in vars(kind).get("shared_tensors", ())}
        for name, value in vars(owner).items():
            if isinstance(value, Tensor) and value.dim():
                # Rows that are one place in memory are nobody's own.
                one_place = len(value) > 1 and not value.stride(0)
                yield f"{prefix}/{name}", value, one_place or name in named
