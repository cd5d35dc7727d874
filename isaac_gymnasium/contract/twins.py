"""Making an environment once more, to compare the two."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, VectorizeMode
from gymnasium.vector import VectorEnv, VectorWrapper

AnyVectorEnv = VectorEnv[Any, Any, Any]
Factory = Callable[..., AnyVectorEnv]


def factory_of(env: AnyVectorEnv) -> Factory | str:
    """A factory of environments like a given one, or why there is none."""
    spec = spec_of(env)
    if isinstance(env, VectorWrapper):
        return "a wrapped environment cannot be made again from its spec; pass a factory"
    if spec is None:
        return "the environment has no spec to make it again from; pass a factory"

    def make(**kwargs: Any) -> AnyVectorEnv:
        return make_again(spec, **kwargs)

    return make


def spec_of(env: AnyVectorEnv) -> EnvSpec | None:
    """The spec of an environment where it is one that gymnasium can use."""
    spec: object = env.spec
    return spec if isinstance(spec, EnvSpec) else None


def make_again(spec: EnvSpec, *, autoreset_mode: str | None = None) -> AnyVectorEnv:
    """Makes the environments of a spec.

    Args:
        spec: As `gymnasium.make_vec` left it in an environment, or a registered one.
        autoreset_mode: A mode other than the spec's.
    """
    spec = copy.deepcopy(spec)
    if autoreset_mode is not None:
        mode = spec.kwargs.get("vectorization_mode")
        has_own = mode is None and spec.vector_entry_point is not None
        if has_own or mode == VectorizeMode.VECTOR_ENTRY_POINT.value:
            spec.kwargs["autoreset_mode"] = autoreset_mode
        else:
            vector_kwargs = spec.kwargs.get("vector_kwargs", {})
            spec.kwargs["vector_kwargs"] = {**vector_kwargs, "autoreset_mode": autoreset_mode}
    return gym.make_vec(spec)
