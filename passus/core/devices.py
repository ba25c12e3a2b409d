"""The device of the inputs of a function: constants follow, Variables with a gradient must be there."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import backend_of
from passus.core.variable import Variable
from passus.errors import DTypeError

__all__ = ["on_one_device"]


def on_one_device(name: str, inputs: tuple[Any, ...], xs: list[Any]) -> list[Any]:
    """The input arrays of a function, with constants of NumPy copied to the device of the other arrays.

    Raises `DTypeError` for a Variable of NumPy to which a gradient would flow from the device.

    >>> on_one_device("add", (1.0, np.ones(2)), [1.0, np.ones(2)])
    [1.0, array([1., 1.])]
    """
    backend = backend_of(*xs)
    if backend.name != "jax":
        return xs
    moved = list(xs)
    for i, (v, x) in enumerate(zip(inputs, xs)):
        if isinstance(x, (np.ndarray, np.generic)):
            if isinstance(v, Variable) and v.requires_grad and x.dtype.kind == "f":
                raise DTypeError(
                    f"{name}: {v._label()} {x.shape} is in main memory, and another input on a device: move both to one, as in "
                    'model.to_device("gpu"), or x.detach() if no gradient is needed'
                )
            moved[i] = backend.asarray(x)
    return moved
