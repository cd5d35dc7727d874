"""The same task on several engines: what is equal, and by how much the rest differs.

Engines agree on what was authored (names, masses, drives) and on what follows at once from it. They
part where contacts are solved. `measure` looks at one engine, `compare` at what it saw on each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from isaac_gymnasium.engines import Articulation, Engine, RigidBody
from isaac_gymnasium.vector_env import IsaacVectorEnv

RESPONSE_TIME = 0.1
"""How long bodies fall, and drives pull, s."""
_LIFT = 1.0
"""Height by which bodies that can fall are lifted, so that they touch nothing, m."""
_STEP = 0.1
"""Largest step of a drive's target, rad or m."""
_EFFORT = 1.0
"""Effort on joints without a drive, N m or N."""
_HOLD = 0.2
"""How long the random actions of the open loop are held, s."""


@dataclass(kw_only=True)
class Measurement:
    """What one engine makes of a task.

    Attributes:
        engine: The engine's name.
        step_dt: Length of an environment step, s.
        names: Names of joints and links in tensor order, by what they are of.
        totals: Mass (kg) and sum of the principal moments of inertia (kg m^2), by body.
        gravity: (K,) displacement after `RESPONSE_TIME` of falling, by body: joints of a robot in
            rad or m, height of what is free in m.
        drive: (K,) further displacement of a robot's joints once their drives are given a step, or
            an effort where they have none, by robot.
        path: (T, N, K) positions over time for the same actions, by what they are of.
        running: (T, N) whether the episode has lasted until then.
    """

    engine: str
    step_dt: float = 0.0
    names: dict[str, list[str]] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    gravity: dict[str, Tensor] = field(default_factory=dict)
    drive: dict[str, Tensor] = field(default_factory=dict)
    path: dict[str, Tensor] = field(default_factory=dict)
    running: Tensor = field(default_factory=lambda: torch.ones(0, 0, dtype=torch.bool))


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        check: What is compared.
        values: What each engine has, in the order of the engines.
        difference: Between the first engine and the one farthest from it, in words.
        amount: The same as a number, 0 where nothing differs.
    """

    check: str
    values: tuple[str, ...]
    difference: str
    amount: float


def measure(
    make: Callable[[str], IsaacVectorEnv], engine: str, *, seed: int = 0, seconds: float = 1.0
) -> Measurement:
    """Makes a task on an engine and looks at it; closes it in the end.

    Args:
        make: Makes the environments, with same-step autoreset, on an engine of this name.
        engine: The engine.
        seed: Of the initial states and of the actions.
        seconds: Length of the open loop, s.
    """
    env = make(engine)
    found = Measurement(engine=engine, step_dt=env.task.step_dt)
    try:
        env.reset(seed=seed)
        _describe(env.engine, found)
        still = _response(env, seed, driven=False)
        moved = _response(env, seed, driven=True)
        found.gravity = still
        robots = [b.name for b in env.engine.bodies() if isinstance(b, Articulation)]
        found.drive = {name: moved[name] - still[name] for name in robots}
        _open_loop(env, seed, seconds, found)
    finally:
        env.close()
    return found


def _describe(engine: Engine, found: Measurement) -> None:
    for body in engine.bodies():
        if isinstance(body, Articulation):
            found.names[f"{body.name}: joints"] = list(body.dof_names)
            found.names[f"{body.name}: links"] = list(body.link_names)
        mass, inertia = body.get_property("mass"), body.get_property("inertia")
        trace = inertia.unflatten(-1, (3, 3)).diagonal(dim1=-2, dim2=-1)
        found.totals[f"{body.name}: mass, kg"] = float(mass.reshape(len(mass), -1)[0].sum())
        found.totals[f"{body.name}: inertia, kg m²"] = float(trace.reshape(len(mass), -1)[0].sum())


def _response(env: IsaacVectorEnv, seed: int, *, driven: bool) -> dict[str, Tensor]:
    """Displacements after a time of falling, from rest, with the drives at or off their targets."""
    env.reset(seed=seed)
    engine = env.engine
    joints: dict[str, Tensor] = {}
    heights: dict[str, Tensor] = {}
    for body in engine.bodies():
        if isinstance(body, Articulation):
            joints[body.name] = _let_go(body, driven=driven)
            if not body.fixed_base:
                heights[f"{body.name} base"] = _raise(body.root_pose, body.write_root_state)
        elif isinstance(body, RigidBody):
            heights[body.name] = _raise(body.pose, body.write_state)
    for _ in range(round(RESPONSE_TIME / engine.dt)):
        engine.step()
    moved: dict[str, Tensor] = {}
    for body in engine.bodies():
        if isinstance(body, Articulation):
            moved[body.name] = (body.dof_pos - joints[body.name]).mean(0).cpu()
            if not body.fixed_base:
                name = f"{body.name} base"
                moved[name] = (body.root_pose[:, 2] - heights[name]).mean(0, keepdim=True).cpu()
        elif isinstance(body, RigidBody):
            name = body.name
            moved[name] = (body.pose[:, 2] - heights[name]).mean(0, keepdim=True).cpu()
    return moved


def _let_go(robot: Articulation, *, driven: bool) -> Tensor:
    pos = robot.dof_pos.clone()
    targets, efforts = pos.clone(), torch.zeros_like(pos)
    if driven:
        drives = robot.get_property("dof_stiffness").to(pos.device) > 0.0
        lower, upper = robot.dof_limits.unbind(-1)
        step = (0.05 * (upper - lower)).clamp(max=_STEP)
        middle = torch.where(upper - lower < 1e6, 0.5 * (lower + upper), pos + 1.0)
        targets += torch.where(middle > pos, step, -step) * drives
        efforts += robot.effort_limits.clamp(max=_EFFORT) * ~drives
    robot.write_dof_state(pos, torch.zeros_like(pos))
    robot.set_dof_targets(targets)
    robot.set_dof_velocity_targets(torch.zeros_like(pos))
    robot.set_dof_efforts(efforts)
    return pos


def _raise(pose: Tensor, write: Callable[[Tensor, Tensor], None]) -> Tensor:
    raised = pose.clone()
    raised[:, 2] += _LIFT
    write(raised, torch.zeros_like(raised[:, :6]))
    return raised[:, 2].clone()


def _open_loop(env: IsaacVectorEnv, seed: int, seconds: float, found: Measurement) -> None:
    env.reset(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    space = env.single_action_space
    shape = (env.num_envs, *(space.shape or ()))
    low, high = torch.from_numpy(space.low), torch.from_numpy(space.high)  # type: ignore[attr-defined]
    steps, hold = round(seconds / found.step_dt), max(1, round(_HOLD / found.step_dt))
    running = torch.ones(env.num_envs, dtype=torch.bool)
    paths: dict[str, list[Tensor]] = {}
    lasted = []
    for k in range(steps):
        if k % hold == 0:
            actions = low + (high - low) * torch.rand(shape, generator=generator)
        _, _, terminated, truncated, _ = env.step(actions)
        running = running & ~(terminated | truncated).cpu()
        lasted.append(running)
        for name, values in _positions(env.engine).items():
            paths.setdefault(name, []).append(values.cpu())
    found.path = {name: torch.stack(values) for name, values in paths.items()}
    found.running = torch.stack(lasted)


def _positions(engine: Engine) -> dict[str, Tensor]:
    positions: dict[str, Tensor] = {}
    for body in engine.bodies():
        if isinstance(body, Articulation):
            positions[f"{body.name} joints"] = body.dof_pos.clone()
            if not body.fixed_base:
                positions[f"{body.name} base"] = body.root_pose[:, :3] - engine.env_origins
        elif isinstance(body, RigidBody):
            positions[body.name] = body.pose[:, :3] - engine.env_origins
    return positions


# ---------------------------------------------------------------------- comparing


def compare(found: Sequence[Measurement]) -> list[Row]:
    """Rows of a table: what each engine has, and how far the others are from the first."""
    first, *others = found
    rows: list[Row] = []
    for name, order in first.names.items():
        wrong = [m.engine for m in others if m.names.get(name) != order]
        counts = tuple(str(len(m.names.get(name, ()))) for m in found)
        told = f"names or order differ on {', '.join(wrong)}" if wrong else "same names and order"
        rows.append(Row(name, counts, told, float(len(wrong))))
    for name in first.totals:
        values = [m.totals[name] for m in found]
        rows.append(_relative(name, values))
    for label, kind in (("gravity", "gravity"), ("drive", "drive")):
        for name in getattr(first, kind):
            rows.append(_displacement(f"{name}: {label}, {RESPONSE_TIME} s", name, kind, found))
    for name in first.path:
        rows.append(_drift(name, found))
    return rows


def _relative(name: str, values: list[float]) -> Row:
    apart = max(abs(v - values[0]) for v in values[1:]) / max(abs(values[0]), 1e-12)
    return Row(name, tuple(f"{v:.6g}" for v in values), f"{100 * apart:.2g} %", apart)


def _displacement(check: str, name: str, kind: str, found: Sequence[Measurement]) -> Row:
    moved = [getattr(m, kind)[name] for m in found]
    largest = int(moved[0].abs().argmax())
    apart = float(max((m - moved[0]).abs().max() for m in moved[1:]))
    values = tuple(f"{float(m[largest]):.5f}" for m in moved)
    share = apart / max(float(moved[0].abs().max()), 1e-9)
    told = f"{apart:.1e}" + (f" ({100 * share:.2g} %)" if apart > 1e-6 else "")
    return Row(check, values, told, apart)


def drift(name: str, first: Measurement, other: Measurement) -> Tensor:
    """(T,) RMS distance between two engines over the environments that run on both; nan if none."""
    both = (first.running & other.running).unsqueeze(-1)
    square = (first.path[name] - other.path[name]).square() * both
    count = both.sum((1, 2)) * first.path[name].shape[-1]
    return (square.sum((1, 2)) / count).sqrt()


def _drift(name: str, found: Sequence[Measurement]) -> Row:
    first = found[0]
    errors = torch.stack([drift(name, first, m) for m in found[1:]]).amax(0)
    steps = len(errors)
    moved = tuple(f"{_moved(name, m):.3f}" for m in found)
    marks = [max(0, round(share * steps) - 1) for share in (0.1, 0.5, 1.0)]
    times = ", ".join(f"{(k + 1) * first.step_dt:.1f} s" for k in marks)
    known = errors[~errors.isnan()]
    told = ", ".join(_or_ended(float(errors[k])) for k in marks)
    last = float(known[-1]) if len(known) else 0.0
    return Row(f"{name}: RMS motion; error at {times}", moved, told, last)


def _or_ended(error: float) -> str:
    return "(all ended)" if math.isnan(error) else f"{error:.2g}"


def _moved(name: str, one: Measurement) -> float:
    path = one.path[name]
    rows = one.running.unsqueeze(-1)
    square = (path - path[:1]).square() * rows
    return float((square.sum() / (rows.sum() * path.shape[-1]).clamp(min=1)).sqrt())


def as_table(rows: Sequence[Row], engines: Sequence[str]) -> str:
    """The rows as a table in Markdown, its columns aligned."""
    lines = [["check", *engines, "difference"]]
    lines += [[row.check, *row.values, row.difference] for row in rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def as_data(rows: Sequence[Row], found: Sequence[Measurement]) -> dict[str, Any]:
    """Rows and error curves, fit for JSON."""
    first = found[0]
    return {
        "engines": [m.engine for m in found],
        "step_dt": first.step_dt,
        "rows": [{"check": r.check, "values": r.values, "difference": r.amount} for r in rows],
        "errors": {
            m.engine: {
                name: [None if math.isnan(e) else e for e in drift(name, first, m).tolist()]
                for name in first.path
            }
            for m in found[1:]
        },
    }


def draw(found: Sequence[Measurement], title: str) -> Any:
    """A Matplotlib figure of the open-loop errors over time."""
    from matplotlib.figure import Figure

    first, names = found[0], list(found[0].path)
    figure = Figure(figsize=(3.6 * len(names), 3.2), layout="constrained")
    figure.suptitle(title)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        time = first.step_dt * torch.arange(1, len(first.running) + 1)
        for other in found[1:]:
            axes.semilogy(time, drift(name, first, other).clamp(min=1e-8), label=other.engine)
        axes.set(title=name, xlabel="s", ylabel=f"RMS distance to {first.engine}, rad or m")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
