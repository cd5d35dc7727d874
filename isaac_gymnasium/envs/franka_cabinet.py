"""`IsaacFrankaCabinet-v0`: open the drawer of a cabinet with a Franka arm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from isaac_gymnasium.envs._franka_task import FrankaTask
from isaac_gymnasium.robots.drawer_cabinet import HANDLE, STROKE, drawer_cabinet
from isaac_gymnasium.robots.franka import franka
from isaac_gymnasium.scene.viewpoint import Viewpoint
from isaac_gymnasium.transforms import quat_rotate

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

HOME = (0.0, -0.8, 0.0, -2.65, 0.0, 3.42, -math.pi / 4)
"""Arm joint positions, rad: the hand points at the cabinet, one finger above the other."""
CABINET_X = 0.77
"""Front of the cabinet, m; the handle is 0.05 m before it."""
CABINET_Z = 0.04
"""Height of the plinth that the cabinet stands on, m: it does not touch the ground, which would
cost contacts at every step."""


@dataclass(kw_only=True)
class FrankaCabinet(FrankaTask):
    """Open the drawer of a cabinet with a Franka arm.

    ## Description
    The hand has to take the handle of a cabinet's top drawer and pull the drawer open. Follows
    `FrankaCabinet` of IsaacGymEnvs and Isaac Lab (observation, noise, opening, on demand the
    reward). Theirs ends the episode at success and pays about 9 a step for holding the drawer just
    short of it: staying short pays more. Here success pays most of all, at every step, and ends
    nothing. Also different on purpose: the cabinet is this package's own, with its handle right
    before the hand; actions are those of `IsaacFrankaCube-v0`, 20 times a second.

    ## Action Space
    `control_mode="ee"` (default): `Box(-1, 1, (7,))`. Translation of the point between the
    fingertips (3, world axes, times `position_scale`), rotation of the hand (3, rotation vector in
    world axes, times `rotation_scale`), gripper (1: open, -1: closed); differential inverse
    kinematics, the drives follow at about 5 1/s.

    `control_mode="joint"`: `Box(-1, 1, (8,))`. Seven joint displacements (times `joint_scale`) and
    the gripper.

    ## Observation Space
    `Box(-inf, inf, (23,))`: joint positions between their limits (9, from -1 to 1), joint
    velocities times 0.1 (9, rad/s and m/s), handle minus fingertips (3, m), opening of the drawer
    (m) and its velocity (m/s).

    ## Rewards
    With `reward="staged"` (default):

    * `reach`: 1 - tanh(5 d), with d the distance from the fingertips to the middle of the handle
    * `align`: 0.25 (c + e), the hand pointing at the front and its fingers one above the other: c
      and e are the squared cosines to these directions, c with its sign
    * `around`: 0.5 while d is below 3 cm and the handle's height between those of the fingers
    * `open`: 6 times the share of `success_opening` that the drawer is open by
    * `success`: 4 in success
    * `action`: -0.01 times the squared action

    With `reward="isaacgymenvs"`, per step: `reach` 2 (1 / (1 + d^2))^2, doubled below 2 cm; `align`
    as above; `around` 0.125 while the handle's height is between those of the fingers, and then
    5 times what the fingers are closed by (m); `open` 7.5 (q + q a), with q the opening (m) and a
    0.5 while around, and bonuses of 0.5 beyond 1 cm, a beyond 20 cm and 2 a beyond 39 cm; `success`
    0; `action` -0.01 times the squared action. All is replaced by -1, in `reach`, when a finger
    is more than 2 cm behind the handle. The episode ends at success.

    ## Starting State
    Arm at its home position, the hand about 0.3 m before the handle, plus uniform noise of
    `arm_noise`, gripper open, drawers closed. Everything at rest.

    ## Episode End
    Terminates when the fingertips are more than 1 m from the handle; with the reward of
    IsaacGymEnvs, at success. Truncates after `episode_length_s` (160 steps of 1/20 s).
    `info["opening"]`: of the drawer, m. `info["success"]`: it is more than `success_opening`.

    ## Arguments
    * `control_mode`: `"ee"` or `"joint"`
    * `reward`: `"staged"` or `"isaacgymenvs"`
    * `success_opening`: m, of the 0.4 m that the drawer opens by
    * `arm_noise`: half width of the initial noise, rad
    * `position_scale`, `rotation_scale`, `joint_scale`: what an action of 1 asks for, m and rad

    ## Version History
    * v0: initial version
    """

    num_observations: ClassVar[int] = 23
    shared_tensors: ClassVar[tuple[str, ...]] = ("closed_handle", "pull", "axes")
    viewpoint: ClassVar[Viewpoint | None] = Viewpoint(
        eye=(-0.75, -1.7, 1.25), target=(0.45, 0.0, 0.4), cell=(1.8, 1.4)
    )

    env_spacing: float = 3.0
    episode_length_s: float = 8.0
    decimation: int = 6

    reward: Literal["staged", "isaacgymenvs"] = "staged"
    success_opening: float = 0.39
    arm_noise: float = 0.125

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reward not in ("staged", "isaacgymenvs"):
            raise ValueError(f"reward must be 'staged' or 'isaacgymenvs', got {self.reward!r}")
        self.require(positive=("success_opening",))
        if self.success_opening >= STROKE:
            raise ValueError(
                f"success_opening must be below {STROKE}, where the drawer stops, got "
                f"{self.success_opening}"
            )

    def set_up_scene(self, scene: Scene) -> None:
        scene.add_ground()
        scene.add_robot("Robot", franka(home=HOME))
        scene.add_robot("Cabinet", drawer_cabinet(), position=(CABINET_X, 0.0, CABINET_Z))

    def post_reset(self) -> None:
        super().post_reset()
        self.cabinet = self.engine.articulation("Cabinet")
        (self.drawer,) = self.cabinet.dof_index(["drawer_top"])
        closed = (CABINET_X + HANDLE[0], HANDLE[1], CABINET_Z + HANDLE[2])
        self.closed_handle = torch.tensor(closed, device=self.device)
        self.pull = torch.tensor((-1.0, 0.0, 0.0), device=self.device)
        self.axes = torch.eye(3, device=self.device)
        self.no_drawers = torch.zeros(self.num_envs, 2, device=self.device)

    def opening(self) -> Tensor:
        """(N,) how far the drawer is open, m."""
        return self.cabinet.dof_pos[:, self.drawer]

    def handle(self) -> Tensor:
        """(N, 3) middle of the drawer's handle, environment frame, m."""
        return self.closed_handle + self.opening().unsqueeze(-1) * self.pull

    def get_observations(self) -> Tensor:
        limits = self.robot.dof_limits
        low, high = limits[:, 0], limits[:, 1]
        return torch.cat(
            (
                2.0 * (self.robot.dof_pos - low) / (high - low) - 1.0,
                0.1 * self.robot.dof_vel,
                self.handle() - self.arm.fingertips(),
                self.cabinet.dof_pos[:, self.drawer : self.drawer + 1],
                self.cabinet.dof_vel[:, self.drawer : self.drawer + 1],
            ),
            dim=-1,
        )

    def _grasp(self) -> tuple[Tensor, Tensor, Tensor]:
        """Distance to the handle (m), alignment in [-0.5, 0.5], the handle between the fingers."""
        handle = self.handle()
        distance = (handle - self.arm.fingertips()).norm(dim=-1)
        rotation = self.arm.hand_pose[:, 3:7]
        _, up, forward = (
            quat_rotate(rotation, axis.expand(self.num_envs, 3)) for axis in self.axes
        )
        # Which finger is above the other is all the same for a symmetric hand.
        pointing, upright = forward[:, 0], up[:, 2]
        align = 0.25 * (pointing * pointing.abs() + upright.square())
        heights = self.arm.finger_pads()[..., 2] - handle[:, 2:]
        return distance, align, heights[:, 0] * heights[:, 1] < 0.0

    def get_rewards(self) -> dict[str, Tensor]:
        return self._staged() if self.reward == "staged" else self._isaacgymenvs()

    def _staged(self) -> dict[str, Tensor]:
        distance, align, around = self._grasp()
        share = torch.clamp(self.opening() / self.success_opening, 0.0, 1.0)
        return {
            "reach": 1.0 - torch.tanh(5.0 * distance),
            "align": align,
            "around": 0.5 * (around & (distance < 0.03)),
            "open": 6.0 * share,
            "success": 4.0 * self._success(),
            "action": -0.01 * self.actions.square().sum(-1),
        }

    def _isaacgymenvs(self) -> dict[str, Tensor]:
        distance, align, around = self._grasp()
        near = (1.0 / (1.0 + distance.square())).square()
        opening = self.opening()
        half = 0.5 * around
        behind = self.arm.finger_pads()[..., 0] > self.handle()[:, :1] + 0.02
        good = ~behind.any(dim=-1)
        closed = 0.08 - self.arm.opening()
        bonus = 0.5 * (opening > 0.01) + half * (opening > 0.2) + 2.0 * half * (opening > 0.39)
        terms = {
            "reach": torch.where(distance <= 0.02, 4.0 * near, 2.0 * near),
            "align": align,
            "around": 0.25 * half + 5.0 * closed * around,
            "open": 7.5 * opening * (1.0 + half) + bonus,
            "success": torch.zeros_like(opening),
            "action": -0.01 * self.actions.square().sum(-1),
        }
        terms = {name: values * good for name, values in terms.items()}
        return {**terms, "reach": terms["reach"] - (~good).float()}

    def _success(self) -> Tensor:
        success: Tensor = self.opening() > self.success_opening
        return success

    def get_terminations(self) -> Tensor:
        if self.reward == "isaacgymenvs":
            return self._success()
        lost: Tensor = (self.handle() - self.arm.fingertips()).norm(dim=-1) > 1.0
        return lost

    def get_extras(self) -> dict[str, Tensor]:
        return {"success": self._success(), "opening": self.opening()}

    def reset_envs(self, mask: Tensor, rng: RandomStreams) -> None:
        self.arm.reset(mask, rng, self.arm_noise)
        self.cabinet.write_dof_state(self.no_drawers, self.no_drawers, mask)
