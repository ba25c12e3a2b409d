"""Memory for time: results that are not kept, but computed again on the way back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from passus.arguments import checked_callable
from passus.backend import Array
from passus.config import enable_backprop, train, using_config
from passus.core import Function, Operand, Result, Variable
from passus.core.replay import leaf_like, replayed
from passus.errors import DTypeError, kind_of
from passus.random import States, get_rng, noted_generators, rewound, using_rng

__all__ = ["Recomputed", "checkpoint"]


def checkpoint(f: Callable[..., Any], *xs: Operand) -> Result:
    """The value of ``f(*xs)``, without what it computed in between: that is computed again when gradients are.

    A network of n equal parts, each of them a checkpoint, needs the memory of n results and of one part. Parameters that
    ``f`` uses get their gradients, random numbers (from `passus.random.get_rng`) are drawn again as they were, and
    gradients of every order are right.
    ``f`` is called twice, and so what it changes it changes twice, such as the averages of batch normalisation.

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
    call = _Call(f)
    inside = [leaf_like(x) for x in xs]
    ys = call.first(inside)
    captured = _leaves_behind(ys, inside)
    outputs = [y.data for y in ys]
    single, ys = call.single, ()  # The graph inside ends here.
    results = Recomputed(call, len(xs), outputs)(*xs, *captured)
    return results[0] if single else results


class _Call:
    """A function with the surroundings it was first called in: the random numbers, and whether it is training."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        self.rng = copy.deepcopy(get_rng())
        self.generators: States = {}
        """Those of the layers themselves, as they were."""
        self.train = bool(train.get())
        self.single = False

    def first(self, xs: Any) -> tuple[Variable, ...]:
        with noted_generators() as self.generators:
            return self._results(xs)

    def _results(self, xs: Any) -> tuple[Variable, ...]:
        ys = self.f(*xs)
        self.single = not isinstance(ys, tuple)
        ys = (ys,) if self.single else ys
        for y in ys:
            if not isinstance(y, Variable):
                raise DTypeError(f"checkpoint: the function returned {kind_of(y)}; it must return Variables")
        return tuple(ys)

    def again(self, *xs: Any) -> tuple[Variable, ...]:
        with using_rng(copy.deepcopy(self.rng)), rewound(self.generators), using_config("train", self.train):
            return self._results(xs)


class Recomputed(Function):
    """Stands for a call whose graph was dropped; its rule makes the graph once more, and walks it back."""

    public_name = "checkpoint"

    constants = ("ys",)

    def __init__(self, call: _Call, n: int, ys: list[Array]) -> None:
        self.call, self.n, self.ys = call, n, ys

    def forward(self, *xs: Array) -> Any:
        ys, self.ys = tuple(self.ys), []
        return ys

    def backward(self, *gys: Any) -> Any:
        inputs, captured = self.operands[: self.n], self.operands[self.n :]
        return replayed(self.call.again, inputs, gys, self.twice, captured)


def _leaves_behind(ys: tuple[Variable, ...], known: list[Any]) -> list[Variable]:
    """The leaves that results depend on and that are not among the arguments, such as parameters."""
    found: dict[int, Variable] = {}
    seen: set[int] = {id(x) for x in known}
    waiting = [*ys]
    while waiting:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if x.creator is not None:
            waiting += [v for v in x.creator.operands if isinstance(v, Variable)]
        elif x.requires_grad:
            found[id(x)] = x
    return list(found.values())
