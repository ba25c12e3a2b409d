"""Equations and decompositions of square matrices: inverse, solution, determinant, Cholesky factor, trace.

Matrices lie along the last two axes; axes in front are batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from passus.arguments import checked_integer
from passus.backend import Array
from passus.core import Function, Operand, Result, Unary
from passus.core.basic import sum_to
from passus.errors import ShapeError
from passus.functions.checks import array_of
from passus.functions.indexing import get_item
from passus.functions.reductions import sum
from passus.functions.shapes import transpose

__all__ = [
    "Cholesky",
    "Det",
    "Inv",
    "Slogdet",
    "Solve",
    "cholesky",
    "det",
    "diagonal",
    "inv",
    "slogdet",
    "solve",
    "trace",
]


class Inv(Unary):
    def forward(self, x: Array) -> Array:
        return _of_regular(self.xp.linalg.inv, x)

    def backward(self, gy: Any) -> Any:
        y = _transposed(self.y)
        return -(y @ gy @ y)


def inv(x: Operand) -> Result:
    """The inverse of each matrix, (..., N, N).

    Prefer `solve` for a system of equations. Raises `ArgumentError` for a singular matrix, `ShapeError` for one that
    is not square.

    >>> import numpy as np
    >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return Inv()(x)


class Solve(Function):
    def forward(self, A: Array, b: Array) -> Array:
        return _of_regular(self.xp.linalg.solve, A, b)

    def backward(self, gy: Any) -> Any:
        A, b = self.saved(self.operands[0]), self.saved(self.operands[1])
        y = self.saved(self.output)
        if b.ndim == 1:  # A vector is a matrix of one column.
            y, gy = y.reshape(*y.shape, 1), gy.reshape(*gy.shape, 1)
        gb = solve(_transposed(A), gy)
        gA = sum_to(-(gb @ _transposed(y)), A.shape) if self.needs[0] else None
        return gA, sum_to(gb.reshape(gb.shape[:-1]) if b.ndim == 1 else gb, b.shape)


def solve(A: Operand, b: Operand) -> Result:
    """The solution y of ``A @ y = b``: A (..., N, N), b (N,) or (..., N, M).

    Raises `ArgumentError` for a singular matrix, `ShapeError` for shapes that do not fit.

    >>> import numpy as np
    >>> solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([1.0, 1.0]))
    array([0.5 , 0.25])
    """
    return Solve()(A, b)


class Det(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.linalg.det(_square(x))

    def backward(self, gy: Any) -> Any:
        return _as_matrices(gy * self.y) * _transposed(inv(self.x))


def det(x: Operand) -> Result:
    """The determinant of each matrix, (..., N, N) to (...).

    Its gradient, ``det(x) * inv(x).T``, raises `ArgumentError` for a singular matrix; `ShapeError` if it is not square.

    >>> import numpy as np
    >>> det(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array(8.)
    """
    return Det()(x)


class Slogdet(Unary):
    def forward(self, x: Array) -> tuple[Array, Array]:
        return tuple(self.xp.linalg.slogdet(_square(x)))

    def backward(self, gsign: Any, glogdet: Any) -> Any:
        return _as_matrices(glogdet) * _transposed(inv(self.x))


def slogdet(x: Operand) -> Result:
    """The sign of the determinant of each matrix and the logarithm of its size: (..., N, N) to (...) and (...).

    It does not overflow where `det` does. The sign has no gradient; that of the logarithm is ``inv(x).T``, and raises
    `ArgumentError` for a singular matrix. Raises `ShapeError` for a matrix that is not square.

    >>> import numpy as np
    >>> sign, logdet = slogdet(-1000.0 * np.eye(3))
    >>> print(sign, logdet.round(3))
    -1.0 20.723
    """
    return Slogdet()(x)


class Cholesky(Unary):
    def forward(self, x: Array) -> Array:
        return _of_regular(lambda x: self.xp.linalg.cholesky((x + _transposed(x)) / 2), x)

    def backward(self, gy: Any) -> Any:
        y, gy = self.y, self.xp.tril(gy)
        yT = _transposed(y)
        # Murray, "Differentiation of the Cholesky decomposition" (2016): the lower triangle, its diagonal halved.
        n = y.shape[-1]
        inner = self.xp.tril(yT @ gy) * (1 - self.xp.eye(n, dtype=y.dtype) / 2)
        gx = solve(yT, _transposed(solve(yT, _transposed(inner))))
        return (gx + _transposed(gx)) / 2


def cholesky(x: Operand) -> Result:
    """The lower triangular L with positive diagonal and ``L @ L.T = x``, for symmetric positive definite x (..., N, N).

    Only the symmetric part of ``x`` counts, ``(x + x.T) / 2``, so that the gradient is symmetric.
    Raises `ArgumentError` for a matrix that is not positive definite, `ShapeError` for one that is not square.

    >>> import numpy as np
    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])
    """
    return Cholesky()(x)


def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Result:
    """The elements of two axes whose indices are ``i`` and ``i + offset``, along a new last axis.

    Raises `ShapeError` for axes that ``x`` does not have.

    >>> import numpy as np
    >>> diagonal(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([1., 4.])
    """
    shape = array_of("diagonal", x).shape
    ndim = len(shape)
    named = (checked_integer("diagonal", "axis1", axis1), checked_integer("diagonal", "axis2", axis2))
    axes = [a % ndim for a in named if -ndim <= a < ndim]
    if len(set(axes)) < 2:
        raise ShapeError(f"diagonal: x {shape} does not have two axes {axis1} and {axis2}")
    others = [a for a in range(ndim) if a not in axes]
    n = max(0, min(shape[axes[0]] + min(offset, 0), shape[axes[1]] - max(offset, 0)))
    rows = np.arange(n) - min(offset, 0)
    return get_item(transpose(x, (*others, *axes)), (..., rows, rows + offset))


def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Result:
    """The sum of a `diagonal`.

    Raises `ShapeError` for axes that ``x`` does not have.

    >>> import numpy as np
    >>> trace(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array(5.)
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)


def _transposed(x: Any) -> Any:
    return x.swapaxes(-1, -2)


def _as_matrices(x: Any) -> Any:
    """A number for each matrix, with the axes of the matrix."""
    return x.reshape(*x.shape, 1, 1)


def _square(x: Array) -> Array:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError("the last two axes must be those of square matrices, (..., N, N)")
    return x


def _of_regular(compute: Callable[..., Array], A: Array, *others: Array) -> Array:
    """Compute with square matrices; an error says what to do about those for which it cannot be done."""
    try:
        return compute(_square(A), *others)
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(f"{error}. A multiple of np.eye({A.shape[-1]}) added to it may help") from error
