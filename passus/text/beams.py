"""Beam search: the most probable continuations of sequences, token by token."""

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

REORDER = (
    "pass reorder=, a function of (state, rows). For the state (layers, R, H) of stacked layers, it returns state[:, rows]; for "
    "an LSTM, tuple(s[:, rows] for s in state)"
)


@dataclass(frozen=True)
class Hypothesis:
    """A sequence found by a search.

    >>> Hypothesis(np.array([3, 1]), score=-0.5, log_prob=-1.0, finished=True).tokens
    array([3, 1])
    """

    tokens: Array
    """The generated tokens, without the prompt and the end token."""
    score: float
    """The ranking criterion: ``log_prob`` divided by the length penalty."""
    log_prob: float
    """The log-probability of the tokens, including the end token."""
    finished: bool
    """Whether the sequence ended with the end token; otherwise it reached the maximum length."""


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
    """The ``count`` best continuations of each prompt, best first; the ``width`` best candidates of each length are retained.

    ``step(ids, state)`` takes all tokens of R rows, integers (R, t), and returns the logits (R, V) of the next token with
    the new state. ``start``: the prompts, integers (N, t). ``state``: the state of the first call, for N rows; later calls
    get rows of the last returned state, selected by ``reorder(state, rows)``, by default along the first axis of all arrays
    in tuples, lists and dicts. The state (layers, R, H) of stacked recurrent layers needs a ``reorder``, such as
    ``lambda state, rows: state[:, rows]``. ``end``: the token that ends a sequence; ``max_length``: maximum number of
    generated tokens.

    A score is ``log_prob / ((5 + length) / 6) ** length_penalty``, where length includes the end token. The search is exact
    if ``width`` drops no candidate. It stops once no open sequence can enter the ``count`` best.

    Raises `ShapeError` and `DTypeError` for invalid scores and for a state whose rows cannot be selected, `ArgumentError`
    for NaN. Source of the penalty: Wu et al., 2016, "Google's neural machine translation system".

    >>> table = np.log([[0.1, 0.5, 0.4], [0.3, 0.3, 0.4], [0.9, 0.05, 0.05]])  # from a token to the next; 0 ends
    >>> (best,) = beam_search(lambda ids, state: (table[ids[:, -1]], state), [[0]], end=0, max_length=5)[0]
    >>> best.tokens, round(float(np.exp(best.log_prob)), 2)
    (array([2]), 0.36)
    """
    name = "beam_search"
    checked_callable(name, "step", step)
    if reorder is not None:
        checked_callable(name, "reorder", reorder)
    ids = integers_of(name, "start", start)
    if ids.ndim != 2:
        raise ShapeError(f"{name}: start {ids.shape} must have the axes (N, t); for one sequence write start[None]")
    width, count = checked_count(name, "width", width), checked_count(name, "count", count)
    max_length = checked_count(name, "max_length", max_length)
    alpha = checked_number(name, "length_penalty", length_penalty)
    end = -1 if end is None else checked_integer(name, "end", end)
    if count > width:
        raise ArgumentError(f"{name}: count={count} exceeds width={width}; use a larger width")

    N, start_length = ids.shape
    finished: list[list[Hypothesis]] = [[] for _ in range(N)]
    prompts, log_probs = np.arange(N), np.zeros(N)  # Of each row: the index of its prompt, and its log-probability.
    with no_grad():
        for length in range(1, max_length + 1):
            if not len(ids):
                break
            scores, state = _checked_step(_call(step, ids, state, reorder is None), len(ids))
            penalty = ((5 + length) / 6) ** alpha
            rows, tokens, log_probs = _best(prompts, log_probs[:, None] + log_softmax(scores, axis=1), width, end)
            prompts = prompts[rows]
            ids = np.concatenate([ids[rows], tokens[:, None]], axis=1)
            closed = (tokens == end) | (length == max_length)
            for i in np.flatnonzero(closed):
                ended = bool(tokens[i] == end)
                generated = ids[i, start_length : start_length + length - ended].copy()
                hypothesis = Hypothesis(generated, log_probs[i] / penalty, float(log_probs[i]), ended)
                finished[prompts[i]].append(hypothesis)
            # An upper bound of the final score: the log-probability only decreases, and the penalty only increases.
            bound = log_probs / ((5 + max_length) / 6) ** alpha
            viable = np.array([_can_still_rank(finished[i], count, b) for i, b in zip(prompts, bound)], bool)
            active = np.flatnonzero(~closed & viable)
            chosen = rows[active]
            state = _rows_of(state, chosen, len(scores)) if reorder is None else reorder(state, chosen)
            ids = ids[active]
            prompts, log_probs = prompts[active], log_probs[active]
    return [sorted(hypotheses, key=lambda h: -h.score)[:count] for hypotheses in finished]


