"""Subclasses of `Sound`, each of which breaks one point of the contract."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from sound_env import Sound

SAME_STEP, NEXT_STEP, DISABLED = "SameStep", "NextStep", "Disabled"
BROKEN: dict[str, tuple[str, type[Sound]]] = {}


def breaks(point: str, mode: str = SAME_STEP):
    """Enter a class in the table: the point it breaks, and the mode in which that shows."""

    def enter(cls: type[Sound]) -> type[Sound]:
        BROKEN[f"{point}: {cls.__name__}"] = mode, cls
        return cls

    return enter


# ---------------------------------------------------------------------- interface


@breaks("runs")
class FourValues(Sound):
    def step(self, actions):
        obs, reward, terminated, truncated, info = super().step(actions)
        return obs, reward, terminated | truncated, info


@breaks("runs")
class FailsAtTheSixthStep(Sound):
    def step(self, actions):
        self.count = getattr(self, "count", 0) + 1
        if self.count == 6:
            raise RuntimeError("out of order")
        return super().step(actions)


@breaks("runs")
class ResetReturnsObservationsOnly(Sound):
    def reset(self, **kwargs):
        return super().reset(**kwargs)[0]


@breaks("runs", DISABLED)
class NoInfo(Sound):
    def reset(self, **kwargs):
        return super().reset(**kwargs)[0], None


@breaks("spaces")
class UnbatchedSpace(Sound):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.observation_space = self.single_observation_space


@breaks("spaces")
class NoSingleSpace(Sound):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.single_observation_space = None


@breaks("spaces")
class OtherDtypeOfActions(Sound):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.single_action_space = Box(-1.0, 1.0, (1,), np.float64)


@breaks("metadata")
class ModeIsAString(Sound):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.metadata["autoreset_mode"] = self.autoreset_mode.value


@breaks("metadata_per_instance")
class SharedMetadata(Sound):
    shared: ClassVar[dict[str, Any]] = {}

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.shared.update(self.metadata)
        self.metadata = self.shared


@breaks("attributes")
class NoSetter(Sound):
    set_attr = None


@breaks("attributes")
class OneValue(Sound):
    def call(self, name, *args):
        return super().call(name, *args)[:1]


@breaks("attributes")
class SetterForgets(Sound):
    def set_attr(self, name, values):
        pass


@breaks("render")
class StackedFrames(Sound):
    def render(self):
        return np.stack(super().render())


@breaks("render")
class OneFrame(Sound):
    def render(self):
        return super().render()[:1]


@breaks("render")
class FloatFrames(Sound):
    def render(self):
        return [frame / 255 for frame in super().render()]


# ---------------------------------------------------------------------- outputs


@breaks("observations")
class DoubleObservations(Sound):
    def observe(self):
        return super().observe().double()


@breaks("observations")
class OutOfBounds(Sound):
    bound = 0.9


@breaks("rewards")
class ColumnOfRewards(Sound):
    def step(self, actions):
        obs, reward, *rest = super().step(actions)
        return obs, reward[:, None], *rest


@breaks("flags")
class FloatFlags(Sound):
    def step(self, actions):
        obs, reward, terminated, truncated, info = super().step(actions)
        return obs, reward, terminated.float(), truncated, info


@breaks("finite")
class InfiniteReward(Sound):
    def step(self, actions):
        obs, reward, terminated, *rest = super().step(actions)
        return obs, torch.where(terminated, torch.inf, reward), terminated, *rest


@breaks("finite")
class NanObservations(Sound):
    def observe(self):
        obs = super().observe()
        return torch.where(obs > 0.9, torch.nan, obs)


@breaks("one_device")
class NumpyReward(Sound):
    def step(self, actions):
        obs, reward, *rest = super().step(actions)
        return obs, reward.numpy(), *rest


@breaks("one_device")
class SaysItIsOnAGpu(Sound):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.device = torch.device("cuda:0")


class WithInfo(Sound):
    extra: Any = None

    def step(self, actions):
        *rest, info = super().step(actions)
        return *rest, info | {"extra": self.extra, "_extra": torch.ones(4, dtype=torch.bool)}


@breaks("infos")
class ListInInfo(WithInfo):
    extra = (1, 2, 3)


@breaks("infos")
class NumberAsKey(Sound):
    def reset(self, **kwargs):
        obs, info = super().reset(**kwargs)
        return obs, info | {7: 1.0}


@breaks("infos")
class MaskOfInts(Sound):
    def step(self, actions):
        *rest, info = super().step(actions)
        return *rest, info | {"_success": torch.ones(4, dtype=torch.int64)}


@breaks("infos")
class NestedListInInfo(WithInfo):
    extra: ClassVar[dict[str, Any]] = {"deeper": [None]}


@breaks("exclusive_flags")
class BothFlags(Sound):
    def is_over(self):
        terminated, _ = super().is_over()
        truncated = self.length >= self.max_episode_steps
        return terminated | (truncated & (self.index == 1)), truncated


@breaks("truncation")
class TruncatesEarly(Sound):
    def is_over(self):
        terminated, _ = super().is_over()
        return terminated, (self.length >= self.max_episode_steps - 1) & ~terminated


@breaks("truncation", NEXT_STEP)
class CountsTheResetStep(Sound):
    def begin(self, mask):
        super().begin(mask)
        self.length = torch.where(mask & self.seeded & (self.episode > 0), 1.0, self.length)


@breaks("truncation", DISABLED)
class TruncatesLate(Sound):
    def is_over(self):
        terminated, _ = super().is_over()
        return terminated, (self.length > self.max_episode_steps) & ~terminated


# ---------------------------------------------------------------------- seeding


@breaks("seed_int")
class IgnoresSeeds(Sound):
    def seed(self, seed):
        if self.seeded:
            self.episode += 1
        else:
            super().seed(0)


@breaks("seed_list")
class NoList(Sound):
    def seed(self, seed):
        if not isinstance(seed, int):
            raise TypeError("seed must be an int")
        super().seed(seed)


@breaks("seed_list")
class NoneInListRefused(Sound):
    def seed(self, seed):
        super().seed(seed if isinstance(seed, int) else [int(one) for one in seed])


@breaks("seed_list")
class ListOfSeedsIgnored(Sound):
    def seed(self, seed):
        super().seed(seed)
        if not isinstance(seed, int):
            self.lists = getattr(self, "lists", 0) + 1
            self.episode += self.lists


@breaks("seed_none")
class NoneSeedsAnew(Sound):
    def reset(self, *, seed=None, options=None):
        self.last = getattr(self, "last", 0) if seed is None else seed
        return super().reset(seed=self.last if seed is None else seed, options=options)

    def reset_mask(self, options):
        mask = super().reset_mask(options)
        self.keep = ~mask
        return mask


@breaks("seed_none")
class NoneIsRandom(Sound):
    calls = 0

    def reset(self, *, seed=None, options=None):
        if seed is None and options is None and self.seeded:
            type(self).calls += 1
            seed = 10**6 + self.calls
        return super().reset(seed=seed, options=options)


@breaks("seeds_differ")
class OneSeedForAll(Sound):
    def seed(self, seed):
        super().seed(0 if isinstance(seed, int) else seed)


@breaks("rows_differ")
class EqualRows(Sound):
    def draw(self):
        return super().draw()[:1].expand(self.num_envs)


@breaks("reproducible")
class GlobalNoise(Sound):
    def move(self, actions):
        super().move(actions + 0.1 * torch.randn(self.num_envs))


@breaks("reproducible", NEXT_STEP)
class EachInstanceItsOwn(Sound):
    instances = 0

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        type(self).instances += 1
        self.number = self.instances

    def draw(self):
        return super().draw() / self.number


@breaks("reproducible")
class RemembersItsVelocity(Sound):
    def reset(self, **kwargs):
        velocity = self.velocity
        result = super().reset(**kwargs)
        self.velocity = velocity
        return result


@breaks("refuses_seeds")
class AnyNumberOfSeeds(Sound):
    def seed(self, seed):
        if not isinstance(seed, int):
            seed = ([*seed] * 2)[: self.num_envs]
        super().seed(seed)


# ---------------------------------------------------------------------- actions


@breaks("sampled_actions")
class TensorsOnly(Sound):
    def read(self, actions):
        if not isinstance(actions, torch.Tensor):
            raise TypeError("actions must be a tensor")
        return super().read(actions)


@breaks("actions_unchanged")
class ScalesInPlace(Sound):
    def read(self, actions):
        return super().read(actions.mul_(0.5) if isinstance(actions, torch.Tensor) else actions)


@breaks("actions_unchanged")
class ClipsInPlace(Sound):
    def read(self, actions):
        if isinstance(actions, np.ndarray):
            np.clip(actions, -1, 1, out=actions)
        return super().read(actions)


class Lenient(Sound):
    """Takes what it needs from actions of any shape."""

    def read(self, actions):
        actions = torch.as_tensor(actions)
        rows = torch.arange(self.num_envs) % len(actions)
        return actions[rows, 0].clamp(-1, 1)


@breaks("refuses_actions")
class AnyRows(Lenient):
    pass


@breaks("refuses_actions", DISABLED)
class AnyColumns(Lenient):
    def read(self, actions):
        if len(actions) != self.num_envs:
            raise ValueError("bad actions")
        return super().read(actions)


# ---------------------------------------------------------------------- ownership


@breaks("outputs_kept")
class OneRewardBuffer(Sound):
    def step(self, actions):
        obs, reward, *rest = super().step(actions)
        if not hasattr(self, "buffer"):
            self.buffer = torch.empty(self.num_envs)
        return obs, self.buffer.copy_(reward), *rest


@breaks("outputs_kept")
class OneBufferOfFinalObservations(Sound):
    def step(self, actions):
        *rest, info = super().step(actions)
        if not hasattr(self, "buffer"):
            self.buffer = torch.empty(self.num_envs, 2)
        if "final_obs" in info:
            info["final_obs"] = self.buffer.copy_(info["final_obs"])
        return *rest, info


@breaks("outputs_owned")
class HandsOutItsState(Sound):
    columns = 1

    def observe(self):
        return self.position[:, None]


@breaks("outputs_owned", DISABLED)
class HandsOutItsStateAtReset(Sound):
    columns = 1

    def observe(self):
        first = bool((self.length == 0).all())
        return self.position[:, None] if first else self.position[:, None].clone()


# ---------------------------------------------------------------------- autoreset


class WithoutInfo(Sound):
    missing = ""

    def step(self, actions):
        *rest, info = super().step(actions)
        info.pop(self.missing, None)
        return *rest, info


@breaks("final_obs")
class NoFinalObservation(WithoutInfo):
    missing = "final_obs"


@breaks("final_obs")
class NoMask(WithoutInfo):
    missing = "_final_obs"


@breaks("final_obs")
class MaskOfAll(Sound):
    def step(self, actions):
        *rest, info = super().step(actions)
        return *rest, info | {"_final_obs": torch.ones(self.num_envs, dtype=torch.bool)}


@breaks("final_obs")
class FinalObservationOfOtherShape(Sound):
    def step(self, actions):
        *rest, info = super().step(actions)
        return *rest, info | {"final_obs": info["final_obs"][:, :1]}


@breaks("final_info")
class NoFinalInfo(WithoutInfo):
    missing = "final_info"


@breaks("final_info")
class FinalInfoIsNoDict(Sound):
    def step(self, actions):
        *rest, info = super().step(actions)
        return *rest, info | {"final_info": torch.zeros(self.num_envs)}


@breaks("final_info")
class NoFinalInfoMask(WithoutInfo):
    missing = "_final_info"


@breaks("same_step_reset")
class ReturnsTheFinalObservation(Sound):
    def step(self, actions):
        obs, *rest, info = super().step(actions)
        if "final_obs" in info:
            obs = torch.where(info["_final_obs"][:, None], info["final_obs"], obs)
        return obs, *rest, info


@breaks("same_step_reset")
class ReturnsItWhereTruncated(Sound):
    def step(self, actions):
        obs, reward, terminated, truncated, info = super().step(actions)
        obs = torch.where(truncated[:, None], info.get("final_obs", obs), obs)
        return obs, reward, terminated, truncated, info


class AtReset(Sound):
    """Changes what the step that resets environments returns."""

    def step(self, actions):
        before = self.ended
        return self.change(before, *super().step(actions))


@breaks("next_step_reset", NEXT_STEP)
class RewardAtReset(AtReset):
    def change(self, mask, obs, reward, *rest):
        return obs, torch.where(mask, 1.0, reward), *rest


@breaks("next_step_reset", NEXT_STEP)
class FlagAtReset(AtReset):
    def change(self, mask, obs, reward, terminated, *rest):
        return obs, 0 * reward, terminated | mask, *rest


@breaks("next_step_reset", NEXT_STEP)
class OldObservationAtReset(AtReset):
    def step(self, actions):
        last = self.observe()
        self.last = last
        return super().step(actions)

    def change(self, mask, obs, *rest):
        return torch.where(mask[:, None], self.last, obs), *rest


@breaks("next_step_ignores_actions", NEXT_STEP)
class ActsAtReset(Sound):
    def read(self, actions):
        self.latest = super().read(actions)
        return self.latest

    def begin(self, mask):
        super().begin(mask)
        if self.seeded and hasattr(self, "latest"):
            self.velocity = torch.where(mask, self.latest, self.velocity)

    def reset(self, **kwargs):
        self.__dict__.pop("latest", None)
        return super().reset(**kwargs)


@breaks("next_step_after_mask", NEXT_STEP)
class ResetsTwice(Sound):
    def reset(self, **kwargs):
        ended = self.ended
        result = super().reset(**kwargs)
        if kwargs.get("options") and self.autoreset_mode == AutoresetMode.NEXT_STEP:
            self.ended = ended
        return result


@breaks("refuses_ended", DISABLED)
class GoesOn(Sound):
    def refuse_ended(self):
        pass


@breaks("true_successor")
class FinalObservationIsTheOneBefore(Sound):
    def advance(self, actions):
        last = self.observe()
        *rest, info = super().advance(actions)
        return *rest, info | {"final_obs": last}


@breaks("true_successor", NEXT_STEP)
class LastObservationIsTheNextStart(Sound):
    def advance(self, actions):
        obs, *rest = super().advance(actions)
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            start = torch.stack([0 * self.draw(), torch.ones_like(self.length)], 1)
            obs = torch.where(self.ended[:, None], start, obs)
        return obs, *rest


@breaks("true_successor", DISABLED)
class OtherRewardWithoutAutoreset(Sound):
    def advance(self, actions):
        obs, reward, *rest = super().advance(actions)
        return obs, reward - int(self.autoreset_mode == AutoresetMode.DISABLED), *rest


# ---------------------------------------------------------------------- partial resets


@breaks("reset_mask")
class ResetsAll(Sound):
    def reset_mask(self, options):
        return torch.ones_like(super().reset_mask(options))


@breaks("reset_mask")
class ResetsNone(Sound):
    def reset(self, *, seed=None, options=None):
        if options and seed is None:
            self.reset_mask(options)
            return self.observe(), {}
        return super().reset(seed=seed, options=options)


@breaks("reset_mask", NEXT_STEP)
class ZeroesOtherRows(Sound):
    def reset(self, **kwargs):
        obs, info = super().reset(**kwargs)
        return torch.where(self.reset_mask(kwargs.get("options"))[:, None], obs, 0.0), info


@breaks("reset_mask")
class NumpyMasksOnly(Sound):
    def reset_mask(self, options):
        if options and not isinstance(options["reset_mask"], np.ndarray):
            raise TypeError("reset_mask must be a NumPy array")
        return super().reset_mask(options)


@breaks("reset_mask_isolated")
class StopsAll(Sound):
    def begin(self, mask):
        super().begin(mask)
        if self.resetting:
            self.velocity = torch.zeros_like(self.velocity)

    def reset(self, **kwargs):
        self.resetting = True
        result = super().reset(**kwargs)
        self.resetting = False
        return result


@breaks("options_unchanged", DISABLED)
class PopsTheMask(Sound):
    def reset_mask(self, options):
        mask = super().reset_mask(options)
        if options:
            options.pop("reset_mask")
        return mask


@breaks("options_unchanged")
class ClearsTheMask(Sound):
    def reset(self, *, seed=None, options=None):
        result = super().reset(seed=seed, options=options)
        if options:
            options["reset_mask"][:] = False
        return result


@breaks("refuses_reset_masks")
class MasksOfInts(Sound):
    def reset_mask(self, options):
        if options:
            options = {"reset_mask": torch.as_tensor(options["reset_mask"]).bool()}
        return super().reset_mask(options)


@breaks("refuses_reset_masks")
class EmptyMasks(Sound):
    def reset_mask(self, options):
        if options and not options["reset_mask"].any() and len(options["reset_mask"]) == 4:
            return torch.zeros(4, dtype=torch.bool)
        return super().reset_mask(options)


@breaks("refuses_reset_masks")
class LongMasks(Sound):
    def reset_mask(self, options):
        if options:
            options = {"reset_mask": options["reset_mask"][: self.num_envs]}
        return super().reset_mask(options)


# ---------------------------------------------------------------------- tensors


@breaks("no_host_sync")
class ReadsANumber(Sound):
    def is_over(self):
        terminated, truncated = super().is_over()
        self.best = max(getattr(self, "best", 0.0), self.position.max().item())
        return terminated, truncated


@breaks("no_host_sync", NEXT_STEP)
class BranchesOnAMask(Sound):
    def begin(self, mask):
        if mask.any():
            super().begin(mask)


@breaks("no_host_sync")
class SelectsByAMask(Sound):
    def move(self, actions):
        super().move(actions)
        self.mean = self.position[self.position > 0].mean()


@breaks("grad_modes")
class BuffersOfInferenceMode(Sound):
    def plain_torch(self):
        return contextlib.nullcontext()

    def move(self, actions):
        super().move(actions)
        self.seeds.add_(0)
        self.position.mul_(1)

    def begin(self, mask):
        self.position = torch.where(mask, self.draw(), self.position)
        self.velocity = torch.where(mask, 0.0, self.velocity)
        self.length = torch.where(mask, 0.0, self.length)
        self.ended = self.ended & ~mask


@breaks("grad_modes", NEXT_STEP)
class ActsWithGradientsOnly(Sound):
    def step(self, actions):
        return super().step(actions if torch.is_grad_enabled() else 0 * actions)


# ---------------------------------------------------------------------- lifecycle


@breaks("close")
class ClosesOnce(Sound):
    def close(self, **kwargs):
        if self.closed:
            raise RuntimeError("closed already")
        super().close(**kwargs)


@breaks("close")
class NeverClosed(Sound):
    def close(self, **kwargs):
        pass


@breaks("refuses_after_close")
class StepsAfterClose(Sound):
    def require_open(self):
        pass


@breaks("refuses_after_close")
class ResetsAfterClose(Sound):
    def reset(self, **kwargs):
        closed, self.closed = self.closed, False
        result = super().reset(**kwargs)
        self.closed = closed
        return result


class CountsTheLiving(Sound):
    alive = 0
    over = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        type(self).alive += 1

    def close_extras(self, **kwargs):
        type(self).alive -= 1
        type(self).over = self.alive == 0


@breaks("recreation")
class OtherSecondLife(CountsTheLiving):
    def move(self, actions):
        super().move(actions / 2 if self.over else actions)


@breaks("recreation")
class OneProcessOneLife(CountsTheLiving):
    def __init__(self, **kwargs):
        if self.over:
            raise RuntimeError("the simulator cannot be started again")
        super().__init__(**kwargs)


# ---------------------------------------------------------------------- specs, by ID


class GrowingBounds(Sound):
    """Its spaces are others each time."""

    def __init__(self, **kwargs):
        type(self).bound += 1
        super().__init__(**kwargs)


if "GrowingBounds-v0" not in gym.registry:
    gym.register("GrowingBounds-v0", vector_entry_point="broken_envs:GrowingBounds")
