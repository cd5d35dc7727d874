"""`Draw`: the present numbers of one term, and how new ones are drawn."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isaac_gymnasium.random import RandomStreams
from isaac_gymnasium.randomization.terms import Term


class Draw:
    """Numbers (N, K) of one term in every environment.

    Args:
        term: What they are drawn from.
        count: K, how many an environment needs.
        level: (N,) in [0, 1], the share of its range that an environment draws from.

    Attributes:
        values: (N, K) float32, changed in place.
        range: (2,) or (choices,) float32 on the device; changed in place by a curriculum.
    """

    def __init__(self, term: Term, count: int, level: Tensor) -> None:
        self.term = term
        self.count = count
        self._level = level
        self.range = torch.tensor(term.range, device=level.device)
        neutral = {"scale": 1.0, "additive": 0.0}.get(term.operation or "")
        if neutral is None:  # What replaces the nominal value shrinks to the middle of its range.
            neutral = sum(term.range[:2]) / 2 if term.distribution != "normal" else term.range[0]
        self.neutral = float(neutral) if term.target != "action_delay" else 0.0
        self.values = torch.full((len(level), count), self.neutral, device=level.device)

    def sample(self, rng: RandomStreams) -> Tensor:
        """(N, K) new numbers, in each environment's range at its level."""
        drawn = 1 if self.term.together else self.count
        values = self._sample(rng, (drawn,))
        level = self._level.unsqueeze(-1)
        # Exact at both ends, so that level 1 draws from the range as it was given.
        values = torch.where(level < 1.0, self.neutral + level * (values - self.neutral), values)
        if self.term.target == "action_delay":
            values = self._whole(values)
        if self.term.shared:
            values = values[:1]
        return values.expand_as(self.values)

    def _sample(self, rng: RandomStreams, shape: tuple[int, ...]) -> Tensor:
        kind, (low, high) = self.term.distribution, (self.range[0], self.range[-1])
        if kind == "choice":
            index = rng.integers(0, len(self.range), shape)
            return self.range.index_select(0, index.flatten()).view(index.shape)
        if kind == "normal":
            return rng.normal(low, high, shape)
        if kind == "log_uniform":
            # In float64: of float32 the exponential depends on how many there are.
            low, high = low.double().log(), high.double().log()
            exponent = low + (high - low) * rng.uniform(shape=shape).double()
            return exponent.exp().to(torch.float32)
        return rng.uniform(low, high, shape)

    def _whole(self, values: Tensor) -> Tensor:
        """Numbers as whole ones, now: the range may have moved by the time they are used.

        Of a uniform range each is as likely as the others; rounding would halve those at its ends.
        """
        if self.term.distribution == "uniform":
            low, width = self.range[0], self.range[1] - self.range[0]
            share = (values - low) / width.clamp(min=1e-6)
            values = low + (share * (width + 1.0)).floor().clamp(max=width)
        return values.round()

    def whole_steps(self) -> Tensor:
        """(N,) int64: the first of the numbers."""
        return self.values[:, 0].round().to(torch.int64)

    def set_range(self, *values: float) -> None:
        """Moves the range; numbers already drawn stay until the next draw.

        Raises:
            ValueError: If it is no range of the term's distribution, or if delays are to be longer
                than the range allowed that the term was made with.
        """
        Term(**{**vars(self.term), "range": values})
        if len(values) != len(self.range):
            raise ValueError(f"range must be {len(self.range)} numbers, got {len(values)}")
        if self.term.target == "action_delay" and max(values) > self.most:
            raise ValueError(
                f"action_delay: range must end at {self.most} steps at most, for which there is "
                f"room since the start, got {values}"
            )
        self.range.copy_(torch.tensor(values, dtype=torch.float32))

    @property
    def most(self) -> int:
        """The largest whole number in the range, rounded up."""
        return math.ceil(max(self.term.range))
