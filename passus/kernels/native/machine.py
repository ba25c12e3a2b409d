"""A machine for small arrays: operations whose arguments are addresses, and a loop that calls them.

For small arrays, a call from Python takes longer than the computation. Here a whole part of a program is one call: `run` reads
a table with two addresses for each operation, that of its code and that of its arguments, integers of 64 bits. All arrays are
of float32, unless said otherwise. An operation returns 0, or 1 to end the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from passus.kernels.machine import BLOCK, CODES, OPERAND, OPERATION
from passus.kernels.native import elementary, updates
from passus.kernels.native.addresses import call, integer_at, labels_at, numbers_at
from passus.kernels.native.compiling import INTEGER, compiled, inlined
from passus.kernels.native.loops import for_vectors, sum_vectors
from passus.kernels.native.pointers import At
from passus.kernels.native.processor import rows_of_tile
from passus.kernels.native.simd import LANES, load, splat, store, where
from passus.kernels.native.tile import matrix_steps, multiply_tile

__all__ = ["UPDATES", "numbers_of", "product_of", "run"]

numbers_of = updates.numbers_of

SIGNATURE = INTEGER(INTEGER)

COLUMNS = 2 * LANES
"""Columns of a tile of products."""

ROWS = rows_of_tile(1 << 6, 2)
"""Rows of a tile of products."""


@compiled(INTEGER(INTEGER, INTEGER), allocates=False)
def run(table: Any, count: Any) -> Any:
    """Call ``count`` operations. Returns the number of those that were completed."""
    for i in range(count):
        if call(integer_at(table + 16 * i), integer_at(table + 16 * i + 8)):
            return i
    return count


# Elementwise operations.


@inlined
def _filled(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    store(y, i, splat(a[0]), lanes)


@inlined
def _copied(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    store(y, i, load(a, i, lanes), lanes)


@inlined
def _added(arguments: Any, i: Any, lanes: Any) -> None:
    a, b, _, y = arguments
    store(y, i, load(a, i, lanes) + load(b, i, lanes), lanes)


@inlined
def _subtracted(arguments: Any, i: Any, lanes: Any) -> None:
    a, b, _, y = arguments
    store(y, i, load(a, i, lanes) - load(b, i, lanes), lanes)


@inlined
def _multiplied(arguments: Any, i: Any, lanes: Any) -> None:
    a, b, _, y = arguments
    store(y, i, load(a, i, lanes) * load(b, i, lanes), lanes)


@inlined
def _divided(arguments: Any, i: Any, lanes: Any) -> None:
    a, b, _, y = arguments
    store(y, i, load(a, i, lanes) / load(b, i, lanes), lanes)


@inlined
def _maximum(arguments: Any, i: Any, lanes: Any) -> None:
    a, b, _, y = arguments
    store(y, i, elementary.maximum(load(a, i, lanes), load(b, i, lanes)), lanes)


@inlined
def _minimum(arguments: Any, i: Any, lanes: Any) -> None:
    a, b, _, y = arguments
    store(y, i, elementary.minimum(load(a, i, lanes), load(b, i, lanes)), lanes)


@inlined
def _greater(arguments: Any, i: Any, lanes: Any) -> None:
    a, b, _, y = arguments
    store(y, i, where(load(a, i, lanes) > load(b, i, lanes), splat(np.float32(1)), splat(np.float32(0))), lanes)


@inlined
def _greater_equal(arguments: Any, i: Any, lanes: Any) -> None:
    a, b, _, y = arguments
    store(y, i, where(load(a, i, lanes) >= load(b, i, lanes), splat(np.float32(1)), splat(np.float32(0))), lanes)


@inlined
def _selected(arguments: Any, i: Any, lanes: Any) -> None:
    a, b, c, y = arguments
    store(y, i, where(load(a, i, lanes) > splat(np.float32(0)), load(b, i, lanes), load(c, i, lanes)), lanes)


@inlined
def _negative(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    store(y, i, load(a, i, lanes) * splat(np.float32(-1)), lanes)


@inlined
def _absolute(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    store(y, i, abs(load(a, i, lanes)), lanes)


@inlined
def _exp(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    store(y, i, elementary.exp(load(a, i, lanes)), lanes)


@inlined
def _tanh(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    store(y, i, elementary.tanh(load(a, i, lanes)), lanes)


@inlined
def _compute(code: Any, arguments: Any, count: Any) -> None:
    """One step of an elementwise operation, on ``count`` numbers."""
    if code == CODES.FILL:
        for_vectors(_filled, arguments, count)
    elif code == CODES.COPY:
        for_vectors(_copied, arguments, count)
    elif code == CODES.ADD:
        for_vectors(_added, arguments, count)
    elif code == CODES.SUBTRACT:
        for_vectors(_subtracted, arguments, count)
    elif code == CODES.MULTIPLY:
        for_vectors(_multiplied, arguments, count)
    elif code == CODES.DIVIDE:
        for_vectors(_divided, arguments, count)
    elif code == CODES.MAXIMUM:
        for_vectors(_maximum, arguments, count)
    elif code == CODES.MINIMUM:
        for_vectors(_minimum, arguments, count)
    elif code == CODES.GREATER:
        for_vectors(_greater, arguments, count)
    elif code == CODES.GREATER_EQUAL:
        for_vectors(_greater_equal, arguments, count)
    elif code == CODES.SELECT:
        for_vectors(_selected, arguments, count)
    elif code == CODES.NEGATIVE:
        for_vectors(_negative, arguments, count)
    elif code == CODES.ABSOLUTE:
        for_vectors(_absolute, arguments, count)
    elif code == CODES.EXP:
        for_vectors(_exp, arguments, count)
    elif code == CODES.TANH:
        for_vectors(_tanh, arguments, count)
    elif code == CODES.LOG:
        a, _, _, y = arguments
        for i in range(count):
            y[np.uint64(i)] = math.log(a[np.uint64(i)])


@inlined
def _operand(at: Any, row: Any, start: Any) -> Any:
    """An operand: its address, and its distances in bytes from row to row and from number to number."""
    return numbers_at(integer_at(at) + row * integer_at(at + 8) + start * integer_at(at + 16))


@compiled(SIGNATURE, allocates=False)
def elementwise(at: Any) -> Any:
    """Steps of elementwise operations on a matrix, one block of numbers after the other, so that they stay in the cache.

    Arguments: rows, columns, steps that are computed once, steps in all; then the steps: a code, and the operands y, a, b, c.
    """
    rows, columns, first, count = integer_at(at), integer_at(at + 8), integer_at(at + 16), integer_at(at + 24)
    for row in range(rows):
        for start in range(0, columns, BLOCK):
            size = min(BLOCK, columns - start)
            skipped = first if row > 0 or start > 0 else 0
            for step in range(skipped, count):
                where_ = at + 32 + step * OPERATION * 8
                y, a, b, c = where_ + 8, where_ + 8 + OPERAND, where_ + 8 + 2 * OPERAND, where_ + 8 + 3 * OPERAND
                arguments = (_operand(a, row, start), _operand(b, row, start), _operand(c, row, start))
                every = (arguments[0], arguments[1], arguments[2], _operand(y, row, start))
                _compute(integer_at(where_), every, size)
    return 0


# Reductions.


@inlined
def _loaded(arguments: Any, i: Any, lanes: Any) -> Any:
    return load(arguments[0], i, lanes)


@compiled(SIGNATURE, allocates=False)
def sum_of_rows(at: Any) -> Any:
    """``y[i] = sum of x[i]``. Arguments: y, x, rows, columns, distance of two rows in bytes."""
    y, x, rows, columns, line = (
        numbers_at(integer_at(at)),
        integer_at(at + 8),
        integer_at(at + 16),
        integer_at(at + 24),
        integer_at(at + 32),
    )
    for row in range(rows):
        y[np.uint64(row)] = np.float32(sum_vectors(_loaded, (numbers_at(x + row * line),), columns))
    return 0


@inlined
def _column_sums(arguments: Any, i: Any, lanes: Any) -> None:
    x, y, rows, line = arguments
    total = splat(np.float32(0))
    for row in range(rows):
        total = total + load(numbers_at(x + row * line), i, lanes)
    store(y, i, total, lanes)


@compiled(SIGNATURE, allocates=False)
def sum_of_columns(at: Any) -> Any:
    """``y[j] = sum over i of x[i, j]``. Arguments: y, x, rows, columns, distance of two rows in bytes."""
    y, x, rows, columns, line = (
        numbers_at(integer_at(at)),
        integer_at(at + 8),
        integer_at(at + 16),
        integer_at(at + 24),
        integer_at(at + 32),
    )
    for_vectors(_column_sums, (x, y, rows, line), columns)
    return 0


@compiled(SIGNATURE, allocates=False)
def maximum_of_rows(at: Any) -> Any:
    """``y[i] = max of x[i]``, NaN if there is one. Arguments: y, x, rows, columns, distance of two rows in bytes."""
    y, x, rows, columns, line = (
        numbers_at(integer_at(at)),
        integer_at(at + 8),
        integer_at(at + 16),
        integer_at(at + 24),
        integer_at(at + 32),
    )
    for row in range(rows):
        numbers = numbers_at(x + row * line)
        most = numbers[np.uint64(0)]
        for i in range(1, columns):
            number = numbers[np.uint64(i)]
            if number > most or number != number:
                most = number
            if most != most:
                break
        y[np.uint64(row)] = most
    return 0


# Labels.


@compiled(SIGNATURE, allocates=False)
def check_labels(at: Any) -> Any:
    """End the run unless all labels are in a range. Arguments: labels (int64), count, first label, label after the last."""
    labels, count, low, high = (
        labels_at(integer_at(at)),
        integer_at(at + 8),
        integer_at(at + 16),
        integer_at(at + 24),
    )
    wrong = 0
    for i in range(count):
        label = labels[np.uint64(i)]
        wrong |= (label < low) | (label >= high)
    return wrong


@compiled(SIGNATURE, allocates=False)
def take_labels(at: Any) -> Any:
    """``y[i] = x[i, labels[i]]``. Arguments: y, x, labels (int64), rows, distance of two rows in numbers."""
    y, x, labels, rows, line = (
        numbers_at(integer_at(at)),
        numbers_at(integer_at(at + 8)),
        labels_at(integer_at(at + 16)),
        integer_at(at + 24),
        integer_at(at + 32),
    )
    for row in range(rows):
        y[np.uint64(row)] = x[np.uint64(row * line + labels[np.uint64(row)])]
    return 0


@compiled(SIGNATURE, allocates=False)
def add_at_labels(at: Any) -> Any:
    """``x[i, labels[i]] += a``. Arguments: x, labels (int64), rows, distance of two rows in numbers, the address of a."""
    x, labels, rows, line, a = (
        numbers_at(integer_at(at)),
        labels_at(integer_at(at + 8)),
        integer_at(at + 16),
        integer_at(at + 24),
        numbers_at(integer_at(at + 32))[0],
    )
    for row in range(rows):
        x[np.uint64(row * line + labels[np.uint64(row)])] += a
    return 0


# Products of matrices.


@inlined
def _copy_columns(b: Any, to: Any, k: Any, lanes: Any, row: Any, column: Any) -> None:
    """Some columns of a matrix as rows of whole tiles. ``row``, ``column``: distances in numbers."""
    for i in range(k):
        for lane in range(lanes):
            to[np.uint64(i * COLUMNS + lane)] = b[np.uint64(i * row + lane * column)]
        for lane in range(lanes, COLUMNS):
            to[np.uint64(i * COLUMNS + lane)] = np.float32(0)


@inlined
def _tile_of_columns(P: Any, at: Any, first: Any) -> None:
    """All rows of one tile of columns, which begins at column ``first``."""
    a, b, bias, y = integer_at(at), integer_at(at + 8), integer_at(at + 16), integer_at(at + 24)
    n, k, m = integer_at(at + 32), integer_at(at + 40), integer_at(at + 48)
    a_row, a_k, b_k, b_column = integer_at(at + 56), integer_at(at + 64), integer_at(at + 72), integer_at(at + 80)
    copy, buffer, start = (
        numbers_at(integer_at(at + 88)),
        numbers_at(integer_at(at + 96)),
        numbers_at(integer_at(at + 104)),
    )
    lanes = min(COLUMNS, m - first)
    columns, line = numbers_at(b + 4 * first * b_column), b_k
    if b_column != 1 or lanes < COLUMNS:  # Otherwise the columns are read in place.
        _copy_columns(columns, copy, k, lanes, b_k, b_column)
        columns, line = copy, COLUMNS
    for lane in range(COLUMNS):
        start[np.uint64(lane)] = np.float32(0)
    if bias:
        for lane in range(lanes):
            start[np.uint64(lane)] = numbers_at(bias + 4 * first)[np.uint64(lane)]
    left, target = numbers_at(a), numbers_at(y)
    row = 0
    while row < n:
        # The last tile may overlap the one before it.
        full, p = row + P <= n, row
        if not full and n >= P:
            full, p = True, n - P
        some = P if full else 1
        C, c, step = (target, p * m + first, m) if lanes == COLUMNS else (buffer, 0, COLUMNS)
        steps = matrix_steps(d_row=0, a_row=a_row, c_row=step, a_k=a_k, b_k=line)
        A, B, D, counts = At(left, p * a_row), At(columns, 0), At(start, 0), (1, 1, k)
        if full:
            multiply_tile(P, 2, None, D, A, B, counts, steps, At(C, c))
        else:
            multiply_tile(1, 2, None, D, A, B, counts, steps, At(C, c))
        if lanes < COLUMNS:
            for i in range(some):
                for lane in range(lanes):
                    target[np.uint64((p + i) * m + first + lane)] = buffer[np.uint64(i * COLUMNS + lane)]
        row += some


@cache
def product_of(P: int) -> Callable[..., Any]:
    """``y = a @ b + bias`` in tiles of P rows.

    Arguments: the addresses of a (n, k), b (k, m), bias (m,) or 0, and y (n, m); n, k, m; the distances, in numbers, of rows
    and columns of a, and of rows and columns of b; the addresses of memory for k tiles of columns, for a tile, and for a row.
    """

    @compiled(SIGNATURE, allocates=False)
    def product(at: Any) -> Any:
        for first in range(0, integer_at(at + 48), COLUMNS):
            _tile_of_columns(P, at, first)
        return 0

    return product


# Updates of parameters. Arguments: the number of elements, the address of the numbers of the rule, those of the parameter, its
# gradient, and its slots.


@inlined
def _arrays(at: Any) -> Any:
    return numbers_at(integer_at(at + 8)), numbers_at(integer_at(at + 16)), numbers_at(integer_at(at + 24))


@compiled(SIGNATURE, allocates=False)
def sgd(at: Any) -> Any:
    q, p, g = _arrays(at)
    updates._sgd(p, g, (q[0],), 0, integer_at(at))
    return 0


@compiled(SIGNATURE, allocates=False)
def momentum_sgd(at: Any) -> Any:
    q, p, g = _arrays(at)
    updates._momentum_sgd(p, g, numbers_at(integer_at(at + 32)), (q[0], q[1]), 0, integer_at(at))
    return 0


@compiled(SIGNATURE, allocates=False)
def nesterov(at: Any) -> Any:
    q, p, g = _arrays(at)
    updates._nesterov(p, g, numbers_at(integer_at(at + 32)), (q[0], q[1]), 0, integer_at(at))
    return 0


@compiled(SIGNATURE, allocates=False)
def adam(at: Any) -> Any:
    q, p, g = _arrays(at)
    m, v = numbers_at(integer_at(at + 32)), numbers_at(integer_at(at + 40))
    updates._adam(p, g, m, v, (q[0], q[1], q[2], q[3], q[4], q[5], q[6]), 0, integer_at(at))
    return 0


UPDATES = {"sgd": sgd, "momentum_sgd": momentum_sgd, "nesterov": nesterov, "adam": adam}
"""The rules that the machine computes, by the names of their kernels."""
