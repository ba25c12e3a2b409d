import itertools

import numpy as np
from scipy import special

from tests.table import Row, bad, case, normal
from tests.table.nn.losses import reduced

LENGTHS = np.array([4, 3, 2]), np.array([2, 1, 0])
T = np.array([[1, 2], [2, -7], [0, 9]])
"""Labels, with arbitrary numbers after their end."""


def ctc_loss(x, t, input_lengths=None, target_lengths=None, blank=0, reduction="mean", zero_infinity=False):
    """The loss by enumeration of all alignments."""
    N, frames, C = x.shape
    input_lengths = [frames] * N if input_lengths is None else input_lengths
    target_lengths = [t.shape[1]] * N if target_lengths is None else target_lengths
    losses = np.zeros(N)
    for n, (length, count) in enumerate(zip(input_lengths, target_lengths)):
        log_p = special.log_softmax(x[n, :length], axis=1) if length else x[n, :0]
        scores = [
            sum(log_p[k, c] for k, c in enumerate(path))
            for path in itertools.product(range(C), repeat=length)
            if [c for c, _ in itertools.groupby(path) if c != blank] == list(t[n, :count])
        ]
        losses[n] = -special.logsumexp(scores) if scores else 0.0
    if reduction == "mean":
        return (losses / np.maximum(target_lengths, 1)).mean()
    return reduced(losses, reduction)


X, LABELS = np.ones((3, 4, 3)), np.array([[1, 2], [2, 1], [1, 1]])
ROWS = [
    Row(
        "ctc_loss",
        ctc_loss,
        {
            "plain": case(normal(3, 4, 3), LABELS),
            "plain, sum": case(normal(3, 4, 3), LABELS, reduction="sum"),
            "plain, of each example": case(normal(3, 4, 3), LABELS, reduction="none"),
            "plain, one frame": case(normal(2, 1, 3), LABELS[:2, :1]),
            "plain, no labels": case(normal(2, 3, 3), np.zeros((2, 0), int)),
            "plain, one class and the blank": case(normal(2, 4, 2), np.ones((2, 2), int)),
            "plain, lengths": case(normal(3, 4, 3), T, *LENGTHS, reduction="none"),
            "plain, an input without frames": case(normal(2, 3, 3), T[1:], np.array([3, 0]), np.array([1, 0])),
            "plain, another blank": case(normal(3, 4, 3), LABELS - 1, blank=2, reduction="none"),
            "plain, a target that is too long": case(normal(3, 2, 3), LABELS, reduction="none", zero_infinity=True),
            "empty": case(np.zeros((0, 4, 3)), np.zeros((0, 2), int), reduction="none"),
            "empty, no frames": case(np.zeros((2, 0, 3)), np.zeros((2, 0), int)),
        },
        (
            bad(ValueError, r"ctc_loss: x \(4, 3\) and t \(3, 2\) must have the shapes \(N, T, C\)", X[0], LABELS),
            bad(ValueError, r"ctc_loss: x \(3, 4, 3\) and t \(2, 2\) must", X, LABELS[:2]),
            bad(ValueError, r"ctc_loss: x \(3, 4, 3\) and t \(6,\) must", X, LABELS.ravel()),
            bad(TypeError, "ctc_loss: label values must be integers, not float64", X, 1.0 * LABELS),
            bad(IndexError, "ctc_loss: label 3 is out of range", X, LABELS + 1),
            bad(IndexError, "ctc_loss: the target of example 0 has the label 0, which is the blank", X, LABELS - 1),
            bad(IndexError, "ctc_loss: blank 3 is out of range: the 3 classes", X, LABELS, blank=3),
            bad(IndexError, "ctc_loss: blank -1 is out of range", X, LABELS, blank=-1),
            bad(ValueError, "ctc_loss: input_lengths must lie between 0 and 4, not 1 to 5", X, LABELS, [1, 2, 5]),
            bad(ValueError, r"ctc_loss: target_lengths \(2,\) must hold", X, LABELS, None, [1, 2]),
            bad(TypeError, "ctc_loss: target_lengths must be integers", X, LABELS, None, [1.0, 2.0, 1.0]),
            bad(
                ValueError,
                "ctc_loss: targets are too long for their inputs in the examples 0, 2: example 0 has 2 labels and 0 "
                "repetitions, so it needs 2 frames, not 1",
                X,
                LABELS,
                [1, 2, 2],
            ),
            bad(ValueError, "ctc_loss: the mean over an empty batch", X[:0], LABELS[:0]),
            bad(ValueError, "ctc_loss: reduction must be", X, LABELS, reduction="batchmean"),
            bad(TypeError, "ctc_loss: zero_infinity is", X, LABELS, zero_infinity=2),
        ),
        {
            "0-d": "it needs the axes (N, T, C)",
            "broadcast": "mismatched shapes raise",
            "negative axis": "it has no axis",
        },
        rtol=1e-10,
        atol=1e-10,
        integer_arguments=(0,),
    ),
]
