"""A convolutional network for observations that hold images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from isaac_gymnasium.tree import leaves, map_space
from isaac_gymnasium.wrappers.flatten import flat_space

__all__ = ["ImageEncoder", "has_images", "is_image"]

_CHANNELS = (16, 32, 32)
_KERNELS = (5, 3, 3)


def is_image(space: gym.Space[Any]) -> bool:
    """Whether a space is a Box of (H, W, C) uint8."""
    return isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3


def has_images(space: gym.Space[Any]) -> bool:
    """Whether an image is among the leaves of a space."""
    return any(leaves(map_space(is_image, space)))


class ImageEncoder(nn.Module):
    """Features of flat observations, in which images are to be found again.

    Each image goes through three convolutions of stride 2; what is no image stays as it is.

    Args:
        space: Of one environment's observation, before it was flattened.

    Attributes:
        num_features: F.
        shapes: Of what it finds in an observation: (H, W, C) of images, (size,) of the rest.
    """

    def __init__(self, space: gym.Space[Any]) -> None:
        super().__init__()
        parts: list[gym.Space[Any]] = leaves(map_space(lambda leaf: leaf, space))
        self._sizes = [flat_space(part).shape[0] for part in parts]
        self.shapes: list[tuple[int, ...]] = [
            part.shape if is_image(part) else (size,)  # type: ignore[misc]
            for part, size in zip(parts, self._sizes, strict=True)
        ]
        self.parts = nn.ModuleList(
            _convolutions(cast(gym.spaces.Box, part)) if is_image(part) else nn.Identity()
            for part in parts
        )
        with torch.no_grad():
            self.num_features: int = self(torch.zeros(1, sum(self._sizes))).shape[1]

    @classmethod
    def of_shapes(cls, shapes: Iterable[Sequence[int]]) -> ImageEncoder:
        """An encoder of the same `shapes` as another."""
        parts = [
            gym.spaces.Box(0, 255, tuple(shape), np.uint8)
            if len(shape) == 3
            else gym.spaces.Box(-np.inf, np.inf, tuple(shape), np.float32)
            for shape in shapes
        ]
        return cls(gym.spaces.Tuple(parts))

    def forward(self, observations: Tensor) -> Tensor:
        """(N, F) features of (N, O) observations."""
        split = observations.split(self._sizes, dim=1)
        features = [part(values) for part, values in zip(self.parts, split, strict=True)]
        return torch.cat(features, dim=1)


class _ToChannelsFirst(nn.Module):
    """(N, H W C) bytes as (N, C, H, W) numbers in [-0.5, 0.5]."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, flat: Tensor) -> Tensor:
        image = flat.reshape(-1, *self._shape).movedim(-1, 1)
        return image / 255.0 - 0.5


def _convolutions(space: gym.spaces.Box) -> nn.Sequential:
    layers: list[nn.Module] = [_ToChannelsFirst(space.shape)]
    channels = space.shape[-1]
    for more, kernel in zip(_CHANNELS, _KERNELS, strict=True):
        layers += [nn.Conv2d(channels, more, kernel, stride=2, padding=kernel // 2), nn.ELU()]
        channels = more
    return nn.Sequential(*layers, nn.Flatten())
