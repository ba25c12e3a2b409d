"""Transformations of a function into one that computes its derivatives: `grad`, `jacobian`, `hessian` and others.

Arguments and results are numbers, arrays, or nested dicts, lists and tuples of them; derivatives have the same structure. An
argument that is a layer or model represents its parameters, and its derivatives are a dict by their paths.

>>> from passus.layers import Linear
>>> layer = Linear(1, in_size=2, rng=0)
>>> gradients_by_path = grad(lambda layer, x: layer(x).sum())(layer, np.ones((4, 2), np.float32))
>>> {path: gx.shape for path, gx in gradients_by_path.items()}
{'W': (2, 1), 'b': (1,)}

They change no ``grad`` of any Variable, and can be nested. As everywhere, an array is a constant and a Variable is
differentiable: the derivatives are arrays, unless an argument, or something else that the function uses, is a Variable to
which gradients flow. Then they are Variables that can be differentiated again; if that is not needed, calls under `no_grad`
are faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from passus.answers import not_callable
from passus.arguments import checked_callable
from passus.config import enable_backprop, using_config
from passus.core import Operand, Result, Variable, as_array, as_variable, astype
from passus.core.backward import gradients
from passus.errors import ArgumentError, DTypeError, PassusError
from passus.functions import reshape, stack
from passus.tree import leaves_like, tree_leaves, tree_map

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

Argnums = int | tuple[int, ...]
"""The positional arguments that are differentiated. For a tuple, the derivatives are returned in a tuple."""


def grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes the gradient of ``f``, whose result must be one number.

    Raises `ArgumentError` for another result or a missing argument, `DTypeError` for integers.

    >>> grad(lambda x: x**3)(2.0)
    array(12.)
    >>> grad(grad(lambda x: x**3))(2.0)
    array(12.)
    >>> grad(lambda p: p["a"] * p["b"][0])({"a": 2.0, "b": [3.0]})
    {'a': array(3.), 'b': [array(2.)]}
    """
    differentiated = value_and_grad(f, argnums)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        return differentiated(*args, **kwargs)[1]

    return gradient


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., tuple[Result, Any]]:
    """The function that computes the value of ``f``, which must be one number, and its gradient.

    Raises `ArgumentError` for another result or a missing argument, `DTypeError` for integers.

    >>> value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (array(6.), (array(3.), array(2.)))
    """

    def differentiated(*args: Any, **kwargs: Any) -> tuple[Result, Any]:
        call = _Call("grad", f, args, argnums, kwargs)
        if not isinstance(call.result, Variable) or call.result.ndim:
            raise ArgumentError(
                f"grad: the function must return one number, and returned {call.described()}; reduce it, as with "
                "y.sum(), or use jacobian"
            )
        return call.results(), call.unpacked(call.derivatives(call.ys, call.xs, [None]))

    return differentiated


def vjp(f: Callable[..., Any], *xs: Operand) -> tuple[Any, Callable[..., Any]]:
    """The results of ``f(*xs)``, and a function of their gradients: ``backward(gy)`` is ``gy @ jacobian``.

    ``backward`` takes a gradient for each result, in the structure of the results, and can be called more than once. It returns
    the gradient for each x, without a tuple if there is one x. Raises `ShapeError` for a gradient of another shape than its
    result, `ArgumentError` for gradients of another structure.

    >>> y, backward = vjp(lambda x: x**2, np.array([1.0, 2.0]))
    >>> backward(np.array([1.0, 10.0]))
    array([ 2., 40.])
    """
    call = _Call("vjp", f, xs, _all_of(xs), {})

    def backward(*gys: Any) -> Any:
        given: Any = gys if isinstance(call.result, (tuple, list)) else gys[0] if len(gys) == 1 else None
        if given is None or (isinstance(call.result, (tuple, list)) and len(gys) != len(call.result)):
            raise ArgumentError(
                f"vjp: backward takes a gradient for each result, {call.described()}; {len(gys)} were given"
            )
        return call.gradients_from(leaves_like("vjp", call.result, given))

    return call.results(), backward


