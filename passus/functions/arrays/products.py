"""Products of matrices and vectors: matmul, linear, dot, outer."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from passus.backend import Array
from passus.backend.trace import constants_of
from passus.core import HALF, Function, Operand, Result
from passus.core.basic import sum_to
from passus.errors import named_in_errors
from passus.functions.arrays.arithmetic import add, mul
from passus.functions.arrays.contractions import tensordot
from passus.functions.arrays.shapes import reshape
from passus.functions.checks import array_of
from passus.kernels.channels import channel_sums
from passus.kernels.products import batched, product

__all__ = ["Linear", "MatMul", "dot", "linear", "linear_simple", "matmul", "outer"]

MANY = 1 << 14
"""The number of elements above which a kernel computes the sums of rows."""


class MatMul(Function):
    upcast_dtypes = HALF

    def forward(self, x0: Array, x1: Array) -> Array:
        try:
            # One product with the rows of all batches, where NumPy would compute one per batch.
            if x0.ndim > 2 and x1.ndim == 2:
                return product(_rows(x0), x1).reshape(*x0.shape[:-1], x1.shape[1])
            return product(x0, x1) if x0.ndim == x1.ndim == 2 else batched(x0, x1)
        except ValueError as error:
            raise ValueError(
                "x0 (..., n, k) needs x1 (..., k, m), or a vector (k,) on either side, and batch axes that broadcast"
                + _transpose_hint(x0, x1)
            ) from error

    def backward(self, gy: Any) -> Any:
        x0, x1 = self.saved(self.operands[0]), self.saved(self.operands[1])
        needs0, needs1 = self.needs
        if x0.ndim == x1.ndim == 2:
            return product(gy, x1.T) if needs0 else None, product(x0.T, gy) if needs1 else None
        # Vectors are matrices with one row or one column.
        a = x0.reshape(1, -1) if x0.ndim == 1 else x0
        b = x1.reshape(-1, 1) if x1.ndim == 1 else x1
        batch = gy.shape[: gy.ndim - (x0.ndim > 1) - (x1.ndim > 1)]
        gy = gy.reshape(*batch, a.shape[-2], b.shape[-1])
        return (
            _gradient0(gy, a, b).reshape(x0.shape) if needs0 else None,
            _gradient1(gy, a, b).reshape(x1.shape) if needs1 else None,
        )


def _transpose_hint(x0: Array, x1: Array) -> str:
    """A hint for operands that fit if one is transposed."""
    if x0.ndim > 1 and x1.ndim > 1 and (x0.shape[-1] == x1.shape[-1] or x0.shape[-2] == x1.shape[-2]):
        return "; transpose an operand with swapaxes(-1, -2)"
    return ""


def _rows(x: Any) -> Any:
    """The rows of all matrices of a batch as one matrix."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _gradient0(gy: Any, a: Any, b: Any) -> Any:
    return sum_to(matmul(gy, b.swapaxes(-1, -2)), a.shape)


def _gradient1(gy: Any, a: Any, b: Any) -> Any:
    if b.ndim == 2 and a.ndim > 2:  # One product also sums over the batches.
        return product(_rows(a).T, _rows(gy))
    return sum_to(matmul(a.swapaxes(-1, -2), gy), b.shape)


