"""The way back: from a result to the gradients of everything it was computed from.

Functions are visited from the youngest to the oldest. A function is always younger than the functions that made its
inputs, so by the time it is visited, all gradients of its outputs have arrived.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from passus.backend import Array, is_array
from passus.config import enable_backprop
from passus.core.basic import add, astype, sum_to
from passus.core.function import NUMPY, Function
from passus.core.second_order import pull_recorded
from passus.core.variable import Variable, constant
from passus.errors import DTypeError, GraphError, ShapeError

__all__ = ["backward", "gradients"]


def backward(self: Variable, retain_grad: bool = False, create_graph: bool = False) -> None:
    """Compute the gradient of this Variable with respect to each leaf behind it, and add it to the leaf's ``grad``.

    The seed is ``self.grad`` if it was set, else ones of the shape of the data. Leaves are the Variables that
    no function made; the others keep their gradients only with ``retain_grad``. With ``create_graph`` the gradients
    are themselves results of recorded functions and can be differentiated again.

    Nothing is changed if an error is raised. Raises `GraphError` if there is nothing to differentiate, or if data
    were edited since the forward pass; `SecondOrderError` for a second derivative through a rule that has none.

    >>> import numpy as np
    >>> x = Variable(np.array(2.0))
    >>> y = x * x * x
    >>> y.backward(create_graph=True)
    >>> gx = x.grad
    >>> x.cleargrad()
    >>> gx.backward()
    >>> print(gx, x.grad)
    12.0 12.0
    """
    if not self.requires_grad or self._data is None:
        raise GraphError(_why_constant(self))
    seed = self._grad
    token = enable_backprop.set(create_graph)
    try:
        if self.creator is None:
            self._grad = constant(_ones(self._data)) if seed is None else seed
        elif create_graph:
            found = _walk(self, constant(_ones(self._data)) if seed is None else seed, retain_grad, True)
            for x, gx, _ in found:
                x._grad = gx if x._grad is None or x.creator is not None else add(x._grad, gx)
        else:
            array = _ones(self._data) if seed is None else seed._data
            _hand_out(_walk(self, array, retain_grad, False), array)
    finally:
        enable_backprop.reset(token)
    if self.creator is not None and not retain_grad:
        self._grad = None


def gradients(
    ys: Sequence[Variable],
    xs: Sequence[Variable],
    gys: Sequence[Variable | None] | None = None,
    create_graph: bool = False,
) -> list[Variable]:
    """The gradients of ``sum(<gy, y>)`` with respect to ``xs``, returned: nobody's ``grad`` is read or written.

    ``xs`` may lie anywhere in the graph, and it is not followed behind them. ``gys``: ones where None. The gradient of
    what no ``y`` depends on is zero. Raises `ShapeError` for a ``gy`` of another shape than its ``y``.

    >>> import numpy as np
    >>> x = Variable(np.array(3.0))
    >>> gradients([x * x], [x]), x.grad
    ([variable(6.0)], None)
    """
    seeds = [constant(_ones(y._data)) if gy is None else gy for y, gy in zip(ys, gys or [None] * len(ys))]
    for y, gy in zip(ys, seeds):
        if gy.shape != y.shape:
            raise ShapeError(f"gradients: the seed {gy.shape} must have the shape of the result {y.shape}")
    token = enable_backprop.set(True)
    try:
        end = Ends(seeds)(*ys)
        enable_backprop.set(create_graph)
        seed = constant(_ones(end._data)) if create_graph else _ones(end._data)
        reached = _walk(end, seed, False, create_graph, frozenset(map(id, xs))) if end.requires_grad else []
    finally:
        enable_backprop.reset(token)
    found = {id(x): gx for x, gx, _ in reached}
    given = {id(gy._data) for gy in seeds}
    gxs = [found.get(id(x), np.zeros(x.shape, x.dtype)) for x in xs]
    return [
        gx if isinstance(gx, Variable) else constant(_owned(gx, given) if type(gx) is np.ndarray else gx) for gx in gxs
    ]


class Ends(Function):
    """Joins several results to one, so that there is one end to walk back from; its rule hands a seed to each."""

    constants = ("gys",)

    def __init__(self, gys: list[Variable]) -> None:
        self.gys = gys

    def forward(self, *ys: Array) -> Array:
        return self.xp.zeros(())

    def backward(self, gy: Any) -> Any:
        return tuple(self.gys)


def _walk(
    end: Variable, seed: Any, retain_grad: bool, create_graph: bool, goals: frozenset[int] = frozenset()
) -> list[tuple[Variable, Any, bool]]:
    """The gradients of all leaves, and of the Variables between if they are retained.

    The Variables whose identities are in ``goals`` count as leaves: nothing behind them is visited.
    """
    leaves: dict[int, tuple[Variable, Any, bool]] = {}
    between: list[tuple[Variable, Any, bool]] = []
    total = add if create_graph else operator.add
    function: Any = end.creator
    # Functions that wait for their turn, with the gradients of their outputs, by their negated serial numbers; and a
    # heap of these numbers, from which the youngest function comes first.
    waiting: dict[int, tuple[Function, list[Any]]] = {-function.serial: (function, _one_of_several(end, seed))}
    turns = [-function.serial]
    while turns:
        function, gys = waiting.pop(heappop(turns))
        if len(gys) > 1:
            gys = _completed(function, gys)
        if retain_grad:
            between += [
                (y, gy, False) for y, gy in zip([output() for output in function.outputs], gys) if y is not None
            ]
        gxs = pull_recorded(function, gys) if create_graph else function.pulled(gys)
        for x, gx in zip(function.inputs, gxs):
            if gx is None or not isinstance(x, Variable) or not x.requires_grad:
                continue
            if type(gx) not in NUMPY and not create_graph:
                gx = _unboxed(gx, function)
            data = x._data
            if gx.shape != data.shape or gx.dtype != data.dtype:
                gx = _fitted(gx, x, function, gys)
            creator = x.creator
            if creator is None or (goals and id(x) in goals):
                if id(x) in leaves:
                    _, held, ours = leaves[id(x)]
                    if ours:  # The third gradient and those after it: nobody else sees the sum, so it grows in place.
                        held += gx
                    else:
                        held = total(held, gx)
                    leaves[id(x)] = (x, held, type(held) is np.ndarray)
                else:
                    leaves[id(x)] = (x, gx, False)
                continue
            turn = -creator.serial
            if turn not in waiting:
                waiting[turn] = (creator, [gx] if len(creator.outputs) == 1 else _one_of_several(x, gx))
                heappush(turns, turn)
                continue
            arrived = waiting[turn][1]
            arrived[x.index] = gx if arrived[x.index] is None else total(arrived[x.index], gx)
    return [*between, *leaves.values()]


def _ones(data: Array) -> Array:
    return np.ones(data.shape, data.dtype) if data.shape else data.dtype.type(1)


def _unboxed(gx: Any, function: Function) -> Array:
    """The array of a gradient from a rule that computes with Variables of its own accord."""
    gx = gx._data if isinstance(gx, Variable) else gx
    if not (isinstance(gx, np.generic) or is_array(gx)):
        raise DTypeError(
            f"{type(function).__name__}.backward returned a {type(gx).__name__}; return an array for each input, or None "
            "where there is no gradient"
        )
    return gx


def _one_of_several(x: Variable, gx: Any) -> list[Any]:
    assert x.creator is not None
    gys: list[Any] = [None] * len(x.creator.outputs)
    gys[x.index] = gx
    return gys


def _completed(function: Function, gys: list[Any]) -> list[Any]:
    """Zeros for the outputs that nothing was computed from."""
    return [
        np.zeros(shape, dtype) if gy is None and dtype.kind == "f" else gy
        for gy, (shape, dtype) in zip(gys, function.output_types)
    ]


def _fitted(gx: Any, x: Variable, function: Function, gys: list[Any]) -> Any:
    """A gradient with the shape and dtype of its input: summed over the axes that broadcasting had stretched."""
    if gx.shape != x.shape:
        if all(gy is None or gx.shape != gy.shape for gy in gys):
            raise ShapeError(
                f"{type(function).__name__}.backward returned a gradient of shape {gx.shape} for an input of shape "
                f"{x.shape}; they must be equal"
            )
        gx = sum_to(gx, x.shape)
    return gx if gx.dtype == x.dtype else astype(gx, x.dtype)


def _hand_out(found: list[tuple[Variable, Any, bool]], seed: Any) -> None:
    """Give each Variable a gradient array that is its own: not a view, nor one that another Variable holds."""
    given = {id(seed)}
    for x, gx, _ in found:
        if x._grad is not None and x.creator is None:
            gx = x._grad._data + gx
        x._grad = constant(_owned(gx, given) if type(gx) is np.ndarray else gx)


def _owned(gx: Any, given: set[int]) -> Any:
    """A gradient array that nobody else can see: a copy of a view, and of what was given to someone before."""
    if gx.base is not None or id(gx) in given:
        gx = gx.copy()
    given.add(id(gx))
    return gx


def _why_constant(y: Variable) -> str:
    label = y._label()
    if y._data is None:
        return f"{label}.backward(): it holds no data"
    if y.dtype.kind != "f":
        return (
            f"{label}.backward(): its data are {y.dtype}, and integers and booleans take no gradient; "
            "start from floating-point numbers, such as np.array(3.0) or x.astype(np.float32)"
        )
    return (
        f"{label}.backward(): there is no graph behind it. It was computed under no_grad(), or from arrays, integers or "
        "frozen parameters only; or it is a gradient, and the pass that made it needed backward(create_graph=True)"
    )


Variable.backward = backward  # type: ignore[method-assign]
