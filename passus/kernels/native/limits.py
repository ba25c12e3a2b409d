"""Limits of the output of convolutions, as of relu, applied while it is in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numba

from passus.backend import Array
from passus.kernels.channels import Limits
from passus.kernels.native.compiling import FLAT, INTEGER, compiled

__all__ = ["Limits", "Plan", "limit_rows"]

Plan: TypeAlias = Callable[[Array, Array], None]
"""Writes the output of a convolution, the first array, from its input; both are (N, H, W, C)."""


def limit_rows(y: Array, limits: Limits | None, start: int = 0, stop: int | None = None) -> None:
    """Limit the rows from ``start`` to ``stop`` of contiguous images y (N, H, W, C), those of all images counted together."""
    if limits is not None:
        stop = len(y) * y.shape[1] if stop is None else stop
        row = y.shape[2] * y.shape[3]
        _limit(y.reshape(-1), *limits, start * row, stop * row)


@compiled(numba.void(FLAT, numba.float32, numba.float32, INTEGER, INTEGER), allocates=False)
def _limit(y: Any, low: Any, high: Any, start: Any, stop: Any) -> None:
    y = y[start:stop]
    for i in range(len(y)):
        limit = low if y[i] < low else y[i]
        y[i] = high if limit > high else limit
