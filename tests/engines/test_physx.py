"""What belongs to the physx engine alone."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("ovphysx")

from isaac_gymnasium.engines import EngineError
from isaac_gymnasium.engines import _physx_runtime as runtime
from isaac_gymnasium.engines.physx import PhysxEngine, grid_cell
from isaac_gymnasium.scene import sphere
from isaac_gymnasium.scene.builder import Scene


def ball_scene() -> Scene:
    scene = Scene(env_spacing=1.0)
    scene.add_rigid_body("Ball", sphere(0.1), mass=0.1, position=(0.0, 0.0, 1.0))
    return scene


def test_grid_cells_are_distinct_compact_and_do_not_depend_on_the_total() -> None:
    cells = [grid_cell(k, 1.0) for k in range(10_000)]
    assert len(set(cells)) == 10_000
    assert max(max(cell) for cell in cells) == 99.0
    for k in range(1, 100):
        assert {cell for cell in cells[: k * k]} == {
            (float(x), float(y)) for x in range(k) for y in range(k)
        }


def test_environments_have_room_on_the_cpu_and_share_the_origin_on_the_gpu(
    device: torch.device,
) -> None:
    engine = PhysxEngine(ball_scene(), 9, 1 / 120, device)
    distances = torch.cdist(engine.env_origins, engine.env_origins).cpu()
    distances.fill_diagonal_(torch.inf)
    assert float(distances.min()) == (1.0 if device.type == "cpu" else 0.0)
    engine.close()


def test_threads_are_chosen_by_the_number_of_environments() -> None:
    assert runtime.num_threads(1) == runtime.num_threads(127) == 0
    assert runtime.num_threads(128) == len(os.sched_getaffinity(0))


def test_gpu_buffers_grow_with_the_number_of_environments() -> None:
    small = runtime.gpu_capacities(64, 64, 20)
    large = runtime.gpu_capacities(32768, 64, 20)
    assert all(large[key] >= small[key] for key in small)
    # Sizes at which no contact was lost with 32768 copies of a Franka arm and a cube.
    assert large["gpuMaxRigidContactCount"] >= 1 << 23
    assert large["gpuMaxRigidPatchCount"] >= 5 << 17
    assert large["gpuFoundLostAggregatePairsCapacity"] >= 1 << 25


def test_an_overflow_that_physx_only_logs_becomes_a_warning_once() -> None:
    engine = PhysxEngine(ball_scene(), 2, 1 / 120, torch.device("cpu"))
    native = runtime._native_logger
    for _ in range(2):
        native.error("Contact buffer overflow detected, please increase its size to at least 9")
    with pytest.warns(RuntimeWarning, match="dropped contacts.*contacts_per_env") as caught:
        engine.step()
        native.error("Contact buffer overflow detected, please increase its size to at least 9")
        engine.step()
    assert len(caught) == 1
    engine.close()


def test_a_body_starts_with_the_velocity_it_was_authored_with() -> None:
    from pxr import UsdPhysics

    scene = ball_scene()
    ball = UsdPhysics.RigidBodyAPI(scene.stage.GetPrimAtPath("/World/envs/env_0/Ball"))
    ball.CreateVelocityAttr((0.5, 0.0, 0.0))
    ball.CreateAngularVelocityAttr((0.0, 0.0, 90.0))
    scene.add_rigid_body("Block", sphere(0.1), mass=1.0, position=(0.5, 0.0, 1.0))
    block = UsdPhysics.RigidBodyAPI(scene.stage.GetPrimAtPath("/World/envs/env_0/Block"))
    block.CreateRigidBodyEnabledAttr(False)  # stands still: nothing to give a velocity to
    engine = PhysxEngine(scene, 2, 1 / 120, torch.device("cpu"))
    expected = torch.tensor((0.5, 0.0, 0.0, 0.0, 0.0, math.pi / 2)).expand(2, 6)
    torch.testing.assert_close(engine.rigid_body("Ball").vel, expected)
    engine.close()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_force_on_a_weightless_body_is_refused_where_physx_would_add_gravity() -> None:
    scene = Scene(env_spacing=2.0)
    scene.add_rigid_body("Ball", sphere(0.1), mass=0.4, disable_gravity=True)
    engine = PhysxEngine(scene, 2, 1 / 240, torch.device("cuda:0"))
    zero = torch.zeros(2, 3, device="cuda:0")
    engine.rigid_body("Ball").apply_wrench(zero, zero)
    with pytest.raises(EngineError, match="Ball: on a GPU, PhysX lets gravity act"):
        engine.step()
    engine.close()


SILENT = """
import torch
from isaac_gymnasium.engines.physx import PhysxEngine
from isaac_gymnasium.scene import sphere
from isaac_gymnasium.scene.builder import Scene
scene = Scene(env_spacing=1.0)
scene.add_rigid_body("Ball", sphere(0.1), mass=0.1, position=(0.0, 0.0, 1.0))
engine = PhysxEngine(scene, 4, 1 / 120, torch.device("cpu"))
engine.step()
engine.close()
"""


def test_a_simulation_prints_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", SILENT],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FORKED = """
import os, torch
from isaac_gymnasium.engines import EngineError
from isaac_gymnasium.engines import _physx_runtime as runtime
runtime.start(1, torch.device("cpu")).destroy()
child = os.fork()
if child == 0:
    try:
        runtime.start(1, torch.device("cpu"))
    except EngineError as error:
        os._exit(42 if "spawn" in str(error) else 1)
    os._exit(2)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_refused_with_the_reason() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], timeout=120, capture_output=True)
    assert done.returncode == 42, done.stderr
