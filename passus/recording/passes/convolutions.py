"""Convolutions with constant weights: batch normalization and limits become part of them, and their weights are prepared once."""

from __future__ import annotations

import math
import operator
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from passus.backend import Array
from passus.kernels.activations import activation
from passus.kernels.biases import biased_activation
from passus.kernels.channels import scaled_channels
from passus.kernels.convolution import convolve
from passus.kernels.dispatch import native_module
from passus.kernels.elementwise import limited
from passus.recording.program import Instruction, Program, Value

__all__ = ["PreparedConvolution", "with_prepared_convolutions"]

Limits = tuple[float, float]

RELU: Limits = (0.0, math.inf)


class PreparedConvolution:
    """A convolution whose weights are laid out for the kernel."""

    __name__ = "convolution"

    def __init__(self, shape: tuple[int, ...], W: Array, b: Array | None, options: tuple[Any, ...]) -> None:
        self.shape, self.W, self.b, self.options = shape, W, b, options
        self.adds = False
        """Whether an array is added to the output."""
        self.limits: Limits | None = None
        self.kernel: Any = None

    def prepare(self) -> None:
        """Lay out the weights."""
        self.kernel = native_module("convolution").Convolution(self.shape, self.W, self.b, *self.options)

    def with_rows(self, count: int) -> PreparedConvolution:
        """The same for another number of images."""
        other = PreparedConvolution((count, *self.shape[1:]), self.W, self.b, self.options)
        other.adds, other.limits = self.adds, self.limits
        other.prepare()
        return other

    def __call__(self, x: Array, added: Array | None = None) -> Array:
        y: Array = self.kernel(x, added, self.limits)
        return y


def with_prepared_convolutions(program: Program, fuse: bool) -> Program:
    """The program with a `PreparedConvolution` for each compiled convolution of constant weights.

    ``fuse``: let batch normalization with constant statistics, a sum as in residual blocks, and limits such as relu, be part of the
    convolution before them.
    """
    fusion = _Fusion(program, fuse)
    for instruction in program.instructions:
        fusion.append(instruction)
    return fusion.finish()


class _Fusion:
    """The instructions so far, with convolutions that may still take over the instructions after them."""

    def __init__(self, program: Program, fuse: bool) -> None:
        self._program, self._fuse = program, fuse
        self._uses = Counter([value for i in program.instructions for value in i.reads] + program.results)
        self._written = {value for i in program.instructions for value in i.writes}
        self._count = 0
        self._kept: dict[int, Instruction] = {}
        """The instructions by their positions."""
        self._made: dict[Value, int] = {}
        """The position at which each result is computed."""
        self._convolutions: dict[Value, tuple[int, PreparedConvolution]] = {}
        """By a result that may be changed: the position of its convolution."""

    def append(self, instruction: Instruction) -> None:
        position, self._count = self._count, self._count + 1
        for value in instruction.results:
            self._made.setdefault(value, position)
        convolution = _convolution(instruction, self._program)
        if convolution is not None:
            self._kept[position] = replace(instruction, function=convolution, args=(instruction.args[0],), options={})
            self._convolutions[instruction.result] = position, convolution
        elif not (self._fuse and self._joins(instruction)):
            self._kept[position] = instruction

    def finish(self) -> Program:
        for i in self._kept.values():
            if isinstance(i.function, PreparedConvolution):
                i.function.prepare()
        return replace(self._program, instructions=list(self._kept.values()))

    def _joins(self, instruction: Instruction) -> bool:
        """Let a convolution compute what an instruction computes from its result, if it can."""
        result = instruction.result
        if not isinstance(result, Value) or instruction.writes:
            return False
        for source in instruction.args[:2]:
            if not isinstance(source, Value) or source not in self._convolutions:
                continue
            if self._uses[source] != 1 or source.shape != result.shape:
                continue
            position, convolution = self._convolutions[source]
            others = [x for x in instruction.args if x is not source]
            if self._is_sum(instruction, source, position):
                convolution.adds = True
                read = (self._kept[position].args[0], *others)
            elif source is instruction.args[0] and _extends(convolution, instruction, self._program):
                read = self._kept[position].args
            else:
                continue
            self._kept[position] = replace(self._kept[position], args=read, result=result)
            del self._convolutions[source]
            self._made[result] = position
            self._convolutions[result] = position, convolution
            return True
        return False

    def _is_sum(self, instruction: Instruction, source: Value, position: int) -> bool:
        """Whether an instruction adds an array that was there before the convolution, as in residual blocks."""
        convolution = self._convolutions[source][1]
        if instruction.function not in (operator.add, np.add) or convolution.adds or convolution.limits is not None:
            return False
        other = instruction.args[0] if source is instruction.args[1] else instruction.args[1]
        if not isinstance(other, Value) or other is source or other in self._written or instruction.options:
            return False
        if other.shape != source.shape or other.dtype != source.dtype or other in self._program.constants:
            return False
        return self._made.get(other, -1) < position


def _convolution(instruction: Instruction, program: Program) -> PreparedConvolution | None:
    if instruction.function is not convolve or instruction.options or len(instruction.args) != 7:
        return None
    x, W, b, *options = instruction.args
    W, bias = program.constant(W), program.constant(b)
    if not isinstance(x, Value) or W is None or (b is not None and bias is None):
        return None
    return PreparedConvolution(x.shape, W, bias, tuple(options))


def _extends(convolution: PreparedConvolution, instruction: Instruction, program: Program) -> bool:
    """Let a convolution apply a scale, a bias or limits, if it can."""
    if convolution.limits is not None:
        return False
    function, args = instruction.function, instruction.args
    if function is scaled_channels and not convolution.adds:
        vectors = [program.constant(v) for v in args[1:4]]
        if any(not isinstance(v, np.ndarray) for v in vectors):
            return False
        mean, scale, shift = vectors
        W, b = convolution.W, convolution.b
        convolution.W = W * scale.reshape(-1, *[1] * (W.ndim - 1))
        convolution.b = ((0.0 if b is None else b) - mean) * scale + shift
        convolution.limits = args[4] if len(args) > 4 else instruction.options.get("limits")
        return True
    if function is biased_activation and not convolution.adds:
        added = program.constant(args[1])
        if args[2] != "relu" or args[3] != 1 or not isinstance(added, np.ndarray):
            return False
        convolution.b = added if convolution.b is None else convolution.b + added
        convolution.limits = RELU
        return True
    convolution.limits = _limits(function, args)
    return convolution.limits is not None


def _limits(function: Any, args: tuple[Any, ...]) -> Limits | None:
    """The limits that an instruction applies; None if it does something else."""
    if function is limited:
        return float(args[1]), float(args[2])
    if function is activation and args[1] == "relu":
        return RELU
    if function is np.maximum and isinstance(args[1], (int, float)):
        return float(args[1]), math.inf
    return None
