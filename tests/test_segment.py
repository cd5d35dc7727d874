"""Parts of a step, and what `Engine.record` learns about them so that a graph can hold them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium as gym
import pytest
import torch
from flywheel import Flywheel
from graph_tasks import Blown, Counting, Looking, Randomised, ReadingBack
from tape import Tape
from torch import Tensor

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.engines import Engine, load_engine
from isaac_gymnasium.engines.base import NotRecordable
from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.envs.franka_cube import FrankaCube
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene import box, sphere
from isaac_gymnasium.scene.builder import Scene
from isaac_gymnasium.segment import Segment
from isaac_gymnasium.task import Task
from isaac_gymnasium.vector_env import IsaacVectorEnv

# Records a step in parts, with its physics between them; `test_whole_step` has the other way.
ENGINE = "physx"
pytest.importorskip("ovphysx")

N = 4

Start = Callable[[], Engine]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def arm_scene() -> Scene:
    scene = Scene(env_spacing=2.0)
    scene.add_ground()
    scene.add_robot("Robot", franka())
    scene.add_rigid_body("Cube", box((0.05,) * 3), mass=0.1, position=(0.5, 0.0, 0.025))
    scene.add_rigid_body("Ball", sphere(0.1), mass=0.4, position=(0.0, 1.0, 1.0))
    return scene


@pytest.fixture
def start() -> Iterator[Start]:
    engines: list[Engine] = []

    def make() -> Engine:
        engines.append(load_engine(ENGINE)(arm_scene(), N, 1 / 120, torch.device("cpu")))
        engines[-1].step()
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def names(record: Any) -> tuple[list[str], list[str]]:
    """What was read and what is left to be written, by name."""
    reads = [f"{view.name}.{quantity}" for view, quantity in record.reads]
    return reads, [f"{view.name}.{quantity}" for view, quantity, _ in record.writes]


# ---------------------------------------------------------------------- what a record holds


def test_reads_are_noted_once_in_order_of_first_use(start: Start) -> None:
    engine = start()
    robot, cube = engine.articulation("Robot"), engine.rigid_body("Cube")
    _ = robot.dof_vel  # up to date or not: it is needed
    with engine.record(strict=False) as record:
        _ = cube.pose
        _ = robot.dof_pos + robot.dof_vel
        _ = cube.pose
        _ = robot.link_pose
    assert names(record) == (["Cube.pose", "Robot.dof_pos", "Robot.dof_vel", "Robot.link_pose"], [])
    assert record.obstacle is None
    _ = cube.vel
    assert names(record)[0][-1] == "Robot.link_pose", "what is read afterwards is not noted"


def test_writes_are_noted_with_their_masks_and_reach_the_engine(start: Start) -> None:
    engine, twin = start(), start()
    mask = torch.tensor([True, False, False, True])
    robot = engine.articulation("Robot")
    with engine.record(strict=False) as record:
        _ = robot.dof_pos, robot.dof_vel
        robot.set_dof_targets(robot.dof_pos + 0.1)
        robot.write_dof_state(robot.dof_pos - 0.05, robot.dof_vel, mask)
    robot = twin.articulation("Robot")
    robot.set_dof_targets(robot.dof_pos + 0.1)
    robot.write_dof_state(robot.dof_pos - 0.05, robot.dof_vel, mask)
    assert names(record)[1] == ["Robot.dof_targets", "Robot.dof_pos", "Robot.dof_vel"]
    masks = [m if m is None else m.tolist() for _, _, m in record.writes]
    assert masks == [None, mask.tolist(), mask.tolist()]
    assert record.obstacle is None
    for _ in range(3):
        engine.step()
        twin.step()
    assert torch.equal(engine.articulation("Robot").dof_pos, robot.dof_pos)
    assert torch.equal(engine.articulation("Robot").link_pose, robot.link_pose)


def test_writes_from_before_are_no_part_of_a_record(start: Start) -> None:
    engine = start()
    robot, cube = engine.articulation("Robot"), engine.rigid_body("Cube")
    robot.write_dof_state(robot.dof_pos + 0.1, robot.dof_vel)
    cube.write_state(cube.pose, cube.vel)
    with engine.record(strict=False) as record:
        # What follows from a state that was written before the part, not in it.
        _ = robot.link_pose
        robot.set_dof_targets(robot.dof_pos)
    assert names(record)[1] == ["Robot.dof_targets"]
    assert record.obstacle is None


@pytest.mark.parametrize("quantity", ["link_pose", "link_vel", "jacobian", "gravity_force"])
def test_reading_what_follows_from_a_state_just_written_is_an_obstacle(
    start: Start, quantity: str
) -> None:
    engine = start()
    robot = engine.articulation("Robot")
    before = getattr(robot, quantity).clone()
    with engine.record(strict=False) as record:
        robot.write_dof_state(robot.dof_pos + 0.2, robot.dof_vel + 0.1)
        after = getattr(robot, quantity)
    assert record.obstacle == (
        f"Robot.{quantity} is read after the state it follows from is written"
    )
    assert not torch.equal(after, before), "it is right all the same"


def test_other_reads_after_a_write_are_no_obstacle(start: Start) -> None:
    engine = start()
    robot, cube = engine.articulation("Robot"), engine.rigid_body("Cube")
    with engine.record(strict=False) as record:
        robot.write_dof_state(robot.dof_pos + 0.2, robot.dof_vel)
        written = robot.dof_pos.clone()  # the buffer holds what was written
        _ = cube.pose  # of another body
        robot.set_dof_targets(written)
    assert record.obstacle is None
    with engine.record(strict=False) as record:
        _ = robot.link_pose
        robot.set_dof_targets(robot.dof_pos + 0.1)
        _ = robot.link_vel  # a target is no state
    assert record.obstacle is None


def test_stepping_the_physics_is_an_obstacle(start: Start) -> None:
    engine = start()
    with engine.record(strict=False) as record:
        engine.step()
    assert record.obstacle == "it steps the physics"
    with pytest.raises(NotRecordable, match="it steps the physics"), engine.record(strict=True):
        engine.step()


def test_the_first_obstacle_is_the_one_told(start: Start) -> None:
    engine = start()
    robot = engine.articulation("Robot")
    with engine.record(strict=False) as record:
        robot.write_dof_state(robot.dof_pos + 0.2, robot.dof_vel)
        _ = robot.link_pose
        engine.step()
    assert record.obstacle is not None
    assert record.obstacle.startswith("Robot.link_pose")


def test_a_strict_record_raises_instead_of_asking_the_engine(start: Start) -> None:
    engine = start()
    robot = engine.articulation("Robot")
    with pytest.raises(NotRecordable, match=r"Robot\.dof_pos"), engine.record(strict=True):
        _ = robot.dof_pos
    assert engine._record is None, "the record has ended all the same"
    _ = robot.dof_pos, robot.dof_vel, robot.dof_targets
    with engine.record(strict=True) as record:
        robot.set_dof_targets(robot.dof_pos + 0.1)
    assert names(record) == (["Robot.dof_pos"], ["Robot.dof_targets"])
    _ = robot.link_pose
    with pytest.raises(NotRecordable, match=r"Robot\.link_pose"), engine.record(strict=True):
        robot.write_dof_state(robot.dof_pos, robot.dof_vel)
        _ = robot.link_pose


def set_mass(engine: Engine) -> None:
    engine.rigid_body("Cube").set_property("mass", torch.full((N,), 0.7))


def bring_up_to_date(engine: Engine) -> None:
    robot = engine.articulation("Robot")
    robot.write_dof_state(robot.dof_pos + 0.2, robot.dof_vel)
    engine.forward()


@pytest.mark.parametrize("call", [set_mass, bring_up_to_date])
def test_every_call_of_the_engine_is_an_obstacle(
    start: Start, call: Callable[[Engine], None]
) -> None:
    # A graph would replay the tensors around such a call, but not the call.
    engine = start()
    engine.rigid_body("Cube").get_property("mass")
    robot = engine.articulation("Robot")
    _ = robot.dof_pos, robot.dof_vel
    with engine.record(strict=False) as record:
        call(engine)
    assert record.obstacle is not None
    with pytest.raises(NotRecordable), engine.record(strict=True):
        call(engine)


def test_wrenches_are_noted_and_applied(start: Start) -> None:
    engine, twin = start(), start()
    for e in (engine, twin):
        force = torch.tensor([[0.0, 0.0, 8.0]]).expand(N, 3)
        ball = e.rigid_body("Ball")
        if e is twin:
            ball.apply_wrench(force, torch.zeros(N, 3))
        else:
            with e.record(strict=False) as record:
                ball.apply_wrench(force, torch.zeros(N, 3))
            assert list(record.wrenches) == [ball]
            assert record.obstacle is None
        e.step(4)
    found, expected = (e.rigid_body("Ball").vel for e in (engine, twin))
    assert torch.equal(found, expected)
    # A net force of 8 - 0.4 g on 0.4 kg: the ball goes up.
    assert bool((found[:, 2] > 0.0).all())


# ---------------------------------------------------------------------- prefetch, graph, replay


@pytest.mark.parametrize("with_wrench", [False, True])
def test_prefetch_tensor_work_and_replay_are_what_the_code_itself_does(
    start: Start, with_wrench: bool
) -> None:
    """What a GPU does with a recorded part, with the graph's tensor operations done by hand."""
    plain, replayed = start(), start()

    def part(engine: Engine) -> None:
        robot, cube = engine.articulation("Robot"), engine.rigid_body("Cube")
        high = robot.link_pose[:, robot.link_index("panda_hand"), 2] > 0.2
        robot.set_dof_targets(robot.dof_pos + 0.02)
        cube.write_state(cube.pose + 0.001, cube.vel, high)
        if with_wrench:
            engine.rigid_body("Ball").apply_wrench(cube.vel[:, :3] + 1.0, cube.vel[:, 3:])

    with replayed.record(strict=False):
        part(replayed)
    part(plain)
    for e in (plain, replayed):
        e.step(2)
    replayed_robot, replayed_cube = replayed.articulation("Robot"), replayed.rigid_body("Cube")
    hand = replayed_robot.link_index("panda_hand")
    # The second run, strict as during a capture, after its reads have been brought up to date.
    with replayed.record(strict=False) as watched:
        part(replayed)
    part(plain)
    for e in (plain, replayed):
        e.step(2)
    assert watched.obstacle is None
    replayed.prefetch(watched)
    with replayed.record(strict=True) as record:
        part(replayed)
    part(plain)
    mask = next(m for view, _, m in record.writes if view is replayed_cube)
    for e in (plain, replayed):
        e.step(2)
    # From now on nobody calls the code: buffers are filled in place, as a graph would.
    for _ in range(5):
        replayed.prefetch(record)
        high = replayed_robot.link_pose[:, hand, 2] > 0.2
        replayed_robot._buffers["dof_targets"].copy_(replayed_robot._buffers["dof_pos"] + 0.02)
        pose = replayed_cube._buffers["pose"]
        pose.copy_(torch.where(high.unsqueeze(-1), pose + 0.001, pose))
        mask.copy_(high)
        for wrench in record.wrenches.values():
            vel = replayed_cube._buffers["vel"]
            wrench.copy_(torch.cat((vel[:, :3] + 1.0, vel[:, 3:]), dim=-1))
        replayed.replay(record)
        part(plain)
        for e in (plain, replayed):
            e.step(2)
        for name in ("Robot", "Cube", "Ball"):
            for quantity in ("dof_pos", "link_pose") if name == "Robot" else ("pose", "vel"):
                views = [
                    e.articulation(name) if name == "Robot" else e.rigid_body(name)
                    for e in (plain, replayed)
                ]
                found = [getattr(view, quantity) for view in views]
                assert torch.equal(*found), f"{name}.{quantity}"


