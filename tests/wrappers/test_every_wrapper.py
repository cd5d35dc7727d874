"""What holds for every wrapper: no wait for the device, no aliases, partial resets, state."""

import inspect
import itertools
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from scripted_env import (
    DISABLED,
    MODES,
    NEXT_STEP,
    SAME_STEP,
    N,
    NoHostAccess,
    Playback,
    TorchEnv,
    assert_identical,
    leaves,
    random_actions,
    record,
    rollout,
    rows,
)

from isaac_gymnasium import wrappers

# name: arguments, observations
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "RecordEpisodeStatistics": ("RecordEpisodeStatistics", {"buffer_length": 3}, "box"),
    "NormalizeObservation": ("NormalizeObservation", {}, "box"),
    "NormalizeObservation-dict": ("NormalizeObservation", {}, "dict"),
    "NormalizeReward": ("NormalizeReward", {}, "box"),
    "ClipAction": ("ClipAction", {}, "box"),
    "RescaleAction": ("RescaleAction", {"min_action": -5.0, "max_action": 5.0}, "box"),
    "ClipReward": ("ClipReward", {"min_reward": -1.0, "max_reward": 1.0}, "box"),
    "TransformReward": ("TransformReward", {"func": torch.tanh}, "box"),
    "ScaleReward": ("ScaleReward", {"scale": 0.1}, "box"),
    "TransformAction": ("TransformAction", {"func": torch.tanh}, "box"),
    "TransformObservation": ("TransformObservation", {"func": torch.tanh}, "box"),
    "FlattenObservation": ("FlattenObservation", {}, "discrete"),
    "FilterObservation": ("FilterObservation", {"filter_keys": ["camera"]}, "dict"),
    "RescaleObservation": ("RescaleObservation", {"min_obs": -1.0, "max_obs": 1.0}, "box"),
    "DtypeObservation": ("DtypeObservation", {"dtype": "float64"}, "dict"),
    "FrameStackObservation": ("FrameStackObservation", {"stack_size": 3}, "dict"),
    "FrameStackObservation-zero": (
        "FrameStackObservation",
        {"stack_size": 2, "padding_type": "zero"},
        "box",
    ),
    "DelayObservation": ("DelayObservation", {"delay": 2}, "dict"),
    "TimeAwareObservation": ("TimeAwareObservation", {}, "dict"),
    "TimeAwareObservation-dict": ("TimeAwareObservation", {"flatten": False}, "dict"),
    "NoiseObservation": ("NoiseObservation", {"std": 0.1}, "dict"),
    "NoiseAction": ("NoiseAction", {"std": 0.1}, "box"),
    "StickyAction": (
        "StickyAction",
        {"repeat_action_probability": 0.5, "repeat_action_duration": (1, 3)},
        "box",
    ),
    "TorchToNumpy": ("TorchToNumpy", {}, "box"),
    "ToDevice": ("ToDevice", {"device": "cpu"}, "box"),
}
STATEFUL = [
    "RecordEpisodeStatistics",
    "NormalizeObservation",
    "NormalizeObservation-dict",
    "NormalizeReward",
    "FrameStackObservation",
    "FrameStackObservation-zero",
    "DelayObservation",
    "TimeAwareObservation",
    "TimeAwareObservation-dict",
    "NoiseObservation",
    "NoiseAction",
    "StickyAction",
]
OF_OBSERVATIONS = [name for name in CASES if "Observation" in name]
LOOKING_BACK = [n for n in OF_OBSERVATIONS if n in STATEFUL and not n.startswith("Normalize")]
ON_THE_DEVICE = [name for name in CASES if name != "TorchToNumpy"]

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)


def make(case: str, mode: Any = SAME_STEP, env: Any = None) -> Any:
    name, arguments, space = CASES[case]
    env = TorchEnv(mode, space) if env is None else env
    return getattr(wrappers, name)(env, **arguments)


def playback(case: str, mode: Any) -> Playback:
    """An environment that computes nothing; without autoreset its episodes never end."""
    env = record(TorchEnv(NEXT_STEP if mode == DISABLED else mode, CASES[case][2]))
    if mode == DISABLED:
        env.metadata = {"autoreset_mode": DISABLED}
    return env


def test_all_wrappers_are_here() -> None:
    kinds = {"TorchWrapper", "TorchActionWrapper", "TorchObservationWrapper", "TorchRewardWrapper"}
    # What makes videos looks at the environments and is tested for itself.
    others = {"RecordVideo"}
    assert {name for name, _, _ in CASES.values()} == set(wrappers.__all__) - kinds - others


