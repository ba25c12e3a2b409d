"""Common subexpressions: what several operations would compute alike is computed once."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterable
from dataclasses import replace
from types import EllipsisType, ModuleType, NoneType
from typing import Any

import numpy as np

from passus.backend.trace import Method
from passus.recording.effects import has_effects
from passus.recording.host import Host, Observer
from passus.recording.program import Instruction, Program, Value, expect, is_hashable, mapped
from passus.recording.recorder import PURE

__all__ = ["without_common_subexpressions"]

REDUCTIONS = Method("sum"), Method("mean"), Method("max"), Method("min")

NEW = frozenset({np.dot, *REDUCTIONS, *PURE}) - {operator.getitem}
"""Functions besides NumPy's ufuncs whose results are always new arrays."""

EQUAL = frozenset({Value, bool, int, str, bytes, NoneType, EllipsisType, ModuleType})
"""Types of arguments that are the same if they are equal."""

LARGEST_COMPARED = 1 << 10
"""Bytes up to which constant arrays are compared by their elements, larger ones by identity."""

MORE = 1 << 16
"""Bytes by which the peak of the memory may grow in total."""

OUTSIDE = 1
"""The memory of arguments, of the state and of constants: some may be views of others."""


def without_common_subexpressions(program: Program) -> Program:
    """The program without operations that an earlier one has computed: of the same function, with the same arguments.

    An operation stays if arrays that it reads may have been edited in between, if its own array is edited, or if that leaves the
    program, because its owner may edit it. It stays, too, if keeping the earlier result would need more memory at the peak, as
    with `passus.checkpoint`.

    >>> from passus.recording.compiled import record
    >>> program = record(lambda x: np.exp(x) + np.exp(x) * 2, [np.ones(2)])
    >>> print(without_common_subexpressions(program))
    <lambda>(x: float64[2])
        x1: float64[2] = exp(x)
        x3: float64[2] = x1 * 2
        x4: float64[2] = x1 + x3
        return [x4]
    """
    results = [value for i in program.instructions for value in i.results]
    if any(value.dtype.hasobject for value in [*program.inputs, *[v for v, _ in program.state], *results]):
        return program  # An object may hold any array, and compute anything.
    memory, lifetimes, decisive = _Memory(program), _Lifetimes(program), _decisive(program)
    known: dict[Hashable, tuple[int, Instruction]] = {}
    same: dict[Value, Value] = {}

    def first(x: Any) -> Any:
        return same.get(x, x) if type(x) is Value else x

    kept: list[Instruction] = []
    for number, instruction in enumerate(program.instructions):
        if not same.keys().isdisjoint(instruction.reads):
            args, options = mapped(instruction.args, first), mapped(instruction.options, first)
            instruction = replace(instruction, args=args, options=options)
        key = None
        if decisive.isdisjoint(instruction.results) and not memory.is_edited(instruction.results):
            key = _key_of(instruction)
        if key in known:
            at, earlier = known[key]
            if (
                not memory.leaves(instruction.results)
                and not memory.is_edited_between(at, number, instruction.reads)
                and lifetimes.joined(earlier.results, instruction.results, number)
            ):
                same.update(zip(instruction.results, earlier.results))
                continue
        if key is not None:
            known[key] = number, instruction
        kept.append(instruction)
    return replace(program, instructions=kept)


def _decisive(program: Program) -> set[Value]:
    """Numbers from which conditions are computed: the machine knows the checks of labels by the sole use of each."""
    found: set[Value] = set()
    for instruction in reversed(program.instructions):
        if instruction.function is expect or not found.isdisjoint(instruction.results):
            found.update([value for value in instruction.reads if not value.shape])
    return found


