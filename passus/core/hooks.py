"""Hooks: functions that are called with the numbers of a pass, and only observe them.

The walk calls the hooks of an intermediate result when it visits the function that made it, because its gradient is
complete then, and those of a leaf at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from passus.backend import Array
from passus.backend.trace import call_hook
from passus.core.array_like import ArrayLike
from passus.core.views import read_only
from passus.errors import DTypeError, GraphError, kind_of

if TYPE_CHECKING:
    from passus.core.function import Function
    from passus.core.variable import Variable

__all__ = ["Hook", "add_gradient_hook", "checked_hook", "run_leaf_hooks", "run_output_hooks", "used"]

used = [False]
"""Whether any Variable has had hooks; a walk does not look for them otherwise."""


class Hook:
    """A hook that can be removed: with ``remove()``, or at the end of a ``with`` block.

    >>> hooks = []
    >>> with Hook(hooks, print):
    ...     len(hooks)
    1
    >>> len(hooks)
    0
    """

    def __init__(self, hooks: list[Hook], function: Callable[..., Any]) -> None:
        self.hooks, self.function = hooks, function
        hooks.append(self)

    def remove(self) -> None:
        """Stop calling the function; removing it twice has no effect."""
        if self in self.hooks:
            self.hooks.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def add_gradient_hook(x: Variable, function: Callable[[Array], Any]) -> Hook:
    """Call ``function`` with the gradient of this Variable, a read-only array, in each backward pass that computes it.

    The gradient is complete: the sum over all uses of the Variable. What the function returns is ignored. Returns a `Hook`,
    with which the function can be removed; `Layer.add_backward_hook` observes the results of a layer.

    Raises `GraphError` if no gradient flows to the Variable, `DTypeError` if ``function`` cannot be called.

    >>> import numpy as np
    >>> from passus import Variable
    >>> x = Variable(np.array(3.0))
    >>> y = x * x
    >>> hooks = y.add_gradient_hook(lambda gy: print("y", gy)), x.add_gradient_hook(lambda gx: print("x", gx))
    >>> (y * 2.0).backward()
    y 2.0
    x 12.0
    """
    checked_hook("add_gradient_hook", function)
    if not x.requires_grad:
        raise GraphError(f"{x._label()}.add_gradient_hook: no gradient flows to this Variable")
    used[0] = True
    return Hook(x.__dict__.setdefault("_gradient_hooks", []), function)


def run_output_hooks(function: Function, gys: Sequence[Any]) -> None:
    """Call the hooks of the outputs of a function that is visited, with their gradients."""
    for output, gy in zip(function.outputs, gys):
        y = output()
        if y is not None:
            _run(y, gy)


def run_leaf_hooks(grads: list[tuple[Variable, Any]], ends: Container[Variable]) -> None:
    """Call the hooks of the Variables at which a walk ended."""
    for x, gx in grads:
        if x.creator is None or x in ends:
            _run(x, gx)


def checked_hook(name: str, function: Any) -> None:
    """Raises `DTypeError` if ``function`` cannot be called.

    >>> checked_hook("add_gradient_hook", print)
    """
    if not callable(function):
        raise DTypeError(f"{name}: {kind_of(function)} cannot be called; pass a function")


def _run(x: Variable, gradient: Any) -> None:
    hooks = x.__dict__.get("_gradient_hooks")
    if not hooks or gradient is None:
        return
    data = gradient._data if isinstance(gradient, ArrayLike) else gradient
    array = read_only(np.asarray(data) if isinstance(data, np.generic) else data)
    for hook in tuple(hooks):
        call_hook(hook.function, array)