def jvp(f: Callable[..., Any], xs: Any, vs: Any) -> tuple[Any, Any]:
    """The results of ``f(*xs)`` and their derivatives along ``vs``: ``jacobian @ v``.

    ``xs``, ``vs``: an operand (or a dict, or a layer), or a tuple or list with one for each argument, of equal shapes and
    structure. ``gy @ jacobian`` is linear in gy, so its derivative with respect to gy, along v, is ``jacobian @ v``.
    Raises `ShapeError` for unequal shapes, `ArgumentError` for unequal structures.

    >>> jvp(lambda x: x**2, np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """
    xs, vs = _as_tuple(xs), _as_tuple(vs)
    if len(xs) != len(vs):
        raise ArgumentError(f"jvp: there must be a direction for each argument, and there are {len(vs)} for {len(xs)}")
    call = _Call("jvp", f, xs, tuple(range(len(xs))), {})
    directions = [_boxed(v) for v in leaves_like("jvp", call.arguments, vs)]
    gys = [Variable(np.zeros(y.shape, y.dtype)) for y in call.ys]
    gxs = gradients(call.ys, call.xs, gys, create_graph=True)
    along = iter(call.derivatives(gxs, gys, directions))
    return call.results(), tree_map(lambda y: next(along), call.result)


def jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes all derivatives of ``f``: for y and x, an array of shape ``(*y.shape, *x.shape)``.

    Takes one backward pass for each element of y. If ``f`` returns a tuple, list or dict of results, the derivatives have the
    same structure. Raises `ArgumentError` for a missing argument, `DTypeError` for integers.

    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        call = _Call("jacobian", f, args, argnums, kwargs)
        return tree_map(lambda y: call.unpacked(_rows(call, y)), call.result)

    return differentiated


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes all second derivatives of ``f``, whose result must be one number.

    For x, an array of shape ``(*x.shape, *x.shape)``; for a tuple of arguments, a tuple of tuples of such blocks, and for
    a dict, a dict of dicts. Raises as `grad` does.

    >>> hessian(lambda x: (x**3).sum())(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], xs: Any, vs: Any) -> Any:
    """The product of the Hessian of ``f`` with a vector, without the Hessian: ``hessian @ v``.

    ``xs``, ``vs``: as in `jvp`. The Hessian is symmetric, so the product is ``v @ hessian``, the gradient of
    ``<grad f, v>`` (Pearlmutter, 1994).

    >>> hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([  6., 120.])
    """
    xs, vs = _as_tuple(xs), _as_tuple(vs)
    if len(xs) != len(vs):
        raise ArgumentError(f"hvp: there must be a direction for each argument, and there are {len(vs)} for {len(xs)}")
    call = _Call("hvp", grad(f, _all_of(xs)), xs, _all_of(xs), {})
    return call.gradients_from(leaves_like("hvp", call.arguments, vs))


class _Call:
    """A call of a function, with new Variables in place of the arguments that are differentiated."""

    def __init__(
        self, name: str, f: Callable[..., Any], args: Sequence[Any], argnums: Argnums, kwargs: dict[str, Any]
    ) -> None:
        checked_callable(name, "f", f)
        self.argnums = argnums
        try:
            positions = [range(len(args))[i] for i in _as_tuple(argnums)]
        except (IndexError, TypeError):
            raise ArgumentError(
                f"{name}: argnums is {argnums!r}, and {len(args)} positional arguments were given"
            ) from None
        outer = bool(enable_backprop.get())
        # A layer itself is called, because its methods read its parameters.
        new = {
            i: args[i] if _is_layer(args[i]) else tree_map(lambda x: _new_variable(name, x, outer), args[i])
            for i in positions
        }
        given = [new.get(i, x) for i, x in enumerate(args)]
        with using_config("enable_backprop", True):
            ys = _called(name, f, given, kwargs, [args[i] for i in positions])
        self.arguments = tuple([_parameters(new[i]) if _is_layer(new[i]) else new[i] for i in positions])
        """The differentiated arguments; derivatives have their structure."""
        self.xs: list[Variable] = tree_leaves(self.arguments)
        self.result = tree_map(_boxed, ys)
        self.ys: list[Variable] = tree_leaves(self.result)
        variables = any(isinstance(x, Variable) for i in positions for x in tree_leaves(args[i]))
        layers = any(_is_layer(args[i]) for i in positions)
        self.recorded = outer and (layers or _has_other_leaf(self.xs, self.ys))
        self.boxed = self.recorded or variables or layers

    def results(self) -> Any:
        """The results of the function, as users get them."""
        return tree_map(lambda y: _returned(y, self.boxed, self.recorded), self.result)

    def derivatives(
        self, ys: Sequence[Variable], xs: Sequence[Variable], gys: Sequence[Variable | None]
    ) -> list[Result]:
        """The gradients of ys, seeded with gys, with respect to xs."""
        seeded = bool(enable_backprop.get()) and any(gy is not None and gy.requires_grad for gy in gys)
        recorded = self.recorded or seeded
        return [_returned(gx, self.boxed or seeded, recorded) for gx in gradients(ys, xs, gys, recorded)]

    def gradients_from(self, gys: Sequence[Operand]) -> Any:
        """The gradients with respect to all arguments, from a gradient for each result."""
        return self.unpacked(self.derivatives(self.ys, self.xs, [_boxed(gy) for gy in gys]))

    def unpacked(self, gxs: Sequence[Any]) -> Any:
        """Derivatives in the structure of the arguments, without a tuple if ``argnums`` is an int."""
        values = iter(gxs)
        by_argument = [tree_map(lambda x: next(values), argument) for argument in self.arguments]
        return by_argument[0] if isinstance(self.argnums, int) else tuple(by_argument)

    def described(self) -> str:
        """The shapes of the results, for messages."""
        alone = isinstance(self.result, Variable)
        return ("one of shape " if alone else "several of shapes ") + ", ".join([str(y.shape) for y in self.ys])


