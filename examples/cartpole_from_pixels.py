"""Trains a convolutional network on `IsaacCartpoleCamera-v0`: pixels in, force out.

    python examples/cartpole_from_pixels.py --num-envs 512 --timesteps 2000000

SB3's PPO with `CnnPolicy`, on the device of the environments; prints the mean return of the last
hundred episodes and of an evaluation without exploration. The largest return is near 300.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch
import tyro
from stable_baselines3.common.callbacks import BaseCallback

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.integrations.sb3_torch_ppo import TorchPPO


@dataclass(kw_only=True)
class Args:
    """Train on pixels."""

    num_envs: int = 512
    timesteps: int = 2_000_000
    device: str = "auto"
    engine: str = "auto"
    seed: int = 1


class Progress(BaseCallback):
    """A line every tenth rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.rollouts, self.began = 0, time.perf_counter()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.rollouts += 1
        episodes = self.model.ep_info_buffer
        if self.rollouts % 10 == 0 and episodes:
            mean = sum(float(e["r"]) for e in episodes) / len(episodes)
            seconds = time.perf_counter() - self.began
            print(
                f"step {self.num_timesteps:>9,}  return {mean:7.1f}  {seconds:6.1f} s", flush=True
            )


def main(args: Args) -> None:
    """Train and evaluate."""
    envs: Any = gym.make_vec(
        "IsaacCartpoleCamera-v0",
        num_envs=args.num_envs,
        device=args.device,
        engine=args.engine,
    )
    model = TorchPPO(
        "CnnPolicy",
        envs,
        n_steps=16,
        batch_size=min(4096, 4 * args.num_envs),
        n_epochs=4,
        learning_rate=5e-4,
        gamma=0.98,
        gae_lambda=0.95,
        max_grad_norm=0.5,
        seed=args.seed,
        device=envs.unwrapped.device,
    )
    model.learn(args.timesteps, callback=Progress())

    obs, _ = envs.reset(seed=args.seed + 1_000_000)
    returns = torch.zeros(args.num_envs, device=envs.unwrapped.device)
    running = torch.ones_like(returns, dtype=torch.bool)
    with torch.no_grad():
        for _ in range(envs.unwrapped.max_episode_steps):
            actions = model.policy._predict(obs.permute(0, 3, 1, 2), deterministic=True)
            obs, reward, terminated, truncated, _ = envs.step(actions)
            returns += reward * running
            running &= ~(terminated | truncated)
    print(f"evaluation: return {returns.mean():.1f} ± {returns.std():.1f}")
    envs.close()


if __name__ == "__main__":
    main(tyro.cli(Args))
