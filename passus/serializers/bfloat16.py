"""Conversion from bfloat16, a 16-bit format that NumPy does not support."""

from __future__ import annotations

import numpy as np

from passus.backend import Array

__all__ = ["from_bfloat16"]


def from_bfloat16(bits: Array) -> Array:
    """The float32 values whose upper 16 bits are ``bits``, an array of uint16; the conversion is exact.

    >>> from_bfloat16(np.array([0x3F80, 0xC020, 0xFF80], np.uint16))
    array([ 1. , -2.5, -inf], dtype=float32)
    """
    return np.left_shift(bits, 16, dtype=np.uint32).view(np.float32)
