"""What follows a convolution while its output is in the cache: an array is added, as in a residual block, and limits apply, as of relu."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.channels import Limits
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.works import New, Work

__all__ = ["ENDING", "NOTHING", "Ending", "Limits", "Plan", "end_rows", "ending_of"]

NOTHING = np.empty(0, np.float32)
"""In place of an array that is not added."""

ENDING = READ, numba.float32, numba.float32
"""The types of an `Ending`."""


class Ending(NamedTuple):
    """What is added to a contiguous output, flat and empty if nothing is; and the least and the largest number that remain."""

    added: Array = NOTHING
    low: float = -math.inf
    high: float = math.inf


Plan: TypeAlias = Callable[[Array, Array, Ending, New], list[Work]]
"""The works that compute a convolution: its output, the first array, from its input, both (N, H, W, C)."""


def ending_of(added: Array | None, limits: Limits | None) -> Ending:
    """The ending for images (N, H, W, C) that are added, and limits; None: there are none."""
    return Ending(NOTHING if added is None else added.reshape(-1), *(limits or ()))


@compiled(numba.void(FLAT, *ENDING, INTEGER, INTEGER), allocates=False)
def end_rows(y: Any, added: Any, low: Any, high: Any, start: Any, stop: Any) -> None:
    """Apply an `Ending` to the numbers of y from ``start`` to ``stop``."""
    y = y[start:stop]
    if len(added):
        added = added[start:stop]
        for i in range(len(y)):
            total = y[i] + added[i]
            limit = low if total < low else total
            y[i] = high if limit > high else limit
    elif low > -np.inf or high < np.inf:
        for i in range(len(y)):
            limit = low if y[i] < low else y[i]
            y[i] = high if limit > high else limit
