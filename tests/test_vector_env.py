"""`IsaacVectorEnv` keeps what gymnasium's vector contract and its own docstrings promise."""

from __future__ import annotations

import copy
import json
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

import isaac_gymnasium
from isaac_gymnasium.random import RandomStreams
from isaac_gymnasium.scene import Joint, Link, Robot, box_inertial
from isaac_gymnasium.task import Task
from isaac_gymnasium.vector_env import IsaacVectorEnv

CARTPOLE, FRANKA = "IsaacCartpole-v0", "IsaacFrankaCube-v0"
MODES = ["SameStep", "NextStep", "Disabled"]
N = 8
# Episodes of at most 15 steps, some of which end earlier off the rail or with a fallen pole.
SHORT = {"episode_length_s": 0.25, "max_cart_position": 0.4, "initial_angle": 0.45}

Make = Callable[..., Any]


@pytest.fixture
def make(device: torch.device, engine_name: str) -> Iterator[Make]:
    """Makes environments by ID or of a task, on each engine in turn, and closes them."""
    envs: list[Any] = []
    # Tests compare bits, which newton promises on a GPU in this mode alone.
    repeats = {"deterministic": True} if (engine_name, device.type) == ("newton", "cuda") else {}

    def make(what: str | type[Task] = CARTPOLE, num_envs: int = N, **kwargs: Any) -> Any:
        kwargs = {
            "num_envs": num_envs,
            "engine": engine_name,
            "device": str(device),
            **repeats,
            **kwargs,
        }
        envs.append(
            gym.make_vec(what, **kwargs)
            if isinstance(what, str)
            else IsaacVectorEnv(what, **kwargs)
        )
        return envs[-1]

    yield make
    for env in envs:
        env.close()


def script(env: Any, steps: int, seed: int = 0) -> Tensor:
    """(steps, N, A) actions in [-1, 1]."""
    shape = (steps, *env.action_space.shape)
    actions = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return actions.to(env.device)


def tensors(tree: Any, path: str = "") -> dict[str, Tensor]:
    """Every tensor in nested dicts, lists and tuples, by its path."""
    if isinstance(tree, Tensor):
        return {path: tree}
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {k: v for key, value in items for k, v in tensors(value, f"{path}/{key}").items()}


def assert_equal(a: Any, b: Any, rows: Tensor | slice = slice(None)) -> None:
    """Bitwise equality of all tensors, optionally only of some rows."""
    first, second = tensors(a), tensors(b)
    assert first.keys() == second.keys()
    for key, value in first.items():
        where = rows if value.dim() else ()
        assert torch.equal(value[where], second[key][where]), key


def play(env: Any, actions: Tensor) -> list[Any]:
    """What every step returned, without the batch means of `info["log"]`."""
    return [(*s[:4], {k: v for k, v in s[4].items() if k != "log"}) for s in map(env.step, actions)]


def flat(obs: Any) -> Tensor:
    """(N, everything) of an observation, on the CPU."""
    return torch.cat([part.flatten(1) for part in tensors(obs).values()], dim=-1).cpu()


# ---------------------------------------------------------------------- tasks of a user


@dataclass(kw_only=True)
class Pendulum(Task):
    """A rod on a motor, as a user would write it."""

    num_actions: ClassVar[int] = 1
    num_observations: ClassVar[int] = 3

    env_spacing: float = 3.0
    episode_length_s: float = 0.25
    max_torque: float = 20.0
    max_speed: float = 99.0

    def set_up_scene(self, scene: Any) -> None:
        rod = box_inertial(1.0, (0.05, 0.05, 1.0), center=(0.0, 0.0, -0.5))
        robot = Robot(
            links=(
                Link(name="base", inertial=box_inertial(1.0, (0.1, 0.1, 0.1))),
                Link(name="rod", inertial=rod),
            ),
            joints=(
                Joint(name="hinge", kind="revolute", parent="base", child="rod", axis=(0, 1, 0)),
            ),
        )
        scene.add_robot("Pendulum", robot, position=(0.0, 0.0, 2.0))

    def post_reset(self) -> None:
        self.robot = self.engine.articulation("Pendulum")

    def pre_physics_step(self, actions: Tensor) -> None:
        self.robot.set_dof_efforts(self.max_torque * actions)

    def get_observations(self) -> Any:
        angle = self.robot.dof_pos
        return torch.cat((angle.sin(), angle.cos(), self.robot.dof_vel), dim=-1)

    def get_rewards(self) -> dict[str, Tensor]:
        return {
            "height": -self.robot.dof_pos[:, 0].cos(),
            "speed": -0.1 * self.robot.dof_vel[:, 0].abs(),
        }

    def get_terminations(self) -> Tensor:
        return self.robot.dof_vel[:, 0].abs() > self.max_speed

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        pos = rng.uniform(-0.5, 0.5, (1,))
        self.robot.write_dof_state(pos, torch.zeros_like(pos), mask)


@dataclass(kw_only=True)
class DictPendulum(Pendulum):
    """Observations by name."""

    def observation_space(self) -> gym.Space:
        box = gym.spaces.Box
        return gym.spaces.Dict(
            {"arm": box(-1.0, 1.0, (2,), np.float32), "speed": box(-99.0, 99.0, (1,), np.float32)}
        )

    def get_observations(self) -> Any:
        obs = super().get_observations()
        return {"arm": obs[:, :2], "speed": obs[:, 2:]}


@dataclass(kw_only=True)
class AsymmetricPendulum(Pendulum):
    """The policy does not see the speed, the critic does."""

    num_observations: ClassVar[int] = 2

    def get_observations(self) -> Tensor:
        return super().get_observations()[:, :2]

    def state_space(self) -> gym.Space:
        return gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def get_states(self) -> Tensor:
        return super().get_observations()


@dataclass(kw_only=True)
class Clock(Pendulum):
    """Environment k says that it has terminated from step 3 + k of an episode on."""

    def get_terminations(self) -> Tensor:
        return self.episode_length >= 3 + torch.arange(self.num_envs, device=self.device)


