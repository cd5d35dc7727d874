"""What wrappers forward, how they stack, and what they refuse."""

from typing import Any

import gymnasium as gym
import gymnasium.wrappers.vector as vector
import numpy as np
import pytest
import torch
from gymnasium.error import InvalidBound, InvalidProbability
from gymnasium.spaces import Box, Discrete, Graph
from scripted_env import DISABLED, NEXT_STEP, SAME_STEP, N, TorchEnv, record, rollout

import isaac_gymnasium  # noqa: F401  (registers the IDs)
from isaac_gymnasium import wrappers


def test_public_attributes_are_those_of_the_environment_through_any_wrapper() -> None:
    inner = TorchEnv(SAME_STEP)
    env: Any = wrappers.ClipReward(vector.TransformReward(wrappers.ClipAction(inner), abs), 0.0)
    assert env.task == "a task" and env.call("x") == "called x"
    assert env.state_space is inner.state_space and torch.equal(env.state(), inner.state())
    assert env.device == torch.device("cpu") and env.autoreset_mode is SAME_STEP
    assert env.max_episode_steps == inner.max_episode_steps
    assert env.num_envs == N and env.unwrapped is inner and env.metadata is inner.metadata


def test_properties_of_the_environment_are_set_there() -> None:
    """On the wrapper they would only hide the environment's."""

    class WithProperty(TorchEnv):
        @property
        def max_episode_steps(self) -> int:
            return self.limit

        @max_episode_steps.setter
        def max_episode_steps(self, steps: int) -> None:
            self.limit = steps

    inner = WithProperty(SAME_STEP)
    env: Any = wrappers.ClipAction(wrappers.ClipReward(inner, 0.0))
    env.max_episode_steps = 7
    assert inner.limit == env.max_episode_steps == 7
    env.note = "mine"
    assert env.note == "mine" and not hasattr(inner, "note")


def test_what_nobody_has_is_an_attribute_error() -> None:
    env = wrappers.ClipAction(wrappers.ClipReward(TorchEnv(SAME_STEP), 0.0))
    with pytest.raises(AttributeError, match="'TorchEnv' object has no attribute 'colour'"):
        env.colour  # noqa: B018
    with pytest.raises(AttributeError, match="'ClipAction' object has no attribute '_private'"):
        env._private  # noqa: B018
    assert not hasattr(env, "_sparse") and hasattr(env, "sparse")


def test_an_environment_without_device_is_taken_to_be_on_the_cpu() -> None:
    inner = TorchEnv(NEXT_STEP)
    del inner.device
    assert wrappers.NormalizeReward(inner).device == torch.device("cpu")


def test_a_missing_autoreset_mode_is_taken_as_gymnasium_takes_it() -> None:
    recorded = record(TorchEnv(NEXT_STEP))
    recorded.metadata = {}
    with pytest.warns(UserWarning, match="no 'autoreset_mode', taken to be .*NEXT_STEP"):
        env = wrappers.RecordEpisodeStatistics(recorded)
    assert env.autoreset_mode is NEXT_STEP
    recorded.metadata = {"autoreset_mode": "NextStep"}
    with pytest.raises(TypeError, match="must be an AutoresetMode, got 'NextStep'"):
        wrappers.ClipAction(recorded)


def test_only_vector_environments_are_wrapped() -> None:
    with pytest.raises(TypeError, match="VectorEnv"):
        wrappers.ClipAction(gym.Env())  # type: ignore[arg-type]


