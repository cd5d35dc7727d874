"""An inertial measurement unit on a link."""

from __future__ import annotations

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Articulation, Engine
from isaac_gymnasium.scene.model import IDENTITY, ORIGIN, Quat, Vec3
from isaac_gymnasium.transforms import quat_mul, quat_rotate, quat_rotate_inverse


class Imu:
    """Measures what an accelerometer and a gyroscope would, averaged over each step.

    The specific force is the acceleration of the sensor minus gravity: at rest, gravity's
    magnitude upwards. The acceleration is the change of the sensor's velocity in a step over its
    length.

    Args:
        engine: The physics engine.
        robot: Where the link is.
        link: Name of the link.
        position: Sensor in the link's frame, m.
        orientation: Sensor in the link's frame, xyzw.
        gravity: Along world z, m/s^2.

    Attributes:
        specific_force: (N, 3) sensor frame, m/s^2.
        angular_velocity: (N, 3) sensor frame, rad/s.
    """

    shared_tensors = ("_gravity",)

    def __init__(
        self,
        engine: Engine,
        robot: Articulation,
        link: str,
        *,
        position: Vec3 = ORIGIN,
        orientation: Quat = IDENTITY,
        gravity: float = -9.81,
    ) -> None:
        n, device = engine.num_envs, engine.device
        self._robot = robot
        self._link = robot.link_index(link)
        # A body's velocity is that of its centre of mass.
        center = robot.get_property("center_of_mass")[:, self._link, :3].to(device)
        self._arm = torch.tensor(position, device=device) - center
        self._mount = torch.tensor(orientation, device=device).repeat(n, 1)
        self._gravity = torch.tensor((0.0, 0.0, gravity), device=device)
        self._velocity = torch.zeros(n, 3, device=device)
        self.specific_force = torch.zeros(n, 3, device=device)
        self.angular_velocity = torch.zeros(n, 3, device=device)

    def orientation(self) -> Tensor:
        """(N, 4) of the sensor in the world, xyzw."""
        return quat_mul(self._robot.link_pose[:, self._link, 3:7], self._mount)

    def update(self, step_dt: float) -> None:
        """Measures after a step of `step_dt` seconds."""
        velocity, turning = self._motion()
        quat = self.orientation()
        acceleration = (velocity - self._velocity) / step_dt
        self.specific_force.copy_(quat_rotate_inverse(quat, acceleration - self._gravity))
        self.angular_velocity.copy_(quat_rotate_inverse(quat, turning))
        self._velocity.copy_(velocity)

    def reset(self, mask: Tensor, velocity: Tensor | float = 0.0) -> None:
        """Starts anew where the (N,) bool mask says.

        Args:
            mask: Environments that have been reset.
            velocity: (N, 3) world velocity that the sensor starts with, m/s; 0 for a start at rest.
        """
        rows = mask.unsqueeze(-1)
        self._velocity.copy_(torch.where(rows, velocity, self._velocity))
        self.specific_force.masked_fill_(rows, 0.0)
        self.angular_velocity.masked_fill_(rows, 0.0)

    def _motion(self) -> tuple[Tensor, Tensor]:
        """Velocity of the sensor's point and angular velocity, world frame."""
        vel = self._robot.link_vel[:, self._link]
        arm = quat_rotate(self._robot.link_pose[:, self._link, 3:7], self._arm)
        return vel[:, :3] + torch.linalg.cross(vel[:, 3:], arm), vel[:, 3:]
