"""Convolution in array code: a matrix product whose rows are patches of the images.

Images are (N, C, *size) with one to three axes of space; weights are (O, C / groups, *kernel). ``stride`` and ``dilation``
hold a number for each axis of space, ``padding`` a pair (before, after). Results have their channels last in memory, which
makes patches long runs of memory; arguments may have any strides.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from passus.backend import Array, backend_of
from passus.kernels.boundary import fit
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel
from passus.kernels.layout import (
    Padding,
    Sizes,
    channels_last,
    channels_second,
    interior,
    padded,
    window_counts,
    window_positions,
    zero_images,
)
from passus.kernels.products import batched

__all__ = [
    "col2im",
    "convolve",
    "convolve_input_gradient",
    "convolve_weight_gradient",
    "extents",
    "im2col",
]

THRESHOLDS = 1 << 10, 1 << 19
"""Number of multiplications from which a kernel is worth its call, after the first use of a kernel and before: some tenths of a
millisecond of work here.
"""

MAX_PATCH_NUMBERS = 1 << 26
"""Numbers of patches that are in memory at once. A larger batch is halved, because patches take several times its memory."""


def _suits_convolve(x: Array, W: Array, b: Array | None, stride: Sizes, *window: Any) -> bool:
    if not plain_float32(x, W) or not (b is None or fit(W.shape[:1], b)):
        return False
    pixels = x.size // max(1, x.shape[1]) // math.prod(stride)
    return worth_kernel(pixels * W.size, *THRESHOLDS) and _results(x.shape, W.shape, stride, *window) != ()


def _suits_input_gradient(gy: Array, W: Array, size: Sizes, *window: Any) -> bool:
    if not plain_float32(gy, W) or not worth_kernel(gy.size * math.prod(W.shape[1:]), *THRESHOLDS):
        return False
    *_, groups = window
    return bool(_results((len(gy), groups * W.shape[1], *size), W.shape, *window) == gy.shape)


def _suits_weight_gradient(x: Array, gy: Array, kernel: Sizes, *window: Any) -> bool:
    *_, groups = window
    if not plain_float32(x, gy) or not worth_kernel(gy.size * x.shape[1] // groups * math.prod(kernel), *THRESHOLDS):
        return False
    return bool(_results(x.shape, (gy.shape[1], x.shape[1] // groups, *kernel), *window) == gy.shape)


@lru_cache(maxsize=1 << 12)
def _results(x: Sizes, W: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int) -> Sizes:
    """The shape of the output for x and W; () if no kernel takes such shapes."""
    axes = len(stride)
    if not 1 <= axes <= 2 or not len(x) == len(W) == axes + 2 or len(dilation) != axes or len(padding) != axes:
        return ()
    if min(dilation) < 1 or min(map(min, padding)) < 0 or groups < 1 or x[1] != W[1] * groups or W[0] % groups:
        return ()
    out = window_counts(x[2:], extents(W[2:], dilation), stride, padding)
    return (x[0], W[0], *out) if out else ()


@kernel(_suits_convolve)
def convolve(
    x: Array, W: Array, b: Array | None, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The images (N, O, *out) from ``x`` (N, C, *size), with a bias ``b`` (O,) added to the channels."""
    columns = im2col(x, W.shape[2:], stride, padding, dilation)
    if columns.size > MAX_PATCH_NUMBERS and len(x) > 1:
        halves = [convolve(half, W, b, stride, padding, dilation, groups) for half in _halves(x)]
        return backend_of(x).xp.concatenate(halves)
    out = columns.shape[-len(stride) :]
    y = _rows(columns, len(stride), groups) @ _matrices(W, groups).swapaxes(1, 2)
    y = y.swapaxes(0, 1).reshape(len(x), *out, len(W))
    if b is not None:
        y += b  # Safe to modify in place: the array is new.
    return channels_second(y)


