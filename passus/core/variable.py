"""The box around an array: `Variable`.

A box holds an array (``data``), its gradient once a backward pass has computed it (``grad``), and the function call that
made it (``creator``). Every function call refers to its inputs in turn, so the whole computation can be traced back from
its result; `passus.core.backward` does that. A Variable without a creator is a leaf: a parameter, or other input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from passus.backend import Array, others
from passus.backend.trace import Traced, made, touch
from passus.core import messages
from passus.core.array_like import ArrayLike
from passus.core.data import array_from_scalar, checked
from passus.core.edits import Released, clock, last_access, last_resized, shape_only
from passus.core.hooks import add_gradient_hook
from passus.core.views import data_view
from passus.errors import DTypeError, GraphError, ShapeError

SCALARS = np.generic, Traced
"""Classes of data that may be numbers instead of arrays."""

if TYPE_CHECKING:
    from passus.core.function import Function

__all__ = ["Operand", "Parameter", "Result", "Variable", "as_array", "as_variable", "data_of"]


class Variable(ArrayLike):
    """A box around an array that records how the array was computed.

    ``data``: an array of floating-point numbers; of integers, whose gradient is of floating-point numbers; of booleans,
    which take no gradient; or None for a parameter that is created later. ``name``: shown in drawings of the graph and in
    messages.

    Raises `DTypeError` for anything else, with a replacement.

    >>> import numpy as np
    >>> x = Variable(np.array(3.0))
    >>> y = x * x + 1.0
    >>> y.backward()
    >>> print(y, x.grad)
    10.0 6.0
    """

    __array_priority__ = 200

    name: str | None = None
    creator: Function | None = None
    """The function call that made this Variable; None for a leaf."""
    requires_grad: bool = True
    """Whether gradients flow to it. False for booleans, frozen parameters, and results computed under `no_grad`."""
    edited: int = 0
    """The time of the last assignment to ``data``, on the same clock as ``Function.serial``."""
    resized: int = 0
    """The time of the last assignment of an array of another shape."""
    released: Array = None
    """After ``x.data = None``: an array of the shape and dtype of the released data, without memory."""
    _data: Array = None
    """The array, or a NumPy scalar if a function returned one: NumPy computes several times faster with scalars than with
    arrays without axes. ``data`` converts it to an array."""
    _grad: Variable | None = None
    _generation: int | None = None
    """A generation that a user's class has assigned; the backward pass does not read it."""

    def __init__(self, data: Array | None, name: str | None = None, requires_grad: None = None) -> None:
        if data is not None:
            data = checked(data, "Variable")
            self._data = data = made(data) if others else data
            if data.dtype.kind == "b":
                self.requires_grad = False
        if name is not None:
            self.name = name
        if requires_grad is not None:  # Not **options: they would cost time in each call.
            raise messages.no_option(type(self).__name__, "requires_grad")

    # The array and its gradient.

    @property
    def data(self) -> Array:
        """The array itself. Assigning to it marks the Variable as edited, so that rules which need the old data raise.

        A gradient of another shape than the new array is cleared. Assigning None releases the memory of an intermediate
        result that no rule reads, such as the product in ``x @ W + b``; its gradient still flows.
        """
        if type(self._data) is Released:
            return None
        if others:
            touch(self)
        view = data_view.get()
        return self.array() if view is None else view(self)

    @data.setter
    def data(self, data: Array | None) -> None:
        self._assign(data)

    def _assign(self, data: Array | None) -> None:
        if isinstance(data, Variable):
            raise messages.variable_as_data(self._label())
        if data is not None:
            data = checked(array_from_scalar(data), "Variable.data")
            if data.dtype.kind == "b":
                self.requires_grad = False
        if others:
            touch(self)
            data = made(data)
        old, self._data = self._data, data
        self.edited = last_access[0] = next(clock)
        if old is not None and (data is None or data.shape != old.shape):
            self.resized = last_resized[0] = self.edited
            self._grad = None
            self.released = shape_only(old) if data is None else None

    def array(self) -> Array:
        """The array itself, also while a rule is running."""
        if isinstance(self._data, SCALARS):
            scalar, self._data = self._data, array_from_scalar(self._data)
            if self.creator is not None and self._data is not scalar:
                self.creator.exchange(scalar, self._data)
        return self._data

    def mark_edited(self) -> None:
        """Record that elements of ``data`` were changed, so that rules which need the old data raise."""
        self.edited = last_access[0] = next(clock)

    @property
    def grad(self) -> Variable | None:
        """The gradient, a Variable, or None. An array assigned to it is boxed; its shape must be that of ``data``."""
        if others:
            touch(self)
        return self._grad

    @grad.setter
    def grad(self, grad: Variable | Array | None) -> None:
        if others:
            touch(self, cleared=True)
        if grad is not None:
            if not isinstance(grad, Variable):
                grad = checked(array_from_scalar(grad), "Variable.grad")
                grad = constant_variable(made(grad) if others else grad)
            if self._data is not None and grad.shape != self._data.shape:
                raise ShapeError(
                    f"{self._label()}.grad: a gradient of shape {grad.shape} does not fit data of shape "
                    f"{self._data.shape}; they must be equal"
                )
            if grad.dtype.kind != "f":
                raise DTypeError(f"{self._label()}.grad: a gradient of {grad.dtype} was given; use floating point")
        self._grad = grad

    def cleargrad(self) -> None:
        """Clear the gradient, before the next backward pass adds a new one."""
        if others:
            touch(self, cleared=True)
        self._grad = None

    # The graph.

    def set_creator(self, function: Function) -> None:
        """Set the function call that made this Variable."""
        self.creator = function

    @property
    def generation(self) -> int:
        """The number of function calls on the longest path from a leaf to this Variable: 0 for a leaf."""
        if self._generation is not None:
            return self._generation
        return 0 if self.creator is None else self.creator.generation + 1

    @generation.setter
    def generation(self, generation: int) -> None:
        self._generation = generation

    def unchain(self) -> None:
        """Remove the link to the creator: this Variable becomes a leaf, and gradients end here."""
        self.creator = None

    def unchain_backward(self) -> None:
        """Remove the whole graph behind this Variable (truncated backpropagation through time).

        Other outputs of the functions in it become leaves, too. Otherwise the state of a recurrent network, which the same
        function returns, would keep the graph alive.
        """
        stack: list[Variable] = [self]
        while stack:
            x = stack.pop()
            if x.creator is not None:
                stack += [v for v in x.creator.operands if isinstance(v, Variable)]
                for output in x.creator.outputs:
                    y = output()
                    if y is not None:
                        y.unchain()
                x.unchain()

    def detach(self) -> Variable:
        """A constant that shares the array but not the graph.

        >>> import numpy as np
        >>> (Variable(np.array(2.0)) * 3.0).detach().creator is None
        True
        """
        return constant_variable(data_of(self))

    add_gradient_hook = add_gradient_hook

    # Identity and copies. Comparison is elementwise, so a Variable is hashed by identity.

    __hash__ = object.__hash__

    def __copy__(self) -> Variable:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        """A leaf with its own copy of the array: models are copied, graphs are not."""
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update({k: v for k, v in self.__dict__.items() if k not in ("creator", "_gradient_hooks")})
        new._data = None if self._data is None else self._data.copy()
        new._grad = None if self._grad is None else constant_variable(self._grad._data.copy())
        return new

    def __getstate__(self) -> dict[str, Any]:
        if self.creator is not None:
            raise GraphError(f"{self._label()}: a Variable with a graph behind it cannot be pickled; use x.detach()")
        return {name: value for name, value in self.__dict__.items() if name != "_gradient_hooks"}


