"""How trained policies do in worlds heavier, lighter, rougher and more slippery than their own.

    python scripts/shift.py runs/IsaacFrankaCube-v0/plain runs/IsaacFrankaCube-v0/randomized

Masses and friction of every robot and free body of the scene are multiplied by the same factor in
all environments, and nothing else is randomised, whatever the run was trained with. One row a run,
one column a world; every cell is the share of successes in percent, or the mean return where the
task does not say what success is, over the same first states, with its standard error.
"""

from __future__ import annotations

import argparse
from typing import Any

from isaac_gymnasium.cli._episodes import evaluate
from isaac_gymnasium.cli._policy import PolicySource, find_policy, trained_policy


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="runs of one task, as evaluate takes them")
    parser.add_argument("--episodes", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1_000_000)
    parser.add_argument("--by", type=float, default=0.3, help="how far factors are from 1")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--engine", help="that of the runs by default")
    args = parser.parse_args()
    less, more = 1.0 - args.by, 1.0 + args.by
    worlds = [(1.0, 1.0), (less, 1.0), (more, 1.0), (1.0, less), (1.0, more)]
    worlds += [(friction, mass) for friction in (less, more) for mass in (less, more)]
    titles = [f"friction × {friction:g}, mass × {mass:g}" for friction, mass in worlds]
    titles[0] = "as authored"
    print("| run | " + " | ".join(titles) + " | worst loss |")
    print("|---" * (len(titles) + 2) + "|", flush=True)
    for name in args.runs:
        run = find_policy(name)
        names = bodies(run, args)
        print(f"| {run.path.name} |", end="", flush=True)
        means = []
        with trained_policy(
            run,
            num_envs=args.episodes,
            device=args.device,
            engine=args.engine,
            keywords={"randomization": shifted(names, *worlds[0])},
        ) as trained:
            for world in worlds:
                for term, values in shifted(names, *world).items():
                    trained.env.unwrapped.randomization.set_range(term, *values["range"])
                found = evaluate(trained.env, trained.policy, seed=args.seed)
                good = found.returns if found.successes is None else 100 * found.successes.float()
                means.append(float(good.mean()))
                error = float(good.std()) / len(good) ** 0.5
                print(f" {means[-1]:.1f} ± {error:.1f} |", end="", flush=True)
        print(f" {means[0] - min(means):.1f} |", flush=True)


def bodies(run: PolicySource, args: Any) -> list[str]:
    """Names of the robots and free bodies of the run's scene."""
    with trained_policy(run, num_envs=1, device=args.device, engine=args.engine) as trained:
        return [body.name for body in trained.env.unwrapped.engine.bodies()]


def shifted(names: list[str], friction: float, mass: float) -> dict[str, Any]:
    """Terms that multiply the friction and masses of bodies by the same numbers everywhere."""
    factors = {"friction": friction, "mass": mass}
    return {
        f"{name}/{target}": {"target": target, "body": name, "range": (factor, factor)}
        for name in names
        for target, factor in factors.items()
    }


if __name__ == "__main__":
    main()
