"""Proximal policy optimisation in one file, to read from top to bottom and to copy.

    python -m isaac_gymnasium.integrations.plain_ppo IsaacCartpole-v0 --device cpu

The algorithm is that of Schulman et al. 2017 (arXiv:1707.06347) with the advantage estimation of
2016 (arXiv:1506.02438), told in the way of CleanRL. It needs torch, gymnasium and this package.

What many loops get wrong is right here: an episode cut by the time limit goes on in the value of
its true last observation, `info["final_obs"]`, and not of the first one of the next episode. From
one update to the next, nothing makes a GPU wait for the host.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import torch
import tyro
from torch import Tensor, nn

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium import wrappers

__all__ = ["Agent", "Args", "advantages", "evaluate", "make_envs", "train"]


@dataclass(kw_only=True)
class Args:
    """Train a policy with PPO."""

    id: tyro.conf.Positional[str] = "IsaacCartpole-v0"
    """Environment ID; MODULE:ID imports a module first."""
    num_envs: int = 256
    """Environments stepped in parallel."""
    total_steps: int = 400_000
    """Environment steps of the whole training, counted over all environments together."""
    seed: int = 1
    """Seed of the environments, the initial weights and the exploration."""
    device: str = "auto"
    """auto, cpu or cuda:0."""
    engine: str = "auto"
    """Physics engine: auto, or the name of one that is installed."""
    save: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File for the trained policy and the statistics it was trained with."""

    rollout_steps: int = 16
    """Steps of each environment between two updates."""
    epochs: int = 8
    """Passes over the collected steps in one update."""
    minibatches: int = 4
    """Parts into which one pass is split."""
    learning_rate: float = 2e-3
    """Learning rate of Adam at the start; it falls to a tenth in a straight line."""
    gamma: float = 0.99
    """Discount factor of the return."""
    gae_lambda: float = 0.95
    """Decay of the advantage estimation."""
    clip: float = 0.2
    """Clipping of the probability ratio."""
    entropy_coef: float = 0.0
    """Weight of the entropy bonus."""
    value_coef: float = 1.0
    """Weight of the value loss."""
    max_grad_norm: float = 1.0
    """Largest norm of the gradient."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of the hidden layers of policy and value."""


def make_envs(args: Args) -> Any:
    """The environments, with statistics of episodes and normalised observations and rewards."""
    envs: Any = gym.make_vec(
        args.id, num_envs=args.num_envs, device=args.device, engine=args.engine
    )
    envs = wrappers.RecordEpisodeStatistics(envs, buffer_length=args.num_envs)
    envs = wrappers.FlattenObservation(envs)
    envs = wrappers.NormalizeObservation(envs)
    return wrappers.NormalizeReward(envs, gamma=args.gamma)


class Agent(nn.Module):
    """A Gaussian policy and a value, each an MLP of its own.

    Args:
        num_obs: Size of an observation, O.
        num_actions: Size of an action, A.
        hidden_sizes: Units of the hidden layers.
    """

    def __init__(self, num_obs: int, num_actions: int, hidden_sizes: tuple[int, ...]) -> None:
        super().__init__()
        # Near-zero means: the first actions are the exploration's alone.
        self.mean = _mlp(num_obs, *hidden_sizes, num_actions, last_gain=0.01)
        self.value = _mlp(num_obs, *hidden_sizes, 1, last_gain=1.0)
        self.log_std = nn.Parameter(torch.zeros(num_actions))

    def policy(self, obs: Tensor) -> torch.distributions.Normal:
        """The distribution of actions (N, A) for observations (N, O)."""
        # Arguments are not validated, for that would wait for the device.
        return torch.distributions.Normal(self.mean(obs), self.log_std.exp(), validate_args=False)


def _mlp(*sizes: int, last_gain: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layer = nn.Linear(inputs, outputs)
        nn.init.orthogonal_(layer.weight, 2**0.5)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ELU()]
    nn.init.orthogonal_(layer.weight, last_gain)
    return nn.Sequential(*layers[:-1])


def advantages(
    rewards: Tensor, values: Tensor, next_values: Tensor, terminated: Tensor, done: Tensor, a: Args
) -> Tensor:
    """Generalised advantages (T, N) of a rollout.

    All are (T, N): `values` of the observations before an action, `next_values` of those that truly
    followed. Nothing follows where `terminated` is 1; the sum of errors stops where `done` is 1.
    """
    errors = rewards + a.gamma * (1 - terminated) * next_values - values
    result, running = torch.zeros_like(errors), torch.zeros_like(errors[0])
    for t in reversed(range(len(errors))):
        running = errors[t] + a.gamma * a.gae_lambda * (1 - done[t]) * running
        result[t] = running
    return result


