"""What a program requires of a call: the arguments, the switches, the layers, and the arrays of the state."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from passus import config
from passus.core import Variable
from passus.layers.nodes import SKIPPED, TRANSIENT, LayerBase
from passus.layers.walk import members, version
from passus.recording.owners import LayerState

__all__ = ["SWITCHES", "ArraySpec", "SequenceSpec", "Spec", "Structure", "VariableSpec", "spec_of"]

SWITCHES = (config.enable_backprop, config.train, config.native)
"""The switches that a program depends on."""

LEAVES = (bool, int, float, str, bytes, type(None), type, np.dtype)
"""Types of arguments and attributes that are compared by value."""


class Spec:
    """What is required of one argument."""

    def matches(self, value: Any, found: list[Any]) -> bool:
        """Whether an argument is of the recorded kind; its arrays are appended to ``found``."""
        raise NotImplementedError

    def shown(self) -> str:
        """The requirement in a message."""
        raise NotImplementedError

    def is_same(self, other: Spec) -> bool:
        """Whether another requirement is the same."""
        return type(self) is type(other) and self._key() == other._key()

    def _key(self) -> Any:
        """What the requirement depends on."""
        raise NotImplementedError


class ArraySpec(Spec):
    """An array of one type, shape and order in memory."""

    def __init__(self, x: Any) -> None:
        self.kind, self.dtype, self.shape = type(x), x.dtype, x.shape
        self.strides = x.strides
        self.is_contiguous = bool(x.flags.c_contiguous)
        self.is_aligned = bool(x.flags.aligned)
        self.last: Any = None
        """The array that has been found to fit last."""

    def fits(self, x: Any) -> bool:
        """Whether an array can take the place of the recorded one."""
        if type(x) is not self.kind or x.shape != self.shape or x.dtype != self.dtype:
            return False
        if self.kind is not np.ndarray:
            return True
        flags = x.flags
        if flags.aligned is not self.is_aligned:
            return False
        return bool(flags.c_contiguous if self.is_contiguous else x.strides == self.strides)

    def matches(self, value: Any, found: list[Any]) -> bool:
        found.append(value)
        return self.fits(value)

    def shown(self) -> str:
        return f"{self.dtype}{list(self.shape)}"

    def _key(self) -> Any:
        return self.kind, self.dtype, self.shape, self.is_contiguous or self.strides, self.is_aligned


class VariableSpec(Spec):
    """A Variable: its array, its gradient, and whether gradients flow to it."""

    def __init__(self, x: Variable) -> None:
        self.data = ArraySpec(x._data)
        self.grad = None if x._grad is None else ArraySpec(x._grad._data)
        self.requires_grad = x.requires_grad

    def matches(self, value: Any, found: list[Any]) -> bool:
        if (
            not isinstance(value, Variable)
            or value.requires_grad is not self.requires_grad
            or value.creator is not None
        ):
            return False
        if not self.data.matches(value._data, found) or (value._grad is None) is not (self.grad is None):
            return False
        return self.grad is None or (value._grad is not None and self.grad.matches(value._grad._data, found))

    def shown(self) -> str:
        return f"Variable {self.data.shown()}"

    def _key(self) -> Any:
        return self.data._key(), None if self.grad is None else self.grad._key(), self.requires_grad


class SequenceSpec(Spec):
    """A list or a tuple."""

    def __init__(self, kind: type, items: list[Spec]) -> None:
        self.kind, self.items = kind, items

    def matches(self, value: Any, found: list[Any]) -> bool:
        if type(value) is not self.kind or not isinstance(value, (list, tuple)) or len(value) != len(self.items):
            return False
        return all(spec.matches(item, found) for spec, item in zip(self.items, value))

    def shown(self) -> str:
        return f"({', '.join([item.shown() for item in self.items])})"

    def _key(self) -> Any:
        return self.kind, [(type(item), item._key()) for item in self.items]


class DictSpec(Spec):
    """A dict with these keys, in this order."""

    def __init__(self, items: dict[Any, Spec]) -> None:
        self.items = items

    def matches(self, value: Any, found: list[Any]) -> bool:
        if type(value) is not dict or value.keys() != self.items.keys():
            return False
        return all(spec.matches(value[name], found) for name, spec in self.items.items())

    def shown(self) -> str:
        return "{" + ", ".join([f"{name}: {item.shown()}" for name, item in self.items.items()]) + "}"

    def _key(self) -> Any:
        return [(name, type(item), item._key()) for name, item in self.items.items()]


class ConstantSpec(Spec):
    """A number, a name, or another object: it is a constant of the program."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def matches(self, value: Any, found: list[Any]) -> bool:
        if value is self.value:
            return True
        return type(value) is type(self.value) and isinstance(value, LEAVES) and by_value(value) == by_value(self.value)

    def shown(self) -> str:
        return repr(self.value)[:40]

    def _key(self) -> Any:
        return by_value(self.value) if isinstance(self.value, LEAVES) else id(self.value)


