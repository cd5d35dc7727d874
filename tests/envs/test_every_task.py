"""What every task of this package keeps, found by its ID."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import isaac_gymnasium
from isaac_gymnasium.engines import available_engines
from isaac_gymnasium.presets import find_preset, preset
from isaac_gymnasium.presets.configs import SkrlPpoConfig
from isaac_gymnasium.state import tensors_of
from isaac_gymnasium.task import Task

TASKS = {
    id: task
    for id, task in sorted(isaac_gymnasium.registered_tasks().items())
    if task.__module__.startswith("isaac_gymnasium.")
}
HEADINGS = [
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Version History",
]

# Images, and what they are of, are the business of `test_camera_tasks`.
WITHOUT_IMAGES = [id for id in TASKS if not id.endswith("Camera-v0")]

SMALL = {
    # A terrain that is read quickly.
    id: {"levels": 2, "tiles": 10, "first_levels": 2}
    for id in ("IsaacAnymalRough-v0", "IsaacGo2Rough-v0")
}

every_task = pytest.mark.parametrize("id", TASKS)


@every_task
def test_its_docstring_is_a_page_with_the_fixed_headings(id: str) -> None:
    page = TASKS[id].__doc__ or ""
    assert re.findall(r"^ *## (.*)$", page, re.MULTILINE) == HEADINGS
    arguments = page.split("## Arguments")[1].split("## Version History")[0]
    own = TASKS[id].parameters().keys() - Task.parameters().keys()
    documented = set(re.findall(r"`(\w+)`", arguments))
    assert own <= documented, "arguments without a word about them"
    assert f"* v{id.rpartition('-v')[2]}: " in page


@every_task
def test_it_trains_with_settings_of_its_own(id: str) -> None:
    assert find_preset(id)
    preset(id, SkrlPpoConfig).check()


@every_task
def test_gymnasiums_checker_is_content_with_the_single_view(id: str, engine_name: str) -> None:
    env = gym.make(id, engine=engine_name, **SMALL.get(id, {}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # Velocities have no bound.
            warnings.filterwarnings("ignore", message=r".*observation space (minimum|maximum) val")
            check_env(env.unwrapped)
    finally:
        env.close()


@pytest.fixture(
    scope="module",
    params=itertools.product(available_engines(), WITHOUT_IMAGES),
    ids="-".join,
)
def env(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One scene of each task on each engine, for all tests that follow."""
    engine, id = request.param
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    env = gym.make_vec(id, num_envs=64, engine=engine, device=device, **SMALL.get(id, {}))
    yield env
    env.close()


def random_actions(env: Any, seed: int) -> torch.Tensor:
    low, high = env._action_low, env._action_high
    share = torch.rand(env.action_space.shape, generator=torch.Generator().manual_seed(seed))
    actions: torch.Tensor = low + (high - low) * share.to(env.device)
    return actions


def test_the_reward_terms_are_those_documented(env: Any) -> None:
    rewards = env.task.__doc__.split("## Rewards")[1].split("## Starting State")[0]
    documented = set(re.findall(r"^ *\* `(\w+)`", rewards, re.MULTILINE))
    env.reset(seed=0)
    assert env.task.get_rewards().keys() == documented


def test_the_extras_are_those_documented(env: Any) -> None:
    def documented(task: type[Task]) -> set[str]:
        page = (task.__doc__ or "").split("## Episode End")[1].split("## Arguments")[0]
        # "As in" another task: what is said there.
        elsewhere = [documented(TASKS[id]) for id in re.findall(r"As in `(Isaac[\w-]+)`", page)]
        return set(re.findall(r'`info\["(\w+)"\]`', page)).union(*elsewhere)

    env.reset(seed=0)
    assert env.task.get_extras().keys() == documented(type(env.task))


def test_random_actions_keep_everything_finite(env: Any) -> None:
    env.log_rewards = True
    env.reset(seed=0)
    finite = torch.ones((), dtype=torch.bool, device=env.device)
    for step in range(60):
        # Held for ten steps, so that it goes far.
        obs, reward, _, _, info = env.step(random_actions(env, step // 10))
        for values in (obs, reward, info["final_obs"], *info["log"].values()):
            finite &= values.isfinite().all()
    assert finite
    assert info["success"].dtype == torch.bool
    assert obs.dtype == torch.float32


def test_a_reset_by_mask_is_the_start_of_an_episode_and_leaves_the_others_alone(env: Any) -> None:
    env.reset(seed=1)
    for step in range(5):
        before, *_ = env.step(random_actions(env, step))
    mask = torch.arange(env.num_envs, device=env.device) % 2 == 0
    after, _ = env.reset(options={"reset_mask": mask})
    assert torch.equal(after[~mask], before[~mask])
    assert not torch.equal(after[mask], before[mask])
    # The same draws lead to the same start, whatever was before.
    env.rng.reseed(env.rng.seed, env._all)
    first, _ = env.reset()
    for step in range(5):
        env.step(random_actions(env, step))
    env.rng.reseed(env.rng.seed, env._all)
    again, _ = env.reset()
    torch.testing.assert_close(again, first, atol=1e-5, rtol=1e-5)


def test_tensors_are_the_environments_own_or_said_to_be_shared(env: Any) -> None:
    tensors = tensors_of(env.unwrapped.task)
    lengths = {name: len(tensor) for name, tensor, shared in tensors if not shared}
    assert set(lengths.values()) <= {1, env.num_envs}, lengths


def test_a_restored_state_looks_the_same(env: Any) -> None:
    env.reset(seed=2)
    for step in range(3):
        env.step(random_actions(env, step))
    state, expected = env.get_state(), env.task.get_observations().clone()
    rewards = {name: term.clone() for name, term in env.task.get_rewards().items()}
    for step in range(3):
        env.step(random_actions(env, 7 + step))
    found = env.set_state(state)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for name, term in env.task.get_rewards().items():
        torch.testing.assert_close(term, rewards[name], atol=1e-5, rtol=1e-5)
