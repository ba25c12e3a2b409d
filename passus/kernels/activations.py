"""Which activations are computed by a kernel; the reference of each are the formula and the rule of its class.

Slopes that follow from the result have kernels of their own, which compute no exponential a second time.
"""

from __future__ import annotations

from typing import Any

from passus import config
from passus.backend import Array
from passus.kernels.dispatch import enough, kernel, native_module, plain
from passus.kernels.elementwise import is_dense

__all__ = ["THRESHOLDS", "compiled_activations", "logistic", "sigmoid_gradient", "tanh_gradient"]

THRESHOLDS = 1 << 12, 1 << 15
"""From how many elements on a kernel is worth it, and from how many on the first one is."""


def compiled_activations(x: Any, gy: Any = None) -> Any:
    """The module of compiled activations, if it suits an array and a gradient that lies in memory as the array does; or None."""
    if not plain(x) or not enough(x.size, *THRESHOLDS) or not config.native.get():
        return None
    if gy is not None and not (plain(gy) and gy.shape == x.shape and gy.strides == x.strides):
        return None
    return native_module("activations") if is_dense(x) else None


def logistic(x: Array, xp: Any) -> Array:
    """``1 / (1 + exp(-x))``, by a formula that never overflows; ``xp``: the array library. Given a Variable, the result is one.

    >>> import numpy as np
    >>> logistic(np.array([-1000.0, 0.0]), np)
    array([0. , 0.5])
    """
    return xp.tanh(0.5 * x) * 0.5 + 0.5


def _both_suit(gy: Array, y: Array) -> bool:
    return compiled_activations(y, gy) is not None


@kernel(_both_suit)
def sigmoid_gradient(gy: Array, y: Array) -> Array:
    """``gy * y * (1 - y)``, from the result y; given Variables, the result is one.

    >>> import numpy as np
    >>> sigmoid_gradient(np.array([1.0, 2.0]), np.array([0.5, 1.0]))
    array([0.25, 0.  ])
    """
    return gy * y * (1 - y)


@kernel(_both_suit)
def tanh_gradient(gy: Array, y: Array) -> Array:
    """``gy * (1 - y * y)``, from the result y; given Variables, the result is one.

    >>> import numpy as np
    >>> tanh_gradient(np.array([1.0, 2.0]), np.array([0.5, 1.0]))
    array([0.75, 0.  ])
    """
    return gy * (1 - y * y)
