"""One of each shape, standing still, for cameras to look at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pxr import Gf, UsdGeom
from torch import Tensor

from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene import box, capsule, cylinder, sphere
from isaac_gymnasium.scene.builder import ENV_0
from isaac_gymnasium.task import Task

RED, GREEN, BLUE = (0.8, 0.05, 0.05), (0.05, 0.8, 0.05), (0.05, 0.05, 0.8)
HALF = 0.5**0.5


@dataclass(kw_only=True)
class StillLife(Task):
    """Shapes in a row along x, 2 m apart and 1 m above the ground, and a Franka apart from them."""

    num_actions = 1
    num_observations = 1

    env_spacing: float = 40.0
    robot: bool = False

    def set_up_scene(self, scene) -> None:
        scene.add_ground()
        scene.add_static("Ball", sphere(0.5, color=RED), position=(0.0, 0.0, 1.0))
        scene.add_static("Crate", box((0.4, 0.6, 0.8), color=GREEN), position=(2.0, 0.0, 1.0))
        scene.add_static(
            "Pill",
            capsule(0.2, 0.6, color=BLUE, orientation=(HALF, 0.0, 0.0, HALF)),  # along -y
            position=(4.0, 0.0, 1.0),
        )
        scene.add_static("Can", cylinder(0.3, 0.8), position=(6.0, 0.0, 1.0))
        cone = UsdGeom.Cone.Define(scene.stage, f"{ENV_0}/Cone")
        cone.CreateRadiusAttr(0.3)
        cone.CreateHeightAttr(0.8)
        cone.AddTranslateOp().Set(Gf.Vec3d(8.0, 0.0, 1.0))
        self.add_pyramid(scene)
        egg = UsdGeom.Sphere.Define(scene.stage, f"{ENV_0}/Egg")
        egg.CreateRadiusAttr(1.0)
        egg.AddTranslateOp().Set(Gf.Vec3d(12.0, 0.0, 1.0))
        egg.AddScaleOp().Set(Gf.Vec3f(0.3, 0.5, 0.4))
        # A ball and its double, turned, so that their surfaces coincide but for rounding.
        turned = (0.5, 0.1, 0.3, 0.8062258)
        scene.add_static("Twin", sphere(0.3, color=RED), position=(6.0, 8.0, 1.0))
        scene.add_static(
            "Double", sphere(0.3, color=GREEN), position=(6.0, 8.0, 1.0), orientation=turned
        )
        hidden = UsdGeom.Sphere.Define(scene.stage, f"{ENV_0}/Hidden")
        hidden.AddTranslateOp().Set(Gf.Vec3d(0.0, -1.5, 1.0))
        hidden.MakeInvisible()
        scene.add_rigid_body(
            "Dice", box((0.2, 0.2, 0.2), color=RED), density=500.0, position=(0.0, 3.0, 0.1)
        )
        if self.robot:
            scene.add_robot("Robot", franka(), position=(0.0, 6.0, 0.0))

    def add_pyramid(self, scene) -> None:
        """A mesh with a square of edge 1 as its base, 0.6 high, in a scaled frame."""
        mesh = UsdGeom.Mesh.Define(scene.stage, f"{ENV_0}/Pyramid")
        mesh.CreatePointsAttr([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0), (0, 0, 1)])
        mesh.CreateFaceVertexCountsAttr([4, 3, 3, 3, 3])
        mesh.CreateFaceVertexIndicesAttr([3, 2, 1, 0, 0, 1, 4, 1, 2, 4, 2, 3, 4, 3, 0, 4])
        mesh.CreateDisplayColorAttr([Gf.Vec3f(*BLUE)])
        mesh.AddTranslateOp().Set(Gf.Vec3d(10.0, 0.0, 1.0))
        mesh.AddScaleOp().Set(Gf.Vec3f(0.5, 0.5, 0.6))

    def post_reset(self) -> None:
        self.dice = self.engine.rigid_body("Dice")
        if self.robot:
            self.arm = self.engine.articulation("Robot")
            self.home = self.arm.dof_pos.clone()

    def pre_physics_step(self, actions: Tensor) -> None:
        pass

    def get_observations(self) -> Tensor:
        return torch.zeros(self.num_envs, 1, device=self.device)

    def get_rewards(self) -> dict[str, Tensor]:
        return {"none": torch.zeros(self.num_envs, device=self.device)}

    def reset_envs(self, mask: Tensor, rng) -> None:
        pose = torch.zeros(self.num_envs, 7, device=self.device)
        pose[:, :3] = torch.tensor([0.0, 3.0, 0.1], device=self.device) + self.engine.env_origins
        pose[:, 6] = 1.0
        self.dice.write_state(pose, torch.zeros_like(pose[:, :6]), mask)
