"""The walk back through the graph, from a result to the gradients of everything that it depends on.

Functions are visited from the youngest to the oldest. A function is younger than the functions that made its inputs, so
when it is visited, all gradients of its outputs have arrived. Its rule computes the gradients of its inputs. These are
added to the gradients that the inputs have received from other functions, and the creators of the inputs wait for their turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any, TypeAlias, overload

import numpy as np

from passus.backend import Array, backend_of, others
from passus.backend.trace import visit
from passus.config import enable_backprop
from passus.core import hooks, messages
from passus.core.basic import add, astype
from passus.core.data import KINDS, SCALARS
from passus.core.edits import last_resized
from passus.core.function import Function
from passus.core.ownership import owned
from passus.core.rules import completed, error_note, fitted, gradient_dtype, guarded_backward
from passus.core.second_order import recorded_backward
from passus.core.variable import Variable, as_variable, constant_variable
from passus.errors import ArgumentError, DTypeError, GraphError, ShapeError, kind_of

__all__ = ["all_gradients", "backward", "gradients"]

ndarray = np.ndarray

ONES = {scalar: scalar(1) if kind == "f" else np.float64(1) for scalar, kind in SCALARS.items()}
"""The seeds of results that are NumPy scalars."""

Waiting: TypeAlias = list[tuple[int, Function]]
"""A heap of the functions that wait to be visited, with the youngest first: ``(-serial, function)``."""


def backward(self: Variable, retain_grad: bool = False, create_graph: bool = False, retain_graph: None = None) -> None:
    """Compute the gradient of this Variable with respect to each leaf behind it, and add it to the leaf's ``grad``.

    The seed is ``self.grad`` if it was set, otherwise ones of the shape of the data. Leaves are Variables without
    a creator; other Variables retain their gradients only with ``retain_grad``. With ``create_graph`` the gradients
    are themselves results of recorded functions and can be differentiated again.

    Nothing is changed if an error is raised. Raises `GraphError` if there is nothing to differentiate, or if data
    were edited since the forward pass; `DTypeError` for a gradient as argument; `SecondOrderError` for a second derivative
    through a rule that has none.

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
    if retain_graph is not None:
        raise messages.no_option(f"{self._label()}.backward()", "retain_graph")
    if not self.requires_grad or self._data is None:
        raise messages.no_graph(self._label(), None if self._data is None else self.dtype)
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
            self._grad = constant_variable(_ones(self._data)) if seed is None else seed
            hooks.run_leaf_hooks([(self, self._grad)], ())
        elif create_graph:
            seed = constant_variable(_ones(self._data)) if seed is None else seed
            for x, gx in _walk({self: seed}, retain_grad, True):
                x._grad = gx if x._grad is None or x.creator is not None else add(x._grad, gx)
        else:
            array = _ones(self._data) if seed is None else seed._data
            _assign_grads(_walk({self: array}, retain_grad, False), array)
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
    """The gradients of ``sum(<gy, y>)`` with respect to ``xs``, returned: no ``grad`` is read or written.

    ``ys``, ``xs``: a Variable, or a list of them; the result has the form of ``xs``. ``xs`` may be anywhere in the
    graph; the walk ends at them. ``gys``: one for each y, an array or a Variable, ones where None. The
    gradient is zero where no ``y`` depends on an x. With ``create_graph`` the results can be differentiated again.

    Raises `ShapeError` for a ``gy`` of another shape than its ``y``, `ArgumentError` for a wrong number of them,
    `DTypeError` for anything but Variables, `GraphError` for an x to which no gradient flows.

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
    _check_graph(ys, xs)
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
    assigned = {id(gy._data) for gy in given}
    gxs = [found[x] if x in found else _zeros(x._data) for x in xs]
    return [
        gx if isinstance(gx, Variable) else constant_variable(owned(gx, assigned) if type(gx) is ndarray else gx)
        for gx in gxs
    ]


def all_gradients(y: Variable) -> dict[Variable, Array]:
    """The gradient of the sum of ``y`` with respect to ``y`` and every Variable behind it: no ``grad`` is read or written.

    Hooks are not called. The arrays must not be modified: they may be saved by functions of the graph.

    Raises `GraphError` if there is nothing to differentiate, or if data were edited since the forward pass.

    >>> import numpy as np
    >>> x = Variable(np.array(3.0))
    >>> y = x * x
    >>> z = y + y
    >>> [float(all_gradients(z)[v]) for v in (z, y, x)]
    [1.0, 2.0, 12.0]
    """
    if not y.requires_grad or y._data is None:
        raise messages.no_graph(y._label(), None if y._data is None else y.dtype)
    token = enable_backprop.set(False)
    try:
        found = _walk({y: _ones(y._data)}, True, False, observed=False)
    finally:
        enable_backprop.reset(token)
    return {x: gx for x, gx in found if gx is not None}


def _walk(
    grads: dict[Variable, Any],
    retain_grad: bool,
    create_graph: bool,
    ends: frozenset[Variable] = frozenset(),
    observed: bool = True,
) -> list[tuple[Variable, Any]]:
    """The gradients of all leaves behind some Variables, from the gradients of these, and those in between if retained.

    ``grads`` is emptied. ``ends`` are treated as leaves: nothing behind them is visited. ``observed``: call hooks.
    """
    released: list[Variable] = []
    hooked = observed and hooks.used[0]
    try:
        found = _visit_functions(grads, retain_grad, create_graph, ends, released, hooked)
        if hooked:
            hooks.run_leaf_hooks(found, ends)
        return found
    finally:
        for x in released:
            x._data = None


def _visit_functions(
    grads: dict[Variable, Any],
    retain_grad: bool,
    create_graph: bool,
    ends: frozenset[Variable],
    released: list[Variable],
    hooked: bool,
) -> list[tuple[Variable, Any]]:
    """The loop of the walk. Along a chain, only one function waits, and the heap stays empty."""
    retained: list[tuple[Variable, Any]] = []
    sums: set[Variable] = set()
    waiting: Waiting = []
    for y in grads:
        if y.creator is not None and y not in ends:
            heappush(waiting, (-y.creator.serial, y.creator))
    function: Any = waiting.pop()[1] if len(waiting) == 1 else None
    while function is not None or waiting:
        if waiting:
            function = _youngest(function, waiting)
        outputs, inputs = function.outputs, function.operands
        gys = [grads.pop(outputs[0]())] if len(outputs) == 1 else _output_gradients(function, grads, ends)
        if retain_grad:
            retained += [(y, gy) for y, gy in zip([output() for output in outputs], gys) if y is not None]
        if hooked:
            hooks.run_output_hooks(function, gys)
        if others:
            visit(function)
        try:
            if function.custom or function.checksums or function.serial < last_resized[0]:
                gxs = guarded_backward(function, gys, create_graph, released)
            elif create_graph:
                gxs = recorded_backward(function, gys)
            else:
                gxs = function.backward(gys[0]) if len(gys) == 1 else function.backward(*gys)
        except Exception as error:
            error.add_note(error_note(function, error))
            raise
        if type(gxs) is not tuple:
            gxs = tuple(gxs) if type(gxs) is list else (gxs,)
        if len(gxs) != len(inputs):
            gxs = completed(gxs, function)
        visited, function = function, None
        for x, gx in zip(inputs, gxs):
            if gx is None or not isinstance(x, Variable) or not x.requires_grad:
                continue
            data = x._data
            # NumPy scalars of one type have equal shapes and dtypes.
            if (type(gx) is not type(data) or type(gx) not in SCALARS) and (
                type(gx) not in KINDS or gx.shape != data.shape or gx.dtype != data.dtype
            ):
                gx = fitted(gx, x, visited, gys, create_graph)
            if x in grads:
                grads[x] = _sum(grads[x], gx, x, sums) if type(gx) is ndarray else grads[x] + gx
                continue
            grads[x] = gx
            creator = x.creator
            if creator is None or (ends and x in ends):
                continue
            if function is None and not waiting:
                function = creator
            elif creator is not function:
                heappush(waiting, (-creator.serial, creator))
    if others:
        visit(None)
    return [*retained, *grads.items()]


def _youngest(function: Function | None, waiting: Waiting) -> Function:
    """The function to visit next: the youngest of the heap and ``function``; the other one is on the heap afterwards."""
    if function is not None:
        heappush(waiting, (-function.serial, function))
    youngest = heappop(waiting)[1]
    while waiting and waiting[0][1] is youngest:  # It waits once for each of its outputs.
        heappop(waiting)
    return youngest


def _output_gradients(function: Function, grads: dict[Variable, Any], ends: frozenset[Variable]) -> list[Any]:
    """The gradients of several outputs, removed from ``grads``. Zeros for an output that no result depends on."""
    gys: list[Any] = []
    for output, (shape, dtype) in zip(function.outputs, function.output_types):
        y = output()
        gy = grads.pop(y) if y is not None and y in grads and y not in ends else None
        gys.append(np.zeros(shape, dtype) if gy is None and dtype.kind == "f" else gy)
    if others and function.xp is not np:
        backend = backend_of(*gys)
        gys = [backend.asarray(gy) if type(gy) is ndarray else gy for gy in gys]
    return gys


def _sum(total: Array, gx: Array, x: Variable, sums: set[Variable]) -> Array:
    """The sum of the gradients of x. ``sums``: the Variables whose sum is an array created here, and updated in place."""
    if x in sums:
        total += gx
        return total
    sums.add(x)
    return total + gx


def _seed(y: Variable, gy: Any) -> Variable:
    """A gradient of the shape and dtype of its result; ones if None is given."""
    if gy is None:
        return constant_variable(_ones(y._data))
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
        if type(data) is not ndarray and others:
            one = backend_of(data).asarray(one)
    return one


def _zeros(data: Array) -> Array:
    return backend_of(data).asarray(np.zeros(data.shape, gradient_dtype(data)))


def _assign_grads(grads: list[tuple[Variable, Any]], seed: Any) -> None:
    """Assign to each Variable a gradient array that it owns alone; gradients of leaves are added to earlier ones."""
    assigned = {id(seed)}
    for x, gx in grads:
        if x._grad is not None and x.creator is None:
            gx = x._grad._data + gx
        x._grad = constant_variable(owned(gx, assigned) if type(gx) is ndarray else gx)


def _check_graph(ys: Sequence[Variable], xs: Sequence[Variable]) -> None:
    for x in (*ys, *xs):
        if not isinstance(x, Variable):
            raise DTypeError(f"gradients: {kind_of(x)} has no graph; give Variables")
    for x in xs:
        if not x.requires_grad:
            raise GraphError(
                f"gradients: no gradient flows to {x._label()} {x.dtype} {x.shape}; it is of integers, frozen, or was "
                "computed under no_grad()"
            )


Variable.backward = backward  # type: ignore[assignment, method-assign]
