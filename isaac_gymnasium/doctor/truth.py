"""Short experiments whose outcome is known, on any engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import torch

from isaac_gymnasium.engines import Engine, load_engine

_DT = 1.0 / 120.0
_N = 12
_G = 9.81


def run_experiments(
    engine: str, device: torch.device, task: str = "IsaacCartpole-v0"
) -> dict[str, str]:
    """Runs the experiments and one environment.

    Args:
        engine: Name of an engine.
        device: Where it runs.
        task: ID of the environment.

    Returns:
        `"passed"`, or what went wrong, by name of the experiment.
    """
    load_engine(engine).prepare()
    outcomes = {}
    experiments: dict[str, Callable[[Engine], None]] = {
        "the scene is as authored": _as_authored,
        "a body falls with g": _falls,
        "a body at rest weighs on the ground": _weighs,
        "a mask selects environments": _masks,
        "a force accelerates a mass": _accelerates,
        "a camera sees how far the ground is": _sees,
    }
    for name, experiment in experiments.items():
        outcomes[name] = _outcome(lambda e=experiment: _on_scene(e, engine, device))  # type: ignore[misc]
    outcomes[f"{task} resets and steps"] = _outcome(lambda: _environment(task, engine, device))
    return outcomes


def _outcome(run: Callable[[], None]) -> str:
    try:
        run()
    except Exception as error:  # whatever it is, it belongs into the report
        return f"{type(error).__name__}: {error}"
    return "passed"


def _on_scene(experiment: Callable[[Engine], None], name: str, device: torch.device) -> None:
    from isaac_gymnasium.scene import sphere
    from isaac_gymnasium.scene.builder import Scene

    scene = Scene(env_spacing=2.0)
    scene.add_ground()
    scene.add_rigid_body("Ball", sphere(0.1), mass=0.5, position=(0.3, 0.2, 5.0))
    scene.enable_contact_reports("Ball")
    engine = load_engine(name)(scene, _N, _DT, device)
    try:
        experiment(engine)
    finally:
        engine.close()


def _close(actual: Any, expected: Any, tolerance: float) -> None:
    torch.testing.assert_close(
        actual, torch.as_tensor(expected).to(actual).expand_as(actual), atol=tolerance, rtol=0.0
    )


def _as_authored(engine: Engine) -> None:
    ball = engine.rigid_body("Ball")
    _close(ball.pose[:, :3] - engine.env_origins, [0.3, 0.2, 5.0], 1e-5)
    _close(ball.vel, 0.0, 1e-6)


def _falls(engine: Engine) -> None:
    time = 60 * _DT
    engine.step(60)
    _close(engine.rigid_body("Ball").pose[:, 2], 5.0 - _G * time**2 / 2, _G * _DT * time)


def _weighs(engine: Engine) -> None:
    ball, contacts = engine.rigid_body("Ball"), engine.contacts(["Ball"])
    pose = ball.pose.clone()
    pose[:, 2] = 0.1
    ball.write_state(pose, torch.zeros_like(ball.vel))
    engine.step(60)
    _close(contacts.net[:, 0], [0.0, 0.0, 0.5 * _G], 0.05)


def _masks(engine: Engine) -> None:
    ball = engine.rigid_body("Ball")
    rows = torch.arange(_N, device=engine.device)
    mask = rows % 3 == 0
    pose = ball.pose.clone()
    pose[:, 2] = 10.0 + rows
    ball.write_state(pose, torch.zeros_like(ball.vel), mask)
    engine.step()
    _close(ball.pose[:, 2], torch.where(mask, 10.0 + rows, 5.0), _G * _DT**2)


def _accelerates(engine: Engine) -> None:
    ball = engine.rigid_body("Ball")
    force = torch.zeros(_N, 3, device=engine.device)
    force[:, 0] = torch.arange(_N)
    for _ in range(12):
        ball.apply_wrench(force, torch.zeros_like(force))
        engine.step()
    _close(ball.vel[:, 0], force[:, 0] / 0.5 * 12 * _DT, 1e-3)


def _sees(engine: Engine) -> None:
    from isaac_gymnasium.sensors import Camera

    pose = {"position": (-0.3, -0.2, 3.0), "target": (-0.3, -0.2, 0.0)}
    camera = Camera(engine, width=33, height=17, fov=0.3, outputs=("rgb", "depth"), **pose)  # type: ignore[arg-type]
    _close(camera.depth, 3.0, 0.02)
    if not camera.rgb.any():
        raise ArithmeticError("the picture is black")


def _environment(task: str, engine: str, device: torch.device) -> None:
    envs = gym.make_vec(task, num_envs=_N, engine=engine, device=str(device))
    try:
        obs, _ = envs.reset(seed=0)
        for _ in range(20):
            obs, reward, *_ = envs.step(torch.zeros(envs.action_space.shape or ()))
            if not (torch.isfinite(obs).all() and torch.isfinite(reward).all()):
                raise ArithmeticError("observations or rewards are not finite")
    finally:
        envs.close()
