"""The network for images: what it finds in flat observations."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from isaac_gymnasium.integrations.image_encoder import ImageEncoder, has_images
from isaac_gymnasium.wrappers.flatten import flatten

IMAGE = gym.spaces.Box(0, 255, (9, 14, 6), np.uint8)
JOINTS = gym.spaces.Box(-np.inf, np.inf, (5,), np.float32)
NESTED = gym.spaces.Dict({"a": JOINTS, "b": gym.spaces.Dict({"c": IMAGE}), "d": JOINTS})


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (IMAGE, True),
        (NESTED, True),
        (JOINTS, False),
        (gym.spaces.Box(0, 255, (9, 14), np.uint8), False),
        (gym.spaces.Box(0.0, 1.0, (9, 14, 3), np.float32), False),
    ],
)
def test_images_are_boxes_of_bytes_with_three_axes(space: gym.Space, expected: bool) -> None:
    assert has_images(space) == expected


def test_images_are_found_again_and_the_rest_passes_through() -> None:
    encoder = ImageEncoder(NESTED)
    image = torch.randint(0, 256, (4, 9, 14, 6), dtype=torch.uint8)
    first, last = torch.randn(4, 5), torch.randn(4, 5)
    flat = flatten(NESTED, {"a": first, "b": {"c": image}, "d": last}, torch.float32)
    features = encoder(flat)
    assert features.shape == (4, encoder.num_features)
    assert torch.equal(features[:, :5], first) and torch.equal(features[:, -5:], last)
    layers = list(encoder.parts[1])[1:]
    expected = image.permute(0, 3, 1, 2).float() / 255 - 0.5
    for layer in layers:
        expected = layer(expected)
    torch.testing.assert_close(features[:, 5:-5], expected)


def test_bytes_are_taken_as_they_are() -> None:
    encoder = ImageEncoder(IMAGE)
    flat = torch.randint(0, 256, (3, 9 * 14 * 6), dtype=torch.uint8)
    torch.testing.assert_close(encoder(flat), encoder(flat.float()))
