"""Operators, indexing and methods of Variables, with numbers and arrays on either side."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

import passus
import passus.functions as F
from passus import Variable, using_config
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
WEAK = [2, 2.0, np.float64(2.0), np.int64(2), True]


def derivatives(f, x, order):
    """The values of f and its derivatives at x by repeated backward passes; 0 after a constant derivative."""
    x = Variable(np.asarray(x))
    y = f(x)
    values = [y.data]
    for _ in range(order):
        x.cleargrad()
        if y.requires_grad:
            y.backward(create_graph=True)
        y = Variable(np.array(0.0)) if x.grad is None else x.grad
        values.append(y.data)
    return values


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("other", [*WEAK, np.float32(2.0), np.array(2.0), np.array([2.0, 3.0]), np.array([2, 3])])
def test_binary_operators_with_numbers_and_arrays_on_either_side(op, other):
    array = np.array([1.0, 3.0])
    for y, expected in [
        (op(Variable(array), other), op(array, other)),
        (op(other, Variable(array)), op(other, array)),
        (op(Variable(array), Variable(np.asarray(other))), op(array, other)),
    ]:
        assert type(y) is Variable
        assert y.creator is not None
        np.testing.assert_allclose(y.data, expected, rtol=1e-15)


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("other", [*WEAK, np.ones(2, np.float32), np.array(2.0, np.float32)])
@pytest.mark.parametrize("shape", [(2,), (), (0, 2)])
def test_float32_stays_float32(op, other, shape):
    for swapped in (False, True):
        x = Variable(np.ones(shape, np.float32))
        y = op(other, x) if swapped else op(x, other)
        y.backward()
        assert (y.dtype, x.grad.dtype, x.grad.shape) == (np.float32, np.float32, shape)


@pytest.mark.parametrize("op", BINARY)
def test_float64_arrays_promote_float32_as_in_numpy(op):
    x = Variable(np.ones(2, np.float32))
    y = op(np.ones(2), x)
    y.backward()
    assert (y.dtype, x.grad.dtype) == (np.float64, np.float32)


@pytest.mark.parametrize("shapes", [((3, 4), (4, 2)), ((4,), (4, 2)), ((3, 4), (4,)), ((5, 3, 4), (4, 2))])
def test_matrix_products_on_either_side(shapes):
    a, b = (np.arange(1.0, np.prod(shape) + 1).reshape(shape) for shape in shapes)
    for y in (Variable(a) @ Variable(b), Variable(a) @ b, a @ Variable(b)):
        assert type(y) is Variable
        np.testing.assert_allclose(y.data, a @ b)


def test_unary_operators():
    x = Variable(np.array([-2.0, 0.0, 3.0]))
    np.testing.assert_array_equal((-x).data, [2.0, 0.0, -3.0])
    np.testing.assert_array_equal((+x).data, x.data)
    y = abs(x)
    y.backward()
    np.testing.assert_array_equal(y.data, [2.0, 0.0, 3.0])
    np.testing.assert_array_equal(x.grad.data, [-1.0, 0.0, 1.0])


@pytest.mark.parametrize("op", COMPARISONS)
def test_comparisons_return_boolean_arrays(op):
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    for given in (op(Variable(a), Variable(b)), op(Variable(a), b), op(a, Variable(b)), op(Variable(a), 2.0)):
        assert isinstance(given, np.ndarray)
        assert given.dtype == bool
        np.testing.assert_array_equal(given, op(a, b))
    np.testing.assert_array_equal(op(2.0, Variable(a)), op(2.0, a))
    assert type(op(Variable(np.array(1.0)), 2.0)) is np.ndarray


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_truth_value_of_a_comparison_of_variables_raises(shape, equal):
    """A search in a list evaluates it, and would find another Variable of equal value."""
    a = Variable(np.ones(shape))
    b, c = Variable(np.ones(shape)), Variable(np.full(shape, 1.0 if equal else 2.0))
    searches = [
        lambda: a in [b, c],
        lambda: [b, c].index(a),
        lambda: [b, a].remove(a),
        lambda: bool(a == c),
        lambda: (a, b) == (c, b),
    ]
    for search in searches:
        with pytest.raises(DTypeError, match=r"a is b.*np\.array_equal"):
            search()
    assert a in [a, b]
    assert any(v is a for v in [b, a])
    assert {a: 1, b: 2}[b] == 2
    assert type(a == a) is np.ndarray
    mask = a == c
    assert (mask.all(), (~mask).any(), np.array_equal(a, c)) == (equal, not equal, equal)
    assert repr(mask) == repr(np.asarray(a.data == c.data))
    assert type(np.logical_not(mask)) is type(np.logical_not(a.data == c.data))
    np.testing.assert_array_equal(np.where(a == c, 1, 0), np.full(shape, int(equal)))


@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_comparison_with_none_has_a_truth_value(shape):
    """``if x.grad == None`` and ``!= None`` have a truth value for every shape."""
    x = Variable(np.ones(shape))
    F.sum(x).backward()
    assert [x.grad == None, x.grad != None, None == x, None != x] == [False, True, False, True]  # noqa: E711, SIM300
    assert [None, x].index(x) == 1


@pytest.mark.parametrize("other", ["a", object(), [1.0, 5.0]])
def test_equality_with_objects_of_other_types(other):
    array = np.array([1.0, 2.0])
    np.testing.assert_array_equal(Variable(array) == other, array == other)
    np.testing.assert_array_equal(Variable(array) != other, array != other)


def test_unsupported_operands_raise():
    x = Variable(np.ones(3))
    for wrong in ("a", None, [1.0, 2.0, 3.0], 1j):
        with pytest.raises(DTypeError, match=r"add: .*not supported"):
            x + wrong
    with pytest.raises(ShapeError, match=r"mul\(float64\[3\], float64\[4\]\)"):
        x * np.ones(4)
    with pytest.raises(TypeError):
        x < None  # noqa: B015
    with pytest.raises(DTypeError, match=r"F\.where"):
        x[0] = 1.0


def test_conversions_behave_as_those_of_arrays():
    x = Variable(np.array(2.7))
    assert (float(x), int(x), bool(x), bool(Variable(np.array(0.0)))) == (2.7, 2, True, False)
    y = Variable(np.array([1.0, 2.0])).sum()
    assert (float(y), int(y), bool(y)) == (3.0, 3, True)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Variable(np.ones(2)))


# Indexing: gradients; the table of functions covers the values.


def test_repeated_index_sums_gradients():
    x = Variable(np.array([1.0, 2.0, 3.0]))
    (x[[0, 0, 2]] * np.array([1.0, 10.0, 100.0])).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [11.0, 0.0, 100.0])


def test_index_can_be_a_variable_and_is_copied():
    x, index = Variable(np.array([1.0, 2.0, 3.0])), [0, 0]
    y = x[index]
    index[0] = 2
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 0.0, 0.0])
    np.testing.assert_array_equal(x[Variable(np.array([2, 0]))].data, [3.0, 1.0])
    np.testing.assert_array_equal(x[x > 1.5].data, [2.0, 3.0])


def test_iteration_yields_differentiable_rows():
    x = Variable(np.array([[1.0, 2.0], [3.0, 4.0]]))
    first, second = x
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[3.0, 4.0], [1.0, 2.0]])
    assert [len(row) for row in x] == [2, 2]


def test_gradients_of_slices_are_writable_and_separate():
    x = Variable(np.ones((2, 3)))
    a, b = F.split(x, 2)
    (a + b).sum().backward()
    x.grad.data[0] = 5.0
    np.testing.assert_array_equal(x.grad.data[1], [1.0, 1.0, 1.0])


def test_index_out_of_bounds_raises():
    with pytest.raises(LabelError, match="out of bounds"):
        Variable(np.ones(3))[3]


# Methods.


def test_methods_that_move_axes():
    x = Variable(np.arange(24.0).reshape(2, 3, 4))
    assert x.reshape(6, 4).shape == x.reshape((6, -1)).shape == (6, 4)
    assert x.T.shape == x.transpose().shape == x.transpose(None).shape == (4, 3, 2)
    assert x.transpose(1, 0, 2).shape == x.transpose((1, 0, -1)).shape == x.transpose([1, 0, 2]).shape == (3, 2, 4)
    assert x.swapaxes(0, -1).shape == (4, 3, 2)
    assert x.flatten().shape == (24,)  # As in NumPy; F.flatten keeps the batch axis.
    assert x[:, :1].squeeze(1).shape == (2, 4)
    assert Variable(np.ones(3)).transpose(0).shape == (3,)
    np.testing.assert_array_equal(x.clip(2, 5).data, np.clip(x.data, 2, 5))
    assert (x.argmax(), x.argmin()) == (23, 0)
    assert type(x.argmax(axis=-1)) is np.ndarray


def test_every_declared_method_is_bound():
    source = (Path(passus.__file__).parent / "core" / "array_like.py").read_text()
    shown = re.findall(r"def (\w+)\(self.*\.\.\.\n", source.split("if TYPE_CHECKING:")[-1])
    assert len(shown) > 40
    missing = [name for name in shown if getattr(Variable, name) is getattr(object, name, None)]
    assert not missing


# Points where the textbook formula fails.


def test_square_differentiated_three_times_at_zero():
    for f in (lambda x: x**2, lambda x: x**2.0, F.square, lambda x: x * x, lambda x: F.pow(x, np.array(2.0))):
        assert derivatives(f, 0.0, 3) == [0.0, 0.0, 2.0, 0.0]
    assert derivatives(lambda x: x**0, 0.0, 2) == [1.0, 0.0, 0.0]


def test_gradient_of_a_power_with_differentiable_exponents():
    x, c = Variable(np.array([0.0, 2.0])), Variable(np.array([2.0, 3.0]))
    (x**c).sum().backward()
    np.testing.assert_allclose(x.grad.data, [0.0, 12.0])
    np.testing.assert_allclose(c.grad.data, [0.0, 8.0 * np.log(2.0)])


@pytest.mark.parametrize(("f", "value", "slope"), [(F.sqrt, 0.0, np.inf), (F.rsqrt, np.inf, -np.inf)])
def test_gradients_of_roots_at_zero_are_infinite(f, value, slope):
    with np.errstate(divide="ignore"):
        assert derivatives(f, 0.0, 1) == [value, slope]


def test_tied_operands_share_the_gradient():
    for f in (F.maximum, F.minimum):
        x0, x1 = Variable(np.array([1.0, 2.0])), Variable(np.array([1.0, 2.0]))
        f(x0, x1).backward()
        np.testing.assert_array_equal(x0.grad.data, [0.5, 0.5])
        np.testing.assert_array_equal(x1.grad.data, [0.5, 0.5])
    x = Variable(np.array([-1.0, 0.0, 1.0]))
    F.maximum(x, 0).backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.5, 1.0])


def test_clip_passes_the_gradient_at_its_bounds():
    x = Variable(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    F.clip(x, -1, 1).backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 1.0, 1.0, 1.0, 0.0])


@pytest.mark.parametrize("f", [F.floor, F.ceil, F.round, F.sign])
def test_step_functions_have_gradient_zero(f):
    x = Variable(np.array([0.3, 1.7]))
    y = f(x)
    y.grad = np.array([np.inf, 1.0])
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.0])


@pytest.mark.parametrize(("dtype", "ulps"), [(np.float64, 5), (np.float32, 5)])
def test_erf_is_accurate_over_its_whole_range(dtype, ulps):
    x = np.concatenate([np.linspace(-8, 8, 40_001), np.logspace(-30, 0, 10_001)]).astype(dtype)
    exact = special.erf(x.astype(np.float64))
    y = F.erf(x)
    np.testing.assert_allclose(y, exact, rtol=ulps * np.finfo(dtype).eps, atol=0)
    assert np.all(np.abs(y) <= 1)
    np.testing.assert_array_equal(F.erf(np.array([-np.inf, 0.0, np.inf, np.nan], dtype)), [-1.0, 0.0, 1.0, np.nan])


def normal_cdf_in_long_double(x):
    """The normal CDF in extended precision; SciPy's ndtr loses three digits far from 0 by rounding x / sqrt(2)."""
    z = abs(x.astype(np.longdouble))
    tail = special.erfcx((z / np.sqrt(np.longdouble(2))).astype(np.float64)) / 2 * np.exp(-z * z / 2)
    return np.where(x > 0, 1 - tail, tail)


