"""NumPy's discrete Fourier transforms of Variables and complex pairs, along one or several axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from passus.core import Result
from passus.functions.arrays import arrangement, fourier
from passus.functions.arrays.arithmetic import mul
from passus.functions.numpy_api.complex_pairs import PAIR_FUNCTIONS, ComplexPair, real_and_imag
from passus.functions.numpy_api.operands import operand, refuse

__all__: list[str] = []


def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> ComplexPair:
    refuse("np.fft.fft", out=out)
    return ComplexPair(*fourier.fft(*_real_and_imag(a), n, axis, norm))


def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> ComplexPair:
    refuse("np.fft.ifft", out=out)
    return ComplexPair(*fourier.ifft(*_real_and_imag(a), n, axis, norm))


def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> ComplexPair:
    refuse("np.fft.rfft", out=out)
    return ComplexPair(*fourier.rfft(operand(a), n, axis, norm))


def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Result:
    refuse("np.fft.irfft", out=out)
    real, imag = _real_and_imag(a)
    return fourier.irfft(real, mul(real, 0.0) if imag is None else imag, n, axis, norm)


SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Result:
    z = ComplexPair(*real_and_imag(a))
    z = ComplexPair(z.real, mul(z.real, 0.0)) if isinstance(z.imag, float) else z.conj()
    return irfft(z, n, axis, SWAPPED[norm], out)


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> ComplexPair:
    return rfft(a, n, axis, SWAPPED[norm], out).conj()


def _real_and_imag(a: Any) -> tuple[Any, Any]:
    real, imag = real_and_imag(a)
    return real, None if isinstance(imag, float) else imag


def _axes(a: Any, s: Any, axes: Any) -> list[tuple[int | None, int]]:
    """The transformed axes with their lengths; None keeps the length."""
    numbers = list(range(-len(s), 0) if s is not None else range(a.ndim)) if axes is None else list(axes)
    lengths = [None] * len(numbers) if s is None else [None if n is None or n == -1 else int(n) for n in s]
    return list(zip(lengths, numbers, strict=True))


def _along_all(transform: Any, a: Any, s: Any, axes: Any, norm: str | None, out: Any) -> Any:
    refuse("np.fft.fftn", out=out)
    for n, axis in reversed(_axes(a, s, axes)):
        a = transform(a, n, axis, norm)
    return a


def fftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    return _along_all(fft, a, s, axes, norm, out)


def ifftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    return _along_all(ifft, a, s, axes, norm, out)


def rfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    *others, (n, last) = _axes(a, s, axes)
    z = rfft(a, n, last, norm)
    return _along_all(fft, z, [-1 if n is None else n for n, _ in others], [axis for _, axis in others], norm, out)


def irfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Result:
    *others, (n, last) = _axes(a, s, axes)
    z = _along_all(ifft, a, [-1 if n is None else n for n, _ in others], [axis for _, axis in others], norm, out)
    return irfft(z, n, last, norm)


def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    return fftn(a, s, axes, norm, out)


def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    return ifftn(a, s, axes, norm, out)


def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    return rfftn(a, s, axes, norm, out)


def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Result:
    return irfftn(a, s, axes, norm, out)


def fftshift(x: Any, axes: Any = None) -> Any:
    return _shifted(x, axes, 1)


def ifftshift(x: Any, axes: Any = None) -> Any:
    return _shifted(x, axes, -1)


def _shifted(x: Any, axes: Any, sign: int) -> Any:
    numbers = list(range(x.ndim)) if axes is None else np.atleast_1d(axes).tolist()
    shifts = [x.shape[a] // 2 if sign > 0 else -(x.shape[a] // 2) for a in numbers]
    if isinstance(x, ComplexPair):
        return ComplexPair(*[arrangement.roll(part, shifts, tuple(numbers)) for part in (x.real, x.imag)])
    return arrangement.roll(x, shifts, tuple(numbers))


FOURIER: dict[Any, Callable[..., Any]] = {
    np.fft.fft: fft,
    np.fft.ifft: ifft,
    np.fft.rfft: rfft,
    np.fft.irfft: irfft,
    np.fft.hfft: hfft,
    np.fft.ihfft: ihfft,
    np.fft.fftn: fftn,
    np.fft.ifftn: ifftn,
    np.fft.rfftn: rfftn,
    np.fft.irfftn: irfftn,
    np.fft.fft2: fft2,
    np.fft.ifft2: ifft2,
    np.fft.rfft2: rfft2,
    np.fft.irfft2: irfft2,
    np.fft.fftshift: fftshift,
    np.fft.ifftshift: ifftshift,
}
"""The functions for NumPy's transforms."""

PAIR_FUNCTIONS.update(FOURIER)
