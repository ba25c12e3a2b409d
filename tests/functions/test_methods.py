"""Methods of Variables accept NumPy's arguments, and agree with NumPy's results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from passus import Variable
from passus.errors import MissingAttributeError
from passus.testing import check_grads

X = np.random.default_rng(0).permutation(12).reshape(3, 4) + 1.5
MASK = X > 4

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *[
        ("clip", a, k)
        for a, k in [((), {"min": 2.0, "max": 5.0}), ((), {"min": 2.0}), ((), {"max": 3.0}), ((2.0, None), {})]
    ],
    *[
        (name, a, k)
        for name in ("sum", "mean", "prod")
        for a, k in [
            ((), {}),
            ((0,), {}),
            ((0, None), {}),
            ((0, np.float64), {}),
            ((0, None, None, True), {}),
            ((), {"axis": (0, 1), "keepdims": True}),
            ((), {"where": MASK}),
            ((), {"dtype": np.float32, "keepdims": True}),
        ]
    ],
    *[(name, (), {"initial": 2.0, "axis": 1}) for name in ("sum", "prod")],
    *[(name, (0, None, True), {}) for name in ("max", "min")],
    *[(name, (), {"where": MASK, "initial": 7.0, "axis": 0}) for name in ("max", "min")],
    *[
        (name, a, k)
        for name in ("var", "std")
        for a, k in [
            ((0,), {"ddof": 1}),
            ((0, None, None, 1), {}),
            ((0, None, None, 1, True), {}),
            ((0, np.float64), {"keepdims": True}),
            ((), {"where": MASK}),
            ((), {"mean": 3.0}),
        ]
    ],
    *[(name, a, k) for name in ("cumsum", "cumprod") for a, k in [((1,), {}), ((), {"axis": 0, "dtype": np.float32})]],
    ("flatten", ("F",), {}),
    ("flatten", (), {"order": "F"}),
    ("compress", ([True, False, True],), {"axis": 0}),
    ("astype", ("float64",), {"copy": False}),
]


@pytest.mark.parametrize(("name", "given", "options"), CALLS, ids=lambda v: v if isinstance(v, str) else "")
def test_methods_accept_numpy_options(name: str, given: Any, options: Any) -> None:
    expected = np.asarray(getattr(X, name)(*given, **options))
    y = getattr(Variable(X), name)(*given, **options)
    assert isinstance(y, Variable)
    assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(y.data, expected, rtol=1e-6)
    exact = {k: v for k, v in options.items() if k != "dtype"}  # Differences need float64.
    check_grads(lambda x: getattr(x, name)(*given, **exact), X, order=1)


@pytest.mark.parametrize(
    ("name", "given", "options"),
    [
        ("argsort", (), {"axis": 0, "kind": "stable"}),
        ("argsort", (0, "stable"), {}),
        ("argpartition", (2,), {}),
        ("item", (3,), {}),
        ("item", (1, 2), {}),
    ],
)
def test_methods_without_gradient(name: str, given: Any, options: Any) -> None:
    result = getattr(Variable(X), name)(*given, **options)
    np.testing.assert_array_equal(result, getattr(X, name)(*given, **options))


@pytest.mark.parametrize(
    "name", ["sort", "partition", "fill", "put", "resize", "nbytes", "strides", "flags", "tobytes"]
)
def test_unsupported_methods_raise_with_advice(name: str) -> None:
    with pytest.raises(MissingAttributeError, match=r"x\.data|F\.sort"):
        getattr(Variable(X), name)
