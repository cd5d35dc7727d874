"""`HostCopy`: several tensors to NumPy in one transfer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class HostCopy:
    """Copies tensors of one device to the host, all of them at once.

    On CUDA they are packed on the device, sent through pinned memory, and waited for once: many
    small transfers cost more than one large.

    Args:
        device: Where the tensors live.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinned = torch.empty(0, dtype=torch.uint8)

    def __call__(self, tensors: Sequence[Tensor]) -> list[np.ndarray]:
        """Copies tensors of any shapes and dtypes; the arrays, in their order, are the caller's."""
        return [array.copy() for array in self.look(tensors)]

    def look(self, tensors: Sequence[Tensor]) -> list[np.ndarray]:
        """As a call, but the arrays are valid only until the next one, or are the tensors' own."""
        if self._device.type != "cuda" or not tensors:
            return [tensor.detach().numpy() for tensor in tensors]
        # The widest first, so that each starts at a multiple of its own item size.
        order = sorted(range(len(tensors)), key=lambda i: -tensors[i].element_size())
        parts = [tensors[i].detach().contiguous().view(-1).view(torch.uint8) for i in order]
        packed = torch.cat(parts)
        if self._pinned.numel() < packed.numel():
            self._pinned = torch.empty(packed.numel(), dtype=torch.uint8, pin_memory=True)
        self._pinned[: packed.numel()].copy_(packed, non_blocking=True)
        torch.cuda.current_stream(self._device).synchronize()
        arrays: list[np.ndarray] = [np.empty(0)] * len(tensors)
        start, raw = 0, self._pinned.numpy()
        for i, part in zip(order, parts, strict=True):
            bytes_, start = raw[start : start + part.numel()], start + part.numel()
            dtype = torch.empty(0, dtype=tensors[i].dtype).numpy().dtype
            arrays[i] = bytes_.view(dtype).reshape(tensors[i].shape)
        return arrays
