"""The largest pixel or the mean of each window, in float32: two axes of space, channels last, a vector of channels at a time."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Padding, Sizes, channels_second, window_counts
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.layouts import with_channels_last
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.simd import (
    load,
    load_bytes,
    maximum,
    position_of_maximum,
    splat,
    splat_byte,
    store,
    store_bytes,
    where_equal,
)
from passus.kernels.native.works import Work, run
from passus.kernels.threads import split

__all__ = [
    "average_pooling",
    "average_pooling_gradient",
    "average_pooling_work",
    "max_pooling",
    "max_pooling_gradient",
    "max_pooling_work",
]

PIECE = 1 << 15
"""Pixels that are worth a thread, counted once for each window that contains them."""


class Shape(NamedTuple):
    """The shapes of images and windows, and the strides."""

    H: int
    W: int
    oh: int
    ow: int
    C: int
    kh: int
    kw: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int


POSITIONS = numba.uint8[::1]
SHAPE = numba.types.UniTuple(INTEGER, len(Shape._fields))


def max_pooling(x: Array, kernel: Sizes, stride: Sizes, padding: Padding) -> tuple[Array, Array]:
    images = with_channels_last(x)
    n, *size, c = images.shape
    out = window_counts(tuple(size), kernel, stride, padding)
    y, positions = np.empty((n, *out, c), np.float32), np.empty((n, *out, c), np.uint8)
    run([max_pooling_work(y, positions, images, kernel, stride, padding)])
    return channels_second(y), channels_second(positions)


def max_pooling_work(
    y: Array, positions: Array | None, images: Array, kernel: Sizes, stride: Sizes, padding: Padding
) -> Work:
    """The work that writes the largest pixels to y, and their positions unless that is None; channels last."""
    n, *size, c = images.shape
    out = y.shape[1:3]
    arrays = [x.reshape(-1) for x in (images, y, positions) if x is not None]
    arguments = (*arrays, _shape(size, out, c, kernel, stride, padding))
    largest = _largest_pixels if positions is None else _max_pooling
    return Work(largest, arguments, n * out[0], PIECE // (1 + out[1] * c * math.prod(kernel)))


def max_pooling_gradient(
    gy: Array, positions: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding
) -> Array:
    g, p = with_channels_last(gy), with_channels_last(positions)
    n, *out, c = g.shape
    gx = np.empty((n, *size, c), np.float32)
    shape = _shape(size, out, c, kernel, stride, padding)

    def work(start: int, stop: int) -> None:
        _max_pooling_gradient(g.reshape(-1), p.reshape(-1), gx.reshape(-1), shape, start, stop)

    split(work, n, PIECE // (1 + math.prod(out) * c * math.prod(kernel)))
    return channels_second(gx)


def average_pooling(x: Array, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any) -> Array:
    images = with_channels_last(x)
    n, *size, c = images.shape
    out = window_counts(tuple(size), kernel, stride, padding)
    y = np.empty((n, *out, c), np.float32)
    run([average_pooling_work(y, images, kernel, stride, padding, divisor)])
    return channels_second(y)


def average_pooling_work(y: Array, images: Array, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any) -> Work:
    """The work that writes the mean pixels to y; channels last."""
    n, *size, c = images.shape
    out = y.shape[1:3]
    arguments = (images.reshape(-1), _weights(divisor, out), y.reshape(-1))
    shape = _shape(size, out, c, kernel, stride, padding)
    return Work(_average_pooling, (*arguments, shape), n * out[0], PIECE // (1 + out[1] * c * math.prod(kernel)))


def average_pooling_gradient(
    gy: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any
) -> Array:
    g = with_channels_last(gy)
    n, *out, c = g.shape
    gx, weights = np.empty((n, *size, c), np.float32), _weights(divisor, out)
    shape = _shape(size, out, c, kernel, stride, padding)

    def work(start: int, stop: int) -> None:
        _average_pooling_gradient(g.reshape(-1), weights, gx.reshape(-1), shape, start, stop)

    split(work, n, PIECE // (1 + math.prod(out) * c * math.prod(kernel)))
    return channels_second(gx)


def _weights(divisor: Any, out: Sizes | list[int]) -> Array:
    """The weight of each pixel in the mean of its window, for all windows of an image."""
    return np.ascontiguousarray(np.broadcast_to(1 / np.asarray(divisor, np.float32), out)).reshape(-1)


def _shape(
    size: Sizes | list[int], out: Sizes | list[int], c: int, kernel: Sizes, stride: Sizes, padding: Padding
) -> tuple[int, ...]:
    """The numbers of a `Shape`; as a plain tuple, which Numba takes in half the time."""
    return (*size, *out, c, *kernel, *stride, padding[0][0], padding[1][0])


@inlined
def _rows_inside(shape: Any, r: Any) -> Any:
    """The first row of windows in row ``r`` of the output that is inside the image, and the last one plus 1."""
    top = shape.pad_top - r * shape.stride_h
    return max(0, top), min(shape.kh, shape.H + top)


@inlined
def _columns_inside(shape: Any, q: Any) -> Any:
    left = shape.pad_left - q * shape.stride_w
    return max(0, left), min(shape.kw, shape.W + left)


@inlined
def _first_pixel(shape: Any, n: Any, r: Any, q: Any) -> Any:
    """The index of the first pixel of window (r, q) of image n."""
    row = n * shape.H + r * shape.stride_h - shape.pad_top
    return (row * shape.W + q * shape.stride_w - shape.pad_left) * shape.C


@inlined
def _output(shape: Any, n: Any, r: Any, q: Any) -> Any:
    """The index of output (r, q) of image n."""
    return ((n * shape.oh + r) * shape.ow + q) * shape.C


@inlined
def _clear_image(gx: Any, shape: Any, n: Any) -> None:
    """Write zeros just before the gradients are added, so that they are in the cache."""
    size = shape.H * shape.W * shape.C
    gx[n * size : (n + 1) * size] = 0


@inlined
def _disjoint(shape: Any) -> Any:
    """Whether each pixel is in exactly one window, so that it is written once and need not be cleared first."""
    return (
        shape.kh == shape.stride_h
        and shape.kw == shape.stride_w
        and shape.pad_top == 0
        and shape.pad_left == 0
        and shape.oh * shape.kh == shape.H
        and shape.ow * shape.kw == shape.W
    )


@inlined
def _largest_of_row(arguments: Any, c: Any, lanes: Any) -> None:
    """A row of windows, in a vector of channels."""
    x, y, positions, shape, n, r = arguments
    W, C, kw = shape.W, shape.C, shape.kw
    i0, i1 = _rows_inside(shape, r)
    for q in range(shape.ow):
        j0, j1 = _columns_inside(shape, q)
        pixel = _first_pixel(shape, n, r, q) + c
        best = load(x, pixel + (i0 * W + j0) * C, lanes)
        position = splat_byte(np.uint8(i0 * kw + j0))
        for i in range(i0, i1):
            for j in range(j0, j1):
                new = load(x, pixel + (i * W + j) * C, lanes)
                position = position_of_maximum(new, best, np.uint8(i * kw + j), position)
                best = maximum(new, best)
        target = _output(shape, n, r, q) + c
        store(y, target, best, lanes)
        store_bytes(positions, target, position, lanes)


@compiled(numba.void(READ, FLAT, POSITIONS, SHAPE, INTEGER, INTEGER), allocates=False)
def _max_pooling(x: Any, y: Any, positions: Any, shape: Any, start: Any, stop: Any) -> None:
    """Rows of windows from ``start`` to ``stop``, those of all images counted together."""
    shape = Shape(*shape)
    for at in range(start, stop):
        for_vectors(_largest_of_row, (x, y, positions, shape, at // shape.oh, at % shape.oh), shape.C)


@inlined
def _largest_pixels_of_row(arguments: Any, c: Any, lanes: Any) -> None:
    """A row of windows, in a vector of channels."""
    x, y, shape, n, r = arguments
    W, C = shape.W, shape.C
    i0, i1 = _rows_inside(shape, r)
    for q in range(shape.ow):
        j0, j1 = _columns_inside(shape, q)
        pixel = _first_pixel(shape, n, r, q) + c
        best = load(x, pixel + (i0 * W + j0) * C, lanes)
        for i in range(i0, i1):
            for j in range(j0, j1):
                best = maximum(load(x, pixel + (i * W + j) * C, lanes), best)
        store(y, _output(shape, n, r, q) + c, best, lanes)


@compiled(numba.void(READ, FLAT, SHAPE, INTEGER, INTEGER), allocates=False)
def _largest_pixels(x: Any, y: Any, shape: Any, start: Any, stop: Any) -> None:
    """Rows of windows from ``start`` to ``stop``, as `_max_pooling`, without positions."""
    shape = Shape(*shape)
    for at in range(start, stop):
        for_vectors(_largest_pixels_of_row, (x, y, shape, at // shape.oh, at % shape.oh), shape.C)


@inlined
def _gradient_of_largest(arguments: Any, c: Any, lanes: Any) -> None:
    """A row of windows, in a vector of channels."""
    gy, positions, gx, shape, disjoint, n, r = arguments
    W, C, kw = shape.W, shape.C, shape.kw
    i0, i1 = _rows_inside(shape, r)
    for q in range(shape.ow):
        j0, j1 = _columns_inside(shape, q)
        pixel, source = _first_pixel(shape, n, r, q) + c, _output(shape, n, r, q) + c
        g, position = load(gy, source, lanes), load_bytes(positions, source, lanes)
        for i in range(i0, i1):
            for j in range(j0, j1):
                target = pixel + (i * W + j) * C
                here = where_equal(position, np.uint8(i * kw + j), g)
                store(gx, target, here if disjoint else load(gx, target, lanes) + here, lanes)


@compiled(
    numba.void(READ, numba.types.Array(numba.uint8, 1, "C", readonly=True), FLAT, SHAPE, INTEGER, INTEGER),
    allocates=False,
)
def _max_pooling_gradient(gy: Any, positions: Any, gx: Any, shape: Any, start: Any, stop: Any) -> None:
    """Images from ``start`` to ``stop``: windows of one image may overlap, those of two do not."""
    shape = Shape(*shape)
    disjoint = _disjoint(shape)
    for n in range(start, stop):
        if not disjoint:
            _clear_image(gx, shape, n)
        for r in range(shape.oh):
            for_vectors(_gradient_of_largest, (gy, positions, gx, shape, disjoint, n, r), shape.C)


@inlined
def _means_of_row(arguments: Any, c: Any, lanes: Any) -> None:
    """A row of windows, in a vector of channels."""
    x, weights, y, shape, n, r = arguments
    W, C, ow = shape.W, shape.C, shape.ow
    i0, i1 = _rows_inside(shape, r)
    for q in range(ow):
        j0, j1 = _columns_inside(shape, q)
        pixel, total = _first_pixel(shape, n, r, q) + c, splat(np.float32(0))
        for i in range(i0, i1):
            row = splat(np.float32(0))  # A separate sum: in a single one, many pixels would lose their last digits.
            for j in range(j0, j1):
                row = row + load(x, pixel + (i * W + j) * C, lanes)
            total = total + row
        store(y, _output(shape, n, r, q) + c, total * splat(weights[r * ow + q]), lanes)


@compiled(numba.void(READ, READ, FLAT, SHAPE, INTEGER, INTEGER), allocates=False)
def _average_pooling(x: Any, weights: Any, y: Any, shape: Any, start: Any, stop: Any) -> None:
    """Rows of windows from ``start`` to ``stop``, those of all images counted together."""
    shape = Shape(*shape)
    for at in range(start, stop):
        for_vectors(_means_of_row, (x, weights, y, shape, at // shape.oh, at % shape.oh), shape.C)


@inlined
def _gradient_of_means(arguments: Any, c: Any, lanes: Any) -> None:
    """A row of windows, in a vector of channels."""
    gy, weights, gx, shape, disjoint, n, r = arguments
    W, C, ow = shape.W, shape.C, shape.ow
    i0, i1 = _rows_inside(shape, r)
    for q in range(ow):
        j0, j1 = _columns_inside(shape, q)
        pixel = _first_pixel(shape, n, r, q) + c
        g = load(gy, _output(shape, n, r, q) + c, lanes) * splat(weights[r * ow + q])
        for i in range(i0, i1):
            for j in range(j0, j1):
                target = pixel + (i * W + j) * C
                store(gx, target, g if disjoint else load(gx, target, lanes) + g, lanes)


@compiled(numba.void(READ, READ, FLAT, SHAPE, INTEGER, INTEGER), allocates=False)
def _average_pooling_gradient(gy: Any, weights: Any, gx: Any, shape: Any, start: Any, stop: Any) -> None:
    """Images from ``start`` to ``stop``: windows of one image may overlap, those of two do not."""
    shape = Shape(*shape)
    disjoint = _disjoint(shape)
    for n in range(start, stop):
        if not disjoint:
            _clear_image(gx, shape, n)
        for r in range(shape.oh):
            for_vectors(_gradient_of_means, (gy, weights, gx, shape, disjoint, n, r), shape.C)
