"""Errors of the engine with advice. Each is created from names, shapes and dtypes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from passus.arguments import shown
from passus.errors import (
    ArgumentError,
    DTypeError,
    GraphError,
    LabelError,
    MissingAttributeError,
    PassusError,
    ShapeError,
)

__all__ = [
    "array_loses_gradient",
    "class_of_error",
    "edited_since",
    "element_loses_gradient",
    "elements_are_fixed",
    "failed_forward",
    "no_graph",
    "no_option",
    "number_out_of_range",
    "sequence_as_input",
    "several_elements",
    "shape_of_gradient",
    "variable_as_data",
]

Shape = tuple[int, ...]

ABOUT_SHAPES = re.compile(
    r"shape|broadcast|dimension|\bax[ie]s|\bsize|length|empty|identity|subscript|operand|equal division|one array|unpack"
)
"""What NumPy's messages about shapes contain. Its other ValueErrors are about values."""

ABOUT_SHAPES_IN_JAX = re.compile(
    r"incompatible shapes|got shapes|contracting dim|must have equal shapes|cannot reshape|permutation|dimension"
)
"""What JAX's TypeErrors about shapes contain."""


def variable_as_data(label: str) -> DTypeError:
    """For ``x.data = y`` with a Variable y."""
    return DTypeError(
        f"{label}.data: expected an array, not a Variable. Update it with "
        "x.data -= lr * x.grad, or assign the array of the result: x.data = (...).data"
    )


def array_loses_gradient(label: str, shape: Shape) -> DTypeError:
    """For ``np.array([x, x])`` and the like, while a graph is recorded."""
    return DTypeError(
        f"{label} of shape {shape} would be converted to an array, which loses its gradient. Join "
        "Variables with F.stack or F.concatenate, and compute with operators or with functions of passus or NumPy; "
        "where no gradient is needed, use x.data, x.item() or no_grad()"
        + ("" if shape else ". For a log of losses, append loss.item(), which also frees the graph")
    )


def element_loses_gradient(label: str) -> DTypeError:
    """For ``o[0] = x`` with an array o, while a graph is recorded."""
    return DTypeError(
        f"o[...] = {label} with an array o would lose the gradient. Join Variables with F.stack or "
        "F.concatenate; where no gradient is needed, assign x.data or x.item()"
    )


def elements_are_fixed() -> DTypeError:
    """For ``x[0] = v``."""
    return DTypeError(
        "x[...] = v: the elements of a Variable cannot be assigned, because the graph would not see it. Make a new one "
        "(F.where(mask, v, x)), or edit x.data[...] before x is used"
    )


def sequence_as_input(name: str, given: str, function: str) -> DTypeError:
    """For a list or tuple as the only argument of a user's function."""
    return DTypeError(f"{name}: {given} is not supported; give the inputs one by one, {function}()(a, b)")


def several_elements(call: str, shape: Shape) -> str:
    """For ``float(x)`` and the like of more than one element, or of none."""
    return f"{call}: x of shape {shape} must have one element; take one, as in x[0], or reduce it, as in x.sum() or x.mean()"


def no_option(call: str, name: str) -> DTypeError:
    """For an option of another library in ``Variable(...)`` or ``y.backward()``."""
    instead = {
        "requires_grad": "every Variable has a gradient; a constant is an array, or has x.requires_grad = False",
        "retain_graph": "the graph is kept as long as y is; leave it out",
    }
    return DTypeError(f"{call}: there is no argument {name}; {instead[name]}")


def edited_since(function: str, label: str, shape: Shape) -> GraphError:
    """For a rule that reads data which were assigned to after the forward pass."""
    return GraphError(
        f"{function}.backward: the data of {label} {shape} were edited after the forward "
        "pass that used them, so the gradient would be wrong. Call backward() before editing, or run the "
        "forward pass again"
    )


def no_data(label: str, name: str) -> MissingAttributeError:
    """For ``x.shape`` and its like, on a Variable without an array."""
    return MissingAttributeError(
        f"{label}.{name}: it holds no array yet, or no longer. A layer creates its parameters on the first call; give it in_size "
        "to have them at once"
    )


