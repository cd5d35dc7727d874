"""What the checker finds in the vector environments of others, pinned.

A point that turns green here means that upstream has repaired it.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Tuple
from gymnasium.vector import SyncVectorEnv

from isaac_gymnasium.contract import Report, check_vector_env

MODES = ("SameStep", "NextStep", "Disabled")
# SyncVectorEnv pops the reset_mask out of the options it is given, and steps on when closed.
SYNC = {"options_unchanged", "refuses_after_close"}


def failures(report: Report) -> set[str]:
    return {point.name for point in report.failures}


def make_sync(id: str, mode: str = "NextStep", **kwargs: object) -> gym.vector.VectorEnv:
    return gym.make_vec(
        id,
        num_envs=3,
        vectorization_mode="sync",
        max_episode_steps=12,
        vector_kwargs={"autoreset_mode": mode},
        **kwargs,
    )


class TestSyncVectorEnv:
    @pytest.mark.parametrize("mode", MODES)
    def test_cartpole(self, mode):
        report = check_vector_env(make_sync("CartPole-v1", mode))
        assert failures(report) == SYNC
        assert report["options_unchanged"].got == "{}"
        assert report["refuses_after_close"].expected == "step() after close() to raise"
        for name in ("one_device", "no_host_sync", "grad_modes"):
            assert report[name].reason == "the environment returns NumPy arrays"
        for name in ("true_successor", "truncation", "reset_mask_isolated", "attributes", "spec"):
            assert report[name].status == "pass", name

    def test_pendulum_reads_the_first_of_two_columns(self):
        report = check_vector_env(make_sync("Pendulum-v1"))
        assert failures(report) == SYNC | {"refuses_actions"}
        assert "2 columns" in report["refuses_actions"].expected

    def test_frozen_lake_falls_into_a_hole_at_the_time_limit(self):
        report = check_vector_env(make_sync("FrozenLake-v1"))
        assert failures(report) == SYNC | {"exclusive_flags"}
        assert report["rows_differ"].reason == "the starts are not random"

    def test_without_a_spec_there_is_no_twin(self):
        env = SyncVectorEnv([lambda: gym.make("CartPole-v1", max_episode_steps=12)] * 2)
        assert failures(check_vector_env(env, steps=15)) == {"options_unchanged"}

    @pytest.mark.parametrize("mode", MODES)
    def test_nested_spaces(self, mode):
        def make(autoreset_mode: str = mode) -> SyncVectorEnv:
            return SyncVectorEnv([Nested] * 3, autoreset_mode=autoreset_mode)

        report = check_vector_env(make, steps=20)
        assert failures(report) == SYNC
        for name in ("true_successor", "reset_mask", "outputs_owned"):
            assert report[name].status == "pass", name

    def test_a_break_deep_in_nested_spaces_is_found(self):
        class Shifted(Nested):
            def observe(self):
                return super().observe() | {"cell": 9}

        report = check_vector_env(lambda **kwargs: SyncVectorEnv([Shifted] * 3, **kwargs), steps=20)
        assert failures(report) == SYNC | {"observations"}
        assert report["observations"].expected.startswith("obs['cell'] within the bounds")

    def test_a_final_observation_outside_its_space_is_found(self):
        class Shifted(Nested):
            def step(self, action):
                obs, reward, terminated, truncated, info = super().step(action)
                if terminated or truncated:
                    obs["cell"] = 9
                return obs, reward, terminated, truncated, info

        def make(autoreset_mode: str = "SameStep") -> SyncVectorEnv:
            return SyncVectorEnv([Shifted] * 3, autoreset_mode=autoreset_mode)

        report = check_vector_env(make, steps=20)
        assert failures(report) == SYNC | {"final_obs"}
        assert "['cell']" in report["final_obs"].expected


def test_async_vector_env_refuses_when_closed_but_pops_the_mask():
    env = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="async", max_episode_steps=12)
    try:
        assert failures(check_vector_env(env)) == {"options_unchanged"}
    finally:
        env.close()


def test_gymnasiums_own_vectorised_cartpole():
    env = gym.make_vec("CartPole-v1", num_envs=3, max_episode_steps=12)
    assert type(env).__name__ == "CartPoleVectorEnv"
    report = check_vector_env(env)
    # It knows neither lists of seeds nor masks, and its close() forgets that it is closed.
    assert failures(report) == {"seed_list", "reset_mask", "close"}
    assert "unexpected keyword argument 'autoreset_mode'" in report["true_successor"].reason


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_atari(mode):
    vector_env = pytest.importorskip("ale_py.vector_env")

    def make(autoreset_mode: str = mode) -> gym.vector.VectorEnv:
        return vector_env.AtariVectorEnv(
            "pong",
            num_envs=2,
            num_threads=1,
            autoreset_mode=autoreset_mode,
            max_num_frames_per_episode=12,
            frameskip=1,
            noop_max=2,
            img_height=16,
            img_width=16,
            use_fire_reset=False,
        )

    report = check_vector_env(make, steps=20)
    assert failures(report) == {
        # The class's own metadata are changed for each instance.
        "metadata_per_instance",
        # A NumPy array is taken, a list is not.
        "seed_list",
        # A mask without any environment is taken.
        "refuses_reset_masks",
        "refuses_after_close",
    } | ({"final_obs", "final_info"} if mode == "SameStep" else set())


class Nested(gym.Env):
    """Spaces within spaces: steps along a ring of cells, with a random offset."""

    observation_space = Dict({"cell": Discrete(5), "inner": Tuple([Box(-100.0, 100.0, (2,))])})
    action_space = Tuple([Discrete(3), Box(-1.0, 1.0, (1,))])

    def observe(self):
        return {"cell": self.cell, "inner": (np.array([self.offset, self.count], np.float32),)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell, self.count = 0, 0
        self.offset = self.np_random.uniform(-1, 1)
        return self.observe(), {"offset": self.offset}

    def step(self, action):
        self.cell = (self.cell + int(action[0]) + 1) % 5
        self.offset += float(action[1][0])
        self.count += 1
        return self.observe(), 1.0, self.cell == 4 and self.count > 3, self.count == 9, {}