def test_batched_spaces_are_made_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batching the space of images takes seconds and hundreds of megabytes."""
    monkeypatch.setattr("isaac_gymnasium.wrappers.base.batch_space", None)
    env = wrappers.FlattenObservation(TorchEnv(SAME_STEP, "image"))
    monkeypatch.undo()
    assert env.observation_space.shape == (N, 6)
    assert env.observation_space is env.observation_space


def test_specs_are_those_of_the_environment_and_rebuild_it() -> None:
    envs = gym.make_vec("IsaacCartpole-v0", num_envs=3, device="cpu")
    wrapped = wrappers.NormalizeReward(wrappers.ClipAction(envs))
    assert wrapped.spec == envs.spec
    wrapped.close()
    assert wrapped.closed
    spec = gym.envs.registration.EnvSpec.from_json(wrapped.spec.to_json())
    again = gym.make_vec(spec)
    assert again.num_envs == 3 and again.spec == spec
    again.close()


def test_a_custom_space_that_does_not_fit_its_batch_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="should be the single space batched"):
        wrappers.TransformObservation(TorchEnv(SAME_STEP), torch.tanh, Box(-1, 1, (N, 3)))
    with pytest.warns(UserWarning, match="should be the single space batched"):
        wrappers.TransformAction(TorchEnv(SAME_STEP), torch.tanh, Box(-9, 9, (N, 2)))
    single = Box(-1, 1, (3,))
    env = wrappers.TransformObservation(
        TorchEnv(SAME_STEP), torch.tanh, single_observation_space=single
    )
    assert env.observation_space == Box(-1, 1, (N, 3))


def test_a_function_sees_actions_as_tensors_of_the_new_space() -> None:
    seen: list[Any] = []
    env = wrappers.TransformAction(
        TorchEnv(SAME_STEP),
        lambda actions: seen.append(actions) or torch.zeros(N, 2),
        single_action_space=Discrete(4),
    )
    env.reset(seed=0)
    env.step(env.action_space.sample().astype(np.int32))
    assert seen[0].dtype == torch.int64 and seen[0].shape == (N,)


def test_statistics_do_not_overwrite_what_is_in_the_info() -> None:
    env = wrappers.RecordEpisodeStatistics(TorchEnv(SAME_STEP), stats_key="log")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"must not have the key 'log' yet, got \['log', 'final"):
        env.step(torch.zeros(N, 2))
    inner = wrappers.RecordEpisodeStatistics(TorchEnv(SAME_STEP), stats_key="mine")
    *_, info = rollout(wrappers.RecordEpisodeStatistics(inner), steps=1)[1]
    assert {"mine", "_mine", "episode", "_episode"} < set(info)


def test_final_observations_that_are_no_tensors_are_refused() -> None:
    recorded = record(TorchEnv(SAME_STEP))
    step = next(recorded.steps)
    step[-1]["final_obs"] = [1, 2, 3]
    recorded.steps = iter([step])
    env = wrappers.NormalizeObservation(recorded)
    env.reset(seed=0)
    with pytest.raises(TypeError, match="the info's final_obs must be a tensor, got list"):
        env.step(torch.zeros(N, 2))


OTHER_ACTIONS = TorchEnv(SAME_STEP)
OTHER_ACTIONS.single_action_space = Discrete(3)
BOX, DICT = TorchEnv(SAME_STEP), TorchEnv(SAME_STEP, "dict")
IMAGE, DISCRETE = TorchEnv(SAME_STEP, "image"), TorchEnv(DISABLED, "discrete")
ENDLESS = record(TorchEnv(NEXT_STEP))
ENDLESS.max_episode_steps = None
GRAPH = TorchEnv(SAME_STEP)
GRAPH.single_observation_space = Graph(Box(0, 1, (2,)), None)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda w: w.ClipAction(OTHER_ACTIONS), TypeError, "needs a Box action space, got Disc"),
        (lambda w: w.NoiseAction(OTHER_ACTIONS, 0.1), TypeError, "needs a Box action space"),
        (lambda w: w.RescaleAction(BOX, 1.0, 1.0), InvalidBound, "must be below max_action, got"),
        (lambda w: w.RescaleAction(BOX, 1.0, 0.0), ValueError, "bounds must not cross, got"),
        (lambda w: w.RescaleAction(BOX, -np.inf, 1.0), ValueError, "lower bound must be infinite"),
        (lambda w: w.RescaleAction(BOX, np.zeros(3), 1.0), ValueError, r"must have shape \(2,\)"),
        (lambda w: w.RescaleObservation(DICT, 0.0, 1.0), TypeError, "needs a Box observation"),
        (lambda w: w.ClipReward(BOX), InvalidBound, "must be a number, got None for both"),
        (lambda w: w.ClipReward(BOX, 2.0, 1.0), InvalidBound, "not be above .* got 2.0 and 1.0"),
        (lambda w: w.NormalizeReward(BOX, gamma=1.5), InvalidBound, r"in \[0, 1\], got 1.5"),
        (lambda w: w.NormalizeReward(BOX, epsilon=0), InvalidBound, "must be positive, got 0"),
        (lambda w: w.NormalizeObservation(BOX, -1.0), InvalidBound, "must be positive, got -1.0"),
        (lambda w: w.NormalizeObservation(DISCRETE), TypeError, "needs Box observations, got Disc"),
        (lambda w: w.RecordEpisodeStatistics(BOX, 0), ValueError, "at least 1, got 0"),
        (lambda w: w.FilterObservation(BOX, ["a"]), TypeError, "Dict or Tuple observation, got B"),
        (lambda w: w.FilterObservation(DICT, "policy"), TypeError, "be a sequence, got 'policy'"),
        (lambda w: w.FilterObservation(DICT, [0]), TypeError, r"must all be str, got \[0\]"),
        (lambda w: w.FilterObservation(DICT, ["x"]), ValueError, r"each once, got \['x'\]"),
        (lambda w: w.FilterObservation(DICT, []), ValueError, r"some of \[.*\], each once"),
        (lambda w: w.FlattenObservation(GRAPH), TypeError, "must have a flat Box, got Graph"),
        (lambda w: w.DtypeObservation(GRAPH, "float32"), TypeError, "that are arrays, got Graph"),
        (lambda w: w.FrameStackObservation(BOX, 0), ValueError, "must be at least 1, got 0"),
        (lambda w: w.FrameStackObservation(BOX, 1.5), TypeError, "must be an integer, got 1.5"),
        (
            lambda w: w.FrameStackObservation(BOX, 2, padding_type="none"),
            ValueError,
            "must be 'reset', 'zero' or an observation in Box.*, got 'none'",
        ),
        (
            lambda w: w.FrameStackObservation(BOX, 2, padding_type=np.zeros(2)),
            ValueError,
            "must be 'reset', 'zero' or an observation in Box",
        ),
        (lambda w: w.DelayObservation(BOX, -1), ValueError, "must be at least 0, got -1"),
        (lambda w: w.DelayObservation(BOX, True), TypeError, "must be an integer, got True"),
        (lambda w: w.TimeAwareObservation(ENDLESS), ValueError, "with max_episode_steps, got none"),
        (
            lambda w: w.TimeAwareObservation(DICT, dict_time_key="policy"),
            ValueError,
            "must be a new key, got 'policy'",
        ),
        (lambda w: w.NoiseObservation(IMAGE, 0.1), TypeError, "needs a Box of floats, got Box"),
        (lambda w: w.NoiseObservation(BOX, -0.1), InvalidBound, "must not be negative, got -0.1"),
        (lambda w: w.NoiseAction(BOX, -0.5), InvalidBound, "must not be negative, got -0.5"),
        (lambda w: w.StickyAction(BOX, 1.0), InvalidProbability, r"in \[0, 1\), got 1.0"),
        (lambda w: w.StickyAction(BOX, 0.1, 0), ValueError, "a pair of them, got 0"),
        (lambda w: w.StickyAction(BOX, 0.1, (3, 2)), InvalidBound, r"not decrease, got \(3, 2\)"),
    ],
)
def test_arguments_that_make_no_sense_are_named(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        make(wrappers)
    assert "\n" not in str(raised.value)


def test_the_time_limit_may_come_from_the_spec() -> None:
    class Spec:
        max_episode_steps = 12

    ENDLESS.spec = Spec()  # type: ignore[assignment]
    assert wrappers.TimeAwareObservation(ENDLESS).max_timesteps == 12
    ENDLESS.spec = None
