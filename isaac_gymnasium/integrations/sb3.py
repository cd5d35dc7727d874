"""Stable-Baselines3: `Sb3VecEnv`, a vector environment of this package as SB3's `VecEnv`.

    from stable_baselines3 import PPO

    envs = Sb3VecEnv.make("IsaacCartpole-v0", num_envs=256)
    model = PPO("MlpPolicy", envs, n_steps=16, batch_size=1024).learn(400_000)

SB3's algorithms live on NumPy. `isaac_gymnasium.integrations.sb3_torch_ppo` has a PPO whose data
stay on the device.
"""

from __future__ import annotations

import copy
import inspect
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from isaac_gymnasium.integrations._empty_dicts import EmptyDicts
from isaac_gymnasium.integrations._host_copy import HostCopy
from isaac_gymnasium.integrations._requirements import needs_extra, require_autoreset
from isaac_gymnasium.tree import leaves, named_leaves, plain_torch, tree_map

with needs_extra("Stable-Baselines3", "sb3"):
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import VecEnv

__all__ = ["Sb3VecEnv", "TensorStep"]

_SMALL = 2**20
"""Bytes up to which a row of every environment is sent, rather than of those that ended: sending
more takes less time than a second transfer."""


@dataclass(frozen=True)
class TensorStep:
    """What a step of N environments gave, as tensors on the environment's device.

    Attributes:
        obs: (N, ...) or a dict of them, after the automatic reset.
        reward: (N,) float32.
        terminated: (N,) bool.
        truncated: (N,) bool, and not terminated as well: nothing follows to be valued then.
        ended: (N,) bool, either of the two.
        final_obs: (N, ...) or a dict of them, before the automatic reset.
        episode: (2, N) float64, return and length of the episodes so far, with this step.
        info: The environment's info.
        seconds: Since the adapter was made, as SB3's Monitor counts them.
    """

    obs: Any
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    ended: Tensor
    final_obs: Any
    episode: Tensor
    info: dict[str, Any]
    seconds: float


