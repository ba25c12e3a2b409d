"""The compiled product of matrices against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable
from passus.errors import ShapeError
from passus.kernels import dispatch, get_num_threads, set_num_threads
from passus.kernels.products import product
from tests.helpers.drawing import generators

native: Any = dispatch.native_module("products")


@pytest.fixture(autouse=True)
def _kernels() -> None:
    if native is None:
        pytest.skip("Numba is missing")


def matrix(rng: np.random.Generator, n: int, m: int, layout: str) -> np.ndarray:
    """A matrix in C or Fortran order, turned round, or with gaps; read-only, as some are."""
    if layout == "gaps":
        x = rng.standard_normal((2 * n, 3 * m), np.float32)[::2, ::3]
    elif layout == "reversed":
        x = rng.standard_normal((n, m), np.float32)[::-1, ::-1]
    else:
        x = np.asarray(rng.standard_normal((n, m), np.float32), order=layout)
    x.flags.writeable = False
    return x


def check(a: np.ndarray, b: np.ndarray, bias: Any = None) -> None:
    found = product.compiled()(a, b, bias)
    expected = a.astype(np.float64) @ b + (0 if bias is None else bias)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * max(1, a.shape[1]))


LAYOUTS = st.sampled_from(["C", "F", "gaps", "reversed"])
LENGTHS = st.integers(1, 80)


@given(n=LENGTHS, k=LENGTHS, m=LENGTHS, layouts=st.tuples(LAYOUTS, LAYOUTS), biased=st.booleans(), rng=generators())
@settings(max_examples=100, deadline=None)
def test_products(n: int, k: int, m: int, layouts: tuple[str, str], biased: bool, rng: np.random.Generator) -> None:
    bias = rng.standard_normal(m, np.float32) if biased else None
    check(matrix(rng, n, k, layouts[0]), matrix(rng, k, m, layouts[1]), bias)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    "shape",
    [
        (3, 5000, 40),
        (70, 4100, 33),
        (137, 1600, 170),
        (1300, 700, 50),
        (700, 300, 20),
        (20, 300, 700),
        (2, 9, 1),
        (1, 1, 1),
    ],
)
def test_long_sums_and_several_threads(shape: tuple[int, int, int], threads: int, rng: np.random.Generator) -> None:
    n, k, m = shape
    before = get_num_threads()
    set_num_threads(threads)
    try:
        check(matrix(rng, n, k, "C"), matrix(rng, k, m, "F"), rng.standard_normal(m, np.float32))
        check(matrix(rng, n, k, "F"), matrix(rng, k, m, "C"))
    finally:
        set_num_threads(before)


def test_a_number_that_is_not_finite_stays_in_its_row_and_column(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((40, 33), np.float32), rng.standard_normal((33, 50), np.float32)
    a[3, 4], b[7, 5] = np.nan, np.inf
    found = product.compiled()(a, b)
    with np.errstate(invalid="ignore"):
        expected = a @ b
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))


def test_large_matrices_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="matmul"):
        F.matmul(np.ones((300, 200), np.float32), np.ones((201, 300), np.float32))


def test_gradients_of_large_layers(rng: np.random.Generator) -> None:
    x, W, b = (Variable(rng.standard_normal(shape, np.float32)) for shape in [(150, 130), (130, 170), (170,)])
    gy = rng.standard_normal((150, 170), np.float32)
    y = F.linear(x, W, b)
    y.grad = Variable(gy)
    y.backward()
    for found, expected in [
        (y, x.data @ W.data + b.data),
        (x.grad, gy @ W.data.T),
        (W.grad, x.data.T @ gy),
        (b.grad, gy.sum(axis=0)),
    ]:
        np.testing.assert_allclose(found.data, expected, rtol=1e-4, atol=1e-4)


SHAPES = [(700, 60, 300), (300, 60, 700), (40, 900, 600)]
"""By tiles of columns, read by all threads; by tiles; by rows, where the left matrix is copied."""


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_thread_takes_the_shares_of_those_that_do_not_come(
    shape: tuple[int, int, int], order: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    n, k, m = shape
    a, b = matrix(rng, n, k, order), matrix(rng, k, m, "C")
    before = get_num_threads()
    set_num_threads(4)
    try:
        expected, homes = product.compiled()(a, b), []

        def only_the_third(work: Any, count: int, smallest: int = 1) -> None:
            if count == 4:
                homes.append(count)
                work(2, 3)
            else:  # The matrix is packed.
                work(0, count)

        monkeypatch.setattr(native, "split", only_the_third)
        np.testing.assert_array_equal(product.compiled()(a, b), expected)
        assert homes == [4]
    finally:
        set_num_threads(before)


@pytest.mark.parametrize("bias", [None, np.arange(50, dtype=np.float32)])
def test_a_transposed_deep_product_is_cut_along_its_depth(
    bias: Any, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    a, b = rng.standard_normal((2000, 60), np.float32).T, rng.standard_normal((2000, 50), np.float32)
    pieces, whole = [], native._Product.whole

    def noted(self: Any) -> np.ndarray:
        pieces.append(self.a.shape)
        return whole(self)

    monkeypatch.setattr(native._Product, "whole", noted)
    before = get_num_threads()
    set_num_threads(2)
    try:
        check(a, b, bias)
    finally:
        set_num_threads(before)
    assert pieces == [(60, 1000)] * 2


def test_the_zeros_of_products_without_a_bias_stay_zeros(rng: np.random.Generator) -> None:
    a, b = matrix(rng, 30, 20, "C"), matrix(rng, 20, 40, "C")
    expected = product.compiled()(a, b)
    product.compiled()(a, b, np.full(40, 7, np.float32))
    np.testing.assert_array_equal(product.compiled()(a, b), expected)


@pytest.mark.parametrize("rows", [1, 2])
def test_products_of_a_single_row_are_left_to_numpy(rows: int, rng: np.random.Generator) -> None:
    assert product.suits(matrix(rng, rows, 4096, "C"), matrix(rng, 4096, 4096, "C")) is (rows > 1)