def test_after_a_replay_derived_quantities_are_read_anew(start: Start) -> None:
    engine = start()
    robot = engine.articulation("Robot")
    _ = robot.dof_pos, robot.dof_vel
    with engine.record(strict=True) as record:
        robot.write_dof_state(robot.dof_pos, robot.dof_vel)
    before = robot.link_pose.clone()
    engine.prefetch(record)
    robot._buffers["dof_pos"][:, 0] += 0.5
    engine.replay(record)
    turned = robot.link_pose
    assert float((turned - before)[:, robot.link_index("panda_hand"), 1].abs().min()) > 0.1


# ---------------------------------------------------------------------- segments on the CPU


def test_on_the_cpu_a_segment_is_a_call(start: Start) -> None:
    engine, calls = start(), []
    segment = Segment(lambda: calls.append(1), engine, Cartpole(), enabled=True)
    for _ in range(5):
        segment()
    assert len(calls) == 5


def test_the_engine_is_left_out_of_the_middle_of_every_part_of_our_tasks() -> None:
    # What a GPU would find when it watches: no obstacle, or there would be no graph.
    for id in ("IsaacCartpole-v0", "IsaacFrankaCube-v0", "IsaacFrankaCubeCamera-v0"):
        env: Any = gym.make_vec(id, num_envs=N, device="cpu", engine=ENGINE)
        env.reset(seed=0)
        actions = torch.zeros(env.action_space.shape)
        env.step(actions)
        everyone = torch.ones(N, dtype=torch.bool)
        for _ in range(2):
            env._take_actions(actions)
            for part in (env._act_now, env._judge_now, env._observe_now):
                with torch.no_grad(), env.engine.record(strict=False) as record:
                    part()
                    if part == env._judge_now:
                        env._restart(everyone)
                assert record.obstacle is None, f"{id}: {part.__name__}"
                if part == env._act_now:
                    env.engine.step(env.task.decimation)
        env.close()


