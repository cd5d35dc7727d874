"""Robots of your own, from URDF and MJCF files.

`convert_robot` makes a USD file that `Scene.add_usd` takes. The work is done by NVIDIA's and
Newton's converters (extra `robots`), which bring a build of USD that must not share an environment
with `usd-core`: they run in a process of their own, on the interpreter of another environment.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pxr import Sdf, Usd

__all__ = ["PYTHON_VARIABLE", "RobotFileError", "convert_robot"]

PYTHON_VARIABLE = "ISAAC_GYMNASIUM_ROBOTS_PYTHON"
"""Environment variable that names the interpreter with the converters."""

_CONVERTERS = {".urdf": "urdf-usd-converter", ".xml": "mujoco-usd-converter"}
_CONVERT = """
import importlib, sys
converter = importlib.import_module(sys.argv[1]).Converter()
print(converter.convert(sys.argv[2], sys.argv[3]).path)
"""


class RobotFileError(ValueError):
    """The file cannot be made a robot; the message says why."""


def convert_robot(
    file: str | Path,
    folder: str | Path,
    *,
    fixed_base: bool | None = None,
    stiffness: float = 0.0,
    damping: float = 0.0,
    effort_limit: float = math.inf,
    python: str | Path | None = None,
) -> Path:
    """Converts a robot to USD, once; give the result to `Scene.add_usd`.

    Links become siblings below the robot, under their own names, joints keep theirs. Masses,
    colliders, limits, rotor inertias and materials are the file's, and so are limits of effort and
    damping of joints where it has them. Ground, lights, cameras, tendons and actuators are left
    out: a task brings its own, and drives every joint through targets or efforts. Links stand where
    the file has them at joint positions of zero, below the pose that `add_usd` is given.

    Args:
        file: `.urdf`, or `.xml` in MuJoCo's format.
        folder: Where `<name of the file>.usda` is written; made if it is missing.
        fixed_base: Whether the root link is bolted to the world. By default what MJCF says; URDF
            does not, and is bolted.
        stiffness: Of every drive, N m/rad or N/m. `Articulation.set_property` sets them one by one.
        damping: Of drives whose joint has none, N m s/rad or N s/m.
        effort_limit: Of drives whose joint has none, N m or N.
        python: Interpreter of the environment with the converters. By default the one that
            `ISAAC_GYMNASIUM_ROBOTS_PYTHON` names, or this one.

    Returns:
        The USD file.

    Raises:
        FileNotFoundError: If there is no such file.
        RobotFileError: If it is neither URDF nor MJCF, there is no converter, the converter gives
            up, or the robot has what articulations here have not: joints other than hinges, sliders
            and fixed ones, several joints between two links, more than one tree.
    """
    file, folder = Path(file), Path(folder)
    package = _CONVERTERS.get(file.suffix.lower())
    if package is None:
        raise RobotFileError(f"expected a .urdf or an .xml (MJCF) file, got {file}")
    if not file.is_file():
        raise FileNotFoundError(f"no robot file at {file}")
    interpreter = str(python or os.environ.get(PYTHON_VARIABLE) or sys.executable)
    with tempfile.TemporaryDirectory() as scratch:
        converted = _converted(file.resolve(), Path(scratch), package, interpreter)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{file.stem}.usda"
        _lay_out(converted, target, fixed_base, (stiffness, damping, effort_limit))
    return target


def _converted(file: Path, folder: Path, package: str, interpreter: str) -> Path:
    """What the converter makes of a file, as it lays it out."""
    module = package.replace("-", "_")
    command = [interpreter, "-c", _CONVERT, module, str(file), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RobotFileError(f"{interpreter} cannot be run: {error}") from error
    if f"No module named '{module}'" in done.stderr:
        raise RobotFileError(
            f"{interpreter} has no {package}. Install it into an environment of its own "
            f"(python3.12 -m venv converters && converters/bin/pip install {package}) and name its "
            f"interpreter: {PYTHON_VARIABLE}=converters/bin/python, or python="
        )
    lines = done.stdout.splitlines()
    if done.returncode or not lines or not Path(lines[-1]).is_file():
        raise RobotFileError(f"{package} gave up on {file}:\n{done.stderr.strip()[-2000:]}")
    return Path(lines[-1])


# ---------------------------------------------------------------------- links as siblings


def _lay_out(
    source: Path, target: Path, fixed_base: bool | None, drive: tuple[float, float, float]
) -> None:
    """Writes the robot of one USD file to another, in the layout of `scene.robot`."""
    from pxr import Sdf, Usd, UsdGeom, UsdPhysics

    from isaac_gymnasium.scene import usd
    from isaac_gymnasium.scene.model import RESERVED_LINK_NAMES
    from isaac_gymnasium.scene.robot import author_articulation_root

    nested = Usd.Stage.Open(str(source))
    for prim in nested.Traverse():
        if prim.IsInstance():
            prim.SetInstanceable(False)
    layer = nested.Flatten()
    nested = Usd.Stage.Open(layer)
    origin = nested.GetDefaultPrim()
    bodies = [p for p in Usd.PrimRange(origin) if p.HasAPI(UsdPhysics.RigidBodyAPI)]
    if not bodies:
        raise RobotFileError(f"{source.name}: no link here")
    taken = {"Looks", *RESERVED_LINK_NAMES}
    root = origin.GetPath()
    links = {p.GetPath(): root.AppendChild(_unused(p.GetName(), taken)) for p in bodies}

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, root).GetPrim())
    materials = _copy_materials(nested, stage)
    poses = UsdGeom.XformCache()
    for body in bodies:
        path = links[body.GetPath()]
        Sdf.CopySpec(layer, body.GetPath(), stage.GetRootLayer(), path)
        link = stage.GetPrimAtPath(path)
        for part in (p for p in Usd.PrimRange(body) if p != body):
            moved = part.GetPath().ReplacePrefix(body.GetPath(), path)
            if part.GetPath() in links or part.IsA(UsdPhysics.Joint):
                stage.RemovePrim(moved)
        pose, _ = poses.ComputeRelativeTransform(body, origin)
        turn = pose.ExtractRotationQuat()
        usd.set_pose(
            UsdGeom.Xformable(link),
            tuple(pose.ExtractTranslation()),
            (*turn.GetImaginary(), turn.GetReal()),
        )
        # Newton's schema for roots has the standard one built in.
        for schema in ("PhysicsArticulationRootAPI", "NewtonArticulationRootAPI"):
            link.RemoveAppliedSchema(schema)
        usd.author_rigid_body(link)
        for shape in Usd.PrimRange(link):
            _complete_shape(shape, materials)
    joints = [p for p in Usd.PrimRange(origin) if p.IsA(UsdPhysics.Joint)]
    loose = _lay_out_joints(joints, stage, links, drive)
    if len(loose) > 1:
        raise RobotFileError(
            f"expected one tree of links, got these at its root: {[path.name for path in loose]}"
        )
    floating = next(iter(loose), None)
    if fixed_base and floating:
        _bolt(stage, floating)
        floating = None
    elif fixed_base is False:
        floating = _unbolt(stage) or floating
    author_articulation_root(stage.GetPrimAtPath(floating or root))
    stage.GetRootLayer().Export(str(target))


def _unused(name: str, taken: set[str]) -> str:
    """The name, with a number behind it if it is taken; it is taken then."""
    numbered = (f"{name}_{k}" for k in range(1, len(taken) + 2))
    found = name if name not in taken else next(n for n in numbered if n not in taken)
    taken.add(found)
    return found


def _copy_materials(source: Usd.Stage, stage: Usd.Stage) -> dict[Sdf.Path, Sdf.Path]:
    """Copies materials to `Looks`; from old to new paths."""
    from pxr import Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

    looks = UsdGeom.Scope.Define(stage, stage.GetDefaultPrim().GetPath().AppendChild("Looks"))
    taken: set[str] = set()
    moved = {}
    for prim in Usd.PrimRange(source.GetDefaultPrim()):
        if prim.IsA(UsdShade.Material) and prim.HasAPI(UsdPhysics.MaterialAPI):
            path = looks.GetPath().AppendChild(_unused(prim.GetName(), taken))
            Sdf.CopySpec(source.GetRootLayer(), prim.GetPath(), stage.GetRootLayer(), path)
            moved[prim.GetPath()] = path
    return moved


def _complete_shape(prim: Usd.Prim, materials: dict[Sdf.Path, Sdf.Path]) -> None:
    """Points a shape at the materials' new places, and writes what engines would default."""
    from pxr import UsdGeom, UsdPhysics

    from isaac_gymnasium.scene import usd
    from isaac_gymnasium.scene.model import Shape

    for relationship in prim.GetRelationships():
        if relationship.GetName().startswith("material:binding"):
            targets = [materials[t] for t in relationship.GetTargets() if t in materials]
            relationship.SetTargets(targets)
    if prim.HasAPI(UsdPhysics.CollisionAPI):
        usd.author_collision(prim, contact_offset=Shape.contact_offset)
        if prim.IsA(UsdGeom.Mesh):
            # A body that moves collides as a convex volume.
            mesh = UsdPhysics.MeshCollisionAPI.Apply(prim)
            if mesh.GetApproximationAttr().Get() == UsdPhysics.Tokens.none:
                mesh.CreateApproximationAttr(UsdPhysics.Tokens.convexHull)


