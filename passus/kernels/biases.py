"""Activations of biased channels, ``activation(x + b)``, in one pass each by their kernels."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.kernels.activations import THRESHOLDS, activation
from passus.kernels.boundary import fit
from passus.kernels.dispatch import kernel, worth_kernel
from passus.kernels.formulas import FORMULAS
from passus.kernels.layout import axis_last
from passus.kernels.sums import total

__all__ = ["biased_activation", "biased_gradient"]


def _suits(x: Array, b: Array, name: str, axis: int, xp: Any) -> bool:
    """Whether the channels of x, along an axis counted from 0, are last in memory, and b has a number for each of them."""
    return bool(
        worth_kernel(x.size, *THRESHOLDS)
        and fit(x.shape, x)
        and fit(x.shape[axis : axis + 1], b)
        and b.flags.c_contiguous
        and axis_last(x, axis).flags.c_contiguous
    )


def _gradient_suits(gy: Array, x: Array, b: Array, name: str, axis: int, xp: Any) -> bool:
    return _suits(x, b, name, axis, xp) and fit(x.shape, gy) and gy.strides == x.strides


@kernel(_suits)
def biased_activation(x: Array, b: Array, name: str, axis: int, xp: Any) -> Array:
    """A formula of `kernels/formulas.py` with its default options, of ``x + b`` for b (C,) along an axis of x.

    ``xp``: the array library, with what the formula needs.

    >>> import numpy as np
    >>> biased_activation(np.array([[1.0, 2.0]]), np.array([-3.0, 1.0]), "relu", 1, np)
    array([[0., 3.]])
    """
    return activation(x + _along(b, x.ndim, axis), name, FORMULAS[name].default, xp)


@kernel(_gradient_suits)
def biased_gradient(gy: Array, x: Array, b: Array, name: str, axis: int, xp: Any) -> tuple[Array, Array]:
    """Its gradients for x and b, from that for the result. Given Variables, the gradients are some.

    >>> import numpy as np
    >>> biased_gradient(np.ones((2, 1)), np.array([[1.0], [5.0]]), np.array([-3.0]), "relu", 1, np)
    (array([[0.],
           [1.]]), array([1.]))
    """
    biased, formula = x + _along(b, x.ndim, axis), FORMULAS[name]
    y = formula.value(xp, biased, *formula.default)
    gx = formula.gradient(xp, gy, biased, y, *formula.default)
    return gx, total(gx, tuple([i for i in range(x.ndim) if i != axis]))


def _along(b: Any, ndim: int, axis: int) -> Any:
    return b.reshape(-1, *[1] * (ndim - 1 - axis))
