"""Embeddings and one-hot vectors of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_count, checked_dtype
from passus.backend import Array
from passus.core import Operand, Result
from passus.errors import ShapeError
from passus.functions.arrays.indexing import get_item
from passus.functions.checks import array_of, check_labels

__all__ = ["embed_id", "one_hot"]


def embed_id(x: Operand, W: Operand) -> Result:
    """The row of ``W`` for each integer: ``W[x]``. Gradients of equal integers are summed.

    ``x``: integers of any shape; ``W``: (V, D); the result has the shape of ``x`` with a last axis D.

    Raises `DTypeError` if ``x`` contains no integers, `LabelError` for an integer outside 0 to V - 1.

    >>> import numpy as np
    >>> embed_id(np.array([1, 1]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3., 4.],
           [3., 4.]])
    """
    rows = array_of("embed_id", W)
    if rows.ndim != 2:
        raise ShapeError(f"embed_id: W {rows.shape} must have two axes, (V, D)")
    return get_item(W, check_labels("embed_id", x, len(rows), ("index", "rows")))


def one_hot(t: Operand, num_classes: int, dtype: Any = np.float32) -> Array:
    """The one-hot vector of each label, as an array without gradient.

    ``t``: integers of any shape; the classes are the last axis of the result.

    Raises `DTypeError` if ``t`` contains no integers, `LabelError` for a label out of range.

    >>> import numpy as np
    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = check_labels("one_hot", t, checked_count("one_hot", "num_classes", num_classes))
    return (labels[..., None] == np.arange(num_classes)).astype(checked_dtype("one_hot", dtype))
