"""Memory by its address, for kernels whose arguments are addresses: see `machine.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native.compiling import FLAT

__all__ = ["byte_at", "call", "integer_at", "labels_at", "numbers_at", "numbers_from"]

LABELS = types.Array(types.int64, 1, "C", readonly=True)

MOST = (1 << 62) // 8
"""The length of arrays at an address: kernels know how many numbers they may read."""


@intrinsic  # type: ignore[untyped-decorator]
def integer_at(typing: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
    """The integer of 64 bits at an address."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()))

    return types.int64(types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def byte_at(typing: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
    """The byte at an address."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], ir.IntType(8).as_pointer()))

    return types.uint8(types.intp), generate


def _array_at(type_: Any) -> Any:
    def array_at(typing: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            array = context.make_array(type_)(context, builder)
            number = context.get_data_type(type_.dtype)
            size = context.get_abi_sizeof(number)
            context.populate_array(
                array,
                data=builder.inttoptr(args[0], number.as_pointer()),
                shape=cgutils.pack_array(builder, [ir.IntType(64)(MOST)]),
                strides=cgutils.pack_array(builder, [ir.IntType(64)(size)]),
                itemsize=ir.IntType(64)(size),
                meminfo=None,
            )
            return array._getvalue()

        return type_(types.intp), generate

    return intrinsic(array_at)


numbers_at = _array_at(FLAT)
"""The flat array of float32 numbers that begins at an address."""

labels_at = _array_at(LABELS)
"""The flat array of integers of 64 bits that begins at an address."""


@intrinsic  # type: ignore[untyped-decorator]
def numbers_from(typing: Any, array: Any, index: Any) -> tuple[Any, Callable[..., Any]]:
    """The numbers of a flat array from an index on."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        old = context.make_array(signature.args[0])(context, builder, args[0])
        new = context.make_array(FLAT)(context, builder)
        context.populate_array(
            new,
            data=builder.gep(old.data, [args[1]]),
            shape=cgutils.pack_array(builder, [ir.IntType(64)(MOST)]),
            strides=cgutils.pack_array(builder, [ir.IntType(64)(4)]),
            itemsize=ir.IntType(64)(4),
            meminfo=None,
        )
        return new._getvalue()

    return FLAT(array, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def call(typing: Any, function: Any, argument: Any) -> tuple[Any, Callable[..., Any]]:
    """Call the compiled function at an address: one that takes and returns an integer, and raises nothing."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        integer, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
        # Numba's convention: pointers to the result and to an error, then the arguments; the status is returned.
        result, error = cgutils.alloca_once(builder, integer), cgutils.alloca_once(builder, pointer)
        type_ = ir.FunctionType(ir.IntType(32), [integer.as_pointer(), pointer.as_pointer(), integer])
        builder.call(builder.inttoptr(args[0], type_.as_pointer()), [result, error, args[1]])
        return builder.load(result)

    return types.intp(types.intp, types.intp), generate
