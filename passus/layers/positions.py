"""Positional encodings that are added to a sequence."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_number
from passus.backend import Array
from passus.backend.trace import is_numpy
from passus.core import Operand, Result
from passus.errors import ShapeError
from passus.functions.checks import array_of
from passus.initializers import Initializer, normal
from passus.layers.base import Layer
from passus.layers.inputs import in_dtype_of_parameter
from passus.layers.lazy import LazyParameter
from passus.random import RNG

__all__ = ["PositionEmbedding", "SinusoidalPositions", "positions_of"]


def positions_of(key_mask: Array) -> Array:
    """The positions (N, T) of elements, counted without padding, where the mask is False.

    >>> positions_of(np.array([[False, True, True]]))
    array([[0, 0, 1]])
    """
    return np.maximum(np.cumsum(key_mask, axis=1) - 1, 0)


class PositionEmbedding(Layer):
    """A trained vector for each position, added to a sequence: (..., T, D) to the same shape, for T up to ``max_len``.

    A call takes ``positions``: the position of the first element, or an integer array (..., T).
    ``initializer``: of the vectors, normal with standard deviation 0.02 by default.

    Raises `ShapeError` for positions of ``max_len`` or more, and for another D.

    >>> PositionEmbedding(16, 4, rng=0)(np.zeros((2, 3, 4), np.float32)).shape
    (2, 3, 4)
    """

    def __init__(
        self,
        max_len: int,
        d_model: int,
        initializer: Initializer | None = None,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
    ) -> None:
        self.max_len = checked_count("PositionEmbedding", "max_len", max_len)
        size = checked_count("PositionEmbedding", "d_model", d_model)
        self.W = LazyParameter((self.max_len, size), initializer or partial(normal, std=0.02), dtype, rng, name="W")

    def forward(self, x: Operand, positions: int | Array = 0) -> Result:
        shape = _sequence("PositionEmbedding", x)
        x = in_dtype_of_parameter(self, x, self.W)
        if is_numpy(positions):
            return F.add(x, F.embed_id(positions, self.W))
        start = checked_count("PositionEmbedding", "positions", positions, low=0)
        end = start + shape[-2]
        if end > self.max_len or shape[-1] != self.W.shape[1]:
            raise ShapeError(
                f"PositionEmbedding: x {shape} from position {start} on needs W ({end} or more, {shape[-1]}), and it is "
                f"{self.W.shape}; shorten the sequence or raise max_len"
            )
        rows = self.W if end - start == self.max_len else F.get_item(self.W, slice(start, end))
        return F.add(x, rows)


class SinusoidalPositions(Layer):
    """Adds `passus.functions.sinusoidal_positions` to a sequence: (..., T, D) to the same shape.

    A call takes ``positions``: the position of the first element, or an array (..., T).

    Raises `ShapeError` for an input that is not a sequence.

    >>> SinusoidalPositions()(np.zeros((1, 2, 2))).round(2)
    array([[[0.  , 1.  ],
            [0.84, 0.54]]])
    """

    def __init__(self, base: float = 10000.0) -> None:
        self.base = checked_number("SinusoidalPositions", "base", base, open_low=True)

    def forward(self, x: Operand, positions: int | Array = 0) -> Result:
        shape, dtype = _sequence("SinusoidalPositions", x), array_of("SinusoidalPositions", x).dtype
        if not is_numpy(positions):
            start = checked_count("SinusoidalPositions", "positions", positions, low=0)
            positions = np.arange(start, start + shape[-2])
        encoding = F.sinusoidal_positions(positions, shape[-1], self.base, dtype if dtype.kind == "f" else np.float32)
        return F.add(x, encoding)


def _sequence(layer: str, x: Any) -> tuple[int, ...]:
    """The shape of a sequence. Raises `ShapeError` for fewer than two axes."""
    shape: tuple[int, ...] = array_of(layer, x).shape
    if len(shape) < 2:
        raise ShapeError(f"{layer}: x {shape} must be a sequence (..., T, D)")
    return shape
