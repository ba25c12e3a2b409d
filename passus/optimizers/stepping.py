"""One step of all parameters: small ones in bundles, large ones in blocks or by one kernel.

A call on the flat array of a bundle costs little more than a call on one of the parameters in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Protocol

import numpy as np

from passus.backend import Array, writable
from passus.core import Parameter
from passus.kernels.blocks import BLOCK, blocks
from passus.kernels.sums import at_least_float32
from passus.kernels.updates import ordered
from passus.optimizers.options import Options
from passus.optimizers.slots import ParamState, SlotArrays

__all__ = ["SMALL", "Bundle", "Rule", "Stepper", "bundled", "step_alone"]


SMALL = BLOCK // 4
"""Number of elements of the largest parameter that is worth copying into a bundle and back."""


class Rule(Protocol):
    """An update rule: the change of one parameter."""

    @property
    def elementwise(self) -> bool:
        """Whether parameters may be split into blocks and joined in bundles."""

    @property
    def fused(self) -> bool:
        """Whether the rule splits large parameters by itself."""

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        """Change ``p`` and its slots in place, by the gradient ``g``."""


class Stepper:
    """Applies a rule to parameters, and reuses the bundles as long as the same parameters are updated."""

    def __init__(self) -> None:
        self.bundles: list[Bundle] = []
        self._states: list[ParamState] = []
        self._alone: list[int] = []
        self._members: list[list[int]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Stepper, ()  # In a copied optimizer, slots are no longer views of bundles.

    def step(
        self, rule: Rule, params: Sequence[Parameter], states: list[ParamState], options: Sequence[Options]
    ) -> None:
        """Update each parameter once, with the options at the index of its group."""
        if states != self._states:
            self._plan(rule, states, params)
        for i in self._alone:
            state = states[i]
            step_alone(rule, params[i], state, options[state.group or 0])
        for bundle, members in zip(self.bundles, self._members):
            bundle.step(rule, [params[i] for i in members], options[bundle.states[0].group or 0])

    def _plan(self, rule: Rule, states: list[ParamState], params: Sequence[Parameter]) -> None:
        """Assign small parameters of one group, dtype and number of updates to bundles. XLA needs none."""
        small: dict[tuple[Any, ...], list[ParamState]] = defaultdict(list)
        for state, p in zip(states, params):
            if rule.elementwise and np.prod(state.shape) <= SMALL and isinstance(p._data, np.ndarray):
                small[state.group, state.step, state.dtype].append(state)
        known, index = self.bundles, {id(state): i for i, state in enumerate(states)}
        self.bundles = [_bundle(known, members) for together in small.values() for members in bundled(together)]
        self._members = [[index[id(state)] for state in bundle.states] for bundle in self.bundles]
        self._alone = sorted(set(range(len(states))).difference(*self._members))
        self._states = states


def _bundle(known: Sequence[Bundle], states: list[ParamState]) -> Bundle:
    """A known bundle of these members, or a new one."""
    return next((bundle for bundle in known if bundle.states == states), None) or Bundle(states)


def step_alone(rule: Rule, p: Parameter, state: ParamState, o: Options) -> None:
    """Update one parameter: float16 is computed in float32 and rounded once; large parameters are split into blocks."""
    state.step += 1
    o.step = state.step
    data, g = p.data, p.grad.data  # type: ignore[union-attr]  # checked before
    if not isinstance(data, np.ndarray):
        _step_on_device(rule, p, data, g, state, o)
    elif data.dtype == np.float16:
        upcast = data.astype(np.float32)
        rule.update_one(upcast, at_least_float32(g), state.slots, o)
        data[...] = upcast
    else:
        if data.flags.c_contiguous:
            g = ordered(g)  # The gradient of a convolution has another layout.
        if data.size <= BLOCK or rule.fused or not rule.elementwise:
            rule.update_one(data, g, state.slots, o)
        else:
            for p_block, g_block, *slots in blocks(data, g, *state.slots.values()):
                rule.update_one(p_block, g_block, SlotArrays(zip(state.slots, slots)), o)
    p.mark_edited()


def _step_on_device(rule: Rule, p: Parameter, data: Array, g: Array, state: ParamState, o: Options) -> None:
    """Apply a rule to arrays that cannot be written to: they are replaced by what it has written."""
    new = writable(at_least_float32(data))
    slots = SlotArrays({name: writable(slot) for name, slot in state.slots.items()})
    rule.update_one(new, at_least_float32(g), slots, o)
    p.data = new.array.astype(data.dtype)
    state.slots.update({name: slot.array for name, slot in slots.items()})  # Replaces the arrays.


class Bundle:
    """Flat arrays for parameters of one dtype and group; the slots of the members become views of the flat slots.

    >>> states = [ParamState(0, (n,), np.dtype(float), SlotArrays(v=np.full(n, n))) for n in (1, 2)]
    >>> Bundle(states).slots["v"]
    array([1, 2, 2])
    """

    def __init__(self, states: Sequence[ParamState]) -> None:
        self.states = states
        sizes = [int(np.prod(state.shape)) for state in states]
        self._segments = [slice(stop - size, stop) for size, stop in zip(sizes, accumulate(sizes))]
        self._p, self._g = at_least_float32(np.empty((2, sum(sizes)), states[0].dtype))
        self._views = [self._p[segment].reshape(state.shape) for segment, state in zip(self._segments, states)]
        self.slots = SlotArrays({name: self._flattened(name) for name in states[0].slots})

    def _flattened(self, name: str) -> Array:
        flat = np.concatenate([state.slots[name].ravel() for state in self.states])
        for segment, state in zip(self._segments, self.states):
            state.slots.update({name: flat[segment].reshape(state.shape)})  # Replaces the array, not its numbers.
        return flat

    def step(self, rule: Rule, params: Sequence[Parameter], o: Options) -> None:
        """Update the members with one call of the rule."""
        for state in self.states:
            state.step += 1
        o.step = self.states[0].step
        np.concatenate([p._data.ravel() for p in params], out=self._p)
        np.concatenate([p._grad._data.ravel() for p in params], out=self._g)  # type: ignore[union-attr]  # all have one
        rule.update_one(self._p, self._g, self.slots, o)
        for p, view in zip(params, self._views):
            p._data[...] = view
            p.mark_edited()


def bundled(states: Iterable[ParamState]) -> Iterator[list[ParamState]]:
    """Split the states of small parameters into lists of at most `BLOCK` elements, which fit into cache."""
    members: list[ParamState] = []
    room = BLOCK
    for state in states:
        size = int(np.prod(state.shape))
        if size > room:
            yield members
            members, room = [], BLOCK
        members.append(state)
        room -= size
    yield members
