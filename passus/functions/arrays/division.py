"""Integer division, remainders and reciprocals."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.core import HALF, Binary, Operand, Result
from passus.errors import named_in_errors
from passus.functions.arrays.arithmetic import div
from passus.kernels.elementwise import masked

__all__ = ["FloorDivide", "Fmod", "Mod", "floor_divide", "fmod", "mod", "reciprocal"]


class FloorDivide(Binary):
    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.floor_divide(x0, x1)

    def grad0(self, gy: Any) -> Any:
        return self.xp.where(False, gy, 0.0)  # Unlike gy * 0, this is 0 for infinite gy.

    grad1 = grad0


def floor_divide(x0: Operand, x1: Operand) -> Result:
    """The quotient rounded down: ``x0 // x1``. The gradient is 0.

    >>> import numpy as np
    >>> floor_divide(np.array([7.0, -7.0]), 2)
    array([ 3., -4.])
    """
    return FloorDivide()(x0, x1)


class Mod(Binary):
    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.remainder(x0, x1)

    def grad0(self, gy: Any) -> Any:
        return gy

    def grad1(self, gy: Any) -> Any:
        return _times(-gy, self.xp.floor_divide(self.x0, self.x1))


def mod(x0: Operand, x1: Operand) -> Result:
    """The remainder of `floor_divide`, ``x0 % x1 = x0 - x0 // x1 * x1``, with the sign of ``x1``; NaN where ``x1`` is
    0.

    >>> import numpy as np
    >>> mod(np.array([7.0, -7.0]), 3)
    array([1., 2.])
    """
    return Mod()(x0, x1)


class Fmod(Binary):
    upcast_dtypes = HALF  # The quotient may exceed the range of float16.

    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.fmod(x0, x1)

    def grad0(self, gy: Any) -> Any:
        return gy

    def grad1(self, gy: Any) -> Any:
        return _times(-gy, self.xp.trunc(self.x0 / self.x1))


def fmod(x0: Operand, x1: Operand) -> Result:
    """The remainder of a division rounded towards 0, with the sign of ``x0``; NaN where ``x1`` is 0.

    >>> import numpy as np
    >>> fmod(np.array([7.0, -7.0]), 3)
    array([ 1., -1.])
    """
    return Fmod()(x0, x1)


def _times(gy: Any, count: Any) -> Any:
    """``gy * count``, and 0 where the count is 0, also for infinite ``gy``."""
    return masked(gy, count != 0) * count


@named_in_errors
def reciprocal(x: Operand) -> Result:
    """The reciprocal of each element, ``1 / x``; infinite at 0.

    >>> import numpy as np
    >>> reciprocal(np.array([2.0, 4.0]))
    array([0.5 , 0.25])
    """
    return div(1.0, x)
