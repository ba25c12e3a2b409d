"""Positions in flat arrays: an array and an index, which travel together."""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils

__all__ = ["At", "start_of"]


class At(NamedTuple):
    """Numbers of an array from an index on."""

    array: Any
    index: Any


def start_of(context: Any, builder: ir.IRBuilder, type_: Any, at: Any) -> Any:
    """The address of the first number, for intrinsics. ``type_``: that of ``at``, an `At` in a kernel."""
    of_array, of_index = type_.types
    array, index = cgutils.unpack_tuple(builder, at)
    data = context.make_array(of_array)(context, builder, array).data
    return builder.gep(data, [context.cast(builder, index, of_index, types.intp)])
