"""Products of matrices."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from passus.backend import Array
from passus.backend.trace import Method, undecorated
from passus.kernels import products
from passus.kernels.threads import pieces_of
from passus.recording.lowering.assembler import FLOAT32, Assembler
from passus.recording.program import Instruction, Value

__all__ = ["PRODUCTS", "lower_product"]

PRODUCTS = (operator.matmul, np.matmul, np.dot, Method("dot"), products.product, undecorated(products.batched))
"""Functions that multiply matrices."""

LARGEST, LARGEST_IN_CACHE = 1 << 23, 1 << 25
"""Number of multiplications of a product on the machine, and the same if its matrices stay in the cache of a core."""

CACHED = 1 << 17
"""Number of elements of such a matrix."""

PIECE = 1 << 19
"""Number of multiplications that are worth a thread."""

FEW_ROWS = 3
"""Number of rows up to which the right matrix is not copied."""


def lower_product(instruction: Instruction, assembler: Assembler) -> bool:
    """Append the product of two matrices, or of a vector and a matrix, with or without a bias."""
    args, result = instruction.args, instruction.result
    if instruction.function not in PRODUCTS or instruction.options or not isinstance(result, Value):
        return False
    found = assembler.operands([x for x in args if x is not None])
    if found is None or len(found) not in (2, 3) or result.dtype != FLOAT32:
        return False
    a, b, *bias = found
    if b.ndim != 2 or a.ndim not in (1, 2) or any(v.shape != b.shape[1:] or v.strides != (4,) for v in bias):
        return False
    a = a[None] if a.ndim == 1 else a
    (n, k), m = a.shape, b.shape[1]
    most = LARGEST_IN_CACHE if max(n * k, k * m, n * m) <= CACHED else LARGEST
    if not 0 < n * k * m <= most or k > products.PRODUCTS_IN_FLOAT32:
        return False
    target = assembler.target(result)
    target = target if target.ndim == 2 else target[None]
    if n == 1 and b.strides[1] == 4 and _is_ones(args[0]):
        assembler.emit(assembler.native.sum_of_columns, target, b, k, m, b.strides[0])
    else:
        _emit(assembler, a, b, bias[0] if bias else None, target)
    return True


def _is_ones(x: Any) -> bool:
    return isinstance(x, np.ndarray) and bool((x == 1).all())


def _emit(assembler: Assembler, a: Array, b: Array, bias: Array | None, y: Array) -> None:
    """Append a product, in a part for each thread if it is large."""
    (n, k), m = a.shape, b.shape[1]
    count, first = len(assembler.pieces(n * k * m, PIECE)), assembler.begin()
    if count == 1:
        _emit_part(assembler, a, b, bias, y)
    elif n >= 2 * assembler.native.ROWS * count:
        for start, stop in pieces_of(n):
            _emit_part(assembler, a[start:stop], b, bias, y[start:stop])
    else:
        columns = assembler.native.COLUMNS
        for start, stop in pieces_of(-(-m // columns)):
            part = slice(start * columns, min(m, stop * columns))
            _emit_part(assembler, a, b[:, part], None if bias is None else bias[part], y[:, part])
    assembler.in_parallel(first)


def _emit_part(assembler: Assembler, a: Array, b: Array, bias: Array | None, y: Array) -> None:
    (n, k), m, native = a.shape, b.shape[1], assembler.native
    columns, few = native.COLUMNS, n <= FEW_ROWS and a.strides[1] == 4
    operation = native.product_of(native.ROWS if n >= native.ROWS else 4 if n >= 4 else 1)
    if few and b.strides[1] == 4:
        operation = native.product_of_rows
    elif few and b.strides[0] == 4:
        operation = native.product_of_columns
    steps = [s // 4 for s in (y.strides[0], *a.strides, *b.strides)]
    scratch = [assembler.scratch(size) for size in (k * columns, native.ROWS * columns, columns)]
    assembler.emit(operation, a, b, 0 if bias is None else bias, y, n, k, m, *steps, *scratch)