@contextlib.contextmanager
def capture(
    tape: Tape, *, stream: torch.cuda.Stream | None, capture_error_mode: str
) -> Iterator[None]:
    try:
        with tape:
            yield
    finally:
        tape.end()


class Recording(NamedTuple):
    """A rollout and which parts of a step were recorded in the end."""

    steps: list[Tensor]
    parts: list[bool]


Rollout = Callable[..., Recording]


@pytest.fixture(params=["tape", pytest.param("cuda:0", marks=[pytest.mark.gpu, needs_cuda])])
def rollout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rollout:
    """40 steps with many resets, recorded or not, on a GPU or on a tape."""
    on_tape = request.param == "tape"
    if on_tape:
        monkeypatch.setattr(torch.cuda, "CUDAGraph", Tape)
        monkeypatch.setattr(torch.cuda, "graph", capture)

    def play(
        task: type[Task], *, graphs: bool, change: Callable[[Any], None] | None = None
    ) -> Recording:
        device = "cpu" if on_tape else request.param
        env = IsaacVectorEnv(
            task, 16, engine=ENGINE, device=device, cuda_graphs=graphs, max_episode_steps=7
        )
        parts = (env._act, env._judge, env._observe, *([env._drive] if env._drives else []))
        for part in parts if on_tape else ():
            part._enabled = graphs
        env._always_restarts |= on_tape  # as on a GPU, where no step looks whether anybody ended
        env.reset(seed=3)
        generator = torch.Generator().manual_seed(0)
        size = (16, *env.single_action_space.shape)
        steps = []
        for k in range(40):
            if k == 20 and change is not None:
                change(env)
            actions = torch.rand(size, generator=generator) * 2 - 1
            obs, reward, terminated, truncated, info = env.step(actions.to(device))
            steps.append((obs, reward, terminated, truncated, info["final_obs"], info["success"]))
        recorded = [part._graph is not None for part in parts]
        env.close()
        return Recording([torch.stack(column) for column in zip(*steps, strict=True)], recorded)

    return play


