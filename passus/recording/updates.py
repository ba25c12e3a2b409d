"""Updates of optimizers on the machine: the optimizer computes the numbers of its rule, the machine does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import Parameter
from passus.layers import Layer
from passus.layers.walk import named_parameters
from passus.optimizers.base import Optimizer
from passus.optimizers.slots import ParamState
from passus.recording.host import Host
from passus.recording.layout import Memory
from passus.recording.places import DataPlace, GradPlace
from passus.recording.program import Value

__all__ = ["MachineUpdate"]


class MachineUpdate:
    """The update of one optimizer: for each parameter, one operation of the machine.

    It holds as long as the same parameters of the optimizer have gradients, and their states are the same. Otherwise `prepare`
    returns False. A new update may hold then, unless this one `is_blocked`: the optimizer has to update by itself.

    ``written``: the parameters, by their ids, whose gradients the program replaces or clears before the update.
    """

    def __init__(
        self, optimizer: Optimizer, params: list[tuple[str, Parameter]], written: set[int], memory: Memory
    ) -> None:
        self.optimizer, self.params, self._written, self._target = optimizer, params, written, optimizer.target
        self.states = [self._state(path, p) for path, p in params]
        self.slots = [[(name, state.slots[name]) for name in optimizer.slots] for state in self.states]
        self._named: Any = None
        self._found: dict[int, str] = {}
        """The paths of all parameters of the optimizer, by their ids."""
        self._others: list[Parameter] = []
        """Parameters whose gradients the program leaves as they are."""
        self._numbers: dict[tuple[int | None, int], tuple[list[ParamState], Array]] = {}
        self.numbers = [self._numbers_of(state, memory) for state in self.states]

    @classmethod
    def of(cls, call: Any, gradients: Sequence[Any], native: Any, memory: Memory) -> MachineUpdate | None:
        """The update of a host call with these gradients; None if the machine cannot compute it."""
        function = call.function if isinstance(call, Host) else None
        optimizer: Any = getattr(function, "args", (None,))[0]
        if getattr(function, "func", None) is not Optimizer.update.__wrapped__ or not _is_plain(optimizer, native):  # type: ignore[attr-defined]
            return None
        places = list(zip(call.writes, gradients))
        written = {id(place.owner): value for place, value in places if isinstance(place, GradPlace)}
        assigned = {id(place.owner) for place, _ in places if isinstance(place, DataPlace)}
        params = []
        for path, p in optimizer._named_params():
            gradient = written.get(id(p))
            if not p.requires_grad or gradient is None:
                continue
            # The machine updates the array that a parameter has at the start of a run, not one that the step assigns before the update.
            if id(p) in assigned or not _fits(p, gradient, optimizer._states.get(path)):
                return None
            params.append((path, p))
        return cls(optimizer, params, {*written}, memory) if params else None

    def _state(self, path: str, p: Parameter) -> ParamState:
        optimizer = self.optimizer
        state = optimizer._states.get(path) or optimizer._new_state(path, p._data)
        if state.group is None:
            state.group = optimizer._group_index(path, p)
        optimizer._states[path] = state
        return state

    def _numbers_of(self, state: ParamState, memory: Memory) -> Array:
        """The memory for the numbers of a rule, which parameters of one group and age share."""
        key = state.group, state.step
        if key not in self._numbers:
            self._numbers[key] = [], memory.lasting((16,))
        states, numbers = self._numbers[key]
        states.append(state)
        return numbers

    def prepare(self, native: Any) -> bool:
        """Compute the numbers of this update. False if it does not hold any more."""
        if self.is_blocked() or not self._are_same():
            return False
        options = self.optimizer._current_options()
        for (state, *others), numbers in self._numbers.values():
            if any(other.step != state.step for other in others):
                return False  # Another step has updated some of them.
            o = options[state.group or 0]
            o.step = state.step + 1
            values = native.numbers_of(self.optimizer.rule.__name__, *self.optimizer.rule_options(o))
            numbers[: len(values)] = values
        return True

    def is_blocked(self) -> bool:
        """Whether no update on the machine can hold now: because of hooks, gradients that other steps have left, or parameters that
        cannot be written.

        Gradients that the program clears are no obstacle, although they are still there when this is called.
        """
        optimizer = self.optimizer
        if optimizer.hooks or optimizer.target is None:
            return True
        self._find_params()
        for p in self._others:
            if p._grad is not None and p.requires_grad:
                return True
        return any(not p._data.flags.writeable for _, p in self.params)

    def _find_params(self) -> None:
        """Look up the parameters of the optimizer, unless its model has not changed."""
        target = self.optimizer.target
        named = named_parameters(target) if isinstance(target, Layer) else None
        if named is None or named is not self._named:
            found = list(self.optimizer._named_params())
            self._found = {id(p): path for path, p in found}
            self._others = [p for _, p in found if id(p) not in self._written]
            self._named = named

    def _are_same(self) -> bool:
        """Whether the same parameters are updated, with the same arrays of state."""
        if self.optimizer.target is not self._target:
            return False
        states = self.optimizer._states
        for (path, p), state, slots in zip(self.params, self.states, self.slots):
            if self._found.get(id(p)) != path or states.get(path) is not state or state.group is None:
                return False  # A group of None: the groups have changed.
            for name, slot in slots:
                if state.slots[name] is not slot:
                    return False
        return True

    def finish(self) -> None:
        """Count the update."""
        for state in self.states:
            state.step += 1
        for _, p in self.params:
            p.mark_edited()
        self.optimizer._step += 1


def _is_plain(optimizer: Any, native: Any) -> bool:
    """Whether an optimizer has a rule that the machine knows, and nothing else happens in its update."""
    kind = type(optimizer)
    return (
        isinstance(optimizer, Optimizer)
        and kind.update is Optimizer.update
        and kind.update_one is Optimizer.update_one
        and getattr(optimizer.rule, "__name__", None) in native.UPDATES
        and not optimizer.hooks
        and optimizer.target is not None
    )


def _fits(p: Parameter, gradient: Value, state: ParamState | None) -> bool:
    """Whether the arrays of an update have one shape and order of memory: the machine sees addresses and a number of elements."""
    arrays, shape = [p._data, *(state.slots.values() if state else ())], p._data.shape
    return (
        all(type(x) is np.ndarray and x.dtype == np.float32 and x.flags.c_contiguous for x in arrays)
        and all(x.shape == shape for x in arrays)
        and gradient.shape == shape
        and gradient.dtype == np.float32
        and p._data.flags.writeable
    )
