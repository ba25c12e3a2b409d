"""Which activations are computed by a kernel; the reference of each are the formula and the rule of its class."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus import config
from passus.kernels.dispatch import enough, native_module
from passus.kernels.elementwise import is_dense

__all__ = ["WORTHWHILE", "compiled_activations"]

WORTHWHILE = 1 << 12, 1 << 15
"""From how many elements on a kernel is worth it, and from how many on the first one is."""


def compiled_activations(x: Any, gy: Any = None) -> Any:
    """The module of compiled activations, if it suits an array and a gradient that lies in memory as the array does; or None."""
    if type(x) is not np.ndarray or x.dtype != np.float32 or not enough(x.size, *WORTHWHILE) or not config.native.get():
        return None
    if gy is not None and not (type(gy) is np.ndarray and gy.dtype == x.dtype and gy.strides == x.strides):
        return None
    return native_module("activations") if is_dense(x) else None
