"""Policies written by hand, which know the task's state, for audits and tests.

A script looks at the present state only, time within the episode included. The one that stays
short does the same up to the last step before success, and stays there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from isaac_gymnasium.controllers import differential_ik
from isaac_gymnasium.envs._franka_arm import FrankaArm
from isaac_gymnasium.envs.ball_balance import BallBalance
from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.envs.franka_cabinet import FrankaCabinet
from isaac_gymnasium.envs.franka_cube import FrankaCube
from isaac_gymnasium.envs.franka_push_cube import FrankaPushCube
from isaac_gymnasium.envs.franka_reach import FrankaReach
from isaac_gymnasium.envs.franka_stack_cube import FrankaStackCube
from isaac_gymnasium.task import Task
from isaac_gymnasium.transforms import quat_rotate, wrap_to_pi, yaw_from_quat


@dataclass(frozen=True, kw_only=True)
class Script:
    """Actions (N, A) of a task in its default control mode.

    Attributes:
        succeed: Reaches success.
        stay_short: Comes as near to it as it can without; None where there is no such thing.
    """

    succeed: Callable[[Task], Tensor]
    stay_short: Callable[[Task], Tensor] | None = None


def _time(task: Task) -> Tensor:
    """(N, 1) time within the episode, s."""
    return (task.episode_length * task.step_dt).unsqueeze(-1)


def _hand(
    task: FrankaCube | FrankaPushCube | FrankaStackCube | FrankaCabinet,
    displacement: Tensor,
    rotation: Tensor,
    gripper: Tensor,
) -> Tensor:
    """Actions that move the fingertips and turn the hand; the gripper open where positive."""
    return torch.cat(
        (
            displacement / task.position_scale,
            rotation / task.rotation_scale,
            torch.where(gripper > 0, 1.0, -1.0),
        ),
        dim=-1,
    )


def _down(arm: FrankaArm, yaw: Tensor | None = None) -> Tensor:
    """(N, 3) rotation that points the hand down and puts its x axis along a cube's edge."""
    rotation = arm.hand_pose[:, 3:7]
    x, _, z = torch.eye(3, device=rotation.device).unsqueeze(1).expand(3, len(rotation), 3)
    turn: Tensor = torch.linalg.cross(quat_rotate(rotation, z), -z)
    if yaw is not None:
        heading = quat_rotate(rotation, x)
        miss = yaw - torch.atan2(heading[:, 1], heading[:, 0])
        turn[:, 2] += wrap_to_pi(4.0 * miss) / 4.0
    return turn


def _along_z(height: Tensor | float, like: Tensor) -> Tensor:
    way = torch.zeros_like(like)
    way[:, 2:] = height
    return way


def _cube(task: FrankaCube, below: float) -> Tensor:
    time, cube = _time(task), task.cube_position()
    away = cube - task.fingertip_position()
    yaw = yaw_from_quat(task.cube.pose[:, 3:7])
    approach = 2.0 * (away + _along_z(torch.where(time < 1.0, 0.1, 0.0), away))
    goal = task.cube_size / 2 + task.goal_height - below
    lift = 2.0 * _along_z(goal - cube[:, 2:], away)
    way = torch.where(time < 2.5, approach, lift)
    return _hand(task, way, _down(task.arm, yaw), 1.8 - time)


def _push(task: FrankaPushCube, stop: float) -> Tensor:
    time, cube = _time(task), task.cube_position()
    away = cube - task.arm.fingertips()
    way = 2.0 * away
    way[:, :1] -= 0.12
    way[:, 2:] += torch.where(time < 0.6, 0.12, 0.0)
    push = 2.0 * away
    push[:, 0] = torch.clamp((task.goal - cube)[:, 0] - stop, 0.0, 0.1)
    way = torch.where(time < 1.1, way, push)
    return _hand(task, way, _down(task.arm), -torch.ones_like(time))


