"""The way back: from a result to the gradients of everything it was computed from.

Functions are visited from the youngest to the oldest. A function is always younger than the functions that made its
inputs, so by the time it is visited, all gradients of its outputs have arrived.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from heapq import heappop, heappush
from sys import getrefcount
from typing import Any, overload

import numpy as np

from passus.backend import Array, is_array
from passus.config import enable_backprop
from passus.core import custom
from passus.core.basic import add, astype, sum_to
from passus.core.function import KINDS, SCALARS, Function
from passus.core.second_order import pull_recorded
from passus.core.variable import Variable, as_variable, constant, last_resized
from passus.errors import ArgumentError, DTypeError, GraphError, ShapeError, kind_of

__all__ = ["backward", "gradients"]

ndarray = np.ndarray

FLOAT64 = np.dtype(np.float64)

ONES = {scalar: scalar(1) if kind == "f" else np.float64(1) for scalar, kind in SCALARS.items()}
"""The seeds of results without axes."""


def backward(self: Variable, retain_grad: bool = False, create_graph: bool = False) -> None:
    """Compute the gradient of this Variable with respect to each leaf behind it, and add it to the leaf's ``grad``.

    The seed is ``self.grad`` if it was set, else ones of the shape of the data. Leaves are the Variables that
    no function made; the others keep their gradients only with ``retain_grad``. With ``create_graph`` the gradients
    are themselves results of recorded functions and can be differentiated again.

    Nothing is changed if an error is raised. Raises `GraphError` if there is nothing to differentiate, or if data
    were edited since the forward pass; `DTypeError` for a gradient as argument; `SecondOrderError` for a second derivative through a rule that has none.

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
    if retain_grad is not False and not isinstance(retain_grad, (bool, int, np.bool_)):
        raise DTypeError(
            f"{self._label()}.backward() does not take a gradient, and {kind_of(retain_grad)} was given; write y.grad = gy, then "
            "y.backward()"
        )
    seed = self._grad
    if seed is not None and seed.shape != self._data.shape:
        raise ShapeError(
            f"{self._label()}.backward(): its gradient {seed.shape} must have the shape of its data {self.shape}"
        )
    token = enable_backprop.set(create_graph)
    try:
        if self.creator is None:
            self._grad = constant(_ones(self._data)) if seed is None else seed
        elif create_graph:
            seed = constant(_ones(self._data)) if seed is None else seed
            for x, gx in _walk({self: seed}, retain_grad, True):
                x._grad = gx if x._grad is None or x.creator is not None else add(x._grad, gx)
        else:
            array = _ones(self._data) if seed is None else seed._data
            _hand_out(_walk({self: array}, retain_grad, False), array)
    finally:
        enable_backprop.reset(token)
    if self.creator is not None and not retain_grad:
        self._grad = None


@overload
def gradients(
    ys: Variable | Sequence[Variable], xs: Variable, gys: Any = None, create_graph: bool = False
) -> Variable: ...


@overload
def gradients(
    ys: Variable | Sequence[Variable], xs: Sequence[Variable], gys: Any = None, create_graph: bool = False
) -> list[Variable]: ...


def gradients(
    ys: Variable | Sequence[Variable],
    xs: Variable | Sequence[Variable],
    gys: Any = None,
    create_graph: bool = False,
) -> Variable | list[Variable]:
    """The gradients of ``sum(<gy, y>)`` with respect to ``xs``, returned: nobody's ``grad`` is read or written.

    ``ys``, ``xs``: a Variable, or a list of them; the result has the form of ``xs``. ``xs`` may lie anywhere in the
    graph, and it is not followed behind them. ``gys``: one for each y, an array or a Variable, ones where None. The
    gradient of what no ``y`` depends on is zero. With ``create_graph`` the results can be differentiated again.

    Raises `ShapeError` for a ``gy`` of another shape than its ``y``, `ArgumentError` for another number of them,
    `DTypeError` for what is no Variable, `GraphError` for an x to which no gradient flows.

    >>> import numpy as np
    >>> x = Variable(np.array(3.0))
    >>> gradients([x * x], [x]), x.grad
    ([variable(6.0)], None)
    >>> gx = gradients(x**3, x, create_graph=True)
    >>> gradients(gx, x)
    variable(18.0)
    """
    if isinstance(ys, Variable):
        ys, gys = [ys], gys if gys is None or isinstance(gys, (list, tuple)) else [gys]
    if isinstance(xs, Variable):
        return gradients(ys, [xs], gys, create_graph)[0]
    for x in (*ys, *xs):
        if not isinstance(x, Variable):
            raise DTypeError(f"gradients: {kind_of(x)} has no graph; give Variables")
    for x in xs:
        if not x.requires_grad:
            raise GraphError(
                f"gradients: no gradient flows to {x._label()} {x.dtype} {x.shape}; it is of integers, frozen, or was "
                "computed under no_grad()"
            )
    if gys is not None and len(gys) != len(ys):
        raise ArgumentError(f"gradients: {len(gys)} seeds for {len(ys)} results; give one for each, None for ones")
    seeds: dict[Variable, Any] = {}
    token = enable_backprop.set(create_graph)
    try:
        given = [_seed(y, gy) for y, gy in zip(ys, gys or [None] * len(ys))]
        for y, gy in zip(ys, given):
            if y.requires_grad:
                gy = gy if create_graph else gy._data
                seeds[y] = seeds[y] + gy if y in seeds else gy
        found = dict(_walk(seeds, False, create_graph, frozenset(xs)))
    finally:
        enable_backprop.reset(token)
    shared = {id(gy._data) for gy in given}
    gxs = [found[x] if x in found else np.zeros(x.shape, gradient_dtype(x._data)) for x in xs]
    return [
        gx if isinstance(gx, Variable) else constant(_owned(gx, shared) if type(gx) is ndarray else gx) for gx in gxs
    ]


