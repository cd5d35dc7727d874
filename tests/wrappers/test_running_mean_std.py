"""Running statistics are those of all samples at once, also merged over processes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scripted_env import NEXT_STEP, TorchEnv, record, rollout

from isaac_gymnasium import wrappers
from isaac_gymnasium.wrappers.running_mean_std import RunningMeanStd


def batches(offset: float, scale: float, shape: tuple[int, ...] = (3,)) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    sizes = [1, 7, 64, 2, 300]
    return [torch.from_numpy(offset + scale * rng.normal(size=(n, *shape))) for n in sizes]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1e3, 1e-2), (-1e6, 1.0), (0.0, 1e-6)])
def test_batches_merge_into_the_statistics_of_all_samples(
    offset: float, scale: float, shape: tuple[int, ...]
) -> None:
    rms = RunningMeanStd(epsilon=0.0, shape=shape)
    for batch in (parts := batches(offset, scale, shape)):
        rms.update(batch)
    samples = torch.cat(parts)
    assert rms.count == len(samples)
    torch.testing.assert_close(rms.mean, samples.mean(0), rtol=1e-12, atol=1e-12)
    expected = samples.var(0, correction=0)
    # Relative to the samples, as far as float64 goes.
    torch.testing.assert_close(rms.var, expected, rtol=1e-9, atol=1e-15 * offset**2)


def test_samples_outside_the_mask_do_not_count_whatever_they_are() -> None:
    one, other = RunningMeanStd(shape=(3,)), RunningMeanStd(shape=(3,))
    for batch in batches(1.0, 2.0):
        mask = torch.arange(len(batch)) % 3 == 0
        garbage = torch.where(mask.unsqueeze(1), batch, torch.nan)
        one.update(garbage, mask)
        other.update(batch[mask])
    for name in ("count", "mean", "square"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name))


def test_an_empty_mask_changes_nothing() -> None:
    rms = RunningMeanStd(shape=(3,))
    rms.update(torch.ones(4, 3))
    before = [rms.count.clone(), rms.mean.clone(), rms.square.clone()]
    rms.update(torch.full((4, 3), torch.inf), torch.zeros(4, dtype=torch.bool))
    after = [rms.count, rms.mean, rms.square]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_ten_thousand_batches_of_float32_lose_nothing() -> None:
    rms, generator = RunningMeanStd(epsilon=0.0), torch.Generator().manual_seed(0)
    samples = 100 + torch.randn(10_000, 16, generator=generator)
    for batch in samples:
        rms.update(batch)
    exact = samples.double().flatten()
    assert rms.mean.item() == pytest.approx(exact.mean().item(), rel=1e-13)
    assert rms.var.item() == pytest.approx(exact.var(correction=0).item(), rel=1e-11)


def test_integers_are_normalized_as_floats() -> None:
    rms = RunningMeanStd(epsilon=0.0, shape=(2,))
    images = torch.tensor([[0, 255], [2, 253]], dtype=torch.uint8)
    rms.update(images)
    (result,) = rms.normalize(images, epsilon=torch.tensor(1e-8, dtype=torch.float64))
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, torch.tensor([[-1.0, 1.0], [1.0, -1.0]]))


def test_normalizing_keeps_float64_until_the_end() -> None:
    """Where the mean is a million deviations away, float32 would leave nothing."""
    rms = RunningMeanStd(epsilon=0.0)
    samples = torch.tensor([1e6, 1e6 + 0.5, 1e6 + 1.0])
    rms.update(samples)
    (result,) = rms.normalize(samples, epsilon=torch.tensor(0.0, dtype=torch.float64))
    expected = torch.tensor([-1.0, 0.0, 1.0]) * 1.5**0.5
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------------- several processes


def data_of(rank: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(rank)
    return [rank + torch.randn(5 + 3 * rank, 3, generator=generator) for _ in range(6)]


def stack(rank: int) -> Any:
    env = wrappers.NormalizeObservation(record(TorchEnv(NEXT_STEP, "dict"), steps=4 + rank))
    return wrappers.NormalizeReward(wrappers.RecordEpisodeStatistics(env))


def in_a_process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    rms, seen = RunningMeanStd(shape=(3,)), []
    for i, batch in enumerate(data_of(rank)):
        rms.update(batch)
        if i in (1, 2, 5):
            rms.synchronize()
            rms.synchronize()  # nothing new: nothing changes
            seen.append([rms.count.clone(), rms.mean.clone(), rms.square.clone()])

    env = stack(rank)
    rollout(env, partial=False, steps=4 + rank)
    alone = env.state_dict()
    env.synchronize()
    together = env.state_dict()
    # What has been loaded is common to all: it must not count once for each process.
    loaded = stack(rank)
    loaded.load_state_dict(together)
    loaded.synchronize()
    result = {"seen": seen, "alone": alone, "stack": together, "loaded": loaded.state_dict()}
    torch.save(result, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_end_with_the_statistics_of_all_they_saw(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(in_a_process, (str(tmp_path),), nprocs=2)
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]

    for upto, mine, other in zip((2, 3, 6), results[0]["seen"], results[1]["seen"], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))
        together = RunningMeanStd(shape=(3,))
        together.update(torch.cat(data_of(0)[:upto] + data_of(1)[:upto]))
        torch.testing.assert_close(mine[0], together.count)
        torch.testing.assert_close(mine[1], together.mean)
        torch.testing.assert_close(mine[2], together.square)

    stacks = [result["stack"] for result in results]
    for name, keys in {
        "NormalizeObservation": ("obs_rms.policy", "obs_rms.camera"),
        "NormalizeReward": ("return_rms",),
    }.items():
        for key in keys:
            a, b = ([stack[name][f"{key}.{part}"] for part in PARTS] for stack in stacks)
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
            counts = [result["alone"][name][f"{key}.count"] for result in results]
            torch.testing.assert_close(a[0], sum(counts) - 1e-4)
            assert counts[0] != counts[1]
            for result in results:
                loaded = [result["loaded"][name][f"{key}.{part}"] for part in PARTS]
                torch.testing.assert_close(loaded, a)


PARTS = ("count", "mean", "square")
