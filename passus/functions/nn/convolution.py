"""Convolution of signals, images and volumes, and its transpose.

The product ``<gy, convolution of x with W>`` is linear in each of ``gy``, ``x`` and ``W``. Its three gradients are `Conv`,
`Deconv` and `ConvGradW`, so the rule of each consists of the other two, and derivatives of every order need no more.
"""

from __future__ import annotations

from typing import Any

from passus.arguments import checked_count
from passus.backend import Array
from passus.core import HALF, Function, Operand, Result, upcast
from passus.errors import ShapeError
from passus.functions.arrays.arithmetic import add
from passus.functions.arrays.arrangement import pad as padded
from passus.functions.arrays.shapes import reshape
from passus.functions.checks import PAD_MODES, array_of
from passus.functions.nn.windows import (
    Window,
    channels_are_last,
    check_fit,
    check_pad_mode,
    image_and_kernel,
    per_axis,
    window_of,
)
from passus.kernels.channels import channel_sums
from passus.kernels.convolution import (
    convolve,
    convolve_input_gradient,
    convolve_weight_gradient,
    extents,
)

__all__ = ["Conv", "ConvGradW", "Deconv", "conv1d", "conv2d", "conv3d", "deconv1d", "deconv2d", "deconv3d"]


class Conv(Function):
    upcast_dtypes = HALF

    def __init__(self, window: Window, groups: int) -> None:
        self.window, self.groups = window, groups
        self.public_name = f"conv{len(window.padding)}d"

    def forward(self, x: Array, W: Array, b: Array | None = None) -> Array:
        return convolve(x, W, b, *self.window, self.groups)

    def backward(self, gy: Any) -> Any:
        x, W = self.saved(self.operands[0]), self.saved(self.operands[1])
        needs_x, needs_W, *needs_b = self.needs
        return (
            Deconv(self.window, self.groups, x.shape[2:])(gy, W) if needs_x else None,
            ConvGradW(self.window, self.groups, W.shape[2:])(x, gy) if needs_W else None,
            *[channel_sums(gy) if needs else None for needs in needs_b],
        )


class Deconv(Function):
    upcast_dtypes = HALF

    def __init__(self, window: Window, groups: int, size: tuple[int, ...]) -> None:
        self.window, self.groups, self.size = window, groups, size
        self.public_name = f"deconv{len(size)}d"

    def forward(self, x: Array, W: Array, b: Array | None = None) -> Array:
        y = convolve_input_gradient(x, W, self.size, *self.window, self.groups)
        if b is not None:
            y += b.reshape(-1, *[1] * len(self.size))  # Safe to modify in place: the array is new.
        return y

    def backward(self, gy: Any) -> Any:
        x, W = self.saved(self.operands[0]), self.saved(self.operands[1])
        needs_x, needs_W, *needs_b = self.needs
        return (
            Conv(self.window, self.groups)(gy, W) if needs_x else None,
            ConvGradW(self.window, self.groups, W.shape[2:])(gy, x) if needs_W else None,
            *[channel_sums(gy) if needs else None for needs in needs_b],
        )


class ConvGradW(Function):
    upcast_dtypes = HALF

    def __init__(self, window: Window, groups: int, kernel: tuple[int, ...]) -> None:
        self.window, self.groups, self.kernel = window, groups, kernel
        self.public_name = f"conv{len(kernel)}d"

    def forward(self, x: Array, gy: Array) -> Array:
        return convolve_weight_gradient(x, gy, self.kernel, *self.window, self.groups)

    def backward(self, ggW: Any) -> Any:
        x, gy = self.saved(self.operands[0]), self.saved(self.operands[1])
        needs_x, needs_gy = self.needs
        return (
            Deconv(self.window, self.groups, x.shape[2:])(gy, ggW) if needs_x else None,
            Conv(self.window, self.groups)(x, ggW) if needs_gy else None,
        )


def conv1d(
    x: Operand,
    W: Operand,
    b: Operand | None = None,
    stride: Any = 1,
    pad: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "zeros",
) -> Result:
    """The convolution of signals: x (N, C, L), W (O, C / groups, K) and b (O,) give (N, O, OL); otherwise as `conv2d`.

    ``pad=((K - 1, 0),)`` makes it causal: no output depends on what comes later.

    >>> import numpy as np
    >>> conv1d(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]]))
    array([[[1., 2.]]])
    """
    return _conv("conv1d", 1, x, W, b, stride, pad, dilation, groups, pad_mode)


