"""Collating examples into a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from passus.core import Variable
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of

__all__ = ["Stack", "as_arrays", "collate"]

Stack: TypeAlias = Callable[[Sequence[Any], int], Any]
"""A function from the values of one field and the index of the field to a batch, or to None for the default."""


def collate(examples: Sequence[Any], stack: Stack | None = None) -> Any:
    """Stack examples along a new first axis.

    Examples that are tuples (or lists: ``[x, t]``) or dicts give a tuple or a dict of batches. Arrays keep their dtype;
    Python integers become int64 and floats float32; strings are returned as a list; None, for a missing label, stays
    None. ``stack``: a custom function that stacks arrays, such as that of `PaddingCollate`.

    Raises `ShapeError` for examples of different structures or shapes, `ArgumentError` for an empty list, `DTypeError` for
    values of other types.

    >>> collate([(np.float32([1, 2]), 0), (np.float32([3, 4]), 1)])
    (array([[1., 2.],
           [3., 4.]], dtype=float32), array([0, 1]))
    """
    if not hasattr(examples, "__len__"):
        raise DTypeError(f"collate: {kind_of(examples)} is not a list of examples; write collate([example])")
    if not len(examples):
        raise ArgumentError("collate: the list of examples is empty")
    first = examples[0]
    if isinstance(first, (tuple, list)):
        _check_alike(examples, [_length(e) for e in examples], "length ")
        return tuple(_column([e[k] for e in examples], stack, k) for k in range(len(first)))
    return _column(examples, stack, 0)


def _column(values: Sequence[Any], stack: Stack | None, field: int) -> Any:
    first = values[0]
    if isinstance(first, tuple):
        return collate(values, stack)
    if isinstance(first, Mapping):
        _check_alike(values, [sorted(v, key=str) if isinstance(v, Mapping) else None for v in values], "names ")
        return {name: _column([v[name] for v in values], stack, k) for k, name in enumerate(first)}
    if any(isinstance(v, str) for v in values):
        _check_alike(values, ["str" if isinstance(v, str) else type(v).__name__ for v in values], "type ")
        return list(values)
    if all(v is None for v in values):
        return None
    stacked = None if stack is None else stack(values, field)
    return _stack(values) if stacked is None else stacked


def as_arrays(values: Sequence[Any]) -> list[Any]:
    """Convert values to arrays. Raises `DTypeError` for a Variable, which would lose its graph.

    >>> as_arrays([1, [2, 3]])
    [array(1), array([2, 3])]
    """
    if any(isinstance(v, Variable) for v in values):
        raise DTypeError("collate: an example holds a Variable; return its array, x.data")
    return [np.asarray(v) for v in values]


def _stack(values: Sequence[Any]) -> Any:
    arrays = as_arrays(values)
    _check_alike(values, [a.shape for a in arrays], "shape ")
    _check_alike(values, ["numbers" if a.dtype.kind in "fiub" else "other values" for a in arrays], "")
    if arrays[0].dtype.kind == "O":
        raise DTypeError(f"collate: cannot stack values of type {type(values[0]).__name__}; pass collate to the loader")
    stacked = np.stack(arrays)
    # Python floats become float32, passus' default; arrays of float64 keep their dtype.
    return stacked.astype(np.float32) if all(type(v) is float for v in values) else stacked


def _length(example: Any) -> int | None:
    return len(example) if isinstance(example, (tuple, list)) else None


def _check_alike(examples: Sequence[Any], traits: list[Any], what: str) -> None:
    for k, trait in enumerate(traits):
        if trait != traits[0]:
            raise ShapeError(
                f"collate: example 0 of the batch has {what}{traits[0]}, example {k} {trait}; "
                "make them equal with a transform, or pass collate to the loader"
            )
