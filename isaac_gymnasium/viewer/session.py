"""An environment that can be played, paused, pushed, and taken back in time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from isaac_gymnasium.engines.base import Articulation, Body, RigidBody
from isaac_gymnasium.rendering.renderer import Renderer
from isaac_gymnasium.state import State
from isaac_gymnasium.vector_env import IsaacVectorEnv

__all__ = ["SOURCES", "Moment", "Policy", "Session"]

Policy = Callable[[Any], Tensor]

SOURCES = ("policy", "random", "zero", "sliders")
"""What can choose the actions."""
_STATE_EVERY = 10
"""Steps between two states kept whole; those between are stepped again from the one before."""
_PUSH_SPEED = 1.0
"""m/s for what can move about, rad/s or m/s for the joints of what cannot."""


@dataclass(eq=False)
class Moment:
    """What is remembered of a step.

    Attributes:
        step: Steps since the session began.
        poses: (N, B + M, 7) of every body and marker, environment frame, on the host.
        values: What the plots show.
        state: All of the environment, at some moments.
        actions: (N, A) that led on from here; None at the last moment.
        exact: Whether stepping on from here with `actions` leads to the next moment. A reset or a
            push in between does not.
    """

    step: int
    poses: Tensor
    values: dict[str, float]
    state: State | None = None
    actions: Tensor | None = None
    exact: bool = True


class Session:
    """Steps an environment on demand and remembers the last seconds.

    Every method may be called from any thread.

    Args:
        env: The environment; wrappers around it are left aside.
        policy: Maps observations to actions (N, A); None leaves random, zero and slider actions.
        seconds: How far back one can go, in the environment's time.
        seed: Of the first reset.

    Attributes:
        source: One of `SOURCES`.
        sliders: (A,) actions for every environment while `source` is `"sliders"`.
        moments: From the oldest to now.

    Raises:
        TypeError: If it is not an environment of this package.
        ValueError: If its autoreset mode is not `SameStep`.
    """

    def __init__(
        self, env: Any, policy: Policy | None = None, *, seconds: float = 10.0, seed: int = 0
    ) -> None:
        base = env.unwrapped
        if not isinstance(base, IsaacVectorEnv):
            raise TypeError(f"the viewer shows environments of this package, got {base!r}")
        if base.autoreset_mode != AutoresetMode.SAME_STEP:
            raise ValueError(
                f"the viewer needs autoreset_mode='SameStep', got {base.autoreset_mode.value!r}"
            )
        self.env = base
        base.log_rewards = True
        self.policy = policy
        self.source = "random" if policy is None else "policy"
        space: Any = base.single_action_space
        low = torch.from_numpy(space.low).to(base.device)
        high = torch.from_numpy(space.high).to(base.device)
        self._low, self._high = low, high
        self.sliders = torch.zeros_like(low).clamp(low, high)
        self.renderer = Renderer.of(base.engine)
        self._generator = torch.Generator().manual_seed(seed)
        self._lock = threading.RLock()
        self.moments: deque[Moment] = deque(
            maxlen=max(2, round(seconds / base.task.step_dt) + _STATE_EVERY)
        )
        self._observations: Any = None
        self.reset(seed=seed)

    @property
    def step_dt(self) -> float:
        """Length of a step, s."""
        return self.env.task.step_dt

    @property
    def step_count(self) -> int:
        """Steps since the session began, less those taken back."""
        return self.moments[-1].step

    def reset(self, *, seed: int | None = None) -> None:
        """Starts a new episode everywhere; what was before can still be gone back to."""
        with self._lock:
            step = self.moments[-1].step if self.moments else 0
            if self.moments:
                self.moments[-1].exact = False
            self._observations, info = self.env.reset(seed=seed)
            self._note(step, info, {}, state=True)

    def step(self) -> None:
        """Takes one step."""
        with self._lock:
            self._step(self._choose())

    def _step(self, actions: Tensor) -> None:
        now = self.moments[-1]
        now.actions = actions.clone()
        self._observations, reward, terminated, truncated, info = self.env.step(actions)
        values = {name: float(mean) for name, mean in info["log"].items()}
        values["reward"] = float(reward.mean())
        values["ended"] = float((terminated | truncated).float().mean())
        step = now.step + 1
        self._note(step, info, values, state=step % _STATE_EVERY == 0)

    def _note(
        self, step: int, info: dict[str, Any], values: dict[str, float], *, state: bool
    ) -> None:
        for name in ("success", "_final_info"):
            if name in info:
                label = {"_final_info": "ended"}.get(name, name)
                values[label] = float(info[name].float().mean())
        self.moments.append(
            Moment(
                step=step,
                poses=self.renderer.poses(markers=True).cpu().clone(),
                values=values,
                state=self.env.get_state() if state else None,
            )
        )

    def _choose(self) -> Tensor:
        shape = (self.env.num_envs, *self._low.shape)
        if self.source == "policy":
            if self.policy is None:
                raise ValueError("there is no policy to choose actions")
            with torch.no_grad():
                return self.policy(self._observations)
        if self.source == "random":
            share = torch.rand(shape, generator=self._generator).to(self._low.device)
            return self._low + share * (self._high - self._low)
        if self.source == "zero":
            return torch.zeros(shape, device=self._low.device).clamp(self._low, self._high)
        return self.sliders.expand(shape)

    def push(self) -> None:
        """Gives every robot a kick in a random direction: its base, or its joints if bolted down.

        A scene without a robot has its bodies kicked.
        """
        with self._lock:
            bodies = self.env.engine.bodies()
            robots = [body for body in bodies if isinstance(body, Articulation)]
            for body in robots or bodies:
                self._push(body)
            self.env.engine.forward()
            self._replace_now()

    def _push(self, body: Body) -> None:
        if isinstance(body, Articulation) and body.fixed_base:
            kick = self._kick(body.dof_vel.shape)
            body.write_dof_state(body.dof_pos.clone(), body.dof_vel + kick)
            return
        kick = torch.nn.functional.normalize(self._kick((self.env.num_envs, 2)), dim=-1)
        kick = torch.nn.functional.pad(_PUSH_SPEED * kick, (0, 4))
        if isinstance(body, Articulation):
            body.write_root_state(body.root_pose.clone(), body.root_vel + kick)
        elif isinstance(body, RigidBody):
            body.write_state(body.pose.clone(), body.vel + kick)

    def _kick(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        share = torch.rand(shape, generator=self._generator).to(self._low.device)
        return _PUSH_SPEED * (2.0 * share - 1.0)

    def _replace_now(self) -> None:
        """Makes the present what it has become, so that going back here finds it again."""
        now = self.moments[-1]
        if len(self.moments) > 1:
            self.moments[-2].exact = False
        now.state = self.env.get_state()
        now.poses = self.renderer.poses(markers=True).cpu().clone()

    def go_back(self, index: int) -> None:
        """Goes on from a remembered moment; what came after it is forgotten.

        A moment without a state of its own is reached from the one before that has one, with the
        same actions.

        Args:
            index: Into `moments`.

        Raises:
            IndexError: If there is no such moment, or none before it to start from.
        """
        with self._lock:
            moments = list(self.moments)
            target = moments[index]
            start = moments.index(target)
            while moments[start].state is None:
                start -= 1
                if start < 0 or not moments[start].exact:
                    raise IndexError("this moment is too old to go back to")
            state = moments[start].state
            assert state is not None
            self._observations = self.env.set_state(state)
            for moment in moments[start : moments.index(target)]:
                assert moment.actions is not None
                self._observations, *_ = self.env.step(moment.actions)
            while self.moments[-1] is not target:
                self.moments.pop()
            target.actions, target.exact = None, True
            target.poses = self.renderer.poses(markers=True).cpu().clone()

    def reachable(self) -> int:
        """Index of the oldest moment that `go_back` can go to."""
        with self._lock:
            return next(k for k, moment in enumerate(self.moments) if moment.state is not None)
