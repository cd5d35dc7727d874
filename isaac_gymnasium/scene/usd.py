"""USD authoring of single prims: poses, shapes, masses, materials, physics settings.

PhysX's own schemas are authored by name (`AddAppliedSchema` and plain attributes), which needs no
compiled schema classes and reads the same everywhere. Quaternions come in as xyzw and are written
as wxyz, USD's order.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdPhysics, UsdShade

from isaac_gymnasium.scene.model import Inertial, Material, PhysicsSettings, Quat, Shape, Vec3

_TYPES = Sdf.ValueTypeNames


def author_api(prim: Usd.Prim, schema: str, attributes: dict[str, tuple[object, object]]) -> None:
    """Applies a schema by name and sets its attributes, given as name: (type, value)."""
    if schema not in prim.GetAppliedSchemas():
        prim.AddAppliedSchema(schema)
    for name, (kind, value) in attributes.items():
        prim.CreateAttribute(name, kind).Set(value)


def to_gf(q: Quat) -> Gf.Quatf:
    """A USD quaternion from xyzw, normalised."""
    x, y, z, w = q
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    if not norm > 0.0:
        raise ValueError(f"orientation must be a quaternion (x, y, z, w) of length 1, got {q}")
    return Gf.Quatf(w / norm, x / norm, y / norm, z / norm)


def set_pose(
    xformable: UsdGeom.Xformable,
    position: Vec3,
    orientation: Quat,
    scale: tuple[float, ...] = (1.0, 1.0, 1.0),
) -> None:
    """Authors translate, orient and scale, replacing whatever order was there."""
    xformable.ClearXformOpOrder()
    xformable.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble, "env").Set(Gf.Vec3d(*position))
    xformable.AddOrientOp(UsdGeom.XformOp.PrecisionFloat, "env").Set(to_gf(orientation))
    if scale != (1.0, 1.0, 1.0):
        xformable.AddScaleOp(UsdGeom.XformOp.PrecisionFloat, "env").Set(Gf.Vec3f(*scale))


def move_world_joints(root: Usd.Prim, position: Vec3, orientation: Quat) -> None:
    """Moves the ends in the world of joints at or below a prim as the prim was moved."""
    turn, way = Gf.Rotation(Gf.Quatd(to_gf(orientation))), Gf.Vec3d(*position)
    for prim in Usd.PrimRange(root):
        joint = UsdPhysics.Joint(prim)
        if not joint:
            continue
        for k, body in enumerate((joint.GetBody0Rel(), joint.GetBody1Rel())):
            if body.GetTargets():
                continue
            where, facing = (
                (joint.GetLocalPos0Attr(), joint.GetLocalRot0Attr()),
                (joint.GetLocalPos1Attr(), joint.GetLocalRot1Attr()),
            )[k]
            where.Set(Gf.Vec3f(turn.TransformDir(Gf.Vec3d(where.Get())) + way))
            facing.Set(Gf.Quatf(turn.GetQuat()) * facing.Get())


def _scale_of(prim: Usd.Prim) -> Vec3:
    """The scale in a prim's own transform, however that is authored."""
    if not prim.IsA(UsdGeom.Xformable):
        return 1.0, 1.0, 1.0
    matrix = UsdGeom.Xformable(prim).GetLocalTransformation()
    # Of scales that differ by rounding from the size they stand for, the shorter number is meant.
    x, y, z = (round(factor, 7) for factor in Gf.Transform(matrix).GetScale())
    return x, y, z


def author_physics_scene(stage: Usd.Stage, path: str, settings: PhysicsSettings) -> None:
    """The physics scene with everything an engine would otherwise default."""
    scene = UsdPhysics.Scene.Define(stage, path)
    scene.CreateGravityDirectionAttr(Gf.Vec3f(0.0, 0.0, -1.0 if settings.gravity <= 0 else 1.0))
    scene.CreateGravityMagnitudeAttr(abs(settings.gravity))
    author_api(
        scene.GetPrim(),
        "PhysxSceneAPI",
        {
            "physxScene:solverType": (_TYPES.Token, "TGS"),
            "physxScene:collisionSystem": (_TYPES.Token, "PCM"),
            "physxScene:enableExternalForcesEveryIteration": (_TYPES.Bool, True),
            "physxScene:enableStabilization": (_TYPES.Bool, False),
            "physxScene:enableCCD": (_TYPES.Bool, False),
            "physxScene:enableSceneQuerySupport": (_TYPES.Bool, False),
            "physxScene:bounceThreshold": (_TYPES.Float, settings.bounce_threshold),
            "physxScene:frictionOffsetThreshold": (
                _TYPES.Float,
                settings.friction_offset_threshold,
            ),
            "physxScene:frictionCorrelationDistance": (
                _TYPES.Float,
                settings.friction_correlation_distance,
            ),
        },
    )