class Sb3VecEnv(VecEnv):
    """A vector environment with tensors, as Stable-Baselines3 expects it.

    Every step makes one transfer to the host. Where final observations are large, such as images,
    those of the episodes that have ended come in a second one.
    The `infos` of environments that go on are empty. Those of environments whose episode has ended
    hold `terminal_observation` (the true last observation), `TimeLimit.truncated`, `episode` as
    SB3's Monitor gives it, the task's extras at the end of the episode, and `is_success` where the
    task says `success`.

    The environments are one object, which decides what SB3's methods for single ones mean. An
    attribute that is a tensor, array, list or tuple of N entries has one for each environment;
    any other is shared by all. A method runs once, for all environments.

    Args:
        env: From `gymnasium.make_vec`, possibly within wrappers, in the autoreset mode `SameStep`.
            Where it is wrapped in `RecordEpisodeStatistics`, the statistics of the episodes are
            those, else they are of the rewards that come out here.
        monitor: Whether to report `episode`. SB3's `VecMonitor` warns where it is reported already.
        max_images: How many environments `get_images` shows, and so `render` and videos.

    Attributes:
        env: The environment.
        device: Where its tensors live.
        pending: The step that `step_wait` returns next, or None.
        fetch: Copies a list of its tensors to NumPy in one transfer.

    Raises:
        TypeError: If `env` is no vector environment.
        ValueError: If it is in another autoreset mode.
    """

    metadata: dict[str, Any]

    def __init__(
        self, env: VectorEnv[Any, Any, Any], *, monitor: bool = True, max_images: int = 16
    ) -> None:
        if not isinstance(env, VectorEnv):
            raise TypeError(
                "Sb3VecEnv needs a gymnasium.vector.VectorEnv, as from gymnasium.make_vec, got "
                f"{type(env).__name__}"
            )
        require_autoreset(
            env,
            AutoresetMode.SAME_STEP,
            "Sb3VecEnv",
            "SB3 takes what a step returns for the beginning of the next episode where one has "
            "ended",
        )
        if max_images < 1:
            raise ValueError(f"max_images must be at least 1, got {max_images}")
        self.env = env
        self.device = next(
            (torch.device(layer.device) for layer in _layers(env) if hasattr(layer, "device")),
            torch.device("cpu"),
        )
        self._seed: int | None = None
        self._monitor = monitor
        self._max_images = max_images
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = {**env.metadata, **self.metadata}
        self.fetch = HostCopy(self.device)
        shape = (self.num_envs, *(self.action_space.shape or ()))
        self._actions = torch.from_numpy(np.zeros(shape, self.action_space.dtype))
        if self.device.type == "cuda":
            self._actions = self._actions.pin_memory()
        with plain_torch():
            self._totals = torch.zeros(2, self.num_envs, dtype=torch.float64, device=self.device)
            self._return, self._length = self._totals.unbind(0)
        self._infos = EmptyDicts(self.num_envs)
        self.pending: TensorStep | None = None
        self._started_at = time.time()

    @classmethod
    def make(
        cls,
        id: str,
        num_envs: int = 1,
        *,
        monitor: bool = True,
        max_images: int = 16,
        **kwargs: Any,
    ) -> Sb3VecEnv:
        """Makes the environments of an ID.

        Args:
            id: As `gymnasium.make_vec` takes it.
            num_envs: How many.
            monitor: As in the constructor.
            max_images: As in the constructor.
            **kwargs: Further arguments of `gymnasium.make_vec`.
        """
        env = gym.make_vec(id, num_envs=num_envs, **kwargs)
        try:
            return cls(env, monitor=monitor, max_images=max_images)
        except BaseException:
            env.close()
            raise

    # ------------------------------------------------------------------ tensors

    def reset_tensors(self) -> Any:
        """Resets with the seeds and options that wait for it, and returns the observations."""
        options = self._options[0] or None
        obs, info = self.env.reset(seed=self._seed, options=options)
        for path, leaf in named_leaves(obs, "observation"):
            if not isinstance(leaf, Tensor):
                raise TypeError(
                    f"Sb3VecEnv needs an environment that returns torch tensors, but {path} is a "
                    f"{type(leaf).__name__}"
                )
        with plain_torch():
            mask = (options or {}).get("reset_mask")
            if mask is None:
                self._totals.zero_()
            else:
                self._totals.masked_fill_(torch.as_tensor(mask).to(self.device), 0.0)
        self._seed = None
        self._reset_seeds()
        self._reset_options()
        self.pending = None
        self.reset_infos = self._rows(self._per_env(info), range(self.num_envs))
        return obs

    def step_tensors(self, actions: Tensor) -> TensorStep:
        """Steps all environments without looking at a value.

        Args:
            actions: (N, A) on `device`.
        """
        obs, reward, terminated, truncated, info = self.env.step(actions)
        if "final_obs" not in info:
            raise ValueError(
                "Sb3VecEnv needs an environment that reports info['final_obs'] in every step, got "
                f"the keys {sorted(info)}"
            )
        with plain_torch():
            ended = terminated | truncated
            self._return += reward
            self._length += 1
            episode = self._totals.clone()
            self._totals.masked_fill_(ended, 0.0)
            if "episode" in info:
                episode = torch.stack([info["episode"]["r"], info["episode"]["l"].double()])
        return TensorStep(
            obs=obs,
            reward=reward,
            terminated=terminated,
            truncated=truncated & ~terminated,
            ended=ended,
            final_obs=info["final_obs"],
            episode=episode,
            info=info,
            seconds=time.time() - self._started_at,
        )

    def success(self, step: TensorStep) -> Tensor | None:
        """(N,) bool, the task's `success` before the automatic reset, or None."""
        success: Tensor | None = step.info.get("final_info", {}).get("success")
        return success

    def _ends(self, step: TensorStep) -> list[Tensor]:
        """What the infos of ended episodes are made of, each (N, ...)."""
        finals, begins = self._per_env(step.info.get("final_info", {})), self._per_env(step.info)
        episode = [*step.episode.unbind(0), step.truncated]
        return [*episode, *leaves(step.final_obs), *finals.values(), *begins.values()]

    def _fill(
        self,
        infos: list[dict[str, Any]],
        step: TensorStep,
        ended: np.ndarray,
        arrays: list[np.ndarray],
    ) -> None:
        """Fills the infos of the environments whose episode ended, and their `reset_infos`.

        Args:
            infos: All N.
            step: What they tell of.
            ended: (E,) indices.
            arrays: The rows (E, ...) of the tensors in `_ends`.
        """
        returns, lengths, truncated, *arrays = arrays
        count = len(leaves(step.final_obs))
        obs = self._as_spaces(step.final_obs, arrays[:count])
        columns = iter([a.tolist() if a.ndim == 1 else a for a in arrays[count:]])
        finals = {name: next(columns) for name in self._per_env(step.info.get("final_info", {}))}
        begins = {name: next(columns) for name in self._per_env(step.info)}
        seconds = round(step.seconds, 6)
        for j, k in enumerate(ended.tolist()):
            info = {name: column[j] for name, column in finals.items()}
            if "success" in info:
                info["is_success"] = info["success"]
            if self._monitor:
                info["episode"] = {
                    "r": round(float(returns[j]), 6),
                    "l": int(lengths[j]),
                    "t": seconds,
                }
            info["TimeLimit.truncated"] = bool(truncated[j])
            info["terminal_observation"] = tree_map(lambda leaf, j=j: leaf[j], obs)
            infos[k] = info
            self.reset_infos[k] = {name: column[j] for name, column in begins.items()}

    def _rows(self, columns: dict[str, Tensor], rows: Sequence[int]) -> list[dict[str, Any]]:
        arrays = [a.tolist() if a.ndim == 1 else a for a in self.fetch(list(columns.values()))]
        return [dict(zip(columns, (a[k] for a in arrays), strict=True)) for k in rows]

    def _per_env(self, info: dict[str, Any]) -> dict[str, Tensor]:
        """The entries of an info that have one row for each environment."""
        return {
            name: value
            for name, value in info.items()
            if not name.startswith(("_", "final_"))
            and isinstance(value, Tensor)
            and _has_rows(value, self.num_envs)
        }

    def _as_spaces(self, tree: Any, arrays: Sequence[np.ndarray]) -> Any:
        """A tree of tensors with arrays in their place, in the dtypes of the observation space."""
        left = iter(arrays)
        space = self.observation_space
        if isinstance(tree, dict):
            named = {key: next(left) for key in tree}
            return {key: named[key].astype(space[key].dtype, copy=False) for key in space}
        return next(left).astype(space.dtype, copy=False)

    # ------------------------------------------------------------------ SB3's interface

    def reset(self) -> Any:
        """Resets all environments, with the seeds and options given before, and returns (N, ...).

        Seeds and options serve for one reset, as in SB3's own environments.
        """
        obs = self.reset_tensors()
        return self._as_spaces(obs, self.fetch(leaves(obs)))

    def step_async(self, actions: np.ndarray) -> None:
        """Begins a step.

        Args:
            actions: (N, A), of any dtype that the action space's own can hold.
        """
        actions = np.asarray(actions)
        if actions.shape != tuple(self._actions.shape):
            raise ValueError(
                f"actions must have shape {tuple(self._actions.shape)}, got {actions.shape}"
            )
        # Whatever reads them on the device has been waited for with the last step's results.
        np.copyto(self._actions.numpy(), actions, casting="same_kind")
        self.pending = self.step_tensors(
            self._actions.to(self.device, non_blocking=True, copy=True)
        )

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Ends the step: observations (N, ...), rewards (N,), dones (N,), N infos."""
        if self.pending is None:
            raise RuntimeError("step_wait() needs a step_async() before it")
        step, self.pending = self.pending, None
        now, ends = [step.reward, step.ended, *leaves(step.obs)], self._ends(step)
        together = sum(tensor.nbytes for tensor in ends) <= _SMALL
        looked = self.fetch.look([*now, *ends] if together else now)
        rewards, dones, *arrays = [array.copy() for array in looked[: len(now)]]
        obs = self._as_spaces(step.obs, arrays)
        infos = self._infos()
        ended = np.flatnonzero(dones)
        if len(ended) and together:
            self._fill(infos, step, ended, [array[ended] for array in looked[len(now) :]])
        elif len(ended):
            rows = torch.from_numpy(ended).to(self.device)
            self._fill(infos, step, ended, self.fetch([t.index_select(0, rows) for t in ends]))
        return obs, rewards.astype(np.float32, copy=False), dones, infos

    def close(self) -> None:
        """Closes the environments."""
        self.env.close()

    def seed(self, seed: int | None = None) -> list[int]:
        """Sets the seed of the next reset.

        Args:
            seed: As `env.reset(seed=...)` takes it, which gives every environment a random stream
                of its own; None draws one from NumPy's generator.

        Returns:
            N seeds, as gymnasium counts them: `seed + k` for environment k.
        """
        seeds: list[int] = list(super().seed(seed))
        self._seed = seeds[0]
        return seeds

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Sets the options of the next reset, which all environments share.

        Args:
            options: One dict, or a list of N equal ones.

        Raises:
            ValueError: If they differ.
        """
        if isinstance(options, (list, tuple)):
            if len(options) != self.num_envs:
                raise ValueError(f"options must have {self.num_envs} entries, got {len(options)}")
            if any(entry is not options[0] and entry != options[0] for entry in options):
                raise ValueError("all environments share their options, got several")
            options = options[0]
        self._options = [copy.deepcopy(options or {})] * self.num_envs

    def get_images(self) -> list[np.ndarray | None]:
        """RGB images (H, W, 3) uint8 of the first `max_images` environments."""
        count = min(self.num_envs, self._max_images)
        if self.render_mode != "rgb_array":
            warnings.warn(
                f"images need render_mode='rgb_array', and it is {self.render_mode!r}", stacklevel=2
            )
            return [None] * count
        frames: Any = self.env.render()
        return [np.asarray(frames[k]) for k in range(count)]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Reads an attribute of a wrapper, the environment or its task.

        Returns:
            One entry for each index: its own row of what has N, else the shared value.
        """
        return self._pick(getattr(self._owner(attr_name), attr_name), self._get_indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of a wrapper, the environment or its task that exists already.

        Args:
            attr_name: Its name.
            value: For each of the indices.
            indices: Which environments; fewer than all only for a tensor or array of N rows, which
                is changed in place.

        Raises:
            AttributeError: If there is none of the name.
            ValueError: If it is shared and the indices do not name all environments.
        """
        owner, rows = self._owner(attr_name), self._get_indices(indices)
        current = getattr(owner, attr_name)
        if isinstance(current, (Tensor, np.ndarray)) and _has_rows(current, self.num_envs):
            with plain_torch():
                if isinstance(current, Tensor):
                    value = torch.as_tensor(value).to(current)
                current[rows] = value
        elif set(rows) != set(range(self.num_envs)):
            raise ValueError(
                f"{attr_name} is shared by all {self.num_envs} environments and cannot be set for "
                f"{len(set(rows))} of them"
            )
        else:
            setattr(owner, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of a wrapper, the environment or its task, once.

        A method that takes a `mask` gets that of the indices, unless it is given one.

        Returns:
            One entry for each index: its own row of a result that has N, else the shared result.
        """
        if method_name in ("reset", "step", "close"):
            raise ValueError(f"call {method_name}() of the Sb3VecEnv itself")
        method, rows = getattr(self._owner(method_name), method_name), self._get_indices(indices)
        if indices is not None and "mask" in inspect.signature(method).parameters:
            mask = torch.zeros(self.num_envs, dtype=torch.bool)
            mask[rows] = True
            method_kwargs.setdefault("mask", mask)
        return self._pick(method(*method_args, **method_kwargs), rows)

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Whether the environment is within a wrapper of the class, once for each index.

        SB3's Monitor counts as one, since its statistics are reported.
        """
        layers = _layers(self.env)
        wrapped = (self._monitor and wrapper_class is Monitor) or any(
            isinstance(layer, wrapper_class) for layer in layers
        )
        return [wrapped] * len(self._get_indices(indices))

    @property
    def spec(self) -> Any:
        """The environment's spec, or None."""
        return self.env.spec

    # ------------------------------------------------------------------ helpers

    def _get_indices(self, indices: Any) -> list[int]:
        if indices is None:
            return list(range(self.num_envs))
        given = [indices] if isinstance(indices, (int, np.integer)) else list(indices)
        for index in given:
            if not -self.num_envs <= index < self.num_envs:
                raise IndexError(f"indices must be below {self.num_envs}, got {index}")
        return [int(index) % self.num_envs for index in given]

    def _owner(self, name: str) -> Any:
        """Whoever has an attribute: a wrapper, the environment, or its task."""
        layers = list(_layers(self.env))
        # A wrapper may forward to what is inside; whose the attribute is matters for setting it.
        for layer in layers:
            if name in vars(layer) or hasattr(type(layer), name):
                return layer
        task = getattr(layers[-1], "task", None)
        for owner in (layers[-1], task):
            if hasattr(owner, name):
                return owner
        raise AttributeError(f"neither the environment nor its task has {name!r}")

    def _pick(self, value: Any, rows: list[int]) -> list[Any]:
        per_env = _has_rows(value, self.num_envs)
        return [value[k] if per_env else value for k in rows]


def _layers(env: Any) -> Iterator[Any]:
    """The wrappers of an environment from the outside in, and the environment itself."""
    while isinstance(env, gym.vector.VectorWrapper):
        yield env
        env = env.env
    yield env


def _has_rows(value: Any, count: int) -> bool:
    if isinstance(value, (Tensor, np.ndarray)):
        return value.ndim > 0 and value.shape[0] == count
    return isinstance(value, (list, tuple)) and len(value) == count
