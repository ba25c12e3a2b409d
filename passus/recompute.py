"""Memory for time: results that are not kept, but computed again on the way back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from passus.arguments import checked_callable
from passus.attributes import Key, Noted, Notes, noted_attributes, rewound_attributes
from passus.backend import Array
from passus.config import enable_backprop, train, using_config
from passus.core import Function, Operand, Parameter, Result, Variable
from passus.core.replay import leaf_like, replayed
from passus.errors import DTypeError, kind_of
from passus.random import States, get_rng, noted_generators, rewound, using_rng
from passus.tree import tree_leaves, tree_map

__all__ = ["Recomputed", "checkpoint"]


def checkpoint(f: Callable[..., Any], *xs: Operand) -> Result:
    """The value of ``f(*xs)``, without what it computed in between: that is computed again when gradients are.

    A network of n equal parts, each of them a checkpoint, needs the memory of n results and of one part. Parameters that
    ``f`` uses get their gradients, and gradients of every order are right.

    ``f`` is called again for each backward pass, from where its first call began: with the same random numbers (from
    `passus.random.get_rng`), and with the attributes of layers, such as the state that recurrent layers keep, and the averages
    of batch normalisation as they were. Afterwards all of these are what they were before the backward pass, so each moves
    once for each step. Gradients flow through attributes from call to call. All else that ``f`` changes, such as the contents of a
    list, it changes each time.

    Raises `DTypeError` if ``f`` is no function, or does not return Variables.
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
    call = _Call(f, len(xs))
    inside = [leaf_like(x) for x in xs]
    ys = call.first(inside)
    captured = call.leaves_behind(ys, inside)
    results: Any = Recomputed(call, [y.data for y in ys])(*xs, *call.state, *captured)
    results = results if isinstance(results, tuple) else (results,)
    call.hand_out({id(a): b for a, b in (*zip(inside, xs), *zip(ys, results))})
    return results[0] if call.single else results[: call.count]


class _Call:
    """A function with the surroundings it was first called in: random numbers, attributes, and whether it is training."""

    def __init__(self, f: Callable[..., Any], n: int) -> None:
        self.f, self.n = f, n
        self.rng = copy.deepcopy(get_rng())
        self.generators: States = {}
        """Those of the layers themselves, as they were."""
        self.attributes: Notes = {}
        """What the call assigned to, as it was."""
        self.state: list[Variable] = []
        """The Variables in there that results were computed from: inputs, too."""
        self.train = bool(train.get())
        self.single = False
        self.count = 0
        """How many results the function returns; those after them were assigned to attributes."""
        self.places: list[tuple[Key, int]] = []
        """Where those are: an attribute, and a number among its leaves."""

    def first(self, xs: list[Any]) -> tuple[Variable, ...]:
        """The results, and after them the Variables that were assigned to attributes."""
        with noted_generators() as self.generators, noted_attributes() as self.attributes:
            ys = self._results(xs)
        self.count = len(ys)
        self.state = [v for noted in self.attributes.values() for v in _variables(noted.value) if v.requires_grad]
        seen = {id(v) for v in (*self.state, *ys)}
        for key, noted in self.attributes.items():
            for i, v in enumerate(_variables(noted.now)):
                if v.creator is not None and v.requires_grad and id(v) not in seen:
                    seen.add(id(v))
                    self.places.append((key, i))
                    ys = (*ys, v)
        return ys

    def leaves_behind(self, ys: tuple[Variable, ...], inside: list[Any]) -> list[Variable]:
        """The leaves that results depend on and that are not among the arguments, such as parameters.

        Of the state, what results do not depend on is kept without the graph behind it.
        """
        known = {id(v): v for v in self.state}
        leaves, reached = _walked(ys, inside, known)
        self.state = [known[v] for v in reached]
        self.attributes = self._before({key: leaf_like(v) for key, v in known.items() if key not in reached})
        return leaves

    def hand_out(self, instead: dict[int, Variable]) -> None:
        """Exchange Variables that attributes hold, so that they keep no graph of what lies between."""
        for owner, name, value in [(noted.owner, noted.name, noted.now) for noted in self.attributes.values()]:
            if name is not None and any(id(v) in instead for v in _variables(value)):
                setattr(owner, name, _exchanged(value, instead))

    def again(self, *inputs: Any) -> tuple[Any, ...]:
        xs, state = inputs[: self.n], inputs[self.n :]
        before = self._before({id(a): b for a, b in zip(self.state, state)})
        with (
            using_rng(copy.deepcopy(self.rng)),
            rewound(self.generators),
            rewound_attributes(before),
            using_config("train", self.train),
        ):
            return (*self._results(xs), *[_found(self.attributes[key], i) for key, i in self.places])

    def _before(self, instead: dict[int, Variable]) -> Notes:
        """The attributes as they were, with other Variables in place of some."""
        return {key: noted._replace(value=_exchanged(noted.value, instead)) for key, noted in self.attributes.items()}

    def _results(self, xs: Any) -> tuple[Variable, ...]:
        ys = self.f(*xs)
        self.single = not isinstance(ys, tuple)
        ys = (ys,) if self.single else ys
        for y in ys:
            if not isinstance(y, Variable):
                raise DTypeError(f"checkpoint: the function returned {kind_of(y)}; it must return Variables")
        return tuple(ys)


