"""Linear algebra of square matrices: inverse, linear systems, determinant, Cholesky factor, trace.

The last two axes are those of the matrices; leading axes are batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from passus.arguments import checked_integer
from passus.backend import Array, chosen, invalid
from passus.backend.trace import is_numpy, operation
from passus.core import HALF, INTEGERS, Function, Operand, Result, Unary
from passus.core.basic import sum_to
from passus.errors import ShapeError, named_in_errors
from passus.functions.arrays.indexing import get_item
from passus.functions.arrays.reductions import sum
from passus.functions.arrays.shapes import transpose
from passus.functions.checks import array_of

__all__ = [
    "Cholesky",
    "Cofactors",
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
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return with_singular_hint(self.xp.linalg.inv, x)

    def backward(self, gy: Any) -> Any:
        y = transposed(self.y)
        return -(y @ gy @ y)


def inv(x: Operand) -> Result:
    """The inverse of each matrix, (..., N, N).

    Prefer `solve` for linear systems. Raises `ArgumentError` for a singular matrix, `ShapeError` for a matrix that is
    not square.

    >>> import numpy as np
    >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return Inv()(x)


class Solve(Function):
    upcast_dtypes = HALF

    def forward(self, A: Array, b: Array) -> Array:
        return with_singular_hint(self.xp.linalg.solve, A, b)

    def backward(self, gy: Any) -> Any:
        A, b = self.saved(self.operands[0]), self.saved(self.operands[1])
        y = self.saved(self.output)
        if b.ndim == 1:  # A vector is a matrix with one column.
            y, gy = y.reshape(*y.shape, 1), gy.reshape(*gy.shape, 1)
        gb = solve(transposed(A), gy)
        gA = sum_to(-(gb @ transposed(y)), A.shape) if self.needs[0] else None
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
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.linalg.det(as_square(x))

    def backward(self, gy: Any) -> Any:
        return _as_matrices(gy) * Cofactors()(self.x)


class Cofactors(Unary):
    """The derivative of the determinant: the transposed adjugate, ``det(x) * inv(x).T`` for regular x."""

    public_name = "det"

    def forward(self, x: Array) -> Array:
        y, is_regular = _inverse(self.xp, x)
        return chosen(
            is_regular,
            lambda: _as_matrices(self.xp.linalg.det(x)) * transposed(y),
            lambda: self._of_singular(x),
        )

    def _of_singular(self, x: Array) -> Array:
        if not x.size:
            return x
        U, values, Vh, sign = _with_signs(self.xp, x)
        n = values.shape[-1]
        others = self.xp.stack([values[..., np.arange(n) != i].prod(axis=-1) for i in range(n)], axis=-1)
        return (U * (sign * others)[..., None, :]) @ Vh

    def backward(self, gy: Any) -> Any:
        x = self.x
        if self.recording:
            return self._gradient(x, inv(x), gy)
        y, is_regular = _inverse(self.xp, x)
        return chosen(is_regular, lambda: self._gradient(x, y, gy), lambda: self._gradient_of_singular(x, gy))

    def _gradient(self, x: Any, y: Any, gy: Any) -> Any:
        y = transposed(y)
        inner = (gy * y).sum(axis=(-2, -1), keepdims=True)
        return _as_matrices(det(x)) * (inner * y - y @ transposed(gy) @ y)

    def _gradient_of_singular(self, x: Array, gy: Array) -> Array:
        xp = self.xp
        # In the basis of the singular vectors the matrix is diagonal, and its second derivatives are the products of
        # all singular values but two.
        U, values, Vh, sign = _with_signs(xp, x)
        n = values.shape[-1]
        g = transposed(U) @ gy @ transposed(Vh)
        gx = xp.zeros(x.shape, x.dtype)
        for i in range(n):
            for j in range(n):
                if i != j:
                    without_two = (sign[..., 0] * values[..., [k for k in range(n) if k not in (i, j)]].prod(axis=-1))[
                        ..., None, None
                    ]
                    gx = gx + without_two * (
                        g[..., j, j, None, None] * _unit(xp, n, i, i) - g[..., i, j, None, None] * _unit(xp, n, j, i)
                    )
        return U @ gx @ Vh


def _inverse(xp: Any, x: Array) -> tuple[Array, Array]:
    """The inverse of matrices, and whether all are so far from singular that half of its digits are right."""
    y = _inverse_or_nan(xp, x)
    return y, abs(y).max(initial=0) * abs(x).max(initial=0) < np.finfo(y.dtype).eps ** -0.5


@operation
def _inverse_or_nan(xp: Any, x: Array) -> Array:
    """The inverse of matrices, or NaN if one of them is singular."""
    try:
        return xp.linalg.inv(x)
    except np.linalg.LinAlgError:
        return xp.full_like(x, np.nan)


