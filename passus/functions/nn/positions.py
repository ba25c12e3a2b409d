"""Positional encodings: rotary, sinusoidal, and linear biases (ALiBi)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from passus.arguments import checked_count, checked_dtype, checked_flag, checked_integer, checked_number
from passus.backend import Array, backend_of, is_array
from passus.backend.trace import is_numpy
from passus.core import HALF, INTEGERS, Operand, Result, Unary, Variable
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of

__all__ = ["Rotary", "RotaryScaling", "alibi_bias", "rotary", "sinusoidal_positions"]


class Rotary(Unary):
    """Rotation of pairs of features. The gradient is rotated by the opposite angles."""

    upcast_dtypes = HALF + INTEGERS
    constants: ClassVar[tuple[str, ...]] = ("cos", "sin")

    def __init__(self, cos: Array, sin: Array, interleaved: bool) -> None:
        self.cos, self.sin, self.interleaved = cos, sin, interleaved

    def forward(self, x: Array) -> Array:
        half = x.shape[-1] // 2
        a, b = (x[..., ::2], x[..., 1::2]) if self.interleaved else (x[..., :half], x[..., half:])
        cos, sin = (self.xp.asarray(v.astype(x.dtype, copy=False)) for v in (self.cos, self.sin))
        rotated = a * cos - b * sin, b * cos + a * sin
        if self.interleaved:
            return self.xp.stack(rotated, axis=-1).reshape(x.shape)
        return self.xp.concatenate(rotated, axis=-1)

    def backward(self, gy: Any) -> Any:
        return Rotary(self.cos, -self.sin, self.interleaved)(gy)


@dataclass(frozen=True)
class RotaryScaling:
    """Lower frequencies for rotary encodings, for sequences longer than those of the training.

    All frequencies f are divided by ``factor``. With the three other options, as in Llama 3, only wavelengths of more
    than ``original_max_len / low_freq_factor`` positions are; wavelengths of less than
    ``original_max_len / high_freq_factor`` are unchanged; between them, the frequency is ``f * (s + (1 - s) / factor)``
    with s linear in f from 0 to 1. ``original_max_len``: the maximum sequence length of the training.

    Raises `ArgumentError` for numbers out of range, and if only some of the three options are given. Sources: Chen et
    al., 2023, "Extending context window of large language models via positional interpolation"; Grattafiori et al.,
    2024, "The Llama 3 herd of models", and its published program.

    >>> import numpy as np
    >>> RotaryScaling(4.0)(np.array([1.0, 0.1]))
    array([0.25 , 0.025])
    >>> RotaryScaling(8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_len=8192)(np.array([1.0, 1e-4]))
    array([1.00e+00, 1.25e-05])
    """

    factor: float
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_len: int | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        checked_number(name, "factor", self.factor, open_low=True)
        options = (self.low_freq_factor, self.high_freq_factor, self.original_max_len)
        if all(option is None for option in options):
            return
        if any(option is None for option in options):
            raise ArgumentError(
                f"{name}: low_freq_factor, high_freq_factor and original_max_len are {options}; give all three, or none of them"
            )
        low = checked_number(name, "low_freq_factor", self.low_freq_factor, open_low=True)
        checked_number(name, "high_freq_factor", self.high_freq_factor, low, open_low=True)
        checked_count(name, "original_max_len", self.original_max_len)

    def __call__(self, frequencies: Array) -> Array:
        """The scaled frequencies."""
        if self.low_freq_factor is None or self.high_freq_factor is None or self.original_max_len is None:
            return frequencies / self.factor
        cycles = self.original_max_len * frequencies / (2 * math.pi)
        weight = np.clip((cycles - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor), 0, 1)
        return frequencies * (weight + (1 - weight) / self.factor)


def rotary(
    x: Operand,
    positions: int | Array = 0,
    base: float = 10000.0,
    *,
    scaling: RotaryScaling | None = None,
    interleaved: bool = False,
) -> Result:
    """Rotate each pair i of features by the angle ``position * base ** (-2 * i / D)``; x (..., T, D) to the same shape.

    The product of a rotated query and a rotated key depends only on the distance of their positions. Pair i consists of
    the features i and i + D / 2, or 2 i and 2 i + 1 with ``interleaved``.

    ``positions``: the position of the first element, or an array of positions that broadcasts to (..., T), such as
    (T,), or (N, 1, T) for heads (N, H, T, D). ``scaling``: a `RotaryScaling` of the frequencies
    ``base ** (-2 * i / D)``.

    Raises `ShapeError` for an odd D, or for positions of another shape; `ArgumentError` for a base that is not
    positive. Source: Su et al., 2021, "RoFormer: enhanced transformer with rotary position embedding".

    >>> import numpy as np
    >>> rotary(np.array([[1.0, 0.0], [1.0, 0.0]])).round(2)
    array([[1.  , 0.  ],
           [0.54, 0.84]])
    """
    shape = array_of("rotary", x).shape
    base = checked_number("rotary", "base", base, open_low=True)
    scaling = checked_scaling("rotary", "scaling", scaling)
    interleaved = checked_flag("rotary", "interleaved", interleaved)
    if len(shape) < 2 or shape[-1] % 2:
        raise ShapeError(f"rotary: x {shape} must be (..., T, D) with an even number D of features")
    narrow = array_of("rotary", x).dtype == np.float32
    if isinstance(positions, (int, np.integer)) and not isinstance(positions, bool):
        start = checked_count("rotary", "positions", positions, low=0)
        cos, sin = _tables(1 << max(start + shape[-2] - 1, 1).bit_length(), shape[-1], base, scaling, narrow)
        return Rotary(cos[start : start + shape[-2]], sin[start : start + shape[-2]], interleaved)(x)
    if isinstance(positions, Variable):
        positions = positions.data
    if not is_array(positions) or positions.dtype.kind not in "fiu":
        raise DTypeError(f"rotary: positions is {kind_of(positions)}; give the first position, or an array of numbers")
    if not _broadcasts(positions.shape, shape[:-1]):
        raise ShapeError(
            f"rotary: positions {positions.shape} must broadcast to {shape[:-1]}, the shape of x {shape} without its features"
        )
    angles = positions[..., None] * _frequencies(shape[-1], base, scaling)
    xp = backend_of(angles).xp
    return Rotary(xp.cos(angles), xp.sin(angles), interleaved)(x)


def checked_scaling(where: str, name: str, value: Any) -> RotaryScaling | None:
    """Return ``value``. Raises `DTypeError` unless it is a `RotaryScaling` or None.

    >>> checked_scaling("GPT", "rotary_scaling", None)
    """
    if value is not None and not isinstance(value, RotaryScaling):
        raise DTypeError(
            f"{where}: {name} is {kind_of(value)}; give a passus.functions.RotaryScaling, such as RotaryScaling(2.0)"
        )
    return value


def _frequencies(size: int, base: float, scaling: RotaryScaling | None = None) -> Array:
    frequencies = base ** (np.arange(0, size, 2) / -max(size, 1))
    return frequencies if scaling is None else scaling(frequencies)


@lru_cache(maxsize=32)
def _tables(length: int, size: int, base: float, scaling: RotaryScaling | None, narrow: bool) -> tuple[Array, Array]:
    """The cosines and sines for the first ``length`` positions."""
    angles = np.arange(length)[:, None] * _frequencies(size, base, scaling)
    cos, sin = (v.astype(np.float32) if narrow else v for v in (np.cos(angles), np.sin(angles)))
    cos.flags.writeable = sin.flags.writeable = False
    return cos, sin


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(shape[::-1], to[::-1]))


def sinusoidal_positions(
    positions: int | Array, size: int, base: float = 10000.0, dtype: DTypeLike = np.float32
) -> Array:
    """The sinusoidal encoding (..., size) of positions: feature 2 i is ``sin(position / base ** (2 * i / size))``, and
    feature 2 i + 1 the cosine.

    ``positions``: an array (...), or the number of positions from 0. Raises `ArgumentError` for numbers out of range,
    `DTypeError` for other types. Source: Vaswani et al., 2017, "Attention is all you need".

    >>> sinusoidal_positions(2, 4).round(2)
    array([[0.  , 1.  , 0.  , 1.  ],
           [0.84, 0.54, 0.01, 1.  ]], dtype=float32)
    """
    name = "sinusoidal_positions"
    size, base = checked_count(name, "size", size), checked_number(name, "base", base, open_low=True)
    if isinstance(positions, Variable) or is_array(positions):
        given = array_of(name, positions)
    else:
        given = np.arange(checked_count(name, "positions", positions, low=0))
    angles = given[..., None] * _frequencies(size, base)
    xp = backend_of(angles).xp
    pairs = xp.stack([xp.sin(angles), xp.cos(angles)], axis=-1).reshape(*given.shape, size + size % 2)
    return pairs[..., :size].astype(checked_dtype(name, dtype, kinds="f"))


def alibi_bias(
    n_heads: int,
    queries: int,
    keys: int | None = None,
    dtype: DTypeLike = np.float32,
    start: int | Array | None = None,
) -> Array:
    """The ALiBi bias (H, T, S) of attention scores: ``-slope * distance`` of each query and key.

    The slopes of H heads are ``2 ** (-8 * h / H)`` for h from 1 to H if H is a power of two; otherwise those of the
    next lower power of two, followed by every second slope of twice as many heads. ``queries``: T; ``keys``: S, T by
    default. ``start``: the position of the first query among the keys, an integer or an array without axes; S - T by
    default.

    Raises `ArgumentError` for a number out of range, or for fewer keys than queries.
    Source: Press, Smith and Lewis, 2021, "Train short, test long: attention with linear biases".

    >>> alibi_bias(2, 2)[0]
    array([[ 0.    , -0.0625],
           [-0.0625,  0.    ]], dtype=float32)
    """
    H, T = checked_count("alibi_bias", "n_heads", n_heads), checked_count("alibi_bias", "queries", queries, low=0)
    S = T if keys is None else checked_count("alibi_bias", "keys", keys, low=T)
    first = S - T if start is None else start if is_numpy(start) else checked_integer("alibi_bias", "start", start)
    distances = abs(np.arange(S) - (first + np.arange(T))[:, None])
    return (_slopes(H)[:, None, None] * -distances).astype(checked_dtype("alibi_bias", dtype, kinds="f"))


def _slopes(n_heads: int) -> Array:
    known = 1 << n_heads.bit_length() - 1
    between = np.arange(1, 2 * (n_heads - known), 2) / (2 * known)
    return np.asarray(2.0 ** (-8 * np.concatenate([np.arange(1, known + 1) / known, between])))