class _Memory:
    """In which memory arrays may be, and where it is edited. Sets of memory are integers: a bit for `OUTSIDE`, and one for each result."""

    def __init__(self, program: Program) -> None:
        self._own: dict[Value, int] = {}
        """The memory that only a result brings in."""
        self._all = dict.fromkeys([*program.inputs, *[value for value, _ in program.state]], OUTSIDE)
        """All memory in which an array may be."""
        self._edits: list[int] = []
        """What each instruction may edit."""
        self._edited = 0
        for instruction in program.instructions:
            self._add(instruction)
        self._leaving = self._of(program.results)

    def is_edited(self, results: Iterable[Value]) -> bool:
        """Whether an instruction may edit new arrays among these results, or calls outside of the program know them."""
        return any(self._own[value] & self._edited for value in results)

    def leaves(self, results: Iterable[Value]) -> bool:
        """Whether new arrays among these results may belong to others after a run."""
        return any(self._own[value] & self._leaving for value in results)

    def is_edited_between(self, first: int, last: int, values: Iterable[Value]) -> bool:
        """Whether an instruction between two others may edit what the last one reads."""
        read = self._of(values) | OUTSIDE  # Constants are there, and what calls outside of the program know.
        return any(edited & read for edited in self._edits[first:last])

    def _add(self, instruction: Instruction) -> None:
        function, results = instruction.function, instruction.results
        read = self._of(instruction.reads)
        for value in results:
            self._own.setdefault(value, 2 << len(self._own))
        if isinstance(function, (Host, Observer)):
            self._edited |= read
            self._edits.append(-1)
        else:
            is_known = bool(instruction.writes or results or function is expect)
            self._edits.append(self._of(instruction.writes) if is_known else read)
            self._edited |= self._edits[-1]
        shared = 0
        if not (isinstance(function, np.ufunc) or (is_hashable(function) and function in NEW)):
            shared = read | OUTSIDE  # They may be views.
        for value in results:
            self._all[value] = self._all.get(value, self._own[value]) | shared

    def _of(self, values: Iterable[Value]) -> int:
        found = 0
        for value in values:
            found |= self._all.get(value, OUTSIDE)
        return found


class _Lifetimes:
    """The last use of each result, and the bytes of all results that are alive at each instruction."""

    def __init__(self, program: Program) -> None:
        begin: dict[Value, int] = {}
        self._last: dict[Value, int] = {}
        for number, instruction in enumerate(program.instructions):
            for value in instruction.results:
                begin.setdefault(value, number)
            self._last.update(dict.fromkeys([*instruction.reads, *instruction.results], number))
        self._last.update(dict.fromkeys(program.results, len(program)))
        change = np.zeros(len(program) + 2, np.int64)
        for value, number in begin.items():
            change[number] += value.nbytes
            change[self._last[value] + 1] -= value.nbytes
        self._alive = np.cumsum(change)
        self._most = int(self._alive.max()) + MORE

    def joined(self, earlier: list[Value], results: list[Value], number: int) -> bool:
        """Let earlier results live on in place of those of an instruction of this number. False if that takes too much memory."""
        size = sum([value.nbytes for value in earlier])
        gap = self._alive[1 + min([self._last[value] for value in earlier]) : number]
        if gap.size and int(gap.max()) + size > self._most:
            return False
        gap += size
        for value, other in zip(earlier, results):
            self._last[value] = max(self._last[value], self._last[other])
        return True


def _key_of(instruction: Instruction) -> Hashable:
    """What the result of an instruction depends on. None if it has effects, or cannot be compared."""
    if has_effects(instruction) or not is_hashable(instruction.function):
        return None
    errstate = None if instruction.errstate is None else tuple(sorted(instruction.errstate.items()))
    try:
        return instruction.function, _key(instruction.args), _key(instruction.options), errstate
    except TypeError:
        return None


def _key(x: Any) -> Hashable:
    """What is equal for arguments only if they are the same, in type and bits. Raises TypeError if that is not known.

    Functions are not known to compute the same twice.
    """
    kind = type(x)
    if kind in EQUAL or isinstance(x, (type, np.ufunc, np.dtype)):
        return kind, x
    if kind is float or kind is complex:
        return kind, np.array(x).tobytes()
    if isinstance(x, np.generic) and not x.dtype.hasobject:
        return kind, x.dtype, x.tobytes()
    if kind is np.ndarray and x.nbytes > LARGEST_COMPARED:
        return kind, id(x)
    if kind is np.ndarray and not x.dtype.hasobject:
        return kind, x.dtype, x.shape, x.strides, x.flags.num, x.tobytes()
    if kind is slice:
        return kind, _key(x.start), _key(x.stop), _key(x.step)
    if kind is dict:
        return kind, *[(_key(name), _key(v)) for name, v in x.items()]
    if kind is list or isinstance(x, tuple):
        return kind, *[_key(v) for v in x]
    raise TypeError
