import numpy as np

from tests.table import Row, bad, case, integers, normal

LABELS = np.array([2, 0, 1, 2, 1])

ROWS = [
    Row(
        "accuracy",
        lambda y, t, axis=1: (np.argmax(y, axis=axis) == t).mean(),
        {
            "plain": case(normal(5, 3), LABELS),
            "plain, images": case(normal(2, 3, 2, 4), integers(3, 2, 2, 4)),
            "negative axis": case(normal(2, 4, 3), integers(3, 2, 4), axis=-1),
            "plain, ties": case(np.zeros((5, 3)), LABELS),
        },
        (
            bad(IndexError, "accuracy: label 3 is out of range", np.ones((5, 3)), LABELS + 1),
            bad(ValueError, r"accuracy: labels \(5, 1\) do not match x \(5, 3\)", np.ones((5, 3)), LABELS[:, None]),
            bad(ValueError, "accuracy: the mean over an empty batch", np.ones((0, 3)), LABELS[:0]),
            bad(TypeError, "accuracy: label values must be integers", np.ones((5, 3)), 1.0 * LABELS),
        ),
        {
            "empty": "an empty mean raises",
            "0-d": "it needs an axis of classes",
            "broadcast": "mismatched shapes raise",
        },
        order=0,
    )
]
