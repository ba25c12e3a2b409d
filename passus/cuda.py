"""Arrays moved between main memory and a GPU, under the names of DeZero's module ``cuda``."""

from __future__ import annotations

from typing import Any

from passus.answers import answers_for
from passus.backend import Array, backend_of, has_gpu, to_device
from passus.core import Variable, as_array
from passus.foreign import CUDA

__all__ = ["as_cupy", "as_numpy", "get_array_module", "gpu_enable"]

gpu_enable: bool
"""Whether JAX is installed and finds a GPU."""


def __getattr__(name: str) -> Any:
    if name == "gpu_enable":  # Looking for a GPU takes seconds, so it is not done on import.
        return has_gpu()
    raise AttributeError(name)


def get_array_module(x: Any) -> Any:
    """The module with the functions for an array or Variable: `numpy`, or `jax.numpy` for arrays on a device.

    >>> import numpy as np
    >>> get_array_module(np.zeros(3)).__name__
    'numpy'
    """
    return backend_of(_array(x)).xp


def as_numpy(x: Any) -> Array:
    """The array of a Variable, an array or a number, in main memory.

    >>> as_numpy(2.0)
    array(2.)
    """
    array = as_array(_array(x))
    return backend_of(array).to_numpy(array)


def as_cupy(x: Any) -> Array:
    """The array of a Variable, an array or a number, on the first GPU: an array of JAX, whatever the name says.

    Raises `DependencyError` without JAX or a GPU.
    """
    return to_device(as_array(_array(x)), "gpu")


def _array(x: Any) -> Any:
    return x.data if isinstance(x, Variable) else x


answers_for(__name__, CUDA)
