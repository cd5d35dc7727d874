"""Philox4x32-10 as one Warp kernel: on a GPU thirty launches of torch become one."""

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


@wp.kernel
def encrypt_blocks(
    first: wp.int32,
    step: wp.array(dtype=wp.int64),
    episode: wp.array(dtype=wp.int64),
    stream: wp.array(dtype=wp.int64),
    seed: wp.array(dtype=wp.int64),
    words: wp.array3d(dtype=wp.int64),
):
    """Four words for each environment and block; see `isaac_gymnasium.random`."""
    env, block = wp.tid()
    c0 = wp.uint32(first + block)
    c1 = wp.uint32(step[env])
    c2 = wp.uint32(episode[env])
    c3 = wp.uint32(stream[env])
    k0 = wp.uint32(seed[env])
    k1 = high(wp.uint64(seed[env]))
    for _ in range(10):
        even = MULTIPLIER_0 * wp.uint64(c0)
        odd = MULTIPLIER_1 * wp.uint64(c2)
        c0 = high(odd) ^ c1 ^ k0
        c2 = high(even) ^ c3 ^ k1
        c1 = wp.uint32(odd)
        c3 = wp.uint32(even)
        k0 += WEYL_0
        k1 += WEYL_1
    words[env, block, 0] = wp.int64(c0)
    words[env, block, 1] = wp.int64(c1)
    words[env, block, 2] = wp.int64(c2)
    words[env, block, 3] = wp.int64(c3)
