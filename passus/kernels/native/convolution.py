"""Direct convolution of images in two dimensions: float32, channels last.

Rows of an image are copied, with the border of zeros around them, into a small array that stays in the processor's cache.
There `multiply_tile` runs along the pixels of a row, with vectors of output channels. The gradient for the input is the
same computation with the weights flipped; the gradient for the weights is a sum over all pixels for each tile of weights.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.convolution import extents
from passus.kernels.layout import Padding, Sizes, channels_second, window_counts
from passus.kernels.native.bands import (
    IMAGES,
    INTEGERS,
    Bands,
    Window2d,
    as_memory,
    bands_of,
    images_in_float32,
    read_rows,
)
from passus.kernels.native.buffers import aligned
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.depthwise import (
    depthwise_gradient,
    depthwise_input_gradient,
    depthwise_plan,
    suits_sliding_gradient,
)
from passus.kernels.native.layouts import with_channels_last
from passus.kernels.native.limits import ENDING, Ending, Limits, Plan, end_rows, ending_of
from passus.kernels.native.narrow import (
    add_columns,
    joined_gradient,
    joined_kernel,
    kernel_of_columns,
    neighbours,
    suits_columns,
)
from passus.kernels.native.packing import columns_of_tile, packed_weights
from passus.kernels.native.pointers import At
from passus.kernels.native.tile import Steps, even_tiles_for, multiply_tiles, rows_in_larger_tiles, tiles_for
from passus.kernels.native.winograd import suits, winograd_gradient, winograd_plan
from passus.kernels.native.works import New, Work, new_array, run
from passus.kernels.threads import summed

__all__ = ["Convolution", "convolve", "convolve_input_gradient", "convolve_weight_gradient"]

PIECE = 1 << 20
"""Multiplications that are worth a thread: waking one takes some 5 microseconds."""

ITEMS = 16
"""Rows of pixels from which on threads share them alone: fewer are cut into parts of the output channels, too."""

POINTWISE = Window2d(1, 1, 1, 1, 0, 0)


def convolve(
    x: Array, W: Array, b: Array | None, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The images (N, O, *out) from x (N, C, *size), W (O, C / groups, *kernel) and b (O,)."""
    return Convolution(x.shape, W, b, stride, padding, dilation, groups)(x)


class Convolution:
    """`convolve` for images of one shape and constant weights, as a function of the images."""

    def __init__(
        self,
        shape: Sizes,
        W: Array,
        b: Array | None,
        stride: Sizes,
        padding: Padding,
        dilation: Sizes,
        groups: int,
    ) -> None:
        self._is_1d = len(stride) == 1
        if self._is_1d:
            shape, W = (*shape[:2], 1, shape[2]), _add_row_axis(W)
            stride, padding, dilation = _options_2d(stride, padding, dilation)
        (n, c), size = shape[:2], shape[2:]
        out = (n, *window_counts(size, extents(W.shape[2:], dilation), stride, padding), len(W))
        self._out = out
        self._plan = _planned((n, *size, c), out, True, _grouped(W, groups), b, _window(stride, padding, dilation))

    def __call__(self, x: Array, added: Array | None = None, limits: Limits | None = None) -> Array:
        """The output, to which an array of its shape is added, within limits."""
        y = np.empty(self._out, np.float32)
        if self._is_1d:
            x, added = _add_row_axis(x), None if added is None else _add_row_axis(added)
        run(self.works(y, with_channels_last(x), None if added is None else with_channels_last(added), limits))
        z = channels_second(y)
        return _drop_row_axis(z) if self._is_1d else z

    def works(
        self, y: Array, x: Array, added: Array | None = None, limits: Limits | None = None, new: New = new_array
    ) -> list[Work]:
        """The works that write the output to y (N, OH, OW, O), from x (N, H, W, C)."""
        return self._plan(y, x, ending_of(added, limits), new)


