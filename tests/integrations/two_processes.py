"""A trainer that writes down what each process has at the end; `torchrun` starts this file."""

import sys

import torch
from torch import distributed

from isaac_gymnasium.cli import main
from isaac_gymnasium.integrations import trainers
from isaac_gymnasium.presets.configs import SkrlPpoConfig


def batch(rank):
    return torch.randn(20 + 30 * rank, 3, generator=torch.Generator().manual_seed(rank)) + rank


def __getattr__(name):
    """`Spy`, made when it is asked for: skrl must not be imported before the processes have met."""
    from isaac_gymnasium.integrations.skrl_trainers import SkrlPpo

    class Spy(SkrlPpo):
        def learn(self, on_update):
            super().learn(on_update)
            rank = distributed.get_rank()
            scaler = type(self.agent._observation_preprocessor)(3, device="cpu")
            scaler(batch(rank), train=True)
            scaler(batch(rank) + 1, train=True)
            seen = {
                "trainer": self.state_dict(),
                "seeds": self.env.unwrapped.seeds,
                "position": self.env.unwrapped.position,
                "scaler": scaler.state_dict(),
                "random": torch.rand(3),
                "observations": self.agent.memory.get_tensor_by_name("observations"),
            }
            torch.save(seen, f"rank{rank}.pt")

    if name == "Spy":
        return Spy
    raise AttributeError(name)


if __name__ == "__main__":
    entry = trainers.TrainerEntry("two_processes:Spy", SkrlPpoConfig, "skrl")
    trainers.TRAINERS["skrl", "ppo"] = entry
    sys.exit(main(sys.argv[1:]))
