"""Positions in a sequence: rotary and sinusoidal encodings, and biases that grow with the distance."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from passus.arguments import checked_count, checked_dtype, checked_flag, checked_number
from passus.backend import Array
from passus.core import HALF, INTEGERS, Operand, Result, Unary, Variable
from passus.errors import DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of

__all__ = ["Rotary", "alibi_bias", "rotary", "sinusoidal_positions"]


class Rotary(Unary):
    """Rotation of pairs of features; its derivative is the rotation by the opposite angles."""

    widened = HALF + INTEGERS
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


def rotary(x: Operand, positions: int | Array = 0, base: float = 10000.0, *, interleaved: bool = False) -> Result:
    """Rotate each pair i of features by the angle ``position * base ** (-2 * i / D)``; x (..., T, D) to the same shape.

    The product of a rotated query and a rotated key depends on the distance of their positions only. Pair i is the
    features i and i + D / 2; with ``interleaved``, the features 2 i and 2 i + 1.

    ``positions``: the position of the first element, followed by consecutive ones; or an array of positions, which
    broadcasts to (..., T), such as (T,), or (N, 1, T) for heads (N, H, T, D).

    Raises `ShapeError` for an odd D, or for positions of another shape; `ArgumentError` for a base that is not positive.
    Source: Su et al., 2021, "RoFormer: enhanced transformer with rotary position embedding".

    >>> import numpy as np
    >>> rotary(np.array([[1.0, 0.0], [1.0, 0.0]])).round(2)
    array([[1.  , 0.  ],
           [0.54, 0.84]])
    """
    shape = array_of("rotary", x).shape
    base = checked_number("rotary", "base", base, open_low=True)
    interleaved = checked_flag("rotary", "interleaved", interleaved)
    if len(shape) < 2 or shape[-1] % 2:
        raise ShapeError(f"rotary: x {shape} must be (..., T, D) with an even number D of features")
    narrow = array_of("rotary", x).dtype == np.float32
    if isinstance(positions, (int, np.integer)) and not isinstance(positions, bool):
        start = checked_count("rotary", "positions", positions, low=0)
        cos, sin = _tables(1 << max(start + shape[-2] - 1, 1).bit_length(), shape[-1], base, narrow)
        return Rotary(cos[start : start + shape[-2]], sin[start : start + shape[-2]], interleaved)(x)
    if isinstance(positions, Variable):
        positions = positions.data
    if not isinstance(positions, np.ndarray) or positions.dtype.kind not in "fiu":
        raise DTypeError(f"rotary: positions is {kind_of(positions)}; give the first position, or an array of numbers")
    if not _broadcasts(positions.shape, shape[:-1]):
        raise ShapeError(
            f"rotary: positions {positions.shape} must broadcast to {shape[:-1]}, the shape of x {shape} without its features"
        )
    angles = positions[..., None] * _frequencies(shape[-1], base)
    return Rotary(np.cos(angles), np.sin(angles), interleaved)(x)


def _frequencies(size: int, base: float) -> Array:
    return base ** (np.arange(0, size, 2) / -max(size, 1))


@lru_cache(maxsize=32)
def _tables(length: int, size: int, base: float, narrow: bool) -> tuple[Array, Array]:
    """Cosines and sines of the angles of the first positions."""
    angles = np.arange(length)[:, None] * _frequencies(size, base)
    cos, sin = (v.astype(np.float32) if narrow else v for v in (np.cos(angles), np.sin(angles)))
    cos.flags.writeable = sin.flags.writeable = False
    return cos, sin


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(shape[::-1], to[::-1]))


def sinusoidal_positions(
    positions: int | Array, size: int, base: float = 10000.0, dtype: DTypeLike = np.float32
) -> Array:
    """The fixed encoding (..., size) of positions: feature 2 i is ``sin(position / base ** (2 * i / size))``, and feature
    2 i + 1 its cosine.

    ``positions``: an array (...) of them, or how many from 0 on. Raises `ArgumentError` for a number out of range,
    `DTypeError` for what is none. Source: Vaswani et al., 2017, "Attention is all you need".

    >>> sinusoidal_positions(2, 4).round(2)
    array([[0.  , 1.  , 0.  , 1.  ],
           [0.84, 0.54, 0.01, 1.  ]], dtype=float32)
    """
    name = "sinusoidal_positions"
    size, base = checked_count(name, "size", size), checked_number(name, "base", base, open_low=True)
    if isinstance(positions, (np.ndarray, Variable)):
        places = array_of(name, positions)
    else:
        places = np.arange(checked_count(name, "positions", positions, low=0))
    angles = places[..., None] * _frequencies(size, base)
    pairs = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(*places.shape, size + size % 2)
    return pairs[..., :size].astype(checked_dtype(name, dtype, kinds="f"))


def alibi_bias(n_heads: int, queries: int, keys: int | None = None, dtype: DTypeLike = np.float32) -> Array:
    """The bias (H, T, S) that is added to the scores of attention: ``-slope * distance`` of a query and a key.

    The slopes of H heads are ``2 ** (-8 * h / H)`` for h from 1 to H if H is a power of two; else those of the power
    of two below, and for the rest every second one of twice as many. ``queries``: T; ``keys``: S, of which the last T
    are at the positions of the queries; T if left out.

    Raises `ArgumentError` for a number out of range, or for fewer keys than queries.
    Source: Press, Smith and Lewis, 2021, "Train short, test long: attention with linear biases".

    >>> alibi_bias(2, 2)[0]
    array([[ 0.    , -0.0625],
           [-0.0625,  0.    ]], dtype=float32)
    """
    H, T = checked_count("alibi_bias", "n_heads", n_heads), checked_count("alibi_bias", "queries", queries, low=0)
    S = T if keys is None else checked_count("alibi_bias", "keys", keys, low=T)
    distances = abs(np.arange(S) - np.arange(S - T, S)[:, None])
    return (_slopes(H)[:, None, None] * -distances).astype(checked_dtype("alibi_bias", dtype, kinds="f"))


def _slopes(n_heads: int) -> Array:
    known = 1 << n_heads.bit_length() - 1
    between = np.arange(1, 2 * (n_heads - known), 2) / (2 * known)
    return np.asarray(2.0 ** (-8 * np.concatenate([np.arange(1, known + 1) / known, between])))
