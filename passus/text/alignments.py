"""Decoding of networks trained with `passus.functions.ctc_loss`."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_count, checked_integer
from passus.backend import Array, backend_of
from passus.errors import ArgumentError, LabelError, ShapeError
from passus.functions.checks import array_of, integers_of
from passus.functions.nn.softmax import log_softmax
from passus.text.beams import Hypothesis

__all__ = ["ctc_beam_search", "ctc_greedy"]


def ctc_greedy(x: Any, lengths: Any = None, *, blank: int = 0) -> list[Array]:
    """The labels of the most probable alignment: the best class of each frame, repeats merged and blanks removed.

    ``x``: scores (N, T, C), as in `passus.functions.ctc_loss`; ``lengths``: (N,), the number of valid frames. Returns one
    array of labels per example.

    Raises `ShapeError` for scores or lengths of another shape, `ArgumentError` for lengths out of range and NaN,
    `LabelError` for a blank out of range.

    >>> x = np.log([[[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.4, 0.6]]])
    >>> ctc_greedy(x)
    [array([1, 1])]
    """
    scores, lengths = _checked("ctc_greedy", x, lengths, blank)
    best = scores.argmax(axis=2) if scores.size else np.zeros(scores.shape[:2], int)
    labels = []
    for row, length in zip(best, lengths.tolist()):
        merged = row[:length][np.flatnonzero(np.diff(row[:length], prepend=-1))]
        labels.append(merged[merged != blank])
    return labels


def ctc_beam_search(
    x: Any, lengths: Any = None, *, width: int = 10, count: int = 1, blank: int = 0
) -> list[list[Hypothesis]]:
    """The ``count`` most probable labellings of each example, best first; probabilities are summed over alignments.

    ``width``: number of prefixes retained after each frame; the search is exact if no prefix is dropped. The other
    arguments are those of `ctc_greedy`. Source: Hannun et al., 2014, "First-pass large vocabulary continuous speech
    recognition using bi-directional recurrent DNNs".

    >>> x = np.log([[[0.6, 0.4], [0.6, 0.4]]])
    >>> (best,) = ctc_beam_search(x)[0]
    >>> best.tokens, round(float(np.exp(best.log_prob)), 2), ctc_greedy(x)  # 11, 10 and 01 together are more than 00
    (array([1]), 0.64, [array([], dtype=int64)])
    """
    scores, lengths = _checked("ctc_beam_search", x, lengths, blank)
    width = checked_count("ctc_beam_search", "width", width)
    count = checked_count("ctc_beam_search", "count", count)
    if count > width:
        raise ArgumentError(f"ctc_beam_search: count={count} exceeds width={width}; use a larger width")
    log_p = log_softmax(scores.astype(np.float64), axis=2)
    return [_search(rows[:length], width, blank)[:count] for rows, length in zip(log_p, lengths.tolist())]


def _search(log_p: Array, width: int, blank: int) -> list[Hypothesis]:
    """The best labellings of the frames ``log_p`` (T, C)."""
    prefixes: list[tuple[int, ...]] = [()]
    ends_blank, ends_label = np.zeros(1), np.full(1, -np.inf)
    for frame in log_p:
        total = np.logaddexp(ends_blank, ends_label)
        last = np.array([prefix[-1] if prefix else -1 for prefix in prefixes])
        has_last = last >= 0
        # A prefix is extended by any label after a blank, but after a label only by a different one: repeats are merged.
        longer = total[:, None] + frame
        longer[:, blank] = -np.inf
        longer[has_last, last[has_last]] = ends_blank[has_last] + frame[last[has_last]]
        ends_blank = total + frame[blank]
        ends_label = np.where(has_last, ends_label + frame[last], -np.inf)
        index = {prefix: i for i, prefix in enumerate(prefixes)}
        for i, prefix in enumerate(prefixes):
            shorter = index.get(prefix[:-1]) if prefix else None
            if shorter is not None:
                ends_label[i] = np.logaddexp(ends_label[i], longer[shorter, prefix[-1]])
                longer[shorter, prefix[-1]] = -np.inf
        candidates = np.concatenate([np.logaddexp(ends_blank, ends_label), longer.ravel()])
        best = np.argsort(-candidates, kind="stable")[:width]
        best = best[(candidates[best] > -np.inf) | (np.arange(len(best)) == 0)]
        same, new = best[best < len(prefixes)], np.divmod(best[best >= len(prefixes)] - len(prefixes), len(frame))
        ends_blank = np.concatenate([ends_blank[same], np.full(len(new[0]), -np.inf)])
        ends_label = np.concatenate([ends_label[same], longer[new]])
        rows, labels = new[0].tolist(), new[1].tolist()
        prefixes = [prefixes[i] for i in same] + [(*prefixes[i], c) for i, c in zip(rows, labels)]
    total = np.logaddexp(ends_blank, ends_label)
    return [
        Hypothesis(np.array(prefixes[i], np.int64), float(total[i]), float(total[i]), True)
        for i in np.argsort(-total, kind="stable")
    ]


def _checked(name: str, x: Any, lengths: Any, blank: int) -> tuple[Array, Array]:
    array = array_of(name, x)
    scores = backend_of(array).to_numpy(array)
    if scores.ndim != 3:
        raise ShapeError(f"{name}: x {scores.shape} must have the axes (N, T, C); for one example write x[None]")
    N, T, C = scores.shape
    if not 0 <= checked_integer(name, "blank", blank) < C:
        raise LabelError(f"{name}: blank {blank} is out of range: the {C} classes are 0 to {C - 1}")
    if np.isnan(scores).any():
        raise ArgumentError(f"{name}: x contains NaN; check the outputs of the model")
    frames = np.full(N, T) if lengths is None else integers_of(name, "lengths", lengths)
    if frames.shape != (N,):
        raise ShapeError(f"{name}: lengths has shape {frames.shape}; give one length for each of the {N} examples")
    if frames.size and not 0 <= frames.min() <= frames.max() <= T:
        raise ArgumentError(f"{name}: lengths must lie between 0 and {T}, not {frames.min()} to {frames.max()}")
    return scores, frames
