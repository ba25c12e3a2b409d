"""Every public function against its row in `tests.table`."""

from __future__ import annotations

import inspect
import itertools
import re
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable, using_config
from passus.errors import ArgumentError, DTypeError, GraphError, LabelError, PassusError
from passus.testing import check_grads
from tests.functions.long_sums import COUNT, LONG
from tests.helpers.tracing import repeats
from tests.table import Case, Row, rows_by_name

ROWS: list[Row] = list(rows_by_name().values())
CASES = [pytest.param(row, case, id=f"{row.name}-{name}") for row in ROWS for name, case in row.cases.items()]


def _integers(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind in "iu"


WITH_INTEGERS = [
    p for p in CASES if any(_integers(x) or (isinstance(x, tuple) and any(map(_integers, x))) for x in p.values[1].args)
]
DIFFERENTIABLE = [p for p in CASES if p.values[0].order]
SMOOTH_TWICE = [p for p in CASES if p.values[0].order > 1]


def floats(case: Any) -> list[int]:
    """The positions of floating-point arrays among the arguments."""
    return [i for i, x in enumerate(case.args) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]


def call(row: Row, case: Any, args: Any) -> Any:
    return getattr(F, row.name)(*([args] if row.sequence else args), **case.kwargs)


def with_floats(case: Any, change: Any) -> list[Any]:
    """The arguments of a case after ``change`` is applied to floating-point arrays."""
    return [change(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in case.args]


def flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def gradients(row: Row, case: Any, args: list[Any], weight_dtype: Any = None) -> list[np.ndarray | None]:
    """The gradients of a weighted sum of all outputs."""
    boxed = [Variable(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in args]
    total: Any = 0.0
    for k, y in enumerate(flat(call(row, case, boxed))):
        if y.dtype.kind == "f":
            weights = np.cos(np.arange(y.size) + k).reshape(y.shape).astype(weight_dtype).astype(y.dtype)
            total = total + (y * weights).sum()
    total.backward()
    return [None if boxed[i].grad is None else boxed[i].grad.data for i in floats(case)]


EXEMPT_OF_KINDS = {"softmax_cross_entropy": "integers are labels, floating-point numbers probabilities"}


@pytest.mark.parametrize("row", [row for row in ROWS if row.name not in EXEMPT_OF_KINDS], ids=lambda row: row.name)
def test_a_kind_of_numbers_is_no_shape(row: Row) -> None:
    """Of the same shapes, integers of either sign and booleans are computed, or refused for their kind or value."""
    for case in row.cases.values():
        for dtype in (np.int64, np.int8, bool):
            for where in [floats(case), *[[i] for i in floats(case)]]:
                args = [
                    -abs(x.astype(dtype)) if dtype is np.int64 and i in where else x for i, x in enumerate(case.args)
                ]
                args = [x.astype(dtype) if i in where else x for i, x in enumerate(args)]
                with suppress(DTypeError, ArgumentError, LabelError, GraphError, RuntimeWarning):
                    call(row, case, args)


@pytest.mark.parametrize(("row", "case"), CASES)
def test_forward_agrees_with_the_reference(row: Row, case: Any) -> None:
    expected = flat(row.reference(*case.args, **case.kwargs))
    given = flat(call(row, case, case.args))
    boxed = flat(call(row, case, with_floats(case, Variable)))
    assert len(given) == len(boxed) == len(expected)
    for from_array, from_variable, y in zip(given, boxed, expected):
        assert type(from_array) is np.ndarray, "arrays in, arrays out"
        if floats(case) and row.order and from_array.dtype.kind == "f":
            assert type(from_variable) is Variable, "Variables in, Variables out"
        assert from_array.shape == np.shape(y)
        np.testing.assert_allclose(from_array, y, rtol=row.rtol, atol=row.atol)
        np.testing.assert_array_equal(from_variable, from_array)


@pytest.mark.parametrize(("row", "case"), CASES)
@repeats
def test_float32_stays_float32(row: Row, case: Any) -> None:
    if not floats(case):
        pytest.skip("no floating-point input")
    single = with_floats(case, lambda x: x.astype(np.float32))
    for y, exact in zip(flat(call(row, case, single)), flat(call(row, case, case.args))):
        if exact.dtype.kind == "f":
            assert y.dtype == np.float32
            np.testing.assert_allclose(y, exact, rtol=row.rtol32, atol=row.atol32)
    if row.order:
        for g, exact in zip(gradients(row, case, single), gradients(row, case, list(case.args))):
            assert (g is None) == (exact is None)
            if g is not None:
                assert g.dtype == np.float32
                np.testing.assert_allclose(g, exact, rtol=20 * row.rtol32, atol=20 * row.atol32)


@pytest.mark.parametrize(("row", "case"), CASES)
@repeats
def test_float16_is_float32_rounded_once(row: Row, case: Any) -> None:
    if not floats(case):
        pytest.skip("no floating-point input")
    case = Case(tuple([float(np.float16(x)) if isinstance(x, float) else x for x in case.args]), case.kwargs)
    half = with_floats(case, lambda x: x.astype(np.float16))
    single = [x.astype(np.float32) if i in floats(case) else x for i, x in enumerate(half)]
    ys, exact = flat(call(row, case, half)), flat(call(row, case, single))
    if row.order:
        ys += gradients(row, case, half, np.float16)
        exact += gradients(row, case, single, np.float16)
    for y, expected in zip(ys, exact):
        assert (y is None) == (expected is None)
        if y is not None and y.dtype.kind == "f":
            assert y.dtype == np.float16
            np.testing.assert_allclose(y, expected.astype(np.float16), rtol=row.rtol16, atol=row.atol16)


@pytest.mark.parametrize(("row", "case"), DIFFERENTIABLE)
@repeats
def test_integers_and_their_float64_copies_give_equal_results(row: Row, case: Any) -> None:
    positions = [i for i in floats(case) if row.integer_arguments is None or i in row.integer_arguments]
    if not positions or isinstance(row.integers, str):
        pytest.skip("no floating-point input that accepts integers")
    subsets = [positions, *[[i] for i in positions if len(positions) > 1]]
    for dtype, changed in itertools.product((np.int8, np.uint8, np.int64), subsets):
        low, high = row.integers
        low, high = (1, high - low) if dtype is np.uint8 and low < 0 else (low, high)
        rng, small = np.random.default_rng(2), list(case.args)
        for i in changed:
            small[i] = rng.integers(low, high, small[i].shape, endpoint=True).astype(dtype)
            ends = rng.random(small[i].shape) < 0.3  # Differences of the bounds wrap around.
            small[i] = np.where(ends, rng.choice(np.array([low, high], dtype), small[i].shape), small[i])
        ys = flat(call(row, case, small))
        exact = flat(call(row, case, [x.astype(float) if i in changed else x for i, x in enumerate(small)]))
        for y, expected in zip(ys, exact):
            if y.dtype.kind == "f":
                np.testing.assert_allclose(y, expected, rtol=row.rtol, atol=row.atol)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "u8"])
@pytest.mark.parametrize(("row", "case"), WITH_INTEGERS)
@repeats
def test_integer_arguments_of_any_sufficient_dtype(row: Row, case: Any, dtype: Any) -> None:
    limits = np.iinfo(dtype)

    def narrow(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(narrow, x))
        if not _integers(x):
            return x
        if x.size and not limits.min <= x.min() <= x.max() <= limits.max:
            pytest.skip(f"out of the range of {dtype}")
        return x.astype(dtype)

    for y, expected in zip(_results(row, case, [narrow(x) for x in case.args]), _results(row, case, list(case.args))):
        np.testing.assert_array_equal(y, expected)


def _results(row: Row, case: Any, args: list[Any]) -> list[Any]:
    return flat(call(row, case, args)) + (gradients(row, case, args) if row.order and floats(case) else [])


@pytest.mark.parametrize("name", LONG)
def test_long_float32_sums_agree_with_float64(name: str) -> None:
    row = next(row for row in ROWS if row.name == name)
    for case in LONG[name](np.full((COUNT, 2), 0.1)):
        single = with_floats(case, lambda x: x.astype(np.float32))
        with using_config("native", False):
            exact = _with_equal_gradients(
                row, case, [x.astype(float) if x is not y else x for x, y in zip(single, case.args)]
            )
        for native in (False, True):
            with using_config("native", native):
                given = _with_equal_gradients(row, case, single)
            for y, expected in zip(given, exact):
                assert y.dtype == np.float32
                # BLAS adds a hundred products sequentially, our tile some thousand. The terms of the gradient of gamma are
                # numbers around 0.1 of both signs.
                of_gamma = name.endswith("_norm") and expected.size < 10
                np.testing.assert_allclose(y, expected, rtol=1e-4, atol=2e-6 * COUNT if of_gamma else 5e-6)


def _with_equal_gradients(row: Row, case: Any, args: list[Any]) -> list[np.ndarray]:
    """The result, and the gradients for output gradients of 0.1 and 0.3."""
    boxed = [Variable(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in args]
    y = call(row, case, boxed)
    y.grad = np.where(np.arange(y.size) % 4 < 2, 0.1, 0.3).astype(y.dtype).reshape(y.shape)
    y.backward()
    return [y.data, *[x.grad.data for x in boxed if isinstance(x, Variable)]]


@pytest.mark.parametrize(("row", "case"), CASES)
@repeats
def test_inputs_can_be_read_only_and_in_any_layout(row: Row, case: Any) -> None:
    def strided(x: np.ndarray) -> np.ndarray:
        wide = np.zeros((*x.shape[::-1], 2))  # Every other element of a transposed array.
        wide[..., 0] = x.T
        view = wide[..., 0].T
        view.flags.writeable = False
        return view

    def frozen(x: Any) -> Any:
        if isinstance(x, np.ndarray):
            x = x.copy()
            x.flags.writeable = False
        return x

    odd = [frozen(x) for x in with_floats(case, strided)]
    before = [np.array(x) for x in odd if isinstance(x, np.ndarray)]
    for y, expected in zip(flat(call(row, case, odd)), flat(call(row, case, case.args))):
        np.testing.assert_allclose(y, expected, rtol=row.rtol, atol=row.atol)
    if row.order and floats(case):
        for g, exact in zip(gradients(row, case, odd), gradients(row, case, list(case.args))):
            assert (g is None) == (exact is None)
            if g is not None:
                assert g.flags.writeable, "a gradient belongs to its Variable alone"
                np.testing.assert_allclose(g, exact, rtol=1e-9, atol=1e-9)
    for x, y in zip(before, [x for x in odd if isinstance(x, np.ndarray)]):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(("row", "case"), DIFFERENTIABLE)
def test_gradients_of_first_order(row: Row, case: Any) -> None:
    check_grads(lambda *args: call(row, case, args), *case.args, order=1)


@pytest.mark.parametrize(("row", "case"), SMOOTH_TWICE)
def test_gradients_of_second_order(row: Row, case: Any) -> None:
    check_grads(lambda *args: call(row, case, args), *case.args, order=2)


@pytest.mark.parametrize(("row", "case"), DIFFERENTIABLE)
@repeats
def test_debug_mode_detects_every_edit_of_an_argument(row: Row, case: Any) -> None:
    """If an argument is edited after the call, the gradients are unchanged, or an error is raised."""
    positions = [i for i, x in enumerate(case.args) if isinstance(x, np.ndarray)]
    for boxed in floats(case):
        for edited in [None, *positions]:
            args = [x.copy() if isinstance(x, np.ndarray) else x for x in case.args]
            x = args[boxed] = Variable(args[boxed])
            with using_config("debug", True):
                ys = [y for y in flat(call(row, case, args)) if isinstance(y, Variable) and y.requires_grad]
                total = sum((y.sum() for y in ys), 0.0)
            if not ys:
                continue
            total.backward(retain_grad=True)
            expected = x.grad.data.copy()
            x.cleargrad()
            total.cleargrad()
            if edited is not None:
                array = x.data if edited == boxed else args[edited]
                array[...] = ~array if array.dtype.kind == "b" else array[::-1] if array.ndim else array + 1
                with suppress(GraphError):
                    total.backward()
                    np.testing.assert_array_equal(x.grad.data, expected)
            else:
                total.backward()
                np.testing.assert_array_equal(x.grad.data, expected)


@pytest.mark.parametrize(
    ("row", "wrong"), [pytest.param(row, b, id=f"{row.name}-{i}") for row in ROWS for i, b in enumerate(row.raises)]
)
def test_bad_input_raises(row: Row, wrong: Any) -> None:
    with pytest.raises(wrong.error, match=wrong.match) as caught:
        getattr(F, row.name)(*wrong.args, **wrong.kwargs)
    assert isinstance(caught.value, PassusError)
    name = row.public_name or getattr(F, row.name).__name__
    assert re.match(rf"{name}(\([^)]*\))?[:,] (?!{name}\b)", str(caught.value)), "the public name, once"


def test_every_public_function_has_a_row() -> None:
    functions = {name for name in F.__all__ if not inspect.isclass(getattr(F, name))}
    assert functions == {row.name for row in ROWS}
    assert len(ROWS) == len({row.name for row in ROWS}), "one row each"


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if row.ulps is not None])
def test_relative_error_over_the_whole_range(row: Row, dtype: Any, native: bool) -> None:
    assert row.ulps is not None
    info, far = np.finfo(dtype), 85 if dtype == np.float32 else 700
    near_zero = np.geomspace(float(info.tiny) * 1e3, 1, 500)
    x = np.concatenate([np.linspace(-far, far, 40_001), np.linspace(-4, 4, 40_001), near_zero, -near_zero]).astype(
        dtype
    )
    with using_config("native", native):
        y = getattr(F, row.name)(x)
    expected = row.reference(x.astype(np.longdouble))
    error = abs(y - expected) / np.where(expected == 0, 1, abs(expected)) / info.eps
    assert y.dtype == dtype
    assert error.max() <= row.ulps, x[error.argmax()]
