"""What an environment step costs over the bare engine loop, and where the time goes.

    python benchmarks/step_cost.py IsaacFrankaCube-v0 --num-envs 4096 --device cuda:0

The bare loop makes the same engine calls as the environment (targets, physics steps, reads, masked
reset writes, kinematics, reads of what follows from them) with nothing of the task in between.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)

PERIOD = 64
"""Steps after which the random actions repeat."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("id", nargs="?", default="IsaacFrankaCube-v0")
    parser.add_argument("--num-envs", type=int, default=4096)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=100)
    args = parser.parse_args()

    env: Any = gym.make_vec(args.id, num_envs=args.num_envs, device=args.device)
    env.reset(seed=0)
    space = env.single_action_space.shape
    actions = torch.rand(PERIOD, args.num_envs, *space, device=env.device) * 2 - 1

    def env_step(k: int) -> None:
        env.step(actions[k % PERIOD])

    for k in range(args.warm_up):
        env_step(k)
    bare_step = bare_loop(env)
    # Turn about, step by step, so that both see the same clocks and the same physics: arms that
    # press on something take longer to solve.
    full, bare = [], []
    for _ in range(args.repeats):
        times = {env_step: 0.0, bare_step: 0.0}
        for k in range(args.steps):
            for step in times:
                times[step] += timed(step, k, env.device)
        full.append(times[env_step] / args.steps)
        bare.append(times[bare_step] / args.steps)
    print(f"{args.id}, {args.num_envs} environments, engine {env.engine.name}, {env.device}")
    for name, means in (("bare loop", bare), ("env.step", full)):
        ms = [1e3 * t for t in means]
        print(f"{name:10s} {statistics.median(ms):8.3f} ms  ({min(ms):.3f} to {max(ms):.3f})")
    ratios = [a / b for a, b in zip(full, bare, strict=True)]
    print(f"env.step / bare loop = {statistics.median(ratios):.3f}")
    print(f"environment steps a second: {args.num_envs / statistics.median(full):,.0f}")
    env.close()


def bare_loop(env: Any) -> Callable[[int], None]:
    """The engine calls of one step of the environment, found by watching one."""
    engine = env.engine
    reads_before, reads_after, writes = watch(env)
    mask = torch.rand(env.num_envs, device=env.device) < 0.005

    def step(_: int) -> None:
        for view, quantity in writes:
            if quantity not in view.STATE:
                engine._queue(view, quantity, None)
        engine.step(env.task.decimation)
        for view, quantity in reads_before:
            view._get(quantity)
        for view, quantity in writes:
            if quantity in view.STATE:
                view._writes += 1
                engine._queue(view, quantity, mask)
        for view, quantity in reads_after:
            view._get(quantity)

    return step


def watch(env: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Which quantities a step pulls before and after its resets, and which it pushes."""
    from isaac_gymnasium.engines.base import View

    pulls: list[list[Any]] = [[], []]
    pushes: list[Any] = []
    views = {v for v in vars(env.task).values() if isinstance(v, View)}
    originals = {view: (view._pull, view._push) for view in views}
    for view in views:

        def pull(quantity: str, view: Any = view) -> None:
            after = any(q in view.STATE for v, q in pushes)
            pulls[after].append((view, quantity))
            originals[view][0](quantity)

        def push(quantity: str, mask: Any, view: Any = view) -> None:
            if (view, quantity) not in pushes:
                pushes.append((view, quantity))
            originals[view][1](quantity, mask)

        view._pull, view._push = pull, push
    actions = torch.zeros(env.action_space.shape, device=env.device)
    env.reset()  # every row is reset, so that the CPU does not skip anything either
    pushes.clear(), pulls[0].clear(), pulls[1].clear()
    env.episode_length[0] = env.max_episode_steps
    env.step(actions)
    before, after = list(pulls[0]), list(pulls[1])
    # What the next step's actions need is read after the reset, too.
    env.task.pre_physics_step(actions)
    env.engine.step()
    after += [item for item in pulls[0] + pulls[1] if item not in before + after]
    for view in views:
        del view._pull, view._push
    return before, after, pushes


def timed(step: Callable[[int], None], k: int, device: torch.device) -> float:
    """Seconds that a step takes until the device is done with it."""
    start = time.perf_counter()
    step(k)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
