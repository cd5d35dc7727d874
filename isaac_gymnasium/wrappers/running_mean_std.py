"""`RunningMeanStd`: mean and variance of a stream of batches, on its device."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor

from isaac_gymnasium.tree import over_rows, plain_torch


class RunningMeanStd:
    """Mean and variance of all samples seen, merged batch by batch.

    A batch is summed about the mean so far (shifted data), and the statistics of two processes
    merge by the pairwise formula. Neither approximates; float64 keeps the rounding out of sight.

    Args:
        epsilon: Weight of the initial guess, mean 0 and variance 1, in samples.
        shape: Shape of a sample.
        device: Where the samples live.

    Attributes:
        mean: (*shape,) float64.
        count: () float64, number of samples.
        square: (*shape,) float64, sum of the squared deviations from the mean.

    Source: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances", 1979; "Algorithms for Computing the Sample Variance", 1983.
    """

    def __init__(
        self,
        epsilon: float = 1e-4,
        shape: tuple[int, ...] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        with plain_torch():
            self.mean = torch.zeros(shape, dtype=torch.float64, device=device)
            self.count = torch.full((), epsilon, dtype=torch.float64, device=device)
            self.square = torch.full_like(self.mean, epsilon)
            self._zero = torch.zeros_like(self.count)
            self._shared = self._pack()

    @property
    def var(self) -> Tensor:
        """(*shape,) float64, the variance of all samples."""
        return self.square / self.count

    def inverse_std(self, epsilon: Tensor) -> Tensor:
        """(*shape,) float64, 1 / sqrt(variance + epsilon), for a () float64 epsilon."""
        return torch.addcdiv(epsilon, self.square, self.count).rsqrt_()

    def normalize(self, *batches: Tensor, epsilon: Tensor) -> list[Tensor]:
        """Batches (B, *shape) as float32, with the mean subtracted and divided by the deviation."""
        scale = self.inverse_std(epsilon)
        offset = torch.addcmul(self._zero, self.mean, scale, value=-1.0)
        # In float64, like the sums, and rounded to float32 as it is written.
        results = [torch.empty_like(batch, dtype=torch.float32) for batch in batches]
        for batch, result in zip(batches, results, strict=True):
            torch.addcmul(offset, self._wide(batch), scale, out=result)
        return results

    def update(self, samples: Tensor, mask: Tensor | None = None) -> None:
        """Adds a batch.

        Args:
            samples: (B, *shape), any dtype.
            mask: (B,) bool, the samples that count; None is all of them.
        """
        deviation = self._wide(samples) - self.mean
        if mask is None:
            self.count.add_(samples.shape[0])
        else:
            deviation = torch.where(over_rows(mask, samples), deviation, self._zero)
            self.count.add_(mask.sum())
        # About the old mean: old and new samples have the sums square + norm² and total, and the
        # new mean lies total / count away.
        total = deviation.sum(0)
        norm = torch.linalg.vector_norm(deviation, dim=0)
        shift = total / self.count
        self.square.addcmul_(norm, norm).addcmul_(total, shift, value=-1.0)
        self.mean.add_(shift)

    def synchronize(self, group: Any = None) -> None:
        """Merges what each process of a group has seen since the last call.

        Args:
            group: A process group of `torch.distributed`; None is all processes.
        """
        own = _difference(self._pack(), self._shared)
        parts = [torch.empty_like(own) for _ in range(torch.distributed.get_world_size(group))]
        torch.distributed.all_gather(parts, own, group=group)
        merged = self._shared
        for part in parts:
            merged = _sum(merged, part)
        self._unpack(merged)

    def share(self) -> None:
        """Takes the present statistics for those that all processes have in common."""
        self._shared = self._pack()

    def _wide(self, samples: Tensor) -> Tensor:
        """The samples, as float64 where a mean without dimensions would not make them so."""
        return samples if self.mean.dim() else samples.to(torch.float64)

    def _pack(self) -> Tensor:
        """(3, S): counts, means and squares."""
        mean = self.mean.reshape(-1)
        return torch.stack((self.count.expand_as(mean), mean, self.square.reshape(-1)))

    def _unpack(self, packed: Tensor) -> None:
        count, mean, square = packed
        self.count.copy_(count[0])
        self.mean.copy_(mean.view_as(self.mean))
        self.square.copy_(square.view_as(self.square))
        self._shared = packed


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """Statistics (3, S) of two sets of samples together: the pairwise formula."""
    count = a[0] + b[0]
    delta = b[1] - a[1]
    share = b[0] / count
    return torch.stack((count, a[1] + delta * share, a[2] + b[2] + delta.square() * a[0] * share))


def _difference(a: Tensor, b: Tensor) -> Tensor:
    """Statistics (3, S) of the samples in `a` that are not in `b`: the formula backwards."""
    count = a[0] - b[0]
    share = torch.where(count > 0, a[0] / count, 0.0)
    delta = (a[1] - b[1]) * share  # from the mean of b to that of the difference
    square = a[2] - b[2] - delta.square() * b[0] * torch.where(count > 0, count / a[0], 0.0)
    return torch.stack((count, b[1] + delta, square.clamp_(min=0.0)))
