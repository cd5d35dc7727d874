"""RLlib (Ray 2.x, new API stack): environments for its vectorised env runners.

    register_env("isaac_gymnasium", make_env)  # RLlib refuses the bare function
    config = PPOConfig().environment("isaac_gymnasium", env_config={"id": "IsaacCartpole-v0"})
    config.env_runners(gym_env_vectorize_mode="vector_entry_point", num_envs_per_env_runner=64)

This module imports without Ray: `make_env` only follows RLlib's calling convention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from isaac_gymnasium.integrations._requirements import require_autoreset
from isaac_gymnasium.wrappers import TorchToNumpy

__all__ = ["make_env"]


def make_env(env_config: Mapping[str, Any]) -> TorchToNumpy:
    """The environments of one env runner, to be registered with `ray.tune.registry.register_env`.

    Results are NumPy arrays. The autoreset mode is `NextStep`, the only one in which RLlib's
    episodes are right: it takes the step after an episode's end for the reset.

    Args:
        env_config: The environment's ID as `id` and its keywords. `num_envs` is RLlib's to set,
            by `num_envs_per_env_runner`.

    Raises:
        TypeError: If there is no `id`, or no `num_envs`, for want of
            `gym_env_vectorize_mode="vector_entry_point"`.
        ValueError: If `autoreset_mode` asks for another mode.
    """
    keywords = {"autoreset_mode": AutoresetMode.NEXT_STEP.value, **env_config}
    if "id" not in keywords:
        raise TypeError(f"env_config needs the environment's ID as 'id', got {dict(env_config)}")
    if "num_envs" not in keywords:
        raise TypeError(
            "RLlib asked for a single environment; set "
            "env_runners(gym_env_vectorize_mode='vector_entry_point')"
        )
    envs = gym.make_vec(keywords.pop("id"), **keywords)
    reason = "RLlib takes the step after an episode's end for the reset"
    try:
        require_autoreset(envs, AutoresetMode.NEXT_STEP, "RLlib", reason)
    except ValueError:
        envs.close()
        raise
    return TorchToNumpy(envs)
