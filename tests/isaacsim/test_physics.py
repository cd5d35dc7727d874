"""The closed forms that hold on every engine hold on the adapter too, with the same tolerances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from engines.test_physics import (  # noqa: F401 (they are collected from here, too)
    DT,
    Start,
    test_a_ball_bounces_back_as_its_restitution_says,
    test_a_drive_keeps_its_speed_limit_and_reaches_it,
    test_a_drive_pulls_with_its_effort_limit_and_no_less,
    test_a_free_body_falls_with_g,
    test_a_joint_effort_lasts_until_it_is_set_again,
    test_a_pendulum_swings_with_its_period,
    test_a_sliding_box_stops_where_friction_says,
    test_a_strongly_damped_drive_answers_a_step_without_delay,
    test_a_wrench_accelerates_by_newtons_second_law,
    test_contacts_carry_the_weight_of_what_rests,
    test_drives_hold_the_arm_against_gravity,
    test_franka_forward_kinematics_are_the_published_ones,
    test_gravity_compensation_leaves_no_sag,
    test_jacobian_times_joint_velocity_is_the_twist,
)

from isaac_gymnasium.engines import Engine, load_engine
from isaac_gymnasium.scene.builder import Scene


@pytest.fixture
def start(kit: Any) -> Iterator[Start]:
    engines: list[Engine] = []

    def make(scene: Scene, num_envs: int = 3, dt: float = DT) -> Engine:
        engines.append(load_engine("isaacsim")(scene, num_envs, dt, torch.device("cpu")))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()
