"""The device of the inputs of a function: constants follow, Variables with a gradient must be there."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Backend
from passus.core.variable import Variable
from passus.errors import DTypeError

__all__ = ["on_one_device"]


def on_one_device(backend: Backend, name: str, inputs: tuple[Any, ...], xs: list[Any]) -> list[Any]:
    """The input arrays of a function, with constants of NumPy as arrays of another library.

    Raises `DTypeError` for a Variable of NumPy to which a gradient would flow from there.

    >>> from passus.backend import backend_of
    >>> on_one_device(backend_of(), "add", (1.0, np.ones(2)), [1.0, np.ones(2)])
    [1.0, array([1., 1.])]
    """
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
