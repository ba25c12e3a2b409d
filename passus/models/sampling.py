"""Sampling the next token from logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_count, checked_number
from passus.backend import Array
from passus.core import Operand
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import array_of
from passus.random import RNG, get_rng

__all__ = ["Sampler", "most_likely"]

CANDIDATES, GROWTH = 512, 8
"""Initial number of candidates for ``top_p``, and the factor by which it grows until they have enough probability."""


class Sampler:
    """Samples a token for each row of logits (N, V).

    ``temperature``: divides the logits; 0 selects the most likely token. ``top_k``: only the k most likely tokens.
    ``top_p``: of these, only the fewest whose total probability is at least ``top_p``. Ties are broken in favour of lower
    ids. ``rng``: a seed or generator for all draws.

    Raises `ArgumentError` for options out of range, and for logits that are NaN, infinite, or all minus infinity.
    Source of ``top_p``: Holtzman et al., 2020, "The curious case of neural text degeneration".

    >>> Sampler(top_k=2).probabilities(np.array([[0.0, 0.0, -1.0]]))
    array([[0.5, 0.5, 0. ]])
    >>> Sampler(temperature=0)(np.array([[0.0, 2.0, 1.0]]))
    array([1])
    """

    def __init__(
        self, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None, rng: RNG = None
    ) -> None:
        self.temperature = checked_number("generate", "temperature", temperature)
        self.top_k = None if top_k is None else checked_count("generate", "top_k", top_k)
        self.top_p = 1.0 if top_p is None else checked_number("generate", "top_p", top_p, open_low=True)
        if self.top_p > 1:
            raise ArgumentError(f"generate: top_p is {top_p}; it must be at most 1, which allows all tokens")
        self.rng = None if rng is None else get_rng(rng)

    def __call__(self, logits: Operand) -> Array:
        """The sampled tokens (N,)."""
        x = _checked(logits)
        if self.temperature == 0:
            return np.asarray(x.argmax(axis=-1))
        tokens, p = self._candidates(x)
        bounds = np.cumsum(p, axis=-1)
        total = bounds[:, -1:]
        # Strictly below the total, and compared with <=, so that a token of probability 0 is never drawn.
        draws = np.minimum(get_rng(self.rng).random((len(p), 1)) * total, np.nextafter(total, 0.0))
        index = (bounds <= draws).sum(axis=-1)
        return np.asarray(index if tokens is None else tokens[np.arange(len(x)), index])

    def probabilities(self, logits: Operand) -> Array:
        """The sampling probabilities (N, V), in float64."""
        x = _checked(logits)
        if self.temperature == 0:
            return (np.arange(x.shape[1]) == x.argmax(axis=-1)[:, None]).astype(np.float64)
        tokens, p = self._candidates(x)
        if tokens is None:
            return p
        result = np.zeros(x.shape)
        result[_rows(x), tokens] = p
        return result

    def _candidates(self, x: Array) -> tuple[Array | None, Array]:
        """The candidate tokens (N, K), sorted by id, or None for all tokens, and their probabilities."""
        top = x.max(axis=-1, keepdims=True).astype(np.float64)

        def likelihood(logits: Array) -> Array:
            with np.errstate(
                over="ignore"
            ):  # At a low temperature, logits far below the maximum become minus infinity.
                return np.asarray(np.exp((logits - top) / self.temperature))

        if self.top_k is None and self.top_p == 1:
            p = likelihood(x)
            return None, p / p.sum(axis=-1, keepdims=True)
        rows = _rows(x)
        count = CANDIDATES if self.top_k is None else self.top_k
        total = likelihood(x).sum(axis=-1, keepdims=True) if self.top_k is None else None
        while True:
            tokens = most_likely(x, count)
            p = likelihood(x[rows, tokens])
            p = p / (p.sum(axis=-1, keepdims=True) if total is None else total)
            sums = np.cumsum(p, axis=-1)
            if total is None or count >= x.shape[1] or (sums[:, -1] >= self.top_p).all():
                break
            count *= GROWTH
        p = np.where(sums - p < self.top_p, p, 0.0)  # Drop tokens whose predecessors already have top_p in total.
        order = np.argsort(tokens, axis=-1)
        return tokens[rows, order], p[rows, order] / p.sum(axis=-1, keepdims=True)


def most_likely(x: Array, count: int) -> Array:
    """The ids (N, K) of the largest logits of each row, in descending order; ties are broken in favour of lower ids.

    >>> most_likely(np.array([[1.0, 3.0, 1.0, 2.0]]), 3)
    array([[1, 3, 0]])
    """
    N, V = x.shape
    if count >= V:
        return np.asarray(np.argsort(-x, axis=-1, kind="stable"))
    threshold = np.partition(x, V - count, axis=-1)[:, V - count, None]
    selected = x >= threshold
    if np.count_nonzero(selected) > N * count:  # Several logits equal the smallest selected one.
        equal = x == threshold
        room = count - (selected & ~equal).sum(axis=-1, keepdims=True)
        selected &= ~equal | (equal.cumsum(axis=-1) <= room)
    tokens = np.nonzero(selected)[1].reshape(N, count)
    rows = _rows(x)
    return np.asarray(tokens[rows, np.argsort(-x[rows, tokens], axis=-1, kind="stable")])


def _rows(x: Array) -> Array:
    """The row indices (N, 1)."""
    return np.arange(len(x))[:, None]


def _checked(logits: Any) -> Array:
    x = array_of("generate", logits)
    if x.ndim != 2 or not x.shape[1]:
        raise ShapeError(f"generate: logits {x.shape} must be (N, V)")
    if not np.isfinite(x.max(axis=-1)).all():
        raise ArgumentError(
            "generate: logits contain NaN or infinity, or a row of minus infinity only; check whether the training diverged"
        )
    return x
