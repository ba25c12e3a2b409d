"""The discrete Fourier transform. Complex numbers are pairs of real arrays, the real and the imaginary part."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.core import HALF, INTEGERS, Function, Operand, Result, upcast_inputs
from passus.errors import ArgumentError, ShapeError, named_in_errors
from passus.functions.arrays.arithmetic import neg
from passus.functions.arrays.arrangement import flip, pad
from passus.functions.arrays.indexing import get_item
from passus.functions.arrays.joining import concatenate
from passus.functions.checks import array_of

__all__ = ["Fft", "fft", "ifft", "irfft", "rfft"]

OPPOSITE = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The scaling with which the opposite transform is the conjugate transpose of a transform."""


class Fft(Function):
    upcast_dtypes = HALF + INTEGERS

    def __init__(self, n: int, axis: int, norm: str | None, inverse: bool) -> None:
        self.n, self.axis, self.norm, self.inverse = n, axis, norm, inverse

    def forward(self, real: Array, imag: Array | None = None) -> tuple[Array, Array]:
        x = real if imag is None else real + 1j * imag
        transform = self.xp.fft.ifft if self.inverse else self.xp.fft.fft
        y = transform(x, self.n, self.axis, self.norm)
        return y.real, y.imag

    def backward(self, greal: Any, gimag: Any) -> Any:
        # The transform is a symmetric matrix, so gradients go through its conjugate: the opposite transform.
        opposite = Fft(self.n, self.axis, OPPOSITE[self.norm], not self.inverse)(greal, gimag)
        length = self.inputs[0].shape[self.axis]
        gradients = [_of_length(g, length, self.axis, self.xp) for g in opposite]
        return tuple(gradients[: len(self.inputs)])


def _of_length(x: Any, n: int, axis: int, xp: Any) -> Any:
    """Truncate or zero-pad an axis to a length."""
    axis %= x.ndim
    if n <= x.shape[axis]:
        return x[(*(slice(None),) * axis, slice(n))]
    return xp.pad(x, [(0, n - x.shape[axis] if i == axis else 0) for i in range(x.ndim)])


def _transformed(
    name: str, real: Operand, imag: Operand | None, n: int | None, axis: int, norm: str | None, inverse: bool
) -> tuple[Result, Result]:
    shape = array_of(name, real).shape
    if imag is not None and array_of(name, imag).shape != shape:
        raise ShapeError(f"{name}: real {shape} and imag {array_of(name, imag).shape} must have the same shape")
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"{name}: axis {axis} is not one of x {shape}")
    if norm not in OPPOSITE:
        raise ArgumentError(f"{name}: norm must be 'backward', 'ortho' or 'forward', not {norm!r}")
    n = shape[axis] if n is None else n
    if n < 1:
        raise ArgumentError(f"{name}: a transform needs one element or more along axis {axis} of x {shape}, not {n}")
    transform = Fft(n, axis, norm, inverse)
    transform.public_name = name
    y: Any = transform(real) if imag is None else transform(real, imag)
    return y[0], y[1]


def fft(
    real: Operand, imag: Operand | None = None, n: int | None = None, axis: int = -1, norm: str | None = None
) -> tuple[Result, Result]:
    """The discrete Fourier transform of real or complex numbers along an axis, as real and imaginary part.

    ``y[k] = sum(x[j] * exp(-2j * pi * j * k / n))``. ``n``: the length to which ``x`` is truncated or zero-padded
    first. ``norm``: ``"backward"`` (the default) divides the inverse by n, ``"forward"`` this transform by n,
    ``"ortho"`` both by ``sqrt(n)``. Raises `ShapeError` for parts of unequal shapes or an axis that does not exist,
    `ArgumentError` for an unknown ``norm``, or if there are no elements.

    >>> import numpy as np
    >>> fft(np.array([1.0, 0.0, 0.0, 0.0]))
    (array([1., 1., 1., 1.]), array([0., 0., 0., 0.]))
    """
    return _transformed("fft", real, imag, n, axis, norm, False)


def ifft(
    real: Operand, imag: Operand | None = None, n: int | None = None, axis: int = -1, norm: str | None = None
) -> tuple[Result, Result]:
    """The inverse of `fft`, with the same arguments.

    Raises the errors of `fft`.

    >>> import numpy as np
    >>> ifft(np.array([1.0, 1.0, 1.0, 1.0]))
    (array([1., 0., 0., 0.]), array([0., 0., 0., 0.]))
    """
    return _transformed("ifft", real, imag, n, axis, norm, True)


def rfft(x: Operand, n: int | None = None, axis: int = -1, norm: str | None = None) -> tuple[Result, Result]:
    """The first ``n // 2 + 1`` elements of `fft`, which determine the rest for real numbers.

    Raises the errors of `fft`.

    >>> import numpy as np
    >>> rfft(np.array([1.0, 0.0, 0.0, 0.0]))
    (array([1., 1., 1.]), array([0., 0., 0.]))
    """
    real, imag = _transformed("rfft", x, None, n, axis, norm, False)
    shape = array_of("rfft", real).shape
    half = (*(slice(None),) * (axis % len(shape)), slice(shape[axis] // 2 + 1))
    return get_item(real, half), get_item(imag, half)


@named_in_errors
@upcast_inputs(2)
def irfft(real: Operand, imag: Operand, n: int | None = None, axis: int = -1, norm: str | None = None) -> Result:
    """The inverse of `rfft`: the ``n`` real numbers with this transform; ``n`` is even by default.

    The imaginary parts of the first element and, for even ``n``, of the last are ignored.
    Raises the errors of `fft`.

    >>> import numpy as np
    >>> irfft(np.array([1.0, 1.0, 1.0]), np.zeros(3))
    array([1., 0., 0., 0.])
    """
    shape = array_of("irfft", real).shape
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"irfft: axis {axis} is not one of x {shape}")
    axis %= len(shape)
    n = 2 * (shape[axis] - 1) if n is None else n
    if n < 1:
        raise ArgumentError(f"irfft: a transform needs one element or more along axis {axis} of x {shape}, not {n}")
    before, m = (slice(None),) * axis, n // 2 + 1
    parts = []
    for part, sign in ((real, 1), (imag, -1)):
        data = array_of("irfft", part)
        half = part if data.shape[axis] >= m else _padded(part, m, axis)
        half = get_item(half, (*before, slice(m)))
        # The second half is the mirrored complex conjugate of the first.
        mirrored = flip(get_item(half, (*before, slice(1, n - m + 1))), axis)
        parts.append(concatenate([half, mirrored if sign > 0 else neg(mirrored)], axis))
    return ifft(parts[0], parts[1], n, axis, norm)[0]


def _padded(x: Operand, n: int, axis: int) -> Result:
    shape = array_of("irfft", x).shape
    return pad(x, [(0, n - m if i == axis else 0) for i, m in enumerate(shape)])
