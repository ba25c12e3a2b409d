"""Attention: weighted sums of values, with weights from the products of queries and keys."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array, backend_of
from passus.kernels.elementwise import masked
from passus.kernels.products import batched

__all__ = ["Dropping", "Settings", "causal_mask", "chosen_product", "kept_weights"]


class Dropping(NamedTuple):
    """Which weights dropout keeps: those whose 32 bits, a hash of two keys, are not below ``least``."""

    rows: Array
    """A random key (..., T_q, 1) of each query."""
    columns: Array
    """A random key (T_k,) of each place among the keys."""
    least: int
    scale: float
    """The factor of the weights that are kept."""


class Settings(NamedTuple):
    """What attention is given besides the arrays that it is differentiated for."""

    scale: float
    is_causal: bool
    mask: Array | None = None
    """Boolean, broadcastable to (..., T_q, T_k)."""
    dropping: Dropping | None = None


def causal_mask(count: int, keys: int, first: int, last: int) -> Array:
    """Which keys the queries from ``first`` to ``last`` of ``count`` see; the last query sees all of them.

    >>> causal_mask(2, 3, 0, 2)
    array([[ True,  True, False],
           [ True,  True,  True]])
    """
    return np.arange(keys) <= np.arange(first, last)[:, None] + (keys - count)


def kept_weights(dropping: Dropping) -> Array:
    """Which weights (..., T_q, T_k) dropout keeps.

    >>> dropping = Dropping(np.array([[1], [2]], np.uint32), np.array([3, 4, 5], np.uint32), 1 << 31, 2.0)
    >>> kept_weights(dropping)
    array([[False,  True, False],
           [False, False, False]])
    """
    # The finalizer of MurmurHash3: each bit of the keys changes half of the bits of the result.
    bits = dropping.rows ^ dropping.columns
    bits = (bits ^ (bits >> 16)) * np.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * np.uint32(0xC2B2AE35)
    kept: Array = (bits ^ (bits >> 16)) >= np.uint32(dropping.least)
    return kept


def chosen_product(weights: Array, x: Array) -> Array:
    """``weights @ x``, to which a number with weight 0 adds nothing, be it infinite or NaN.

    >>> chosen_product(np.array([[1.0, 0.0]]), np.array([[2.0], [np.nan]]))
    array([[2.]])
    """
    xp = backend_of(x).xp
    finite = xp.isfinite(x)
    if finite.all():
        return batched(weights, x)
    y = batched(weights, masked(x, finite))

    def met(weight: Any, number: Any) -> Any:
        return batched(weight.astype(y.dtype), number.astype(y.dtype)) > 0

    positive, negative = weights > 0, weights < 0
    above = met(positive, x == np.inf) | met(negative, x == -np.inf)
    below = met(positive, x == -np.inf) | met(negative, x == np.inf)
    unknown = met(weights != 0, xp.isnan(x)) | (above & below)
    y = xp.where(above, y.dtype.type(np.inf), xp.where(below, y.dtype.type(-np.inf), y))
    return xp.where(unknown, y.dtype.type(np.nan), y)
