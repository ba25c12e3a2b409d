"""Functions that users write: what they are given, and what may become of it.

The functions of passus never edit an array that they are given. A user's may (``gy *= 2``, ``x[x < 0] = 0``), and other branches
of the graph would see it. So a class outside passus reads inputs and outputs through read-only views, in ``forward`` and in
``backward``, and the gradients that ``backward`` is given are its own. Such a class may also be called with None, and may assign
``outputs``, as classes do that write their own ``__call__``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import ref

import numpy as np

from passus.core.variable import Variable, clock, data_is_read_only, read_only
from passus.errors import DTypeError, GraphError, PassusError

if TYPE_CHECKING:
    from passus.core.function import Function

__all__ = [
    "NOT_CALLED",
    "OutputReference",
    "advice",
    "backward",
    "custom_outputs",
    "forward",
    "no_gradient",
]


class NotCalled(tuple[Any, ...]):
    """The inputs and outputs of a function that was not recorded: none, and an error where one is read."""

    __slots__ = ()

    def _refuse(self, *args: Any) -> NoReturn:
        raise GraphError(
            "this function has no inputs and outputs yet: call it first, y = f(x), with a Variable that takes a gradient, and not "
            "under no_grad(); backward() comes after"
        )

    __getitem__ = __iter__ = _refuse


NOT_CALLED = NotCalled()


class OutputReference(ref[Variable]):
    """A weak reference to a result that also answers for it: ``f.outputs[0]().grad`` and ``f.outputs[0].grad`` are one."""

    __slots__ = ()

    def _result(self) -> Variable:
        y = self()
        if y is None:
            raise GraphError("this output is gone; keep a reference to what the call returned")
        return y

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._result(), name, value)


class OwnGradient(np.ndarray[Any, Any]):
    """A gradient as a rule of a user is given it: an array, or its own ``data``, for rules that expect a Variable."""

    @property
    def data(self) -> Any:
        """The array itself."""
        return self.view(np.ndarray)

    @data.setter
    def data(self, value: Any) -> None:
        self[...] = value

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))


# Attributes of a custom class.


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


custom_outputs = property(_outputs, _set_outputs)


# Arrays that nobody else sees.


def forward(function: Function, inputs: Sequence[Any], xs: list[Any]) -> Any:
    """Call ``forward`` with read-only views; an input that is returned as it came is that input's own array."""
    arrays = [x.array() if isinstance(x, Variable) else _as_array(array) for x, array in zip(inputs, xs)]
    views = [read_only(array) for array in arrays]
    ys = function.forward(*views)
    if not isinstance(ys, (tuple, list)):
        return _as_output(ys, arrays, views)
    ys = tuple([_as_output(y, arrays, views) for y in ys])
    return ys[0] if len(ys) == 1 else ys


def backward(function: Function, gys: Sequence[Any]) -> Sequence[Any]:
    """Call ``backward`` with arrays that it may edit; what it returns is seen by nobody else."""
    token = data_is_read_only.set(True)
    try:
        gxs = function.backward(*own_gradients(gys))
    except (TypeError, ValueError) as error:
        if isinstance(error, PassusError) or not advice(error):
            raise
        kind = DTypeError if isinstance(error, TypeError) else GraphError
        raise kind(f"{type(function).__name__}.backward: {error}{advice(error)}") from error
    finally:
        data_is_read_only.reset(token)
    if gxs is None:
        raise no_gradient(function)
    gxs = list(gxs) if isinstance(gxs, (tuple, list)) else [gxs]  # The name of a single array counts as a holder.
    return unshared(gxs)


def no_gradient(function: Function) -> GraphError:
    """The error for a rule without ``return``."""
    return GraphError(
        f"{type(function).__name__}.backward returned None; return the gradient of its input, or (None,) where no "
        "gradient flows"
    )


def advice(error: Exception) -> str:
    """What to write instead, where an error comes from a habit of rules that are given Variables."""
    if "memoryview" in str(error):
        return ". forward and backward are given arrays, which need no .data"
    if "read-only" in str(error):
        return (
            ". Inputs and outputs must not be edited in forward and backward, for others see them: compute a new array, as in "
            "x = x * 2 or np.where(...)"
        )
    return ""


def own_gradients(gys: Iterable[Any]) -> list[Any]:
    """Copies of the gradients of outputs, which a rule may edit."""
    return [
        gy if gy is None else np.array(gy).view(OwnGradient) if isinstance(gy, (np.ndarray, np.generic)) else gy.copy()
        for gy in gys
    ]


def unshared(gxs: list[Any]) -> list[Any]:
    """The gradients that a rule has returned; arrays that anyone else holds are copied. The caller holds the list alone."""
    gxs[:] = [_plain(gx) for gx in gxs]
    shared = [_holders(gxs, i) > ALONE for i in range(len(gxs))]
    return [
        gx.copy() if isinstance(gx, np.ndarray) and (held or not gx.flags.writeable) else gx
        for gx, held in zip(gxs, shared)
    ]


def _plain(gx: Any) -> Any:
    if isinstance(gx, Variable):
        return gx._data
    if isinstance(gx, OwnGradient):
        return gx.view(np.ndarray)
    return np.asarray(float(gx)) if isinstance(gx, (int, float)) and not isinstance(gx, np.generic) else gx


def _holders(gxs: list[Any], i: int) -> int:
    return getrefcount(gxs[i])


ALONE = _holders([np.empty(1)], 0)
"""What Python counts for an array that only the list holds; it differs between versions."""


def _as_output(y: Any, arrays: list[Any], views: list[Any]) -> Any:
    for array, view in zip(arrays, views):
        if y is view:
            return array
    if type(y) is np.ndarray and not y.flags.writeable:
        return _view_of_input(y, arrays)
    if isinstance(y, bool):
        return np.asarray(y)
    if isinstance(y, (int, float)) and not isinstance(y, np.generic):
        # Python's own functions, such as math.sin, make numbers of arrays without axes.
        return np.asarray(y, np.result_type(*[a.dtype for a in arrays if a is not None], y))
    if isinstance(y, Variable):
        raise DTypeError("forward returned a Variable; it must return an array. Its inputs are arrays, too")
    return y


def _view_of_input(y: Any, arrays: list[Any]) -> Any:
    """A part of an input, or an input turned round, as writeable as that; a stretched one stays read-only."""
    stretched = any(step == 0 and n > 1 for step, n in zip(y.strides, y.shape))
    for array in arrays:
        if not stretched and y.size <= array.size and array.flags.writeable and np.may_share_memory(y, array):
            y = y.view()
            y.flags.writeable = True
            break
    return y


def _as_array(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, (int, float, np.generic)) else x
