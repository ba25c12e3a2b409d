"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.backend.trace import is_numpy, operation
from passus.kernels.boundary import fit
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel

__all__ = ["PRODUCTS_IN_FLOAT32", "THRESHOLDS", "batched", "product"]

PRODUCTS_IN_FLOAT32 = 1 << 13
"""Products that are summed in float32, one after the other where BLAS cannot read the operands. These sums are added in float64."""

THRESHOLDS = 1 << 18, 1 << 24
"""Multiplications from which on a kernel is worth it, because OpenBLAS would use several threads, and those from which on the
first kernel is.
"""


def _suits(a: Any, b: Any, bias: Any = None) -> bool:
    # For a single row, packing the matrix costs more than it saves: BLAS reads it in place. BLAS would be faster for up to some 16
    # rows, but its threads then wait in a loop on the processors that the next kernels need.
    if a.ndim != 2 or b.ndim != 2 or len(a) < 2 or not worth_kernel(len(a) * b.size, *THRESHOLDS):
        return False
    if not plain_float32(a, b) or a.shape[1] != b.shape[0]:
        return False
    return bias is None or fit(b.shape[1:], bias)


@kernel(_suits)
def product(a: Array, b: Array, bias: Array | None = None) -> Array:
    """The matrix (N, M) from (N, K) and (K, M), with a row ``bias`` (M,) added. Given Variables, the result is one.

    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    # For small arrays, NumPy's method takes half the time of its operator.
    y = a.dot(b) if type(b) is np.ndarray else _dot(a, b)
    if bias is not None:
        y += bias  # Safe to modify in place: the array is new.
    return y


def _dot(a: Any, b: Any) -> Any:
    return np.dot(a, b) if is_numpy(b) else a @ b


@operation
def batched(a: Any, b: Any) -> Any:
    """``a @ b``, right for long sums too. Given Variables, the result is one.

    >>> batched(np.full((2, 1, 1000000), 0.1, np.float32), np.ones((2, 1000000, 1), np.float32)).ravel().round()
    array([100000., 100000.], dtype=float32)
    """
    if type(a) is not np.ndarray or a.dtype != np.float32 or a.shape[-1] <= PRODUCTS_IN_FLOAT32 or b.ndim < 2:
        return a @ b
    starts = range(0, a.shape[-1], PRODUCTS_IN_FLOAT32)
    parts = [a[..., i : i + PRODUCTS_IN_FLOAT32] @ b[..., i : i + PRODUCTS_IN_FLOAT32, :] for i in starts]
    return np.sum(parts, axis=0, dtype=np.float64).astype(np.float32)
