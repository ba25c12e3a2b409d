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
    "divide",
    "fma",
    "in_all_lanes",
    "load",
    "maximum",
    "multiply",
    "multiply_add",
    "spread",
    "store",
    "subtract",
]

LANES = registers().lanes
"""How many numbers a vector has."""

VECTOR = ir.VectorType(ir.FloatType(), LANES)


class Vector(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = Vector()


@register_model(Vector)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, type_: Any) -> None:
        super().__init__(manager, type_, VECTOR)


def address(context: Any, builder: ir.IRBuilder, type_: Any, array: Any, index: Any) -> Any:
    """Where in memory the vector begins whose first number is ``array[index]``."""
    data = context.make_array(type_)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), VECTOR.as_pointer())


def in_all_lanes(builder: ir.IRBuilder, number: Any) -> Any:
    """A vector of equal numbers."""
    none = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(none, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def multiply_add(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once."""
    type_ = ir.FunctionType(VECTOR, [VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, type_, f"llvm.fma.v{LANES}f32")
    return builder.call(function, [a, b, c])


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, array: Any, index: Any) -> tuple[Any, Callable[..., Any]]:
    """The vector ``array[index : index + LANES]`` of a flat array."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.load(address(context, builder, signature.args[0], *args), align=4)

    return vector(array, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, array: Any, index: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """``array[index : index + LANES] = value`` in a flat array."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        builder.store(args[2], address(context, builder, signature.args[0], *args[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


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


def _larger(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    # A NaN in a stays: every comparison with it is false.
    return builder.select(builder.fcmp_ordered("<", a, b), b, a)


add = _of_two("add", ir.IRBuilder.fadd)
subtract = _of_two("subtract", ir.IRBuilder.fsub)
multiply = _of_two("multiply", ir.IRBuilder.fmul)
divide = _of_two("divide", ir.IRBuilder.fdiv)
maximum = _of_two("maximum", _larger)
