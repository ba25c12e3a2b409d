"""Calls of kernels whose arguments are words in memory, for the machine of `machine.py`.

An array is its address and its lengths, a number is its bits, and a tuple is its items. Arrays have no gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native import convolution, depthwise, layouts, narrow, pooling, winograd
from passus.kernels.native.addresses import integer_at
from passus.kernels.native.compiling import INTEGER, Kernel, compiled
from passus.kernels.native.processor import rows_of_tile

__all__ = ["operation_of", "prepare", "words_of"]

WORD = ir.IntType(64)

NUMBERS = {"f": types.float32, "b": types.uint8}
"""The types of numbers in arrays, by their letters."""


def prepare() -> None:
    """Declare the operations that call the kernels which recorded steps put on the machine."""
    width, kw = next((widths[0], kw) for kw, widths in depthwise.WIDTHS.items())
    for kernel in (
        convolution._convolution,
        depthwise._depthwise(rows_of_tile(width, 1), kw, 1, 1),  # All others have the same arguments.
        layouts._interleaved,
        narrow._add_columns,
        pooling._average_pooling,
        pooling._largest_pixels,
        winograd._winograd,
    ):
        operation_of(kernel)


def words_of(kernel: Kernel, arguments: tuple[Any, ...]) -> list[Any]:
    """What `operation_of` reads for a call of the kernel: integers, and arrays in place of their addresses."""
    words: list[Any] = [kernel.address]
    for type_, argument in zip(kernel.declared_types.args, arguments, strict=True):
        if isinstance(type_, types.Array):
            words += [argument, *argument.shape]
        elif isinstance(type_, types.BaseTuple):
            words += argument
        elif type_ == types.float32:
            words.append(int(np.float32(argument).view(np.int32)))
        else:
            words.append(argument)
    return words


def operation_of(kernel: Kernel) -> Kernel:
    """The operation that calls a kernel with arguments of its types. Its own arguments are those of `words_of`."""
    return _operation(" ".join([_letters(type_) for type_ in kernel.declared_types.args]))


def _letters(type_: Any) -> str:
    """A type in short: an array by its numbers and its axes, a tuple of integers by its length, a float, an integer."""
    if isinstance(type_, types.Array) and type_.layout == "C":
        letters = [letter for letter, number in NUMBERS.items() if number == type_.dtype]
        return f"{letters[0]}{type_.ndim}"
    if isinstance(type_, types.UniTuple) and type_.dtype == INTEGER:
        return f"i{type_.count}"
    if type_ in (types.float32, INTEGER):
        return "f" if type_ == types.float32 else "i"
    raise TypeError(f"a kernel with an argument of the type {type_} cannot be called by address")


def _type(letters: str) -> Any:
    kind, count = letters[0], int(letters[1:] or 0)
    if kind == "i":
        return types.UniTuple(INTEGER, count) if count else INTEGER
    return types.Array(NUMBERS[kind], count, "C") if count else NUMBERS[kind]


@cache
def _operation(signature: str) -> Kernel:
    @compiled(INTEGER(INTEGER), allocates=False)
    def call(at: Any) -> Any:
        _call(signature, integer_at(at), at + 8)
        return 0

    return call


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _call(typing: Any, signature: Any, function: Any, at: Any) -> tuple[Any, Callable[..., Any]]:
    """Call the kernel at the address ``function``, with arguments that are read from the address ``at`` on."""
    arguments = [_type(letters) for letters in signature.literal_value.split()]

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        memory, number = builder.inttoptr(args[2], WORD.as_pointer()), 0

        def word() -> Any:
            nonlocal number
            number += 1
            return builder.load(builder.gep(memory, [WORD(number - 1)]))

        values = [_read(context, builder, type_, word) for type_ in arguments]
        type_ = context.call_conv.get_function_type(types.void, arguments)
        # Numba passes two more addresses, where the function leaves its result and its error; this one has neither.
        unused = [cgutils.alloca_once(builder, argument.pointee) for argument in type_.args[:2]]
        flat = context.get_arg_packer(arguments).as_arguments(builder, values)
        builder.call(builder.inttoptr(args[1], type_.as_pointer()), [*unused, *flat])
        return context.get_dummy_value()

    return types.void(signature, types.intp, types.intp), generate


def _read(context: Any, builder: ir.IRBuilder, type_: Any, word: Callable[[], Any]) -> Any:
    """An argument of a type, from the next words."""
    if isinstance(type_, types.Array):
        return _array(context, builder, type_, word)
    if isinstance(type_, types.UniTuple):
        return context.make_tuple(builder, type_, [word() for _ in range(type_.count)])
    if type_ == types.float32:
        return builder.bitcast(builder.trunc(word(), ir.IntType(32)), ir.FloatType())
    return word()


def _array(context: Any, builder: ir.IRBuilder, type_: Any, word: Callable[[], Any]) -> Any:
    array, number = context.make_array(type_)(context, builder), context.get_data_type(type_.dtype)
    data, shape = builder.inttoptr(word(), number.as_pointer()), [word() for _ in range(type_.ndim)]
    size = WORD(context.get_abi_sizeof(number))
    strides = [size]
    for length in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], length))
    context.populate_array(
        array,
        data=data,
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides),
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()
