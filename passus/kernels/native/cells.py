"""Pieces of kernels for recurrent networks: the product of one step, and the gates of one vector of units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from passus.kernels.gates import CELLS
from passus.kernels.native import elementary, instructions
from passus.kernels.native.compiling import FLAT, INTEGER, compiled, inlined
from passus.kernels.native.formulas import OPTIONS, readable
from passus.kernels.native.pointers import At, start_of
from passus.kernels.native.simd import load, store
from passus.kernels.native.tile import matrix_steps, multiply_tile
from passus.kernels.native.vectors import LANES, VECTOR, mask, vector

__all__ = ["COLUMNS", "RowSteps", "Unit", "UnitGradient", "multiply", "unit_gradient", "unit_step"]

COLUMNS = 2 * LANES
"""The width of a tile."""

MOST = 6
"""The height of the largest tile; its sums and operands fit into 16 registers."""

for formulas in CELLS.values():
    readable(formulas.step)
    readable(formulas.gradient)


class Unit(NamedTuple):
    """Where one step of one example reads and writes its first unit; values of several gates are H numbers apart."""

    xs: At
    """What the input contributes to each gate."""
    hs: At
    """What the previous result contributes to each gate."""
    h: At
    """The previous result."""
    new_h: At
    c: At
    """The cell state, which is replaced by the new one."""
    saved: At
    """The arrays that the gradient needs."""
    cells: At
    """The new cell state, in the array of all steps."""


class UnitGradient(NamedTuple):
    """Where the gradient of one step of one example reads and writes its first unit."""

    gh: At
    """The gradient for h, which is replaced by its share that bypasses the gates, if there is one."""
    gc: At
    """The gradient for c, which is replaced by that for the previous c."""
    saved: At
    h_before: At
    h: At
    c_before: At
    c: At
    gxs: At
    """The gradients for what the input contributes to each gate."""
    ghs: At
    """The gradients for what the previous result contributes to each gate, if they differ from those of the input."""
    factor: At
    """The same gradients, as the left operand of the product with the weights."""


class RowSteps(NamedTuple):
    """Distances between rows of the operands and of the result of `multiply`, in numbers."""

    d: int
    a: int
    c: int


@compiled(
    numba.void(FLAT, types.UniTuple(INTEGER, 3), FLAT, FLAT, types.NamedUniTuple(INTEGER, 3, RowSteps), FLAT),
    allocates=False,
)
def multiply(A: Any, shape: Any, packed: Any, D: Any, row_steps: Any, C: Any) -> None:
    """``C = D + A @ B``, where ``packed`` holds B in tiles of columns. ``shape``: (rows, depth, columns)."""
    rows, depth, width = shape
    counts, steps = (1, 1, depth), matrix_steps(row_steps.d, row_steps.a, row_steps.c, 1, COLUMNS)
    for tile in range((width + COLUMNS - 1) // COLUMNS):
        first, b = tile * COLUMNS, At(packed, tile * depth * COLUMNS)
        lanes = width - first
        row, left = 0, (rows + MOST - 1) // MOST
        while row < rows:
            count = (rows - row + left - 1) // left
            left -= 1
            d, a, c = At(D, row * steps.d_row + first), At(A, row * steps.a_row), At(C, row * steps.c_row + first)
            row += count
            if lanes < COLUMNS:
                for i in range(count):
                    d_i, a_i = At(D, d.index + i * steps.d_row), At(A, a.index + i * steps.a_row)
                    multiply_tile(1, 2, lanes, d_i, a_i, b, counts, steps, At(C, c.index + i * steps.c_row))
            elif count == 6:
                multiply_tile(6, 2, None, d, a, b, counts, steps, c)
            elif count == 5:
                multiply_tile(5, 2, None, d, a, b, counts, steps, c)
            elif count == 4:
                multiply_tile(4, 2, None, d, a, b, counts, steps, c)
            elif count == 3:
                multiply_tile(3, 2, None, d, a, b, counts, steps, c)
            elif count == 2:
                multiply_tile(2, 2, None, d, a, b, counts, steps, c)
            else:
                multiply_tile(1, 2, None, d, a, b, counts, steps, c)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _load_blocks(typing: Any, at: Any, j: Any, step: Any, count: Any, lanes: Any) -> tuple[Any, Callable[..., Any]]:
    """``count`` vectors, a constant number of them, from number ``j`` on, ``step`` numbers apart."""
    number = count.literal_value

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        pointers = _pointers(context, builder, signature, args, number)
        vectors = [instructions.load(builder, pointer, args[4]) for pointer in pointers]
        return context.make_tuple(builder, signature.return_type, vectors)

    return types.UniTuple(vector, number)(at, types.intp, types.intp, count, mask), generate


@intrinsic  # type: ignore[untyped-decorator]
def _store_blocks(typing: Any, at: Any, j: Any, step: Any, vectors: Any, lanes: Any) -> tuple[Any, Callable[..., Any]]:
    """Write a tuple of vectors from number ``j`` on, ``step`` numbers apart."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        pointers = _pointers(context, builder, signature, args, len(vectors))
        for pointer, value in zip(pointers, cgutils.unpack_tuple(builder, args[3])):
            instructions.store(builder, value, pointer, args[4])
        return context.get_dummy_value()

    return types.void(at, types.intp, types.intp, vectors, mask), generate