@dataclass(kw_only=True)
class Dice(Pendulum):
    """Rolls a die in every step, and pays what it shows."""

    num_observations: ClassVar[int] = 1

    def post_reset(self) -> None:
        super().post_reset()
        self.die = torch.zeros(self.num_envs, device=self.device)
        self.rolls = torch.zeros(self.num_envs, device=self.device)

    def post_physics_step(self, rng: RandomStreams) -> None:
        self.die.copy_(rng.uniform())
        self.rolls += 1.0

    def get_observations(self) -> Tensor:
        return self.die.unsqueeze(-1)

    def get_rewards(self) -> dict[str, Tensor]:
        return {"die": self.die}

    def get_extras(self) -> dict[str, Tensor]:
        return {"rolls": self.rolls}


@dataclass(kw_only=True)
class Exposed(Pendulum):
    """Hands out its own buffers, as `Task` allows."""

    num_observations: ClassVar[int] = 1

    def post_reset(self) -> None:
        super().post_reset()
        self.ended = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        self.bonus = torch.ones(self.num_envs, device=self.device)
        self.last = torch.zeros(self.num_envs, 1, device=self.device)

    def pre_physics_step(self, actions: Tensor) -> None:
        super().pre_physics_step(actions)
        self.last = actions

    def get_observations(self) -> Tensor:
        return self.robot.dof_pos

    def get_rewards(self) -> dict[str, Tensor]:
        return {"bonus": self.bonus, "action": self.last[:, 0]}

    def get_terminations(self) -> Tensor:
        return self.ended

    def get_extras(self) -> dict[str, Tensor]:
        return {
            "success": self.ended,
            "speed": self.robot.dof_vel,
            "age": self.episode_length,
            "last_action": self.last,
        }

    def state_space(self) -> gym.Space:
        return gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def get_states(self) -> Tensor:
        return self.robot.dof_vel


@pytest.fixture
def registered() -> Iterator[str]:
    """The ID of `Pendulum`, registered as a third party would."""
    isaac_gymnasium.register("ThirdParty/Pendulum-v3", Pendulum)
    yield "ThirdParty/Pendulum-v3"
    del gym.registry["ThirdParty/Pendulum-v3"]


# ---------------------------------------------------------------------- making one


def test_every_way_of_naming_an_environment_makes_the_same_one(make: Make) -> None:
    first = make(CARTPOLE, max_force=30.0, autoreset_mode="NextStep", max_episode_steps=9)
    spec = EnvSpec.from_json(first.spec.to_json())
    assert spec == first.spec
    assert json.loads(first.spec.to_json())["kwargs"]["max_force"] == 30.0
    again = [gym.make_vec(first.spec), gym.make_vec(spec)]
    again.append(
        make(
            f"isaac_gymnasium:{CARTPOLE}",
            max_force=30.0,
            autoreset_mode=AutoresetMode.NEXT_STEP,
            max_episode_steps=9,
        )
    )
    first.reset(seed=3)
    expected = play(first, script(first, 20))
    for env in again:
        assert type(env) is IsaacVectorEnv
        assert (env.num_envs, env.max_episode_steps, env.task.max_force) == (N, 9, 30.0)
        for name in ("single_observation_space", "observation_space", "action_space", "device"):
            assert getattr(env, name) == getattr(first, name), name
        env.reset(seed=3)
        for a, b in zip(expected, play(env, script(env, 20)), strict=True):
            assert_equal(a, b)
        env.close()


def test_one_environment_is_the_default_and_numpy_integers_are_integers() -> None:
    assert gym.make_vec(CARTPOLE, device="cpu").num_envs == 1
    env = gym.make_vec(CARTPOLE, num_envs=np.int64(3), max_episode_steps=np.int32(4), device="cpu")
    assert (env.num_envs, env.max_episode_steps) == (3, 4)
    assert env.observation_space.shape == (3, 4)
    assert env.action_space.shape == (3, 1)
    env.close()


def test_an_unknown_keyword_is_refused_with_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"Cartpole has no parameter 'max_forc'") as caught:
        gym.make_vec(CARTPOLE, num_envs=2, max_forc=1.0)
    for name in ("max_force", "max_cart_position", "initial_angle", "episode_length_s", "dt"):
        assert name in str(caught.value)
    for name in ("engine", "revision", "num_observations", "episode_length"):
        assert name not in str(caught.value).replace("episode_length_s", "")
    with pytest.raises(TypeError, match="has no parameter 'revision'"):
        gym.make_vec(CARTPOLE, num_envs=2, revision=1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_envs", 0, "num_envs must be an integer of at least 1, got 0"),
        ("num_envs", -4, "num_envs must be an integer of at least 1, got -4"),
        ("num_envs", 2.0, "num_envs must be an integer of at least 1, got 2.0"),
        ("num_envs", True, "num_envs must be an integer of at least 1, got True"),
        ("num_envs", "4", "num_envs must be an integer of at least 1, got '4'"),
        ("max_episode_steps", 0, "max_episode_steps must be an integer of at least 1, got 0"),
        ("max_episode_steps", 2.5, "max_episode_steps must be an integer of at least 1, got 2.5"),
        ("max_episode_steps", True, "max_episode_steps must be an integer .* got True"),
        ("device", "tpu", "device must be 'auto', 'cpu' or 'cuda:k', got 'tpu'"),
        ("device", "meta", "device must be 'auto', 'cpu' or 'cuda:k', got 'meta'"),
        ("device", 7.0, "device must be 'auto', 'cpu' or 'cuda:k', got 7.0"),
        ("device", "cuda:99", r"device 'cuda:99': this machine has \d+ CUDA devices"),
        (
            "autoreset_mode",
            "same_step",
            "autoreset_mode must be one of 'NextStep', 'SameStep', 'Disabled', got 'same_step'",
        ),
        ("render_mode", "ansi", "render_mode must be None, 'rgb_array' or 'human', got 'ansi'"),
        ("engine", "bullet", "engine must be 'auto' or one of .*physx.*got 'bullet'"),
        ("episode_length_s", -1.0, "episode_length_s must be a positive, finite number, got -1.0"),
    ],
)
def test_values_that_make_no_sense_are_refused_with_what_came(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make_vec(CARTPOLE, **{"num_envs": 2, "device": "cpu", name: value})


def test_a_task_without_a_finite_action_space_of_one_axis_is_refused() -> None:
    @dataclass(kw_only=True)
    class Discrete(Pendulum):
        def action_space(self) -> gym.Space:
            return gym.spaces.Discrete(2)

    @dataclass(kw_only=True)
    class Unbounded(Pendulum):
        def action_space(self) -> gym.Space:
            return gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)

    @dataclass(kw_only=True)
    class Table(Pendulum):
        def action_space(self) -> gym.Space:
            return gym.spaces.Box(-1.0, 1.0, (1, 1), np.float32)

    for task in (Discrete, Unbounded, Table):
        with pytest.raises(TypeError, match=r"must be a finite Box of shape \(A,\), got"):
            IsaacVectorEnv(task, 2, device="cpu")


