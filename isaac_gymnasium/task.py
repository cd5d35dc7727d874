"""`Task`: what the author of an environment subclasses.

The method names are those of Isaac Sim's own `BaseTask` where the meaning is the same, so that the
tutorials read alike; the README has a table of the others.
The loop that calls them is `isaac_gymnasium.vector_env.IsaacVectorEnv`.
"""

from __future__ import annotations

import abc
import functools
import importlib
import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from isaac_gymnasium.scene.model import PhysicsSettings
from isaac_gymnasium.scene.viewpoint import Viewpoint

if TYPE_CHECKING:
    from isaac_gymnasium.engines.base import Engine
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

Observation = Tensor | dict[str, Tensor]
Result = TypeVar("Result")


def once_a_state(method: Callable[[Any], Result]) -> Callable[[Any], Result]:
    """Has a method computed once for each state of the simulation, however often it is called.

    For methods without arguments, of a task or of what it keeps, that has an attribute `engine`.
    What they return must follow from the state of the simulation and the task's parameters alone,
    and must not be changed in place: others are given it, too.
    """
    name = method.__qualname__

    @functools.wraps(method)
    def kept(self: Any) -> Result:
        key = id(self), name, getattr(self, "revision", None)
        found: Result = self.engine.once(key, lambda: method(self))
        return found

    return kept


