"""Where the arrays of a step's state are kept: Variables, their gradients, and attributes of layers."""

from __future__ import annotations

from typing import Any

from passus.attributes import snapshot
from passus.backend import Array
from passus.core import Variable
from passus.core.variable import constant_variable
from passus.layers.undo import on_failure
from passus.layers.walk import invalidate
from passus.recording.program import Place

__all__ = ["AttributePlace", "DataPlace", "GradPlace", "InputGradPlace"]


class DataPlace(Place):
    """The array of a Variable, such as a parameter."""

    owner: Variable

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> Any:
        return self.owner._data

    def set(self, array: Any) -> None:
        self.owner._data = array
        self.owner.mark_edited()


class GradPlace(Place):
    """The gradient of a Variable. ``requires_grad``: it has a graph, so that hooks edit a copy of it."""

    owner: Variable

    def __init__(self, name: str, requires_grad: bool = False) -> None:
        self.name, self.requires_grad = name, requires_grad

    def get(self) -> Any:
        grad = self.owner._grad
        return None if grad is None else grad._data

    def set(self, array: Any) -> None:
        if array is None:
            self.owner._grad = None
        else:
            self.owner._grad = box = constant_variable(array)
            box.requires_grad = self.requires_grad


class AttributePlace(Place):
    """An attribute of a layer: a buffer, an array or a Variable.

    ``in_place``: assign the elements of the array that is there, as the step did.
    """

    def __init__(self, owner: Any, attribute: str, name: str, boxed: bool = False, in_place: bool = False) -> None:
        self.owner, self.attribute, self.name = owner, attribute, name
        self.boxed, self.in_place = boxed, in_place

    def get(self) -> Any:
        value = self.owner.__dict__.get(self.attribute)
        return value._data if isinstance(value, Variable) else value

    def set(self, array: Any) -> None:
        attributes, name = self.owner.__dict__, self.attribute
        if self.in_place:
            self._write(attributes[name], array)
            return
        before = attributes.get(name)
        snapshot(self.owner, name)
        on_failure(lambda: attributes.__setitem__(name, before))
        attributes[name] = constant_variable(array) if self.boxed else array
        if type(before) is not type(attributes[name]):
            invalidate()  # A program may be for a layer without state.

    def _write(self, kept: Array, array: Array) -> None:
        before = kept.copy()
        snapshot(kept, None)
        on_failure(lambda: kept.__setitem__(..., before))
        kept[...] = array


class InputGradPlace(Place):
    """The gradient of a Variable among the arguments of a call."""

    def __init__(self, index: int, name: str) -> None:
        self.index, self.name = index, name
