"""Environments for RLlib: NumPy, next-step autoreset, and whole episodes in its env runner."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_env import ToyEnv  # noqa: F401 (registers the ID)

from isaac_gymnasium.integrations.rllib import make_env


@pytest.mark.usefixtures("physics")
def test_results_are_numpy_with_next_step_autoreset():
    config = {"id": "IsaacCartpole-v0", "num_envs": 4, "device": "cpu", "max_episode_steps": 2}
    envs = make_env(config)
    assert config["id"] == "IsaacCartpole-v0", "the configuration should stay as it is"
    obs, _ = envs.reset(seed=0)
    assert isinstance(obs, np.ndarray) and obs.dtype == np.float32
    results = [envs.step(np.zeros((4, 1), np.float32)) for _ in range(3)]
    truncated = [result[3].tolist() for result in results]
    assert truncated == [[False] * 4, [True] * 4, [False] * 4]
    assert not results[2][1].any(), "the reset step has no reward"
    assert all(isinstance(value, np.ndarray) for value in results[0][:4])
    envs.close()


def test_another_autoreset_mode_is_rejected():
    with pytest.raises(ValueError, match="RLlib needs autoreset_mode='NextStep', got 'SameStep'"):
        make_env({"id": "Toy-v0", "num_envs": 2, "autoreset_mode": "SameStep"})


def test_a_missing_id_is_one_clear_message():
    with pytest.raises(TypeError, match=r"ID as 'id', got \{'num_envs': 2\}"):
        make_env({"num_envs": 2})


def test_a_single_environment_is_refused():
    with pytest.raises(TypeError, match="gym_env_vectorize_mode='vector_entry_point'"):
        make_env({"id": "Toy-v0"})


@pytest.mark.slow
@pytest.mark.usefixtures("physics")
def test_episodes_of_rllibs_env_runner_are_whole():
    pytest.importorskip("ray.rllib")
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
    from ray.tune.registry import register_env

    register_env("isaac_gymnasium", make_env)
    keywords = {"id": "IsaacCartpole-v0", "device": "cpu", "max_episode_steps": 5}
    config = PPOConfig().environment("isaac_gymnasium", env_config=keywords)
    config.env_runners(
        gym_env_vectorize_mode="vector_entry_point", num_env_runners=0, num_envs_per_env_runner=4
    )
    runner = SingleAgentEnvRunner(config=config)
    episodes = runner.sample(num_timesteps=64, random_actions=True)
    runner.stop()
    whole = [episode for episode in episodes if episode.is_done]
    assert len(whole) >= 12
    for episode in whole:
        assert (len(episode), episode.is_truncated, episode.is_terminated) == (5, True, False)
        observations, actions = episode.get_observations(), episode.get_actions()
        # Within 5 steps of 1/60 s nothing jumps, unless a reset gets in between.
        assert len(observations) == 6 and len(actions) == 5
        assert np.abs(np.diff(np.array(observations)[:, 2])).max() < 0.2
        assert observations[0][2] == 0 and observations[0][1] == 0, "it begins at rest"
        assert observations[-1][2] != 0, "it ends where the last action has led"


@pytest.mark.slow
def test_two_env_runners_train_as_the_page_of_several_machines_says(capsys):
    pytest.importorskip("ovphysx")
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.rllib")
    root = Path(__file__).parents[2]
    page = (root / "docs" / "several_machines.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    for whole, smaller in (
        ('"IsaacCartpole-v0"}', '"IsaacCartpole-v0", "device": "cpu", "engine": "physx"}'),
        ("num_envs_per_env_runner=64", "num_envs_per_env_runner=4"),
        ("_learner=4096, minibatch_size=512", "_learner=512, minibatch_size=128"),
        ("range(20)", "range(2)"),
        ("algorithm.stop()", ""),
    ):
        assert whole in code
        code = code.replace(whole, smaller)
    names: dict[str, Any] = {}
    worker = {"env_vars": {"PYTHONPATH": str(root)}}
    try:
        ray.init(num_cpus=2, include_dashboard=False, runtime_env=worker)
    except Exception as error:
        if "timed out during startup" not in str(error):
            raise
        pytest.skip("the cores are too busy for Ray, which gives itself 30 s to start")
    try:
        exec(code, names)
        runners = names["algorithm"].env_runner_group
        seeds = runners.foreach_env_runner(lambda runner: runner._seed, local_env_runner=False)
        result = names["algorithm"].metrics.peek()
        names["algorithm"].stop()
    finally:
        ray.shutdown()
    assert sorted(seeds) == [2, 3]
    assert result["env_runners"]["num_env_steps_sampled_lifetime"] >= 2 * 512
    assert len(capsys.readouterr().out.splitlines()) >= 2