def test_a_window_is_for_engines_that_have_one(make: Make) -> None:
    with pytest.raises(ValueError, match=r"has no window.*isaacsim has"):
        make(render_mode="human")
    assert make().metadata["render_modes"] == ["rgb_array"]


def test_metadata_belong_to_the_instance(make: Make) -> None:
    before = copy.deepcopy(IsaacVectorEnv.metadata)
    envs = [make(autoreset_mode=mode, num_envs=1) for mode in MODES]
    for env, mode in zip(envs, MODES, strict=True):
        assert env.metadata["autoreset_mode"] is AutoresetMode(mode)
        assert env.autoreset_mode is AutoresetMode(mode)
    assert IsaacVectorEnv.metadata == before
    assert before["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert make(num_envs=1).autoreset_mode is AutoresetMode.SAME_STEP


def test_gymnasiums_class_is_a_direct_base() -> None:
    # skrl looks no further when it chooses a wrapper.
    assert VectorEnv in [getattr(base, "__origin__", base) for base in IsaacVectorEnv.__bases__]


def test_closing_twice_is_harmless_and_a_new_environment_can_follow(make: Make) -> None:
    rollouts = []
    for _ in range(3):
        env = make()
        env.reset(seed=2)
        rollouts.append(play(env, script(env, 5)))
        env.close()
        env.close()
        assert env.closed
    for other in rollouts[1:]:
        for a, b in zip(rollouts[0], other, strict=True):
            assert_equal(a, b)


def test_a_closed_environment_says_so(make: Make) -> None:
    env = make()
    env.reset(seed=0)
    actions = torch.zeros(env.action_space.shape, device=env.device)
    env.close()
    for call in (lambda: env.step(actions), env.reset, env.state, env.get_state):
        with pytest.raises(gym.error.ClosedEnvironmentError, match="closed"):
            call()


def test_an_environment_must_be_reset_first_and_in_full(make: Make) -> None:
    env = make()
    with pytest.raises(gym.error.ResetNeeded, match=r"reset\(\)"):
        env.step(torch.zeros(env.action_space.shape))
    mask = torch.arange(N) < 3
    with pytest.raises(gym.error.ResetNeeded, match="every environment"):
        env.reset(seed=0, options={"reset_mask": mask})
    env.reset(seed=0, options={"reset_mask": torch.ones(N, dtype=torch.bool)})
    env.step(torch.zeros(env.action_space.shape))


# ---------------------------------------------------------------------- actions


def test_numpy_and_torch_actions_of_any_precision_are_the_same(make: Make) -> None:
    one = make(FRANKA, num_envs=4)
    actions = (script(one, 10) * 16).round() / 16  # exact in half precision
    conversions: list[Callable[[Tensor], Any]] = [
        lambda a: a,
        lambda a: a.cpu().numpy(),
        lambda a: a.cpu().numpy().astype(np.float64),
        lambda a: np.asfortranarray(a.cpu().numpy()),
        lambda a: a.cpu(),
        lambda a: a.half(),
        lambda a: a.double().requires_grad_(),
        lambda a: a.t().contiguous().t(),
    ]
    one.reset(seed=1)
    expected = play(one, actions)
    for convert in conversions:
        one.reset(seed=1)
        for a, b in zip(expected, play(one, [convert(a) for a in actions]), strict=True):
            assert_equal(a, b)


def test_a_sample_of_the_action_space_is_an_action(make: Make) -> None:
    env = make(FRANKA, num_envs=4)
    env.reset(seed=0)
    sample = env.action_space.sample()
    assert isinstance(sample, np.ndarray)
    env.step(sample)


def test_a_read_only_array_is_an_action_like_any_other(make: Make) -> None:
    env = make()
    env.reset(seed=0)
    actions, mask = np.zeros((N, 1), np.float32), np.ones(N, np.bool_)
    for array in (actions, mask):
        array.setflags(write=False)  # as a JAX array is on the host
    torch.set_warn_always(True)  # torch would warn once a process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            env.step(actions)
            env.reset(options={"reset_mask": mask})
    finally:
        torch.set_warn_always(False)


def test_actions_are_clipped_but_not_changed(make: Make) -> None:
    wild, tame = make(), make()
    wild.reset(seed=4)
    tame.reset(seed=4)
    for a in script(wild, 10) * 3:
        for given in (a, a.cpu().numpy()):
            before = copy.deepcopy(given)
            out = wild.step(given)
            assert (given == before).all()
            assert_equal(out, tame.step(a.clamp(-1.0, 1.0)))


def test_actions_may_be_reused_once_step_has_returned(make: Make) -> None:
    one, twin = make(Exposed), make(Exposed)
    one.reset(seed=0)
    twin.reset(seed=0)
    buffer = torch.empty(one.action_space.shape, device=one.device)
    for a in script(one, 10):
        buffer.copy_(a)
        out = one.step(buffer)
        buffer.fill_(math.nan)
        assert_equal(out, twin.step(a))


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        (torch.zeros(N), ValueError, rf"shape \({N}, 1\), got \({N},\)"),
        (torch.zeros(N + 1, 1), ValueError, rf"shape \({N}, 1\), got \({N + 1}, 1\)"),
        (np.zeros((1, 1), np.float32), ValueError, rf"shape \({N}, 1\), got \(1, 1\)"),
        (torch.zeros(N, 1, dtype=torch.int64), TypeError, "floating point, got torch.int64"),
        (np.zeros((N, 1), np.int32), TypeError, "floating point, got torch.int32"),
        (torch.zeros(N, 1, dtype=torch.bool), TypeError, "floating point, got torch.bool"),
        ([[0.0]] * N, TypeError, "torch tensor or a NumPy array, got list"),
        (None, TypeError, "torch tensor or a NumPy array, got NoneType"),
    ],
)
def test_a_wrong_action_is_refused_and_changes_nothing(
    make: Make, actions: Any, error: type[Exception], message: str
) -> None:
    env, twin = make(), make()
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(error, match=f"actions must .*{message}"):
        env.step(actions)
    right = script(env, 3)
    for a, b in zip(play(env, right), play(twin, right), strict=True):
        assert_equal(a, b)


