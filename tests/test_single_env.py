"""`IsaacEnv`: the same tasks through `gymnasium.make`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode

import isaac_gymnasium
from isaac_gymnasium.single_env import IsaacEnv

IDS = ["IsaacCartpole-v0", "IsaacFrankaCube-v0"]

Make = Callable[..., Any]


@pytest.fixture
def make() -> Iterator[Make]:
    envs: list[Any] = []

    def make(id: str = IDS[0], **kwargs: Any) -> Any:
        envs.append(gym.make(id, **kwargs))
        return envs[-1]

    yield make
    for env in envs:
        env.close()


@pytest.mark.parametrize("id", IDS)
def test_gymnasiums_checker_is_content(id: str, make: Make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Joint velocities have no bound.
        warnings.filterwarnings("ignore", message=r".*observation space (minimum|maximum) value")
        check_env(make(id).unwrapped)


@pytest.mark.parametrize("id", IDS)
def test_gymnasiums_wrappers_find_nothing_to_warn_of(id: str, make: Make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make(id, episode_length_s=0.1)
        env.action_space.seed(0)
        for _ in range(3):
            env.reset(seed=0)
            ended = False
            while not ended:
                _, _, terminated, truncated, _ = env.step(env.action_space.sample())
                ended = terminated or truncated


def test_the_base_class_is_gymnasiums(make: Make) -> None:
    env = make().unwrapped
    assert gym.Env in [getattr(base, "__origin__", base) for base in IsaacEnv.__bases__]
    assert type(env) is IsaacEnv
    assert env.vector_env.num_envs == 1
    assert env.vector_env.autoreset_mode is AutoresetMode.DISABLED
    assert env.vector_env.device == torch.device("cpu")
    assert env.metadata is not IsaacEnv.metadata


@pytest.mark.parametrize("id", IDS)
def test_what_comes_out_is_numpy_and_python(id: str, make: Make) -> None:
    env = make(id)
    obs, info = env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    for _ in range(3):
        assert type(obs) is np.ndarray
        assert obs.dtype == np.float32
        assert obs in env.observation_space
        assert type(info["success"]) is bool
        assert "episode" not in info
        obs, reward, terminated, truncated, info = env.step(action)
        assert type(reward) is float
        assert type(terminated) is type(truncated) is bool
        assert {type(value) for value in info["log"].values()} == {float}
        assert sum(info["log"].values()) == pytest.approx(reward, abs=1e-6)


def rollout(env: Any, seed: int | None, steps: int = 20) -> list[Any]:
    generator = np.random.default_rng(0)
    found = [env.reset(seed=seed)]
    for _ in range(steps):
        found.append(env.step(generator.uniform(-1, 1, env.action_space.shape)))
        if found[-1][2] or found[-1][3]:
            found.append(env.reset())
    return found


@pytest.mark.parametrize("id", IDS)
def test_a_seed_is_a_rollout(id: str, make: Make) -> None:
    env = make(id, episode_length_s=0.2)
    first = rollout(env, 3)
    assert any(len(step) == 5 and (step[2] or step[3]) for step in first), "an episode should end"
    assert data_equivalence(rollout(env, 3), first, exact=True)
    assert data_equivalence(rollout(make(id, episode_length_s=0.2), 3), first, exact=True)
    assert not np.array_equal(env.reset(seed=4)[0], first[0][0])
    assert not np.array_equal(env.reset()[0], env.reset()[0])


def test_observations_are_not_overwritten_by_later_steps(make: Make) -> None:
    env = make()
    kept = [env.reset(seed=0)[0]]
    kept += [env.step(np.ones(1, np.float32))[0] for _ in range(5)]
    copies = [obs.copy() for obs in kept]
    for obs in kept[:-1]:
        obs[:] = 9.0
    later = env.step(np.ones(1, np.float32))[0]
    assert np.array_equal(kept[-1], copies[-1])
    assert not np.array_equal(later, copies[-1])


def test_an_action_may_be_a_list_or_of_another_precision_but_not_of_another_size(
    make: Make,
) -> None:
    env = make().unwrapped
    results = []
    for action in ([0.5], np.array([0.5]), np.array([0.5], np.float16), torch.tensor([0.5])):
        env.reset(seed=1)
        results.append(env.step(action))
    assert all(data_equivalence(r, results[0], exact=True) for r in results)
    with pytest.raises(ValueError, match=r"shape \(1, 1\), got \(1, 2\)"):
        env.step(np.zeros(2))


def test_an_episode_that_has_ended_must_be_reset(make: Make) -> None:
    env = make(episode_length_s=0.05, initial_angle=0.0).unwrapped
    still = np.zeros(1, np.float32)
    env.reset(seed=0)
    flags = [env.step(still)[2:4] for _ in range(3)]
    assert flags == [(False, False), (False, False), (False, True)]
    with pytest.raises(ValueError, match="ended"):
        env.step(still)
    env.reset()
    assert env.step(still)[2:4] == (False, False)


def test_a_time_limit_of_gymnasium_may_shorten_an_episode(make: Make) -> None:
    env = make(max_episode_steps=4, initial_angle=0.0)
    for _ in range(3):
        env.reset(seed=0)
        flags = [env.step(np.zeros(1, np.float32))[3] for _ in range(4)]
        assert flags == [False, False, False, True]


@pytest.mark.parametrize("steps", [4, 500])
def test_a_time_limit_of_gymnasium_is_the_tasks_own(make: Make, steps: int) -> None:
    env = make(max_episode_steps=steps)
    assert env.unwrapped.vector_env.max_episode_steps == steps
    again = make(env.spec)
    assert again.unwrapped.vector_env.max_episode_steps == steps
    env.reset(seed=0)
    env.unwrapped.vector_env.episode_length_buf = torch.tensor([steps - 1])
    assert env.unwrapped.step(np.zeros(1, np.float32))[3]
    unlimited = make(max_episode_steps=-1)
    assert unlimited.unwrapped.vector_env.max_episode_steps == 300


def test_gymnasiums_own_vectorisation_works_too() -> None:
    env = gym.make_vec(
        IDS[0], num_envs=2, vectorization_mode="sync", episode_length_s=0.05, initial_angle=0.1
    )
    obs, _ = env.reset(seed=0)
    assert obs.shape == (2, 4)
    still = np.zeros((2, 1), np.float32)
    truncated = [env.step(still)[3].tolist() for _ in range(5)]
    assert truncated == [[False] * 2, [False] * 2, [True] * 2, [False] * 2, [False] * 2]
    env.close()


def test_an_unknown_keyword_is_refused_with_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"Cartpole has no parameter 'max_forc'; it has: .*max_for"):
        gym.make(IDS[0], max_forc=1.0)


def test_closing_twice_is_harmless_and_using_it_afterwards_is_not(make: Make) -> None:
    env = make().unwrapped
    env.reset(seed=0)
    env.close()
    env.close()
    for call in (env.reset, lambda: env.step(np.zeros(1, np.float32))):
        with pytest.raises(gym.error.ClosedEnvironmentError):
            call()
    again = make()
    again.reset(seed=0)


def test_parameters_reach_the_task(make: Make) -> None:
    env = make(IDS[1], control_mode="joint", cube_size=0.04)
    assert env.action_space.shape == (8,)
    assert isinstance(env.unwrapped.task, isaac_gymnasium.Task)
    assert env.unwrapped.task.cube_size == 0.04
    assert env.spec.kwargs["control_mode"] == "joint"
    rebuilt = gym.make(env.spec)
    assert rebuilt.action_space == env.action_space
    rebuilt.close()
