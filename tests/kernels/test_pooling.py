"""Compiled pooling agrees with its references."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from passus.kernels.pooling import (
    average_pooling,
    average_pooling_gradient,
    max_pooling,
    max_pooling_gradient,
)
from tests.helpers.drawing import generators


@st.composite
def pools(draw: Any) -> tuple[np.ndarray, Any, Any, Any]:
    rng = draw(generators())
    kernel, stride = draw(st.tuples(*[st.integers(1, 4)] * 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in kernel)
    size = [k + draw(st.integers(0, 8)) for k in kernel]
    x = rng.integers(-3, 3, (draw(st.integers(0, 3)), *size, draw(st.integers(1, 40)))).astype(np.float32)
    x[rng.random(x.shape) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
    return np.moveaxis(x, -1, 1), kernel, stride, padding


@given(case=pools(), rng=generators())
@settings(max_examples=60, deadline=None)
def test_max_pooling(case: tuple[np.ndarray, Any, Any, Any], rng: np.random.Generator) -> None:
    x, *window = case
    y, places = max_pooling.reference(x, *window)
    for found, expected in zip(max_pooling.compiled()(x, *window), (y, places)):
        np.testing.assert_array_equal(found, expected, strict=True)
    gy = rng.standard_normal(y.shape, np.float32)
    found = max_pooling_gradient.compiled()(gy, places, x.shape[2:], *window)
    np.testing.assert_allclose(found, max_pooling_gradient.reference(gy, places, x.shape[2:], *window), atol=1e-5)


@given(case=pools(), data=st.data(), rng=generators())
@settings(max_examples=60, deadline=None)
def test_average_pooling(case: tuple[np.ndarray, Any, Any, Any], data: st.DataObject, rng: np.random.Generator) -> None:
    x, *window = case
    out = max_pooling.reference(x, *window)[0].shape[2:]
    divisor = data.draw(st.sampled_from([np.asarray(6.0), rng.integers(1, 9, out)]))
    expected = average_pooling.reference(x, *window, divisor)
    np.testing.assert_allclose(average_pooling.compiled()(x, *window, divisor), expected, rtol=1e-5, atol=1e-6)
    gy = rng.standard_normal(expected.shape, np.float32)
    found = average_pooling_gradient.compiled()(gy, x.shape[2:], *window, divisor)
    expected = average_pooling_gradient.reference(gy, x.shape[2:], *window, divisor)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert found.dtype == np.float32
