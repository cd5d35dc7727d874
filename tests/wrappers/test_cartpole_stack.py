"""The usual stack on the real Cartpole, in every mode, and what it costs."""

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
    CountOps,
    NoHostAccess,
    TorchEnv,
    random_actions,
    record,
)

import isaac_gymnasium  # noqa: F401  (registers the IDs)
from isaac_gymnasium import wrappers

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
NUM_ENVS, STEPS = 16, 90


def stack(env: Any) -> Any:
    env = wrappers.NormalizeObservation(wrappers.RecordEpisodeStatistics(env))
    return wrappers.ClipAction(wrappers.NormalizeReward(env))


def play(env: Any, steps: int = STEPS) -> list[Any]:
    """Pushes as hard as it can, so that poles fall soon; of all results also those of resets."""
    generator = torch.Generator().manual_seed(0)
    results = [env.reset(seed=3)]
    for _ in range(steps):
        actions = 3 * torch.randn(NUM_ENVS, 1, generator=generator).sign()
        results.append(env.step(actions))
        ended = results[-1][2] | results[-1][3]
        if env.autoreset_mode == DISABLED and ended.any():
            results.append(env.reset(options={"reset_mask": ended}))
    return results


@modes
def test_the_stack_says_of_cartpole_what_is_true(mode: Any) -> None:
    def make() -> Any:
        return gym.make_vec(
            "IsaacCartpole-v0",
            NUM_ENVS,
            device="cpu",
            autoreset_mode=mode.value,
            max_episode_steps=40,
        )

    bare, envs = make(), stack(make())
    assert envs.autoreset_mode is mode and envs.device == torch.device("cpu")
    assert envs.max_episode_steps == 40 and envs.task.max_force == 100.0
    raw, wrapped = play_raw(bare), play(envs)
    bare.close()
    envs.close()

    # Episodes: summed up by hand from what the bare environment gave.
    returns, lengths = np.zeros(NUM_ENVS), np.zeros(NUM_ENVS, int)
    resetting, episodes = np.zeros(NUM_ENVS, bool), 0
    observed, discounted = [raw[0][0].double()], torch.zeros(NUM_ENVS, dtype=torch.float64)
    counted: list[torch.Tensor] = []
    for before, after in zip(raw[1:], wrapped[1:], strict=True):
        if len(before) == 2:
            observed.append(before[0].double()[torch.from_numpy(lengths == 0)])
            continue
        obs, reward, terminated, truncated, info = before
        assert torch.equal(after[2], terminated) and torch.equal(after[3], truncated)
        ended = (terminated | truncated).numpy()
        returns = np.where(resetting, 0, returns + reward.double().numpy())
        lengths = np.where(resetting, 0, lengths + 1)
        episode = after[4]["episode"]
        np.testing.assert_allclose(episode["r"], np.where(ended, returns, 0), 1e-9)
        np.testing.assert_array_equal(episode["l"], np.where(ended, lengths, 0))
        np.testing.assert_array_equal(after[4]["_episode"], ended)

        active = torch.from_numpy(~resetting)
        grown = 0.99 * discounted * ~terminated + reward
        discounted = torch.where(active, grown, discounted)
        counted.append(discounted[active])
        deviation = deviation_of(counted)
        torch.testing.assert_close(after[1], (reward / deviation).float(), rtol=1e-5, atol=1e-6)

        observed.append(obs.double())
        if mode == SAME_STEP:
            observed.append(info["final_obs"].double()[terminated | truncated])
            discounted = discounted.masked_fill(terminated | truncated, 0.0)
        if mode == NEXT_STEP:
            resetting = ended
        else:
            returns, lengths = np.where(ended, 0, returns), np.where(ended, 0, lengths)
            if mode == DISABLED:
                discounted = discounted.masked_fill(terminated | truncated, 0.0)
        seen = torch.cat(observed)
        for mine, true in [(after[0], obs), *finals(after, before)]:
            torch.testing.assert_close(mine, normalized(true, seen), rtol=1e-4, atol=1e-5)
        episodes += int(ended.sum())
    assert envs.episode_count == episodes > 10
    assert len(envs.return_queue) == min(100, episodes)


def play_raw(env: Any) -> list[Any]:
    """The same actions, clipped as the stack clips them."""
    return play(wrappers.ClipAction(env))


def finals(after: Any, before: Any) -> list[tuple[Any, Any]]:
    if "final_obs" not in before[4]:
        return []
    return [(after[4]["final_obs"], before[4]["final_obs"])]


def normalized(obs: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    mean, var = moments(seen)
    return ((obs.double() - mean) / (var + 1e-8).sqrt()).float()


def deviation_of(samples: list[torch.Tensor]) -> torch.Tensor:
    return (moments(torch.cat(samples))[1] + 1e-8).sqrt()


def moments(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance, with gymnasium's 1e-4 samples of mean 0 and variance 1 among them."""
    count = len(samples) + 1e-4
    mean = samples.sum(0) / count
    return mean, ((samples - mean).square().sum(0) + 1e-4 * (1 + mean.square())) / count


@modes
def test_a_step_of_the_stack_costs_about_fifty_launches(mode: Any) -> None:
    """At 5 to 10 microseconds a launch: a quarter to half a millisecond, for any number of rows."""
    env = record(TorchEnv(NEXT_STEP if mode == DISABLED else mode))
    env.metadata = {"autoreset_mode": mode}
    envs = stack(env)
    envs.reset(seed=0)
    actions = random_actions(0)
    with NoHostAccess(), CountOps() as count:
        envs.step(actions)
    assert len(count.launches) == {SAME_STEP: 49, NEXT_STEP: 49, DISABLED: 41}[mode]
    envs.update_running_mean = False
    with NoHostAccess(), CountOps() as count:
        envs.step(actions)
    assert len(count.launches) <= 34


def test_the_count_is_of_launches() -> None:
    with CountOps() as count:
        x = torch.empty(3, 4)
        x.fill_(1.0)[:, 1:].t().unsqueeze(0).add(1.0)
    assert count.launches == ["aten::fill_.Scalar", "aten::add.Tensor"]
