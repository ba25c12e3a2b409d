"""Weights of losses, and the reduction of weighted losses."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.core import Binary, Operand, Result, Variable
from passus.functions.arrays.arithmetic import div
from passus.functions.arrays.reductions import sum
from passus.functions.arrays.selection import where
from passus.kernels.elementwise import masked

__all__ = ["in_dtype_of", "product", "weighted", "zero_unweighted"]


def in_dtype_of(x: Any, weight: Any) -> Any:
    """Labels or weights in the dtype of ``x``, so that integers or float64 do not widen float32. Both were checked
    before.

    >>> import numpy as np
    >>> in_dtype_of(np.ones(2, np.float32), np.array([0, 1])).dtype
    dtype('float32')
    """
    if isinstance(weight, (int, float)) or x.dtype.kind != "f" or weight.dtype == x.dtype:
        return weight
    return weight.astype(x.dtype)


class Product(Binary):
    public_name = "mul"

    def forward(self, x: Array, weight: Array) -> Array:
        return self._finite(x, weight) * weight

    def grad0(self, gy: Any) -> Any:
        weight = self.x1
        # A mask would lose the gradient of a weight that is a Variable.
        return gy * weight if self.needs[1] else masked(gy, weight != 0) * weight

    def grad1(self, gy: Any) -> Any:
        return gy * self._finite(self.x0, self.x1)

    def _finite(self, x: Any, weight: Any) -> Any:
        """X with 0 where it is not finite and its weight is 0. Finite elements are the gradients of their weights."""
        return masked(x, self.xp.isfinite(x) | (weight != 0))


def product(x: Operand, weight: Operand) -> Result:
    """``x * weight``, and 0 with gradient 0 where the weight is 0, even if ``x`` is infinite or NaN.

    >>> import numpy as np
    >>> product(np.array([1.0, -np.inf]), np.array([2.0, 0.0]))
    array([2., 0.])
    """
    return Product()(x, in_dtype_of(x, weight))


def zero_unweighted(x: Operand, weight: Operand) -> Result:
    """Set ``x`` to 0 where the weight is 0, so that NaN there has no effect. Returns ``x`` if the weight requires a
    gradient.

    >>> import numpy as np
    >>> zero_unweighted(np.array([1.0, np.nan]), np.array([2.0, 0.0]))
    array([1., 0.])
    """
    if isinstance(weight, Variable) and weight.requires_grad:
        return x
    return where(weight != 0, x, 0.0)


def weighted(losses: Result, weight: Operand | None, reduction: str, total_weight: float | None = None) -> Result:
    """The reduction of weighted losses. The mean divides by ``total_weight``, by default the number of losses.

    >>> import numpy as np
    >>> weighted(np.array([1.0, 2.0]), np.array([3, 0]), "mean")
    array(1.5)
    """
    if weight is not None:
        losses = product(losses, weight)
    if reduction == "none":
        return losses
    total = sum(losses)
    return total if reduction == "sum" else div(total, losses.size if total_weight is None else total_weight)
