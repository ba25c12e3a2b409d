"""Records of calls of NumPy's functions, and arrays as their arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

rng = np.random.default_rng(17)


@dataclass(frozen=True)
class Call:
    """A call of a NumPy function; gradients are checked up to ``max_order``, 0 if they are discontinuous, as at ties."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    max_order: int = 2
    name: str = ""


def call(function: Callable[..., Any], *args: Any, max_order: int = 2, **kwargs: Any) -> Call:
    """A call with these arguments."""
    name = getattr(function, "__qualname__", None) or f"{function.__self__.__name__}.{function.__name__}"
    return Call(function, args, kwargs, max_order, name)


def normal(*shape: int) -> np.ndarray:
    """Shuffled numbers between -2 and 2 that are well separated from each other and from 0."""
    n = int(np.prod(shape))
    return rng.permutation(np.linspace(-2.0, 2.03, n + n % 2 + 1)[: n + 1])[:n].reshape(shape) + 0.017


V, W, M, N = normal(5), normal(5), normal(3, 4), normal(3, 4)
T = normal(2, 3, 4)
P = abs(M) + 0.3
SQUARE = normal(4, 4) + 3 * np.eye(4)
TALL, WIDE = normal(5, 3), normal(3, 5)
LOWER = np.tril(0.2 * SQUARE + np.diag([1.0, 3.0, 6.0, 9.0]))  # One triangle of a positive definite matrix.
SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.5], [3.0, 6.0, 9.5]])
GAPS = np.where(np.arange(12).reshape(3, 4) % 5 == 2, np.nan, M)
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
ZERO = np.array(0.7)
EMPTY = np.zeros((0, 3))
