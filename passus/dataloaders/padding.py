"""Padding sequences of unequal lengths to one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from passus.arguments import checked_count, checked_flag
from passus.backend import Array
from passus.dataloaders.collate import as_arrays, collate
from passus.display import ShowsOptions
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of

__all__ = ["PaddingCollate", "pad_sequences"]


def pad_sequences(
    sequences: Sequence[Any], value: float = 0, *, length: int | None = None, multiple_of: int = 1, left: bool = False
) -> tuple[Array, Array]:
    """Pad sequences (T_i, ...) with ``value`` to one array (N, T, ...); returns it with the lengths (N,).

    T is the greatest length, or ``length`` if given, rounded up to a multiple of ``multiple_of``. ``left``: pad on the
    left, as generation from prompts of unequal lengths requires.

    Raises `ArgumentError` for an empty list, a sequence longer than ``length``, and a ``value`` that the dtype of the
    sequences cannot represent; `ShapeError` for sequences that differ in other axes.

    >>> pad_sequences([[1, 2, 3], [4]], value=-1)
    (array([[ 1,  2,  3],
           [ 4, -1, -1]]), array([3, 1]))
    """
    name = "pad_sequences"
    if isinstance(sequences, (str, bytes)) or not hasattr(sequences, "__len__") or not len(sequences):
        raise ArgumentError(f"{name}: no sequences; give a list of arrays (T, ...)")
    arrays = as_arrays(sequences)
    shapes = {array.shape[1:] for array in arrays}
    if not all(array.ndim for array in arrays) or len(shapes) > 1:
        listed = ", ".join(str(array.shape) for array in arrays[:5])
        raise ShapeError(f"{name}: sequences {listed} must agree in all axes but the first")
    # An empty list has no dtype.
    typed = [a.dtype for a, s in zip(arrays, sequences) if a.size or isinstance(s, np.ndarray)] or [np.dtype(np.int64)]
    dtype = np.result_type(*typed)
    if dtype.kind not in "fiub":
        raise DTypeError(f"{name}: expected numbers, not {dtype}; encode text first")
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise DTypeError(f"{name}: value is {kind_of(value)}; give a number")
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    if limits and not (limits.min <= value <= limits.max and float(value).is_integer()):
        raise ArgumentError(f"{name}: {dtype} cannot represent value {value}; convert the sequences with astype first")
    lengths = np.array([len(array) for array in arrays])
    longest = int(lengths.max())
    T = longest if length is None else checked_count(name, "length", length, 0)
    if longest > T:
        raise ArgumentError(
            f"{name}: sequence {lengths.argmax()} has {longest} steps, more than length={T}; truncate it first"
        )
    T = -(-T // checked_count(name, "multiple_of", multiple_of)) * multiple_of
    padded = np.full((len(arrays), T, *shapes.pop()), value, dtype)
    for row, array in zip(padded, arrays):
        start = T - len(array) if left else 0
        row[start : start + len(array)] = array
    return padded, lengths


class PaddingCollate(ShowsOptions):
    """A ``collate`` function for loaders of sequences: each field with axes is padded by `pad_sequences`.

    ``value``: the padding value, or a tuple with one per field of an example, such as -1 for labels that a loss skips by
    ``ignore_index``. ``lengths``: whether a field is a pair with its lengths, or the padded array alone. Fields without
    axes are stacked as in `collate`. ``multiple_of`` and ``left``: as in `pad_sequences`.

    >>> batch = PaddingCollate(value=0)
    >>> (x, lengths), t = batch([(np.array([5, 6]), 1), (np.array([7]), 0)])
    >>> x, lengths, t
    (array([[5, 6],
           [7, 0]]), array([2, 1]), array([1, 0]))
    """

    def __init__(
        self,
        value: float | tuple[float, ...] = 0,
        *,
        lengths: bool = True,
        multiple_of: int = 1,
        left: bool = False,
    ) -> None:
        self.values = value if isinstance(value, tuple) else (value,)
        self.per_field = isinstance(value, tuple)
        self.lengths = checked_flag("PaddingCollate", "lengths", lengths)
        self.left = checked_flag("PaddingCollate", "left", left)
        self.multiple_of = checked_count("PaddingCollate", "multiple_of", multiple_of)

    def __call__(self, examples: Sequence[Any]) -> Any:
        """A batch of examples."""
        return collate(examples, stack=self._padded)

    def _padded(self, values: Sequence[Any], field: int) -> Any:
        if not any(np.ndim(value) for value in values):
            return None
        if self.per_field and field >= len(self.values):
            raise ArgumentError(f"PaddingCollate: value holds {len(self.values)} numbers; field {field} has none")
        value = self.values[field if self.per_field else 0]
        padded, lengths = pad_sequences(values, value, multiple_of=self.multiple_of, left=self.left)
        return (padded, lengths) if self.lengths else padded