def train(args: Args, envs: Any) -> Agent:
    """Train an agent, printing a line about every tenth update.

    Args:
        args: Settings.
        envs: From `make_envs`; their statistics are changed.
    """
    torch.manual_seed(args.seed)
    device, T, N = envs.device, args.rollout_steps, args.num_envs
    num_obs, num_actions = (
        space.shape[0] for space in (envs.single_observation_space, envs.single_action_space)
    )
    agent = Agent(num_obs, num_actions, args.hidden_sizes).to(device)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    # One rollout: step t of environment n is row [t, n].
    obs_buf, next_obs_buf = torch.zeros(2, T, N, num_obs, device=device)
    action_buf = torch.zeros(T, N, num_actions, device=device)
    log_prob_buf, reward_buf, terminated_buf, done_buf = torch.zeros(4, T, N, device=device)

    updates = max(1, args.total_steps // (T * N))
    started = time.perf_counter()
    obs, _ = envs.reset(seed=args.seed)
    for update in range(1, updates + 1):
        progress = (update - 1) / updates
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1.0 - 0.9 * progress)

        with torch.no_grad():
            for t in range(T):
                policy = agent.policy(obs)
                action = policy.sample()
                obs_buf[t], action_buf[t] = obs, action
                log_prob_buf[t] = policy.log_prob(action).sum(-1)
                obs, reward_buf[t], terminated, truncated, info = envs.step(action)
                # Of all environments the observation that followed the action, also where an
                # episode ended and `obs` belongs to the next one already.
                next_obs_buf[t] = info["final_obs"]
                terminated_buf[t], done_buf[t] = terminated, terminated | truncated

            value_buf, next_value_buf = agent.value(torch.stack((obs_buf, next_obs_buf)))[..., 0]
            advantage_buf = advantages(
                reward_buf, value_buf, next_value_buf, terminated_buf, done_buf, args
            )
            return_buf = advantage_buf + value_buf
            advantage_buf = (advantage_buf - advantage_buf.mean()) / (advantage_buf.std() + 1e-8)

        buffers = (obs_buf, action_buf, log_prob_buf, advantage_buf, return_buf)
        samples = [buffer.flatten(0, 1) for buffer in buffers]
        for _ in range(args.epochs):
            for rows in torch.randperm(T * N, device=device).chunk(args.minibatches):
                b_obs, b_action, b_log_prob, b_advantage, b_return = (s[rows] for s in samples)
                policy = agent.policy(b_obs)
                ratio = (policy.log_prob(b_action).sum(-1) - b_log_prob).exp()
                clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
                policy_loss = -torch.min(ratio * b_advantage, clipped * b_advantage).mean()
                value_loss = 0.5 * (agent.value(b_obs).squeeze(-1) - b_return).square().mean()
                entropy = policy.entropy().sum(-1).mean()
                loss = policy_loss + args.value_coef * value_loss - args.entropy_coef * entropy
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()

        if update % 10 == 0 or update == updates:
            returns = envs.return_queue  # here the host waits
            mean = sum(returns) / len(returns) if returns else float("nan")
            rate = update * T * N / (time.perf_counter() - started)
            print(
                f"step {update * T * N:>10,}  return {mean:8.2f}  {rate:,.0f} steps/s", flush=True
            )
    return agent


@torch.no_grad()
def evaluate(agent: Agent, envs: Any, *, seed: int) -> Tensor:
    """The return (N,) of one episode in each environment, without exploration.

    Args:
        agent: A trained agent.
        envs: From `make_envs`; their statistics stay as they are.
        seed: Of the reset.
    """
    envs.update_running_mean = False
    obs, _ = envs.reset(seed=seed)
    returns = torch.zeros(envs.num_envs, dtype=torch.float64, device=envs.device)
    running = torch.ones(envs.num_envs, dtype=torch.bool, device=envs.device)
    for _ in range(envs.max_episode_steps):
        obs, _, terminated, truncated, info = envs.step(agent.mean(obs))
        ended = running & (terminated | truncated)
        returns = torch.where(ended, info["episode"]["r"], returns)
        running &= ~ended
    envs.update_running_mean = True
    return returns


def main(args: Args) -> None:
    """Train, save, evaluate."""
    envs = make_envs(args)
    if envs.device.type == "cpu":
        torch.set_num_threads(1)  # the layers are too small to share
    agent = train(args, envs)
    if args.save is not None:
        state = {"agent": agent.state_dict(), "envs": envs.state_dict()}
        torch.save(state | {"args": {**asdict(args), "save": str(args.save)}}, args.save)
    returns = evaluate(agent, envs, seed=args.seed + 1_000_000)
    print(
        f"evaluation: return {returns.mean():.1f} ± {returns.std():.1f} ({len(returns)} episodes)"
    )
    envs.close()


if __name__ == "__main__":
    main(tyro.cli(Args))
