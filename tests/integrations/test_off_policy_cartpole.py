"""SAC and TD3 learn to balance the pole with the settings that the package ships."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.integrations.trainers import TRAINERS, load_trainer
from isaac_gymnasium.presets import preset


@pytest.mark.parametrize(("library", "algorithm"), [("skrl", "sac"), ("sb3", "td3")])
def test_it_learns_to_balance_the_pole(library, algorithm, evaluate_policy):
    """Random actions return about 0, the best policy 300; the settings go on to 150000 steps."""
    pytest.importorskip("ovphysx")
    pytest.importorskip({"skrl": "skrl", "sb3": "stable_baselines3"}[library])
    config = preset(
        "IsaacCartpole-v0", TRAINERS[library, algorithm].config, library=library, cpu=True
    )
    config = replace(config, timesteps=32_000, seed=1)
    torch.manual_seed(1)
    np.random.seed(1)
    env = gym.make_vec("IsaacCartpole-v0", num_envs=config.num_envs, device="cpu", engine="physx")
    try:
        trainer = load_trainer(library, algorithm)(env, config)
        before = evaluate_policy(env, trainer.policy())
        trainer.learn(lambda metrics: True)
        assert before < 30
        assert evaluate_policy(env, trainer.policy()) > 120
    finally:
        env.close()