def _walk(
    grads: dict[Variable, Any], retain_grad: bool, create_graph: bool, goals: frozenset[Variable] = frozenset()
) -> list[tuple[Variable, Any]]:
    """From the gradients of some Variables, those of all leaves behind them, and of what lies between if retained.

    The ``goals`` count as leaves: nothing behind them is visited. ``grads`` is used up.
    """
    stand_ins: list[Variable] = []
    try:
        return _visited(grads, retain_grad, create_graph, goals, stand_ins)
    finally:
        for x in stand_ins:
            x._data = None


def _visited(
    grads: dict[Variable, Any],
    retain_grad: bool,
    create_graph: bool,
    goals: frozenset[Variable],
    stand_ins: list[Variable],
) -> list[tuple[Variable, Any]]:
    """The walk itself; Variables whose data were released stand with their shapes only, and are noted."""
    between: list[tuple[Variable, Any]] = []
    sums: set[Variable] = set()
    total = add if create_graph else operator.add
    # Which function is next, and a heap of all others that wait, the youngest first. Along a chain the heap stays empty.
    function: Any = None
    turns: list[tuple[int, Function]] = []
    for y in grads:
        if y.creator is not None and y not in goals:
            heappush(turns, (-y.creator.serial, y.creator))
    while function is not None or turns:
        if turns:
            if function is not None:
                heappush(turns, (-function.serial, function))
            function = heappop(turns)[1]
            while turns and turns[0][1] is function:  # It waits once for each of its outputs.
                heappop(turns)
        outputs, inputs = function.outputs, function.operands
        gys = [grads.pop(outputs[0]())] if len(outputs) == 1 else _taken(function, grads, goals)
        if retain_grad:
            between += [(y, gy) for y, gy in zip([output() for output in outputs], gys) if y is not None]
        try:
            if function.serial < last_resized[0]:
                function.check_shapes(stand_ins)
            if create_graph:
                gxs = pull_recorded(function, gys)
            else:
                if function.evidence is not None:
                    function.check_evidence()
                if function.custom:
                    gxs = custom.backward(function, gys)
                else:
                    gxs = function.backward(gys[0]) if len(gys) == 1 else function.backward(*gys)
        except Exception as error:
            error.add_note(function.place(error))
            raise
        if type(gxs) is not tuple:
            gxs = tuple(gxs) if type(gxs) is list else (gxs,)
        if len(gxs) != len(inputs):
            gxs = _one_for_each(gxs, function)
        visited, function = function, None
        for x, gx in zip(inputs, gxs):
            if gx is None or not isinstance(x, Variable) or not x.requires_grad:
                continue
            data = x._data
            if type(gx) is not type(data) or type(gx) is ndarray:  # Scalars of one type have one shape and dtype.
                if type(gx) not in KINDS and not create_graph:
                    gx = _unboxed(gx, visited)
                if gx.shape != data.shape or gx.dtype != data.dtype:
                    gx = _fitted(gx, x, visited, gys)
            if x not in grads:
                grads[x] = gx
                creator = x.creator
                if creator is None or (goals and x in goals) or creator is function:
                    continue
                if function is None and not turns:
                    function = creator
                else:
                    heappush(turns, (-creator.serial, creator))
            elif x in sums:  # The third gradient and those after it: nobody else sees the sum, so it grows in place.
                grads[x] += gx
            else:
                grads[x] = total(grads[x], gx)
                if type(gx) is ndarray:
                    sums.add(x)
    return [*between, *grads.items()]


def _one_for_each(gxs: tuple[Any, ...], function: Function) -> tuple[Any, ...]:
    """The gradients, with None for the last inputs where these take none, as the integer labels of a loss."""
    missing = function.operands[len(gxs) :]
    if len(gxs) > len(function.operands) or any(
        isinstance(x, Variable) and x.requires_grad and x.dtype.kind == "f" for x in missing
    ):
        raise GraphError(
            f"{type(function).__name__}.backward returned {len(gxs)} gradients for {len(function.operands)} inputs; "
            "return one for each, None where there is none"
        )
    return (*gxs, *[None for _ in missing])