def conv2d(
    x: Operand,
    W: Operand,
    b: Operand | None = None,
    stride: Any = 1,
    pad: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "zeros",
) -> Result:
    """The convolution of images, ``y[n, o, p, q] = b[o] + sum of x[n, c, sp + di, sq + dj] * W[o, c, i, j]``, x padded.

    ``x`` (N, C, H, W), ``W`` (O, C / groups, KH, KW) and ``b`` (O,) give (N, O, OH, OW), with stride s, dilation d and
    ``OH = (H + padding - d (KH - 1) - 1) // s + 1``. The sum goes over the positions (i, j) of the kernel and the channels c
    of its group: each of the ``groups`` of O / groups outputs sees C / groups inputs. As usual in this field, the kernel
    is not flipped.

    ``stride``, ``dilation``: 1 or more, for both axes or one for each. ``pad``: 0 or more, likewise; or a (before, after)
    pair for each axis; or ``"valid"`` (none) or ``"same"`` (OH = H / stride, rounded up). ``pad_mode``: ``"zeros"``,
    ``"reflect"`` (mirrored at the outermost pixel), ``"replicate"`` (the outermost pixel again) or ``"circular"`` (from
    the other end).

    Raises `ShapeError` for shapes that do not fit, among them a kernel that is larger than the padded images;
    `ArgumentError` for options out of range. Source: LeCun et al., 1989, "Handwritten digit recognition with a
    back-propagation network".

    >>> import numpy as np
    >>> conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    return _conv("conv2d", 2, x, W, b, stride, pad, dilation, groups, pad_mode)


def conv3d(
    x: Operand,
    W: Operand,
    b: Operand | None = None,
    stride: Any = 1,
    pad: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "zeros",
) -> Result:
    """The convolution of volumes or films: x (N, C, D, H, W), W (O, C / groups, KD, KH, KW) and b (O,); as `conv2d`.

    >>> import numpy as np
    >>> conv3d(np.ones((1, 2, 3, 3, 3)), np.ones((4, 2, 3, 3, 3)), pad="same").shape
    (1, 4, 3, 3, 3)
    """
    return _conv("conv3d", 3, x, W, b, stride, pad, dilation, groups, pad_mode)


def _conv(
    name: str,
    axes: int,
    x: Operand,
    W: Operand,
    b: Operand | None,
    stride: Any,
    pad: Any,
    dilation: Any,
    groups: int,
    pad_mode: str,
) -> Result:
    shape, (o, c, *kernel) = image_and_kernel(name, axes, x, W)
    groups = checked_count(name, "groups", groups)
    if shape[1] != groups * c or o % groups:
        raise ShapeError(
            f"{name}: W {(o, c, *kernel)} does not fit x {shape} with groups={groups}; it must be (O, {shape[1]} / groups, "
            f"*kernel), with O a multiple of groups{channels_are_last(shape, groups * c)}"
        )
    _check_bias(name, b, o)
    check_pad_mode(name, pad_mode)
    window = window_of(name, shape[2:], tuple(kernel), stride, pad, dilation)
    check_fit(name, shape, tuple(kernel), window)
    if pad_mode == "zeros":
        return _applied(Conv(window, groups), x, W, b)
    widths, bare = ((0, 0), (0, 0), *window.padding), Conv(window._replace(padding=((0, 0),) * axes), groups)
    return upcast(lambda x, W, b: _applied(bare, padded(x, widths, PAD_MODES[pad_mode]), W, b), x, W, b, narrow=HALF)


def deconv1d(
    x: Operand,
    W: Operand,
    b: Operand | None = None,
    stride: Any = 1,
    pad: Any = 0,
    outsize: Any = None,
    dilation: Any = 1,
    groups: int = 1,
) -> Result:
    """The transposed convolution of signals: x (N, C, L), W (C, O / groups, K), b (O,); otherwise as `deconv2d`.

    >>> import numpy as np
    >>> deconv1d(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 1.0]]]), stride=2)
    array([[[1., 1., 2., 2.]]])
    """
    return _deconv("deconv1d", 1, x, W, b, stride, pad, outsize, dilation, groups)


def deconv2d(
    x: Operand,
    W: Operand,
    b: Operand | None = None,
    stride: Any = 1,
    pad: Any = 0,
    outsize: Any = None,
    dilation: Any = 1,
    groups: int = 1,
) -> Result:
    """The transposed convolution of images: each pixel of x puts a multiple of the kernel into y, where they add up.

    ``x`` (N, C, H, W), ``W`` (C, O / groups, KH, KW) and ``b`` (O,) give (N, O, *outsize). The shape of the result is that of an
    input of `conv2d` with the same options. With a stride several sizes do; ``outsize``: which,
    the smallest by default, ``OH = s (H - 1) + d (KH - 1) + 1 - padding``, and H * stride for ``pad="same"``. It may be
    larger than the smallest by less than the stride or the dilation, whichever is larger; the rest lies behind.

    Raises `ShapeError` for shapes that do not fit, among them another ``outsize``; `ArgumentError` for options out of
    range. Source: Zeiler et al., 2010, "Deconvolutional networks".

    >>> import numpy as np
    >>> deconv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)))
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    return _deconv("deconv2d", 2, x, W, b, stride, pad, outsize, dilation, groups)


