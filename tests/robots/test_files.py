"""Robots from URDF and MJCF files: as the converters nest them, and as MuJoCo reads the same files.

The second half needs the converters: `make converters`, or `ISAAC_GYMNASIUM_ROBOTS_PYTHON`.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("pxr")

from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from isaac_gymnasium.engines import Engine, load_engine
from isaac_gymnasium.robots import files
from isaac_gymnasium.robots.files import PYTHON_VARIABLE, RobotFileError, convert_robot
from isaac_gymnasium.scene.builder import ENV_0, Scene

HALF = math.sqrt(0.5)
ASIDE = (0.3, 0.2, 1.5)
TURN = (0.0, 0.0, HALF, HALF)

# ---------------------------------------------------------------------- what converters make


def nested(file: Path, *, bolted: bool = True, joint: str = "Revolute") -> Path:
    """An arm of two links within each other, the second one turned and 0.3 m up and aside."""
    stage = Usd.Stage.CreateNew(str(file))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/arm").GetPrim())
    for path, place in (
        ("/arm/Geometry/base", (0.0, 0.0, 0.5)),
        ("/arm/Geometry/base/arm", (0.3, 0.0, 0.3)),
        ("/arm/Geometry/base/arm/arm", (0.2, 0.0, 0.0)),
    ):
        link = UsdGeom.Xform.Define(stage, path)
        link.AddTranslateOp().Set(Gf.Vec3d(*place))
        if path.endswith("base/arm"):
            link.AddRotateZOp().Set(90.0)
        UsdPhysics.RigidBodyAPI.Apply(link.GetPrim())
        UsdPhysics.MassAPI.Apply(link.GetPrim()).CreateMassAttr(2.0)
        shape = UsdGeom.Sphere.Define(stage, f"{path}/shape")
        shape.CreateRadiusAttr(0.05)
        UsdPhysics.CollisionAPI.Apply(shape.GetPrim())
    base = stage.GetPrimAtPath("/arm/Geometry/base")
    UsdPhysics.ArticulationRootAPI.Apply(base)
    UsdGeom.Plane.Define(stage, "/arm/Geometry/floor")
    shoulder = getattr(UsdPhysics, f"{joint}Joint").Define(stage, f"{base.GetPath()}/shoulder")
    shoulder.CreateBody0Rel().SetTargets([base.GetPath()])
    shoulder.CreateBody1Rel().SetTargets(["/arm/Geometry/base/arm"])
    shoulder.CreateLocalPos0Attr(Gf.Vec3f(0.3, 0.0, 0.3))
    shoulder.CreateLocalRot0Attr(Gf.Quatf(HALF, 0.0, 0.0, HALF))
    if joint == "Revolute":
        shoulder.CreateAxisAttr("Y")
        shoulder.CreateLowerLimitAttr(-90.0)
        shoulder.CreateUpperLimitAttr(45.0)
        for name, value in (("newton:armature", 0.02), ("urdf:limit:effort", 7.0)):
            shoulder.GetPrim().CreateAttribute(name, Sdf.ValueTypeNames.Float).Set(value)
    elbow = UsdPhysics.FixedJoint.Define(stage, "/arm/Physics/elbow")
    elbow.CreateBody0Rel().SetTargets(["/arm/Geometry/base/arm"])
    elbow.CreateBody1Rel().SetTargets(["/arm/Geometry/base/arm/arm"])
    elbow.CreateLocalPos0Attr(Gf.Vec3f(0.2, 0.0, 0.0))
    if bolted:
        bolt = UsdPhysics.FixedJoint.Define(stage, "/arm/Physics/root_joint")
        bolt.CreateBody0Rel().SetTargets(["/arm"])
        bolt.CreateBody1Rel().SetTargets([base.GetPath()])
        bolt.CreateLocalPos0Attr(Gf.Vec3f(0.0, 0.0, 0.5))
    stage.Save()
    return file


def laid_out(
    tmp_path: Path, fixed_base: bool | None = None, stiffness: float = 0.0, **how: Any
) -> Path:
    target = tmp_path / "arm.usda"
    drive = (stiffness, 0.5, math.inf)
    files._lay_out(nested(tmp_path / "nested.usda", **how), target, fixed_base, drive)
    return target


def test_links_become_siblings_with_names_of_their_own_where_they_were(tmp_path: Path) -> None:
    scene = Scene(env_spacing=3.0)
    scene.add_usd("Arm", laid_out(tmp_path), position=ASIDE, orientation=TURN)
    scene.validate()
    stage = scene.stage
    names = [p.GetName() for p in stage.GetPrimAtPath(f"{ENV_0}/Arm").GetChildren()]
    assert names == ["Looks", "base", "arm", "arm_1", "joints"]
    assert (scene.num_bodies, scene.num_colliders) == (3, 3)
    assert scene.bodies() == (["Arm"], [])
    places = {}
    for name in ("base", "arm", "arm_1"):
        pose = UsdGeom.Xformable(stage.GetPrimAtPath(f"{ENV_0}/Arm/{name}"))
        places[name] = tuple(pose.ComputeLocalToWorldTransform(0).ExtractTranslation())
    # A quarter turn about z takes x to y; the second link is turned by another one.
    assert places["base"] == pytest.approx((0.3, 0.2, 2.0))
    assert places["arm"] == pytest.approx((0.3, 0.5, 2.3))
    assert places["arm_1"] == pytest.approx((0.1, 0.5, 2.3))
    shoulder = UsdPhysics.Joint(stage.GetPrimAtPath(f"{ENV_0}/Arm/joints/shoulder"))
    assert shoulder.GetBody0Rel().GetTargets() == [f"{ENV_0}/Arm/base"]
    assert shoulder.GetBody1Rel().GetTargets() == [f"{ENV_0}/Arm/arm"]
    bolt = UsdPhysics.Joint(stage.GetPrimAtPath(f"{ENV_0}/Arm/joints/root_joint"))
    assert tuple(bolt.GetLocalPos0Attr().Get()) == pytest.approx((0.3, 0.2, 2.0))


def make(engine_name: str, file: Path, **where: Any) -> Engine:
    scene = Scene(env_spacing=4.0)
    scene.add_usd("Mine", file, **where)
    return load_engine(engine_name)(scene, 2, 1.0 / 240.0, torch.device("cpu"))


@pytest.mark.parametrize("fixed_base", [None, True, False])
@pytest.mark.parametrize("bolted", [True, False])
def test_it_is_bolted_as_asked_for_or_as_the_file_says(
    engine_name: str, tmp_path: Path, bolted: bool, fixed_base: bool | None
) -> None:
    file = laid_out(tmp_path, fixed_base, bolted=bolted)
    engine = make(engine_name, file, position=ASIDE, orientation=TURN)
    robot = engine.articulation("Mine")
    stays = bolted if fixed_base is None else fixed_base
    assert robot.fixed_base == stays
    engine.step(24)
    height = robot.root_pose[:, 2]
    fallen = 0.0 if stays else 0.5 * 9.81 * 0.1**2
    torch.testing.assert_close(height, torch.full((2,), 2.0 - fallen), atol=3e-3, rtol=0.0)
    engine.close()


def test_joints_keep_limits_rotors_and_torques_and_get_the_drive_asked_for(
    engine_name: str, tmp_path: Path
) -> None:
    engine = make(engine_name, laid_out(tmp_path, stiffness=30.0))
    robot = engine.articulation("Mine")
    assert robot.dof_names == ["shoulder"]
    assert robot.dof_limits.flatten().tolist() == pytest.approx([-math.pi / 2, math.pi / 4])
    for name, wanted in (
        ("dof_armature", 0.02),
        ("dof_max_effort", 7.0),
        ("dof_stiffness", 30.0),
        ("dof_damping", 0.5),
    ):
        assert robot.get_property(name).flatten().tolist() == pytest.approx([wanted] * 2), name
    assert robot.get_property("mass")[0].tolist() == pytest.approx([2.0] * 3)
    engine.close()


def test_a_joint_that_no_articulation_here_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RobotFileError, match="shoulder is a PhysicsSphericalJoint; expected a hin"):
        laid_out(tmp_path, joint="Spherical")


def test_two_joints_on_one_link_and_two_trees_are_refused(tmp_path: Path) -> None:
    file = nested(tmp_path / "nested.usda")
    stage = Usd.Stage.Open(str(file))
    elbow = UsdPhysics.Joint(stage.GetPrimAtPath("/arm/Physics/elbow"))
    elbow.GetBody1Rel().SetTargets(["/arm/Geometry/base/arm"])
    with pytest.raises(RobotFileError, match="shoulder and elbow both move link arm; expected one"):
        files._lay_out(file, tmp_path / "out.usda", None, (0.0, 0.0, 0.0))
    stage.RemovePrim("/arm/Physics/elbow")
    stage.RemovePrim("/arm/Physics/root_joint")
    with pytest.raises(RobotFileError, match=r"one tree of links, .*\['base', 'arm_1'\]"):
        files._lay_out(file, tmp_path / "out2.usda", None, (0.0, 0.0, 0.0))


def test_files_that_are_no_robots_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RobotFileError, match=r"expected a \.urdf or an \.xml .*robot\.sdf"):
        convert_robot(tmp_path / "robot.sdf", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no robot file at .*robot\.urdf"):
        convert_robot(tmp_path / "robot.urdf", tmp_path)


def test_without_a_converter_it_says_what_to_install_and_where(tmp_path: Path) -> None:
    file = tmp_path / "robot.urdf"
    file.write_text("<robot name='r'><link name='l'/></robot>")
    # Isolated, an interpreter finds nothing that is installed.
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(RobotFileError, match=r"has no urdf-usd-converter\. Install it into an env"):
        convert_robot(file, tmp_path, python=bare)
    with pytest.raises(RobotFileError, match="nothing-here cannot be run"):
        convert_robot(file, tmp_path, python=tmp_path / "nothing-here")
    assert not (tmp_path / "robot.usda").exists()


def test_what_is_refused_leaves_no_file_and_what_is_converted_again_replaces_it(
    tmp_path: Path,
) -> None:
    with pytest.raises(RobotFileError):
        laid_out(tmp_path, joint="Spherical")
    assert not (tmp_path / "arm.usda").exists()
    (tmp_path / "nested.usda").unlink()
    for stiffness in (1.0, 2.0):
        stage = Usd.Stage.Open(str(laid_out(tmp_path, stiffness=stiffness)))
        drive = UsdPhysics.DriveAPI(stage.GetPrimAtPath("/arm/joints/shoulder"), "angular")
        assert drive.GetStiffnessAttr().Get() == pytest.approx(math.radians(stiffness))
        del drive, stage
        (tmp_path / "nested.usda").unlink()


# ---------------------------------------------------------------------- robots from wheels


@pytest.fixture(scope="module")
def converters() -> str:
    beside = Path(__file__).parents[2] / ".venv-converters/bin/python"
    if os.environ.get(PYTHON_VARIABLE):
        return os.environ[PYTHON_VARIABLE]
    if not beside.exists():
        pytest.skip(f"no converters: make converters, or {PYTHON_VARIABLE}")
    return str(beside)


def from_wheel(package: str, file: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent / file


ROBOTS = {
    "ant": ("gymnasium", "envs/mujoco/assets/ant.xml"),
    "inverted_pendulum": ("gymnasium", "envs/mujoco/assets/inverted_pendulum.xml"),
    "cartpole": ("newton", "examples/assets/cartpole.urdf"),
}


@pytest.fixture(scope="module", params=ROBOTS)
def converted(
    request: pytest.FixtureRequest, converters: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    file = from_wheel(*ROBOTS[request.param])
    yield file, convert_robot(file, tmp_path_factory.mktemp("robots"), python=converters)


def test_a_robot_from_a_wheel_is_what_mujoco_reads(
    engine_name: str, converted: tuple[Path, Path]
) -> None:
    """Masses, limits, rotors, damping, and where links are at some joint positions."""
    mujoco = pytest.importorskip("mujoco")
    file, usd = converted
    model = mujoco.MjModel.from_xml_path(str(file))
    data = mujoco.MjData(model)
    engine = make(engine_name, usd)
    robot = engine.articulation("Mine")
    assert robot.fixed_base == (model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE)

    numbers = [model.joint(name).id for name in robot.dof_names]
    assert len(numbers) == model.njnt - (not robot.fixed_base)
    bodies = [int(model.jnt_bodyid[number]) for number in numbers]
    links = [moved_by(usd, name) for name in robot.dof_names]
    masses = dict(zip(robot.link_names, robot.get_property("mass")[0].tolist(), strict=True))
    assert [masses[k] for k in links] == pytest.approx(model.body_mass[bodies], rel=1e-4)
    for name, wanted in (("dof_armature", model.dof_armature), ("dof_damping", model.dof_damping)):
        found = robot.get_property(name)[0].tolist()
        addresses = [int(model.jnt_dofadr[number]) for number in numbers]
        assert found == pytest.approx(wanted[addresses], abs=1e-6), name
    draw = torch.rand(len(numbers), generator=torch.Generator().manual_seed(0))
    pos = torch.zeros(len(numbers))
    for k, number in enumerate(numbers):
        low, high = (-1.0, 1.0)
        if model.jnt_limited[number]:
            low, high = model.jnt_range[number]
            assert robot.dof_limits[k].tolist() == pytest.approx([low, high], abs=1e-5)
        pos[k] = low + (high - low) * draw[k]
        data.qpos[model.jnt_qposadr[number]] = float(pos[k])
    mujoco.mj_forward(model, data)
    robot.write_dof_state(pos.expand(2, -1), torch.zeros(2, len(numbers)))
    if not robot.fixed_base:
        # Zero is beyond the ant's limits, which throw it up as soon as something moves.
        pose = robot.root_pose.clone()
        pose[:, :3] = torch.from_numpy(data.qpos[:3]) + engine.env_origins
        pose[:, 3:] = torch.tensor((0.0, 0.0, 0.0, 1.0))
        robot.write_root_state(pose, torch.zeros(2, 6))
    places = robot.link_pose[:, [robot.link_index(k) for k in links], :3]
    places = places - engine.env_origins.unsqueeze(1)
    wanted_places = torch.from_numpy(data.xpos[bodies]).float().expand(2, -1, -1)
    torch.testing.assert_close(places, wanted_places, atol=1e-4, rtol=0.0)
    engine.close()


def moved_by(usd: Path, joint: str) -> str:
    """The link that a joint of a converted robot moves."""
    stage = Usd.Stage.Open(str(usd))
    prim = stage.GetPrimAtPath(stage.GetDefaultPrim().GetPath().AppendPath(f"joints/{joint}"))
    name: str = UsdPhysics.Joint(prim).GetBody1Rel().GetTargets()[0].name
    return name


def test_a_converter_that_gives_up_is_quoted(converters: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.xml"
    file.write_text("<mujoco><worldbody><body><no_such_thing/></body></worldbody></mujoco>")
    with pytest.raises(RobotFileError, match=r"mujoco-usd-converter gave up on .*broken\.xml"):
        convert_robot(file, tmp_path, python=converters)
    file = from_wheel("gymnasium", "envs/mujoco/assets/half_cheetah.xml")
    with pytest.raises(RobotFileError, match="rootx and rootz both move link torso"):
        convert_robot(file, tmp_path, python=converters)
