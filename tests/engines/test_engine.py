"""The engine interface: reads, masked writes, errors, life and death."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from isaac_gymnasium.engines import Engine, EngineError, available_engines, load_engine
from isaac_gymnasium.robots.cartpole import cartpole
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene import Joint, Link, Robot, box, box_inertial
from isaac_gymnasium.scene.builder import Scene, SceneError

N = 5


def cube_scene() -> Scene:
    scene = Scene(env_spacing=2.0)
    scene.add_ground()
    scene.add_robot("Robot", franka())
    scene.add_rigid_body("Cube", box((0.05,) * 3), mass=0.1, position=(0.5, 0.0, 0.025))
    return scene


@pytest.fixture
def engine(engine_name: str, device: torch.device) -> Iterator[Engine]:
    engine = load_engine(engine_name)(cube_scene(), N, 1 / 120, device)
    yield engine
    engine.close()


def test_rows_are_in_environment_order(engine: Engine) -> None:
    cube = engine.rigid_body("Cube")
    pose = cube.pose.clone()
    pose[:, 2] = 1.0 + torch.arange(N, device=engine.device)
    cube.write_state(pose, torch.zeros(N, 6, device=engine.device))
    engine.step()
    assert (cube.pose[:, 2] - pose[:, 2]).abs().max() < 1e-2
    robot = engine.articulation("Robot")
    offset = robot.link_pose[:, 0, :3] - engine.env_origins
    torch.testing.assert_close(offset, torch.zeros_like(offset), atol=1e-6, rtol=0.0)


def test_a_masked_write_leaves_other_rows_bitwise_alone(engine: Engine) -> None:
    robot, cube = engine.articulation("Robot"), engine.rigid_body("Cube")
    engine.step(3)
    state = {
        name: getattr(view, name).clone()
        for view, names in ((robot, ("dof_pos", "dof_vel", "link_pose")), (cube, ("pose", "vel")))
        for name in names
    }
    mask = torch.tensor([False, True, False, True, False], device=engine.device)
    robot.write_dof_state(state["dof_pos"] + 0.1, state["dof_vel"] + 1.0, mask)
    cube.write_state(state["pose"] + 0.1, state["vel"] + 1.0, mask)
    for view, name in (
        (robot, "dof_pos"),
        (robot, "dof_vel"),
        (robot, "link_pose"),
        (cube, "pose"),
        (cube, "vel"),
    ):
        now = getattr(view, name)
        assert torch.equal(now[~mask], state[name][~mask]), name
        assert not torch.isclose(now[mask], state[name][mask], atol=1e-3).all(), name


def test_what_is_computed_once_is_computed_anew_after_every_change(engine: Engine) -> None:
    robot, cube = engine.articulation("Robot"), engine.rigid_body("Cube")

    def height() -> torch.Tensor:
        return engine.once("height", lambda: cube.pose[:, 2] + 0.0)

    def drop() -> None:
        pose = cube.pose.clone()
        pose[:, 2] += 0.5
        cube.write_state(pose, torch.zeros_like(cube.vel), pose[:, 2] > 0.0)

    engine.step()
    for change in (drop, engine.step, engine.restart):
        before = height()
        robot.set_dof_targets(robot.dof_pos)
        assert height() is before, "a command is no change of the state"
        change()
        assert height() is not before
        assert torch.equal(height(), cube.pose[:, 2])
    with engine.record(strict=False):
        within = height()
        assert height() is within
    assert height() is not within, "a graph would not have computed it yet"


def test_link_poses_follow_a_write_without_a_step(engine: Engine) -> None:
    robot = engine.articulation("Robot")
    hand = robot.link_index("panda_hand")
    before = robot.link_pose[:, hand].clone()
    q = robot.dof_pos.clone()
    q[:, 0] += 0.5
    robot.write_dof_state(q, torch.zeros_like(q))
    moved = robot.link_pose[:, hand, :2] - engine.env_origins[:, :2]
    radius = (before[:, :2] - engine.env_origins[:, :2]).norm(dim=-1)
    turned = torch.stack((radius * torch.tensor(0.5).cos(), radius * torch.tensor(0.5).sin()), -1)
    torch.testing.assert_close(moved, turned, atol=1e-4, rtol=0.0)


def test_two_masked_writes_before_a_step_both_arrive(engine: Engine) -> None:
    robot = engine.articulation("Robot")
    first = torch.arange(N, device=engine.device) == 0
    last = torch.arange(N, device=engine.device) == N - 1
    q = robot.dof_pos.clone()
    robot.write_dof_state(q + 0.01, torch.zeros_like(q), first)
    robot.write_dof_state(q - 0.02, torch.zeros_like(q), last)
    robot.set_dof_targets(q + 0.01, first)
    robot.set_dof_targets(q - 0.02, last)
    engine.step()
    shift = (robot.dof_pos - q)[:, :7].cpu()
    torch.testing.assert_close(shift[0], torch.full((7,), 0.01), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(shift[1:-1], torch.zeros(N - 2, 7), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(shift[-1], torch.full((7,), -0.02), atol=1e-4, rtol=0.0)


def test_authored_properties_are_what_the_engine_simulates(engine: Engine) -> None:
    robot, model = engine.articulation("Robot"), franka()
    joints = {joint.name: joint for joint in model.dof_joints}
    for column, name in enumerate(robot.dof_names):
        joint = joints[name]
        for prop, expected in (
            ("dof_stiffness", joint.stiffness),
            ("dof_damping", joint.damping),
            ("dof_armature", joint.armature),
            ("dof_max_effort", joint.effort_limit),
            ("dof_max_velocity", joint.velocity_limit),
        ):
            value = float(robot.get_property(prop)[N - 1, column])
            assert value == pytest.approx(expected, rel=1e-5), (name, prop)
        limits = robot.dof_limits[column].tolist()
        assert limits == pytest.approx(list(joint.limits), rel=1e-5)
    masses = dict(zip(robot.link_names, robot.get_property("mass")[0].tolist(), strict=True))
    assert masses == pytest.approx({k.name: k.inertial.mass for k in model.links}, rel=1e-5)
    for column, name in enumerate(robot.link_names):
        link = next(k for k in model.links if k.name == name)
        xx, yy, zz, xy, xz, yz = link.inertial.inertia
        # PhysX keeps principal moments in a frame of its own; compare what does not depend on it.
        tensor = torch.tensor([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=torch.float64)
        expected_moments = torch.linalg.eigvalsh(tensor)
        value = robot.get_property("inertia")[0, column].double().view(3, 3)
        moments = torch.linalg.eigvalsh(0.5 * (value + value.T))
        torch.testing.assert_close(moments, expected_moments, rtol=1e-3, atol=1e-9)


def test_a_property_can_be_changed_in_some_environments(engine: Engine) -> None:
    cube = engine.rigid_body("Cube")
    mask = torch.tensor([True, False, True, False, False])
    cube.set_property("mass", torch.full((N,), 0.7), mask)
    mass = engine.rigid_body("Cube").get_property("mass").flatten()
    torch.testing.assert_close(mass, torch.where(mask, 0.7, 0.1), rtol=1e-5, atol=0.0)
    with pytest.raises(ValueError, match="no property 'weight', have"):
        cube.get_property("weight")


def test_names_that_are_not_there_are_refused_with_those_that_are(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"Arm.*The environment holds: Robot, Cube"):
        engine.articulation("Arm")
    with pytest.raises(EngineError, match=r"Robot: no rigid body here"):
        engine.rigid_body("Robot")
    robot = engine.articulation("Robot")
    with pytest.raises(ValueError, match=r"no link named 'wrist', have \['panda_link0'"):
        robot.link_index("wrist")
    with pytest.raises(EngineError, match="contact reports"):
        engine.contacts(["Cube"])


def test_a_closed_engine_says_so(engine: Engine) -> None:
    robot = engine.articulation("Robot")
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.step()
    with pytest.raises(EngineError, match="closed"):
        _ = robot.dof_pos


def test_a_robot_without_degrees_of_freedom_is_refused(
    engine_name: str, device: torch.device
) -> None:
    links = tuple(
        Link(name=name, inertial=box_inertial(1.0, (0.1,) * 3), shapes=(box((0.1,) * 3),))
        for name in ("base", "tip")
    )
    scene = Scene(env_spacing=2.0)
    weld = Joint(name="weld", kind="fixed", parent="base", child="tip", position=(0, 0, 0.2))
    scene.add_robot("Statue", Robot(links=links, joints=(weld,)))
    engine = load_engine(engine_name)(scene, 2, 1 / 120, device)
    with pytest.raises(EngineError, match=r"/World/envs/env_0/Statue.*no degrees of freedom"):
        engine.articulation("Statue")
    engine.close()


def test_a_broken_joint_target_is_refused_by_name(engine_name: str, device: torch.device) -> None:
    from pxr import UsdPhysics

    scene = Scene(env_spacing=2.0)
    path = scene.add_robot("Robot", cartpole())
    joint = UsdPhysics.Joint(scene.stage.GetPrimAtPath(f"{path}/joints/cart_to_pole"))
    joint.GetBody1Rel().SetTargets([f"{path}/rod"])
    with pytest.raises(SceneError, match=r"joints/cart_to_pole.*Robot/rod, which does not exist"):
        load_engine(engine_name)(scene, 2, 1 / 120, device)


def test_a_pose_that_is_not_finite_is_refused_by_name(
    engine_name: str, device: torch.device
) -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_rigid_body("Cube", box((0.1,) * 3), mass=1.0, position=(0.0, float("nan"), 0.0))
    with pytest.raises(SceneError, match=r"/World/envs/env_0/Cube: its pose is not finite"):
        load_engine(engine_name)(scene, 2, 1 / 120, device)


def test_a_users_usd_robot_is_simulated(
    engine_name: str, device: torch.device, tmp_path: Path
) -> None:
    own = Scene(env_spacing=2.0)
    path = own.add_robot("Robot", cartpole())
    own.stage.SetDefaultPrim(own.stage.GetPrimAtPath(path))
    file = tmp_path / "robot.usda"
    own.stage.Export(str(file))

    scene = Scene(env_spacing=4.0)
    scene.add_usd("Mine", file, position=(0.0, 0.0, 1.5))
    engine = load_engine(engine_name)(scene, 3, 1 / 120, device)
    robot = engine.articulation("Mine")
    assert robot.dof_names == ["slider_to_cart", "cart_to_pole"]
    engine.step(2)
    torch.testing.assert_close(robot.root_pose[:, 2].cpu(), torch.full((3,), 1.5))
    engine.close()


def test_several_engines_live_side_by_side_and_one_after_another(
    engine_name: str, device: torch.device
) -> None:
    engines = [load_engine(engine_name)(cube_scene(), n, 1 / 120, device) for n in (2, 3)]
    if device.type == "cuda":
        engines.append(load_engine(engine_name)(cube_scene(), 4, 1 / 120, torch.device("cpu")))
    cubes = [engine.rigid_body("Cube") for engine in engines]
    for _ in range(20):
        for engine in engines:
            engine.step()
    heights = [cube.pose[:, 2].cpu() for cube in cubes]
    for engine, height in zip(engines, heights, strict=True):
        torch.testing.assert_close(
            height, torch.full((engine.num_envs,), 0.025), atol=1e-3, rtol=0.0
        )
    engines[0].close()
    engines[1].step()
    assert bool(cubes[1].pose.isfinite().all())
    for engine in engines:
        engine.close()
    again = load_engine(engine_name)(cube_scene(), 2, 1 / 120, device)
    again.step()
    assert bool(again.rigid_body("Cube").pose.isfinite().all())
    again.close()


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"engine must be 'auto' or one of \['newton'.*'bullet'"):
        load_engine("bullet")


@pytest.mark.parametrize("missing", ["newton", "mujoco_warp"])
def test_auto_takes_newton_where_all_of_it_is_installed_and_what_there_is_elsewhere(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = available_engines()
    assert load_engine("auto") is load_engine(installed[0])
    if len(installed) < 2:
        pytest.skip("needs two engines")
    assert installed[:2] == ["newton", "physx"]
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == missing else find(name)
    )
    assert load_engine("auto").name == "physx"
    with pytest.raises(EngineError, match=r"'newton' is missing: pip .*isaac-gymnasium\[newton\]"):
        load_engine("newton")


def test_a_missing_engine_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert available_engines() == []
    with pytest.raises(EngineError, match=r'pip install "isaac-gymnasium\[newton\]"'):
        load_engine("auto")
    with pytest.raises(EngineError, match=r"engine 'physx' is missing"):
        load_engine("physx")
    # Beside usd-core it would not run.
    with pytest.raises(EngineError, match=r"engine 'isaacsim' is missing: .* docs/isaacsim\.md$"):
        load_engine("isaacsim")


@pytest.mark.parametrize("given", [{"mass": 0.3}, {"density": 0.3 / 0.006}])
def test_a_body_that_collides_with_nothing_has_the_mass_properties_of_its_shapes(
    given: dict[str, float], engine_name: str
) -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_rigid_body("Ghost", box((0.1, 0.2, 0.3), collides=False), **given)
    engine = load_engine(engine_name)(scene, 2, 1 / 120, torch.device("cpu"))
    ghost = engine.rigid_body("Ghost")
    torch.testing.assert_close(ghost.get_property("mass").flatten(), torch.full((2,), 0.3))
    moments = torch.tensor([0.13, 0.1, 0.05]) * 0.3 / 12.0
    found = ghost.get_property("inertia").view(2, 3, 3)
    torch.testing.assert_close(found, moments.diag().expand(2, 3, 3), rtol=1e-5, atol=1e-9)
    engine.close()


def test_a_restart_keeps_handles_and_properties_and_forgets_the_rest(device: torch.device) -> None:
    scene = cube_scene()
    scene.enable_contact_reports("Cube")
    engine = load_engine("auto")(scene, N, 1 / 120, device)
    robot, cube = engine.articulation("Robot"), engine.rigid_body("Cube")
    contacts = engine.contacts(["Cube"], filters=["/World/ground"])
    start = robot.dof_pos.clone()
    cube.set_property("mass", torch.full((N,), 0.3))
    robot.set_dof_targets(start + 0.2)
    engine.step(60)
    assert float((robot.dof_pos - start)[:, 0].min()) > 0.1
    buffers = (robot.dof_pos.data_ptr(), cube.pose.data_ptr())
    engine.restart()
    assert (robot.dof_pos.data_ptr(), cube.pose.data_ptr()) == buffers
    assert torch.equal(robot.dof_pos, start)
    engine.step(120)
    # The authored targets hold again; the mass is the one that was set.
    torch.testing.assert_close(robot.dof_pos, start, atol=1e-3, rtol=0.0)
    weight = torch.full((N,), 0.3 * 9.81)
    torch.testing.assert_close(contacts.net[:, 0, 2].cpu(), weight, rtol=0.01, atol=0.0)
    torch.testing.assert_close(contacts.matrix[:, 0, 0, 2].cpu(), weight, rtol=0.01, atol=0.0)
    torch.testing.assert_close(cube.get_property("mass").flatten(), torch.full((N,), 0.3))
    engine.close()


def test_a_floating_robot_is_rooted_at_its_first_link_wherever_that_is_in_the_tree(
    engine_name: str, device: torch.device
) -> None:
    names = ("tip", "second", "third", "fourth", "fifth")
    inertial = box_inertial(1.0, (0.1, 0.1, 0.1))
    chain = Robot(
        links=tuple(Link(name=name, inertial=inertial) for name in names),
        joints=tuple(
            Joint(
                name=f"{child}_joint",
                kind="revolute",
                parent=parent,
                child=child,
                position=(0.2, 0.0, 0.0),
            )
            for parent, child in itertools.pairwise(names)
        ),
        fixed_base=False,
    )
    scene = Scene(env_spacing=3.0)
    scene.add_robot("Chain", chain, position=(0.0, 0.0, 2.0))
    assert scene.bodies() == (["Chain"], [])
    engine = load_engine(engine_name)(scene, N, 1 / 120, device)
    try:
        robot = engine.articulation("Chain")
        assert robot.link_names == list(names)
        assert not robot.fixed_base
        pose = robot.root_pose.clone()
        torch.testing.assert_close(
            pose[:, :3] - engine.env_origins,
            torch.tensor((0.0, 0.0, 2.0), device=device).expand(N, 3),
        )
        pose[:, 2] = 5.0
        robot.write_root_state(pose, torch.zeros_like(robot.root_vel))
        torch.testing.assert_close(robot.link_pose[:, 0], pose)
        out = robot.link_pose[:, -1, :3] - pose[:, :3]
        torch.testing.assert_close(
            out, torch.tensor((0.8, 0.0, 0.0), device=device).expand(N, 3), atol=1e-5, rtol=0.0
        )
    finally:
        engine.close()
