"""Rows that are added up where an index says: the gradient of taking rows, embeddings among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.kernels.dispatch import enough, kernel

__all__ = ["scatter_add"]

WORTHWHILE = 1 << 11, 1 << 14
"""From how many numbers on a kernel is worth it, and from how many on the first one is."""


def _suits(shape: tuple[int, ...], index: Any, values: Array) -> bool:
    return (
        type(values) is np.ndarray
        and values.dtype == np.float32
        and enough(values.size, *WORTHWHILE)
        and type(index) is np.ndarray
        and index.dtype.kind in "iu"
    )


@kernel(_suits)
def scatter_add(shape: tuple[int, ...], index: Any, values: Array) -> Array:
    """Zeros of ``shape`` to which ``values`` are added at ``index``; a repeated index sums.

    >>> scatter_add((3,), np.array([2, 0, -1]), np.array([1.0, 2.0, 4.0]))
    array([2., 0., 5.])
    """
    return backend_of(values).scatter_add(shape, index, values)