def _called(
    name: str, f: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], differentiated: list[Any]
) -> Any:
    """The result of ``f``. Raises `DTypeError` if it fails on a list of numbers that was meant to be an array."""
    try:
        return f(*args, **kwargs)
    except (TypeError, AttributeError) as error:
        rows = [
            x for x in differentiated if isinstance(x, (list, tuple)) and all(isinstance(v, (int, float)) for v in x)
        ]
        if not rows or isinstance(error, PassusError):
            raise
        raise DTypeError(
            f"{name}: {error}. The argument {rows[0]!r} is a {type(rows[0]).__name__} of numbers, each differentiated by "
            f"itself; a {type(rows[0]).__name__} is not supported as an array, write np.array({rows[0]!r})"
        ) from error


def _is_layer(x: Any) -> bool:
    return hasattr(x, "named_params")


def _parameters(layer: Any) -> dict[str, Variable]:
    """The parameters of a layer by path. A lazy parameter has data after the call."""
    return {path: p for path, p in layer.named_params() if p.requires_grad and p._data is not None}


def _new_variable(name: str, x: Operand, linked: bool) -> Variable:
    """A Variable with the value of x: a result that is computed from x if ``linked``, otherwise a leaf."""
    if linked and isinstance(x, Variable) and x.requires_grad:
        new: Variable = astype(x, x.dtype)
        return new
    new = Variable(x.data if isinstance(x, Variable) else as_array(x))
    if new.dtype.kind != "f":
        raise DTypeError(f"{name}: the derivative by {new.dtype} is undefined; use floating point, such as 2.0 for 2")
    return new


def _has_other_leaf(xs: Sequence[Variable], ys: Sequence[Variable]) -> bool:
    """Whether gradients flow from ys to a leaf that is not one of xs."""
    stack, seen = list(ys), {id(x) for x in xs if x.creator is None}
    while stack:
        x = stack.pop()
        if x.creator is None:
            if x.requires_grad and id(x) not in seen:
                return True
        elif id(x.creator) not in seen:
            seen.add(id(x.creator))
            stack += [v for v in x.creator.operands if isinstance(v, Variable)]
    return False


def _rows(call: _Call, y: Variable) -> list[Result]:
    """The derivatives of each element of a result, for each argument."""
    basis = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
    rows = [call.derivatives([y], call.xs, [_boxed(np.asarray(one))]) for one in basis]
    by_argument = zip(*rows) if rows else [[np.zeros((0, *x.shape), x.dtype)] for x in call.xs]
    return [reshape(stack(row), (*y.shape, *x.shape)) for row, x in zip(by_argument, call.xs)]


def _boxed(y: Operand) -> Variable:
    """The Variable itself, or a constant Variable around an array or a number."""
    return y if isinstance(y, Variable) else as_variable(y).detach()


def _returned(y: Variable, boxed: bool, recorded: bool) -> Result:
    """A result for users: a Variable with its graph if ``recorded``, a Variable without one if ``boxed``, or its array."""
    if not boxed:
        return y.data
    return y if recorded else y.detach()


def _all_of(xs: Sequence[Any]) -> Argnums:
    """The positions of all arguments; an int if there is one."""
    return 0 if len(xs) == 1 else tuple(range(len(xs)))


def _as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


not_callable(__name__)