# ---------------------------------------------------------------------- no wait for the device


@modes
@pytest.mark.parametrize("case", ON_THE_DEVICE)
def test_a_step_never_waits_for_the_device(
    case: str, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = make(case, env=playback(case, mode))
    env.reset(seed=0)

    def refuse(*args: Any) -> None:
        raise AssertionError("the host would wait for the device")

    for method in ("numpy", "tolist", "__array__", "cpu", "__bool__", "__float__", "__index__"):
        monkeypatch.setattr(torch.Tensor, method, refuse)
    for t in range(10):
        actions = random_actions_without_numpy(t)
        with NoHostAccess():
            env.step(actions)


def random_actions_without_numpy(t: int) -> torch.Tensor:
    return torch.randn(N, 2, generator=torch.Generator().manual_seed(t))


@modes
@pytest.mark.parametrize("case", ON_THE_DEVICE)
def test_a_step_needs_no_values_at_all(case: str, mode: Any) -> None:
    """Tensors of the device "meta" have a shape and a dtype, but no values to look at."""
    arguments = {"device": "meta"} if case == "ToDevice" else CASES[case][1]
    recorded = wrappers.ToDevice(inner := playback(case, mode), "meta")
    inner.resets = iter([recorded.reset()])
    inner.steps = iter([recorded.step(random_actions(t)) for t in range(3)])
    inner.device = torch.device("meta")
    env = getattr(wrappers, CASES[case][0])(inner, **arguments)
    results = [env.reset(seed=0), *(env.step(random_actions(t)) for t in range(3))]
    for result in results:
        assert all(leaf.device.type == "meta" for leaf in leaves(result))


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x.any().item(),
        lambda x: bool(x.any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.to("cpu", copy=True),
    ],
)
def test_the_watch_for_waiting_would_notice(look: Any) -> None:
    with pytest.raises(AssertionError), NoHostAccess():
        look(torch.ones(3))


# ---------------------------------------------------------------------- aliases and changes


def spoil(result: Any) -> Any:
    """A copy of a result, which is then overwritten."""
    copy = deepcopy(result)
    for leaf in leaves(result):
        leaf.fill_(1)
    return copy


@modes
@pytest.mark.parametrize("case", ON_THE_DEVICE)
def test_results_can_be_overwritten_without_harm(case: str, mode: Any) -> None:
    expected = rollout(make(case, mode), keep=deepcopy)
    assert_identical(rollout(make(case, mode)), expected)
    assert_identical(rollout(make(case, mode), keep=spoil), expected)


@modes
@pytest.mark.parametrize("case", CASES)
def test_what_the_environment_returned_and_was_given_is_left_alone(case: str, mode: Any) -> None:
    inner = playback(case, mode)
    steps = list(inner.steps)
    inner.steps = iter(steps)
    before = deepcopy(steps)
    env = make(case, env=inner)
    env.reset(seed=0)
    for t in range(len(steps)):
        actions = random_actions(t)
        env.step(actions)
        assert torch.equal(actions, random_actions(t))
    assert_identical(steps, before)


# ---------------------------------------------------------------------- resets


@modes
@pytest.mark.parametrize("case", CASES)
def test_a_partial_reset_leaves_the_other_rows_as_they_were(case: str, mode: Any) -> None:
    checked = 0
    results = rollout(make(case, mode))
    for before, after in itertools.pairwise(results):
        if len(after) == 2:
            ended = before[2] | before[3] if mode == DISABLED else np.zeros(N, bool)
            same = [k for k in (0, 2, 4) if not ended[k]]
            assert_identical(rows(after[0], same), rows(before[0], same))
            checked += len(same)
    assert checked > 10


