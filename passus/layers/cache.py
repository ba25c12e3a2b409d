"""Keys and values of attention that are kept from one step of decoding to the next."""

from __future__ import annotations

from functools import partial
from typing import Any

from passus.arguments import checked_count
from passus.attributes import note
from passus.backend import Array, backend_of
from passus.core import Operand, Variable
from passus.errors import GraphError, ShapeError
from passus.functions.checks import array_of
from passus.layers.undo import if_this_call_fails

__all__ = ["KeyValueCache"]


class KeyValueCache:
    """The keys and values (N, H, S, D) of the first S positions, for up to ``max_len`` of them.

    Memory is allocated once, and new positions are written into it; so a cache is used under `no_grad`, and the arrays
    that `append` returns are views which the next call leaves as they are. If a call of a layer or model fails, the caches
    that it changed are restored, so the call can be repeated.

    >>> import numpy as np
    >>> cache = KeyValueCache(8)
    >>> keys, values = cache.append(np.ones((1, 2, 3, 4)), np.ones((1, 2, 3, 4)))
    >>> keys, values = cache.append(np.ones((1, 2, 1, 4)), np.ones((1, 2, 1, 4)))
    >>> keys.shape, cache.length
    ((1, 2, 4, 4), 4)
    """

    def __init__(self, max_len: int) -> None:
        self.max_len = checked_count("KeyValueCache", "max_len", max_len)
        self.length = 0
        """S, the number of positions kept."""
        self._keys: Array = None
        self._values: Array = None

    @property
    def keys(self) -> Array:
        """The keys kept (N, H, S, D)."""
        return self._keys[..., : self.length, :]

    @property
    def values(self) -> Array:
        """The values kept (N, H, S, D)."""
        return self._values[..., : self.length, :]

    def append(self, k: Operand, v: Operand) -> tuple[Array, Array]:
        """Keep the keys and values of further positions, (N, H, T, D), and return all.

        Raises `ShapeError` if they exceed ``max_len`` or do not fit those kept, `GraphError` if gradients flow to them.
        """
        self._note()
        new = _constant("k", k), _constant("v", v)
        count = new[0].shape[-2]
        start, end = self.length, self.length + count
        if end > self.max_len:
            raise ShapeError(
                f"KeyValueCache: {start} positions are kept and {count} are new, more than max_len={self.max_len}; make a "
                "longer cache, or start anew with the last positions"
            )
        if not start:
            self._keys, self._values = [_room(x, self.max_len) for x in new]
        for kept, x in zip((self._keys, self._values), new):
            *outer, _, features = kept.shape
            if x.shape != (*outer, count, features):
                raise ShapeError(
                    f"KeyValueCache: {x.shape} does not continue {(*outer, start, features)}; all axes but the positions "
                    "must be equal. Use a new cache for another batch"
                )
            kept[..., start:end, :] = x
        self.length = end
        return self.keys, self.values

    def select(self, rows: Any) -> None:
        """Keep these examples of the batch only, in this order, each as often as it is named: beams that survive."""
        self._note()
        if self.length:
            self._keys, self._values = self._keys[rows], self._values[rows]

    def clear(self) -> None:
        """Forget all positions."""
        self._note()
        self.length, self._keys, self._values = 0, None, None

    def _note(self) -> None:
        """Note the attributes: a checkpoint repeats its call with their old values, and a call that fails restores them.

        The memory of the kept positions is not written again, so the attributes are enough.
        """
        note(self, "length", "_keys", "_values")
        if_this_call_fails(partial(self._restore, self.length, self._keys, self._values))

    def _restore(self, length: int, keys: Array, values: Array) -> None:
        self.length, self._keys, self._values = length, keys, values


def _constant(name: str, x: Operand) -> Array:
    if isinstance(x, Variable) and x.requires_grad:
        raise GraphError(
            f"KeyValueCache: gradients flow to {name} {x.shape}, and would be lost in a cache; call the model under "
            "passus.no_grad()"
        )
    return array_of("KeyValueCache", x)


def _room(x: Array, length: int) -> Array:
    return backend_of(x).xp.empty((*x.shape[:-2], length, x.shape[-1]), x.dtype)
