"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.kernels.dispatch import kernel

__all__ = ["WORTHWHILE", "product"]

WORTHWHILE = 1 << 18
"""From how many multiplications on the compiled kernel is used."""


def _suits(a: Any, b: Any, bias: Any = None) -> bool:
    plain = type(a) is type(b) is np.ndarray and a.dtype == b.dtype == np.float32
    return plain and a.size * b.shape[1] >= WORTHWHILE and (bias is None or bias.dtype == np.float32)


@kernel(_suits)
def product(a: Array, b: Array, bias: Array | None = None) -> Array:
    """The matrix (N, M) from (N, K) and (K, M), with a row ``bias`` (M,) added; given Variables, the result is one.

    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    y = a.dot(b) if type(b) is np.ndarray else a @ b  # For small ones, NumPy's method takes half the time of its operator.
    if bias is not None:
        y += bias  # Nobody has seen this array yet.
    return y
