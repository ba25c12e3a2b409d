"""Activations and their gradients, in one pass each by their kernels."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel
from passus.kernels.elementwise import is_dense
from passus.kernels.formulas import FORMULAS

__all__ = ["THRESHOLDS", "activation", "activation_gradient"]

THRESHOLDS = 1 << 12, 1 << 15
"""Number of elements from which a kernel is worth it, and from which the first one is."""


def _suits(x: Array, name: str, options: tuple[float, ...], xp: Any) -> bool:
    return x.size >= THRESHOLDS[0] and worth_kernel(x.size, *THRESHOLDS) and plain_float32(x) and is_dense(x)


def _gradient_suits(
    gy: Array, x: Array | None, y: Array | None, name: str, options: tuple[float, ...], xp: Any
) -> bool:
    if gy.size < THRESHOLDS[0] or not worth_kernel(gy.size, *THRESHOLDS):
        return False
    first: Any = y if x is None else x
    second: Any = first if y is None else y
    return bool(
        plain_float32(gy, first, second)
        and gy.shape == first.shape == second.shape
        and gy.strides == first.strides == second.strides
        and is_dense(gy)
    )


@kernel(_suits)
def activation(x: Array, name: str, options: tuple[float, ...], xp: Any) -> Array:
    """The value of a formula in `kernels/formulas.py`; ``xp``: the array library, with what the formula needs of it.

    >>> import numpy as np
    >>> activation(np.array([-1.0, 2.0]), "leaky_relu", (0.5,), np)
    array([-0.5,  2. ])
    """
    y: Array = FORMULAS[name].value(xp, x, *options)
    return y


@kernel(_gradient_suits)
def activation_gradient(
    gy: Array, x: Array | None, y: Array | None, name: str, options: tuple[float, ...], xp: Any
) -> Array:
    """Its gradient, from that for the result; x or y is None if the formula does not read it. Given Variables, a Variable.

    >>> import numpy as np
    >>> activation_gradient(np.array([1.0, 2.0]), None, np.array([0.5, 1.0]), "sigmoid", (), np)
    array([0.25, 0.  ])
    """
    gx: Array = FORMULAS[name].gradient(xp, gy, x, y, *options)
    return gx
