"""A test bench: a carriage on a rail that a spring holds, and a cube on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.scene.builder import Scene
from isaac_gymnasium.scene.model import Joint, Link, Material, Robot, box, box_inertial
from isaac_gymnasium.task import Task
from isaac_gymnasium.vector_env import IsaacVectorEnv

MASS, STIFFNESS, EDGE, CUBE_MASS = 2.0, 200.0, 0.1, 1.0
N = 8


@dataclass(kw_only=True)
class Bench(Task):
    """The carriage starts at `start`, the cube slides with `speed`; actions are forces, N."""

    num_actions: ClassVar[int] = 1
    num_observations: ClassVar[int] = 4

    episode_length_s: float = 100.0
    start: float = 0.0
    speed: float = 0.0
    height: float = 0.0
    stiffness: float = STIFFNESS
    force: float = 10.0

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground(material=Material(static_friction=0.1, dynamic_friction=0.1))
        size = (0.2, 0.2, 0.2)
        scene.add_robot(
            "Slider",
            Robot(
                links=(
                    Link(name="rail", inertial=box_inertial(1.0, size)),
                    Link(name="carriage", inertial=box_inertial(MASS, size)),
                ),
                joints=(
                    Joint(
                        name="slide",
                        kind="prismatic",
                        parent="rail",
                        child="carriage",
                        axis=(1.0, 0.0, 0.0),
                        limits=(-1.0, 1.0),
                        stiffness=self.stiffness,
                        effort_limit=1e5,
                        velocity_limit=1e3,
                    ),
                ),
            ),
            position=(0.0, 3.0, 1.0),
        )
        material = Material(static_friction=0.5, dynamic_friction=0.5, combine="max")
        scene.add_rigid_body(
            "Cube", box((EDGE,) * 3, material=material), mass=CUBE_MASS, position=(0, 0, EDGE / 2)
        )

    def post_reset(self) -> None:
        self.slider = self.engine.articulation("Slider")
        self.cube = self.engine.rigid_body("Cube")

    def pre_physics_step(self, actions: Tensor) -> None:
        self.slider.set_dof_efforts(self.force * actions)

    def get_observations(self) -> Tensor:
        x = self.cube.pose[:, :1] - self.engine.env_origins[:, :1]
        return torch.cat((self.slider.dof_pos, self.slider.dof_vel, x, self.cube.vel[:, :1]), -1)

    def get_rewards(self) -> dict[str, Tensor]:
        return {"none": torch.zeros(self.num_envs, device=self.device)}

    def get_extras(self) -> dict[str, Tensor]:
        return {"success": self.slider.dof_pos[:, 0] > 0.0}

    def reset_envs(self, mask: Tensor, rng: Any) -> None:
        pos = torch.full((self.num_envs, 1), self.start, device=self.device)
        self.slider.write_dof_state(pos, torch.zeros_like(pos), mask)
        pose = torch.zeros(self.num_envs, 7, device=self.device)
        pose[:, 2], pose[:, 6] = EDGE / 2 + self.height, 1.0
        pose[:, :3] += self.engine.env_origins
        vel = torch.zeros(self.num_envs, 6, device=self.device)
        vel[:, 0] = self.speed
        self.cube.write_state(pose, vel, mask)


def make(
    terms: Any,
    engine: str = "physx",
    num_envs: int = N,
    device: str | torch.device = "cpu",
    **kwargs: Any,
) -> IsaacVectorEnv:
    return IsaacVectorEnv(
        Bench, num_envs, engine=engine, device=device, randomization=terms, **kwargs
    )


def play(env: IsaacVectorEnv, steps: int, action: float = 0.0, seed: int | None = 0) -> Tensor:
    """(T + 1, N, 4) observations."""
    found = [env.reset(seed=seed)[0]]
    actions = torch.full((env.num_envs, 1), action)
    found += [env.step(actions)[0] for _ in range(steps)]
    return torch.stack(found)
