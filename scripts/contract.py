"""Checks every registered ID against gymnasium's contract, bare and behind every wrapper at once.

    python scripts/contract.py --engine physx --device cpu
    python scripts/contract.py IsaacCartpole-v0 --modes SameStep --kinds stack

One line for each ID, autoreset mode and kind, with the number of points that passed, failed and do
not apply; fails if a point fails. A check makes about a dozen environments, so that all of them
take the better part of an hour on a CPU.
"""

from __future__ import annotations

import argparse
import collections
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box, Dict

import isaac_gymnasium
from isaac_gymnasium import check_vector_env, wrappers
from isaac_gymnasium.tree import tree_map

MODES = ("SameStep", "NextStep", "Disabled")
# Ground that is made quickly.
SMALL = {"levels": 2, "tiles": 4, "first_levels": 2}
WARM_UP = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*", help="IDs; all by default")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=tuple(KINDS))
    parser.add_argument("--num-envs", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--steps", type=int, default=6, help="of an episode")
    args = parser.parse_args()

    tasks = isaac_gymnasium.registered_tasks()
    failed = 0
    for id in args.ids or sorted(tasks):
        keywords = {"num_envs": args.num_envs, "device": args.device, "engine": args.engine}
        keywords |= SMALL if "first_levels" in tasks[id].parameters() else {}
        keywords["max_episode_steps"] = args.steps
        for mode in args.modes:
            for kind in args.kinds:
                begin = time.perf_counter()
                report = check_vector_env(factory(id, mode, KINDS[kind], **keywords))
                counts = collections.Counter(point.status for point in report.points)
                seconds = time.perf_counter() - begin
                numbers = ", ".join(f"{counts[s]} {s}" for s in ("pass", "fail", "n/a"))
                print(f"{id:26} {mode:9} {kind:6} {numbers} ({seconds:.0f} s)", flush=True)
                for point in report.failures:
                    print(f"    {point.name}: expected {point.expected}; got {point.got}")
                failed += not report.passed
    return 1 if failed else 0


def factory(
    id: str, mode: str, wrap: Callable[[Any], Any], **keywords: Any
) -> Callable[..., gym.vector.VectorEnv[Any, Any, Any]]:
    """What makes the environment, in another mode too, with statistics of a few steps.

    They do not change any more: otherwise the same seed would give other observations, which is
    what running statistics are for.
    """

    def make(autoreset_mode: str = mode) -> Any:
        envs = wrap(gym.make_vec(id, autoreset_mode=autoreset_mode, **keywords))
        if isinstance(envs, wrappers.TorchWrapper):
            envs.action_space.seed(0)
            envs.reset(seed=0)
            for _ in range(WARM_UP):
                envs.step(envs.action_space.sample())
            envs.update_running_mean = False
        return envs

    return make


def every_wrapper(envs: Any) -> Any:
    """All wrappers around one another, but for those that make videos and NumPy arrays."""
    envs = wrappers.RecordEpisodeStatistics(envs)
    if isinstance(envs.single_observation_space, Dict):
        envs = wrappers.FilterObservation(envs, list(envs.single_observation_space))
    envs = wrappers.DtypeObservation(wrappers.DelayObservation(envs, 1), "float64")
    envs = wrappers.NormalizeObservation(wrappers.NoiseObservation(envs, 0.01))
    within_one = _within_one(envs.single_observation_space)
    envs = wrappers.TransformObservation(
        envs, lambda obs: tree_map(torch.tanh, obs), single_observation_space=within_one
    )
    if isinstance(within_one, Box):
        envs = wrappers.RescaleObservation(envs, -2.0, 2.0)
    envs = wrappers.TimeAwareObservation(wrappers.FrameStackObservation(envs, 2))
    envs = wrappers.FlattenObservation(envs)
    envs = wrappers.ScaleReward(wrappers.NormalizeReward(envs), 0.5)
    envs = wrappers.ClipReward(wrappers.TransformReward(envs, torch.tanh), -0.9, 0.9)
    envs = wrappers.NoiseAction(wrappers.TransformAction(envs, torch.tanh), 0.01)
    envs = wrappers.RescaleAction(wrappers.StickyAction(envs, 0.25), -5.0, 5.0)
    return wrappers.ToDevice(wrappers.ClipAction(envs), envs.device)


def _within_one(space: gym.Space[Any]) -> gym.Space[Any]:
    if isinstance(space, Dict):
        return Dict({name: _within_one(part) for name, part in space.items()})
    return Box(-1.0, 1.0, space.shape, np.float64)


KINDS: dict[str, Callable[[Any], Any]] = {
    "bare": lambda envs: envs,
    "stack": every_wrapper,
    "numpy": lambda envs: wrappers.TorchToNumpy(every_wrapper(envs)),
}

if __name__ == "__main__":
    sys.exit(main())