@dataclass(kw_only=True)
class Task(abc.ABC):
    """One environment: its parameters, scene, observations, rewards, terminations and resets.

    Every dataclass field is a keyword of `gymnasium.make_vec`. A subclass is a
    `@dataclass(kw_only=True)` too, sets `num_actions` and `num_observations` (or overrides the
    spaces) and fills in the methods below.

    All tensors have N = `num_envs` rows and live on `device`. Methods run under `torch.no_grad`,
    should not branch on tensor values nor move them to the host, and select environments by mask:
    on a GPU the loop then records them as CUDA graphs, which makes a step several times as fast.
    Buffers that a task keeps from step to step are created in `post_reset` and changed in place.
    What has N rows belongs to the environments: `fork` copies it from one to another. A constant
    of a fixed length, which N may happen to be, is told apart by its name in `shared_tensors`.
    A task that cannot be recorded runs all the same, and a log line says why it is slower.

    Args:
        env_spacing: Edge of the square cell an environment occupies, m.
        episode_length_s: Time limit of an episode, s.
        dt: Length of one physics step, s.
        decimation: Physics steps per environment step.

    Attributes:
        engine: The physics engine; `engine.articulation(name)` and friends give handles.
        num_envs: N.
        device: Where all tensors live.
        episode_length: (N,) int64, environment steps since the last reset.
        revision: Counts changes of the parameters.
    """

    num_actions: ClassVar[int] = 0
    num_observations: ClassVar[int] = 0
    shared_tensors: ClassVar[tuple[str, ...]] = ()
    """Attributes that are tensors without a row for each environment. Those of a base class count,
    too, and helpers that a task keeps as attributes may have the same."""
    viewpoint: ClassVar[Viewpoint | None] = None
    """Where frames are taken from; None finds a place that shows the scene as it is authored."""

    env_spacing: float = 2.0
    episode_length_s: float = 5.0
    dt: float = 1.0 / 120.0
    decimation: int = 2

    engine: Engine = field(init=False, repr=False, compare=False)
    num_envs: int = field(init=False, repr=False, compare=False)
    device: torch.device = field(init=False, repr=False, compare=False)
    episode_length: Tensor = field(init=False, repr=False, compare=False)

    revision: int = field(init=False, default=0, repr=False, compare=False)

    def __setattr__(self, name: str, value: object) -> None:
        """Counts changes of parameters, so that what was recorded with the old value is dropped."""
        object.__setattr__(self, name, value)
        if name in self.__dataclass_fields__ and name != "revision":
            object.__setattr__(self, "revision", getattr(self, "revision", 0) + 1)

    def __post_init__(self) -> None:
        """Refuses lengths and times that are not positive and finite."""
        self.require(positive=("env_spacing", "episode_length_s", "dt"))
        if not isinstance(self.decimation, numbers.Integral) or self.decimation < 1:
            raise ValueError(
                f"decimation must be an integer of at least 1, got {self.decimation!r}"
            )
        if self.max_episode_steps < 1:
            raise ValueError(
                f"episode_length_s {self.episode_length_s} is shorter than one step of "
                f"{self.step_dt} s"
            )

    def require(self, *, positive: Sequence[str] = (), non_negative: Sequence[str] = ()) -> None:
        """Checks parameters by name; for the `__post_init__` of a task.

        Raises:
            ValueError: Naming the first that is no finite number of the wanted sign.
        """
        for name in (*positive, *non_negative):
            value = getattr(self, name)
            real = isinstance(value, numbers.Real) and not isinstance(value, bool)
            if not (
                real and math.isfinite(value) and value >= 0 and (value or name not in positive)
            ):
                sign = "positive" if name in positive else "non-negative"
                raise ValueError(f"{name} must be a {sign}, finite number, got {value!r}")

    # ------------------------------------------------------------------ derived parameters

    @property
    def step_dt(self) -> float:
        """Length of one environment step, s."""
        return self.dt * self.decimation

    @property
    def max_episode_steps(self) -> int:
        """Environment steps after which an episode is truncated."""
        return round(self.episode_length_s / self.step_dt)

    @classmethod
    def parameters(cls) -> dict[str, object]:
        """Names and defaults of the keywords this task accepts."""
        return {
            f.name: f.default if f.default_factory is MISSING else f.default_factory()
            for f in fields(cls)
            if f.init
        }

    def observation_space(self) -> gym.Space[Any]:
        """Space of one environment's observation."""
        return gym.spaces.Box(-np.inf, np.inf, (self.num_observations,), np.float32)

    def action_space(self) -> gym.Space[Any]:
        """Space of one environment's action; finite, so that off-policy algorithms apply."""
        return gym.spaces.Box(-1.0, 1.0, (self.num_actions,), np.float32)

    def state_space(self) -> gym.Space[Any] | None:
        """Space of `get_states` for a privileged critic, or None where there is none."""
        return None

    def physics_settings(self) -> PhysicsSettings:
        """Settings of the physics scene."""
        return PhysicsSettings()

    # ------------------------------------------------------------------ what an author writes

    @abc.abstractmethod
    def set_up_scene(self, scene: Scene) -> None:
        """Authors one environment; the engine clones it."""

    @abc.abstractmethod
    def post_reset(self) -> None:
        """Binds handles and creates buffers; called once, when the simulation is up."""

    @abc.abstractmethod
    def pre_physics_step(self, actions: Tensor) -> None:
        """Turns (N, A) actions within the action space into targets or forces.

        Called once an environment step. `actions` is a buffer that keeps its values until the
        next step and may be read later, for example by a reward term.
        """

    def each_physics_step(self) -> None:  # noqa: B027 (an engine's drives need no help)
        """Sets joint efforts anew; for models of actuators that are quicker than the policy.

        Called, by tasks that override it, before each of the `decimation` physics steps of an
        environment step. A wrench acts for one physics step then: apply it here, too.
        """

    def post_physics_step(self, rng: RandomStreams) -> None:  # noqa: B027 (most tasks keep nothing)
        """Brings up to date what is kept from step to step: timers, contacts, commands.

        Called once an environment step, after the physics and before terminations, rewards and
        observations, which may then be asked for any number of times.

        Args:
            rng: Streams at this step of each episode, for what changes within an episode.
        """

    @abc.abstractmethod
    def get_observations(self) -> Observation:
        """(N, O) float32 observations, or a dict of tensors."""

    @abc.abstractmethod
    def get_rewards(self) -> dict[str, Tensor]:
        """Named terms, each (N,) float32; the loop adds them up.

        With `log_rewards=True` their means are in `info["log"]`, and run folders always have them.
        """

    def get_terminations(self) -> Tensor:
        """(N,) bool: failure or success, never the time limit. By default nothing terminates."""
        return torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)

    @abc.abstractmethod
    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        """Puts the environments of the (N,) bool mask into a new initial state.

        Draw from `rng` only; every environment has its own stream, so rows that are not reset
        may be drawn for and thrown away.
        """

    def get_extras(self) -> dict[str, Tensor]:
        """(N,) tensors worth knowing, `success` among them; they appear in `info`."""
        return {}

    def get_markers(self) -> dict[str, Tensor]:
        """Where every marker of `Scene.add_marker` is to be seen, by name.

        Positions (N, 3) or poses (N, 7), environment frame. Asked for only when a picture is made
        for people.
        """
        return {}

    def get_states(self) -> Tensor | None:
        """(N, S) privileged state in `state_space`, or None."""
        return None


def find_task(task: type[Task] | str) -> type[Task]:
    """The class of a task given as such or as `"module:Class"`.

    Raises:
        TypeError: If it is not a dataclass derived from `Task`.
    """
    found: object = task
    if isinstance(task, str):
        module, _, attribute = task.partition(":")
        if not (module and attribute):
            raise TypeError(f"task must be given as 'module:Class', got {task!r}")
        found = getattr(importlib.import_module(module), attribute)
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise TypeError(f"task must be a dataclass derived from Task, got {found!r}")
    if "__dataclass_params__" not in vars(found):
        raise TypeError(f"{found.__name__} needs the decorator @dataclass(kw_only=True)")
    return found


def make_task(task: type[Task] | str, kwargs: dict[str, Any]) -> Task:
    """Makes a task, refusing keywords it does not know.

    Raises:
        TypeError: Naming the unknown keyword and listing those there are.
    """
    kind = find_task(task)
    known = kind.parameters()
    unknown = [name for name in kwargs if name not in known]
    if unknown:
        raise TypeError(
            f"{kind.__name__} has no parameter {unknown[0]!r}; it has: {', '.join(sorted(known))}"
        )
    return kind(**kwargs)
