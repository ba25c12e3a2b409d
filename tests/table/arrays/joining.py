import numpy as np

from tests.table import ONE_OPERAND, Row, bad, case, normal

ROWS = [
    Row(
        "split",
        np.split,
        {
            "plain": case(normal(6, 2), 3),
            "plain, at indices": case(normal(5, 2), [1, 1, 3]),
            "plain, at indices that fall": case(normal(5), [2, 1]),
            "plain, at indices from the end, and beyond it": case(normal(5, 2), [-2, 9]),
            "plain, one section": case(normal(3), 1),
            "negative axis": case(normal(2, 4), 2, axis=-1),
            "empty": case(normal(0, 3), 2),
        },
        (
            bad(ValueError, r"split\(float64\[5\]\).*equal division", np.ones(5), 2),
            bad(ValueError, "split: 0 sections", np.ones(5), 0),
            bad(ValueError, "split.*axis 1", np.ones(4), 2, axis=1),
            bad(ValueError, r"split\(float64\[\]\).*axis 0", np.array(1.0), 1),
        ),
        {**ONE_OPERAND, "0-d": "it has no axis to split"},
    ),
    Row(
        "concatenate",
        lambda *xs, axis=0: np.concatenate(xs, axis),
        {
            "plain": case(normal(2, 3), normal(1, 3)),
            "plain, one array": case(normal(2, 3)),
            "plain, all in a row": case(normal(2, 3), normal(), axis=None),
            "negative axis": case(normal(2, 3), normal(2, 1), normal(2, 2), axis=-1),
            "empty": case(normal(0, 3), normal(2, 3)),
        },
        (
            bad(ValueError, "concatenate.*at least one array", []),
            bad(ValueError, r"concatenate\(float64\[2, 3\], float64\[2, 2\]\)", [np.ones((2, 3)), np.ones((2, 2))]),
            bad(ValueError, "concatenate.*axis 1", [np.ones(2), np.ones(2)], axis=1),
        ),
        {"broadcast": "its arrays do not broadcast", "0-d": "it has no axis to join along"},
        sequence=True,
    ),
    Row(
        "stack",
        lambda *xs, axis=0: np.stack(xs, axis),
        {
            "plain": case(normal(2, 3), normal(2, 3)),
            "plain, another axis": case(normal(2, 3), normal(2, 3), axis=1),
            "negative axis": case(normal(2, 3), normal(2, 3), normal(2, 3), axis=-1),
            "empty": case(normal(0, 3), normal(0, 3)),
            "0-d": case(normal(), normal()),
        },
        (
            bad(ValueError, "stack.*at least one array", []),
            bad(ValueError, r"stack\(float64\[2\], float64\[3\]\): all input arrays", [np.ones(2), np.ones(3)]),
            bad(ValueError, "stack.*axis 2", [np.ones(2), np.ones(2)], axis=2),
        ),
        {"broadcast": "its arrays do not broadcast"},
        sequence=True,
    ),
]
