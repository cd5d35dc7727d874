"""Velocity commands: what is drawn, when, and what counts as followed."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from isaac_gymnasium.commands import VelocityCommand
from isaac_gymnasium.random import RandomStreams

DT = 0.02


def sampler(num_envs: int, **kwargs: Any) -> tuple[VelocityCommand, RandomStreams]:
    kwargs = {"limits": (1.0, 0.5, 2.0), "interval": 1.0, **kwargs}
    command, rng = (
        VelocityCommand(num_envs, torch.device("cpu"), **kwargs),
        RandomStreams(num_envs, "cpu"),
    )
    rng.begin(0)
    command.reset(torch.ones(num_envs, dtype=torch.bool), rng, torch.zeros(num_envs))
    return command, rng


def test_commands_fill_their_ranges() -> None:
    command, _ = sampler(2048)
    share = command.command / torch.tensor((1.0, 0.5, 2.0))
    assert 0.99 < float(share.abs().max()) <= 1.0
    for quartile, level in ((0.25, -0.5), (0.5, 0.0), (0.75, 0.5)):
        torch.testing.assert_close(
            share.quantile(quartile, dim=0), torch.full((3,), level), atol=0.1, rtol=0.0
        )
    assert torch.equal(command.followed, command.command)


def test_a_share_of_them_is_to_stand() -> None:
    command, _ = sampler(2048, standing=0.25)
    standing = (command.command == 0.0).all(-1).float().mean()
    assert float(standing) == pytest.approx(0.25, abs=0.04)
    assert not sampler(64, standing=1.0)[0].command.any()


def test_they_change_at_intervals_and_what_was_asked_is_what_is_followed() -> None:
    command, rng = sampler(256)
    changes: list[torch.Tensor] = []
    for step in range(1, 151):
        before = command.command.clone()
        rng.begin(step)
        command.step(DT, rng)
        assert torch.equal(command.followed, before)
        changes.append((command.command != before).any(-1))
    table = torch.stack(changes)
    first = table.float().argmax(0)
    assert int(first.min()) >= 24
    assert int(first.max()) <= 49
    assert len(first.unique()) > 15, "not all at once"
    for env in range(256):
        steps = table[:, env].nonzero().flatten()
        assert steps.diff().tolist() == [50] * (len(steps) - 1)


def test_a_reset_touches_the_masked_rows_only() -> None:
    command, rng = sampler(16)
    before = command.command.clone()
    mask = torch.arange(16) < 3
    rng.next_episode(mask)
    rng.begin(0)
    command.reset(mask, rng)
    assert torch.equal((command.command != before).any(-1), mask)


def test_an_infinite_interval_keeps_the_first_command() -> None:
    command, rng = sampler(4, interval=float("inf"))
    before = command.command.clone()
    for step in range(1, 60):
        rng.begin(step)
        command.step(1.0, rng)
    assert torch.equal(command.command, before)


@pytest.mark.parametrize(
    "kwargs",
    [{"limits": (-1.0, 0.0, 0.0)}, {"interval": 0.0}, {"standing": 1.5}, {"heading_gain": -1.0}],
)
def test_values_without_a_meaning_are_refused(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        sampler(1, **kwargs)


def test_a_heading_is_turned_to_and_kept() -> None:
    command, rng = sampler(512, limits=(1.0, 1.0, 0.8), interval=math.inf, heading_gain=0.5)
    yaw, headings = torch.linspace(-3.1, 3.1, 512), command._heading.clone()
    assert 0.99 * math.pi < float(headings.abs().max()) <= math.pi
    for step in range(1, 1001):
        rng.begin(step)
        command.step(DT, rng, yaw)
        left = torch.atan2((headings - yaw).sin(), (headings - yaw).cos())
        torch.testing.assert_close(command.command[:, 2], (0.5 * left).clamp(-0.8, 0.8))
        yaw += DT * command.command[:, 2]
    torch.testing.assert_close(yaw.cos(), headings.cos(), atol=1e-2, rtol=0.0)
    torch.testing.assert_close(yaw.sin(), headings.sin(), atol=1e-2, rtol=0.0)


def test_who_is_to_stand_is_not_told_to_turn_to_a_heading() -> None:
    command, rng = sampler(256, standing=0.5, heading_gain=1.0)
    rng.begin(1)
    command.step(DT, rng, torch.full((256,), 2.0))
    still = (command.command[:, :2] == 0.0).all(-1)
    assert 0.3 < float(still.float().mean()) < 0.7
    assert torch.equal(command.command[:, 2] == 0.0, still)


def test_headings_need_to_know_the_present_one() -> None:
    command, rng = sampler(2, heading_gain=0.5)
    with pytest.raises(ValueError, match="with a heading_gain, yaw must be given"):
        command.step(DT, rng)