def deconv3d(
    x: Operand,
    W: Operand,
    b: Operand | None = None,
    stride: Any = 1,
    pad: Any = 0,
    outsize: Any = None,
    dilation: Any = 1,
    groups: int = 1,
) -> Result:
    """The transposed convolution of volumes: x (N, C, D, H, W), W (C, O / groups, KD, KH, KW), b (O,); as `deconv2d`.

    >>> import numpy as np
    >>> deconv3d(np.ones((1, 2, 3, 3, 3)), np.ones((2, 4, 2, 2, 2)), stride=2).shape
    (1, 4, 6, 6, 6)
    """
    return _deconv("deconv3d", 3, x, W, b, stride, pad, outsize, dilation, groups)


def _deconv(
    name: str,
    axes: int,
    x: Operand,
    W: Operand,
    b: Operand | None,
    stride: Any,
    pad: Any,
    outsize: Any,
    dilation: Any,
    groups: int,
) -> Result:
    shape, (c, o, *kernel) = image_and_kernel(name, axes, x, W)
    groups = checked_count(name, "groups", groups)
    if shape[1] != c or c % groups:
        raise ShapeError(
            f"{name}: W {(c, o, *kernel)} does not fit x {shape} with groups={groups}; it must be ({shape[1]}, O / groups, "
            f"*kernel), and the channels of x a multiple of groups{channels_are_last(shape, c)}"
        )
    _check_bias(name, b, o * groups)
    size, window = _target(name, shape, tuple(kernel), stride, pad, outsize, dilation)
    met = [s * (n - 1) + e for n, s, e in zip(shape[2:], window.stride, extents(tuple(kernel), window.dilation))]
    behind = [n + sum(around) - m for n, around, m in zip(size, window.padding, met)]
    fits = all(0 <= n < max(s, d) for n, s, d in zip(behind, window.stride, window.dilation))
    inner = tuple([min(n, m - before) for n, m, (before, _) in zip(size, met, window.padding)])
    if not fits or min(*shape[2:], *inner) < 1:
        raise ShapeError(
            f"{name}: a convolution with a kernel of {tuple(kernel)} and {window} does not lead from images of {size} to "
            f"x {shape}; choose another outsize, or leave it out, or use less padding"
        )
    if all(n < s for n, s in zip(behind, window.stride)):
        return _applied(Deconv(window, groups, size), x, W, b)
    # There is room for one more window after the last: pixels under kernels take the place of padding, others are empty.
    padding = tuple([(before, max(m - n - before, 0)) for n, m, (before, _) in zip(size, met, window.padding)])
    function, widths = (
        Deconv(window._replace(padding=padding), groups, inner),
        [(0, n - m) for n, m in zip(size, inner)],
    )

    def with_empty_pixels(x: Operand, W: Operand, b: Operand | None) -> Result:
        y = padded(function(x, W), ((0, 0), (0, 0), *widths))
        return y if b is None else add(y, reshape(b, (-1, *[1] * axes)))

    return upcast(with_empty_pixels, x, W, b, narrow=HALF)


def _target(
    name: str, shape: tuple[int, ...], kernel: tuple[int, ...], stride: Any, pad: Any, outsize: Any, dilation: Any
) -> tuple[tuple[int, ...], Window]:
    """The size of the result of a transposed convolution, and the window of the convolution that leads back."""
    steps = per_axis(name, "stride", stride, len(kernel))
    size = tuple([n * s for n, s in zip(shape[2:], steps)])  # With "same"; else the padding does not depend on it.
    if outsize is not None:
        size = per_axis(name, "outsize", outsize, len(kernel))
    window = window_of(name, size, kernel, stride, pad, dilation)
    if outsize is None and pad != "same":
        spans = zip(shape[2:], steps, extents(kernel, window.dilation), window.padding)
        size = tuple([s * (n - 1) + e - before - after for n, s, e, (before, after) in spans])
    return size, window


def _check_bias(name: str, b: Operand | None, channels: int) -> None:
    if b is not None and array_of(name, b).shape != (channels,):
        raise ShapeError(
            f"{name}: b {array_of(name, b).shape} must have a number for each channel of the result, ({channels},)"
        )


def _applied(function: Function, x: Operand, W: Operand, b: Operand | None) -> Result:
    return function(x, W) if b is None else function(x, W, b)
