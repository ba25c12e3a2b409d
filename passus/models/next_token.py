"""The recorded step of generation: the logits of the next token, from caches of a fixed size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from passus.backend import Array
from passus.core import Operand
from passus.layers import KeyValueCache, Layer
from passus.layers.cache import FixedCache
from passus.recording import compile

if TYPE_CHECKING:
    from passus.models.generation import Generative

__all__ = ["NextToken", "capacity_for"]

LEAST_CAPACITY = 64
"""The size of the smallest caches."""


class NextToken:
    """`Generative.next_logits` as a program. There is one for each size of a cache, whatever its length is.

    A model that cannot be recorded warns once, and runs without a program.
    """

    def __init__(self, model: Generative) -> None:
        self._logits: Any = compile(NextLogits(model), fallback=True)

    def __call__(self, ids: Array, key_mask: Array | None, cache: list[KeyValueCache]) -> Any:
        """The logits (N, V) after tokens ``ids`` (N, T) that follow those in the cache, which must not be empty."""
        length, count = cache[0].length, ids.shape[1]
        if key_mask is not None:
            future = np.ones((len(key_mask), cache[0].max_len - key_mask.shape[1]), bool)
            key_mask = np.concatenate([key_mask, future], axis=1)
        logits = self._logits(ids, key_mask, np.array(length), *[array for layer in cache for array in layer.fixed()])
        for layer in cache:
            layer.advance(count)
        return logits


class NextLogits(Layer):
    """The logits of the next token as a function of arrays: two for each cache."""

    def __init__(self, model: Generative) -> None:
        self.model = model

    def forward(self, ids: Operand, key_mask: Operand | None, length: Array, *arrays: Array) -> Any:
        cache: list[KeyValueCache] = [FixedCache(k, v, length) for k, v in zip(arrays[::2], arrays[1::2])]
        return self.model.next_logits(ids, key_mask, cache)


def capacity_for(length: int, max_len: int) -> int:
    """The size of a cache for a sequence: a power of two, so that sequences of many lengths share a few programs.

    >>> capacity_for(10, 1000), capacity_for(100, 1000), capacity_for(600, 1000)
    (64, 128, 1000)
    """
    return min(max_len, max(LEAST_CAPACITY, 1 << (length - 1).bit_length()))