# ---------------------------------------------------------------------- what comes out


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", [CARTPOLE, FRANKA])
def test_outputs_have_their_shape_dtype_and_device(make: Make, id: str, mode: str) -> None:
    env = make(id, autoreset_mode=mode, log_rewards=True)
    size = env.single_observation_space.shape
    obs, info = env.reset(seed=0)
    low, high = env.single_action_space.low, env.single_action_space.high
    assert (low == -1).all()
    assert (high == 1).all()
    for _ in range(3):
        assert obs.shape == (N, *size)
        assert obs.dtype == torch.float32
        assert bool(obs.isfinite().all())
        assert obs.cpu().numpy() in env.observation_space
        assert "episode" not in info
        for key, value in tensors(info).items():
            assert value.device == env.device, key
            assert value.dim() == 0 if "log" in key else value.shape[0] == N, key
        obs, reward, terminated, truncated, info = env.step(script(env, 1)[0])
        for value, dtype in (
            (obs, torch.float32),
            (reward, torch.float32),
            (terminated, torch.bool),
            (truncated, torch.bool),
        ):
            assert type(value) is Tensor
            assert (value.dtype, value.device) == (dtype, env.device)
            assert value.shape[0] == N
        assert reward.shape == terminated.shape == truncated.shape == (N,)
        assert info["success"].dtype == torch.bool
        finals = {key for key in info if "final" in key}
        if mode == "SameStep":
            assert finals == {"final_obs", "_final_obs", "final_info", "_final_info"}
            assert info["final_obs"].shape == obs.shape
            assert info["_final_obs"].dtype == info["_final_info"].dtype == torch.bool
        else:
            assert not finals


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", [CARTPOLE, Exposed, DictPendulum])
def test_nobody_else_ever_sees_what_was_handed_out(make: Make, what: Any, mode: str) -> None:
    """Overwriting all that came out changes no later output, and no output changes by itself."""
    kwargs = {"max_episode_steps": 4, "autoreset_mode": mode}
    env, twin = make(what, **kwargs), make(what, **kwargs)
    actions = script(env, 14)
    kept: list[tuple[Any, Any]] = []

    def check(out: Any, expected: Any) -> None:
        found = tensors(out)
        assert_equal(out, expected)
        storages = {value.untyped_storage().data_ptr() for value in found.values()}
        assert len(storages) == len(found), "outputs share memory"
        kept.append((expected, copy.deepcopy(expected)))
        for value in found.values():
            value.fill_(True if value.dtype == torch.bool else 77)

    check(env.reset(seed=6), twin.reset(seed=6))
    for k, a in enumerate(actions):
        if mode == "Disabled" and k and k % 4 == 0:
            check(env.reset(), twin.reset())
        check(env.step(a), twin.step(a))
        state = env.state()
        if state is not None:
            check([state], [twin.state()])
    for now, then in kept:
        assert_equal(now, then)


@pytest.mark.parametrize("mode", MODES)
def test_the_loop_does_not_write_into_what_a_task_returns(make: Make, mode: str) -> None:
    env = make(Exposed, autoreset_mode=mode, max_episode_steps=3)
    env.reset(seed=0)
    env.task.ended[2] = True
    ended, bonus = env.task.ended.clone(), env.task.bonus.clone()
    for a in script(env, 8):
        _, _, terminated, truncated, _ = env.step(a)
        assert torch.equal(env.task.ended, ended)
        assert torch.equal(env.task.bonus, bonus)
        if mode == "Disabled":
            env.reset(options={"reset_mask": terminated | truncated})


@pytest.mark.parametrize("what", [CARTPOLE, FRANKA, Pendulum])
def test_reward_is_the_sum_of_the_terms_that_the_log_names(make: Make, what: Any) -> None:
    env = make(what, autoreset_mode="Disabled", log_rewards=True)
    env.reset(seed=0)
    for a in script(env, 5):
        _, reward, _, _, info = env.step(a)
        terms = env.task.get_rewards()
        torch.testing.assert_close(reward, torch.stack(list(terms.values())).sum(0))
        assert set(info["log"]) == {f"reward/{name}" for name in terms}
        for name, term in terms.items():
            value = info["log"][f"reward/{name}"]
            assert value.dim() == 0
            torch.testing.assert_close(value, term.mean())


def test_there_is_a_log_only_where_it_is_asked_for(make: Make) -> None:
    env = make(CARTPOLE)
    env.reset(seed=0)
    for asked in (False, True, False):
        env.log_rewards = asked
        *_, info = env.step(script(env, 1)[0])
        assert ("log" in info) == asked


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_the_log_adds_up_to_the_mean_reward_where_episodes_end_too(make: Make, mode: str) -> None:
    env = make(autoreset_mode=mode, log_rewards=True, **SHORT)
    env.reset(seed=0)
    ends = 0
    for a in script(env, 40):
        _, reward, terminated, truncated, info = env.step(a)
        ends += int((terminated | truncated).sum())
        total = torch.stack(list(info["log"].values())).sum()
        torch.testing.assert_close(total, reward.mean(), atol=1e-5, rtol=0.0)
    assert ends > N


