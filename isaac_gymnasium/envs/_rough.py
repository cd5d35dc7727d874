"""`RoughVelocityTask`: walking on generated terrain, on harder ground the better it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from isaac_gymnasium.envs._velocity import VelocityTask
from isaac_gymnasium.scene.model import Material, PhysicsSettings
from isaac_gymnasium.scene.terrain import ROUGH, Tile, generate_terrain
from isaac_gymnasium.sensors import HeightScan, RayCaster

if TYPE_CHECKING:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.scene.builder import Scene

_SETTLED = 25
"""Steps from which on an episode says something about whether its level was right."""


@dataclass(kw_only=True)
class RoughVelocityTask(VelocityTask):
    """Walk over a terrain that all environments share, each starting on a tile of its own level.

    Attributes:
        shares: Kinds of tiles, and how much of the terrain each gets.
    """

    num_observations: ClassVar[int] = 235
    shared_tensors: ClassVar[tuple[str, ...]] = ("tile_places",)
    # Who walks in circles leaves no tile, however well he walks.
    heading_gain: ClassVar[float] = 0.5
    shares: ClassVar[Mapping[Tile, float]] = ROUGH

    levels: int = 10
    tiles: int = 20
    first_levels: int = 6
    curriculum: bool = True
    terrain_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("levels", "tiles", "first_levels"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        if self.first_levels > self.levels:
            raise ValueError(
                f"first_levels must be at most levels, got {self.first_levels} of {self.levels}"
            )

    def physics_settings(self) -> PhysicsSettings:
        return PhysicsSettings(contacts_per_env=128)

    def set_up_scene(self, scene: Scene) -> None:
        self.terrain = generate_terrain(
            rows=self.levels, columns=self.tiles, shares=self.shares, seed=self.terrain_seed
        )
        scene.add_terrain(
            self.terrain.mesh, material=Material(static_friction=1.0, dynamic_friction=1.0)
        )
        self.add_robot(scene)
        scene.ignore_each_other("Robot")

    def post_reset(self) -> None:
        super().post_reset()
        n, device = self.num_envs, self.device
        self.scan = HeightScan(RayCaster(self.terrain.mesh, device))
        self.tile_places = torch.from_numpy(self.terrain.origins).to(device).flatten(0, 1)
        # Kinds are spread over the environments, whatever their number is.
        self.column = (torch.arange(n, device=device) * 7) % self.tiles
        self.level = torch.zeros(n, dtype=torch.int64, device=device)
        self.placed = torch.zeros(n, dtype=torch.bool, device=device)
        self.start = torch.zeros(n, 3, device=device)

    def get_observations(self) -> Tensor:
        pose = self.robot.root_pose
        heights = pose[:, 2:3] - self.scan.scan(pose) - 0.5
        return torch.cat((super().get_observations(), heights.clamp(-1.0, 1.0)), dim=-1)

    def get_terminations(self) -> Tensor:
        # Who walks off the edge of the terrain falls without end.
        return super().get_terminations() | (self.robot.root_pose[:, 2] < -5.0)

    def get_extras(self) -> dict[str, Tensor]:
        return {**super().get_extras(), "level": self.level.float()}

    def start_place(self, mask: Tensor, rng: RandomStreams) -> Tensor:
        first = rng.integers(0, self.first_levels)
        again = rng.integers(0, self.levels)
        level = self._next_level(again) if self.curriculum else self.level
        # A new seed knows no past.
        level = torch.where(~self.placed | (rng.episode == 0), first, level)
        torch.where(mask, level, self.level, out=self.level)
        self.placed |= mask
        place = self.tile_places.index_select(0, self.level * self.tiles + self.column)
        torch.where(mask.unsqueeze(-1), place, self.start, out=self.start)
        return self.start

    def _next_level(self, again: Tensor) -> Tensor:
        """(N,) one up for who left the tile, one down for who got less than half the way asked."""
        way = (self.robot.root_pose[:, :2] - self.start[:, :2]).norm(dim=-1)
        asked = self.velocity_command.command[:, :2].norm(dim=-1) * self.episode_length_s
        settled = self.steps >= _SETTLED
        up = settled & (way > self.terrain.edge / 2)
        down = settled & ~up & (way < 0.5 * asked)
        level = (self.level + up.long() - down.long()).clamp(min=0)
        # Beyond the hardest level: anywhere.
        return torch.where(level >= self.levels, again, level)
