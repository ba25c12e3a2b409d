import numpy as np

from tests.table import NO_AXIS, Row, bad, case, integers, normal

NO_BROADCAST = {"broadcast": "it takes rows"}
LABELS = np.array([2, 0, 2])

ROWS = [
    Row(
        "embed_id",
        lambda x, W: W[x],
        {
            "plain": case(LABELS, normal(3, 4)),
            "plain, sentences": case(integers(5, 2, 3), normal(5, 4)),
            "empty": case(np.zeros((0, 3), int), normal(3, 4)),
            "0-d": case(np.array(1), normal(3, 4)),
        },
        (
            bad(IndexError, "embed_id: index 2 is out of range: the 2 rows are 0 to 1", LABELS, np.ones((2, 4))),
            bad(ValueError, "embed_id: index -1 is out of range", -LABELS // 2, np.ones((3, 4))),
            bad(TypeError, "embed_id: index values must be integers, not float64", 1.0 * LABELS, np.ones((3, 4))),
            bad(ValueError, r"embed_id: W \(3,\) must have two axes", LABELS, np.ones(3)),
        ),
        {**NO_AXIS, **NO_BROADCAST},
    ),
    Row(
        "one_hot",
        lambda t, num_classes, dtype=np.float32: np.eye(num_classes, dtype=dtype)[t],
        {
            "plain": case(LABELS, 3),
            "plain, images": case(integers(4, 2, 3), 4, np.float64),
            "empty": case(LABELS[:0], 3),
            "0-d": case(np.array(1), 3),
        },
        (
            bad(IndexError, "one_hot: label 2 is out of range", LABELS, 2),
            bad(TypeError, "one_hot: label values must be integers, not bool", LABELS > 1, 2),
        ),
        {**NO_AXIS, **NO_BROADCAST},
        order=0,
    ),
]
