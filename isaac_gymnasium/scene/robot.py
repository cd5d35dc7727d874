"""Writes a `Robot` as a USD articulation, posed at its default joint positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from isaac_gymnasium.scene import usd
from isaac_gymnasium.scene.model import Joint, Quat, Robot, Shape, Vec3

_TYPES = Sdf.ValueTypeNames
_TOKENS = {(1.0, 0.0, 0.0): "X", (0.0, 1.0, 0.0): "Y", (0.0, 0.0, 1.0): "Z"}


def author_robot(
    stage: Usd.Stage,
    path: str,
    robot: Robot,
    position: Vec3,
    orientation: Quat,
    add_shapes: Callable[[str, Sequence[Shape]], None],
) -> None:
    """Authors links, joints, drives and the articulation root below `path`.

    Args:
        stage: Where to.
        path: An existing Xform at the environment's origin.
        robot: What.
        position: Root link in the environment frame.
        orientation: xyzw.
        add_shapes: Adds shapes below a link's path.
    """
    for name, pose in default_link_poses(robot, position, orientation).items():
        xform = UsdGeom.Xform.Define(stage, f"{path}/{name}")
        q = pose.ExtractRotation().GetQuat()
        usd.set_pose(xform, tuple(pose.ExtractTranslation()), (*q.GetImaginary(), q.GetReal()))
    # Left to itself, an engine roots a floating robot at the middle of the tree.
    root = path if robot.fixed_base else f"{path}/{robot.links[0].name}"
    author_articulation_root(
        stage.GetPrimAtPath(root),
        self_collisions=robot.self_collisions,
        position_iterations=robot.position_iterations,
        velocity_iterations=robot.velocity_iterations,
    )
    for link in robot.links:
        link_path = f"{path}/{link.name}"
        link_prim = stage.GetPrimAtPath(link_path)
        usd.author_rigid_body(
            link_prim,
            disable_gravity=robot.disable_gravity,
            position_iterations=robot.position_iterations,
            velocity_iterations=robot.velocity_iterations,
            max_depenetration_velocity=robot.max_depenetration_velocity,
        )
        usd.author_mass(link_prim, inertial=link.inertial)
        add_shapes(link_path, link.shapes)
    UsdGeom.Scope.Define(stage, f"{path}/joints")
    if robot.fixed_base:
        base = UsdPhysics.FixedJoint.Define(stage, f"{path}/fixed_base")
        base.CreateBody1Rel().SetTargets([f"{path}/{robot.links[0].name}"])
        base.CreateLocalPos0Attr(Gf.Vec3f(*position))
        base.CreateLocalRot0Attr(usd.to_gf(orientation))
    for joint in robot.joints:
        _author_joint(stage, path, joint)


def default_link_poses(robot: Robot, position: Vec3, orientation: Quat) -> dict[str, Gf.Matrix4d]:
    """Forward kinematics at the default joint positions: link name to root-relative pose."""
    poses = {robot.links[0].name: _pose(position, orientation)}

    def place(name: str) -> Gf.Matrix4d:
        if name not in poses:
            joint = robot.by_child[name]
            # USD matrices act on row vectors: the innermost transform stands first.
            poses[name] = (
                _motion(joint, joint.default)
                * _pose(joint.position, joint.orientation)
                * place(joint.parent)
            )
        return poses[name]

    for link in robot.links:
        place(link.name)
    return poses


def _pose(position: Vec3, orientation: Quat) -> Gf.Matrix4d:
    return Gf.Matrix4d(Gf.Rotation(Gf.Quatd(usd.to_gf(orientation))), Gf.Vec3d(*position))


def _motion(joint: Joint, value: float) -> Gf.Matrix4d:
    axis = Gf.Vec3d(*joint.axis)
    if joint.kind == "revolute":
        return Gf.Matrix4d(Gf.Rotation(axis, math.degrees(value)), Gf.Vec3d(0.0))
    if joint.kind == "prismatic":
        return Gf.Matrix4d(1.0).SetTranslate(axis * value)
    return Gf.Matrix4d(1.0)


def _author_joint(stage: Usd.Stage, robot_path: str, joint: Joint) -> None:
    path = f"{robot_path}/joints/{joint.name}"
    schema = {
        "revolute": UsdPhysics.RevoluteJoint,
        "prismatic": UsdPhysics.PrismaticJoint,
        "fixed": UsdPhysics.FixedJoint,
    }[joint.kind]
    prim = schema.Define(stage, path)
    prim.CreateBody0Rel().SetTargets([f"{robot_path}/{joint.parent}"])
    prim.CreateBody1Rel().SetTargets([f"{robot_path}/{joint.child}"])
    # USD knows the axes X, Y and Z only: turn both joint frames until one of them is the axis.
    turn = Gf.Quatf(1.0)
    token = _TOKENS.get(joint.axis)
    if token is None:
        token = "Z"
        turn = Gf.Quatf(Gf.Rotation(Gf.Vec3d(0, 0, 1), Gf.Vec3d(*joint.axis)).GetQuat())
    prim.CreateLocalPos0Attr(Gf.Vec3f(*joint.position))
    prim.CreateLocalRot0Attr(usd.to_gf(joint.orientation) * turn)
    prim.CreateLocalPos1Attr(Gf.Vec3f(0.0))
    prim.CreateLocalRot1Attr(turn)
    if joint.kind == "fixed":
        return
    # USD writes angles in degrees and angular gains per degree.
    degree = math.degrees(1.0) if joint.kind == "revolute" else 1.0
    prim.CreateAxisAttr(token)
    prim.CreateLowerLimitAttr(joint.limits[0] * degree)
    prim.CreateUpperLimitAttr(joint.limits[1] * degree)
    author_drive(
        prim.GetPrim(),
        angular=joint.kind == "revolute",
        stiffness=joint.stiffness,
        damping=joint.damping,
        effort_limit=joint.effort_limit,
        velocity_limit=joint.velocity_limit,
        armature=joint.armature,
        default=joint.default,
    )


def author_articulation_root(
    prim: Usd.Prim,
    *,
    self_collisions: bool = False,
    position_iterations: int = 8,
    velocity_iterations: int = 0,
) -> None:
    """Makes a prim the root of an articulation; see `Robot`."""
    UsdPhysics.ArticulationRootAPI.Apply(prim)
    usd.author_api(
        prim,
        "PhysxArticulationAPI",
        {
            "physxArticulation:enabledSelfCollisions": (_TYPES.Bool, self_collisions),
            "physxArticulation:solverPositionIterationCount": (_TYPES.Int, position_iterations),
            "physxArticulation:solverVelocityIterationCount": (_TYPES.Int, velocity_iterations),
            "physxArticulation:sleepThreshold": (_TYPES.Float, 0.0),
            "physxArticulation:stabilizationThreshold": (_TYPES.Float, 0.0),
        },
    )


def author_drive(
    prim: Usd.Prim,
    *,
    angular: bool,
    stiffness: float,
    damping: float,
    effort_limit: float,
    velocity_limit: float,
    armature: float,
    default: float = 0.0,
) -> None:
    """Drive, rotor and present position of a joint, in radians or metres; see `Joint`."""
    degree = math.degrees(1.0) if angular else 1.0
    name = "angular" if angular else "linear"
    drive = UsdPhysics.DriveAPI.Apply(prim, name)
    drive.CreateTypeAttr("force")
    drive.CreateStiffnessAttr(stiffness / degree)
    drive.CreateDampingAttr(damping / degree)
    drive.CreateMaxForceAttr(effort_limit)
    drive.CreateTargetPositionAttr(default * degree)
    drive.CreateTargetVelocityAttr(0.0)
    usd.author_api(
        prim,
        f"PhysicsJointStateAPI:{name}",
        {
            f"state:{name}:physics:position": (_TYPES.Float, default * degree),
            f"state:{name}:physics:velocity": (_TYPES.Float, 0.0),
        },
    )
    usd.author_api(
        prim,
        f"PhysxJointAxisAPI:{name}",
        {
            f"physxJointAxis:{name}:armature": (_TYPES.Float, armature),
            f"physxJointAxis:{name}:maxJointVelocity": (_TYPES.Float, velocity_limit * degree),
            f"physxJointAxis:{name}:staticFrictionEffort": (_TYPES.Float, 0.0),
            f"physxJointAxis:{name}:dynamicFrictionEffort": (_TYPES.Float, 0.0),
            f"physxJointAxis:{name}:viscousFrictionCoefficient": (_TYPES.Float, 0.0),
        },
    )
