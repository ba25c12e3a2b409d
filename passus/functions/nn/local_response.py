"""Local response normalization, over neighbouring channels."""

from __future__ import annotations

from typing import Any

from passus.arguments import checked_count, checked_number
from passus.backend import Array, backend_of
from passus.core import Operand, Result, Unary, upcast_inputs
from passus.errors import ShapeError
from passus.functions.arrays.arithmetic import add, mul, pow
from passus.functions.checks import array_of

__all__ = ["NeighbourSum", "local_response_norm"]


class NeighbourSum(Unary):
    """For each channel, the sum over it, ``before`` channels before and ``after`` channels after it."""

    public_name = "local_response_norm"

    def __init__(self, before: int, after: int) -> None:
        self.before, self.after = before, after

    def forward(self, x: Array) -> Array:
        backend, c = backend_of(x), x.shape[1]
        total = backend.xp.zeros_like(x)
        for shift in range(max(-self.before, 1 - c), min(self.after, c - 1) + 1):
            first, last = max(-shift, 0), c - max(shift, 0)
            total = backend.add_at(total, (slice(None), slice(first, last)), x[:, first + shift : last + shift])
        return total

    def backward(self, gy: Any) -> Any:
        return NeighbourSum(self.after, self.before)(gy)


@upcast_inputs(1)
def local_response_norm(x: Operand, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> Result:
    """Normalize by the energy of neighbouring channels: ``x / (k + alpha * sum of squares of n channels) ** beta``.

    ``x``: (N, C, ...). The n >= 1 channels are the channel itself, ``n // 2`` before and ``(n - 1) // 2`` after it, as
    far as they exist. ``k`` > 0, ``alpha`` >= 0, ``beta`` >= 0; as in the paper, alpha is not divided by n.

    Raises `ShapeError` for an input without channels, `ArgumentError` for options out of range.
    Source: Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional neural networks".

    >>> import numpy as np
    >>> local_response_norm(np.array([[3.0, 4.0, 0.0, 5.0]]), n=3, k=1.0, alpha=1.0, beta=0.5).round(2)
    array([[0.59, 0.78, 0.  , 0.98]])
    """
    name = "local_response_norm"
    shape = array_of(name, x).shape
    if len(shape) < 2:
        raise ShapeError(f"{name}: x {shape} needs the axes (N, C, ...); for one example write x[None]")
    n, k = checked_count(name, "n", n), checked_number(name, "k", k, open_low=True)
    alpha, beta = checked_number(name, "alpha", alpha), checked_number(name, "beta", beta)
    energy = NeighbourSum(n // 2, (n - 1) // 2)(mul(x, x))
    return mul(x, pow(add(mul(energy, alpha), k), -beta))
