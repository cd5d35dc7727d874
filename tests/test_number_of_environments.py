"""Where the number of environments might be felt in newton's deterministic mode, part by part.

`test_determinism.py` compares whole rollouts; if one of those differs, these tests tell where.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.controllers import differential_ik, shift_jacobian
from isaac_gymnasium.engines import available_engines

pytestmark = pytest.mark.skipif("newton" not in available_engines(), reason="needs newton")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
PLACES = ["cpu", pytest.param("cuda:0", marks=[pytest.mark.gpu, needs_cuda])]
STEPS = 40


def differing(few: dict[str, Tensor], many: dict[str, Tensor]) -> dict[str, float]:
    """Largest differences of the quantities whose rows are not the same to the bit."""
    return {
        name: float((values - many[name][: len(values)]).abs().max())
        for name, values in few.items()
        if not torch.equal(values, many[name][: len(values)])
    }


@dataclass
class Pair:
    """The same task with few and with many environments, and joint targets for all steps."""

    few: Any
    many: Any
    targets: Tensor

    def each(self) -> list[Any]:
        return [self.few, self.many]


def state(env: Any) -> dict[str, Tensor]:
    robot, cube = env.task.robot, env.task.cube
    return {
        "dof_pos": robot.dof_pos.clone(),
        "dof_vel": robot.dof_vel.clone(),
        "cube pose": cube.pose.clone(),
        "cube vel": cube.vel.clone(),
    }


@pytest.fixture(scope="module", params=PLACES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    numbers = (8, 64) if request.param == "cpu" else (64, 1024)
    few, many = (
        gym.make_vec(
            "IsaacFrankaCube-v0",
            num_envs=n,
            engine="newton",
            device=request.param,
            deterministic=True,
        ).unwrapped
        for n in numbers
    )
    many.reset(seed=2)
    targets = []
    for k in range(STEPS):
        actions = torch.rand(numbers[1], 7, generator=torch.Generator().manual_seed(k)) * 2 - 1
        actions[:, 2] -= 0.5  # hands press on cubes and on the ground
        actions[:, 6] = -1.0
        many.step(actions)
        targets.append(many.task.arm.targets.clone())
    yield Pair(few, many, torch.stack(targets))
    few.close()
    many.close()


def test_physics_alone(pair: Pair) -> None:
    for env in pair.each():
        env.reset(seed=2)
    assert not differing(*map(state, pair.each())), "they should start alike"
    for k, targets in enumerate(pair.targets):
        for env in pair.each():
            env.task.robot.set_dof_targets(targets[: env.num_envs])
            env.engine.step(2)
        assert not differing(*map(state, pair.each())), f"after {k + 1} steps"
    moved = pair.many.task.cube.vel.norm(dim=-1)
    assert bool((moved > 1e-3).any()), "some hand should have pushed a cube"


def test_what_follows_from_a_state(pair: Pair) -> None:
    # Both are written to, so that the poses of links come from the same kernel.
    given = state(pair.many)
    generator = torch.Generator().manual_seed(9)
    actions = (torch.rand(pair.many.num_envs, 7, generator=generator) * 2 - 1).to(pair.many.device)
    found = []
    for env in pair.each():
        task, n = env.task, env.num_envs
        task.robot.write_dof_state(given["dof_pos"][:n], given["dof_vel"][:n])
        task.cube.write_state(given["cube pose"][:n], given["cube vel"][:n])
        follows = {
            "link_pose": task.robot.link_pose.clone(),
            "link_vel": task.robot.link_vel.clone(),
            "jacobian": task.robot.jacobian.clone(),
            "jacobian of the fingertips": task.arm.jacobian(),
            "fingertips": task.fingertip_position(),
        }
        task.pre_physics_step(actions[:n])
        follows |= {"targets": task.arm.targets.clone(), "observations": task.get_observations()}
        follows |= {f"reward {name}": term for name, term in task.get_rewards().items()}
        found.append(follows)
    assert not differing(*found)


@pytest.mark.parametrize("place", PLACES)
def test_inverse_kinematics_alone(place: str) -> None:
    generator = torch.Generator().manual_seed(4)
    shapes = ((6, 7), (6,), (7,), (3,))
    given = [torch.randn(4096, *shape, generator=generator).to(place) for shape in shapes]

    def solve(jacobian: Tensor, error: Tensor, posture: Tensor, arm: Tensor) -> dict[str, Tensor]:
        gram = jacobian.unsqueeze(2) * jacobian.unsqueeze(1)
        return {
            "shift": shift_jacobian(jacobian, arm),
            "gram": gram.sum(-1),
            "norm": arm.norm(dim=-1),
            "tanh": torch.tanh(arm),
            "step": differential_ik(jacobian, error, posture_step=posture),
        }

    everyone = solve(*given)
    for n in (8, 64, 1000, 1024):
        assert not differing(solve(*(values[:n] for values in given)), everyone), f"of {n}"
