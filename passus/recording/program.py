"""A program: the array operations of one step, in order.

>>> import numpy as np
>>> x, y = Value(0, (2,), np.dtype(np.float32)), Value(1, (2,), np.dtype(np.float32))
>>> print(Program([x], [Instruction(np.exp, (x,), {}, y)], y))
program(x0: float32[2])
    x1: float32[2] = exp(x0)
    return x1
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from passus.backend.trace import Attribute, Method

__all__ = ["Instruction", "OtherBranchError", "Program", "Value", "expect", "values_in"]

SYMBOLS: dict[Any, str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.pow: "**",
    operator.matmul: "@",
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
    operator.and_: "&",
    operator.or_: "|",
    operator.xor: "^",
}
"""Operators, as a program shows them."""

SHOWN = 8
"""Number of elements up to which a constant array is shown whole."""


class OtherBranchError(Exception):
    """A condition of a program does not hold: the step would have taken another branch."""


def expect(condition: Any, expected: bool) -> None:
    """An instruction that ends the run of a program if a condition has another truth value than when it was recorded."""
    if bool(condition) is not expected:
        raise OtherBranchError


class Value:
    """An array of a program: an input, or the result of an instruction."""

    __slots__ = ("dtype", "name", "number", "shape")

    def __init__(self, number: int, shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "") -> None:
        self.number, self.shape, self.dtype, self.name = number, shape, dtype, name or f"x{number}"

    def __repr__(self) -> str:
        return self.name

    def declared(self) -> str:
        """The name with dtype and shape."""
        return f"{self.name}: {self.dtype}{list(self.shape)}"


@dataclass(slots=True)
class Instruction:
    """One operation: ``result = function(*args, **options)``, with Values among the arguments and results."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]
    result: Any
    layer: str = ""

    def __str__(self) -> str:
        call = self._call()
        declared = ", ".join([value.declared() for value in values_in(self.result)])
        return f"{declared} = {call}" if declared else call

    def _call(self) -> str:
        args = [_shown(a) for a in self.args]
        if self.function in SYMBOLS and len(args) == 2:
            return f"{args[0]} {SYMBOLS[self.function]} {args[1]}"
        if self.function is operator.getitem:
            return f"{args[0]}[{args[1]}]"
        if self.function is operator.setitem:
            return f"{args[0]}[{args[1]}] = {args[2]}"
        if isinstance(self.function, Attribute):
            return f"{args[0]}.{self.function.name}"
        options = [f"{name}={_shown(v)}" for name, v in self.options.items()]
        if isinstance(self.function, Method):
            return f"{args[0]}.{self.function.name}({', '.join([*args[1:], *options])})"
        return f"{getattr(self.function, '__name__', repr(self.function))}({', '.join([*args, *options])})"


@dataclass(slots=True)
class Program:
    """A flat list of instructions, with the values that it is given and the values that it returns."""

    inputs: list[Value]
    instructions: list[Instruction] = field(default_factory=list)
    outputs: Any = None

    def __str__(self) -> str:
        lines = [f"program({', '.join([value.declared() for value in self.inputs])})"]
        layer = ""
        for instruction in self.instructions:
            if instruction.layer != layer:
                layer = instruction.layer
                lines.append(f"    # {layer}" if layer else "    #")
            lines.append(f"    {instruction}")
        return "\n".join([*lines, f"    return {_shown(self.outputs)}"])

    def __len__(self) -> int:
        return len(self.instructions)


def values_in(tree: Any) -> Iterator[Value]:
    """All Values in nested lists, tuples and dicts."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from values_in(item)
    elif isinstance(tree, dict):
        yield from values_in(list(tree.values()))


def _shown(value: Any) -> str:
    """An argument as a program shows it: large constants by their dtype and shape."""
    if isinstance(value, np.ndarray):
        if value.size <= SHOWN:
            return " ".join(np.array2string(value, threshold=SHOWN).split())
        return f"constant {value.dtype}{list(value.shape)}"
    if isinstance(value, list):
        return f"[{', '.join([_shown(v) for v in value])}]"
    if isinstance(value, tuple):
        return f"({', '.join([_shown(v) for v in value])}{',' if len(value) == 1 else ''})"
    if isinstance(value, slice):
        parts = [("" if v is None else _shown(v)) for v in (value.start, value.stop)]
        return ":".join(parts) + ("" if value.step is None else f":{_shown(value.step)}")
    if value is Ellipsis:
        return "..."
    if callable(value):
        return getattr(value, "__name__", repr(value))
    return repr(value)
