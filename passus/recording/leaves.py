"""Variables that a step has not computed, such as parameters: they hold traced arrays while the step is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from passus.backend.trace import Traced, plain
from passus.core import Variable
from passus.core.variable import constant_variable
from passus.errors import RecordingError
from passus.recording.places import DataPlace, GradPlace, InputGradPlace
from passus.recording.program import Place, Value

if TYPE_CHECKING:
    from passus.recording.recorder import Recorder

__all__ = ["Leaf"]


class Leaf:
    """A Variable, its array and gradient before the step, and the traced arrays that it holds instead.

    ``index``: that of an argument; other Variables are read from their places. A Variable that has been freed when the step
    ends was created by the step, from constants.
    """

    def __init__(self, variable: Variable, name: str, recorder: Recorder, index: int | None = None) -> None:
        self.variable = ref(variable)
        self.name, self.index = name, index
        self.requires_grad = variable.requires_grad
        self.cleared = False
        """Whether the step has cleared the gradient, so that it does not depend on an earlier one."""
        self.has_gradient = False
        """Whether the step has computed its gradient."""
        self.data_place: Place = DataPlace(name)
        self.grad_place: Place = GradPlace(f"{name}.grad") if index is None else InputGradPlace(index, f"{name}.grad")
        self.graph_place: Place = GradPlace(f"{name}.grad", requires_grad=True)
        """Where an update finds a gradient that has a graph."""
        self.original_data, self.original_grad = variable._data, variable._grad
        self.values: list[Value] = []
        self._adopt(variable, recorder)

    def _adopt(self, variable: Variable, recorder: Recorder) -> None:
        self.data, self.grad = variable._data, variable._grad
        self.traced: Traced | None = self._traced(recorder, self.data, self.data_place)
        self.box: Variable | None = None
        if self.grad is not None:
            self.box = constant_variable(self._traced(recorder, self.grad._data, self.grad_place))
        variable._data, variable._grad = self.traced, self.box

    def _traced(self, recorder: Recorder, array: Any, place: Place) -> Traced:
        is_argument = self.index is not None
        traced = recorder.input(array, place.name) if is_argument else recorder.from_place(array, place)
        self.values.append(recorder.value(traced))
        return traced

    def adopt_again(self, recorder: Recorder) -> None:
        """Hold other traced arrays, after a host call: the arrays may have changed."""
        v = self.variable()
        if v is None or v._data is None or self.index is not None:
            return
        if v._data is not self.traced:
            self.data = plain(v._data)
        if v._grad is not None and v._grad is not self.box:
            self.grad = constant_variable(plain(v._grad._data))
        v._data, v._grad = self.data, None if v._grad is None else self.grad
        self._adopt(v, recorder)

    def settle(self, recorder: Recorder, final: bool) -> list[tuple[Place, Value | None]]:
        """The places that must be written; those of arguments at the end only."""
        v = self.variable()
        if v is None or (self.index is not None and not final):
            return []
        if final and v.requires_grad is not self.requires_grad:
            raise RecordingError(
                f"{self.name}: the step {'unfreezes' if v.requires_grad else 'freezes'} it, and a program would not: do so before "
                "the step, or undo it at its end"
            )
        return [*self._written_data(v, recorder), *self._written_grad(v, recorder, final)]

    def _written_data(self, v: Variable, recorder: Recorder) -> list[tuple[Place, Value | None]]:
        data = v._data
        is_changed = data is not self.traced or (self.traced is not None and recorder.is_written(self.traced))
        if not is_changed or self.index is not None or data is None:
            return []
        return [(self.data_place, recorder.value(data) if type(data) is Traced else recorder.constant(data))]

    def _written_grad(self, v: Variable, recorder: Recorder, final: bool) -> list[tuple[Place, Value | None]]:
        grad = v._grad
        if grad is None:
            return [(self.grad_place, None)] if self.cleared or self.grad is not None else []
        if grad is self.box:
            return []
        self.has_gradient = True
        data = grad._data
        place = self.graph_place if grad.requires_grad and not final else self.grad_place
        return [(place, recorder.value(data) if type(data) is Traced else recorder.constant(data))]

    def restore(self) -> None:
        """Hold what it held before the step."""
        v = self.variable()
        if v is not None:
            v._data, v._grad = self.original_data, self.original_grad
            if v.requires_grad is not self.requires_grad:
                v.requires_grad = self.requires_grad

    def end(self) -> dict[Value, Any]:
        """Bind the places to the Variable. If the step created it, return its Values and their arrays instead."""
        v = self.variable()
        if v is None and self.index is None:
            arrays = [self.original_data, None if self.original_grad is None else self.original_grad._data]
            return dict(zip(self.values, arrays))
        if self.index is None:
            self.data_place.owner = self.grad_place.owner = self.graph_place.owner = v
        return {}

    def release(self) -> None:
        """Drop the traced arrays that the Variable has held."""
        self.traced = self.box = None

    @property
    def needs_no_gradient(self) -> bool:
        """Whether a run may only begin without a gradient: the step would have added to an earlier one."""
        return self.has_gradient and self.original_grad is None and not self.cleared
