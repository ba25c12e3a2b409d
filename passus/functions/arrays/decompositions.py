"""Eigenvalue, singular value and QR decompositions, and the pseudo-inverse.

The last two axes are those of the matrices; leading axes are batches. The vectors of equal values are arbitrary. Their
contribution to the gradient, which would be infinite, is defined as 0; so functions that do not depend on the choice of
vectors have the right gradient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from passus.backend import Array
from passus.core import HALF, INTEGERS, Operand, Result, Unary
from passus.errors import named_in_errors
from passus.functions.arrays.linalg import as_square, solve, transposed

__all__ = ["QR", "SVD", "Eigh", "Pinv", "eigh", "eigvalsh", "pinv", "qr", "svd", "svdvals"]


class EighResult(NamedTuple):
    """The result of `eigh`."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """The result of `qr`."""

    Q: Any
    R: Any


class SVDResult(NamedTuple):
    """The result of `svd`."""

    U: Any
    S: Any
    Vh: Any


class Eigh(Unary):
    upcast_dtypes = HALF + INTEGERS

    constants = ("factors",)

    def __init__(self, triangle: str) -> None:
        self.triangle = triangle

    def forward(self, x: Array) -> tuple[Array, ...]:
        x = as_square(x)
        self.factors = tuple(self.xp.linalg.eigh((x + transposed(x)) / 2, self.triangle))
        return self.factors

    def backward(self, gw: Any, gv: Any) -> Any:
        w, v = eigh(self.x, self.triangle) if self.recording else self.factors
        vT = transposed(v)
        inner = _reciprocal_gaps(self.xp, w) * (vT @ gv) + _diagonal(self.xp, gw)
        gx = v @ inner @ vT
        return (gx + transposed(gx)) / 2


def eigh(x: Operand, triangle: str = "L") -> tuple[Result, Result]:
    """Ascending eigenvalues w and eigenvectors v (columns) of symmetric x (..., N, N): ``x @ v = v * w``.

    Only the symmetric part ``(x + x.T) / 2`` is used, so that the gradient is symmetric. The signs of the vectors, and
    vectors of equal eigenvalues, are arbitrary; gradients are right for functions that do not depend on them.
    ``triangle``: the triangle that LAPACK reads, ``"L"`` or ``"U"``, which affects rounding only. Returns a named tuple
    of ``eigenvalues`` and ``eigenvectors``. Raises `ShapeError` for a matrix that is not square.

    >>> import numpy as np
    >>> eigh(np.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    array([1., 2.])
    """
    return EighResult(*Eigh(triangle)(x))


@named_in_errors
def eigvalsh(x: Operand) -> Result:
    """The eigenvalues of symmetric matrices, (..., N, N) to (..., N), in ascending order, as in `eigh`.

    Raises `ShapeError` for a matrix that is not square.

    >>> import numpy as np
    >>> eigvalsh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    array([1., 3.])
    """
    return eigh(x)[0]


class SVD(Unary):
    upcast_dtypes = HALF + INTEGERS

    constants = ("factors",)

    def forward(self, x: Array) -> tuple[Array, Array, Array]:
        self.factors = tuple(self.xp.linalg.svd(_matrix(x), full_matrices=False))
        return self.factors

    def backward(self, gU: Any, gS: Any, gVh: Any) -> Any:
        # Townsend, "Differentiating the singular value decomposition" (2016).
        U, S, Vh = svd(self.x) if self.recording else self.factors
        xp, UT, V = self.xp, transposed(U), transposed(Vh)
        gV = transposed(gVh)
        row = S.reshape(*S.shape[:-1], 1, S.shape[-1])
        gaps = _reciprocal_gaps(xp, S * S)
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
    """Descending singular values S and their vectors: ``x = U * S @ Vh`` for x (..., M, N).

    U is (..., M, K), S (..., K) and Vh (..., K, N), where K is the smaller of M and N. The signs of the vectors, and
    vectors of equal values, are arbitrary; gradients are right for functions that do not depend on them. Returns a
    named tuple of ``U``, ``S`` and ``Vh``. Raises `ShapeError` for fewer than two axes.

    >>> import numpy as np
    >>> svd(np.array([[0.0, 3.0], [2.0, 0.0]])).S
    array([3., 2.])
    """
    return SVDResult(*SVD()(x))


@named_in_errors
def svdvals(x: Operand) -> Result:
    """The singular values of matrices, (..., M, N) to (..., K), in descending order, as in `svd`.

    Raises `ShapeError` for fewer than two axes.

    >>> import numpy as np
    >>> svdvals(np.array([[0.0, 3.0], [2.0, 0.0]]))
    array([3., 2.])
    """
    return svd(x)[1]


class QR(Unary):
    upcast_dtypes = HALF + INTEGERS

    constants = ("factors",)

    def forward(self, x: Array) -> tuple[Array, Array]:
        self.factors = tuple(self.xp.linalg.qr(_matrix(x)))
        return self.factors

    def backward(self, gQ: Any, gR: Any) -> Any:
        x = self.x
        Q, R = qr(x) if self.recording else self.factors
        m, n = x.shape[-2:]
        if m >= n:
            return _gradient_of_tall(self.xp, Q, R, gQ, gR)
        # The last n - m columns of R are Q.T @ those of x; through them, gR contributes to the gradient of Q.
        beyond, g_beyond = x[..., m:], gR[..., m:]
        g_square = _gradient_of_tall(self.xp, Q, R[..., :m], gQ + beyond @ transposed(g_beyond), gR[..., :m])
        return self.xp.concatenate([g_square, Q @ g_beyond], axis=-1)


def _gradient_of_tall(xp: Any, Q: Any, R: Any, gQ: Any, gR: Any) -> Any:
    """The gradient of a matrix with at least as many rows as columns."""
    M = R @ transposed(gR) - transposed(gQ) @ Q
    symmetric = xp.tril(M) + transposed(xp.tril(M, -1))
    return transposed(solve(R, transposed(gQ + Q @ symmetric)))


def qr(x: Operand) -> tuple[Result, Result]:
    """Orthonormal columns Q (..., M, K) and an upper triangle R (..., K, N) with ``x = Q @ R``, for x (..., M, N).

    K is the smaller of M and N. Returns a named tuple of ``Q`` and ``R``. The gradient raises `ArgumentError` if R, or
    its first M columns, are singular. Raises `ShapeError` for fewer than two axes.

    >>> import numpy as np
    >>> abs(qr(np.array([[3.0], [4.0]])).R)
    array([[5.]])
    """
    return QRResult(*QR()(x))


class Pinv(Unary):
    upcast_dtypes = HALF + INTEGERS

    constants = ("rtol",)

    def __init__(self, rtol: float | None) -> None:
        self.rtol = rtol

    def forward(self, x: Array) -> Array:
        x = _matrix(x)
        return self.xp.linalg.pinv(x) if self.rtol is None else self.xp.linalg.pinv(x, self.rtol)

    def backward(self, gy: Any) -> Any:
        # Golub and Pereyra, "The differentiation of pseudo-inverses" (1973), for constant rank.
        x, y = self.x, self.y
        yT, gT = transposed(y), transposed(gy)
        outside = gT @ y @ yT
        inside = yT @ y @ gT
        return -(yT @ gy @ yT) + (outside - x @ (y @ outside)) + (inside - (inside @ y) @ x)


def pinv(x: Operand, rtol: float | None = None) -> Result:
    """The pseudo-inverse (Moore and Penrose) of matrices, (..., M, N) to (..., N, M).

    ``rtol``: singular values up to ``rtol`` times the largest count as 0 (1e-15 by default, as in NumPy). The gradient
    assumes constant rank. Raises `ShapeError` for fewer than two axes.

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
    """Diagonal matrices with these values."""
    n = values.shape[-1]
    return values.reshape(*values.shape, 1) * xp.eye(n, dtype=values.dtype)


def _reciprocal_gaps(xp: Any, values: Any) -> Any:
    """``1 / (values[j] - values[i])``, and 0 for equal values."""
    gaps = values.reshape(*values.shape[:-1], 1, values.shape[-1]) - values.reshape(*values.shape, 1)
    return xp.where(gaps == 0, 0.0, 1 / xp.where(gaps == 0, 1.0, gaps))
