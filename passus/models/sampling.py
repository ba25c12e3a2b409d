"""The choice of the next token from logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_count, checked_number
from passus.backend import Array
from passus.core import Operand
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import array_of
from passus.random import RNG, get_rng

__all__ = ["Sampler"]


class Sampler:
    """Draws a token for each row of logits (N, V).

    ``temperature``: divides the logits; 0 takes the most likely token. ``top_k``: only the k most likely tokens.
    ``top_p``: of these, only the fewest whose probabilities add up to ``top_p`` or more. Of equally likely tokens, those
    with lower numbers come first. ``rng``: what is drawn with; a seed means one sequence of draws.

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
            raise ArgumentError(f"generate: top_p is {top_p}; it must be at most 1, which keeps all tokens")
        self.rng = None if rng is None else get_rng(rng)

    def __call__(self, logits: Operand) -> Array:
        """The tokens drawn (N,)."""
        if self.temperature == 0:
            return np.asarray(_checked(logits).argmax(axis=-1))
        p = self.probabilities(logits)
        bounds = np.cumsum(p, axis=-1)
        total = bounds[:, -1:]
        # A bound is passed only if the draw lies at it or above, so that a token of probability 0 is never drawn.
        draws = np.minimum(get_rng(self.rng).random((len(p), 1)) * total, np.nextafter(total, 0.0))
        return np.asarray((bounds <= draws).sum(axis=-1))

    def probabilities(self, logits: Operand) -> Array:
        """The probabilities (N, V) with which tokens are drawn, in float64."""
        x = _checked(logits).astype(np.float64)
        if self.temperature == 0:
            return (np.arange(x.shape[1]) == x.argmax(axis=-1)[:, None]).astype(np.float64)
        with np.errstate(over="ignore"):  # A low temperature makes minus infinity of what is far below the top.
            p = np.exp((x - x.max(axis=-1, keepdims=True)) / self.temperature)
        if self.top_k is None and self.top_p == 1:
            return np.asarray(p / p.sum(axis=-1, keepdims=True))
        order = np.argsort(-x, axis=-1, kind="stable")[:, : self.top_k]
        kept = np.take_along_axis(p, order, axis=-1)
        kept = kept / kept.sum(axis=-1, keepdims=True)
        before = np.cumsum(kept, axis=-1) - kept  # Tokens are kept until those before them add up to top_p.
        kept = np.where(before < self.top_p, kept, 0.0)
        result = np.zeros(p.shape)
        np.put_along_axis(result, order, kept / kept.sum(axis=-1, keepdims=True), axis=-1)
        return result


def _checked(logits: Any) -> Array:
    x = array_of("generate", logits)
    if x.ndim != 2 or not x.shape[1]:
        raise ShapeError(f"generate: logits {x.shape} must be (N, V)")
    if not np.isfinite(x.max(axis=-1)).all():
        raise ArgumentError(
            "generate: logits hold NaN or infinity, or all of a row are minus infinity; has the training diverged?"
        )
    return x
