"""What a task returns in other shapes than it should is refused, by name, before it does harm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.vector_env import IsaacVectorEnv

N = 4


@dataclass(kw_only=True)
class Broken(Cartpole):
    """Returns what it is told to from one of its methods."""

    method: str = ""
    value: Any = None
    width: int = field(default=0)

    def state_space(self) -> gym.Space[Any] | None:
        return gym.spaces.Box(-np.inf, np.inf, (self.width,), np.float32) if self.width else None

    def get_rewards(self) -> Any:
        return self.value if self.method == "get_rewards" else super().get_rewards()

    def get_terminations(self) -> Any:
        return self.value if self.method == "get_terminations" else super().get_terminations()

    def get_extras(self) -> Any:
        return self.value if self.method == "get_extras" else super().get_extras()

    def get_states(self) -> Any:
        return self.value if self.method == "get_states" else None


def row(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(N, *shape, dtype=dtype)


CASES = [
    ("get_rewards", row(), "must be a dict of tensors by name, got a tensor"),
    ("get_rewards", {0: row()}, r"must be a dict of tensors by name, got dict \{0: "),
    ("get_rewards", {"alive": 1.0}, "term 'alive' must be a tensor, got 1.0"),
    (
        "get_rewards",
        {"alive": row(1)},
        r"'alive' must be torch.float32 of shape \(4,\), .*\(4, 1\)",
    ),
    ("get_rewards", {"alive": torch.zeros(())}, r"of shape \(4,\), got .* of shape \(\)"),
    ("get_rewards", {"alive": row(dtype=torch.int64)}, "must be torch.float32 .*got torch.int64"),
    ("get_rewards", {"alive": row().to("meta")}, "'alive' must be on cpu, got meta"),
    ("get_terminations", row(), r"must be torch.bool of shape \(4,\), got torch.float32"),
    ("get_terminations", row(1, dtype=torch.bool), r"of shape \(4,\), got .* \(4, 1\)"),
    ("get_terminations", False, "must be a tensor, got False"),
    ("get_extras", {"success": True}, "'success' must be a tensor, got True"),
    ("get_extras", {"success": torch.zeros(3)}, r"'success' must be shape \(4,\), .* \(3,\)"),
    ("get_extras", None, "must be a dict of tensors by name, got NoneType None"),
    ("get_states", row(3), r"must be None where state_space\(\) is None, got a tensor"),
]


@pytest.mark.parametrize(("method", "value", "message"), CASES)
def test_one_clear_error_names_the_task_and_its_method(
    method: str, value: Any, message: str
) -> None:
    env = IsaacVectorEnv(Broken, N, device="cpu", method=method, value=value)
    try:
        with pytest.raises(ValueError, match=rf"Broken\.{method}: .*{message}"):
            env.reset(seed=0)
            env.step(torch.zeros(N, 1))
        env.task.method = ""
        env.reset(seed=0)
        env.step(torch.zeros(N, 1))
    finally:
        env.close()


@pytest.mark.parametrize("value", [None, row(2), row(3, dtype=torch.float64)])
def test_a_declared_state_has_to_be_there(value: Any) -> None:
    env = IsaacVectorEnv(Broken, N, device="cpu", method="get_states", value=value, width=3)
    with pytest.raises(ValueError, match=r"Broken.get_states: state must be .*"):
        env.reset(seed=0)
    env.task.value = row(3)
    env.reset(seed=0)
    env.close()


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True, [0, 1, 2, -1], [None, 0.5, 1, 2]])
def test_an_impossible_seed_is_refused_and_changes_nothing(seed: Any) -> None:
    env = IsaacVectorEnv(Cartpole, N, device="cpu")
    env.reset(seed=3)
    with pytest.raises(ValueError, match=r"a seed must be an integer in \[0, 2\*\*63\), got "):
        env.reset(seed=seed)
    twin = IsaacVectorEnv(Cartpole, N, device="cpu")
    twin.reset(seed=3)
    assert torch.equal(env.reset()[0], twin.reset()[0])
    env.close()
    twin.close()
