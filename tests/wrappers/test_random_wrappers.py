"""Noise has its distribution and its streams; sticky actions stick as gymnasium's do."""

from typing import Any

import gymnasium.wrappers as single
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from scripted_env import (
    DISABLED,
    MODES,
    NEXT_STEP,
    SAME_STEP,
    NumpyEnv,
    TorchEnv,
    assert_close,
    rollout,
)

from isaac_gymnasium import wrappers
from isaac_gymnasium.random import RandomStreams

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)


class Zeros(VectorEnv[Any, Any, torch.Tensor]):
    """Observes zeros; environment k ends its episode every k + 3 steps. Keeps the last actions."""

    def __init__(self, num_envs: int, mode: AutoresetMode = SAME_STEP, low: float = -1.0) -> None:
        self.metadata = {"autoreset_mode": mode}
        self.num_envs = num_envs
        self.single_observation_space = Dict({"a": Box(-1, 1, (3,)), "b": Box(-1, 1, (2, 2))})
        self.single_action_space = Box(low, 1.0, (2,))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.t = torch.zeros(num_envs, dtype=torch.int64)
        self.lengths = torch.arange(num_envs) + 3

    def _observe(self) -> dict[str, torch.Tensor]:
        return {"a": torch.zeros(self.num_envs, 3), "b": torch.zeros(self.num_envs, 2, 2)}

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        mask = (options or {}).get("reset_mask", torch.ones(self.num_envs, dtype=torch.bool))
        self.t[mask] = 0
        return self._observe(), {}

    def step(self, actions: torch.Tensor) -> Any:
        self.actions = actions
        self.t += 1
        ended = self.t >= self.lengths
        self.t[ended] = 0
        info = {"final_obs": self._observe(), "_final_obs": ended.clone()}
        return self._observe(), torch.ones(self.num_envs), ended, torch.zeros_like(ended), info


def noises(env: Any, steps: int = 12, seed: Any = 0) -> torch.Tensor:
    """(steps + 1, N, 7): what was observed of zeros."""
    seen = [env.reset(seed=seed)[0]]
    seen += [env.step(torch.zeros(env.num_envs, 2))[0] for _ in range(steps)]
    return torch.stack([torch.cat((obs["a"], obs["b"].flatten(1)), 1) for obs in seen])


