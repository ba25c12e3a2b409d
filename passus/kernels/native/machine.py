"""A machine for small arrays: operations whose arguments are addresses, and a loop that calls them.

For small arrays, a call from Python takes longer than the computation. Here a whole part of a program is one call: `run` reads
a table with two addresses for each operation, that of its code and that of its arguments, integers of 64 bits. All arrays are
of float32, unless said otherwise. An operation returns 0, or 1 to end the run.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from passus.kernels.machine import BLOCK, CODES, OPERAND, OPERATION
from passus.kernels.native import elementary, updates
from passus.kernels.native.addresses import byte_at, call, integer_at, labels_at, numbers_at, numbers_from
from passus.kernels.native.compiling import INTEGER, compiled, inlined
from passus.kernels.native.loops import fold_vectors, for_vectors, sum_vectors
from passus.kernels.native.pointers import At
from passus.kernels.native.processor import rows_of_tile
from passus.kernels.native.simd import LANES, all_lanes, first_lanes, fma, load, splat, store, sum_of_lanes, where
from passus.kernels.native.tile import matrix_steps, multiply_tile
from passus.kernels.native.transposing import copy_transposed

__all__ = ["UPDATES", "numbers_of", "prepare", "product_of", "run"]

numbers_of = updates.numbers_of

SIGNATURE = INTEGER(INTEGER)

LOWEST = np.finfo(np.float32).min

COLUMNS = 2 * LANES
"""Columns of a tile of products."""

ROWS = rows_of_tile(1 << 6, 2)
"""Rows of a tile of products."""


def prepare() -> None:
    """Declare the products of all numbers of rows."""
    for rows in (1, 4, ROWS):
        product_of(rows)


@compiled(INTEGER(INTEGER, INTEGER), allocates=False)
def run(table: Any, count: Any) -> Any:
    """Call ``count`` operations. Returns the number of those that were completed."""
    for i in range(count):
        if call(integer_at(table + 16 * i), integer_at(table + 16 * i + 8)):
            return i
    return count


@compiled(INTEGER(INTEGER, INTEGER), allocates=False)
def are_equal(table: Any, count: Any) -> Any:
    """Whether pairs of arrays have equal bytes. The table has the addresses of each pair, and the number of their bytes."""
    for i in range(count):
        x, y, size = integer_at(table + 24 * i), integer_at(table + 24 * i + 8), integer_at(table + 24 * i + 16)
        whole = size // 8
        for start in range(0, whole, BLOCK):
            difference = 0
            for j in range(start, min(start + BLOCK, whole)):
                difference |= integer_at(x + 8 * j) ^ integer_at(y + 8 * j)
            if difference:
                return 0
        for j in range(8 * whole, size):
            if byte_at(x + j) != byte_at(y + j):
                return 0
    return 1


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
def _log(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    store(y, i, elementary.log(load(a, i, lanes)), lanes)


@inlined
def _log1p(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    store(y, i, elementary.log1p_everywhere(load(a, i, lanes)), lanes)


@inlined
def _sqrt(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    store(y, i, elementary.sqrt(load(a, i, lanes)), lanes)


@inlined
def _reciprocal_root(arguments: Any, i: Any, lanes: Any) -> None:
    a, _, _, y = arguments
    x, zero = load(a, i, lanes), splat(np.float32(0))
    root = splat(np.float32(1)) / elementary.sqrt(x + zero)
    store(y, i, where(x < splat(LOWEST), zero, root), lanes)  # As NumPy's power: inf for -0, and 0 for -inf.


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
        for_vectors(_log, arguments, count)
    elif code == CODES.LOG1P:
        for_vectors(_log1p, arguments, count)
    elif code == CODES.SQRT:
        for_vectors(_sqrt, arguments, count)
    elif code == CODES.RECIPROCAL_ROOT:
        for_vectors(_reciprocal_root, arguments, count)


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
def check_mask(at: Any) -> Any:
    """End the run unless all numbers are positive. Arguments: numbers, count."""
    mask, count = numbers_at(integer_at(at)), integer_at(at + 8)
    wrong = 0
    for i in range(count):
        wrong |= mask[np.uint64(i)] <= np.float32(0)
    return wrong


@compiled(SIGNATURE, allocates=False)
def take_rows(at: Any) -> Any:
    """``y[i] = x[labels[i]]``. Arguments: y, x, labels (int64), count, columns, distance of two rows of x in bytes."""
    y, x, labels = integer_at(at), integer_at(at + 8), labels_at(integer_at(at + 16))
    count, columns, line = integer_at(at + 24), integer_at(at + 32), integer_at(at + 40)
    for i in range(count):
        row, target = numbers_at(x + labels[np.uint64(i)] * line), numbers_at(y + 4 * i * columns)
        for_vectors(_copied, (row, row, row, target), columns)
    return 0


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
    if column == 1:
        for i in range(k):
            for lane in range(0, COLUMNS, LANES):
                place, target = numbers_from(b, i * row + lane), numbers_from(to, i * COLUMNS)
                some = first_lanes(lanes - lane)
                store(target, lane, load(place, 0, some), all_lanes())
    elif row == 1:
        for lane in range(0, COLUMNS, LANES):
            some = min(LANES, lanes - lane)
            for i in range(0, k, LANES):
                if some > 0:
                    copy_transposed(
                        b, 4 * (lane * column + i), 4 * column, some, min(LANES, k - i), to, i * COLUMNS + lane, COLUMNS
                    )
                else:
                    for j in range(i, min(i + LANES, k)):
                        store(to, j * COLUMNS + lane, splat(np.float32(0)), all_lanes())
    else:
        for i in range(k):
            for lane in range(lanes):
                to[np.uint64(i * COLUMNS + lane)] = b[np.uint64(i * row + lane * column)]
            for lane in range(lanes, COLUMNS):
                to[np.uint64(i * COLUMNS + lane)] = np.float32(0)


@inlined
def _tile_of_columns(P: Any, at: Any, first: Any) -> None:
    """All rows of one tile of columns, which begins at column ``first``."""
    a, b, bias, y = integer_at(at), integer_at(at + 8), integer_at(at + 16), integer_at(at + 24)
    n, k, m, y_row = integer_at(at + 32), integer_at(at + 40), integer_at(at + 48), integer_at(at + 56)
    a_row, a_k, b_k, b_column = integer_at(at + 64), integer_at(at + 72), integer_at(at + 80), integer_at(at + 88)
    copy, buffer, start = (
        numbers_at(integer_at(at + 96)),
        numbers_at(integer_at(at + 104)),
        numbers_at(integer_at(at + 112)),
    )
    lanes = min(COLUMNS, m - first)
    columns, line = numbers_at(b + 4 * first * b_column), b_k
    if b_column != 1 or lanes < COLUMNS:  # Otherwise the columns are read in place.
        _copy_columns(columns, copy, k, lanes, b_k, b_column)
        columns, line = copy, COLUMNS
    for lane in range(0, COLUMNS, LANES):
        some = first_lanes(lanes - lane if bias else 0)
        store(start, lane, load(numbers_at(bias + 4 * first), lane, some), all_lanes())
    left, target = numbers_at(a), numbers_at(y)
    row = 0
    while row < n:
        # The last tile may overlap the one before it.
        full, p = row + P <= n, row
        if not full and n >= P:
            full, p = True, n - P
        some_rows = P if full else 1
        C, c, step = (target, p * y_row + first, y_row) if lanes == COLUMNS else (buffer, 0, COLUMNS)
        steps = matrix_steps(d_row=0, a_row=a_row, c_row=step, a_k=a_k, b_k=line)
        A, B, D, counts = At(left, p * a_row), At(columns, 0), At(start, 0), (1, 1, k)
        if full:
            multiply_tile(P, 2, None, D, A, B, counts, steps, At(C, c))
        else:
            multiply_tile(1, 2, None, D, A, B, counts, steps, At(C, c))
        if lanes < COLUMNS:
            for i in range(some_rows):
                for_vectors(
                    _copy_lanes,
                    (numbers_from(buffer, i * COLUMNS), numbers_from(target, (p + i) * y_row + first)),
                    lanes,
                )
        row += some_rows


@inlined
def _copy_lanes(arguments: Any, i: Any, lanes: Any) -> None:
    x, y = arguments
    store(y, i, load(x, i, lanes), lanes)


@cache
def product_of(P: int) -> Any:
    """``y = a @ b + bias`` in tiles of P rows.

    Arguments: the addresses of a (n, k), b (k, m), bias (m,) or 0, and y (n, m); n, k, m; the distances, in numbers, of rows
    of y, of rows and columns of a, and of rows and columns of b; the addresses of memory for k rows of a tile, for a tile, and
    for a row of it.
    """

    @compiled(SIGNATURE, allocates=False)
    def product(at: Any) -> Any:
        for first in range(0, integer_at(at + 48), COLUMNS):
            _tile_of_columns(P, at, first)
        return 0

    return product


@inlined
def _four_rows(arguments: Any, i: Any, lanes: Any) -> None:
    x, b, line, y = arguments
    total = load(y, i, lanes)
    for row in range(4):
        total = fma(splat(x[np.uint64(row)]), load(numbers_from(b, row * line), i, lanes), total)
    store(y, i, total, lanes)


@inlined
def _one_row(arguments: Any, i: Any, lanes: Any) -> None:
    x, b, y = arguments
    store(y, i, fma(splat(x[np.uint64(0)]), load(b, i, lanes), load(y, i, lanes)), lanes)


@inlined
def _cleared(arguments: Any, i: Any, lanes: Any) -> None:
    store(arguments[0], i, splat(np.float32(0)), lanes)


@inlined
def _started(arguments: Any, i: Any, lanes: Any) -> None:
    bias, y = arguments
    store(y, i, load(bias, i, lanes), lanes)


@compiled(SIGNATURE, allocates=False)
def product_of_rows(at: Any) -> Any:
    """``y = a @ b + bias`` for few rows, where the rows of b are contiguous: b is read once, row after row.

    Arguments: as `product_of`. The columns of a are contiguous.
    """
    n, k, m, y_row = integer_at(at + 32), integer_at(at + 40), integer_at(at + 48), integer_at(at + 56)
    a_row, line, bias = integer_at(at + 64), integer_at(at + 80), integer_at(at + 16)
    b = numbers_at(integer_at(at + 8))
    for row in range(n):
        x, y = numbers_at(integer_at(at) + 4 * row * a_row), numbers_at(integer_at(at + 24) + 4 * row * y_row)
        for first in range(0, m, BLOCK):
            size, target = min(BLOCK, m - first), numbers_from(y, first)
            if bias:
                for_vectors(_started, (numbers_at(bias + 4 * first), target), size)
            else:
                for_vectors(_cleared, (target,), size)
            whole = k - k % 4
            for i in range(0, whole, 4):
                for_vectors(_four_rows, (numbers_from(x, i), numbers_from(b, i * line + first), line, target), size)
            for i in range(whole, k):
                for_vectors(_one_row, (numbers_from(x, i), numbers_from(b, i * line + first), target), size)
    return 0


@inlined
def _products_of_four(totals: Any, arguments: Any, i: Any, lanes: Any) -> Any:
    x, b, line = arguments
    some, (first, second, third, fourth) = load(x, i, lanes), totals
    return (
        fma(some, load(b, i, lanes), first),
        fma(some, load(numbers_from(b, line), i, lanes), second),
        fma(some, load(numbers_from(b, 2 * line), i, lanes), third),
        fma(some, load(numbers_from(b, 3 * line), i, lanes), fourth),
    )


@inlined
def _product_of_one(total: Any, arguments: Any, i: Any, lanes: Any) -> Any:
    x, b = arguments
    return fma(load(x, i, lanes), load(b, i, lanes), total)


@compiled(SIGNATURE, allocates=False)
def product_of_columns(at: Any) -> Any:
    """``y = a @ b + bias`` for few rows, where the columns of b are contiguous: each result is a sum over two lines of memory.

    Arguments: as `product_of`. The columns of a are contiguous.
    """
    n, k, m, y_row = integer_at(at + 32), integer_at(at + 40), integer_at(at + 48), integer_at(at + 56)
    a_row, line, bias = integer_at(at + 64), integer_at(at + 88), integer_at(at + 16)
    b, zero = numbers_at(integer_at(at + 8)), splat(np.float32(0))
    for row in range(n):
        x, y = numbers_at(integer_at(at) + 4 * row * a_row), numbers_at(integer_at(at + 24) + 4 * row * y_row)
        whole = m - m % 4
        for j in range(0, whole, 4):
            first, second, third, fourth = fold_vectors(
                _products_of_four, (zero, zero, zero, zero), (x, numbers_from(b, j * line), line), k
            )
            y[np.uint64(j)], y[np.uint64(j + 1)] = sum_of_lanes(first), sum_of_lanes(second)
            y[np.uint64(j + 2)], y[np.uint64(j + 3)] = sum_of_lanes(third), sum_of_lanes(fourth)
        for j in range(whole, m):
            y[np.uint64(j)] = sum_of_lanes(fold_vectors(_product_of_one, zero, (x, numbers_from(b, j * line)), k))
        if bias:
            for_vectors(_added, (y, numbers_at(bias), y, y), m)
    return 0


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
