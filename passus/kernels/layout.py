"""How images (N, C, *size) lie in memory, channels last, what is around them, and which pixels a window meets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, TypeAlias

from passus.backend import Array, backend_of

__all__ = [
    "Padding",
    "Sizes",
    "axis_last",
    "blank",
    "channels_last",
    "channels_last_in_memory",
    "channels_second",
    "inside",
    "last_axis_at",
    "meetings",
    "padded",
    "window_counts",
]

Sizes: TypeAlias = tuple[int, ...]
"""A number for each axis of space."""
Padding: TypeAlias = tuple[tuple[int, int], ...]
"""How many pixels before and after, for each axis of space."""


def channels_last(x: Array) -> Array:
    """(N, *size, C), a view of (N, C, *size)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def channels_second(x: Array) -> Array:
    """(N, C, *size), a view of (N, *size, C)."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def axis_last(x: Array, axis: int) -> Array:
    """A view with an axis, 0 or more, behind all others: in a fifth of the time of NumPy's moveaxis."""
    return x.transpose(*range(axis), *range(axis + 1, x.ndim), axis)


def last_axis_at(x: Array, axis: int) -> Array:
    """The way back: a view with the last axis in the place ``axis``."""
    return x.transpose(*range(axis), x.ndim - 1, *range(axis, x.ndim - 1))


def channels_last_in_memory(x: Array) -> Array:
    """The images (N, C, *size) themselves if their channels are last in memory without gaps, or a copy."""
    return channels_second(backend_of(x).xp.ascontiguousarray(channels_last(x)))


def blank(like: Array, channels: Sizes, size: Sizes, padding: Padding) -> Array:
    """As many images (N, *channels, *size) of zeros as there are in ``like``, with room for padding."""
    wide = [before + n + after for n, (before, after) in zip(size, padding)]
    images = backend_of(like).xp.zeros((len(like), *wide, *channels), like.dtype)
    return images.transpose(0, *range(1 + len(size), images.ndim), *range(1, 1 + len(size)))


def inside(size: Sizes, padding: Padding) -> tuple[Any, ...]:
    """The index of what is not padding.

    >>> inside((5,), ((2, 1),))
    (Ellipsis, slice(2, 7, None))
    """
    return (..., *[slice(before, before + n) for n, (before, _) in zip(size, padding)])


def padded(x: Array, padding: Padding) -> Array:
    """The images with zeros around them; ``x`` itself if there is no padding."""
    if not any(map(any, padding)):
        return x
    size = x.shape[2:]
    return backend_of(x).add_at(blank(x, x.shape[1:2], size, padding), inside(size, padding), x)


@lru_cache(maxsize=1 << 12)
def window_counts(size: Sizes, extents: Sizes, stride: Sizes, padding: Padding) -> Sizes:
    """How many windows of such extents there are along each axis; () if the axes are not as many, or one has no window.

    >>> window_counts((5, 4), extents=(3, 2), stride=(2, 1), padding=((1, 1), (0, 0))), window_counts((5,), (3, 2), (1,), ((0, 0),))
    ((3, 3), ())
    """
    if not len(size) == len(extents) == len(stride) == len(padding) or min((*size, *extents, *stride), default=0) < 1:
        return ()
    spans = [n + before + after - k for n, (before, after), k in zip(size, padding, extents)]
    return tuple([n // step + 1 for n, step in zip(spans, stride)]) if min(spans) >= 0 else ()


def meetings(kernel: Sizes, stride: Sizes, dilation: Sizes, out: Sizes) -> Iterator[tuple[Sizes, tuple[Any, ...]]]:
    """Each place in a window, and the index of the pixels that it meets on the way of the window.

    >>> list(meetings((2,), stride=(2,), dilation=(1,), out=(3,)))
    [((0,), (Ellipsis, slice(0, 5, 2))), ((1,), (Ellipsis, slice(1, 6, 2)))]
    """
    for place in product(*map(range, kernel)):
        starts = [i * apart for i, apart in zip(place, dilation)]
        yield place, (..., *[slice(at, at + step * (n - 1) + 1, step) for at, step, n in zip(starts, stride, out)])