def _pointers(context: Any, builder: ir.IRBuilder, signature: Any, args: Any, count: int) -> list[Any]:
    start = start_of(context, builder, signature.args[0], args[0])
    offsets = [builder.add(args[1], builder.mul(args[2], ir.IntType(64)(i))) for i in range(count)]
    return [builder.bitcast(builder.gep(start, [offset]), VECTOR.as_pointer()) for offset in offsets]


@inlined
def _load(at: Any, j: Any, lanes: Any) -> Any:
    return load(at.array, at.index + j, lanes)


@inlined
def _store(at: Any, j: Any, value: Any, lanes: Any) -> None:
    store(at.array, at.index + j, value, lanes)


def unit_step(cell: str, H: Any, unit: Unit, j: Any, lanes: Any) -> None:
    """The step of a vector of units, the first one j units after ``unit``."""
    raise NotImplementedError


@overload(unit_step, jit_options=OPTIONS, strict=False, prefer_literal=True)  # type: ignore[untyped-decorator]
def _unit_step(cell: Any, H: Any, unit: Any, j: Any, lanes: Any) -> Any:
    if not isinstance(cell, types.StringLiteral):
        return None
    formulas = CELLS[cell.literal_value]
    gates, has_c, step = formulas.gates, formulas.has_c, formulas.step

    def compute(cell: Any, H: Any, unit: Any, j: Any, lanes: Any) -> None:
        xs, hs = _load_blocks(unit.xs, j, H, gates, lanes), _load_blocks(unit.hs, j, H, gates, lanes)
        c = _load(unit.c, j, lanes) if has_c else None
        h, new_c, saved = step(elementary, xs, hs, _load(unit.h, j, lanes), c)
        _store(unit.new_h, j, h, lanes)
        if has_c:
            _store(unit.c, j, new_c, lanes)
            _store(unit.cells, j, new_c, lanes)
        _store_blocks(unit.saved, j, H, saved, lanes)

    return compute


def unit_gradient(cell: str, H: Any, unit: UnitGradient, j: Any, lanes: Any) -> None:
    """The gradient of the step of a vector of units, the first one j units after ``unit``."""
    raise NotImplementedError


@overload(unit_gradient, jit_options=OPTIONS, strict=False, prefer_literal=True)  # type: ignore[untyped-decorator]
def _unit_gradient(cell: Any, H: Any, unit: Any, j: Any, lanes: Any) -> Any:
    if not isinstance(cell, types.StringLiteral):
        return None
    formulas = CELLS[cell.literal_value]
    count, has_c, separate, gradient = formulas.saved, formulas.has_c, formulas.separate, formulas.gradient
    has_saved = count > 0

    def compute(cell: Any, H: Any, unit: Any, j: Any, lanes: Any) -> None:
        of_x, of_h, direct, gc = gradient(
            elementary,
            _load(unit.gh, j, lanes),
            _load(unit.gc, j, lanes) if has_c else None,
            _load_blocks(unit.saved, j, H, count, lanes),
            None if has_c else _load(unit.h_before, j, lanes),
            None if has_saved else _load(unit.h, j, lanes),
            _load(unit.c_before, j, lanes) if has_c else None,
            _load(unit.c, j, lanes) if has_c else None,
        )
        _store_blocks(unit.gxs, j, H, of_x, lanes)
        _store_blocks(unit.factor, j, H, of_h, lanes)
        if separate:
            _store_blocks(unit.ghs, j, H, of_h, lanes)
            _store(unit.gh, j, direct, lanes)
        if has_c:
            _store(unit.gc, j, gc, lanes)

    return compute
