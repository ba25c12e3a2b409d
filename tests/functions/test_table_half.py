"""Tests of the table of functions on all numbers of float16, including results out of its range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable
from tests.functions.test_table import ROWS
from tests.helpers.tracing import repeats
from tests.table import Row

HALF = np.dtype(np.float16)
ALL = np.arange(1 << 16, dtype=np.uint16).view(HALF)
FINITE = np.sort(ALL[np.isfinite(ALL)])
SOME = np.concatenate([FINITE[::3001], np.array([0, 6e-8, 1e-5, 0.3, 1, 1.5, 257, 6e4], HALF)])
PAIRS = [v.ravel() for v in np.meshgrid(SOME, SOME)]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if row.elementwise])
@repeats
def test_every_float16_number_agrees_with_float32(row: Row) -> None:
    half = _results(row, [FINITE] if row.elementwise == 1 else PAIRS, HALF)
    single = _results(row, [FINITE] if row.elementwise == 1 else PAIRS, np.dtype(np.float32))
    assert len(half) == len(single)
    for y, exact in zip(half, single):
        if exact.dtype.kind == "f":
            assert y.dtype == HALF
            with np.errstate(over="ignore"):
                exact = exact.astype(HALF)
            # Several roundings; numbers below 6e-5 are rounded by 6e-8 each.
            np.testing.assert_allclose(y.astype(float), exact.astype(float), rtol=2**-8, atol=2**-20)


def _results(row: Row, args: list[Any], dtype: np.dtype[Any]) -> list[np.ndarray]:
    """The result, and the gradients of its sum."""
    boxed = [Variable(x.astype(dtype)) for x in args]
    with np.errstate(all="ignore"):
        y = getattr(F, row.name)(*boxed)
        if not isinstance(y, Variable) or not y.requires_grad:
            return [np.asarray(y)]
        y.backward()
    return [y.data, *[x.grad.data for x in boxed if x.grad is not None]]
