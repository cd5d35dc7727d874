"""The adapter, unmodified, on the stand-in for Kit: tasks, physics, and each rule of the API."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.engines import (
    Engine,
    EngineError,
    _isaacsim_app,
    available_engines,
    load_engine,
)
from isaac_gymnasium.engines import isaacsim as adapter
from isaac_gymnasium.registration import registered_tasks
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene import sphere
from isaac_gymnasium.scene.builder import Scene

DT = 1.0 / 120.0
# More than ten, so that no alphabetical order is that of the environments.
NUM_ENVS = 12


def make(name: str, num_envs: int = 3, **kwargs: Any) -> Any:
    return gym.make_vec(name, num_envs=num_envs, device="cpu", **kwargs)


@pytest.mark.parametrize("task", ["IsaacCartpole-v0", "IsaacFrankaCube-v0", "IsaacGo2-v0"])
def test_a_task_gives_what_it_gives_on_physx(kit: Any, task: str) -> None:
    def rollout(engine: str) -> list[torch.Tensor]:
        env = make(task, engine=engine)
        try:
            obs, _ = env.reset(seed=3)
            generator = torch.Generator().manual_seed(0)
            seen = [obs]
            for _ in range(5):
                actions = 2 * torch.rand(env.action_space.shape, generator=generator) - 1
                obs, reward, *_ = env.step(actions)
                seen += [obs, reward]
            if engine == "isaacsim":
                assert kit.physics.cells_are_apart
            return seen
        finally:
            env.close()

    # The same PhysX below; its first step has passed before the scene's state is written.
    for ours, theirs in zip(rollout("isaacsim"), rollout("physx"), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("task", registered_tasks())
def test_every_task_steps_and_resets(kit: Any, task: str) -> None:
    env = make(task, engine="isaacsim", num_envs=2)
    try:
        first, _ = env.reset(seed=0)
        for _ in range(2):
            obs, reward, *_ = env.step(torch.full(env.action_space.shape, 0.5))
        again, _ = env.reset(options={"reset_mask": torch.tensor([True, False])})
        assert torch.isfinite(reward).all()
        for start, seen, after in zip(*map(leaves, (first, obs, again)), strict=True):
            assert seen.isfinite().all()
            assert not torch.equal(start, seen), "nothing has moved"
            assert torch.equal(after[1], seen[1])
    finally:
        env.close()


def leaves(obs: Any) -> list[torch.Tensor]:
    return list(obs.values()) if isinstance(obs, dict) else [obs]


def test_auto_is_isaacsim_where_kit_runs(kit: Any) -> None:
    assert load_engine("auto") is load_engine("isaacsim")
    assert "isaacsim" in available_engines()


def test_episodes_of_one_environment_leave_the_others_alone(kit: Any) -> None:
    env = make("IsaacCartpole-v0", engine="isaacsim", num_envs=NUM_ENVS)
    try:
        env.reset(seed=0)
        before = env.step(torch.zeros(NUM_ENVS, 1))[0]
        mask = torch.zeros(NUM_ENVS, dtype=torch.bool)
        mask[[2, 11]] = True
        after, _ = env.reset(options={"reset_mask": mask})
        assert torch.equal(after[~mask], before[~mask])
        assert not torch.isclose(after[mask], before[mask]).all(-1).any()
    finally:
        env.close()


def test_a_seeded_reset_repeats_bit_by_bit(kit: Any) -> None:
    env = make("IsaacFrankaCube-v0", engine="isaacsim")
    try:
        runs = []
        for _ in range(2):
            env.reset(seed=5)
            actions = torch.full(env.action_space.shape, 0.3)
            runs.append([env.step(actions)[0] for _ in range(3)])
        for first, second in zip(*runs, strict=True):
            assert torch.equal(first, second)
    finally:
        env.close()


def test_one_environment_at_a_time(kit: Any) -> None:
    env = make("IsaacCartpole-v0", engine="isaacsim")
    try:
        with pytest.raises(EngineError, match="one environment at a time"):
            make("IsaacCartpole-v0", engine="isaacsim")
    finally:
        env.close()
    again = make("IsaacCartpole-v0", engine="isaacsim", num_envs=1)
    again.reset(seed=0)
    again.step(torch.zeros(1, 1))
    again.close()
    assert kit.running and kit.physics is None and not kit.replicators


def test_what_is_not_there_is_named(kit: Any, start: Start) -> None:
    engine = start(reference_scene())
    with pytest.raises(EngineError, match=r"found 0.*Arm, Ball"):
        engine.rigid_body("Bell")
    with pytest.raises(EngineError, match="expected one articulation in each of 12"):
        engine.articulation("Ball")
    with pytest.raises(EngineError, match="contact reports on"):
        engine.contacts(["Arm/base"])


# ---------------------------------------------------------------------- closed forms

Start = Callable[..., Engine]


@pytest.fixture
def start(kit: Any) -> Any:
    engines: list[Engine] = []

    def make_engine(scene: Scene, num_envs: int = NUM_ENVS) -> Engine:
        engine = load_engine("isaacsim")(scene, num_envs, DT, torch.device("cpu"))
        engines.append(engine)
        return engine

    yield make_engine
    for engine in engines:
        engine.close()


def reference_scene() -> Scene:
    scene = Scene(env_spacing=2.0)
    scene.add_ground()
    scene.add_robot("Arm", franka(), position=(0.0, 0.0, 0.2))
    scene.add_rigid_body("Ball", sphere(0.1), mass=0.3, position=(0.5, 0.6, 5.0))
    scene.enable_contact_reports("Ball")
    return scene


def test_a_body_falls_with_g(start: Start) -> None:
    engine = start(reference_scene())
    ball = engine.rigid_body("Ball")
    engine.step(60)
    time = 60 * DT
    expected = 5.0 - 0.5 * 9.81 * time**2
    torch.testing.assert_close(
        ball.pose[:, 2], torch.full((NUM_ENVS,), expected), atol=9.81 * DT * time, rtol=0.0
    )


def test_a_ball_at_rest_weighs_on_the_ground(start: Start) -> None:
    engine = start(reference_scene())
    ball, contacts = engine.rigid_body("Ball"), engine.contacts(["Ball"], ["/World/ground"])
    pose = ball.pose.clone()
    pose[:, 2] = 0.1
    ball.write_state(pose, torch.zeros(NUM_ENVS, 6))
    engine.step(60)
    weight = torch.tensor([0.0, 0.0, 0.3 * 9.81]).expand(NUM_ENVS, 1, 3)
    torch.testing.assert_close(contacts.net, weight, atol=0.03, rtol=0.0)
    torch.testing.assert_close(contacts.matrix[:, :, 0], weight, atol=0.03, rtol=0.0)


def test_a_wrench_and_a_mass_accelerate(start: Start) -> None:
    engine = start(reference_scene())
    ball = engine.rigid_body("Ball")
    mass = torch.linspace(0.2, 1.3, NUM_ENVS)
    ball.set_property("mass", mass)
    torch.testing.assert_close(ball.get_property("mass"), mass)
    force = torch.zeros(NUM_ENVS, 3)
    force[:, 0] = torch.arange(NUM_ENVS)
    for _ in range(10):
        ball.apply_wrench(force, torch.zeros_like(force))
        engine.step()
    expected = force[:, 0] / mass * 10 * DT
    torch.testing.assert_close(ball.vel[:, 0], expected, atol=1e-4, rtol=1e-4)


# ---------------------------------------------------------------------- the rules, one by one


def exercise(engine: Engine) -> None:
    """Passes on an adapter that keeps every rule, and on no other."""
    arm, ball = engine.articulation("Arm"), engine.rigid_body("Ball")
    k = torch.arange(engine.num_envs, dtype=torch.float32)
    # As authored, although a step has passed since the scene was loaded.
    place = torch.tensor([0.5, 0.6, 5.0]) + engine.env_origins
    torch.testing.assert_close(ball.pose[:, :3], place, atol=1e-6, rtol=0.0)
    assert torch.equal(ball.vel, torch.zeros_like(ball.vel))
    base = torch.tensor([0.0, 0.0, 0.2]) + engine.env_origins
    torch.testing.assert_close(arm.link_pose[:, 0, :3], base, atol=1e-6, rtol=0.0)
    # Rows are environments, in what is written, too.
    authored = arm.dof_pos.clone()
    pos = authored.clone()
    pos[:, 0] = 0.05 * k
    hand = arm.link_pose.clone()
    arm.write_dof_state(pos, torch.zeros_like(pos))
    torch.testing.assert_close(arm.dof_pos, pos)
    # Links follow without a step.
    moved = arm.link_pose
    assert not torch.allclose(moved[1:, -1, :3], hand[1:, -1, :3], atol=1e-3)
    angle = torch.atan2(
        *(moved[:, -1, :2] - engine.env_origins[:, :2]).flip(-1).unbind(-1)
    ) - torch.atan2(*(hand[:, -1, :2] - engine.env_origins[:, :2]).flip(-1).unbind(-1))
    torch.testing.assert_close(angle, 0.05 * k, atol=1e-3, rtol=0.0)
    # Only the rows of the mask change.
    mask = k % 3 == 0
    height = ball.pose.clone()
    height[:, 2] = 3.0 + k
    ball.write_state(height, torch.zeros_like(ball.vel), mask)
    engine.forward()
    engine.step()
    expected = torch.where(mask, 3.0 + k, torch.tensor(5.0)) - 0.5 * 9.81 * DT**2
    torch.testing.assert_close(ball.pose[:, 2], expected, atol=9.81 * DT**2, rtol=0.0)
    # What was handed out is not what the next read fills.
    earlier = arm.dof_pos
    assert earlier.data_ptr() != arm.view.get_dof_positions().data_ptr()
    # A property belongs to its environment, and to the CPU.
    stiffness = arm.get_property("dof_stiffness")
    stiffness[:, 0] = 100.0 + k
    arm.set_property("dof_stiffness", stiffness, mask)
    view = arm.view
    rows = [int(path.split("/")[3].removeprefix("env_")) for path in view.prim_paths]
    seen = view.get_dof_stiffnesses()[:, 0]
    for row, env in enumerate(rows):
        assert math.isclose(seen[row], 100.0 + env, rel_tol=1e-6) == bool(mask[env])


def wrong_rows(paths: Any, bodies: Any = ("",)) -> torch.Tensor:
    return torch.arange(len(paths))


def every_regex(path: str) -> str:
    return path.replace("env_0", "env_.*", 1)


def push_subset(self: Any, quantity: str, mask: torch.Tensor | None) -> None:
    rows = self._rows if mask is None else self._rows[mask]
    write = self._ACCESS[quantity].set
    write(self.view, self._buffers[quantity][rows[: len(rows) // 2]], rows[: len(rows) // 2].int())


def push_all(self: Any, quantity: str, mask: torch.Tensor | None) -> None:
    data = self._buffers[quantity][self._environments]
    self._ACCESS[quantity].set(self.view, data, torch.zeros(1, dtype=torch.int32))


def pull_alias(self: Any, quantity: str) -> None:
    self._buffers[quantity] = self._ACCESS[quantity].get(self.view)


def test_the_adapter_keeps_every_rule(start: Start) -> None:
    exercise(start(reference_scene()))


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        pytest.param(adapter, "_row_of_each", wrong_rows, id="rows in the order of the stage"),
        pytest.param(adapter, "_every", every_regex, id="a regex for a glob"),
        pytest.param(adapter._IsaacSimBody, "_push", push_subset, id="data of some rows only"),
        pytest.param(adapter._IsaacSimBody, "_push", push_all, id="indices of other rows"),
        pytest.param(adapter._IsaacSimBody, "_pull", pull_alias, id="the getter's own tensor"),
        pytest.param(
            adapter.IsaacSimEngine,
            "_update_kinematics",
            lambda self: None,
            id="links of before the write",
        ),
        pytest.param(
            adapter.IsaacSimEngine, "_warm_up", lambda self: None, id="a read before a step"
        ),
        pytest.param(
            adapter.IsaacSimRigidBody,
            "write_authored_state",
            lambda self: None,
            id="the state after the first step",
        ),
    ],
)
def test_an_adapter_that_breaks_a_rule_is_caught(
    start: Start, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Any
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(Exception):  # noqa: B017 (each fails in its own way)
        exercise(start(reference_scene()))


def test_cells_that_are_not_kept_apart_are_noticed(start: Start, kit: Any) -> None:
    from isaacsim.core.cloner import Cloner

    start(reference_scene()).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cloner, "filter_collisions", lambda self, **kwargs: None)
        engine = start(reference_scene())
        assert not kit.physics.cells_are_apart
    engine.close()


@pytest.mark.parametrize("setter", ["set_dof_stiffnesses", "set_dof_positions"])
def test_the_backend_refuses_what_the_compiled_one_refuses(start: Start, setter: str) -> None:
    arm = start(reference_scene()).articulation("Arm")
    backend, frontend = arm.view._backend, arm.view._frontend
    full = torch.zeros(NUM_ENVS, 9)
    rows = torch.arange(NUM_ENVS, dtype=torch.int32)

    def write(data: torch.Tensor, ids: torch.Tensor, devices: tuple[int, int] = (-1, -1)) -> bool:
        described = [frontend.get_tensor_desc(t) for t in (data, ids)]
        for desc, device in zip(described, devices, strict=True):
            desc.device = device
        return getattr(backend, setter)(*described)

    assert write(full, rows)
    assert not write(full[:1], rows)
    assert not write(full.double(), rows)
    assert not write(full, rows.long())
    assert not write(full, rows + 1)
    # On the GPU, while the physics, or at least a property, is on the CPU.
    assert not write(full, rows, devices=(0, -1))
    assert not write(full, rows, devices=(-1, 0))


def test_an_adapter_that_starts_kit_twice_is_caught(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_isaacsim_app, "kit_is_running", lambda: False)
    monkeypatch.setattr(_isaacsim_app, "_refuse_early_imports", lambda: None)
    with pytest.raises(kit_rule_broken(), match="second SimulationApp"):
        make("IsaacCartpole-v0", engine="isaacsim")


def test_an_adapter_that_starts_kit_after_usd_is_caught(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "shared_process", False)
    monkeypatch.setattr(kit, "app", None)
    with pytest.raises(EngineError, match="was imported before Isaac Sim"):
        make("IsaacCartpole-v0", engine="isaacsim")
    monkeypatch.setattr(_isaacsim_app, "_refuse_early_imports", lambda: None)
    with pytest.raises(kit_rule_broken(), match=r"imported before SimulationApp.*pxr"):
        make("IsaacCartpole-v0", engine="isaacsim")


def test_an_adapter_that_closes_kit_with_an_environment_is_caught(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kit_world import ProcessEnded

    destroy = adapter.IsaacSimEngine._destroy

    def destroy_all(self: Any) -> None:
        destroy(self)
        kit.app.close()

    monkeypatch.setattr(kit, "closed", False)
    env = make("IsaacCartpole-v0", engine="isaacsim")
    monkeypatch.setattr(adapter.IsaacSimEngine, "_destroy", destroy_all)
    with pytest.raises(ProcessEnded):
        env.close()


def kit_rule_broken() -> type[Exception]:
    """The stand-in's own exception; its modules come and go with the fixture."""
    from kit_world import KitRuleBroken

    return KitRuleBroken


