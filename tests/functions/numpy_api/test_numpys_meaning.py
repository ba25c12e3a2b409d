"""Names with different meanings in NumPy and passus: NumPy's functions and methods follow NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import passus.functions as F
from passus import Variable, no_grad
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError

M = np.array([[0.6, -0.3, 0.8], [0.1, 0.5, -0.7]])


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_sort_gradient_follows_a_stable_argsort(axis):
    x = np.arange(200).reshape(20, 10) // 7 % 3 * 1.0
    weights = np.arange(200.0).reshape(F.sort(x, axis).shape)
    v = Variable(x)
    (F.sort(v, axis) * weights).sum().backward()
    expected = np.zeros(x.shape)
    order = np.argsort(x, axis, stable=True)
    if axis is None:
        expected.flat[order] = weights
    else:
        np.put_along_axis(expected, order, weights, axis)
    np.testing.assert_array_equal(v.grad.data, expected)


def test_float16_erf_is_rounded_once():
    x = np.linspace(-6, 6, 5001).astype(np.float16)
    exact = scipy.special.erf(x.astype(np.float64))
    np.testing.assert_array_equal(F.erf(x), exact.astype(np.float16))
    v = Variable(x)
    F.erf(v).sum().backward()
    slope = 2 / np.sqrt(np.pi) * np.exp(-(x.astype(np.float64) ** 2))
    np.testing.assert_allclose(v.grad.data, slope.astype(np.float16), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gradient_of_erf_at_extreme_values_is_zero(dtype):
    v = Variable(np.array([-np.finfo(dtype).max, -np.inf, np.inf, np.finfo(dtype).max], dtype))
    F.erf(v).sum().backward()
    np.testing.assert_array_equal(v.grad.data, 0)


@pytest.mark.parametrize("f", [F.var, F.std, lambda x, **o: np.var(x, **o), lambda x, **o: np.std(x, **o)])
@pytest.mark.parametrize(
    ("shape", "axis", "ddof"), [((3, 0), 0, 1), ((3, 0), (0,), 2), ((0, 4, 2), (1, 2), 7), ((2, 3), (), 0)]
)
def test_var_and_std_of_empty_arrays(f, shape, axis, ddof):
    y = f(Variable(np.ones(shape)), axis=axis, ddof=ddof)
    assert y.shape == np.var(np.ones(shape), axis=axis, ddof=ddof).shape
    y.sum().backward()


@pytest.mark.parametrize(
    ("of_variable", "of_array"),
    [
        ("np.sum(x, 0, None)", "np.sum(x, 0, None)"),
        ("np.sum(x, None, None, None, True)", "np.sum(x, keepdims=True)"),
        ("np.mean(x, 1, None, None, True)", "np.mean(x, 1, keepdims=True)"),
        ("np.std(x, 0, None, None, 1)", "np.std(x, 0, ddof=1)"),
        ("np.max(x, 0, None, True)", "np.max(x, 0, keepdims=True)"),
        ("np.argmax(x, 0, None)", "np.argmax(x, 0)"),
        ("np.argmax(x, 0, keepdims=True)", "np.argmax(x, 0, keepdims=True)"),
        ("np.argsort(x, -1, 'stable')", "np.argsort(x, -1, 'stable')"),
        ("np.sort(x, 0, 'stable')", "np.sort(x, 0)"),
        ("np.round(x, 1, None)", "np.round(x, 1)"),
        ("np.clip(x, -0.2, 0.2, None)", "np.clip(x, -0.2, 0.2)"),
        ("np.reshape(x, (3, 2), 'F')", "np.reshape(x, (3, 2), 'F')"),
        ("np.ravel(x, 'F')", "np.ravel(x, 'F')"),
        ("np.take(x, [0, 1], 1, None, 'clip')", "np.take(x, [0, 1], 1, None, 'clip')"),
        ("np.cumsum(x, 0, None)", "np.cumsum(x, 0)"),
        ("np.trace(x, 0, 0, 1, None)", "np.trace(x)"),
        ("np.dot(x, x.T, None)", "np.dot(x, x.T)"),
        ("np.concatenate([x, x], 1, None)", "np.concatenate([x, x], 1)"),
        ("np.average(x)", "np.average(x)"),
        ("x.ravel()", "x.ravel()"),
        ("x.ravel('F')", "x.ravel('F')"),
        ("x.copy()", "x.copy()"),
        ("x.take([1, 0], axis=1)", "x.take([1, 0], axis=1)"),
        ("x.argsort()", "x.argsort()"),
        ("x.argsort(0)", "x.argsort(0)"),
        ("x.argmax(axis=1, keepdims=True)", "x.argmax(axis=1, keepdims=True)"),
        ("x.round(1)", "x.round(1)"),
        ("round(x, 1)", "np.round(x, 1)"),
        ("round(x)", "np.round(x)"),
        ("x.trace()", "x.trace()"),
        ("x.trace(1)", "x.trace(1)"),
        ("x.diagonal()", "x.diagonal()"),
        ("x.repeat(2, axis=0)", "x.repeat(2, axis=0)"),
        ("x.repeat(2)", "x.repeat(2)"),
        ("x.mT", "x.mT"),
        ("x.real", "x.real"),
        ("x.imag", "x.imag"),
        ("x.conj()", "x.conj()"),
        ("x.cumprod(1)", "x.cumprod(1)"),
        ("x.any()", "x.any()"),
        ("x.all(axis=0)", "x.all(axis=0)"),
        ("(x > 0).all()", "(x > 0).all()"),
        ("x.nonzero()", "x.nonzero()"),
        ("x.clip(x * 0 - 0.2, 0.2)", "x.clip(x * 0 - 0.2, 0.2)"),
        ("x // 0.3", "x // 0.3"),
        ("2.0 // x", "2.0 // x"),
        ("x % 0.3", "x % 0.3"),
        ("2.0 % x", "2.0 % x"),
        ("divmod(x, 0.3)", "divmod(x, 0.3)"),
        ("divmod(2.0, x)", "divmod(2.0, x)"),
        ("M // x", "M // x"),
        ("M % x", "M % x"),
        ("np.floor(x) == x // 1", "np.floor(x) == x // 1"),
        ("np.where(x > 0)", "np.where(x > 0)"),
        ("np.where(x)", "np.where(x)"),
        ("np.add.reduce(x)", "np.add.reduce(x)"),
    ],
)
def test_arguments_and_methods_follow_numpy(of_variable, of_array):
    found = eval(of_variable, {"np": np, "x": Variable(M), "M": M})
    expected = eval(of_array, {"np": np, "x": M, "M": M})
    pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
    for y, reference in pairs:
        assert np.shape(y) == np.shape(reference)
        np.testing.assert_allclose(y.data if isinstance(y, Variable) else y, reference, rtol=1e-14, atol=1e-15)
        if np.asarray(reference).dtype.kind == "f":
            assert type(y) is Variable
            assert y.requires_grad


def test_copy_is_a_separate_differentiable_variable():
    v = Variable(M.copy())
    y = v.copy()
    assert y is not v
    assert not np.shares_memory(y.data, v.data)
    y.sum().backward()
    np.testing.assert_array_equal(v.grad.data, 1)
    integers = Variable(np.arange(3))
    assert integers.copy().dtype == integers.dtype


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda v: scipy.special.erf(v), r"^erf .*is not differentiable.*F\.erf"),
        (lambda v: scipy.special.expit(v), r"^expit .*F\.sigmoid"),
        (lambda v: scipy.special.log_expit(v), r"^log_expit .*-F\.softplus"),
        (lambda v: scipy.special.gammaln(v), r"^gammaln .*x\.data"),
        (lambda v: np.linalg.eigvals(v), r"^np\.linalg\.eigvals .*F\.eigvalsh"),
        (lambda v: np.linalg.eig(v), r"^np\.linalg\.eig .*F\.eigh"),
        (lambda v: np.add(v, 1.0, where=v > 0), r"np\.add with where.*F\.where"),
    ],
)
def test_functions_without_a_rule_suggest_an_alternative(call, advice):
    with pytest.raises(DTypeError, match=advice):
        call(Variable(M[:, :2]))


@pytest.mark.parametrize(
    "call",
    [
        lambda v: np.quantile(M, v),
        lambda v: np.quantile(v, v),
        lambda v: np.percentile(v, v),
        lambda v: np.nanquantile(v, v),
        lambda v: F.quantile(M, v),
        lambda v: np.cov(v, aweights=v),
        lambda v: np.histogram(np.ones(2), weights=v),
        lambda v: np.pad(v, 1, constant_values=v),
        lambda v: np.nan_to_num(v, nan=v[0]),
        lambda v: np.full_like(M, v[0]),
    ],
)
def test_variables_as_non_differentiable_options_raise(call):
    with pytest.raises(DTypeError, match=r"no differentiable rule|would become an array|no gradient here"):
        call(Variable(np.array([0.2, 0.7])))


def test_histogram_equals_that_of_the_array():
    for found, expected in zip(np.histogram(Variable(M), 3), np.histogram(M, 3), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_numpy_functions_under_no_grad():
    with no_grad():
        y = np.hstack([Variable(M), M])
    assert type(y) is Variable
    assert not y.requires_grad


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda v: np.take(v, 0, axis=2), ShapeError, r"np\.take\(float64\[2, 3\], 0\): axis 2 is out of bounds"),
        (lambda v: np.insert(v, 0, 1.0, axis=2), ShapeError, r"np\.insert.*axis 2 is out of bounds"),
        (lambda v: np.rollaxis(v, 2), ShapeError, r"np\.rollaxis.*axis 2 is out of bounds"),
        (lambda v: np.gradient(v, axis=2), ShapeError, r"np\.gradient.*axis 2 is out of bounds"),
        (lambda v: np.diff(v, prepend=0.0, axis=2), ShapeError, r"np\.diff.*axis 2 is out of bounds"),
        (lambda v: np.average(v, 2, [1.0]), ShapeError, r"np\.average.*axis 2 is out of bounds"),
        (lambda v: np.linalg.norm(v, axis=(0, 2)), ShapeError, r"np\.linalg\.norm.*axis 2 is out of bounds"),
        (lambda v: np.maximum.accumulate(v, axis=2), ShapeError, r"np\.maximum\.accumulate.*axis 2 is out of"),
        (lambda v: np.apply_along_axis(np.sum, 2, v), ShapeError, r"axis 2 is out of bounds"),
        (lambda v: np.take(v, 9), LabelError, "index 9 is out of bounds"),
        (lambda v: np.hstack([v, v[0]]), ShapeError, r"concatenate\(float64\[2, 3\], float64\[3\]\)"),
        (lambda v: np.linalg.matrix_power(v, 1.5), DTypeError, r"matrix_power: n is a float \(1\.5\); give an integer"),
        (lambda v: np.linalg.matrix_power(v, 2), ShapeError, "matmul"),
        (lambda v: np.gradient(v, 1.0, 2.0, 3.0), DTypeError, "3 spacings for 2 axes"),
        (lambda v: np.gradient(v[:, :1]), ShapeError, "needs 2 elements or more"),
        (lambda v: np.convolve(v[0], v[0], "none"), ArgumentError, "mode must be full, same or valid"),
        (lambda v: np.max(v, where=v > 0), ArgumentError, "needs initial"),
        (lambda v: np.fft.fft(v, axis=2), ShapeError, "axis 2 is not one of"),
        (lambda v: np.asarray(np.fft.fft(v)), DTypeError, "z.real and z.imag"),
        (lambda v: np.exp(np.fft.fft(v)), DTypeError, "np.exp of complex numbers has no differentiable rule"),
        (lambda v: np.sort(np.fft.fft(v)), DTypeError, "np.sort of complex numbers has no differentiable rule"),
        (lambda v: np.fft.fft(v) ** 0.5, DTypeError, "power of complex numbers"),
        (lambda v: np.trim_zeros(v), ShapeError, "must have one axis"),
        (lambda v: np.cross(v[:, :2], v[:, :2]), ArgumentError, "vectors of three elements"),
    ],
)
def test_errors_name_the_numpy_function_and_its_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(Variable(M))


ZERO, ONE, INF, NAN = 0.0, 1.0, np.inf, np.nan


@pytest.mark.parametrize(
    ("f", "xs", "gradients"),
    [
        (np.hypot, ([ZERO, 3.0], [ZERO, 4.0]), ([ZERO, 0.6], [ZERO, 0.8])),
        (np.hypot, ([3e300], [4e300]), ([0.6], [0.8])),
        (np.arctan2, ([ZERO, 1e-200], [ZERO, 1e-200]), ([ZERO, 5e199], [ZERO, -5e199])),
        (
            np.logaddexp,
            ([INF, -INF, 1e5, -INF], [0.5, -INF, -1e5, 3.0]),
            ([ONE, 0.5, ONE, ZERO], [ZERO, 0.5, ZERO, ONE]),
        ),
        (np.logaddexp2, ([2.0, -INF], [2.0, -INF]), ([0.5, 0.5], [0.5, 0.5])),
        (np.fmax, ([NAN, ONE, 2.0, NAN], [ONE, NAN, 2.0, NAN]), ([ZERO, ONE, 0.5, ZERO], [ONE, ZERO, 0.5, ZERO])),
        (np.fmin, ([NAN, ONE, 2.0], [ONE, NAN, 2.0]), ([ZERO, ONE, 0.5], [ONE, ZERO, 0.5])),
        (np.arcsinh, ([1e200, -1e200, ZERO],), ([1e-200, 1e-200, ONE],)),
        (np.sinc, ([ZERO, 1e-9],), ([ZERO, -(np.pi**2) / 3 * 1e-9],)),
        (np.nan_to_num, ([NAN, INF, -INF, 2.0],), ([ZERO, ZERO, ZERO, ONE],)),
        (np.heaviside, ([ZERO, 2.0], [0.5, 0.5]), ([ZERO, ZERO], [ONE, ZERO])),
        (np.imag, ([NAN, INF, ONE],), ([ZERO, ZERO, ZERO],)),
        (np.nanmax, ([NAN, 3.0, 3.0],), ([ZERO, 0.5, 0.5],)),
        (np.nanmean, ([NAN, 3.0, 5.0],), ([ZERO, 0.5, 0.5],)),
        (np.nanstd, ([NAN, 3.0, 3.0],), ([ZERO, ZERO, ZERO],)),
        (np.median, ([3.0, 3.0, 3.0],), ([ZERO, ONE, ZERO],)),
        (np.ptp, ([3.0, 3.0],), ([ZERO, ZERO],)),
        (np.floor_divide, ([INF, ONE], [2.0, 3.0]), ([ZERO, ZERO], [ZERO, ZERO])),
        (np.mod, ([5.0, -5.0], [3.0, INF]), ([ONE, ONE], [-ONE, ONE])),
        (np.copysign, ([2.0, -2.0], [-1.0, -0.0]), ([-ONE, ONE], None)),
        (np.maximum.accumulate, ([1.0, 3.0, 2.0, 3.0],), ([ONE, 2.0, ZERO, ONE],)),
        (np.cumprod, ([ZERO, 2.0, ZERO],), ([3.0, ZERO, ZERO],)),
        (np.clip, ([ZERO, 2.0, NAN], [ZERO] * 3, [ONE] * 3), ([ONE, ZERO, ONE], [ZERO] * 3, [ZERO, ONE, ZERO])),
        (np.linalg.norm, ([ZERO, ZERO],), ([ZERO, ZERO],)),
    ],
)
def test_gradients_at_special_values(f, xs, gradients):
    boxes = [Variable(np.array(x)) for x in xs]
    with np.errstate(invalid="ignore"):
        f(*boxes).sum().backward()
    for v, g in zip(boxes, gradients):
        if g is not None:
            np.testing.assert_allclose(v.grad.data, g, rtol=1e-12)
