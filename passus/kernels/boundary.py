"""The check of shapes that kernels share: compiled code reads and writes as far as sizes tell it."""

from __future__ import annotations

from typing import Any

from passus.kernels.dispatch import plain_float32

__all__ = ["fit"]


def fit(*arrays: tuple[Any, tuple[int, ...] | None]) -> bool:
    """Whether arrays are plain and have these shapes; a shape of None stands for an array that must be None.

    >>> import numpy as np
    >>> fit((np.zeros((2, 3), np.float32), (2, 3)), (None, None)), fit((np.zeros(2), (2,))), fit((None, (2,)))
    (True, False, False)
    """
    for array, shape in arrays:
        if shape is None:
            if array is not None:
                return False
        elif not plain_float32(array) or array.shape != shape:
            return False
    return True
