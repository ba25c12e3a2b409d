"""Convolutions with constant weights: batch normalization and limits become part of them, and their weights are prepared once."""

from __future__ import annotations

import math
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
from passus.recording.program import Instruction, Program, Value, mapped

__all__ = ["PreparedConvolution", "with_prepared_convolutions"]

Limits = tuple[float, float]

RELU: Limits = (0.0, math.inf)


class PreparedConvolution:
    """A convolution whose weights are laid out for the kernel."""

    __name__ = "convolution"

    def __init__(self, shape: tuple[int, ...], W: Array, b: Array | None, options: tuple[Any, ...]) -> None:
        self.shape, self.W, self.b, self.options = shape, W, b, options
        self.limits: Limits | None = None
        self._run: Any = None

    def prepare(self) -> None:
        """Lay out the weights."""
        native = native_module("convolution")
        self._run = native.convolution(self.shape, self.W, self.b, *self.options, self.limits)

    def __call__(self, x: Array) -> Array:
        y: Array = self._run(x)
        return y


def with_prepared_convolutions(program: Program, fuse: bool) -> Program:
    """The program with a `PreparedConvolution` for each compiled convolution of constant weights.

    ``fuse``: let batch normalization with constant statistics, and limits such as relu, be part of the convolution before them.
    """
    uses = Counter([value for i in program.instructions for value in i.reads] + program.results)
    makers: dict[Value, PreparedConvolution] = {}
    renamed: dict[Value, Value] = {}
    kept: list[Instruction] = []
    for original in program.instructions:
        instruction = _with_names(original, renamed)
        convolution = _convolution(instruction, program.constants)
        if convolution is not None:
            makers[instruction.result] = convolution
            kept.append(replace(instruction, function=convolution, args=(instruction.args[0],), options={}))
            continue
        source: Any = instruction.args[0] if instruction.args else None
        before = makers.get(source) if isinstance(source, Value) else None
        if (
            before is not None
            and fuse
            and uses[_first_name(source, renamed)] == 1
            and _joins(before, instruction, program.constants)
        ):
            renamed[original.result] = source
            continue
        kept.append(instruction)
    for convolution in makers.values():
        convolution.prepare()
    return _renamed_outputs(replace(program, instructions=kept), renamed)


def _first_name(value: Any, renamed: dict[Value, Value]) -> Value:
    """The Value under which the program knew the last result that became part of a convolution."""
    names = [old for old, new in renamed.items() if new is value]
    return names[-1] if names else value


def _convolution(instruction: Instruction, constants: dict[Value, Any]) -> PreparedConvolution | None:
    if instruction.function is not convolve or instruction.options or len(instruction.args) != 7:
        return None
    x, W, b, *options = instruction.args
    arrays = [constants.get(v) if isinstance(v, Value) else v for v in (W, b)]
    if not isinstance(x, Value) or arrays[0] is None or (b is not None and arrays[1] is None):
        return None
    return PreparedConvolution(x.shape, arrays[0], arrays[1], tuple(options))


def _joins(convolution: PreparedConvolution, instruction: Instruction, constants: dict[Value, Any]) -> bool:
    """Let a convolution compute what an instruction computes from its result, if it can."""
    if convolution.limits is not None:
        return False
    function, args = instruction.function, instruction.args
    if function is scaled_channels:
        vectors: list[Any] = [constants.get(v) if isinstance(v, Value) else v for v in args[1:4]]
        if any(not isinstance(v, np.ndarray) for v in vectors):
            return False
        mean, scale, shift = vectors
        W, b = convolution.W, convolution.b
        convolution.W = W * scale.reshape(-1, *[1] * (W.ndim - 1))
        convolution.b = ((0.0 if b is None else b) - mean) * scale + shift
        convolution.limits = args[4] if len(args) > 4 else instruction.options.get("limits")
        return True
    if function is biased_activation:
        added = constants.get(args[1]) if isinstance(args[1], Value) else args[1]
        if args[2] != "relu" or args[3] != 1 or not isinstance(added, np.ndarray):
            return False
        convolution.b = added if convolution.b is None else convolution.b + added
        convolution.limits = RELU
        return True
    limits = _limits(function, args)
    if limits is not None:
        convolution.limits = limits
    return limits is not None


def _limits(function: Any, args: tuple[Any, ...]) -> Limits | None:
    """The limits that an instruction applies; None if it does something else."""
    if function is limited:
        return float(args[1]), float(args[2])
    if function is activation and args[1] == "relu":
        return RELU
    if function is np.maximum and isinstance(args[1], (int, float)):
        return float(args[1]), math.inf
    return None


def _with_names(instruction: Instruction, renamed: dict[Value, Value]) -> Instruction:
    if not any(value in renamed for value in instruction.reads):
        return instruction

    def name(x: Any) -> Any:
        return renamed.get(x, x) if isinstance(x, Value) else x

    return replace(instruction, args=mapped(instruction.args, name), options=mapped(instruction.options, name))


def _renamed_outputs(program: Program, renamed: dict[Value, Value]) -> Program:
    outputs = [renamed.get(value, value) for value in program.outputs]
    writes = [(place, None if value is None else renamed.get(value, value)) for place, value in program.writes]
    return replace(program, outputs=outputs, writes=writes)
