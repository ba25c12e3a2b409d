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

__all__ = ["MachineUpdate"]


class MachineUpdate:
    """The update of one optimizer: for each parameter, one operation of the machine.

    It holds as long as the same parameters of the optimizer have gradients, and their states are the same. Otherwise `prepare`
    returns False, and the optimizer has to update by itself.
    """

    def __init__(self, optimizer: Optimizer, params: list[tuple[str, Parameter]], memory: Memory) -> None:
        self.optimizer, self.params, self._target = optimizer, params, optimizer.target
        self.states = [self._state(path, p) for path, p in params]
        self.slots = [[(name, state.slots[name]) for name in optimizer.slots] for state in self.states]
        self._named: Any = None
        self._others: list[Parameter] = []
        """Parameters that have no gradient."""
        self._numbers: dict[tuple[int | None, int], tuple[list[ParamState], Array]] = {}
        self.numbers = [self._numbers_of(state, memory) for state in self.states]

    @classmethod
    def of(cls, call: Any, gradients: Sequence[Any], native: Any, memory: Memory) -> MachineUpdate | None:
        """The update of a host call with these gradients; None if the machine cannot compute it."""
        function = call.function if isinstance(call, Host) else None
        optimizer: Any = getattr(function, "args", (None,))[0]
        if getattr(function, "func", None) is not Optimizer.update.__wrapped__ or not _is_plain(optimizer, native):  # type: ignore[attr-defined]
            return None
        params = [(path, p) for path, p in optimizer._named_params() if p.requires_grad]
        written = {id(place.owner) for place, value in zip(call.writes, gradients) if value is not None}
        params = [(path, p) for path, p in params if id(p) in written]
        return cls(optimizer, params, memory) if params and all(_fits(p) for _, p in params) else None

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
        """Compute the numbers of this update. False if the machine cannot compute it any more."""
        optimizer = self.optimizer
        if optimizer.hooks or not self._are_same():
            return False
        options = optimizer._current_options()
        for (state, *others), numbers in self._numbers.values():
            if any(other.step != state.step for other in others):
                return False  # Another step has updated some of them.
            o = options[state.group or 0]
            o.step = state.step + 1
            values = native.numbers_of(optimizer.rule.__name__, *optimizer.rule_options(o))
            numbers[: len(values)] = values
        return True

    def _are_same(self) -> bool:
        """Whether the same parameters are updated, with the same arrays of state."""
        target = self.optimizer.target
        if target is not self._target:
            return False
        named = named_parameters(target) if isinstance(target, Layer) else None
        if named is None or named is not self._named:
            known = {id(p) for _, p in self.params}
            self._others = [p for _, p in self.optimizer._named_params() if id(p) not in known]
            self._named = named
        for p in self._others:
            if p._grad is not None and p.requires_grad:
                return False
        states = self.optimizer._states
        for (path, p), state, slots in zip(self.params, self.states, self.slots):
            if states.get(path) is not state or not p._data.flags.writeable:
                return False
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


def _fits(p: Parameter) -> bool:
    data = p._data
    return type(data) is np.ndarray and data.dtype == np.float32 and data.flags.c_contiguous and data.flags.writeable
