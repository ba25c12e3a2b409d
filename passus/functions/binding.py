"""The one place that binds operators, methods and NumPy's functions of a Variable to the functions that do the work.

It also puts the operators under the names that DeZero gives them in ``core``, which lies below and cannot import them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from passus import core
from passus.answers import answers
from passus.backend import backend_of
from passus.backend.gpu import to_cupy
from passus.core import Function, Variable
from passus.core.protocol import differentiable, without_gradient
from passus.core.truth import ComparedVariables
from passus.errors import DTypeError
from passus.foreign import FUNCTION, VARIABLE
from passus.functions import arithmetic as a
from passus.functions import (
    arrangement,
    comparison,
    contractions,
    elementwise,
    extremes,
    indexing,
    joining,
    linalg,
    products,
    rounding,
    selection,
    shapes,
    sorting,
    statistics,
    trigonometry,
)
from passus.functions import reductions as r

__all__ = ["setup_variable"]


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Variable, Any], Any]:
    def compared(x: Variable, other: Any) -> Any:
        """Compare element by element, as NumPy does; the result is a boolean array, which has no gradient."""
        return np.asarray(compare(x._data, other._data if isinstance(other, Variable) else other))

    return compared


def _equality(compare: Callable[[Any, Any], Any]) -> Callable[[Variable, Any], Any]:
    compared = _comparison(compare)

    def equal(x: Variable, other: Any) -> Any:
        """Compare element by element; that of two Variables has no truth value, for it may be one of identity."""
        mask = compared(x, other)
        return mask.view(ComparedVariables) if isinstance(other, Variable) and other is not x else mask

    return equal


def _reshape(x: Variable, *shape: Any) -> Variable:
    """The same elements in another shape: ``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
    return shapes.reshape(x, shape[0] if len(shape) == 1 else shape)


def _norm(x: Variable, ord: float | None = None, axis: Any = None, keepdims: bool = False) -> Variable:
    """The norm of vectors; that of matrices by another ``ord`` than theirs by default has no rule."""
    if ord is not None and (x.ndim > 1 if axis is None else isinstance(axis, tuple)):
        raise DTypeError(
            f"np.linalg.norm of a matrix with ord={ord!r} has no differentiable rule; F.norm takes its elements as a vector"
        )
    return statistics.norm(x, 2 if ord is None else ord, axis, keepdims)


def _flatten(x: Variable) -> Variable:
    """All elements in one row, as NumPy's method gives them; `flatten` of `passus.functions` keeps the batch."""
    return shapes.ravel(x)


def _transpose(x: Variable, *axes: Any) -> Variable:
    """The axes in another order: ``x.transpose()``, ``x.transpose(1, 0)`` or ``x.transpose((1, 0))``."""
    return shapes.transpose(x, axes[0] if len(axes) == 1 else axes or None)


def _to_cpu(x: Variable) -> None:
    """Move the array to main memory, in place, as DeZero does."""
    _move(x, backend_of(x._data).to_numpy)


def _to_gpu(x: Variable) -> None:
    """Move the array to the GPU, in place. Raises `DependencyError` if CuPy cannot be loaded."""
    _move(x, to_cupy)


def _move(x: Variable, to: Callable[[Any], Any]) -> None:
    moved = None if x._data is None else to(x._data)
    if moved is not x._data:
        x.data = moved


def _numpy_clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """``np.clip``, which has two names for each bound."""
    return comparison.clip(a, a_min if min is None else min, a_max if max is None else max)


