"""Attention: weighted sums of values, with weights from the products of queries and keys.

The weights (..., T_q, T_k) are never all in memory: they are computed for one block of queries after another, and again in the
backward pass, from the logarithms of their sums. ``q``, ``k`` and ``v`` are (..., T_q, D), (..., T_k, D) and
(..., T_k, Dv); k and v have the same leading axes, which broadcast against those of q. ``mask`` (..., T_q or 1, T_k) is
boolean, True where a key takes part, or is added to the scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array, backend_of, chosen
from passus.kernels.boundary import fit
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel
from passus.kernels.elementwise import masked
from passus.kernels.products import batched
from passus.kernels.sums import total

__all__ = [
    "Dropping",
    "Settings",
    "attention",
    "attention_gradients",
    "chosen_product",
    "keep_mask",
    "seen",
    "summed_to",
]

THRESHOLDS = 1 << 12, 1 << 24
"""Multiplications from which on a kernel is worth it, and those from which on the first kernel is."""

UINT32 = np.dtype(np.uint32)

WEIGHTS = 1 << 20
"""Weights in memory at a time."""

ROWS = 16
"""Queries in a block, at least: products of fewer rows are slow."""


class Dropping(NamedTuple):
    """The weights that dropout keeps: those whose 32 bits, a hash of two keys, are not below ``least``."""

    rows: Array
    """A random key (..., T_q, 1) of each query."""
    columns: Array
    """A random key (T_k,) of each position among the keys."""
    least: int
    scale: float
    """The factor of the weights that dropout keeps."""


class Settings(NamedTuple):
    """How the scores become weights."""

    scale: float
    is_causal: bool = False
    dropping: Dropping | None = None


def _suits(q: Array, k: Array, v: Array, mask: Array | None, settings: Settings) -> bool:
    if not plain_float32(q, k, v) or min(q.ndim, k.ndim) < 2:
        return False
    if q.shape[-1] != k.shape[-1] or k.shape[:-1] != v.shape[:-1]:
        return False
    lead, queries, keys = _leading_axes(q, k), q.shape[-2], k.shape[-2]
    if lead is None or (mask is not None and not _mask_suits(mask, (*lead, queries, keys))):
        return False
    if settings.dropping is not None and not _dropping_suits(settings.dropping, (*lead, queries, 1), keys):
        return False
    return worth_kernel(math.prod(lead) * queries * keys * (min(q.shape[-1], 1) and v.shape[-1]), *THRESHOLDS)


def _leading_axes(q: Array, k: Array) -> tuple[int, ...] | None:
    """The leading axes of the result; None if those of q and k do not broadcast."""
    lead: tuple[int, ...] = q.shape[:-2]
    if lead == k.shape[:-2]:
        return lead
    try:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    except ValueError:
        return None
    return lead


def _mask_suits(mask: Array, shape: tuple[int, ...]) -> bool:
    if (
        type(mask) is not np.ndarray
        or not (mask.dtype == bool or plain_float32(mask))
        or not 2 <= mask.ndim <= len(shape)
    ):
        return False
    outer = zip(mask.shape[-2::-1], shape[-2::-1])
    return mask.shape[-1] == shape[-1] and all(n in (1, m) for n, m in outer)


def _dropping_suits(dropping: Dropping, rows: tuple[int, ...], keys: int) -> bool:
    fits = fit(rows, dropping.rows, dtype=UINT32) and fit((keys,), dropping.columns, dtype=UINT32)
    return fits and 0 <= dropping.least < 1 << 32 and dropping.rows.flags.c_contiguous


def _gradients_suit(
    gy: Array, q: Array, k: Array, v: Array, mask: Array | None, y: Array, lse: Array, settings: Settings
) -> bool:
    if not _suits(q, k, v, mask, settings):
        return False
    rows = (*(_leading_axes(q, k) or ()), q.shape[-2])
    return fit(rows, lse) and fit((*rows, v.shape[-1]), gy, y)


@kernel(_suits)
def attention(q: Array, k: Array, v: Array, mask: Array | None, settings: Settings) -> tuple[Array, Array]:
    """The weighted sums (..., T_q, Dv), and for each query the logarithm of the sum of exponentials of its scores.

    Both are 0 where no key takes part.

    >>> q, k, v = np.ones((1, 1)), np.zeros((2, 1)), np.array([[1.0], [3.0]])
    >>> y, lse = attention(q, k, v, None, Settings(1.0))
    >>> y.tolist(), lse.round(4).tolist()
    ([[2.0]], [0.6931])
    """
    xp, results = backend_of(q).xp, []
    with np.errstate(over="ignore", invalid="ignore"):
        for first, last in _blocks(q, k):
            scores = _scores(q, k, mask, settings, first, last)
            top = scores.max(axis=-1, keepdims=True, initial=-np.inf)
            shift = xp.where(top == -np.inf, 0.0, top)
            weights = xp.exp(scores - shift)
            z = total(weights, -1, True)
            z = xp.where(z == 0, 1.0, z)
            y = chosen_product(_dropped(weights / z, settings.dropping, first, last), v)
            results.append((y, shift + xp.log(z)))
    y, lse = [xp.concatenate(blocks, axis=-2) for blocks in zip(*results)]
    return y, lse[..., 0]


@kernel(_gradients_suit)
def attention_gradients(
    gy: Array, q: Array, k: Array, v: Array, mask: Array | None, y: Array, lse: Array, settings: Settings
) -> tuple[Array, Array, Array]:
    """The gradients for q, k and v, from the gradient ``gy`` of the result ``y``.

    >>> q, k, v = np.ones((1, 1)), np.zeros((2, 1)), np.array([[1.0], [3.0]])
    >>> y, lse = attention(q, k, v, None, Settings(1.0))
    >>> [g.tolist() for g in attention_gradients(np.ones((1, 1)), q, k, v, None, y, lse, Settings(1.0))]
    [[[0.0]], [[-0.5], [0.5]], [[0.5], [0.5]]]
    """
    xp, delta = backend_of(q).xp, total(gy * y, -1, True)
    gqs, gk, gv = [], xp.zeros(k.shape, k.dtype), xp.zeros(v.shape, v.dtype)
    for first, last in _blocks(q, k):
        rows = (..., slice(first, last), slice(None))
        scores = _scores(q, k, mask, settings, first, last)
        weights = masked(xp.exp(scores - lse[..., first:last, None]), scores != -np.inf)
        gv = gv + summed_to(
            chosen_product(_dropped(weights, settings.dropping, first, last).swapaxes(-1, -2), gy[rows]), v.shape
        )
        gweights = _dropped(batched(gy[rows], v.swapaxes(-1, -2)), settings.dropping, first, last)
        gscores = masked(weights * (gweights - delta[rows]), weights != 0) * settings.scale
        gqs.append(summed_to(chosen_product(gscores, k), q[rows].shape))
        gk = gk + summed_to(chosen_product(gscores.swapaxes(-1, -2), q[rows]), k.shape)
    return xp.concatenate(gqs, axis=-2), gk, gv


def _blocks(q: Array, k: Array) -> Iterator[tuple[int, int]]:
    """The first and last query of each block; one block if there are none."""
    queries, keys = q.shape[-2], k.shape[-2]
    heads = math.prod(np.broadcast_shapes(q.shape[:-2], k.shape[:-2]))
    rows = max(ROWS, WEIGHTS // max(1, heads * keys))
    for first in range(0, max(queries, 1), rows):
        yield first, min(first + rows, queries)


def _scores(q: Array, k: Array, mask: Array | None, settings: Settings, first: int, last: int) -> Array:
    """The scores of a block of queries; -inf where a key does not take part."""
    scores = batched(q[..., first:last, :] * settings.scale, k.swapaxes(-1, -2))
    if mask is not None and mask.shape[-2] != 1:
        mask = mask[..., first:last, :]
    if mask is not None and mask.dtype != bool:
        scores = scores + mask
    return backend_of(q).xp.where(seen(scores, mask, settings.is_causal, first, q.shape[-2]), scores, -np.inf)


def seen(scores: Array, mask: Array | None, is_causal: bool, first: int, count: int) -> Array:
    """Which keys take part, for a block of queries from the ``first`` on of ``count``.

    Keys whose score or mask is -inf do not. Causal: the last query sees all keys, the one before all keys but one.

    >>> seen(np.zeros((2, 3)), None, True, 0, 2)
    array([[ True,  True, False],
           [ True,  True,  True]])
    """
    takes_part = scores != -np.inf
    if mask is not None:
        takes_part = takes_part & (mask if mask.dtype == bool else mask != -np.inf)
    if is_causal:
        rows, keys = scores.shape[-2:]
        arange = backend_of(scores).xp.arange
        takes_part = takes_part & (arange(keys) <= arange(first, first + rows)[:, None] + (keys - count))
    return takes_part


def _dropped(weights: Array, dropping: Dropping | None, first: int, last: int) -> Array:
    if dropping is None:
        return weights
    rows = dropping._replace(rows=dropping.rows[..., first:last, :])
    return masked(weights, keep_mask(rows)) * dropping.scale


def keep_mask(dropping: Dropping) -> Array:
    """Whether dropout keeps each weight, (..., T_q, T_k).

    >>> dropping = Dropping(np.array([[1], [2]], np.uint32), np.array([3, 4, 5], np.uint32), 1 << 31, 2.0)
    >>> keep_mask(dropping)
    array([[False,  True, False],
           [False, False, False]])
    """
    # The finalizer of MurmurHash3: each bit of the keys changes half of the bits of the result.
    bits = dropping.rows ^ dropping.columns
    bits = (bits ^ (bits >> 16)) * np.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * np.uint32(0xC2B2AE35)
    mask: Array = (bits ^ (bits >> 16)) >= np.uint32(dropping.least)
    return mask


def chosen_product(weights: Array, x: Array) -> Array:
    """``weights @ x``, where a number with weight 0 adds nothing, even if it is infinite or NaN.

    >>> chosen_product(np.array([[1.0, 0.0]]), np.array([[2.0], [np.nan]]))
    array([[2.]])
    """
    xp = backend_of(x).xp
    finite = xp.isfinite(x)
    return chosen(finite.all(), lambda: batched(weights, x), lambda: _of_finite(xp, weights, x, finite))


def _of_finite(xp: Any, weights: Array, x: Array, finite: Array) -> Array:
    """The product of finite numbers, and the limits where others take part."""
    y = batched(weights, masked(x, finite))

    def met(weight: Any, number: Any) -> Any:
        return batched(weight.astype(y.dtype), number.astype(y.dtype)) > 0

    positive, negative = weights > 0, weights < 0
    above = met(positive, x == np.inf) | met(negative, x == -np.inf)
    below = met(positive, x == -np.inf) | met(negative, x == np.inf)
    unknown = met(weights != 0, xp.isnan(x)) | (above & below)
    limits: Array = xp.where(unknown, np.nan, xp.where(above, np.inf, xp.where(below, -np.inf, y)))
    return limits


def summed_to(x: Array, shape: tuple[int, ...]) -> Array:
    """The sum over the axes that broadcasting added to a shape or enlarged."""
    axes = tuple(range(x.ndim - len(shape)))
    axes += tuple(len(axes) + i for i, n in enumerate(shape) if n != x.shape[len(axes) + i])
    return total(x, axes, True).reshape(shape) if axes else x
