"""`IsaacVectorEnv`: the one step and reset loop of every task."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from isaac_gymnasium.engines import EngineError, load_engine
from isaac_gymnasium.garbage import garbage_kept
from isaac_gymnasium.locks import check_in, stop_workers_at_exit, turns
from isaac_gymnasium.memory import room_for
from isaac_gymnasium.nan_guard import NanGuard
from isaac_gymnasium.outputs import (
    check_extras,
    check_observations,
    check_rewards,
    check_states,
    check_terminations,
)
from isaac_gymnasium.random import RandomStreams
from isaac_gymnasium.randomization import Randomization, Randomizer, resolve, with_cameras
from isaac_gymnasium.segment import Segment
from isaac_gymnasium.state import State, get_state, set_state
from isaac_gymnasium.task import Observation, Task, make_task
from isaac_gymnasium.tree import clone_tree, plain_torch

if TYPE_CHECKING:
    from isaac_gymnasium.rendering.frames import FrameMaker, Frames
    from isaac_gymnasium.viewer import Viewer

_starting = turns()
"""Held while an environment is made: USD and the engines were seen to hang when two threads start
them at once."""


class IsaacVectorEnv(VectorEnv[Observation, Tensor | np.ndarray, Tensor]):
    """N copies of a task, stepped at once, with torch tensors in and out.

    Usually made by `gymnasium.make_vec(id, num_envs=N, **kwargs)`.

    Args:
        task: A `Task` subclass, or where to find it as `"module:Class"`.
        num_envs: Number of environments, N.
        engine: `"newton"`, `"physx"` or `"isaacsim"`; `"auto"` takes `isaacsim` where the process
            runs Kit, otherwise the first of them that is installed.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, or `"auto"` for CUDA where there is one.
        autoreset_mode: What happens to an environment whose episode has ended, as gymnasium
            defines it: `"SameStep"` (it is reset within the step that ended it), `"NextStep"`
            (the next step resets it, with reward 0 and its action ignored) or `"Disabled"` (it
            must be reset with `options={"reset_mask": ...}` before the next step).
        max_episode_steps: Length at which an episode is truncated; by default the task's.
        render_mode: None, `"rgb_array"` for frames of single environments from `render`, or
            `"human"` for Isaac Sim's window, on the engine `isaacsim` alone.
        render_size: Width and height of a frame, pixels.
        cuda_graphs: On a GPU, record a step as CUDA graphs: the whole of it where the engine can be
            captured, otherwise the task's part.
        randomization: What differs between environments: `"none"`, `"default"` for what suits the
            robots and bodies of the scene, a dict of terms, or a `Randomization`.
        nan_guard: What becomes of an environment with numbers that are not finite: `"reset"` ends
            its episode as terminated, marks it in `info["nan"]`, resets it and writes its last
            frames to a file; `"raise"` raises a `NanError` beside; `"off"` looks away.
        nan_folder: Where these files go.
        deterministic: Have engine `newton` solve in the same order every time, so that rollouts on
            CUDA are the same to the bit; slower. Other engines refuse it.
        log_rewards: Whether `info["log"]` tells the mean of each reward term. Off unless asked
            for, since TorchRL's `GymWrapper` stores all of `info` by environment.
        **kwargs: Fields of the task.

    Attributes:
        task: The task, with its parameters and handles.
        engine: The physics engine.
        device: Where all tensors live.
        autoreset_mode: A `gymnasium.vector.AutoresetMode`.
        randomization: The `Randomizer`: present values, and ranges to be moved.
        log_rewards: As given; may be set at any time.

    Raises:
        TypeError: If a keyword is no field of the task; the message lists those there are.
        ValueError: If a value makes no sense.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's declaration)
        "render_modes": ["rgb_array", "human"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    _spec: EnvSpec | None = None

    def __init__(
        self,
        task: type[Task] | str,
        num_envs: int = 1,
        *,
        engine: str = "auto",
        device: str | torch.device = "auto",
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        render_size: tuple[int, int] = (640, 480),
        cuda_graphs: bool = True,
        randomization: str | Mapping[str, Any] | Randomization = "none",
        nan_guard: str = "reset",
        nan_folder: str = "nan_reports",
        deterministic: bool = False,
        log_rewards: bool = False,
        **kwargs: Any,
    ) -> None:
        num_envs = _positive_int("num_envs", num_envs)
        if render_mode not in (None, "rgb_array", "human"):
            raise ValueError(
                f"render_mode must be None, 'rgb_array' or 'human', got {render_mode!r}"
            )
        self.task = make_task(task, kwargs)
        self.num_envs = num_envs
        self.device = resolve_device(device)
        with room_for(num_envs, self.device):
            pass  # before anything of that size is made
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {
            **type(self).metadata,
            "autoreset_mode": self.autoreset_mode,
            "render_fps": max(1, round(1.0 / self.task.step_dt)),
        }
        self.render_mode = render_mode
        if not (isinstance(render_size, Sequence) and len(render_size) == 2):
            raise ValueError(f"render_size must be a width and a height, got {render_size!r}")
        self._render_size = (
            _positive_int("the width in render_size", render_size[0]),
            _positive_int("the height in render_size", render_size[1]),
        )
        self._frame_maker: FrameMaker | None = None
        self.max_episode_steps = (
            self.task.max_episode_steps if max_episode_steps is None else max_episode_steps
        )
        self._cuda_graphs = _flag("cuda_graphs", cuda_graphs)
        self._log_rewards = _flag("log_rewards", log_rewards)
        # Only the CPU can look at a mask without making the device wait for the host.
        self._always_restarts = self.device.type == "cuda"
        self.single_observation_space = self.task.observation_space()
        self.single_action_space = self.task.action_space()
        self._observation_space: gym.Space[Any] | None = None
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.state_space = self.task.state_space()
        self._guard_settings = nan_guard, nan_folder
        self._process = os.getpid()
        check_in()
        with _starting, garbage_kept():
            self._start(engine, _flag("deterministic", deterministic), randomization)
        stop_workers_at_exit()

    def _start(
        self,
        engine: str,
        deterministic: bool,
        randomization: str | Mapping[str, Any] | Randomization,
    ) -> None:
        engine_class = load_engine(engine)
        mode: dict[str, Any] = {}
        if deterministic:
            if not engine_class.has_deterministic_mode:
                raise EngineError(
                    "deterministic=True is a mode of engine 'newton', and engine "
                    f"{engine_class.name!r} has none: docs/engines.md says what it repeats anyway"
                )
            mode["deterministic"] = True
        watched = self.render_mode == "human"
        if not engine_class.has_window:
            self.metadata["render_modes"] = ["rgb_array"]
            if watched:
                raise ValueError(
                    f"engine {engine_class.name!r} has no window for render_mode='human', isaacsim "
                    "has: use 'rgb_array', or watch with view()"
                )
        engine_class.prepare(window=watched)
        # The scene builder imports USD, which an engine may have to bring itself.
        from isaac_gymnasium.scene.builder import Scene

        task = self.task
        scene = Scene(env_spacing=task.env_spacing, settings=task.physics_settings())
        task.set_up_scene(scene)
        plan = resolve(randomization, scene)
        with plain_torch(), room_for(self.num_envs, self.device):
            self.engine = engine_class(scene, self.num_envs, task.dt, self.device, **mode)
            try:
                self.rng = RandomStreams(self.num_envs, self.device)
                self._action_low, self._action_high = _bounds(self.single_action_space, self.device)
                zeros = torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)
                self.episode_length = zeros
                self._no_reward = zeros.float()
                # Not in use with same-step autoreset, which nothing outlasts.
                self._ended = zeros.bool()
                self._all = ~self._ended
                self._actions = torch.zeros(self.action_space.shape or (), device=self.device)
                task.engine, task.num_envs, task.device = self.engine, self.num_envs, self.device
                task.episode_length = self.episode_length
                self.engine.markers = task.get_markers
                task.post_reset()
                renderer = self.engine.renderer
                if randomization == "default" and renderer is not None and renderer.cameras:
                    light = all(camera.is_ray_cast for camera in renderer.cameras)
                    plan = with_cameras(plan, light=light)
                self.randomization = Randomizer(
                    plan,
                    self.engine,
                    self.rng,
                    self.episode_length,
                    self.single_observation_space,
                    self._actions[0].numel(),
                    task.step_dt,
                )
                self._guard = NanGuard(
                    self._guard_settings[0],
                    self.engine,
                    self._actions,
                    self.episode_length,
                    {
                        "task": f"{type(task).__module__}:{type(task).__qualname__}",
                        "parameters": {name: getattr(task, name) for name in task.parameters()},
                        "engine": self.engine.name,
                    },
                    self._guard_settings[1],
                    lasts=self.autoreset_mode != AutoresetMode.SAME_STEP,
                )
                if self.render_mode == "rgb_array":
                    self._frame_maker = self._make_frame_maker()
                self._act = self._segment(self._act_now)
                self._drive = self._segment(task.each_physics_step)
                self._drives = type(task).each_physics_step is not Task.each_physics_step
                self._judge = self._segment(self._judge_now)
                self._observe = self._segment(self._observe_now)
                self._advance = self._segment(self._advance_now, with_engine=True)
            except BaseException:
                self.engine.close()
                raise
        self._has_reset = False
        self._judged = False

    def _segment(self, function: Callable[[], Any], *, with_engine: bool = False) -> Segment[Any]:
        enabled = self._cuda_graphs and (self.engine.capturable or not with_engine)
        return Segment(function, self.engine, self.task, enabled=enabled, with_engine=with_engine)

    def _make_frame_maker(self) -> FrameMaker:
        from isaac_gymnasium.rendering.frames import FrameMaker

        return FrameMaker(self.engine, self.task.viewpoint, self._render_size)

    @property
    def observation_space(self) -> gym.Space[Any]:  # type: ignore[override]
        """Space of all environments' observations; batched when first asked for.

        For images of thousands of environments it takes gigabytes.
        """
        if self._observation_space is None:
            self._observation_space = batch_space(self.single_observation_space, self.num_envs)
        return self._observation_space

    @property
    def max_episode_steps(self) -> int:
        """Length at which an episode is truncated, in steps."""
        return self._max_episode_steps

    @max_episode_steps.setter
    def max_episode_steps(self, steps: int) -> None:
        self._max_episode_steps = _positive_int("max_episode_steps", steps)
        self.task.revision += 1

    @property
    def log_rewards(self) -> bool:
        """Whether `info["log"]` tells the mean of each reward term."""
        return self._log_rewards

    @log_rewards.setter
    def log_rewards(self, log: bool) -> None:
        if log != self._log_rewards:
            self._log_rewards = log
            self.task.revision += 1

    # ------------------------------------------------------------------ gymnasium's interface

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts new episodes.

        Args:
            seed: An int seeds every environment's own stream, keyed by (seed, environment). A list
                gives one seed per environment (None leaves that stream running). None goes on with
                the streams as they are; the first time it draws a seed from the system. Seeding all
                environments at once also starts the simulation anew where it remembers contacts,
                which takes as long as making the environment: only then do the same actions lead to
                the same bits.
            options: Not changed. `"reset_mask"`: (N,) bool, NumPy or torch, resets only those
                environments. `"stagger"`: True starts the time limits of these episodes at random
                lengths, so that not all of them are truncated in the same step.

        Returns:
            Observations of all environments and the info dict. Rows outside the mask are as the
            last step left them.
        """
        self._require_open()
        if options is not None and not isinstance(options, Mapping):
            raise TypeError(f"options must be a dict or None, got {type(options).__name__}")
        stagger = _flag("stagger", (options or {}).get("stagger", False))
        mask = self._reset_mask(options)
        with plain_torch():
            if self._seed(seed, mask):
                self.randomization.restart()
                if self.engine.has_history and self.engine.step_count:
                    self.engine.restart()
            self._begin_episodes(mask, seeded=True)
            self.randomization.flush()
            if stagger:
                lengths = self.rng.integers(0, min(self.max_episode_steps, 2**31))
                torch.where(mask, lengths, self.episode_length, out=self.episode_length)
            self._has_reset = True
            obs, extras = self.task.get_observations(), self.task.get_extras()
            check_observations(self.task, self.single_observation_space, obs)
            check_extras(self.task, extras)
            check_states(self.task, self.state_space, self.task.get_states())
            info: dict[str, Any] = clone_tree(self._guard.clean(extras))
            if self.randomization.plan.in_info:
                info["randomization"] = self.randomization.values
            if self.render_mode == "human":
                self.engine.draw()
            return clone_tree(self._observations()), info

    def step(
        self, actions: Tensor | np.ndarray
    ) -> tuple[Observation, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Advances every environment by one step.

        Args:
            actions: (N, A) floats, torch on any device or NumPy; clipped to the action space, not
                changed.

        Returns:
            Observations, rewards (N,) float32, terminated (N,) bool, truncated (N,) bool, info.
            All are fresh tensors on `device`. `info` holds the task's extras such as `success`,
            unless `nan_guard` is off `nan` (N,) bool, with `log_rewards` also `log` (0-d tensors:
            the mean of each reward term), and with same-step autoreset always `final_obs` and
            `final_info`, dense over all environments: what they were before any reset, valid for
            all rows and different from the rest where `_final_obs` is set; `final_state` likewise
            where the task has a privileged state.
        """
        self._require_reset()
        with plain_torch():
            self._take_actions(actions)
            if self.autoreset_mode == AutoresetMode.DISABLED:
                self._refuse_ended()
            self.randomization.tick()
            result = clone_tree(self._advance())

            info: dict[str, Any] = dict(result["extras"])
            if self.log_rewards:
                info["log"] = {f"reward/{name}": mean for name, mean in result["log"].items()}
            if self.randomization.plan.in_info:
                info["randomization"] = self.randomization.values
            if "nan" in result:
                info["nan"] = result["nan"]
            self._guard.react()
            if self.autoreset_mode == AutoresetMode.SAME_STEP:
                info["final_obs"], info["final_info"] = result["final_obs"], result["final_info"]
                if self.state_space is not None:
                    info["final_state"] = result["final_state"]
                    info["_final_state"] = result["restart"].clone()
                info["_final_obs"] = result["restart"]
                info["_final_info"] = result["restart"].clone()
            return result["obs"], result["reward"], result["terminated"], result["truncated"], info

    def render(self) -> Frames | None:  # type: ignore[override]
        """One frame for each environment, (H, W, 3) uint8, rendered when it is looked at.

        A frame shows its environment alone, at the time of this call. With `render_mode="human"`
        the window is drawn, which each step and reset does as well, and None returned.

        Raises:
            gymnasium.error.Error: If the environment was made without a render mode.
        """
        if self.render_mode == "human":
            self._require_reset()
            self.engine.draw()
            return None
        return self._frames(lambda maker: maker.snapshot())

    def render_final(self) -> Frames:
        """As `render`, but of what the last step ended with, before any reset within it."""
        same_step = self.autoreset_mode == AutoresetMode.SAME_STEP
        return self._frames(lambda m: m.final.clone() if same_step else m.snapshot())

    def _frames(self, snapshot: Callable[[FrameMaker], Tensor]) -> Frames:
        self._require_reset()
        if self._frame_maker is None or self.render_mode != "rgb_array":
            raise gym.error.Error(
                "there are no frames: make the environment with render_mode='rgb_array'"
            )
        with plain_torch():
            return self._frame_maker.frames(snapshot(self._frame_maker))

    def render_grid(
        self,
        envs: int | Sequence[int] = 16,
        *,
        size: tuple[int, int] | None = None,
        final: bool = False,
    ) -> np.ndarray:
        """One picture of several environments, side by side, whatever the render mode.

        Args:
            envs: How many to show, at most all, or which.
            size: Width and height, pixels; by default `render_size`.
            final: Show what `render_final` shows; that needs a render mode.

        Returns:
            (H, W, 3) uint8.
        """
        self._require_reset()
        if isinstance(envs, (int, np.integer)):
            envs = range(min(_positive_int("envs", envs), self.num_envs))
        if not len(envs) or not all(0 <= k < self.num_envs for k in envs):
            raise ValueError(f"envs must be indices below {self.num_envs}, got {list(envs)}")
        with plain_torch():
            if self._frame_maker is None:
                self._frame_maker = self._make_frame_maker()
            snapshot = self._frame_maker.snapshot()
            if final and self.autoreset_mode == AutoresetMode.SAME_STEP:
                if self.render_mode != "rgb_array":
                    raise gym.error.Error("final=True needs render_mode='rgb_array'")
                snapshot = self._frame_maker.final
            return self._frame_maker.grid(snapshot, envs, size or self._render_size)

    def view(self, policy: Callable[[Any], Tensor] | None = None, **kwargs: Any) -> Viewer:
        """A live view in the browser, which steps the environment until it is closed.

        Args:
            policy: Maps observations to actions (N, A); without one the actions are random.
            **kwargs: As for `isaac_gymnasium.viewer.Viewer`, such as `port`. Where parameters of
                the task are changed, an environment that `make_vec` made is made anew for the view;
                this one stays as it is.

        Raises:
            ImportError: If the extra `viewer` is not installed.
        """
        from isaac_gymnasium.viewer import Viewer

        self._require_open()
        spec = self.spec
        if spec is not None:

            def make(changed: dict[str, Any]) -> Any:
                return gym.make_vec(replace(spec, kwargs={**spec.kwargs, **changed}))

            kwargs.setdefault("make", make)
        return Viewer(self, policy, **kwargs)

    def state(self) -> Tensor | None:
        """(N, S) privileged state for an asymmetric critic, or None where the task has none."""
        self._require_open()
        with plain_torch():
            state = self.task.get_states()
            return None if state is None else clone_tree(self._guard.clean(state))

    @property
    def spec(self) -> EnvSpec | None:
        """How `make_vec` made it; `nondeterministic` where the engine does not repeat itself."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None and not self.engine.reproducible:
            spec = replace(spec, nondeterministic=True)
        self._spec = spec

    @property
    def episode_length_buf(self) -> Tensor:
        """(N,) int64, steps since each environment's last reset; assigning copies into it.

        The name that rsl_rl knows; random lengths spread the ends of the first episodes.
        """
        return self.episode_length

    @episode_length_buf.setter
    def episode_length_buf(self, lengths: Tensor) -> None:
        with plain_torch():
            self.episode_length.copy_(lengths)

    def get_state(self, *, exact: bool = False) -> State:
        """Everything the future follows from, as a flat dict of tensors with N rows each.

        Physics, commands, counters, random streams and the task's buffers; `torch.save` keeps it.
        Taking a state also rewrites it, which drops what engines carry along beside it (about 1e-7
        in link poses): what follows here and what follows a restore is then bitwise the same. Not
        so with lasting contacts on engine `physx`: PhysX keeps their history out of reach, and a
        restored future drifts from the original from rounding on, unless both are `exact`.

        Args:
            exact: Start the simulation anew, as seeding does, so that no contact has a history.
                Takes as long as making the environment where something can touch.
        """
        self._require_reset()
        with plain_torch():
            return get_state(self, exact=exact)

    def set_state(
        self,
        state: State,
        mask: Tensor | np.ndarray | None = None,
        *,
        exact: bool = False,
    ) -> Observation:
        """Goes back to a state.

        Args:
            state: From `get_state` of an environment with the same task and parameters; N rows,
                or one row that all environments are set to.
            mask: (N,) bool, the environments to set; None for all.
            exact: As in `get_state`: what follows is then bitwise what followed there, whatever
                touches. Needs every environment to be set.

        Returns:
            The observations of all environments.

        Raises:
            ValueError: If the state does not fit; nothing has been changed then.
        """
        self._require_open()
        rows = self._all if mask is None else self._mask("mask", mask)
        if exact and not bool(rows.all()):
            raise ValueError("exact=True needs every environment to be set, got a mask of some")
        if not self._has_reset and not bool(rows.all()):
            raise gym.error.ResetNeeded("the first set_state() must set every environment")
        with plain_torch():
            set_state(self, state, rows, exact=exact)
            self._guard.begin(rows)
            self._has_reset = True
            observation: Observation = clone_tree(self._observations())
            return observation

    def fork(self, source: int, mask: Tensor | np.ndarray | None = None) -> Observation:
        """Sets environments to the state of one of them, random streams included.

        Args:
            source: Index of the environment to copy.
            mask: (N,) bool, the environments to set; None for all.

        Returns:
            The observations of all environments.
        """
        whole = isinstance(source, (int, np.integer)) and not isinstance(source, bool)
        if not whole or not -self.num_envs <= source < self.num_envs:
            raise ValueError(f"source must be an index below {self.num_envs}, got {source!r}")
        row = slice(source, source + 1) if source != -1 else slice(-1, None)
        return self.set_state({key: rows[row] for key, rows in self.get_state().items()}, mask)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Calls a method of the environment or of its task, or reads an attribute.

        The N environments are one object: what is no sequence of N entries comes N times.
        """
        owner = self if hasattr(self, name) else self.task
        result = getattr(owner, name)
        if callable(result):
            result = result(*args, **kwargs)
        sequence = isinstance(result, Sequence) and not isinstance(result, str)
        if sequence and len(result) == self.num_envs:
            return tuple(result)
        return (result,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Reads an attribute of the environment or of its task; see `call`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Sets an attribute of the environment or, where that has none of the name, of its task.

        Args:
            name: Of an attribute that exists.
            values: One value, or a list or tuple of N equal ones.

        Raises:
            AttributeError: If there is no such attribute.
            ValueError: If a list gives different environments different values.
        """
        if isinstance(values, (list, tuple)) and len(values) == self.num_envs:
            if any(value != values[0] for value in values):
                raise ValueError(f"{name} is shared by all environments, got several values")
            values = values[0]
        owner = self if hasattr(self, name) else self.task
        if not hasattr(owner, name):
            raise AttributeError(f"neither the environment nor its task has {name!r}")
        setattr(owner, name, values)

    def close_extras(self, **kwargs: Any) -> None:
        """Frees the simulation."""
        # A process that was forked has nothing of the engine's to free.
        if hasattr(self, "engine") and os.getpid() == self._process:
            self.engine.close()

    # ------------------------------------------------------------------ a step and its parts
    # Each part works on persistent tensors and calls no engine in its middle, so that a GPU can
    # replay it as a recorded graph, or the whole step where the engine allows it: see `segment.py`.

    def _advance_now(self) -> dict[str, Any]:
        self._act()
        if self._drives:
            for _ in range(self.task.decimation):
                self._drive()
                self.engine.step()
        else:
            self.engine.step(self.task.decimation)
        step = self._judge()
        resets = self._always_restarts or bool(step["restart"].any())
        if resets and not self._always_restarts:
            step = clone_tree(step)  # parts of it may be views of what is reset now
            self._restart(step["restart"])
        if resets or "final_obs" not in step:
            result = {**step, **self._observe()}
        else:  # what the step ended with is what the next one starts from
            result = {**step, "obs": step["final_obs"], "extras": step["final_info"]}
        if self.engine.capturable:
            self.engine.forward()  # nothing may be left for a graph's end to do
        return result

    def _take_actions(self, actions: Tensor | np.ndarray) -> None:
        expected = self.action_space.shape
        if isinstance(actions, np.ndarray):
            actions = torch.from_numpy(np.array(actions))  # torch warns of read-only arrays
        elif not isinstance(actions, Tensor):
            raise TypeError(
                f"actions must be a torch tensor or a NumPy array, got {type(actions).__name__}"
            )
        if not actions.is_floating_point():
            raise TypeError(f"actions must be floating point, got {actions.dtype}")
        if tuple(actions.shape) != expected:
            raise ValueError(f"actions must have shape {expected}, got {tuple(actions.shape)}")
        # Elsewhere looking would make the host wait; there the NaN guard finds them.
        if actions.device.type == "cpu" and not bool(torch.isfinite(actions).all()):
            rows = (~torch.isfinite(actions)).flatten(1).any(-1).nonzero().flatten().tolist()
            raise ValueError(
                f"actions must be finite, got NaN or infinity for {len(rows)} of {self.num_envs} "
                f"environments, the first is {rows[0]}"
            )
        self._actions.copy_(actions)

    def _refuse_ended(self) -> None:
        if bool(self._ended.any()):
            raise ValueError(
                f"{int(self._ended.sum())} of {self.num_envs} environments have ended their "
                "episode; reset them with options={'reset_mask': mask} before the next step"
            )

    def _act_now(self) -> None:
        """Hands the actions to the task."""
        self._guard.take_actions()
        self.randomization.disturb_actions(self._actions)
        torch.clamp(self._actions, self._action_low, self._action_high, out=self._actions)
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            self._actions.masked_fill_(self._ended.unsqueeze(-1), 0.0)
        self.randomization.delay_actions(self._actions)
        self.task.pre_physics_step(self._actions)

    def _judge_now(self) -> dict[str, Any]:
        """Flags, rewards and what has to be restarted, from the state the step led to."""
        task, mode = self.task, self.autoreset_mode
        self.episode_length += 1
        self.rng.begin(self.episode_length)
        task.post_physics_step(self.rng)
        terminated = task.get_terminations()
        if not self._judged:
            check_terminations(task, terminated)
        rewards = task.get_rewards()
        if not self._judged:
            check_rewards(task, rewards)
            self._judged = True
        reward = sum(rewards.values(), self._no_reward)
        truncated = self.episode_length >= self.max_episode_steps
        # What ended in the step before is reset now, whatever it has come to.
        over = self._ended.clone() if mode == AutoresetMode.NEXT_STEP else None
        if over is not None:
            terminated, truncated = terminated & ~over, truncated & ~over
        worthless, observed = over, None
        bad: Tensor | None = None
        step: dict[str, Any] = {}
        if self._guard.mode != "off":
            observed = task.get_observations()
            bad = self._guard.judge(observed, reward, over)
            step["nan"] = bad
            terminated = terminated | bad
            worthless = bad if over is None else bad | over
        truncated = truncated & ~terminated
        if worthless is not None:
            reward = torch.where(worthless, self._no_reward, reward)
        step |= {"reward": reward, "terminated": terminated, "truncated": truncated}
        if self.log_rewards:
            step["log"] = _means(rewards, worthless)
        ended = terminated | truncated
        self.randomization.episodes_ended(ended, task.get_extras)
        if mode == AutoresetMode.SAME_STEP:
            step["restart"] = ended
            step["final_obs"] = self._observations(observed, bad)
            step["final_info"] = self._extras(bad)
            if self.state_space is not None:
                step["final_state"] = self._guard.clean(task.get_states(), bad)
            if self._always_restarts:
                step = clone_tree(step)
            if self.render_mode == "rgb_array" and self._frame_maker is not None:
                self._frame_maker.keep_final()
        else:
            self._ended.copy_(ended)
            step["restart"] = torch.zeros_like(ended) if over is None else over
        if self._always_restarts and mode != AutoresetMode.DISABLED:
            self._restart(step["restart"])
        return step

    def _restart(self, mask: Tensor) -> None:
        self.rng.next_episode(mask)
        self._begin_episodes(mask, seeded=False)

    def _begin_episodes(self, mask: Tensor, *, seeded: bool) -> None:
        self.rng.begin(0)
        self.episode_length.masked_fill_(mask, 0)
        if self.autoreset_mode != AutoresetMode.SAME_STEP:
            self._ended.masked_fill_(mask, False)
        self.task.reset_envs(mask, self.rng)
        self.randomization.begin(mask, seeded=seeded)
        self._guard.begin(mask)

    def _observations(
        self, returned: Observation | None = None, bad: Tensor | None = None
    ) -> Observation:
        """What the environments see: what the task returns (has just returned), with noise."""
        seen = self.task.get_observations() if returned is None else returned
        seen = self.randomization.observe(seen)
        observations: Observation = self._guard.clean(seen, bad)
        return observations

    def _extras(self, bad: Tensor | None = None) -> dict[str, Tensor]:
        extras: dict[str, Tensor] = self._guard.clean(self.task.get_extras(), bad)
        return extras

    def _observe_now(self) -> dict[str, Any]:
        """Observations and extras of the state that the next step starts from."""
        return {"obs": self._observations(), "extras": self._extras()}

    # ------------------------------------------------------------------ the parts of a reset

    def _reset_mask(self, options: dict[str, Any] | None) -> Tensor:
        if not options or "reset_mask" not in options:
            return self._all
        mask = self._mask("reset_mask", options["reset_mask"])
        if not self._has_reset and not bool(mask.all()):
            raise gym.error.ResetNeeded("the first reset() must reset every environment")
        return mask

    def _mask(self, name: str, mask: Tensor | np.ndarray) -> Tensor:
        if isinstance(mask, np.ndarray):
            mask = torch.from_numpy(np.array(mask))
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
            raise TypeError(f"{name} must be a bool array or tensor, got {got}")
        if tuple(mask.shape) != (self.num_envs,):
            raise ValueError(f"{name} must have shape ({self.num_envs},), got {tuple(mask.shape)}")
        if not bool(mask.any()):
            raise ValueError(f"{name} must select at least one environment, got none")
        # A copy: writes wait for the next batch, and the caller may reuse the mask before.
        return mask.to(self.device, copy=True)

    def _seed(self, seed: int | Sequence[int | None] | None, mask: Tensor) -> bool:
        """Seeds the streams; True if every environment has been given a seed."""
        if seed is None and self._has_reset:
            self.rng.next_episode(mask)
            return False
        if seed is None:
            seed = secrets.randbits(63)
        one = not isinstance(seed, (Sequence, np.ndarray))
        seeds: list[Any] = [seed] * self.num_envs if one else list(seed)  # type: ignore[arg-type]
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed must have {self.num_envs} entries, got {len(seeds)}")
        for s in seeds:
            whole = isinstance(s, (int, np.integer)) and not isinstance(s, bool)
            if s is not None and not (whole and 0 <= s < 2**63):
                raise ValueError(f"a seed must be an integer in [0, 2**63), got {s!r}")
        if one:
            self._np_random, self._np_random_seed = gym.utils.seeding.np_random(int(seeds[0]))
        given = torch.tensor([s is not None for s in seeds]).to(self.device)
        if not self._has_reset:
            seeds = [secrets.randbits(63) if s is None else s for s in seeds]
        values = torch.tensor([int(s or 0) for s in seeds], dtype=torch.int64).to(self.device)
        if self._has_reset:
            self.rng.next_episode(mask & ~given)
            mask = mask & given
        self.rng.reseed(values, mask)
        return bool(mask.all())

    def _require_reset(self) -> None:
        self._require_open()
        if not self._has_reset:
            raise gym.error.ResetNeeded("call reset() first")

    def _require_open(self) -> None:
        check_in()
        if self.closed:
            raise gym.error.ClosedEnvironmentError("the environment is closed")
        if os.getpid() != self._process:
            raise EngineError(
                f"this environment was made in process {self._process} and does not survive the "
                "fork into this one; start worker processes with the 'spawn' method"
            )


# ---------------------------------------------------------------------- helpers


def _flag(name: str, value: object) -> bool:
    # Words such as "no" are true.
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def _positive_int(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return int(value)


def resolve_device(device: str | torch.device) -> torch.device:
    """The torch device for a name, `"auto"` being CUDA where there is one.

    Raises:
        ValueError: If the name is not a CPU or CUDA device of this machine.
    """
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must be 'auto', 'cpu' or 'cuda:k', got {device!r}") from error
    if resolved.type == "cpu":
        return torch.device("cpu")
    if resolved.type != "cuda":
        raise ValueError(f"device must be 'auto', 'cpu' or 'cuda:k', got {device!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = resolved.index or 0
    if index >= count:
        raise ValueError(f"device {device!r}: this machine has {count} CUDA devices torch can use")
    return torch.device("cuda", index)


def _means(rewards: dict[str, Tensor], worthless: Tensor | None) -> dict[str, Tensor]:
    """The mean of each term; those of worthless (N,) steps count as 0."""
    if not rewards:
        return {}
    terms = torch.stack(list(rewards.values()))
    if worthless is not None:
        terms.masked_fill_(worthless, 0.0)
    return dict(zip(rewards, terms.mean(-1).unbind(), strict=True))


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        names = ", ".join(repr(m.value) for m in AutoresetMode)
        raise ValueError(f"autoreset_mode must be one of {names}, got {mode!r}") from error


def _bounds(space: gym.Space[Any], device: torch.device) -> tuple[Tensor, Tensor]:
    if not isinstance(space, gym.spaces.Box) or not space.is_bounded() or len(space.shape) != 1:
        raise TypeError(f"a task's action space must be a finite Box of shape (A,), got {space}")
    low, high = torch.from_numpy(space.low).to(device), torch.from_numpy(space.high).to(device)
    return low, high
