"""What a `Scene` writes as USD, and what it refuses to write."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pxr")

from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade

from isaac_gymnasium.robots.cartpole import cartpole
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene import (
    Inertial,
    Joint,
    Link,
    Material,
    PhysicsSettings,
    Robot,
    box,
    box_inertial,
    capsule,
    cylinder,
    sphere,
)
from isaac_gymnasium.scene.builder import ENV_0, PHYSICS_SCENE, Scene, SceneError

CUBE = box((0.1, 0.2, 0.3))
INERTIAL = box_inertial(1.0, (0.1, 0.1, 0.1))
IMPOSSIBLE = Inertial(mass=1.0, inertia=(1.0, 1.0, 5.0, 0.0, 0.0, 0.0))
TURN = (0.18257419, 0.36514837, 0.54772256, 0.73029674)  # xyzw: (1, 2, 3, 4) normalised


@pytest.fixture
def scene() -> Scene:
    return Scene(env_spacing=2.0)


def links(*names: str) -> tuple[Link, ...]:
    return tuple(Link(name=name, inertial=INERTIAL) for name in names)


def prim(scene: Scene, path: str) -> Usd.Prim:
    found = scene.stage.GetPrimAtPath(path if path.startswith("/") else f"{ENV_0}/{path}")
    assert found, path
    return found


def schemas(of: Usd.Prim) -> list[str]:
    """Applied schemas, those that this USD does not know included."""
    return list(of.GetPrimTypeInfo().GetAppliedAPISchemas())


def value(scene: Scene, path: str, attribute: str) -> Any:
    found = prim(scene, path).GetAttribute(attribute)
    assert found.HasAuthoredValue(), f"{path}.{attribute} is not authored"
    return found.Get()


# ---------------------------------------------------------------------- kinematics by hand
# Column vectors and 4x4 matrices, unlike USD.


def rotation(q: Any) -> np.ndarray:
    x, y, z, w = np.asarray(q, dtype=float) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def transform(position: Any = (0, 0, 0), turn: Any = None) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = position
    if turn is not None:
        pose[:3, :3] = turn
    return pose


def about(axis: Any, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * k @ k


def motion(kind: str, axis: Any, q: float) -> np.ndarray:
    if kind == "revolute":
        return transform(turn=about(axis, q))
    return transform(np.asarray(axis) * q) if kind == "prismatic" else np.eye(4)


def world(scene: Scene, path: str) -> np.ndarray:
    """Pose of a prim as USD computes it."""
    return np.array(UsdGeom.XformCache().GetLocalToWorldTransform(prim(scene, path))).T


def quat(q: Any) -> tuple[float, ...]:
    """xyzw of a USD quaternion."""
    return (*q.GetImaginary(), q.GetReal())


def branching_robot() -> Robot:
    """Every kind of joint, axes in all directions, turned frames, joints in no order."""
    s = math.sqrt(0.5)
    joints = (
        Joint(
            name="slide", kind="prismatic", parent="b", child="c", position=(0.1, 0.2, 0.3),
            orientation=(s, 0, 0, s), axis=(0, 1, 0), limits=(-0.5, 0.5), default=0.2,
        ),
        Joint(
            name="oblique", kind="revolute", parent="a", child="b", position=(0.3, 0.0, -0.1),
            orientation=TURN, axis=(0.48, 0.6, 0.64), limits=(-2.0, 2.0), default=0.7,
        ),
        Joint(
            name="weld", kind="fixed", parent="c", child="d", position=(0.0, 0.5, 0.0),
            orientation=(0, -s, 0, s),
        ),
        Joint(
            name="backwards", kind="revolute", parent="d", child="e", position=(0.2, 0.0, 0.0),
            axis=(0, 0, -1), default=-1.1,
        ),
        Joint(
            name="down", kind="prismatic", parent="a", child="f", orientation=TURN,
            axis=(0, -0.6, 0.8), limits=(-1.0, 0.0), default=-0.4,
        ),
        Joint(name="x", kind="revolute", parent="f", child="g", axis=(1, 0, 0), default=2.5),
    )  # fmt: skip
    return Robot(links=links("a", "e", "d", "c", "b", "g", "f"), joints=joints)


def poses_by_hand(robot: Robot, base: np.ndarray) -> dict[str, np.ndarray]:
    poses = {robot.links[0].name: base}
    while len(poses) < len(robot.links):
        for joint in robot.joints:
            if joint.parent in poses:
                frame = transform(joint.position, rotation(joint.orientation))
                moved = motion(joint.kind, joint.axis, joint.default)
                poses[joint.child] = poses[joint.parent] @ frame @ moved
    return poses


@pytest.mark.parametrize("robot", [branching_robot(), franka(), cartpole()])
def test_links_are_authored_where_forward_kinematics_puts_them(scene: Scene, robot: Robot) -> None:
    position = (0.5, -0.4, 1.3)
    scene.add_robot("Robot", robot, position=position, orientation=TURN)
    poses = poses_by_hand(robot, transform(position, rotation(TURN)))
    assert len(poses) == len(robot.links)
    for name, pose in poses.items():
        np.testing.assert_allclose(world(scene, f"Robot/{name}"), pose, atol=2e-6)


@pytest.mark.parametrize("robot", [branching_robot(), franka(), cartpole()])
def test_joint_frames_of_parent_and_child_meet_at_the_default_position(
    scene: Scene, robot: Robot
) -> None:
    scene.add_robot("Robot", robot, position=(1.0, 2.0, 3.0), orientation=TURN)
    for joint in robot.joints:
        path = f"Robot/joints/{joint.name}"
        frames = []
        for side, link in ((0, joint.parent), (1, joint.child)):
            targets = prim(scene, path).GetRelationship(f"physics:body{side}").GetTargets()
            assert targets == [f"{ENV_0}/Robot/{link}"]
            turn = rotation(quat(value(scene, path, f"physics:localRot{side}")))
            local = transform(value(scene, path, f"physics:localPos{side}"), turn)
            frames.append(world(scene, f"Robot/{link}") @ local)
        if joint.kind != "fixed":
            token = np.eye(3)["XYZ".index(value(scene, path, "physics:axis"))]
            # The joint's own axis, seen from the child.
            np.testing.assert_allclose(turn @ token, joint.axis, atol=1e-6)
            frames[0] = frames[0] @ motion(joint.kind, token, joint.default)
        np.testing.assert_allclose(frames[0], frames[1], atol=3e-6)


def test_a_fixed_base_is_bolted_where_the_robot_stands(scene: Scene) -> None:
    scene.add_robot("Robot", cartpole(), position=(0.1, 0.2, 0.3), orientation=TURN)
    path = "Robot/fixed_base"
    assert prim(scene, path).GetTypeName() == "PhysicsFixedJoint"
    assert prim(scene, path).GetRelationship("physics:body0").GetTargets() == []
    assert prim(scene, path).GetRelationship("physics:body1").GetTargets() == [
        f"{ENV_0}/Robot/slider"
    ]
    assert tuple(value(scene, path, "physics:localPos0")) == pytest.approx((0.1, 0.2, 0.3))
    assert quat(value(scene, path, "physics:localRot0")) == pytest.approx(TURN)
    free = Robot(links=links("a"), fixed_base=False)
    scene.add_robot("Free", free)
    assert not scene.stage.GetPrimAtPath(f"{ENV_0}/Free/fixed_base")


# ---------------------------------------------------------------------- authored values


def test_quaternions_are_written_real_part_first(scene: Scene) -> None:
    scene.add_rigid_body("Cube", CUBE, mass=1.0, position=(1.0, 2.0, 3.0), orientation=(1, 2, 3, 4))
    scene.add_static("Wall", CUBE, orientation=TURN)
    scene.add_static("Tilted", box((0.1,) * 3, orientation=TURN))
    for path in ("Cube", "Wall", "Tilted/box_0"):
        written = value(scene, path, "xformOp:orient:env")
        assert isinstance(written, Gf.Quatf)
        assert written.GetReal() == pytest.approx(TURN[3])
        assert tuple(written.GetImaginary()) == pytest.approx(TURN[:3])
    np.testing.assert_allclose(
        world(scene, "Cube"), transform((1.0, 2.0, 3.0), rotation(TURN)), atol=1e-6
    )


@pytest.mark.parametrize("orientation", [(0, 0, 0, 0), (math.nan, 0, 0, 1)])
def test_an_orientation_must_be_a_quaternion(scene: Scene, orientation: Any) -> None:
    with pytest.raises(ValueError, match="orientation must be a quaternion"):
        scene.add_rigid_body("Cube", CUBE, mass=1.0, orientation=orientation)


def test_angles_are_written_in_degrees_and_gains_per_degree(scene: Scene) -> None:
    common = {
        "effort_limit": 87.0,
        "velocity_limit": 2.0,
        "stiffness": 400.0,
        "damping": 80.0,
        "armature": 0.1,
        "limits": (-0.5, 1.5),
        "default": 0.25,
    }
    robot = Robot(
        links=links("a", "b", "c"),
        joints=(
            Joint(name="turn", kind="revolute", parent="a", child="b", **common),
            Joint(name="slide", kind="prismatic", parent="b", child="c", **common),
        ),
    )
    scene.add_robot("Robot", robot)
    for joint, kind, unit in (("turn", "angular", 180.0 / math.pi), ("slide", "linear", 1.0)):
        expected = {
            "physics:lowerLimit": -0.5 * unit,
            "physics:upperLimit": 1.5 * unit,
            f"drive:{kind}:physics:stiffness": 400.0 / unit,
            f"drive:{kind}:physics:damping": 80.0 / unit,
            f"drive:{kind}:physics:maxForce": 87.0,
            f"drive:{kind}:physics:targetPosition": 0.25 * unit,
            f"drive:{kind}:physics:targetVelocity": 0.0,
            f"state:{kind}:physics:position": 0.25 * unit,
            f"state:{kind}:physics:velocity": 0.0,
            f"physxJointAxis:{kind}:armature": 0.1,
            f"physxJointAxis:{kind}:maxJointVelocity": 2.0 * unit,
            f"physxJointAxis:{kind}:dynamicFrictionEffort": 0.0,
        }
        for attribute, number in expected.items():
            written = value(scene, f"Robot/joints/{joint}", attribute)
            assert written == pytest.approx(number, rel=1e-6), attribute
        assert value(scene, f"Robot/joints/{joint}", f"drive:{kind}:physics:type") == "force"
        applied = schemas(prim(scene, f"Robot/joints/{joint}"))
        for schema in ("PhysicsDriveAPI", "PhysicsJointStateAPI", "PhysxJointAxisAPI"):
            assert f"{schema}:{kind}" in applied


def test_a_joint_without_limits_stays_without(scene: Scene) -> None:
    scene.add_robot("Robot", cartpole())
    path = "Robot/joints/cart_to_pole"
    assert value(scene, path, "physics:lowerLimit") == -math.inf
    assert value(scene, path, "physics:upperLimit") == math.inf


def test_what_an_engine_would_default_is_written(scene: Scene) -> None:
    robot = Robot(
        links=links("a", "b"),
        joints=(Joint(name="j", kind="revolute", parent="a", child="b"),),
        self_collisions=True,
        disable_gravity=True,
        position_iterations=11,
        velocity_iterations=3,
        max_depenetration_velocity=7.0,
    )
    scene.add_robot("Robot", robot)
    assert value(scene, "Robot", "physxArticulation:enabledSelfCollisions") is True
    assert value(scene, "Robot", "physxArticulation:solverPositionIterationCount") == 11
    assert value(scene, "Robot", "physxArticulation:solverVelocityIterationCount") == 3
    assert prim(scene, "Robot").HasAPI(UsdPhysics.ArticulationRootAPI)
    scene.add_rigid_body(
        "Cube",
        CUBE,
        mass=1.0,
        disable_gravity=True,
        linear_damping=0.5,
        angular_damping=0.25,
        position_iterations=11,
        velocity_iterations=3,
        max_depenetration_velocity=7.0,
    )
    for path in ("Robot/b", "Cube"):
        assert value(scene, path, "physxRigidBody:disableGravity") is True
        assert value(scene, path, "physxRigidBody:sleepThreshold") == 0.0
        assert value(scene, path, "physxRigidBody:solverPositionIterationCount") == 11
        assert value(scene, path, "physxRigidBody:solverVelocityIterationCount") == 3
        assert value(scene, path, "physxRigidBody:maxDepenetrationVelocity") == 7.0
        # In degrees per second.
        assert value(scene, path, "physxRigidBody:maxAngularVelocity") == pytest.approx(5729.578)
    assert value(scene, "Cube", "physxRigidBody:linearDamping") == 0.5
    assert value(scene, "Cube", "physxRigidBody:angularDamping") == 0.25
    assert not prim(scene, "Cube").GetAttribute("physics:kinematicEnabled").HasAuthoredValue()
    scene.add_rigid_body("Hand", CUBE, mass=1.0, kinematic=True)
    assert value(scene, "Hand", "physics:kinematicEnabled") is True


@pytest.mark.parametrize(("gravity", "direction"), [(-9.81, -1.0), (-1.62, -1.0), (2.5, 1.0)])
def test_gravity_has_its_size_and_direction(gravity: float, direction: float) -> None:
    settings = PhysicsSettings(
        gravity=gravity,
        bounce_threshold=0.3,
        friction_offset_threshold=0.05,
        friction_correlation_distance=0.01,
    )
    scene = Scene(env_spacing=1.0, settings=settings)
    assert value(scene, PHYSICS_SCENE, "physics:gravityMagnitude") == pytest.approx(abs(gravity))
    assert tuple(value(scene, PHYSICS_SCENE, "physics:gravityDirection")) == (0.0, 0.0, direction)
    for name, number in (
        ("bounceThreshold", 0.3),
        ("frictionOffsetThreshold", 0.05),
        ("frictionCorrelationDistance", 0.01),
    ):
        assert value(scene, PHYSICS_SCENE, f"physxScene:{name}") == pytest.approx(number)
    assert value(scene, PHYSICS_SCENE, "physxScene:solverType") == "TGS"


def test_the_stage_is_in_metres_and_kilograms_with_z_up(scene: Scene) -> None:
    assert UsdGeom.GetStageUpAxis(scene.stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(scene.stage) == 1.0
    assert UsdPhysics.GetStageKilogramsPerUnit(scene.stage) == 1.0
    assert str(scene.stage.GetDefaultPrim().GetPath()) == "/World"


@pytest.mark.parametrize("spacing", [0.0, -1.0, math.nan, math.inf])
def test_the_spacing_must_be_positive_and_finite(spacing: float) -> None:
    with pytest.raises(ValueError, match="env_spacing must be positive and finite, got"):
        Scene(env_spacing=spacing)


# ---------------------------------------------------------------------- shapes and materials


def extent(scene: Scene, path: str) -> np.ndarray:
    bound = UsdGeom.BBoxCache(Usd.TimeCode.Default(), ["default"])
    size = bound.ComputeWorldBound(prim(scene, path)).ComputeAlignedRange().GetSize()
    return np.array(size)


def test_shapes_have_their_size_place_and_collision(scene: Scene) -> None:
    s = math.sqrt(0.5)
    shapes = [
        box((0.1, 0.2, 0.3), position=(1.0, 0.0, 0.0)),
        sphere(0.25),
        capsule(0.1, 0.6),
        cylinder(0.1, 0.6, orientation=(0.0, s, 0.0, s), collides=False, color=(1.0, 0.0, 0.5)),
    ]
    path = scene.add_static("Set", shapes, position=(0.0, 0.0, 2.0))
    assert path == f"{ENV_0}/Set"
    kinds = ["box_0", "sphere_1", "capsule_2", "cylinder_3"]
    assert [child.GetName() for child in prim(scene, "Set").GetChildren()] == kinds
    np.testing.assert_allclose(extent(scene, "Set/box_0"), (0.1, 0.2, 0.3), rtol=1e-5)
    np.testing.assert_allclose(world(scene, "Set/box_0")[:3, 3], (1.0, 0.0, 2.0))
    np.testing.assert_allclose(extent(scene, "Set/sphere_1"), (0.5,) * 3, rtol=1e-5)
    np.testing.assert_allclose(extent(scene, "Set/capsule_2"), (0.2, 0.2, 0.8), rtol=1e-5)
    np.testing.assert_allclose(extent(scene, "Set/cylinder_3"), (0.6, 0.2, 0.2), rtol=1e-5)
    for name in kinds:
        collides = name != "cylinder_3"
        assert prim(scene, f"Set/{name}").HasAPI(UsdPhysics.CollisionAPI) == collides
    assert tuple(value(scene, "Set/cylinder_3", "primvars:displayColor")[0]) == (1.0, 0.0, 0.5)
    assert value(scene, "Set/box_0", "physxCollision:contactOffset") == pytest.approx(0.01)
    assert value(scene, "Set/box_0", "physxCollision:restOffset") == 0.0


def material_of(scene: Scene, path: str) -> str:
    binding = UsdShade.MaterialBindingAPI(prim(scene, path)).GetDirectBinding("physics")
    return str(binding.GetMaterialPath())


def test_materials_are_written_once_and_shared(scene: Scene) -> None:
    rubber = Material(static_friction=1.5, dynamic_friction=1.2, restitution=0.4, combine="max")
    scene.add_static("A", [box((1.0, 1.0, 1.0), material=rubber), sphere(0.1)])
    same = Material(static_friction=1.5, dynamic_friction=1.2, restitution=0.4, combine="max")
    scene.add_rigid_body("B", sphere(0.1, material=same), mass=1.0)
    scene.add_ground()
    rubber_path = material_of(scene, "A/box_0")
    assert material_of(scene, "B/sphere_0") == rubber_path
    assert material_of(scene, "A/sphere_1") == material_of(scene, "/World/ground") != rubber_path
    assert value(scene, rubber_path, "physics:staticFriction") == pytest.approx(1.5)
    assert value(scene, rubber_path, "physics:dynamicFriction") == pytest.approx(1.2)
    assert value(scene, rubber_path, "physics:restitution") == pytest.approx(0.4)
    assert value(scene, rubber_path, "physxMaterial:frictionCombineMode") == "max"
    default = material_of(scene, "/World/ground")
    assert value(scene, default, "physics:staticFriction") == pytest.approx(0.8)
    assert value(scene, default, "physxMaterial:frictionCombineMode") == "average"


# ---------------------------------------------------------------------- mass properties


@pytest.mark.parametrize(
    ("given", "count"), [({}, 0), ({"mass": 1.0, "density": 1.0}, 2), ({"mass": 1.0, "i": 1}, 2)]
)
def test_mass_density_or_inertial_exactly_one(
    scene: Scene, given: dict[str, Any], count: int
) -> None:
    if given.pop("i", None):
        given["inertial"] = INERTIAL
    message = f"'Cube': give exactly one of mass, density, inertial; got {count}"
    with pytest.raises(ValueError, match=message):
        scene.add_rigid_body("Cube", CUBE, **given)
    assert scene.num_bodies == 0


@pytest.mark.parametrize(
    "given",
    [
        {"mass": 0.0},
        {"mass": -1.0},
        {"mass": math.nan},
        {"density": math.inf},
        {"density": -5.0},
        {"inertial": Inertial(mass=1.0, inertia=(0.0, 1.0, 1.0, 0.0, 0.0, 0.0))},
        {"inertial": Inertial(mass=1.0, inertia=(1.0, 1.0, 3.0, 0.0, 0.0, 0.0))},
        {"inertial": Inertial(mass=1.0, inertia=(1.0, 1.0, 1.0, 2.0, 0.0, 0.0))},
    ],
)
def test_impossible_mass_properties_are_refused(scene: Scene, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be positive|impossible principal moments"):
        scene.add_rigid_body("Cube", CUBE, **given)


def test_an_impossible_inertia_of_a_link_is_refused(scene: Scene) -> None:
    bad = Inertial(mass=1.0, inertia=(1.0, 1.0, 3.0, 0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="impossible principal moments"):
        scene.add_robot("Robot", Robot(links=(Link(name="a", inertial=bad),)))


def test_mass_and_density_are_written_as_given(scene: Scene) -> None:
    scene.add_rigid_body("Heavy", CUBE, mass=2.5)
    scene.add_rigid_body("Dense", CUBE, density=400.0)
    assert value(scene, "Heavy", "physics:mass") == 2.5
    assert value(scene, "Dense", "physics:density") == 400.0
    assert not prim(scene, "Dense").GetAttribute("physics:mass").HasAuthoredValue()
    assert not prim(scene, "Heavy").GetAttribute("physics:density").HasAuthoredValue()


@pytest.mark.parametrize("seed", range(6))
def test_principal_moments_and_axes_make_up_the_inertia(scene: Scene, seed: int) -> None:
    # Of point masses, so that it is the inertia of a body that exists.
    points = np.random.default_rng(seed).normal(size=(5, 3)) * (0.1, 0.3, 0.5)
    points -= points.mean(0)
    squares = np.einsum("pi,pj->ij", points, points)
    tensor = np.trace(squares) * np.eye(3) - squares
    i, j = [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]
    inertial = Inertial(mass=5.0, center_of_mass=(0.1, 0.2, 0.3), inertia=tuple(tensor[i, j]))
    scene.add_rigid_body("Body", CUBE, inertial=inertial)
    scene.add_robot("Robot", Robot(links=(Link(name="a", inertial=inertial),)))
    for path in ("Body", "Robot/a"):
        moments = np.array(value(scene, path, "physics:diagonalInertia"))
        axes = rotation(quat(value(scene, path, "physics:principalAxes")))
        np.testing.assert_allclose(axes @ np.diag(moments) @ axes.T, tensor, atol=1e-5)
        assert value(scene, path, "physics:mass") == 5.0
        assert tuple(value(scene, path, "physics:centerOfMass")) == pytest.approx((0.1, 0.2, 0.3))


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["", "1st", "a b", "a/b", "../a", "a-b", "a.b", "/World/a"])
def test_a_name_must_be_an_identifier(scene: Scene, name: str, tmp_path: Path) -> None:
    asset(tmp_path / "asset.usda")
    for add in (
        lambda: scene.add_static(name, CUBE),
        lambda: scene.add_rigid_body(name, CUBE, mass=1.0),
        lambda: scene.add_robot(name, cartpole()),
        lambda: scene.add_usd(name, tmp_path / "asset.usda"),
    ):
        with pytest.raises(ValueError, match="is not a valid prim name"):
            add()
    assert prim(scene, ENV_0).GetChildren() == []


def test_a_name_is_given_once(scene: Scene, tmp_path: Path) -> None:
    asset(tmp_path / "asset.usda")
    adders = [
        lambda: scene.add_static("Thing", CUBE),
        lambda: scene.add_rigid_body("Thing", CUBE, mass=1.0),
        lambda: scene.add_robot("Thing", cartpole()),
        lambda: scene.add_usd("Thing", tmp_path / "asset.usda"),
    ]
    adders[0]()
    for add in adders:
        with pytest.raises(ValueError, match=f"{ENV_0}/Thing: already in the scene"):
            add()
    scene.add_ground()
    with pytest.raises(ValueError, match="/World/ground: already in the scene"):
        scene.add_ground()


@pytest.mark.parametrize("name", ["base", "b", "joints", "a"])
def test_a_joint_may_have_any_name(scene: Scene, name: str) -> None:
    hinge = Joint(name=name, kind="revolute", parent="a", child="b")
    scene.add_robot("Robot", Robot(links=links("a", "b"), joints=(hinge,)))
    found = [p for p in Usd.PrimRange(prim(scene, "Robot")) if p.IsA(UsdPhysics.Joint)]
    kinds = sorted(p.GetTypeName() for p in found)
    assert kinds == ["PhysicsFixedJoint", "PhysicsRevoluteJoint"]
    turning = next(p for p in found if p.GetTypeName() == "PhysicsRevoluteJoint")
    assert turning.GetName() == name


@pytest.mark.parametrize(
    ("link", "joint"), [("my link", "j"), ("b", "joint 1"), ("1b", "j"), ("joints", "j")]
)
def test_a_link_or_joint_name_that_usd_cannot_hold_is_refused_by_name(
    scene: Scene, link: str, joint: str
) -> None:
    with pytest.raises(ValueError, match=f"{link if link != 'b' else joint}.* name"):
        robot = Robot(
            links=links("a", link),
            joints=(Joint(name=joint, kind="revolute", parent="a", child=link),),
        )
        scene.add_robot("Robot", robot)


# ---------------------------------------------------------------------- USD files


def asset(file: Path, *, units: float = 1.0, up: str = "Z", default: bool = True) -> Path:
    """A cube as somebody else might have authored it."""
    stage = Usd.Stage.CreateNew(str(file))
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, units)
    root = UsdGeom.Xform.Define(stage, "/Cube")
    root.AddTranslateOp().Set(Gf.Vec3d(5.0, 6.0, 7.0))
    UsdPhysics.RigidBodyAPI.Apply(root.GetPrim())
    shape = UsdGeom.Cube.Define(stage, "/Cube/shape")
    UsdPhysics.CollisionAPI.Apply(shape.GetPrim())
    if default:
        stage.SetDefaultPrim(root.GetPrim())
    stage.Save()
    return file


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usd"])
def test_a_usd_file_comes_in_at_the_wanted_pose(scene: Scene, tmp_path: Path, suffix: str) -> None:
    file = asset(tmp_path / f"asset{suffix}")
    path = scene.add_usd("Mine", file, position=(1.0, 2.0, 3.0), orientation=TURN)
    assert path == f"{ENV_0}/Mine"
    np.testing.assert_allclose(
        world(scene, "Mine"), transform((1.0, 2.0, 3.0), rotation(TURN)), atol=1e-6
    )
    assert prim(scene, "Mine").HasAPI(UsdPhysics.RigidBodyAPI)
    assert (scene.num_bodies, scene.num_colliders) == (1, 1)
    scene.add_usd("Another", str(file))
    assert scene.bodies() == ([], ["Mine", "Another"])
    scene.validate()


@pytest.mark.parametrize("how", ["op", "matrix"])
def test_the_scale_of_a_usd_file_is_kept(scene: Scene, tmp_path: Path, how: str) -> None:
    file = asset(tmp_path / "asset.usda")
    stage = Usd.Stage.Open(str(file))
    root = UsdGeom.Xformable(stage.GetDefaultPrim())
    if how == "op":
        root.AddRotateXYZOp().Set((10.0, 20.0, 30.0))
        root.AddScaleOp().Set((0.5, 2.0, 3.0))
    else:
        matrix = Gf.Matrix4d().SetScale((0.5, 2.0, 3.0)) * Gf.Matrix4d().SetTranslate((5, 6, 7))
        root.MakeMatrixXform().Set(matrix)
    stage.Save()
    scene.add_usd("Mine", file, position=(1.0, 2.0, 3.0), orientation=TURN)
    scaled = transform((1.0, 2.0, 3.0), rotation(TURN)) @ np.diag((0.5, 2.0, 3.0, 1.0))
    np.testing.assert_allclose(world(scene, "Mine"), scaled, atol=1e-6)


@pytest.mark.parametrize(
    "refused",
    [
        lambda scene: scene.add_rigid_body("Thing", CUBE, mass=1.0, orientation=(0.0,) * 4),
        lambda scene: scene.add_rigid_body("Thing", CUBE, inertial=IMPOSSIBLE),
        lambda scene: scene.add_static("Thing", [CUBE, None]),
    ],
)
def test_what_is_refused_leaves_nothing_behind(scene: Scene, refused: Any) -> None:
    with pytest.raises((ValueError, AttributeError)):
        refused(scene)
    assert not prim(scene, ENV_0).GetChildren()
    scene.add_rigid_body("Thing", CUBE, mass=1.0)


def test_a_relative_path_is_relative_to_where_python_runs(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset(tmp_path / "asset.usda")
    monkeypatch.chdir(tmp_path)
    scene.add_usd("Mine", "asset.usda")
    monkeypatch.undo()
    copy = Usd.Stage.CreateInMemory()
    copy.GetRootLayer().TransferContent(scene.stage.GetRootLayer())
    assert copy.GetPrimAtPath(f"{ENV_0}/Mine").HasAPI(UsdPhysics.RigidBodyAPI)


def test_a_missing_usd_file_is_named(scene: Scene, tmp_path: Path) -> None:
    for file in (tmp_path / "no.usd", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"{ENV_0}/Mine: no USD file at {file}"):
            scene.add_usd("Mine", file)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("garbage.usd", b"garbage"),
        ("garbage.usda", b"#usda 1.0\n(unfinished"),
        ("garbage.usdc", b"PXR-USDC and then nothing"),
        ("empty.usd", b""),
        ("robot.urdf", b"<robot/>"),
    ],
)
def test_a_file_that_is_not_usd_is_refused(
    scene: Scene, tmp_path: Path, name: str, content: bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(SceneError, match=f"{ENV_0}/Mine: .*{name} is not a readable USD file"):
        scene.add_usd("Mine", file)
    assert prim(scene, ENV_0).GetChildren() == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"units": 0.01}, r"must be in metres with Z up, got 0\.01 m per unit with Z up"),
        ({"up": "Y"}, r"must be in metres with Z up, got 1\.0 m per unit with Y up"),
        ({"default": False}, "has no default prim"),
    ],
)
def test_a_usd_file_of_another_world_is_refused(
    scene: Scene, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    file = asset(tmp_path / "asset.usda", **wrong)
    with pytest.raises(SceneError, match=rf"{ENV_0}/Mine: .*asset\.usda {message}"):
        scene.add_usd("Mine", file)
    assert prim(scene, ENV_0).GetChildren() == []


# ---------------------------------------------------------------------- what a scene knows


def test_bodies_and_colliders_are_counted_and_named(scene: Scene) -> None:
    assert (scene.num_bodies, scene.num_colliders) == (0, 0)
    scene.add_ground()
    scene.add_static("Table", [CUBE, CUBE, box((0.1,) * 3, collides=False)])
    assert (scene.num_bodies, scene.num_colliders) == (0, 2)
    scene.add_rigid_body("Ball", sphere(0.1), mass=1.0)
    scene.add_rigid_body("Mover", [sphere(0.1), CUBE], mass=1.0, kinematic=True)
    assert (scene.num_bodies, scene.num_colliders) == (2, 5)
    robot = franka()
    scene.add_robot("Robot", robot)
    shapes = sum(shape.collides for link in robot.links for shape in link.shapes)
    assert (scene.num_bodies, scene.num_colliders) == (2 + 11, 5 + shapes)
    assert scene.bodies() == (["Robot"], ["Ball"])


def reports(scene: Scene) -> list[str]:
    found = [p for p in scene.stage.Traverse() if "PhysxContactReportAPI" in schemas(p)]
    assert all(schemas(p).count("PhysxContactReportAPI") == 1 for p in found)
    return [p.GetName() for p in found]


def test_contact_reports_are_for_every_body_below(scene: Scene) -> None:
    path = scene.add_rigid_body("Ball", sphere(0.1), mass=1.0)
    scene.add_rigid_body("Cube", CUBE, mass=1.0)
    scene.add_robot("Robot", cartpole())
    scene.enable_contact_reports(path)
    assert reports(scene) == ["Ball"]
    scene.enable_contact_reports("Robot/cart")
    assert reports(scene) == ["Ball", "cart"]
    scene.enable_contact_reports("Robot")
    scene.enable_contact_reports("Robot")
    assert reports(scene) == ["Ball", "slider", "cart", "pole"]
    assert value(scene, "Ball", "physxContactReport:threshold") == 0.0


@pytest.mark.parametrize("path", ["Nothing", "Wall", "/World/nothing"])
def test_contact_reports_need_a_body(scene: Scene, path: str) -> None:
    scene.add_static("Wall", CUBE)
    with pytest.raises(SceneError, match=f"{path}: no rigid body here"):
        scene.enable_contact_reports(path)


# ---------------------------------------------------------------------- validation


def test_a_sound_scene_is_valid(scene: Scene) -> None:
    scene.validate()
    scene.add_ground()
    scene.add_robot("Robot", franka())
    scene.add_robot("Free", Robot(links=links("a"), fixed_base=False))
    scene.add_static("Wall", CUBE)
    scene.add_rigid_body("Cube", CUBE, mass=1.0)
    scene.validate()


def test_a_rigid_body_below_a_rigid_body_is_refused(scene: Scene) -> None:
    scene.add_rigid_body("Cube", CUBE, mass=1.0)
    lid = UsdGeom.Xform.Define(scene.stage, f"{ENV_0}/Cube/parts/Lid")
    UsdPhysics.RigidBodyAPI.Apply(lid.GetPrim())
    message = f"{ENV_0}/Cube/parts/Lid: a rigid body below the rigid body {ENV_0}/Cube"
    with pytest.raises(SceneError, match=message):
        scene.validate()


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        ((), "a joint with neither body0 nor body1"),
        (("Cube", "Gone"), f"points at {ENV_0}/Gone, which does not exist"),
        (("Gone",), f"points at {ENV_0}/Gone, which does not exist"),
        (("Cube", "Wall"), f"points at {ENV_0}/Wall, which is no rigid body"),
    ],
)
def test_a_joint_must_join_bodies(scene: Scene, bodies: tuple[str, ...], message: str) -> None:
    scene.add_rigid_body("Cube", CUBE, mass=1.0)
    scene.add_static("Wall", CUBE)
    joint = UsdPhysics.FixedJoint.Define(scene.stage, f"{ENV_0}/joint")
    relations = (joint.CreateBody0Rel(), joint.CreateBody1Rel())
    for relation, name in zip(relations, bodies, strict=False):
        relation.SetTargets([f"{ENV_0}/{name}"])
    with pytest.raises(SceneError, match=f"{ENV_0}/joint: .*{message}"):
        scene.validate()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("axis", range(3))
def test_a_pose_that_is_not_finite_is_refused(scene: Scene, bad: float, axis: int) -> None:
    position = [0.0, 0.0, 0.0]
    position[axis] = bad
    scene.add_static("Wall", CUBE, position=tuple(position))
    with pytest.raises(SceneError, match=f"{ENV_0}/Wall.*: its pose is not finite"):
        scene.validate()