@pytest.mark.parametrize("mode", MODES)
def test_what_a_task_keeps_is_brought_up_to_date_once_a_step_with_a_draw_of_that_step(
    make: Make, mode: str
) -> None:
    few, many = (make(Dice, n, autoreset_mode=mode, episode_length_s=1.0) for n in (2, 5))
    rolled = []
    for env in (few, many):
        env.reset(seed=3)
        steps = [env.step(torch.zeros(env.num_envs, 1)) for _ in range(4)]
        for count, (obs, reward, _, _, info) in enumerate(steps, start=1):
            assert torch.equal(obs[:, 0], reward), "rewards and observations see the same roll"
            assert bool((info["rolls"] == count).all())
        rolled.append(torch.stack([reward for _, reward, *_ in steps]).cpu())
    assert torch.equal(rolled[0], rolled[1][:, :2])
    assert len(rolled[1].unique()) == 20, "every step and environment rolls anew"


# ---------------------------------------------------------------------- when episodes end


@pytest.mark.parametrize("mode", MODES)
def test_truncation_comes_exactly_at_the_limit(make: Make, mode: str) -> None:
    env = make(autoreset_mode=mode, initial_angle=0.0, max_episode_steps=5)
    env.reset(seed=0)
    seen = []
    for _ in range(17):
        if mode == "Disabled" and seen and seen[-1]:
            env.reset()
        _, _, terminated, truncated, _ = env.step(torch.zeros(N, 1))
        assert not terminated.any()
        assert truncated.all() or not truncated.any()
        seen.append(bool(truncated[0]))
    period = 6 if mode == "NextStep" else 5
    assert seen == [k % period == 4 for k in range(17)]


def test_the_limit_follows_the_task_the_keyword_or_the_attribute(make: Make) -> None:
    assert make().max_episode_steps == 300
    assert make(episode_length_s=0.5).max_episode_steps == 30
    env = make(episode_length_s=0.5, max_episode_steps=8, initial_angle=0.0)
    assert env.max_episode_steps == 8
    env.reset(seed=0)
    actions = torch.zeros(3, N, 1)
    assert not any(step[3].any() for step in play(env, actions))
    env.max_episode_steps = 4
    assert env.step(actions[0])[3].all()
    with pytest.raises(ValueError, match="max_episode_steps must be an integer of at least 1"):
        env.max_episode_steps = 0
    assert env.max_episode_steps == 4


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_an_episode_is_never_both_terminated_and_truncated(make: Make, mode: str) -> None:
    # Environment k terminates at step 3 + k: 0 and 1 before the limit, 2 at it, the rest never.
    env = make(Clock, num_envs=5, max_episode_steps=5, autoreset_mode=mode)
    env.reset(seed=0)
    ends: dict[int, list[str]] = {k: [] for k in range(5)}
    for step in range(1, 6):
        _, _, terminated, truncated, _ = env.step(torch.zeros(5, 1))
        assert not (terminated & truncated).any()
        for k in range(5):
            if terminated[k] or truncated[k]:
                ends[k].append(f"{'terminated' if terminated[k] else 'truncated'} {step}")
    assert ends == {
        0: ["terminated 3"],
        1: ["terminated 4"],
        2: ["terminated 5"],
        3: ["truncated 5"],
        4: ["truncated 5"],
    }


# ---------------------------------------------------------------------- autoreset


def transitions(env: Any, steps: int) -> list[list[Tensor]]:
    """For every environment its transitions, each observation, action, reward, flags, successor.

    Actions depend on the environment and the step of its episode only.
    """
    mode, device = env.autoreset_mode, env.device
    table = script(env, env.max_episode_steps + 1, seed=9).cpu()
    rows = torch.arange(env.num_envs)
    age = torch.zeros(env.num_envs, dtype=torch.int64)
    ended = torch.zeros(env.num_envs, dtype=torch.bool)
    found: list[list[Tensor]] = [[] for _ in rows]
    obs, _ = env.reset(seed=11)
    for _ in range(steps):
        if mode == AutoresetMode.DISABLED and ended.any():
            obs, _ = env.reset(options={"reset_mask": ended})
            age[ended] = 0
            ended = torch.zeros_like(ended)
        actions = table[age, rows]
        after, reward, terminated, truncated, info = env.step(actions.to(device))
        ends = (terminated | truncated).cpu()
        same = mode == AutoresetMode.SAME_STEP
        parts = (flat(obs), actions, reward, terminated, truncated)
        parts += (flat(info["final_obs"] if same else after),)
        step = torch.cat([part.cpu().float().view(len(rows), -1) for part in parts], dim=-1)
        reset_step = ended if mode == AutoresetMode.NEXT_STEP else torch.zeros_like(ended)
        for k in rows[~reset_step].tolist():
            found[k].append(step[k])
        age += 1
        age[ends if same else reset_step] = 0
        ended = ends
        obs = after
    return found


@pytest.mark.parametrize("what", [CARTPOLE, "registered", DictPendulum, AsymmetricPendulum])
def test_the_three_modes_lead_through_the_same_transitions(
    make: Make, what: Any, registered: str
) -> None:
    kwargs: dict[str, Any] = SHORT if what == CARTPOLE else {"max_speed": 2.0}
    what = registered if what == "registered" else what
    steps = 70
    rollouts = {}
    for mode in MODES:
        env = make(what, autoreset_mode=mode, **kwargs)
        rollouts[mode] = transitions(env, steps)
    size = flat(env.reset()[0]).shape[1]
    flags = torch.stack([t for row in rollouts["SameStep"] for t in row])[:, size + 2 : size + 4]
    assert float(flags[:, 0].sum()) > N, "some episodes should terminate"
    assert float(flags[:, 1].sum()) > N, "some episodes should be truncated"
    for k in range(N):
        assert len(rollouts["SameStep"][k]) == len(rollouts["Disabled"][k]) == steps
        assert steps * 0.8 < len(rollouts["NextStep"][k]) < steps
        for same, disabled in zip(rollouts["SameStep"][k], rollouts["Disabled"][k], strict=True):
            assert torch.equal(same, disabled)
        for same, after in zip(rollouts["SameStep"][k], rollouts["NextStep"][k], strict=False):
            assert torch.equal(same, after)


