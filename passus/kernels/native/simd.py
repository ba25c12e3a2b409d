"""Vectors of float32 in a register, for kernels whose loops Numba does not make into vector instructions by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from passus.kernels.native.processor import registers

__all__ = [
    "LANES",
    "VECTOR",
    "add",
    "all_lanes",
    "every_lane",
    "first_lanes",
    "fma",
    "in_all_lanes",
    "limited",
    "load",
    "load_bytes",
    "load_or",
    "load_vector",
    "mask_of",
    "maximum",
    "maximum_of_lanes",
    "multiply",
    "multiply_add",
    "number_at",
    "place_of_maximum",
    "prefetch",
    "prefetch_to_write",
    "spread",
    "spread_byte",
    "store",
    "store_bytes",
    "store_vector",
    "subtract",
    "sum_of_lanes",
    "vector_at",
    "where_equal",
    "where_inside",
    "where_positive",
]

LANES = registers().lanes
"""How many numbers a vector has."""

VECTOR = ir.VectorType(ir.FloatType(), LANES)


class Vector(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = Vector()


class Bytes(types.Type):  # type: ignore[misc]
    """As many small whole numbers as a vector has lanes."""

    def __init__(self) -> None:
        super().__init__(name=f"uint8x{LANES}")


small = Bytes()
SMALL = ir.VectorType(ir.IntType(8), LANES)


class Mask(types.Type):  # type: ignore[misc]
    """Which lanes of a vector take part: all, or the first few."""

    def __init__(self) -> None:
        super().__init__(name=f"bool x{LANES}")


mask = Mask()
MASK = ir.VectorType(ir.IntType(1), LANES)


@register_model(Mask)
class MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, type_: Any) -> None:
        super().__init__(manager, type_, MASK)


@register_model(Bytes)
class BytesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, type_: Any) -> None:
        super().__init__(manager, type_, SMALL)


@register_model(Vector)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, type_: Any) -> None:
        super().__init__(manager, type_, VECTOR)


def address(context: Any, builder: ir.IRBuilder, type_: Any, array: Any, index: Any, content: Any = VECTOR) -> Any:
    """Where in memory the vector begins whose first number is ``array[index]``."""
    data = context.make_array(type_)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), content.as_pointer())


def in_all_lanes(builder: ir.IRBuilder, number: Any, content: Any = VECTOR) -> Any:
    """A vector of equal numbers."""
    none = ir.Constant(content, ir.Undefined)
    first = builder.insert_element(none, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def multiply_add(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once."""
    type_ = ir.FunctionType(VECTOR, [VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, type_, f"llvm.fma.v{LANES}f32")
    return builder.call(function, [a, b, c])


def every_lane() -> Any:
    """The mask of a whole vector, which makes masked instructions plain ones."""
    return ir.Constant(MASK, [True] * LANES)


def mask_of(builder: ir.IRBuilder, count: Any) -> Any:
    """The mask of the first ``count`` lanes, a number of 64 bits that may be less than 0 or more than there are."""
    wide = ir.VectorType(ir.IntType(64), LANES)
    return builder.icmp_signed("<", ir.Constant(wide, list(range(LANES))), in_all_lanes(builder, count, wide))


def load_vector(builder: ir.IRBuilder, place: Any, which: Any, align: int = 4, fill: Any = None) -> Any:
    """The vector at this address, with ``fill``, or 0, in the lanes that are masked: their memory is not touched."""
    content = place.type.pointee
    type_ = ir.FunctionType(content, [place.type, ir.IntType(32), MASK, content])
    function = cgutils.get_or_insert_function(builder.module, type_, f"llvm.masked.load.{_suffix(content)}")
    fill = ir.Constant(content, None) if fill is None else fill
    return builder.call(function, [place, ir.IntType(32)(align), which, fill])


def store_vector(builder: ir.IRBuilder, value: Any, place: Any, which: Any, align: int = 4) -> None:
    """Write the lanes that are not masked to this address."""
    type_ = ir.FunctionType(ir.VoidType(), [value.type, place.type, ir.IntType(32), MASK])
    function = cgutils.get_or_insert_function(builder.module, type_, f"llvm.masked.store.{_suffix(value.type)}")
    builder.call(function, [value, place, ir.IntType(32)(align), which])


def _suffix(content: Any) -> str:
    name = f"v{LANES}{'f32' if content is VECTOR else 'i8'}"
    return f"{name}.p0{name}"


@intrinsic  # type: ignore[untyped-decorator]
def all_lanes(typing: Any) -> tuple[Any, Callable[..., Any]]:
    """The mask of a whole vector; it costs nothing."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return every_lane()

    return mask(), generate


@intrinsic  # type: ignore[untyped-decorator]
def first_lanes(typing: Any, count: Any) -> tuple[Any, Callable[..., Any]]:
    """The mask of the first ``count`` lanes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return mask_of(builder, args[0])

    return mask(types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, array: Any, index: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """The vector ``array[index : index + LANES]`` of a flat array; 0 where it is masked."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return load_vector(builder, address(context, builder, signature.args[0], *args[:2]), args[2])

    return vector(array, types.intp, mask), generate


@intrinsic  # type: ignore[untyped-decorator]
def load_or(typing: Any, array: Any, index: Any, which: Any, fill: Any) -> tuple[Any, Callable[..., Any]]:
    """The vector ``array[index : index + LANES]`` of a flat array; that of ``fill`` where it is masked."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        place = address(context, builder, signature.args[0], *args[:2])
        return load_vector(builder, place, args[2], fill=args[3])

    return vector(array, types.intp, mask, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, array: Any, index: Any, value: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """``array[index : index + LANES] = value`` in a flat array, but where it is masked."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        store_vector(builder, args[2], address(context, builder, signature.args[0], *args[:2]), args[3])
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, mask), generate


def _asked_for(to_write: bool) -> Callable[..., Any]:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        place = builder.bitcast(address(context, builder, signature.args[0], *args), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        type_ = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, type_, "llvm.prefetch.p0i8")
        builder.call(function, [place, number(int(to_write)), number(2), number(1)])  # Data, into the second level.
        return context.get_dummy_value()

    return generate


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing: Any, array: Any, index: Any) -> tuple[Any, Callable[..., Any]]:
    """Ask for the line of the cache that holds ``array[index]``, which will be read soon; it may lie outside the array."""
    return types.void(array, types.intp), _asked_for(to_write=False)


@intrinsic  # type: ignore[untyped-decorator]
def prefetch_to_write(typing: Any, array: Any, index: Any) -> tuple[Any, Callable[..., Any]]:
    """Likewise for what will be written."""
    return types.void(array, types.intp), _asked_for(to_write=True)


@intrinsic  # type: ignore[untyped-decorator]
def number_at(typing: Any, array: Any, offset: Any) -> tuple[Any, Callable[..., Any]]:
    """The number so many bytes behind the first one of an array, which may lie in memory in any way."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.gep(builder.bitcast(data, ir.IntType(8).as_pointer()), [args[1]])
        return builder.load(builder.bitcast(place, ir.FloatType().as_pointer()))

    return types.float32(array, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def vector_at(typing: Any, array: Any, offset: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """The vector so many bytes behind the first number of an array of any strides; 0 where it is masked."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.gep(builder.bitcast(data, ir.IntType(8).as_pointer()), [args[1]])
        return load_vector(builder, builder.bitcast(place, VECTOR.as_pointer()), args[2])

    return vector(array, types.intp, mask), generate


@intrinsic  # type: ignore[untyped-decorator]
def spread(typing: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    """A vector of equal numbers."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return in_all_lanes(builder, args[0])

    return vector(types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def fma(typing: Any, a: Any, b: Any, c: Any) -> tuple[Any, Callable[..., Any]]:
    """``a * b + c``, rounded once."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return multiply_add(builder, *args)

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
            while count > 1:  # The lower half of the lanes with the upper half, until one is left.
                count //= 2
                half = ir.VectorType(ir.IntType(32), count)
                places = [ir.Constant(half, list(range(first, first + count))) for first in (0, count)]
                value = instruction(builder, *[builder.shuffle_vector(value, value, place) for place in places])
            return builder.extract_element(value, ir.IntType(32)(0))

        return types.float32(vector), generate

    operation.__name__ = operation.__qualname__ = name
    return intrinsic(operation)


def _wins(builder: ir.IRBuilder, new: Any, best: Any) -> Any:
    """Where ``new`` is larger than ``best``, or NaN, which is larger than any number."""
    return builder.or_(builder.fcmp_ordered(">", new, best), builder.fcmp_unordered("uno", new, new))


def _larger(builder: ir.IRBuilder, new: Any, best: Any) -> Any:
    return builder.select(_wins(builder, new, best), new, best)


add = _of_two("add", ir.IRBuilder.fadd)
subtract = _of_two("subtract", ir.IRBuilder.fsub)
multiply = _of_two("multiply", ir.IRBuilder.fmul)
maximum = _of_two("maximum", _larger)
sum_of_lanes = _of_all_lanes("sum_of_lanes", ir.IRBuilder.fadd)
maximum_of_lanes = _of_all_lanes("maximum_of_lanes", _larger)


@intrinsic  # type: ignore[untyped-decorator]
def limited(typing: Any, x: Any, low: Any, high: Any) -> tuple[Any, Callable[..., Any]]:
    """``min(max(x, low), high)``; a NaN stays one, and a limit that is NaN is none."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        value, low, high = args
        value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
        return builder.select(builder.fcmp_ordered(">", value, high), high, value)

    return vector(vector, vector, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def where_inside(typing: Any, x: Any, low: Any, high: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """``value``, but 0 where x is at one of the limits or beyond; a limit that is NaN is none."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        x, low, high, value = args
        outside = builder.or_(builder.fcmp_ordered("<=", x, low), builder.fcmp_ordered(">=", x, high))
        return builder.select(outside, ir.Constant(VECTOR, None), value)

    return vector(vector, vector, vector, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def where_positive(typing: Any, x: Any, value: Any, other: Any) -> tuple[Any, Callable[..., Any]]:
    """``value`` where x is above 0, else ``other``."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        x, value, other = args
        return builder.select(builder.fcmp_ordered(">", x, ir.Constant(VECTOR, None)), value, other)

    return vector(vector, vector, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def place_of_maximum(typing: Any, new: Any, best: Any, place: Any, places: Any) -> tuple[Any, Callable[..., Any]]:
    """``place`` where ``maximum(new, best)`` is ``new``, else ``places``."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.select(_wins(builder, *args[:2]), in_all_lanes(builder, args[2], SMALL), args[3])

    return small(vector, vector, types.uint8, small), generate


@intrinsic  # type: ignore[untyped-decorator]
def where_equal(typing: Any, places: Any, place: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """``value`` where ``places`` is ``place``, else 0."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        equal = builder.icmp_unsigned("==", args[0], in_all_lanes(builder, args[1], SMALL))
        return builder.select(equal, args[2], ir.Constant(VECTOR, [0.0] * LANES))

    return vector(small, types.uint8, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def spread_byte(typing: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    """Equal small numbers."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return in_all_lanes(builder, args[0], SMALL)

    return small(types.uint8), generate


@intrinsic  # type: ignore[untyped-decorator]
def load_bytes(typing: Any, array: Any, index: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """The small numbers ``array[index : index + LANES]`` of a flat array; 0 where they are masked."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        place = address(context, builder, signature.args[0], args[0], args[1], SMALL)
        return load_vector(builder, place, args[2], align=1)

    return small(array, types.intp, mask), generate


@intrinsic  # type: ignore[untyped-decorator]
def store_bytes(typing: Any, array: Any, index: Any, value: Any, which: Any) -> tuple[Any, Callable[..., Any]]:
    """``array[index : index + LANES] = value`` in a flat array, but where it is masked."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        store_vector(
            builder, args[2], address(context, builder, signature.args[0], args[0], args[1], SMALL), args[3], align=1
        )
        return context.get_dummy_value()

    return types.void(array, types.intp, small, mask), generate
