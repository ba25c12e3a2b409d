"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.kernels.dispatch import enough, kernel, plain

__all__ = ["THRESHOLDS", "batched", "product"]

IN_A_ROW = 1 << 13
"""How many products NumPy may add one after the other, as it does where BLAS cannot read the operands."""

THRESHOLDS = 1 << 18, 1 << 24
"""From how many multiplications on a kernel is worth it, for OpenBLAS would take more than one thread, and from how many on the
first one is."""


def _suits(a: Any, b: Any, bias: Any = None) -> bool:
    if not plain(a, b) or a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        return False
    # For a single row the matrix is not worth being laid out anew: NumPy's library reads it where it lies. It would be faster for
    # some 16 rows, but its threads then wait in a loop on the processors that the next kernels need.
    if len(a) < 2 or (bias is not None and not (plain(bias) and bias.shape == b.shape[1:])):
        return False
    return enough(a.size * b.shape[1], *THRESHOLDS)


@kernel(_suits)
def product(a: Array, b: Array, bias: Array | None = None) -> Array:
    """The matrix (N, M) from (N, K) and (K, M), with a row ``bias`` (M,) added; given Variables, the result is one.

    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    y = (
        a.dot(b) if type(b) is np.ndarray else a @ b
    )  # For small ones, NumPy's method takes half the time of its operator.
    if bias is not None:
        y += bias  # Nobody has seen this array yet.
    return y


def batched(a: Any, b: Any) -> Any:
    """``a @ b``, right for long sums too; given Variables, the result is one.

    >>> batched(np.full((2, 1, 1000000), 0.1, np.float32), np.ones((2, 1000000, 1), np.float32)).ravel().round()
    array([100000., 100000.], dtype=float32)
    """
    if type(a) is not np.ndarray or a.dtype != np.float32 or a.shape[-1] <= IN_A_ROW or b.ndim < 2:
        return a @ b
    starts = range(0, a.shape[-1], IN_A_ROW)
    parts = [a[..., i : i + IN_A_ROW] @ b[..., i : i + IN_A_ROW, :] for i in starts]
    return np.sum(parts, axis=0, dtype=np.float64).astype(np.float32)
