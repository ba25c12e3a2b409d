"""NumPy's functions on Variables: NumPy's values, gradients of both orders, float32, and lists of Variables."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from passus import Variable
from passus.functions.numpy_api.complex_pairs import ComplexPair
from passus.functions.numpy_api.making import CREATION
from passus.functions.numpy_api.table import NUMPY
from passus.testing import check_grads
from tests.functions.numpy_api.calls import Call
from tests.functions.numpy_api.cases import FAMILIES
from tests.functions.numpy_api.test_numpy_protocol import CALLS as PROTOCOL_CALLS
from tests.functions.numpy_api.test_numpy_protocol import WITHOUT

CALLS = [
    pytest.param(c, id=f"{family}-{c.name}-{i}") for family, calls in FAMILIES.items() for i, c in enumerate(calls)
]


def map_arrays(value: Any, change: Any) -> Any:
    """Apply ``change`` to the floating-point arrays in an argument, also inside lists."""
    if isinstance(value, (list, tuple)):
        return type(value)([map_arrays(item, change) for item in value])
    if isinstance(value, dict):
        return {name: map_arrays(item, change) for name, item in value.items()}
    return change(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def flat(result: Any) -> list[Any]:
    """A flat list of results; complex ones as real and imaginary flat."""
    if isinstance(result, ComplexPair) or (not isinstance(result, (list, tuple)) and np.iscomplexobj(result)):
        return [result.real, result.imag]
    return [p for r in result for p in flat(r)] if isinstance(result, (tuple, list)) else [result]


def results(c: Call, change: Any) -> list[Any]:
    """The results of a call after ``change`` is applied to its arrays."""
    with warnings.catch_warnings():
        if any(v is np.nan for v in c.args):
            warnings.simplefilter("ignore")
        return flat(c.function(*map_arrays(c.args, change), **map_arrays(c.kwargs, change)))


@pytest.mark.parametrize("c", CALLS)
def test_results_agree_with_numpy(c: Call) -> None:
    found, expected = results(c, Variable), results(c, lambda x: x)
    assert len(found) == len(expected)
    for y, reference in zip(found, expected):
        assert isinstance(y, (Variable, np.ndarray, int))
        assert np.shape(y) == np.shape(reference)
        numbers = y.data if isinstance(y, Variable) else np.asarray(y)
        assert numbers.dtype.kind == np.asarray(reference).dtype.kind
        np.testing.assert_allclose(numbers, reference, rtol=1e-12, atol=1e-12)
    assert any(isinstance(y, Variable) and y.requires_grad for y in found)


@pytest.mark.parametrize("c", CALLS)
def test_gradients_of_both_orders(c: Call) -> None:
    arrays: list[np.ndarray] = []
    map_arrays((c.args, c.kwargs), arrays.append)

    def of_arrays(*xs: Any) -> tuple[Any, ...]:
        given = iter(xs)
        ys = results(c, lambda _: next(given))
        return tuple([y if isinstance(y, Variable) else Variable(np.asarray(y)) for y in ys])

    usable = [np.where(np.isfinite(x), x, 0.5) if not np.isfinite(x).all() else x for x in arrays]
    if not c.max_order:
        pytest.skip("its gradients are discontinuous")
    if "nan" in c.name:
        return check_missing_values_have_gradient_zero(c)
    check_grads(of_arrays, *usable, order=c.max_order, rtol=1e-5, atol=1e-7)


def check_missing_values_have_gradient_zero(c: Call) -> None:
    boxes: list[Variable] = []

    def box(x: np.ndarray) -> Variable:
        boxes.append(Variable(x))
        return boxes[-1]

    total: Any = 0.0
    for y in results(c, box):
        total = total + y.sum()
    total.backward()
    x = boxes[0]
    assert x.grad is not None
    assert np.isfinite(x.grad.data).all()
    assert (x.grad.data[~np.isfinite(x.data)] == 0).all()


@pytest.mark.parametrize("c", CALLS)
def test_float32_stays_float32(c: Call) -> None:
    single = results(c, lambda x: Variable(x.astype(np.float32)))
    numpy_results = results(c, lambda x: x.astype(np.float32))
    for y, numpys, exact in zip(single, numpy_results, results(c, lambda x: x)):
        if isinstance(y, Variable) and y.dtype.kind == "f":
            assert y.dtype in (np.float32, numpys.dtype)
            np.testing.assert_allclose(y.data, exact, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("function", [np.zeros, np.ones, np.arange, np.eye, np.identity, np.tri])
def test_result_independent_of_variables_is_an_array(function):
    y = function(3, like=Variable(np.ones(2)))
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, function(3))


def test_every_function_with_a_rule_is_called() -> None:
    called = {c.function for calls in FAMILIES.values() for c in calls} | set(PROTOCOL_CALLS) | set(WITHOUT)
    called |= {
        np.array,
        np.asarray,
        np.asanyarray,
        np.ascontiguousarray,
        np.full,
        np.histogram,
        *CREATION,
    }  # Called with like=, or in other files.
    assert not [f.__name__ for f in NUMPY if f not in called]
