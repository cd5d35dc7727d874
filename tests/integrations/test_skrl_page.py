"""docs/libraries/skrl.md: what it shows runs as printed; skrl's own wrapper works as it says."""

import re
from pathlib import Path

import gymnasium as gym
import pytest
import torch
import yaml
from toy_env import ToyEnv

pytest.importorskip("skrl")

from skrl.agents.torch.ppo import PPO as StockPPO
from skrl.envs.wrappers.torch import wrap_env
from skrl.trainers.torch import SequentialTrainer

from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.integrations.skrl import SkrlWrapper, TrueSuccessorMixin
from isaac_gymnasium.integrations.skrl_ppo import make_ppo
from isaac_gymnasium.integrations.skrl_runner import Runner
from isaac_gymnasium.presets.configs import SkrlPpoConfig

PAGE = (Path(__file__).parents[2] / "docs" / "libraries" / "skrl.md").read_text()
((CONFIGURATION,), (CODE,)) = (
    re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S) for language in ("yaml", "python")
)


@pytest.mark.usefixtures("physics")
def test_the_example_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = "timesteps: 32, close_environment_at_exit: false"
    short = CONFIGURATION.replace("timesteps: 960", short)
    assert short != CONFIGURATION
    Path("ppo.yaml").write_text(short)
    names = {}
    exec(CODE.replace("num_envs=256", "num_envs=16, device='cpu'"), names)
    agent = names["runner"].agent
    assert isinstance(agent, StockPPO)
    assert isinstance(agent, TrueSuccessorMixin)
    assert agent._observation_preprocessor.current_count == 1 + 32 * 16
    names["envs"].close()


def test_the_configuration_learns():
    """On the toy, with fewer steps in an update; the configuration is the page's."""
    settings = yaml.safe_load(CONFIGURATION)
    settings["trainer"] |= {"timesteps": 240, "close_environment_at_exit": False}
    settings["agent"] |= {"rollouts": 10, "learning_rate": 3e-3, "discount_factor": 0.9}
    settings["agent"]["learning_rate_scheduler_kwargs"] = {"kl_threshold": 0.02}
    settings["models"]["policy"]["initial_log_std"] = -0.5
    torch.manual_seed(0)
    runner = Runner(SkrlWrapper(ToyEnv(64)), settings)
    runner.run("train")

    def policy(observations):
        _, outputs = runner.agent.act(observations, None, timestep=0, timesteps=0)
        return outputs["mean_actions"]

    runner.agent.enable_training_mode(False, apply_to_models=True)
    learned, best = (
        float(evaluate(ToyEnv(64), each, seed=1).returns.mean())
        for each in (policy, lambda observations: -5 * observations[:, :1])
    )
    assert learned > best - 0.5


def test_the_runner_hands_true_successors_to_the_agent():
    settings = yaml.safe_load(CONFIGURATION)
    settings["trainer"] |= {"timesteps": 7, "close_environment_at_exit": False}
    env = ToyEnv(8)
    finals = []
    step = env.step
    env.step = lambda actions: finals.append(step(actions)) or finals[-1]
    runner = Runner(SkrlWrapper(env), settings)
    runner.run("train")
    successor = runner.agent._current_next_observations
    assert torch.equal(successor, finals[-1][4]["final_obs"])
    assert not torch.equal(successor, finals[-1][0])


class TestWrapEnv:
    @pytest.mark.usefixtures("physics")
    def test_a_bare_environment_of_ours_is_recognised(self):
        env = gym.make_vec("isaac_gymnasium:IsaacCartpole-v0", num_envs=4, device="cpu")
        wrapped = wrap_env(env, verbose=False)
        assert type(wrapped).__name__ == "GymnasiumWrapper"
        assert (wrapped.num_envs, wrapped.device) == (4, torch.device("cpu"))
        first, _ = wrapped.reset()
        assert first.shape == (4, 4)
        with pytest.warns(UserWarning, match="copy construct"):
            observations, rewards, terminated, truncated, info = wrapped.step(torch.ones(4, 1))
        assert observations.shape == (4, 4)
        assert rewards.shape == terminated.shape == truncated.shape == (4, 1)
        assert torch.equal(info["final_obs"], observations)
        assert not torch.equal(first, observations)
        assert wrapped.state() is None
        wrapped.close()

    @pytest.mark.filterwarnings("ignore:To copy construct")
    def test_it_gives_the_privileged_state_and_trains(self):
        env = ToyEnv(16, asymmetric=True)
        wrapped = wrap_env(env, verbose=False)
        wrapped.reset()
        assert torch.equal(wrapped.state(), env.state())
        agent = make_ppo(wrapped, SkrlPpoConfig(num_envs=16, rollouts=10, hidden_sizes=(8,)))
        assert agent.value.hidden[0].in_features == 5
        weights = agent.policy.mean.weight.clone()
        cfg = {"timesteps": 20, "headless": True, "close_environment_at_exit": False}
        SequentialTrainer(env=wrapped, agents=agent, cfg=cfg).train()
        assert not torch.equal(weights, agent.policy.mean.weight)
