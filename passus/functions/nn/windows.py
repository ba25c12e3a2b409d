"""Windows that slide over images: their strides, padding and number."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from passus.arguments import checked_count
from passus.core import Operand
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.functions.checks import PAD_MODES, array_of
from passus.kernels.convolution import extents
from passus.kernels.layout import window_count

__all__ = [
    "Window",
    "channels_are_last",
    "check_fit",
    "check_pad_mode",
    "get_conv_outsize",
    "get_deconv_outsize",
    "image_and_kernel",
    "image_shape",
    "out_size",
    "pair",
    "per_axis",
    "window_of",
]


class Window(NamedTuple):
    """How a window moves over an image, for each axis of space: its stride, the (before, after) padding, and the distance of
    neighbouring pixels in it.
    """

    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]


def window_of(
    name: str, size: tuple[int, ...], kernel: tuple[int, ...], stride: Any, pad: Any, dilation: Any = 1
) -> Window:
    """The window that the options of an operation on images of ``size`` describe.

    ``stride`` and ``dilation``: one number, or one for each axis. ``pad``: the same, or (before, after) pairs for the
    axes, or ``"valid"`` for none, or ``"same"`` for ``ceil(size / stride)`` windows, with the larger half of an odd number
    after the image.

    Raises `ArgumentError` for numbers out of range or too many or few of them, `DTypeError` for numbers that are not integers.

    >>> window_of("conv1d", (8,), (4,), stride=2, pad="same")
    Window(stride=(2,), padding=((1, 1),), dilation=(1,))
    """
    if type(stride) is type(dilation) is int and type(pad) in (int, str):
        return _cached_window(name, size, kernel, stride, pad, dilation)
    return _window_of(name, size, kernel, stride, pad, dilation)


def _window_of(
    name: str, size: tuple[int, ...], kernel: tuple[int, ...], stride: Any, pad: Any, dilation: Any
) -> Window:
    axes = len(size)
    stride, dilation = per_axis(name, "stride", stride, axes), per_axis(name, "dilation", dilation, axes)
    if isinstance(pad, str):
        return Window(stride, _named_padding(name, pad, size, extents(kernel, dilation), stride), dilation)
    given = pad if isinstance(pad, (tuple, list)) else (pad,) * axes
    if len(given) != axes:
        raise ArgumentError(
            f"{name}: pad {pad!r} must be one number, or a number or a (before, after) pair for each "
            f"of the {axes} spatial axes"
        )
    return Window(stride, tuple([_before_and_after(name, p) for p in given]), dilation)


# The same options come in each step. True and 1.0, which are equal to 1, never reach the cache.
_cached_window = lru_cache(maxsize=1024)(_window_of)


def _named_padding(
    name: str, pad: str, size: tuple[int, ...], extent: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    if pad not in ("same", "valid"):
        raise ArgumentError(f"{name}: pad must be numbers, 'same' or 'valid', not {pad!r}")
    if pad == "valid":
        return ((0, 0),) * len(size)
    missing = [max((-(-n // s) - 1) * s + e - n, 0) for n, e, s in zip(size, extent, stride)]
    return tuple([(n // 2, n - n // 2) for n in missing])


def _before_and_after(name: str, pad: Any) -> tuple[int, int]:
    both = pad if isinstance(pad, (tuple, list)) else (pad, pad)
    if len(both) != 2:
        raise ArgumentError(f"{name}: pad {pad!r} of an axis must be a number or a pair (before, after)")
    before, after = [checked_count(name, "pad", n, low=0) for n in both]
    return before, after


def per_axis(name: str, argument: str, value: Any, axes: int) -> tuple[int, ...]:
    """A count of 1 or more for each axis of space, given as one number for all, or as one for each.

    Raises `ArgumentError` for too many or too few, or one below 1; `DTypeError` for numbers that are not integers.

    >>> per_axis("conv2d", "stride", 2, axes=2)
    (2, 2)
    """
    given = value if isinstance(value, (tuple, list)) else (value,) * axes
    if len(given) != axes:
        raise ArgumentError(
            f"{name}: {argument} {value!r} must be one number, or one for each of the {axes} spatial axes"
        )
    return tuple([checked_count(name, argument, n) for n in given])


def check_pad_mode(name: str, pad_mode: str) -> str:
    """The mode itself. Raises `ArgumentError` for an unknown name.

    >>> check_pad_mode("conv2d", "reflect")
    'reflect'
    """
    if pad_mode not in tuple(PAD_MODES):
        raise ArgumentError(f"{name}: pad_mode must be one of {', '.join(PAD_MODES)}, not {pad_mode!r}")
    return pad_mode


def image_shape(name: str, x: Operand, axes: int | None = None) -> tuple[int, ...]:
    """The shape (N, C, *size) of images with this many axes of space, or one to three. Raises `ShapeError` for others.

    >>> import numpy as np
    >>> image_shape("pooling", np.ones((2, 3, 8, 8)))
    (2, 3, 8, 8)
    """
    shape: tuple[int, ...] = array_of(name, x).shape
    if len(shape) - 2 not in ((axes,) if axes else (1, 2, 3)):
        others = "" if axes else ", or one or three of space"
        raise ShapeError(
            f"{name}: x {shape} needs the axes (N, C, {', '.join('DHW'[-(axes or 2) :])}){others}; for a single example "
            "write x[None]"
        )
    return shape


def image_and_kernel(name: str, axes: int, x: Operand, W: Operand) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of images and weights with this many axes of space. Raises `ShapeError` if they have others.

    >>> import numpy as np
    >>> image_and_kernel("conv1d", 1, np.ones((2, 3, 8)), np.ones((4, 3, 5)))
    ((2, 3, 8), (4, 3, 5))
    """
    shape, weights = array_of(name, x).shape, array_of(name, W).shape
    if len(shape) != 2 + axes or len(weights) != 2 + axes or 0 in weights[2:]:
        raise ShapeError(
            f"{name}: x {shape} needs the axes (N, C, {', '.join('DHW'[-axes:])}), and W {weights} as many, none of them "
            f"empty; {_missing_axes(shape, axes)}"
        )
    return shape, weights