def test_kits_own_frames_do_not_step_the_physics(start: Start, kit: Any) -> None:
    engine = start(reference_scene())
    ball = engine.rigid_body("Ball")
    before = ball.pose.clone()
    kit.update()
    assert torch.equal(ball.pose, before)
    engine.close()
    assert kit.settings["/app/player/playSimulations"] is True


def test_an_adapter_that_lets_kit_step_is_caught(
    start: Start, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter.IsaacSimEngine, "_let_kit_step", lambda self, allowed: None)
    start(reference_scene())
    with pytest.raises(kit_rule_broken(), match="Kit's own loop"):
        kit.update()


def test_misuse_of_kit_is_caught(start: Start, kit: Any) -> None:
    import omni.usd
    from isaacsim import SimulationApp
    from kit_world import KitRuleBroken
    from omni.physx import get_physx_interface, get_physx_simulation_interface

    start(reference_scene())
    with pytest.raises(KitRuleBroken, match="second SimulationApp"):
        SimulationApp()
    with pytest.raises(KitRuleBroken, match="below a running simulation"):
        omni.usd.get_context().new_stage()
    with pytest.raises(KitRuleBroken, match="loaded twice"):
        get_physx_interface().force_load_physics_from_usd()
    with pytest.raises(KitRuleBroken, match="without simulate"):
        get_physx_simulation_interface().fetch_results()