def no_graph(label: str, dtype: np.dtype[Any] | None) -> GraphError:
    """For ``y.backward()`` on a Variable to which no gradient flows; ``dtype``: of its data, None if it holds none."""
    if dtype is None:
        return GraphError(f"{label}.backward(): it holds no data")
    if dtype.kind != "f":
        return GraphError(
            f"{label}.backward(): its data are {dtype}{'' if dtype.kind == 'b' else ' that were computed from no integers'}, "
            "through which no gradient flows; start from floating-point numbers, such as np.array(3.0) or x.astype(np.float32)"
        )
    return GraphError(
        f"{label}.backward(): there is no graph behind it. It was computed under no_grad(), or from arrays, integers or "
        "frozen parameters only; or it is a gradient, and the pass that made it needed backward(create_graph=True)"
    )


def shape_of_gradient(function: str, given: Shape, needed: Shape) -> ShapeError:
    """For a rule that returns a gradient of another shape than its input."""
    return ShapeError(
        f"{function}.backward returned a gradient of shape {given} for an input of shape "
        f"{needed}; they must be equal{_advice(given, needed)}"
    )


def failed_forward(name: str, error: Exception, xs: Sequence[Any], advice: str) -> PassusError:
    """For an error of NumPy in ``forward``, with the name of the operation and its inputs."""
    if any(x is None for x in xs):
        return DTypeError(f"{name}: input {[x is None for x in xs].index(True)} holds no data yet (it is None)")
    if isinstance(error, OverflowError) and any(type(x) is int for x in xs):
        return number_out_of_range(name, next(x for x in xs if type(x) is int), xs)
    given = ", ".join(f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else repr(x) for x in xs)
    return class_of_error(error)(f"{name}({given}): {error}{advice}")


def class_of_error(error: Exception) -> type[PassusError]:
    """The class of `passus.errors` for an error of NumPy or JAX.

    >>> class_of_error(ValueError("axes don't match array")), class_of_error(ValueError("array must not contain NaN"))
    (<class 'passus.errors.ShapeError'>, <class 'passus.errors.ArgumentError'>)
    """
    if isinstance(error, np.exceptions.AxisError):  # It is a ValueError and an IndexError.
        return ShapeError
    if isinstance(error, IndexError) or str(error).startswith("Indexer must have integer"):  # The second is one of JAX.
        return LabelError
    if isinstance(error, (TypeError, AttributeError)):
        return ShapeError if ABOUT_SHAPES_IN_JAX.search(str(error)) else DTypeError
    about_shapes = not isinstance(error, np.linalg.LinAlgError) and ABOUT_SHAPES.search(str(error))
    return ShapeError if about_shapes else ArgumentError


def number_out_of_range(name: str, number: Any, inputs: Sequence[Any]) -> DTypeError:
    """For an integer among the inputs that the dtype of the arrays cannot hold."""
    dtype = np.result_type(*[x.dtype for x in inputs if hasattr(x, "dtype")])
    return DTypeError(
        f"{name}: {shown(number)} is out of the range of {dtype}; convert the array to a wider dtype, such as "
        "x.astype(np.int64), or to floating-point numbers"
    )


def broadcasts(shape: Shape, to: Shape) -> bool:
    """Whether an array of one shape can be broadcast to another."""
    extra = len(to) - len(shape)
    return extra >= 0 and all(n in (1, m) for n, m in zip(shape, to[extra:]))


def _advice(given: Shape, needed: Shape) -> str:
    """Advice for a rule that returns a gradient of another shape."""
    if broadcasts(given, needed):
        return f". Return F.broadcast_to(gy, {needed}), as the rule of a sum does"
    if broadcasts(needed, given):
        return f". Return F.sum_to(gx, {needed}), as the rule of a broadcast does"
    if given == needed[::-1]:
        return ". Return gx.T"
    if math.prod(given) == math.prod(needed):
        return f". Return gx.reshape({needed})"
    return ""
