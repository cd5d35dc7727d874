"""The plain loop: values across ends of episodes, and no wait for the device in a rollout."""

from __future__ import annotations

import copy

import pytest
import torch
from scripted_env import NoHostAccess
from toy_env import ToyEnv

from isaac_gymnasium.integrations.plain_ppo import Args, evaluate, train
from isaac_gymnasium.wrappers import NormalizeObservation, RecordEpisodeStatistics, TorchWrapper


class EveryFourSteps(ToyEnv):
    """Reward 1, the same observation throughout, and an end after every fourth step."""

    def __init__(self, num_envs: int, terminates: bool) -> None:
        super().__init__(num_envs)
        self.terminates = terminates

    def _observe(self) -> torch.Tensor:
        return torch.ones(self.num_envs, 3)

    def step(self, actions):
        obs, _, _, _, info = super().step(torch.zeros(self.num_envs, 1))
        ended = info["_final_obs"] = self.steps >= 4
        self.steps = torch.where(ended, 0.0, self.steps)
        never = torch.zeros_like(ended)
        flags = (ended, never) if self.terminates else (never, ended)
        return obs, torch.ones(self.num_envs), *flags, info


def small(**settings) -> Args:
    return Args(num_envs=16, rollout_steps=8, hidden_sizes=(16,), gamma=0.9, **settings)


@pytest.mark.parametrize(("terminates", "low", "high"), [(False, 9.5, 10.5), (True, 2.2, 3.1)])
def test_the_future_counts_beyond_a_truncation_and_not_beyond_a_termination(terminates, low, high):
    """For ever, 1 / (1 - 0.9) = 10; to a termination, from 2.3 to 3.1, the more bootstrapped."""
    args = small(total_steps=16 * 8 * 60, learning_rate=2e-2)
    agent = train(args, RecordEpisodeStatistics(EveryFourSteps(16, terminates)))
    assert low < agent.value(torch.ones(1, 3)).item() < high


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
