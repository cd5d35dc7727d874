"""A state holds everything the future follows from."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import pytest
import torch
from promises import restores, skip_unless_it_repeats

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.state import load_state, save_state
from isaac_gymnasium.vector_env import IsaacVectorEnv

IDS = ["IsaacCartpole-v0", "IsaacFrankaCube-v0"]
N = 8


def make(id: str, device: torch.device, **kwargs: Any) -> Any:
    return gym.make_vec(id, num_envs=N, device=str(device), episode_length_s=0.6, **kwargs)


def actions_of(env: Any, steps: int, seed: int = 0) -> torch.Tensor:
    shape = (steps, env.num_envs, *env.single_action_space.shape)
    actions = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    actions[..., -1] = -1.0  # the gripper closes
    return actions.to(env.device)


def play(env: Any, actions: torch.Tensor) -> list[torch.Tensor]:
    steps = [env.step(a)[:4] for a in actions]
    return [torch.stack([step[i] for step in steps]) for i in range(4)]


def same(a: torch.Tensor, b: torch.Tensor, env: Any) -> None:
    """Bitwise equal where that is promised; elsewhere near enough while contacts' history fades."""
    touches = "Cartpole" not in env.spec.id
    if restores(env.engine.name, env.device, touches=touches):
        assert torch.equal(a, b)
    else:
        torch.testing.assert_close(a[:10].float(), b[:10].float(), atol=0.05, rtol=0.0)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
@pytest.mark.parametrize("id", IDS)
def test_a_restored_environment_replays_its_future(
    id: str, mode: str, device: torch.device, engine_name: str
) -> None:
    env = make(id, device, engine=engine_name, autoreset_mode=mode)
    env.reset(seed=1, options={"stagger": True})
    before, after = actions_of(env, 30), actions_of(env, 60, seed=1)
    play(env, before)
    state = env.get_state()
    first = play(env, after)
    assert bool((first[2] | first[3]).any()), "the replay should contain resets"
    for _ in range(2):
        env.set_state(state)
        for a, b in zip(first, play(env, after), strict=True):
            same(a, b, env)
    env.close()


@pytest.mark.parametrize("id", [*IDS, "IsaacAnt-v0"])
def test_an_exact_restore_replays_contacts_to_the_last_bit(
    id: str, device: torch.device, engine_name: str
) -> None:
    skip_unless_it_repeats(engine_name, device, id)
    env = make(id, device, engine=engine_name)
    env.reset(seed=1, options={"stagger": True})
    play(env, actions_of(env, 60))
    state = env.get_state(exact=True)
    after = actions_of(env, 50, seed=1)
    first = play(env, after)
    for _ in range(2):
        env.set_state(state, exact=True)
        for a, b in zip(first, play(env, after), strict=True):
            assert torch.equal(a, b)
    some = torch.arange(N) < 3
    with pytest.raises(ValueError, match="exact=True needs every environment to be set"):
        env.set_state(state, some, exact=True)
    env.close()


@pytest.mark.parametrize("id", IDS)
def test_rows_outside_the_mask_go_on_as_if_nothing_happened(
    id: str, device: torch.device, engine_name: str
) -> None:
    env = make(id, device, engine=engine_name)
    env.reset(seed=1)
    play(env, actions_of(env, 10))
    past = env.get_state()
    play(env, actions_of(env, 10, seed=2))
    now, future = env.get_state(), actions_of(env, 40, seed=3)
    undisturbed = play(env, future)
    env.set_state(now)
    mask = torch.arange(N, device=env.device) < 4
    env.set_state(past, mask)
    mixed = play(env, future)
    env.set_state(past)
    replayed = play(env, future)
    for a, b, c in zip(undisturbed, mixed, replayed, strict=True):
        same(a[:, 4:], b[:, 4:], env)
        same(c[:, :4], b[:, :4], env)
    env.close()


@pytest.mark.parametrize("id", IDS)
def test_forks_of_one_environment_have_equal_futures(
    id: str, device: torch.device, engine_name: str
) -> None:
    env = make(id, device, engine=engine_name)
    env.reset(seed=1)
    play(env, actions_of(env, 20))
    env.fork(3)
    future = actions_of(env, 40, seed=2)[:, :1].expand(-1, N, -1)
    for values in play(env, future):
        touches = id != "IsaacCartpole-v0"
        # Cells of PhysX stand at different places on the CPU, which rounds differently.
        apart = (engine_name, device.type) == ("physx", "cpu")
        if restores(engine_name, device, touches=touches) and not apart:
            assert torch.equal(values, values[:, :1].expand_as(values))
        else:
            spread = (values[:10].float() - values[:10, :1].float()).abs().max()
            assert float(spread) < 0.05
    env.close()


def test_one_row_in_a_file_has_1024_equal_futures(
    device: torch.device, engine_name: str, tmp_path: Path
) -> None:
    few, many = (
        gym.make_vec(
            IDS[0], num_envs=n, engine=engine_name, device=str(device), max_episode_steps=20
        )
        for n in (N, 1024)
    )
    few.reset(seed=1)
    actions = actions_of(few, 40)[:, 3:4]
    play(few, actions[:10].expand(-1, N, -1))
    state = few.get_state()
    save_state({key: rows[3:4] for key, rows in state.items()}, tmp_path / "one.pt")
    many.reset(seed=2)
    many.set_state(load_state(tmp_path / "one.pt"))
    few.set_state(state)
    expected = play(few, actions[10:].expand(-1, N, -1))
    for values, source in zip(play(many, actions[10:].expand(-1, 1024, -1)), expected, strict=True):
        assert torch.equal(values, source[:, 3:4].expand_as(values))
    assert bool(expected[3].any()), "they should go through a reset"
    few.close()
    many.close()


