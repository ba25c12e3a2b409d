"""The largest pixel of each window, or their mean, in float32: two axes of space, channels last, a vector of them at a time."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Padding, Sizes, channels_second
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.layouts import with_channels_last
from passus.kernels.native.simd import (
    LANES,
    add,
    all_lanes,
    first_lanes,
    load,
    load_bytes,
    maximum,
    multiply,
    place_of_maximum,
    splat,
    splat_byte,
    store,
    store_bytes,
    where_equal,
)
from passus.kernels.threads import split

__all__ = ["average_pooling", "average_pooling_gradient", "max_pooling", "max_pooling_gradient", "prepare"]

PIECE = 1 << 15
"""How many pixels met by windows are worth a thread of their own."""

PLACES = numba.uint8[::1]
SHAPE = numba.types.UniTuple(INTEGER, 11)


def prepare() -> None:
    """All kernels here are compiled when the module is imported."""


def max_pooling(x: Array, kernel: Sizes, stride: Sizes, padding: Padding) -> tuple[Array, Array]:
    images = with_channels_last(x)
    n, *size, c = images.shape
    out = [(m + sum(pads) - k) // step + 1 for m, pads, k, step in zip(size, padding, kernel, stride)]
    y, places = np.empty((n, *out, c), np.float32), np.empty((n, *out, c), np.uint8)
    shape = _shape(size, out, c, kernel, stride, padding)

    def work(start: int, stop: int) -> None:
        _max_pooling(images.reshape(-1), y.reshape(-1), places.reshape(-1), shape, start, stop)

    split(work, n * out[0], PIECE // (1 + out[1] * c * math.prod(kernel)))
    return channels_second(y), channels_second(places)


def max_pooling_gradient(
    gy: Array, places: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding
) -> Array:
    g, p = with_channels_last(gy), with_channels_last(places)
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
    out = [(m + sum(pads) - k) // step + 1 for m, pads, k, step in zip(size, padding, kernel, stride)]
    y, shares = np.empty((n, *out, c), np.float32), _shares(divisor, out)
    shape = _shape(size, out, c, kernel, stride, padding)

    def work(start: int, stop: int) -> None:
        _average_pooling(images.reshape(-1), shares, y.reshape(-1), shape, start, stop)

    split(work, n * out[0], PIECE // (1 + out[1] * c * math.prod(kernel)))
    return channels_second(y)


def average_pooling_gradient(
    gy: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any
) -> Array:
    g = with_channels_last(gy)
    n, *out, c = g.shape
    gx, shares = np.empty((n, *size, c), np.float32), _shares(divisor, out)
    shape = _shape(size, out, c, kernel, stride, padding)

    def work(start: int, stop: int) -> None:
        _average_pooling_gradient(g.reshape(-1), shares, gx.reshape(-1), shape, start, stop)

    split(work, n, PIECE // (1 + math.prod(out) * c * math.prod(kernel)))
    return channels_second(gx)


def _shares(divisor: Any, out: list[int]) -> Array:
    """What part of its mean each pixel of a window is, for all windows of an image."""
    return np.ascontiguousarray(np.broadcast_to(1 / np.asarray(divisor, np.float32), out)).reshape(-1)


def _shape(
    size: Sizes | list[int], out: Sizes | list[int], c: int, kernel: Sizes, stride: Sizes, padding: Padding
) -> tuple[int, ...]:
    return (*size, *out, c, *kernel, *stride, padding[0][0], padding[1][0])


@inlined
def _max_of_windows(x: Any, y: Any, places: Any, shape: Any, n: Any, r: Any, c: Any, lanes: Any) -> None:
    """A row of windows, in the vector of channels from ``c`` on."""
    H, W, oh, ow, C, kh, kw, rise, run, top, left = shape
    i0, i1 = max(0, top - r * rise), min(kh, H + top - r * rise)
    for q in range(ow):
        j0, j1 = max(0, left - q * run), min(kw, W + left - q * run)
        pixel = ((n * H + r * rise - top) * W + q * run - left) * C + c
        best = load(x, pixel + (i0 * W + j0) * C, lanes)
        place = splat_byte(np.uint8(i0 * kw + j0))
        for i in range(i0, i1):
            for j in range(j0, j1):
                new = load(x, pixel + (i * W + j) * C, lanes)
                place = place_of_maximum(new, best, np.uint8(i * kw + j), place)
                best = maximum(new, best)
        target = ((n * oh + r) * ow + q) * C + c
        store(y, target, best, lanes)
        store_bytes(places, target, place, lanes)


@compiled(numba.void(READ, FLAT, PLACES, SHAPE, INTEGER, INTEGER))
def _max_pooling(x: Any, y: Any, places: Any, shape: Any, start: Any, stop: Any) -> None:
    """Rows of windows from ``start`` to ``stop``, those of all images counted together."""
    oh, C = shape[2], shape[4]
    for at in range(start, stop):
        for c in range(0, C - C % LANES, LANES):
            _max_of_windows(x, y, places, shape, at // oh, at % oh, c, all_lanes())
        if C % LANES:
            _max_of_windows(x, y, places, shape, at // oh, at % oh, C - C % LANES, first_lanes(C % LANES))


@inlined
def _side_by_side(shape: Any) -> Any:
    """Whether each pixel belongs to one window: then it is written once, and need not be cleared before."""
    H, W, oh, ow, _, kh, kw, rise, run, top, left = shape
    return kh == rise and kw == run and top == 0 and left == 0 and oh * kh == H and ow * kw == W


@inlined
def _gradient_of_windows(
    gy: Any, places: Any, gx: Any, shape: Any, once: Any, n: Any, r: Any, c: Any, lanes: Any
) -> None:
    H, W, oh, ow, C, kh, kw, rise, run, top, left = shape
    i0, i1 = max(0, top - r * rise), min(kh, H + top - r * rise)
    for q in range(ow):
        j0, j1 = max(0, left - q * run), min(kw, W + left - q * run)
        pixel = ((n * H + r * rise - top) * W + q * run - left) * C + c
        source = ((n * oh + r) * ow + q) * C + c
        g, place = load(gy, source, lanes), load_bytes(places, source, lanes)
        for i in range(i0, i1):
            for j in range(j0, j1):
                met = pixel + (i * W + j) * C
                here = where_equal(place, np.uint8(i * kw + j), g)
                store(gx, met, here if once else add(load(gx, met, lanes), here), lanes)


@compiled(numba.void(READ, numba.types.Array(numba.uint8, 1, "C", readonly=True), FLAT, SHAPE, INTEGER, INTEGER))
def _max_pooling_gradient(gy: Any, places: Any, gx: Any, shape: Any, start: Any, stop: Any) -> None:
    """Images from ``start`` to ``stop``: windows of one image may meet, those of two do not."""
    (H, W, oh, _, C), whole, once = shape[:5], shape[4] - shape[4] % LANES, _side_by_side(shape)
    for n in range(start, stop):
        if not once:
            gx[n * H * W * C : (n + 1) * H * W * C] = 0  # Here, where it stays in the cache.
        for r in range(oh):
            for c in range(0, whole, LANES):
                _gradient_of_windows(gy, places, gx, shape, once, n, r, c, all_lanes())
            if whole < C:
                _gradient_of_windows(gy, places, gx, shape, once, n, r, whole, first_lanes(C - whole))


@inlined
def _sums_of_windows(x: Any, shares: Any, y: Any, shape: Any, n: Any, r: Any, c: Any, lanes: Any) -> None:
    """A row of windows, in the vector of channels from ``c`` on."""
    H, W, oh, ow, C, kh, kw, rise, run, top, left = shape
    i0, i1 = max(0, top - r * rise), min(kh, H + top - r * rise)
    for q in range(ow):
        j0, j1 = max(0, left - q * run), min(kw, W + left - q * run)
        pixel = ((n * H + r * rise - top) * W + q * run - left) * C + c
        total = splat(np.float32(0))
        for i in range(i0, i1):
            row = splat(np.float32(0))  # By itself: in one sum, many pixels would lose their last digits.
            for j in range(j0, j1):
                row = add(row, load(x, pixel + (i * W + j) * C, lanes))
            total = add(total, row)
        store(y, ((n * oh + r) * ow + q) * C + c, multiply(total, splat(shares[r * ow + q])), lanes)


@compiled(numba.void(READ, READ, FLAT, SHAPE, INTEGER, INTEGER))
def _average_pooling(x: Any, shares: Any, y: Any, shape: Any, start: Any, stop: Any) -> None:
    """Rows of windows from ``start`` to ``stop``, those of all images counted together."""
    oh, C = shape[2], shape[4]
    for at in range(start, stop):
        for c in range(0, C - C % LANES, LANES):
            _sums_of_windows(x, shares, y, shape, at // oh, at % oh, c, all_lanes())
        if C % LANES:
            _sums_of_windows(x, shares, y, shape, at // oh, at % oh, C - C % LANES, first_lanes(C % LANES))


@inlined
def _shares_of_windows(
    gy: Any, shares: Any, gx: Any, shape: Any, once: Any, n: Any, r: Any, c: Any, lanes: Any
) -> None:
    H, W, oh, ow, C, kh, kw, rise, run, top, left = shape
    i0, i1 = max(0, top - r * rise), min(kh, H + top - r * rise)
    for q in range(ow):
        j0, j1 = max(0, left - q * run), min(kw, W + left - q * run)
        pixel = ((n * H + r * rise - top) * W + q * run - left) * C + c
        share = multiply(load(gy, ((n * oh + r) * ow + q) * C + c, lanes), splat(shares[r * ow + q]))
        for i in range(i0, i1):
            for j in range(j0, j1):
                met = pixel + (i * W + j) * C
                store(gx, met, share if once else add(load(gx, met, lanes), share), lanes)


@compiled(numba.void(READ, READ, FLAT, SHAPE, INTEGER, INTEGER))
def _average_pooling_gradient(gy: Any, shares: Any, gx: Any, shape: Any, start: Any, stop: Any) -> None:
    """Images from ``start`` to ``stop``: windows of one image may meet, those of two do not."""
    (H, W, oh, _, C), whole, once = shape[:5], shape[4] - shape[4] % LANES, _side_by_side(shape)
    for n in range(start, stop):
        if not once:
            gx[n * H * W * C : (n + 1) * H * W * C] = 0  # Here, where it stays in the cache.
        for r in range(oh):
            for c in range(0, whole, LANES):
                _shares_of_windows(gy, shares, gx, shape, once, n, r, c, all_lanes())
            if whole < C:
                _shares_of_windows(gy, shares, gx, shape, once, n, r, whole, first_lanes(C - whole))