def _with_signs(xp: Any, x: Array) -> tuple[Array, Array, Array, Array]:
    """The singular value decomposition of matrices, and the product of the determinants of U and Vh."""
    U, values, Vh = xp.linalg.svd(x)
    return U, values, Vh, xp.round(xp.linalg.det(U) * xp.linalg.det(Vh))[..., None]


def _unit(xp: Any, n: int, i: int, j: int) -> Array:
    """The matrix with 1 at (i, j) and 0 elsewhere."""
    unit = np.zeros((n, n))
    unit[i, j] = 1
    return xp.asarray(unit)


def det(x: Operand) -> Result:
    """The determinant of each matrix, (..., N, N) to (...).

    The first and second derivatives exist for singular matrices, too; the third raises `ArgumentError` for them. Raises
    `ShapeError` for a matrix that is not square.

    >>> import numpy as np
    >>> det(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array(8.)
    """
    return Det()(x)


class Slogdet(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> tuple[Array, Array]:
        return tuple(self.xp.linalg.slogdet(as_square(x)))

    def backward(self, gsign: Any, glogdet: Any) -> Any:
        return _as_matrices(glogdet) * transposed(inv(self.x))


class SlogdetResult(NamedTuple):
    """The result of `slogdet`."""

    sign: Any
    logabsdet: Any


def slogdet(x: Operand) -> tuple[Result, Result]:
    """The sign of the determinant of each matrix and the logarithm of its absolute value: (..., N, N) to (...) and
    (...).

    It does not overflow where `det` does. The sign has no gradient. The gradient of the logarithm is ``inv(x).T``; it
    raises `ArgumentError` for a singular matrix. Returns a named tuple of ``sign`` and ``logabsdet``. Raises
    `ShapeError` for a matrix that is not square.

    >>> import numpy as np
    >>> sign, logdet = slogdet(-1000.0 * np.eye(3))
    >>> print(sign, logdet.round(3))
    -1.0 20.723
    """
    return SlogdetResult(*Slogdet()(x))


class Cholesky(Unary):
    upcast_dtypes = HALF + INTEGERS

    def forward(self, x: Array) -> Array:
        return with_singular_hint(lambda x: self.xp.linalg.cholesky((x + transposed(x)) / 2), x)

    def backward(self, gy: Any) -> Any:
        y, gy = self.y, self.xp.tril(gy)
        yT = transposed(y)
        # Murray, "Differentiation of the Cholesky decomposition" (2016): the lower triangle with halved diagonal.
        n = y.shape[-1]
        inner = self.xp.tril(yT @ gy) * (1 - self.xp.eye(n, dtype=y.dtype) / 2)
        gx = solve(yT, transposed(solve(yT, transposed(inner))))
        return (gx + transposed(gx)) / 2


def cholesky(x: Operand) -> Result:
    """The lower triangular L with positive diagonal and ``L @ L.T = x``, for symmetric positive definite x (..., N, N).

    Only the symmetric part ``(x + x.T) / 2`` is used, so that the gradient is symmetric.
    Raises `ArgumentError` for a matrix that is not positive definite, `ShapeError` for a matrix that is not square.

    >>> import numpy as np
    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])
    """
    return Cholesky()(x)


def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Result:
    """The elements with indices ``i`` and ``i + offset`` on two axes, along a new last axis.

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


@named_in_errors
def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Result:
    """The sum of the `diagonal`.

    Raises `ShapeError` for axes that ``x`` does not have.

    >>> import numpy as np
    >>> trace(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array(5.)
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)


def transposed(x: Any) -> Any:
    """The transposes of matrices."""
    return x.swapaxes(-1, -2)


def _as_matrices(x: Any) -> Any:
    """One number per matrix, with two more axes of length 1."""
    return x.reshape(*x.shape, 1, 1)


def as_square(x: Array) -> Array:
    """Return the matrices. Raises ValueError unless they are square."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError("the last two axes must be those of square matrices, (..., N, N)")
    return x


def with_singular_hint(compute: Callable[..., Array], A: Array, *others: Array) -> Array:
    """Compute with square matrices, and add a hint to the error for singular ones."""
    hint = f"A multiple of np.eye({A.shape[-1]}) added to it may help"
    try:
        y = compute(as_square(A), *others)
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(f"{error}. {hint}") from error
    if not is_numpy(y) and invalid(~(abs(y) < np.inf).all(), np.linalg.LinAlgError, f"Singular matrix. {hint}"):
        raise np.linalg.LinAlgError(f"Singular matrix. {hint}")  # JAX returns NaN or infinity.
    return y
