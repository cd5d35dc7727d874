"""`Task`: parameters, what follows from them, and counting their changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch

from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.envs.franka_cube import FrankaCube
from isaac_gymnasium.scene import PhysicsSettings
from isaac_gymnasium.task import Task, find_task, make_task


def test_what_is_computed_once_a_state_follows_state_and_parameters() -> None:
    env: Any = gym.make_vec("IsaacCartpole-v0", num_envs=4, device="cpu")
    env.reset(seed=0)
    task = env.unwrapped.task
    away = torch.zeros(4, 2)
    away[2:, task.cart] = 1.0
    before = task.get_terminations()
    assert task.get_terminations() is before
    task.robot.write_dof_state(away, torch.zeros_like(away))
    assert task.get_terminations() is not before
    assert not bool(task.get_terminations().any())
    task.max_cart_position = 0.5
    assert task.get_terminations().tolist() == [False, False, True, True]
    env.close()


@pytest.mark.parametrize("name", ["env_spacing", "episode_length_s", "dt"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, -math.inf, "1.0", None])
def test_lengths_and_times_must_be_positive_and_finite(name: str, value: Any) -> None:
    message = f"{name} must be a positive, finite number, got {value!r}"
    with pytest.raises(ValueError, match=message):
        Cartpole(**{name: value})


@pytest.mark.parametrize("value", [0, -2, 1.0, "2", None])
def test_decimation_must_be_a_positive_integer(value: object) -> None:
    with pytest.raises(ValueError, match="decimation must be an integer of at least 1, got"):
        Cartpole(decimation=value)  # type: ignore[arg-type]


def test_integers_and_floats_of_numpy_are_numbers() -> None:
    task = Cartpole(decimation=np.int64(4), dt=np.float32(0.01), episode_length_s=np.float64(2.0))
    assert task.max_episode_steps == 50
    assert Cartpole(env_spacing=3).env_spacing == 3


@pytest.mark.parametrize(
    ("seconds", "dt", "decimation", "steps"),
    [
        (5.0, 1 / 120, 2, 300),
        (5.0, 1 / 60, 1, 300),
        (0.1, 1 / 120, 2, 6),
        (1.0, 0.003, 1, 333),
        (1.0, 1 / 3, 1, 3),
        (0.7, 0.1, 1, 7),  # 0.7 / 0.1 is 6.999...
        (0.3, 0.1, 1, 3),  # 0.3 / 0.1 is 2.999...
        (100.0, 1 / 120, 8, 1500),
    ],
)
def test_the_time_limit_in_steps(seconds: float, dt: float, decimation: int, steps: int) -> None:
    task = Cartpole(episode_length_s=seconds, dt=dt, decimation=decimation)
    assert task.step_dt == pytest.approx(dt * decimation)
    assert task.max_episode_steps == steps
    assert type(task.max_episode_steps) is int


def test_an_episode_lasts_at_least_a_step() -> None:
    assert Cartpole(episode_length_s=1 / 60).max_episode_steps == 1
    with pytest.raises(ValueError, match=r"0\.005 is shorter than one step of 0\.01"):
        Cartpole(episode_length_s=0.005)


def test_parameters_are_the_fields_that_can_be_given() -> None:
    common = {"env_spacing": 10.0, "episode_length_s": 5.0, "dt": 1 / 120, "decimation": 2}
    own = {"max_force": 100.0, "max_cart_position": 3.0, "initial_angle": 0.25}
    assert Cartpole.parameters() == common | own
    task = Cartpole(max_force=7.0)
    assert task.max_force == 7.0
    assert Cartpole().max_force == 100.0
    with pytest.raises(TypeError):
        Cartpole(7.0)  # type: ignore[misc]


def test_default_spaces_follow_from_the_two_numbers() -> None:
    task = Cartpole()
    assert task.observation_space() == gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
    assert task.action_space() == gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    assert task.state_space() is None
    assert task.get_states() is None
    assert task.physics_settings() == PhysicsSettings()


def test_the_interface_is_abstract() -> None:
    @dataclass(kw_only=True)
    class Half(Task):
        def set_up_scene(self, scene: Any) -> None: ...

    with pytest.raises(TypeError, match=r"abstract.*get_observations"):
        Half()  # type: ignore[abstract]


@pytest.mark.parametrize(
    "change", ["max_force", "episode_length_s", "dt", "engine", "num_envs", "episode_length"]
)
def test_every_change_of_a_parameter_counts(change: str) -> None:
    task = Cartpole()
    before = task.revision
    setattr(task, change, 0.5)
    assert task.revision == before + 1
    setattr(task, change, 0.5)
    assert task.revision == before + 2


def test_other_attributes_do_not_count() -> None:
    task = Cartpole()
    before = task.revision
    task.robot = object()
    task.efforts = torch.zeros(3)
    task.efforts += 1.0
    assert task.revision == before
    task.revision += 1
    assert task.revision == before + 1


def test_revisions_are_no_part_of_what_a_task_is() -> None:
    task, other = Cartpole(), Cartpole()
    task.max_force = 100.0
    assert task.revision != other.revision
    assert task == other
    assert "revision" not in repr(task)
    assert "revision" not in Cartpole.parameters()


def test_a_parameter_of_a_subclass_counts_too() -> None:
    @dataclass(kw_only=True)
    class Sub(Cartpole):
        shared: ClassVar[float] = 1.0
        mine: float = 2.0
        weights: dict[str, float] = field(default_factory=dict)

    task = Sub(mine=3.0)
    before = task.revision
    task.mine = 4.0
    task.weights = {"alive": 1.0}
    assert task.revision == before + 2
    assert "shared" not in Sub.parameters()
    assert {"mine", "weights", "max_force"} <= Sub.parameters().keys()
    assert Sub.parameters()["weights"] == {}


def test_a_task_is_found_by_class_or_by_name() -> None:
    assert find_task(Cartpole) is Cartpole
    assert find_task("isaac_gymnasium.envs.cartpole:Cartpole") is Cartpole
    for wrong in (3, Cartpole(), dict, "isaac_gymnasium.envs.cartpole:cartpole"):
        with pytest.raises(TypeError, match="task must be a dataclass derived from Task, got"):
            find_task(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["isaac_gymnasium.envs.cartpole", "IsaacCartpole-v0"])
def test_text_that_names_no_class_in_a_module_says_how_it_should_look(text: str) -> None:
    with pytest.raises((TypeError, ValueError), match="module:Class"):
        find_task(text)


def test_an_undecorated_subclass_is_refused() -> None:
    class Plain(Cartpole):
        pass

    with pytest.raises(TypeError, match=r"Plain needs the decorator @dataclass\(kw_only=True\)"):
        find_task(Plain)


def test_an_unknown_keyword_is_named_beside_all_that_are_known() -> None:
    with pytest.raises(TypeError) as caught:
        make_task(FrankaCube, {"cube_size": 0.04, "cube_sise": 0.05})
    message = str(caught.value)
    assert message.startswith("FrankaCube has no parameter 'cube_sise'; it has: arm_noise, ")
    assert all(name in message for name in FrankaCube.parameters())
    assert make_task(FrankaCube, {"cube_size": 0.04}) == FrankaCube(cube_size=0.04)