class Parameter(Variable):
    """A trainable Variable: layers list and save it, and optimizers update it."""

    @property
    def data(self) -> Array:
        """The array itself, as `Variable.data`. Compiled models compare it with their copy after it was read."""
        last_access[0] = next(clock)
        data: Array = super().data
        return data

    @data.setter
    def data(self, data: Array | None) -> None:
        self._assign(data)


Operand: TypeAlias = Variable | Array | float
"""An argument of a function: a Variable (differentiable), or an array or a Python number (constants)."""

Result: TypeAlias = Variable | Any
"""A result of a function: a Variable if an input is one, otherwise an array."""


def data_of(x: Any) -> Any:
    """The array, or the NumPy scalar, of a Variable; other values are returned unchanged.

    Unlike ``x._data``, it is noticed by a step that is recorded.
    """
    if not isinstance(x, Variable):
        return x
    if others:
        touch(x)
    return x._data


def constant_variable(data: Array) -> Variable:
    """A Variable without gradient, around an array that needs no check."""
    x = Variable.__new__(Variable)
    x._data = data
    x.requires_grad = False
    return x


def as_array(x: Any, array_module: Any = np) -> Array:
    """An array without axes from a number; arrays are returned as they are.

    >>> as_array(2.0)
    array(2.)
    """
    return array_module.asarray(x) if isinstance(x, (int, float, np.generic)) else x


def as_variable(x: Operand) -> Variable:
    """Box an array or a number; a Variable is returned as it is.

    >>> as_variable(2.0)
    variable(2.0)
    """
    return x if isinstance(x, Variable) else Variable(as_array(x))
