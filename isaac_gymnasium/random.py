"""Per-environment random numbers from counters: Philox4x32-10 on torch tensors.

A counter-based generator has no state to advance: every number is a fixed function of (seed,
stream, episode, step, draw). Environment 7 of 16 therefore sees the numbers of environment 7 of
4096, whatever its neighbours do, and one captured CUDA graph serves every step, since all that
changes is held in tensors.

Source: Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011; their
library Random123 publishes the known-answer vectors that the tests hold this file to.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from isaac_gymnasium._warp import import_warp, torch_stream

__all__ = ["RandomStreams", "philox4x32"]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)  # Salmon et al. 2011, section 3.3
_WEYL = (0x9E3779B9, 0xBB67AE85)  # golden ratio, sqrt(3) - 1: what each round adds to the key words


@functools.lru_cache(maxsize=16)
def _constants(device: torch.device, rounds: int) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Two multipliers (2, 2, 1, 1) int64 and key increments (pairs of rounds, 4, 1, 1) int32.

    Kept for each device: a copy from the host would be a sync, and is forbidden in a CUDA graph.
    """
    # The two lanes trade places every round, so a pair of rounds sees the order 0 1, then 1 0.
    lanes = [[_MULTIPLIERS[(turn + lane) % 2] for lane in range(4)] for turn in range(2)]
    pairs = range(0, rounds, 2)
    keys = [[_WEYL[1] * r, _WEYL[0] * r, _WEYL[0] * (r + 1), _WEYL[1] * (r + 1)] for r in pairs]
    with torch.inference_mode(False):
        multipliers = torch.tensor(lanes, dtype=torch.int64, device=device).view(2, 2, 2, 1, 1)
        increments = torch.tensor(keys, dtype=torch.int64, device=device).view(-1, 4, 1, 1)
        return multipliers.unbind(0), increments.to(torch.int32)  # modulo 2**32


