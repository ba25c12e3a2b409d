"""Convolution with kernels of 3 x 3 and stride 1 in four ninths of the multiplications, in float32.

Winograd's F(2 x 2, 3 x 3): squares of 4 x 4 pixels of the image, two apart, and the kernels are transformed; then 16 products
of matrices, one for each place in a square, take the place of the sum over the kernel; and what comes out is transformed back to
squares of 2 x 2 pixels. With the matrices below, ``Y = At [(G g Gt) * (Bt d B)] A``, so the gradient for the kernel is
``Gt [(A gY At) * (Bt d B)] G``. Transforms add and subtract only, but a number that is not finite reaches its whole square.

Source: Lavin and Gray, 2016, "Fast algorithms for convolutional neural networks".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.bands import IMAGES, INTEGERS, Window, as_memory, copy_band
from passus.kernels.native.buffers import aligned, aligned_zeros
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.processor import rows_of_tile
from passus.kernels.native.simd import LANES, add, all_lanes, first_lanes, load, multiply, spread, store, subtract
from passus.kernels.native.tile import multiply_tile
from passus.kernels.threads import added, collected, split

__all__ = ["PLACES", "prepare", "suits", "winograd", "winograd_gradient"]

PLACES = 16
"""How many places a square of the image has."""

BUFFER = 1 << 19
"""How many numbers of transformed squares, of images and results together, are at work at a time: 2 MiB."""

KERNELS = 1 << 14
"""How many pairs of channels are worth a thread of their own when their kernels are transformed."""

WORTHWHILE = 1 << 20
"""How many multiplications are worth a thread of their own."""

SHIFT = LANES
"""How many numbers lie between two matrices, so that one row of all of them does not compete for the same lines of the cache."""


def suits(size: list[int], window: Window, c: int, o: int, groups: int) -> bool:
    """Whether this is such a convolution, with channels enough to make up for the transforms."""
    return size == [3, 3] and window[:4] == (1, 1, 1, 1) and groups == 1 and c >= LANES // 2 and o >= LANES


def prepare() -> None:
    """Compile the tiles of all sizes."""
    for vectors in (1, 2):
        for whole in (True, False):
            for rows in sorted({rows_of_tile(count, vectors) for count in range(1, 65)}):
                _winograd(rows, vectors, whole)
                _winograd_gradient(rows, vectors, whole)


def _reach(c: int, o: int) -> int:
    """How many squares are at work at a time: enough to use each weight often, and few enough to stay in the cache."""
    return max(1, min(128, BUFFER // (PLACES * (c + o))))


def winograd(y: Array, x: Array, w: Array, bias: Array, columns: int, window: Window) -> None:
    """Y (N, OH, OW, O) from x (N, H, W, C) and packed weights w (tiles, 9, C * columns)."""
    n, oh, ow, o = y.shape
    u = aligned(len(w) * PLACES * w.shape[2])
    flat, numbers = w.reshape(-1), w.shape[2]
    split(lambda start, stop: _kernels(flat, u, numbers, start, stop), len(w), KERNELS // numbers)
    reach = _reach(x.shape[3], o)
    vectors = columns // LANES
    kernel = _winograd(rows_of_tile(reach, vectors), vectors, o % columns == 0)
    arguments = (x, u, bias, *as_memory(y), (oh, ow), o, (window.top, window.left), reach)
    rows = -(-oh // 2)

    def work(start: int, stop: int) -> None:
        kernel(*arguments, start, stop)

    split(work, n * rows, WORTHWHILE // (1 + PLACES * -(-ow // 2) * x.shape[3] * o))


def winograd_gradient(x: Array, gy: Array, columns: int, window: Window) -> Array:
    """The gradient (9, C * O) for the weights, from x (N, H, W, C) and gy (N, OH, OW, O)."""
    n, oh, ow, o = gy.shape
    c = x.shape[3]
    reach, vectors = _reach(c, o), columns // LANES
    kernel = _winograd_gradient(rows_of_tile(c, vectors), vectors, o % columns == 0)
    rows = -(-oh // 2)

    def work(start: int, stop: int) -> Array:
        total: Array = aligned_zeros(PLACES * c * o)
        kernel(x, gy, total, (window.top, window.left), reach, start, stop)
        return total

    total = added(collected(work, n * rows, WORTHWHILE // (1 + PLACES * -(-ow // 2) * c * o)))
    gW = np.empty((9, c * o), np.float32)
    split(lambda start, stop: _kernel_gradients(total, gW.reshape(-1), c * o, start, stop), c * o, KERNELS)
    return gW


@inlined
def _of_image(d0: Any, d1: Any, d2: Any, d3: Any) -> Any:
    """Bt, along one axis."""
    return subtract(d0, d2), add(d1, d2), subtract(d2, d1), subtract(d1, d3)


@inlined
def _to_result(m0: Any, m1: Any, m2: Any, m3: Any) -> Any:
    """At, along one axis."""
    return add(add(m0, m1), m2), subtract(subtract(m1, m2), m3)


@inlined
def _of_result(g0: Any, g1: Any) -> Any:
    """A, along one axis."""
    return g0, add(g0, g1), subtract(g0, g1), subtract(spread(np.float32(0)), g1)


@inlined
def _of_kernel(g0: Any, g1: Any, g2: Any) -> Any:
    """G, along one axis."""
    half = spread(np.float32(0.5))
    ends, middle = multiply(half, add(g0, g2)), multiply(half, g1)
    return g0, add(ends, middle), subtract(ends, middle), g2


@inlined
def _to_kernel(u0: Any, u1: Any, u2: Any, u3: Any) -> Any:
    """Gt, along one axis."""
    half = spread(np.float32(0.5))
    even, odd = multiply(half, add(u1, u2)), multiply(half, subtract(u1, u2))
    return add(u0, even), odd, add(even, u3)


@inlined
def _store_row(V: Any, place: Any, apart: Any, v: Any, lanes: Any) -> None:
    """Four places of a square, each in a matrix of its own."""
    store(V, place, v[0], lanes)
    store(V, place + apart, v[1], lanes)
    store(V, place + 2 * apart, v[2], lanes)
    store(V, place + 3 * apart, v[3], lanes)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER))
def _kernels(w: Any, u: Any, numbers: Any, start: Any, stop: Any) -> None:
    """Transform tiles of packed weights, whose 9 places lie ``numbers`` apart, to 16 places."""
    lanes = all_lanes()
    for tile in range(start, stop):
        for k in range(0, numbers, LANES):
            a, place = tile * 9 * numbers + k, tile * PLACES * numbers + k
            b, c = a + 3 * numbers, a + 6 * numbers
            t0 = _of_kernel(load(w, a, lanes), load(w, b, lanes), load(w, c, lanes))
            a, b, c = a + numbers, b + numbers, c + numbers
            t1 = _of_kernel(load(w, a, lanes), load(w, b, lanes), load(w, c, lanes))
            a, b, c = a + numbers, b + numbers, c + numbers
            t2 = _of_kernel(load(w, a, lanes), load(w, b, lanes), load(w, c, lanes))
            _store_row(u, place, numbers, _of_kernel(t0[0], t1[0], t2[0]), lanes)
            _store_row(u, place + 4 * numbers, numbers, _of_kernel(t0[1], t1[1], t2[1]), lanes)
            _store_row(u, place + 8 * numbers, numbers, _of_kernel(t0[2], t1[2], t2[2]), lanes)
            _store_row(u, place + 12 * numbers, numbers, _of_kernel(t0[3], t1[3], t2[3]), lanes)


@inlined
def _gradient_of_kernel(u: Any, a: Any, gW: Any, place: Any, numbers: Any, lanes: Any) -> None:
    """Transform 16 places back to 9, for one vector of pairs of channels."""
    b, c, d = a + 4 * numbers, a + 8 * numbers, a + 12 * numbers
    t0 = _to_kernel(load(u, a, lanes), load(u, b, lanes), load(u, c, lanes), load(u, d, lanes))
    a, b, c, d = a + numbers, b + numbers, c + numbers, d + numbers
    t1 = _to_kernel(load(u, a, lanes), load(u, b, lanes), load(u, c, lanes), load(u, d, lanes))
    a, b, c, d = a + numbers, b + numbers, c + numbers, d + numbers
    t2 = _to_kernel(load(u, a, lanes), load(u, b, lanes), load(u, c, lanes), load(u, d, lanes))
    a, b, c, d = a + numbers, b + numbers, c + numbers, d + numbers
    t3 = _to_kernel(load(u, a, lanes), load(u, b, lanes), load(u, c, lanes), load(u, d, lanes))
    for i in range(3):
        g0, g1, g2 = _to_kernel(t0[i], t1[i], t2[i], t3[i])
        store(gW, place + 3 * i * numbers, g0, lanes)
        store(gW, place + (3 * i + 1) * numbers, g1, lanes)
        store(gW, place + (3 * i + 2) * numbers, g2, lanes)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER))
def _kernel_gradients(u: Any, gW: Any, numbers: Any, start: Any, stop: Any) -> None:
    """The gradient for the kernels, 9 places, from that for the transformed ones, 16; ``numbers`` lie between places."""
    whole = stop - (stop - start) % LANES
    for k in range(start, whole, LANES):
        _gradient_of_kernel(u, k, gW, k, numbers, all_lanes())
    if whole < stop:
        _gradient_of_kernel(u, whole, gW, whole, numbers, first_lanes(stop - whole))


@inlined
def _square_of_image(x: Any, a: Any, line: Any, C: Any, V: Any, place: Any, apart: Any, lanes: Any) -> None:
    """Transform one square, in a vector of channels."""
    b, c, d = a + line, a + 2 * line, a + 3 * line
    t0 = _of_image(load(x, a, lanes), load(x, b, lanes), load(x, c, lanes), load(x, d, lanes))
    a, b, c, d = a + C, b + C, c + C, d + C
    t1 = _of_image(load(x, a, lanes), load(x, b, lanes), load(x, c, lanes), load(x, d, lanes))
    a, b, c, d = a + C, b + C, c + C, d + C
    t2 = _of_image(load(x, a, lanes), load(x, b, lanes), load(x, c, lanes), load(x, d, lanes))
    a, b, c, d = a + C, b + C, c + C, d + C
    t3 = _of_image(load(x, a, lanes), load(x, b, lanes), load(x, c, lanes), load(x, d, lanes))
    _store_row(V, place, apart, _of_image(t0[0], t1[0], t2[0], t3[0]), lanes)
    _store_row(V, place + 4 * apart, apart, _of_image(t0[1], t1[1], t2[1], t3[1]), lanes)
    _store_row(V, place + 8 * apart, apart, _of_image(t0[2], t1[2], t2[2], t3[2]), lanes)
    _store_row(V, place + 12 * apart, apart, _of_image(t0[3], t1[3], t2[3], t3[3]), lanes)


@compiled(numba.void(IMAGES, FLAT, FLAT, INTEGERS[2], INTEGERS[2], INTEGER, INTEGER, INTEGER))
def _squares_of_images(x: Any, band: Any, V: Any, pads: Any, squares: Any, apart: Any, start: Any, stop: Any) -> None:
    """Transform rows of squares, those of all images counted together, into 16 matrices of C columns."""
    C = x.shape[3]
    (top, left), (down, across) = pads, squares
    width, whole, at = 2 * across + 2, C - C % LANES, start
    while at < stop:
        n, r0 = at // down, at % down
        rows = min(down - r0, stop - at)
        copy_band(band, x, n, 2 * r0 - top, 2 * rows + 2, left, width)
        for r in range(rows):
            for q in range(across):
                a, place = (r * width + q) * 2 * C, ((at - start + r) * across + q) * C
                for c in range(0, whole, LANES):
                    _square_of_image(band, a + c, width * C, C, V, place + c, apart, all_lanes())
                if whole < C:
                    rest = first_lanes(C - whole)
                    _square_of_image(band, a + whole, width * C, C, V, place + whole, apart, rest)
        at += rows


@inlined
def _square_of_result(M: Any, place: Any, apart: Any, bias: Any, o: Any, lanes: Any) -> Any:
    """Transform one square of 16 matrices back to 2 x 2 pixels, in a vector of channels."""
    row = 4 * apart
    a, b, c, d = place, place + row, place + 2 * row, place + 3 * row
    t0 = _to_result(load(M, a, lanes), load(M, b, lanes), load(M, c, lanes), load(M, d, lanes))
    a, b, c, d = a + apart, b + apart, c + apart, d + apart
    t1 = _to_result(load(M, a, lanes), load(M, b, lanes), load(M, c, lanes), load(M, d, lanes))
    a, b, c, d = a + apart, b + apart, c + apart, d + apart
    t2 = _to_result(load(M, a, lanes), load(M, b, lanes), load(M, c, lanes), load(M, d, lanes))
    a, b, c, d = a + apart, b + apart, c + apart, d + apart
    t3 = _to_result(load(M, a, lanes), load(M, b, lanes), load(M, c, lanes), load(M, d, lanes))
    above, below = _to_result(t0[0], t1[0], t2[0], t3[0]), _to_result(t0[1], t1[1], t2[1], t3[1])
    added = load(bias, o, lanes)
    return add(above[0], added), add(above[1], added), add(below[0], added), add(below[1], added)


@inlined
def _store_result(
    M: Any, place: Any, apart: Any, bias: Any, o: Any, y: Any, target: Any, steps: Any, inside: Any, lanes: Any
) -> None:
    """Store the pixels of a square that are in the image: all, or without the second row or column."""
    y00, y01, y10, y11 = _square_of_result(M, place, apart, bias, o, lanes)
    row, pixel = steps
    store(y, target, y00, lanes)
    if inside[1]:
        store(y, target + pixel, y01, lanes)
    if inside[0]:
        store(y, target + row, y10, lanes)
        if inside[1]:
            store(y, target + row + pixel, y11, lanes)


@cache
def _winograd(P: int, Q: int, whole: bool) -> Callable[..., None]:
    """The convolution with tiles of P squares and Q vectors of output channels, all of them full or not."""
    columns = Q * LANES
    four, two = INTEGERS[4], INTEGERS[2]

    @compiled(numba.void(IMAGES, READ, READ, FLAT, four, two, INTEGER, two, INTEGER, INTEGER, INTEGER))
    def convolution(
        x: Any,
        u: Any,
        bias: Any,
        y: Any,
        steps: Any,
        out: Any,
        o: Any,
        pads: Any,
        reach: Any,
        start: Any,
        stop: Any,
    ) -> None:
        """Rows of squares from ``start`` to ``stop``, those of all images counted together."""
        C = x.shape[3]
        (first, image, row, pixel), (oh, ow) = steps, out
        down, across = (oh + 1) // 2, (ow + 1) // 2
        lines = max(1, reach // across)
        room = max(P, min(lines, stop - start) * across)
        band = np.empty((2 * min(lines, down) + 2) * (2 * across + 2) * C, np.float32)
        apart_in, apart_out = room * C + SHIFT, room * o + SHIFT
        V, M = aligned(PLACES * apart_in), aligned(PLACES * apart_out)
        nothing = np.zeros(columns, np.float32)
        moves, vectors = (0, C, o, 0, 0, 1, 0, 0, columns), o - o % LANES
        for begin in range(start, stop, lines):
            end = min(begin + lines, stop)
            count = (end - begin) * across
            _squares_of_images(x, band, V, pads, (down, across), apart_in, begin, end)
            for o0 in range(0, o, columns):
                lanes = None if whole else o - o0
                for place in range(PLACES):
                    weights = (o0 // columns * PLACES + place) * C * columns
                    for t0 in range(0, count, P):
                        t = max(0, min(t0, count - P))
                        a, m = place * apart_in + t * C, place * apart_out + t * o + o0
                        multiply_tile(P, Q, lanes, nothing, 0, V, a, u, weights, (1, 1, C), moves, M, m)
            for at in range(begin, end):
                n, r = at // down, at % down
                for q in range(across):
                    t = ((at - begin) * across + q) * o
                    target, inside = first + n * image + 2 * r * row + 2 * q * pixel, (2 * r + 1 < oh, 2 * q + 1 < ow)
                    for c in range(0, vectors, LANES):
                        _store_result(M, t + c, apart_out, bias, c, y, target + c, (row, pixel), inside, all_lanes())
                    if vectors < o:
                        c, some = vectors, first_lanes(o - vectors)
                        _store_result(M, t + c, apart_out, bias, c, y, target + c, (row, pixel), inside, some)

    return convolution


@inlined
def _square_of_gradient(
    gy: Any, a: Any, row: Any, o: Any, inside: Any, Z: Any, place: Any, apart: Any, lanes: Any
) -> None:
    """Transform the 2 x 2 gradients of a square, in a vector of channels, with zeros outside the image."""
    zero = spread(np.float32(0))
    g00, g01, g10, g11 = load(gy, a, lanes), zero, zero, zero
    if inside[1]:
        g01 = load(gy, a + o, lanes)
    if inside[0]:
        g10 = load(gy, a + row, lanes)
        if inside[1]:
            g11 = load(gy, a + row + o, lanes)
    t0, t1 = _of_result(g00, g10), _of_result(g01, g11)
    for i in range(4):
        _store_row(Z, place + 4 * i * apart, apart, _of_result(t0[i], t1[i]), lanes)


@compiled(numba.void(IMAGES, FLAT, INTEGERS[2], INTEGER, INTEGER, INTEGER))
def _squares_of_gradients(gy: Any, Z: Any, squares: Any, apart: Any, start: Any, stop: Any) -> None:
    """Transform rows of squares of gradients into 16 matrices of O columns."""
    _, oh, ow, o = gy.shape
    down, across = squares
    whole, gradients = o - o % LANES, gy.reshape(-1)
    for at in range(start, stop):
        n, r = at // down, at % down
        for q in range(across):
            a, place = ((n * oh + 2 * r) * ow + 2 * q) * o, ((at - start) * across + q) * o
            inside = (2 * r + 1 < oh, 2 * q + 1 < ow)
            for c in range(0, whole, LANES):
                _square_of_gradient(gradients, a + c, ow * o, o, inside, Z, place + c, apart, all_lanes())
            if whole < o:
                c, rest = whole, first_lanes(o - whole)
                _square_of_gradient(gradients, a + c, ow * o, o, inside, Z, place + c, apart, rest)


@cache
def _winograd_gradient(P: int, Q: int, whole: bool) -> Callable[..., None]:
    """The gradient of weights with tiles of P input channels and Q vectors of output channels, all full or not."""
    columns = Q * LANES

    @compiled(numba.void(IMAGES, IMAGES, FLAT, INTEGERS[2], INTEGER, INTEGER, INTEGER))
    def gradient(x: Any, gy: Any, total: Any, pads: Any, reach: Any, start: Any, stop: Any) -> None:
        """The sum over rows of squares from ``start`` to ``stop``, added to ``total``: 16 matrices (C, O)."""
        C, (_, oh, ow, o) = x.shape[3], gy.shape
        down, across = (oh + 1) // 2, (ow + 1) // 2
        lines = max(1, reach // across)
        room = min(lines, stop - start) * across
        band = np.empty((2 * min(lines, down) + 2) * (2 * across + 2) * C, np.float32)
        apart_in, apart_out = room * C + SHIFT, room * o + SHIFT
        V, Z = aligned(PLACES * apart_in), aligned(PLACES * apart_out)
        moves, tiled = (o, 1, o, 0, 0, C, 0, 0, o), C - C % P
        for begin in range(start, stop, lines):
            end = min(begin + lines, stop)
            counts = (1, 1, (end - begin) * across)
            _squares_of_images(x, band, V, pads, (down, across), apart_in, begin, end)
            _squares_of_gradients(gy, Z, (down, across), apart_out, begin, end)
            for place in range(PLACES):
                a, b = place * apart_in, place * apart_out
                for o0 in range(0, o, columns):
                    lanes = None if whole else o - o0
                    for c in range(0, tiled, P):
                        z = (place * C + c) * o + o0
                        multiply_tile(P, Q, lanes, total, z, V, a + c, Z, b + o0, counts, moves, total, z)
                    for c in range(tiled, C):
                        z = (place * C + c) * o + o0
                        multiply_tile(1, Q, lanes, total, z, V, a + c, Z, b + o0, counts, moves, total, z)

    return gradient
