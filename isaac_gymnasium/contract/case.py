"""The environment under examination, its twins, and the rollouts that the points look at."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from isaac_gymnasium.contract.outcome import Outcome, Rollout, reset, step
from isaac_gymnasium.contract.twins import AnyVectorEnv, Factory, factory_of, spec_of
from isaac_gymnasium.contract.values import equal, leaves, to_numpy, to_torch
from isaac_gymnasium.contract.verdict import NotApplicable, sentence

_LONGEST_DEFAULT = 1000


class Case:
    """One run of the check.

    Args:
        env_or_factory: The environment, or what makes it.
        seed: Seed of the rollouts.
        steps: Length of the longest rollouts, or None to choose it.
        forbid_host_reads: See `check_vector_env`.
    """

    def __init__(
        self,
        env_or_factory: AnyVectorEnv | Factory,
        *,
        seed: int,
        steps: int | None,
        forbid_host_reads: bool,
    ) -> None:
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self.seed = seed
        self.forbid_host_reads = forbid_host_reads
        self._steps = steps
        self._made: list[AnyVectorEnv] = []
        self._env: AnyVectorEnv | None = None
        self._factory: Factory | None = None
        self._why_no_twin = ""
        if not isinstance(env_or_factory, VectorEnv):
            if not callable(env_or_factory):
                raise TypeError(
                    "env_or_factory must be a gymnasium.vector.VectorEnv or a callable that makes "
                    f"one, got {type(env_or_factory).__name__}"
                )
            self._factory = env_or_factory
            return
        self._env = env_or_factory
        factory = factory_of(env_or_factory)
        if isinstance(factory, str):
            self._why_no_twin = factory
        else:
            self._factory = factory

    # ------------------------------------------------------------------ environments

    @property
    def env(self) -> AnyVectorEnv:
        """The environment that the points share; each starts with a reset."""
        if self._env is None:
            self._env = self._make()
        return self._env

    def renew(self) -> None:
        """Goes on with a fresh environment, where one can be made."""
        if self._factory is not None:
            self._env = None

    def close(self) -> None:
        """Closes what was made here; an environment that was given stays open."""
        while self._made:
            self._close(self._made[-1])

    def _make(self, **kwargs: Any) -> AnyVectorEnv:
        if self._factory is None:
            raise NotApplicable(self._why_no_twin)
        env = self._factory(**kwargs)
        if not isinstance(env, VectorEnv):
            raise TypeError(f"the factory must make a VectorEnv, got {type(env).__name__}")
        self._made.append(env)
        return env

    def _close(self, env: AnyVectorEnv) -> None:
        self._made.remove(env)
        # Whether that works is a point of its own.
        with contextlib.suppress(Exception):
            env.close()

    @contextlib.contextmanager
    def twin(self, *modes: AutoresetMode) -> Iterator[AnyVectorEnv]:
        """A fresh environment like the one examined, closed in the end.

        Args:
            *modes: Autoreset modes that it shall have instead, the first one possible.

        Raises:
            NotApplicable: If there is none.
        """
        env = self._make_in_first_of(modes) if modes else self._make()
        try:
            yield env
        finally:
            self._close(env)

    @contextlib.contextmanager
    def spare(self) -> Iterator[AnyVectorEnv]:
        """A twin if there can be one, else the shared environment: for what may break it."""
        if self._factory is None:
            yield self.env
        else:
            with self.twin() as env:
                yield env

    def _make_in_first_of(self, modes: Sequence[AutoresetMode]) -> AnyVectorEnv:
        reasons: list[str] = []
        for mode in modes:
            try:
                return self._make_in_mode(mode)
            except NotApplicable as reason:
                reasons.append(str(reason))
        raise NotApplicable("; ".join(dict.fromkeys(reasons)))

    def _make_in_mode(self, mode: AutoresetMode) -> AnyVectorEnv:
        try:
            env = self._make(autoreset_mode=mode.value)
        except NotApplicable:
            raise
        except Exception as error:
            raise NotApplicable(
                f"no twin can be made with autoreset_mode={mode.value!r}: {sentence(error)}"
            ) from error
        if env.metadata.get("autoreset_mode") != mode or env.num_envs != self.num_envs:
            got = env.metadata.get("autoreset_mode")
            self._close(env)
            raise NotApplicable(
                f"a twin made with autoreset_mode={mode.value!r} has the mode {got!r} and "
                f"{env.num_envs} environments"
            )
        return env

    # ------------------------------------------------------------------ what is known of it

    @property
    def num_envs(self) -> int:
        """N."""
        return int(self.env.num_envs)

    @cached_property
    def mode(self) -> AutoresetMode | None:
        """The autoreset mode, None where the metadata does not say."""
        mode = self.env.metadata.get("autoreset_mode")
        return mode if isinstance(mode, AutoresetMode) else None

    @cached_property
    def device(self) -> torch.device | None:
        """Where the observations' tensors are, None for an environment of NumPy arrays."""
        obs, _ = self.env.reset(seed=self.seed)
        for _, leaf in leaves(obs):
            if isinstance(leaf, Tensor):
                return leaf.device
        return None

    @property
    def max_episode_steps(self) -> int | None:
        """The time limit of an episode, where the environment or its spec tells."""
        spec = spec_of(self.env)
        told = [getattr(self.env.unwrapped, "max_episode_steps", None)]
        if spec is not None:
            told += [spec.kwargs.get("max_episode_steps"), spec.max_episode_steps]
        for limit in told:
            if isinstance(limit, (int, np.integer)) and limit > 0:
                return int(limit)
        return None

    @cached_property
    def steps(self) -> int:
        """Length of the longest rollouts."""
        if self._steps is not None:
            return self._steps
        limit = self.max_episode_steps
        return 200 if limit is None or limit > _LONGEST_DEFAULT else limit + 10

    @property
    def seeds(self) -> tuple[int, ...]:
        """Some seeds, so far apart that they have none of seed, seed + 1, ... in common."""
        return self.seed, self.seed + 10007, self.seed + 20011

    @cached_property
    def starts_are_random(self) -> bool:
        """Whether different seeds lead to different first observations."""
        starts = [reset(self.env, seed=seed).seen["obs"] for seed in self.seeds]
        return not all(equal(starts[0], start) for start in starts[1:])

    # ------------------------------------------------------------------ rollouts

    @cached_property
    def actions(self) -> list[Any]:
        """One batch of NumPy actions for each step."""
        space = copy.deepcopy(self.env.action_space)
        space.seed(self.seed)
        return [space.sample() for _ in range(self.steps)]

    def native(self, actions: Any) -> Any:
        """A copy of NumPy actions in the environment's own kind of array."""
        return to_numpy(actions) if self.device is None else to_torch(actions, self.device)

    @cached_property
    def rollout(self) -> Rollout:
        """The rollout that others are compared with."""
        return self.play(self.env)

    def play(self, env: AnyVectorEnv, **kwargs: Any) -> Rollout:
        """All `outcomes` at once."""
        return list(self.outcomes(env, **kwargs))

    def outcomes(
        self,
        env: AnyVectorEnv,
        *,
        seed: int | None = None,
        actions: Sequence[Any] | None = None,
        until_end: bool = False,
        contexts: Sequence[Callable[[], Any]] = (contextlib.nullcontext,),
    ) -> Iterator[Outcome]:
        """Resets an environment and steps it.

        Without autoreset, ended environments are reset by mask, as long as that works.

        Args:
            env: The environment.
            seed: Of the reset; by default that of the check.
            actions: NumPy actions; by default those of the check.
            until_end: Stop after the first step that ends an episode.
            contexts: What makes the context manager around each call, over and over again.
        """
        around = itertools.cycle(contexts)
        with next(around)():
            outcome = reset(env, seed=self.seed if seed is None else seed)
        yield outcome
        for batch in self.actions if actions is None else actions:
            ended = outcome.ended(self.num_envs)
            if until_end and ended.any():
                return
            if self.mode == AutoresetMode.DISABLED and ended.any():
                try:
                    with next(around)():
                        outcome = reset(env, options={"reset_mask": ended})
                except Exception:
                    return
                yield outcome
            with next(around)():
                outcome = step(env, self.native(batch))
            yield outcome

    def steps_with_end(self) -> Iterator[tuple[int, Outcome, np.ndarray]]:
        """Index, outcome and (N,) mask of each step of the rollout that ended an episode.

        Raises:
            NotApplicable: If there is none.
        """
        found = False
        for index, outcome in enumerate(self.rollout):
            ended = outcome.ended(self.num_envs)
            if ended.any():
                found = True
                yield index, outcome, ended
        if not found:
            raise NotApplicable(
                f"no episode ended within {self.steps} steps: give it more or a shorter time limit"
            )
