"""The box around an array: what it holds, and how it shows itself.

A `Variable` remembers which `Function` made it (``creator``); following creators back from a result is what
`backward` does. Operators and methods that are functions of their own (``x + y``, ``x.sum()``) are bound in one
table, `passus.functions.binding`; they are listed below for readers and type checkers.
"""

from __future__ import annotations

import itertools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from passus.backend import Array, is_array
from passus.config import enable_backprop
from passus.core import callers
from passus.core.watched import Watched
from passus.errors import DTypeError, GraphError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from passus.core.function import Function

__all__ = ["Operand", "Parameter", "Result", "Variable", "as_array", "as_variable"]

clock = itertools.count(1)
"""Time in steps: each recorded function call and each edit of ``data`` takes the next number."""

last_resized = [0]
"""When the data of any Variable were last replaced by an array of another shape, on that clock."""

rule_in_use: ContextVar[str | None] = ContextVar("passus rule in use", default=None)
"""The name of the Function whose backward rule is being recorded for a second derivative, or None."""

data_is_read_only: ContextVar[bool] = ContextVar("passus data is read-only", default=False)
"""Whether ``data`` is read by a rule that a user has written, and which must not edit it."""


class Variable:
    """A box around an array, which remembers how the array was computed.

    ``data``: an array of floating-point numbers or integers (the gradient of integers is of floating-point numbers), of
    booleans, which take no gradient, or None for a parameter that is created later. ``name``: shown in drawings of the
    graph and in messages.

    Raises `DTypeError` for anything else, with what to write instead.

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
    """The function call that made this Variable; None for one that the user made (a leaf)."""
    requires_grad: bool = True
    """Whether gradients flow to it: not to booleans, to frozen parameters, nor to what was computed under `no_grad`."""
    edited: int = 0
    """When ``data`` was last assigned to, on the same clock as ``Function.serial``."""
    resized: int = 0
    """When an array of another shape was last assigned to it, likewise."""
    released: Array = None
    """Where its data were released by ``x.data = None``: an array of their shape and dtype, without memory."""
    # NumPy gives a scalar where a result has no axes, and computes with it several times faster than with an array;
    # it is made an array when someone looks at ``data``.
    _data: Array = None
    _grad: Variable | None = None
    _generation: int | None = None
    """A generation that a class of a user has assigned; the walk back does not read it."""

    def __init__(self, data: Array | None, name: str | None = None) -> None:
        if data is not None:
            self._data = data = checked(data, "Variable")
            if data.dtype.kind == "b":
                self.requires_grad = False
        if name is not None:
            self.name = name

    # What the box holds.

    @property
    def data(self) -> Array:
        """The array itself. Assigning to it marks the Variable as edited, so that a graph built before says so.

        A gradient that has not the shape of the new array is forgotten. Assigning None releases the memory of an intermediate
        result that no rule reads, such as the product in ``x @ W + b``; its gradient still flows.
        """
        if type(self._data) is Released:  # In a backward pass.
            return None
        rule = rule_in_use.get()
        if rule is not None and self._data is not None and self._data.dtype.kind == "f":
            return Watched(self._data, rule)
        return read_only(self.array()) if data_is_read_only.get() else self.array()

    @data.setter
    def data(self, data: Array | None) -> None:
        if isinstance(data, Variable):
            raise DTypeError(
                f"{self._label()}.data: expected an array, not a Variable. Update it with "
                "x.data -= lr * x.grad, or assign the array of the result: x.data = (...).data"
            )
        if data is not None:
            data = checked(_array_of_scalar(data), "Variable.data")
            if data.dtype.kind == "b":
                self.requires_grad = False
        old, self._data = self._data, data
        self.edited = next(clock)
        if old is not None and (data is None or data.shape != old.shape):
            self.resized = last_resized[0] = self.edited
            self._grad = None
            self.released = shape_of(old) if data is None else None

    def array(self) -> Array:
        """The array itself, in a rule that is being recorded too."""
        if isinstance(self._data, np.generic):
            scalar, self._data = self._data, np.asarray(self._data)
            if self.creator is not None:
                self.creator.exchange(scalar, self._data)
        return self._data

    def mark_edited(self) -> None:
        """Note that elements of ``data`` were changed just now, so that a graph built before says so."""
        self.edited = next(clock)

    @property
    def grad(self) -> Variable | None:
        """The gradient, a Variable, or None. An array assigned to it is boxed; its shape must be that of ``data``."""
        return self._grad

    @grad.setter
    def grad(self, grad: Variable | Array | None) -> None:
        if grad is not None:
            if not isinstance(grad, Variable):
                grad = constant(checked(_array_of_scalar(grad), "Variable.grad"))
            if self._data is not None and grad.shape != self._data.shape:
                raise ShapeError(
                    f"{self._label()}.grad: a gradient of shape {grad.shape} does not fit data of shape "
                    f"{self._data.shape}; they must be equal"
                )
            if grad.dtype.kind != "f":
                raise DTypeError(f"{self._label()}.grad: a gradient of {grad.dtype} was given; use floating point")
        self._grad = grad

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        shape: tuple[int, ...] = self._data.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._data.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self._data.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        dtype: np.dtype[Any] = self._data.dtype
        return dtype

    # Its place in the graph.

    def set_creator(self, function: Function) -> None:
        """Name the function that made this Variable."""
        self.creator = function

    @property
    def generation(self) -> int:
        """How many function calls lie between this Variable and the farthest leaf behind it: 0 for a leaf."""
        if self._generation is not None:
            return self._generation
        return 0 if self.creator is None else self.creator.generation + 1

    @generation.setter
    def generation(self, generation: int) -> None:
        self._generation = generation

    def cleargrad(self) -> None:
        """Forget the gradient, before the next backward pass adds a new one."""
        self._grad = None

    def unchain(self) -> None:
        """Forget how this Variable was computed; gradients end here."""
        self.creator = None

    def unchain_backward(self) -> None:
        """Forget the whole graph behind this Variable (truncated backpropagation through time).

        Other results of the functions in it are cut off as well: the state of a recurrent network, which the same function
        returns, would else keep the graph.
        """
        waiting: list[Variable] = [self]
        while waiting:
            x = waiting.pop()
            if x.creator is not None:
                waiting += [v for v in x.creator.operands if isinstance(v, Variable)]
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
        return constant(self._data)

    # Conversions. Those that read numbers go through ``data``, which knows when that would lose a second derivative.

    def item(self, *index: Any) -> float | int | bool:
        """The only element, or that at an index, as a Python number."""
        value: float | int | bool = self.data.item(*index)
        return value

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.data.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if (
            self.requires_grad
            and enable_backprop.get()
            and rule_in_use.get() is None
            and not callers.only_looks(sys._getframe(1))
            and not (self.dtype.kind in "iu" and callers.reads_item(sys._getframe(1)))
        ):
            raise DTypeError(
                f"{self._label()} of shape {self.shape} would be converted to an array, which loses its gradient. Join "
                "Variables with F.stack or F.concatenate, and compute with operators or with functions of passus or NumPy; "
                "where no gradient is needed, use x.data, x.item() or no_grad()"
                + ("" if self.ndim else ". For a log of losses, append loss.item(), which also frees the graph")
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        # ``o[0] = x`` with an array o asks for a number, as float(x) does for a log.
        if self.requires_grad and enable_backprop.get() and callers.assigns_item(sys._getframe(1)):
            raise DTypeError(
                f"o[...] = {self._label()} with an array o would lose the gradient. Join Variables with F.stack or "
                "F.concatenate; where no gradient is needed, assign x.data or x.item()"
            )
        return float(self.data)

    def __int__(self) -> int:
        return int(self.data)

    def __index__(self) -> int:
        index: int = self.data.__index__()
        return index

    def __bool__(self) -> bool:
        return bool(self.data)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Variable]:
        if self.ndim == 0:
            raise DTypeError("a Variable of no axes has no elements to iterate over; use x.item() for its value")
        return (self[i] for i in range(len(self)))

    def __format__(self, spec: str) -> str:
        return format(self._data.item() if spec and self.ndim == 0 else self._data, spec)

    def __str__(self) -> str:
        return str(self._data)

    def __repr__(self) -> str:
        return f"variable({_indented(str(self._data), len('variable('))})"

    # Identity and copies. Comparisons look at elements, so a Variable is its own key in a dict.

    __hash__ = object.__hash__

    def __copy__(self) -> Variable:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        """A leaf with its own copy of the array: models are copied, graphs are not."""
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update({k: v for k, v in self.__dict__.items() if k != "creator"})
        new._data = None if self._data is None else self._data.copy()
        new._grad = None if self._grad is None else constant(self._grad._data.copy())
        return new

    def __getstate__(self) -> dict[str, Any]:
        if self.creator is not None:
            raise GraphError(f"{self._label()}: a Variable with a graph behind it cannot be pickled; use x.detach()")
        return self.__dict__

    def __setitem__(self, index: Any, value: Any) -> None:
        raise DTypeError(
            "x[...] = v: the elements of a Variable cannot be assigned, because the graph would not see it. Make a new one "
            "(F.where(mask, v, x)), or edit x.data[...] before x is used"
        )

    def _label(self) -> str:
        return self.name or type(self).__name__

    if TYPE_CHECKING:
        # Bound by core.backward, core.protocol and functions.binding.
        def backward(self, retain_grad: bool = False, create_graph: bool = False) -> None: ...
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any: ...
        def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any: ...
        def __neg__(self) -> Variable: ...
        def __pos__(self) -> Variable: ...
        def __abs__(self) -> Variable: ...
        def __add__(self, other: Any) -> Variable: ...
        def __radd__(self, other: Any) -> Variable: ...
        def __sub__(self, other: Any) -> Variable: ...
        def __rsub__(self, other: Any) -> Variable: ...
        def __mul__(self, other: Any) -> Variable: ...
        def __rmul__(self, other: Any) -> Variable: ...
        def __truediv__(self, other: Any) -> Variable: ...
        def __rtruediv__(self, other: Any) -> Variable: ...
        def __pow__(self, other: Any) -> Variable: ...
        def __rpow__(self, other: Any) -> Variable: ...
        def __floordiv__(self, other: Any) -> Variable: ...
        def __rfloordiv__(self, other: Any) -> Variable: ...
        def __mod__(self, other: Any) -> Variable: ...
        def __rmod__(self, other: Any) -> Variable: ...
        def __divmod__(self, other: Any) -> tuple[Variable, Variable]: ...
        def __rdivmod__(self, other: Any) -> tuple[Variable, Variable]: ...
        def __round__(self, decimals: int = 0) -> Variable: ...
        def __matmul__(self, other: Any) -> Variable: ...
        def __rmatmul__(self, other: Any) -> Variable: ...
        def __eq__(self, other: object) -> Any: ...
        def __ne__(self, other: object) -> Any: ...
        def __lt__(self, other: Any) -> Any: ...
        def __le__(self, other: Any) -> Any: ...
        def __gt__(self, other: Any) -> Any: ...
        def __ge__(self, other: Any) -> Any: ...
        def __getitem__(self, index: Any) -> Variable: ...
        @property
        def T(self) -> Variable: ...
        @property
        def mT(self) -> Variable: ...
        @property
        def real(self) -> Variable: ...
        @property
        def imag(self) -> Variable: ...
        def conj(self) -> Variable: ...
        def reshape(self, *shape: Any, order: str = "C") -> Variable: ...
        def ravel(self, order: str = "C") -> Variable: ...
        def copy(self) -> Variable: ...
        def take(self, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Variable: ...
        def repeat(self, repeats: Any, axis: int | None = None) -> Variable: ...
        def round(self, decimals: int = 0) -> Variable: ...
        def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable: ...
        def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable: ...
        def argsort(self, axis: int | None = -1, *more: Any, **options: Any) -> Array: ...
        def any(self, axis: Any = None, keepdims: bool = False) -> Array: ...
        def all(self, axis: Any = None, keepdims: bool = False) -> Array: ...
        def nonzero(self) -> tuple[Array, ...]: ...
        def transpose(self, *axes: Any) -> Variable: ...
        def flatten(self, order: str = "C") -> Variable: ...
        def swapaxes(self, axis1: int, axis2: int) -> Variable: ...
        def squeeze(self, axis: Any = None) -> Variable: ...
        def astype(self, dtype: Any, *more: Any, copy: bool = True) -> Variable: ...
        def compress(self, condition: Any, axis: int | None = None, out: None = None) -> Variable: ...
        def searchsorted(self, v: Any, side: Any = "left", sorter: Any = None) -> Array: ...
        def argpartition(self, kth: Any, axis: int | None = -1) -> Array: ...
        def sum(self, axis: Any = None, keepdims: Any = False, *more: Any, **options: Any) -> Variable: ...
        def mean(self, axis: Any = None, keepdims: Any = False, *more: Any, **options: Any) -> Variable: ...
        def var(
            self, axis: Any = None, ddof: Any = 0, keepdims: Any = False, *more: Any, **options: Any
        ) -> Variable: ...
        def std(
            self, axis: Any = None, ddof: Any = 0, keepdims: Any = False, *more: Any, **options: Any
        ) -> Variable: ...
        def max(self, axis: Any = None, keepdims: Any = False, *more: Any, **options: Any) -> Variable: ...
        def min(self, axis: Any = None, keepdims: Any = False, *more: Any, **options: Any) -> Variable: ...
        def prod(self, axis: Any = None, keepdims: Any = False, *more: Any, **options: Any) -> Variable: ...
        def cumsum(self, axis: Any = None, *more: Any, **options: Any) -> Variable: ...
        def cumprod(self, axis: Any = None, *more: Any, **options: Any) -> Variable: ...
        def clip(self, x_min: Any = None, x_max: Any = None, **options: Any) -> Variable: ...
        def dot(self, other: Any) -> Variable: ...
        def matmul(self, other: Any) -> Variable: ...
        def argmax(self, axis: Any = None, keepdims: bool = False) -> Array: ...
        def argmin(self, axis: Any = None, keepdims: bool = False) -> Array: ...


class Parameter(Variable):
    """A Variable that is learnt: a layer counts it, saves it, and hands it to the optimizer."""


Operand: TypeAlias = Variable | Array | float
"""What a function takes: a Variable (differentiable), an array or a Python number (both constant)."""

Result: TypeAlias = Variable | Any
"""What a function gives: a Variable if one of its inputs was one, else an array."""


def constant(data: Array) -> Variable:
    """A Variable to which no gradient flows, around an array known to be good."""
    x = Variable.__new__(Variable)
    x._data = data
    x.requires_grad = False
    return x


class Released(np.ndarray[Any, Any]):
    """The shape and dtype of data that were released; a rule that computes with them is told so."""

    def __array_ufunc__(self, *args: Any, **options: Any) -> NoReturn:
        raise GraphError("the data of this Variable were released (x.data = None), and the rule computes with them")

    __array_function__ = __array_ufunc__


def shape_of(data: Array) -> Released:
    """An array of one number that is shown with the shape and dtype of the data."""
    return np.broadcast_to(np.zeros((), data.dtype), data.shape).view(Released)


def read_only(x: Any) -> Any:
    """A view of an array of NumPy that cannot be written to."""
    if type(x) is not np.ndarray:
        return x
    view = x.view()
    view.flags.writeable = False
    return view


def checked(data: Any, where: str) -> Array:
    """``data`` itself if it is an array of numbers; else an error that says what to write."""
    if type(data) is np.ndarray and data.dtype.kind in "fiub":
        return data
    if isinstance(data, Watched):
        raise data.misread()
    if not is_array(data):
        raise DTypeError(f"{where}: {'None' if data is None else type(data).__name__} is not supported{_instead(data)}")
    if data.dtype.kind not in "fiub":
        raise DTypeError(
            f"{where}: an array of {data.dtype} is not supported; passus computes with real numbers "
            "(floating point, integers, booleans). Convert it first, for example with array.astype(np.float32)"
        )
    if hasattr(data, "mask"):
        raise DTypeError(f"{where}: a masked array is not supported, its mask would be lost; use array.filled(value)")
    # A memory map, or a matrix with its own idea of *, is seen as the plain array it is.
    return np.asarray(data) if isinstance(data, np.ndarray) else data


def _array_of_scalar(x: Any) -> Any:
    """NumPy gives scalars where arrays without axes are computed with, as in ``x.data = x.data - lr * x.grad.data``."""
    return np.asarray(x) if isinstance(x, np.generic) else x


def _instead(data: Any) -> str:
    if isinstance(data, Variable):
        return "; it is a Variable already, pass it on as it is, or box its array: Variable(x.data)"
    if isinstance(data, memoryview):
        return (
            "; it is the .data of an array. Functions of arrays return arrays, and only a Variable has its array in .data: "
            "leave .data out"
        )
    if isinstance(data, (list, tuple)) and any(isinstance(x, Variable) for x in data):
        return "; it holds Variables: take one of them, as in xs[0], or join them with F.stack(xs)"
    if isinstance(data, np.generic):
        return (
            f"; write np.array({data}), or as_array(...) around what was computed: from arrays without axes NumPy computes "
            "numbers, so it is Variable(as_array(x.data - eps))"
        )
    if isinstance(data, (int, float, list, tuple)):
        shown = repr(data) if len(repr(data)) <= 40 else "..."
        return f"; write np.array({shown}{'.0' if isinstance(data, int) and not isinstance(data, bool) else ''})"
    if hasattr(data, "to_numpy"):  # A table of pandas, polars or Arrow.
        return "; pass its array, x.to_numpy()"
    return "; pass a NumPy array"


def _indented(text: str, width: int) -> str:
    return text.replace("\n", "\n" + " " * width)


def as_array(x: Any, array_module: Any = np) -> Array:
    """A 0-d array from a number; arrays are returned as they are.

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