def assert_same(a: Recording, b: Recording) -> None:
    names = ("obs", "reward", "terminated", "truncated", "final_obs", "success")
    for name, first, second in zip(names, a.steps, b.steps, strict=True):
        assert torch.equal(first, second), name


# ---------------------------------------------------------------------- tasks that break a rule


@dataclass(kw_only=True)
class Rebinding(Cartpole):
    """Smooths its actions, each step in a new tensor that only the action itself looks at."""

    def post_reset(self) -> None:
        super().post_reset()
        self.last = torch.zeros(self.num_envs, 1, device=self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.last = 0.5 * self.last + actions
        super().pre_physics_step(self.last)


@dataclass(kw_only=True)
class RebindingForLater(Rebinding):
    """The same, and its reward looks at that tensor too."""

    def get_rewards(self) -> dict[str, Tensor]:
        return {**super().get_rewards(), "effort": -self.last[:, 0].square()}


@dataclass(kw_only=True)
class CountingForLater(Counting):
    """The same, and its reward looks at the count too."""

    def get_rewards(self) -> dict[str, Tensor]:
        return {name: term / self.steps for name, term in super().get_rewards().items()}


@dataclass(kw_only=True)
class Remembering(Cartpole):
    """Keeps the tensors of the last steps in a list."""

    def post_reset(self) -> None:
        super().post_reset()
        self.history = [torch.zeros(self.num_envs, 1, device=self.device) for _ in range(3)]

    def pre_physics_step(self, actions: Tensor) -> None:
        self.history.append(actions.clone())
        delayed = self.history.pop(0)
        super().pre_physics_step(delayed)


@pytest.mark.parametrize(
    ("task", "part", "why"),
    [
        (Rebinding, "act_now", "Rebinding.last is rebound in a step; change it in place instead"),
        (RebindingForLater, "act_now", "last is rebound in a step"),
        (Counting, "act_now", "Counting.steps is rebound in a step; change it in place instead"),
        (CountingForLater, "act_now", "steps is rebound in a step"),
        (Remembering, "act_now", "history"),
        (Looking, "judge_now", ""),
        (ReadingBack, "act_now", "Robot.link_pose is read after the state it follows from"),
        (Randomised, "act_now", ""),
    ],
)
def test_what_cannot_be_recorded_says_so_once_and_stays_right(
    rollout: Rollout, task: type[Task], part: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = rollout(task, graphs=False)
    assert expected.parts == [False] * 3
    assert not caplog.records
    found = rollout(task, graphs=True)
    assert_same(found, expected)
    messages = [r.getMessage() for r in caplog.records if r.name == "isaac_gymnasium.graphs"]
    about = [m for m in messages if m.startswith(f"{task.__name__}: {part} runs without")]
    assert len(about) == 1
    assert why in about[0]
    assert not all(found.parts)


@dataclass(kw_only=True)
class InPlace(Cartpole):
    """Smooths its actions as `Task` asks for: in a buffer that it changes in place."""

    def post_reset(self) -> None:
        super().post_reset()
        self.last = torch.zeros(self.num_envs, 1, device=self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        self.last.mul_(0.5).add_(actions)
        super().pre_physics_step(self.last)

    def get_rewards(self) -> dict[str, Tensor]:
        return {**super().get_rewards(), "effort": -self.last[:, 0].square()}


@pytest.mark.parametrize("task", [Cartpole, FrankaCube, InPlace, Blown, Flywheel])
def test_a_task_that_keeps_the_rules_is_recorded_in_full(
    rollout: Rollout, task: type[Task], caplog: pytest.LogCaptureFixture
) -> None:
    expected = rollout(task, graphs=False)
    found = rollout(task, graphs=True)
    assert found.parts == [True] * (4 if task is Flywheel else 3)
    assert not caplog.records
    assert_same(found, expected)
    if task is Blown:
        assert float(expected.steps[-1].abs().max()) > 0.01, "the wrench should have moved the leaf"


def weaker(env: Any) -> None:
    env.task.max_force = 10.0


def stricter(env: Any) -> None:
    env.task.max_cart_position = 0.05


def longer(env: Any) -> None:
    env.max_episode_steps = 11


@pytest.mark.parametrize("change", [weaker, stricter, longer])
def test_a_change_of_a_parameter_takes_effect_after_recording(
    rollout: Rollout, change: Callable[[Any], None]
) -> None:
    unchanged = rollout(Cartpole, graphs=True)
    expected = rollout(Cartpole, graphs=False, change=change)
    found = rollout(Cartpole, graphs=True, change=change)
    assert found.parts == [True] * 3, "the parts should have been recorded anew"
    assert_same(found, expected)
    assert not all(map(torch.equal, found.steps, unchanged.steps))
