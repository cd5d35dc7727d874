"""The random streams: the cipher against published vectors, the numbers against statistics.

Seeds are fixed, so nothing here is flaky; statistical bounds are five standard errors or more.
"""

import itertools
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from isaac_gymnasium.random import RandomStreams, _launcher, philox4x32

KNOWN_ANSWERS = [  # Random123, kat_vectors, philox4x32: rounds, counter, key, answer
    (7, "00000000 " * 4, "00000000 " * 2, "5f6fb709 0d893f64 4f121f81 4f730a48"),
    (10, "00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (10, "ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        10,
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]

DRAWS = {
    "bits": lambda s: s.bits(6),
    "uniform": lambda s: s.uniform(-2.0, 3.0, (5,)),
    "uniform_tensor": lambda s: s.uniform(
        torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 9.0]), (2,)
    ),
    "normal": lambda s: s.normal(1.0, 2.0, (3, 3)),
    "integers": lambda s: s.integers(-5, 100, (2,)),
}


def words(text):
    return [int(word, 16) for word in text.split()]


def python_philox(counter, key, rounds):
    """The cipher in Python integers, straight from section 3.3 of the paper."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(rounds):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 % 2**32, (p0 >> 32) ^ c3 ^ k1, p0 % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


def make_streams(num_envs, seed=0, device="cpu"):
    """All environments on one seed, told apart by their streams alone."""
    streams = RandomStreams(num_envs, device)
    everyone = torch.ones(num_envs, dtype=torch.bool, device=device)
    streams.reseed(torch.full((num_envs,), seed, dtype=torch.int64, device=device), everyone)
    streams.begin(1)
    return streams


def correlation(a, b):
    a, b = a.double().flatten(), b.double().flatten()
    return torch.corrcoef(torch.stack((a, b)))[0, 1].abs().item()


@pytest.mark.parametrize(("rounds", "counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(rounds, counter, key, answer):
    out = philox4x32(torch.tensor(words(counter)), torch.tensor(words(key)), rounds)
    assert out.tolist() == words(answer)


@pytest.mark.parametrize("rounds", [1, 2, 3, 9, 10])
def test_philox_agrees_with_python_integers_and_broadcasts_the_key(rounds):
    generator = torch.Generator().manual_seed(0)
    counter = torch.randint(0, 2**32, (3, 5, 4), generator=generator)
    key = torch.randint(0, 2**32, (3, 1, 2), generator=generator)
    out = philox4x32(counter, key, rounds)
    assert out.shape == (3, 5, 4) and out.dtype == torch.int64
    for i, j in itertools.product(range(3), range(5)):
        expected = python_philox(counter[i, j].tolist(), key[i, 0].tolist(), rounds)
        assert out[i, j].tolist() == expected


def test_bits_are_the_cipher_of_block_step_episode_and_stream_under_the_seed():
    streams = RandomStreams(3, "cpu")
    seeds = torch.tensor([-1, 2**40 + 7, 12345])
    streams.reseed(seeds, torch.tensor([True, True, True]))
    streams.next_episode(torch.tensor([False, True, True]))
    streams.begin(torch.tensor([4, 5, 6]))
    streams.bits(4)
    drawn = streams.bits(8)
    for env, block in itertools.product(range(3), range(2)):
        seed = seeds[env].item() % 2**64
        counter = [1 + block, 4 + env, [0, 1, 1][env], env]
        expected = python_philox(counter, [seed % 2**32, seed >> 32], 10)
        assert drawn[env, 4 * block : 4 * block + 4].tolist() == expected


def test_a_call_begins_at_a_fresh_block_and_a_phase_at_the_first():
    streams = make_streams(5)
    both = streams.bits(8)
    streams.begin(1)
    assert torch.equal(streams.bits(1), both[:, :1])
    assert torch.equal(streams.bits(3), both[:, 4:7])


@pytest.mark.parametrize("name", DRAWS)
def test_an_environment_sees_the_same_bits_among_16_and_among_4096(name):
    few, many = DRAWS[name](make_streams(16)), DRAWS[name](make_streams(4096))
    assert torch.equal(few, many[:16])
    alone = make_streams(1)
    alone.stream.fill_(7)
    assert torch.equal(DRAWS[name](alone)[0], many[7])


@pytest.mark.parametrize("name", DRAWS)
def test_resets_and_seeds_of_others_do_not_matter(name):
    quiet, busy = make_streams(8), make_streams(8)
    others = torch.arange(8) != 3
    busy.reseed(torch.arange(100, 108), others)
    busy.next_episode(others)
    busy.begin(torch.where(others, 9, 1))
    a, b = DRAWS[name](quiet), DRAWS[name](busy)
    assert torch.equal(a[3], b[3])
    assert not torch.equal(a, b)


def test_seed_stream_episode_step_and_draw_all_change_the_numbers():
    everyone = torch.ones(64, dtype=torch.bool)
    seen = []
    for seed in (0, 1, 2**32, -1):
        streams = make_streams(64, seed)
        for step in (0, 1, 2):
            streams.begin(step)
            seen += [streams.bits(4), streams.bits(4)]
        streams.next_episode(everyone)
        streams.begin(1)
        seen.append(streams.bits(4))
    drawn = torch.stack(seen).flatten(0, 1)
    assert len(torch.unique(drawn, dim=0)) == len(drawn)


def test_the_step_is_copied_when_the_phase_begins():
    step = torch.ones(4, dtype=torch.int64)
    streams = make_streams(4)
    expected = streams.bits(4)
    streams.begin(step)
    step += 1
    assert torch.equal(streams.bits(4), expected)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4,), (2, 3), (0,)])
def test_draws_have_the_asked_shape_and_dtype_and_are_contiguous(shape):
    streams = make_streams(6)
    draws = (streams.uniform(shape=shape), streams.normal(shape=shape))
    for draw, dtype in zip(
        (*draws, streams.uniform(1, 2, shape), streams.integers(0, 9, shape)),
        (torch.float32, torch.float32, torch.float32, torch.int64),
        strict=True,
    ):
        assert draw.shape == (6, *shape) and draw.dtype == dtype and draw.is_contiguous()


BOUNDS = [
    (0.0, 1.0),
    (0.0, 0.7),
    (-1.0, 1.0),
    (1.0, 1.1),
    (1e6, 1e6 + 1),
    (-3e-3, 1e-9),
    (-2.0, 0.0),
]


@pytest.mark.parametrize("word", [0, 0xFF, 0x80000000, 0xFFFFFF00, 0xFFFFFFFF])
@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("bounds", BOUNDS)
def test_uniform_never_returns_high_nor_less_than_low(bounds, as_tensor, word, monkeypatch):
    streams = make_streams(2)
    monkeypatch.setattr(streams, "_blocks", lambda count: torch.full((2, 1, 4), word))
    low, high = torch.tensor(bounds)
    value = streams.uniform(*((low, high) if as_tensor else bounds), shape=(4,))
    assert (value >= low).all() and (value < high).all()
    if word < 2**8:
        assert (value == low).all()


def test_uniform_without_width_is_its_bound():
    streams = make_streams(3)
    assert (streams.uniform(0.3, 0.3, (5,)) == torch.tensor(0.3)).all()
    bound = torch.tensor([[0.1], [0.0], [-4.0]])
    assert torch.equal(streams.uniform(bound, bound, (5,)), bound.expand(3, 5))


def test_float_and_tensor_bounds_agree_and_broadcast_per_environment_and_per_component():
    a, b, c = make_streams(4), make_streams(4), make_streams(4)
    low, high = torch.tensor([-1.0, 0.0, 2.0]), torch.tensor([[1.0], [2.0], [3.0], [4.0]]) + 2.0
    drawn = a.uniform(low, high, (3,))
    assert torch.equal(drawn[2, 0], b.uniform(-1.0, 5.0, (3,))[2, 0])
    assert torch.equal(drawn[:, 1], c.uniform(0.0, high, (3,))[:, 1])


def test_normal_scales_by_mean_and_std_given_as_floats_or_tensors():
    standard = make_streams(4).normal(shape=(3,))
    assert torch.equal(make_streams(4).normal(1.5, 0.5, (3,)), standard * 0.5 + 1.5)
    mean, std = torch.arange(4.0).unsqueeze(1), torch.tensor([0.0, 1.0, 2.0])
    assert torch.equal(make_streams(4).normal(mean, std, (3,)), standard * std + mean)


@pytest.mark.parametrize("word", [0, 0xFFFFFFFF])
def test_normal_is_finite_at_both_ends_of_the_words(word, monkeypatch):
    streams = make_streams(2)
    monkeypatch.setattr(streams, "_blocks", lambda count: torch.full((2, 1, 4), word))
    assert (streams.normal(shape=(4,)).abs() < 6.8).all()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 4), (0, 2**31), (-(2**40), 5 - 2**40)])
def test_integers_reach_both_ends_of_their_range_and_no_further(low, high, monkeypatch):
    streams = make_streams(1)
    ends = torch.tensor([[[0, 0xFFFFFFFF, 0, 0]]])
    monkeypatch.setattr(streams, "_blocks", lambda count: ends)
    assert streams.integers(low, high, (2,)).tolist() == [[low, high - 1]]


def test_uniform_has_the_moments_and_the_flat_histogram_of_its_distribution():
    u = make_streams(4096, seed=1).uniform(shape=(64,)).double().flatten()
    n, bins = u.numel(), 256
    assert abs(u.mean().item() - 0.5) < 5 * math.sqrt(1 / 12 / n)
    assert abs(u.var().item() - 1 / 12) < 5 * math.sqrt(1 / 180 / n)
    counts = torch.bincount((u * bins).long(), minlength=bins).double()
    chi_square = ((counts - n / bins) ** 2 / (n / bins)).sum().item()
    assert abs(chi_square - (bins - 1)) < 5 * math.sqrt(2 * (bins - 1))


def test_every_bit_of_a_word_is_set_half_of_the_time():
    drawn = make_streams(4096, seed=2).bits(16).flatten()
    assert drawn.min() >= 0 and drawn.max() < 2**32
    share = torch.stack([(drawn >> bit & 1).double().mean() for bit in range(32)])
    assert (share - 0.5).abs().max() < 5 * 0.5 / math.sqrt(drawn.numel())


def test_integers_are_evenly_spread():
    drawn = make_streams(4096, seed=3).integers(-3, 4, (16,)).flatten()
    expected = drawn.numel() / 7
    counts = torch.bincount(drawn + 3, minlength=7).double()
    assert ((counts - expected) ** 2 / expected).sum().item() < 6 + 5 * math.sqrt(12)


def test_normal_passes_kolmogorov_smirnov_and_has_its_first_four_moments():
    z = make_streams(4096, seed=4).normal(shape=(63,)).double().flatten().sort().values
    n = z.numel()
    cdf = 0.5 * (1.0 + torch.erf(z / math.sqrt(2.0)))
    steps = torch.arange(n, dtype=torch.float64)
    distance = torch.maximum(cdf - steps / n, (steps + 1) / n - cdf).max().item()
    assert math.sqrt(n) * distance < 1.95  # exceeded once in a thousand
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean().item() - moment) < 5 * math.sqrt(variance / n)


@pytest.mark.parametrize("draw", ["uniform", "normal"])
def test_neighbouring_environments_draws_steps_episodes_and_seeds_are_uncorrelated(draw):
    def sample(seed=5, episode=0, step=1):
        streams = make_streams(4096, seed)
        streams.episode.fill_(episode)
        streams.begin(step)
        return getattr(streams, draw)(shape=(16,))

    base = sample()
    pairs = {
        "environment": (base[:-1], base[1:]),
        "component": (base[:, :-1], base[:, 1:]),
        "pair": (base[:, 0::2], base[:, 1::2]),
        "episode": (base, sample(episode=1)),
        "step": (base, sample(step=2)),
        "seed": (base, sample(seed=6)),
        "high seed word": (base, sample(seed=5 + 2**32)),
    }
    for name, (a, b) in pairs.items():
        assert correlation(a, b) < 5 / math.sqrt(a.numel()), name
        assert correlation(a**2, b**2) < 5 / math.sqrt(a.numel()), name


def test_reseed_and_next_episode_touch_only_the_rows_in_their_mask():
    streams = make_streams(4, seed=9)
    streams.next_episode(torch.tensor([True, True, False, True]))
    streams.next_episode(torch.tensor([True, False, False, False]))
    assert streams.episode.tolist() == [2, 1, 0, 1]
    streams.reseed(torch.tensor([1, 2, 3, 4]), torch.tensor([False, True, True, False]))
    assert streams.seed.tolist() == [9, 2, 3, 9]
    assert streams.episode.tolist() == [2, 0, 0, 1]
    assert streams.stream.tolist() == [0, 1, 2, 3]


def test_state_tensors_stay_where_they_are():
    streams = RandomStreams(4, "cpu")
    state = (streams.seed, streams.stream, streams.episode)
    everyone = torch.ones(4, dtype=torch.bool)
    streams.reseed(torch.arange(4), everyone)
    streams.next_episode(everyone)
    streams.load_state_dict(streams.state_dict())
    assert streams.seed is state[0] and streams.stream is state[1] and streams.episode is state[2]


def test_state_dict_holds_clones_and_restores_the_numbers():
    streams = make_streams(4, seed=3)
    streams.next_episode(torch.tensor([True, False, True, False]))
    saved = streams.state_dict()
    expected = streams.bits(4)
    streams.reseed(torch.arange(4), torch.ones(4, dtype=torch.bool))
    assert saved["seed"].tolist() == [3] * 4
    other = RandomStreams(4, "cpu")
    other.stream.add_(50)
    other.load_state_dict(saved)
    other.begin(1)
    assert torch.equal(other.bits(4), expected)


def test_made_inside_inference_mode_it_works_outside_and_the_other_way_round():
    expected = make_streams(4).normal(shape=(2,))
    with torch.inference_mode():
        inside = make_streams(4)
    inside.begin(1)
    assert torch.equal(inside.normal(shape=(2,)), expected)
    inside.next_episode(torch.ones(4, dtype=torch.bool))
    outside = make_streams(4)
    with torch.inference_mode():
        outside.next_episode(torch.zeros(4, dtype=torch.bool))
        outside.begin(1)
        assert torch.equal(outside.normal(shape=(2,)), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda s: s.reseed(torch.zeros(3, dtype=torch.int64), torch.ones(4, dtype=torch.bool)),
            r"seeds: expected torch.int64 of shape \(4,\) .*, got torch.int64 of shape \(3,\)",
        ),
        (
            lambda s: s.reseed(torch.zeros(4), torch.ones(4, dtype=torch.bool)),
            r"seeds: expected torch.int64 .*, got torch.float32",
        ),
        (
            lambda s: s.next_episode(torch.ones(4)),
            r"mask: expected torch.bool .*, got torch.float32",
        ),
        (lambda s: s.begin(torch.ones(4)), r"step: expected torch.int64 .*, got torch.float32"),
        (
            lambda s: s.load_state_dict(s.state_dict() | {"stream": torch.arange(5)}),
            r"stream: expected .* \(4,\) .* \(5,\)",
        ),
        (lambda s: s.uniform(1.0, 0.0), r"expected finite bounds low <= high, got 1.0 and 0.0"),
        (lambda s: s.uniform(0.0, math.inf), "got 0.0 and inf"),
        (lambda s: s.integers(3, 3), r"expected 1 <= high - low <= 2\*\*31, got 3 and 3"),
        (lambda s: s.integers(0, 2**31 + 1), "got 0 and 2147483649"),
    ],
)
def test_wrong_arguments_are_told_what_was_expected_and_change_nothing(call, message):
    streams = make_streams(4, seed=8)
    before = streams.state_dict()
    with pytest.raises(ValueError, match=message):
        call(streams)
    assert all(torch.equal(before[name], value) for name, value in streams.state_dict().items())


class NoSync(TorchDispatchMode):
    """Fails on what reads a tensor's value on the host or sizes a tensor by it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name()
        assert not any(
            word in name for word in ("_local_scalar", "nonzero", "masked_select", "index")
        )
        return func(*args, **(kwargs or {}))


