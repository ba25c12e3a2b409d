"""Binds operators, methods and NumPy's functions of `Variable` to functions of passus; nothing is bound elsewhere.

It also adds the operators to ``core`` under their DeZero names. ``core`` cannot import them itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from passus import core
from passus.answers import answers
from passus.backend import Device, backend_of, to_device
from passus.core import Function, Variable
from passus.core.protocol import alternatives, differentiable, ufunc_methods, without_gradient
from passus.core.truth import ComparedVariables
from passus.core.variable import data_of
from passus.exports import export_names
from passus.foreign import FUNCTION, VARIABLE
from passus.functions.arrays import arithmetic as a
from passus.functions.arrays import (
    arrangement,
    division,
    elementwise,
    indexing,
    linalg,
    products,
    rounding,
    shapes,
    sorting,
)
from passus.functions.numpy_api import choosing, elements, shaping
from passus.functions.numpy_api.methods import LIKE_NUMPY
from passus.functions.numpy_api.table import ALTERNATIVES, NUMPY, UFUNC_METHODS, WITHOUT_GRADIENT

__all__ = ["setup_variable"]


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Variable, Any], Any]:
    def compared(x: Variable, other: Any) -> Any:
        """Compare elementwise, as NumPy does. The result is a boolean array without gradient."""
        result = compare(data_of(x), data_of(other))
        return backend_of(result).asarray(result)

    return compared


def _equality(compare: Callable[[Any, Any], Any]) -> Callable[[Variable, Any], Any]:
    compared = _comparison(compare)

    def equal(x: Variable, other: Any) -> Any:
        """Compare elementwise. The comparison of two Variables has no truth value, since identity may be meant.

        A comparison with None, as in ``x.grad != None``, gives one boolean.
        """
        if other is None:
            return compare(0, None)
        mask = compared(x, other)
        has_truth = not isinstance(other, Variable) or other is x or backend_of(mask).name == "jax"
        return mask if has_truth else mask.view(ComparedVariables)

    return equal


def _test(test: Callable[..., Any]) -> Callable[..., Any]:
    def tested(x: Variable, *args: Any, **options: Any) -> Any:
        """Test the elements, as NumPy does. The result is an array without gradient."""
        array = data_of(x)
        result = getattr(backend_of(array).xp, test.__name__)(array, *args, **options)
        return np.asarray(result) if isinstance(result, np.generic) else result

    return tested


def _reshape(x: Variable, *shape: Any, order: str = "C") -> Variable:
    """The same elements in another shape: ``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
    lengths = shape[0] if len(shape) == 1 else shape
    return shapes.reshape(x, lengths) if order == "C" else shaping.reshape(x, lengths, order)


def _transpose(x: Variable, *axes: Any) -> Variable:
    """The axes in another order: ``x.transpose()``, ``x.transpose(1, 0)`` or ``x.transpose((1, 0))``."""
    return shapes.transpose(x, axes[0] if len(axes) == 1 else axes or None)


def _to_cpu(x: Variable) -> None:
    """Move the array to main memory, in place, as DeZero does."""
    _to_device(x, "cpu")


def _to_gpu(x: Variable) -> None:
    """Move the array to the first GPU, in place. Raises `DependencyError` without JAX or a GPU."""
    _to_device(x, "gpu")


def _to_device(x: Variable, device: Device) -> None:
    """Move the array, and the gradient if there is one, to a device, in place."""
    if x._data is not None:
        grad = x._grad
        moved = to_device(x._data, device)
        if moved is not x._data:
            x.data = moved
            x.grad = None if grad is None else to_device(grad._data, device)


METHODS: dict[str, Any] = {
    "__neg__": a.neg,
    "__pos__": lambda x: x,
    "__abs__": elementwise.abs,
    "__add__": a.add,
    "__radd__": a.add,
    "__sub__": a.sub,
    "__rsub__": a.rsub,
    "__mul__": a.mul,
    "__rmul__": a.mul,
    "__truediv__": a.div,
    "__rtruediv__": a.rdiv,
    "__pow__": a.pow,
    "__rpow__": a.rpow,
    "__floordiv__": division.floor_divide,
    "__rfloordiv__": lambda x1, x0: division.floor_divide(x0, x1),
    "__mod__": division.mod,
    "__rmod__": lambda x1, x0: division.mod(x0, x1),
    "__divmod__": elements.divmod,
    "__rdivmod__": lambda x1, x0: elements.divmod(x0, x1),
    "__round__": lambda x, decimals=0: rounding.round(x, decimals),
    "__floor__": rounding.floor,
    "__ceil__": rounding.ceil,
    "__trunc__": rounding.trunc,
    "__matmul__": products.matmul,
    "__rmatmul__": lambda x1, x0: products.matmul(x0, x1),
    "matmul": products.matmul,
    "dot": products.dot,
    **LIKE_NUMPY,
    "argmax": sorting.argmax,
    "argmin": sorting.argmin,
    "any": _test(np.any),
    "all": _test(np.all),
    "nonzero": _test(np.nonzero),
    "searchsorted": _test(np.searchsorted),
    "argpartition": _test(np.argpartition),
    "round": rounding.round,
    "trace": linalg.trace,
    "diagonal": linalg.diagonal,
    "take": choosing.take,
    "repeat": arrangement.repeat,
    "copy": shaping.copy,
    "__getitem__": indexing.get_item,
    "T": property(_transpose),
    "mT": property(shaping.matrix_transpose),
    "reshape": _reshape,
    "transpose": _transpose,
    "ravel": shaping.ravel,
    "real": property(lambda x: x),
    "imag": property(elements.imag),
    "conj": elements.same,
    "conjugate": elements.same,
    "swapaxes": shapes.swapaxes,
    "squeeze": shapes.squeeze,
    "to_cpu": _to_cpu,
    "to_device": _to_device,
    "to_gpu": _to_gpu,
    "__eq__": _equality(operator.eq),
    "__ne__": _equality(operator.ne),
    "__lt__": _comparison(operator.lt),
    "__le__": _comparison(operator.le),
    "__gt__": _comparison(operator.gt),
    "__ge__": _comparison(operator.ge),
}


IN_CORE = ("Div", "Mul", "Neg", "Pow", "Sub", "div", "mul", "neg", "pow", "rdiv", "rsub", "sub")
"""The operators of DeZero's ``core``, in addition to `Add` and `add`."""


def setup_variable() -> None:
    """Bind the tables to `Variable` and the operators to ``core``. Done on import; repeating it has no effect.

    >>> setup_variable()
    """
    for name, function in METHODS.items():
        setattr(Variable, name, function)
    Variable.__hash__ = object.__hash__  # type: ignore[method-assign, assignment]
    differentiable.update(NUMPY)
    ufunc_methods.update(UFUNC_METHODS)
    alternatives.update(ALTERNATIVES)
    without_gradient.update(WITHOUT_GRADIENT)
    answers(Variable, VARIABLE)
    answers(Function, FUNCTION)
    for name in IN_CORE:
        setattr(core, name, getattr(a, name))
    core.setup_variable = setup_variable
    export_names("passus.core")


setup_variable()
