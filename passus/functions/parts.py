"""Pieces that several functions are made of."""

from __future__ import annotations

from typing import Any

from passus.core import Operand, Result
from passus.functions.arithmetic import div, mul
from passus.functions.checks import array_of
from passus.functions.reductions import sum

__all__ = ["in_dtype_of", "weighted"]


def in_dtype_of(x: Any, constant: Any) -> Any:
    """Labels or weights in the dtype of ``x``, so that integers or float64 do not widen float32.

    >>> import numpy as np
    >>> in_dtype_of(np.ones(2, np.float32), np.array([0, 1])).dtype
    dtype('float32')
    """
    dtype = array_of("dtype", x).dtype
    if isinstance(constant, (int, float)) or dtype.kind != "f" or array_of("weight", constant).dtype == dtype:
        return constant
    return constant.astype(dtype)


def weighted(losses: Result, weight: Operand | None, reduction: str, total_weight: float | None = None) -> Result:
    """The reduction of losses of which each is multiplied by its weight; the mean divides by their number, if not by
    the total weight.

    >>> import numpy as np
    >>> weighted(np.array([1.0, 2.0]), np.array([3, 0]), "mean")
    array(1.5)
    """
    if weight is not None:
        losses = mul(losses, in_dtype_of(losses, weight))
    if reduction == "none":
        return losses
    total = sum(losses)
    return total if reduction == "sum" else div(total, losses.size if total_weight is None else total_weight)