class Recomputed(Function):
    """Stands for a call whose graph was dropped; its rule makes the graph once more, and walks it back."""

    public_name = "checkpoint"

    constants = ("ys",)

    def __init__(self, call: _Call, ys: list[Array]) -> None:
        self.call, self.ys = call, ys

    def forward(self, *xs: Array) -> Any:
        ys, self.ys = tuple(self.ys), []
        return ys

    def backward(self, *gys: Any) -> Any:
        for x in self.operands:
            self.saved(x)  # What was edited after the call would give another result, and raises.
        n, count = self.call.n + len(self.call.state), self.call.count
        # What was assigned to an attribute is often used no more, and must not cost time, nor make NaN of 0 times infinity.
        gys = (*gys[:count], *[gy if _counts(gy) else None for gy in gys[count:]])
        return replayed(self.call.again, self.operands[:n], gys, self.recording, self.operands[n:])


def _counts(gy: Any) -> bool:
    """Whether a gradient is more than the zeros that stand for none."""
    return bool(gy.requires_grad or gy.data.any()) if isinstance(gy, Variable) else bool(gy.any())


def _variables(value: Any) -> list[Variable]:
    """The Variables in the value of an attribute that are no parameters."""
    if not isinstance(value, (Variable, tuple, list, dict)):
        return []
    return [v for v in tree_leaves(value) if isinstance(v, Variable) and not isinstance(v, Parameter)]


def _exchanged(value: Any, instead: dict[int, Variable]) -> Any:
    if not any(id(v) in instead for v in _variables(value)):
        return value
    return tree_map(lambda v: instead.get(id(v), v), value)


def _found(noted: Noted, i: int) -> Any:
    """A Variable that an attribute holds now; None if it does not, as in a layer that each call makes anew."""
    found = _variables(noted.now)
    return found[i] if i < len(found) else None


def _walked(
    ys: tuple[Variable, ...], inside: list[Any], state: dict[int, Variable]
) -> tuple[list[Variable], list[int]]:
    """The leaves behind results but for arguments and state, and the part of the state that was met."""
    found: dict[int, Variable] = {}
    reached: list[int] = []
    seen: set[int] = {id(x) for x in inside}
    waiting = [*ys]
    while waiting:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if id(x) in state:
            reached.append(id(x))
        elif x.creator is not None:
            waiting += [v for v in x.creator.operands if isinstance(v, Variable)]
        elif x.requires_grad:
            found[id(x)] = x
    return list(found.values()), reached