class TestNoiseObservation:
    def test_the_noise_is_normal_with_the_deviations_asked_for(self) -> None:
        env = wrappers.NoiseObservation(Zeros(500), {"a": np.float32([0.0, 1.0, 3.0]), "b": 0.5})
        noise = noises(env, 20).flatten(0, 1).double()
        std = torch.tensor([0.0, 1.0, 3.0, 0.5, 0.5, 0.5, 0.5], dtype=torch.float64)
        count = len(noise)
        assert (noise.mean(0).abs() <= 4 * std / count**0.5).all()
        assert ((noise.std(0) - std).abs() <= 4 * std / (2 * count) ** 0.5).all()
        correlation = torch.corrcoef(noise[:, 1:].T) - torch.eye(6)
        assert correlation.abs().max() < 5 / count**0.5
        share = (noise[:, 1].abs() < 1).double().mean().item()
        assert share == pytest.approx(0.6827, abs=0.02)

    def test_no_two_observations_share_their_noise(self) -> None:
        env, seen = wrappers.NoiseObservation(Zeros(4), 1.0), []
        seen.append(env.reset(seed=0)[0]["a"])
        for _ in range(20):
            obs, _, terminated, _, info = env.step(torch.zeros(4, 2))
            seen += [obs["a"], info["final_obs"]["a"][terminated]]
        for _ in range(3):
            seen.append(env.reset()[0]["a"])
        seen.append(env.reset(options={"reset_mask": torch.arange(4) == 1})[0]["a"][1:2])
        values = torch.cat(seen).flatten()
        assert len(values.unique()) == len(values)

    @modes
    def test_the_seed_decides_and_the_others_do_not_matter(self, mode: Any) -> None:
        def noisy(num_envs: int) -> Any:
            return wrappers.NoiseObservation(Zeros(num_envs, mode), 1.0)

        first = noises(noisy(6))
        assert torch.equal(noises(noisy(6)), first)
        assert torch.equal(noises(noisy(3)), first[:, :3])
        assert not torch.equal(noises(noisy(6), seed=1), first)
        # A list seeds each environment; None lets the system choose.
        listed = noises(noisy(6), seed=[0, 1, None, 0, 0, 0])
        assert torch.equal(listed[:, [0, 3, 4, 5]], first[:, [0, 3, 4, 5]])
        assert not torch.equal(listed[:, 1], first[:, 1])
        assert not torch.equal(listed[:, 2], first[:, 2])
        assert not torch.equal(noises(noisy(6), seed=None), noises(noisy(6), seed=None))

    @modes
    def test_a_seed_begins_everything_anew_and_none_goes_on(self, mode: Any) -> None:
        env = wrappers.NoiseObservation(Zeros(3, mode), 1.0)
        first = noises(env)
        assert torch.equal(noises(env), first)
        on = noises(env, seed=None)
        assert not torch.equal(on, first)
        listed = noises(env, seed=[0, None, 0])
        assert torch.equal(listed[:, ::2], first[:, ::2])
        assert not torch.isin(listed[:, 1], torch.cat((first, on))).any()

    def test_a_partial_reset_leaves_the_noise_of_the_others(self) -> None:
        one, other = (wrappers.NoiseObservation(Zeros(4, DISABLED), 1.0) for _ in range(2))
        for env in (one, other):
            env.env.lengths += 100
        noises(one, 2), noises(other, 2)
        mask = torch.arange(4) == 2
        one.reset(options={"reset_mask": mask})
        for _ in range(3):
            a, b = (env.step(torch.zeros(4, 2))[0]["a"] for env in (one, other))
            assert torch.equal(a[~mask], b[~mask]) and not torch.equal(a[mask], b[mask])

    def test_wrappers_of_one_stack_and_the_environment_draw_other_numbers(self) -> None:
        inner = wrappers.NoiseObservation(Zeros(3), 1.0)
        outer = wrappers.NoiseObservation(inner, 1.0)
        both, one = noises(outer), noises(wrappers.NoiseObservation(Zeros(3), 1.0))
        assert ((both - one).abs() > 1e-6).all() and ((both - 2 * one).abs() > 1e-6).all()
        own = RandomStreams(3, "cpu")
        streams = [own.stream, inner._streams.rng.stream, outer._streams.rng.stream]
        assert len(torch.cat(streams).unique()) == 9


class TestNoiseAction:
    def test_the_noise_is_normal_and_the_sum_is_in_the_space(self) -> None:
        env = wrappers.NoiseAction(Zeros(400, NEXT_STEP, low=-0.5), np.float32([0.1, 2.0]))
        env.reset(seed=3)
        seen = []
        for _ in range(20):
            env.step(torch.full((400, 2), 0.25))
            seen.append(env.env.actions)
        actions = torch.cat(seen)
        assert (actions >= -0.5).all() and (actions <= 1.0).all()
        free, bounded = actions.double().T
        assert free.mean().item() == pytest.approx(0.25, abs=4 * 0.1 / 8000**0.5)
        assert free.std().item() == pytest.approx(0.1, rel=0.04)
        # P(0.25 + 2 z > 1) and P(0.25 + 2 z < -0.5), z standard normal
        assert (bounded == 1.0).double().mean().item() == pytest.approx(0.354, abs=0.025)
        assert (bounded == -0.5).double().mean().item() == pytest.approx(0.354, abs=0.025)

    @modes
    def test_the_seed_decides(self, mode: Any) -> None:
        def make(num_envs: int) -> Any:
            return wrappers.NoiseAction(Zeros(num_envs, mode), 0.1)

        def received(env: Any, seed: int | None) -> torch.Tensor:
            env.reset(seed=seed)
            seen = []
            for _ in range(9):
                env.step(torch.zeros(env.num_envs, 2))
                seen.append(env.env.actions)
            return torch.stack(seen)

        env = make(5)
        first = received(env, 0)
        assert torch.equal(received(env, 0), first)
        assert torch.equal(received(make(5), 0), first)
        assert torch.equal(received(make(2), 0), first[:, :2])
        assert not torch.equal(received(env, 1), first)
        assert not torch.isin(received(env, None), first).any()
        assert len(first.flatten().unique()) == first.numel()