RESUME = """
import sys, torch, gymnasium as gym, isaac_gymnasium
torch.set_num_threads(1)
file, id, engine = sys.argv[1:]
saved = torch.load(file, weights_only=True)
env = gym.make_vec(id, num_envs=8, engine=engine, device="cpu", episode_length_s=0.6)
env.set_state(saved["state"])
for actions, expected in zip(saved["actions"], saved["observations"]):
    torch.testing.assert_close(
        env.step(actions)[0], expected, atol=0.0 if "Cartpole" in id else 0.05, rtol=0.0
    )
"""


@pytest.mark.parametrize("id", IDS)
def test_a_rollout_is_resumed_from_a_file_in_another_process(
    id: str, engine_name: str, tmp_path: Path
) -> None:
    env = make(id, torch.device("cpu"), engine=engine_name)
    env.reset(seed=4)
    play(env, actions_of(env, 25))
    state, actions = env.get_state(), actions_of(env, 40 if id == IDS[0] else 10, seed=5)
    observations = play(env, actions)[0]
    file = tmp_path / "state.pt"
    torch.save({"state": state, "actions": actions, "observations": observations}, file)
    env.close()
    done = subprocess.run(
        [sys.executable, "-c", RESUME, str(file), id, engine_name],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    env, other = make(IDS[0], torch.device("cpu")), make(IDS[1], torch.device("cpu"))
    env.reset(seed=1)
    other.reset(seed=1)
    state = env.get_state()
    obs = env.set_state(state)
    with pytest.raises(ValueError, match=r"not a state of this environment: it lacks 'task/effor"):
        env.set_state(other.get_state())
    with pytest.raises(ValueError, match=r"'Robot/dof_pos' must have shape \(8, \*\(2,\)\)"):
        env.set_state({**state, "Robot/dof_pos": torch.zeros(3, 2)})
    with pytest.raises(ValueError, match=r"'ended' must have shape .* or one row, got \(\)"):
        env.set_state({**state, "ended": torch.tensor(False)})
    with pytest.raises(ValueError, match="source must be an index below 8, got 8"):
        env.fork(8)
    with pytest.raises(TypeError, match="mask must be a bool"):
        env.set_state(state, torch.arange(N))
    assert torch.equal(env.set_state(state), obs)
    wide = {k: v.double() if v.is_floating_point() else v for k, v in state.items()}
    play(env, actions_of(env, 3))
    assert torch.equal(env.set_state(wide), obs), "doubles lose nothing"
    env.close()
    other.close()


@dataclass(kw_only=True)
class Constant(Cartpole):
    """Keeps what all environments share, in each of the ways in which a task may."""

    shared_tensors: ClassVar[tuple[str, ...]] = ("named",)

    def post_reset(self) -> None:
        super().post_reset()
        self.named = torch.arange(4.0)
        self.expanded = torch.arange(2.0).expand(self.num_envs, 2)
        self.one_row = torch.arange(2.0).unsqueeze(0)
        self.own = torch.arange(self.num_envs)


def test_a_fork_leaves_what_all_share_as_it_is() -> None:
    one, four = (IsaacVectorEnv(Constant, n, device="cpu") for n in (1, 4))
    four.reset(seed=0)
    four.fork(3)
    assert four.task.own.tolist() == [3, 3, 3, 3]
    assert torch.equal(four.task.named, torch.arange(4.0))
    assert torch.equal(four.task.expanded[2], torch.arange(2.0))
    one.reset(seed=1)
    obs = four.set_state(one.get_state())
    assert torch.equal(obs, one.set_state(one.get_state()).expand(4, -1))
    one.close(), four.close()


def test_a_goal_that_all_share_survives_a_fork_of_as_many_environments() -> None:
    env = gym.make_vec("IsaacFrankaReach-v0", num_envs=4, device="cpu")
    low = env.unwrapped.task.goal_low.clone()
    env.reset(seed=0)
    env.unwrapped.fork(0)
    assert torch.equal(env.unwrapped.task.goal_low, low)
    env.close()


def test_staggered_episodes_do_not_end_together(device: torch.device) -> None:
    env = make(IDS[1], device)
    env.reset(seed=3, options={"stagger": True})
    lengths = env.episode_length_buf
    assert lengths.unique().numel() > 4
    assert 0 <= int(lengths.min()) <= int(lengths.max()) < env.max_episode_steps
    env.episode_length_buf = torch.arange(N)
    assert env.episode_length_buf is lengths
    truncated = play(env, actions_of(env, env.max_episode_steps))[3]
    first = truncated.int().argmax(0).cpu()
    assert torch.equal(first, env.max_episode_steps - 1 - torch.arange(N))
    env.close()


def test_staggering_knows_no_longest_limit() -> None:
    env = make(IDS[0], torch.device("cpu"), max_episode_steps=2**40)
    env.reset(seed=0, options={"stagger": True})
    assert env.episode_length_buf.unique().numel() == N
    env.close()