def matmul(x0: Operand, x1: Operand) -> Result:
    """The product of matrices, ``x0 @ x1``: (..., n, k) and (..., k, m) give (..., n, m).

    Leading axes are batches and broadcast; a vector (k,) is a row on the left and a column on the right.
    Raises `ShapeError` for shapes that do not fit, and for numbers.

    >>> import numpy as np
    >>> matmul(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    return MatMul()(x0, x1)


class Linear(Function):
    upcast_dtypes = HALF

    def forward(self, x: Array, W: Array, b: Array | None = None) -> Array:
        if W.ndim != 2 or not x.ndim or x.shape[-1] != W.shape[0] or (b is not None and b.shape != W.shape[1:]):
            raise ValueError(_misfit_of_linear(x, W, b))
        y = product(_rows(x), W, b)
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], W.shape[1])

    def backward(self, gy: Any) -> Any:
        x, W = self.saved(self.operands[0]), self.saved(self.operands[1])
        needs_x, needs_W, *needs_b = self.needs
        gy = _rows(gy)
        gx = product(gy, W.T) if needs_x else None
        if gx is not None and x.ndim != 2:
            gx = gx.reshape(x.shape)
        gW = product(_rows(x).T, gy) if needs_W else None
        gb = [_sum_of_rows(gy, self.xp) if needs else None for needs in needs_b]
        return gx, gW, *gb


def _misfit_of_linear(x: Array, W: Array, b: Array) -> str:
    """What does not fit, with the numbers that differ; ``b`` is read only if x and W fit."""
    rule = "x (..., I), W (I, O) and b (O,) give (..., O)"
    if not x.ndim:
        return f"x has 0 axes; {rule}"
    if W.ndim != 2:
        return f"W has {W.ndim} axes; {rule}"
    if x.shape[-1] != W.shape[0]:
        transposed = "; a weight (O, I) is passed as W.T" if x.shape[-1] == W.shape[1] else ""
        flat = "; flatten x first" if x.ndim > 2 and math.prod(x.shape[1:]) == W.shape[0] else ""
        return f"x has {x.shape[-1]} numbers in its last axis, and W takes {W.shape[0]}{transposed}{flat}; {rule}"
    return f"b has the shape {b.shape}, and needs {W.shape[1:]}, a number for each column of W; {rule}"


def _sum_of_rows(gy: Any, xp: Any) -> Any:
    if gy.size >= MANY:
        return channel_sums(gy)
    ones = _ones(xp, len(gy), gy.dtype)  # Twice as fast as gy.sum(axis=0).
    return ones.dot(gy) if type(gy) is np.ndarray else xp.dot(ones, gy)


@lru_cache(maxsize=32)
def _ones(xp: Any, n: int, dtype: Any) -> Array:
    return constants_of(xp).ones(n, dtype)


def linear(x: Operand, W: Operand, b: Operand | None = None) -> Result:
    """The fully connected layer, ``x @ W + b``: x (..., I), W (I, O) and b (O,) give (..., O).

    Raises `ShapeError` for shapes that do not fit.

    >>> import numpy as np
    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    return Linear()(x, W) if b is None else Linear()(x, W, b)


@named_in_errors
def linear_simple(x: Operand, W: Operand, b: Operand | None = None) -> Result:
    """`linear` composed of `matmul` and `add`.

    Raises `ShapeError` for shapes that do not fit.

    >>> import numpy as np
    >>> linear_simple(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    y = matmul(x, W)
    return y if b is None else add(y, b)


@named_in_errors
def dot(x0: Operand, x1: Operand) -> Result:
    """The product over the last axis of ``x0`` and the second to last (or only) axis of ``x1``; `mul` for numbers.

    Equal to `matmul` for vectors and matrices. Otherwise (..., k) and (*, k, m) give (..., *, m), without broadcasting.
    Raises `ShapeError` for shapes that do not fit.

    >>> import numpy as np
    >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array(11.)
    """
    n0, n1 = array_of("dot", x0).ndim, array_of("dot", x1).ndim
    if not (n0 and n1):
        return mul(x0, x1)
    return matmul(x0, x1) if n1 <= 2 else tensordot(x0, x1, (-1, -2))


@named_in_errors
def outer(x0: Operand, x1: Operand) -> Result:
    """The products of all pairs of elements: (N,) and (M,) give (N, M). Arrays with more axes are flattened.

    >>> import numpy as np
    >>> outer(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])
    """
    return mul(reshape(x0, (-1, 1)), reshape(x1, (1, -1)))
