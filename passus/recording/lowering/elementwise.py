"""Elementwise operations, with broadcasting, and masks."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from passus.backend import Array, copied
from passus.backend.trace import undecorated
from passus.kernels import elementwise
from passus.kernels.layout import channels_last
from passus.kernels.machine import CODES
from passus.kernels.threads import get_num_threads
from passus.recording.layout import address
from passus.recording.lowering.assembler import FLOAT32, Assembler
from passus.recording.lowering.chains import Matrix, Size
from passus.recording.lowering.conditions import Conditions
from passus.recording.program import Instruction, Program, Value, is_hashable, values_in

__all__ = ["PIECE", "emit_elementwise", "has_channels_last", "is_elementwise", "lower_elementwise", "masks_of"]

PIECE = 1 << 16
"""Number of elements that are worth a thread."""

BINARY: dict[Any, CODES] = {
    operator.add: CODES.ADD,
    operator.iadd: CODES.ADD,
    np.add: CODES.ADD,
    operator.sub: CODES.SUBTRACT,
    operator.isub: CODES.SUBTRACT,
    np.subtract: CODES.SUBTRACT,
    operator.mul: CODES.MULTIPLY,
    operator.imul: CODES.MULTIPLY,
    np.multiply: CODES.MULTIPLY,
    operator.truediv: CODES.DIVIDE,
    operator.itruediv: CODES.DIVIDE,
    np.divide: CODES.DIVIDE,
    np.maximum: CODES.MAXIMUM,
    np.minimum: CODES.MINIMUM,
}
UNARY: dict[Any, CODES] = {
    operator.neg: CODES.NEGATIVE,
    np.negative: CODES.NEGATIVE,
    operator.abs: CODES.ABSOLUTE,
    np.absolute: CODES.ABSOLUTE,
    np.exp: CODES.EXP,
    np.tanh: CODES.TANH,
    np.log: CODES.LOG,
    np.log1p: CODES.LOG1P,
    np.sqrt: CODES.SQRT,
    copied: CODES.COPY,
}
LOGICAL: dict[Any, CODES] = {operator.and_: CODES.MULTIPLY, np.logical_and: CODES.MULTIPLY}
"""Operations on masks, as operations on numbers that are 0 or 1."""

COMPARISONS: dict[Any, tuple[CODES, bool]] = {
    operator.gt: (CODES.GREATER, False),
    np.greater: (CODES.GREATER, False),
    operator.ge: (CODES.GREATER_EQUAL, False),
    np.greater_equal: (CODES.GREATER_EQUAL, False),
    operator.lt: (CODES.GREATER, True),
    np.less: (CODES.GREATER, True),
    operator.le: (CODES.GREATER_EQUAL, True),
    np.less_equal: (CODES.GREATER_EQUAL, True),
}
"""Comparisons: the code, and whether the operands are exchanged."""

SELECTIONS: dict[Any, tuple[int, ...]] = {
    np.where: (0, 1, 2),
    undecorated(elementwise.where): (0, 1, 2),
    undecorated(elementwise.masked): (1, 0),
}
"""Functions that select by a mask: the positions of the mask, and of the numbers where it holds and where not; 0 if missing."""


def lower_elementwise(instruction: Instruction, assembler: Assembler, masks: set[Value]) -> bool:
    """Append an elementwise operation. ``masks``: the Values of `masks_of`; one that the machine cannot compute is removed."""
    function, result = instruction.function, instruction.result
    if not _is_known(function) or instruction.options or not isinstance(result, Value):
        return False
    is_lowered = _is_lowered(instruction, assembler, masks)
    if not is_lowered:
        masks.discard(result)
    return is_lowered


def _is_lowered(instruction: Instruction, assembler: Assembler, masks: set[Value]) -> bool:
    args, result = instruction.args, instruction.result
    found = assembler.operands(args)
    if found is None or (result.dtype != FLOAT32 and result not in masks):
        return False
    steps = _steps(instruction, found, assembler, masks)
    if not steps:
        return False
    read = [x for _, operands in steps for x in operands if x is not None]
    target = assembler.target(result, any(has_channels_last(x) and x.shape == result.shape for x in read))
    if instruction.writes and any(_overlaps(x, target) for x in read):
        return False
    if all(emit_elementwise(assembler, code, target, [target if x is None else x for x in xs]) for code, xs in steps):
        return True
    if not instruction.writes:
        assembler.discard(result)
    return False


def masks_of(program: Program, conditions: Conditions) -> set[Value]:
    """The booleans that only select numbers, are factors of them, or are conditions: the machine keeps them as numbers."""
    readers: dict[Value, list[Instruction]] = {}
    made: dict[Value, Instruction] = {}
    for instruction in program.instructions:
        for value in instruction.reads:
            readers.setdefault(value, []).append(instruction)
        function, result = instruction.function, instruction.result
        is_comparison = is_hashable(function) and function in COMPARISONS and isinstance(result, Value)
        if is_comparison or _is_logical(instruction):
            made[result] = instruction
    masks = {value for value in made.keys() - set(program.results) if readers.get(value)}

    def is_read_as_number(value: Value, reader: Instruction) -> bool:
        is_part = id(reader) in conditions.parts or (_is_logical(reader) and reader.result in masks)
        return is_part or _is_number_in(reader, value)

    while True:
        others = {
            value
            for value in masks
            if (_is_logical(made[value]) and not masks.issuperset(made[value].reads))
            or not all(is_read_as_number(value, reader) for reader in readers[value])
        }
        if not others:
            return masks
        masks -= others


def _is_logical(instruction: Instruction) -> bool:
    """Whether an instruction combines two masks."""
    function, result = instruction.function, instruction.result
    return is_hashable(function) and function in LOGICAL and isinstance(result, Value) and result.dtype == bool


def is_elementwise(function: Any) -> bool:
    """Whether each element of the result depends on one element of each argument, and none of them is a mask."""
    return is_hashable(function) and (function in BINARY or function in UNARY or function is operator.pow)


def _is_known(function: Any) -> bool:
    if is_elementwise(function):
        return True
    return is_hashable(function) and (function in COMPARISONS or function in SELECTIONS or function in LOGICAL)


def _steps(
    instruction: Instruction, operands: list[Array], assembler: Assembler, masks: set[Value]
) -> list[tuple[CODES, list[Array | None]]]:
    """The codes of an operation, with operands in the order of the machine; None is the result of the code before. Empty if the
    machine does not have the operation.
    """
    function, args = instruction.function, instruction.args
    if function in COMPARISONS:
        code, exchanged = COMPARISONS[function]
        return [(code, [*(operands[::-1] if exchanged else operands)])] if instruction.result in masks else []
    if function in LOGICAL:
        return [(LOGICAL[function], [*operands])] if {instruction.result, *args} <= masks else []
    if function in SELECTIONS:
        positions = SELECTIONS[function]
        if len(args) != len(positions) or args[positions[0]] not in masks:
            return []
        missing = [assembler.number(0.0)] * (3 - len(positions))
        return [(CODES.SELECT, [*[operands[i] for i in positions], *missing])]
    if function is operator.pow:
        return _power(operands[0], args[1], assembler)
    return [(BINARY[function] if function in BINARY else UNARY[function], [*operands])]


def _power(x: Array, exponent: Any, assembler: Assembler) -> list[tuple[CODES, list[Array | None]]]:
    """A power with an exponent for which NumPy multiplies, divides or takes a root, or 3."""
    if isinstance(exponent, (np.ndarray, Value)) or not x.ndim:  # NumPy computes powers of a number in another way.
        return []
    if exponent == -1:
        return [(CODES.DIVIDE, [assembler.number(1.0), x])]
    if exponent == 3:
        return [(CODES.MULTIPLY, [x, x]), (CODES.MULTIPLY, [None, x])]
    codes = {
        -0.5: (CODES.RECIPROCAL_ROOT, [x]),
        0.5: (CODES.SQRT, [x]),
        1: (CODES.COPY, [x]),
        2: (CODES.MULTIPLY, [x, x]),
    }
    return [codes[exponent]] if exponent in codes else []


def _is_number_in(instruction: Instruction, mask: Value) -> bool:
    """Whether an instruction selects numbers by a mask, or computes float32 numbers with its 0 and 1."""
    function, args, result = instruction.function, instruction.args, instruction.result
    if not is_hashable(function):
        return False
    if function in BINARY:
        return isinstance(result, Value) and result.dtype == FLOAT32
    positions = SELECTIONS.get(function)
    if positions is None or len(args) != len(positions):
        return False
    return [*values_in(args)].count(mask) == 1 and args[positions[0]] is mask


def has_channels_last(x: Array) -> bool:
    """Whether an array has its second axis last in memory, as images of kernels do."""
    return x.ndim > 2 and not x.flags.c_contiguous and channels_last(x).flags.c_contiguous


def _overlaps(x: Array, target: Array) -> bool:
    """Whether an operand shares memory with the result in another order, so that it would be overwritten before it is read."""
    is_same = address(x) == address(target) and x.shape == target.shape and x.strides == target.strides
    return not is_same and bool(np.may_share_memory(x, target))


def emit_elementwise(assembler: Assembler, code: CODES, target: Array, operands: list[Array]) -> bool:
    """Append an operation, in a part for each thread if it is large. False if its arrays are no matrices of contiguous rows."""
    try:
        spread = [np.broadcast_to(x, target.shape) for x in operands]
    except ValueError:
        return False
    order = sorted(range(target.ndim), key=lambda i: -target.strides[i])
    shape, strides = _coalesced(
        tuple([target.shape[i] for i in order]), [tuple([x.strides[i] for i in order]) for x in (target, *spread)]
    )
    if len(shape) > 2 or any(s[-1] not in (0, 4) for s in strides) or strides[0][-1] != 4 or 0 in shape:
        return False
    rows, columns = (1, *shape)[-2:]
    by_rows = rows >= columns or rows >= get_num_threads() > 1
    size = Size(rows, columns, by_rows, _parts(assembler, rows, columns, by_rows))
    result, *sources = [Matrix(x, s[0] if len(s) == 2 else 0, s[-1]) for x, s in zip((target, *spread), strides)]
    assembler.emit_elementwise(size, code, result, sources)
    return True


def _parts(assembler: Assembler, rows: int, columns: int, by_rows: bool) -> tuple[tuple[int, int], ...]:
    """The parts of a matrix for the threads: ranges of rows, or of columns."""
    count, other = (rows, columns) if by_rows else (columns, rows)
    return assembler.pieces(count, max(1, PIECE // max(1, other)))


def _coalesced(shape: tuple[int, ...], strides: list[tuple[int, ...]]) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """A shape with as few axes as possible, for arrays of these strides."""
    axes = [(n, [s[i] for s in strides]) for i, n in enumerate(shape) if n != 1]
    merged: list[tuple[int, list[int]]] = []
    for n, steps in axes:
        if merged and all(outer == inner * n for outer, inner in zip(merged[-1][1], steps)):
            merged[-1] = merged[-1][0] * n, steps
        else:
            merged.append((n, steps))
    if not merged:
        return (1,), [(4,)] * len(strides)
    return tuple([n for n, _ in merged]), [tuple([steps[i] for _, steps in merged]) for i in range(len(strides))]
