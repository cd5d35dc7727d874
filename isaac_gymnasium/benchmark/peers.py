"""Other packages' environments, stepped in the same run for comparison.

Only those that are installed take part. Tasks differ in model, time step and number of physics
steps; the table prints both beside the figure, so that nobody compares apples with pears.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from isaac_gymnasium.benchmark.case import Case

__all__ = ["PEERS", "Peer", "find_peer"]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """How to make a peer's vector environment.

    What `build` returns steps as vector environments do. It may have a `device` its tensors are on,
    and `training_speeds(updates, wait)`, see `MjlabEnv`.

    Args:
        id: the name the benchmark knows it by, ``"library:ID"``.
        library: what is shown as its engine.
        package: the package to install.
        modules: modules it cannot do without.
        dt: length of a physics step, s.
        decimation: physics steps in an environment step.
        build: makes the environment for a number of environments and a device.
    """

    id: str
    library: str
    package: str
    modules: tuple[str, ...]
    dt: float | None
    decimation: int | None
    build: Callable[[int, str], Any]

    @property
    def missing(self) -> list[str]:
        """Modules that are not installed."""
        return [name for name in self.modules if importlib.util.find_spec(name) is None]

    def make(self, case: Case) -> Any:
        """Make the environments.

        Raises:
            ModuleNotFoundError: the package is not installed.
        """
        if self.missing:
            raise ModuleNotFoundError(
                f"{self.id} needs {', '.join(self.missing)}: pip install {self.package}"
            )
        return self.build(case.num_envs, case.device)


def _gymnasium_ant(num_envs: int, _: str) -> Any:
    import gymnasium

    workers = os.cpu_count() or 1
    if num_envs <= 2 * workers:
        return gymnasium.make_vec("Ant-v5", num_envs=num_envs, vectorization_mode="async")
    # More processes than cores only wait for one another.
    return gymnasium.make_vec("Ant-v5", num_envs=num_envs, vectorization_mode="sync")


def _envpool(name: str) -> Callable[[int, str], Any]:
    def build(num_envs: int, _: str) -> Any:
        envpool = importlib.import_module("envpool")
        env = envpool.make(name, env_type="gymnasium", num_envs=num_envs)
        return _Batched(env, num_envs)

    return build


def _mani_skill(name: str) -> Callable[[int, str], Any]:
    def build(num_envs: int, device: str) -> Any:
        import gymnasium

        importlib.import_module("mani_skill.envs")
        backend = "cpu" if device == "cpu" else "gpu"
        return gymnasium.make(name, num_envs=num_envs, obs_mode="state", sim_backend=backend)

    return build


def _mjlab(name: str) -> Callable[[int, str], Any]:
    def build(num_envs: int, device: str) -> Any:
        from isaac_gymnasium.benchmark.mjlab_peer import MjlabEnv

        if device == "auto":
            device = "cuda:0" if torch.cuda.is_available() else "cpu"
        return MjlabEnv(name, num_envs, device)

    return build


class _Batched:
    """EnvPool's environment with an action space for all environments, as gymnasium has it."""

    def __init__(self, env: Any, num_envs: int) -> None:
        from gymnasium.vector.utils import batch_space

        self._env = env
        self.action_space = batch_space(env.action_space, num_envs)

    def reset(self) -> Any:
        return self._env.reset()

    def step(self, actions: Any) -> Any:
        return self._env.step(actions.astype("float64"))

    def close(self) -> None:
        self._env.close()


PEERS: tuple[Peer, ...] = (
    Peer(
        id="gymnasium:Ant-v5",
        library="gymnasium (MuJoCo)",
        package="gymnasium[mujoco]",
        modules=("gymnasium", "mujoco"),
        dt=0.01,
        decimation=5,
        build=_gymnasium_ant,
    ),
    Peer(
        id="envpool:Ant-v5",
        library="EnvPool (MuJoCo)",
        package="envpool",
        modules=("envpool",),
        dt=0.01,
        decimation=5,
        build=_envpool("Ant-v5"),
    ),
    Peer(
        id="maniskill:PickCube-v1",
        library="ManiSkill (SAPIEN)",
        package="mani-skill",
        modules=("mani_skill", "sapien"),
        dt=0.01,
        decimation=5,
        build=_mani_skill("PickCube-v1"),
    ),
    *(
        Peer(
            id=f"mjlab:{name}",
            library="mjlab (MuJoCo Warp)",
            package="mjlab",
            modules=("mjlab",),
            dt=0.005,
            decimation=4,
            build=_mjlab(f"Mjlab-{name}"),
        )
        for name in ("Velocity-Flat-Unitree-Go1", "Lift-Cube-Yam")
    ),
)
"""Peers by name: the task of each library that is nearest to one of ours."""


def find_peer(id: str) -> Peer | None:
    """The peer of this name, if it is one."""
    return next((peer for peer in PEERS if peer.id == id), None)
