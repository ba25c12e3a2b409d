"""Compiled kernels of rows beside their references: normalised, and added up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable, using_config
from passus.kernels import get_num_threads, set_num_threads
from passus.kernels.normalization import (
    normalized,
    normalized_gradients,
    rms_normalized,
    rms_normalized_gradients,
)
from passus.kernels.scatter import scatter_add

rng = np.random.default_rng(3)


@pytest.fixture(params=[1, 2, 5])
def count(request: pytest.FixtureRequest) -> Any:
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


def with_and_without_kernels(compute: Any) -> list[list[np.ndarray]]:
    results = []
    for on in (True, False):
        with using_config("native", on):
            results.append(compute())
    return results


# Rows added up.


@st.composite
def additions(draw: Any) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    shape = (draw(st.integers(1, 9)), *draw(st.lists(st.integers(0, 40), max_size=2)))
    of_index = draw(st.lists(st.integers(0, 5), max_size=3))
    index = rng.integers(-shape[0], shape[0], of_index).astype(draw(st.sampled_from([np.int8, np.int32, np.int64])))
    values = rng.integers(-9, 9, (*of_index, *shape[1:])).astype(np.float32)
    if draw(st.booleans()):
        values = values.copy(order="F")
        index.flags.writeable = values.flags.writeable = False
    return shape, index, values


@given(case=additions())
@settings(max_examples=60, deadline=None)
def test_rows_are_added_up(case: tuple[tuple[int, ...], np.ndarray, np.ndarray]) -> None:
    expected = np.zeros(case[0], np.float32)
    np.add.at(expected, case[1], case[2])
    np.testing.assert_array_equal(scatter_add.compiled()(*case), expected, strict=True)
    np.testing.assert_array_equal(scatter_add.reference(*case), expected, strict=True)


def test_an_index_without_a_row_is_refused() -> None:
    for index in ([0, 3], [-4, 0]):
        with pytest.raises(IndexError, match="out of bounds for axis 0 with size 3"):
            scatter_add.compiled()((3, 2), np.array(index), np.ones((2, 2), np.float32))


def test_sums_of_rows_do_not_depend_on_the_number_of_threads(count: int) -> None:
    index, values = np.arange(30_000) % 7, rng.standard_normal((30_000, 70), np.float32)
    expected = np.zeros((7, 70), np.float32)
    np.add.at(expected, index, values)  # One after the other.
    np.testing.assert_array_equal(scatter_add.compiled()((7, 70), index, values), expected)


def test_a_large_embedding_gives_the_same_with_and_without_kernels() -> None:
    index, table = rng.integers(0, 9, (40, 30)), rng.standard_normal((9, 24), np.float32)

    def compute() -> list[np.ndarray]:
        W = Variable(table)
        F.sum(F.embed_id(index, W) ** 3).backward(create_graph=True)
        first = W.grad
        W.cleargrad()
        F.sum(first**2).backward()
        return [first.data, W.grad.data]

    for fast, plain in zip(*with_and_without_kernels(compute)):
        np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5 * abs(plain).max())


# Normalisation.


@st.composite
def rows(draw: Any) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """x and gy of one shape, gamma and beta of its last axes, and which these are."""
    lead = draw(st.lists(st.integers(0, 9), max_size=2))
    features = (draw(st.sampled_from([1, 2, 5, 8, 31, 32, 100, 301])), *draw(st.lists(st.integers(1, 3), max_size=1)))
    arrays = [rng.standard_normal(shape, np.float32) + 2 for shape in [(*lead, *features)] * 2 + [features] * 2]
    if draw(st.booleans()):
        for array in arrays:
            array.flags.writeable = False
    return arrays, tuple(range(-len(features), 0))


def check_all(found: Any, expected: Any) -> None:
    for f, e in zip(found, expected, strict=True):
        assert (f.dtype, f.shape) == (np.float32, e.shape)
        np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-4 * (abs(e).max() if e.size else 0.0))


@given(case=rows())
@settings(max_examples=60, deadline=None)
def test_rows_are_normalized(case: tuple[list[np.ndarray], tuple[int, ...]]) -> None:
    (x, gy, gamma, beta), axes = case
    wide = [v.astype(np.float64) for v in (x, gy, gamma, beta)]
    y, *statistics = normalized.reference(wide[0], *wide[2:], axes, 0.1)
    check_all(normalized.compiled()(x, gamma, beta, axes, 0.1), (y, *statistics))
    rounded = [v.astype(np.float32) for v in statistics]
    check_all(
        normalized_gradients.compiled()(gy, x, gamma, *rounded, axes),
        normalized_gradients.reference(wide[1], wide[0], wide[2], *statistics, axes),
    )


@given(case=rows())
@settings(max_examples=60, deadline=None)
def test_rows_are_normalized_by_their_root_mean_square(case: tuple[list[np.ndarray], tuple[int, ...]]) -> None:
    (x, gy, gamma, _), axes = case
    wide = [v.astype(np.float64) for v in (x, gy, gamma)]
    y, inv_rms = rms_normalized.reference(wide[0], wide[2], axes, 0.1)
    check_all(rms_normalized.compiled()(x, gamma, axes, 0.1), (y, inv_rms))
    check_all(
        rms_normalized_gradients.compiled()(gy, x, gamma, inv_rms.astype(np.float32), axes),
        rms_normalized_gradients.reference(wide[1], wide[0], wide[2], inv_rms, axes),
    )


def test_sums_over_many_normalized_rows(count: int) -> None:
    x, gy = rng.standard_normal((2, 30_000, 40), np.float32)
    gamma = np.ones(40, np.float32)
    _, mean, inv_std = normalized.compiled()(x, gamma, gamma, (-1,), 1e-5)
    _, ggamma, gbeta = normalized_gradients.compiled()(gy, x, gamma, mean, inv_std, (-1,))
    x_hat = (x - x.mean(1, np.float64, keepdims=True)) / x.std(1, np.float64, keepdims=True)
    np.testing.assert_allclose(ggamma, (gy * x_hat).sum(0), rtol=1e-3, atol=1e-2)  # eps is not in x_hat.
    np.testing.assert_allclose(gbeta, gy.sum(0, np.float64), rtol=1e-5, atol=1e-4)


def test_rows_with_nan_or_infinity_are_normalized_as_numpy_does_it() -> None:
    x = rng.standard_normal((4, 21), np.float32)
    x[0, 3], x[1, 20], x[2, 0] = np.nan, np.inf, -np.inf
    parts = (np.ones(21, np.float32), np.ones(21, np.float32), (-1,), 1e-5)
    with np.errstate(invalid="ignore"):
        expected = [normalized.reference(x, *parts)[0], rms_normalized.reference(x, parts[0], *parts[2:])[0]]
    found = [normalized.compiled()(x, *parts)[0], rms_normalized.compiled()(x, parts[0], *parts[2:])[0]]
    for f, e in zip(found, expected):
        np.testing.assert_allclose(f, e, rtol=1e-5, atol=1e-6)


def test_the_variance_of_rows_of_large_numbers_close_together() -> None:
    x = (1e4 + rng.standard_normal((40, 500))).astype(np.float32)
    one = np.ones(500, np.float32)
    _, _, inv_std = normalized.compiled()(x, one, one, (-1,), 0.0)
    np.testing.assert_allclose(inv_std[:, 0], 1 / x.std(1, dtype=np.float64), rtol=1e-3)


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
def test_large_norms_give_the_same_with_and_without_kernels(norm: str) -> None:
    shape = (200, 3, 33)
    x, seed, gamma, beta = (rng.standard_normal(s, np.float32) for s in (shape, shape, 33, 33))

    def compute() -> list[np.ndarray]:
        inputs = [Variable(v) for v in (x, gamma, beta)[: 3 if norm == "layer_norm" else 2]]
        y = getattr(F, norm)(*inputs)
        F.sum(y * y * seed).backward(create_graph=True)
        first = [v.grad for v in inputs]
        for v in inputs:
            v.cleargrad()
        sum(F.sum(g**2) for g in first).backward()
        return [y.data, *[g.data for g in first], *[v.grad.data for v in inputs if v.grad is not None]]

    for fast, plain in zip(*with_and_without_kernels(compute), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-3, atol=1e-4 * abs(plain).max())