@pytest.mark.parametrize("case", CASES)
def test_masks_may_be_numpy_or_torch_and_options_are_left_alone(case: str) -> None:
    expected = rollout(make(case, NEXT_STEP))
    assert_identical(rollout(make(case, NEXT_STEP), torch_mask=False), expected)
    inner = TorchEnv(NEXT_STEP, CASES[case][2])
    reset = inner.reset

    def reset_that_takes_the_mask_out(*, seed: Any = None, options: Any = None) -> Any:
        result = reset(seed=seed, options=options)
        if options is not None:
            del options["reset_mask"]
        return result

    inner.reset = reset_that_takes_the_mask_out
    env = make(case, env=inner)
    assert_identical(rollout(env), expected)
    options = {"reset_mask": np.array([True, False, True, False, True]), "other": 1}
    before = deepcopy(options)
    env.reset(options=options)
    assert_identical(options, before)


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        ([True] * N, TypeError, "reset_mask must be a bool array or tensor, got list"),
        (np.ones(N), TypeError, "reset_mask must be a bool array or tensor, got torch.float64"),
        (torch.ones(N), TypeError, "reset_mask must be a bool array or tensor, got torch.float32"),
        (np.ones(3, bool), ValueError, r"reset_mask must have shape \(5,\), got \(3,\)"),
    ],
)
def test_other_masks_are_refused(mask: Any, error: type[Exception], message: str) -> None:
    env = make("NormalizeReward")
    env.reset(seed=0)
    with pytest.raises(error, match=f"^{message}$"):
        env.reset(options={"reset_mask": mask})


# ---------------------------------------------------------------------- final observations


@pytest.mark.parametrize("case", OF_OBSERVATIONS)
def test_final_obs_is_what_the_observation_would_be_without_autoreset(case: str) -> None:
    """Those that look back report the true successor of all environments, ended or not."""
    same, disabled = make(case, SAME_STEP), make(case, DISABLED)
    if case.startswith("Normalize"):  # whose statistics are of another moment
        rollout(before := make(case, NEXT_STEP))
        for env in (same, disabled):
            env.load_state_dict(before.state_dict())
            env.update_running_mean = False
    if case.startswith("Noise"):  # of which there is a fresh draw
        same, disabled = (make_noise(0.0, mode) for mode in (SAME_STEP, DISABLED))
    same.reset(seed=0)
    disabled.reset(seed=0)
    for t in range(20):
        obs, _, terminated, truncated, info = same.step(random_actions(t))
        others, *_ = disabled.step(random_actions(t))
        ended = terminated | truncated
        assert_identical(rows(info["final_obs"], ended), rows(others, ended))
        if case in LOOKING_BACK:
            assert_identical(info["final_obs"], others)
        if ended.any():
            others, _ = disabled.reset(options={"reset_mask": ended})
        assert_identical(obs, others)


def make_noise(std: float, mode: Any) -> Any:
    return wrappers.NoiseObservation(TorchEnv(mode, "dict"), std)


@pytest.mark.parametrize("case", OF_OBSERVATIONS)
def test_gymnasiums_own_form_of_final_obs_gives_the_same(case: str) -> None:
    """An object array with holes, and only in steps in which an episode ended."""
    space = CASES[case][2]
    sparse = rollout(make(case, env=TorchEnv(SAME_STEP, space, sparse=True)))
    seen = 0
    for mine, other in zip(sparse, rollout(make(case)), strict=True):
        assert_identical(mine[:-1], other[:-1])
        if "final_obs" in mine[-1]:
            ended = mine[2] | mine[3]
            assert_identical(
                rows(mine[-1]["final_obs"], ended), rows(other[-1]["final_obs"], ended)
            )
            seen += 1
        else:
            assert len(mine) == 2 or not (mine[2] | mine[3]).any()
    assert seen > 10


# ---------------------------------------------------------------------- state


@modes
@pytest.mark.parametrize("case", STATEFUL)
def test_a_restored_state_goes_on_the_same(case: str, mode: Any) -> None:
    recorded = record(TorchEnv(NEXT_STEP if mode == DISABLED else mode, CASES[case][2]))
    recorded.metadata = {"autoreset_mode": mode}
    recorded.resets = iter([first := next(recorded.resets), first])
    steps = list(recorded.steps)
    recorded.steps = iter([*steps, *steps[15:]])

    env = make(case, env=recorded)
    env.reset(seed=0)
    for t in range(15):
        env.step(random_actions(t))
    state = env.state_dict()
    assert all(isinstance(v, torch.Tensor) for entry in state.values() for v in entry.values())
    kept = deepcopy(state)
    future = [env.step(random_actions(t)) for t in range(15, 30)]
    assert_identical(state, kept)

    restored = make(case, env=recorded)
    restored.reset(seed=1)
    restored.load_state_dict(state)
    assert_identical([restored.step(random_actions(t)) for t in range(15, 30)], future)
    assert_identical(state, kept)
    assert_identical(without_durations(restored.state_dict()), without_durations(env.state_dict()))


def without_durations(state: Any) -> Any:
    if "RecordEpisodeStatistics" in state:
        state["RecordEpisodeStatistics"]["running"][:, 2] = 0.0
        state["RecordEpisodeStatistics"]["ring"][2] = 0.0
    return state