def _lay_out_joints(
    joints: list[Usd.Prim],
    stage: Usd.Stage,
    links: dict[Sdf.Path, Sdf.Path],
    drive: tuple[float, float, float],
) -> list[Sdf.Path]:
    """Copies joints to `joints`; returns the links that nothing holds."""
    from pxr import Sdf, UsdGeom, UsdPhysics

    root = stage.GetDefaultPrim().GetPath()
    UsdGeom.Scope.Define(stage, root.AppendChild("joints"))
    taken: set[str] = set()
    above: dict[Sdf.Path, str] = {}
    for prim in joints:
        name, kind = prim.GetName(), prim.GetTypeName()
        if kind not in ("PhysicsRevoluteJoint", "PhysicsPrismaticJoint", "PhysicsFixedJoint"):
            raise RobotFileError(
                f"joint {name} is a {kind}; expected a hinge, a slider or a fixed joint"
            )
        joint = UsdPhysics.Joint(prim)
        parent, child = (
            next((links[t] for t in relationship.GetTargets() if t in links), None)
            for relationship in (joint.GetBody0Rel(), joint.GetBody1Rel())
        )
        if child is None:
            raise RobotFileError(f"joint {name} moves no link")
        if child in above:
            raise RobotFileError(
                f"joints {above[child]} and {name} both move link {child.name}; expected one "
                "joint for each link (in MJCF: give each joint a body of its own)"
            )
        above[child] = name
        path = root.AppendPath(f"joints/{_unused(name, taken)}")
        Sdf.CopySpec(prim.GetStage().GetRootLayer(), prim.GetPath(), stage.GetRootLayer(), path)
        made = UsdPhysics.Joint(stage.GetPrimAtPath(path))
        if kind != "PhysicsFixedJoint":
            _complete_joint(made.GetPrim(), *drive)
            parent = parent or _stand(stage, set(links.values()))
        made.GetBody0Rel().SetTargets([parent] if parent else [])
        made.GetBody1Rel().SetTargets([child])
    return [path for path in links.values() if path not in above]


