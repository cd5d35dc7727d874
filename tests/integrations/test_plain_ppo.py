"""The plain loop: values across ends of episodes, and no wait for the device in a rollout."""

from __future__ import annotations

import copy

import pytest
import torch
from scripted_env import NoHostAccess
from toy_env import ToyEnv

from isaac_gymnasium.integrations.plain_ppo import Args, advantages, evaluate, train
from isaac_gymnasium.wrappers import NormalizeObservation, RecordEpisodeStatistics, TorchWrapper


class EveryFourSteps(ToyEnv):
    """An episode's first step is worth -20, any other 1; every fourth is its last."""

    def __init__(self, num_envs: int, terminates: bool) -> None:
        super().__init__(num_envs)
        self.terminates = terminates

    def _observe(self) -> torch.Tensor:
        """Whether the first step is behind."""
        return (self.steps > 0).float().unsqueeze(1).repeat(1, 3)

    def step(self, actions):
        rewards = torch.where(self.steps > 0, 1.0, -20.0)
        *_, info = super().step(torch.zeros(self.num_envs, 1))
        ended = info["_final_obs"] = self.steps >= 4
        self.steps = torch.where(ended, 0.0, self.steps)
        never = torch.zeros_like(ended)
        flags = (ended, never) if self.terminates else (never, ended)
        return self._observe(), rewards, *flags, info


def small(**settings) -> Args:
    return Args(num_envs=16, rollout_steps=8, hidden_sizes=(16,), gamma=0.9, **settings)


def test_advantages_are_sums_of_errors_to_the_end_of_an_episode():
    torch.manual_seed(0)
    rewards, values, next_values = torch.randn(3, 9, 4, dtype=torch.float64)
    terminated, truncated = torch.rand(2, 9, 4) < 0.25
    done = terminated | truncated
    actual = advantages(rewards, values, next_values, 1.0 * terminated, 1.0 * done, small())
    expected = torch.zeros_like(actual)
    for n in range(4):
        for start in range(9):
            weight = 1.0
            for t in range(start, 9):
                successor = 0.0 if terminated[t, n] else next_values[t, n]
                error = rewards[t, n] + 0.9 * successor - values[t, n]
                expected[start, n] += weight * error
                weight *= 0.9 * 0.95
                if done[t, n]:
                    break
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(("terminates", "low", "high"), [(False, 9.5, 10.5), (True, 1.8, 2.6)])
def test_the_future_counts_beyond_a_truncation_and_not_beyond_a_termination(terminates, low, high):
    """For ever, 1 / (1 - 0.9) = 10; to a termination, from 1.9 to 2.5, the more bootstrapped."""
    args = small(total_steps=16 * 8 * 80, learning_rate=2e-2, epochs=4, minibatches=1)
    agent = train(args, RecordEpisodeStatistics(EveryFourSteps(16, terminates)))
    first, later = agent.value(torch.tensor([[0.0] * 3, [1.0] * 3])).squeeze(1).tolist()
    assert low < later < high
    assert -20 + 0.9 * low - 0.6 < first < -20 + 0.9 * high + 0.6


class Guarded(TorchWrapper):
    """Forbids to look at the device between the steps of a rollout."""

    count, rollouts = 0, 0

    def step(self, actions):
        result = super().step(actions)
        self.count += 1
        if self.count % 8 == 1:
            self.guard = NoHostAccess()
            self.guard.__enter__()
        elif self.count % 8 == 0:
            self.guard.__exit__(None, None, None)
            Guarded.rollouts += 1
        return result


def test_a_rollout_never_waits_for_the_device():
    train(small(total_steps=16 * 8 * 3), Guarded(RecordEpisodeStatistics(ToyEnv(16))))
    assert Guarded.rollouts == 3


def test_an_evaluation_leaves_the_statistics_alone_and_counts_one_episode_each():
    env = ToyEnv(16)
    envs = NormalizeObservation(RecordEpisodeStatistics(env))
    agent = train(small(total_steps=16 * 8 * 3), envs)
    before = copy.deepcopy(envs.state_dict()["NormalizeObservation"])
    returns = evaluate(agent, envs, seed=3)
    after = envs.state_dict()["NormalizeObservation"]
    before.pop("last"), after.pop("last")  # observations, not statistics
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert before, "there should be statistics to compare"
    assert returns.shape == (16,) and (returns > 0).all() and (returns <= 10).all()
    assert env.seeds[-1] == 3 and envs.update_running_mean
