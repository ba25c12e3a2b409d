"""Named trees: flattening, comparison, and atomic loading."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passus.errors import ArgumentError, DTypeError, WeightsError
from passus.loading import load_all
from passus.tree import Spec, Stateful, compare, flatten, unflatten

names = st.text(st.characters(exclude_characters=".", exclude_categories=["Cs"]), min_size=1, max_size=5)
trees = st.dictionaries(names, st.recursive(st.integers(), lambda t: st.dictionaries(names, t, max_size=3)), max_size=4)


@given(trees)
def test_unflatten_inverts_flatten(tree: dict[str, Any]) -> None:
    leaves = flatten(tree)
    assert unflatten(leaves) == tree
    assert not any(isinstance(leaf, dict) and leaf for leaf in leaves.values())


def test_flatten_preserves_order() -> None:
    assert list(flatten({"b": {"z": 1, "a": 2}, "a": 3})) == ["b.z", "b.a", "a"]


@pytest.mark.parametrize("tree", [{3: 1}, {"a": {"": 1}}, {"a.b": 1, "a": {"b": 2}}])
def test_flatten_of_ambiguous_names_raises(tree: Any) -> None:
    with pytest.raises(ArgumentError, match="flatten: "):
        flatten(tree)


def test_flatten_of_a_list_raises() -> None:
    with pytest.raises(DTypeError, match="flatten: a list is not a state"):
        flatten([1])  # type: ignore[arg-type]


@pytest.mark.parametrize("leaves", [{"a": 1, "a.b": 2}, {"a.b": 2, "a": 1}, {"a": {}, "a.b": 2}])
def test_unflatten_of_a_leaf_that_is_also_a_branch_raises(leaves: Any) -> None:
    with pytest.raises(ArgumentError, match="unflatten: a"):
        unflatten(leaves)
    assert leaves.get("a", {}) in ({}, 1), "leaves are not modified"


def test_compare_lists_all_mismatches() -> None:
    expected = {"gone": np.zeros(1), "W": np.zeros((2, 3)), "b": np.zeros(3), "n": np.zeros(1), "fine": np.zeros(2)}
    state = {
        "new": np.zeros(1),
        "W": np.zeros((3, 2)),
        "b": np.zeros(3, np.float32),
        "n": [1.0],
        "fine": np.zeros(2),
    }
    with pytest.raises(WeightsError) as caught:
        compare(expected, state, "mlp", fix="Use cast=True")
    message = str(caught.value)
    for part in (
        "mlp: ",
        "missing: gone;",
        "extra: new;",
        "not an array: n;",
        "of another shape: W (3, 2) instead of (2, 3)",
        "of another dtype: b float32 instead of float64",
        "Use cast=True.",
        "Nothing was changed",
    ):
        assert part in message
    assert "fine" not in message


def test_compare_shortens_a_long_list() -> None:
    with pytest.raises(WeightsError, match=r"missing: p0, .*p11, and 988 more\. Nothing"):
        compare({f"p{i}": np.zeros(1) for i in range(1000)}, {}, "mlp")


@pytest.mark.parametrize("spec", [Spec(None), Spec((None, 3)), Spec((2, 3)), Spec((None, None), np.dtype(np.float32))])
def test_spec_with_unknown_lengths_accepts_any_length(spec: Spec) -> None:
    compare({"W": spec}, {"W": np.zeros((2, 3), np.float32)}, "layer")


@pytest.mark.parametrize("spec", [Spec((None, 4)), Spec((None,)), Spec((2, 3), np.dtype(np.float64))])
def test_spec_mismatch_raises(spec: Spec) -> None:
    with pytest.raises(WeightsError, match=r"of another .*: W"):
        compare({"W": spec}, {"W": np.zeros((2, 3), np.float32)}, "layer")


def test_unknown_length_is_shown_as_a_question_mark() -> None:
    with pytest.raises(WeightsError, match=r"W \(2, 3\) instead of \(\?, 4\)"):
        compare({"W": Spec((None, 4))}, {"W": np.zeros((2, 3))}, "layer")


def test_stateful_is_recognized_by_its_methods() -> None:
    class Counter:
        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None: ...

    assert isinstance(Counter(), Stateful)
    assert not isinstance(object(), Stateful)


class Number:
    """A component with one number as state; loading None raises KeyboardInterrupt."""

    def __init__(self, value: int) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["value"] is None:
            raise KeyboardInterrupt
        self.value = state["value"]


def test_load_all_loads_all_or_none() -> None:
    parts = [Number(1), Number(2), Number(3)]
    load_all(zip(parts, [{"value": 4}, {"value": 5}, {"value": 6}], strict=True))
    assert [part.value for part in parts] == [4, 5, 6]
    with pytest.raises(KeyboardInterrupt):
        load_all(zip(parts, [{"value": 7}, {"value": 8}, {"value": None}], strict=True))
    assert [part.value for part in parts] == [4, 5, 6]
