"""What an environment says about itself: spaces, metadata, attributes, rendering, spec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode, VectorWrapper
from gymnasium.vector.utils import batch_space

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.spaces import same_form
from isaac_gymnasium.contract.twins import AnyVectorEnv, spec_of
from isaac_gymnasium.contract.verdict import NotApplicable, require


def runs(case: Case) -> None:
    """`reset(seed=...)` and `step(actions)` work, time after time."""
    for outcome in case.rollout:
        info = outcome.live["info"]
        require(isinstance(info, dict), "the info to be a dict", info)


def spaces(case: Case) -> None:
    """The batched spaces are `num_envs` of the single ones."""
    env = case.env
    for kind in ("observation", "action"):
        single, batched = (getattr(env, f"{which}{kind}_space") for which in ("single_", ""))
        for space in (single, batched):
            require(isinstance(space, Space), f"{kind} spaces of gymnasium", space)
        expected = batch_space(single, case.num_envs)
        require(
            same_form(expected, batched),
            f"{kind}_space to have the structure, shapes and dtypes of {_shortly(expected)}",
            _shortly(batched),
        )


def metadata(case: Case) -> None:
    """`metadata["autoreset_mode"]` is an `AutoresetMode`."""
    mode = case.env.metadata.get("autoreset_mode")
    require(isinstance(mode, AutoresetMode), "a gymnasium.vector.AutoresetMode", mode)


def metadata_per_instance(case: Case) -> None:
    """Another environment in another mode leaves the metadata alone."""
    before = case.mode
    others = [mode for mode in AutoresetMode if mode != before]
    with case.twin(*others) as twin:
        mode = case.env.metadata["autoreset_mode"]
        require(
            mode == before,
            f"the mode to stay {before} when one in {twin.metadata['autoreset_mode']} is made",
            str(mode),
        )


def attributes(case: Case) -> None:
    """`get_attr` gives N values, `set_attr` sets them, `call` exists."""
    names = ("call", "get_attr", "set_attr")
    missing = [name for name in names if not callable(getattr(case.env, name, None))]
    if len(missing) == len(names):
        raise NotApplicable("the environment has none of them, nor does VectorEnv ask for them")
    require(not missing, f"all of {', '.join(names)}", f"no {', '.join(missing)}")
    with case.spare() as env:
        any_env: Any = env
        # An attribute that every environment has.
        before = list(any_env.get_attr("metadata"))
        given = {**case.env.metadata, "contract_probe": True}
        for form in (given, [given] * case.num_envs):
            any_env.set_attr("metadata", form)
            values: object = tuple(any_env.get_attr("metadata"))
            any_env.set_attr("metadata", before)
            require(
                values == (given,) * case.num_envs,
                f"get_attr to return what set_attr has set, {case.num_envs} times",
                values,
            )


def render(case: Case) -> None:
    """`render()` returns a sequence of N uint8 (H, W, 3) frames."""
    mode = case.env.render_mode
    if mode != "rgb_array":
        raise NotApplicable(f"render_mode is {mode!r}")
    case.env.reset(seed=case.seed)
    frames: object = case.env.render()
    require(isinstance(frames, Sequence), "a sequence of frames", frames)
    assert isinstance(frames, Sequence)
    require(len(frames) == case.num_envs, f"{case.num_envs} frames", f"{len(frames)} frames")
    for frame in frames:
        require(
            isinstance(frame, np.ndarray)
            and frame.dtype == np.uint8
            and frame.ndim == 3
            and frame.shape[2] == 3,
            "each frame to be a NumPy array of uint8 and shape (H, W, 3)",
            frame,
        )


def spec(case: Case) -> None:
    """`make_vec(env.spec)` makes an environment with equal spaces."""
    _compare_with_spec(case, _spec(case))


def spec_json(case: Case) -> None:
    """It does so too where the spec went through JSON."""
    _compare_with_spec(case, EnvSpec.from_json(_spec(case).to_json()))


def _spec(case: Case) -> EnvSpec:
    if isinstance(case.env, VectorWrapper):
        raise NotApplicable("the spec of a wrapped environment is that of the one inside")
    spec = spec_of(case.env)
    if spec is None:
        raise NotApplicable("the environment has no spec: it was not made by make_vec")
    return spec


def _compare_with_spec(case: Case, spec: EnvSpec) -> None:
    again: AnyVectorEnv = gym.make_vec(spec)
    try:
        names = ("num_envs", "single_observation_space", "single_action_space")
        for name in (*names, "observation_space", "action_space"):
            first, second = getattr(case.env, name), getattr(again, name)
            require(first == second, f"{name} to be {_shortly(first)}", _shortly(second))
    finally:
        again.close()


def _shortly(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."
