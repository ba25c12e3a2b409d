"""The comparison of two recordings of a step: what differs between them would be wrong in a program."""

from __future__ import annotations

from types import CellType
from typing import Any

import numpy as np

from passus.backend.trace import Traced
from passus.core import Variable
from passus.layers.nodes import label
from passus.recording.host import Host, Observer
from passus.recording.program import Instruction, Program, Value

__all__ = ["difference"]


ADVICE = (
    "so the step depends on something besides its arguments and the state of layers and optimizers: pass it as an array"
)


def difference(first: Any, second: Any) -> str | None:
    """What differs between the recordings of two calls (Versions); None if they are the same."""
    return _Comparison(first, second).difference()


class _Comparison:
    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second
        self.a: Program = first.program
        self.b: Program = second.program
        self._compared: set[tuple[int, int]] = set()
        """Functions that are being compared, or have been, by their ids."""
        self._same: dict[Value, Value] = {}
        """The Values of the first program, and those of the second that they correspond to."""

    def difference(self) -> str | None:
        a, b = self.a, self.b
        self._same.update(zip(a.inputs, b.inputs))
        fault = self._difference_of_state()
        if fault is not None:
            return fault
        for x, y in zip(a.instructions, b.instructions):
            fault = self._difference(x, y)
            if fault is not None:
                return f"{y.source.line}: {fault}"
        if len(a) != len(b):
            longer = max(a.instructions, b.instructions, key=len)
            return (
                f"{longer[min(len(a), len(b))].source.line}: an operation of one call is missing in another, {ADVICE}"
            )
        written = [value for _, value in a.writes], [value for _, value in b.writes]
        if not self._equal((self.first.result, a.outputs, written[0]), (self.second.result, b.outputs, written[1])):
            return f"the results of two calls differ in structure, or in numbers that were not computed from arrays, {ADVICE}"
        for (_, name, x), (layer, _, y) in zip(self.first.assigned, self.second.assigned):
            if not self._equal(x, y):
                return f"{label(layer)}.{name} is assigned another number at each call, {ADVICE}"
        return None

    def _difference_of_state(self) -> str | None:
        a, b = self.a, self.b
        for (value, x), (other, y) in zip(a.state, b.state):
            if not x.is_same(y):
                return (
                    f"the step reads {y.name}, which is another Variable at each call: pass it as an argument, and return it, "
                    "or keep it in an attribute of a layer"
                )
            self._same[value] = other
        if len(a.state) != len(b.state) or [p.name for p, _ in a.writes] != [p.name for p, _ in b.writes]:
            return f"two calls read or write different Variables, {ADVICE}"
        constants = list(a.constants.items()), list(b.constants.items())
        for (value, x), (other, y) in zip(*constants):
            self._same[value] = other
            if not self._equal(x, y):
                return f"{value.name}, which the step creates, has other numbers at each call, {ADVICE}"
        return None

    def _difference(self, a: Instruction, b: Instruction) -> str | None:
        if not self._equal(_identity(a.function), _identity(b.function)) or a.errstate != b.errstate:
            return f"one call computes {a.label}, and another {b.label}, {ADVICE}"
        if not self._equal((a.args, a.options), (b.args, b.options)):
            return f"a constant of {b.label} has other numbers at each call, {ADVICE}. Draw random numbers from passus.random.get_rng()"
        results = a.results, b.results
        if len(results[0]) != len(results[1]):
            return f"{a.label} returns other arrays, {ADVICE}"
        self._same.update(zip(*results))
        return None

    def _equal(self, a: Any, b: Any) -> bool:
        equal = self._equal
        if a is b and not isinstance(a, Value):
            return True
        if type(a) is not type(b) or type(a) is Traced:
            return False
        if isinstance(a, Value):
            return self._same.get(a) is b
        if isinstance(a, (list, tuple)):
            return len(a) == len(b) and all(map(equal, a, b))
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
        if isinstance(a, slice):
            return equal((a.start, a.stop, a.step), (b.start, b.stop, b.step))
        if isinstance(a, Variable):
            return equal(a._data, b._data)
        if isinstance(a, (np.ndarray, np.generic)):
            return bool(a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes())
        if isinstance(a, float):
            return bool(a.hex() == b.hex())  # 0.0 and -0.0 are equal, NaN is not.
        if hasattr(a, "func"):  # functools.partial
            return equal((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))
        if hasattr(a, "__code__"):  # A function that is defined in the step.
            if (id(a), id(b)) in self._compared:
                return True  # It refers to itself.
            self._compared.add((id(a), id(b)))
            return a.__code__ is b.__code__ and equal((_cells(a), a.__defaults__), (_cells(b), b.__defaults__))
        return bool(a == b)


def _identity(function: Any) -> Any:
    """What tells apart the functions of two recordings: calls outside of the program also by what they call."""
    if isinstance(function, Host):
        return function, function.function
    if isinstance(function, Observer):
        return type(function), function.function, function.boxed
    return function


def _cells(function: Any) -> list[Any]:
    cells: tuple[CellType, ...] = function.__closure__ or ()
    return [cell.cell_contents for cell in cells if cell != CellType()]