def _halves(words: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Views (...) int32 of the low and high 32 bits of (...) int64 ``words`` (little-endian)."""
    low, high = words.unsqueeze(-1).view(torch.int32).unbind(-1)
    return low, high


def _philox(
    counter: Sequence[torch.Tensor], key: Sequence[torch.Tensor], rounds: int = 10
) -> torch.Tensor:
    """Encrypt four (B, P) int64 words with two int32 key words, (B or 1, P): (4, B, P) int64."""
    # Each torch call is a kernel launch, and this is most of a draw, so a round is three calls:
    # both products are one call over two lanes; int32 views stand in for shifts and masks; and a
    # product is written twice over (lanes 0 1 0 1), so that its slice 1:3 is the swap that ends a
    # round.
    (c0, c1, c2, c3), (k0, k1) = counter, key
    multipliers, increments = _constants(c0.device, rounds)
    keys = (torch.stack((k1, k0, k0, k1)) + increments).view(-1, 2, *k0.shape).unbind(0)

    words = torch.stack((c0, c3, c2, c1))  # the first round, too, takes its odd words swapped
    low, _ = _halves(words)
    even, even_low, odd_low = words[0::2], low[0::2], low[1::2]

    buffer = torch.empty((2, 4, *c0.shape), dtype=torch.int64, device=words.device)
    products = buffer.view(2, 2, 2, *c0.shape).unbind(0)  # two, since one outlives its round
    low, high = _halves(buffer)
    swapped_lows, highs = low[:, 1:3].unbind(0), high[:, 0:2].unbind(0)

    odd = odd_low
    for turn, round_key in enumerate(keys[:rounds]):
        side = turn % 2
        torch.mul(even, multipliers[side], out=products[side])
        # Only low halves are ever written: the zeros above keep ``even`` unsigned 64-bit words.
        torch.bitwise_xor(highs[side], odd ^ round_key, out=even_low)
        odd = swapped_lows[side]
    odd_low.copy_(low[1 - rounds % 2, 0:2])
    return words if rounds % 2 == 0 else words.roll(2, 0)


def philox4x32(counter: torch.Tensor, key: torch.Tensor, rounds: int = 10) -> torch.Tensor:
    """Encrypt counters with Philox4x32, bit for bit as Random123 does, on any device.

    Args:
        counter: (..., 4) int64, four 32-bit words each in [0, 2**32).
        key: (..., 2) int64, two 32-bit words each in [0, 2**32); the leading dimensions of counter
            and key broadcast.
        rounds: At least 1; the authors recommend 10.

    Returns:
        (..., 4) int64, random words in [0, 2**32).

    Source: Salmon et al. 2011, section 3.3.
    """
    shape = torch.broadcast_shapes(counter.shape[:-1], key.shape[:-1])
    counter_words = counter.expand(*shape, 4).reshape(1, -1, 4).unbind(-1)
    key_words = key.to(torch.int32).expand(*shape, 2).reshape(1, -1, 2).unbind(-1)
    return _philox(counter_words, key_words, rounds).movedim(0, -1).reshape(*shape, 4)


@functools.cache
def _launcher(device: torch.device) -> Callable[..., torch.Tensor] | None:
    """Launches a kernel that draws; None without Warp, which every engine brings."""
    try:
        wp = import_warp()
    except ImportError:
        return None
    from isaac_gymnasium import _philox_kernel

    wp.load_module(_philox_kernel, device=str(device))  # before any capture

    def launch(
        kernel: str, rng: RandomStreams, first: int, out: torch.Tensor, *numbers: float
    ) -> torch.Tensor:
        """Fills (N, numbers) of `out` from the block `first` on."""
        state = (rng._step, rng.episode, rng.stream, rng.seed)
        wp.launch(
            getattr(_philox_kernel, kernel),
            dim=(len(out), _blocks_for(out.shape[1])),
            inputs=[first, *map(wp.from_torch, state), *numbers],
            outputs=[wp.from_torch(out)],
            device=str(device),
            stream=torch_stream(device),
        )
        return out

    return launch


def _blocks_for(count: int) -> int:
    return -(-count // 4)


class RandomStreams:
    """One independent stream of random numbers for each environment.

    Key: the environment's 64-bit seed. Counter words: draw block, step within the episode, episode,
    stream. A call takes the next blocks of four words, beginning at a fresh block. The block number
    is a Python int that ``begin`` sets back to 0, so a captured graph draws anew at every replay.
    Draw the same shapes for all environments, needed or not, and choose by mask.

    The state tensors are persistent and updated only in place; no method syncs with the device.

    Attributes:
        seed: (N,) int64, any bit pattern; 0 until ``reseed``.
        stream: (N,) int64 in [0, 2**32), at first the environment's own index.
        episode: (N,) int64 in [0, 2**32), at first 0.
    """

    seed: torch.Tensor
    stream: torch.Tensor
    episode: torch.Tensor

    def __init__(self, num_envs: int, device: torch.device | str) -> None:
        """Create streams with seed 0, episode 0 for ``num_envs`` environments on ``device``."""
        with torch.inference_mode(False):  # else no update in place could follow outside it
            self.seed = torch.zeros(num_envs, dtype=torch.int64, device=device)
            self.stream = torch.arange(num_envs, dtype=torch.int64, device=device)
            self.episode = torch.zeros_like(self.seed)
            self._step = torch.zeros_like(self.seed)
            self._key = _halves(self.seed.unsqueeze(0))  # views: they follow ``seed``
        self._block = 0
        self._trunk: RandomStreams | None = None
        self._offset = 0
        _constants(self.seed.device, 10)  # before any capture
        device = self.seed.device
        self._launch = _launcher(device) if device.type == "cuda" else None

    def branch(self, number: int) -> RandomStreams:
        """Streams of the same seeds and episodes with other numbers, for another purpose.

        They follow these wherever their seeds, streams and episodes are set, from ``begin`` on.

        Args:
            number: In [1, 256); tells the branches apart.

        Raises:
            ValueError: ``number`` is out of range.
        """
        if not 1 <= number < 256:
            raise ValueError(f"number must be in [1, 256), got {number}")
        other = RandomStreams(len(self.seed), self.seed.device)
        other.seed, other.episode, other._key = self.seed, self.episode, self._key
        other._trunk, other._offset = self, number << 24
        return other

    def reseed(self, seeds: torch.Tensor, mask: torch.Tensor) -> None:
        """Give the environments in ``mask`` (N,) bool new ``seeds`` (N,) int64 and episode 0.

        Raises:
            ValueError: A tensor has another dtype, shape or device.
        """
        self._check("seeds", seeds, torch.int64)
        self._check("mask", mask, torch.bool)
        torch.where(mask, seeds, self.seed, out=self.seed)
        self.episode.masked_fill_(mask, 0)

    def next_episode(self, mask: torch.Tensor) -> None:
        """Count one more episode for the environments in ``mask`` (N,) bool.

        Raises:
            ValueError: ``mask`` has another dtype, shape or device.
        """
        self._check("mask", mask, torch.bool)
        self.episode.add_(mask)

    def begin(self, step: torch.Tensor | int = 0) -> None:
        """Start a phase: draws count from 0 again, at ``step``, an int or (N,) int64 in [0, 2**32).

        Resets draw at step 0; step k of an episode draws at k >= 1. Two phases at the same step of
        the same episode repeat each other's numbers. The values of ``step`` are copied.

        Raises:
            ValueError: ``step`` is a tensor of another dtype, shape or device.
        """
        if isinstance(step, int):
            self._step.fill_(step)
        else:
            self._check("step", step, torch.int64)
            self._step.copy_(step)
        if self._trunk is not None:
            torch.add(self._trunk.stream, self._offset, out=self.stream)
        self._block = 0

    def bits(self, count: int) -> torch.Tensor:
        """Draw (N, count) int64 words, uniform over [0, 2**32)."""
        return self._blocks(count).flatten(1)[:, :count].contiguous()

    def uniform(
        self,
        low: float | torch.Tensor = 0.0,
        high: float | torch.Tensor = 1.0,
        shape: tuple[int, ...] = (),
    ) -> torch.Tensor:
        """Draw from the uniform distribution over [low, high) on a grid of 2**24 points.

        In float32 ``low + u * (high - low)`` may round up to ``high``: the result is held at the
        last float32 below. Where ``low == high`` it is that value. Same bits on CPU and CUDA.

        Args:
            low: Lower bound, a float or float32 tensor broadcastable to `(N, *shape)`.
            high: Upper bound, likewise. Bounds are rounded to float32 first; ``low <= high`` is
                checked for floats only, since looking into a tensor would be a sync.
            shape: Shape of one environment's sample.

        Returns:
            `(N, *shape)` float32.

        Raises:
            ValueError: ``low > high``, or their difference is no finite float32.
        """
        if isinstance(low, torch.Tensor) or isinstance(high, torch.Tensor):
            values = self._uniform(shape, 1.0)
            low, high = (
                b.to(torch.float32) if isinstance(b, torch.Tensor) else values.new_full((), b)
                for b in (low, high)
            )
            return values.mul_(high - low).add_(low).clamp_(max=torch.nextafter(high, low))

        low32, high32 = np.float32(low), np.float32(high)
        span = float(high32 - low32)
        if not 0.0 <= span < math.inf:
            raise ValueError(f"uniform: expected finite bounds low <= high, got {low} and {high}")
        if low32 == 0.0:  # the product alone cannot round up to high
            return self._uniform(shape, span)
        return self._uniform(shape, span, float(low32), float(np.nextafter(high32, low32)))

    def _uniform(
        self, shape: tuple[int, ...], span: float, low: float = 0.0, most: float = math.inf
    ) -> torch.Tensor:
        """`(N, *shape)` float32: `low` and the upper 24 bits of words in units of `span`."""
        count, scale = math.prod(shape), span * 2.0**-24
        if self._launch is not None and count:
            out = torch.empty(len(self.seed), count, device=self.seed.device)
            first = self._next_block(count)
            return self._launch("draw_uniform", self, first, out, scale, low, most).view(
                self._shape(shape)
            )
        grid = self._blocks(count).bitwise_right_shift_(8)  # below 2**24: exact in float32
        grid = grid.to(torch.float32, memory_format=torch.contiguous_format)
        values = grid.flatten(1)[:, :count].mul(scale).view(self._shape(shape))
        return values if low == 0.0 else values.add_(low).clamp_(max=most)

    def normal(
        self,
        mean: float | torch.Tensor = 0.0,
        std: float | torch.Tensor = 1.0,
        shape: tuple[int, ...] = (),
    ) -> torch.Tensor:
        """Draw from the normal distribution by the Box-Muller transform.

        Standard normals are computed in float64 from two whole words and rounded once to float32,
        then scaled in float32. The largest magnitude is 6.8 standard deviations. CPU and CUDA
        differ only where their float64 log, sin and cos fall on two sides of a float32 rounding
        boundary: by one unit in the last place, in 2 of 3.7e9 draws counted on an H100.

        Args:
            mean: Mean, a float or float32 tensor broadcastable to `(N, *shape)`.
            std: Standard deviation, likewise.
            shape: Shape of one environment's sample.

        Returns:
            `(N, *shape)` float32.

        Source: Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
        """
        count = math.prod(shape)
        blocks = self._blocks(count).to(torch.float64, memory_format=torch.contiguous_format)
        # Half a step keeps the logarithm's argument inside (0, 1).
        radius = blocks[..., 0::2].add(0.5).mul_(2.0**-32).log_().mul_(-2.0).sqrt_()
        angle = blocks[..., 1::2].mul(math.tau * 2.0**-32)
        pairs = torch.view_as_real(torch.polar(radius, angle)).flatten(1)
        values = pairs[:, :count].to(torch.float32, memory_format=torch.contiguous_format)
        values = values.view(self._shape(shape))
        if isinstance(std, torch.Tensor) or std != 1.0:
            values.mul_(std)
        if isinstance(mean, torch.Tensor) or mean != 0.0:
            values.add_(mean)
        return values

    def integers(self, low: int, high: int, shape: tuple[int, ...] = ()) -> torch.Tensor:
        """Draw `(N, *shape)` int64 from [low, high), the same on CPU and CUDA.

        Each value's probability is within 2**-32 of 1 / (high - low).

        Raises:
            ValueError: ``high - low`` is not in [1, 2**31].
        """
        span = high - low
        if not 1 <= span <= 2**31:
            raise ValueError(f"integers: expected 1 <= high - low <= 2**31, got {low} and {high}")
        words = self.bits(math.prod(shape))
        return words.mul_(span).bitwise_right_shift_(32).add_(low).view(self._shape(shape))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return clones of ``seed``, ``stream`` and ``episode``, each (N,) int64."""
        return {name: getattr(self, name).clone() for name in ("seed", "stream", "episode")}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy in what ``state_dict`` returned; call ``begin`` before the next draw.

        Raises:
            KeyError: ``state`` lacks one of the three.
            ValueError: One of them has another dtype, shape or device.
        """
        own = {"seed": self.seed, "stream": self.stream, "episode": self.episode}
        for name in own:
            self._check(name, state[name], torch.int64)
        for name, tensor in own.items():
            tensor.copy_(state[name])

    def _next_block(self, count: int) -> int:
        """The first of the blocks that ``count`` words are taken from; they are used up then."""
        first = self._block
        self._block += _blocks_for(count)
        return first

    def _blocks(self, count: int) -> torch.Tensor:
        """The next ceil(count / 4) blocks, (N, blocks, 4) int64, perhaps not contiguous."""
        first, device = self._next_block(count), self.seed.device
        if self._launch is not None and count:
            size = (len(self.seed), 4 * _blocks_for(count))
            out = torch.empty(size, dtype=torch.int64, device=device)
            return self._launch("draw_words", self, first, out).view(len(out), -1, 4)
        draw = torch.arange(first, self._block, device=device)
        words = torch.broadcast_tensors(draw.unsqueeze(1), self._step, self.episode, self.stream)
        return _philox(words, self._key).permute(2, 1, 0)

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.seed.shape[0], *shape)

    def _check(self, name: str, value: torch.Tensor, dtype: torch.dtype) -> None:
        own = self.seed
        if value.dtype != dtype or value.shape != own.shape or value.device != own.device:
            raise ValueError(
                f"{name}: expected {dtype} of shape {tuple(own.shape)} on {own.device}, "
                f"got {value.dtype} of shape {tuple(value.shape)} on {value.device}"
            )