def _stack(task: FrankaStackCube, release: bool) -> Tensor:
    time, cube = _time(task), task.cube_position()
    away = cube - task.arm.fingertips()
    place = task.base_position() + task.above - cube
    yaw = yaw_from_quat(task.cube.pose[:, 3:7])
    approach = 2.0 * (away + _along_z(torch.where(time < 0.8, 0.1, 0.0), away))
    carry = 2.0 * place
    carry[:, 2:] += torch.where(time < 3.2, 0.1, 0.006)
    lift = 2.0 * _along_z(place[:, 2:] + 0.06, away)
    retreat = _along_z(0.08, away)
    way = torch.where(time < 1.8, approach, torch.where(time < 2.3, lift, carry))
    gripper = 1.4 - time
    if release:
        way = torch.where(time < 3.7, way, torch.where(time < 4.0, 0.0 * way, retreat))
        gripper = torch.maximum(gripper, time - 3.7)
    return _hand(task, way, _down(task.arm, yaw), gripper)


def _open_drawer(task: FrankaCabinet, opening: float) -> Tensor:
    time = _time(task)
    rotation = task.arm.hand_pose[:, 3:7]
    x, y, z = torch.eye(3, device=task.device).unsqueeze(1).expand(3, task.num_envs, 3)
    forward, up = quat_rotate(rotation, z), quat_rotate(rotation, y)
    turn = torch.linalg.cross(forward, x) + torch.linalg.cross(up, z)
    way = task.handle() - task.arm.fingertips()
    pull = task.opening().unsqueeze(-1) - opening
    way[:, :1] = torch.where(time < 2.5, way[:, :1], pull)
    return _hand(task, way, turn, 1.5 - time)


def _reach(task: FrankaReach, aside: float) -> Tensor:
    position, rotation = task.errors()
    position[:, 2] += aside
    # The error is the hand's, the arm's Jacobian that of the fingertips.
    ahead = quat_rotate(task.goal()[:, 3:], task.arm.tcp_offset.expand_as(position))
    now = quat_rotate(task.arm.hand_pose[:, 3:7], task.arm.tcp_offset.expand_as(position))
    error = torch.cat((position + ahead - now, rotation), dim=-1)
    pos = task.robot.dof_pos[:, :7]
    step = differential_ik(task.arm.jacobian(), error, posture_step=0.1 * (task.arm.home[:7] - pos))
    return (pos + step - task.arm.home[:7]) / task.joint_scale


def _balance(task: Cartpole) -> Tensor:
    # A linear-quadratic regulator, for 100 N per unit of action.
    gain = torch.tensor((-1.91, -0.49, 0.23, 0.4), device=task.device) * (100.0 / task.max_force)
    return (task.get_observations() * gain).sum(-1, keepdim=True)


def _balance_ball(task: BallBalance) -> Tensor:
    away, speed = task.ball_offset(), task.ball.vel
    wish = -6.0 * away[:, :2] - 4.0 * speed[:, :2]
    slope_y, slope_x = wish[:, 1] / -7.0, wish[:, 0] / 7.0
    angles = (math.pi / 2, math.pi * 7 / 6, math.pi * 11 / 6)
    legs = [0.36 * (math.sin(a) * slope_y - math.cos(a) * slope_x) for a in angles]
    return (torch.stack(legs, dim=-1) - task.legs) / (task.leg_speed * task.step_dt)


def _script(succeed: Callable[..., Tensor], *variants: float | bool) -> Script:
    """A script whose second argument, if it has one, is given for success and for staying short."""
    if not variants:
        return Script(succeed=succeed)
    success, short = variants
    return Script(
        succeed=lambda task: succeed(task, success), stay_short=lambda task: succeed(task, short)
    )


SCRIPTS: dict[str, Script] = {
    "IsaacBallBalance-v0": _script(_balance_ball),
    "IsaacCartpole-v0": _script(_balance),
    "IsaacFrankaCabinet-v0": _script(_open_drawer, 0.398, 0.383),
    "IsaacFrankaCube-v0": _script(_cube, 0.0, 0.034),
    "IsaacFrankaPushCube-v0": _script(_push, 0.03, 0.115),
    "IsaacFrankaReach-v0": _script(_reach, 0.0, 0.055),
    "IsaacFrankaStackCube-v0": _script(_stack, True, False),
}
"""By environment ID."""
