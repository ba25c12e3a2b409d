"""Similarity and distance of vectors, and losses of them."""

from __future__ import annotations

import numpy as np

from passus.arguments import checked_integer
from passus.backend import truth
from passus.core import Operand, Result, broadcast_to, upcast_inputs
from passus.errors import ShapeError
from passus.functions.arrays.arithmetic import add, div, mul, sub
from passus.functions.arrays.comparison import maximum
from passus.functions.arrays.reductions import sum
from passus.functions.arrays.selection import where
from passus.functions.arrays.statistics import norm
from passus.functions.checks import array_of, check_reduction, check_same_shape, check_signs
from passus.functions.nn.weighting import weighted

__all__ = ["cosine_embedding_loss", "cosine_similarity", "triplet_loss"]


@upcast_inputs(2)
def cosine_similarity(x0: Operand, x1: Operand, axis: int = 1, eps: float = 1e-8) -> Result:
    """The cosine of the angle between vectors along an axis: ``x0 . x1 / (|x0| |x1|)``, between -1 and 1.

    The other axes broadcast. Norms are at least ``eps``, so that zero vectors give 0 with a finite gradient.

    Raises `ShapeError` if the shapes do not broadcast, or have no such axis.

    >>> import numpy as np
    >>> cosine_similarity(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 2.0], [0.0, 3.0]]))
    array([0., 1.])
    """
    x0, x1 = (_scaled_to_range(x, axis) for x in _broadcast("cosine_similarity", x0, x1, axis))
    # Products of unit vectors do not overflow.
    x0, x1 = (div(x, maximum(norm(x, axis=axis, keepdims=True), eps)) for x in (x0, x1))
    return sum(mul(x0, x1), axis=axis)


def _scaled_to_range(x: Result, axis: int) -> Result:
    """Divide vectors whose norm might overflow by a power of two."""
    data = array_of("cosine_similarity", x)
    if data.dtype.kind != "f" or not data.size:
        return x
    largest = abs(data).max(axis=axis, keepdims=True)
    large = largest > float(np.finfo(data.dtype).max) ** 0.5
    if not truth(large.any(), True):
        return x
    factor = 2.0 ** (np.finfo(data.dtype).minexp // 2)
    return mul(x, (large * factor + ~large).astype(data.dtype))


def _broadcast(name: str, x0: Operand, x1: Operand, axis: int) -> tuple[Result, Result]:
    shapes = array_of(name, x0).shape, array_of(name, x1).shape
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"{name}: x0 {shapes[0]} and x1 {shapes[1]} do not broadcast to one shape") from None
    if not -len(shape) <= checked_integer(name, "axis", axis) < len(shape):
        raise ShapeError(f"{name}: x0 {shapes[0]} and x1 {shapes[1]} have no axis {axis}")
    return broadcast_to(x0, shape), broadcast_to(x1, shape)


@upcast_inputs(2)
def cosine_embedding_loss(
    x0: Operand, x1: Operand, t: Operand, margin: float = 0.0, *, reduction: str = "mean"
) -> Result:
    """The loss of cosine similarities: ``1 - cos`` for similar pairs, t = 1, and ``max(0, cos - margin)`` for others, t
    = -1.

    ``x0``, ``x1``: (N, D); ``t``: (N,), of 1 and -1.

    Raises `ShapeError` for shapes that do not fit, `LabelError` for other values of ``t``.

    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> cosine_embedding_loss(x, x, np.array([1, -1]), reduction="none")
    array([0., 1.])
    """
    name = "cosine_embedding_loss"
    check_same_shape(name, x0, x1, ("x0", "x1"))
    shape, labels = array_of(name, x0).shape, check_signs(name, t)
    if labels.shape != shape[:1] or len(shape) != 2:
        raise ShapeError(f"{name}: x0 {shape} and t {labels.shape} must be (N, D) and (N,)")
    check_reduction(name, reduction, labels.size)
    cosine = cosine_similarity(x0, x1)
    losses = where(labels == 1, sub(1, cosine), maximum(sub(cosine, margin), 0))
    return weighted(losses, None, reduction)


@upcast_inputs(3)
def triplet_loss(
    anchor: Operand, positive: Operand, negative: Operand, margin: float = 1.0, *, reduction: str = "mean"
) -> Result:
    """The loss of triplets whose negative is not farther than the positive by a margin:
    ``max(0, |a - p| - |a - n| + margin)``.

    All (..., D), with Euclidean distances along the last axis. 1e-6 is added to the differences, so that the gradient
    is finite for equal vectors.

    Raises `ShapeError` for unequal shapes. Source: Balntas et al., 2016, "Learning local feature descriptors with
    triplets and shallow convolutional neural networks".

    >>> import numpy as np
    >>> a, p, n = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])
    >>> triplet_loss(a, p, n).round(3)
    np.float64(4.0)
    """
    name = "triplet_loss"
    check_same_shape(name, anchor, positive, ("anchor", "positive"))
    check_same_shape(name, anchor, negative, ("anchor", "negative"))
    if not array_of(name, anchor).shape:
        raise ShapeError(f"{name}: expected vectors (..., D), not scalars")
    to_positive, to_negative = (norm(add(sub(anchor, x), 1e-6), axis=-1) for x in (positive, negative))
    losses = maximum(add(sub(to_positive, to_negative), margin), 0)
    check_reduction(name, reduction, losses.size)
    return weighted(losses, None, reduction)
