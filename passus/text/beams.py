"""Beam search: sequences of high probability, token by token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from passus.arguments import checked_callable, checked_count, checked_integer, checked_number
from passus.backend import Array, backend_of
from passus.config import no_grad
from passus.core import Variable
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of, integers_of
from passus.functions.nn.softmax import log_softmax

__all__ = ["Hypothesis", "beam_search"]


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that a search has found.

    >>> Hypothesis(np.array([3, 1]), score=-0.5, log_prob=-1.0, finished=True).tokens
    array([3, 1])
    """

    tokens: Array
    """What was generated, without the beginning that was given and without the token that ends it."""
    score: float
    """What hypotheses are ranked by: the logarithm of the probability over the penalty for the length."""
    log_prob: float
    """The logarithm of the probability of the tokens and of the end."""
    finished: bool
    """Whether it came to an end, and was not cut off."""


def beam_search(
    step: Callable[[Array, Any], tuple[Any, Any]],
    start: Any,
    *,
    max_length: int,
    end: int | None = None,
    width: int = 4,
    count: int = 1,
    length_penalty: float = 0.0,
    state: Any = None,
    reorder: Callable[[Any, Array], Any] | None = None,
) -> list[list[Hypothesis]]:
    """The ``count`` best continuations of each beginning, best first, by a search that keeps the ``width`` best of each length.

    ``step(ids, state)`` is given all tokens of some rows, integers (R, t), and returns scores (R, V) of the next token, as
    before a softmax, and the new state. ``start``: integers (N, t). ``state``: what the first call is given, for N rows; later
    ones are given rows of what the last one returned. They are picked by ``reorder(state, rows)``; without it, along the
    first axis of all arrays in tuples, lists and dicts. ``end``: the token behind which nothing comes; ``max_length``: how
    many tokens are generated at most.

    A score is ``log_prob / ((5 + length) / 6) ** length_penalty``, length counting the end. With a ``width`` that cuts off
    nothing the search is exact. It stops early when no sequence under way can get among the best.

    Raises `ShapeError` and `DTypeError` for scores that do not fit, `ArgumentError` for NaN among them. Source of the penalty:
    Wu et al., 2016, "Google's neural machine translation system".

    >>> table = np.log([[0.1, 0.5, 0.4], [0.3, 0.3, 0.4], [0.9, 0.05, 0.05]])  # from a token to the next; 0 ends
    >>> (best,) = beam_search(lambda ids, state: (table[ids[:, -1]], state), [[0]], end=0, max_length=5)[0]
    >>> best.tokens, round(float(np.exp(best.log_prob)), 2)
    (array([2]), 0.36)
    """
    name = "beam_search"
    checked_callable(name, "step", step)
    reorder = _rows_of if reorder is None else checked_callable(name, "reorder", reorder)
    ids = integers_of(name, "start", start)
    if ids.ndim != 2:
        raise ShapeError(f"{name}: start {ids.shape} must have the axes (N, t); for one sequence write start[None]")
    width, count = checked_count(name, "width", width), checked_count(name, "count", count)
    max_length = checked_count(name, "max_length", max_length)
    alpha = checked_number(name, "length_penalty", length_penalty)
    end = -1 if end is None else checked_integer(name, "end", end)
    if count > width:
        raise ArgumentError(f"{name}: count is {count}, but only {width} hypotheses are kept; use a larger width")

    N, first = ids.shape
    found: list[list[Hypothesis]] = [[] for _ in range(N)]
    owners, log_probs = np.arange(N), np.zeros(N)  # Of each row: whose beginning it continues, and how probable it is.
    with no_grad():
        for length in range(1, max_length + 1):
            if not len(ids):
                break
            scores, state = _checked_step(step(ids, state), len(ids))
            penalty = ((5 + length) / 6) ** alpha
            rows, tokens, log_probs = _best(owners, log_probs[:, None] + log_softmax(scores, axis=1), width, end)
            owners = owners[rows]
            ids = np.concatenate([ids[rows], tokens[:, None]], axis=1)
            over = (tokens == end) | (length == max_length)
            for i in np.flatnonzero(over):
                finished = bool(tokens[i] == end)
                generated = ids[i, first : first + length - finished].copy()
                found[owners[i]].append(Hypothesis(generated, log_probs[i] / penalty, float(log_probs[i]), finished))
            # The probability only falls, and the penalty only grows.
            bound = log_probs / ((5 + max_length) / 6) ** alpha
            worth = np.array([_could_enter(found[owner], count, b) for owner, b in zip(owners, bound)], bool)
            on = np.flatnonzero(~over & worth)
            state, ids, owners, log_probs = reorder(state, rows[on]), ids[on], owners[on], log_probs[on]
    return [sorted(hypotheses, key=lambda h: -h.score)[:count] for hypotheses in found]


def _best(owners: Array, candidates: Array, width: int, end: int) -> tuple[Array, Array, Array]:
    """The best candidates (R, V) of each owner: the ``width`` best, and as many that do not end as go on."""
    V = candidates.shape[1]
    rows, tokens = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for owner in np.unique(owners):
        own = np.flatnonzero(owners == owner)
        flat = candidates[own].ravel()
        # Of 2 * width candidates at least width do not end, for each row ends in one way only.
        some = np.argpartition(-flat, min(2 * width, flat.size) - 1)[: 2 * width]
        order = some[np.lexsort((some, -flat[some]))]
        order = order[flat[order] > -np.inf]
        ends = order % V == end
        kept = np.where(ends, np.arange(len(order)) < width, np.cumsum(~ends) <= width)
        rows.append(own[order[kept] // V])
        tokens.append(order[kept] % V)
    row, token = np.concatenate(rows), np.concatenate(tokens)
    return row, token, candidates[row, token]


def _could_enter(found: list[Hypothesis], count: int, bound: float) -> bool:
    """Whether a sequence whose score stays below a bound may still be among the best."""
    return len(found) < count or bound > sorted([h.score for h in found], reverse=True)[count - 1]


def _checked_step(returned: Any, rows: int) -> tuple[Array, Any]:
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise DTypeError(f"beam_search: step returned {kind_of(returned)}; it must return a pair, (scores, state)")
    given = array_of("beam_search", returned[0])
    scores = backend_of(given).to_numpy(given)
    if scores.ndim != 2 or len(scores) != rows or not scores.shape[1]:
        raise ShapeError(
            f"beam_search: step returned scores {scores.shape} for {rows} rows; it must return ({rows}, V), those of the next "
            "token alone, as in logits[:, -1]"
        )
    scores = scores.astype(np.float64)
    if np.isnan(scores).any():
        raise ArgumentError("beam_search: step returned NaN, so no token is the best; look for NaN in the model")
    return scores, returned[1]


def _rows_of(state: Any, rows: Array) -> Any:
    """Rows of all arrays in a state."""
    if isinstance(state, dict):
        return {name: _rows_of(part, rows) for name, part in state.items()}
    if isinstance(state, (tuple, list)):
        parts = [_rows_of(part, rows) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    if isinstance(state, Variable) or hasattr(state, "__array__"):
        return state[rows]
    if state is None or isinstance(state, (bool, int, float, str)):
        return state
    raise DTypeError(
        f"beam_search: rows of {kind_of(state)} cannot be picked; pass reorder=, which is given state and rows"
    )
