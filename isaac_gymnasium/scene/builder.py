"""Writes a scene as USD: one environment, authored once, that every engine clones.

Layout of the stage::

    /World/physics            the physics scene
    /World/ground             shared by all environments
    /World/materials/...      shared by all environments
    /World/markers/<name>     what is only seen; engines leave it alone
    /World/envs/env_0/<name>  what a task adds; engines clone this to env_1, env_2, ...

This module imports `pxr`. An engine that brings its own USD runtime must be started before it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade, Vt

from isaac_gymnasium.scene import usd
from isaac_gymnasium.scene.inertia import shapes_inertial
from isaac_gymnasium.scene.mesh import TriangleMesh, manifold
from isaac_gymnasium.scene.model import (
    IDENTITY,
    ORIGIN,
    Inertial,
    Material,
    PhysicsSettings,
    Quat,
    Robot,
    Shape,
    Vec3,
)
from isaac_gymnasium.scene.robot import author_robot

ENV_ROOT = "/World/envs"
ENV_0 = f"{ENV_ROOT}/env_0"
PHYSICS_SCENE = "/World/physics"
TERRAIN = "/World/terrain"
MARKERS = "/World/markers"
GROUND_COLOR: Vec3 = (0.36, 0.38, 0.42)


class SceneError(RuntimeError):
    """The scene cannot be simulated as authored; the message names the prim."""


class Scene:
    """The scene of one environment, under construction.

    Args:
        env_spacing: Edge of the square cell an environment occupies, m.
        settings: Settings of the physics scene.

    Attributes:
        stage: The USD stage (Z up, metres), open for anything this class does not offer.
        robots: What `add_robot` was given, by name.
        num_bodies: Rigid bodies and robot links in one environment so far.
    """

    def __init__(self, *, env_spacing: float, settings: PhysicsSettings | None = None) -> None:
        if not (math.isfinite(env_spacing) and env_spacing > 0):
            raise ValueError(f"env_spacing must be positive and finite, got {env_spacing}")
        self.env_spacing = env_spacing
        self.settings = settings or PhysicsSettings()
        self.stage: Usd.Stage = Usd.Stage.CreateInMemory()
        self.robots: dict[str, Robot] = {}
        self._materials: dict[Material, UsdShade.Material] = {}
        UsdGeom.SetStageUpAxis(self.stage, UsdGeom.Tokens.z)
        UsdGeom.SetStageMetersPerUnit(self.stage, 1.0)
        UsdPhysics.SetStageKilogramsPerUnit(self.stage, 1.0)
        world = UsdGeom.Xform.Define(self.stage, "/World")
        self.stage.SetDefaultPrim(world.GetPrim())
        UsdGeom.Scope.Define(self.stage, ENV_ROOT)
        UsdGeom.Xform.Define(self.stage, ENV_0)
        usd.author_physics_scene(self.stage, PHYSICS_SCENE, self.settings)
        self.default_material = Material()

    # ------------------------------------------------------------------ what a task adds

    def add_ground(self, *, material: Material | None = None, color: Vec3 = GROUND_COLOR) -> None:
        """Adds an infinite ground plane at z = 0, shared by all environments."""
        path = "/World/ground"
        self._refuse_taken(path)
        plane = UsdGeom.Plane.Define(self.stage, path)
        plane.CreateAxisAttr("Z")
        plane.CreateWidthAttr(100.0)
        plane.CreateLengthAttr(100.0)
        plane.CreateDisplayColorAttr([Gf.Vec3f(*color)])
        usd.author_collision(plane.GetPrim(), contact_offset=0.02)
        self._bind_material(plane.GetPrim(), material)

    def add_terrain(self, mesh: TriangleMesh, *, material: Material | None = None) -> None:
        """Adds ground that is a triangle mesh, shared by all environments, in the world frame."""
        self._refuse_taken(TERRAIN)
        mesh = manifold(mesh)
        prim = UsdGeom.Mesh.Define(self.stage, TERRAIN)
        prim.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(mesh.points))
        prim.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(mesh.triangles.flatten()))
        prim.CreateFaceVertexCountsAttr(Vt.IntArray([3] * len(mesh.triangles)))
        prim.CreateSubdivisionSchemeAttr("none")
        prim.CreateDisplayColorAttr([Gf.Vec3f(*GROUND_COLOR)])
        usd.author_collision(prim.GetPrim(), contact_offset=0.02)
        UsdPhysics.MeshCollisionAPI.Apply(prim.GetPrim()).CreateApproximationAttr("none")
        self._bind_material(prim.GetPrim(), material)

    def add_static(
        self,
        name: str,
        shapes: Shape | Sequence[Shape],
        *,
        position: Vec3 = ORIGIN,
        orientation: Quat = IDENTITY,
    ) -> str:
        """Adds shapes that never move (a table, a wall) and returns the prim path.

        Args:
            name: Name in the environment.
            shapes: One or more primitives, placed in the object's frame.
            position: Object frame in the environment frame.
            orientation: xyzw.
        """
        with self._adding(name, position, orientation) as path:
            self._add_shapes(path, shapes)
        return path

    def add_rigid_body(
        self,
        name: str,
        shapes: Shape | Sequence[Shape],
        *,
        mass: float | None = None,
        density: float | None = None,
        inertial: Inertial | None = None,
        position: Vec3 = ORIGIN,
        orientation: Quat = IDENTITY,
        kinematic: bool = False,
        disable_gravity: bool = False,
        linear_damping: float = 0.0,
        angular_damping: float = 0.0,
        position_iterations: int = 8,
        velocity_iterations: int = 0,
        max_depenetration_velocity: float = 5.0,
    ) -> str:
        """Adds a rigid body and returns its prim path.

        Args:
            name: Name in the environment; `Engine.rigid_body(name)` finds it.
            shapes: One or more primitives in the body's frame.
            mass: In kg; the inertia follows from the shapes.
            density: In kg/m^3; mass and inertia follow from the shapes.
            inertial: Mass, centre of mass and inertia in full.
            position: Body frame in the environment frame, m.
            orientation: xyzw.
            kinematic: Moved by the program and never by forces.
            disable_gravity: Whether gravity leaves it alone.
            linear_damping: 1/s.
            angular_damping: 1/s.
            position_iterations: Solver iterations on positions.
            velocity_iterations: Solver iterations on velocities.
            max_depenetration_velocity: Fastest push out of a penetration, m/s.

        Raises:
            ValueError: If not exactly one of mass, density and inertial is given, or it is not
                positive.
        """
        given = [v for v in (mass, density, inertial) if v is not None]
        if len(given) != 1:
            raise ValueError(
                f"rigid body {name!r}: give exactly one of mass, density, inertial; "
                f"got {len(given)} of them"
            )
        amount = given[0].mass if isinstance(given[0], Inertial) else given[0]
        if not (math.isfinite(amount) and amount > 0):
            raise ValueError(f"rigid body {name!r}: mass or density must be positive, got {amount}")
        with self._adding(name, position, orientation) as path:
            prim = self.stage.GetPrimAtPath(path)
            usd.author_rigid_body(
                prim,
                disable_gravity=disable_gravity,
                kinematic=kinematic,
                linear_damping=linear_damping,
                angular_damping=angular_damping,
                position_iterations=position_iterations,
                velocity_iterations=velocity_iterations,
                max_depenetration_velocity=max_depenetration_velocity,
            )
            parts = [shapes] if isinstance(shapes, Shape) else list(shapes)
            if parts and inertial is None and not any(shape.collides for shape in parts):
                # Engines look at colliders alone, and would guess where there are none.
                inertial = shapes_inertial(parts, mass=mass, density=density)
                mass = density = None
            usd.author_mass(prim, mass=mass, density=density, inertial=inertial)
            self._add_shapes(path, shapes)
        return path

    def add_robot(
        self,
        name: str,
        robot: Robot,
        *,
        position: Vec3 = ORIGIN,
        orientation: Quat = IDENTITY,
    ) -> str:
        """Adds a robot described by `Robot` at its default joint positions; returns its path.

        Args:
            name: Name in the environment; `Engine.articulation(name)` finds it.
            robot: Links and joints.
            position: Root link in the environment frame, m.
            orientation: xyzw.
        """
        with self._adding(name, ORIGIN, IDENTITY) as path:
            author_robot(self.stage, path, robot, position, orientation, self._add_shapes)
        self.robots[name] = robot
        return path

    def add_usd(
        self,
        name: str,
        file: str | Path,
        *,
        position: Vec3 = ORIGIN,
        orientation: Quat = IDENTITY,
    ) -> str:
        """Adds the default prim of a USD file (your own robot or object); returns its path.

        The prim keeps its scale; its position and orientation give way to those asked for. What is
        bolted to the world is bolted there.

        Args:
            name: Name in the environment.
            file: A `.usd`, `.usda`, `.usdc` or `.usdz` file in metres with Z up.
            position: In the environment frame, m.
            orientation: xyzw.

        Raises:
            FileNotFoundError: If there is no such file.
            SceneError: If it cannot be read, has no default prim, or is not in metres and Z up.
        """
        file = Path(file)
        if not file.is_file():
            raise FileNotFoundError(f"{ENV_0}/{name}: no USD file at {file}")
        scale = usd.check_referenced_file(file, f"{ENV_0}/{name}")
        with self._adding(name, ORIGIN, IDENTITY) as path:
            prim = self.stage.GetPrimAtPath(path)
            prim.GetReferences().AddReference(str(file.resolve()))
            usd.set_pose(UsdGeom.Xformable(prim), position, orientation, scale)
            usd.move_world_joints(prim, position, orientation)
        return path

    def add_marker(self, name: str, shapes: Shape | Sequence[Shape]) -> None:
        """Adds something that is only seen, such as a goal, where `Task.get_markers` puts it.

        Frames and the viewer show one in every environment. Engines and cameras know nothing of it.

        Args:
            name: Name of its pose in `get_markers`.
            shapes: One or more primitives, in the marker's frame.
        """
        if not Sdf.Path.IsValidIdentifier(name):
            raise ValueError(f"{name!r} is not a valid prim name (letters, digits, underscores)")
        path = f"{MARKERS}/{name}"
        self._refuse_taken(path)
        # Kit shows no guides, and would show this one where no environment is.
        markers = UsdGeom.Scope.Define(self.stage, MARKERS)
        markers.CreatePurposeAttr(UsdGeom.Tokens.guide)
        UsdGeom.Xform.Define(self.stage, path)
        shapes = [shapes] if isinstance(shapes, Shape) else shapes
        self._add_shapes(path, [replace(shape, collides=False) for shape in shapes])

    def ignore_each_other(self, *names: str) -> None:
        """Lets bodies at or below these prims pass through each other, in all environments.

        For robots that share a terrain: on the CPU nothing else keeps environments apart that meet.

        Args:
            names: Full prim paths, or names in the environment.
        """
        path = "/World/ghosts"
        self._refuse_taken(path)
        group = UsdPhysics.CollisionGroup.Define(self.stage, path)
        members = [n if n.startswith("/") else f"{ENV_0}/{n}" for n in names]
        for member in members:
            if not self.stage.GetPrimAtPath(member):
                raise ValueError(f"{member}: nothing here that could be ignored")
        group.GetCollidersCollectionAPI().CreateIncludesRel().SetTargets(members)
        group.CreateFilteredGroupsRel().SetTargets([path])

    def enable_contact_reports(self, path: str) -> None:
        """Lets `Engine.contacts` read the forces on every rigid body at or below a prim.

        Args:
            path: Full prim path, or a name in the environment.
        """
        root = self.stage.GetPrimAtPath(path if path.startswith("/") else f"{ENV_0}/{path}")
        bodies = [p for p in Usd.PrimRange(root) if p.HasAPI(UsdPhysics.RigidBodyAPI)]
        if not bodies:
            raise SceneError(f"{path}: no rigid body here to report contacts of")
        for body in bodies:
            usd.author_contact_report(body)

    # ------------------------------------------------------------------ what an engine needs

    def bodies(self) -> tuple[list[str], list[str]]:
        """Names of the robots and of the free, not kinematic, rigid bodies of the environment."""
        robots: list[str] = []
        rigid_bodies: list[str] = []
        prims = iter(Usd.PrimRange(self.stage.GetPrimAtPath(ENV_0)))
        next(prims)  # the environment itself
        for prim in prims:
            name = str(prim.GetPath()).removeprefix(f"{ENV_0}/")
            if self.articulation_root(name):
                robots.append(name)
                prims.PruneChildren()
            elif prim.HasAPI(UsdPhysics.RigidBodyAPI):
                if not UsdPhysics.RigidBodyAPI(prim).GetKinematicEnabledAttr().Get():
                    rigid_bodies.append(name)
                prims.PruneChildren()
        return robots, rigid_bodies

    def articulation_root(self, name: str) -> str | None:
        """Path of the prim that makes a robot of what a task added under this name.

        It is the prim of that name or, for a floating robot, usually its root link; None where the
        prim of that name is no robot.
        """
        prim = self.stage.GetPrimAtPath(f"{ENV_0}/{name}")
        if not prim:
            return None
        for candidate in (prim, *prim.GetChildren()):
            if candidate.HasAPI(UsdPhysics.ArticulationRootAPI):
                return str(candidate.GetPath())
        return None

    def markers(self) -> list[str]:
        """Names of what `add_marker` added."""
        scope = self.stage.GetPrimAtPath(MARKERS)
        return [prim.GetName() for prim in scope.GetChildren()] if scope else []

    @property
    def num_bodies(self) -> int:
        """Rigid bodies, robot links included, in one environment."""
        env = self.stage.GetPrimAtPath(ENV_0)
        return sum(p.HasAPI(UsdPhysics.RigidBodyAPI) for p in Usd.PrimRange(env))

    @property
    def has_terrain(self) -> bool:
        """Whether the ground is a triangle mesh."""
        return bool(self.stage.GetPrimAtPath(TERRAIN))

    @property
    def num_colliders(self) -> int:
        """Colliding shapes in one environment."""
        env = self.stage.GetPrimAtPath(ENV_0)
        return sum(p.HasAPI(UsdPhysics.CollisionAPI) for p in Usd.PrimRange(env))

    def validate(self) -> None:
        """Checks what engines would otherwise load in silence.

        Raises:
            SceneError: Naming the prim, if a pose is not finite, a joint points at a prim that is
                missing or is no rigid body, or a rigid body lies below another.
        """
        usd.validate_stage(self.stage, SceneError)

    # ------------------------------------------------------------------ helpers

    def _refuse_taken(self, path: str) -> None:
        if self.stage.GetPrimAtPath(path):
            raise ValueError(f"{path}: already in the scene; names must be unique")

    @contextlib.contextmanager
    def _adding(self, name: str, position: Vec3, orientation: Quat) -> Iterator[str]:
        """The path of a new prim, which is removed again where filling it in fails."""
        if not Sdf.Path.IsValidIdentifier(name):
            raise ValueError(f"{name!r} is not a valid prim name (letters, digits, underscores)")
        path = f"{ENV_0}/{name}"
        self._refuse_taken(path)
        try:
            usd.set_pose(UsdGeom.Xform.Define(self.stage, path), position, orientation)
            yield path
        except BaseException:
            self.stage.RemovePrim(path)
            raise

    def _add_shapes(self, path: str, shapes: Shape | Sequence[Shape]) -> None:
        for i, shape in enumerate([shapes] if isinstance(shapes, Shape) else shapes):
            prim = usd.author_shape(self.stage, f"{path}/{shape.kind}_{i}", shape)
            if shape.collides:
                self._bind_material(prim, shape.material)

    def _bind_material(self, prim: Usd.Prim, material: Material | None) -> None:
        material = material or self.default_material
        if material not in self._materials:
            path = f"/World/materials/material_{len(self._materials)}"
            self._materials[material] = usd.author_material(self.stage, path, material)
        UsdShade.MaterialBindingAPI.Apply(prim).Bind(
            self._materials[material], UsdShade.Tokens.weakerThanDescendants, "physics"
        )
