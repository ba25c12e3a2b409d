"""Rows added at an index: the gradient of selecting rows, as embeddings do."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.backend.trace import operation
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel
from passus.kernels.sums import MAX_SEQUENTIAL, total

__all__ = ["add_frequent", "scatter_add"]

THRESHOLDS = 1 << 11, 1 << 14
"""Number of elements from which a kernel is worth its call: after the first use of a kernel, and before."""


def _suits(shape: tuple[int, ...], index: Any, values: Array) -> bool:
    return (
        plain_float32(values)
        and worth_kernel(values.size, *THRESHOLDS)
        and type(index) is np.ndarray
        and index.dtype.kind in "iu"
        and len(shape) > 0
        and values.shape == index.shape + shape[1:]
    )


@kernel(_suits)
@operation
def scatter_add(shape: tuple[int, ...], index: Any, values: Array) -> Array:
    """Zeros of ``shape`` to which ``values`` are added at ``index``; a repeated index sums.

    >>> scatter_add((3,), np.array([2, 0, -1]), np.array([1.0, 2.0, 4.0]))
    array([2., 0., 5.])
    """
    y = backend_of(values).scatter_add(shape, index, values)
    if type(values) is np.ndarray and type(index) is np.ndarray and index.dtype.kind in "iu":
        rows = index.ravel().astype(np.intp, copy=False)
        add_frequent(y, np.where(rows < 0, rows + len(y), rows), values)
    return y


def add_frequent(y: Array, rows: Array, values: Array) -> None:
    """Recompute the rows of ``y`` to which very many values are added, with the accuracy of `total`.

    >>> y = np.ones((2, 1), np.float32)
    >>> add_frequent(y, np.zeros(1000000, int), np.full((1000000, 1), 0.1, np.float32))
    >>> y.round()
    array([[1.e+05],
           [1.e+00]], dtype=float32)
    """
    if len(rows) <= MAX_SEQUENTIAL or values.dtype != np.float32:
        return
    values = values.reshape(len(rows), *y.shape[1:])
    for row in np.flatnonzero(np.bincount(rows, minlength=len(y)) > MAX_SEQUENTIAL):
        y[row] = total(values[rows == row], 0)
