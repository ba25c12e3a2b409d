"""The results of a step: a tree with Slots, which each run fills with arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import copied
from passus.core import Variable
from passus.core.variable import constant_variable

__all__ = ["Same", "Slot", "build", "variables_in"]


class Slot:
    """A place in the result of a step: the number of an output, and whether it is boxed in a Variable."""

    __slots__ = ("boxed", "index")

    def __init__(self, index: int, boxed: bool) -> None:
        self.index, self.boxed = index, boxed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and (self.index, self.boxed) == (other.index, other.boxed)

    __hash__ = None  # type: ignore[assignment]


class Same:
    """A Variable that the step returns as it is: one among the arguments, by its index, or another one."""

    __slots__ = ("index", "variable")

    def __init__(self, variable: Variable | None, index: int | None) -> None:
        self.variable, self.index = variable, index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.variable is other.variable and self.index == other.index

    __hash__ = None  # type: ignore[assignment]


def build(tree: Any, outputs: tuple[Any, ...], call: Any = ()) -> Any:
    """A result with arrays for Slots, and the Variables themselves for `Same`; ``call``: the arguments.

    >>> build([Slot(0, boxed=True), 3], (np.ones(2),))
    [variable([1. 1.]), 3]
    """
    kind = type(tree)
    if kind is Slot:
        array = outputs[tree.index]
        return constant_variable(array) if tree.boxed else array
    if kind is Same:
        return tree.variable if tree.index is None else variables_in(call)[tree.index]
    if kind is tuple or kind is list:
        return kind([build(v, outputs, call) for v in tree])
    if kind is dict:
        return {name: build(v, outputs, call) for name, v in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind(*[build(v, outputs, call) for v in tree])
    if isinstance(tree, Variable):
        return constant_variable(copied(tree._data))
    return tree.copy() if isinstance(tree, np.ndarray) else tree


def variables_in(tree: Any) -> list[Variable]:
    """The Variables in nested lists, tuples and dicts.

    >>> len(variables_in([1, {"x": Variable(np.ones(2))}]))
    1
    """
    if isinstance(tree, Variable):
        return [tree]
    if isinstance(tree, (list, tuple)):
        return [x for v in tree for x in variables_in(v)]
    if isinstance(tree, dict):
        return variables_in(list(tree.values()))
    return []
