"""The table of IDs, and registering tasks of one's own."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import gymnasium as gym
import pytest
from any_engine import ENGINE
from gymnasium.envs.registration import EnvSpec

import isaac_gymnasium
from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.envs.franka_cube import FrankaCube
from isaac_gymnasium.single_env import IsaacEnv
from isaac_gymnasium.task import Task
from isaac_gymnasium.vector_env import IsaacVectorEnv

OURS = {"IsaacCartpole-v0": Cartpole, "IsaacFrankaCube-v0": FrankaCube}


@dataclass(kw_only=True)
class HeavyCartpole(Cartpole):
    """A task of a third party."""

    max_force: float = 250.0


class Undecorated(Cartpole):
    """Forgot its decorator."""


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Takes out of gymnasium's registry what a test put in."""
    before = dict(gym.registry)
    yield
    gym.registry.clear()
    gym.registry.update(before)


def test_our_tasks_are_registered_on_import() -> None:
    tasks = isaac_gymnasium.registered_tasks()
    assert {id: tasks[id] for id in OURS} == OURS
    assert all(id in gym.registry for id in OURS)


def test_registering_again_changes_nothing() -> None:
    specs = {id: gym.spec(id) for id in OURS}
    isaac_gymnasium.registration.register_all()
    assert all(gym.spec(id) is spec for id, spec in specs.items())


@pytest.mark.parametrize("id", OURS)
def test_a_spec_holds_nothing_that_overrides_the_caller_or_breaks_json(id: str) -> None:
    spec = gym.spec(id)
    # make_vec lets these, found in a spec, win over its own arguments.
    assert not {"num_envs", "vectorization_mode", "vector_kwargs", "wrappers"} & spec.kwargs.keys()
    assert spec.additional_wrappers == ()
    assert spec.max_episode_steps is None
    assert isinstance(spec.entry_point, str)
    assert isinstance(spec.vector_entry_point, str)
    assert EnvSpec.from_json(spec.to_json()) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize("task", [HeavyCartpole, f"{__name__}:HeavyCartpole"])
def test_one_call_registers_a_task_for_make_and_make_vec(task: type[Task] | str) -> None:
    isaac_gymnasium.register("ThirdParty/Heavy-v2", task)
    assert isaac_gymnasium.registered_tasks()["ThirdParty/Heavy-v2"] is HeavyCartpole
    spec = EnvSpec.from_json(gym.spec("ThirdParty/Heavy-v2").to_json())
    for id in ("ThirdParty/Heavy-v2", spec):
        vector = gym.make_vec(id, num_envs=3, device="cpu")
        assert type(vector.unwrapped) is IsaacVectorEnv
        assert vector.num_envs == 3
        assert type(vector.task) is HeavyCartpole
        assert vector.task.max_force == 250.0
        vector.close()
    single = gym.make("ThirdParty/Heavy-v2", max_force=5.0)
    assert type(single.unwrapped) is IsaacEnv
    assert single.unwrapped.task.max_force == 5.0
    single.close()


@pytest.mark.parametrize("task", [Cartpole(), dict, 7, None])
def test_what_is_no_task_is_refused(task: object) -> None:
    with pytest.raises(TypeError, match="task must be a subclass of Task or 'module:Class', got"):
        isaac_gymnasium.register("Wrong-v0", task)  # type: ignore[arg-type]
    assert "Wrong-v0" not in gym.registry


def test_a_task_without_the_decorator_is_refused_by_name() -> None:
    isaac_gymnasium.register("Undecorated-v0", Undecorated)
    with pytest.raises(TypeError, match=r"Undecorated needs the decorator @dataclass\(kw_only"):
        gym.make_vec("Undecorated-v0", num_envs=2, device="cpu")


def test_a_task_that_cannot_be_found_again_is_refused_when_it_is_registered() -> None:
    @dataclass(kw_only=True)
    class Local(Cartpole):
        pass

    # Its name, "...<locals>.Local", leads nowhere: neither make_vec nor registered_tasks (and with
    # it `isaac-gymnasium list`) would work afterwards.
    with pytest.raises((TypeError, ValueError), match="top level of its module"):
        isaac_gymnasium.register("Local-v0", Local)
    assert "Local-v0" not in gym.registry


def test_a_class_that_is_not_there_is_refused_by_module_and_name() -> None:
    isaac_gymnasium.register("Missing-v0", "isaac_gymnasium.envs.cartpole:Cartpool")
    with pytest.raises((AttributeError, TypeError), match=r"envs\.cartpole.*Cartpool"):
        gym.make_vec("Missing-v0", num_envs=2, device="cpu")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        isaac_gymnasium.register("Missing-v1", "no_such_module:Task")
        gym.make_vec("Missing-v1", num_envs=2, device="cpu")


def test_ids_are_gymnasiums_business() -> None:
    with pytest.raises(gym.error.Error, match="Malformed environment ID"):
        isaac_gymnasium.register("no spaces allowed", Cartpole)
    with pytest.raises(gym.error.VersionNotFound):
        gym.make_vec("IsaacCartpole-v99", num_envs=2)


FRESH = """
import gymnasium as gym
env = gym.make_vec("isaac_gymnasium:IsaacCartpole-v0", num_envs=2, device="cpu", engine=ENGINE)
env.reset(seed=0)
print(type(env).__name__, env.num_envs)
env.close()
"""


def test_an_id_with_its_module_needs_no_import() -> None:
    code = FRESH.replace("ENGINE", repr(ENGINE))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "IsaacVectorEnv 2\n", done.stderr


BARE = """
import sys
missing = {extras}
for name in missing:
    sys.modules[name] = None
from gymnasium.envs.registration import registry
import isaac_gymnasium
from isaac_gymnasium import cli, engines, envs, integrations, presets, sensors, wrappers
from isaac_gymnasium.envs import *
print(len([key for key in registry if key.startswith("Isaac")]))
"""
EXTRAS = (
    *(
        "imageio",
        "imageio_ffmpeg",
        "matplotlib",
        "moviepy",
        "onnx",
        "pandas",
        "tensorboard",
        "viser",
    ),
    *("newton", "ovphysx", "ovstage", "pxr", "warp", "rl_games", "rsl_rl", "skrl"),
    *("stable_baselines3", "tensordict", "torchrl"),
)


def test_nothing_of_the_extras_is_needed_to_import_the_package() -> None:
    code = BARE.format(extras=EXTRAS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert int(done.stdout or 0) >= 19, done.stderr
