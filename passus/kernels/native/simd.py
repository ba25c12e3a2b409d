"""Functions of float32 vectors in kernels, besides their operators: masked loads and stores, selections, and reductions.

They serve loops that Numba does not vectorize. Masked lanes are neither read nor written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from passus.kernels.native import instructions
from passus.kernels.native import operators as operators  # Importing it defines them.
from passus.kernels.native.vectors import BYTES, LANES, VECTOR, bytes_, mask, vector

__all__ = [
    "LANES",
    "all_lanes",
    "first_lanes",
    "fma",
    "clip",
    "load",
    "load_bytes",
    "load_or",
    "maximum",
    "maximum_of_lanes",
    "minimum",
    "number_at",
    "position_of_maximum",
    "prefetch",
    "prefetch_to_write",
    "splat",
    "splat_byte",
    "store",
    "store_bytes",
    "sum_of_lanes",
    "vector_at",
    "where",
    "where_equal",
    "where_inside",
]


@intrinsic  # type: ignore[untyped-decorator]
def all_lanes(typing: Any) -> tuple[Any, Callable[..., Any]]:
    """The mask of a whole vector; it costs nothing."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return instructions.all_lanes()

    return mask(), generate


@intrinsic  # type: ignore[untyped-decorator]
def first_lanes(typing: Any, count: Any) -> tuple[Any, Callable[..., Any]]:
    """The mask of the first ``count`` lanes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return instructions.first_lanes(builder, args[0])

    return mask(types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, array: Any, index: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """The vector ``array[index : index + LANES]`` of a flat array; 0 in masked lanes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return instructions.load(builder, instructions.address(context, builder, signature.args[0], *args[:2]), args[2])

    return vector(array, types.intp, mask), generate


@intrinsic  # type: ignore[untyped-decorator]
def load_or(typing: Any, array: Any, index: Any, which: Any, fill: Any) -> tuple[Any, Callable[..., Any]]:
    """The vector ``array[index : index + LANES]`` of a flat array; ``fill`` in masked lanes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        pointer = instructions.address(context, builder, signature.args[0], *args[:2])
        return instructions.load(builder, pointer, args[2], fill=args[3])

    return vector(array, types.intp, mask, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, array: Any, index: Any, value: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """``array[index : index + LANES] = value`` in a flat array, except in masked lanes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        instructions.store(
            builder, args[2], instructions.address(context, builder, signature.args[0], *args[:2]), args[3]
        )
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, mask), generate


def _prefetched(to_write: bool) -> Callable[..., Any]:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        instructions.prefetch(builder, instructions.address(context, builder, signature.args[0], *args), to_write)
        return context.get_dummy_value()

    return generate


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing: Any, array: Any, index: Any) -> tuple[Any, Callable[..., Any]]:
    """Prefetch the cache line of ``array[index]`` for reading; the index may be out of bounds."""
    return types.void(array, types.intp), _prefetched(to_write=False)


@intrinsic  # type: ignore[untyped-decorator]
def prefetch_to_write(typing: Any, array: Any, index: Any) -> tuple[Any, Callable[..., Any]]:
    """Prefetch the cache line of ``array[index]`` for writing; the index may be out of bounds."""
    return types.void(array, types.intp), _prefetched(to_write=True)


@intrinsic  # type: ignore[untyped-decorator]
def number_at(typing: Any, array: Any, offset: Any) -> tuple[Any, Callable[..., Any]]:
    """The number at an offset in bytes from the first number of an array of any strides."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.gep(builder.bitcast(data, ir.IntType(8).as_pointer()), [args[1]])
        return builder.load(builder.bitcast(pointer, ir.FloatType().as_pointer()))

    return types.float32(array, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def vector_at(typing: Any, array: Any, offset: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """The vector at an offset in bytes from the first number of an array of any strides; 0 in masked lanes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.gep(builder.bitcast(data, ir.IntType(8).as_pointer()), [args[1]])
        return instructions.load(builder, builder.bitcast(pointer, VECTOR.as_pointer()), args[2])

    return vector(array, types.intp, mask), generate


