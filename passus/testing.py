"""Checking gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from passus.attributes import preserved_attributes
from passus.backend import Array
from passus.core import Variable, as_array
from passus.errors import DTypeError

__all__ = ["array_allclose", "array_equal", "check_grads", "gradient_check", "numerical_grad"]


def numerical_grad(f: Callable[..., Any], x: Any, *args: Any, eps: float = 1e-4, **kwargs: Any) -> Array:
    """The gradient of the sum of ``f(x, *args)`` with respect to ``x``, by central differences of each element.

    ``(f(x + eps) - f(x - eps)) / (2 * eps)``; an array of the shape of ``x``, in float64. ``eps`` is a keyword, because
    positional arguments after ``x`` are those of ``f``, as in DeZero.

    Raises `DTypeError` if ``f`` refuses them.

    >>> x = np.array([1.0, 2.0])
    >>> numerical_grad(lambda x: x**2, x).round(6)
    array([2., 4.])
    """
    data = np.array(x.data if isinstance(x, Variable) else as_array(x), dtype=np.float64)
    gradient = np.zeros_like(data)

    def total() -> float:
        with _restored_attributes():
            y = _called("numerical_grad", f, Variable(data.copy()), *args, **kwargs)
        return float(np.sum(_numbers(y), dtype=np.float64))

    for i in np.ndindex(data.shape):
        value = data[i]
        data[i] = value + eps
        above = total()
        data[i] = value - eps
        below = total()
        data[i] = value
        gradient[i] = (above - below) / (2 * eps)
    return gradient


def gradient_check(
    f: Callable[..., Any],
    x: Any,
    *args: Any,
    eps: float = 1e-4,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    **kwargs: Any,
) -> bool:
    """Whether backpropagation through ``f(x, *args)`` agrees with `numerical_grad`; prints both gradients if not.

    Raises `DTypeError` if ``f`` refuses the arguments.

    >>> gradient_check(lambda x: x**3, np.array([1.0, 2.0]))
    True
    """
    leaf = Variable(np.array(x.data if isinstance(x, Variable) else as_array(x), dtype=np.float64))
    with _restored_attributes():
        y = _called("gradient_check", f, leaf, *args, **kwargs)
    expected = numerical_grad(f, leaf, *args, eps=eps, **kwargs)
    y.backward()
    actual = _gradient(leaf)
    if not array_allclose(actual, expected, rtol=rtol, atol=atol):
        print(f"gradient_check: the gradients differ\nby differences:\n{expected}\nby backpropagation:\n{actual}")
        return False
    return True


def check_grads(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    eps: float = 1e-3,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    seed: int = 0,
) -> None:
    """Check the gradients of ``f`` up to an order along one random direction. Raises `AssertionError` if they differ.

    First order: for a random cotangent w and a random direction d, the derivative of ``<w, f(x + t d)>`` with respect to t,
    by fourth-order differences, is compared with ``<gradient, d>``. Second order: likewise for the gradient as a function of
    x and w. Floating-point arrays among ``args`` are differentiated, in float64; other arguments are passed unchanged. ``f``
    may return several Variables. Points closer to a kink than ``2 * eps`` cannot be checked. Attributes of layers, such as
    the hidden state of recurrent layers, are restored after each call.

    >>> check_grads(lambda x, y: x * y, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    """
    rng = np.random.default_rng(seed)
    indices = [i for i, x in enumerate(args) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    points = [np.array(args[i], dtype=np.float64) for i in indices]

    def outputs(*xs: Any) -> list[Variable]:
        arguments = list(args)
        for i, x in zip(indices, xs):
            arguments[i] = x
        with _restored_attributes():
            ys = _called("check_grads", f, *arguments)
        return [y for y in (ys if isinstance(ys, (tuple, list)) else (ys,)) if y.dtype.kind == "f"]

    cotangents = [np.asarray(rng.standard_normal(y.shape)) for y in outputs(*[Variable(x) for x in points])]
    _check(outputs, points, cotangents, order, eps, rtol, atol, rng, 1)


def _check(
    f: Callable[..., list[Variable]],
    points: list[Array],
    cotangents: list[Array],
    order: int,
    eps: float,
    rtol: float,
    atol: float,
    rng: np.random.Generator,
    level: int,
) -> None:
    directions = [rng.standard_normal(x.shape) for x in points]

    def along(t: float) -> float:
        ys = f(*[Variable(np.asarray(x + t * d)) for x, d in zip(points, directions)])
        return sum(float(np.vdot(w, y.data)) for w, y in zip(cotangents, ys))

    by_differences = (8 * (along(eps) - along(-eps)) - (along(2 * eps) - along(-2 * eps))) / (12 * eps)
    gradients = _gradients(f, points, cotangents, create_graph=False)
    by_rule = sum(float(np.vdot(g.data, d)) for g, d in zip(gradients, directions))
    if not np.isclose(by_rule, by_differences, rtol=rtol, atol=atol):
        raise AssertionError(
            f"gradient of order {level}: backpropagation gives {by_rule!r} along a random direction, "
            f"differences give {by_differences!r}"
        )
    if level < order:
        n = len(points)

        def gradient(*xs: Variable) -> list[Variable]:
            return _gradients(f, list(xs[:n]), list(xs[n:]), create_graph=True)

        new_cotangents = [np.asarray(rng.standard_normal(x.shape)) for x in points]
        _check(gradient, points + cotangents, new_cotangents, order, eps, rtol, atol, rng, level + 1)


def _gradients(f: Callable[..., list[Variable]], points: Any, cotangents: Any, create_graph: bool) -> list[Variable]:
    """The gradients of ``sum(<w, y>)`` with respect to the points."""
    # New Variables for each call, so that gradients are not shared; x + 0 preserves the graph of a point.
    xs = [x + 0.0 if isinstance(x, Variable) else Variable(x) for x in points]
    total: Any = None
    for w, y in zip(cotangents, f(*xs)):
        term = (y * w).sum()
        total = term if total is None else total + term
    for x in xs:
        x.cleargrad()  # f itself may have left a gradient of lower order here.
    if total is not None and total.requires_grad:
        total.backward(retain_grad=True, create_graph=create_graph)
    return [x.grad if x.grad is not None else Variable(np.zeros(x.shape)) for x in xs]


def _called(name: str, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``f(*args, **kwargs)``. Raises `DTypeError` if it refuses a number at the end, which may be meant as ``eps``."""
    try:
        return f(*args, **kwargs)
    except TypeError as error:
        if len(args) < 2 or not isinstance(args[-1], float):
            raise
        raise DTypeError(
            f"{name}: arguments after x are passed to f, which refused {args[-1]!r} ({error}); if it is the step of the "
            f"differences, write {name}(f, x, eps={args[-1]!r})"
        ) from error


@contextmanager
def _restored_attributes() -> Iterator[None]:
    """Restore the attributes of layers, such as the hidden state, after a call; lazily created parameters are retained."""
    with preserved_attributes(lambda snapshot: not isinstance(snapshot.owner, Variable)):
        yield


def _gradient(x: Variable) -> Array:
    return np.zeros_like(x.data) if x.grad is None else x.grad.data


def _numbers(x: Any) -> Array:
    return x.data if isinstance(x, Variable) else np.asarray(x)


def array_equal(a: Any, b: Any) -> bool:
    """Whether two arrays or Variables have the same shape and elements.

    >>> array_equal(Variable(np.array([1.0])), np.array([1.0]))
    True
    """
    return bool(np.array_equal(_numbers(a), _numbers(b)))


def array_allclose(a: Any, b: Any, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Whether two arrays or Variables have elements that differ by at most ``atol + rtol * |b|``.

    >>> array_allclose(np.array([1.0]), np.array([1.0 + 1e-6]))
    True
    """
    return bool(np.allclose(_numbers(a), _numbers(b), rtol=rtol, atol=atol))
