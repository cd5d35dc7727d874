"""A whole step recorded as one graph, where the engine can be captured: on a GPU, or on a tape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import torch
from flywheel import Flywheel
from graph_tasks import Blown, Counting, Looking, Randomised, ReadingBack
from tape import Tape
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves

pytest.importorskip("newton")

from isaac_gymnasium import vector_env
from isaac_gymnasium.engines.newton import NewtonEngine
from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.envs.cartpole_camera import CartpoleCamera
from isaac_gymnasium.envs.franka_cube import FrankaCube
from isaac_gymnasium.envs.franka_cube_camera import FrankaCubeCamera
from isaac_gymnasium.rendering import Images, Renderer
from isaac_gymnasium.task import Task
from isaac_gymnasium.vector_env import IsaacVectorEnv

N = 8
Result = TypeVar("Result")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class TapedEngine(NewtonEngine):
    """The engine on the CPU, as if it could be captured: what Warp does is noted beside torch."""

    def __init__(self, *args: Any) -> None:
        self._tape: Tape | None = None
        super().__init__(*args)
        self.capturable = True

    def capture(self, function: Callable[[], Result]) -> tuple[Callable[[], None], Result]:
        tape = Tape()
        self._tape = tape
        try:
            with tape:
                result = function()
        finally:
            self._tape = None
            tape.end()
        return tape.replay, result

    def _note(self, work: Callable[[], None], more: Iterable[Tensor] = ()) -> None:
        if self._tape is None:
            work()
            return
        arrays = [(self.state, n) for n in ("joint_q", "joint_qd", "body_q", "body_qd")]
        changes = [self.array(name, of=of) for of, name in arrays]
        changes += [self._wp.to_torch(self.solver.mjw_data.qacc_warmstart), *more]
        self._tape.call(work, changes)

    def _launch(self) -> None:
        self._note(super()._launch)

    def _reset_worlds(self, written: Tensor | None) -> None:
        self._note(lambda: NewtonEngine._reset_worlds(self, written))

    def jacobians(self) -> Tensor:
        found: list[Tensor] = []
        self._note(lambda: found.append(NewtonEngine.jacobians(self)))
        return found[0]


def taped_render(
    self: Renderer, poses: Tensor, cameras: Tensor, images: Images, **keywords: Any
) -> None:
    def work() -> None:
        with _disable_current_modes():
            render(self, poses, cameras, images, **keywords)

    changes = (*images.wanted().values(), images.changed, images.cameras, images.poses)
    self._poses._engine._note(work, changes)


render = Renderer.render


@pytest.fixture(params=["tape", pytest.param("cuda:0", marks=[pytest.mark.gpu, needs_cuda])])
def start(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., IsaacVectorEnv]:
    """Makes environments whose steps are recorded, or not."""
    on_tape = request.param == "tape"
    if on_tape:
        monkeypatch.setattr(vector_env, "load_engine", lambda _: TapedEngine)
        monkeypatch.setattr(Renderer, "render", taped_render)

    def make(task: type[Task], *, graphs: bool, **keywords: Any) -> IsaacVectorEnv:
        device = "cpu" if on_tape else request.param
        env = IsaacVectorEnv(
            task, N, engine="newton", device=device, cuda_graphs=graphs, **keywords
        )
        if on_tape:
            env._always_restarts = True
            env._advance._enabled = graphs
        env.reset(seed=3)
        return env

    return make


Start = Callable[..., IsaacVectorEnv]


def roll(
    env: IsaacVectorEnv, steps: int = 24, change: Callable[[Any, int], None] | None = None
) -> list[Tensor]:
    """Everything that the steps returned."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for k in range(steps):
        if change is not None:
            change(env, k)
        actions = 2.0 * torch.rand(env.action_space.shape or (), generator=generator) - 1.0
        obs, reward, terminated, truncated, info = env.step(actions.to(env.device))
        rows.append((obs, reward, terminated, truncated, info["final_obs"], info["success"]))
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    names = ("obs", "reward", "terminated", "truncated", "final_obs", "success")
    for name, a, b in zip(names, found, expected, strict=True):
        assert torch.equal(a, b), name