@pytest.mark.parametrize(("dtype", "lowest"), [(np.float64, -37.5), (np.float32, -13.0)])
def test_normal_cdf_and_gelu_are_accurate_in_the_tail(dtype, lowest):
    near_zero = np.geomspace(1e-30, 1, 500)
    x = np.concatenate([np.linspace(lowest, 10, 20_001), near_zero, -near_zero]).astype(dtype)
    exact = normal_cdf_in_long_double(x)
    near, rtol = x > -2, 1e-5 if dtype == np.float32 else 3e-15  # The square of x loses digits in float32.
    np.testing.assert_allclose(F.normal_cdf(x), exact, rtol=rtol, atol=0)
    np.testing.assert_allclose(F.normal_cdf(x[near]), exact[near], rtol=10 * np.finfo(dtype).eps, atol=0)
    for native in (False, True):
        with using_config("native", native):
            np.testing.assert_allclose(F.gelu(x), x * exact, rtol=rtol, atol=0)
    np.testing.assert_array_equal(
        F.normal_cdf(np.array([-np.inf, 0.0, np.inf, np.nan], dtype)), [0.0, 0.5, 1.0, np.nan]
    )


def test_derivative_of_erf_equals_its_formula():
    x = Variable(np.linspace(-5, 5, 101))
    F.erf(x).backward()
    np.testing.assert_allclose(x.grad.data, 2 / np.sqrt(np.pi) * np.exp(-(x.data**2)), rtol=1e-15)