METHODS: dict[str, Any] = {
    "__neg__": a.neg,
    "__pos__": lambda x: x,
    "__abs__": elementwise.abs,
    "__add__": a.add,
    "__radd__": a.add,
    "__sub__": a.sub,
    "__rsub__": a.rsub,
    "__mul__": a.mul,
    "__rmul__": a.mul,
    "__truediv__": a.div,
    "__rtruediv__": a.rdiv,
    "__pow__": a.pow,
    "__rpow__": a.rpow,
    "__matmul__": products.matmul,
    "__rmatmul__": lambda x1, x0: products.matmul(x0, x1),
    "matmul": products.matmul,
    "dot": products.dot,
    "sum": r.sum,
    "mean": r.mean,
    "var": statistics.var,
    "std": statistics.std,
    "prod": r.prod,
    "cumsum": r.cumsum,
    "max": extremes.max,
    "min": extremes.min,
    "clip": comparison.clip,
    "argmax": sorting.argmax,
    "argmin": sorting.argmin,
    "__getitem__": indexing.get_item,
    "T": property(_transpose),
    "reshape": _reshape,
    "transpose": _transpose,
    "flatten": _flatten,
    "swapaxes": shapes.swapaxes,
    "squeeze": shapes.squeeze,
    "astype": shapes.astype,
    "to_cpu": _to_cpu,
    "to_gpu": _to_gpu,
    "__eq__": _equality(operator.eq),
    "__ne__": _equality(operator.ne),
    "__lt__": _comparison(operator.lt),
    "__le__": _comparison(operator.le),
    "__gt__": _comparison(operator.gt),
    "__ge__": _comparison(operator.ge),
}

LIKE_NUMPY = (arrangement, elementwise, indexing, joining, rounding, selection, shapes, sorting, trigonometry)
"""Families whose functions answer for the functions of NumPy that have the same name."""

NUMPY: dict[Any, Callable[..., Any]] = {
    **{getattr(np, name): getattr(f, name) for f in LIKE_NUMPY for name in f.__all__ if hasattr(np, name)},
    np.maximum: comparison.maximum,
    np.minimum: comparison.minimum,
    np.add: a.add,
    np.sum: r.sum,
    np.mean: r.mean,
    np.average: r.average,
    np.var: statistics.var,
    np.std: statistics.std,
    np.prod: r.prod,
    np.cumsum: r.cumsum,
    np.max: extremes.max,
    np.amax: extremes.max,
    np.min: extremes.min,
    np.amin: extremes.min,
    np.matmul: products.matmul,
    np.dot: products.dot,
    np.diagonal: linalg.diagonal,
    np.trace: linalg.trace,
    np.linalg.inv: linalg.inv,
    np.linalg.solve: linalg.solve,
    np.linalg.det: linalg.det,
    np.linalg.slogdet: linalg.slogdet,
    np.linalg.cholesky: linalg.cholesky,
    np.linalg.norm: _norm,
    np.outer: products.outer,
    np.einsum: contractions.einsum,
    np.tensordot: contractions.tensordot,
    np.subtract: a.sub,
    np.multiply: a.mul,
    np.divide: a.div,
    np.power: a.pow,
    np.negative: a.neg,
    np.positive: lambda x: x,
    np.clip: _numpy_clip,
}

WITHOUT_GRADIENT: set[Any] = {
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.isnan, np.isfinite, np.isinf, np.signbit, np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
    *(np.allclose, np.isclose, np.array_equal, np.array_equiv, np.any, np.all),
    *(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.shares_memory, np.may_share_memory),
    *(np.nonzero, np.count_nonzero, np.flatnonzero, np.argwhere, np.searchsorted),
    *(np.zeros_like, np.ones_like, np.full_like, np.empty_like),
    *(np.array_repr, np.array_str, np.array2string),
}
"""NumPy's functions whose answer has no gradient: they are given the arrays."""


IN_CORE = ("Div", "Mul", "Neg", "Pow", "Sub", "div", "mul", "neg", "pow", "rdiv", "rsub", "sub")
"""The operators that DeZero keeps in ``core``, beside `Add` and `add`."""


def setup_variable() -> None:
    """Bind the tables to `Variable`, and the operators to ``core``; done on import, and harmless when repeated.

    >>> setup_variable()
    """
    for name, function in METHODS.items():
        setattr(Variable, name, function)
    Variable.__hash__ = object.__hash__  # type: ignore[method-assign, assignment]
    differentiable.update(NUMPY)
    without_gradient.update(WITHOUT_GRADIENT)
    answers(Variable, VARIABLE)
    answers(Function, FUNCTION)
    for name in IN_CORE:
        setattr(core, name, getattr(a, name))
    core.setup_variable = setup_variable


setup_variable()