def author_shape(stage: Usd.Stage, path: str, shape: Shape) -> Usd.Prim:
    """One primitive, with collision where asked for."""
    gprim: UsdGeom.Gprim
    match shape.kind:
        case "box":
            gprim = UsdGeom.Cube.Define(stage, path)
            gprim.CreateSizeAttr(1.0)
        case "sphere":
            gprim = UsdGeom.Sphere.Define(stage, path)
            gprim.CreateRadiusAttr(shape.size[0])
        case "capsule":
            gprim = UsdGeom.Capsule.Define(stage, path)
        case "cylinder":
            gprim = UsdGeom.Cylinder.Define(stage, path)
    if shape.kind in ("capsule", "cylinder"):
        gprim.CreateRadiusAttr(shape.size[0])
        gprim.CreateHeightAttr(shape.size[1])
        gprim.CreateAxisAttr("Z")
    scale = shape.size if shape.kind == "box" else (1.0, 1.0, 1.0)
    set_pose(gprim, shape.position, shape.orientation, scale)
    gprim.CreateDisplayColorAttr([Gf.Vec3f(*shape.color)])
    if shape.collides:
        author_collision(gprim.GetPrim(), shape.contact_offset)
    return gprim.GetPrim()


def author_collision(prim: Usd.Prim, contact_offset: float) -> None:
    """Makes a shape collide."""
    UsdPhysics.CollisionAPI.Apply(prim)
    author_api(
        prim,
        "PhysxCollisionAPI",
        {
            "physxCollision:contactOffset": (_TYPES.Float, contact_offset),
            "physxCollision:restOffset": (_TYPES.Float, 0.0),
        },
    )


def author_material(stage: Usd.Stage, path: str, material: Material) -> UsdShade.Material:
    """A contact material."""
    shade = UsdShade.Material.Define(stage, path)
    prim = shade.GetPrim()
    api = UsdPhysics.MaterialAPI.Apply(prim)
    api.CreateStaticFrictionAttr(material.static_friction)
    api.CreateDynamicFrictionAttr(material.dynamic_friction)
    api.CreateRestitutionAttr(material.restitution)
    author_api(
        prim,
        "PhysxMaterialAPI",
        {
            "physxMaterial:frictionCombineMode": (_TYPES.Token, material.combine),
            "physxMaterial:restitutionCombineMode": (_TYPES.Token, "average"),
        },
    )
    return shade


def author_rigid_body(
    prim: Usd.Prim,
    *,
    disable_gravity: bool = False,
    kinematic: bool = False,
    linear_damping: float = 0.0,
    angular_damping: float = 0.0,
    position_iterations: int = 8,
    velocity_iterations: int = 0,
    max_depenetration_velocity: float = 5.0,
) -> None:
    """Makes a prim a rigid body."""
    body = UsdPhysics.RigidBodyAPI.Apply(prim)
    if kinematic:
        body.CreateKinematicEnabledAttr(True)
    author_api(
        prim,
        "PhysxRigidBodyAPI",
        {
            "physxRigidBody:disableGravity": (_TYPES.Bool, disable_gravity),
            "physxRigidBody:linearDamping": (_TYPES.Float, linear_damping),
            "physxRigidBody:angularDamping": (_TYPES.Float, angular_damping),
            "physxRigidBody:maxLinearVelocity": (_TYPES.Float, 1000.0),
            "physxRigidBody:maxAngularVelocity": (_TYPES.Float, math.degrees(100.0)),
            "physxRigidBody:maxDepenetrationVelocity": (_TYPES.Float, max_depenetration_velocity),
            "physxRigidBody:solverPositionIterationCount": (_TYPES.Int, position_iterations),
            "physxRigidBody:solverVelocityIterationCount": (_TYPES.Int, velocity_iterations),
            # Sleeping bodies would make a reset or a push depend on what happened before.
            "physxRigidBody:sleepThreshold": (_TYPES.Float, 0.0),
            "physxRigidBody:stabilizationThreshold": (_TYPES.Float, 0.0),
            "physxRigidBody:enableGyroscopicForces": (_TYPES.Bool, True),
        },
    )


