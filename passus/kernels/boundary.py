"""The check of arrays that kernels share: compiled code reads and writes as far as sizes tell it."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["fit"]

FLOAT32 = np.dtype(np.float32)


def fit(shape: tuple[int, ...] | None, *arrays: Any, dtype: np.dtype[Any] = FLOAT32) -> bool:
    """Whether all are arrays of NumPy's own class, of this shape and dtype, aligned and in the byte order of the processor.

    With a shape of None: whether all of them are None.

    >>> fit((2, 3), np.zeros((2, 3), np.float32)), fit((2,), np.zeros(2)), fit((2,), None), fit(None, None)
    (True, False, False, True)
    """
    for x in arrays:
        if shape is None:
            if x is not None:
                return False
        elif type(x) is not np.ndarray or x.shape != shape or x.dtype != dtype or not x.flags.aligned:
            return False
    return True
