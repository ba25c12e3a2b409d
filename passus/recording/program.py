"""Programs: flat lists of array operations that compute what a recorded step computed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from passus.backend.trace import IN_PLACE, Attribute, Method

__all__ = [
    "Instruction",
    "OtherBranchError",
    "Place",
    "Program",
    "Source",
    "Value",
    "expect",
    "is_hashable",
    "mapped",
    "sole_use",
    "values_in",
]

SYMBOLS: dict[Any, str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.pow: "**",
    operator.matmul: "@",
    operator.and_: "&",
    operator.or_: "|",
    operator.xor: "^",
    operator.lshift: "<<",
    operator.rshift: ">>",
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
    operator.iadd: "+=",
    operator.isub: "-=",
    operator.imul: "*=",
    operator.itruediv: "/=",
}

SHOWN = 8
"""Number of elements up to which a constant array is shown whole."""


class OtherBranchError(Exception):
    """A condition of a program does not hold: the step would have taken another branch."""


def expect(condition: Any, expected: bool) -> None:
    """An instruction that ends the run of a program if a condition has another truth value than when it was recorded."""
    if bool(condition) is not expected:
        raise OtherBranchError


class Source(NamedTuple):
    """Where an instruction comes from: the path of its layer, and the line of the caller outside of passus."""

    layer: str = ""
    line: str = ""
    backward: bool = False


NOWHERE = Source()


class Place:
    """Where an array of the state is kept between runs of a program: it is read before, or written after.

    Subclasses know the owner: a Variable, its gradient, or an attribute of a layer.
    """

    name: str
    owner: Any = None

    def get(self) -> Any:
        """The array; None if there is none."""
        raise NotImplementedError

    def set(self, array: Any) -> None:
        """Assign another array."""
        raise NotImplementedError

    def is_same(self, other: Place) -> bool:
        """Whether another place, of another recording of the step, is this one."""
        return type(self) is type(other) and self.owner is other.owner and self.name == other.name


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

    @property
    def nbytes(self) -> int:
        """The size of the array in bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