def author_mass(
    prim: Usd.Prim,
    *,
    mass: float | None = None,
    density: float | None = None,
    inertial: Inertial | None = None,
) -> None:
    """Mass, density, or full mass properties of a rigid body."""
    api = UsdPhysics.MassAPI.Apply(prim)
    if mass is not None:
        api.CreateMassAttr(mass)
    if density is not None:
        api.CreateDensityAttr(density)
    if inertial is not None:
        moments, axes = principal_inertia(inertial)
        api.CreateMassAttr(inertial.mass)
        api.CreateCenterOfMassAttr(Gf.Vec3f(*inertial.center_of_mass))
        api.CreateDiagonalInertiaAttr(Gf.Vec3f(*moments))
        api.CreatePrincipalAxesAttr(to_gf(axes))


def principal_inertia(inertial: Inertial) -> tuple[Vec3, Quat]:
    """Principal moments and the rotation (xyzw) from principal axes to the body's frame.

    Raises:
        ValueError: If no rigid body can have this inertia (moments not positive, or one larger
            than the sum of the others).
    """
    ixx, iyy, izz, ixy, ixz, iyz = inertial.inertia
    tensor = np.array([[ixx, ixy, ixz], [ixy, iyy, iyz], [ixz, iyz, izz]])
    if not (ixy or ixz or iyz):
        moments, axes = np.array([ixx, iyy, izz]), np.eye(3)
    else:
        moments, axes = np.linalg.eigh(tensor)
        if np.linalg.det(axes) < 0:
            axes[:, 0] = -axes[:, 0]
    if moments.min() <= 0 or 2 * moments.max() > moments.sum() * (1 + 1e-3):
        raise ValueError(f"inertia {inertial.inertia} has impossible principal moments {moments}")
    rotation = Gf.Matrix3d(*axes.T.flatten().tolist()).ExtractRotation().GetQuat()
    x, y, z = rotation.GetImaginary()
    return (
        (float(moments[0]), float(moments[1]), float(moments[2])),
        (x, y, z, rotation.GetReal()),
    )


def author_contact_report(prim: Usd.Prim) -> None:
    """Lets contact forces on a rigid body be read."""
    author_api(prim, "PhysxContactReportAPI", {"physxContactReport:threshold": (_TYPES.Float, 0.0)})


def check_referenced_file(file: Path, where: str) -> Vec3:
    """Refuses a USD file that would come in in other units, on its side, or empty.

    Returns:
        The scale of its default prim.
    """
    from isaac_gymnasium.scene.builder import SceneError

    try:
        layer = Usd.Stage.Open(str(file))
    except Tf.ErrorException as error:
        raise SceneError(f"{where}: {file} is not a readable USD file") from error
    if not layer.GetDefaultPrim():
        raise SceneError(f"{where}: {file} has no default prim to reference")
    units, axis = UsdGeom.GetStageMetersPerUnit(layer), UsdGeom.GetStageUpAxis(layer)
    if not math.isclose(units, 1.0, rel_tol=1e-6) or axis != UsdGeom.Tokens.z:
        raise SceneError(
            f"{where}: {file} must be in metres with Z up, got {units} m per unit with {axis} up"
        )
    return _scale_of(layer.GetDefaultPrim())


def validate_stage(stage: Usd.Stage, error: type[Exception]) -> None:
    """Raises `error`, naming the prim, for what engines would load in silence."""
    cache = UsdGeom.XformCache()
    for prim in stage.Traverse():
        path = prim.GetPath()
        if prim.IsA(UsdGeom.Xformable):
            values = np.array(cache.GetLocalToWorldTransform(prim))
            if not np.isfinite(values).all():
                raise error(f"{path}: its pose is not finite: {values[3, :3].tolist()}")
        if prim.IsA(UsdPhysics.Joint):
            _check_joint(stage, UsdPhysics.Joint(prim), error)
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            parent = prim.GetParent()
            while parent and not parent.IsPseudoRoot():
                if parent.HasAPI(UsdPhysics.RigidBodyAPI):
                    raise error(f"{path}: a rigid body below the rigid body {parent.GetPath()}")
                parent = parent.GetParent()


def _check_joint(stage: Usd.Stage, joint: UsdPhysics.Joint, error: type[Exception]) -> None:
    path = joint.GetPath()
    targets = [*joint.GetBody0Rel().GetTargets(), *joint.GetBody1Rel().GetTargets()]
    if not targets:
        raise error(f"{path}: a joint with neither body0 nor body1")
    for target in targets:
        prim = stage.GetPrimAtPath(target)
        if not prim:
            raise error(f"{path}: the joint points at {target}, which does not exist")
        while not prim.IsPseudoRoot() and not prim.HasAPI(UsdPhysics.RigidBodyAPI):
            prim = prim.GetParent()
        if prim.IsPseudoRoot() and len(targets) == 2:
            raise error(f"{path}: the joint points at {target}, which is no rigid body")
