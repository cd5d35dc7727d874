"""What an audit finds, on rewards made by hand and on tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.audit import SCRIPTS, Rollout, audit, roll
from isaac_gymnasium.cli import main


def rollout(
    rewards: list[float],
    success: list[int],
    *,
    running: list[int] | None = None,
    time_limit: int | None = None,
    name: str = "made up",
) -> Rollout:
    """One environment with one reward term."""
    steps = len(rewards)
    return Rollout(
        name=name,
        terms={"term": torch.tensor(rewards).unsqueeze(-1), "idle": torch.zeros(steps, 1)},
        success=torch.tensor(success, dtype=torch.bool).unsqueeze(-1),
        running=torch.tensor(running or [1] * steps, dtype=torch.bool).unsqueeze(-1),
        time_limit=time_limit or steps,
    )


def test_the_values_are_discounted_sums_by_hand() -> None:
    made = rollout([1.0] * 12 + [3.0] * 8, [0] * 12 + [1] * 8)
    found = audit([made], discount=0.9)
    rest = (1 - 0.9**8) / 0.1
    assert found.succeeding == pytest.approx(3.0 * rest, rel=1e-5)
    assert found.staying_short == pytest.approx(1.0 * rest, rel=1e-5)
    assert found.short_rate == pytest.approx(1.0)
    assert found.passed
    assert found.success == {"made up": 1.0}
    assert found.never_paid == ["idle"]
    assert found.terms["term"].mean == pytest.approx(1.8)
    assert found.terms["term"].share == pytest.approx(1.0)
    assert (found.terms["term"].lowest, found.terms["term"].highest) == (1.0, 3.0)
    assert "success pays more" in str(found)
    assert "never paid: idle" in str(found)


def test_a_reward_once_for_a_success_that_ends_the_episode_is_worth_less_than_hovering() -> None:
    hover = rollout([3.6] * 100, [0] * 100, name="hover")
    done = rollout([2.0] * 20 + [16.0], [0] * 20 + [1], time_limit=100, name="done")
    found = audit([hover, done])
    assert found.succeeding == pytest.approx(16.0)
    assert found.staying_short == pytest.approx(3.6 * (1 - 0.99**80) / 0.01, rel=1e-4)
    assert found.short_policy == "hover"
    assert not found.passed
    assert "STAYING SHORT OF SUCCESS PAYS MORE" in str(found)
    assert found.success == {"hover": 0.0, "done": 1.0}


def test_a_policy_that_succeeds_by_accident_does_not_spoil_the_value_of_success() -> None:
    lasting = rollout([1.0] * 12 + [3.0] * 8, [0] * 12 + [1] * 8, name="lasting")
    accident = rollout([1.0] * 5 + [3.0] + [0.0] * 14, [0] * 5 + [1] + [0] * 14, name="accident")
    for order in ([lasting, accident], [accident, lasting]):
        found = audit(order, discount=0.9)
        assert found.success_policy == "lasting"
        assert found.succeeding == audit([lasting], discount=0.9).succeeding
        assert found.staying_short == audit([lasting], discount=0.9).staying_short


def test_what_follows_the_end_and_what_is_not_kept_up_does_not_count() -> None:
    # A spike of one step, 9 steps in a row, and another episode after the end.
    rewards = [0.0] * 10 + [90.0] + [0.0] * 10 + [5.0] * 9 + [1.0] * 5 + [100.0] * 15
    success = [0] * 30 + [1] * 5 + [0] * 15
    found = audit([rollout(rewards, success, running=[1] * 35 + [0] * 15)], discount=0.5)
    assert found.short_rate == pytest.approx(9.0)
    assert found.succeeding == pytest.approx(sum(0.5**k for k in range(5)))
    assert found.terms["term"].highest == 90.0


def test_without_success_there_is_no_verdict_and_without_anything_else_there_is() -> None:
    never = audit([rollout([1.0] * 20, [0] * 20)])
    assert math.isnan(never.succeeding)
    assert not never.passed
    assert "no policy succeeded" in str(never)
    always = audit([rollout([1.0] * 20, [1] * 20)])
    assert math.isnan(always.staying_short)
    assert always.passed


def test_what_makes_no_audit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one rollout"):
        audit([])
    with pytest.raises(ValueError, match=r"discount must lie between 0 and 1, got 1\.0"):
        audit([rollout([1.0], [1])], discount=1.0)


@pytest.fixture
def env(request: pytest.FixtureRequest, physics: None) -> Iterator[Any]:
    id, kwargs = request.param
    env = gym.make_vec(id, num_envs=8, device="cpu", cuda_graphs=False, **kwargs)
    yield env
    env.close()


@pytest.mark.parametrize("env", [("IsaacCartpole-v0", {"episode_length_s": 0.5})], indirect=True)
def test_a_rollout_holds_the_terms_of_every_step(env: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    taken: list[Tensor] = []

    def policy(observations: Tensor) -> Tensor:
        assert observations.shape == (8, 4)
        taken.append(torch.rand(8, 1, generator=generator) * 2 - 1)
        return taken[-1]

    found = roll(env, policy, name="random", seed=3)
    assert found.reward.shape == (30, 8)
    env.reset(seed=3)
    running = torch.ones(8, dtype=torch.bool)
    for k, action in enumerate(taken):
        _, reward, terminated, truncated, info = env.step(action)
        torch.testing.assert_close(found.reward[k], reward)
        assert torch.equal(found.success[k], info["final_info"]["success"])
        assert torch.equal(found.running[k], running)
        running &= ~(terminated | truncated)
    assert "get_rewards" not in vars(env.task)


NEAR = {
    "IsaacFrankaStackCube-v0": {},
    "IsaacFrankaCabinet-v0": {},
    "IsaacFrankaPushCube-v0": {},
    # One goal: with a second one, success is over before the episode is.
    "IsaacFrankaReach-v0": {"episode_length_s": 4.0},
    "IsaacFrankaCube-v0": {},
}


@pytest.mark.parametrize("env", NEAR.items(), indirect=True, ids=NEAR)
def test_success_pays_more_than_staying_just_short_of_it(env: Any) -> None:
    script, task = SCRIPTS[env.spec.id], env.task
    success = roll(env, lambda _: script.succeed(task), name="success", seed=0)
    assert script.stay_short is not None
    short = script.stay_short
    near = roll(env, lambda _: short(task), name="short", seed=0)
    found = audit([success, near])
    assert found.success == {"success": 1.0, "short": 0.0}
    assert success.success[-1].float().mean() > 0.8, "it lasts"
    assert found.passed
    # Nor is it a matter of taste: by a third at least.
    assert found.succeeding > 1.3 * found.staying_short


@pytest.mark.parametrize(
    "env",
    [
        ("IsaacFrankaStackCube-v0", {"reward": "isaacgymenvs"}),
        ("IsaacFrankaCabinet-v0", {"reward": "isaacgymenvs"}),
    ],
    indirect=True,
    ids=["stack", "cabinet"],
)
def test_the_rewards_of_isaacgymenvs_pay_more_for_staying_short(env: Any) -> None:
    script, task = SCRIPTS[env.spec.id], env.task
    assert script.stay_short is not None
    short = script.stay_short
    found = audit(
        [
            roll(env, lambda _: script.succeed(task), name="success", seed=0),
            roll(env, lambda _: short(task), name="short", seed=0),
        ]
    )
    assert found.success["success"] > 0.8
    assert not found.passed
    assert found.staying_short > 5.0 * found.succeeding


@pytest.mark.parametrize("id", ["IsaacCartpole-v0", "IsaacBallBalance-v0"])
def test_scripts_without_a_short_variant_succeed(id: str, physics: None) -> None:
    env: Any = gym.make_vec(id, num_envs=32, device="cpu", cuda_graphs=False)
    try:
        assert SCRIPTS[id].stay_short is None
        found = roll(env, lambda _: SCRIPTS[id].succeed(env.task), name="script", seed=0)
        assert int((found.success[-1] & found.running[-1]).sum()) >= 20
    finally:
        env.close()


# ---------------------------------------------------------------------- the command


def test_the_command_prints_the_audit(physics: None, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", "IsaacCartpole-v0", "--device", "cpu", "--num-envs", "8"]
    assert main([*words, "--policy", "scripted", "--policy", "random"]) == 0
    printed = capsys.readouterr().out
    assert "success at some step: scripted 100 %, random" in printed
    assert printed.endswith("success pays more\n")
    # Nobody balances: a pole that starts upright falls.
    assert main([*words, "--policy", "zero", "--env.initial_angle", "0.45"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["IsaacCartpole-v0", "--policy", "clever"], "scripted, random, zero or a trained policy"),
        (["IsaacCartpole-v0", "--discount", "1"], "--discount must lie between 0 and 1, got 1.0"),
        (["IsaacCartpole-v0", "--num-envs", "0"], "--num-envs must be at least 1, got 0"),
        (["IsaacCartpoleSwingUp-v0", "--policy", "scripted"], "no script for IsaacCartpoleSwingUp"),
        (["IsaacNothing-v0"], "unknown environment 'IsaacNothing-v0'"),
    ],
)
def test_mistakes_are_told(
    words: list[str], message: str, physics: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "--device", "cpu", *words]) == 2
    assert message in capsys.readouterr().err
