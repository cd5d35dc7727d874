"""Turns an authored scene into a Newton model: one world an environment, ground shared by all.

`ModelBuilder.add_usd` reads most of what a scene holds. What it does not read, or reads into
something that MuJoCo's solver ignores, is set here: armature, joint friction and speed limits,
weightless bodies, and restitution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from isaac_gymnasium.engines.base import EngineError
from isaac_gymnasium.engines.newton.friction import Surface, priorities
from isaac_gymnasium.engines.newton.materials import IMPEDANCE, STOP, contact_gains

if TYPE_CHECKING:
    from isaac_gymnasium.scene.builder import Scene

UNLIMITED = torch.finfo(torch.float32).max
"""What an engine says where nothing limits a joint."""

_POINTS_OF_A_PAIR = 8
_AS_MUJOCO_HAS_IT = 1
"""Newton's mode of a joint's stops that are told as a time constant and a share of damping."""


@dataclass(frozen=True, kw_only=True)
class ArticulationLayout:
    """Where the parts of a robot lie within one world, in the order of `Articulation`.

    Attributes:
        index: Of the articulation.
        links: Bodies, root first.
        rows: Rows of the links in the articulation's Jacobian.
        coords: Joint coordinates of the degrees of freedom.
        dofs: Joint velocities of the degrees of freedom.
        columns: Columns of the degrees of freedom in the articulation's Jacobian.
        root: First coordinate and first velocity of a floating base, None for a fixed one.
        link_names: Names of the links.
        dof_names: Names of the degrees of freedom.
    """

    index: int
    links: list[int]
    rows: list[int]
    coords: list[int]
    dofs: list[int]
    columns: list[int]
    root: tuple[int, int] | None
    link_names: list[str]
    dof_names: list[str]


class World:
    """One environment as Newton's builder holds it, and the model of all environments.

    Args:
        scene: The authored scene.
        num_envs: Number of worlds.
        dt: Length of a physics step, s; bounces are tuned to it.
        device: A Warp device's name.

    Attributes:
        builder: The builder of one world.
        model: The model of all worlds.
        bounces: Whether any material has a restitution.
        driven: Whether any joint has a drive that contacts should feel.
        ground_is_mesh: Whether the ground is a mesh.
        reports: Whether contact forces on any body can be asked for.
        shape_labels: Prim paths of the shapes of all worlds.
    """

    def __init__(self, scene: Scene, num_envs: int, dt: float, device: str) -> None:
        import newton
        from pxr import Usd, UsdGeom

        from isaac_gymnasium.scene.builder import ENV_0

        self.stage = scene.stage
        self.builder = self._read(ENV_0, dt)
        shared = []
        self.ground_is_mesh = False
        for prim in self.stage.GetPrimAtPath("/World").GetChildren():
            if prim.IsA(UsdGeom.Gprim):
                shared.append(self._read(str(prim.GetPath()), dt))
                self.ground_is_mesh |= bool(prim.IsA(UsdGeom.Mesh))
        self._combine_frictions([self.builder, *shared])
        everything = newton.ModelBuilder()
        newton.solvers.SolverMuJoCo.register_custom_attributes(everything)
        everything.replicate(self.builder, num_envs)
        for builder in shared:
            everything.add_builder(builder)
        self.model = everything.finalize(device=device)
        self.bounces = max([0.0, *everything.shape_material_restitution]) > 0.0
        self.driven = self._driven(dt)
        self.reports = any(
            prim.HasAttribute("physxContactReport:threshold")
            for prim in Usd.PrimRange(self.stage.GetPrimAtPath(ENV_0))
        )
        self.shape_labels: list[str] = list(self.model.shape_label)

    def _driven(self, dt: float) -> bool:
        """Whether a drive weighs more within a step than a tenth of its rotor's inertia."""
        joints = self.builder
        drives = zip(
            joints.joint_target_ke, joints.joint_target_kd, joints.joint_armature, strict=True
        )
        return any(dt * (kd + dt * ke) > 0.1 * armature for ke, kd, armature in drives)

    def _read(self, root: str, dt: float) -> Any:
        import newton

        builder = newton.ModelBuilder()
        newton.solvers.SolverMuJoCo.register_custom_attributes(builder)
        builder.add_usd(
            self.stage,
            root_path=root,
            schema_resolvers=[
                newton.usd.SchemaResolverNewton(),
                newton.usd.SchemaResolverPhysx(),
            ],
        )
        self._complete_joints(builder)
        self._complete_bodies(builder)
        solimp = _custom(builder, "mujoco:geom_solimp")
        for shape, restitution in enumerate(builder.shape_material_restitution):
            stiffness, damping = contact_gains(torch.tensor(restitution), dt)
            builder.shape_material_ke[shape] = float(stiffness)
            builder.shape_material_kd[shape] = float(damping)
            solimp[shape] = IMPEDANCE
            # MuJoCo takes contacts within a margin as active; a gap would only cost pairs.
            builder.shape_gap[shape] = 0.0
        return builder

    def _complete_joints(self, builder: Any) -> None:
        import newton

        reference, impedance, mode = (
            _custom(builder, f"mujoco:{name}")
            for name in ("solreflimit", "solimplimit", "solreflimit_mode")
        )
        for joint, dof in _scalar_joints(builder):
            prim = self.stage.GetPrimAtPath(builder.joint_label[joint])
            angular = builder.joint_type[joint] == newton.JointType.REVOLUTE
            axis = "angular" if angular else "linear"
            radian = math.radians(1.0) if angular else 1.0

            def authored(name: str, default: float, prim: Any = prim, axis: str = axis) -> float:
                for api in (f"physxJointAxis:{axis}", "physxJoint"):
                    value = prim.GetAttribute(f"{api}:{name}").Get() if prim else None
                    if value is not None:
                        return float(value)
                return default

            builder.joint_armature[dof] = authored("armature", builder.joint_armature[dof])
            builder.joint_friction[dof] = authored("dynamicFrictionEffort", 0.0)
            speed = authored("maxJointVelocity", math.inf)
            builder.joint_velocity_limit[dof] = min(speed * radian, UNLIMITED)
            # Stops as hard as contacts: Newton's own give way by a centimetre to a gripper's drive.
            reference[dof], impedance[dof], mode[dof] = STOP, IMPEDANCE, _AS_MUJOCO_HAS_IT
            # With both, every gain can be changed later, and velocity targets are heard.
            builder.joint_target_mode[dof] = newton.JointTargetMode.POSITION_VELOCITY

    def _complete_bodies(self, builder: Any) -> None:
        weightless = _custom(builder, "mujoco:gravcomp")
        for body, path in enumerate(builder.body_label):
            prim = self.stage.GetPrimAtPath(path)
            if prim and prim.GetAttribute("physxRigidBody:disableGravity").Get():
                weightless[body] = 1.0

    def _combine_frictions(self, builders: list[Any]) -> None:
        from pxr import UsdShade

        surfaces: dict[tuple[int, int], Surface] = {}
        for k, builder in enumerate(builders):
            for shape, path in enumerate(builder.shape_label):
                binding = UsdShade.MaterialBindingAPI(self.stage.GetPrimAtPath(path))
                material = binding.ComputeBoundMaterial("physics")[0].GetPrim()
                name = "physxMaterial:frictionCombineMode"
                mode = material.GetAttribute(name).Get() if material else None
                friction = float(builder.shape_material_mu[shape])
                surfaces[k, shape] = Surface(friction, mode or "average")
        chosen = priorities(list(surfaces.values()))
        for (k, shape), surface in surfaces.items():
            _custom(builders[k], "mujoco:geom_priority")[shape] = chosen[surface]

    # ------------------------------------------------------------------ finding things

    def body(self, path: str) -> int:
        """Index, within a world, of the body authored at a path; -1 where there is none."""
        labels = self.builder.body_label
        return labels.index(path) if path in labels else -1

    def free_body(self, path: str) -> tuple[int, int, int]:
        """Body, first coordinate and first velocity of a free body.

        Raises:
            EngineError: If there is no free body at this path.
        """
        import newton

        body, b = self.body(path), self.builder
        joints = [j for j in range(b.joint_count) if b.joint_child[j] == body]
        if body < 0 or not joints or b.joint_type[joints[0]] != newton.JointType.FREE:
            raise EngineError(f"{path}: no rigid body here")
        return body, b.joint_q_start[joints[0]], b.joint_qd_start[joints[0]]

    def articulation(self, path: str) -> ArticulationLayout:
        """Where the parts of a robot are; links and joints in the order of PhysX.

        That is breadth first, the children of a link by the paths of their joints.

        Raises:
            EngineError: If Newton made no articulation of what is at this path.
        """
        import newton

        b = self.builder
        if path not in b.articulation_label:
            raise EngineError(f"{path}: no articulation here")
        index = b.articulation_label.index(path)
        start = b.articulation_start[index]
        stops = [*b.articulation_start, b.joint_count]
        joints = list(range(start, stops[index + 1]))
        order = [j for j in joints if b.joint_parent[j] == -1][:1]
        for joint in order:
            link = b.joint_child[joint]
            below = [j for j in joints if b.joint_parent[j] == link]
            order += sorted(below, key=lambda j: str(b.joint_label[j]))
        root = order[0]
        floating = b.joint_type[root] == newton.JointType.FREE
        scalar = dict(_scalar_joints(b))
        moving = [j for j in order if j in scalar]
        dofs = [scalar[j] for j in moving]
        return ArticulationLayout(
            index=index,
            links=[b.joint_child[j] for j in order],
            rows=[j - start for j in order],
            coords=[b.joint_q_start[j] for j in moving],
            dofs=dofs,
            columns=[dof - b.joint_qd_start[start] for dof in dofs],
            root=(b.joint_q_start[root], b.joint_qd_start[root]) if floating else None,
            link_names=[_name(b.body_label[b.joint_child[j]]) for j in order],
            dof_names=[_name(b.joint_label[j]) for j in moving],
        )

    @property
    def most_contacts(self) -> int:
        """More contact points than the shapes of one environment can have."""
        moving = len(self.colliders(list(range(self.builder.body_count))))
        own = int(self.builder.shape_count)
        shared = len(self.shape_labels) - own * int(self.model.world_count)
        return _POINTS_OF_A_PAIR * moving * (own + shared - 1)

    def colliders(self, bodies: list[int]) -> list[int]:
        """Colliding shapes, within a world, of bodies in the given order."""
        import newton

        b = self.builder
        collides = int(newton.ShapeFlags.COLLIDE_SHAPES)
        return [
            shape
            for body in bodies
            for shape in range(b.shape_count)
            if b.shape_body[shape] == body and int(b.shape_flags[shape]) & collides
        ]

    def shapes_of(self, path: str) -> list[int]:
        """Indices, over all worlds, of the shapes of the body or at or below the prim."""
        bodies = self.model.shape_body.numpy().tolist()
        labels = self.model.body_label
        return [
            shape
            for shape, label in enumerate(self.shape_labels)
            if (bodies[shape] >= 0 and labels[bodies[shape]] == path)
            or (bodies[shape] < 0 and f"{label}/".startswith(f"{path}/"))
        ]


def _scalar_joints(builder: Any) -> Iterator[tuple[int, int]]:
    """Revolute and prismatic joints with the index of their degree of freedom."""
    import newton

    for joint in range(builder.joint_count):
        if builder.joint_type[joint] in (newton.JointType.REVOLUTE, newton.JointType.PRISMATIC):
            yield joint, builder.joint_qd_start[joint]


def _custom(builder: Any, name: str) -> Any:
    """Values of a custom attribute by the index of what they belong to."""
    attribute = builder.custom_attributes[name]
    if attribute.values is None:
        attribute.values = {}
    return attribute.values


def _name(label: str) -> str:
    return label.rpartition("/")[2]
