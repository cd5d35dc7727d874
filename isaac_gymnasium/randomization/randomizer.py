"""`Randomizer`: draws what a `Randomization` asks for, and puts it where it belongs.

What the loop does itself (noise, biases, delays, initial states, weak motors) lives in tensors on
the device, is part of a recorded step and costs a few launches in its graph. Properties of bodies
belong to the engine and may live on its host, which must not wait for the device in every step, or
take longer than a physics step to become part of the simulation. They are therefore written in
batches: on the CPU before the next step, on CUDA at most 2 `_BATCH_STEPS` steps after the reset
that drew them, with copies to the host that are long done when they are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Articulation, Body, Engine, RigidBody
from isaac_gymnasium.random import RandomStreams
from isaac_gymnasium.randomization import properties
from isaac_gymnasium.randomization.draw import Draw
from isaac_gymnasium.randomization.sight import TARGETS as SIGHT
from isaac_gymnasium.randomization.sight import Sight
from isaac_gymnasium.randomization.terms import Randomization

_BATCH_STEPS = 16
_RESETS, _INTERVALS, _OBSERVATIONS, _ACTIONS = 252, 253, 254, 255
"""Branches of the random streams."""


class Randomizer:
    """The randomisation of the environments of one loop.

    Args:
        plan: What is randomised.
        engine: The engine, with the scene running.
        rng: The environments' random streams.
        episode_length: (N,) int64, steps since the last reset.
        observation_space: Of one environment, as the task returns it.
        num_actions: A.
        step_dt: Length of an environment step, s.

    Attributes:
        plan: As given.
        level: (N,) in [0, 1], the share of their ranges that environments draw from; 1 unless
            `plan.adaptive` is set.

    Raises:
        ValueError: If a term does not fit the scene; the message names the term.
    """

    def __init__(
        self,
        plan: Randomization,
        engine: Engine,
        rng: RandomStreams,
        episode_length: Tensor,
        observation_space: gym.Space[Any],
        num_actions: int,
        step_dt: float,
    ) -> None:
        self.plan = plan
        self._engine, self._rng, self._episode_length = engine, rng, episode_length
        self._space = observation_space
        n, device = engine.num_envs, engine.device
        self._streams = {
            number: rng.branch(number) for number in (_RESETS, _INTERVALS, _OBSERVATIONS, _ACTIONS)
        }
        start = plan.adaptive.start if plan.adaptive else 1.0
        self.level = torch.full((n,), start, device=device)
        self._store: properties.Store = {}
        self._sight = Sight(engine)
        self._draws: dict[str, Draw] = {}
        self._host: list[str] = []
        self._bodies: dict[str, Body] = {}
        self._items: dict[str, list[int]] = {}
        for name, term in plan.terms.items():
            try:
                self._draws[name] = Draw(term, self._bind(name, num_actions), self.level)
            except ValueError as error:
                raise ValueError(f"randomization {name!r}: {error}") from None
        self._seen = self._of(*SIGHT)
        lasting = [
            name
            for name, draw in self._draws.items()
            if draw.term.when != "step" and draw.term.target != "push" and draw.count
        ]
        self._at_resets = [name for name in lasting if plan.terms[name].when == "reset"]
        self._at_seeds = [name for name in lasting if plan.terms[name].when != "reset"]
        self._steps = {
            name: max(1, round(draw.term.interval_s / step_dt))
            for name, draw in self._draws.items()
            if draw.term.when == "interval"
        }
        self._polls = any(self._draws[name].term.when != "construction" for name in self._host)
        self._pending = torch.zeros(n, dtype=torch.bool, device=device)
        self._clock = torch.zeros(n, dtype=torch.int64, device=device)
        self._ticks = 0
        delays = [draw.most for draw in self._of("action_delay")]
        self._history = torch.zeros(sum(delays) + 1, n, num_actions, device=device)
        self._flight: _Flight | None = None
        self._since = 0
        for name, draw in self._draws.items():
            if draw.term.target == "actuator_strength":
                robot = self._bodies[name]
                assert isinstance(robot, Articulation)
                robot.effort_scale = torch.ones(n, robot.num_dofs, device=device)

    def _bind(self, name: str, num_actions: int) -> int:
        """Finds what a term is about; how many numbers it needs."""
        term = self.plan.terms[name]
        if term.body:
            known = {body.name: body for body in self._engine.bodies()}
            if term.body not in known:
                raise ValueError(f"body must be one of {sorted(known)}, got {term.body!r}")
            self._bodies[name] = known[term.body]
        body = self._bodies.get(name)
        if properties.is_property(term.target):
            self._host.append(name)
            if term.target == "actuator_strength" and body is not None:
                self._items[name] = properties.joints(body, term)
            return properties.bind(name, term, self._engine, body, self._store)
        if term.target in SIGHT:
            return self._sight.bind(term)
        if term.target == "action_delay":
            return 1
        if term.target.startswith("action_"):
            return num_actions
        if term.target.startswith("observation_"):
            return sum(width for _, width in self._observed(name))
        assert body is not None
        bolted = isinstance(body, Articulation) and body.fixed_base
        if term.target.startswith("initial_joint") or (term.target == "push" and bolted):
            self._items[name] = properties.joints(body, term)
            return len(self._items[name])
        if bolted:
            raise ValueError(f"{term.target}: {body.name} is bolted to the world")
        if term.names is not None:
            raise ValueError(f"{term.target}: {body.name} moves as a whole, names must be None")
        return 3 if term.target == "initial_position" else 6

    def _observed(self, name: str) -> list[tuple[str, int]]:
        """Keys (empty for a Box) and widths of the observations that a term disturbs."""
        term = self.plan.terms[name]
        spaces: dict[str, gym.Space[Any]] = {"": self._space}
        if isinstance(self._space, gym.spaces.Dict):
            spaces = dict(self._space.spaces)
        keys = list(spaces) if term.names is None else list(term.names)
        if isinstance(self._space, gym.spaces.Box) and term.names is not None:
            raise ValueError(f"{term.target}: the observation has no keys, names must be None")
        widths = []
        for key in keys:
            if key not in spaces:
                raise ValueError(f"{term.target}: names must be of {sorted(spaces)}, got {key!r}")
            shape, dtype = spaces[key].shape, spaces[key].dtype
            if shape is None or dtype is None or dtype.kind != "f":
                if term.names is None:  # Images beside it stay as they are.
                    continue
                raise ValueError(f"{term.target}: {key or 'the observation'} must be floats")
            widths.append((key, int(torch.Size(shape).numel())))
        return widths

    def _of(self, *targets: str) -> list[Draw]:
        return [draw for draw in self._draws.values() if draw.term.target in targets]

    # ------------------------------------------------------------------ what a user may ask

    @property
    def values(self) -> dict[str, Tensor]:
        """(N, K) present numbers by the term's name: factors, offsets or values as drawn.

        Those of pushes are of the last push; noise has none.
        """
        return {
            name: draw.values.clone()
            for name, draw in self._draws.items()
            if draw.term.when != "step"
        }

    @property
    def ranges(self) -> dict[str, tuple[float, ...]]:
        """Present ranges by the term's name. Reading them waits for the device."""
        return {name: tuple(draw.range.tolist()) for name, draw in self._draws.items()}

    def set_range(self, name: str, *range: float) -> None:
        """Moves a term's range, as a curriculum does; what is drawn from then on comes from it.

        Args:
            name: The term's name.
            *range: As many numbers as the term's `range` has.

        Raises:
            KeyError: If there is no such term.
            ValueError: If it is no range.
        """
        if name not in self._draws:
            raise KeyError(f"no term {name!r}, have {list(self._draws)}")
        self._draws[name].set_range(*range)

    # ------------------------------------------------------------------ within a recorded step

    def begin(self, mask: Tensor, *, seeded: bool) -> None:
        """Draws for the episodes that begin in the (N,) mask, after the task has reset them.

        Args:
            mask: (N,) bool.
            seeded: Whether some may be the first with a new seed; never within a step.
        """
        if not self._draws:
            return
        rng = self._streams[_RESETS]
        rng.begin(0)
        for name in self._at_resets:
            self._take(name, self._draws[name].sample(rng), mask)
            if self._draws[name].term.target.startswith("initial_"):
                self._disturb_state(name, self._draws[name].values, mask)
        # Seeding starts counting episodes at 0; whatever else begins one counts on first.
        fresh = mask & (self._rng.episode == 0)
        # After the others, whose numbers shall not depend on whether these are drawn.
        for name in self._at_seeds if seeded else ():
            values = self._draws[name].sample(rng)
            # What is shared stays so where only some environments are given a seed.
            if not self.plan.terms[name].shared or bool(fresh.all()):
                self._take(name, values, fresh)
        self._sight.show(self._seen)
        if self._host:
            lasting = all(self._draws[name].term.when != "reset" for name in self._host)
            self._pending |= fresh if lasting else mask
        if len(self._history) > 1:
            self._history.masked_fill_(mask.view(1, -1, 1), 0.0)

    def _take(self, name: str, values: Tensor, mask: Tensor) -> None:
        draw = self._draws[name]
        torch.where(mask.unsqueeze(-1), values, draw.values, out=draw.values)
        if draw.term.target == "actuator_strength":
            self._weaken(self._bodies[name])

    def _weaken(self, robot: Body) -> None:
        """Scales a robot's efforts by all terms on its motors, as they scale its drives."""
        assert isinstance(robot, Articulation) and robot.effort_scale is not None
        strength = torch.ones_like(robot.effort_scale)
        for name, draw in self._draws.items():
            if draw.term.target != "actuator_strength" or self._bodies[name] is not robot:
                continue
            for column, joint in enumerate(self._items[name]):
                scaled = properties.operate(draw.term, strength[:, joint], draw.values[:, column])
                strength[:, joint] = scaled.clamp(min=0.0)
        robot.effort_scale.copy_(strength)

    def _disturb_state(self, name: str, values: Tensor, mask: Tensor) -> None:
        body, target = self._bodies[name], self._draws[name].term.target
        if target.startswith("initial_joint"):
            assert isinstance(body, Articulation)
            pos, vel = body.dof_pos, body.dof_vel
            if target == "initial_joint_position":
                pos = self._on_joints(name, pos, values)
            else:
                vel = self._on_joints(name, vel, values)
            pos = torch.clamp(pos, body.dof_limits[:, 0], body.dof_limits[:, 1])
            body.write_dof_state(pos, vel, mask)
            return
        free = isinstance(body, RigidBody)
        pose = body.pose if isinstance(body, RigidBody) else body.root_pose  # type: ignore[attr-defined]
        vel = body.vel if isinstance(body, RigidBody) else body.root_vel  # type: ignore[attr-defined]
        if target == "initial_position":
            pose = torch.cat((pose[:, :3] + values, pose[:, 3:]), dim=-1)
        else:
            vel = vel + values
        write = body.write_state if free else body.write_root_state  # type: ignore[attr-defined]
        write(pose, vel, mask)

    def _on_joints(self, name: str, state: Tensor, values: Tensor) -> Tensor:
        """(N, D) positions or velocities, and a term's numbers on the joints it is about."""
        state = state.clone()
        # By numbers: a GPU would have to be waited for with a list of them.
        for column, joint in enumerate(self._items[name]):
            state[:, joint] += values[:, column]
        return state

    def disturb_actions(self, actions: Tensor) -> None:
        """Adds biases and noise to (N, A) actions in place."""
        for draw in self._of("action_bias"):
            actions.copy_(properties.operate(draw.term, actions, draw.values))
        if noise := self._of("action_noise"):
            rng = self._streams[_ACTIONS]
            rng.begin(self._episode_length)
            for draw in noise:
                actions.copy_(properties.operate(draw.term, actions, draw.sample(rng)))

    def delay_actions(self, actions: Tensor) -> None:
        """Replaces (N, A) actions in place by those of as many steps ago as were drawn."""
        if len(self._history) == 1:
            return
        self._history.copy_(self._history.roll(1, 0))
        self._history[0] = actions
        steps = torch.zeros_like(self._episode_length)
        for draw in self._of("action_delay"):
            steps += draw.whole_steps().clamp_(0, draw.most)
        index = steps.view(1, -1, 1).expand(1, -1, actions.shape[-1])
        actions.copy_(self._history.gather(0, index)[0])

    def observe(self, observations: Any) -> Any:
        """Observations with biases and noise; those given are not changed.

        Noise is a function of the episode and its step: the same state is seen the same way.
        """
        draws = {
            name: draw
            for name, draw in self._draws.items()
            if draw.term.target.startswith("observation_") and draw.count
        }
        if not draws:
            return observations
        rng = self._streams[_OBSERVATIONS]
        rng.begin(self._episode_length)
        parts = dict(observations) if isinstance(observations, dict) else {"": observations}
        for name, draw in draws.items():
            numbers = draw.values if draw.term.when != "step" else draw.sample(rng)
            widths = self._observed(name)
            for (key, _), own in zip(
                widths, numbers.split([width for _, width in widths], dim=-1), strict=True
            ):
                old = parts[key]
                parts[key] = properties.operate(
                    draw.term, old, own.reshape(old.shape).to(old.dtype)
                )
        return parts if isinstance(observations, dict) else parts[""]

    def episodes_ended(self, ended: Tensor, extras: Callable[[], dict[str, Tensor]]) -> None:
        """Moves the levels of the environments whose episodes (N,) ended, by their success."""
        adaptive = self.plan.adaptive
        if adaptive is None:
            return
        found = extras()
        if adaptive.success not in found:
            raise ValueError(
                f"adaptive randomization needs {adaptive.success!r} among the task's extras, "
                f"got {sorted(found)}"
            )
        down = -adaptive.step * adaptive.target / (1.0 - adaptive.target)
        change = torch.where(found[adaptive.success].bool(), adaptive.step, down)
        self.level.add_(change * ended).clamp_(0.0, 1.0)

    # ------------------------------------------------------------------ outside of it

    def restart(self) -> None:
        """Starts counting intervals from 0, where all environments have been seeded."""
        self._ticks = 0
        self._clock.zero_()

    def tick(self) -> None:
        """Before a step: draws what is due, and writes properties that are waiting."""
        if self._steps:
            self._ticks += 1
            self._clock.fill_(self._ticks)
            due = [name for name, steps in self._steps.items() if self._ticks % steps == 0]
            if due:
                self._draw_due(due)
        if not self._host:
            return
        if self._engine.device.type == "cpu":
            if bool(self._pending.any()):
                self.flush()
        elif self._polls:
            self._since += 1
            if self._since >= _BATCH_STEPS:
                self._since = 0
                self._poll()

    def _draw_due(self, due: list[str]) -> None:
        rng = self._streams[_INTERVALS]
        rng.begin(self._ticks)
        everywhere = torch.ones_like(self._pending)
        # All of them, due or not, so that a number does not depend on what else is due.
        for name in self._steps:
            values = self._draws[name].sample(rng)
            if name not in due:
                continue
            self._take(name, values, everywhere)
            if self._draws[name].term.target == "push":
                self._push(name, values)
            elif name in self._host:
                self._pending.fill_(True)
        self._sight.show(self._seen)

    def _push(self, name: str, values: Tensor) -> None:
        body = self._bodies[name]
        if isinstance(body, RigidBody):
            body.write_state(body.pose, body.vel + values)
            return
        assert isinstance(body, Articulation)
        if body.fixed_base:
            body.write_dof_state(body.dof_pos, self._on_joints(name, body.dof_vel, values))
        else:
            body.write_root_state(body.root_pose, body.root_vel + values)

    def _poll(self) -> None:
        """Writes what the last poll sent for, which has arrived, and sends for what waits now."""
        if self._flight is not None:
            rows, numbers = self._flight.land()
            self._write(rows, numbers)
        self._flight = _Flight(self._pending, {n: self._draws[n].values for n in self._host})
        self._pending.zero_()

    def flush(self) -> None:
        """Writes at once what is waiting. On a GPU this waits for the device."""
        if not self._host:
            return
        rows = self._pending.to("cpu", copy=True)
        if self._flight is not None:
            rows = rows | self._flight.land()[0]
        self._write(rows, {name: self._draws[name].values.cpu() for name in self._host})
        self._flight = None
        self._pending.zero_()

    def _write(self, rows: Tensor, numbers: dict[str, Tensor]) -> None:
        if bool(rows.any()):
            for part in self._store.values():
                part.write(rows, numbers)

    # ------------------------------------------------------------------ saving and restoring

    def buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Live (N, ...) tensors that belong to an environment's state, by name."""
        if not self._draws:
            return
        yield "level", self.level
        yield "clock", self._clock
        if len(self._history) > 1:
            yield "history", self._history.transpose(0, 1)
        for name, draw in self._draws.items():
            if draw.term.when != "step":
                yield f"values/{name}", draw.values

    def restored(self, mask: Tensor) -> None:
        """Brings the engine in line with buffers that were set in the (N,) mask."""
        if bool(mask.all()):
            self._ticks = int(self._clock[0])
        for name, draw in self._draws.items():
            if draw.term.target == "actuator_strength":
                self._take(name, draw.values.clone(), mask)
        self._sight.show(self._seen)
        self._pending |= mask
        self.flush()


class _Flight:
    """Tensors on their way to the host, which does not wait for them."""

    def __init__(self, rows: Tensor, numbers: dict[str, Tensor]) -> None:
        self._rows = self._send(rows)
        self._numbers = {name: self._send(values) for name, values in numbers.items()}
        self._event = torch.cuda.Event()
        self._event.record(torch.cuda.current_stream(rows.device))

    @staticmethod
    def _send(values: Tensor) -> Tensor:
        target = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        return target.copy_(values, non_blocking=True)

    def land(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The tensors; waits for them, if they were sent just now."""
        self._event.synchronize()
        return self._rows, self._numbers
