"""The array interface of a Variable: shape and dtype, conversions, and declarations of operators and methods.

`passus.functions.binding` binds operators and methods to the functions that compute them; `passus.core.backward` and
`passus.core.protocol` bind the rest. They are declared here for readers and type checkers.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from passus.backend import Array
from passus.config import details, enable_backprop
from passus.core import callers, messages
from passus.core.views import data_view
from passus.display import array_text, html_block, kind_of_array
from passus.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from passus.core.variable import Variable

__all__ = ["ArrayLike"]


class ArrayLike:
    """The base of `Variable` alone. Modules that `Variable` imports recognize a Variable by it."""

    __slots__ = ()

    if TYPE_CHECKING:
        name: str | None
        requires_grad: bool
        _data: Array
        _grad: Variable | None

        @property
        def data(self) -> Array: ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        try:
            shape: tuple[int, ...] = self._data.shape
        except AttributeError:
            raise messages.no_data(self._label(), "shape") from None
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        try:
            return int(self._data.size)
        except AttributeError:
            raise messages.no_data(self._label(), "size") from None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        try:
            dtype: np.dtype[Any] = self._data.dtype
        except AttributeError:
            raise messages.no_data(self._label(), "dtype") from None
        return dtype

    # Conversions. They read ``data``, which raises where a second derivative would be lost.

    def item(self, *index: Any) -> float | int | bool:
        """The only element, or that at an index, as a Python number."""
        data = self.data
        if not index and data.size != 1:
            raise ShapeError(messages.several_elements("x.item()", self.shape))
        value: float | int | bool = data.item(*index)
        return value

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.data.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if (
            self.requires_grad
            and enable_backprop.get()
            and data_view.get() is None
            and callers.computes_with_array(sys._getframe(1), self.dtype)
        ):
            raise messages.array_loses_gradient(self._label(), self.shape)
        return np.array(self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        # NumPy calls this for ``o[0] = x`` with an array o, as Python does for ``float(x)``.
        if self.requires_grad and enable_backprop.get() and callers.assigns_item(sys._getframe(1)):
            raise messages.element_loses_gradient(self._label())
        return float(self._only("float(x)"))

    def __int__(self) -> int:
        return int(self._only("int(x)"))

    def _only(self, call: str) -> Array:
        """The only element, as an array without axes. NumPy takes arrays without axes only."""
        data = self.data
        if data is None or data.ndim == 0:
            return data
        if data.size != 1:
            raise DTypeError(messages.several_elements(call, self.shape))
        return data.reshape(())

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

    def __setitem__(self, index: Any, value: Any) -> None:
        raise messages.elements_are_fixed()

    def __format__(self, spec: str) -> str:
        return format(self._data.item() if spec and self.ndim == 0 else self._data, spec)

    def __str__(self) -> str:
        return str(self._data)

    def __repr__(self) -> str:
        indented = str(self._data).replace("\n", "\n" + " " * len("variable("))
        if not details.get():
            return f"variable({indented})"
        name = f"name={self.name!r}, " if self.name else ""
        dtype = "None" if self._data is None else self.dtype
        return f"variable({indented}, {name}dtype={dtype}, requires_grad={self.requires_grad})"

    def _repr_html_(self) -> str:
        """The values, the gradient, and whether gradients flow, for a notebook."""
        data, grad = self._data, self._grad
        kind = "no data" if data is None else kind_of_array(data)
        flows = self.requires_grad and (data is None or data.dtype.kind == "f")
        flow = "gradients flow" if flows else "no gradient"
        title = " \u00b7 ".join(filter(None, [type(self).__name__, self.name, kind, flow]))
        gradient = "" if grad is None else html_block("gradient", array_text(grad.data))
        return html_block(title, "" if data is None else array_text(data)) + gradient

    def _label(self) -> str:
        return self.name or type(self).__name__

    if TYPE_CHECKING:

        def backward(
            self, retain_grad: bool = False, create_graph: bool = False, retain_graph: None = None
        ) -> None: ...
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