def _missing_axes(shape: tuple[int, ...], axes: int) -> str:
    """A hint how to add the missing axes."""
    if len(shape) == 1 + axes:
        return "for a single example write x[None], for images without a channel axis x[:, None]"
    return f"reshape x, as in x.reshape(N, C, {', '.join('DHW'[-axes:])})"


def channels_are_last(shape: tuple[int, ...], channels: int) -> str:
    """A hint for images whose last axis has the length of the channel axis.

    >>> channels_are_last((2, 32, 32, 3), 3)
    '. Are the channels last? Write x.transpose(0, 3, 1, 2)'
    """
    if shape[-1] != channels:
        return ""
    axes = (0, len(shape) - 1, *range(1, len(shape) - 1))
    return f". Are the channels last? Write x.transpose{axes}"


def out_size(size: tuple[int, ...], kernel: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """Number of windows along each axis of images of ``size``; below 1 where none fits.

    >>> out_size((8,), (3,), Window((2,), ((1, 1),), (1,)))
    (4,)
    """
    axes = zip(size, extents(kernel, window.dilation), window.stride, window.padding)
    return tuple([window_count(n, extent, stride, sum(pads)) for n, extent, stride, pads in axes])


def check_fit(name: str, shape: tuple[int, ...], kernel: tuple[int, ...], window: Window) -> None:
    """Raise `ShapeError` if no window fits into images of this shape (N, C, *size).

    >>> check_fit("conv1d", (1, 1, 8), (3,), Window((2,), ((1, 1),), (1,)))
    """
    if min(out_size(shape[2:], kernel, window)) < 1:
        spans = f", which spans {extents(kernel, window.dilation)}," if max(window.dilation) > 1 else ""
        raise ShapeError(
            f"{name}: a kernel of {kernel}{spans} is larger than x {shape} with padding {window.padding}; use a "
            "smaller kernel, larger images or more padding"
        )


def get_conv_outsize(input_size: int, kernel_size: int, stride: int, pad: int) -> int:
    """Number of windows along an axis: ``(input_size + 2 pad - kernel_size) // stride + 1``.

    Raises `ShapeError` if not one does, `ArgumentError` for a stride or a kernel below 1.

    >>> get_conv_outsize(28, kernel_size=5, stride=2, pad=2)
    14
    """
    _check_window(kernel_size, stride)
    if input_size + 2 * pad < kernel_size:
        raise ShapeError(
            f"get_conv_outsize: a kernel of {kernel_size} does not fit into {input_size} with {pad} of padding on each "
            "side; use a smaller kernel or more padding"
        )
    return window_count(input_size, kernel_size, stride, 2 * pad)


def get_deconv_outsize(size: int, kernel_size: int, stride: int, pad: int) -> int:
    """The smallest length of an axis on which ``size`` windows fit: ``stride (size - 1) + kernel_size - 2 pad``.

    Raises `ShapeError` if the padding takes all of it, `ArgumentError` for a stride or a kernel below 1.

    >>> get_deconv_outsize(14, kernel_size=5, stride=2, pad=2)
    27
    """
    _check_window(kernel_size, stride)
    length = stride * (size - 1) + kernel_size - 2 * pad
    if length < 1:
        raise ShapeError(f"get_deconv_outsize: {pad} of padding on each side leaves {length}; use less padding")
    return length


def pair(x: int | tuple[int, int]) -> tuple[int, int]:
    """A size for both axes of an image, given as one number or as two.

    Raises `DTypeError` for anything else.

    >>> pair(3), pair((3, 5))
    ((3, 3), (3, 5))
    """
    if isinstance(x, int):
        return x, x
    if isinstance(x, tuple) and len(x) == 2:
        return x
    raise DTypeError(f"pair: {x!r} is neither a number nor a tuple of two")


def _check_window(kernel_size: int, stride: int) -> None:
    if kernel_size < 1 or stride < 1:
        raise ArgumentError(f"kernel_size {kernel_size} and stride {stride} must be at least 1")