def test_the_others_have_no_state() -> None:
    stateless = [name for name in CASES if name not in STATEFUL]
    assert all(make(name).state_dict() == {} for name in stateless)


# ---------------------------------------------------------------------- inference mode


@modes
@pytest.mark.parametrize("case", CASES)
def test_inference_mode_may_be_entered_and_left(case: str, mode: Any) -> None:
    expected = rollout(make(case, mode))
    with torch.inference_mode():
        env = make(case, mode)
    step, reset, calls = env.step, env.reset, iter(range(10**6))

    def switching(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            with torch.inference_mode(next(calls) % 3 != 2):
                return function(*args, **kwargs)

        return call

    env.step, env.reset = switching(step), switching(reset)
    assert_identical(rollout(env), expected)


@pytest.mark.parametrize("case", CASES)
def test_actions_that_require_gradients_leave_none_behind(case: str) -> None:
    env = make(case, env=playback(case, SAME_STEP))
    env.reset(seed=0)
    for t in range(3):
        for leaf in leaves(env.step(random_actions(t).requires_grad_())):
            assert not leaf.requires_grad
    assert not any(v.requires_grad for s in env.state_dict().values() for v in s.values())


# ---------------------------------------------------------------------- spaces and types


@modes
@pytest.mark.parametrize("case", CASES)
def test_observations_are_in_the_space(case: str, mode: Any) -> None:
    env = make(case, mode)
    for obs, *_ in rollout(env, steps=12):
        array = as_arrays(obs)
        if CASES[case][0] not in ("TransformObservation", "DtypeObservation"):
            assert array in env.observation_space
        assert_dtypes(array, env.observation_space)
    assert env.action_space.shape == (N, 2)


def as_arrays(obs: Any) -> Any:
    return {k: np.asarray(v) for k, v in obs.items()} if isinstance(obs, dict) else np.asarray(obs)


def assert_dtypes(array: Any, space: gym.Space[Any]) -> None:
    if isinstance(array, dict):
        for key, value in array.items():
            assert_dtypes(value, space[key])
    else:
        assert array.dtype == space.dtype and array.shape == space.shape


@pytest.mark.parametrize("case", CASES)
def test_numpy_actions_are_taken_where_actions_are_changed(case: str) -> None:
    env = make(case)
    env.reset(seed=0)
    if "Action" in case or case in ("TorchToNumpy", "ToDevice"):
        env.step(env.action_space.sample())
        env.step(random_actions(1).double().numpy()[:, ::-1])


@pytest.mark.parametrize("case", CASES)
def test_constructor_arguments_are_those_of_gymnasium_and_are_recorded(case: str) -> None:
    name, arguments, space = CASES[case]
    env = make(case)
    assert isinstance(env, gym.utils.RecordConstructorArgs)
    parameters = inspect.signature(type(env)).parameters
    assert set(env._saved_kwargs) == set(parameters) - {"env"}
    assert {key: env._saved_kwargs[key] for key in arguments} == arguments
    again = type(env)(TorchEnv(SAME_STEP, space), **env._saved_kwargs)
    assert again.single_observation_space == env.single_observation_space
    assert again.single_action_space == env.single_action_space
    theirs = getattr(gym.wrappers.vector, name, None) or getattr(gym.wrappers, name, None)
    if theirs is not None:
        expected = inspect.signature(theirs).parameters
        assert list(parameters) == list(expected)
        for key in parameters:
            default = expected[key].default
            # Of one environment, gymnasium's transformations want the space spelt out.
            assert parameters[key].default == default or default is inspect.Parameter.empty


def test_skrl_accepts_every_wrapper() -> None:
    skrl = pytest.importorskip("skrl.envs.wrappers.torch")

    class Unknown(TorchEnv):
        """Two levels below gymnasium's class, so that only the wrapper can be recognized."""

    for case in CASES:
        env = make(case, env=Unknown(SAME_STEP, CASES[case][2]))
        assert any(base.__module__.startswith("gymnasium.") for base in type(env).__bases__)
        wrapped = skrl.wrap_env(env, verbose=False)
        assert type(wrapped).__name__ == "GymnasiumWrapper"
    for name in wrappers.__all__:
        bases = getattr(wrappers, name).__bases__
        assert any(base.__module__.startswith("gymnasium.") for base in bases), name
    with pytest.raises(ValueError, match="Unknown wrapper type"):
        skrl.wrap_env(Unknown(SAME_STEP), verbose=False)
