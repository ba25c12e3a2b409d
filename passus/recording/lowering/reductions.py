"""Sums and maxima."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.backend.trace import Method
from passus.kernels.channels import channel_sums
from passus.kernels.sums import MAX_SEQUENTIAL
from passus.recording.lowering.assembler import FLOAT32, Assembler
from passus.recording.lowering.elementwise import PIECE
from passus.recording.program import Instruction, Value

__all__ = ["lower_reduction"]

MOST_ROWS = 1 << 14
"""Rows of several matrices whose columns are summed one after the other in float32, with an operation for each matrix."""


def lower_reduction(instruction: Instruction, assembler: Assembler) -> bool:
    """Append a sum over neighbouring axes, or the maximum over the last ones."""
    function, args, result = instruction.function, instruction.args, instruction.result
    if function is channel_sums and len(args[0].shape) == 2 and args[0].shape[0] <= MAX_SEQUENTIAL:
        function, args = Method("sum"), (args[0], 0)
    if not isinstance(function, Method) or function.name not in ("sum", "max") or not isinstance(result, Value):
        return False
    x = assembler.operand(args[0])
    if x is None or result.dtype != FLOAT32 or not x.size:
        return False
    axes = _axes(args[1:], dict(instruction.options), x.ndim)
    if axes is None:
        return False
    groups = _groups(x, axes)
    if groups is None or len(groups) > 3:
        return False
    native, kinds = assembler.native, [is_summed for is_summed, _, _ in groups]
    of_rows = native.sum_of_rows if function.name == "sum" else native.maximum_of_rows
    (_, n, outer), (_, m, line), (_, k, _) = [(False, 1, 0)] * (3 - len(groups)) + groups
    if kinds in ([True], [False, True]):
        assembler.emit(of_rows, assembler.target(result), x, m, k, line)
    elif function.name == "sum" and (kinds == [True, False] or (kinds == [False, True, False] and n * m <= MOST_ROWS)):
        first, target = assembler.begin(), assembler.target(result)
        parts = assembler.pieces(k, max(1, PIECE // m)) if n == 1 else ((0, k),)
        for i in range(n):
            for start, stop in parts:
                y, numbers = (target, 4 * (i * k + start)), (x, i * outer + 4 * start)
                assembler.emit(native.sum_of_columns, y, numbers, m, stop - start, line)
        assembler.in_parallel(first)
    else:
        return False
    return True


def _groups(x: Array, axes: tuple[int, ...]) -> list[tuple[bool, int, int]] | None:
    """Axes in the order of memory, with neighbours as one: whether it is reduced, its length, and its stride.

    None if the last one has gaps, or if the others would not be in the order of the result.
    """
    order = sorted([i for i in range(x.ndim) if x.shape[i] > 1], key=lambda i: -x.strides[i])
    kept = [i for i in order if i not in axes]
    if kept != sorted(kept):
        return None
    groups: list[tuple[bool, int, int]] = []
    for i in order:
        is_reduced, count, stride = i in axes, x.shape[i], x.strides[i]
        if groups and groups[-1][0] == is_reduced and groups[-1][2] == stride * count:
            count *= groups.pop()[1]
        groups.append((is_reduced, count, stride))
    if not any(is_reduced for is_reduced, _, _ in groups):
        groups.append((True, 1, x.itemsize))
    return groups if groups[-1][2] == x.itemsize else None


def _axes(args: tuple[Any, ...], options: dict[str, Any], ndim: int) -> tuple[int, ...] | None:
    """The axes of a reduction, from 0 on; None for options that the machine does not have."""
    axis, keepdims = options.pop("axis", args[0] if args else None), options.pop("keepdims", False)
    if options or len(args) > 1 or not isinstance(keepdims, bool):
        return None
    axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    if not isinstance(axes, tuple) or not all(isinstance(i, int) for i in axes):
        return None
    return tuple(sorted(i % ndim for i in axes))
