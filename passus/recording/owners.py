"""Layers that take part in a step: their buffers, and what they carry from one call to the next, are state of the program."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from passus.attributes import ABSENT
from passus.backend.trace import Traced
from passus.core import Parameter, Variable
from passus.errors import RecordingError
from passus.layers import Layer
from passus.layers.nodes import TRANSIENT, LayerBase, label
from passus.layers.walk import invalidate, walk
from passus.recording.places import AttributePlace
from passus.recording.program import Place, Value

if TYPE_CHECKING:
    from passus.recording.recorder import Recorder

__all__ = ["LayerState"]


class LayerState:
    """A layer, and its attributes before the step."""

    def __init__(self, layer: Any, path: str) -> None:
        self.layer, self.path = layer, path
        self.original = self.before = dict(layer.__dict__)
        """Its attributes before the step, and after the last host call."""
        self.reset: set[str] = set()
        """The attributes to which the step assigns None, so that it does not continue what they carry."""
        self.assigned: dict[str, Any] = {}
        """What the step has assigned to attributes besides arrays: numbers, names, and other objects."""
        self._contents = [(name, v, _members(v)) for name, v in self.original.items() if isinstance(v, (list, dict))]
        """Lists and dicts among its attributes, and their members before the step."""
        self._names: set[str] = set()
        self._held: dict[str, tuple[Any, Traced]] = {}
        """By attribute: what it holds while the step is recorded, and the traced array in it."""

    @classmethod
    def below(cls, root: Layer, prefix: str, names: dict[int, str]) -> Iterator[LayerState]:
        """The layer and all layers below it. ``names``: the paths of parameters by their id, which are added."""
        for path, node in walk(root):
            if isinstance(node, LayerBase):
                yield cls(node, f"{prefix}{path}" or label(root))
            elif isinstance(node, Parameter):
                names.setdefault(id(node), f"{prefix}{path}")

    def is_ready(self) -> bool:
        """Whether all parameters and buffers have a shape."""
        names = [*self.layer._buffers, *[n for n, v in self.before.items() if isinstance(v, Parameter)]]
        values = [self.before.get(name) for name in names]
        return all(v is not None and (not isinstance(v, Parameter) or v._data is not None) for v in values)

    def adopt(self, recorder: Recorder) -> None:
        """Let arrays and Variables among the attributes become traced."""
        for name, (held, _) in self._held.items():
            if self.layer.__dict__.get(name) is held:
                self.layer.__dict__[name] = self.before[name]
        self.before, self._held = dict(self.layer.__dict__), {}
        for name, value in self.before.items():
            if name in TRANSIENT or isinstance(value, Parameter):
                continue
            if isinstance(value, Variable) and value._data is not None and type(value._data) is not Traced:
                if value.creator is not None and value.requires_grad:
                    continue  # If the step uses it, the recorder raises.
                traced = recorder.from_place(value._data, self._place(name))
                box = Variable.__new__(Variable)
                box._data, box.requires_grad, box.name = traced, value.requires_grad, value.name
                self._hold(name, box, traced)
            elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
                traced = recorder.from_place(value, self._place(name))
                self._hold(name, traced, traced)

    def holds(self, x: Any) -> bool:
        """Whether an attribute holds this traced array."""
        return any(x is held for held, _ in self._held.values())

    def settle(self, recorder: Recorder, final: bool) -> list[tuple[Place, Value | None]]:
        """The places that must be written. ``final``: also note other attributes that the step has assigned."""
        writes: list[tuple[Place, Value | None]] = []
        for name, value in self.layer.__dict__.items():
            if name in TRANSIENT or value is self.before.get(name):
                continue
            held, traced = self._held.get(name, (None, None))
            if value is not held or traced is None:
                writes += self._written(name, value, recorder)
            elif (new := recorder.rebound(traced)) is not None:
                place = AttributePlace(self.layer, name, self._label(name), in_place=True)
                writes.append((place, recorder.value(new)))
        for name, container, members in self._contents:
            if not _is_same(_members(container), members):
                recorder.created(self._label(name))
        if final:
            self.assigned = {name: v for name, v in self.layer.__dict__.items() if self._is_assigned(name, v)}
        return writes

    def _is_assigned(self, name: str, value: Any) -> bool:
        """Whether the step has assigned to an attribute something that is no array of the program."""
        if name in TRANSIENT or name in self._held or value is self.original.get(name, ABSENT):
            return False
        return type(value._data if isinstance(value, Variable) else value) is not Traced

    def restore(self) -> None:
        """Restore all attributes as they were before the step."""
        attributes = self.layer.__dict__
        transient = {name: v for name, v in attributes.items() if name in TRANSIENT}
        is_changed = any(
            v is not self.original.get(name, ABSENT) for name, v in attributes.items() if name not in TRANSIENT
        )
        attributes.clear()
        attributes.update(self.original | transient)
        for _, container, members in self._contents:
            if not _is_same(_members(container), members):
                container.clear()
                container.update(members) if isinstance(container, dict) else container.extend(members.values())
                is_changed = True
        if is_changed:
            invalidate()

    def _written(self, name: str, value: Any, recorder: Recorder) -> list[tuple[Place, Value | None]]:
        """An attribute to which the step has assigned another value."""
        if isinstance(value, (LayerBase, Parameter)):
            recorder.created(self._label(name))
        boxed = isinstance(value, Variable)
        data = value._data if boxed else value
        if type(data) is not Traced:
            _check_container(self._label(name), value)
            return []
        if boxed and self._continues(name, recorder) and recorder.has_graph(value):
            raise RecordingError(
                f"{self._label(name)} keeps the graph of the step, and the next step would continue it: call loss.unchain_backward() "
                "at the end of the step, or reset the state at its start"
            )
        return [(AttributePlace(self.layer, name, self._label(name), boxed), recorder.value(data))]

    def _continues(self, name: str, recorder: Recorder) -> bool:
        """Whether the step reads what an attribute carries from one call to the next."""
        if name in self._held:
            return recorder.is_read(self._held[name][1])
        return name in self.layer._carried and name not in self.reset

    @property
    def held(self) -> frozenset[str]:
        """The attributes that are state of the program."""
        return frozenset(self._names)

    def release(self) -> None:
        """Drop the traced arrays that attributes have held."""
        self.before = self.original
        self._held.clear()

    def _hold(self, name: str, held: Any, traced: Traced) -> None:
        self.layer.__dict__[name] = held
        self._names.add(name)
        self._held[name] = held, traced

    def _place(self, name: str) -> Place:
        return AttributePlace(self.layer, name, self._label(name))

    def _label(self, name: str) -> str:
        return f"{self.path}.{name}"


def _members(container: Any) -> dict[Any, Any]:
    return dict(container) if isinstance(container, dict) else dict(enumerate(container))


def _is_same(a: dict[Any, Any], b: dict[Any, Any]) -> bool:
    """Whether two containers have the same members, by identity."""
    return list(a) == list(b) and all(map(operator.is_, a.values(), b.values()))


def _check_container(where: str, value: Any) -> None:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    if any(type(v) is Traced or (isinstance(v, Variable) and type(v._data) is Traced) for v in items):
        raise RecordingError(
            f"{where} holds arrays of the step in a {type(value).__name__}, which a program does not write: assign each "
            "to an attribute of its own, or return them"
        )