def convolve_input_gradient(
    gy: Array, W: Array, size: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The gradient (N, C, *size) for the images.

    Pixels whose indices differ by a multiple of the stride are multiplied by the same positions of the kernel. Each such
    subset of pixels is a convolution of stride 1. All other products would be with zeros.
    """
    if len(stride) == 1:
        plane = _options_2d(stride, padding, dilation)
        return _drop_row_axis(convolve_input_gradient(_add_row_axis(gy), _add_row_axis(W), (1, *size), *plane, groups))
    window = _window(stride, padding, dilation)
    W, gy = _grouped(W, groups).swapaxes(1, 2), with_channels_last(gy)
    gx = np.empty((len(gy), *size, groups * W.shape[1]), np.float32)
    if W.shape[1] == W.shape[2] == 1 < groups and suits_sliding_gradient(window, size[1]):
        depthwise_input_gradient(gx, gy, W[:, 0, 0], window)
        return channels_second(gx)
    for i in range(min(window.stride_h, size[0])):
        for j in range(min(window.stride_w, size[1])):
            rows, dilation_h, top = _kernel_positions(
                i + window.pad_top, window.stride_h, window.dilation_h, W.shape[3]
            )
            columns, dilation_w, left = _kernel_positions(
                j + window.pad_left, window.stride_w, window.dilation_w, W.shape[4]
            )
            pixels, weights = gx[:, i :: window.stride_h, j :: window.stride_w], W[..., rows, columns]
            if weights.size:
                _convolve_into(pixels, gy, weights, None, Window2d(1, 1, dilation_h, dilation_w, top, left))
            else:
                pixels[...] = 0
    return channels_second(gx)


def convolve_weight_gradient(
    x: Array, gy: Array, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The gradient (O, C / groups, *kernel) for the weights."""
    if len(stride) == 1:
        plane = _options_2d(stride, padding, dilation)
        return _drop_row_axis(
            convolve_weight_gradient(_add_row_axis(x), _add_row_axis(gy), (1, *kernel), *plane, groups)
        )
    window = _window(stride, padding, dilation)
    return _gradient_for_weights(with_channels_last(x), with_channels_last(gy), kernel, window, groups)


def _gradient_for_weights(x: Array, gy: Array, kernel: Sizes, window: Window2d, groups: int) -> Array:
    """The gradient (O, C / groups, *kernel) for the weights, from x (N, H, W, C) and gy (N, OH, OW, O)."""
    c, o = x.shape[3] // groups, gy.shape[3] // groups
    if o == c == 1 < groups:
        return depthwise_gradient(x, gy, kernel, window)[:, None]
    if suits(kernel, window, (c, o), groups, gy.shape[:3]):
        gW = winograd_gradient(x, gy, columns_of_tile(o), window)
        return gW.reshape(*kernel, c, o).transpose(3, 2, 0, 1)
    m, stride = neighbours(o, c, kernel, window, gy.shape[2]) if groups == 1 else 1, window.stride_w
    if m > 1:
        pixels, wider = gy.reshape(*gy.shape[:2], gy.shape[2] // m, m * o), (kernel[0], kernel[1] + (m - 1) * stride)
        gW = _gradient_for_weights(x, pixels, wider, window._replace(stride_w=m * stride), 1)
        return joined_gradient(gW, m, stride)
    return _gradient_by_tiles(x, gy, kernel, window, groups)


def _gradient_by_tiles(x: Array, gy: Array, kernel: Sizes, window: Window2d, groups: int) -> Array:
    c, o = x.shape[3] // groups, gy.shape[3] // groups
    columns = columns_of_tile(o)
    run = c * (kernel[1] if groups == 1 and window.dilation_w == 1 else 1)
    tile = even_tiles_for(run, columns, o % columns == 0)
    bands = bands_of(x.shape, gy.shape[1:], kernel, window)
    sizes = (*tile, groups, c), kernel, tuple(window), tuple(bands)

    def add_to(total: Array, start: int, stop: int) -> None:
        _weight_gradient(x, gy, total, aligned(bands.size), *sizes, start, stop)

    total = summed(
        add_to,
        lambda: np.zeros(groups * math.prod(kernel) * c * o, np.float32),
        len(x),
        PIECE // (1 + math.prod(gy.shape[1:]) * c * math.prod(kernel)),
        images_in_float32(gy),
    )
    gW = total.reshape(groups, *kernel, c, o)
    return gW.transpose(0, 4, 3, 1, 2).reshape(groups * o, c, *kernel)


def _convolve_into(y: Array, x: Array, W: Array, b: Array | None, window: Window2d) -> None:
    """Write the output to y (N, OH, OW, O), from x (N, H, W, C) and W (groups, O / groups, C / groups, KH, KW)."""
    run(_planned(x.shape, y.shape, y.flags.c_contiguous, W, b, window)(y, x, Ending(), new_array))


def _planned(size: Sizes, out: Sizes, joins: bool, W: Array, b: Array | None, window: Window2d) -> Plan:
    """A convolution of images of a size (N, H, W, C) to images of the size ``out``, with all that its weights need to be prepared.

    ``joins``: whether the output is contiguous.
    """
    groups, o, c = W.shape[:3]
    kernel, (n, oh, ow) = W.shape[3:], out[:3]
    if o == c == 1 < groups:
        return depthwise_plan(size, out, W[:, 0, 0], b, window)
    if suits(kernel, window, (c, o), groups, (n, oh, ow)):
        columns = columns_of_tile(o)
        w, bias = packed_weights(W, b, columns)
        return winograd_plan(size, out, w.reshape(-1, 9, c * columns), bias, columns, window)
    if groups == 1:
        if suits_columns(o, c, kernel, window, size[2], ow, joins):
            middle = (n, oh, size[2], kernel[1] * o)
            bare = window._replace(stride_w=1, dilation_w=1, pad_left=0)
            of_columns = _planned(size, middle, True, kernel_of_columns(W), None, bare)
            start = np.zeros(o, np.float32) if b is None else np.ascontiguousarray(b)

            def by_columns(y: Array, x: Array, ending: Ending, new: New) -> list[Work]:
                z = new(middle)
                return [*of_columns(z, x, Ending(), new), add_columns(y, z, start, kernel[1], window, ending)]

            return by_columns
        m, stride = neighbours(o, c, kernel, window, ow) if joins else 1, window.stride_w
        if m > 1:
            pixels, bias = (n, oh, ow // m, m * o), None if b is None else np.tile(b, m)
            joined = window._replace(stride_w=m * stride)
            of_pixels = _planned(size, pixels, True, joined_kernel(W, m, stride), bias, joined)
            return lambda y, x, ending, new: of_pixels(y.reshape(pixels), x, ending, new)
    return _planned_by_tiles(size, out, joins, W, b, window)


def _planned_by_tiles(size: Sizes, out: Sizes, joins: bool, W: Array, b: Array | None, window: Window2d) -> Plan:
    groups, o, c = W.shape[:3]
    kernel, columns = W.shape[3:], columns_of_tile(o)
    pointwise = kernel == (1, 1) and window == POINTWISE and size[:3] == out[:3]  # Not even padded at the end.
    is_merged = pointwise and joins and math.prod(out) > 0
    if is_merged:
        size, out = _merged_rows(size), _merged_rows(out)
    n, oh, ow = out[:3]
    w, bias = packed_weights(W, b, columns)
    tile = tiles_for(ow, columns, o % columns == 0)
    bands = bands_of(size, (oh, ow, groups * o), kernel, window)
    parts = min(-(-o // columns), -(-ITEMS // (n * oh))) if is_merged and groups == 1 else 1
    sizes = (oh, ow), (tile[0], columns, groups, o, parts), kernel, tuple(window), tuple(bands)
    piece = PIECE // (1 + ow * o * groups * c * math.prod(kernel) // parts)

    def by_tiles(y: Array, x: Array, ending: Ending, new: New) -> list[Work]:
        if is_merged:
            y, x = y.reshape(out), x.reshape(size)
        return [Work(_convolution, (x, w, bias, *as_memory(y), *sizes, *ending), parts * n * oh, piece, bands.size)]

    return by_tiles


def _window(stride: Sizes, padding: Padding, dilation: Sizes) -> Window2d:
    return Window2d(*stride, *dilation, *[before for before, _ in padding])


def _options_2d(stride: Sizes, padding: Padding, dilation: Sizes) -> tuple[Sizes, Padding, Sizes]:
    """The options of a convolution of signals, for images of one row."""
    return (1, *stride), ((0, 0), *padding), (1, *dilation)


def _add_row_axis(x: Array) -> Array:
    return x[:, :, None]


def _drop_row_axis(x: Array) -> Array:
    return x[:, :, 0]


def _merged_rows(size: Sizes) -> Sizes:
    """The size of images as one image whose rows fill whole tiles, for kernels of one pixel."""
    pixels = math.prod(size[:3])
    length = max(n for n in range(1, 65) if pixels % n == 0)
    return 1, pixels // length, length, size[3]


def _kernel_positions(pixel: int, stride: int, dilation: int, taps: int) -> tuple[slice, int, int]:
    """Along one axis, for the pixels of the padded input with index ``pixel`` plus a multiple of the stride.

    Returns the positions of the kernel that are applied to them, last first; the distance between the outputs that contain
    them; and the number of these outputs before the first pixel.
    """
    indices = [i for i in range(taps) if (pixel - i * dilation) % stride == 0]
    if not indices:
        return slice(0, 0), 1, 0
    first, step = indices[0], indices[1] - indices[0] if len(indices) > 1 else stride
    apart = step * dilation // stride
    positions = slice(indices[-1], first - step if first >= step else None, -step)
    return positions, apart, (len(indices) - 1) * apart - (pixel - first * dilation) // stride


def _grouped(W: Array, groups: int) -> Array:
    return W.reshape(groups, len(W) // groups, *W.shape[1:])


@compiled(
    numba.void(
        *(IMAGES, READ, READ, FLAT, INTEGERS[4], INTEGERS[2], INTEGERS[5], INTEGERS[2]),
        *(INTEGERS[6], INTEGERS[3], *ENDING, FLAT, INTEGER, INTEGER),
    ),
    allocates=False,
)
def _convolution(
    x: Any,
    w: Any,
    bias: Any,
    y: Any,
    memory: Any,
    out: Any,
    tile: Any,
    kernel: Any,
    window: Any,
    bands: Any,
    added: Any,
    low: Any,
    high: Any,
    band: Any,
    start: Any,
    stop: Any,
) -> None:
    """Rows of output from ``start`` to ``stop``, those of all images and of all parts of the channels counted together.

    ``tile``: the function of tiles of pixels and output channels, the number of these channels, that of groups, that of the output
    channels of a group, and that of their parts, with one group.
    """
    C, window, bands = x.shape[3], Window2d(*window), Bands(*bands)
    (function, columns, groups, o, parts), (origin, image, row, pixel) = tile, memory
    (oh, ow), (kh, kw) = out, kernel
    c, tiles = C // groups, (o + columns - 1) // columns
    # With one group, a row of the kernel is a run of memory.
    counts = (kh, 1, kw * c) if groups == 1 and window.dilation_w == 1 else (kh, kw, c)
    at = start
    while at < stop:
        part, place = at // (len(x) * oh), at % (len(x) * oh)
        n, r0 = place // oh, place % oh
        rows = min(bands.rows, oh - r0, stop - at)
        source, begin, line = read_rows(x, band, bands, window, kh, n, r0, rows)
        first, last = part * tiles // parts, (part + 1) * tiles // parts
        steps = Steps(
            d_row=0,
            a_row=window.stride_w * C,
            c_row=pixel,
            a_i=window.dilation_h * line,
            a_j=window.dilation_w * C,
            a_k=1,
            b_i=kw * c * columns,
            b_j=c * columns,
            b_k=columns,
        )
        for g in range(groups):
            for block in range(g * tiles + first, g * tiles + last):
                o0 = (block - g * tiles) * columns
                D, B = At(bias, block * columns), At(w, block * columns * kh * kw * c)
                for r in range(rows):
                    A = At(source, begin + r * window.stride_h * line + g * c)
                    target = At(y, origin + n * image + (r0 + r) * row + g * o + o0)
                    multiply_tiles(function, o - o0, D, A, B, counts, steps, target, ow)
        if parts == 1:
            end_rows(y, added, low, high, place * ow * groups * o, (place + rows) * ow * groups * o)
        else:
            for p in range(place * ow, (place + rows) * ow):
                end_rows(y, added, low, high, p * o + first * columns, min(p * o + last * columns, (p + 1) * o))
        at += rows


@compiled(
    numba.void(
        *(IMAGES, IMAGES, FLAT, FLAT, INTEGERS[6], INTEGERS[2], INTEGERS[6], INTEGERS[3]),
        *(INTEGER, INTEGER),
    ),
    allocates=False,
)
def _weight_gradient(
    x: Any,
    gy: Any,
    total: Any,
    band: Any,
    tile: Any,
    kernel: Any,
    window: Any,
    bands: Any,
    start: Any,
    stop: Any,
) -> None:
    """The sum over the images from ``start`` to ``stop``, added to ``total``.

    ``tile``: the functions of tiles of some rows of the kernel, and of one row less; this number of rows; the numbers of output channels
    in a tile, of groups, and of input channels of a group.
    """
    C, window, bands = x.shape[3], Window2d(*window), Bands(*bands)
    (of_larger, of_smaller, P, columns, groups, c), (_, oh, ow, channels_out), (kh, kw) = tile, gy.shape, kernel
    o = channels_out // groups
    runs, length = (1, kw * c) if groups == 1 and window.dilation_w == 1 else (kw, c)
    larger = rows_in_larger_tiles(length, P)
    gradients = gy.reshape(-1)
    for n in range(start, stop):
        for r0 in range(0, oh, bands.rows):
            rows = min(bands.rows, oh - r0)
            source, begin, line = read_rows(x, band, bands, window, kh, n, r0, rows)
            counts = (1, rows, ow)
            steps = Steps(
                d_row=o,
                a_row=1,
                c_row=o,
                a_i=0,
                a_j=window.stride_h * line,
                a_k=window.stride_w * C,
                b_i=0,
                b_j=ow * channels_out,
                b_k=channels_out,
            )
            for g in range(groups):
                for i in range(kh):
                    for j in range(runs):
                        a = begin + i * window.dilation_h * line + j * window.dilation_w * C + g * c
                        t = ((g * kh + i) * kw + j) * c * o
                        for o0 in range(0, o, columns):
                            B = At(gradients, (n * oh + r0) * ow * channels_out + g * o + o0)
                            sums, A = At(total, t + o0), At(source, a)
                            multiply_tiles(of_larger, o - o0, sums, A, B, counts, steps, sums, larger)
                            sums, A = At(total, t + larger * o + o0), At(source, a + larger)
                            multiply_tiles(of_smaller, o - o0, sums, A, B, counts, steps, sums, length - larger)
