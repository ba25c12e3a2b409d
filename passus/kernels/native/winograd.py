"""Convolution with kernels of 3 x 3 and stride 1 in a quarter of the multiplications, in float32.

Winograd's F(4 x 4, 3 x 3): squares of 6 x 6 pixels of the image, four apart, and the kernels are transformed; then 36 products
of matrices, one for each place in a square, take the place of the sum over the kernel; and what comes out is transformed back to
squares of 4 x 4 pixels. With the matrices below, ``Y = At [(G g Gt) * (Bt d B)] A``, so the gradient for the kernel is
``Gt [(A gY At) * (Bt d B)] G``. A number that is not finite reaches its whole square.

The transforms are values of polynomials at six points. The usual ones, 0, 1, -1, 2, -2 and infinity, lose a digit; with those
chosen here the error is twice that of the sum over the kernel. Their powers are exact in float32.

Sources: Lavin and Gray, 2016, "Fast algorithms for convolutional neural networks"; Barabasz et al., 2020, "Error analysis and
improving the accuracy of Winograd convolution for deep neural networks", on the choice of points.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Sizes
from passus.kernels.native.bands import IMAGES, INTEGERS, PIXELS_IN_A_ROW, Window, as_memory, copy_band
from passus.kernels.native.buffers import aligned, aligned_zeros
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.processor import rows_of_even_tiles, rows_of_tile
from passus.kernels.native.simd import LANES, add, all_lanes, first_lanes, fma, load, multiply, splat, store, subtract
from passus.kernels.native.tile import in_larger_tiles, multiply_tile
from passus.kernels.threads import split, summed

__all__ = ["PLACES", "prepare", "suits", "winograd", "winograd_gradient"]

SIDE = 4
"""How many pixels of the result a square gives, along each axis."""

PLACES = (SIDE + 2) ** 2
"""How many places a square of the image has."""

A, B = 5 / 8, 3 / 2
"""The points are 0, A, -A, B, -B and infinity."""

A2, B2 = A * A, B * B

OF_0, OF_A, OF_B = 1 / (A2 * B2), 1 / (2 * A2 * (A2 - B2)), 1 / (2 * B2 * (B2 - A2))
"""What values of the kernel at the points are multiplied by: one over the product of the distances to the other points."""

BUFFER = 1 << 19
"""How many numbers of transformed squares, of images and results together, are at work at a time: 2 MiB."""

FEWEST = 8
"""How many squares there must be."""

KERNELS = 1 << 14
"""How many pairs of channels are worth a thread of their own when their kernels are transformed."""

THRESHOLDS = 1 << 20
"""How many multiplications are worth a thread of their own."""

SHIFT = LANES
"""How many numbers lie between two matrices, so that one row of all of them does not compete for the same lines of the cache."""


def suits(size: Sizes, window: Window, channels: tuple[int, int], groups: int, out: Sizes) -> bool:
    """Whether this is such a convolution, with channels and pixels enough to make up for the transforms.

    ``channels``: of input and output; ``out``: how many images, rows and columns the output has. Squares should not stick out
    of them too far, and be enough to make up for the transform of the kernels.
    """
    plain = size == (3, 3) and window[:4] == (1, 1, 1, 1) and groups == 1
    (c, o), (n, oh, ow) = channels, out
    squares = _squares(oh) * _squares(ow)
    return plain and c >= LANES // 2 and o >= LANES and PLACES * squares <= 6 * oh * ow and n * squares >= FEWEST


def _squares(pixels: int) -> int:
    return -(-pixels // SIDE)


def prepare() -> None:
    """Compile the tiles of all sizes."""
    for vectors in (1, 2):
        for rows in sorted({rows_of_tile(count, vectors) for count in range(1, 65)}):
            _winograd(rows, vectors)
        for rows in sorted({rows_of_even_tiles(count, vectors) for count in range(1, 65)}):
            for whole in (True, False):
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
    reach, vectors = _reach(x.shape[3], columns), columns // LANES
    kernel = _winograd(rows_of_tile(reach, vectors), vectors)
    arguments = (x, u, bias, *as_memory(y), (oh, ow), o, (window.top, window.left), reach)

    def work(start: int, stop: int) -> None:
        kernel(*arguments, start, stop)

    split(work, n * _squares(oh), THRESHOLDS // (1 + PLACES * _squares(ow) * x.shape[3] * o))


def winograd_gradient(x: Array, gy: Array, columns: int, window: Window) -> Array:
    """The gradient (9, C * O) for the weights, from x (N, H, W, C) and gy (N, OH, OW, O)."""
    n, oh, ow, o = gy.shape
    c = x.shape[3]
    reach, vectors = _reach(c, o), columns // LANES
    kernel = _winograd_gradient(rows_of_even_tiles(c, vectors), vectors, o % columns == 0)

    def add_to(total: Array, start: int, stop: int) -> None:
        kernel(x, gy, total, (window.top, window.left), reach, start, stop)

    total = summed(
        add_to,
        lambda: aligned_zeros(PLACES * c * o),
        n * _squares(oh),
        THRESHOLDS // (1 + PLACES * _squares(ow) * c * o),
        max(1, PIXELS_IN_A_ROW // _squares(ow)),
    )
    gW = np.empty((9, c * o), np.float32)
    split(lambda start, stop: _kernel_gradients(total, gW.reshape(-1), c * o, start, stop), c * o, KERNELS)
    return gW


@inlined
def _times(number: Any, x: Any) -> Any:
    return multiply(splat(np.float32(number)), x)


@inlined
def _plus(x: Any, number: Any, z: Any) -> Any:
    """``x + number * z``."""
    return fma(splat(np.float32(number)), z, x)


@inlined
def _of_image(d: Any) -> Any:
    """Bt, along one axis."""
    even_a, odd_a = _plus(d[4], -B2, d[2]), _plus(d[3], -B2, d[1])
    even_b, odd_b = _plus(d[4], -A2, d[2]), _plus(d[3], -A2, d[1])
    first, last = _plus(even_b, -B2, _plus(d[2], -A2, d[0])), _plus(_plus(d[5], -A2, d[3]), -B2, odd_b)
    return (
        first,
        _plus(even_a, A, odd_a),
        _plus(even_a, -A, odd_a),
        _plus(even_b, B, odd_b),
        _plus(even_b, -B, odd_b),
        last,
    )


@inlined
def _to_result(m: Any) -> Any:
    """At, along one axis."""
    even_a, odd_a, even_b, odd_b = add(m[1], m[2]), subtract(m[1], m[2]), add(m[3], m[4]), subtract(m[3], m[4])
    second, third = _plus(_times(A, odd_a), B, odd_b), _plus(_times(A2, even_a), B2, even_b)
    return add(m[0], add(even_a, even_b)), second, third, _plus(_plus(m[5], A * A2, odd_a), B * B2, odd_b)


@inlined
def _of_result(g: Any) -> Any:
    """A, along one axis."""
    even_a, odd_a = _plus(g[0], A2, g[2]), _plus(g[1], A2, g[3])
    even_b, odd_b = _plus(g[0], B2, g[2]), _plus(g[1], B2, g[3])
    return (
        g[0],
        _plus(even_a, A, odd_a),
        _plus(even_a, -A, odd_a),
        _plus(even_b, B, odd_b),
        _plus(even_b, -B, odd_b),
        g[3],
    )


@inlined
def _of_kernel(g: Any) -> Any:
    """G, along one axis."""
    even_a, even_b = _times(OF_A, _plus(g[0], A2, g[2])), _times(OF_B, _plus(g[0], B2, g[2]))
    of_a, of_b = A * OF_A, B * OF_B
    ends = (
        _plus(even_a, of_a, g[1]),
        _plus(even_a, -of_a, g[1]),
        _plus(even_b, of_b, g[1]),
        _plus(even_b, -of_b, g[1]),
    )
    return _times(OF_0, g[0]), ends[0], ends[1], ends[2], ends[3], g[2]


@inlined
def _to_kernel(u: Any) -> Any:
    """Gt, along one axis."""
    even_a, odd_a = _times(OF_A, add(u[1], u[2])), _times(A * OF_A, subtract(u[1], u[2]))
    even_b, odd_b = _times(OF_B, add(u[3], u[4])), _times(B * OF_B, subtract(u[3], u[4]))
    return _plus(add(even_a, even_b), OF_0, u[0]), add(odd_a, odd_b), _plus(_plus(u[5], A2, even_a), B2, even_b)


@inlined
def _three(x: Any, a: Any, step: Any, lanes: Any) -> Any:
    return load(x, a, lanes), load(x, a + step, lanes), load(x, a + 2 * step, lanes)


@inlined
def _six(x: Any, a: Any, step: Any, lanes: Any) -> Any:
    u, v = _three(x, a, step, lanes), _three(x, a + 3 * step, step, lanes)
    return u[0], u[1], u[2], v[0], v[1], v[2]


@inlined
def _store_row(V: Any, place: Any, apart: Any, v: Any, lanes: Any) -> None:
    """Six places of a square, each in a matrix of its own."""
    store(V, place, v[0], lanes)
    store(V, place + apart, v[1], lanes)
    store(V, place + 2 * apart, v[2], lanes)
    store(V, place + 3 * apart, v[3], lanes)
    store(V, place + 4 * apart, v[4], lanes)
    store(V, place + 5 * apart, v[5], lanes)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER))
def _kernels(w: Any, u: Any, numbers: Any, start: Any, stop: Any) -> None:
    """Transform tiles of packed weights, whose 9 places lie ``numbers`` apart, to 36 places."""
    lanes, row = all_lanes(), 6 * numbers
    for tile in range(start, stop):
        for k in range(0, numbers, LANES):
            a, place = tile * 9 * numbers + k, tile * PLACES * numbers + k
            t0 = _of_kernel(_three(w, a, 3 * numbers, lanes))
            t1 = _of_kernel(_three(w, a + numbers, 3 * numbers, lanes))
            t2 = _of_kernel(_three(w, a + 2 * numbers, 3 * numbers, lanes))
            for i in range(6):
                _store_row(u, place + i * row, numbers, _of_kernel((t0[i], t1[i], t2[i])), lanes)


@inlined
def _gradient_of_kernel(u: Any, a: Any, gW: Any, place: Any, numbers: Any, lanes: Any) -> None:
    """Transform 36 places back to 9, for one vector of pairs of channels."""
    row = 6 * numbers
    t0, t1 = _to_kernel(_six(u, a, row, lanes)), _to_kernel(_six(u, a + numbers, row, lanes))
    t2, t3 = _to_kernel(_six(u, a + 2 * numbers, row, lanes)), _to_kernel(_six(u, a + 3 * numbers, row, lanes))
    t4, t5 = _to_kernel(_six(u, a + 4 * numbers, row, lanes)), _to_kernel(_six(u, a + 5 * numbers, row, lanes))
    for i in range(3):
        g = _to_kernel((t0[i], t1[i], t2[i], t3[i], t4[i], t5[i]))
        store(gW, place + 3 * i * numbers, g[0], lanes)
        store(gW, place + (3 * i + 1) * numbers, g[1], lanes)
        store(gW, place + (3 * i + 2) * numbers, g[2], lanes)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER))
def _kernel_gradients(u: Any, gW: Any, numbers: Any, start: Any, stop: Any) -> None:
    """The gradient for the kernels, 9 places, from that for the transformed ones, 36; ``numbers`` lie between places."""
    whole = stop - (stop - start) % LANES
    for k in range(start, whole, LANES):
        _gradient_of_kernel(u, k, gW, k, numbers, all_lanes())
    if whole < stop:
        _gradient_of_kernel(u, whole, gW, whole, numbers, first_lanes(stop - whole))


@inlined
def _square_of_image(x: Any, a: Any, line: Any, C: Any, V: Any, place: Any, apart: Any, lanes: Any) -> None:
    """Transform one square, in a vector of channels."""
    t0, t1 = _of_image(_six(x, a, line, lanes)), _of_image(_six(x, a + C, line, lanes))
    t2, t3 = _of_image(_six(x, a + 2 * C, line, lanes)), _of_image(_six(x, a + 3 * C, line, lanes))
    t4, t5 = _of_image(_six(x, a + 4 * C, line, lanes)), _of_image(_six(x, a + 5 * C, line, lanes))
    row = 6 * apart
    _store_row(V, place, apart, _of_image((t0[0], t1[0], t2[0], t3[0], t4[0], t5[0])), lanes)
    _store_row(V, place + row, apart, _of_image((t0[1], t1[1], t2[1], t3[1], t4[1], t5[1])), lanes)
    _store_row(V, place + 2 * row, apart, _of_image((t0[2], t1[2], t2[2], t3[2], t4[2], t5[2])), lanes)
    _store_row(V, place + 3 * row, apart, _of_image((t0[3], t1[3], t2[3], t3[3], t4[3], t5[3])), lanes)
    _store_row(V, place + 4 * row, apart, _of_image((t0[4], t1[4], t2[4], t3[4], t4[4], t5[4])), lanes)
    _store_row(V, place + 5 * row, apart, _of_image((t0[5], t1[5], t2[5], t3[5], t4[5], t5[5])), lanes)


@compiled(numba.void(IMAGES, FLAT, FLAT, INTEGERS[2], INTEGERS[2], INTEGER, INTEGER, INTEGER))
def _squares_of_images(x: Any, band: Any, V: Any, pads: Any, squares: Any, apart: Any, start: Any, stop: Any) -> None:
    """Transform rows of squares, those of all images counted together, into 36 matrices of C columns."""
    C = x.shape[3]
    (top, left), (down, across) = pads, squares
    width, whole, at = SIDE * across + 2, C - C % LANES, start
    while at < stop:
        n, r0 = at // down, at % down
        rows = min(down - r0, stop - at)
        copy_band(band, x, n, SIDE * r0 - top, SIDE * rows + 2, left, width)
        for r in range(rows):
            for q in range(across):
                a, place = (r * width + q) * SIDE * C, ((at - start + r) * across + q) * C
                for c in range(0, whole, LANES):
                    _square_of_image(band, a + c, width * C, C, V, place + c, apart, all_lanes())
                if whole < C:
                    rest = first_lanes(C - whole)
                    _square_of_image(band, a + whole, width * C, C, V, place + whole, apart, rest)
        at += rows


@inlined
def _store_pixels(m: Any, added: Any, y: Any, target: Any, pixel: Any, inside: Any, lanes: Any) -> None:
    """One row of a square of the result: its first ``inside`` pixels."""
    pixels = _to_result(m)
    store(y, target, add(pixels[0], added), lanes)
    if inside > 1:
        store(y, target + pixel, add(pixels[1], added), lanes)
    if inside > 2:
        store(y, target + 2 * pixel, add(pixels[2], added), lanes)
    if inside > 3:
        store(y, target + 3 * pixel, add(pixels[3], added), lanes)


@inlined
def _store_square(
    M: Any, place: Any, apart: Any, bias: Any, o: Any, y: Any, target: Any, steps: Any, inside: Any, lanes: Any
) -> None:
    """Transform one square of 36 matrices back, in a vector of channels, and store the pixels that are in the image."""
    line, every = 6 * apart, all_lanes()  # Rows of the matrices are whole vectors, those of the result may end before.
    t0, t1 = _to_result(_six(M, place, line, every)), _to_result(_six(M, place + apart, line, every))
    t2, t3 = _to_result(_six(M, place + 2 * apart, line, every)), _to_result(_six(M, place + 3 * apart, line, every))
    t4, t5 = _to_result(_six(M, place + 4 * apart, line, every)), _to_result(_six(M, place + 5 * apart, line, every))
    (row, pixel), (rows, columns), added = steps, inside, load(bias, o, every)
    _store_pixels((t0[0], t1[0], t2[0], t3[0], t4[0], t5[0]), added, y, target, pixel, columns, lanes)
    if rows > 1:
        _store_pixels((t0[1], t1[1], t2[1], t3[1], t4[1], t5[1]), added, y, target + row, pixel, columns, lanes)
    if rows > 2:
        _store_pixels((t0[2], t1[2], t2[2], t3[2], t4[2], t5[2]), added, y, target + 2 * row, pixel, columns, lanes)
    if rows > 3:
        _store_pixels((t0[3], t1[3], t2[3], t3[3], t4[3], t5[3]), added, y, target + 3 * row, pixel, columns, lanes)


@cache
def _winograd(P: int, Q: int) -> Callable[..., None]:
    """The convolution with tiles of P squares and Q vectors of output channels."""
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
        down, across = (oh + SIDE - 1) // SIDE, (ow + SIDE - 1) // SIDE
        lines = max(1, reach // across)
        room = max(P, min(lines, stop - start) * across)
        band = np.empty((SIDE * min(lines, down) + 2) * (SIDE * across + 2) * C, np.float32)
        apart_in, apart_out = room * C + SHIFT, room * columns + SHIFT
        V, M = aligned(PLACES * apart_in), aligned(PLACES * apart_out)
        nothing = np.zeros(columns, np.float32)
        moves = (0, C, columns, 0, 0, 1, 0, 0, columns)
        for begin in range(start, stop, lines):
            end = min(begin + lines, stop)
            count = (end - begin) * across
            _squares_of_images(x, band, V, pads, (down, across), apart_in, begin, end)
            for o0 in range(0, o, columns):
                for place in range(PLACES):
                    weights = (o0 // columns * PLACES + place) * C * columns
                    for t0 in range(0, count, P):
                        t = max(0, min(t0, count - P))
                        a, m = place * apart_in + t * C, place * apart_out + t * columns
                        multiply_tile(P, Q, None, nothing, 0, V, a, u, weights, (1, 1, C), moves, M, m)
                for at in range(begin, end):
                    n, r = at // down, SIDE * (at % down)
                    for q in range(across):
                        t = ((at - begin) * across + q) * columns
                        target = first + n * image + r * row + SIDE * q * pixel + o0
                        inside = (oh - r, ow - SIDE * q)
                        for c in range(0, min(columns, o - o0), LANES):
                            lanes = first_lanes(o - o0 - c)
                            _store_square(M, t + c, apart_out, bias, o0 + c, y, target + c, (row, pixel), inside, lanes)

    return convolution


@inlined
def _row_of_gradients(gy: Any, a: Any, step: Any, inside: Any, lanes: Any) -> Any:
    """Four neighbouring gradients, with zeros for all but the first ``inside``."""
    zero = splat(np.float32(0))
    g0, g1, g2, g3 = zero, zero, zero, zero
    if inside > 0:
        g0 = load(gy, a, lanes)
    if inside > 1:
        g1 = load(gy, a + step, lanes)
    if inside > 2:
        g2 = load(gy, a + 2 * step, lanes)
    if inside > 3:
        g3 = load(gy, a + 3 * step, lanes)
    return _of_result((g0, g1, g2, g3))


@inlined
def _square_of_gradient(
    gy: Any, a: Any, row: Any, o: Any, inside: Any, Z: Any, place: Any, apart: Any, lanes: Any
) -> None:
    """Transform the 4 x 4 gradients of a square, in a vector of channels, with zeros outside the image."""
    rows, columns = inside
    t0 = _row_of_gradients(gy, a, o, columns, lanes)
    t1 = _row_of_gradients(gy, a + row, o, columns if rows > 1 else 0, lanes)
    t2 = _row_of_gradients(gy, a + 2 * row, o, columns if rows > 2 else 0, lanes)
    t3 = _row_of_gradients(gy, a + 3 * row, o, columns if rows > 3 else 0, lanes)
    line = 6 * apart
    c0, c1 = _of_result((t0[0], t1[0], t2[0], t3[0])), _of_result((t0[1], t1[1], t2[1], t3[1]))
    c2, c3 = _of_result((t0[2], t1[2], t2[2], t3[2])), _of_result((t0[3], t1[3], t2[3], t3[3]))
    c4, c5 = _of_result((t0[4], t1[4], t2[4], t3[4])), _of_result((t0[5], t1[5], t2[5], t3[5]))
    _store_row(Z, place, line, c0, lanes)
    _store_row(Z, place + apart, line, c1, lanes)
    _store_row(Z, place + 2 * apart, line, c2, lanes)
    _store_row(Z, place + 3 * apart, line, c3, lanes)
    _store_row(Z, place + 4 * apart, line, c4, lanes)
    _store_row(Z, place + 5 * apart, line, c5, lanes)


@compiled(numba.void(IMAGES, FLAT, INTEGERS[2], INTEGER, INTEGER, INTEGER))
def _squares_of_gradients(gy: Any, Z: Any, squares: Any, apart: Any, start: Any, stop: Any) -> None:
    """Transform rows of squares of gradients into 36 matrices of O columns."""
    _, oh, ow, o = gy.shape
    down, across = squares
    whole, gradients = o - o % LANES, gy.reshape(-1)
    for at in range(start, stop):
        n, r = at // down, SIDE * (at % down)
        for q in range(across):
            a, place = ((n * oh + r) * ow + SIDE * q) * o, ((at - start) * across + q) * o
            inside = (oh - r, ow - SIDE * q)
            for c in range(0, whole, LANES):
                _square_of_gradient(gradients, a + c, ow * o, o, inside, Z, place + c, apart, all_lanes())
            if whole < o:
                c, rest = whole, first_lanes(o - whole)
                _square_of_gradient(gradients, a + c, ow * o, o, inside, Z, place + c, apart, rest)


@cache
def _winograd_gradient(P: int, Q: int, whole: bool) -> Callable[..., None]:
    """The gradient of weights with tiles of P input channels, or one less, and Q vectors of output channels, all full or not."""
    columns, less = Q * LANES, max(1, P - 1)

    @compiled(numba.void(IMAGES, IMAGES, FLAT, INTEGERS[2], INTEGER, INTEGER, INTEGER))
    def gradient(x: Any, gy: Any, total: Any, pads: Any, reach: Any, start: Any, stop: Any) -> None:
        """The sum over rows of squares from ``start`` to ``stop``, added to ``total``: 36 matrices (C, O)."""
        C, (_, oh, ow, o) = x.shape[3], gy.shape
        down, across = (oh + SIDE - 1) // SIDE, (ow + SIDE - 1) // SIDE
        lines = max(1, reach // across)
        room = min(lines, stop - start) * across
        band = np.empty((SIDE * min(lines, down) + 2) * (SIDE * across + 2) * C, np.float32)
        apart_in, apart_out = room * C + SHIFT, room * o + SHIFT
        V, Z = aligned(PLACES * apart_in), aligned(PLACES * apart_out)
        moves, larger = (o, 1, o, 0, 0, C, 0, 0, o), in_larger_tiles(C, P)
        for begin in range(start, stop, lines):
            end = min(begin + lines, stop)
            counts = (1, 1, (end - begin) * across)
            _squares_of_images(x, band, V, pads, (down, across), apart_in, begin, end)
            _squares_of_gradients(gy, Z, (down, across), apart_out, begin, end)
            for place in range(PLACES):
                a, b = place * apart_in, place * apart_out
                for o0 in range(0, o, columns):
                    lanes = None if whole else o - o0
                    for c in range(0, larger, P):
                        z = (place * C + c) * o + o0
                        multiply_tile(P, Q, lanes, total, z, V, a + c, Z, b + o0, counts, moves, total, z)
                    for c in range(larger, C, less):
                        z = (place * C + c) * o + o0
                        multiply_tile(less, Q, lanes, total, z, V, a + c, Z, b + o0, counts, moves, total, z)

    return gradient
