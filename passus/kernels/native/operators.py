"""Operators of vectors in kernels: arithmetic, comparisons, and combinations of the masks that comparisons give.

Each operator is one LLVM instruction. Nothing is contracted or reordered: write `fma` where ``a * b + c`` is to be rounded once.
A number beside a vector, a constant or a float32, stands for a vector of equal numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, lower_cast

from passus.kernels.native import instructions
from passus.kernels.native.vectors import Vector, mask, vector

__all__: list[str] = []

Instruction = Callable[..., Any]


@lower_cast(types.Float, Vector)  # type: ignore[untyped-decorator]
@lower_cast(types.Integer, Vector)  # type: ignore[untyped-decorator]
def _splat(context: Any, builder: ir.IRBuilder, from_: Any, to: Any, number: Any) -> Any:
    return instructions.splat(builder, context.cast(builder, number, from_, types.float32))


def _define(operator_: Any, operand: Any, result: Any, count: int, instruction: Instruction) -> None:
    """Define an operator of ``count`` operands of a type, of which a vector may stand beside numbers."""
    accepted = (Vector, types.Float, types.Integer) if operand is vector else (type(operand),)

    class Template(AbstractTemplate):  # type: ignore[misc]
        key = operator_

        def generic(self, args: Any, kws: Any) -> Any:
            fits = len(args) == count and operand in args and all(isinstance(arg, accepted) for arg in args)
            return signature(result, *[operand] * count) if fits else None

    infer_global(operator_)(Template)

    def lower(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return instruction(builder, *args)

    lower_builtin(operator_, *[type(operand)] * count)(lower)


for name, instruction in {
    "add": ir.IRBuilder.fadd,
    "sub": ir.IRBuilder.fsub,
    "mul": ir.IRBuilder.fmul,
    "truediv": ir.IRBuilder.fdiv,
}.items():
    for operator_ in (getattr(operator, name), getattr(operator, f"i{name}")):
        _define(operator_, vector, vector, 2, instruction)

_define(operator.neg, vector, vector, 1, ir.IRBuilder.fneg)
_define(abs, vector, vector, 1, lambda builder, x: instructions.call(builder, "fabs", x))


def _comparison(symbol: str) -> Instruction:
    """As in Python: all but ``!=`` are false beside NaN."""
    return lambda builder, a, b: (builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered)(symbol, a, b)


for name, symbol in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    _define(getattr(operator, name), vector, mask, 2, _comparison(symbol))

for name, instruction in {"and_": ir.IRBuilder.and_, "or_": ir.IRBuilder.or_, "xor": ir.IRBuilder.xor}.items():
    _define(getattr(operator, name), mask, mask, 2, instruction)

_define(operator.invert, mask, mask, 1, ir.IRBuilder.not_)
