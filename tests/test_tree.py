"""Copies of trees of tensors: every leaf, in its own memory, whatever its dtype and strides."""

from __future__ import annotations

import pytest
import torch

from isaac_gymnasium.tree import clone_tree, copy_all, copy_tree, leaves, plain_torch


def tree(device):
    return {
        "policy": torch.rand(4, 3, device=device),
        "parts": (torch.arange(4, device=device), torch.rand(4, device=device) > 0.5),
        "shared": torch.rand(1, 3, device=device).expand(4, 3),
        "turned": torch.rand(3, 4, device=device).T,
        "mean": torch.rand((), device=device),
        "none": {},
    }


def test_a_clone_has_the_values_and_memory_of_its_own(device):
    original = tree(device)
    clone = clone_tree(original)
    assert list(clone) == list(original) and clone["none"] == {}
    for copied, leaf in zip(leaves(clone), leaves(original), strict=True):
        assert torch.equal(copied, leaf) and copied.dtype == leaf.dtype
        copied.zero_()
    assert original["policy"].any() and original["mean"] > 0 and original["shared"].any()
    assert clone_tree({}) == {}


def test_trees_are_copied_by_name(device):
    source = tree(device)
    target = {name: source[name] for name in reversed(source)}
    target = clone_tree(target)
    for leaf in leaves(target):
        leaf.zero_()
    copy_tree(target, source)
    for name in source:
        for copied, leaf in zip(leaves(target[name]), leaves(source[name]), strict=True):
            assert torch.equal(copied, leaf)


def test_dtypes_are_converted_and_shapes_expanded(device):
    targets = [torch.zeros(4, device=device), torch.zeros(4, 2, device=device)]
    copy_all(targets, [torch.ones(4, device=device).bool(), torch.full((2,), 3, device=device)])
    assert targets[0].tolist() == [1.0] * 4 and targets[1].tolist() == [[3.0, 3.0]] * 4
    with pytest.raises(ValueError):
        copy_all(targets, targets[:1])


def test_within_a_step_torch_uses_one_thread_and_the_callers_number_comes_back():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(KeyError), plain_torch():
            assert torch.get_num_threads() == 1
            with plain_torch():
                pass
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
