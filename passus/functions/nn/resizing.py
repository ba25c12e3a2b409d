"""Resizing of images by interpolation, and by moving channels to space and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.core import HALF, Operand, Result, Unary, upcast_inputs
from passus.errors import ArgumentError, ShapeError
from passus.functions.arrays.shapes import reshape, transpose
from passus.functions.nn.windows import image_shape, per_axis
from passus.kernels.resampling import Taps, resample, transposed

__all__ = ["Resample", "pixel_shuffle", "pixel_unshuffle", "resize"]


class Resample(Unary):
    """The product with a sparse matrix along a spatial axis. ``back``: the transpose of the matrix, if known."""

    public_name = "resize"
    upcast_dtypes = HALF

    constants = ("back", "taps")

    def __init__(self, axis: int, taps: Taps, back: Taps | None = None) -> None:
        self.axis, self.taps, self.back = axis, taps, back

    def forward(self, x: Array) -> Array:
        if x.dtype.kind != "f" and self.taps.weights.dtype.kind == "f":
            x = x.astype(np.float64)
        return resample(x, self.axis, self.taps)

    def backward(self, gy: Any) -> Any:
        back = transposed(self.taps, self.operands[0].shape[self.axis]) if self.back is None else self.back
        return Resample(self.axis, back, self.taps)(gy)


@upcast_inputs(1, HALF)
def resize(x: Operand, outsize: Any, mode: str = "nearest", align_corners: bool = False) -> Result:
    """Resize images by nearest-neighbour or linear interpolation.

    ``x`` (N, C, H, W) gives (N, C, *outsize); likewise with one or three spatial axes. ``outsize``: one number, or one
    per axis. ``mode``: ``"nearest"``, pixel ``i * H // OH``; or ``"bilinear"``, linear along each axis, at
    ``(i + 1/2) H / OH - 1/2``, so that the edges of the outermost pixels are aligned, or at ``i (H - 1) / (OH - 1)``
    with ``align_corners``, so that their centres are. Images are not smoothed before they are reduced; see
    `adaptive_average_pooling`.

    Raises `ShapeError` for images without pixels, `ArgumentError` for an unknown mode, and for ``align_corners`` with
    ``"nearest"``.

    >>> import numpy as np
    >>> resize(np.array([[[1.0, 2.0]]]), 4)
    array([[[1., 1., 2., 2.]]])
    >>> resize(np.array([[[1.0, 2.0]]]), 4, "bilinear")
    array([[[1.  , 1.25, 1.75, 2.  ]]])
    """
    shape = image_shape("resize", x)
    size = per_axis("resize", "outsize", outsize, len(shape) - 2)
    if mode not in ("nearest", "bilinear"):
        raise ArgumentError(f"resize: mode must be 'nearest' or 'bilinear', not {mode!r}")
    if align_corners and mode == "nearest":
        raise ArgumentError("resize: align_corners is for mode='bilinear'; the nearest pixel has no corners to align")
    if 0 in shape[2:]:
        raise ShapeError(f"resize: x {shape} has no pixels to make others from")
    y: Any = x
    for axis, (n, out) in enumerate(zip(shape[2:], size), start=2):
        if n != out:
            y = Resample(axis, _nearest(n, out) if mode == "nearest" else _linear(n, out, align_corners))(y)
    return y


def _nearest(n: int, out: int) -> Taps:
    return Taps(np.arange(out)[:, None] * n // out, np.ones((out, 1), np.int8))


def _linear(n: int, out: int, align_corners: bool) -> Taps:
    if align_corners:
        positions = np.arange(out) * ((n - 1) / max(1, out - 1))
    else:
        positions = np.maximum((np.arange(out) + 0.5) * (n / out) - 0.5, 0)
    low = np.minimum(positions.astype(int), n - 1)
    weight = positions - low
    return Taps(np.stack([low, np.minimum(low + 1, n - 1)], axis=1), np.stack([1 - weight, weight], axis=1))


def pixel_shuffle(x: Operand, factor: int) -> Result:
    """Move channels to space: ``y[n, c, r p + i, r q + j] = x[n, r^2 c + r i + j, p, q]``, r the factor.

    ``x`` (N, C r^2, H, W) gives (N, C, H r, W r).

    Raises `ShapeError` for channels that are no multiple of r^2. Source: Shi et al., 2016, "Real-time single image and
    video super-resolution using an efficient sub-pixel convolutional neural network".

    >>> import numpy as np
    >>> pixel_shuffle(np.arange(8.0).reshape(1, 4, 1, 2), 2)
    array([[[[0., 2., 1., 3.],
             [4., 6., 5., 7.]]]])
    """
    N, C, H, W = image_shape("pixel_shuffle", x, axes=2)
    r = checked_count("pixel_shuffle", "factor", factor)
    if C % r**2:
        raise ShapeError(f"pixel_shuffle: the channels of x {(N, C, H, W)} must be a multiple of factor**2 = {r**2}")
    y = transpose(reshape(x, (N, C // r**2, r, r, H, W)), (0, 1, 4, 2, 5, 3))
    return reshape(y, (N, C // r**2, H * r, W * r))


def pixel_unshuffle(x: Operand, factor: int) -> Result:
    """Move space to channels, the inverse of `pixel_shuffle`: (N, C, H r, W r) to (N, C r^2, H, W).

    Raises `ShapeError` for images whose height or width is no multiple of the factor.

    >>> import numpy as np
    >>> pixel_unshuffle(np.array([[[[0.0, 2.0, 1.0, 3.0], [4.0, 6.0, 5.0, 7.0]]]]), 2).ravel()
    array([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    N, C, H, W = image_shape("pixel_unshuffle", x, axes=2)
    r = checked_count("pixel_unshuffle", "factor", factor)
    if H % r or W % r:
        raise ShapeError(f"pixel_unshuffle: height and width of x {(N, C, H, W)} must be multiples of factor={r}")
    y = transpose(reshape(x, (N, C, H // r, r, W // r, r)), (0, 1, 3, 5, 2, 4))
    return reshape(y, (N, C * r**2, H // r, W // r))
