"""Distances to a mesh along rays: height scans and lidars, on CPU and CUDA."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isaac_gymnasium._warp import import_warp, torch_stream
from isaac_gymnasium.scene.mesh import TriangleMesh
from isaac_gymnasium.transforms import quat_from_axis_angle, quat_rotate, yaw_from_quat


class RayCaster:
    """Casts rays at a mesh that does not move, such as a terrain.

    The first use compiles a kernel, once a machine.

    Args:
        mesh: What the rays meet, both sides of its faces.
        device: Where the tensors live.
        reach: Length of a ray, m; what it misses is that far away.

    Raises:
        ValueError: If `reach` is not positive and finite.
        ImportError: If Warp is not installed; it comes with every engine.
    """

    def __init__(
        self, mesh: TriangleMesh, device: torch.device | str, *, reach: float = 100.0
    ) -> None:
        if not (math.isfinite(reach) and reach > 0.0):
            raise ValueError(f"reach must be positive and finite, got {reach}")
        self._wp = wp = import_warp()
        from isaac_gymnasium.sensors import _ray_kernels

        self._kernel = _ray_kernels.cast_rays
        self.device, self.reach = torch.device(device), reach
        name = str(self.device)
        self._mesh = wp.Mesh(
            points=wp.array(mesh.points, dtype=wp.vec3, device=name),
            indices=wp.array(mesh.triangles.flatten(), dtype=wp.int32, device=name),
        )

    def cast(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Where rays meet the mesh.

        Args:
            origins: (..., 3) m, in the frame of the mesh.
            directions: (..., 3) unit vectors; broadcasts with `origins`.

        Returns:
            Distances (...), `reach` where nothing is met, and normals (..., 3), zero there.
        """
        wp = self._wp
        origins, directions = torch.broadcast_tensors(origins, directions)
        shape = origins.shape[:-1]
        starts, ways = (t.reshape(-1, 3).contiguous().float() for t in (origins, directions))
        distances = torch.empty(len(starts), device=self.device)
        normals = torch.empty(len(starts), 3, device=self.device)
        wp.launch(
            self._kernel,
            dim=len(starts),
            inputs=[
                self._mesh.id,
                wp.from_torch(starts, dtype=wp.vec3),
                wp.from_torch(ways, dtype=wp.vec3),
                self.reach,
            ],
            outputs=[wp.from_torch(distances), wp.from_torch(normals, dtype=wp.vec3)],
            device=str(self.device),
            stream=torch_stream(self.device),
        )
        return distances.view(shape), normals.view(*shape, 3)


class HeightScan:
    """Heights of the ground on a grid around a body, turned with its heading alone.

    Args:
        caster: The ground.
        size: Extent of the grid forward and sideways, m; 1.6 by 1.0 at 0.1 m makes 17 x 11 points.
        resolution: Distance between points, m.
        above: How far above the body rays start, m, more than anything in the way is high.

    Attributes:
        offsets: (P, 3) points of the grid in the body's heading frame, forward rows first.
    """

    shared_tensors = ("offsets", "_down", "_up")

    def __init__(
        self,
        caster: RayCaster,
        *,
        size: tuple[float, float] = (1.6, 1.0),
        resolution: float = 0.1,
        above: float = 20.0,
    ) -> None:
        if not (resolution > 0.0 and min(size) >= 0.0):
            raise ValueError(
                f"expected a positive resolution and sizes that are not negative, got {resolution} "
                f"and {size}"
            )
        self._caster, self._above = caster, above
        steps = [round(extent / resolution) for extent in size]
        axes = [(torch.arange(n + 1) - n / 2) * resolution for n in steps]
        grid = torch.cartesian_prod(*axes)
        self.offsets = torch.nn.functional.pad(grid, (0, 1)).to(caster.device)
        self._down = torch.tensor((0.0, 0.0, -1.0), device=caster.device)
        self._up = torch.tensor((0.0, 0.0, 1.0), device=caster.device)

    def scan(self, pose: Tensor) -> Tensor:
        """(N, P) height of the ground below each point, m, from (N, 7) poses of the body.

        Poses and heights are in the frame of the mesh. Where there is no ground the height is
        `reach` below where the rays start.
        """
        heading = quat_from_axis_angle(self._up, yaw_from_quat(pose[:, 3:7])).unsqueeze(1)
        points = pose[:, None, :3] + quat_rotate(heading, self.offsets)
        starts = points + self._above * self._up
        distance, _ = self._caster.cast(starts, self._down)
        return starts[..., 2] - distance


def lidar_directions(
    channels: int, columns: int, *, elevation: tuple[float, float], azimuth: float = math.tau
) -> Tensor:
    """(channels, columns, 3) unit vectors of a spinning lidar, in its own frame (x forward, z up).

    Args:
        channels: Lasers, one above the other.
        columns: Shots in a turn; evenly spread, the first one straight ahead for a full turn.
        elevation: Angles of the lowest and the highest laser above the horizon, rad.
        azimuth: Angle that is swept, rad; less than a full turn is centred on straight ahead.

    Raises:
        ValueError: If there is no laser or no shot.
    """
    if channels < 1 or columns < 1:
        raise ValueError(f"expected at least one channel and column, got {channels} and {columns}")
    up = torch.linspace(*elevation, channels)
    if azimuth >= math.tau:
        around = torch.arange(columns) * (math.tau / columns)
    else:
        around = torch.linspace(-azimuth / 2, azimuth / 2, columns)
    up, around = torch.meshgrid(up, around, indexing="ij")
    return torch.stack((up.cos() * around.cos(), up.cos() * around.sin(), up.sin()), dim=-1)
