"""Complex results of NumPy's transforms: pairs of Variables, the real and the imaginary part."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.core import Result, Variable
from passus.core.protocol import no_rule
from passus.errors import DTypeError
from passus.functions.arrays import angles, joining, shapes
from passus.functions.arrays import reductions as r
from passus.functions.numpy_api import matrices
from passus.functions.numpy_api.operands import array_in, operand

__all__ = ["ComplexPair", "real_and_imag"]


class ComplexPair:
    """An array of complex numbers with gradients: ``real`` and ``imag`` are Variables.

    It is the result of ``np.fft.fft(x)`` for a Variable, and supports arithmetic and indexing. ``np.abs(z)``,
    ``np.angle(z)``, ``z.real`` and ``np.fft.irfft(z)`` give Variables.

    >>> z = np.fft.rfft(Variable(np.array([1.0, 0.0, 0.0, 0.0])))
    >>> abs(z * 2j)
    variable([2. 2. 2.])
    """

    __array_priority__ = 300

    def __init__(self, real: Any, imag: Any) -> None:
        self.real, self.imag = real, imag

    @property
    def data(self) -> Any:
        """The complex numbers as an array."""
        return array_in(self.real) + 1j * array_in(self.imag)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of both parts."""
        shape: tuple[int, ...] = self.real.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self.real.size)

    @property
    def dtype(self) -> Any:
        """The complex dtype."""
        return np.result_type(self.real.dtype, np.complex64)

    def __len__(self) -> int:
        return len(self.real)

    def __repr__(self) -> str:
        return f"ComplexPair({self.real!r}, {self.imag!r})"

    def __getitem__(self, index: Any) -> ComplexPair:
        return ComplexPair(self.real[index], self.imag[index])

    def __neg__(self) -> ComplexPair:
        return ComplexPair(-self.real, -self.imag)

    def __pos__(self) -> ComplexPair:
        return self

    def __abs__(self) -> Result:
        return angles.hypot(self.real, self.imag)

    def __add__(self, other: Any) -> ComplexPair:
        real, imag = real_and_imag(other)
        return ComplexPair(self.real + real, self.imag + imag)

    __radd__ = __add__

    def __sub__(self, other: Any) -> ComplexPair:
        return self + (-_pair(other))

    def __rsub__(self, other: Any) -> ComplexPair:
        return _pair(other) + (-self)

    def __mul__(self, other: Any) -> ComplexPair:
        real, imag = real_and_imag(other)
        return ComplexPair(self.real * real - self.imag * imag, self.real * imag + self.imag * real)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> ComplexPair:
        other = _pair(other)
        length = other.real * other.real + other.imag * other.imag
        product = self * other.conj()
        return ComplexPair(product.real / length, product.imag / length)

    def __rtruediv__(self, other: Any) -> ComplexPair:
        return _pair(other) / self

    def __pow__(self, exponent: int) -> ComplexPair:
        if not isinstance(exponent, int) or exponent < 1:
            raise DTypeError(f"z ** {exponent!r}: the power of complex numbers has a rule for 1, 2, 3 and so on")
        y = self
        for _ in range(exponent - 1):
            y = y * self
        return y

    def conj(self) -> ComplexPair:
        """The complex conjugate."""
        return ComplexPair(self.real, -self.imag)

    conjugate = conj

    def sum(self, axis: Any = None, keepdims: bool = False) -> ComplexPair:
        """The sum along axes."""
        return ComplexPair(r.sum(self.real, axis, keepdims), r.sum(self.imag, axis, keepdims))

    def mean(self, axis: Any = None, keepdims: bool = False) -> ComplexPair:
        """The mean along axes."""
        return ComplexPair(r.mean(self.real, axis, keepdims), r.mean(self.imag, axis, keepdims))

    def reshape(self, *shape: Any) -> ComplexPair:
        """Reshape both parts."""
        return ComplexPair(self.real.reshape(*shape), self.imag.reshape(*shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise DTypeError(
            "a ComplexPair cannot become an array without losing its gradients; compute with z.real and z.imag, or use z.data if "
            "no gradient is needed"
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "__call__" and ufunc in PAIR_FUNCTIONS and not options:
            return PAIR_FUNCTIONS[ufunc](*[_pair(x) for x in inputs])
        raise no_rule(f"np.{ufunc.__name__} of complex numbers", sorted(options))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in PAIR_FUNCTIONS:
            return PAIR_FUNCTIONS[func](*args, **kwargs)
        raise no_rule(f"np.{func.__name__} of complex numbers", [])


def real_and_imag(x: Any) -> tuple[Any, Any]:
    """The real and imaginary part of a pair, or of complex or real numbers."""
    if isinstance(x, ComplexPair):
        return x.real, x.imag
    if isinstance(x, (int, float, complex)):
        return x.real, x.imag
    x = operand(x)
    return (x, 0.0) if isinstance(x, Variable) or x.dtype.kind != "c" else (x.real.copy(), x.imag.copy())


def _pair(x: Any) -> ComplexPair:
    return x if isinstance(x, ComplexPair) else ComplexPair(*real_and_imag(x))


def _angle(z: Any, deg: bool = False) -> Result:
    radians = angles.arctan2(z.imag, z.real)
    return angles.rad2deg(radians) if deg else radians


def _norm(z: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Result:
    """The norms that depend on absolute values only."""
    of_matrices = ord is not None and (isinstance(axis, tuple) or (axis is None and z.ndim > 1))
    if of_matrices and ord not in ("fro", "f", 1, -1, np.inf, -np.inf):
        raise no_rule(f"np.linalg.norm of complex matrices with ord={ord!r}", [])
    return matrices.norm(abs(z), ord, axis, keepdims)


def _on_each(function: Any) -> Any:
    """Apply a function of real arrays to both parts."""

    def on_both_parts(z: Any, *args: Any, **options: Any) -> ComplexPair:
        return ComplexPair(function(z.real, *args, **options), function(z.imag, *args, **options))

    return on_both_parts


def _concatenate(zs: Any, axis: Any = 0) -> ComplexPair:
    pairs = [_pair(z) for z in zs]
    return ComplexPair(*[joining.concatenate([getattr(z, part) for z in pairs], axis) for part in ("real", "imag")])


PAIR_FUNCTIONS: dict[Any, Any] = {
    np.add: lambda a, b: a + b,
    np.subtract: lambda a, b: a - b,
    np.multiply: lambda a, b: a * b,
    np.divide: lambda a, b: a / b,
    np.negative: lambda z: -z,
    np.positive: lambda z: z,
    np.absolute: abs,
    np.square: lambda z: z * z,
    np.conjugate: ComplexPair.conj,
    np.real: lambda z: z.real,
    np.imag: lambda z: z.imag,
    np.angle: _angle,
    np.iscomplex: lambda z: array_in(z.imag) != 0,
    np.isreal: lambda z: array_in(z.imag) == 0,
    np.linalg.norm: _norm,
    np.sum: ComplexPair.sum,
    np.mean: ComplexPair.mean,
    np.concatenate: _concatenate,
    np.reshape: _on_each(shapes.reshape),
    np.ravel: _on_each(shapes.ravel),
    np.transpose: _on_each(shapes.transpose),
    np.swapaxes: _on_each(shapes.swapaxes),
    np.moveaxis: _on_each(shapes.moveaxis),
    np.shape: lambda z: z.shape,
    np.ndim: lambda z: z.ndim,
    np.size: lambda z: z.size,
    np.iscomplexobj: lambda z: True,
    np.isrealobj: lambda z: False,
}
"""NumPy's functions with a rule for complex numbers; `fourier` adds the transforms."""
