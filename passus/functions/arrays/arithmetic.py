"""The operators: ``- + * / **``, with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import HALF, Binary, Operand, Result, Unary
from passus.core.basic import Add as Add
from passus.core.basic import add as add
from passus.errors import DTypeError

new = object.__new__

__all__ = [
    "Add",
    "Div",
    "Mul",
    "Neg",
    "Pow",
    "PowWithExponent",
    "Sub",
    "add",
    "div",
    "mul",
    "neg",
    "pow",
    "rdiv",
    "rpow",
    "rsub",
    "sub",
]


class Neg(Unary):
    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, gy: Any) -> Any:
        return -gy


def neg(x: Operand) -> Result:
    """The negative of each element: ``-x``.

    >>> import numpy as np
    >>> neg(np.array([1.0, -2.0]))
    array([-1.,  2.])
    """
    return Neg()(x)


class Sub(Binary):
    def forward(self, x0: Array, x1: Array) -> Array:
        return x0 - x1

    def grad0(self, gy: Any) -> Any:
        return gy

    def grad1(self, gy: Any) -> Any:
        return -gy


def sub(x0: Operand, x1: Operand) -> Result:
    """The difference of two operands: ``x0 - x1``.

    >>> import numpy as np
    >>> sub(np.array([1.0, 2.0]), 3.0)
    array([-2., -1.])
    """
    return Sub()(x0, x1)


def rsub(x0: Operand, x1: Operand) -> Result:
    """The difference with swapped operands: ``x1 - x0``.

    >>> import numpy as np
    >>> rsub(np.array([1.0, 2.0]), 3.0)
    array([2., 1.])
    """
    return Sub()(x1, x0)


class Mul(Binary):
    def forward(self, x0: Array, x1: Array) -> Array:
        return x0 * x1

    def grad0(self, gy: Any) -> Any:
        return gy * self.x1

    def grad1(self, gy: Any) -> Any:
        return gy * self.x0


def mul(x0: Operand, x1: Operand) -> Result:
    """The product of two operands, element by element: ``x0 * x1``.

    >>> import numpy as np
    >>> mul(np.array([1.0, 2.0]), 3.0)
    array([3., 6.])
    """
    return Mul()(x0, x1)


class Div(Binary):
    def forward(self, x0: Array, x1: Array) -> Array:
        return x0 / x1

    def grad0(self, gy: Any) -> Any:
        return gy / self.x1

    def grad1(self, gy: Any) -> Any:
        return -gy * self.y / self.x1


def div(x0: Operand, x1: Operand) -> Result:
    """The quotient of two operands, element by element: ``x0 / x1``.

    >>> import numpy as np
    >>> div(np.array([3.0, 6.0]), 3.0)
    array([1., 2.])
    """
    return Div()(x0, x1)


def rdiv(x0: Operand, x1: Operand) -> Result:
    """The quotient with swapped operands: ``x1 / x0``.

    >>> import numpy as np
    >>> rdiv(np.array([1.0, 2.0]), 3.0)
    array([3. , 1.5])
    """
    return Div()(x1, x0)


class Pow(Binary):
    upcast_dtypes = HALF

    def __new__(cls, *c: Operand) -> Pow:
        return new(PowWithExponent if c else cls)  # DeZero writes Pow(2)(x), passus Pow()(x, 2).

    def forward(self, x0: Array, x1: Array) -> Array:
        try:
            return x0**x1
        except (ValueError, OverflowError) as error:
            dtypes = [np.asarray(x).dtype for x in (x0, x1)]
            if dtypes[0].kind == "f" or dtypes[1].kind == "f" or np.all(x1 >= 0):
                raise
            raise DTypeError(
                f"pow: negative powers of {dtypes[0]} are no integers; convert x with x.astype(np.float64), or write the "
                "exponent as a float, as in x ** -1.0"
            ) from error

    def grad0(self, gy: Any) -> Any:
        # For c = 0 the exponent c - 1 is replaced by 0: 0 * x**(-1) is NaN at x = 0, 0 * x**0 is not.
        c = self.x1
        lowered = (c - 1 if c != 0 else 0) if isinstance(c, (int, float)) else self.xp.where(c == 0, 0, c - 1)
        return gy * (c * self.x0**lowered)

    def grad1(self, gy: Any) -> Any:
        # 0**c is 0 for every c > 0, so its derivative with respect to c is 0, but log(0) would give NaN. For c < 0,
        # both are infinite.
        xp, x0 = self.xp, self.x0
        with np.errstate(divide="ignore"):
            return gy * self.y * xp.log(xp.where((x0 == 0) & (self.x1 >= 0), 1, x0))


class PowWithExponent(Pow):
    public_name = "pow"

    def __init__(self, c: Operand) -> None:
        self.c = c

    def __call__(self, *xs: Operand) -> Result:
        return super().__call__(*xs, self.c)


def pow(x: Operand, c: Operand) -> Result:
    """The power of each element: ``x ** c``; the exponent may be a Variable too.

    The gradient with respect to the exponent is ``x**c * log(x)``; it is 0 at x = 0 for exponents of at least 0, and
    NaN for negative x.

    Raises `DTypeError` for negative powers of integers, which are no integers.

    >>> import numpy as np
    >>> pow(np.array([1.0, 2.0, 3.0]), 2)
    array([1., 4., 9.])
    """
    return new(Pow)(x, c)


def rpow(x: Operand, c: Operand) -> Result:
    """The power with swapped operands: ``c ** x``.

    >>> import numpy as np
    >>> rpow(np.array([1.0, 3.0]), 2)
    array([2., 8.])
    """
    return new(Pow)(c, x)
