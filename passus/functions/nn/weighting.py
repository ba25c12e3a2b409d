"""Weights of losses, and the reduction of weighted losses."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.core import Binary, Operand, Result, Variable
from passus.functions.arrays.arithmetic import div
from passus.functions.arrays.reductions import sum
from passus.functions.arrays.selection import where
from passus.kernels.elementwise import masked

__all__ = ["counted", "in_dtype_of", "product", "weighted"]


def in_dtype_of(x: Any, weight: Any) -> Any:
    """Labels or weights in the dtype of ``x``, so that integers or float64 do not widen float32. Both were checked before.

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
        return self._known(x, weight) * weight

    def grad0(self, gy: Any) -> Any:
        weight = self.x1
        # The gradient of a weight that is learnt would be lost to a mask.
        return gy * weight if self.needs[1] else masked(gy, weight != 0) * weight

    def grad1(self, gy: Any) -> Any:
        return gy * self._known(self.x0, self.x1)

    def _known(self, x: Any, weight: Any) -> Any:
        """x, but 0 for what is not finite and has no weight: a finite number is the gradient of its weight."""
        return masked(x, self.xp.isfinite(x) | (weight != 0))


def product(x: Operand, weight: Operand) -> Result:
    """``x * weight``, and 0 where the weight is 0, be ``x`` infinite there or NaN; so are the gradients.

    >>> import numpy as np
    >>> product(np.array([1.0, -np.inf]), np.array([2.0, 0.0]))
    array([2., 0.])
    """
    return Product()(x, in_dtype_of(x, weight))


def counted(x: Operand, weight: Operand) -> Result:
    """``x``, but 0 where the weight is 0: what has no weight has no gradient, be it NaN. Not for weights that are learnt.

    >>> import numpy as np
    >>> counted(np.array([1.0, np.nan]), np.array([2.0, 0.0]))
    array([1., 0.])
    """
    if isinstance(weight, Variable) and weight.requires_grad:
        return x
    return where(weight != 0, x, 0.0)


def weighted(losses: Result, weight: Operand | None, reduction: str, total_weight: float | None = None) -> Result:
    """The reduction of losses of which each is multiplied by its weight; the mean divides by their number, if not by
    the total weight.

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
