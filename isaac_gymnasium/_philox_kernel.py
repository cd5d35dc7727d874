"""Philox4x32-10 in Warp kernels: on a GPU thirty launches of torch become one."""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})

# Of a type of their own: Warp takes a plain number for a signed one of 32 bits.
MULTIPLIER_0 = wp.constant(wp.uint64(0xD2511F53))
MULTIPLIER_1 = wp.constant(wp.uint64(0xCD9E8D57))
WEYL_0 = wp.constant(wp.uint32(0x9E3779B9))
WEYL_1 = wp.constant(wp.uint32(0xBB67AE85))


@wp.func
def high(product: wp.uint64):
    return wp.uint32(product >> wp.uint64(32))


@wp.func
def encrypted(block: wp.int32, step: wp.int64, episode: wp.int64, stream: wp.int64, seed: wp.int64):
    """Four words of a block; see `isaac_gymnasium.random`."""
    c0 = wp.uint32(block)
    c1 = wp.uint32(step)
    c2 = wp.uint32(episode)
    c3 = wp.uint32(stream)
    k0 = wp.uint32(seed)
    k1 = high(wp.uint64(seed))
    for _ in range(10):
        even = MULTIPLIER_0 * wp.uint64(c0)
        odd = MULTIPLIER_1 * wp.uint64(c2)
        c0 = high(odd) ^ c1 ^ k0
        c2 = high(even) ^ c3 ^ k1
        c1 = wp.uint32(odd)
        c3 = wp.uint32(even)
        k0 += WEYL_0
        k1 += WEYL_1
    return wp.vec4ui(c0, c1, c2, c3)


@wp.kernel
def draw_words(
    first: wp.int32,
    step: wp.array(dtype=wp.int64),
    episode: wp.array(dtype=wp.int64),
    stream: wp.array(dtype=wp.int64),
    seed: wp.array(dtype=wp.int64),
    out: wp.array2d(dtype=wp.int64),
):
    """Whole words, four for each environment and block."""
    env, block = wp.tid()
    words = encrypted(first + block, step[env], episode[env], stream[env], seed[env])
    for k in range(4):
        out[env, 4 * block + k] = wp.int64(words[k])


@wp.kernel
def draw_uniform(
    first: wp.int32,
    step: wp.array(dtype=wp.int64),
    episode: wp.array(dtype=wp.int64),
    stream: wp.array(dtype=wp.int64),
    seed: wp.array(dtype=wp.int64),
    scale: wp.float32,
    low: wp.float32,
    most: wp.float32,
    out: wp.array2d(dtype=wp.float32),
):
    """The upper 24 bits of words as `low + bits * scale`, held at `most`."""
    env, block = wp.tid()
    words = encrypted(first + block, step[env], episode[env], stream[env], seed[env])
    for k in range(4):
        column = 4 * block + k
        if column < out.shape[1]:
            # Exact in float64, so rounded once: fused with the sum it would not be rounded here.
            product = wp.float64(words[k] >> wp.uint32(8)) * wp.float64(scale)
            out[env, column] = wp.min(wp.float32(product) + low, most)