class Draws:
    """The same uniform numbers for gymnasium's wrapper and for ours, by step and environment."""

    def __init__(self, index: int | None = None) -> None:
        self.index, self.t = index, -1
        self.table = np.random.default_rng(5).random((200, 5, 2)).astype(np.float32)

    # numpy.random.Generator's, for gymnasium
    def uniform(self, *args: Any, **kwargs: Any) -> Any:
        if self.index is None:
            self.t += 1
            return torch.from_numpy(self.table[self.t])
        return self.table[self.t, self.index, 0]

    def integers(self, low: int, high: int) -> int:
        return low + int(self.table[self.t, self.index, 1] * np.float32(high - low))


class TestStickyAction:
    @modes
    @pytest.mark.parametrize("duration", [1, 2, (1, 4), (3, 3)])
    def test_actions_stick_as_in_gymnasium(self, mode: Any, duration: Any) -> None:
        theirs = NumpyEnv(mode, "box", lambda env: single.StickyAction(env, 0.4, duration))
        draws = [Draws(k) for k in range(theirs.num_envs)]
        for env, draw in zip(theirs.envs, draws, strict=True):
            env.unwrapped._np_random = draw
        step = theirs.step

        def count(actions: Any) -> Any:
            for draw in draws:
                draw.t += 1
            return step(actions)

        theirs.step = count
        ours = wrappers.StickyAction(TorchEnv(mode), 0.4, duration)
        ours._streams.rng.uniform = Draws().uniform
        rollout(theirs, steps=150), rollout(ours, steps=150)
        for a, e in zip(ours.env.numpy.received, theirs.received, strict=True):
            assert_close(a, e)
        repeated = [(a[1:] == a[:-1]).all(1).mean() for a in ours.env.numpy.received]
        assert 0.1 < np.mean(repeated) < 0.9

    def test_what_the_environment_does_to_its_actions_is_not_repeated(self) -> None:
        env = wrappers.StickyAction(Zeros(50), 0.9)
        env.env.lengths += 100
        env.reset(seed=0)
        env.step(torch.ones(50, 2))
        env.env.actions.zero_()
        env.step(torch.full((50, 2), 2.0))
        assert set(env.env.actions.unique().tolist()) == {1.0, 2.0}

    def test_the_seed_decides(self) -> None:
        def received(env: Any, seed: int) -> torch.Tensor:
            env.reset(seed=seed)
            seen = []
            for t in range(20):
                env.step(torch.full((env.num_envs, 2), float(t)))
                seen.append(env.env.actions)
            return torch.stack(seen)

        env = wrappers.StickyAction(Zeros(5), 0.5, (1, 3))
        first = received(env, 0)
        assert torch.equal(received(env, 0), first)
        assert torch.equal(received(wrappers.StickyAction(Zeros(2), 0.5, (1, 3)), 0), first[:, :2])
        assert not torch.equal(received(env, 1), first)

    def test_it_sticks_as_often_as_asked_for(self) -> None:
        env = wrappers.StickyAction(Zeros(300), 0.3)
        env.env.lengths += 10_000
        env.reset(seed=0)
        repeats, last = [], None
        for t in range(40):
            env.step(torch.full((300, 2), float(t)))
            if last is not None:
                repeats.append((env.env.actions == last).all(1))
            last = env.env.actions
        share = torch.stack(repeats).double().mean().item()
        assert share == pytest.approx(0.3, abs=4 * (0.21 / (300 * 39)) ** 0.5)

    def test_never_means_never(self) -> None:
        env = wrappers.StickyAction(Zeros(4), 0.0, 5)
        env.reset(seed=0)
        for t in range(30):
            env.step(torch.full((4, 2), float(t)))
            assert (env.env.actions == t).all()
