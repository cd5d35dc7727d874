"""Random use for as long as you like: what grows, what breaks, what slows down.

    python scripts/soak.py --minutes 30 --device cpu

Turn about, every task is made in a random autoreset mode, with and without randomisation; it is
stepped with random actions, reset at random, saved, restored, forked, and now and then made to hold
NaN. Fails if a number that is not finite comes out, if NaN in an episode is not marked, if an
episode goes on beyond its limit, if anything raises, or if resident memory grows in the second half
by more than `--growth` MB for each environment made, tasks on generated terrain aside: of their
meshes ovphysx itself loses 40 to 80 MB whenever one is made and closed, without any environment,
which `--terrain-growth` allows for. Where nothing else runs on the machine, `--drift 0.05` also
fails if the last tenth is that much slower than the first, each task's rates in units of their
median.
"""

from __future__ import annotations

import argparse
import collections
import gc
import itertools
import logging
import random
import statistics
import sys
import tempfile
import time
from typing import Any

import gymnasium as gym
import torch

import isaac_gymnasium

MODES = ("SameStep", "NextStep", "Disabled")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*", help="IDs; all by default")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--steps", type=int, default=200, help="of each environment made")
    parser.add_argument("--growth", type=float, default=2.0, help="MB for each environment made")
    parser.add_argument("--terrain-growth", type=float, default=100.0, help="the same on terrain")
    parser.add_argument("--drift", type=float, help="largest loss of speed; told only by default")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    logging.getLogger("isaac_gymnasium.nan").setLevel(logging.ERROR)
    rng = random.Random(args.seed)
    ids = args.ids or sorted(isaac_gymnasium.registered_tasks())
    begin, end = time.perf_counter(), time.perf_counter() + 60 * args.minutes
    memory: list[tuple[str, float]] = []
    rates: dict[str, list[tuple[float, float]]] = collections.defaultdict(list)
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        while time.perf_counter() < end:
            for id in ids:
                rate = use(id, rng, args, folder, counts)
                rates[id].append((time.perf_counter(), rate))
                gc.collect()
                memory.append((id, resident()))
                minutes = (time.perf_counter() - begin) / 60
                print(
                    f"{minutes:6.1f} min  {id:28s} {rate:10,.0f} steps/s  {memory[-1][1]:8.0f} MB",
                    flush=True,
                )
                if time.perf_counter() > end:
                    break
    return verdict(memory, rates, counts, begin, args)


def use(id: str, rng: random.Random, args: Any, folder: str, counts: Any) -> float:
    """One life of an environment; its median rate, environment steps a second."""
    mode = rng.choice(MODES)
    env: Any = gym.make_vec(
        id,
        num_envs=args.num_envs,
        device=args.device,
        engine=args.engine,
        autoreset_mode=mode,
        max_episode_steps=rng.choice((7, 50, 400)),
        randomization=rng.choice(("none", "default")),
        nan_folder=folder,
    )
    counts["environments"] += 1
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    env.reset(seed=rng.getrandbits(32), options={"stagger": rng.random() < 0.5})
    state, times = None, []
    try:
        for _ in range(args.steps):
            actions = 2 * torch.rand(env.action_space.shape, generator=generator) - 1
            poisoned = torch.zeros_like(env._ended)
            # One that has exploded and waits for its reset has no state to take.
            healthy = not bool(env._guard._exploded.any())
            event = rng.random()
            if event < 0.01:
                env.reset(options={"reset_mask": random_mask(env, generator)})
                counts["partial resets"] += 1
            elif event < 0.015 and healthy:
                state = env.get_state()
                counts["states taken"] += 1
            elif event < 0.02 and state is not None:
                env.set_state(state, random_mask(env, generator))
                counts["states restored"] += 1
            elif event < 0.025 and healthy:
                env.fork(rng.randrange(args.num_envs), random_mask(env, generator))
                counts["forks"] += 1
            elif event < 0.03:
                poisoned = poison(env, rng.randrange(args.num_envs))
                counts["poisoned"] += int(poisoned.any())
            # Whatever an episode that is over holds by now, its reset comes first.
            poisoned &= ~env._ended
            if mode == "Disabled" and bool(env._ended.any()):  # restored or forked, perhaps
                env.reset(options={"reset_mask": env._ended})
            started = time.perf_counter()
            obs, reward, terminated, truncated, info = env.step(actions)
            times.append(time.perf_counter() - started)
            for name, value in {**leaves("obs", obs), **leaves("info", info)}.items():
                if value.is_floating_point() and not bool(value.isfinite().all()):
                    raise AssertionError(f"{id}, {mode}: {name} is not finite")
            assert bool(reward.isfinite().all())
            assert not bool((terminated & truncated).any())
            unseen = poisoned & ~info["nan"]
            assert not bool(unseen.any()), f"{id}, {mode}: NaN went unnoticed"
            counts["poisoned in an episode"] += int(poisoned.any())
            stuck = env.episode_length > env.max_episode_steps
            assert not bool(stuck.any()), f"{id}, {mode}: episodes go on beyond their limit"
            counts["steps"] += args.num_envs
            counts["marked nan"] += int(info["nan"].sum())
            counts["episodes"] += int((terminated | truncated).sum())
    finally:
        env.close()
    return args.num_envs / statistics.median(times)


def poison(env: Any, row: int) -> torch.Tensor:
    """Writes joint velocities that are NaN, which is what an explosion looks like.

    Returns:
        (N,) bool: the row, where the scene has a robot to poison.
    """
    mask = torch.arange(env.num_envs, device=env.device) == row
    robots = [body for body in env.engine.bodies() if hasattr(body, "dof_names")]
    for robot in robots:
        robot._set("dof_vel", torch.full_like(robot.dof_vel, torch.nan), mask)
    return mask & bool(robots)


def random_mask(env: Any, generator: torch.Generator) -> torch.Tensor:
    mask = torch.rand(env.num_envs, generator=generator) < 0.3
    mask[0] |= not bool(mask.any())
    return mask


def leaves(name: str, tree: Any) -> dict[str, torch.Tensor]:
    if isinstance(tree, dict):
        return {k: v for key in tree for k, v in leaves(f"{name}[{key!r}]", tree[key]).items()}
    return {name: tree}


def resident() -> float:
    """MB of this process in memory."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 1e6
    except OSError:
        return 0.0


def verdict(memory: Any, rates: Any, counts: Any, begin: float, args: Any) -> int:
    print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    failed = 0
    lasted = time.perf_counter() - begin
    relative = []
    for found in rates.values():
        usual = statistics.median(rate for _, rate in found)
        relative += [((at - begin) / lasted, rate / usual) for at, rate in found]
    first = [rate for at, rate in relative if at < 0.1]
    last = [rate for at, rate in relative if at > 0.9]
    if first and last:
        change = statistics.median(last) / statistics.median(first) - 1.0
        allowed = "" if args.drift is None else f" (allowed {-args.drift:+.0%})"
        print(f"speed of the last tenth over the first: {change:+.1%}{allowed}")
        failed |= args.drift is not None and change < -args.drift
    half = len(memory) // 2
    growth = collections.defaultdict(list)
    for (_, before), (id, after) in itertools.pairwise(memory[half:]):
        growth["terrain" if "Rough" in id else "other"].append(after - before)
    for kind, most in (("other", args.growth), ("terrain", args.terrain_growth)):
        if growth[kind]:
            grown = statistics.mean(growth[kind])
            print(f"memory, {kind} tasks: {grown:+.2f} MB an environment made (allowed {most})")
            failed |= grown > most
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
