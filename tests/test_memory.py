"""What is said when memory runs out; the test of the command line makes it run out."""

import gc
import re
import sys

import numpy as np
import pytest
import torch

from isaac_gymnasium.cli import main
from isaac_gymnasium.garbage import garbage_kept
from isaac_gymnasium.memory import (
    asked_for,
    available,
    is_out_of_memory,
    room_to_train,
)
from isaac_gymnasium.vector_env import IsaacVectorEnv

CPU = torch.device("cpu")
PETABYTE = 2**50


@pytest.mark.parametrize("allocate", [torch.empty, np.empty], ids=["torch", "numpy"])
def test_what_failed_tells_how_much_it_asked_for(allocate):
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        allocate(PETABYTE)
    assert is_out_of_memory(caught.value)
    size = 4 if allocate is torch.empty else 8
    assert asked_for(caught.value) == pytest.approx(size * PETABYTE, rel=0.01)


def test_the_number_that_would_fit_follows_from_what_was_asked_for():
    free = available(CPU)
    if free is None:
        pytest.skip("nobody tells how much memory is free")
    with pytest.raises(MemoryError) as caught, room_to_train(1000, CPU):
        raise torch.OutOfMemoryError(f"Tried to allocate {10 * free} bytes.")
    (fit,) = map(int, re.findall(r"about (\d+) would fit", str(caught.value)))
    assert fit == pytest.approx(0.8 * 1000 / 10, rel=0.2)


def test_what_a_gpu_says_is_read_as_well():
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has")
    assert is_out_of_memory(error) and asked_for(error) == 2.5 * 2**30


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="the loss is broken"), room_to_train(4, CPU):
        raise RuntimeError("the loss is broken")


def test_training_beyond_memory_is_one_line(tmp_path, capsys):
    pytest.importorskip("ovphysx")
    pytest.importorskip("skrl")
    words = ["train", "IsaacCartpole-v0", "--engine", "physx", "--device", "cpu"]
    words += ["--num-envs", "4", "--rollouts", str(10**13), "--timesteps", str(4 * 10**13)]
    assert main([*words, "--run-dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("isaac-gymnasium: training with 4 environments ran out of the memory")
    assert error.endswith("about 1 would fit")
    assert not (tmp_path / "run").exists()


def test_environments_beyond_memory_are_one_line(capsys):
    assert main(["train", "IsaacCartpole-v0", "--device", "cpu", "--num-envs", str(10**9)]) == 2
    assert "1000000000 environments do not fit" in capsys.readouterr().err


def test_no_search_for_garbage_while_an_environment_is_made(engine_name):
    searches: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        searches.append(phase)

    gc.callbacks.append(note)
    try:
        threshold = gc.get_threshold()
        gc.set_threshold(1)  # otherwise so small an environment might be made between two
        seen = []

        class Watched(IsaacVectorEnv):
            def _start(self, *args):
                seen.append((gc.isenabled(), len(searches)))
                super()._start(*args)
                seen.append((gc.isenabled(), len(searches)))

        Watched("isaac_gymnasium.envs.cartpole:Cartpole", 2, engine=engine_name).close()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(note)
    (before, first), (after, last) = seen
    assert not before and not after and first == last
    assert gc.isenabled()


def test_garbage_is_searched_again_afterwards_and_only_where_it_was():
    with pytest.raises(ValueError), garbage_kept():
        assert not gc.isenabled()
        raise ValueError
    assert gc.isenabled()
    gc.disable()
    try:
        with garbage_kept():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_comes_with_an_engine_is_old_at_once_and_nothing_else(monkeypatch):
    def made(modules: int) -> bool:
        with garbage_kept():
            kept.append([modules])
            for k in range(modules):
                monkeypatch.setitem(sys.modules, f"of_an_engine_{modules}_{k}", sys)
        return any(each is kept[-1] for each in gc.get_objects(generation=2))

    kept: list[list[int]] = []
    assert made(200)
    assert not made(5)
    gc.freeze()
    try:
        assert not made(300)
        assert gc.get_freeze_count(), "what the user froze stays so"
    finally:
        gc.unfreeze()
