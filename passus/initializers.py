"""Initial values of parameters: functions of a shape that return an array.

Each takes ``(shape, dtype, rng)``, and can be passed to a layer as its ``initializer``; fix the keyword options with
`functools.partial`. Those named after authors preserve the variance of the signal from layer to layer. They depend on the
numbers of inputs ``fan_in`` and outputs ``fan_out`` of one unit: I and O for a matrix (I, O), C * KH * KW and O * KH * KW
for a kernel (O, C, KH, KW).

All raise `ArgumentError` or `DTypeError` for invalid shapes, dtypes that are not floating-point, and options that are not
finite numbers.

>>> from functools import partial
>>> small = partial(normal, std=0.02)
>>> small((3, 4), rng=0).shape
(3, 4)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from passus.arguments import checked_count, checked_dtype, checked_number, checked_real
from passus.backend import Array
from passus.errors import ArgumentError, ShapeError
from passus.random import RNG, get_rng

__all__ = [
    "Initializer",
    "constant",
    "fans",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "zeros",
]

Initializer: TypeAlias = Callable[..., Array]
"""A function ``(shape, dtype, rng)`` that returns an array."""

Shape: TypeAlias = tuple[int, ...]


def zeros(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None) -> Array:
    """An array of zeros.

    >>> zeros((2,))
    array([0., 0.], dtype=float32)
    """
    return np.zeros(*_checked("zeros", shape, dtype))


def ones(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None) -> Array:
    """An array of ones.

    >>> ones((2,))
    array([1., 1.], dtype=float32)
    """
    return np.ones(*_checked("ones", shape, dtype))


def constant(value: float) -> Initializer:
    """An initializer that fills arrays with one value.

    >>> constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """
    # A partial rather than a closure, because it can be pickled.
    return partial(_full, value=checked_real("constant", "value", value))


def normal(
    shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None, *, mean: float = 0.0, std: float = 1.0
) -> Array:
    """Samples of the normal distribution. Raises `ArgumentError` for a negative ``std``.

    >>> normal((2, 3), rng=0).shape
    (2, 3)
    """
    std, mean = checked_number("normal", "std", std), checked_number("normal", "mean", mean, -math.inf)
    lengths, kind = _checked("normal", shape, dtype)
    return _scaled(_standard_normal(lengths, kind, get_rng(rng)), std, mean, kind)


def truncated_normal(
    shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None, *, mean: float = 0.0, std: float = 1.0
) -> Array:
    """Samples of the normal distribution truncated to ``2 * std`` around the mean.

    Values outside are redrawn; the standard deviation of the result is ``0.88 * std``. Raises `ArgumentError` for a
    negative ``std``.

    >>> bool(abs(truncated_normal((1000,), rng=0)).max() <= 2)
    True
    """
    name, generator = "truncated_normal", get_rng(rng)
    std, mean = checked_number(name, "std", std), checked_number(name, "mean", mean, -math.inf)
    lengths, kind = _checked(name, shape, dtype)
    x = _standard_normal(lengths, kind, generator)
    while (outside := abs(x) > 2).any():
        x[outside] = _standard_normal((int(outside.sum()),), kind, generator)
    return _scaled(x, std, mean, kind)


def uniform(
    shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None, *, low: float = -1.0, high: float = 1.0
) -> Array:
    """Samples of the uniform distribution from ``low`` to ``high``.

    Raises `ArgumentError` if ``low`` is above ``high``.

    >>> uniform((2, 3), rng=0).shape
    (2, 3)
    """
    low, high = [checked_number("uniform", name, x, -math.inf) for name, x in (("low", low), ("high", high))]
    if low > high:
        raise ArgumentError(f"uniform: low={low} must not be above high={high}")
    lengths, kind = _checked("uniform", shape, dtype)
    return _scaled(np.asarray(get_rng(rng).random(lengths, _sampling_dtype(kind))), high - low, low, kind)


def lecun_normal(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None) -> Array:
    """Normal samples of variance ``1 / fan_in`` (LeCun et al., Efficient BackProp, 1998); for SELU, tanh and no activation.

    Raises `ShapeError` for a shape of fewer than two axes.

    >>> lecun_normal((784, 10), rng=0).shape
    (784, 10)
    """
    return _fan_normal("lecun_normal", 1.0, 0.0, shape, dtype, rng)


def lecun_uniform(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None) -> Array:
    """Uniform samples of variance ``1 / fan_in`` (LeCun et al., Efficient BackProp, 1998).

    Raises `ShapeError` for a shape of fewer than two axes.

    >>> lecun_uniform((784, 10), rng=0).shape
    (784, 10)
    """
    return _fan_uniform("lecun_uniform", 1.0, 0.0, shape, dtype, rng)


def glorot_normal(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None) -> Array:
    """Normal samples of variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010); for tanh and sigmoid.

    Raises `ShapeError` for a shape of fewer than two axes.

    >>> glorot_normal((784, 10), rng=0).shape
    (784, 10)
    """
    return _fan_normal("glorot_normal", 0.5, 0.5, shape, dtype, rng)


def glorot_uniform(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None) -> Array:
    """Uniform samples of variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010); for tanh and sigmoid.

    Raises `ShapeError` for a shape of fewer than two axes.

    >>> glorot_uniform((784, 10), rng=0).shape
    (784, 10)
    """
    return _fan_uniform("glorot_uniform", 0.5, 0.5, shape, dtype, rng)


def he_normal(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None) -> Array:
    """Normal samples of variance ``2 / fan_in`` (He et al., Delving Deep into Rectifiers, 2015); for ReLU and its variants.

    Raises `ShapeError` for a shape of fewer than two axes.

    >>> he_normal((784, 10), rng=0).shape
    (784, 10)
    """
    return _fan_normal("he_normal", 0.5, 0.0, shape, dtype, rng)


def he_uniform(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None) -> Array:
    """Uniform samples of variance ``2 / fan_in`` (He et al., Delving Deep into Rectifiers, 2015); for ReLU and its variants.

    Raises `ShapeError` for a shape of fewer than two axes.

    >>> he_uniform((784, 10), rng=0).shape
    (784, 10)
    """
    return _fan_uniform("he_uniform", 0.5, 0.0, shape, dtype, rng)


def orthogonal(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None, *, gain: float = 1.0) -> Array:
    """A random orthogonal matrix times ``gain`` (Saxe et al., 2014), which preserves the norm of vectors.

    The axes after the first are flattened to one; the rows or columns, whichever are fewer, are orthonormal. Raises
    `ShapeError` for a shape of fewer than two axes.

    >>> W = orthogonal((3, 3), np.float64, rng=0)
    >>> bool(np.allclose(W @ W.T, np.eye(3)))
    True
    """
    fans(shape, "orthogonal")
    lengths, kind = _checked("orthogonal", shape, dtype)
    gain = checked_number("orthogonal", "gain", gain, -math.inf)
    rows, columns = lengths[0], math.prod(lengths[1:])
    Q, R = np.linalg.qr(get_rng(rng).standard_normal((max(rows, columns), min(rows, columns))))
    Q *= np.where(np.diag(R) < 0, -gain, gain)  # A unique R makes Q uniform over all orthogonal matrices.
    return np.ascontiguousarray(Q if rows >= columns else Q.T, dtype=kind).reshape(lengths)


def fans(shape: Shape, name: str = "fans") -> tuple[int, int]:
    """The numbers of inputs and outputs of one unit, ``fan_in, fan_out``; ``name``: the caller, for the message.

    Raises `ShapeError` for a shape of fewer than two axes.

    >>> fans((784, 10)), fans((64, 3, 5, 5))
    ((784, 10), (75, 1600))
    """
    shape = _lengths(name, shape)
    if len(shape) < 2:
        raise ShapeError(
            f"{name}: fan_in and fan_out of shape {shape} are undefined; give a matrix (I, O) or a kernel (O, C, KH, KW), "
            "or use normal or uniform"
        )
    if len(shape) == 2:
        return shape[0], shape[1]
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _full(shape: Shape, dtype: DTypeLike = np.float32, rng: RNG = None, *, value: float) -> Array:
    lengths, kind = _checked("constant", shape, dtype)
    return np.full(lengths, value, kind)


def _checked(name: str, shape: Shape, dtype: DTypeLike) -> tuple[Shape, np.dtype[Any]]:
    """Check the shape and the dtype."""
    return _lengths(name, shape), checked_dtype(name, dtype, kinds="f")


def _lengths(name: str, shape: Shape) -> Shape:
    lengths = shape if isinstance(shape, (tuple, list)) else (shape,)
    return tuple([checked_count(name, "shape", n, low=0) for n in lengths])


def _fan_normal(name: str, w_in: float, w_out: float, shape: Shape, dtype: DTypeLike, rng: RNG) -> Array:
    lengths, kind = _checked(name, shape, dtype)
    return normal(lengths, kind, rng, std=_std(name, w_in, w_out, lengths))


def _fan_uniform(name: str, w_in: float, w_out: float, shape: Shape, dtype: DTypeLike, rng: RNG) -> Array:
    lengths, kind = _checked(name, shape, dtype)
    bound = math.sqrt(3.0) * _std(name, w_in, w_out, lengths)
    return uniform(lengths, kind, rng, low=-bound, high=bound)


def _std(name: str, w_in: float, w_out: float, shape: Shape) -> float:
    """The standard deviation ``1 / sqrt(w_in * fan_in + w_out * fan_out)``."""
    fan_in, fan_out = fans(shape, name)
    return 1.0 / math.sqrt(w_in * fan_in + w_out * fan_out or 1.0)


def _standard_normal(shape: Shape, dtype: np.dtype[Any], rng: np.random.Generator) -> Array:
    return np.asarray(rng.standard_normal(shape, _sampling_dtype(dtype)))


def _scaled(x: Array, factor: float, shift: float, dtype: np.dtype[Any]) -> Array:
    """``x * factor + shift``, converted to ``dtype`` at the end, so that half precision is rounded once."""
    x *= factor
    x += shift
    return x.astype(dtype, copy=False)


def _sampling_dtype(dtype: np.dtype[Any]) -> Any:
    """The dtype in which generators sample: single or double precision; half precision is rounded from single."""
    return np.float64 if dtype == np.float64 else np.float32
