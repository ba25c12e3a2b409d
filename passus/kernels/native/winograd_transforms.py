"""The transforms of Winograd's algorithm, along one axis and of whole squares; see `winograd.py`.

They are values of polynomials at six points. The usual points, 0, 1, -1, 2, -2 and infinity, lose a digit; with those chosen here
the error is twice that of the sum over the kernel. Their powers are exact in float32.

Source: Barabasz et al., 2020, "Error analysis and improving the accuracy of Winograd convolution for deep neural networks".
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from passus.kernels.native.bands import IMAGES, INTEGERS, copy_band
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, shared
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.simd import LANES, all_lanes, fma, load, splat, store

__all__ = [
    "POSITIONS",
    "SIDE",
    "store_square",
    "transform_gradients",
    "transform_images",
    "transform_kernels",
    "transform_kernels_back",
]

SIDE = 4
"""Pixels of the result in a square, along each axis."""

POSITIONS = (SIDE + 2) ** 2
"""Positions in a square of the image."""

A, B = 5 / 8, 3 / 2
"""The points are 0, A, -A, B, -B and infinity."""

A2, B2 = A * A, B * B

C_0, C_A, C_B = 1 / (A2 * B2), 1 / (2 * A2 * (A2 - B2)), 1 / (2 * B2 * (B2 - A2))
"""Factors of the values of the kernel at the points: one over the product of the distances to the other points."""


@shared
def _scaled(number: Any, x: Any) -> Any:
    return splat(np.float32(number)) * x


@shared
def _multiply_add(x: Any, number: Any, z: Any) -> Any:
    """``x + number * z``."""
    return fma(splat(np.float32(number)), z, x)


@shared
def _of_image(d: Any) -> Any:
    """Bt, along one axis."""
    even_a, odd_a = _multiply_add(d[4], -B2, d[2]), _multiply_add(d[3], -B2, d[1])
    even_b, odd_b = _multiply_add(d[4], -A2, d[2]), _multiply_add(d[3], -A2, d[1])
    first, last = (
        _multiply_add(even_b, -B2, _multiply_add(d[2], -A2, d[0])),
        _multiply_add(_multiply_add(d[5], -A2, d[3]), -B2, odd_b),
    )
    return (
        first,
        _multiply_add(even_a, A, odd_a),
        _multiply_add(even_a, -A, odd_a),
        _multiply_add(even_b, B, odd_b),
        _multiply_add(even_b, -B, odd_b),
        last,
    )


@shared
def _to_result(m: Any) -> Any:
    """At, along one axis."""
    even_a, odd_a, even_b, odd_b = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    second, third = _multiply_add(_scaled(A, odd_a), B, odd_b), _multiply_add(_scaled(A2, even_a), B2, even_b)
    return m[0] + (even_a + even_b), second, third, _multiply_add(_multiply_add(m[5], A * A2, odd_a), B * B2, odd_b)


@shared
def _of_result(g: Any) -> Any:
    """A, along one axis."""
    even_a, odd_a = _multiply_add(g[0], A2, g[2]), _multiply_add(g[1], A2, g[3])
    even_b, odd_b = _multiply_add(g[0], B2, g[2]), _multiply_add(g[1], B2, g[3])
    return (
        g[0],
        _multiply_add(even_a, A, odd_a),
        _multiply_add(even_a, -A, odd_a),
        _multiply_add(even_b, B, odd_b),
        _multiply_add(even_b, -B, odd_b),
        g[3],
    )


@shared
def _of_kernel(g: Any) -> Any:
    """G, along one axis."""
    even_a, even_b = _scaled(C_A, _multiply_add(g[0], A2, g[2])), _scaled(C_B, _multiply_add(g[0], B2, g[2]))
    c_a, c_b = A * C_A, B * C_B
    ends = (
        _multiply_add(even_a, c_a, g[1]),
        _multiply_add(even_a, -c_a, g[1]),
        _multiply_add(even_b, c_b, g[1]),
        _multiply_add(even_b, -c_b, g[1]),
    )
    return _scaled(C_0, g[0]), ends[0], ends[1], ends[2], ends[3], g[2]


@shared
def _to_kernel(u: Any) -> Any:
    """Gt, along one axis."""
    even_a, odd_a = _scaled(C_A, u[1] + u[2]), _scaled(A * C_A, u[1] - u[2])
    even_b, odd_b = _scaled(C_B, u[3] + u[4]), _scaled(B * C_B, u[3] - u[4])
    return (
        _multiply_add(even_a + even_b, C_0, u[0]),
        odd_a + odd_b,
        _multiply_add(_multiply_add(u[5], A2, even_a), B2, even_b),
    )


@shared
def _load3(x: Any, a: Any, step: Any, lanes: Any) -> Any:
    return load(x, a, lanes), load(x, a + step, lanes), load(x, a + 2 * step, lanes)


@shared
def _load6(x: Any, a: Any, step: Any, lanes: Any) -> Any:
    u, v = _load3(x, a, step, lanes), _load3(x, a + 3 * step, step, lanes)
    return u[0], u[1], u[2], v[0], v[1], v[2]


@shared
def _store_row(V: Any, to: Any, apart: Any, v: Any, lanes: Any) -> None:
    """Store six positions of a square, each into its own matrix."""
    store(V, to, v[0], lanes)
    store(V, to + apart, v[1], lanes)
    store(V, to + 2 * apart, v[2], lanes)
    store(V, to + 3 * apart, v[3], lanes)
    store(V, to + 4 * apart, v[4], lanes)
    store(V, to + 5 * apart, v[5], lanes)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def transform_kernels(w: Any, u: Any, numbers: Any, start: Any, stop: Any) -> None:
    """Transform tiles of packed weights, whose 9 positions are ``numbers`` apart, to 36 positions."""
    lanes, row = all_lanes(), 6 * numbers
    for tile in range(start, stop):
        for k in range(0, numbers, LANES):
            a, to = tile * 9 * numbers + k, tile * POSITIONS * numbers + k
            t0 = _of_kernel(_load3(w, a, 3 * numbers, lanes))
            t1 = _of_kernel(_load3(w, a + numbers, 3 * numbers, lanes))
            t2 = _of_kernel(_load3(w, a + 2 * numbers, 3 * numbers, lanes))
            for i in range(6):
                _store_row(u, to + i * row, numbers, _of_kernel((t0[i], t1[i], t2[i])), lanes)


@shared
def _gradient_of_kernel(arguments: Any, i: Any, lanes: Any) -> None:
    """Transform 36 positions back to 9, for one vector of pairs of channels."""
    u, gW, numbers, start = arguments
    a, row = start + i, 6 * numbers
    t0, t1 = _to_kernel(_load6(u, a, row, lanes)), _to_kernel(_load6(u, a + numbers, row, lanes))
    t2, t3 = _to_kernel(_load6(u, a + 2 * numbers, row, lanes)), _to_kernel(_load6(u, a + 3 * numbers, row, lanes))
    t4, t5 = _to_kernel(_load6(u, a + 4 * numbers, row, lanes)), _to_kernel(_load6(u, a + 5 * numbers, row, lanes))
    for j in range(3):
        g = _to_kernel((t0[j], t1[j], t2[j], t3[j], t4[j], t5[j]))
        store(gW, a + 3 * j * numbers, g[0], lanes)
        store(gW, a + (3 * j + 1) * numbers, g[1], lanes)
        store(gW, a + (3 * j + 2) * numbers, g[2], lanes)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def transform_kernels_back(u: Any, gW: Any, numbers: Any, start: Any, stop: Any) -> None:
    """The gradient for the kernels, 9 positions, from that for the transformed ones, 36; positions are ``numbers`` apart."""
    for_vectors(_gradient_of_kernel, (u, gW, numbers, start), stop - start)


@shared
def _square_of_image(arguments: Any, c: Any, lanes: Any) -> None:
    """Transform one square, in a vector of channels."""
    x, first, line, C, V, target, apart = arguments
    a, to = first + c, target + c
    t0, t1 = _of_image(_load6(x, a, line, lanes)), _of_image(_load6(x, a + C, line, lanes))
    t2, t3 = _of_image(_load6(x, a + 2 * C, line, lanes)), _of_image(_load6(x, a + 3 * C, line, lanes))
    t4, t5 = _of_image(_load6(x, a + 4 * C, line, lanes)), _of_image(_load6(x, a + 5 * C, line, lanes))
    row = 6 * apart
    _store_row(V, to, apart, _of_image((t0[0], t1[0], t2[0], t3[0], t4[0], t5[0])), lanes)
    _store_row(V, to + row, apart, _of_image((t0[1], t1[1], t2[1], t3[1], t4[1], t5[1])), lanes)
    _store_row(V, to + 2 * row, apart, _of_image((t0[2], t1[2], t2[2], t3[2], t4[2], t5[2])), lanes)
    _store_row(V, to + 3 * row, apart, _of_image((t0[3], t1[3], t2[3], t3[3], t4[3], t5[3])), lanes)
    _store_row(V, to + 4 * row, apart, _of_image((t0[4], t1[4], t2[4], t3[4], t4[4], t5[4])), lanes)
    _store_row(V, to + 5 * row, apart, _of_image((t0[5], t1[5], t2[5], t3[5], t4[5], t5[5])), lanes)


@compiled(numba.void(IMAGES, FLAT, FLAT, INTEGERS[2], INTEGERS[2], INTEGER, INTEGER, INTEGER), allocates=False)
def transform_images(x: Any, band: Any, V: Any, pads: Any, squares: Any, apart: Any, start: Any, stop: Any) -> None:
    """Transform rows of squares, those of all images counted together, into 36 matrices of C columns.

    ``squares``: number of rows and columns of squares in an image. ``apart``: the distance of two matrices.
    """
    C, (top, left), (rows_of_squares, columns) = x.shape[3], pads, squares
    width, at = SIDE * columns + 2, start
    while at < stop:
        n, r0 = at // rows_of_squares, at % rows_of_squares
        rows = min(rows_of_squares - r0, stop - at)
        copy_band(band, x, n, SIDE * r0 - top, SIDE * rows + 2, left, width)
        for r in range(rows):
            for q in range(columns):
                a, to = (r * width + q) * SIDE * C, ((at - start + r) * columns + q) * C
                for_vectors(_square_of_image, (band, a, width * C, C, V, to, apart), C)
        at += rows


@shared
def _store_pixels(m: Any, bias: Any, y: Any, target: Any, pixel: Any, valid: Any, lanes: Any) -> None:
    """Store the first ``valid`` pixels of one row of a square of the result."""
    pixels = _to_result(m)
    store(y, target, pixels[0] + bias, lanes)
    if valid > 1:
        store(y, target + pixel, pixels[1] + bias, lanes)
    if valid > 2:
        store(y, target + 2 * pixel, pixels[2] + bias, lanes)
    if valid > 3:
        store(y, target + 3 * pixel, pixels[3] + bias, lanes)


@shared
def store_square(
    M: Any, a: Any, apart: Any, biases: Any, o: Any, y: Any, target: Any, steps: Any, valid: Any, lanes: Any
) -> None:
    """Transform one square of 36 matrices back, in a vector of channels, and store its pixels inside the image."""
    line, every = 6 * apart, all_lanes()  # Rows of the matrices are whole vectors, those of the result may end before.
    t0, t1 = _to_result(_load6(M, a, line, every)), _to_result(_load6(M, a + apart, line, every))
    t2, t3 = _to_result(_load6(M, a + 2 * apart, line, every)), _to_result(_load6(M, a + 3 * apart, line, every))
    t4, t5 = _to_result(_load6(M, a + 4 * apart, line, every)), _to_result(_load6(M, a + 5 * apart, line, every))
    (row, pixel), (rows, columns), bias = steps, valid, load(biases, o, every)
    _store_pixels((t0[0], t1[0], t2[0], t3[0], t4[0], t5[0]), bias, y, target, pixel, columns, lanes)
    if rows > 1:
        _store_pixels((t0[1], t1[1], t2[1], t3[1], t4[1], t5[1]), bias, y, target + row, pixel, columns, lanes)
    if rows > 2:
        _store_pixels((t0[2], t1[2], t2[2], t3[2], t4[2], t5[2]), bias, y, target + 2 * row, pixel, columns, lanes)
    if rows > 3:
        _store_pixels((t0[3], t1[3], t2[3], t3[3], t4[3], t5[3]), bias, y, target + 3 * row, pixel, columns, lanes)


@shared
def _row_of_gradients(gy: Any, a: Any, step: Any, valid: Any, lanes: Any) -> Any:
    """Four neighbouring gradients, with zeros for all but the first ``valid``."""
    zero = splat(np.float32(0))
    g0, g1, g2, g3 = zero, zero, zero, zero
    if valid > 0:
        g0 = load(gy, a, lanes)
    if valid > 1:
        g1 = load(gy, a + step, lanes)
    if valid > 2:
        g2 = load(gy, a + 2 * step, lanes)
    if valid > 3:
        g3 = load(gy, a + 3 * step, lanes)
    return _of_result((g0, g1, g2, g3))


@shared
def _square_of_gradient(arguments: Any, c: Any, lanes: Any) -> None:
    """Transform the 4 x 4 gradients of a square, in a vector of channels, with zeros outside the image."""
    gy, first, row, o, valid, Z, target, apart = arguments
    a, to, (rows, columns) = first + c, target + c, valid
    t0 = _row_of_gradients(gy, a, o, columns, lanes)
    t1 = _row_of_gradients(gy, a + row, o, columns if rows > 1 else 0, lanes)
    t2 = _row_of_gradients(gy, a + 2 * row, o, columns if rows > 2 else 0, lanes)
    t3 = _row_of_gradients(gy, a + 3 * row, o, columns if rows > 3 else 0, lanes)
    line = 6 * apart
    c0, c1 = _of_result((t0[0], t1[0], t2[0], t3[0])), _of_result((t0[1], t1[1], t2[1], t3[1]))
    c2, c3 = _of_result((t0[2], t1[2], t2[2], t3[2])), _of_result((t0[3], t1[3], t2[3], t3[3]))
    c4, c5 = _of_result((t0[4], t1[4], t2[4], t3[4])), _of_result((t0[5], t1[5], t2[5], t3[5]))
    _store_row(Z, to, line, c0, lanes)
    _store_row(Z, to + apart, line, c1, lanes)
    _store_row(Z, to + 2 * apart, line, c2, lanes)
    _store_row(Z, to + 3 * apart, line, c3, lanes)
    _store_row(Z, to + 4 * apart, line, c4, lanes)
    _store_row(Z, to + 5 * apart, line, c5, lanes)


@compiled(numba.void(IMAGES, FLAT, INTEGERS[2], INTEGER, INTEGER, INTEGER), allocates=False)
def transform_gradients(gy: Any, Z: Any, squares: Any, apart: Any, start: Any, stop: Any) -> None:
    """Transform rows of squares of gradients into 36 matrices of O columns; otherwise as `transform_images`."""
    _, oh, ow, o = gy.shape
    (rows_of_squares, columns), gradients = squares, gy.reshape(-1)
    for at in range(start, stop):
        n, r = at // rows_of_squares, SIDE * (at % rows_of_squares)
        for q in range(columns):
            a, to = ((n * oh + r) * ow + SIDE * q) * o, ((at - start) * columns + q) * o
            valid = (oh - r, ow - SIDE * q)
            for_vectors(_square_of_gradient, (gradients, a, ow * o, o, valid, Z, to, apart), o)
