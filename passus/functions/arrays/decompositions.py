"""Decompositions of matrices by eigenvalues, singular values and triangles, and the inverse of matrices of any shape.

Matrices lie along the last two axes; axes in front are batches. Values that are equal have vectors which nothing but
chance tells apart: their part of the gradient, which would be infinite, is taken to be 0, so that functions which do not
depend on the choice have the right gradient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from passus.backend import Array
from passus.core import HALF, INTEGERS, Operand, Result, Unary
from passus.errors import named_in_errors
from passus.functions.arrays.linalg import as_square, solve, transposed

__all__ = ["Eigh", "Pinv", "QR", "SVD", "eigh", "eigvalsh", "pinv", "qr", "svd", "svdvals"]


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Any
    R: Any


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    Vh: Any


class Eigh(Unary):
    widened = HALF + INTEGERS

    constants = ("found",)

    def __init__(self, triangle: str) -> None:
        self.triangle = triangle

    def forward(self, x: Array) -> tuple[Array, ...]:
        x = as_square(x)
        self.found = tuple(self.xp.linalg.eigh((x + transposed(x)) / 2, self.triangle))
        return self.found

    def backward(self, gw: Any, gv: Any) -> Any:
        w, v = eigh(self.x, self.triangle) if self.recording else self.found
        vT = transposed(v)
        inner = _over_gaps(self.xp, w) * (vT @ gv) + _diagonal(self.xp, gw)
        gx = v @ inner @ vT
        return (gx + transposed(gx)) / 2


def eigh(x: Operand, triangle: str = "L") -> tuple[Result, Result]:
    """Eigenvalues w, from the smallest up, and eigenvectors v, the columns, of symmetric x (..., N, N): ``x @ v = v * w``.

    Only the symmetric part of ``x`` counts, ``(x + x.T) / 2``, so that the gradient is symmetric. The signs of the
    vectors are arbitrary; the gradient is right for what does not depend on them, nor on the choice of vectors of equal
    eigenvalues. ``triangle``: which half is read when it comes to rounding, ``"L"`` or ``"U"``. Returns a named tuple, ``eigenvalues`` and ``eigenvectors``.
    Raises `ShapeError` for a matrix that is not square.

    >>> import numpy as np
    >>> eigh(np.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    array([1., 2.])
    """
    return EighResult(*Eigh(triangle)(x))


@named_in_errors
def eigvalsh(x: Operand) -> Result:
    """The eigenvalues of symmetric matrices, (..., N, N) to (..., N), from the smallest up, as `eigh` finds them.

    Raises `ShapeError` for a matrix that is not square.

    >>> import numpy as np
    >>> eigvalsh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    array([1., 3.])
    """
    return eigh(x)[0]


class SVD(Unary):
    widened = HALF + INTEGERS

    constants = ("found",)

    def forward(self, x: Array) -> tuple[Array, Array, Array]:
        self.found = tuple(self.xp.linalg.svd(_matrix(x), full_matrices=False))
        return self.found

    def backward(self, gU: Any, gS: Any, gVh: Any) -> Any:
        # Townsend, "Differentiating the singular value decomposition" (2016).
        U, S, Vh = svd(self.x) if self.recording else self.found
        xp, UT, V = self.xp, transposed(U), transposed(Vh)
        gV = transposed(gVh)
        row = S.reshape(*S.shape[:-1], 1, S.shape[-1])
        gaps = _over_gaps(xp, S * S)
        left, right = gaps * _antisymmetric(UT @ gU), gaps * _antisymmetric(Vh @ gV)
        inner = left * row + transposed(row) * right + _diagonal(xp, gS)
        gx = U @ inner @ Vh
        inverse = xp.where(row == 0, 0.0, 1 / xp.where(row == 0, 1.0, row))
        m, n = gx.shape[-2:]
        if m > n:
            part = gU * inverse
            gx = gx + (part - U @ (UT @ part)) @ Vh
        elif n > m:
            part = transposed(gV * inverse)
            gx = gx + U @ (part - (part @ V) @ Vh)
        return gx


def svd(x: Operand) -> tuple[Result, Result, Result]:
    """Singular values S, from the largest down, and their vectors: ``x = U * S @ Vh`` for x (..., M, N).

    With K the smaller one of M and N, U is (..., M, K), S (..., K) and Vh (..., K, N). The signs of pairs of vectors are
    arbitrary; the gradient is right for what does not depend on them, nor on the choice of vectors of equal values.
    Returns a named tuple, ``U``, ``S`` and ``Vh``. Raises `ShapeError` for less than two axes.

    >>> import numpy as np
    >>> svd(np.array([[0.0, 3.0], [2.0, 0.0]])).S
    array([3., 2.])
    """
    return SVDResult(*SVD()(x))


@named_in_errors
def svdvals(x: Operand) -> Result:
    """The singular values of matrices, (..., M, N) to (..., K), from the largest down, as `svd` finds them.

    Raises `ShapeError` for less than two axes.

    >>> import numpy as np
    >>> svdvals(np.array([[0.0, 3.0], [2.0, 0.0]]))
    array([3., 2.])
    """
    return svd(x)[1]


class QR(Unary):
    widened = HALF + INTEGERS

    constants = ("found",)

    def forward(self, x: Array) -> tuple[Array, Array]:
        self.found = tuple(self.xp.linalg.qr(_matrix(x)))
        return self.found

    def backward(self, gQ: Any, gR: Any) -> Any:
        x = self.x
        Q, R = qr(x) if self.recording else self.found
        m, n = x.shape[-2:]
        if m >= n:
            return _of_tall(self.xp, Q, R, gQ, gR)
        # The columns beyond the square are Q.T @ those of x, whose gradient is simple; what they add to Q's is not.
        beyond, g_beyond = x[..., m:], gR[..., m:]
        g_square = _of_tall(self.xp, Q, R[..., :m], gQ + beyond @ transposed(g_beyond), gR[..., :m])
        return self.xp.concatenate([g_square, Q @ g_beyond], axis=-1)


def _of_tall(xp: Any, Q: Any, R: Any, gQ: Any, gR: Any) -> Any:
    """The gradient of a matrix that has as many rows as columns or more."""
    M = R @ transposed(gR) - transposed(gQ) @ Q
    symmetric = xp.tril(M) + transposed(xp.tril(M, -1))
    return transposed(solve(R, transposed(gQ + Q @ symmetric)))


def qr(x: Operand) -> tuple[Result, Result]:
    """Orthonormal columns Q (..., M, K) and an upper triangle R (..., K, N) with ``x = Q @ R``, for x (..., M, N).

    K is the smaller one of M and N. Returns a named tuple, ``Q`` and ``R``. The gradient needs R, or its first M columns,
    to be regular (`ArgumentError`). Raises `ShapeError` for less than two axes.

    >>> import numpy as np
    >>> abs(qr(np.array([[3.0], [4.0]])).R)
    array([[5.]])
    """
    return QRResult(*QR()(x))


class Pinv(Unary):
    widened = HALF + INTEGERS

    constants = ("rtol",)

    def __init__(self, rtol: float | None) -> None:
        self.rtol = rtol

    def forward(self, x: Array) -> Array:
        x = _matrix(x)
        return self.xp.linalg.pinv(x) if self.rtol is None else self.xp.linalg.pinv(x, self.rtol)

    def backward(self, gy: Any) -> Any:
        # Golub and Pereyra, "The differentiation of pseudo-inverses" (1973), for a rank that stays.
        x, y = self.x, self.y
        yT, gT = transposed(y), transposed(gy)
        outside = gT @ y @ yT
        inside = yT @ y @ gT
        return -(yT @ gy @ yT) + (outside - x @ (y @ outside)) + (inside - (inside @ y) @ x)


def pinv(x: Operand, rtol: float | None = None) -> Result:
    """The pseudo-inverse (Moore and Penrose) of matrices, (..., M, N) to (..., N, M).

    ``rtol``: singular values up to this share of the largest count as 0 (1e-15, as in NumPy). The gradient is that for
    matrices of the same rank. Raises `ShapeError` for less than two axes.

    >>> import numpy as np
    >>> pinv(np.array([[2.0, 0.0]]))
    array([[0.5],
           [0. ]])
    """
    return Pinv(rtol)(x)


def _matrix(x: Array) -> Array:
    if x.ndim < 2:
        raise ValueError("a matrix (..., M, N) is needed")  # The engine adds the name and the shapes.
    return x


def _antisymmetric(x: Any) -> Any:
    return x - transposed(x)


def _diagonal(xp: Any, values: Any) -> Any:
    """Matrices with these values on the diagonal."""
    n = values.shape[-1]
    return values.reshape(*values.shape, 1) * xp.eye(n, dtype=values.dtype)


def _over_gaps(xp: Any, values: Any) -> Any:
    """``1 / (values[j] - values[i])``, and 0 for equal values."""
    gaps = values.reshape(*values.shape[:-1], 1, values.shape[-1]) - values.reshape(*values.shape, 1)
    return xp.where(gaps == 0, 0.0, 1 / xp.where(gaps == 0, 1.0, gaps))