@pytest.mark.parametrize("what", [CARTPOLE, FRANKA, DictPendulum, AsymmetricPendulum, Exposed])
def test_same_step_returns_the_true_last_observation_and_the_first_of_the_next_episode(
    make: Make, what: Any
) -> None:
    same, after, disabled = (make(what, autoreset_mode=mode, max_episode_steps=5) for mode in MODES)
    for env in (same, after, disabled):
        env.reset(seed=8)
    actions = script(same, 6)
    for a in actions[:4]:
        obs, _, _, _, info = same.step(a)
        assert_equal(info["final_obs"], obs)
        assert not info["_final_obs"].any()
        assert not info["_final_info"].any()
        after.step(a)
        disabled.step(a)
    obs, reward, _, truncated, info = same.step(actions[4])
    last, last_reward, _, _, last_info = disabled.step(actions[4])
    after.step(actions[4])
    assert truncated.all()
    assert info["_final_obs"].all()
    assert info["_final_info"].all()
    assert_equal(info["final_obs"], last)
    assert_equal(reward, last_reward)
    assert_equal(
        info["final_info"], {k: v for k, v in last_info.items() if k not in ("log", "nan")}
    )
    has_state = same.state_space is not None
    assert ("final_state" in info) == has_state
    if has_state:
        assert_equal(info["final_state"], disabled.state())
    first, first_info = disabled.reset()
    assert not torch.equal(flat(first), flat(last))
    assert_equal(obs, first)
    assert_equal({k: info[k] for k in first_info}, first_info)
    assert_equal(obs, after.step(actions[5])[0])
    if has_state:
        assert_equal(same.state(), disabled.state())
        assert_equal(same.state(), after.state())


@pytest.mark.parametrize("what", [CARTPOLE, FRANKA, Exposed])
def test_next_step_ignores_the_action_of_the_step_that_resets(make: Make, what: Any) -> None:
    one, twin = (make(what, autoreset_mode="NextStep", max_episode_steps=4) for _ in range(2))
    one.reset(seed=5)
    twin.reset(seed=5)
    actions = script(one, 12)
    for k, a in enumerate(actions):
        resets = k in (4, 9)
        out = one.step(a)
        expected = twin.step(-a if resets else a)
        assert_equal(out, expected)
        if resets:
            _, reward, terminated, truncated, _ = out
            assert torch.equal(reward, torch.zeros_like(reward))
            assert not (terminated | truncated).any()
            assert bool((one.episode_length_buf == 0).all())
    assert not torch.equal(actions[4], -actions[4])


def test_disabled_refuses_to_step_ended_environments_until_they_are_reset(make: Make) -> None:
    env = make(Clock, num_envs=4, autoreset_mode="Disabled", max_episode_steps=100)
    env.reset(seed=1)
    still = torch.zeros(4, 1)
    for _ in range(3):
        obs, _, terminated, _, _ = env.step(still)
    assert terminated.tolist() == [True, False, False, False]
    lengths = env.episode_length_buf.clone()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"1 of 4 environments have ended.*reset_mask"):
            env.step(still)
    assert torch.equal(env.episode_length_buf, lengths)
    after, _ = env.reset(options={"reset_mask": terminated})
    assert torch.equal(after[1:], obs[1:])
    assert not torch.equal(after[0], obs[0])
    assert env.step(still)[2].tolist() == [False, True, False, False]
    env.reset()
    env.step(still)


# ---------------------------------------------------------------------- reset


@pytest.mark.parametrize("kind", ["torch", "numpy"])
@pytest.mark.parametrize("id", [CARTPOLE, FRANKA])
def test_rows_outside_the_mask_do_not_feel_a_reset(make: Make, id: str, kind: str) -> None:
    env, twin = make(id), make(id)
    env.reset(seed=7)
    twin.reset(seed=7)
    before, after = script(env, 12), script(env, 30, seed=1)
    last = play(env, before)[-1]
    play(twin, before)
    mask = torch.tensor([False, True, True, False, False, True, False, False])
    rest = ~mask.to(env.device)
    given = mask.numpy() if kind == "numpy" else mask.to(env.device)
    options = {"reset_mask": given, "mine": [1, 2]}
    obs, info = env.reset(options=options)
    assert options.keys() == {"reset_mask", "mine"}
    assert options["reset_mask"] is given
    assert (given == (mask.numpy() if kind == "numpy" else mask.to(env.device))).all()
    assert torch.equal(obs[rest], last[0][rest])
    assert torch.equal(info["success"][rest], last[4]["success"][rest])
    assert not torch.isclose(obs[~rest], last[0][~rest]).all(dim=-1).any()
    assert env.episode_length_buf.tolist() == [0 if m else 12 for m in mask.tolist()]
    changed = play(env, after)
    for a, b in zip(changed, play(twin, after), strict=True):
        assert_equal(a, b, rest)
    assert not torch.equal(changed[0][0][~rest], twin.step(after[0])[0][~rest])


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_a_mask_may_be_reused_once_reset_has_returned(make: Make, kind: str) -> None:
    env, twin = make(), make()
    mask = torch.arange(N) % 2 == 0
    future = script(env, 5)
    for e in (env, twin):
        e.reset(seed=7)
        play(e, script(e, 12))
    given = mask.clone().numpy() if kind == "numpy" else mask.to(env.device, copy=True)
    env.reset(options={"reset_mask": given})
    given[:] = False
    twin.reset(options={"reset_mask": mask})
    for a, b in zip(play(env, future), play(twin, future), strict=True):
        assert_equal(a, b)
    state = twin.get_state()
    env.set_state(state)
    given = mask.clone().numpy() if kind == "numpy" else mask.to(env.device, copy=True)
    play(env, future)
    play(twin, future)
    env.set_state(state, given)
    given[:] = False
    twin.set_state(state, mask)
    for a, b in zip(play(env, future), play(twin, future), strict=True):
        assert_equal(a, b)


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        ([True] * N, TypeError, "be a bool array or tensor, got list"),
        (torch.ones(N), TypeError, "be a bool array or tensor, got torch.float32"),
        (np.ones(N, np.int64), TypeError, "be a bool array or tensor, got torch.int64"),
        (torch.ones(N + 1, dtype=torch.bool), ValueError, rf"shape \({N},\), got \({N + 1},\)"),
        (np.ones((N, 1), np.bool_), ValueError, rf"shape \({N},\), got \({N}, 1\)"),
        (torch.zeros(N, dtype=torch.bool), ValueError, "at least one environment"),
        (np.zeros(N, np.bool_), ValueError, "at least one environment"),
    ],
)
def test_a_wrong_mask_is_refused_and_changes_nothing(
    make: Make, mask: Any, error: type[Exception], message: str
) -> None:
    env, twin = make(), make()
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(error, match=f"reset_mask must .*{message}"):
        env.reset(seed=9, options={"reset_mask": mask})
    for a, b in zip(play(env, script(env, 3)), play(twin, script(env, 3)), strict=True):
        assert_equal(a, b)
    assert_equal(env.reset()[0], twin.reset()[0])


