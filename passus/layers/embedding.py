"""Embeddings: a trained vector for each integer."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count
from passus.core import Operand, Result
from passus.initializers import Initializer, normal
from passus.layers.base import Layer
from passus.layers.lazy import LazyParameter
from passus.random import RNG

__all__ = ["EmbedID", "Embedding"]


class Embedding(Layer):
    """A trained vector for each integer from 0 to ``in_size - 1``: (N, ...) to (N, ..., ``out_size``).

    ``initializer``: of the vectors, `normal` by default. Raises `LabelError` for an integer out of range, `DTypeError`
    for inputs that are no integers.

    >>> Embedding(10, 4, rng=0)(np.array([3, 3, 7])).shape
    (3, 4)
    """

    def __init__(
        self,
        in_size: int,
        out_size: int,
        dtype: DTypeLike = np.float32,
        initializer: Initializer | None = None,
        rng: RNG = None,
    ) -> None:
        shape = checked_count("Embedding", "in_size", in_size), checked_count("Embedding", "out_size", out_size)
        self.W = LazyParameter(shape, initializer or normal, dtype, rng, name="W")

    def forward(self, x: Operand) -> Result:
        return F.embed_id(x, self.W)


EmbedID = Embedding
"""DeZero's name."""
