"""One stream of numbers as gymnasium's NumPy environment and as a torch environment.

What an environment does depends on its index, its episode and its step only, so that the same
episodes are seen whatever wraps it. Episodes last 2 to 6 steps and end in turn by termination and
truncation.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from torch.utils._python_dispatch import TorchDispatchMode

MODES = list(AutoresetMode)
SAME_STEP, NEXT_STEP, DISABLED = (
    AutoresetMode.SAME_STEP,
    AutoresetMode.NEXT_STEP,
    AutoresetMode.DISABLED,
)
N = 5
STEPS = 30
MAX_EPISODE_STEPS = 50

VECTOR = Box(np.float32([-10, -5, -20]), np.float32([10, 5, 20]))
SPACES = {
    "box": VECTOR,
    "half": Box(np.float32([-np.inf, 0, -1]), np.float32([5, np.inf, 1])),
    "image": Box(0, 255, (2, 3), np.uint8),
    "dict": Dict({"policy": VECTOR, "camera": Box(-1, 1, (2, 2), np.float32)}),
    "discrete": Dict({"a": VECTOR, "b": Discrete(4, start=1), "c": MultiDiscrete([2, 3])}),
    "tuple": Tuple([VECTOR, Box(-1, 1, (2,), np.float32)]),
}
ACTION_SPACE = Box(np.float32([-1, -2]), np.float32([1, 3]))


class Scripted(gym.Env[Any, Any]):
    """Observations, rewards and ends from a table; keeps the actions it is given."""

    def __init__(self, index: int, space: gym.Space[Any] = VECTOR) -> None:
        self.index, self.episode, self.t = index, -1, 0
        self.observation_space, self.action_space = space, ACTION_SPACE
        self.received: list[Any] = []

    def _rng(self, what: int) -> np.random.Generator:
        return np.random.default_rng([what, self.index, self.episode, self.t])

    def _observe(self, space: gym.Space[Any]) -> Any:
        if isinstance(space, Dict):
            return {key: self._observe(sub) for key, sub in space.spaces.items()}
        if isinstance(space, Tuple):
            return tuple(self._observe(sub) for sub in space.spaces)
        rng = self._rng(0)
        if isinstance(space, Box) and np.issubdtype(space.dtype, np.floating):
            bounds = np.maximum(space.low, -20), np.minimum(space.high, 20)
            return rng.uniform(*bounds).astype(space.dtype)
        space.seed(int(rng.integers(2**31)))
        return space.sample()

    @property
    def length(self) -> int:
        return 2 + (3 * self.index + 2 * self.episode) % 5

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.episode, self.t = self.episode + 1, 0
        return self._observe(self.observation_space), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.t += 1
        self.received.append(np.array(action))
        ended = self.t >= self.length
        truncated = ended and (self.index + self.episode) % 2 == 0
        reward = float(self._rng(1).normal(1.0, 3.0))
        obs = self._observe(self.observation_space)
        return obs, reward, ended and not truncated, truncated, {}


class NumpyEnv(SyncVectorEnv):
    """gymnasium's, without taking the mask out of the caller's options."""

    def __init__(
        self, mode: AutoresetMode, space: str = "box", wrap: Any = lambda env: env
    ) -> None:
        def maker(index: int) -> Any:
            def make() -> gym.Env[Any, Any]:
                env = Scripted(index, SPACES[space])
                return wrap(gym.wrappers.TimeLimit(env, MAX_EPISODE_STEPS))

            return make

        super().__init__([maker(index) for index in range(N)], autoreset_mode=mode)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return super().reset(seed=seed, options=options and dict(options))

    @property
    def received(self) -> list[np.ndarray]:
        """The actions each environment was given, in turn."""
        return [np.array(env.unwrapped.received) for env in self.envs]


class TorchEnv(VectorEnv[Any, Any, torch.Tensor]):
    """The same as tensors, with dense final observations that are NaN where no episode ended.

    ``sparse`` leaves them in gymnasium's own form, an object array with holes.
    """

    def __init__(self, mode: AutoresetMode, space: str = "box", sparse: bool = False) -> None:
        self.numpy = NumpyEnv(mode, space)
        self.metadata = {"autoreset_mode": mode}
        self.num_envs, self.device = N, torch.device("cpu")
        self.max_episode_steps = MAX_EPISODE_STEPS
        self.observation_space, self.action_space = (
            self.numpy.observation_space,
            self.numpy.action_space,
        )
        self.single_observation_space = self.numpy.single_observation_space
        self.single_action_space = self.numpy.single_action_space
        self.state_space = Box(-1, 1, (2,))
        self.sparse = sparse
        self.task = "a task"

    def state(self) -> torch.Tensor:
        return torch.ones(self.num_envs, 2)

    def call(self, name: str) -> str:
        return f"called {name}"

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        if options and isinstance(options.get("reset_mask"), torch.Tensor):
            options = {**options, "reset_mask": options["reset_mask"].numpy()}
        obs, _ = self.numpy.reset(seed=seed, options=options)
        return to_torch(obs), {}

    def step(self, actions: torch.Tensor) -> Any:
        assert isinstance(actions, torch.Tensor), type(actions)
        obs, reward, terminated, truncated, info = self.numpy.step(actions.numpy())
        obs = to_torch(obs)
        result: dict[str, Any] = {"log": {"reward": torch.tensor(float(reward.mean()))}}
        if self.metadata["autoreset_mode"] == SAME_STEP:
            ended = terminated | truncated
            final = info.get("final_obs", np.full(N, None))
            if not self.sparse:
                result |= {"final_obs": dense(final, obs), "_final_obs": torch.from_numpy(ended)}
            elif ended.any():
                final = np.array([None if f is None else to_torch(f) for f in final], object)
                result |= {"final_obs": final, "_final_obs": ended}
        return (
            obs,
            torch.from_numpy(reward).float(),
            torch.from_numpy(terminated),
            torch.from_numpy(truncated),
            result,
        )


class Playback(VectorEnv[Any, Any, torch.Tensor]):
    """Hands out recorded results again without computing anything."""

    def __init__(self, env: VectorEnv[Any, Any, Any], resets: list[Any], steps: list[Any]) -> None:
        for name in ("observation_space", "action_space", "single_observation_space"):
            setattr(self, name, getattr(env, name))
        self.single_action_space, self.metadata = env.single_action_space, env.metadata
        self.num_envs, self.device = env.num_envs, torch.device("cpu")
        self.max_episode_steps = MAX_EPISODE_STEPS
        self.resets, self.steps = iter(resets), iter(steps)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return next(self.resets)

    def step(self, actions: Any) -> Any:
        return next(self.steps)


def record(env: VectorEnv[Any, Any, Any], steps: int = STEPS) -> Playback:
    """What an environment that resets itself gives after one reset."""
    first = env.reset(seed=0)
    return Playback(env, [first], [env.step(random_actions(t)) for t in range(steps)])


def to_torch(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: to_torch(value) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(to_torch(value) for value in tree)
    return torch.from_numpy(np.array(tree))


def dense(final: Any, obs: Any) -> Any:
    """Rows where there are any, garbage elsewhere."""
    if isinstance(obs, dict):
        return {key: dense([f and f[key] for f in final], obs[key]) for key in obs}
    if isinstance(obs, tuple):
        parts = [[f and f[i] for f in final] for i in range(len(obs))]
        return tuple(dense(part, o) for part, o in zip(parts, obs, strict=True))
    garbage = torch.nan if obs.is_floating_point() else 1
    rows = [
        torch.full_like(o, garbage) if f is None else torch.as_tensor(np.array(f))
        for f, o in zip(final, obs, strict=True)
    ]
    return torch.stack(rows)


def random_actions(t: int) -> torch.Tensor:
    """(N, 2) float32, also outside the action space."""
    return torch.from_numpy(np.random.default_rng(t).normal(0, 3, (N, 2)).astype(np.float32))


def rollout(
    env: VectorEnv[Any, Any, Any],
    partial: bool = True,
    steps: int = STEPS,
    keep: Callable[[Any], Any] | None = None,
    torch_mask: bool = True,
) -> list[Any]:
    """All results, resets among them: (obs, info) or (obs, reward, terminated, truncated, info).

    Without autoreset, those that ended are reset; with ``partial`` environments 1 and 3 are also
    reset now and then in mid-episode, otherwise all are reset where any has to be. ``keep`` says
    what to keep of a result.
    """
    torch_env = isinstance(env.unwrapped, (TorchEnv, Playback))
    if keep is None:
        # gymnasium's RecordEpisodeStatistics goes on writing into the mask that it has returned.
        keep = (lambda result: result) if torch_env else deepcopy
    results = [keep(env.reset(seed=0))]
    for t in range(steps):
        actions = random_actions(t)
        result = env.step(actions if torch_env else actions.numpy())
        ended = np.asarray(result[2] | result[3])
        results.append(keep(result))
        mask = ended.copy() if env.metadata["autoreset_mode"] == DISABLED else np.zeros(N, bool)
        if partial and t % 7 == 3:
            mask[[1, 3]] = True
        if mask.any() and not partial:
            mask[:] = True
        if mask.any():
            options = {"reset_mask": torch.from_numpy(mask) if torch_env and torch_mask else mask}
            results.append(keep(env.reset(options=options)))
    return results


def assert_close(actual: Any, expected: Any, where: str = "", tolerance: float = 1e-5) -> None:
    """Trees of tensors and of arrays hold the same numbers."""
    if isinstance(expected, dict):
        assert set(actual) == set(expected), where
        for key in expected:
            assert_close(actual[key], expected[key], f"{where}.{key}", tolerance)
    elif isinstance(expected, tuple):
        assert len(actual) == len(expected), where
        for i, pair in enumerate(zip(actual, expected, strict=True)):
            assert_close(*pair, f"{where}.{i}", tolerance)
    else:
        actual, expected = np.asarray(actual), np.asarray(expected)
        assert actual.shape == expected.shape, f"{where}: {actual.shape} {expected.shape}"
        np.testing.assert_allclose(
            actual.astype(float), expected.astype(float), tolerance, tolerance, err_msg=where
        )


def assert_same_rollout(actual: list[Any], expected: list[Any], tolerance: float = 1e-5) -> None:
    """Everything but infos, and of these the final observations where an episode ended."""
    assert len(actual) == len(expected)
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert_close(a[:-1], e[:-1], f"result {i}", tolerance)
        final = e[-1].get("final_obs", [])
        for row, value in enumerate(final):
            if value is not None:
                mine = rows(a[-1]["final_obs"], row)
                assert_close(mine, value, f"result {i}, final_obs {row}", tolerance)


def rows(tree: Any, index: Any) -> Any:
    if isinstance(tree, dict):
        return {key: rows(value, index) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(rows(value, index) for value in tree)
    return tree[index]


def leaves(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in leaves(part)]
    return [tree] if isinstance(tree, torch.Tensor) else []


def assert_identical(actual: Any, expected: Any) -> None:
    """Trees hold the same bits; durations of episodes, which never agree, aside."""
    assert type(actual) is type(expected), (type(actual), type(expected))
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key in expected:
            if key != "t":
                assert_identical(actual[key], expected[key])
    elif isinstance(expected, (tuple, list)):
        assert len(actual) == len(expected)
        for pair in zip(actual, expected, strict=True):
            assert_identical(*pair)
    else:
        actual, expected = torch.as_tensor(actual), torch.as_tensor(expected)
        torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)


class NoHostAccess(TorchDispatchMode):
    """Fails where the host would wait for a device: a value read, a data-dependent shape."""

    REFUSED = frozenset(
        f"aten::{name}"
        for name in (
            "_local_scalar_dense",
            "nonzero",
            "masked_select",
            "equal",
            "unique",
            "_unique2",
            "repeat_interleave",
            "index",
            "index_put_",
        )
    )

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        kwargs = kwargs or {}
        name = function.name().split(".")[0]
        assert name not in self.REFUSED, f"{name} would wait for the device"
        assert name != "aten::_to_copy" or "device" not in kwargs, "a copy to another device"
        return function(*args, **kwargs)


class CountOps(TorchDispatchMode):
    """Counts what a GPU would launch: all operations but views and bare allocations."""

    NOT_LAUNCHED = ("aten::empty", "aten::empty_like", "aten::new_empty", "aten::detach")

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        name = function.name()
        if not (function.is_view or name.split(".")[0] in self.NOT_LAUNCHED):
            self.launches.append(name)
        return function(*args, **(kwargs or {}))