def first_observations(env: Any, seed: Any = None) -> Tensor:
    return env.reset(seed=seed)[0].cpu()


@pytest.mark.parametrize("id", [CARTPOLE, FRANKA])
def test_seeds_as_int_list_array_or_none(make: Make, id: str) -> None:
    env = make(id)
    of_int = first_observations(env, 5)
    assert of_int.unique(dim=0).shape[0] == N, "every environment has its own stream"
    assert torch.equal(first_observations(env, [5] * N), of_int)
    assert torch.equal(first_observations(env, np.full(N, 5)), of_int)
    assert torch.equal(first_observations(env, np.int64(5)), of_int)
    assert not torch.equal(first_observations(env, 6), of_int)
    # None goes on: the second episodes differ from the first, and are the same again.
    first_observations(env, 5)
    second = first_observations(env)
    assert not (second == of_int).all(dim=-1).any()
    third = first_observations(env)
    first_observations(env, 5)
    assert torch.equal(first_observations(env), second)
    assert torch.equal(first_observations(env), third)


def test_a_none_in_a_list_of_seeds_leaves_that_stream_running(make: Make) -> None:
    env, twin = make(), make()
    env.reset(seed=5)
    twin.reset(seed=5)
    of_nine, going_on = first_observations(make(), 9), first_observations(twin)
    seeds = [9 if k % 2 else None for k in range(N)]
    mixed = first_observations(env, seeds)
    assert torch.equal(mixed[1::2], of_nine[1::2])
    assert torch.equal(mixed[::2], going_on[::2])
    assert seeds == [9 if k % 2 else None for k in range(N)]
    assert torch.equal(first_observations(env)[::2], first_observations(twin)[::2])


def test_a_seed_together_with_a_mask_reaches_the_masked_rows_only(make: Make) -> None:
    env, twin = make(), make()
    env.reset(seed=5)
    twin.reset(seed=5)
    mask = torch.arange(N, device=env.device) < 3
    obs, _ = env.reset(seed=9, options={"reset_mask": mask})
    of_nine = first_observations(make(), 9)
    assert torch.equal(obs.cpu()[:3], of_nine[:3])
    assert torch.equal(first_observations(env)[3:], first_observations(twin)[3:])


@pytest.mark.parametrize("id", [CARTPOLE, FRANKA])
def test_a_seed_wipes_out_whatever_happened_before(make: Make, id: str) -> None:
    env, new = make(id, episode_length_s=0.4), make(id, episode_length_s=0.4)
    env.reset(seed=1)
    play(env, script(env, 40, seed=3))
    expected, got = new.reset(seed=2), env.reset(seed=2)
    assert_equal(got, expected)
    actions = script(env, 40)
    for a, b in zip(play(env, actions), play(new, actions), strict=True):
        assert_equal(a, b)


def test_without_a_seed_two_environments_differ(make: Make) -> None:
    assert not torch.equal(first_observations(make()), first_observations(make()))
    assert not torch.equal(first_observations(make(), [None] * N), first_observations(make()))


@pytest.mark.parametrize("seed", [-1, 2**63, [1, 2], [1] * (N - 1) + [-3], [1] * (N + 1), 1.5])
def test_a_wrong_seed_is_refused_and_changes_nothing(make: Make, seed: Any) -> None:
    env, twin = make(), make()
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises((ValueError, TypeError, gym.error.Error), match=r"(?i)seed|float"):
        env.reset(seed=seed)
    for a, b in zip(play(env, script(env, 3)), play(twin, script(env, 3)), strict=True):
        assert_equal(a, b)
    assert_equal(env.reset()[0], twin.reset()[0])


# ---------------------------------------------------------------------- modes of torch


def test_inference_mode_no_grad_and_normal_mode_may_alternate(make: Make) -> None:
    env, twin = make(FRANKA, **{"episode_length_s": 0.1}), make(FRANKA, episode_length_s=0.1)
    with torch.inference_mode():
        inside = make(FRANKA, episode_length_s=0.1)
        obs, _ = inside.reset(seed=3)
    assert not obs.is_inference()
    env.reset(seed=3)
    twin.reset(seed=3)
    contexts = [torch.inference_mode, torch.no_grad, torch.enable_grad]
    for k, a in enumerate(script(env, 18)):
        with contexts[k % 3]():
            given = a.clone()
            if not given.is_inference():
                given.requires_grad_()
            outs = [e.step(given) for e in (env, inside)]
            if k == 9:
                mask = torch.arange(N, device=env.device) < 4
                for e in (env, inside):
                    e.reset(options={"reset_mask": mask})
        expected = twin.step(a)
        for out in outs:
            assert_equal(out, expected)
            for value in tensors(out).values():
                assert not value.is_inference()
                assert not value.requires_grad
        if k == 9:
            twin.reset(options={"reset_mask": torch.arange(N, device=env.device) < 4})