@kernel(_suits_input_gradient)
def convolve_input_gradient(
    gy: Array, W: Array, size: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The gradient (N, C, *size) for the images; as a function of ``gy`` (N, O, *out), the transposed convolution."""
    axes = len(stride)
    pixels = len(gy) * math.prod(gy.shape[2:])
    if pixels * groups * math.prod(W.shape[1:]) > MAX_PATCH_NUMBERS and len(gy) > 1:
        halves = [convolve_input_gradient(half, W, size, stride, padding, dilation, groups) for half in _halves(gy)]
        return backend_of(gy).xp.concatenate(halves)
    rows = _rows(gy, axes, groups) @ _matrices(W, groups)
    columns = rows.reshape(groups, len(gy), *gy.shape[2:], *W.shape[2:], W.shape[1])
    order = (1, 0, 2 + 2 * axes, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes))
    gx = col2im(columns.transpose(order), size, stride, padding, dilation)
    return gx.reshape(len(gy), groups * W.shape[1], *size)


@kernel(_suits_weight_gradient)
def convolve_weight_gradient(
    x: Array, gy: Array, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The gradient (O, C / groups, *kernel) for the weights."""
    columns = im2col(x, kernel, stride, padding, dilation)
    if columns.size > MAX_PATCH_NUMBERS and len(x) > 1:
        pairs = zip(_halves(x), _halves(gy))
        return sum(convolve_weight_gradient(*half, kernel, stride, padding, dilation, groups) for half in pairs)
    gW = batched(_rows(gy, len(stride), groups).swapaxes(1, 2), _rows(columns, len(stride), groups))
    return channels_second(gW.reshape(gy.shape[1], *kernel, x.shape[1] // groups))


def im2col(x: Array, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes) -> Array:
    """The patches (N, C, *kernel, *out) of images: a read-only view of ``x``, or of a copy with zeros around it."""
    x = padded(x, padding)
    axes = tuple(range(2, x.ndim))
    windows = backend_of(x).xp.lib.stride_tricks.sliding_window_view(x, extents(kernel, dilation), axes)
    patches = windows[(..., *[slice(None, None, step) for step in (*stride, *dilation)])]
    return patches.transpose(0, 1, *range(x.ndim, patches.ndim), *axes)


def col2im(columns: Array, size: Sizes, stride: Sizes, padding: Padding, dilation: Sizes) -> Array:
    """The images (N, ..., *size) whose pixels are the sums of their copies in patches (N, ..., *kernel, *out)."""
    backend, axes = backend_of(columns), len(stride)
    channels, kernel, out = columns.shape[1 : -2 * axes], columns.shape[-2 * axes : -axes], columns.shape[-axes:]
    images = zero_images(columns, channels, size, padding)
    for position, pixels in window_positions(kernel, stride, dilation, out):
        patch = columns[(..., *position, *[slice(None)] * axes)]
        images = backend.add_at(images, pixels, patch)
    return images[interior(size, padding)]


def extents(kernel: Sizes, dilation: Sizes) -> Sizes:
    """Number of pixels that a kernel spans along each axis.

    >>> extents((3, 1), dilation=(2, 2))
    (5, 1)
    """
    return tuple([step * (n - 1) + 1 for n, step in zip(kernel, dilation)])


def _halves(batch: Array) -> tuple[Array, Array]:
    return batch[: len(batch) // 2], batch[len(batch) // 2 :]


def _rows(columns: Array, axes: int, groups: int) -> Array:
    """(groups, N * out, kernel * C / groups) from (N, C, *kernel, *out), whose last ``axes`` axes are those of ``out``."""
    n, c, *rest = columns.shape
    kernel, out = rest[:-axes], rest[-axes:]
    last = 3 + len(rest)
    order = (1, 0, *range(last - axes, last), *range(3, last - axes), 2)
    grouped = columns.reshape(n, groups, c // groups, *rest).transpose(order)
    return grouped.reshape(groups, n * math.prod(out), math.prod(kernel) * (c // groups))


def _matrices(W: Array, groups: int) -> Array:
    """(groups, O / groups, kernel * C / groups), in the order of the rows."""
    return channels_last(W).reshape(groups, len(W) // groups, math.prod(W.shape[1:]))
