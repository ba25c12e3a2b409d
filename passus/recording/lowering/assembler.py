"""The assembler: the table of operations under construction, and the arrays of Values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from passus.backend import Array
from passus.kernels.layout import channels_second
from passus.kernels.machine import BLOCK, CODES
from passus.kernels.threads import pieces_of
from passus.recording.layout import LINE, Memory, address
from passus.recording.lowering.chains import Chain, Matrix, Size
from passus.recording.program import Value
from passus.recording.table import Part, Table

__all__ = ["FLOAT32", "INT64", "Assembler", "is_small"]

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)

LARGEST = 1 << 24
"""Number of elements of the arrays on the machine."""

FINER = 8
"""Factor by which pieces are smaller than where Python calls the other threads for each operation."""


def is_small(value: Value) -> bool:
    """Whether an array is small enough for the machine.

    >>> is_small(Value(0, (3, 4), FLOAT32))
    True
    """
    return math.prod(value.shape) <= LARGEST


class Assembler:
    """Operations with their arguments, and the arrays of Values.

    ``arrays``: those of the inputs, the state, constants and gradients; the others are added. ``masks``: Values of booleans that
    are kept as numbers. ``is_alone``: whether one thread computes all operations.
    """

    def __init__(
        self, arrays: dict[Value, Array], memory: Memory, native: Any, masks: set[Value], is_alone: bool = False
    ) -> None:
        self.arrays, self.memory, self.native = arrays, memory, native
        self._is_alone = is_alone
        self._masks = masks
        self._operations: list[tuple[Any, int]] = []
        self._parts: list[Part] = []
        self._shared_work = 0.0
        """Work that threads can share, in pieces that are worth a call of another thread from Python."""
        self._constants: dict[bytes, Array] = {}
        self._scratch: list[Array] = []
        self._chain: Chain | None = None
        """Elementwise steps to which the next one may be appended."""
        self._registers: dict[tuple[int, int], Array] = {}
        self._roots: dict[Value, Array] = {}
        """The arrays that were created here, by the Values that are stored in them."""

    # Operations.

    def emit(self, operation: Any, *arguments: Any) -> None:
        """Append an operation. Arguments: integers, arrays, and pairs of an array and an offset in bytes."""
        self._end_chain()
        at = len(self.memory.words)
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                self.memory.pointer(argument)
            elif isinstance(argument, tuple):
                self.memory.pointer(*argument)
            else:
                self.memory.word(argument)
        self._operations.append((operation, at))
        count = len(self._operations)
        last = self._parts[-1] if self._parts else None
        if last is None or last.items > 1:
            self._parts.append(Part(count - 1, count, 1))
        else:
            self._parts[-1] = last._replace(last=count)

    def emit_elementwise(self, size: Size, code: CODES, result: Matrix, sources: list[Matrix]) -> None:
        """Append an elementwise step, to the operation of the last ones if they can be computed together."""
        if self._chain is None or not self._chain.append(size, code, result, sources):
            self._end_chain()
            self._chain = Chain(size)
            self._chain.append(size, code, result, sources)

    def _end_chain(self) -> None:
        """Append the operation of elementwise steps."""
        chain, self._chain = self._chain, None
        if chain is not None:
            first = self.begin()
            for arguments in chain.operations(self._register):
                self.emit(self.native.elementwise, *arguments)
            self.in_parallel(first)

    def _register(self, part: int, number: int) -> Array:
        if (part, number) not in self._registers:
            # Not a multiple of a page: the processor takes equal positions in two pages for the same when it reorders.
            self._registers[part, number] = self.memory.lasting((BLOCK + LINE // 4,))
        return self._registers[part, number]

    def begin(self) -> int:
        """The number of the next operation."""
        self._end_chain()
        return len(self._operations)

    def in_parallel(self, first: int) -> None:
        """Let several threads compute the operations from ``first`` on, unless there is only one."""
        count = len(self._operations)
        if count - first < 2:
            return
        before = self._parts.pop()  # The operations have just been appended to it.
        if before.first < first:
            self._parts.append(before._replace(last=first))
        self._parts.append(Part(first, count, count - first))

    def pieces(self, count: int, smallest: int) -> tuple[tuple[int, int], ...]:
        """The pieces of an operation on ``count`` items, for the threads.

        ``smallest``: number of items that are worth a call of another thread from Python.
        """
        pieces = ((0, count),) if self._is_alone else pieces_of(count, smallest // FINER)
        if len(pieces) > 1:
            self._shared_work += count / max(1, smallest)
        return pieces

    def finish(self) -> Table:
        """The operations, ready to run."""
        operations = self.operations()
        self.memory.finish()
        base = address(self.memory.arguments)
        return Table(operations + (0, base), self._parts if self._shared_work >= 2 else None, self.native)

    def operations(self) -> Array:
        """The address of each operation, and where its arguments begin, in bytes."""
        self._end_chain()
        return np.array([(operation.address, 8 * at) for operation, at in self._operations], np.int64).reshape(-1, 2)

    # Arrays.

    def operand(self, x: Any) -> Array | None:
        """The array of an argument; None if it is not of float32."""
        if isinstance(x, Value):
            array = self.arrays.get(x)
            return array if array is not None and array.dtype == FLOAT32 else None
        if isinstance(x, np.ndarray):
            return self.memory.constant(x) if x.dtype == FLOAT32 else None
        if isinstance(x, bool) or not isinstance(x, (int, float, np.float32)):
            return None
        return self.number(float(x))

    def operands(self, args: Sequence[Any]) -> list[Array] | None:
        """The arrays of all arguments; None if one is not of float32."""
        found = [self.operand(x) for x in args]
        return None if any(x is None for x in found) else [x for x in found if x is not None]

    def number(self, number: float) -> Array:
        """The memory of a constant number."""
        key = np.float32(number).tobytes()
        if key not in self._constants:
            self._constants[key] = self.memory.lasting(())
            self._constants[key][...] = number
        return self._constants[key]

    def target(self, value: Value, with_channels_last: bool = False) -> Array:
        """The array of a result."""
        if value not in self.arrays:
            dtype, shape = FLOAT32 if value in self._masks else value.dtype, value.shape
            if with_channels_last:
                array = channels_second(self.memory.array((shape[0], *shape[2:], shape[1]), dtype))
            else:
                array = self.memory.array(shape, dtype)
            self.arrays[value] = self._roots[value] = array
        return self.arrays[value]

    def alias(self, value: Value, view: Array, source: Value) -> None:
        """Let a Value be a view of the array of another one."""
        self.arrays[value] = view
        if source in self._roots:
            self._roots[value] = self._roots[source]

    def discard(self, value: Value) -> None:
        """Forget the array of a result that could not be computed."""
        self.arrays.pop(value, None)
        self.release([value])

    def scratch(self, *shape: int) -> Array:
        """Memory for the operations of the current instruction."""
        array = self.memory.array(shape)
        self._scratch.append(array)
        return array

    def end_instruction(self) -> None:
        """Let later arrays use the memory that only the current instruction needed."""
        for array in self._scratch:
            self.memory.release(array)
        self._scratch.clear()

    def release(self, values: Sequence[Value]) -> None:
        """Let later arrays use the memory of Values, unless others are stored there, too."""
        for value in values:
            root = self._roots.pop(value, None)
            if root is not None and all(other is not root for other in self._roots.values()):
                if self._chain is not None:
                    self._chain.release(root)
                self.memory.release(root)
