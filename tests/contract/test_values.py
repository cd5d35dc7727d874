"""What the points are made of: values in spaces, differences between trees, rollouts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from gymnasium.vector.utils import batch_space

from isaac_gymnasium.contract.outcome import Outcome, require_same_rollout
from isaac_gymnasium.contract.spaces import require_in_space, same_form
from isaac_gymnasium.contract.values import difference, leaves, overwrite, to_numpy
from isaac_gymnasium.contract.verdict import Failed

BOX = Box(-1.0, 1.0, (2,))
NESTED = Dict({"cell": Discrete(3, start=2), "pair": Tuple([BOX, MultiBinary(2)])})


def nested(**changes):
    value = {
        "cell": np.array([2, 4]),
        "pair": (np.zeros((2, 2), np.float32), np.ones((2, 2), np.int8)),
    }
    return value | changes


class TestSpaces:
    def test_what_a_batched_space_samples_is_in_it(self):
        for single in (BOX, NESTED, MultiDiscrete([2, 3]), Text(3)):
            space = batch_space(single, 3)
            require_in_space(space, space.sample(), "obs")

    def test_tensors_are_in_a_space_as_arrays_are(self):
        require_in_space(batch_space(BOX, 3), torch.zeros(3, 2), "obs")
        require_in_space(batch_space(Discrete(3), 3), torch.tensor([0, 1, 2]), "obs")

    @pytest.mark.parametrize(
        ("value", "expected", "got"),
        [
            ([], "obs to be a dict", r"\[\] of type list"),
            ({"cell": 1}, r"obs with the keys \['cell', 'pair'\]", r"\['cell'\]"),
            (nested(pair=[0, 1]), r"obs\['pair'\] to be a tuple", "of type list"),
            (nested(pair=(0,)), r"obs\['pair'\] of length 2", "1"),
            (nested(cell=np.array([2, 5])), r"obs\['cell'\] within .* \[2, 4\]", "5"),
            (nested(cell=np.array([1, 2])), r"obs\['cell'\] within .* \[2, 4\]", "1"),
            (nested(cell=np.array([2])), "array of int64 and shape \\(2,\\)", "shape \\(1,\\)"),
            (
                nested(pair=(np.zeros((2, 2)), np.ones((2, 2), np.int8))),
                r"obs\['pair'\]\[0\] to be an array of float32",
                "float64",
            ),
            (
                nested(pair=(np.zeros((2, 2), np.float32), np.full((2, 2), 2, np.int8))),
                r"obs\['pair'\]\[1\] within the bounds",
                "2",
            ),
        ],
    )
    def test_what_is_not_in_a_space_is_told(self, value, expected, got):
        with pytest.raises(Failed, match=f"expected .*{expected}.*; got .*{got}"):
            require_in_space(batch_space(NESTED, 2), value, "obs")

    def test_bounds_matter_in_the_rows_asked_for(self):
        value = np.array([[0, 0], [9, 9]], np.float32)
        require_in_space(batch_space(BOX, 2), value, "obs", np.array([True, False]))
        with pytest.raises(Failed):
            require_in_space(batch_space(BOX, 2), value, "obs", np.array([False, True]))

    def test_form_is_structure_shape_and_dtype_without_bounds(self):
        assert same_form(BOX, Box(-5.0, 9.0, (2,)))
        assert same_form(batch_space(NESTED, 2), batch_space(NESTED, 2))
        for other in (Box(-1.0, 1.0, (3,)), Box(-1.0, 1.0, (2,), np.float64), MultiBinary(2)):
            assert not same_form(BOX, other)
        assert not same_form(NESTED, Dict({"cell": Discrete(3)}))
        assert not same_form(Tuple([BOX]), Tuple([BOX, BOX]))


class TestDifference:
    @pytest.mark.parametrize(
        ("one", "other", "found"),
        [
            (np.zeros(2), np.zeros(2), None),
            (np.array([np.nan]), np.array([np.nan]), None),
            (np.array([1.0, 2.0]), np.array([1.0, 3.0]), ("x[1] = 2.0", "3.0")),
            ({"a": np.zeros(2)}, {"a": np.zeros(3)}, ("x['a'] of shape (2,)", "shape (3,)")),
            ({"a": 1}, {"b": 1}, ("x with [\"x['a']\"]", "[\"x['b']\"]")),
            ((1, "left"), (1, "right"), ("x[1] = left", "right")),
        ],
    )
    def test_is_told_where_it_is(self, one, other, found):
        assert difference(one, other, "x") == found

    def test_arrays_of_objects_are_looked_into(self):
        one, other = (np.array([None, np.zeros(2)], dtype=object) for _ in range(2))
        assert difference(one, other) is None
        other[1][0] = 1.0
        assert difference(one, other, "x") == ("x[1][0] = 0.0", "1.0")


class TestTrees:
    def test_a_copy_shares_nothing(self):
        tree = {"a": torch.zeros(2), "b": (np.zeros(2), np.array([np.zeros(1)], dtype=object))}
        copied = to_numpy(tree)
        overwrite(tree)
        assert all((np.asarray(leaf) == 0).all() for _, leaf in leaves(copied))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
    def test_overwriting_changes_every_element_of_a_tensor(self, dtype):
        for inference in (False, True):
            with torch.inference_mode(inference):
                tensor = torch.ones(3, dtype=dtype)
            before = to_numpy(tensor)
            overwrite({"a": tensor})
            assert (to_numpy(tensor) != before).all()

    @pytest.mark.parametrize("dtype", [np.float64, np.uint8, bool])
    def test_overwriting_changes_every_element_of_an_array(self, dtype):
        array = np.ones(3, dtype)
        overwrite((array,))
        assert (array != np.ones(3, dtype)).all()

    def test_an_array_that_cannot_be_written_is_left_alone(self):
        array = np.ones(3)
        array.flags.writeable = False
        overwrite([array])
        assert (array == 1).all()


def test_a_shorter_rollout_is_not_the_same():
    outcome = Outcome(live={}, seen={"obs": np.zeros(2), "info": {}}, is_step=False)
    require_same_rollout([outcome, outcome], [outcome, outcome], "as before")
    with pytest.raises(Failed, match="a rollout of 2 outcomes, as before; got 1 outcomes"):
        require_same_rollout([outcome, outcome], [outcome], "as before")