def _best(prompts: Array, candidates: Array, width: int, end: int) -> tuple[Array, Array, Array]:
    """The best of the candidates (R, V) of each prompt: ends among the ``width`` best, and ``width`` that continue."""
    V = candidates.shape[1]
    rows, tokens = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for prompt in np.unique(prompts):
        own = np.flatnonzero(prompts == prompt)
        flat = candidates[own].ravel()
        # At least width of the 2 * width best continue, because each row has only one end token.
        top = np.argpartition(-flat, min(2 * width, flat.size) - 1)[: 2 * width]
        order = top[np.lexsort((top, -flat[top]))]
        order = order[flat[order] > -np.inf]
        ends = order % V == end
        selected = np.where(ends, np.arange(len(order)) < width, np.cumsum(~ends) <= width)
        rows.append(own[order[selected] // V])
        tokens.append(order[selected] % V)
    row, token = np.concatenate(rows), np.concatenate(tokens)
    return row, token, candidates[row, token]


def _can_still_rank(finished: list[Hypothesis], count: int, bound: float) -> bool:
    """Whether a sequence whose final score is at most ``bound`` can still be among the ``count`` best."""
    return len(finished) < count or bound > sorted([h.score for h in finished], reverse=True)[count - 1]


def _call(step: Callable[[Array, Any], Any], ids: Array, state: Any, by_first_axis: bool) -> Any:
    """Call ``step``. If it rejects the shape of a state whose rows were selected along the first axis, the error says so."""
    try:
        return step(ids, state)
    except ShapeError as error:
        if state is not None and by_first_axis:
            error.add_note(
                f"beam_search selects rows of the state along its first axis. If that is another one, {REORDER}"
            )
        raise


def _checked_step(returned: Any, rows: int) -> tuple[Array, Any]:
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise DTypeError(f"beam_search: step returned {kind_of(returned)}; it must return a pair, (scores, state)")
    array = array_of("beam_search", returned[0])
    scores = backend_of(array).to_numpy(array)
    if scores.ndim != 2 or len(scores) != rows or not scores.shape[1]:
        raise ShapeError(
            f"beam_search: step returned scores {scores.shape} for {rows} rows; it must return ({rows}, V), the scores of the "
            "next token, as in logits[:, -1]"
        )
    scores = scores.astype(np.float64)
    if np.isnan(scores).any():
        raise ArgumentError("beam_search: step returned NaN; check the outputs of the model")
    return scores, returned[1]


def _rows_of(state: Any, rows: Array, count: int) -> Any:
    """Select rows of all arrays in a state, which have ``count`` rows. Raises `ShapeError` for any other number."""
    if isinstance(state, dict):
        return {name: _rows_of(child, rows, count) for name, child in state.items()}
    if isinstance(state, (tuple, list)):
        children = [_rows_of(child, rows, count) for child in state]
        return type(state)(*children) if hasattr(state, "_fields") else type(state)(children)
    shape = getattr(state, "shape", None)
    if shape and (isinstance(state, Variable) or hasattr(state, "__array__")):
        if shape[0] != count:
            raise ShapeError(
                f"beam_search: an array {shape} in the state must have {count} rows on its first axis; {REORDER}"
            )
        return state[rows]
    if shape == () or state is None or isinstance(state, (bool, int, float, str)):
        return state
    raise DTypeError(f"beam_search: cannot select rows of {kind_of(state)}; pass reorder=, a function of (state, rows)")