@dataclass(slots=True)
class Instruction:
    """One operation: ``result = function(*args, **options)``, with Values among the arguments and results.

    ``writes``: the arrays into which it writes. ``errstate``: how NumPy treats floating-point errors in it, if that differs from the state outside of the step.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]
    result: Any
    source: Source = NOWHERE
    errstate: dict[str, str] | None = None
    writes: tuple[Value, ...] = ()

    def __str__(self) -> str:
        call = self.call()
        if self.function in IN_PLACE:
            return call
        declared = ", ".join([value.declared() for value in values_in(self.result)])
        return f"{declared} = {call}" if declared else call

    @property
    def reads(self) -> list[Value]:
        """The arrays that it reads."""
        return [*values_in(self.args), *values_in(self.options)]

    @property
    def results(self) -> list[Value]:
        """The arrays that it returns."""
        return list(values_in(self.result))

    @property
    def label(self) -> str:
        """The name of the operation."""
        return SYMBOLS.get(self.function) or getattr(self.function, "__name__", None) or repr(self.function)

    def call(self) -> str:
        """The right-hand side, as Python would write it."""
        args = [shown(a) for a in self.args]
        if self.function in SYMBOLS and len(args) == 2:
            return f"{args[0]} {SYMBOLS[self.function]} {args[1]}"
        if self.function is operator.getitem:
            return f"{args[0]}[{args[1]}]"
        if self.function is operator.setitem:
            return f"{args[0]}[{args[1]}] = {args[2]}"
        if isinstance(self.function, Attribute):
            return f"{args[0]}.{self.function.name}"
        options = [f"{name}={shown(v)}" for name, v in self.options.items()]
        if isinstance(self.function, Method):
            return f"{args[0]}.{self.function.name}({', '.join([*args[1:], *options])})"
        return f"{self.label}({', '.join([*args, *options])})"


@dataclass(slots=True)
class Program:
    """A flat list of instructions.

    ``inputs``: the arrays of the arguments, in their order. ``state``: the arrays that are read from their places before a
    run. ``outputs``: the result, Values in lists, tuples and dicts. ``writes``: the arrays that are written to their places
    after a run; None clears a gradient.
    """

    inputs: list[Value]
    instructions: list[Instruction] = field(default_factory=list)
    outputs: Any = None
    state: list[tuple[Value, Place]] = field(default_factory=list)
    writes: list[tuple[Place, Value | None]] = field(default_factory=list)
    constants: dict[Value, Any] = field(default_factory=dict)
    """Arrays that are the same in each run."""
    name: str = "program"

    def __str__(self) -> str:
        lines = [f"{self.name}({', '.join([value.declared() for value in self.inputs])})"]
        lines += [f"    {value.declared()}" for value, _ in self.state]
        source = Source()
        for instruction in self.instructions:
            if instruction.source[::2] != source[::2]:
                source = instruction.source
                lines.append(f"    # {source.layer or 'outside of layers'}{', backward' if source.backward else ''}")
            lines.append(f"    {instruction}")
        lines += [f"    {place.name} <- {value}" for place, value in self.writes]
        return "\n".join([*lines, f"    return {shown(self.outputs)}"])

    def __len__(self) -> int:
        return len(self.instructions)

    def constant(self, x: Any) -> Any:
        """What an argument is in each run; None if it is computed."""
        return self.constants.get(x) if isinstance(x, Value) else x

    @property
    def results(self) -> list[Value]:
        """The arrays that leave the program: outputs and writes."""
        return [*values_in(self.outputs), *[value for _, value in self.writes if value is not None]]


def is_hashable(function: Any) -> bool:
    """Whether a function can be looked up in tables."""
    return getattr(type(function), "__hash__", None) is not None


def values_in(tree: Any) -> Iterator[Value]:
    """All Values in nested lists, tuples, dicts and slices."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from values_in(item)
    elif isinstance(tree, dict):
        yield from values_in(list(tree.values()))
    elif isinstance(tree, slice):
        yield from values_in((tree.start, tree.stop, tree.step))


def mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    """A tree with ``change`` applied to all that is no list, tuple or dict."""
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind([mapped(v, change) for v in tree])
    if kind is dict:
        return {name: mapped(v, change) for name, v in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind(*[mapped(v, change) for v in tree])
    if kind is slice and any(True for _ in values_in(tree)):
        return slice(*[mapped(v, change) for v in (tree.start, tree.stop, tree.step)])
    return change(tree)


def shown(value: Any) -> str:
    """An argument as a program shows it: large constants by their dtype and shape."""
    if isinstance(value, np.ndarray):
        if value.size <= SHOWN:
            return " ".join(np.array2string(value, threshold=SHOWN).split())
        return f"constant {value.dtype}{list(value.shape)}"
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, list):
        return f"[{', '.join([shown(v) for v in value])}]"
    if isinstance(value, tuple):
        return f"({', '.join([shown(v) for v in value])}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return "{" + ", ".join([f"{name!r}: {shown(v)}" for name, v in value.items()]) + "}"
    if isinstance(value, slice):
        parts = [("" if v is None else shown(v)) for v in (value.start, value.stop)]
        return ":".join(parts) + ("" if value.step is None else f":{shown(value.step)}")
    if value is Ellipsis:
        return "..."
    if callable(value) and not isinstance(value, np.generic):
        return getattr(value, "__name__", repr(value))
    return repr(value)


def sole_use(value: Any, program: Program) -> Instruction | None:
    """The instruction that computes a Value, if only one other reads it."""
    if not isinstance(value, Value) or value in program.results:
        return None
    if sum(value in i.reads for i in program.instructions) != 1:
        return None
    return next((i for i in program.instructions if value in i.results), None)
