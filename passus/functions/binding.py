"""The one table that binds operators, methods and NumPy's functions of a Variable to the functions that do the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from passus.core import Variable
from passus.core.protocol import differentiable
from passus.errors import DTypeError
from passus.functions import arithmetic as a
from passus.functions import contractions, extremes, products, selection, shapes, statistics
from passus.functions import elementwise as e
from passus.functions import reductions as r

__all__ = ["setup_variable"]


def _comparison(ufunc: np.ufunc) -> Callable[[Variable, Any], Any]:
    def compare(x: Variable, other: Any) -> Any:
        """Compare element by element; the result is a boolean array, which has no gradient."""
        return np.asarray(ufunc(x._data, other._data if isinstance(other, Variable) else other))

    return compare


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


METHODS: dict[str, Any] = {
    "__neg__": a.neg,
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
    "reshape": _reshape,
    "astype": shapes.astype,
    "__eq__": _comparison(np.equal),
    "__ne__": _comparison(np.not_equal),
    "__lt__": _comparison(np.less),
    "__le__": _comparison(np.less_equal),
    "__gt__": _comparison(np.greater),
    "__ge__": _comparison(np.greater_equal),
}

NUMPY: dict[Any, Callable[..., Any]] = {
    np.add: a.add,
    np.log: e.log,
    np.where: selection.where,
    np.reshape: shapes.reshape,
    np.broadcast_to: shapes.broadcast_to,
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
    np.linalg.norm: _norm,
    np.outer: products.outer,
    np.einsum: contractions.einsum,
    np.tensordot: contractions.tensordot,
    np.subtract: a.sub,
    np.multiply: a.mul,
    np.divide: a.div,
    np.power: a.pow,
    np.negative: a.neg,
    np.square: e.square,
    np.exp: e.exp,
    np.sin: e.sin,
    np.cos: e.cos,
}


def setup_variable() -> None:
    """Bind the two tables to `Variable`; done on import, and harmless when repeated.

    >>> setup_variable()
    """
    for name, function in METHODS.items():
        setattr(Variable, name, function)
    Variable.__hash__ = object.__hash__  # type: ignore[method-assign, assignment]
    differentiable.update(NUMPY)


setup_variable()
