"""LLVM instructions on vectors, for intrinsics that generate their own code; `simd.py` offers the same names to kernels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from passus.kernels.native.vectors import INTEGERS, LANES, MASK, VECTOR

__all__ = [
    "address",
    "all_lanes",
    "call",
    "constant",
    "first_lanes",
    "fma",
    "load",
    "loop_mask",
    "prefetch",
    "splat",
    "store",
]

AVX_LANES = 8

SIGN_MASKS = LANES == AVX_LANES
"""Whether masked instructions read the signs of integers, as those of AVX do."""


def address(context: Any, builder: ir.IRBuilder, type_: Any, array: Any, index: Any, content: Any = VECTOR) -> Any:
    """The address of the vector that begins at ``array[index]``."""
    data = context.make_array(type_)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), content.as_pointer())


def constant(number: float, content: Any = VECTOR) -> Any:
    """A vector whose lanes all hold a compile-time constant."""
    return ir.Constant(content, [number] * LANES)


def splat(builder: ir.IRBuilder, number: Any, content: Any = VECTOR) -> Any:
    """A vector whose lanes all hold this number."""
    none = ir.Constant(content, ir.Undefined)
    first = builder.insert_element(none, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, none, constant(0, ir.VectorType(ir.IntType(32), LANES)))


def call(builder: ir.IRBuilder, name: str, *vectors: Any) -> Any:
    """Call an LLVM intrinsic on vectors."""
    type_ = ir.FunctionType(VECTOR, [VECTOR] * len(vectors))
    return builder.call(cgutils.get_or_insert_function(builder.module, type_, f"llvm.{name}.v{LANES}f32"), vectors)


def fma(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once."""
    return call(builder, "fma", a, b, c)


def all_lanes() -> Any:
    """The mask of a whole vector. LLVM turns masked instructions with it into plain ones."""
    return constant(True, MASK)


def first_lanes(builder: ir.IRBuilder, count: Any) -> Any:
    """The mask of the first ``count`` lanes; ``count``, an integer of 64 bits, may be negative or more than `LANES`."""
    wide = ir.VectorType(ir.IntType(64), LANES)
    return builder.icmp_signed("<", ir.Constant(wide, list(range(LANES))), splat(builder, count, wide))


def loop_mask(builder: ir.IRBuilder, count: Any) -> Any:
    """The mask of the first ``count`` lanes, to be computed before a loop and read by `load` and `store` within it.

    With AVX it is a vector of integers whose signs are the mask. LLVM would hold a vector of booleans as integers of 16 bits
    and widen them for each load, which doubles the time of a tile.
    """
    if not SIGN_MASKS:
        return first_lanes(builder, count)
    zero, all_ = ir.IntType(64)(0), ir.IntType(64)(LANES)
    count = builder.select(builder.icmp_signed("<", count, all_), count, all_)
    count = builder.select(builder.icmp_signed(">", count, zero), count, zero)
    numbers = splat(builder, builder.trunc(count, ir.IntType(32)), INTEGERS)
    return builder.sub(ir.Constant(INTEGERS, list(range(LANES))), numbers)


def load(builder: ir.IRBuilder, pointer: Any, lanes: Any, align: int = 4, fill: Any = None) -> Any:
    """The vector at an address. Masked lanes are not read: they hold ``fill``, or 0."""
    content = pointer.type.pointee
    if lanes.type is INTEGERS:
        return _call_avx(builder, "maskload", VECTOR, pointer, lanes)
    type_ = ir.FunctionType(content, [pointer.type, ir.IntType(32), MASK, content])
    function = cgutils.get_or_insert_function(builder.module, type_, f"llvm.masked.load.{_suffix(content)}")
    fill = ir.Constant(content, None) if fill is None else fill
    return builder.call(function, [pointer, ir.IntType(32)(align), lanes, fill])


def store(builder: ir.IRBuilder, value: Any, pointer: Any, lanes: Any, align: int = 4) -> None:
    """Write the lanes that are not masked to an address."""
    if lanes.type is INTEGERS:
        _call_avx(builder, "maskstore", ir.VoidType(), pointer, lanes, value)
        return
    type_ = ir.FunctionType(ir.VoidType(), [value.type, pointer.type, ir.IntType(32), MASK])
    function = cgutils.get_or_insert_function(builder.module, type_, f"llvm.masked.store.{_suffix(value.type)}")
    builder.call(function, [value, pointer, ir.IntType(32)(align), lanes])


def _call_avx(builder: ir.IRBuilder, name: str, result: Any, pointer: Any, *vectors: Any) -> Any:
    """Call a masked instruction of AVX, whose mask is the signs of integers."""
    values = [builder.bitcast(pointer, ir.IntType(8).as_pointer()), *vectors]
    type_ = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, type_, f"llvm.x86.avx.{name}.ps.256"), values)


def _suffix(content: Any) -> str:
    name = f"v{LANES}{'f32' if content is VECTOR else 'i8'}"
    return f"{name}.p0{name}"


def prefetch(builder: ir.IRBuilder, pointer: Any, to_write: bool) -> None:
    """Prefetch the cache line of an address into the second level; the address may be invalid."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    type_ = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, type_, "llvm.prefetch.p0i8")
    builder.call(function, [builder.bitcast(pointer, byte), number(int(to_write)), number(2), number(1)])
