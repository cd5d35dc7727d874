"""Actuator models against their formulas."""

from __future__ import annotations

import pytest
import torch

from isaac_gymnasium.controllers import DcMotor, Delay, IdealPd
from isaac_gymnasium.random import RandomStreams


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values).unsqueeze(-1)


def test_an_ideal_drive_is_a_spring_and_a_damper_with_a_limit() -> None:
    drive = IdealPd(40.0, 5.0, torch.tensor([80.0, 10.0]))
    target, pos = torch.tensor([[1.0, 0.1], [-5.0, 9.0]]), torch.tensor([[0.5, 0.0], [0.0, 0.0]])
    vel = torch.tensor([[1.0, -0.2], [0.0, 0.0]])
    expected = torch.tensor([[40 * 0.5 - 5.0, 40 * 0.1 + 1.0], [-80.0, 10.0]])
    torch.testing.assert_close(drive.effort(target, pos, vel), expected)
    following = drive.effort(target, pos, vel, target_vel=vel)
    torch.testing.assert_close(following[0], torch.tensor([20.0, 4.0]))


def test_a_motor_gives_less_the_faster_it_turns() -> None:
    # ANYdrive: 80 N m for long, 120 N m at stall, 7.5 rad/s without load.
    motor = DcMotor(1e6, 0.0, 80.0, stall_effort=120.0, no_load_speed=7.5)
    speeds = column(0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 20.0, -2.5, -12.5)
    most = motor.effort(torch.ones(9, 1), torch.zeros(9, 1), speeds)
    # 120 (1 - v / 7.5) within 80 either way: flat up to 2.5 rad/s, zero at 7.5, braking beyond.
    expected = column(80.0, 80.0, 40.0, 0.0, -40.0, -80.0, -80.0, 80.0, 80.0)
    torch.testing.assert_close(most, expected, atol=1e-4, rtol=0.0)
    least = motor.effort(-torch.ones(9, 1), torch.zeros(9, 1), -speeds)
    torch.testing.assert_close(least, -expected, atol=1e-4, rtol=0.0)


def test_within_its_limits_a_motor_is_an_ideal_drive() -> None:
    motor = DcMotor(25.0, 0.5, 23.7, stall_effort=23.7, no_load_speed=30.0)
    generator = torch.Generator().manual_seed(0)
    target, pos, vel = (0.1 * torch.randn(64, 12, generator=generator) for _ in range(3))
    ideal = IdealPd(25.0, 0.5, 23.7).effort(target, pos, vel)
    torch.testing.assert_close(motor.effort(target, pos, vel), ideal)
    assert float(ideal.abs().max()) > 3.0


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"stall_effort": 70.0, "no_load_speed": 7.5}, "stall_effort must be at least"),
        ({"stall_effort": 120.0, "no_load_speed": 0.0}, "no_load_speed must be positive"),
    ],
)
def test_impossible_motors_are_refused(kwargs: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DcMotor(40.0, 5.0, 80.0, **kwargs)


def test_every_environment_has_a_delay_of_its_own() -> None:
    delay, rng = Delay(64, 2, "cpu", least=1, most=4), RandomStreams(64, "cpu")
    rng.begin(0)
    everybody = torch.ones(64, dtype=torch.bool)
    delay.reset(everybody, rng, torch.full((64, 2), -1.0))
    assert set(delay.lag.tolist()) == {1, 2, 3, 4}
    for step in range(8):
        out = delay.step(torch.full((64, 2), float(step)))
        past = step - delay.lag
        expected = torch.where(past < 0, -1.0, past.float())
        assert torch.equal(out, expected.unsqueeze(-1).expand(64, 2))
    lags = delay.lag.clone()
    mask = torch.arange(64) < 8
    rng.next_episode(mask)
    rng.begin(0)
    delay.reset(mask, rng, torch.full((64, 2), -2.0))
    assert torch.equal(delay.lag[~mask], lags[~mask])
    out = delay.step(torch.full((64, 2), 8.0))
    assert bool((out[mask] == -2.0).all())
    assert torch.equal(out[~mask, 0], (8 - lags[~mask]).float())


def test_without_a_lag_a_delay_is_none() -> None:
    delay = Delay(3, 1, "cpu", least=0, most=0)
    assert delay.step(column(1.0, 2.0, 3.0)).tolist() == [[1.0], [2.0], [3.0]]
    with pytest.raises(ValueError, match="least <= most, got 2 and 1"):
        Delay(1, 1, "cpu", least=2, most=1)
