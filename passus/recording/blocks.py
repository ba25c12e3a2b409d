"""Programs on the machine that compute some rows of a batch after the others, through all operations at once.

The images between two layers are larger than the cache, so that each layer would wait for memory. A block of few images passes
through all layers while it is in the cache, and each thread computes blocks of its own, without waiting for others.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array
from passus.kernels.threads import get_num_threads
from passus.recording.batches import rows_of, with_rows
from passus.recording.layout import Memory, address
from passus.recording.lowering import Lowering
from passus.recording.lowering.products import PRODUCTS
from passus.recording.passes.convolutions import PreparedConvolution
from passus.recording.program import Instruction, OtherBranchError, Program, values_in
from passus.recording.table import Part, Table

__all__ = ["BlockRun", "Blocks", "blocks_of", "end_of_images"]

CACHE = 1 << 19
"""Bytes of the arrays of a block: the smallest cache of 512 KiB to 2 MiB that each processor has to itself."""

LARGEST_WEIGHTS = 1 << 18
"""Bytes of the matrices of products that each block reads: more are read once, by the whole batch."""

MOST_WEIGHTS = 3
"""Bytes of weights for each byte of images up to which a block, which reads all weights, pays."""

MOST_IDLE = 0.2
"""The share of the work of all threads that may be lost if the blocks are not divided evenly."""


class Blocks(NamedTuple):
    """How a program is computed in blocks. ``program``: that of one block. ``rows``: of a block; ``total``: of the batch."""

    program: Program
    rows: int
    total: int


def end_of_images(instructions: list[Instruction], first: int, last: int) -> int:
    """Where a part of a program should end so that blocks of images do not read large matrices."""
    part = instructions[first:last]
    convolutions = [i for i, x in enumerate(part) if isinstance(x.function, PreparedConvolution)]
    if not convolutions:
        return last
    tail = part[convolutions[-1] :]
    products = [i for i, x in enumerate(tail) if x.function in PRODUCTS]
    read = sum(4 * math.prod(x.shape) for i in products for x in tail[i].args[1:2])
    if not products or read <= LARGEST_WEIGHTS or part[0].reads[0].shape[:1] in ((), (0,), (1,)):
        return last
    return first + convolutions[-1] + products[0]


def blocks_of(program: Program, nbytes: int) -> Blocks | None:
    """Blocks of a program whose arrays have so many bytes; None if they fit into the cache or rows depend on each other."""
    total, threads = rows_of(program), get_num_threads()
    if nbytes <= CACHE * threads or total < max(2, threads) or not _has_convolution(program):
        return None
    most = max(1, min(CACHE * total // nbytes, total // threads))
    sizes = [n for n in range(1, most + 1) if total % n == 0 and _idle(total // n, threads) <= MOST_IDLE]
    part = with_rows(program, sizes[-1]) if sizes else None
    if part is None or _weights(part) > max(
        CACHE, MOST_WEIGHTS * sum(v.nbytes for i in part.instructions for v in i.results)
    ):
        return None
    return Blocks(part, sizes[-1], total)


def _weights(program: Program) -> int:
    """Bytes of the weights that each block reads."""
    functions = [i.function for i in program.instructions]
    matrices = [value for i in program.instructions if i.function in PRODUCTS for value in values_in(i.args[1:])]
    kernels = [f.W for f in functions if isinstance(f, PreparedConvolution)]
    return sum(int(x.nbytes) for x in (*kernels, *matrices))


def _has_convolution(program: Program) -> bool:
    return any(isinstance(i.function, PreparedConvolution) for i in program.instructions)


def _idle(blocks: int, threads: int) -> float:
    """The share of the time of all threads in which some have no block."""
    return 1 - blocks / (threads * -(-blocks // threads))


class BlockRun:
    """The operations of one run at a time, and their memory: for each thread the arrays of a block."""

    def __init__(self, blocks: Blocks, native: Any) -> None:
        program, rows, total = blocks
        memory = Memory()
        arrays = {value: np.asarray(x) for value, x in program.constants.items()}
        arrays |= {value: memory.array(value.shape, value.dtype) for value in program.inputs}
        lowering = Lowering(program, arrays, memory, native, is_alone=True)
        outputs = [lowering.copied(value) for value in program.outputs] if all(lowering.lowered) else [None]
        copies = [x for x in outputs if x is not None]
        self.is_complete = len(copies) == len(outputs)
        if not self.is_complete:
            return
        parts = [*[arrays[value] for value in program.inputs], *copies]
        self._kept: list[Any] = [memory, arrays]
        """What the operations refer to by address."""
        self._whole = [_rows_like(x, total) for x in parts]
        """The arrays of inputs and results for the whole batch."""
        self._inputs, self._outputs = self._whole[: len(program.inputs)], self._whole[len(program.inputs) :]
        operations, threads, count = lowering.operations(), get_num_threads(), total // rows
        of_thread = -(-count // threads)
        twins: list[Any] = [[], *[memory.twin() for _ in range(threads - 1)]]
        arguments: list[Array] = []
        table: list[Array] = []
        for block in range(of_thread * threads):
            start = min(block, count - 1) * rows  # Some threads compute the last block again.
            moves = [*twins[block // of_thread], *[(x, y[start : start + rows]) for x, y in zip(parts, self._whole)]]
            arguments.append(memory.copied(moves))
            table.append(operations + (0, address(arguments[-1])))
        self._kept += [twins, arguments]
        self._table = Table(np.concatenate(table), [Part(0, of_thread * threads * len(operations), threads)], native)
        self.is_shared = self._table.is_shared

    def __call__(self, arrays: Any) -> list[Any]:
        for target, x in zip(self._inputs, arrays):
            target[...] = x
        if not self._table.run():
            raise OtherBranchError
        return [x.copy() for x in self._outputs]


def _rows_like(x: Array, count: int) -> Array:
    """A new array of so many rows, in the order of memory of an array of fewer."""
    order = sorted(range(1, x.ndim), key=lambda i: -x.strides[i])
    memory = np.empty((count, *[x.shape[i] for i in order]), x.dtype)
    return memory.transpose(0, *[1 + order.index(i) for i in range(1, x.ndim)])