def test_topk_returns_differentiable_values_and_plain_indices():
    x = Variable(np.array([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]]))
    values, indices = F.topk(x, 2)
    assert type(indices) is np.ndarray
    np.testing.assert_array_equal(indices, [[0, 2], [1, 2]])
    (values * np.array([1.0, 10.0])).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[1.0, 0.0, 10.0], [0.0, 1.0, 10.0]])


def test_split_with_unused_outputs():
    x = Variable(np.arange(6.0))
    _, middle, _ = F.split(x, 3)
    F.square(middle).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.0, 4.0, 6.0, 0.0, 0.0])


# Errors of NumPy by their cause.


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8, bool])
def test_negative_powers_of_integers_are_refused_for_their_dtype(dtype: type) -> None:
    x = Variable(np.array([1, 0]).astype(dtype))
    exponents = np.array([-1, 2])
    for call in (lambda: x**-1, lambda: np.power(x, -1), lambda: F.pow(x.data, exponents), lambda: F.pow(2, -1)):
        with pytest.raises(DTypeError, match=r"pow: negative powers of .*; convert x with x\.astype.*x \*\* -1\.0"):
            call()
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(x**-1.0, [1.0, np.inf])


@pytest.mark.parametrize("call", [lambda x: x + 300, lambda x: 300 * x, lambda x: F.where(x.data > 0, x, 300)])
def test_numbers_that_a_dtype_cannot_hold_are_named(call: Callable[[Variable], Any]) -> None:
    with pytest.raises(DTypeError, match=r"(add|mul|where): 300 is out of the range of int8; convert the array"):
        call(Variable(np.array([1, 2], np.int8)))
    with pytest.raises(ArgumentError, match=r"sum\(float64\[2\]\): .*too large"):
        F.sum(np.ones(2), axis=2**70)


def test_numbers_are_computed_as_arrays_are() -> None:
    with np.errstate(all="ignore"):
        for y, expected in [
            (F.div(1.0, 0), np.inf),
            (F.reciprocal(0), np.inf),
            (F.pow(-8.0, 0.5), np.nan),
            (F.pow(10.0, 1000), np.inf),
            (F.add(np.float32(1), 2), np.float32(3)),
            (F.add(2, np.float32(1)), np.float32(3)),
            (F.add(np.float32(1), np.float64(2)), np.float64(3)),
            (F.add(1, 2), 3),
        ]:
            assert type(y) is np.ndarray
            assert y.dtype == np.asarray(expected).dtype
            np.testing.assert_array_equal(y, expected)
    for numbers in [(1, 2**80), (np.float64(1), 2**80)]:
        with pytest.raises(DTypeError, match="object is not supported"):
            F.fmax(*numbers)
