"""Chains: elementwise steps on matrices of one size as one operation, which computes a block of numbers after the other.

A result that only the chain reads is never written to memory: a register, the size of a block, holds it in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from passus.backend import Array
from passus.kernels.machine import CODES
from passus.recording.layout import address

__all__ = ["Chain", "Matrix", "Size"]

LONGEST = 32
"""Number of steps of a chain."""

LEAST_COLUMNS = 256
"""Length of a row up to which it takes less time to compute a whole array at once than one row after the other."""


class Size(NamedTuple):
    """The size of the matrices of a chain, and the parts for threads: ranges of rows, or of columns."""

    rows: int
    columns: int
    by_rows: bool
    parts: tuple[tuple[int, int], ...]

    def splits(self, other: Size) -> bool:
        """Whether these are the rows of another size, which is a single row."""
        count = self.rows * self.columns
        return self.columns >= LEAST_COLUMNS and other.rows == 1 < self.rows and other.columns == count


class Matrix(NamedTuple):
    """Where the numbers of a matrix are: an array, and the distances in bytes of its rows and columns."""

    array: Array
    row: int
    column: int

    def split(self, columns: int) -> Matrix:
        """A single row as rows of so many columns."""
        return self._replace(row=columns * self.column)


class Register(NamedTuple):
    """What holds a block of numbers. ``number``: each number has memory of its own."""

    number: int


class Step(NamedTuple):
    """A code, the result, and what is read."""

    code: CODES
    result: Matrix | Register
    sources: tuple[Matrix | Register, ...]


class Chain:
    """Elementwise steps on matrices of one size."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self._steps: list[Step] = []
        self._places: dict[tuple[int, int, int], tuple[int, int]] = {}
        """Where the matrices are, and the first and last byte of each."""
        self._written: set[tuple[int, int, int]] = set()
        self._registers = 0

    def append(self, size: Size, code: CODES, result: Matrix, sources: list[Matrix]) -> bool:
        """Append a step. False if it is of another size, or reads or writes numbers of other blocks than this one."""
        if self.size.splits(size):
            size, columns = self.size, self.size.columns
            result, sources = result.split(columns), [x.split(columns) for x in sources]
        elif size.splits(self.size):
            self._split(size)
        if size != self.size or len(self._steps) == LONGEST or not self._is_independent(result, sources):
            return False
        self._add(Step(code, result, tuple(sources)))
        return True

    def release(self, memory: Array) -> None:
        """Keep what is stored in memory in a register: nothing but this chain reads it."""
        first, last = address(memory), address(memory) + memory.nbytes
        inside = [place for place, (start, stop) in self._places.items() if start < last and first < stop]
        if len(inside) != 1 or not self._begins_with_write(inside[0]):
            return
        register = Register(self._registers)
        self._registers += 1
        del self._places[inside[0]]
        self._written.discard(inside[0])

        def changed(x: Matrix | Register) -> Matrix | Register:
            return register if isinstance(x, Matrix) and self._place(x) == inside[0] else x

        self._steps = [Step(code, changed(y), tuple([changed(x) for x in xs])) for code, y, xs in self._steps]

    def operations(self, register: Callable[[int, int], Array]) -> Iterator[list[Any]]:
        """The arguments of the operation of each part. ``register``: the memory of a register, by the numbers of its part and its own."""
        once, steps, numbers = self._with_fills()
        rows, columns, by_rows, parts = self.size
        for k, (start, stop) in enumerate(parts):
            size = (stop - start, columns) if by_rows else (rows, stop - start)
            arguments: list[Any] = [*size, len(once), len(once) + len(steps)]
            for code, y, xs in [*once, *steps]:
                arguments.append(code)
                for x in [y, *xs, *[y] * (3 - len(xs))]:
                    if isinstance(x, Register):
                        arguments += [register(k, numbers[x.number]), 0, 0]
                    else:
                        arguments += [(x.array, start * (x.row if by_rows else x.column)), x.row, x.column]
            yield arguments

    def _add(self, step: Step) -> None:
        self._steps.append(step)
        for x in (step.result, *step.sources):
            if isinstance(x, Matrix):
                self._places[self._place(x)] = self._extent(x)
        if isinstance(step.result, Matrix):
            self._written.add(self._place(step.result))

    def _split(self, size: Size) -> None:
        """Let all matrices be those of a size with more rows."""

        def split(x: Matrix | Register) -> Matrix | Register:
            return x.split(size.columns) if isinstance(x, Matrix) else x

        steps, self._steps, self.size = self._steps, [], size
        self._places, self._written = {}, set()
        for code, y, xs in steps:
            self._add(Step(code, split(y), tuple([split(x) for x in xs])))

    def _is_independent(self, result: Matrix, sources: list[Matrix]) -> bool:
        """Whether a step can be computed block by block: what is written is at the same place in all steps, or apart from it."""
        place = self._place(result)
        read = [self._place(x) for x in sources]
        others = {**self._places, **{self._place(x): self._extent(x) for x in sources}}
        if place not in self._written and not self._is_apart(place, self._extent(result), others):
            return False
        return all(
            p in self._places or self._is_apart(p, self._extent(x), {w: self._places[w] for w in self._written})
            for p, x in zip(read, sources)
        )

    @staticmethod
    def _is_apart(place: Any, extent: tuple[int, int], others: dict[Any, tuple[int, int]]) -> bool:
        start, stop = extent
        return all(p == place or last <= start or stop <= first for p, (first, last) in others.items())

    def _begins_with_write(self, place: tuple[int, int, int]) -> bool:
        for _, y, xs in self._steps:
            if any(isinstance(x, Matrix) and self._place(x) == place for x in xs):
                return False
            if isinstance(y, Matrix) and self._place(y) == place:
                return True
        return False

    def _place(self, x: Matrix) -> tuple[int, int, int]:
        return address(x.array), x.row if self.size.rows > 1 else 0, x.column

    def _extent(self, x: Matrix) -> tuple[int, int]:
        """The first byte, and the one after the last."""
        row, column = (self.size.rows - 1) * x.row, (self.size.columns - 1) * x.column
        return address(x.array) + min(row, 0), address(x.array) + max(row, 0) + column + 4

    def _with_fills(self) -> tuple[list[Step], list[Step], list[int]]:
        """Steps that are computed once, the others, and the memory of each register by number.

        Numbers of a row, or of all, fill a register first. Registers whose contents are not needed at the same time share memory.
        """
        once: list[Step] = []
        steps: list[Step] = []
        filled: dict[tuple[int, int, int], Register] = {}
        count = self._registers
        for code, y, xs in self._steps:
            sources = list(xs)
            for i, x in enumerate(xs):
                if isinstance(x, Register) or x.column:
                    continue
                place = self._place(x)
                if place not in filled:
                    filled[place] = Register(count)
                    count += 1
                    (steps if place[1] else once).append(Step(CODES.FILL, filled[place], (x,)))
                sources[i] = filled[place]
            steps.append(Step(code, y, tuple(sources)))
        return once, steps, _memory_of_registers(self._registers, count, steps)


def _memory_of_registers(count: int, total: int, steps: list[Step]) -> list[int]:
    """By number of a register, the number of its memory. From ``count`` on, registers have memory of their own: they are filled once."""
    last = {x: i for i, step in enumerate(steps) for x in (step.result, *step.sources) if isinstance(x, Register)}
    numbers = [-1] * total
    free: list[int] = []
    used = 0
    for i, step in enumerate(steps):
        y = step.result
        if isinstance(y, Register) and y.number < count and numbers[y.number] < 0:
            if not free:
                free.append(used)
                used += 1
            numbers[y.number] = free.pop()
        ended = {x for x in (y, *step.sources) if isinstance(x, Register) and x.number < count and last[x] == i}
        free += sorted(numbers[x.number] for x in ended)
    for number in range(count, total):
        numbers[number] = used
        used += 1
    return numbers
