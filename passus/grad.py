"""Functions that turn a function into one that computes its derivatives: `grad`, `jacobian`, `hessian` and their kin.

They leave no gradient in any Variable, and can be nested. As everywhere, an array is a constant and a Variable is
differentiable: the derivatives are arrays, unless an argument, or something that the function uses beside its arguments,
is a Variable to which gradients flow. Then they are Variables that can be differentiated again; call them under
`no_grad` if nobody will, which is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from passus.arguments import checked_callable
from passus.config import enable_backprop, using_config
from passus.core import Operand, Result, Variable, as_array, as_variable, astype
from passus.core.backward import gradients
from passus.errors import ArgumentError, DTypeError
from passus.functions import reshape, stack

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

Argnums = int | tuple[int, ...]
"""Which positional arguments are differentiated; derivatives come alone for an int, in a tuple for a tuple."""


def grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes the gradient of ``f``, whose result must be one number.

    Raises `ArgumentError` for another result or an argument that is not there, `DTypeError` for integers.

    >>> grad(lambda x: x**3)(2.0)
    array(12.)
    >>> grad(grad(lambda x: x**3))(2.0)
    array(12.)
    """
    differentiated = value_and_grad(f, argnums)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        return differentiated(*args, **kwargs)[1]

    return gradient


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., tuple[Result, Any]]:
    """The function that computes the value of ``f``, which must be one number, and its gradient.

    Raises `ArgumentError` for another result or an argument that is not there, `DTypeError` for integers.

    >>> value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (array(6.), (array(3.), array(2.)))
    """

    def differentiated(*args: Any, **kwargs: Any) -> tuple[Result, Any]:
        call = _Call("grad", f, args, argnums, kwargs)
        y = call.ys[0]
        if len(call.ys) > 1 or y.ndim:
            raise ArgumentError(
                f"grad: the function must return one number, and returned {call.described()}; reduce it, as with "
                "y.sum(), or use jacobian"
            )
        return call.results(), call.unpacked(call.derivatives([y], call.xs, [None]))

    return differentiated


def vjp(f: Callable[..., Any], *xs: Operand) -> tuple[Any, Callable[..., Any]]:
    """The results of ``f(*xs)``, and a function that pulls their gradients back: ``pull(gy)`` is ``gy @ jacobian``.

    ``pull`` takes a gradient for each result, and can be called more than once; it returns the gradient for each x,
    alone if there is one. Raises `ShapeError` for a gradient of another shape than its result.

    >>> y, pull = vjp(lambda x: x**2, np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 10.0]))
    array([ 2., 40.])
    """
    call = _Call("vjp", f, xs, 0 if len(xs) == 1 else tuple(range(len(xs))), {})

    def pull(*gys: Operand) -> Any:
        if len(gys) != len(call.ys):
            raise ArgumentError(
                f"vjp: pull takes a gradient for each result, {call.described()}; {len(gys)} were given"
            )
        return call.unpacked(call.derivatives(call.ys, call.xs, [_boxed(gy) for gy in gys]))

    return call.results(), pull


def jvp(f: Callable[..., Any], xs: Any, vs: Any) -> tuple[Any, Any]:
    """The results of ``f(*xs)`` and their derivatives along ``vs``: ``jacobian @ v``.

    ``xs``, ``vs``: an operand, or a tuple with one for each argument, of equal shapes (`ShapeError`).
    ``gy @ jacobian`` is linear in gy, so its derivative with respect to gy, along v, is ``jacobian @ v``.

    >>> jvp(lambda x: x**2, np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """
    xs, vs = _as_tuple(xs), _as_tuple(vs)
    if len(xs) != len(vs):
        raise ArgumentError(f"jvp: there must be a direction for each argument, and there are {len(vs)} for {len(xs)}")
    call = _Call("jvp", f, xs, tuple(range(len(xs))), {})
    gys = [Variable(np.zeros(y.shape, y.dtype)) for y in call.ys]
    pulled = gradients(call.ys, call.xs, gys, create_graph=True)
    along = call.derivatives(pulled, gys, [_boxed(v) for v in vs])
    return call.results(), along[0] if call.alone else tuple(along)


def jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes all derivatives of ``f``: for y and x, an array of shape ``(*y.shape, *x.shape)``.

    Takes one backward pass for each element of y. If ``f`` returns several results, there is a tuple with one for each.
    Raises `ArgumentError` for an argument that is not there, `DTypeError` for integers.

    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        call = _Call("jacobian", f, args, argnums, kwargs)
        by_result = [call.unpacked(_rows(call, y)) for y in call.ys]
        return by_result[0] if call.alone else tuple(by_result)

    return differentiated


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes all second derivatives of ``f``, whose result must be one number.

    For x, an array of shape ``(*x.shape, *x.shape)``; for a tuple of arguments, a tuple of tuples of such blocks.
    Raises as `grad` does.

    >>> hessian(lambda x: (x**3).sum())(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], xs: Any, vs: Any) -> Any:
    """The product of the Hessian of ``f`` with a vector, without the Hessian: ``hessian @ v``.

    ``xs``, ``vs``: an operand, or a tuple with one for each argument, of equal shapes (`ShapeError`). The Hessian is
    symmetric, so the product is ``v @ hessian``, the gradient of ``<grad f, v>`` (Pearlmutter, 1994).

    >>> hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([  6., 120.])
    """
    xs, vs = _as_tuple(xs), _as_tuple(vs)
    _, pull = vjp(grad(f, 0 if len(xs) == 1 else tuple(range(len(xs)))), *xs)
    return pull(*vs)


class _Call:
    """A call of a function with Variables of its own in place of the arguments that are differentiated."""

    def __init__(
        self, name: str, f: Callable[..., Any], args: Sequence[Any], argnums: Argnums, kwargs: dict[str, Any]
    ) -> None:
        checked_callable(name, "f", f)
        self.argnums = argnums
        try:
            places = [range(len(args))[i] for i in _as_tuple(argnums)]
        except (IndexError, TypeError):
            raise ArgumentError(
                f"{name}: argnums is {argnums!r}, and {len(args)} positional arguments were given"
            ) from None
        outer = bool(enable_backprop.get())
        own = {i: _own(name, args[i], outer) for i in places}
        with using_config("enable_backprop", True):
            ys = f(*[own.get(i, x) for i, x in enumerate(args)], **kwargs)
        self.xs = [own[i] for i in places]
        self.alone = not isinstance(ys, (tuple, list))
        self.ys = [_boxed(y) for y in ([ys] if self.alone else ys)]
        self.recorded = outer and _has_leaf_beside(self.xs, self.ys)
        self.boxed = self.recorded or any(isinstance(args[i], Variable) for i in places)

    def results(self) -> Any:
        """What the function returned."""
        ys = tuple([_shown(y, self.boxed, self.recorded) for y in self.ys])
        return ys[0] if self.alone else ys

    def derivatives(
        self, ys: Sequence[Variable], xs: Sequence[Variable], gys: Sequence[Variable | None]
    ) -> list[Result]:
        """The gradients of ys, seeded with gys, with respect to xs."""
        seeded = enable_backprop.get() and any(gy is not None and gy.requires_grad for gy in gys)
        recorded = self.recorded or seeded
        return [_shown(gx, self.boxed or seeded, recorded) for gx in gradients(ys, xs, gys, recorded)]

    def unpacked(self, gxs: Sequence[Any]) -> Any:
        """One for each differentiated argument, alone if it was named by an int."""
        return gxs[0] if isinstance(self.argnums, int) else tuple(gxs)

    def described(self) -> str:
        """The shapes of the results, for messages."""
        return ("one of shape " if self.alone else "several of shapes ") + ", ".join([str(y.shape) for y in self.ys])


def _own(name: str, x: Operand, linked: bool) -> Variable:
    """A Variable that is none of the user's: linked to the graph behind x, or the beginning of one."""
    if linked and isinstance(x, Variable) and x.requires_grad:
        own: Variable = astype(x, x.dtype)
        return own
    own = Variable(x.data if isinstance(x, Variable) else as_array(x))
    if own.dtype.kind != "f":
        raise DTypeError(f"{name}: the derivative by {own.dtype} is undefined; use floating point, such as 2.0 for 2")
    return own


def _has_leaf_beside(xs: Sequence[Variable], ys: Sequence[Variable]) -> bool:
    """Whether a Variable that is not one of xs takes gradients from ys."""
    waiting, seen = list(ys), {id(x) for x in xs if x.creator is None}
    while waiting:
        x = waiting.pop()
        if x.creator is None:
            if x.requires_grad and id(x) not in seen:
                return True
        elif id(x.creator) not in seen:
            seen.add(id(x.creator))
            waiting += [v for v in x.creator.operands if isinstance(v, Variable)]
    return False


def _rows(call: _Call, y: Variable) -> list[Result]:
    """The derivatives of each element of a result, for each argument."""
    basis = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
    rows = [call.derivatives([y], call.xs, [_boxed(np.asarray(one))]) for one in basis]
    by_argument = zip(*rows) if rows else [[np.zeros((0, *x.shape), x.dtype)] for x in call.xs]
    return [reshape(stack(row), (*y.shape, *x.shape)) for row, x in zip(by_argument, call.xs)]


def _boxed(y: Operand) -> Variable:
    """The Variable itself, or a constant one."""
    return y if isinstance(y, Variable) else as_variable(y).detach()


def _shown(y: Variable, boxed: bool, recorded: bool) -> Result:
    """A Variable, with the graph behind it or without, or its array."""
    if not boxed:
        return y.data
    return y if recorded else y.detach()


def _as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)
