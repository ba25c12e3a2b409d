"""Places in the result of a step, which each run fills, and the Variables among its arguments."""

from __future__ import annotations

from typing import Any

from passus.core import Variable

__all__ = ["Same", "Slot", "variables_in"]


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


def variables_in(tree: Any) -> list[Variable]:
    """The Variables in nested lists, tuples and dicts.

    >>> import numpy as np
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
