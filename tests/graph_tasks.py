"""Tasks that a step's recording as a graph has to be right about."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.scene import sphere
from isaac_gymnasium.scene.builder import Scene


@dataclass(kw_only=True)
class Blown(Cartpole):
    """A free body pushed by the actions."""

    def set_up_scene(self, scene: Scene) -> None:
        super().set_up_scene(scene)
        scene.add_rigid_body("Leaf", sphere(0.1), mass=0.5, position=(3.0, 0.0, 50.0))

    def post_reset(self) -> None:
        super().post_reset()
        self.leaf = self.engine.rigid_body("Leaf")

    def pre_physics_step(self, actions: Tensor) -> None:
        super().pre_physics_step(actions)
        force = torch.nn.functional.pad(actions, (0, 2))
        self.leaf.apply_wrench(force, torch.zeros_like(force))

    def get_extras(self) -> dict[str, Tensor]:
        return {"success": self.leaf.vel[:, 0]}


@dataclass(kw_only=True)
class ReadingBack(Cartpole):
    """Asks for link poses right after writing the joints they follow from."""

    def pre_physics_step(self, actions: Tensor) -> None:
        self.robot.write_dof_state(self.robot.dof_pos, 0.99 * self.robot.dof_vel)
        height = self.robot.link_pose[:, self.robot.link_index("pole"), 2:3]
        super().pre_physics_step(actions * height)


@dataclass(kw_only=True)
class Randomised(Cartpole):
    """Changes a property of the robot with every step."""

    def pre_physics_step(self, actions: Tensor) -> None:
        damping = self.robot.get_property("dof_damping")
        self.robot.set_property("dof_damping", damping * 1.05)
        super().pre_physics_step(actions)


@dataclass(kw_only=True)
class Looking(Cartpole):
    """Looks at a tensor on the host."""

    def get_rewards(self) -> dict[str, Tensor]:
        terms = super().get_rewards()
        return {name: term * float(term.mean().item()) for name, term in terms.items()}


@dataclass(kw_only=True)
class Counting(Cartpole):
    """Counts its steps in Python."""

    def post_reset(self) -> None:
        super().post_reset()
        self.steps = 0

    def pre_physics_step(self, actions: Tensor) -> None:
        self.steps += 1
        super().pre_physics_step(actions / self.steps)
