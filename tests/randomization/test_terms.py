"""Whatever a file says of randomisation is a plan, or one clear error."""

from __future__ import annotations

import json
from typing import Any

import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from isaac_gymnasium.randomization import TARGETS, Randomization, Term, parse  # noqa: E402

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
known = {
    "target": st.sampled_from(TARGETS),
    "body": st.sampled_from(["", "Robot"]),
    "range": st.lists(st.floats(-2, 2), min_size=1, max_size=3),
    "distribution": st.sampled_from(["uniform", "log_uniform", "normal", "choice"]),
    "operation": st.sampled_from([None, "scale", "additive", "absolute"]),
    "when": st.sampled_from([None, "construction", "reset", "interval", "step"]),
    "interval_s": st.floats(-1, 10),
    "together": st.booleans(),
    "shared": st.booleans(),
}
terms = st.fixed_dictionaries(
    {"target": known["target"], "range": known["range"]},
    optional={name: values for name, values in known.items() if name not in ("target", "range")},
)
often = settings(max_examples=300, deadline=None, derandomize=True, database=None)


@often
@given(given_terms=st.dictionaries(st.sampled_from(["a", "b"]), terms, min_size=1))
def test_a_plan_is_what_was_said_or_an_error_that_names_the_term(given_terms: Any) -> None:
    try:
        plan = parse(given_terms)
    except ValueError as error:
        assert str(error).startswith(("randomization 'a': ", "randomization 'b': "))
        return
    for name, said in given_terms.items():
        for key, value in said.items():
            got = getattr(plan.terms[name], key)
            assert got == (tuple(value) if key == "range" else value) or value is None
    # A plan survives JSON, as the spec of an environment does.
    again = {name: vars(term) for name, term in plan.terms.items()}
    assert parse(json.loads(json.dumps(again))) == plan


@often
@given(said=plain, key=st.sampled_from([*known, "names", "typo"]), value=plain)
def test_nonsense_is_a_type_or_value_error(said: Any, key: str, value: Any) -> None:
    sound = {"target": "mass", "body": "Robot", "range": (0.5, 2.0)}
    for attempt in ({"it": said}, {"it": {**sound, key: value}}, {"terms": {"it": sound}, key: 1}):
        try:
            plan = parse(attempt)
        except (TypeError, ValueError) as error:
            assert str(error), "an error without words"
        else:
            assert isinstance(plan, Randomization)
            assert all(isinstance(term, Term) for term in plan.terms.values())
