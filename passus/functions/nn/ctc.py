"""Connectionist temporal classification: the loss of label sequences that are not aligned with their frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from passus.arguments import checked_flag, checked_integer
from passus.backend import Array, backend_of, invalid, truth
from passus.core import HALF, INTEGERS, Function, Operand, Result
from passus.core.replay import replayed
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError
from passus.functions.checks import array_of, check_labels, check_reduction, integers_of
from passus.functions.nn.softmax import log_softmax
from passus.functions.nn.weighting import weighted
from passus.kernels.elementwise import masked
from passus.kernels.scatter import scatter_add

__all__ = ["CTCLoss", "ctc_loss"]

IMPOSSIBLE = -1e30
"""The logarithm of probability 0. It is finite, because the difference of two infinities is NaN."""


@dataclass(frozen=True)
class Paths:
    """The states of each target, ``blank, t[0], blank, t[1], ..., blank``, and the transitions between them.

    N examples, T frames, S states. Log-probabilities of transitions are 0 or `IMPOSSIBLE`.
    """

    classes: Array
    """The class that each state emits, (N, S)."""
    live: Array
    """Whether each frame is part of its example, (N, T)."""
    exists: Array
    """Whether each state is part of its target, (N, S)."""
    jumps: Array
    """Log-probability of the transition over a blank, from two states before, (N, S)."""
    starts: Array
    """Log-probability of starting in each state, (N, S)."""
    ends: Array
    """Log-probability of ending in each state, (N, S)."""
    last: Array
    """The index of the last frame of each example, (N,); -1 without frames."""
    fits: Array
    """Whether each example has enough frames for its target, (N,)."""


def paths_of(t: Array, input_lengths: Array, target_lengths: Array, fits: Array, frames: int, blank: int) -> Paths:
    """The states of targets ``t`` (N, L).

    >>> paths_of(np.array([[1, 1]]), np.array([4]), np.array([2]), np.array([True]), 4, 0).classes
    array([[0, 1, 0, 1, 0]])
    """
    xp, (N, L) = backend_of(t, input_lengths, target_lengths).xp, t.shape
    state = xp.arange(2 * L + 1)
    exists = state < 2 * target_lengths[:, None] + 1
    labels = xp.where(xp.arange(L) < target_lengths[:, None], t, blank)
    blanks = xp.full((N, L + 1), blank, labels.dtype)
    classes = xp.concatenate([xp.stack([blanks[:, :L], labels], axis=2).reshape(N, 2 * L), blanks[:, L:]], axis=1)
    before = xp.concatenate([classes[:, :2], classes[:, :-2]], axis=1)[:, : len(state)]
    differs = (classes != before) & (state > 1)  # Two blanks are equal, too.

    def cost(allowed: Array) -> Array:
        return xp.where(allowed, 0.0, IMPOSSIBLE).astype(np.float32)  # Sums with float64 are float64.

    return Paths(
        classes,
        xp.arange(frames) < input_lengths[:, None],
        exists,
        cost(differs),
        cost(xp.broadcast_to(state < 2, exists.shape)),
        cost(exists & (state >= 2 * target_lengths[:, None] - 1)),
        input_lengths - 1,
        fits,
    )


class CTCLoss(Function):
    """The loss of each example. The gradient follows from the probability of each state in each frame."""

    public_name = "ctc_loss"
    upcast_dtypes = HALF + INTEGERS
    # Used by ordinary backward passes only; recorded passes start from x.
    constants = ("log_p", "emitted", "alphas", "factor")

    def __init__(self, paths: Paths, zero_infinity: bool) -> None:
        self.paths, self.zero_infinity = paths, zero_infinity

    def forward(self, x: Array) -> Array:
        losses, self.log_p, self.emitted, self.alphas = self._losses(x)
        possible = self.paths.fits & ~(losses > -IMPOSSIBLE / 10)
        self.factor = self.xp.where(possible, 1.0, 0.0 if self.zero_infinity else np.nan).astype(x.dtype)
        return self.xp.where(possible, losses, 0.0 if self.zero_infinity else np.inf).astype(x.dtype)

    def backward(self, gy: Any) -> Any:
        counts = self.factor != 0
        gy = masked(gy, counts) * self.factor
        if self.recording:
            return replayed(lambda x: self._losses(x)[:1], self.operands, [gy], True)[0]
        (N, T, C), S = self.log_p.shape, self.emitted.shape[-1]
        if not T:
            return self.log_p.copy()
        xp = self.xp
        # Up to a factor per frame, the probability of all paths through each state.
        joint = xp.stack(self.alphas) + self._backward_variables() - self.emitted
        joint = xp.exp(joint - joint.max(axis=2, keepdims=True))
        posterior = joint / joint.sum(axis=2, keepdims=True)
        of_state = xp.moveaxis(posterior, 0, 2).reshape(N * S, T)
        rows = (self.paths.classes + C * xp.arange(N)[:, None]).reshape(-1)
        of_class = xp.moveaxis(scatter_add((N * C, T), rows, of_state).reshape(N, C, T), 1, 2)
        live = self.paths.live & counts[:, None]
        return masked((xp.exp(self.log_p) - of_class) * gy[:, None, None], live[:, :, None])

    def _losses(self, x: Any) -> tuple[Any, Any, Any, list[Any]]:
        """The losses (N,), ``log_softmax(x)``, the log-probabilities of the states (T, N, S), and the forward
        variables.

        For a Variable, the losses are one.
        """
        xp, paths = self.xp, self.paths
        if truth(~paths.live.all(), True):
            x = masked(x, paths.live[:, :, None])  # The padding may contain any number.
        log_p = log_softmax(x, axis=2)
        if not x.shape[1]:
            return log_p.sum(axis=(1, 2)), log_p, np.empty((0, *paths.classes.shape)), []
        picked = xp.take_along_axis(
            log_p, xp.broadcast_to(paths.classes[:, None], (*x.shape[:2], paths.classes.shape[1])), 2
        )
        emitted = xp.where(paths.live[:, :, None] & paths.exists[:, None], xp.maximum(picked, IMPOSSIBLE), IMPOSSIBLE)
        emitted = xp.moveaxis(emitted.astype(log_p.dtype), 1, 0)
        alphas, tops = self._forward_variables(emitted)
        in_last = xp.stack(alphas)[paths.last, xp.arange(len(paths.last))]
        ends = in_last + paths.ends
        top = ends.max(axis=1, keepdims=True)
        score = (
            xp.log(xp.exp(ends - top).sum(axis=1)) + top[:, 0] + masked(xp.stack(tops, axis=1), paths.live).sum(axis=1)
        )
        return masked(-score, paths.fits & (paths.last >= 0)), log_p, emitted, alphas

    def _forward_variables(self, emitted: Any) -> tuple[list[Any], list[Any]]:
        """For each frame, the log-probabilities of all paths that end in a state (N, S) minus their maximum, and the
        maximum.
        """
        xp, edge = self.xp, np.full((emitted.shape[1], 2), IMPOSSIBLE, emitted.dtype)
        alphas: list[Any] = []
        tops: list[Any] = []
        for t in range(len(emitted)):
            if t:
                before = xp.concatenate([edge, alphas[-1]], axis=1)
                arrived = merged(xp, before[:, 2:], before[:, 1:-1], before[:, :-2] + self.paths.jumps)
            else:
                arrived = self.paths.starts
            score = arrived + emitted[t]
            tops.append(score.max(axis=1))
            alphas.append(score - tops[-1][:, None])
        return alphas, tops

    def _backward_variables(self) -> Array:
        """The log-probabilities of all paths that start in a state, up to a term per frame, (T, N, S)."""
        xp, paths = self.xp, self.paths
        edge = np.full((len(paths.last), 2), IMPOSSIBLE, self.emitted.dtype)
        jumps = xp.concatenate([paths.jumps, edge], axis=1)[:, 2:]
        betas, after = [], xp.full_like(paths.ends, IMPOSSIBLE)
        for t in range(len(self.emitted))[::-1]:
            padded = xp.concatenate([after, edge], axis=1)
            arrived = merged(xp, after, padded[:, 1:-1], padded[:, 2:] + jumps)
            score = xp.where((paths.last == t)[:, None], paths.ends, arrived) + self.emitted[t]
            after = score - score.max(axis=1)[:, None]
            betas.append(after)
        return xp.stack(betas[::-1])


def merged(xp: Any, a: Any, b: Any, c: Any) -> Any:
    """``log(exp(a) + exp(b) + exp(c))`` of arrays or Variables.

    >>> merged(np, np.array(0.0), np.array(1000.0), np.array(1000.0))
    np.float64(1000.6931471805599)
    """
    top = xp.maximum(xp.maximum(a, b), c)
    return top + xp.log(xp.exp(a - top) + xp.exp(b - top) + xp.exp(c - top))


def ctc_loss(
    x: Operand,
    t: Operand,
    input_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Result:
    """The negative log-probability of label sequences, summed over all alignments with the frames.

    An alignment has one class per frame; merging equal neighbours and then removing blanks gives the labels. ``x``:
    scores (N, T, C), to which the loss applies a log-softmax (log-probabilities are unchanged by it); ``t``: integers
    (N, L) with any padding; ``input_lengths``, ``target_lengths``: (N,), the number of frames and labels of each
    example, T and L by default; ``blank``: the class of no label. The mean first divides each loss by its
    number of labels, as PyTorch does.

    A target needs one frame per label, and one more between equal neighbours. Examples with fewer frames raise
    `ArgumentError`; with ``zero_infinity``, they and targets of probability 0 have loss and gradient 0. Raises
    `LabelError` for a label out of range or equal to ``blank``, `ShapeError` for shapes that do not fit. Source: Graves
    et al., 2006, "Connectionist temporal classification".

    >>> ctc_loss(np.zeros((1, 2, 3)), np.array([[1]]), reduction="sum")  # 11, 01 and 10, of 9
    array(1.09861229)
    """
    name = "ctc_loss"
    scores, labels = array_of(name, x), array_of(name, t)
    if scores.ndim != 3 or labels.ndim != 2 or len(labels) != len(scores):
        raise ShapeError(f"{name}: x {scores.shape} and t {labels.shape} must have the shapes (N, T, C) and (N, L)")
    N, T, C = scores.shape
    blank, zero_infinity = checked_integer(name, "blank", blank), checked_flag(name, "zero_infinity", zero_infinity)
    if not 0 <= blank < C:
        raise LabelError(f"{name}: blank {blank} is out of range: the {C} classes are 0 to {C - 1}")
    frames = _lengths(name, "input_lengths", input_lengths, N, T)
    counts = _lengths(name, "target_lengths", target_lengths, N, labels.shape[1])
    if labels.dtype.kind not in "iu":
        raise DTypeError(
            f"{name}: label values must be integers, not {labels.dtype}; convert them with astype(np.int64)"
        )
    xp = backend_of(scores, labels, frames, counts).xp
    labels = check_labels(name, xp.where(xp.arange(labels.shape[1]) < counts[:, None], labels, 0), C)
    fits = _has_enough_frames(name, labels, frames, counts, blank, zero_infinity)
    check_reduction(name, reduction, N)
    losses = CTCLoss(paths_of(labels, frames, counts, fits, T, blank), zero_infinity)(x)
    weights = (1 / xp.maximum(counts, 1)).astype(losses.dtype) if reduction == "mean" else None
    return weighted(losses, weights, reduction, N)


def _lengths(name: str, argument: str, lengths: Any, count: int, longest: int) -> Array:
    if lengths is None:
        return np.full(count, longest)
    values = integers_of(name, argument, lengths)
    if values.shape != (count,):
        raise ShapeError(f"{name}: {argument} {values.shape} must hold one number for each of the {count} examples")
    rule = ArgumentError, f"{name}: {argument} must lie between 0 and {longest}"
    if values.size and (invalid(values.min() < 0, *rule) or invalid(values.max() > longest, *rule)):
        raise ArgumentError(
            f"{name}: {argument} must lie between 0 and {longest}, not {values.min()} to {values.max()}"
        )
    return values


def _has_enough_frames(name: str, t: Array, frames: Array, counts: Array, blank: int, zero_infinity: bool) -> Array:
    """Whether each input has enough frames for its target."""
    exists = backend_of(t, counts).xp.arange(t.shape[1]) < counts[:, None]
    if invalid(
        (exists & (t == blank)).any(), LabelError, f"{name}: a target has the label {blank}, which is the blank"
    ):
        n = int((exists & (t == blank)).any(axis=1).argmax())
        raise LabelError(
            f"{name}: the target of example {n} has the label {blank}, which is the blank; pass another blank"
        )
    repeats = (exists[:, 1:] & (t[:, 1:] == t[:, :-1])).sum(axis=1)
    fits = frames >= counts + repeats
    if not zero_infinity and invalid(~fits.all(), ArgumentError, f"{name}: a target is too long for its input"):
        (wrong,) = np.nonzero(~fits)
        n = wrong[0]
        names = ", ".join(map(str, wrong[:10])) + (", ..." if wrong.size > 10 else "")
        raise ArgumentError(
            f"{name}: targets are too long for their inputs in the examples {names}: example {n} has {counts[n]} labels and "
            f"{repeats[n]} repetitions, so it needs {counts[n] + repeats[n]} frames, not {frames[n]}. Leave such examples "
            "out, or pass zero_infinity=True to give them the loss 0"
        )
    return fits
