"""skrl's SAC and TD3: what they store, how they act, and that training learns."""

import pytest
import torch
from gymnasium.spaces import Box
from toy_env import ToyEnv

pytest.importorskip("skrl")

from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.integrations.skrl import SkrlWrapper
from isaac_gymnasium.integrations.skrl_off_policy import make_sac, make_td3
from isaac_gymnasium.integrations.skrl_trainers import SkrlSac, SkrlTd3
from isaac_gymnasium.presets.configs import SacConfig, Td3Config

BOTH = pytest.mark.parametrize(("trainer", "config"), [(SkrlSac, SacConfig), (SkrlTd3, Td3Config)])
SMALL = {"num_envs": 16, "batch_size": 64, "hidden_sizes": (16,), "report_every": 20}


@pytest.mark.parametrize(
    ("trainer", "config", "gradient_steps"), [(SkrlSac, SacConfig, 1), (SkrlTd3, Td3Config, 2)]
)
def test_it_learns(trainer, config, gradient_steps):
    settings = config(
        **SMALL | {"num_envs": 32},
        timesteps=9600,
        learning_starts=640,
        gradient_steps=gradient_steps,
        discount=0.8,
        learning_rate=4e-3,
        buffer_size=20_000,
        polyak=0.05,
    )
    torch.manual_seed(0)
    made, updates = trainer(ToyEnv(32), settings), []
    made.learn(lambda metrics: updates.append(metrics) or True)
    assert made.timesteps == 9600 == 32 * 20 * len(updates)
    assert {"loss/policy", "loss/critic"} <= set(updates[-1])
    learned, best = (
        float(evaluate(ToyEnv(32), policy, seed=1).returns.mean())
        for policy in (made.policy(), lambda observations: -5 * observations[:, :1])
    )
    assert learned > best - 0.5


@BOTH
@pytest.mark.parametrize("asymmetric", [False, True])
def test_the_memory_holds_true_successors(trainer, config, asymmetric):
    made = trainer(
        ToyEnv(16, asymmetric=asymmetric),
        config(**SMALL, timesteps=320, learning_starts=160, buffer_size=1000),
    )
    made.learn(lambda metrics: True)
    memory = made.agent.memory
    now, then, actions, ended = (
        memory.get_tensor_by_name(name)[: memory.memory_index]
        for name in ("observations", "next_observations", "actions", "terminated")
    )
    assert len(now) == 20
    torch.testing.assert_close(then[..., 0], now[..., 0] + 0.2 * actions[..., 0].clamp(-1, 1))
    torch.testing.assert_close(then[..., 1], now[..., 1] + 1)
    assert torch.equal(ended[..., 0], then[..., 0].abs() > 1.2)
    if asymmetric:
        states = memory.get_tensor_by_name("next_states")[: memory.memory_index]
        torch.testing.assert_close(states[..., 3], -then[..., 0])
        assert made.agent.critic_1.hidden[0].in_features == 5 + 1
        assert made.agent.policy.hidden[0].in_features == 3


@BOTH
def test_random_actions_come_before_learning(trainer, config):
    made = trainer(
        ToyEnv(16), config(**SMALL, timesteps=320, learning_starts=320, buffer_size=1000)
    )
    before = made.agent.policy.mean.weight.clone()
    updates = []
    made.learn(lambda metrics: updates.append(metrics) or True)
    actions = made.agent.memory.get_tensor_by_name("actions")[:19]
    assert actions.abs().max() <= 1
    assert actions.mean().abs() < 0.15
    assert actions.std() == pytest.approx(1 / 3**0.5, abs=0.05)
    assert not torch.equal(before, made.agent.policy.mean.weight), "the last step learns"


@BOTH
def test_a_false_answer_ends_the_training(trainer, config):
    made = trainer(ToyEnv(16), config(**SMALL, timesteps=10_000, buffer_size=1000))
    made.learn(lambda metrics: made.timesteps < 640)
    assert made.timesteps == 640


class TwoActions(ToyEnv):
    """With an action space that is not [-1, 1]."""

    def __init__(self, num_envs):
        super().__init__(num_envs)
        self.single_action_space = Box(
            low=torch.tensor([0.0, -3.0]).numpy(), high=torch.tensor([1.0, 1.0]).numpy()
        )


def test_density_of_squashed_actions_integrates_to_one():
    agent = make_sac(SkrlWrapper(TwoActions(1)), SacConfig(**SMALL))
    torch.manual_seed(0)
    observations = torch.randn(1, 3).expand(200_000, 3)
    with torch.no_grad():
        actions, outputs = agent.policy.act({"observations": observations})
    low, high = torch.tensor([0.0, -3.0]), torch.tensor([1.0, 1.0])
    assert (actions >= low).all() and (actions <= high).all()
    # E[1 / p] over samples of p is the volume of what p covers: the whole action space, 1 x 4.
    assert outputs["log_prob"].neg().exp().mean() == pytest.approx(4.0, rel=0.1)


def test_exploration_noise_of_td3_is_in_units_of_half_the_range():
    config = Td3Config(**SMALL, exploration_noise=0.1, smoothing_noise=5.0, smoothing_clip=0.5)
    agent = make_td3(SkrlWrapper(TwoActions(1)), config)
    noise = agent._exploration_noise.sample((10_000, 2))
    torch.testing.assert_close(noise.std(0), torch.tensor([0.05, 0.2]), rtol=0.05, atol=0.0)
    largest = agent._smooth_regularization_noise.sample((10_000, 2)).amax(0)
    torch.testing.assert_close(largest, torch.tensor([0.25, 1.0]))


@BOTH
def test_the_policy_fills_another_action_space(trainer, config):
    made = trainer(TwoActions(4), config(**SMALL))
    actions = made.policy()(1e3 * torch.randn(1000, 3))
    assert (actions >= torch.tensor([0.0, -3.0])).all()
    assert (actions <= torch.tensor([1.0, 1.0])).all()
    observations = torch.randn(5, 3)
    scaled = made.agent._observation_preprocessor(observations)
    mean = made.agent.policy.mean(made.agent.policy.hidden(scaled)).tanh()
    expected = torch.tensor([0.5, -1.0]) + torch.tensor([0.5, 2.0]) * mean
    torch.testing.assert_close(made.policy()(observations), expected)
