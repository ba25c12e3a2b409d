"""The cache of keys and values of attention, for decoding step by step."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from passus.arguments import checked_count
from passus.attributes import snapshot
from passus.backend import Array, backend_of
from passus.core import Operand, Variable
from passus.errors import GraphError, LabelError, ShapeError
from passus.functions.checks import array_of
from passus.functions.nn.attention import cached_attention
from passus.layers.undo import on_failure

__all__ = ["FixedCache", "KeyValueCache"]


class KeyValueCache:
    """The keys and values (N, H, S, D) of the first S positions, up to ``max_len``.

    Memory is allocated once and new positions are written into it, so a cache requires `no_grad`. The arrays that
    `append` returns are views that later calls leave unchanged. If a call of a layer or model fails, the caches that it
    changed are restored, so the call can be repeated.

    >>> import numpy as np
    >>> cache = KeyValueCache(8)
    >>> keys, values = cache.append(np.ones((1, 2, 3, 4)), np.ones((1, 2, 3, 4)))
    >>> keys, values = cache.append(np.ones((1, 2, 1, 4)), np.ones((1, 2, 1, 4)))
    >>> keys.shape, cache.length
    ((1, 2, 4, 4), 4)
    """

    def __init__(self, max_len: int) -> None:
        self.max_len = checked_count("KeyValueCache", "max_len", max_len)
        self.length: Any = 0
        """S, the number of cached positions."""
        self._keys: Array = None
        self._values: Array = None

    @property
    def keys(self) -> Array:
        """The cached keys (N, H, S, D)."""
        return self._keys[..., : self.length, :]

    @property
    def values(self) -> Array:
        """The cached values (N, H, S, D)."""
        return self._values[..., : self.length, :]

    def new_positions(self, count: int) -> Any:
        """The positions of the next ``count`` elements, as layers take them: that of the first one."""
        return self.length

    def columns(self, count: int) -> int:
        """The number of keys that a mask for the next ``count`` elements covers: S + ``count``."""
        return int(self.length) + count

    def append(self, k: Operand, v: Operand) -> tuple[Array, Array]:
        """Append the keys and values of new positions, (N, H, T, D), and return those of all positions.

        Raises `ShapeError` if the positions exceed ``max_len`` or the shapes do not fit, `GraphError` for inputs with
        gradients.
        """
        self._snapshot()
        new = _without_gradient("k", k), _without_gradient("v", v)
        count = new[0].shape[-2]
        start, end = self.length, self.length + count
        if end > self.max_len:
            raise ShapeError(
                f"KeyValueCache: {start} positions are cached and {count} are new, more than max_len={self.max_len}; make a "
                "longer cache, or start again with the last positions"
            )
        if not start:
            self._keys, self._values = [_empty(x, self.max_len) for x in new]
        for cached, x in zip((self._keys, self._values), new):
            *outer, _, features = cached.shape
            if x.shape != (*outer, count, features):
                raise ShapeError(
                    f"KeyValueCache: {x.shape} does not continue {(*outer, start, features)}; all axes but the positions "
                    "must be equal. Use a new cache for another batch"
                )
            cached[..., start:end, :] = x
        self.length = end
        return self.keys, self.values

    def fixed(self) -> tuple[Array, Array]:
        """The arrays (N, H, ``max_len``, D) of keys and values, for a `FixedCache`."""
        return self._keys, self._values

    def advance(self, count: int) -> None:
        """Count positions that a `FixedCache` has written."""
        self.length += count

    def select(self, rows: Any) -> None:
        """Replace the examples of the batch by those at these indices, as beam search does; indices may repeat.

        Raises `LabelError` for an index out of range.
        """
        self._snapshot()
        if self.length:
            try:
                self._keys, self._values = self._keys[rows], self._values[rows]
            except IndexError as error:
                raise LabelError(f"KeyValueCache.select: {error}; the cache has {len(self._keys)} examples") from error

    def clear(self) -> None:
        """Remove all positions."""
        self._snapshot()
        self.length, self._keys, self._values = 0, None, None

    def _snapshot(self) -> None:
        """Save the attributes: a checkpoint repeats its call with their old values, and a failed call restores them.

        Cached positions are never overwritten, so the attributes are enough.
        """
        snapshot(self, "length", "_keys", "_values")
        on_failure(partial(self._restore, self.length, self._keys, self._values))

    def _restore(self, length: int, keys: Array, values: Array) -> None:
        self.length, self._keys, self._values = length, keys, values


class FixedCache(KeyValueCache):
    """The arrays (N, H, ``max_len``, D) of a `KeyValueCache` in a recorded step, which one program writes at any length.

    ``length`` is an integer array without axes. Masks cover all ``max_len`` keys. `MultiHeadAttention` calls `attend`
    instead of `append`.

    >>> import numpy as np
    >>> cache = FixedCache(np.zeros((1, 2, 8, 4)), np.zeros((1, 2, 8, 4)), np.array(3))
    >>> cache.columns(1), cache.new_positions(2)
    (8, array([3, 4]))
    """

    def __init__(self, keys: Array, values: Array, length: Array) -> None:
        super().__init__(keys.shape[-2])
        self._keys, self._values, self.length = keys, values, length

    def new_positions(self, count: int) -> Any:
        return self.length + np.arange(count)

    def columns(self, count: int) -> int:
        return self.max_len

    def attend(self, q: Operand, k: Operand, v: Operand, mask: Operand | None, is_causal: bool) -> Array:
        """Attention of new queries to all positions so far; ``k`` and ``v`` of the new ones are written into the arrays."""
        q, k, v = _without_gradient("q", q), _without_gradient("k", k), _without_gradient("v", v)
        mask = None if mask is None else array_of("KeyValueCache", mask)
        return cached_attention(q, k, v, self._keys, self._values, self.length, mask, is_causal)


def _without_gradient(name: str, x: Operand) -> Array:
    if isinstance(x, Variable) and x.requires_grad:
        raise GraphError(
            f"KeyValueCache: gradients flow to {name} {x.shape}, and would be lost in a cache; call the model under "
            "passus.no_grad()"
        )
    return array_of("KeyValueCache", x)


def _empty(x: Array, length: int) -> Array:
    return backend_of(x).xp.empty((*x.shape[:-2], length, x.shape[-1]), x.dtype)
