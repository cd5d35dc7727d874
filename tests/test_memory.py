"""What is said when memory runs out; the test of the command line makes it run out."""

import re

import numpy as np
import pytest
import torch

from isaac_gymnasium.cli import main
from isaac_gymnasium.memory import asked_for, available, is_out_of_memory, room_to_train

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
