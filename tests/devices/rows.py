"""Rows of the table as functions of arrays, which JAX can compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from passus import Variable
from passus.backend import is_array
from tests.functions.test_table import call, flat
from tests.table import Case, Row

Arrays = list[Any]


def in_float32(case: Case) -> Case:
    """The case with its floating-point arrays in float32."""

    def single(x: Any) -> Any:
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            return x.astype(np.float32)
        return tuple([single(v) for v in x]) if type(x) is tuple else x

    return Case(tuple([single(x) for x in case.args]), case.kwargs)


def arrays_of(case: Case, kinds: str) -> dict[int, Any]:
    """The arrays among the arguments of a case, by position."""
    return {i: x for i, x in enumerate(case.args) if isinstance(x, np.ndarray) and x.dtype.kind in kinds}


def results(row: Row, case: Case) -> Callable[[dict[int, Any]], Arrays]:
    """The outputs of a case as a function of some of its arrays; and the first gradients of their weighted sum, if it has any."""

    def compute(arrays: dict[int, Any]) -> Arrays:
        return _results(row, case, arrays, order=1)

    return compute


def second_gradients(row: Row, case: Case) -> Callable[[dict[int, Any]], Arrays]:
    """The gradients of the weighted sum of the first gradients."""

    def compute(arrays: dict[int, Any]) -> Arrays:
        return _results(row, case, arrays, order=2)

    return compute


def _results(row: Row, case: Case, arrays: dict[int, Any], order: int) -> Arrays:
    args = list(case.args)
    variables = []
    for i, x in arrays.items():
        args[i] = Variable(x) if x.dtype.kind == "f" else x
        if x.dtype.kind == "f":
            variables.append(args[i])
    ys = flat(call(row, case, args))
    found = [y.data if isinstance(y, Variable) else y for y in ys]
    for derivative in range(1, order + 1):
        total = _weighted_sum(ys)
        if total is None:
            return found
        for v in variables:
            v.cleargrad()
        total.backward(create_graph=derivative < order)
        ys = [v.grad for v in variables]
        found += [None if y is None else y.data for y in ys]
    return found


def _weighted_sum(ys: Arrays) -> Any:
    total: Any = 0.0
    for k, y in enumerate(ys):
        if isinstance(y, Variable) and y.dtype.kind == "f" and y.requires_grad:
            weights = np.cos(np.arange(y.size) + k).reshape(y.shape).astype(y.dtype)
            total = total + (y * weights).sum()
    return total if isinstance(total, Variable) else None


def assert_same(found: Arrays, expected: Arrays, rtol: float, atol: float) -> None:
    """Require arrays of JAX with the shapes, dtypes and numbers of those of NumPy."""
    import jax

    assert len(found) == len(expected)
    for x, y in zip(found, expected):
        assert (x is None) == (y is None)
        if y is not None:
            assert is_array(x)
            assert isinstance(x, jax.Array)
            assert x.shape == y.shape
            assert x.dtype.kind == y.dtype.kind
            assert y.dtype.kind != "f" or x.dtype == y.dtype
            np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)
