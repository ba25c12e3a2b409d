"""Kernels on the machine: convolutions, pooling, and what arranges their images, with channels last in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from passus.backend import Array
from passus.backend.trace import Method
from passus.kernels.dispatch import native_module
from passus.kernels.layout import channels_last
from passus.kernels.pooling import average_pooling, max_pooling
from passus.recording.lowering.assembler import Assembler
from passus.recording.lowering.elementwise import has_channels_last
from passus.recording.passes.convolutions import PreparedConvolution
from passus.recording.program import Instruction, Program, Value

__all__ = ["lower_work"]


def lower_work(instruction: Instruction, program: Program, assembler: Assembler) -> bool:
    """Append a convolution of prepared weights, the pooling of pixels, or images as rows of a matrix."""
    function = instruction.function
    if isinstance(function, PreparedConvolution):
        return _lower_convolution(instruction, function, assembler)
    if function is max_pooling:
        return _lower_max_pooling(instruction, program, assembler)
    if function is average_pooling:
        return _lower_average_pooling(instruction, assembler)
    return isinstance(function, Method) and function.name == "reshape" and _lower_reshape(instruction, assembler)


def _lower_convolution(instruction: Instruction, convolution: PreparedConvolution, assembler: Assembler) -> bool:
    if instruction.result in assembler.arrays:
        return False
    found = [_images(x, assembler) for x in instruction.args]
    images = [x for x in found if x is not None]
    if len(images) < len(found):
        return False
    y, added = _target(instruction.result, assembler), images[1] if len(images) > 1 else None
    works = convolution.kernel.works(y, images[0], added, convolution.limits, lambda shape: assembler.scratch(*shape))
    _emit(assembler, works)
    return True


def _lower_max_pooling(instruction: Instruction, program: Program, assembler: Assembler) -> bool:
    """Positions are not computed; a program that uses them needs gradients."""
    y, positions = instruction.result
    images = _images(instruction.args[0], assembler)
    if images is None or y in assembler.arrays or instruction.options:
        return False
    if positions in program.results or any(positions in i.reads for i in program.instructions):
        return False
    pooling = native_module("pooling")
    _emit(assembler, [pooling.max_pooling_work(_target(y, assembler), None, images, *instruction.args[1:])])
    return True


def _lower_average_pooling(instruction: Instruction, assembler: Assembler) -> bool:
    images = _images(instruction.args[0], assembler)
    if images is None or instruction.result in assembler.arrays or instruction.options:
        return False
    y, pooling = _target(instruction.result, assembler), native_module("pooling")
    _emit(assembler, [pooling.average_pooling_work(y, images, *instruction.args[1:])])
    return True


def _lower_reshape(instruction: Instruction, assembler: Assembler) -> bool:
    """Append a copy of images whose channels are last, in the order of their axes."""
    array, result = assembler.operand(instruction.args[0]), instruction.result
    if array is None or not has_channels_last(array) or result in assembler.arrays:
        return False
    n, c, *size = array.shape
    rows = channels_last(array).reshape(n, math.prod(size), c)
    _emit(assembler, [native_module("layouts").interleaving(rows, assembler.target(result))])
    return True


def _images(x: Any, assembler: Assembler) -> Array | None:
    """Images (N, H, W, C) without gaps: copied, if their channels are not last. None if they are not of float32."""
    array = assembler.operand(x) if isinstance(x, Value) else None
    if array is None or array.ndim != 4 or not array.size:
        return None
    last = channels_last(array)
    if last.flags.c_contiguous:
        return last
    if not array.flags.c_contiguous:
        return None
    n, c, *size = array.shape
    copy = assembler.scratch(n, *size, c)
    _emit(assembler, [native_module("layouts").interleaving(array.reshape(n, c, math.prod(size)), copy)])
    return copy


def _target(value: Value, assembler: Assembler) -> Array:
    """The array (N, H, W, C) of a result."""
    return channels_last(assembler.target(value, with_channels_last=True))


def _emit(assembler: Assembler, works: Iterable[Any]) -> None:
    """Append works, in a part for each thread if they are large."""
    calls = native_module("calls")
    for kernel, arguments, items, piece, scratch in works:
        operation, first = calls.operation_of(kernel), assembler.begin()
        for part in assembler.pieces(items, piece):
            memory = [] if scratch is None else [assembler.scratch(max(1, scratch))]
            words = calls.words_of(kernel, (*arguments, *memory, *part))
            for x in words:
                if isinstance(x, np.ndarray):
                    assembler.memory.constant(x)  # Such as weights, which nobody else may keep.
            assembler.emit(operation, *words)
        assembler.in_parallel(first)