def recorded(env: IsaacVectorEnv) -> dict[str, bool]:
    names = ("_advance", "_act", "_judge", "_observe")
    return {name: getattr(env, name)._graph is not None for name in names}


WHOLE = {"_advance": True, "_act": False, "_judge": False, "_observe": False}


@pytest.mark.parametrize("task", [Cartpole, Blown, ReadingBack, Flywheel])
@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_a_whole_step_is_one_graph_and_changes_no_bit(
    start: Start, task: type[Task], mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    def play(graphs: bool) -> tuple[list[Tensor], dict[str, bool]]:
        env = start(task, graphs=graphs, autoreset_mode=mode, max_episode_steps=7)
        rows = []
        for k in range(24):
            actions = torch.sin(torch.arange(N).float() + k).unsqueeze(-1).to(env.device)
            obs, reward, terminated, truncated, info = env.step(actions)
            rows.append((obs, reward, terminated, truncated, obs, info["success"]))
        found = [torch.stack(column) for column in zip(*rows, strict=True)]
        graphs_made = recorded(env)
        env.close()
        return found, graphs_made

    expected, none = play(False)
    found, graphs = play(True)
    assert (none["_advance"], graphs) == (False, WHOLE)
    assert_same(found, expected)
    assert not [r for r in caplog.records if r.name == "isaac_gymnasium.graphs"]


def test_an_arm_with_contacts_and_jacobians_is_one_graph(start: Start) -> None:
    found = []
    for graphs in (False, True):
        env = start(FrankaCube, graphs=graphs, max_episode_steps=7)
        found.append(roll(env))
        assert recorded(env)["_advance"] == graphs
        on_cuda = env.device.type == "cuda"
        env.close()
    if not on_cuda:
        assert_same(found[1], found[0])
        return
    # On a GPU the order of contacts, and with it rounding, changes from run to run.
    for a, b in zip(found[0], found[1], strict=True):
        torch.testing.assert_close(a[:10].float(), b[:10].float(), atol=5e-3, rtol=0.0)


def reset_some(env: Any, k: int) -> None:
    if k in (9, 10):
        env.reset(options={"reset_mask": torch.arange(N) % 3 == 0})


def go_back(env: Any, k: int) -> None:
    if k == 8:
        env.kept = env.get_state()
    if k == 14:
        env.set_state(env.kept, torch.arange(N) < 3)


def fork(env: Any, k: int) -> None:
    if k == 11:
        env.fork(2)


def change_mass(env: Any, k: int) -> None:
    if k == 11:
        robot = env.task.robot
        robot.set_property("mass", 3.0 * robot.get_property("mass"), torch.arange(N) < 4)


def change_parameter(env: Any, k: int) -> None:
    if k == 9:
        env.task.max_force = 10.0


def start_over(env: Any, k: int) -> None:
    if k == 12:
        env.engine.restart()
        env.reset(seed=5)


def write(env: Any, k: int) -> None:
    if k == 10:
        pos = env.task.robot.dof_pos
        env.task.robot.write_dof_state(pos + 0.1, torch.zeros_like(pos))


@pytest.mark.parametrize(
    "change", [reset_some, go_back, fork, change_mass, change_parameter, start_over, write]
)
def test_what_happens_between_two_replays_takes_effect(
    start: Start, change: Callable[[Any, int], None]
) -> None:
    found = []
    for graphs, what in ((False, change), (True, change), (True, None)):
        env = start(Cartpole, graphs=graphs)
        found.append(roll(env, change=what))
        assert recorded(env)["_advance"] == graphs
        env.close()
    assert_same(found[1], found[0])
    assert not torch.equal(found[1][0], found[2][0]), "the change should show"


@pytest.mark.parametrize("task", [CartpoleCamera, FrankaCubeCamera])
def test_pictures_are_taken_within_the_graph_whoever_looks_between_two_steps(
    start: Start, task: type[Task], caplog: pytest.LogCaptureFixture
) -> None:
    found: list[list[Tensor]] = []
    for graphs in (False, True):
        env = start(task, graphs=graphs, max_episode_steps=6, width=24, height=16)
        generator = torch.Generator().manual_seed(0)
        pictures, made = [], []
        for k in range(14):
            if k in (2, 9):  # while it is watched, and when it is recorded
                made.append(env._advance._graph)
                obs, _ = env.reset(options={"reset_mask": torch.arange(N) % 3 == 0})
                pictures += tree_leaves(obs)
            actions = 2.0 * torch.rand(env.action_space.shape or (), generator=generator) - 1.0
            obs, *_, info = env.step(actions)
            pictures += tree_leaves((obs, info["final_obs"]))
        assert (env._advance._graph is not None) == graphs
        assert made == [None, env._advance._graph], "a look should not drop the recording"
        repeats = task is CartpoleCamera or env.device.type == "cpu"
        found.append([picture for picture in pictures if picture.dtype == torch.uint8])
        env.close()
    for plain, recorded in zip(*found, strict=True):
        share = float((plain != recorded).float().mean())
        assert share == 0.0 if repeats else share < 0.01
    assert not [r for r in caplog.records if r.name == "isaac_gymnasium.graphs"]


def push_once(env: Any, k: int) -> None:
    if k == 10:
        force = torch.tensor([[0.0, 0.0, 50.0]], device=env.device).expand(N, 3)
        env.task.leaf.apply_wrench(force, torch.zeros_like(force))


@dataclass(kw_only=True)
class Still(Blown):
    """The leaf falls, and only others push it."""

    def pre_physics_step(self, actions: Tensor) -> None:
        Cartpole.pre_physics_step(self, actions)

    def get_extras(self) -> dict[str, Tensor]:
        return {"success": self.leaf.vel[:, 2]}


def test_a_wrench_from_outside_the_step_is_applied_once(start: Start) -> None:
    found = []
    for graphs in (False, True):
        env = start(Still, graphs=graphs)
        found.append(roll(env, change=push_once))
        assert recorded(env)["_advance"] == graphs
        env.close()
    assert_same(found[1], found[0])
    speed = found[1][5][:, 0]
    rises = (speed[1:] > speed[:-1]).nonzero().flatten().tolist()
    assert rises == [9], "pushed in step 10 alone"


@dataclass(kw_only=True)
class Gusty(Blown):
    """Pushes the leaf after the physics, for the step to come."""

    def pre_physics_step(self, actions: Tensor) -> None:
        Cartpole.pre_physics_step(self, actions)

    def get_rewards(self) -> dict[str, Tensor]:
        force = torch.ones_like(self.leaf.vel[:, :3])
        self.leaf.apply_wrench(force, torch.zeros_like(force))
        return super().get_rewards()


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (Randomised, "it reads Robot.dof_damping"),
        (Looking, ""),
        (Counting, "Counting.steps is rebound in a step"),
    ],
)
def test_a_step_that_cannot_be_recorded_says_so_once_and_stays_right(
    start: Start, task: type[Task], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = []
    for graphs in (False, True):
        env = start(task, graphs=graphs, max_episode_steps=7)
        found.append(roll(env))
        assert not recorded(env)["_advance"]
        env.close()
    assert_same(found[1], found[0])
    messages = [r.getMessage() for r in caplog.records if r.name == "isaac_gymnasium.graphs"]
    about = [m for m in messages if m.startswith(f"{task.__name__}: advance_now runs without")]
    assert len(about) == 1
    assert why in about[0]


def test_a_wrench_left_for_the_next_step_is_not_lost(start: Start) -> None:
    found = []
    for graphs in (False, True):
        env = start(Gusty, graphs=graphs)
        found.append(roll(env))
        assert not recorded(env)["_advance"]
        env.close()
    assert_same(found[1], found[0])
    assert float(found[1][5][-1].min()) > 0.0, "the leaf is pushed along x"