def _bolt(stage: Usd.Stage, floating: Sdf.Path) -> None:
    """Bolts a floating root link to the world where it is."""
    from pxr import Gf, UsdGeom, UsdPhysics

    bolt = UsdPhysics.FixedJoint.Define(stage, floating.GetParentPath().AppendChild("fixed_base"))
    bolt.CreateBody1Rel().SetTargets([floating])
    pose = UsdGeom.Xformable(stage.GetPrimAtPath(floating)).GetLocalTransformation()
    bolt.CreateLocalPos0Attr(Gf.Vec3f(pose.ExtractTranslation()))
    bolt.CreateLocalRot0Attr(Gf.Quatf(pose.ExtractRotationQuat()))


def _unbolt(stage: Usd.Stage) -> Sdf.Path | None:
    """Takes the bolt away that holds the root link; which link floats then."""
    from pxr import UsdPhysics

    for prim in stage.Traverse():
        joint = UsdPhysics.Joint(prim)
        if joint and not joint.GetBody0Rel().GetTargets():
            link: Sdf.Path = joint.GetBody1Rel().GetTargets()[0]
            stage.RemovePrim(prim.GetPath())
            return link
    return None


def _stand(stage: Usd.Stage, links: set[Sdf.Path]) -> Sdf.Path:
    """A link bolted to the world, for joints that hang on the world itself."""
    from pxr import UsdGeom, UsdPhysics

    from isaac_gymnasium.scene import usd
    from isaac_gymnasium.scene.model import IDENTITY, ORIGIN, box_inertial

    root = stage.GetDefaultPrim().GetPath()
    path = root.AppendChild(_unused("base", {link.name for link in links}))
    if not stage.GetPrimAtPath(path):
        xform = UsdGeom.Xform.Define(stage, path)
        usd.set_pose(xform, ORIGIN, IDENTITY)
        usd.author_rigid_body(xform.GetPrim())
        usd.author_mass(xform.GetPrim(), inertial=box_inertial(1.0, (0.1, 0.1, 0.1)))
        bolt = UsdPhysics.FixedJoint.Define(stage, root.AppendChild("fixed_base"))
        bolt.CreateBody1Rel().SetTargets([path])
    return path


def _complete_joint(prim: Usd.Prim, stiffness: float, damping: float, effort_limit: float) -> None:
    """Gives a joint its drive, from what the converters note on it."""
    from pxr import UsdPhysics

    from isaac_gymnasium.scene.robot import author_drive

    angular = prim.IsA(UsdPhysics.RevoluteJoint)
    degree = math.degrees(1.0) if angular else 1.0
    noted = dict(_noted(prim))
    author_drive(
        prim,
        angular=angular,
        stiffness=stiffness,
        damping=noted["damping"] * degree if noted.get("damping") else damping,
        effort_limit=noted.get("limit:effort") or effort_limit,
        velocity_limit=(noted.get("velocityLimit") or math.inf) / degree,
        armature=noted.get("armature", 0.0),
    )


def _noted(prim: Usd.Prim) -> Iterator[tuple[str, float]]:
    """Numbers that converters wrote under names of their own."""
    for attribute in prim.GetAuthoredAttributes():
        space, _, name = attribute.GetName().partition(":")
        if space in ("newton", "urdf") and isinstance(attribute.Get(), float):
            yield name, attribute.Get()
