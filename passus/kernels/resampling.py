"""Weighted sums of a few pixels along one axis, for resizing and for averages of unequal windows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array, backend_of
from passus.kernels.elementwise import masked
from passus.kernels.layout import channels_last, channels_last_in_memory, channels_second

__all__ = ["Taps", "resample", "transposed", "window_taps"]


class Taps(NamedTuple):
    """A sparse matrix with few numbers in each row: indices (out, taps) of pixels, and their weights (out, taps)."""

    indices: Any
    weights: Any


def resample(x: Array, axis: int, taps: Taps) -> Array:
    """``y[..., o, ...] = sum over t of weights[o, t] * x[..., indices[o, t], ...]``, for images (N, C, *size).

    ``axis``: one of those of space, 2 or more. Results have their channels last in memory.
    """
    x, axis = channels_last(channels_last_in_memory(x)), axis - 1
    y = _tap(x, axis, taps, 0)
    for t in range(1, taps.indices.shape[1]):
        y += _tap(x, axis, taps, t)
    return channels_second(y)


def _tap(x: Array, axis: int, taps: Taps, t: int) -> Array:
    """One weighted pixel for each pixel of the result."""
    backend = backend_of(x)
    pixels = backend.xp.take(x, backend.asarray(taps.indices[:, t]), axis)
    weights = taps.weights[:, t].astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1 - axis))
    if not weights.all():
        pixels = masked(pixels, backend.asarray(weights != 0))  # A pixel with weight 0 may be infinite.
    pixels *= backend.asarray(weights)  # Safe to modify in place: it is a copy.
    return pixels


def transposed(taps: Taps, count: int) -> Taps:
    """The transposed matrix, for the gradient; ``count``: number of pixels of the images.

    >>> back = transposed(Taps(np.array([[0], [0], [2]]), np.array([[1.0], [1.0], [1.0]])), count=3)
    >>> back.indices.tolist(), back.weights.tolist()
    ([[0, 1], [2, 2], [2, 2]], [[1.0, 1.0], [0.0, 0.0], [0.5, 0.5]])
    """
    order = np.argsort(taps.indices, axis=None, kind="stable")
    counts = np.bincount(taps.indices.ravel(), minlength=count)
    entries, part = window_taps(np.cumsum(counts) - counts, counts)
    entries = order[np.minimum(entries, len(order) - 1)]
    return Taps(entries // taps.indices.shape[1], taps.weights.ravel()[entries] * part)


def window_taps(starts: Array, counts: Array) -> Taps:
    """The taps of windows of ``counts`` pixels that begin at ``starts``, with weight 1. An empty window has weight 0.

    Shorter windows repeat their last pixel and divide its weight, so no pixel outside a window is read.

    >>> window_taps(np.array([0, 1]), np.array([1, 3])).weights.round(2).tolist()
    [[0.33, 0.33, 0.33], [1.0, 1.0, 1.0]]
    """
    steps, last = np.arange(max(1, counts.max())), np.maximum(counts, 1)[:, None] - 1
    weights = np.where(steps < last, 1.0, 1.0 / (len(steps) - last))
    return Taps(starts[:, None] + np.minimum(steps, last), weights * (counts > 0)[:, None])
