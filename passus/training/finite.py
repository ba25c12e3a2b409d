"""Check that gradients are finite before they are applied to the weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passus.backend import Array

__all__ = ["nonfinite"]


def nonfinite(model: Any) -> str | None:
    """Return the path of the first parameter whose gradient contains NaN or infinity, or None.

    >>> from passus.layers import Linear
    >>> layer = Linear(2, in_size=3)
    >>> layer.b.grad = np.array([0.0, np.nan], np.float32)
    >>> nonfinite(layer)
    'b'
    """
    if not hasattr(model, "named_params"):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        for path, p in model.named_params():
            if p._grad is not None and not _is_finite(p._grad._data):
                return str(path)
    return None


def _is_finite(g: Array) -> bool:
    # A sum reads the array once without a temporary. It may overflow although all numbers are finite.
    return math.isfinite(g.sum()) or bool((abs(g) < math.inf).all())
