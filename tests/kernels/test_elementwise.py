"""Compiled limits and dropout agree with NumPy in every bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable, using_config
from passus.core.backward import gradients
from passus.kernels.elementwise import dropped_out, limited, limited_gradient
from tests.kernels.cases import images


@given(arrays=images(), bounds=st.sampled_from([(0.0, np.inf), (0.0, 6.0), (4.0, 5.0)]))
@settings(max_examples=40, deadline=None)
def test_limits(arrays: list[np.ndarray], bounds: tuple[float, float]) -> None:
    x, gy = arrays
    y, expected = limited.compiled()(x, *bounds), limited.reference(x, *bounds)
    np.testing.assert_array_equal(y, expected)
    along = [axis for axis in range(x.ndim) if x.shape[axis] > 1]  # There are no steps along the others.
    assert [y.strides[axis] for axis in along] == [expected.strides[axis] for axis in along]
    np.testing.assert_array_equal(
        limited_gradient.compiled()(gy, y, *bounds), limited_gradient.reference(gy, y, *bounds)
    )


def test_nan_and_infinity_pass_limits_as_they_pass_numpy() -> None:
    x = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    np.testing.assert_array_equal(limited.compiled()(x, 0.0, np.inf), limited.reference(x, 0.0, np.inf))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 1, 2)])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0])
def test_dropout_by_its_kernel_is_dropout_by_numpy(
    order: tuple[int, ...], ratio: float, num_threads: int, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((9, 40, 33, 50), np.float32).transpose(order)
    gy = rng.standard_normal((9, 40, 33, 50), np.float32).transpose(order)
    results = []
    for native in (True, False):
        v = Variable(x)
        with using_config("native", native):
            y = F.dropout(v, ratio, rng=7)
            (gx,) = gradients([y], [v], [Variable(gy)])
        results.append((y.data, gx.data))
    for fast, plain in zip(*results):
        np.testing.assert_array_equal(fast, plain)
        assert fast.strides == plain.strides == x.strides
    assert abs((results[0][0] == 0).mean() - ratio) < 0.002
    assert dropped_out.suits(x, np.empty_like(x, np.uint32), 0, 1.0)
