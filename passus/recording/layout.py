"""The memory of a machine: one block for all arrays that it creates, and the arrays of others that it reads and writes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from passus.backend import Array

__all__ = ["LINE", "Memory", "address"]

LINE = 64
"""Bytes of a line of the cache; no two arrays share one."""

CHUNK = 1 << 16
"""Bytes of a block of memory at least."""


def address(x: Array) -> int:
    """The address of the first number of an array."""
    return int(x.__array_interface__["data"][0])


class Memory:
    """Arrays at fixed addresses, and the words that hold these."""

    def __init__(self) -> None:
        self.words: list[int] = []
        """The arguments of all operations."""
        self._blocks: list[Array] = []
        self._used = 0
        self._free: dict[int, list[Array]] = {}
        """Memory that is free, by its size."""
        self._created: dict[int, Array] = {}
        """Memory in use, by its address."""
        self._external: dict[Hashable, Array] = {}
        """Arrays of others that may be exchanged, by their keys, until all arguments are known."""
        self._addresses: dict[Hashable, int] = {}
        """Where they are."""
        self._references: dict[Hashable, list[int]] = {}
        """The positions of words with addresses in an array of others, by its key."""
        self._constants: list[Array] = []
        self.is_ambiguous = False
        """Whether arrays of others share memory, so that they cannot be exchanged one by one."""
        self._pointers: list[int] = []
        """The positions of words that are addresses."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that were created here."""
        return sum(block.size for block in self._blocks)

    def lasting(self, shape: tuple[int, ...]) -> Array:
        """A new array in memory in which nothing else is stored, such as one that is written before a run."""
        free, self._free = self._free, {}
        try:
            return self.array(shape)
        finally:
            self._free = free

    def array(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """A new array. Its elements are arbitrary."""
        size = max(1, int(np.prod(shape))) * np.dtype(dtype).itemsize
        size = -(-size // LINE) * LINE
        free = self._free.get(size)
        if free:
            return self._shaped(free.pop(), shape, dtype)
        if not self._blocks or self._used + size > self._blocks[-1].size:
            self._blocks.append(self._aligned(max(CHUNK, size)))
            self._used = 0
        memory = self._blocks[-1][self._used : self._used + size]
        self._used += size
        return self._shaped(memory, shape, dtype)

    @staticmethod
    def _aligned(size: int, source: Array | None = None) -> Array:
        """Memory at the beginning of a line: zeros, or a copy of other memory."""
        block = np.zeros(size + LINE, np.uint8)
        start = -address(block) % LINE
        block = block[start : start + size]
        if source is not None:
            block[...] = source
        return block

    def release(self, x: Array) -> None:
        """Let later arrays use the memory of an array that was created here."""
        memory = self._created.pop(address(x), None)
        if memory is not None:
            self._free.setdefault(memory.size, []).append(memory)

    def _shaped(self, memory: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        self._created[address(memory)] = memory
        count = int(np.prod(shape))
        return memory[: count * np.dtype(dtype).itemsize].view(dtype).reshape(shape)

    def constant(self, x: Array) -> Array:
        """An array of others that is never exchanged."""
        self._constants.append(x)
        return x

    def external(self, key: Hashable, x: Array) -> Array:
        """An array of others, which may be exchanged."""
        self.is_ambiguous |= any(np.may_share_memory(x, other) for other in self._external.values())
        self._external[key], self._addresses[key] = x, address(x)
        return x

    def word(self, number: int) -> None:
        """Append an integer to the arguments."""
        self.words.append(int(number))

    def pointer(self, x: Array, offset: int = 0) -> None:
        """Append the address of an array to the arguments."""
        at = address(x) + offset
        for key, other in self._external.items():
            first = address(other)
            if first <= at < first + max(1, other.nbytes):
                self._references.setdefault(key, []).append(len(self.words))
        self._pointers.append(len(self.words))
        self.word(at)

    def exchange(self, key: Hashable, new: Array) -> None:
        """Replace an array of others by one of the same strides. The caller keeps it."""
        at = address(new)
        self.arguments[self._references.get(key, [])] += at - self._addresses[key]
        self._addresses[key] = at

    def copied(self, moves: Sequence[tuple[Array, Array]]) -> Array:
        """The arguments for other memory: ``moves`` are pairs of arrays, the first one a part of this memory. Later pairs take
        precedence.
        """
        words = np.array(self.words, np.int64)
        pointers = words[self._pointers]
        moved = pointers.copy()
        for old, new in moves:
            inside = (address(old) <= pointers) & (pointers < address(old) + max(1, old.nbytes))
            moved[inside] = pointers[inside] + (address(new) - address(old))
        words[self._pointers] = moved
        return words

    def twin(self) -> list[tuple[Array, Array]]:
        """All memory that was created here, with copies of it."""
        return [(block, self._aligned(block.size, block)) for block in self._blocks]

    def finish(self) -> None:
        """Fix the arguments in memory."""
        self.arguments = np.array(self.words, np.int64)
        self._external.clear()
