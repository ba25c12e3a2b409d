"""Recording: a function of arrays is called once with traced arrays, and its operations become a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from passus.backend import others
from passus.backend.lookup import tracing
from passus.backend.trace import Traced, current, plain
from passus.recording.program import Instruction, Program, Value, expect

__all__ = ["StepRecorder", "record"]


class StepRecorder:
    """The operations of the step that is being recorded."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self.inputs: list[Value] = []
        self._values: dict[int, Value] = {}
        self._alive: list[Traced] = []  # An id must not be used again while the step is recorded.

    def input(self, array: Any, name: str = "") -> Traced:
        """A traced array for an input of the program."""
        traced = self._traced(array, name)
        self.inputs.append(self._values[id(traced)])
        return traced

    def record(self, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call a function of arrays, and note the call. Returns its result, with traced arrays."""
        result = self._boxed(function(*plain(args), **plain(options)))
        self.instructions.append(Instruction(function, self.noted(args), self.noted(options), self.noted(result)))
        return result

    def expect(self, condition: Traced) -> bool:
        """The truth value of a traced array. A run of the program in which it is another raises `OtherBranchError`."""
        found = bool(condition.array)
        self.instructions.append(Instruction(expect, (self.noted(condition), found), {}, None))
        return found

    def noted(self, tree: Any) -> Any:
        """A tree of arguments or results with a Value for each traced array; other arrays are constants."""
        kind = type(tree)
        if kind is Traced:
            return self._values[id(tree)]
        if kind is tuple or kind is list:
            return kind([self.noted(v) for v in tree])
        if kind is dict:
            return {name: self.noted(v) for name, v in tree.items()}
        if isinstance(tree, tuple) and hasattr(tree, "_fields"):
            return kind(*[self.noted(v) for v in tree])
        return tree

    def _boxed(self, result: Any) -> Any:
        if isinstance(result, (np.ndarray, np.generic)):
            return self._traced(result)
        if isinstance(result, (list, tuple)):
            items = [self._boxed(v) for v in result]
            return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
        return result

    def _traced(self, array: Any, name: str = "") -> Traced:
        traced = Traced(array, self)
        self._alive.append(traced)
        self._values[id(traced)] = Value(len(self._alive) - 1, array.shape, array.dtype, name)
        return traced


def record(function: Callable[..., Any], arrays: Sequence[Any]) -> Program:
    """The program of ``function(*arrays)``, a function of arrays that returns arrays in lists, tuples and dicts.

    >>> import passus.functions as F
    >>> print(record(lambda x: F.exp(x) * 2, [np.ones(3)]))
    program(x0: float64[3])
        x1: float64[3] = exp(x0)
        x2: float64[3] = x1 * 2
        return x2
    """
    recorder = StepRecorder()
    others.append(tracing)
    token = current.set(recorder)
    try:
        outputs = function(*[recorder.input(array) for array in arrays])
    finally:
        current.reset(token)
        others.remove(tracing)
    return Program(recorder.inputs, recorder.instructions, recorder.noted(outputs))