def _seed(y: Variable, gy: Any) -> Variable:
    """A gradient that fits its result; ones where none is given."""
    if gy is None:
        return constant(_ones(y._data))
    if not isinstance(gy, Variable):
        gy = as_variable(gy).detach()
    if gy.shape != y.shape:
        raise ShapeError(f"gradients: the seed {gy.shape} must have the shape of the result {y.shape}")
    return gy if gy.dtype == y.dtype else astype(gy, y.dtype)


def _ones(data: Array) -> Array:
    one = ONES.get(type(data))
    if one is None:
        dtype = gradient_dtype(data)
        one = np.ones(data.shape, dtype) if data.shape else dtype.type(1)
    return one


def gradient_dtype(data: Array) -> np.dtype[Any]:
    """That of the data, and float64 for integers."""
    dtype: np.dtype[Any] = data.dtype
    return dtype if dtype.kind == "f" else FLOAT64


def _unboxed(gx: Any, function: Function) -> Array:
    """The array of a gradient from a rule that computes with Variables of its own accord."""
    gx = gx._data if isinstance(gx, Variable) else gx
    if not (isinstance(gx, np.generic) or is_array(gx)):
        raise DTypeError(
            f"{type(function).__name__}.backward returned {kind_of(gx)}; return an array for each input, or None "
            "where there is no gradient"
        )
    return gx


def _taken(function: Function, grads: dict[Variable, Any], goals: frozenset[Variable]) -> list[Any]:
    """The gradients of several outputs; zeros for those that nothing was computed from."""
    gys: list[Any] = []
    for output, (shape, dtype) in zip(function.outputs, function.output_types):
        y = output()
        gy = grads.pop(y) if y is not None and y in grads and y not in goals else None
        gys.append(np.zeros(shape, dtype) if gy is None and dtype.kind == "f" else gy)
    return gys


def _fitted(gx: Any, x: Variable, function: Function, gys: list[Any]) -> Any:
    """A gradient with the shape and dtype of its input: summed over the axes that broadcasting had stretched."""
    if gx.shape != x.shape:
        if all(gy is None or gx.shape != gy.shape for gy in gys) or not _broadcasts(x.shape, gx.shape):
            raise ShapeError(
                f"{type(function).__name__}.backward returned a gradient of shape {gx.shape} for an input of shape "
                f"{x.shape}; they must be equal{_repair(gx.shape, x.shape)}"
            )
        gx = sum_to(gx, x.shape)
    if gx.dtype == x.dtype or (x.dtype.kind != "f" and gx.dtype.kind == "f"):
        return gx
    return astype(gx, gradient_dtype(x._data))


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    extra = len(to) - len(shape)
    return extra >= 0 and all(n in (1, m) for n, m in zip(shape, to[extra:]))


def _repair(given: tuple[int, ...], needed: tuple[int, ...]) -> str:
    """What a rule may do about a gradient of another shape."""
    if _broadcasts(given, needed):
        return f". Return F.broadcast_to(gy, {needed}), as the rule of a sum does"
    if _broadcasts(needed, given):
        return f". Return F.sum_to(gx, {needed}), as the rule of a broadcast does"
    if given == needed[::-1]:
        return ". Return gx.T"
    if math.prod(given) == math.prod(needed):
        return f". Return gx.reshape({needed})"
    return ""


def _hand_out(found: list[tuple[Variable, Any]], seed: Any) -> None:
    """Give each Variable a gradient array that is its own: not a view, nor one that another Variable holds."""
    given = {id(seed)}
    for x, gx in found:
        if x._grad is not None and x.creator is None:
            gx = x._grad._data + gx
        x._grad = constant(_owned(gx, given) if type(gx) is ndarray else gx)


def _owned(gx: Any, given: set[int]) -> Any:
    """A gradient array that nobody else can see: a copy of what others may see, and of what was given to someone before."""
    if (gx.base is not None and not _is_all_of_its_own(gx)) or id(gx) in given:
        gx = gx.copy(order="K")  # In the order of memory that it has, which may be channels last.
    given.add(id(gx))
    return gx


def _is_all_of_its_own(view: Array) -> bool:
    """Whether a view shows the whole of an array that nobody else holds: one that a rule has made and turned round."""
    if type(view.base) is not ndarray or view.base.size != view.size or not view.flags.writeable:
        return False
    return _holders(view) == ALONE


def _holders(view: Array) -> int:
    """A number that grows with those who hold the array behind a view."""
    return getrefcount(view.base)


ALONE = _holders(np.empty(1)[:])
"""That number where nobody but the view does; it differs between versions of Python."""


def _why_constant(y: Variable) -> str:
    label = y._label()
    if y._data is None:
        return f"{label}.backward(): it holds no data"
    if y.dtype.kind != "f":
        return (
            f"{label}.backward(): its data are {y.dtype}{'' if y.dtype.kind == 'b' else ' that were computed from no integers'}, "
            "through which no gradient flows; start from floating-point numbers, such as np.array(3.0) or x.astype(np.float32)"
        )
    return (
        f"{label}.backward(): there is no graph behind it. It was computed under no_grad(), or from arrays, integers or "
        "frozen parameters only; or it is a gradient, and the pass that made it needed backward(create_graph=True)"
    )


Variable.backward = backward  # type: ignore[method-assign]