@intrinsic  # type: ignore[untyped-decorator]
def splat(typing: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    """A vector of equal numbers."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return instructions.splat(builder, args[0])

    return vector(types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def fma(typing: Any, a: Any, b: Any, c: Any) -> tuple[Any, Callable[..., Any]]:
    """``a * b + c``, rounded once."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return instructions.fma(builder, *args)

    return vector(vector, vector, vector), generate


def _of_two(name: str, instruction: Callable[[ir.IRBuilder, Any, Any], Any]) -> Any:
    def operation(typing: Any, a: Any, b: Any) -> tuple[Any, Callable[..., Any]]:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            return instruction(builder, *args)

        return vector(vector, vector), generate

    operation.__name__ = operation.__qualname__ = name
    return intrinsic(operation)


def _of_all_lanes(name: str, instruction: Callable[[ir.IRBuilder, Any, Any], Any]) -> Any:
    def operation(typing: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            (value,), count = args, LANES
            while count > 1:  # Combine the lower half of the lanes with the upper half until one lane is left.
                count //= 2
                half = ir.VectorType(ir.IntType(32), count)
                positions = [ir.Constant(half, list(range(first, first + count))) for first in (0, count)]
                value = instruction(
                    builder, *[builder.shuffle_vector(value, value, position) for position in positions]
                )
            return builder.extract_element(value, ir.IntType(32)(0))

        return types.float32(vector), generate

    operation.__name__ = operation.__qualname__ = name
    return intrinsic(operation)


def _wins(builder: ir.IRBuilder, new: Any, best: Any) -> Any:
    """Where ``new`` is larger than ``best``, or NaN, which is larger than any number."""
    return builder.or_(builder.fcmp_ordered(">", new, best), builder.fcmp_unordered("uno", new, new))


def _larger(builder: ir.IRBuilder, new: Any, best: Any) -> Any:
    return builder.select(_wins(builder, new, best), new, best)


def _smaller(builder: ir.IRBuilder, new: Any, best: Any) -> Any:
    wins = builder.or_(builder.fcmp_ordered("<", new, best), builder.fcmp_unordered("uno", new, new))
    return builder.select(wins, new, best)


maximum = _of_two("maximum", _larger)
minimum = _of_two("minimum", _smaller)
sum_of_lanes = _of_all_lanes("sum_of_lanes", ir.IRBuilder.fadd)
maximum_of_lanes = _of_all_lanes("maximum_of_lanes", _larger)


@intrinsic  # type: ignore[untyped-decorator]
def where(typing: Any, condition: Any, x: Any, y: Any) -> tuple[Any, Callable[..., Any]]:
    """``x`` in the lanes where the condition, a mask, holds, else ``y``."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return vector(mask, vector, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def clip(typing: Any, x: Any, low: Any, high: Any) -> tuple[Any, Callable[..., Any]]:
    """``min(max(x, low), high)``; NaN stays NaN, and a limit that is NaN does not apply."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        value, low, high = args
        value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
        return builder.select(builder.fcmp_ordered(">", value, high), high, value)

    return vector(vector, vector, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def where_inside(typing: Any, x: Any, low: Any, high: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """``value`` where x lies between the limits, else 0; a limit that is NaN does not apply."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        x, low, high, value = args
        outside = builder.or_(builder.fcmp_ordered("<=", x, low), builder.fcmp_ordered(">=", x, high))
        return builder.select(outside, ir.Constant(VECTOR, None), value)

    return vector(vector, vector, vector, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def position_of_maximum(
    typing: Any, new: Any, best: Any, position: Any, positions: Any
) -> tuple[Any, Callable[..., Any]]:
    """``position`` where ``maximum(new, best)`` is ``new``, else ``positions``."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.select(_wins(builder, *args[:2]), instructions.splat(builder, args[2], BYTES), args[3])

    return bytes_(vector, vector, types.uint8, bytes_), generate


@intrinsic  # type: ignore[untyped-decorator]
def where_equal(typing: Any, positions: Any, position: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """``value`` where ``positions`` is ``position``, else 0."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        equal = builder.icmp_unsigned("==", args[0], instructions.splat(builder, args[1], BYTES))
        return builder.select(equal, args[2], ir.Constant(VECTOR, [0.0] * LANES))

    return vector(bytes_, types.uint8, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def splat_byte(typing: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    """A vector of equal bytes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return instructions.splat(builder, args[0], BYTES)

    return bytes_(types.uint8), generate


@intrinsic  # type: ignore[untyped-decorator]
def load_bytes(typing: Any, array: Any, index: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """The bytes ``array[index : index + LANES]`` of a flat array; 0 in masked lanes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        pointer = instructions.address(context, builder, signature.args[0], args[0], args[1], BYTES)
        return instructions.load(builder, pointer, args[2], align=1)

    return bytes_(array, types.intp, mask), generate


@intrinsic  # type: ignore[untyped-decorator]
def store_bytes(typing: Any, array: Any, index: Any, value: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """``array[index : index + LANES] = value`` in a flat array, except in masked lanes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        instructions.store(
            builder,
            args[2],
            instructions.address(context, builder, signature.args[0], args[0], args[1], BYTES),
            args[3],
            align=1,
        )
        return context.get_dummy_value()

    return types.void(array, types.intp, bytes_, mask), generate
