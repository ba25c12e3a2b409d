"""Less memory for more time: intermediate results that are freed, and computed again in the backward pass."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from passus.arguments import checked_callable
from passus.attributes import Key, Snapshot, Snapshots, attribute_snapshots, restored_attributes
from passus.backend import Array
from passus.config import enable_backprop, train, using_config
from passus.core import Function, Operand, Parameter, Result, Variable
from passus.core.replay import leaf_like, replayed
from passus.errors import DTypeError, kind_of
from passus.random import States, generator_snapshots, get_rng, restored_generators, using_rng
from passus.tree import tree_leaves, tree_map

__all__ = ["Recomputed", "checkpoint"]


def checkpoint(f: Callable[..., Any], *xs: Operand) -> Result:
    """The value of ``f(*xs)``. Its intermediate results are freed, and computed again in the backward pass.

    A network of n equal blocks, each of them a checkpoint, needs the memory of n results and of one block. Parameters that
    ``f`` uses get their gradients, and gradients of every order are right.

    ``f`` is called again for each backward pass, under the conditions of its first call: with the same random numbers (from
    `passus.random.get_rng`), and with the same attributes of layers, such as the state of recurrent layers and the averages
    of batch normalization. After the backward pass all of these have the values that they had before it, so each is updated
    once per step. Gradients flow through attributes from call to call. Anything else that ``f`` changes, such as the contents
    of a list, is changed by each call.

    Raises `DTypeError` if ``f`` cannot be called, or does not return Variables.
    Source: Chen et al., 2016, "Training deep nets with sublinear memory cost".

    >>> import numpy as np
    >>> x = Variable(np.array(2.0))
    >>> y = checkpoint(lambda x: (x * x) * x, x)
    >>> y.backward()
    >>> print(y, x.grad, type(y.creator).__name__)
    8.0 12.0 Recomputed
    """
    checked_callable("checkpoint", "f", f)
    if not enable_backprop.get():
        return f(*xs)
    call = _RepeatableCall(f, len(xs))
    inner = [leaf_like(x) for x in xs]
    ys = call.first(inner)
    captured = call.captured(ys, inner)
    results: Any = Recomputed(call, [y.data for y in ys])(*xs, *call.state, *captured)
    results = results if isinstance(results, tuple) else (results,)
    call.replace_in_attributes({id(a): b for a, b in (*zip(inner, xs), *zip(ys, results))})
    return results[0] if call.single else results[: call.count]


class _RepeatableCall:
    """A function with the conditions of its first call: random numbers, attributes of layers, and the switch ``train``."""

    def __init__(self, f: Callable[..., Any], n: int) -> None:
        self.f, self.n = f, n
        self.rng = copy.deepcopy(get_rng())
        self.generators: States = {}
        """The generators of the layers themselves, before the first call."""
        self.attributes: Snapshots = {}
        """The attributes that the call assigned to, before the first call."""
        self.state: list[Variable] = []
        """The Variables in these attributes that results were computed from: they are inputs, too."""
        self.train = bool(train.get())
        self.single = False
        self.count = 0
        """Number of results that the function returns; the results after them were assigned to attributes."""
        self.assigned: list[tuple[Key, int]] = []
        """The locations of results in attributes: the attribute, and the index among its leaves."""

    def first(self, xs: list[Any]) -> tuple[Variable, ...]:
        """The results of the function, followed by the Variables that were assigned to attributes."""
        with generator_snapshots() as self.generators, attribute_snapshots() as self.attributes:
            ys = self._results(xs)
        self.count = len(ys)
        self.state = [v for snapshot in self.attributes.values() for v in _variables(snapshot.value) if v.requires_grad]
        seen = {id(v) for v in (*self.state, *ys)}
        for key, snapshot in self.attributes.items():
            for i, v in enumerate(_variables(snapshot.current)):
                if v.creator is not None and v.requires_grad and id(v) not in seen:
                    seen.add(id(v))
                    self.assigned.append((key, i))
                    ys = (*ys, v)
        return ys

    def captured(self, ys: tuple[Variable, ...], inner: list[Any]) -> list[Variable]:
        """The leaves that results depend on and that are not among the arguments, such as parameters.

        State that no result depends on is replaced by leaves, so that the graph behind it can be freed.
        """
        state = {id(v): v for v in self.state}
        leaves, reached = _leaves_and_state(ys, inner, state)
        self.state = [state[v] for v in reached]
        self.attributes = self._attributes_with({key: leaf_like(v) for key, v in state.items() if key not in reached})
        return leaves

    def replace_in_attributes(self, replacements: dict[int, Variable]) -> None:
        """Replace Variables that attributes hold, so that the graph of intermediate results can be freed."""
        for owner, name, value in [
            (snapshot.owner, snapshot.name, snapshot.current) for snapshot in self.attributes.values()
        ]:
            if name is not None and any(id(v) in replacements for v in _variables(value)):
                setattr(owner, name, _replaced(value, replacements))

    def repeat(self, *inputs: Any) -> tuple[Any, ...]:
        """The results of `first`, computed again from the arguments and the state."""
        xs, state = inputs[: self.n], inputs[self.n :]
        before = self._attributes_with({id(a): b for a, b in zip(self.state, state)})
        with (
            using_rng(copy.deepcopy(self.rng)),
            restored_generators(self.generators),
            restored_attributes(before),
            using_config("train", self.train),
        ):
            return (*self._results(xs), *[_current_variable(self.attributes[key], i) for key, i in self.assigned])

    def _attributes_with(self, replacements: dict[int, Variable]) -> Snapshots:
        """The attributes before the first call, with some Variables replaced."""
        return {
            key: snapshot._replace(value=_replaced(snapshot.value, replacements))
            for key, snapshot in self.attributes.items()
        }

    def _results(self, xs: Any) -> tuple[Variable, ...]:
        ys = self.f(*xs)
        self.single = not isinstance(ys, tuple)
        ys = (ys,) if self.single else ys
        for y in ys:
            if not isinstance(y, Variable):
                raise DTypeError(f"checkpoint: the function returned {kind_of(y)}; it must return Variables")
        return tuple(ys)


class Recomputed(Function):
    """A call whose graph was freed. Its rule repeats the call, recorded, and walks back through that graph."""

    public_name = "checkpoint"

    constants = ("ys",)

    def __init__(self, call: _RepeatableCall, ys: list[Array]) -> None:
        self.call, self.ys = call, ys

    def forward(self, *xs: Array) -> Any:
        ys, self.ys = tuple(self.ys), []
        return ys

    def backward(self, *gys: Any) -> Any:
        for x in self.operands:
            self.saved(x)  # Raises if data were edited after the call: it could not be repeated.
        n, count = self.call.n + len(self.call.state), self.call.count
        # A Variable in an attribute is often not used again. Zeros for it would cost time, and 0 times infinity is NaN.
        gys = (*gys[:count], *[gy if _is_nonzero(gy) else None for gy in gys[count:]])
        return replayed(self.call.repeat, self.operands[:n], gys, self.recording, self.operands[n:])


def _is_nonzero(gy: Any) -> bool:
    """Whether a gradient may differ from the zeros of an output that no result depends on."""
    return bool(gy.requires_grad or gy.data.any()) if isinstance(gy, Variable) else bool(gy.any())


def _variables(value: Any) -> list[Variable]:
    """The Variables in the value of an attribute, without parameters."""
    if not isinstance(value, (Variable, tuple, list, dict)):
        return []
    return [v for v in tree_leaves(value) if isinstance(v, Variable) and not isinstance(v, Parameter)]


def _replaced(value: Any, replacements: dict[int, Variable]) -> Any:
    if not any(id(v) in replacements for v in _variables(value)):
        return value
    return tree_map(lambda v: replacements.get(id(v), v), value)


def _current_variable(snapshot: Snapshot, i: int) -> Any:
    """A Variable that an attribute holds now, or None, as for a layer that is created by each call."""
    variables = _variables(snapshot.current)
    return variables[i] if i < len(variables) else None


def _leaves_and_state(
    ys: tuple[Variable, ...], inner: list[Any], state: dict[int, Variable]
) -> tuple[list[Variable], list[int]]:
    """The leaves behind results except arguments and state, and the identities of the state that results depend on."""
    leaves: dict[int, Variable] = {}
    reached: list[int] = []
    seen: set[int] = {id(x) for x in inner}
    stack = [*ys]
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if id(x) in state:
            reached.append(id(x))
        elif x.creator is not None:
            stack += [v for v in x.creator.operands if isinstance(v, Variable)]
        elif x.requires_grad:
            leaves[id(x)] = x
    return list(leaves.values()), reached