# ---------------------------------------------------------------------- tasks that err


@dataclass(kw_only=True)
class WrongShape(Pendulum):
    def get_observations(self) -> Any:
        return super().get_observations()[:, :2]


@dataclass(kw_only=True)
class WrongDtype(Pendulum):
    def get_observations(self) -> Any:
        return super().get_observations().double()


@dataclass(kw_only=True)
class NotATensor(Pendulum):
    def get_observations(self) -> Any:
        return super().get_observations().cpu().numpy()


@dataclass(kw_only=True)
class DictForBox(Pendulum):
    def get_observations(self) -> Any:
        return {"arm": super().get_observations()}


@dataclass(kw_only=True)
class MissingKey(DictPendulum):
    def get_observations(self) -> Any:
        return {"arm": super().get_observations()["arm"]}


@dataclass(kw_only=True)
class WrongPart(DictPendulum):
    def get_observations(self) -> Any:
        return {**super().get_observations(), "speed": self.robot.dof_vel[:, 0]}


@dataclass(kw_only=True)
class BoxForDict(DictPendulum):
    def get_observations(self) -> Any:
        return self.robot.dof_pos


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (WrongShape, r"torch.float32 of shape \(8, 3\), got torch.float32 of shape \(8, 2\)"),
        (WrongDtype, r"torch.float32 of shape \(8, 3\), got torch.float64 of shape \(8, 3\)"),
        (NotATensor, "must be a tensor, got"),
        (DictForBox, "must be a tensor, got"),
        (MissingKey, r"must be a dict of \['arm', 'speed'\], got \['arm'\]"),
        (WrongPart, r"observation\['speed'\] must be .* \(8, 1\), got .* \(8,\)"),
        (BoxForDict, r"must be a dict of \['arm', 'speed'\], got a tensor"),
    ],
)
def test_an_observation_outside_its_space_is_one_clear_error(
    make: Make, task: type[Task], message: str
) -> None:
    env = make(task)
    with pytest.raises(ValueError, match=rf"{task.__name__}\.get_observations: .*{message}"):
        env.reset(seed=0)


# ---------------------------------------------------------------------- tasks of a user


def test_a_registered_task_of_a_user_simulates_what_it_says(make: Make, registered: str) -> None:
    env = make(registered, max_torque=0.0, episode_length_s=3.0)
    obs, _ = env.reset(seed=0)
    angle = torch.atan2(obs[:, 0], obs[:, 1]).cpu()
    assert float(angle.abs().max()) < 0.5
    half_turns = torch.zeros(N)
    for _ in range(150):
        before, obs = obs[:, 0], env.step(torch.zeros(N, 1))[0]
        half_turns += ((before * obs[:, 0]) < 0).cpu()
    # A rod about its end: three half periods in 150 steps of 1/60 s.
    inertia = (1.0 + 0.05**2) / 12 + 0.25
    period = 2 * math.pi * math.sqrt(inertia / (9.81 * 0.5)) * (1 + angle**2 / 16)
    assert torch.equal(half_turns, ((150 / 60 - period / 4) / (period / 2)).floor() + 1)


def test_dict_observations_keep_their_names_everywhere(make: Make) -> None:
    env = make(DictPendulum, max_episode_steps=2)
    assert set(env.observation_space.spaces) == {"arm", "speed"}
    obs, _ = env.reset(seed=0)
    plain, _ = make(Pendulum).reset(seed=0)
    assert {key: tuple(value.shape) for key, value in obs.items()} == {
        "arm": (N, 2),
        "speed": (N, 1),
    }
    assert torch.equal(torch.cat((obs["arm"], obs["speed"]), dim=-1), plain)
    for _ in range(2):
        obs, *_, info = env.step(script(env, 1)[0])
    assert info["final_obs"].keys() == obs.keys()
    assert torch.equal(obs["speed"], torch.zeros_like(obs["speed"]))
    assert bool((info["final_obs"]["speed"] != 0).all())


def test_a_privileged_state_is_there_for_a_critic(make: Make) -> None:
    env = make(AsymmetricPendulum)
    obs, _ = env.reset(seed=0)
    assert env.state_space == gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    assert env.state().shape == (N, 3)
    assert torch.equal(env.state()[:, :2], obs)
    obs, *_ = env.step(script(env, 1)[0])
    assert torch.equal(env.state()[:, :2], obs)
    assert bool((env.state()[:, 2] != 0).all())
    plain = make(Pendulum)
    plain.reset(seed=0)
    assert plain.state_space is None
    assert plain.state() is None
    assert "final_state" not in plain.step(script(plain, 1)[0])[4]


# ---------------------------------------------------------------------- attributes by name


def test_attributes_and_methods_are_reached_by_name(make: Make) -> None:
    env = make(num_envs=3)
    env.reset(seed=0)
    assert env.call("max_episode_steps") == (300, 300, 300)
    assert env.get_attr("max_force") == (100.0,) * 3
    terms = env.call("get_rewards")
    assert len(terms) == 3
    assert all("alive" in t for t in terms)
    env.set_attr("max_force", 0.0)
    assert env.task.max_force == 0.0
    env.set_attr("max_episode_steps", [7, 7, 7])
    assert env.max_episode_steps == 7
    with pytest.raises(ValueError, match="max_episode_steps is shared by all environments"):
        env.set_attr("max_episode_steps", [7, 8, 9])
    with pytest.raises(ValueError, match="at least 1"):
        env.set_attr("max_episode_steps", 0)
    with pytest.raises(AttributeError, match="neither the environment nor its task has 'max_forc'"):
        env.set_attr("max_forc", 1.0)
    with pytest.raises(AttributeError, match="max_forc"):
        env.get_attr("max_forc")
    still = env.step(torch.ones(3, 1))[0]
    other = make(num_envs=3, max_force=0.0)
    other.reset(seed=0)
    assert torch.equal(other.step(torch.ones(3, 1))[0], still)