def test_nothing_reads_a_tensor_on_the_host():
    streams, mask = make_streams(4), torch.ones(4, dtype=torch.bool)
    with NoSync():
        streams.reseed(streams.seed + 1, mask)
        streams.next_episode(mask)
        streams.begin(streams.episode)
        for draw in DRAWS.values():
            draw(streams)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cpu_and_cuda_give_the_same_bits():
    cpu, cuda = make_streams(4096, seed=-7), make_streams(4096, seed=-7, device="cuda")
    low, high = torch.tensor([-0.1, 2.0, 0.0]), torch.tensor([0.7, 2.1, 1e5])
    assert torch.equal(cpu.bits(64), cuda.bits(64).cpu())
    assert torch.equal(cpu.uniform(-0.3, 0.9, (64,)), cuda.uniform(-0.3, 0.9, (64,)).cpu())
    tensor_bounds = cuda.uniform(low.cuda(), high.cuda(), (3,)).cpu()
    assert torch.equal(cpu.uniform(low, high, (3,)), tensor_bounds)
    assert torch.equal(cpu.integers(-9, 2**20, (64,)), cuda.integers(-9, 2**20, (64,)).cpu())
    a, b = cpu.normal(shape=(256,)), cuda.normal(shape=(256,)).cpu()
    assert torch.equal(a, b)  # a million draws, and about one in 10**9 may differ


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_replayed_cuda_graph_draws_the_numbers_of_the_step_it_is_at():
    streams = make_streams(64, device="cuda")
    step = torch.ones(64, dtype=torch.int64, device="cuda")
    everyone = torch.ones(64, dtype=torch.bool, device="cuda")

    def draw():
        streams.begin(step)
        return streams.uniform(-1.0, 1.0, (5,)), streams.normal(shape=(3,)), streams.integers(0, 9)

    draw()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = draw()
    for _ in range(2):
        step += 1
        streams.next_episode(everyone)
        graph.replay()
        replayed = [x.clone() for x in captured]
        assert all(torch.equal(a, b) for a, b in zip(replayed, draw(), strict=True))


def test_one_launch_draws_what_torch_draws():
    launch = _launcher(torch.device("cpu"))
    if launch is None:
        pytest.skip("needs Warp")
    streams = make_streams(67, seed=-3)
    streams.episode += torch.arange(67) * 64_000_000
    streams.begin(2**32 - 1 - torch.arange(67))
    for own in (streams, streams.branch(255)):
        for shape in [(), (1,), (7,), (4, 7), (0,)]:
            drawn = []
            for how in (None, launch):
                own._launch = how
                own.begin(streams._step)
                numbers = [own.uniform(*bounds, shape) for bounds in BOUNDS]
                low, high = torch.tensor(-0.1), torch.tensor(0.7)
                drawn.append(
                    [
                        *numbers,
                        own.uniform(low, high, shape),
                        own.bits(math.prod(shape)),
                        own.normal(shape=shape),
                    ]
                )
            for found, expected in zip(*drawn, strict=True):
                assert torch.equal(found, expected) and found.shape == expected.shape
