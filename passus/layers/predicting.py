"""Predictions for many examples, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from passus.arguments import checked_count
from passus.backend import backend_of
from passus.config import no_grad, test_mode
from passus.core import Variable
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import array_of
from passus.layers.carried import preserved_state

__all__ = ["predicted", "rows"]


def predicted(model: Callable[..., Any], batches: Iterable[tuple[Any, ...]], continued: bool = False) -> Any:
    """The concatenated results of a model for batches of inputs: an array, or a tuple, list or dict of arrays.

    Runs under `no_grad` and `test_mode`. Carried state is restored in the end, and before each batch unless
    ``continued``. Raises `ArgumentError` if there is no batch, `ShapeError` for results without an axis of examples.

    >>> predicted(lambda x: 2 * x, [(np.array([1.0, 2.0]),), (np.array([3.0]),)])
    array([2., 4., 6.])
    """
    around_batch = nullcontext if continued else preserved_state
    results = []
    with no_grad(), test_mode(), preserved_state():
        for xs in batches:
            with around_batch():
                results.append(_arrays(model(*xs)))
    if not results:
        raise ArgumentError("predict: there are no batches")
    return _concatenated(results)


def rows(inputs: Sequence[Any], batch_size: int) -> Iterable[tuple[Any, ...]]:
    """Batches of arrays (N, ...); one empty batch if N is 0.

    Raises `DTypeError` for inputs that are no arrays, `ShapeError` for arrays of different lengths.

    >>> [len(x) for (x,) in rows([np.zeros((5, 2))], batch_size=2)]
    [2, 2, 1]
    """
    batch_size = checked_count("predict", "batch_size", batch_size)
    arrays = [array_of("predict", x) for x in inputs]
    shapes = ", ".join([str(x.shape) for x in arrays])
    if not arrays or not all(x.ndim for x in arrays) or len({len(x) for x in arrays}) > 1:
        raise ShapeError(f"predict: inputs of shapes {shapes or '(none)'}; give arrays (N, ...) of the same N examples")
    starts = range(0, len(arrays[0]) or 1, batch_size)
    return (tuple([x[i : i + batch_size] for x in arrays]) for i in starts)


def _arrays(y: Any) -> Any:
    """The arrays of a result, in main memory."""
    if isinstance(y, Mapping):
        return {name: _arrays(value) for name, value in y.items()}
    if isinstance(y, (tuple, list)):
        return type(y)([_arrays(value) for value in y])
    array = y.data if isinstance(y, Variable) else array_of("predict", y)
    return backend_of(array).to_numpy(array)


def _concatenated(results: list[Any]) -> Any:
    first = results[0]
    if isinstance(first, Mapping):
        return {name: _concatenated([y[name] for y in results]) for name in first}
    if isinstance(first, (tuple, list)):
        return type(first)([_concatenated([y[i] for y in results]) for i in range(len(first))])
    if not all(y.ndim for y in results):
        raise ShapeError("predict: the model returns one number for a whole batch; it must return arrays (N, ...)")
    return np.concatenate(results)
