"""Values and derivatives at the ends of the range, at 0, and at infinity; long sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable
from passus.kernels.sums import total


@pytest.mark.parametrize("p", [1.5, 2, 3, 7.0])
@pytest.mark.parametrize(
    ("dtype", "unit"), [("f", 1e25), ("f", 1e-25), ("f", 3e37), ("f", 1e-38), ("d", 1e200), ("d", 1e-200), ("e", 1e4)]
)
def test_norms_of_extreme_values(p: float, dtype: str, unit: float) -> None:
    exact = np.array([3.0, -4.0, 0.0])
    x = Variable((exact * unit).astype(dtype))
    y = F.norm(x, p)
    y.backward()
    rtol = 2e-3 if dtype == "e" else 1e-5
    size = np.linalg.norm(exact, p)
    np.testing.assert_allclose(float(y.data) / unit, size, rtol=rtol)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data, np.sign(exact) * (abs(exact) / size) ** (p - 1), rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("unit", [1e25, 1e-25, 5e37])
def test_standard_deviations_of_extreme_values(unit: float) -> None:
    x = Variable(np.array([1.0, 3.0], np.float32) * np.float32(unit))
    y = F.std(x)
    y.backward()
    np.testing.assert_allclose(float(y.data) / unit, 1, rtol=1e-5)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data, [-0.5, 0.5], rtol=1e-5)


@pytest.mark.parametrize("n", [2, 3, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cosine_similarity_of_vectors_whose_norm_overflows(dtype: Any, n: int) -> None:
    x0, x1 = np.full((2, n), np.finfo(dtype).max, dtype), np.ones((2, n), dtype)
    x0[1], x1[1, 0] = 1, -1
    expected = F.cosine_similarity(np.sign(x0), x1)
    np.testing.assert_allclose(F.cosine_similarity(x0, x1), expected, rtol=1e-6)
    x = Variable(x0)
    F.cosine_similarity(x, x1).backward()
    assert np.isfinite(x.grad.data).all()


def test_cosine_similarity_of_extreme_values() -> None:
    x0 = Variable(np.array([[2e38, 2e38], [1e-6, 0], [0, 0], [1e25, 0]], np.float32))
    x1 = Variable(np.array([[2e38, 0], [-2e-6, 0], [1, 0], [1e-7, 1e-7]], np.float32))
    y = F.cosine_similarity(x0, x1)
    np.testing.assert_allclose(y.data, [0.5**0.5, -1, 0, 0.5**0.5], rtol=1e-5)
    y.sum().backward()
    for x in (x0, x1):
        assert x.grad is not None
        assert np.isfinite(x.grad.data).all()


@pytest.mark.parametrize(
    "f",
    [F.std, F.norm, lambda x: F.norm(x, 3), lambda x: F.norm(x, 1.5), lambda x: F.norm(x, axis=0), F.var],
    ids=["std", "norm", "norm 3", "norm 1.5", "norm, axis", "var"],
)
@pytest.mark.parametrize("x", [np.zeros(3), np.array([1.0, 0.0, 0.0]), np.ones(3), np.zeros(1)])
def test_derivatives_of_std_var_and_norm_are_finite_at_zero(f: Any, x: np.ndarray) -> None:
    x = Variable(x)
    f(x).backward(create_graph=True)
    first = x.grad
    assert first is not None
    assert np.isfinite(first.data).all()
    x.cleargrad()
    (first * np.cos(np.arange(x.size))).sum().backward()
    assert x.grad is not None
    assert np.isfinite(x.grad.data).all()
    if not first.data.any() and f is not F.var:
        np.testing.assert_array_equal(x.grad.data, 0)  # The first derivative is defined as constant there.


@pytest.mark.parametrize(("c", "slope"), [(-1.0, -np.inf), (0.0, 0.0), (0.5, 0.0), (2.0, 0.0)])
@pytest.mark.parametrize("base", [0.0, np.zeros(()), np.zeros(2)])
def test_gradient_of_a_power_of_zero_by_the_exponent(c: float, slope: float, base: Any) -> None:
    exponent = Variable(np.full(np.shape(base), c))
    with np.errstate(divide="ignore"):  # NumPy warns about 0**-1.
        y = F.pow(base, exponent)
    y.backward()
    assert exponent.grad is not None
    np.testing.assert_array_equal(exponent.grad.data, np.full(np.shape(base), slope))


@pytest.mark.parametrize("slope", [np.array(0.5), np.array([0.5])])
@pytest.mark.parametrize(("x", "y", "by_x", "by_slope"), [(-2.0, -1.0, 0.5, -2.0), (2.0, 2.0, 1.0, 0.0)])
def test_prelu_of_a_scalar(x: float, y: float, by_x: float, by_slope: float, slope: np.ndarray) -> None:
    number, slopes = Variable(np.array(x)), Variable(slope)
    result = F.prelu(number, slopes)
    assert result.shape == ()
    assert result.data == y
    result.backward()
    assert number.grad is not None
    assert slopes.grad is not None
    assert (number.grad.data, slopes.grad.data) == (by_x, by_slope)


def test_logsumexp_of_infinities() -> None:
    inf = np.inf
    x = np.array([[-inf, -inf], [inf, 1.0], [-inf, 2.0], [inf, inf]])
    np.testing.assert_array_equal(F.logsumexp(x, axis=1), [-inf, inf, 2.0, inf])
    v = Variable(x[[0, 2]])
    F.logsumexp(v, axis=1).sum().backward()
    assert v.grad is not None
    np.testing.assert_array_equal(v.grad.data, [[0, 0], [0, 1]])


@pytest.mark.parametrize("unit", [1e25, 3e37, 1e-25])
@pytest.mark.parametrize("size", [4, 40_000], ids=["reference", "kernel"])
@pytest.mark.parametrize(
    "f",
    [
        lambda x, g: F.layer_norm(x, g, 0 * g, eps=1e-30),
        lambda x, g: F.rms_norm(x, g, eps=1e-30),
        lambda x, g: F.group_norm(x, g, 0 * g, 1, eps=1e-30),
        lambda x, g: F.instance_norm(x.reshape(1, 1, -1), g[:1], 0 * g[:1], eps=1e-30).reshape(1, -1),
    ],
    ids=["layer", "rms", "group", "instance"],
)
def test_normalization_of_extreme_values(f: Any, size: int, unit: float) -> None:
    exact = np.tile([1.0, -1.0, 0.5, -0.5], size // 4)[None]
    gamma, weights = np.ones(size, np.float32), np.cos(np.arange(size))
    results = []
    for scale, dtype in ((unit, np.float32), (1.0, np.float64)):
        x = Variable((exact * scale).astype(dtype))
        y = f(x, gamma.astype(dtype))
        (y * weights.astype(dtype)).sum().backward()
        assert x.grad is not None
        assert y.dtype == x.grad.dtype == dtype
        results.append((y.data, x.grad.data.astype(float) * scale))
    if unit > 1:
        np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
        np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-3, atol=1e-3)
    else:  # Far below eps, normalization is a constant factor.
        np.testing.assert_allclose(results[0][0], exact * (unit / 1e-15), rtol=1e-5)


# Kernels of sums.


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((5000, 3), 0),
        ((3, 5000), 1),
        ((2, 3000, 3), 1),
        ((30, 40, 50, 2), (0, 1, 2)),
        ((1031, 7), None),
        ((7, 11, 13), ()),
    ],
)
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_total_has_the_shape_and_value_of_sum(shape: Any, axis: Any, order: str) -> None:
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    x = np.repeat(x, 2, axis=-1)[..., ::2] if order == "strided" else np.asarray(x, order=order)  # type: ignore[call-overload]
    for keepdims in (False, True):
        y, exact = total(x, axis, keepdims), x.sum(axis=axis, keepdims=keepdims, dtype=float)
        assert y.dtype == np.float32
        assert type(y) is type(x.sum(axis=axis, keepdims=keepdims))
        assert np.shape(y) == np.shape(exact)
        np.testing.assert_allclose(y, exact, rtol=1e-6)


def test_total_of_infinity_is_infinity() -> None:
    x = np.ones((5000, 2), np.float32)
    x[[7, 2000], 0] = np.inf
    np.testing.assert_array_equal(total(x, 0), [np.inf, 5000])
    x[9, 1] = np.nan
    assert np.isnan(total(x, 0)[1])
