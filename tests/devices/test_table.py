"""Every function of the table on arrays of JAX against NumPy: eagerly, and compiled, with first and second gradients."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import passus.functions as F
from passus.errors import PassusError
from passus.functions import limits
from tests.devices.rows import arrays_of, assert_same, in_float32, results, second_gradients
from tests.functions.test_table import ROWS, call, flat
from tests.table import Case, Row

UNKNOWN = {"get_item": "fiu", "quantile": "f"}
"""The kinds of the arrays that are arguments of the compiled function, where others must be known."""

RANDOM = {"dropout", "dropout2d", "stochastic_depth"}
"""Functions that draw other numbers on a device; `test_random` has their tests."""

by_name = pytest.mark.parametrize("row", [row for row in ROWS if row.name not in RANDOM], ids=lambda row: row.name)


OTHER_REASONS = {"batch_norm", "batch_nrom"}
"""Functions that refuse arrays of JAX for another reason than those of NumPy: they cannot be written to."""


def test_the_documented_limits_are_those_of_the_tests() -> None:
    assert UNKNOWN.keys() == limits.KNOWN_ARGUMENTS.keys()
    assert limits.NARROW.keys() <= {row.name for row in ROWS}


def can_compute(row: Row, case: Case) -> bool:
    """Whether the dtype of the result is one of JAX."""
    if row.name not in ("astype", "one_hot"):
        return True
    return all(y.dtype.itemsize < 8 for y in flat(call(row, in_float32(case), in_float32(case).args)))


def compiled(row: Row, kinds: str, function: Any, scale: float) -> None:
    """Compare all cases of a row, compiled as one function of their arrays."""
    cases = {name: in_float32(case) for name, case in row.cases.items() if can_compute(row, case)}
    arrays = {name: arrays_of(case, UNKNOWN.get(row.name, kinds)) for name, case in cases.items()}
    cases = {name: case for name, case in cases.items() if arrays[name]}
    if not cases:
        pytest.skip("no arrays")
    arrays = {name: arrays[name] for name in cases}
    expected = {name: function(row, case)(arrays[name]) for name, case in cases.items()}
    found = jax.jit(lambda given: {name: function(row, case)(given[name]) for name, case in cases.items()})(arrays)
    for name in cases:
        assert_same(found[name], expected[name], scale * row.rtol32, scale * row.atol32)


@by_name
def test_compiled_function_and_gradients(row: Row) -> None:
    compiled(row, "fiub", results, 20)


@by_name
def test_compiled_second_gradients(row: Row) -> None:
    if row.order < 2:
        pytest.skip("no second gradient")
    compiled(row, "f", second_gradients, 100)


@by_name
def test_eager_function_and_gradients(row: Row) -> None:
    case = in_float32(next(iter(row.cases.values())))
    arrays = arrays_of(case, "fiub")
    if not arrays:
        pytest.skip("no arrays")
    found = results(row, case)({i: jnp.asarray(x) for i, x in arrays.items()})
    assert_same(found, results(row, case)(arrays), 20 * row.rtol32, 20 * row.atol32)


def _is_ours(row: Row, bad: Any) -> bool:
    """Whether the message of an error is one of passus, not of NumPy."""
    try:
        getattr(F, row.name)(*bad.args, **bad.kwargs)
    except PassusError as error:
        return error.__cause__ is None
    return False


@by_name
def test_bad_arguments_raise_the_same_errors(row: Row) -> None:
    for bad in row.raises:
        args = [jnp.asarray(x) if isinstance(x, np.ndarray) and x.dtype.kind in "fiub" else x for x in bad.args]
        match = (
            re.sub("(int|float)64", r"\1..", bad.match) if _is_ours(row, bad) and row.name not in OTHER_REASONS else "."
        )
        with pytest.raises(bad.error, match=match):
            getattr(F, row.name)(*args, **bad.kwargs)
