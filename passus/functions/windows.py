"""Sizes of windows that slide over an image: what convolution and pooling will need."""

from __future__ import annotations

from passus.errors import ArgumentError, DTypeError, ShapeError

__all__ = ["get_conv_outsize", "get_deconv_outsize", "pair"]


def get_conv_outsize(input_size: int, kernel_size: int, stride: int, pad: int) -> int:
    """How many windows fit along an axis: ``(input_size + 2 pad - kernel_size) // stride + 1``.

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
    return (input_size + 2 * pad - kernel_size) // stride + 1


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