def spec_of(value: Any) -> Spec:
    """The requirement that a value fulfils.

    >>> spec_of(np.ones(2)).matches(np.zeros(2), []), spec_of(3).matches(4, [])
    (True, False)
    """
    if isinstance(value, Variable) and value._data is not None:
        return VariableSpec(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return ArraySpec(value)
    if type(value) in (list, tuple):
        return SequenceSpec(type(value), [spec_of(v) for v in value])
    if type(value) is dict:
        return DictSpec({name: spec_of(v) for name, v in value.items()})
    return ConstantSpec(value)


COMPARED_OTHERWISE = frozenset(SKIPPED) - {"_hooks"}
"""Attributes whose lists and dicts are not compared."""


class Structure:
    """The layers of a step: their parts, and their attributes that are no state."""

    def __init__(self, states: Iterable[LayerState], changed: set[str]) -> None:
        self._layers = [(state, _tokens(state, state.original)) for state in states]
        self.nodes, self.options = version()
        """What identified the attributes of all layers when they were compared last."""
        self._containers = self._found_containers()
        """Lists and dicts, which change without notice, and their members."""
        self._changed = changed
        """Where attributes differ that made a program not fit."""

    def is_same(self, other: Structure) -> bool:
        """Whether another structure is the same."""
        return len(self._layers) == len(other._layers) and all(
            a.layer is b.layer and x == y for (a, x), (b, y) in zip(self._layers, other._layers)
        )

    def _found_containers(self) -> list[tuple[Any, tuple[Any, ...]]]:
        values = [v for s, _ in self._layers for name, v in s.original.items() if name not in COMPARED_OTHERWISE]
        return [(v, members(v)) for v in _containers_in(values)]

    @property
    def has_containers(self) -> bool:
        """Whether lists or dicts have to be compared before each run."""
        return bool(self._containers)

    def containers_changed(self) -> bool:
        """Whether the members of a list or a dict are other objects than before."""
        for container, known in self._containers:
            now = members(container)
            if len(now) != len(known) or not all(map(operator.is_, now, known)):
                return True
        return False

    def holds(self) -> bool:
        """Whether all layers are as they were when the step was recorded."""
        now = version()
        for state, tokens in self._layers:
            new = _tokens(state, state.layer.__dict__)
            if new != tokens:
                names = [name for name in {**tokens, **new} if tokens.get(name) != new.get(name)]
                self._changed.update(f"{state.path}.{name}" for name in names)
                return False
        self.nodes, self.options = now
        self._containers = self._found_containers()
        return True


def by_value(value: Any) -> Any:
    """What identifies a number or a name: 0.0 and -0.0 differ, and NaN is NaN.

    >>> by_value(0.0) == by_value(-0.0), by_value(float("nan")) == by_value(float("nan"))
    (False, True)
    """
    return type(value), value.hex() if isinstance(value, float) else value


def _containers_in(values: Iterable[Any]) -> Iterator[Any]:
    """The lists and dicts among values, also in each other and in tuples."""
    for value in values:
        if isinstance(value, (list, dict)):
            yield value
        if isinstance(value, (list, tuple)):
            yield from _containers_in(value)
        elif isinstance(value, dict):
            yield from _containers_in(value.values())


def _tokens(state: LayerState, attributes: dict[str, Any]) -> dict[str, Any]:
    """What identifies each attribute that is no state of the program."""
    skipped = {*state.held, *TRANSIENT}
    hooks = [hook.function for hook in attributes.get("_hooks", ())]
    return {name: _token(v) for name, v in attributes.items() if name not in skipped} | {"its hooks": hooks}


def _token(value: Any) -> Any:
    if isinstance(value, LEAVES):
        return by_value(value)
    if isinstance(value, (list, tuple)):
        return type(value), [_token(v) for v in value]
    if isinstance(value, dict):
        return dict, [(key, _token(v)) for key, v in value.items()]
    if isinstance(value, LayerBase) or callable(value):
        return id(value)
    return type(value), id(value)
