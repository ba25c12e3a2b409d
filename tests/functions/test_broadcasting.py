"""Binary functions against NumPy, on random shapes and dtypes."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import passus.functions as F
from passus import Variable

FUNCTIONS = [
    (F.add, np.add),
    (F.sub, np.subtract),
    (F.mul, np.multiply),
    (F.div, np.divide),
    (F.pow, np.power),
    (F.maximum, np.maximum),
    (F.minimum, np.minimum),
]
SHAPES = mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)
DTYPES = st.sampled_from([np.float32, np.float64, np.int64])


def filled(shape, dtype, seed):
    """Multiples of 0.5 from 1 to 3: every function is defined, ties are common, and float32 is exact."""
    return np.asarray(np.random.default_rng(seed).integers(2, 7, size=shape) / 2, dtype)


@pytest.mark.parametrize(("function", "reference"), FUNCTIONS, ids=[f.__name__ for f, _ in FUNCTIONS])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(shapes=SHAPES, dtypes=st.tuples(DTYPES, DTYPES), seed=st.integers(0, 99))
def test_values_dtypes_and_gradient_shapes(function, reference, shapes, dtypes, seed):
    arrays = [filled(shape, dtype, seed + i) for i, (shape, dtype) in enumerate(zip(shapes.input_shapes, dtypes))]
    x0, x1 = (Variable(x) for x in arrays)
    y, expected = function(x0, x1), reference(*arrays)
    assert (y.shape, y.dtype) == (shapes.result_shape, expected.dtype)
    np.testing.assert_array_equal(y.data, expected)
    np.testing.assert_array_equal(function(*arrays), expected)
    y.backward()
    for x in (x0, x1):
        assert x.grad.shape == x.shape
        assert x.grad.dtype == x.dtype if x.dtype.kind == "f" else x.grad.dtype.kind == "f"


@pytest.mark.parametrize(("function", "reference"), FUNCTIONS, ids=[f.__name__ for f, _ in FUNCTIONS])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(shapes=SHAPES, seed=st.integers(0, 99))
def test_gradient_of_a_broadcast_operand_is_the_sum_over_its_copies(function, reference, shapes, seed):
    arrays = [filled(shape, np.float64, seed + i) for i, shape in enumerate(shapes.input_shapes)]
    small = [Variable(x) for x in arrays]
    large = [Variable(np.array(np.broadcast_to(x, shapes.result_shape))) for x in arrays]
    function(*small).backward()
    function(*large).backward()
    for x, expanded in zip(small, large):
        np.testing.assert_allclose(x.grad.data, F.sum_to(expanded.grad.data, x.shape), rtol=1e-12)
