"""Functions that users write: the arguments and results of their methods.

The functions of passus never edit an array that they are given. A user's may (``gy *= 2``, ``x[x < 0] = 0``), and other branches
of the graph read the same array. A class outside passus therefore reads inputs and outputs through read-only views, in ``forward``
and in ``backward``, and ``backward`` receives copies of the gradients. Such a class may also be called with None, and may assign
``outputs`` if it defines ``__call__``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from passus.backend.trace import Traced
from passus.constructors import checked_new
from passus.core.edits import clock
from passus.core.ownership import EditableGradient, editable_copies, unshared
from passus.core.references import NOT_CALLED, NotCalled, OutputReference
from passus.core.variable import Variable
from passus.core.views import data_view, read_only
from passus.errors import DTypeError, GraphError, PassusError

if TYPE_CHECKING:
    from passus.core.function import Function

__all__ = ["advice", "backward", "forward", "no_gradient", "prepare"]


def prepare(cls: type[Function]) -> None:
    """Set up a class outside passus. Raises `DTypeError` if its methods are static methods of (ctx, x), as in PyTorch."""
    cls.custom = True
    cls.outputs = property(_outputs, _set_outputs)  # type: ignore[assignment]
    cls.__new__ = staticmethod(checked_new)  # type: ignore[method-assign]
    if cls.__hash__ in (None, object.__hash__):  # A dataclass, or a class with __eq__, would have none.
        cls.__hash__ = object.__hash__  # type: ignore[method-assign]
    for name in ("forward", "backward"):
        method = cls.__dict__.get(name)
        code = getattr(method.__func__, "__code__", None) if isinstance(method, staticmethod) else None
        if code is not None and code.co_varnames[:1] == ("ctx",):
            raise DTypeError(
                f"{cls.__name__}.{name} is a static method with ctx, as in PyTorch; here it is def {name}(self, ...), and what "
                "backward needs is saved on self"
            )


def _outputs(function: Function) -> tuple[Any, ...]:
    outputs: tuple[Any, ...] = function.__dict__.get("outputs", NOT_CALLED)
    return outputs


def _set_outputs(function: Function, outputs: Variable | Iterable[Any]) -> None:
    if isinstance(outputs, NotCalled):
        function.__dict__["outputs"] = outputs
        return
    outputs = [outputs] if isinstance(outputs, Variable) else list(outputs)
    function.__dict__["outputs"] = tuple([y if isinstance(y, ref) else OutputReference(y) for y in outputs])
    results: list[Any] = [y() if isinstance(y, ref) else y for y in outputs]
    function.output_types = [(y.shape, y.dtype) for y in results if y is not None]
    function.serial = next(clock)


def forward(function: Function, inputs: Sequence[Any], xs: list[Any]) -> Any:
    """Call ``forward`` with read-only views. If it returns one of them, the result is the array of that input."""
    arrays = [x.array() if isinstance(x, Variable) else _as_array(array) for x, array in zip(inputs, xs)]
    views = [read_only(array) for array in arrays]
    ys = function.forward(*views)
    if not isinstance(ys, (tuple, list)):
        return _as_output(ys, arrays, views)
    ys = tuple([_as_output(y, arrays, views) for y in ys])
    return ys[0] if len(ys) == 1 else ys


def backward(function: Function, gys: Sequence[Any]) -> list[Any]:
    """Call ``backward`` with arrays that it may edit. Returns arrays without other references."""
    token = data_view.set(_read_only_data)
    try:
        gxs = function.backward(*editable_copies(gys))
    except (TypeError, ValueError) as error:
        if isinstance(error, PassusError) or not advice(error):
            raise
        kind = DTypeError if isinstance(error, TypeError) else GraphError
        raise kind(f"{type(function).__name__}.backward: {error}{advice(error)}") from error
    finally:
        data_view.reset(token)
    if gxs is None:
        raise no_gradient(type(function).__name__)
    # Rebinding drops the references to the arrays that the names and the tuple hold: `unshared` counts the remaining ones.
    gxs = [_plain(gx) for gx in gxs] if isinstance(gxs, (tuple, list)) else [_plain(gxs)]
    return unshared(gxs)


def no_gradient(name: str) -> GraphError:
    """The error for a rule without ``return``."""
    return GraphError(
        f"{name}.backward returned None; return the gradient of its input, or (None,) where no gradient flows"
    )


def advice(error: Exception) -> str:
    """Advice for an error that is typical of rules written for Variables."""
    if "memoryview" in str(error):
        return ". forward and backward are given arrays, which need no .data"
    if "read-only" in str(error):
        return (
            ". Inputs and outputs must not be edited in forward and backward, because other functions read them: compute a new array, as in "
            "x = x * 2 or np.where(...)"
        )
    return ""


def _read_only_data(x: Variable) -> Any:
    return read_only(x.array())


def _plain(gx: Any) -> Any:
    """The array of a gradient that a rule returned: a Variable, an array, or a Python number."""
    if isinstance(gx, Variable):
        return gx._data
    if isinstance(gx, EditableGradient) or (type(gx) is Traced and isinstance(gx.array, EditableGradient)):
        return gx.view(np.ndarray)
    return np.asarray(float(gx)) if isinstance(gx, (int, float)) and not isinstance(gx, np.generic) else gx


def _as_output(y: Any, arrays: list[Any], views: list[Any]) -> Any:
    for array, view in zip(arrays, views):
        if y is view:
            return array
    if type(y) is np.ndarray and not y.flags.writeable:
        return _view_of_input(y, arrays)
    if isinstance(y, bool):
        return np.asarray(y)
    if isinstance(y, (int, float)) and not isinstance(y, np.generic):
        # Python's functions, such as math.sin, convert arrays without axes to numbers.
        return np.asarray(y, np.result_type(*[a.dtype for a in arrays if a is not None], y))
    if isinstance(y, Variable):
        raise DTypeError("forward returned a Variable; it must return an array. Its inputs are arrays, too")
    return y


def _view_of_input(y: Any, arrays: list[Any]) -> Any:
    """A slice, transpose or reshape of an input, as writeable as the input. A broadcast input stays read-only."""
    broadcast = any(stride == 0 and n > 1 for stride, n in zip(y.strides, y.shape))
    for array in arrays:
        if not broadcast and y.size <= array.size and array.flags.writeable and np.may_share_memory(y, array):
            y = y.view()
            y.flags.writeable = True
            break
    return y


def _as_array(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, (int, float, np.generic)) else x
