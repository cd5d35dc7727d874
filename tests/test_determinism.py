"""Same seed, same actions: same bits; and what the number of environments may change."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from promises import repeats, skip_unless_it_repeats

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.engines import EngineError, available_engines

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

IDS = ["IsaacCartpole-v0", "IsaacFrankaCube-v0"]
STEPS = 80


def actions_of(env: Any, rows: int) -> torch.Tensor:
    """(STEPS, rows, A) actions; row k is the same for every number of rows."""
    size = env.single_action_space.shape[0]
    table = torch.stack(
        [
            torch.rand(STEPS, size, generator=torch.Generator().manual_seed(1000 + k)) * 2 - 1
            for k in range(rows)
        ],
        dim=1,
    )
    return table.to(env.unwrapped.device)


def rollout(
    id: str, num_envs: int, device: torch.device, seed: int = 5, **kwargs: Any
) -> list[torch.Tensor]:
    """Observations, rewards and flags of a rollout with resets in it, (steps, rows, ...) each."""
    env: Any = gym.make_vec(
        id, num_envs=num_envs, device=str(device), episode_length_s=0.5, **kwargs
    )
    actions = actions_of(env, num_envs)
    obs, _ = env.reset(seed=seed)
    steps = [(obs, *env.step(a)[:4]) for a in actions]
    env.close()
    return [torch.stack([s[i] for s in steps]) for i in range(5)]


@pytest.mark.parametrize("id", IDS)
def test_the_same_seed_and_actions_give_the_same_bits(
    id: str, device: torch.device, engine_name: str
) -> None:
    skip_unless_it_repeats(engine_name, device, id)
    first, second = (rollout(id, 24, device, engine=engine_name) for _ in range(2))
    assert bool(first[3].any() | first[4].any()), "the rollout should contain resets"
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
    other = rollout(id, 24, device, seed=6, engine=engine_name)
    assert not torch.equal(first[1], other[1])


@pytest.mark.parametrize("id", IDS)
def test_the_spec_says_whether_bits_are_repeated(
    id: str, device: torch.device, engine_name: str, monkeypatch: Any
) -> None:
    env: Any = gym.make_vec(id, num_envs=2, device=str(device), engine=engine_name)
    assert env.spec.nondeterministic != repeats(engine_name, device, touches="Cartpole" not in id)
    monkeypatch.setattr(env.engine, "reproducible", False)
    env.spec = gym.spec(id)
    assert env.spec.nondeterministic
    assert env.spec.kwargs == gym.spec(id).kwargs
    assert not gym.spec(id).nondeterministic, "of the registry's nothing should change"
    env.close()


@pytest.mark.parametrize("id", IDS)
def test_an_environment_does_not_feel_how_many_others_there_are(
    id: str, device: torch.device, engine_name: str
) -> None:
    skip_unless_it_repeats(engine_name, device, id)
    few, many = (rollout(id, n, device, engine=engine_name) for n in (8, 64))
    for a, b in zip(few, many, strict=True):
        assert torch.equal(a, b[:, :8])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
@pytest.mark.parametrize("id", IDS)
def test_recorded_graphs_change_no_bit(id: str, mode: str, engine_name: str, caplog: Any) -> None:
    cuda = torch.device("cuda:0")
    skip_unless_it_repeats(engine_name, cuda, id)
    plain, recorded = (
        rollout(id, 64, cuda, engine=engine_name, cuda_graphs=graphs, autoreset_mode=mode)
        for graphs in (False, True)
    )
    assert not caplog.records, "every part should have been recorded"
    for a, b in zip(plain, recorded, strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cuda_graphs", [True, False])
@pytest.mark.parametrize("id", IDS)
def test_a_step_makes_no_implicit_host_synchronisation(
    id: str, cuda_graphs: bool, engine_name: str
) -> None:
    env: Any = gym.make_vec(
        id, num_envs=64, engine=engine_name, device="cuda:0", cuda_graphs=cuda_graphs
    )
    env.reset(seed=0)
    actions = actions_of(env, 64)
    for a in actions[:8]:
        env.step(a)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for a in actions[8:16]:
            env.step(a)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    env.close()


# PhysX on the CPU solves contacts four at a time and rounds a rest of one to three differently, so
# that with contacts a bitwise comparison needs numbers of environments that are multiples of four.
@pytest.mark.parametrize(
    ("id", "tolerance"), [("IsaacCartpole-v0", 0.0), ("IsaacFrankaCube-v0", 1e-4)]
)
def test_a_single_environment_is_row_zero_of_many(
    id: str, tolerance: float, device: torch.device, engine_name: str
) -> None:
    skip_unless_it_repeats(engine_name, device, id)
    tolerance = tolerance if (engine_name, device.type) == ("physx", "cpu") else 0.0
    vector: Any = gym.make_vec(id, num_envs=4, engine=engine_name, device=str(device))
    single: Any = gym.make(id, engine=engine_name, device=str(device))
    actions = actions_of(vector, 4)
    rows, _ = vector.reset(seed=3)
    one, _ = single.reset(seed=3)
    np.testing.assert_array_equal(rows[0].cpu().numpy(), one)
    for a in actions[:40]:
        obs, reward, terminated, _, _ = vector.step(a)
        one, r, t, _, _ = single.step(a[0].cpu().numpy())
        np.testing.assert_allclose(obs[0].cpu().numpy(), one, atol=tolerance, rtol=0.0)
        assert float(reward[0]) == pytest.approx(r, abs=tolerance)
        assert bool(terminated[0]) == t
        if t:
            break
    vector.close()
    single.close()


def test_a_seed_leads_back_to_the_same_bits_whatever_touched_before(
    device: torch.device, engine_name: str
) -> None:
    skip_unless_it_repeats(engine_name, device, IDS[1])
    env: Any = gym.make_vec(IDS[1], num_envs=8, engine=engine_name, device=str(device))
    actions = actions_of(env, 8)
    actions[..., 2] -= 0.5  # hands press on cubes and on the ground
    actions[..., 6] = -1.0

    def play() -> torch.Tensor:
        obs, _ = env.reset(seed=1)
        return torch.stack([obs, *(env.step(a)[0] for a in actions)])

    first = play()
    for _ in range(2):
        assert torch.equal(play(), first)
    env.close()


@pytest.mark.skipif("newton" not in available_engines(), reason="needs newton")
@pytest.mark.parametrize(
    ("id", "place"),
    [
        ("IsaacCartpole-v0", "cpu"),
        *(
            pytest.param(id, "cuda:0", marks=[pytest.mark.gpu, needs_cuda])
            for id in ("IsaacCartpole-v0", "IsaacAnt-v0", "IsaacFrankaCube-v0")
        ),
    ],
)
def test_newtons_deterministic_mode_repeats_every_bit_for_any_number(id: str, place: str) -> None:
    mode: dict[str, Any] = {"engine": "newton", "deterministic": True}
    device = torch.device(place)
    few, again = (rollout(id, 8, device, **mode) for _ in range(2))
    many = rollout(id, 64 if place == "cpu" else 1024, device, **mode)
    assert bool(few[1].isfinite().all())
    assert bool(few[3].any() | few[4].any()), "the rollout should contain resets"
    for a, b, c in zip(few, again, many, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c[:, :8])
    # It is another solver, of the same physics.
    usual = rollout(id, 8, device, engine="newton")
    assert not torch.equal(few[1], usual[1])
    if id == "IsaacCartpole-v0":
        torch.testing.assert_close(few[1][:20], usual[1][:20], atol=0.05, rtol=0.05)


def test_an_engine_without_a_deterministic_mode_says_so() -> None:
    pytest.importorskip("ovphysx")
    with pytest.raises(EngineError, match="a mode of engine 'newton', and engine 'physx' has none"):
        gym.make_vec("IsaacCartpole-v0", num_envs=1, engine="physx", deterministic=True)
