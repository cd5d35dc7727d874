"""The tasks whose observations are images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest
import torch
from promises import repeats
from torch.utils._pytree import tree_leaves

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.sensors import Camera

N = 3


def make(id: str, device: torch.device, **kwargs: Any) -> Any:
    return gym.make_vec(id, num_envs=N, device=str(device), **kwargs)


@pytest.fixture
def cartpole(device: torch.device, engine_name: str) -> Iterator[Any]:
    env = make("IsaacCartpoleCamera-v0", device, engine=engine_name, width=48, height=24)
    env.reset(seed=0)
    yield env
    env.close()


@pytest.fixture
def franka(device: torch.device, engine_name: str) -> Iterator[Any]:
    env = make("IsaacFrankaCubeCamera-v0", device, engine=engine_name, width=32, height=24)
    env.reset(seed=0)
    yield env
    env.close()


def push(env: Any, force: float = 1.0) -> Any:
    return env.step(torch.full((N, 1), force, device=env.device))


def test_observations_are_images_in_their_space(cartpole: Any) -> None:
    obs, *_ = push(cartpole)
    assert obs.shape == (N, 24, 48, 6) and obs.dtype == torch.uint8
    assert cartpole.single_observation_space.contains(obs[0].cpu().numpy())
    assert int(obs.max()) > 150 and int(obs.min()) < 120


def test_an_observation_holds_the_image_before_and_the_image_now(cartpole: Any) -> None:
    first, _ = cartpole.reset(seed=1)
    assert torch.equal(first[..., :3], first[..., 3:])
    for _ in range(4):
        second, *_ = push(cartpole)
        assert torch.equal(second[..., :3], first[..., 3:])
        assert not torch.equal(second[..., :3], second[..., 3:])
        first = second


def test_the_image_moves_with_the_cart(cartpole: Any) -> None:
    task = cartpole.task

    def column(position: float) -> torch.Tensor:
        pos = torch.zeros(N, 2, device=cartpole.device)
        pos[:, task.cart] = position
        task.robot.write_dof_state(pos, torch.zeros_like(pos))
        image = task.get_observations()[..., 3:].float()
        blue = image[..., 2] - image[..., 0] > 60
        assert blue.any((1, 2)).all()
        columns = torch.arange(48.0, device=cartpole.device)
        return (blue.sum(1) * columns).sum(-1) / blue.sum((1, 2))

    left, middle, right = (column(x) for x in (-3.0, 0.0, 3.0))
    assert torch.allclose(middle, torch.full_like(middle, 23.5), atol=0.6)
    # The camera looks along -x, so that y grows to the right.
    assert torch.allclose(left, torch.full_like(left, 23.5 - 3.0 / 3.4 * 24), atol=1.5)
    assert torch.allclose(right, torch.full_like(right, 23.5 + 3.0 / 3.4 * 24), atol=1.5)


def test_a_partial_reset_begins_with_two_equal_images_and_leaves_the_others(cartpole: Any) -> None:
    for _ in range(3):
        before, *_ = push(cartpole)
    mask = torch.tensor([False, True, False], device=cartpole.device)
    after, _ = cartpole.reset(options={"reset_mask": mask})
    assert torch.equal(after[~mask], before[~mask])
    assert torch.equal(after[1, ..., :3], after[1, ..., 3:])
    assert not torch.equal(after[1], before[1])


def test_final_observations_are_those_before_the_reset(cartpole: Any) -> None:
    previous, _ = cartpole.reset(seed=2)
    for _ in range(200):
        obs, _, terminated, _, info = push(cartpole)
        final = info["final_obs"]
        assert torch.equal(final[..., :3], previous[..., 3:])
        assert torch.equal(final[~terminated], obs[~terminated])
        if terminated.any():
            ended = obs[terminated]
            assert torch.equal(ended[..., :3], ended[..., 3:])
            assert not torch.equal(final[terminated], ended)
            return
        previous = obs
    pytest.fail("no episode ended")


def test_after_a_reset_only_the_images_of_who_was_reset_are_made_anew(franka: Any) -> None:
    task = franka.task
    task.episode_length[1] = franka.unwrapped.max_episode_steps - 1
    obs, *_, info = franka.step(torch.zeros(N, 7, device=franka.device))
    ended = info["_final_obs"]
    assert ended.tolist() == [False, True, False]
    lenses = {"front": task.front_camera, "hand": task.hand_camera}
    bodies = {"front": None, "hand": "Robot/panda_hand"}
    for name, camera in lenses.items():
        assert torch.equal(camera._images.changed.bool(), ended), name
        lens = camera.lens
        fresh = Camera(
            franka.unwrapped.engine,
            body=bodies[name],
            width=lens.width,
            height=lens.height,
            fov=lens.fov,
        )
        fresh.local_pose.copy_(camera.local_pose)
        assert torch.equal(obs[name], fresh.rgb), name
        assert not torch.equal(obs[name][1], info["final_obs"][name][1]), name


def test_a_restored_state_sees_what_it_saw(cartpole: Any) -> None:
    push(cartpole)
    state = cartpole.get_state()
    first = [push(cartpole, force)[0] for force in (1.0, -1.0)]
    assert torch.equal(cartpole.set_state(state)[..., 3:], first[0][..., :3])
    again = [push(cartpole, force)[0] for force in (1.0, -1.0)]
    assert all(map(torch.equal, first, again))


def test_rewards_and_ends_are_those_of_the_task_without_a_camera(
    cartpole: Any, device: torch.device, engine_name: str
) -> None:
    plain = make("IsaacCartpole-v0", device, engine=engine_name)
    plain.reset(seed=0)
    for force in (1.0, -0.5, 1.0):
        seen, blind = push(cartpole, force), push(plain, force)
        assert torch.equal(seen[1], blind[1]) and torch.equal(seen[2], blind[2])
    plain.close()


def test_the_batched_image_space_is_made_only_when_asked_for(cartpole: Any) -> None:
    assert cartpole.unwrapped._observation_space is None
    assert cartpole.observation_space.shape == (N, 24, 48, 6)


def test_the_cameras_of_the_franka_see_the_cube(franka: Any) -> None:
    obs, _ = franka.reset(seed=0)
    assert obs["front"].shape == obs["hand"].shape == (N, 24, 32, 3)
    assert obs["joints"].shape == (N, 18)
    for name in ("front", "hand"):
        image = obs[name].float()
        red = (image[..., 0] > 2.0 * image[..., 1]) & (image[..., 0] > 90)
        assert red.any((1, 2)).all(), name
    up = torch.zeros(N, 7, device=franka.device)
    up[:, 2] = 1.0
    before = obs["front"].clone()
    for _ in range(5):
        obs, *_ = franka.step(up)
    assert not torch.equal(obs["front"], before)
    assert obs["front"].data_ptr() != franka.task.front_camera.rgb.data_ptr()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["IsaacCartpoleCamera-v0", "IsaacFrankaCubeCamera-v0"])
def test_recorded_graphs_see_what_plain_code_sees(
    name: str, engine_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    runs = []
    for graphs in (False, True):
        env = gym.make_vec(
            name, num_envs=16, device="cuda:0", engine=engine_name, cuda_graphs=graphs
        )
        env.reset(seed=0)
        generator = torch.Generator().manual_seed(0)
        steps = []
        for _ in range(30):
            actions = 2 * torch.rand(env.action_space.shape, generator=generator) - 1
            obs, *_, info = env.step(actions)
            steps += [obs, info["final_obs"]]
        runs.append(tree_leaves(steps))
        env.close()
    assert not [r for r in caplog.records if r.name == "isaac_gymnasium.graphs"]
    touches = "Franka" in name
    for a, b in zip(*runs, strict=True):
        if repeats(engine_name, torch.device("cuda:0"), touches=touches):
            assert torch.equal(a, b)
        else:  # joints are a little off in every number, images at the edges of things
            apart = a != b if a.dtype == torch.uint8 else (a - b).abs() > 5e-3
            assert float(apart.float().mean()) < 0.01
