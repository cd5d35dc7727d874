"""The state of a stack: its names, what loads into what, and freezing."""

from typing import Any

import gymnasium.wrappers.vector as vector
import numpy as np
import pytest
import torch
from scripted_env import DISABLED, NEXT_STEP, SAME_STEP, Playback, TorchEnv, record, rollout

from isaac_gymnasium import wrappers


def stack(env: Any) -> Any:
    env = wrappers.FrameStackObservation(wrappers.NormalizeObservation(env), 2)
    env = wrappers.NormalizeObservation(wrappers.ClipAction(env))
    return wrappers.NormalizeReward(wrappers.RecordEpisodeStatistics(env))


def with_envs(count: int) -> Any:
    """A stack over that many environments, whose results are rows of the scripted ones."""
    recorded = record(TorchEnv(NEXT_STEP), steps=10)

    def cut(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: cut(value) for key, value in tree.items()}
        if isinstance(tree, tuple):
            return tuple(cut(value) for value in tree)
        return tree[:count] if tree.dim() else tree

    env = Playback(recorded, [cut(r) for r in recorded.resets], [cut(s) for s in recorded.steps])
    env.num_envs = count
    return stack(env)


def test_a_stack_is_collected_under_the_names_of_its_classes() -> None:
    state = stack(TorchEnv(SAME_STEP)).state_dict()
    assert list(state) == [
        "NormalizeObservation",
        "FrameStackObservation",
        "NormalizeObservation#2",
        "RecordEpisodeStatistics",
        "NormalizeReward",
    ]
    assert state["NormalizeObservation"]["obs_rms.mean"].shape == (3,)
    assert state["NormalizeObservation#2"]["obs_rms.mean"].shape == (2, 3)


def test_it_is_collected_through_wrappers_of_gymnasium() -> None:
    inner = wrappers.NormalizeReward(TorchEnv(SAME_STEP))
    outer = wrappers.ClipReward(vector.TransformReward(inner, torch.tanh), 0.0)
    assert list(outer.state_dict()) == ["NormalizeReward"]
    outer.update_running_mean = False
    assert not inner.update_running_mean


def test_statistics_load_into_any_number_of_environments() -> None:
    trained, evaluated = with_envs(5), with_envs(2)
    trained.reset(seed=0)
    for _ in range(10):
        trained.step(torch.zeros(5, 2))
    evaluated.load_state_dict(trained.state_dict())
    for name, entry in trained.state_dict().items():
        for key, value in entry.items():
            loaded = evaluated.state_dict()[name][key]
            if "rms" in key or key in ("ring", "count"):
                assert torch.equal(loaded, value)
            else:
                assert not loaded.any(), "rows of running episodes stay as they are"


def test_what_is_missing_or_too_much_is_named() -> None:
    env = wrappers.NormalizeReward(TorchEnv(SAME_STEP))
    both = wrappers.NormalizeReward(wrappers.NormalizeObservation(TorchEnv(SAME_STEP)))
    with pytest.raises(KeyError, match=r"must hold .*, \['NormalizeObservation'\] is missing"):
        both.load_state_dict(env.state_dict())
    with pytest.raises(KeyError, match=r"nothing but \['NormalizeReward'\], got also \['Normal"):
        env.load_state_dict(both.state_dict())
    env.load_state_dict(both.state_dict(), strict=False)
    state = env.state_dict()
    del state["NormalizeReward"]["return_rms.mean"]
    with pytest.raises(KeyError, match=r"state of NormalizeReward must hold 'return_rms\.mean'"):
        env.load_state_dict(state)
    state["NormalizeReward"]["return_rms.mean"] = torch.zeros(3)
    message = r"'return_rms.mean' of NormalizeReward must have shape \(\), got \(3,\)"
    with pytest.raises(ValueError, match=message):
        env.load_state_dict(state)


def test_a_state_that_is_refused_changes_nothing() -> None:
    env, trained = (
        wrappers.NormalizeReward(wrappers.NormalizeObservation(TorchEnv(SAME_STEP)))
        for _ in range(2)
    )
    rollout(trained)
    before, state = env.state_dict(), trained.state_dict()
    state["NormalizeReward"]["return_rms.mean"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"'return_rms.mean' of NormalizeReward"):
        env.load_state_dict(state)
    for name, tensors in env.state_dict().items():
        for key, value in tensors.items():
            assert torch.equal(value, before[name][key]), key


def test_a_state_survives_torch_save(tmp_path: Any) -> None:
    env = stack(TorchEnv(SAME_STEP))
    rollout(env)
    torch.save(env.state_dict(), tmp_path / "state.pt")
    other = stack(TorchEnv(SAME_STEP))
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for name, entry in env.state_dict().items():
        for key, value in entry.items():
            assert torch.equal(other.state_dict()[name][key], value)


@pytest.mark.parametrize("mode", [SAME_STEP, NEXT_STEP, DISABLED], ids=lambda mode: mode.value)
def test_frozen_statistics_do_not_move_and_go_on_afterwards(mode: Any) -> None:
    env = wrappers.NormalizeReward(wrappers.NormalizeObservation(TorchEnv(mode)))
    rollout(env)
    before = {key: value for key, value in statistics(env).items()}
    env.update_running_mean = False
    rollout(env)
    assert statistics(env) == before
    env.update_running_mean = True
    rollout(env, steps=2)
    assert all(statistics(env)[key] != value for key, value in before.items())


def statistics(env: Any) -> dict[str, list[float]]:
    return {
        f"{name} {key}": np.ravel(value).tolist()
        for name, entry in env.state_dict().items()
        for key, value in entry.items()
        if "rms" in key
    }
